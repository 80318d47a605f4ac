package dynamo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/store"
	"boathook/internal/store/dynamo"
)

func TestLookingUpATriggerIsOneRequest(t *testing.T) {
	s, w := onWire(func(request) *reply { return ok(`{}`) })
	for _, runID := range []string{"", "run_a"} {
		w.requests = nil
		if _, err := s.LookUpTrigger(t.Context(), "dep_a", "in_a", runID); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"BatchGetItem"}, w.operations()); diff != "" {
			t.Errorf("requests with run %q (-want +got):\n%s", runID, diff)
		}
		for table, keys := range w.requests[0].input["RequestItems"].(map[string]any) {
			if keys.(map[string]any)["ConsistentRead"] != true {
				t.Errorf("%s is not read consistently", table)
			}
		}
	}
}

func TestALongBodyIsWrittenBeforeTheRecordThatRefersToIt(t *testing.T) {
	s, w := onWire(func(request) *reply { return ok(`{}`) })
	if err := s.RecordAttempt(t.Context(), delivery(printable(512<<10)), attempt(1)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"BatchWriteItem", "PutItem"}, w.operations()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestADeliveryThatHasLostAPartOfItsBodyIsReadWithoutIt(t *testing.T) {
	d := delivery(printable(512 << 10))
	var record any
	s, _ := onWire(func(r request) *reply {
		switch r.operation {
		case "PutItem":
			record = r.input["Item"]
		case "GetItem":
			item, _ := json.Marshal(map[string]any{"Item": record})
			return ok(string(item))
		}
		return ok(`{}`)
	})
	if err := s.RecordAttempt(t.Context(), d, attempt(1)); err != nil {
		t.Fatal(err)
	}
	got, attempts, err := s.Attempts(t.Context(), d.WorkspaceID, d.ID)
	d.Body, d.Last = boathook.Body{}, got.Last
	if diff := cmp.Diff(d, got); diff != "" || len(attempts) != 1 || err != nil {
		t.Errorf("got %d attempts, %v, and the delivery (-want +got):\n%s", len(attempts), err, diff)
	}
}

func TestARunThatHasLostItsInputDoesNotSpoilAList(t *testing.T) {
	for _, variable := range []string{moto, dynalite} {
		t.Run(variable, func(t *testing.T) {
			client := emulator(t, variable)
			config := tables(t, client)
			config.Now = func() time.Time { return now }
			s := dynamo.New(client, config)
			whole, bare := run(), run()
			bare.ID, bare.CreatedAt = "run_hhhhhhhhhhhhhhhhhhhhhhhh", now.Add(time.Second)
			if err := errors.Join(s.CreateRun(t.Context(), whole), s.CreateRun(t.Context(), bare)); err != nil {
				t.Fatal(err)
			}
			_, err := client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &config.RecordsTable, Key: map[string]types.AttributeValue{
				"pk": &types.AttributeValueMemberS{Value: "run#" + bare.ID},
				"sk": &types.AttributeValueMemberS{Value: fmt.Sprintf("input#%x", bare.InputHash)},
			}})
			if err != nil {
				t.Fatal(err)
			}
			bare.Input = boathook.Body{}
			listed, _, err := s.Runs(t.Context(), store.RunQuery{WorkspaceID: bare.WorkspaceID, SourceID: bare.SourceID, Page: boathook.Page{Limit: 10}})
			if diff := cmp.Diff([]boathook.Run{bare, whole}, listed); diff != "" || err != nil {
				t.Errorf("%v, listed (-want +got):\n%s", err, diff)
			}
			got, err := s.Run(t.Context(), bare.WorkspaceID, bare.ID)
			if diff := cmp.Diff(bare, got); diff != "" || err != nil {
				t.Errorf("%v, got (-want +got):\n%s", err, diff)
			}
		})
	}
}

const (
	webhookKey = `{"pk":{"S":"src#dep_a"},"sk":{"S":"in#in_a"}}`
	liveKey    = `{"pk":{"S":"src#dep_a"},"sk":{"S":"live"}}`
	webhook    = `{"pk":{"S":"src#dep_a"},"sk":{"S":"in#in_a"},"ID":{"S":"in_a"}}`
	live       = `{"pk":{"S":"src#dep_a"},"sk":{"S":"live"},"Production":{"M":{"ID":{"S":"ver_a"},"Number":{"N":"5"}}}}`
)

func TestUnprocessedKeysAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := []string{
			`{"Responses":{},"UnprocessedKeys":{"config":{"ConsistentRead":true,"Keys":[` + webhookKey + `,` + liveKey + `]}}}`,
			`{"Responses":{"config":[` + webhook + `]},"UnprocessedKeys":{"config":{"ConsistentRead":true,"Keys":[` + liveKey + `]}}}`,
			`{"Responses":{"config":[` + live + `]},"UnprocessedKeys":{}}`,
		}
		s, w := onWire(func(request) *reply {
			answer := answers[0]
			answers = answers[1:]
			return ok(answer)
		})
		view, err := s.LookUpTrigger(t.Context(), "dep_a", "in_a", "")
		if err != nil {
			t.Fatal(err)
		}
		want := store.TriggerView{
			Webhook: &boathook.IncomingWebhook{ID: "in_a"},
			Live:    map[boathook.Environment]boathook.LiveVersion{boathook.Production: {ID: "ver_a", Number: 5}},
		}
		if diff := cmp.Diff(want, view); diff != "" {
			t.Errorf("view (-want +got):\n%s", diff)
		}
		if asked := w.requests[2].input["RequestItems"]; !cmp.Equal(asked, unmarshal(`{"config":{"ConsistentRead":true,"Keys":[`+liveKey+`]}}`)) {
			t.Errorf("the third request asks for %v", asked)
		}
	})
}

func TestUnprocessedItemsAreWrittenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unprocessed := func(keys ...string) string {
			return `{"UnprocessedItems":{"config":[{"DeleteRequest":{"Key":` + strings.Join(keys, `}},{"DeleteRequest":{"Key":`) + `}}]}}`
		}
		answers := []string{unprocessed(webhookKey, liveKey), unprocessed(liveKey), `{}`}
		s, w := onWire(func(r request) *reply {
			switch r.operation {
			case "Query":
				return ok(`{"Items":[` + webhookKey + `,` + liveKey + `]}`)
			case "BatchWriteItem":
				answer := answers[0]
				answers = answers[1:]
				return ok(answer)
			}
			return ok(`{}`)
		})
		if err := s.DeleteSource(t.Context(), "ws_a", "dep_a"); err != nil {
			t.Fatal(err)
		}
		want := []string{"DeleteItem", "DeleteItem", "Query", "BatchWriteItem", "BatchWriteItem", "BatchWriteItem", "DeleteItem"}
		if diff := cmp.Diff(want, w.operations()); diff != "" {
			t.Fatalf("requests (-want +got):\n%s", diff)
		}
		if asked := w.requests[5].input["RequestItems"]; !cmp.Equal(asked, unmarshal(`{"config":[{"DeleteRequest":{"Key":`+liveKey+`}}]}`)) {
			t.Errorf("the last batch deletes %v", asked)
		}
	})
}

func marshal(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func unmarshal(text string) (v any) {
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		panic(err)
	}
	return v
}

// starved answers that nothing of a batch was processed.
func starved(request) *reply {
	return ok(`{"Responses":{},"UnprocessedKeys":{"config":{"Keys":[` + webhookKey + `]}}}`)
}

func TestABatchOfWhichNothingIsProcessedFailsInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := onWire(starved)
		began := time.Now()
		_, err := s.LookUpTrigger(t.Context(), "dep_a", "in_a", "")
		if err == nil || !strings.Contains(err.Error(), "throttled") {
			t.Errorf("got %v, want an error that says throttled", err)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("it took %s", took)
		}
	})
}

func TestWaitingForABatchEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		s, _ := onWire(starved)
		began := time.Now()
		if _, err := s.LookUpTrigger(ctx, "dep_a", "in_a", ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		if took := time.Since(began); took != 100*time.Millisecond {
			t.Errorf("it took %s", took)
		}
	})
}

func TestAThrottledRequestIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := 2
		s, w := onWire(func(request) *reply {
			if throttle--; throttle >= 0 {
				return failure("ProvisionedThroughputExceededException")
			}
			return ok(`{}`)
		})
		if err := s.RecordAttempt(t.Context(), delivery([]byte(`{}`)), attempt(1)); err != nil {
			t.Error(err)
		}
		if len(w.requests) != 3 {
			t.Errorf("%d requests", len(w.requests))
		}
	})
}

// TestAFailureSaysWhatFailed also holds failures apart from what callers are
// told: none is a NotFound or a Conflict.
func TestAFailureSaysWhatFailed(t *testing.T) {
	page := boathook.Page{Limit: 1}
	for want, call := range map[string]func(ctx context.Context, s *dynamo.Store) error{
		"put workspace ws_a": func(ctx context.Context, s *dynamo.Store) error {
			return s.PutWorkspace(ctx, boathook.Workspace{ID: "ws_a"})
		},
		"get token": func(ctx context.Context, s *dynamo.Store) error {
			_, err := s.TokenByHash(ctx, [32]byte{})
			return err
		},
		"get source dep_a": func(ctx context.Context, s *dynamo.Store) error {
			_, err := s.Source(ctx, "ws_a", "dep_a")
			return err
		},
		"delete source dep_a": func(ctx context.Context, s *dynamo.Store) error { return s.DeleteSource(ctx, "ws_a", "dep_a") },
		"list versions of dep_a": func(ctx context.Context, s *dynamo.Store) error {
			_, _, err := s.Versions(ctx, "dep_a", page)
			return err
		},
		"create run run_a": func(ctx context.Context, s *dynamo.Store) error {
			return s.CreateRun(ctx, boathook.Run{RunHead: boathook.RunHead{ID: "run_a"}})
		},
		"claim run run_a": func(ctx context.Context, s *dynamo.Store) error {
			_, err := s.ClaimRun(ctx, "run_a", boathook.Claim{}, now)
			return err
		},
		"remove pending run run_a": func(ctx context.Context, s *dynamo.Store) error { return s.RemovePending(ctx, "run_a") },
		"list runs": func(ctx context.Context, s *dynamo.Store) error {
			_, _, err := s.Runs(ctx, store.RunQuery{WorkspaceID: "ws_a", Kind: boathook.Deployment, Page: page})
			return err
		},
		"get the log of run run_a": func(ctx context.Context, s *dynamo.Store) error {
			_, _, err := s.Log(ctx, "run_a", 0, 1)
			return err
		},
		"record attempt 2 of delivery": func(ctx context.Context, s *dynamo.Store) error {
			return s.RecordAttempt(ctx, delivery(nil), attempt(2))
		},
		"list deliveries of out_a": func(ctx context.Context, s *dynamo.Store) error {
			_, _, err := s.Deliveries(ctx, store.DeliveryQuery{WorkspaceID: "ws_a", WebhookID: "out_a", Page: page})
			return err
		},
		"get what is due in shard 3": func(ctx context.Context, s *dynamo.Store) error {
			_, err := s.Due(ctx, 3, store.Due{}, now, 1)
			return err
		},
	} {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := onWire(func(request) *reply { return failure("ThrottlingException") })
				err := call(t.Context(), s)
				if err == nil || !strings.HasPrefix(err.Error(), want) {
					t.Errorf("got %v, want an error that begins with %q", err, want)
				}
				if domain, ok := errors.AsType[*boathook.Error](err); ok {
					t.Errorf("%v is of kind %s", err, domain.Kind)
				}
			})
		})
	}
}

func TestARunWhoseInputCouldNotBeWrittenHasNoHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w := onWire(func(r request) *reply {
			if item, ok := r.input["Item"].(attributes); ok && strings.HasPrefix(item["sk"].(attributes)["S"].(string), "input#") {
				return failure("ThrottlingException")
			}
			return ok(`{}`)
		})
		if err := s.CreateRun(t.Context(), run()); err == nil || boathook.IsKind(err, boathook.Conflict) {
			t.Errorf("got %v, want a failure", err)
		}
		for _, r := range w.requests {
			if r.input["Item"].(attributes)["sk"].(attributes)["S"] == "head" {
				t.Error("the head is written")
			}
		}
	})
}

func TestAnAttemptThatACrashLeftHalfRecordedIsFinishedWhenItComesAgain(t *testing.T) {
	for _, variable := range []string{moto, dynalite} {
		t.Run(variable, func(t *testing.T) {
			s, mend := breakable(t, variable, func(r request) bool { return r.operation == "UpdateItem" })
			d := delivery([]byte(`{}`))
			d.Status, d.NextAttemptAt = boathook.DeliveryRetrying, now
			if err := s.RecordAttempt(t.Context(), d, attempt(1)); err != nil {
				t.Fatal(err)
			}

			d.Status, d.Attempts, d.NextAttemptAt = boathook.DeliverySucceeded, 2, time.Time{}
			if err := s.RecordAttempt(t.Context(), d, attempt(2)); err == nil || boathook.IsKind(err, boathook.Conflict) {
				t.Fatalf("got %v, want a failure", err)
			}
			mend()
			again := d
			again.Status, again.NextAttemptAt = boathook.DeliveryRetrying, now
			other := attempt(2)
			other.Error = "made twice"
			if err := s.RecordAttempt(t.Context(), again, other); !boathook.IsKind(err, boathook.Conflict) {
				t.Errorf("the same number again: got %v, want a Conflict", err)
			}

			got, attempts, err := s.Attempts(t.Context(), d.WorkspaceID, d.ID)
			if err != nil {
				t.Fatal(err)
			}
			last := attempt(2)
			d.Last = last.Summary()
			if diff := cmp.Diff(d, got); diff != "" {
				t.Errorf("delivery (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]boathook.Attempt{attempt(1), last}, attempts); diff != "" {
				t.Errorf("attempts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDeletingASourceGoesOnWhereACrashLeftIt(t *testing.T) {
	for _, variable := range []string{moto, dynalite} {
		t.Run(variable, func(t *testing.T) {
			s, mend := breakable(t, variable, func(r request) bool { return r.operation == "BatchWriteItem" })
			source := boathook.Source{ID: "dep_a", WorkspaceID: "ws_a", Kind: boathook.Deployment, CreatedAt: now}
			in := boathook.IncomingWebhook{ID: "in_a", WorkspaceID: "ws_a", SourceID: "dep_a"}
			if err := errors.Join(s.PutSource(t.Context(), source), s.PutIncoming(t.Context(), in)); err != nil {
				t.Fatal(err)
			}

			if err := s.DeleteSource(t.Context(), "ws_a", "dep_a"); err == nil {
				t.Fatal("it did not fail")
			}
			if _, err := s.Source(t.Context(), "ws_a", "dep_a"); !boathook.IsKind(err, boathook.NotFound) {
				t.Errorf("the source is still there: %v", err)
			}
			mend()
			if err := s.DeleteSource(t.Context(), "ws_b", "dep_a"); !boathook.IsKind(err, boathook.NotFound) {
				t.Errorf("by another workspace: got %v, want NotFound", err)
			}
			if _, err := s.Incoming(t.Context(), "dep_a", "in_a"); err != nil {
				t.Errorf("another workspace has deleted a webhook: %v", err)
			}
			for _, want := range []bool{true, false} {
				if err := s.DeleteSource(t.Context(), "ws_a", "dep_a"); want != (err == nil) || !want && !boathook.IsKind(err, boathook.NotFound) {
					t.Errorf("again: %v", err)
				}
			}
			if all, err := s.AllIncoming(t.Context(), "dep_a"); len(all) > 0 || err != nil {
				t.Errorf("what is left: %v, %v", all, err)
			}
			if listed, _, err := s.Sources(t.Context(), "ws_a", boathook.Deployment, boathook.Page{Limit: 1}); len(listed) > 0 || err != nil {
				t.Errorf("it is still listed: %v, %v", listed, err)
			}
		})
	}
}
