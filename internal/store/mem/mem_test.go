package mem_test

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/store"
	"boathook/internal/store/mem"
	"boathook/internal/store/storetest"
)

func TestMemIsAStore(t *testing.T) {
	storetest.Run(t, func(_ *testing.T, now func() time.Time, retention time.Duration) store.Store {
		return mem.New(mem.Config{Retention: retention, Now: now})
	})
}

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestCursorsThatAreNotPositionsAreRefused(t *testing.T) {
	s := mem.New(mem.Config{Retention: time.Hour})
	for _, cursor := range []string{"1", "1.", ".run_1", "x.run_1", "1.run_1.", "99999999999999999999.run_1"} {
		_, _, err := s.Tokens(t.Context(), "ws_1", boathook.Page{Limit: 1, Cursor: cursor})
		if !boathook.IsKind(err, boathook.Invalid) {
			t.Errorf("cursor %q: error %v", cursor, err)
		}
	}
}

// Each object is made afresh by a function, stored, and then spoiled both as
// the caller gave it and as the store returned it.
func TestWhatIsStoredIsTheStoresOwn(t *testing.T) {
	newRun := func() boathook.Run {
		return boathook.Run{
			RunHead: boathook.RunHead{ID: "run_1", WorkspaceID: "ws_1", SourceID: "dep_1", Status: boathook.RunFailed, ExitCode: new(1)},
			Output:  []byte("output"),
		}
	}
	spoilRun := func(r boathook.Run) { *r.ExitCode, r.Output[0] = 2, 'X' }
	newVersion := func() boathook.Version {
		return boathook.Version{ID: "ver_1", SourceID: "dep_1", Number: 1, SealedHeaders: []byte("sealed"), Target: boathook.Target{
			Argv: []string{"true"}, Headers: map[string]string{"X-Key": ""},
		}}
	}
	spoilVersion := func(v boathook.Version) {
		v.SealedHeaders[0], v.Target.Argv[0], v.Target.Headers["X-Key"] = 'X', "false", "spoiled"
	}
	newWebhook := func() boathook.OutgoingWebhook {
		return boathook.OutgoingWebhook{
			ID: "out_1", SourceID: "dep_1", Events: []boathook.EventType{boathook.EventRunFailed}, Retry: []time.Duration{1},
			Secrets: boathook.SealedSecrets{Current: []byte("new"), Previous: []byte("old")}, SealedHeaders: []byte("sealed"), HeaderNames: []string{"X-Key"},
			Channels: []string{"eu"}, Metadata: map[string]string{"plan": "team"},
		}
	}
	spoilWebhook := func(w boathook.OutgoingWebhook) {
		w.Events[0], w.Retry[0], w.Secrets.Current[0], w.Secrets.Previous[0], w.SealedHeaders[0], w.HeaderNames[0] = "", 2, 'X', 'X', 'X', "spoiled"
		w.Channels[0], w.Metadata["plan"] = "spoiled", "spoiled"
	}
	newDelivery := func() boathook.Delivery {
		return boathook.Delivery{WorkspaceID: "ws_1", WebhookID: "out_1", Body: boathook.NewBody([]byte("body"))}
	}
	newAttempt := func() boathook.Attempt {
		return boathook.Attempt{Number: 1, Response: &boathook.Response{Headers: http.Header{"X": {"1"}}, Body: []byte("body")}}
	}
	spoilAttempt := func(a boathook.Attempt) {
		a.Response.Headers["X"][0], a.Response.Body[0], a.Response.Status = "2", 'X', 500
	}

	s := mem.New(mem.Config{Retention: time.Hour, Now: func() time.Time { return at }})
	ctx := t.Context()

	run, version, webhook, delivery, attempt := newRun(), newVersion(), newWebhook(), newDelivery(), newAttempt()
	lines := []boathook.LogLine{{Text: "line"}}
	due := store.Due{At: at, ID: "run_1", Payload: []byte("payload")}
	workspace := boathook.Workspace{ID: "ws_1", DataKey: []byte("key")}
	added, err := s.AddVersion(ctx, version)
	for _, err := range []error{
		err, s.PutWorkspace(ctx, workspace), s.CreateRun(ctx, run), s.PutOutgoing(ctx, webhook),
		s.RecordAttempt(ctx, delivery, attempt), s.AppendLog(ctx, boathook.RunHead{ID: "run_1"}, 0, lines), s.PutDue(ctx, due),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	spoilRun(run)
	spoilVersion(version)
	spoilVersion(added)
	spoilWebhook(webhook)
	spoilAttempt(attempt)
	lines[0].Text, due.Payload[0], workspace.DataKey[0] = "spoiled", 'X', 'X'

	for name, look := range map[string]func() (got, want any, spoil func()){
		"Workspace": func() (any, any, func()) {
			got, _ := s.Workspace(ctx, "ws_1")
			return string(got.DataKey), "key", func() { got.DataKey[0] = 'X' }
		},
		"Run": func() (any, any, func()) {
			got, _ := s.Run(ctx, "ws_1", "run_1")
			return got, newRun(), func() { spoilRun(got) }
		},
		"RunHead": func() (any, any, func()) {
			got, _ := s.RunHead(ctx, "run_1")
			return got, newRun().RunHead, func() { *got.ExitCode = 2 }
		},
		"Runs": func() (any, any, func()) {
			got, _, _ := s.Runs(ctx, store.RunQuery{WorkspaceID: "ws_1", SourceID: "dep_1", Page: boathook.Page{Limit: 1}})
			return got, []boathook.Run{newRun()}, func() { spoilRun(got[0]) }
		},
		"LookUpTrigger": func() (any, any, func()) {
			got, _ := s.LookUpTrigger(ctx, "dep_1", "", "run_1")
			head, live := newRun().RunHead, map[boathook.Environment]boathook.LiveVersion{"": {ID: "ver_1", Number: 1}}
			return got, store.TriggerView{Run: &head, Live: live}, func() { *got.Run.ExitCode = 2; clear(got.Live) }
		},
		"Live": func() (any, any, func()) {
			got, _ := s.Live(ctx, "dep_1")
			return len(got), 1, func() { clear(got) }
		},
		"Version": func() (any, any, func()) {
			got, _ := s.Version(ctx, "dep_1", "ver_1")
			return got, newVersion(), func() { spoilVersion(got) }
		},
		"Versions": func() (any, any, func()) {
			got, _, _ := s.Versions(ctx, "dep_1", boathook.Page{Limit: 1})
			return got, []boathook.Version{newVersion()}, func() { spoilVersion(got[0]) }
		},
		"Outgoing": func() (any, any, func()) {
			got, _ := s.Outgoing(ctx, "dep_1", "out_1")
			want := newWebhook()
			want.Revision = 1
			return got, want, func() { spoilWebhook(got) }
		},
		"AllOutgoing": func() (any, any, func()) {
			got, _ := s.AllOutgoing(ctx, "dep_1")
			want := newWebhook()
			want.Revision = 1
			return got, []boathook.OutgoingWebhook{want}, func() { spoilWebhook(got[0]) }
		},
		"Delivery": func() (any, any, func()) {
			got, _ := s.Delivery(ctx, "ws_1", boathook.DeliveryID{})
			want, a := newDelivery(), newAttempt()
			want.Last = a.Summary()
			return got, want, func() {} // its body never changes
		},
		"Attempts": func() (any, any, func()) {
			_, attempts, _ := s.Attempts(ctx, "ws_1", boathook.DeliveryID{})
			return attempts, []boathook.Attempt{newAttempt()}, func() { spoilAttempt(attempts[0]) }
		},
		"Log": func() (any, any, func()) {
			_, got, _ := s.Log(ctx, "run_1", 0, 1)
			return got, []boathook.LogLine{{Text: "line"}}, func() { got[0].Text = "spoiled" }
		},
		"Due": func() (any, any, func()) {
			got, _ := s.Due(ctx, shard(t, s), store.Due{}, at, 1)
			return string(got[0].Payload), "payload", func() { got[0].Payload[0] = 'X' }
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				got, want, spoil := look()
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("(-want +got):\n%s", diff)
				}
				spoil()
			}
		})
	}
}

// shard is the one that has a scheduled item.
func shard(t *testing.T, s *mem.Store) int {
	for shard := range store.DueShards {
		if rows, _ := s.Due(t.Context(), shard, store.Due{}, at, 1); len(rows) > 0 {
			return shard
		}
	}
	t.Fatal("nothing is due")
	return 0
}

// The race detector is this test's judge.
func TestManyGoroutinesMayUseOneStore(t *testing.T) {
	s := mem.New(mem.Config{Retention: time.Millisecond})
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 200 {
				use(t, s, strconv.Itoa(worker%4)+"_"+strconv.Itoa(i))
			}
		})
	}
	wg.Wait()
}

// use takes a run and a delivery through their lives. Another goroutine may be
// doing the same to them, and they may expire at any moment.
func use(t *testing.T, s *mem.Store, id string) {
	check := func(err error) {
		if err != nil && !boathook.IsKind(err, boathook.Conflict) && !boathook.IsKind(err, boathook.NotFound) {
			t.Error(err)
		}
	}
	ctx, now := context.Background(), time.Now()
	r := boathook.Run{RunHead: boathook.RunHead{ID: id, SourceID: "dep_1", CreatedAt: now, Status: boathook.RunPending}}
	check(s.CreateRun(ctx, r))
	head, err := s.ClaimRun(ctx, id, boathook.Claim{ID: "claim"}, now)
	check(err)
	check(s.AppendLog(ctx, r.RunHead, 0, []boathook.LogLine{{Text: "line"}}))
	_, err = s.FinishRun(ctx, id, head.Claim, boathook.Outcome{Status: boathook.RunSucceeded, ExitCode: new(0)})
	check(err)
	_, _, err = s.Runs(ctx, store.RunQuery{SourceID: "dep_1", Page: boathook.Page{Limit: 5}})
	check(err)

	d := boathook.Delivery{WorkspaceID: "ws_1", WebhookID: "out_1", EventID: id, Body: boathook.NewBody([]byte("body"))}
	d.ID = boathook.NewDeliveryID(&boathook.Event{ID: id, Time: now}, d.WebhookID)
	check(s.RecordAttempt(ctx, d, boathook.Attempt{Number: 1}))
	_, _, err = s.Deliveries(ctx, store.DeliveryQuery{WorkspaceID: d.WorkspaceID, WebhookID: d.WebhookID, Page: boathook.Page{Limit: 5}})
	check(err)
}
