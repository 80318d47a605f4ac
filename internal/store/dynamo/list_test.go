package dynamo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
	"boathook/internal/store/dynamo"
)

// However long a list is in which there is nothing to find, a page ends.
func TestAPageReadsABoundedNumberOfItems(t *testing.T) {
	const shards = 4
	page := boathook.Page{Limit: 50}
	runs := store.RunQuery{WorkspaceID: "ws_a", Kind: boathook.Deployment, Statuses: []boathook.RunStatus{boathook.RunFailed}, Page: page}
	deliveries := store.DeliveryQuery{WorkspaceID: "ws_a", WebhookID: "out_a", Statuses: []boathook.DeliveryStatus{boathook.DeliverySucceeded}, Page: page}
	failed := deliveries
	failed.Statuses = []boathook.DeliveryStatus{boathook.DeliveryFailed}
	lists := map[string]func(s *dynamo.Store) (found int, next string, err error){
		"runs": func(s *dynamo.Store) (int, string, error) {
			found, next, err := s.Runs(t.Context(), runs)
			return len(found), next, err
		},
		"heads": func(s *dynamo.Store) (int, string, error) {
			found, next, err := s.RunHeads(t.Context(), runs)
			return len(found), next, err
		},
		"requests": func(s *dynamo.Store) (int, string, error) {
			found, next, err := s.Requests(t.Context(), store.RequestQuery{
				WorkspaceID: "ws_a", SourceID: "dep_a", WebhookID: "in_a", Outcome: boathook.RequestAccepted, Page: page,
			})
			return len(found), next, err
		},
		"deliveries": func(s *dynamo.Store) (int, string, error) {
			found, next, err := s.Deliveries(t.Context(), deliveries)
			return len(found), next, err
		},
		"a workspace's deliveries": func(s *dynamo.Store) (int, string, error) {
			some := deliveries
			some.EventType = boathook.EventRunFailed
			found, next, err := s.WorkspaceDeliveries(t.Context(), some)
			return len(found), next, err
		},
		"a workspace's failed deliveries": func(s *dynamo.Store) (int, string, error) {
			some := failed
			some.SourceID = "dep_a"
			found, next, err := s.WorkspaceDeliveries(t.Context(), some)
			return len(found), next, err
		},
		"failed deliveries": func(s *dynamo.Store) (int, string, error) {
			found, next, err := s.Deliveries(t.Context(), failed)
			return len(found), next, err
		},
	}
	for name, list := range lists {
		for what, expires := range map[string]time.Time{"of what is not wanted": now.Add(time.Hour), "of what has expired": now.Add(-time.Hour)} {
			t.Run(name+" "+what, func(t *testing.T) {
				var read atomic.Int64
				s, _ := onWire(func(r request) *reply {
					n := int(r.input["Limit"].(float64))
					items := make([]string, n)
					for i := range items {
						position := fmt.Sprintf("%013d#run_a", 9e12-read.Add(1))
						items[i] = fmt.Sprintf(`{"pk":{"S":"run#run_a"},"sk":{"S":"%[1]s"},"place":{"S":"%[1]s"},"x":{"N":"%[2]d"}}`,
							position, expires.Unix())
					}
					return ok(`{"Items":[` + strings.Join(items, ",") + `],"LastEvaluatedKey":{"pk":{"S":"a"},"sk":{"S":"b"}}}`)
				})
				found, next, err := list(s)
				if err != nil || found > 0 || next == "" {
					t.Errorf("found %d, next %q, error %v", found, next, err)
				}
				if most := store.MaxLook + 2*shards; read.Load() > int64(most) {
					t.Errorf("it read %d items, want at most %d", read.Load(), most)
				}
			})
		}
	}
}

// A run that ends between the look at the index and the look at it is shown as it
// is by then.
func TestARunThatEndsWhileItIsListedIsListedWithItsOutput(t *testing.T) {
	items := make(map[string]any) // by their keys
	keyOf := func(item attributes) string {
		return item["pk"].(attributes)["S"].(string) + " / " + item["sk"].(attributes)["S"].(string)
	}
	var entry attributes
	s, w := onWire(func(r request) *reply {
		switch r.operation {
		case "PutItem":
			item := r.input["Item"].(attributes)
			items[keyOf(item)] = item
			if item["place"] != nil {
				entry = maps.Clone(item)
			}
		case "Query":
			if r.input["ExpressionAttributeValues"].(attributes)[":p"].(attributes)["S"] != entry["parent"].(attributes)["S"] {
				break
			}
			for _, unknown := range []string{"oh", "ol"} {
				delete(entry, unknown)
			}
			return ok(marshal(attributes{"Items": []any{entry}}))
		case "BatchGetItem":
			var found []any
			for _, k := range r.input["RequestItems"].(attributes)["records"].(attributes)["Keys"].([]any) {
				if item, ok := items[keyOf(k.(attributes))]; ok {
					found = append(found, item)
				}
			}
			return ok(marshal(attributes{"Responses": attributes{"records": found}}))
		}
		return ok(`{}`)
	})
	over := run()
	over.Status, over.Output = boathook.RunSucceeded, json.RawMessage(`{"pages":3}`)
	if err := s.CreateRun(t.Context(), over); err != nil {
		t.Fatal(err)
	}
	runs, _, err := s.Runs(t.Context(), store.RunQuery{WorkspaceID: over.WorkspaceID, SourceID: over.SourceID, Page: boathook.Page{Limit: 10}})
	if err != nil || len(runs) != 1 || string(runs[0].Output) != string(over.Output) || runs[0].Input.String() != over.Input.String() {
		t.Errorf("listed %+v, %v, by %v", runs, err, w.operations())
	}
}

// A list finds a run wherever it is in its life: its end moves it nowhere.
func TestTheEndOfARunChangesNoKeyThatListsFindItBy(t *testing.T) {
	for name, call := range map[string]func(context.Context, *dynamo.Store) error{
		"FinishRun": func(ctx context.Context, s *dynamo.Store) error {
			_, err := s.FinishRun(ctx, "run_a", boathook.Claim{ID: "claim_a"}, boathook.Outcome{Status: boathook.RunSucceeded})
			return err
		},
		"RequestCancel": func(ctx context.Context, s *dynamo.Store) error {
			_, err := s.RequestCancel(ctx, "run_a", now)
			return err
		},
	} {
		s, w := onWire(func(request) *reply {
			head := `{"pk":{"S":"run#run_a"},"sk":{"S":"head"},"s":{"S":"pending"}}`
			return ok(`{"Attributes":` + head + `,"Item":` + head + `}`)
		})
		if err := call(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		change := w.requests[len(w.requests)-1].input["UpdateExpression"].(string)
		for _, attribute := range []string{"parent", "workspace", "place"} {
			if strings.Contains(change, attribute) {
				t.Errorf("%s changes %s: %s", name, attribute, change)
			}
		}
		if !strings.HasSuffix(change, " REMOVE active") {
			t.Errorf("%s leaves the run among the active ones: %s", name, change)
		}
	}
}

// A delivery that fails for good, or is canceled, while deliveries of several
// statuses are listed is found in the later of its places.
func TestTheRetryingAreLookedAtBeforeTheOthers(t *testing.T) {
	s, w := onWire(func(request) *reply { return ok(`{"Items":[]}`) })
	_, _, err := s.Deliveries(t.Context(), store.DeliveryQuery{
		WorkspaceID: "ws_a", WebhookID: "out_a", Page: boathook.Page{Limit: 1},
		Statuses: []boathook.DeliveryStatus{boathook.DeliveryCanceled, boathook.DeliveryFailed, boathook.DeliveryRetrying},
	})
	if err != nil {
		t.Fatal(err)
	}
	var statuses []string
	for _, r := range w.requests {
		status, _, _ := strings.Cut(r.input["ExpressionAttributeValues"].(attributes)[":p"].(attributes)["S"].(string), "#")
		statuses = append(statuses, status)
	}
	if got, want := slices.Compact(statuses), []string{"retrying", "failed", "canceled"}; !slices.Equal(got, want) {
		t.Errorf("it looked at %v, want %v", got, want)
	}
}

func TestWhetherAnythingRunsIsOneSmallRequestForEachShard(t *testing.T) {
	entry := func(expires time.Time) string {
		return fmt.Sprintf(`{"pk":{"S":"run#run_a"},"sk":{"S":"head"},"place":{"S":"0000000000001#run_a"},"x":{"N":"%d"}}`, expires.Unix())
	}
	live, gone := entry(now.Add(time.Second)), entry(now)
	for _, c := range []struct {
		what, answer string
		want         bool
	}{
		{"nothing", `{"Items":[]}`, false},
		{"a run", `{"Items":[` + live + `]}`, true},
		{"one that has expired", `{"Items":[` + gone + `]}`, false},
		{"more that have expired than are looked at", `{"Items":[` + gone + `],"LastEvaluatedKey":{"pk":{"S":"a"}}}`, true},
	} {
		s, w := onWire(func(request) *reply { return ok(c.answer) })
		active, err := s.AnyActive(t.Context(), "dep_a")
		if err != nil || active != c.want || len(w.requests) != 4 || w.requests[0].input["Limit"].(float64) > 100 {
			t.Errorf("%s: %t, %v, with %v", c.what, active, err, w.requests)
		}
	}
}

// A run's creation and its end each take a write of every index: what happens
// between them may take none.
func TestTheIndexesKnowNothingOfAClaim(t *testing.T) {
	var indexed []string
	for _, index := range dynamo.Tables("", "")[1].GlobalSecondaryIndexes {
		indexed = append(indexed, index.Projection.NonKeyAttributes...)
		for _, k := range index.KeySchema {
			indexed = append(indexed, *k.AttributeName)
		}
	}
	for name, call := range map[string]func(context.Context, *dynamo.Store) error{
		"ClaimRun": func(ctx context.Context, s *dynamo.Store) error {
			_, err := s.ClaimRun(ctx, "run_a", boathook.Claim{ID: "claim_a", LeaseUntil: now}, now)
			return err
		},
		"RenewLease": func(ctx context.Context, s *dynamo.Store) error {
			_, err := s.RenewLease(ctx, "run_a", boathook.Claim{ID: "claim_a", LeaseUntil: now})
			return err
		},
	} {
		s, w := onWire(func(request) *reply { return ok(`{"Attributes":{"pk":{"S":"run#run_a"}}}`) })
		if err := call(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		change, isSet := strings.CutPrefix(w.requests[0].input["UpdateExpression"].(string), "SET ")
		if !isSet || len(w.requests) != 1 {
			t.Fatalf("%s: %v", name, w.requests)
		}
		for set := range strings.SplitSeq(change, ", ") {
			if attribute, _, _ := strings.Cut(set, " = "); slices.Contains(indexed, attribute) {
				t.Errorf("%s sets %s, of which the index has a copy", name, attribute)
			}
		}
	}
}

// DynamoDB ends an answer at 1 MB: what one look counts, or goes through, must be
// less, or counts would not be exact.
func TestWhatOneLookGoesThroughFitsAnAnswer(t *testing.T) {
	const (
		answer = 1 << 20
		shards = 4
		spare  = 300 // runs that one shard may have above the average
	)
	columns := make(map[string][]string) // by index
	for _, index := range dynamo.Tables("", "")[1].GlobalSecondaryIndexes {
		columns[*index.IndexName] = append([]string{"pk", "sk", "place", *index.KeySchema[0].AttributeName}, index.Projection.NonKeyAttributes...)
	}
	s, w := onWire(func(request) *reply { return ok(`{}`) })
	r := finished()
	r.SourceID, r.WorkspaceID = boathook.NewID(boathook.AgentID), boathook.NewID(boathook.WorkspaceID)
	r.WebhookID, r.Environment, r.Status = boathook.NewID(boathook.IncomingID), boathook.Production, boathook.RunTimedOut
	lines := slices.Repeat([]boathook.LogLine{{Text: strings.Repeat("x", 100)}}, 500)
	if err := errors.Join(s.CreateRun(t.Context(), r), s.AppendLog(t.Context(), r.RunHead, 123456789, lines)); err != nil {
		t.Fatal(err)
	}
	for _, sent := range w.requests {
		item := sent.input["Item"].(attributes)
		for index, most := range map[string]int{"by-workspace": store.MaxCounted/shards + spare, "by-parent": store.MaxCounted/shards + spare} {
			if strings.HasPrefix(item["sk"].(attributes)["S"].(string), "log#") {
				most = store.MaxChunks
			}
			entry := make(attributes)
			for _, column := range columns[index] {
				if value, isSet := item[column]; isSet {
					entry[column] = value
				}
			}
			if n := size(entry); len(entry) > 3 && n*most > answer {
				t.Errorf("%d entries of %s are %d bytes, %d each: %v", most, index, n*most, n, entry)
			}
		}
	}
}
