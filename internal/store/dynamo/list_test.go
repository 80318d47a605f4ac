package dynamo_test

import (
	"context"
	"fmt"
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
	const (
		shards = 4
		stages = 2 // of a source's runs: active, over
	)
	page := store.Page{Limit: 50}
	runs := store.RunQuery{WorkspaceID: "ws_a", SourceIDs: []string{"dep_a"}, Statuses: []boathook.RunStatus{boathook.RunFailed}, Page: page}
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
				if most := stages*store.MaxLook + 2*shards; read.Load() > int64(most) {
					t.Errorf("it read %d items, want at most %d", read.Load(), most)
				}
			})
		}
	}
}

// What was finished between two requests is in the lists of both.
func TestARunThatEndsWhileItIsListedIsListedOnce(t *testing.T) {
	var head any
	s, w := onWire(func(r request) *reply {
		switch r.operation {
		case "PutItem":
			if item := r.input["Item"].(attributes); item["parent"] != nil {
				head = item
			}
		case "Query":
			return ok(marshal(attributes{"Items": []any{head}}))
		case "BatchGetItem":
			return ok(marshal(attributes{"Responses": attributes{"records": []any{head}}}))
		}
		return ok(`{}`)
	})
	over := run()
	over.Status = boathook.RunSucceeded
	if err := s.CreateRun(t.Context(), over); err != nil {
		t.Fatal(err)
	}
	w.requests = nil
	heads, _, err := s.RunHeads(t.Context(), store.RunQuery{
		WorkspaceID: over.WorkspaceID, SourceIDs: []string{over.SourceID}, Page: store.Page{Limit: 10},
	})
	if err != nil || len(heads) != 1 || heads[0].ID != over.ID {
		t.Errorf("listed %v, %v", heads, err)
	}
	var parents []any
	for _, r := range w.requests {
		if r.operation == "Query" {
			parents = append(parents, r.input["ExpressionAttributeValues"].(attributes)[":p"].(attributes)["S"])
		}
	}
	if want := []any{"active#" + over.SourceID, over.SourceID}; !slices.Equal(parents, want) {
		t.Errorf("it looked at %v, want %v: in the other order it would be missed", parents, want)
	}
}

func TestWhetherAnythingRunsIsOneRequestForOneEntry(t *testing.T) {
	for answer, want := range map[string]bool{
		`{"Items":[]}`: false,
		fmt.Sprintf(`{"Items":[{"pk":{"S":"run#run_a"},"x":{"N":"%d"}}],"LastEvaluatedKey":{"pk":{"S":"a"}}}`, now.Unix()+1): true,
	} {
		s, w := onWire(func(request) *reply { return ok(answer) })
		active, err := s.AnyActive(t.Context(), "dep_a")
		if err != nil || active != want || len(w.requests) != 1 || w.requests[0].input["Limit"] != 1.0 {
			t.Errorf("%s: %t, %v, with %v", answer, active, err, w.requests)
		}
	}
}

// A run's end takes two writes of the index by-parent, since it leaves the active
// ones: what happens between its creation and its end may take none.
func TestTheIndexKnowsNothingOfAClaim(t *testing.T) {
	index := dynamo.Tables("", "")[1].GlobalSecondaryIndexes[0]
	indexed := index.Projection.NonKeyAttributes
	for _, k := range index.KeySchema {
		indexed = append(indexed, *k.AttributeName)
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
