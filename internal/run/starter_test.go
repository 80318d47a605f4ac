package run_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	queuemem "boathook/internal/queue/mem"
	"boathook/internal/run"
	storemem "boathook/internal/store/mem"
)

var silent = slog.New(slog.DiscardHandler)

// startStore is the embedded store with faults.
type startStore struct {
	*storemem.Store
	createErr error
	failures  int // of creations: all, if it is negative
	backlog   error
	looks     atomic.Int64
	marks     atomic.Int64
}

func (s *startStore) CreateRun(ctx context.Context, r boathook.Run) error {
	if s.createErr != nil && s.failures != 0 {
		s.failures--
		return s.createErr
	}
	return s.Store.CreateRun(ctx, r)
}

func (s *startStore) LookUpStart(ctx context.Context, sourceID, runID string) (*boathook.RunHead, time.Time, error) {
	s.looks.Add(1)
	return s.Store.LookUpStart(ctx, sourceID, runID)
}

func (s *startStore) MoveBacklog(ctx context.Context, sourceID string, from, to time.Time) (bool, error) {
	s.marks.Add(1)
	if s.backlog != nil {
		return false, s.backlog
	}
	return s.Store.MoveBacklog(ctx, sourceID, from, to)
}

type brokenQueue struct{}

func (brokenQueue) Send(context.Context, ...queue.Message) error { return errDown }

func newStarter(t *testing.T) (*run.Starter, *startStore, *queuemem.Queue) {
	t.Helper()
	s := &startStore{Store: storemem.New(storemem.Config{Retention: 24 * time.Hour})}
	q := queuemem.New(queuemem.Config{Visibility: time.Hour})
	return &run.Starter{Store: s, Queue: q, Now: time.Now, Log: silent}, s, q
}

func pendingRun(input string) boathook.Run {
	return boathook.Run{
		RunHead: boathook.RunHead{
			ID: boathook.NewID(boathook.RunID), WorkspaceID: "ws_a", SourceID: "dep_a", VersionID: "ver_a", VersionNumber: 1,
			Environment: boathook.Production, Trigger: boathook.TriggerWebhook, InputHash: boathook.HashInput([]byte(input)),
			CreatedAt: time.Now().UTC().Truncate(time.Millisecond), Status: boathook.RunPending,
		},
		Input: boathook.NewBody([]byte(input)),
	}
}

// queued receives the runs that q holds.
func queued(t *testing.T, q *queuemem.Queue) []boathook.Run {
	t.Helper()
	var found []boathook.Run
	for {
		messages, err := q.Receive(t.Context(), 10, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(messages) == 0 {
			return found
		}
		for _, m := range messages {
			r, err := queue.DecodeRun(m.Body)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, r)
		}
	}
}

func TestAStartedRunIsStoredAndQueued(t *testing.T) {
	starter, store, q := newStarter(t)
	r := pendingRun(`{"n":12345678901234567890123}`)
	head, err := starter.Start(t.Context(), r, run.Wait{})
	if err != nil || head.ID != r.ID || head.Status != boathook.RunPending {
		t.Fatalf("got %+v, %v", head, err)
	}
	kept, err := store.Run(t.Context(), "ws_a", r.ID)
	if err != nil || kept.Input.String() != r.Input.String() {
		t.Errorf("stored %q, %v", kept.Input.Bytes(), err)
	}
	if got := queued(t, q); len(got) != 1 || got[0].ID != r.ID || got[0].Input.String() != r.Input.String() || got[0].InputHash != r.InputHash {
		t.Errorf("queued %+v", got)
	}
}

func TestARunWhoseRecordFailsIsAcceptedAllTheSame(t *testing.T) {
	for name, c := range map[string]struct {
		failures   int
		err        error
		unrecorded bool
	}{
		"once":                         {1, errDown, false},
		"twice":                        {-1, errDown, true},
		"because execute was faster":   {-1, boathook.Errorf(boathook.Conflict, "it exists"), false},
		"once, and execute was faster": {1, errDown, false},
	} {
		for _, once := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, once %t", name, once), func(t *testing.T) {
				starter, store, q := newStarter(t)
				var log bytes.Buffer
				starter.Log = slog.New(slog.NewTextHandler(&log, nil))
				r := pendingRun(`{}`)
				store.createErr, store.failures = c.err, c.failures
				if boathook.IsKind(c.err, boathook.Conflict) || name == "once, and execute was faster" {
					if err := store.Store.CreateRun(t.Context(), r); err != nil {
						t.Fatal(err)
					}
				}
				start := starter.Start
				if once {
					start = func(ctx context.Context, r boathook.Run, wait run.Wait) (run.Started, error) {
						return starter.StartOnce(ctx, r, nil, wait)
					}
				}
				started, err := start(t.Context(), r, run.Wait{})
				if err != nil || started.Unrecorded != c.unrecorded {
					t.Fatalf("unrecorded %t, %v; want %t", started.Unrecorded, err, c.unrecorded)
				}
				if got := queued(t, q); len(got) != 1 {
					t.Errorf("queued %d runs", len(got))
				}
				if _, err := store.Run(t.Context(), "ws_a", r.ID); (err != nil) != c.unrecorded {
					t.Errorf("the record: %v", err)
				}
				if warned := strings.Contains(log.String(), "without its record"); warned != c.unrecorded {
					t.Errorf("the log is %s", &log)
				}
			})
		}
	}
}

func TestARunThatIsNotQueuedIsRefusedAndItsRecordRemoved(t *testing.T) {
	starter, store, _ := newStarter(t)
	starter.Queue = brokenQueue{}
	r := pendingRun(`{}`)
	if _, err := starter.Start(t.Context(), r, run.Wait{Most: time.Second}); !boathook.IsKind(err, boathook.Unavailable) {
		t.Fatalf("got %v, want unavailable", err)
	}
	if _, err := store.RunHead(t.Context(), r.ID); !boathook.IsKind(err, boathook.NotFound) {
		t.Errorf("the record is still there: %v", err)
	}
}

func TestARepeatedRunIsAnsweredAndNotStartedAgain(t *testing.T) {
	starter, store, q := newStarter(t)
	r := pendingRun(`{}`)
	if _, err := starter.Start(t.Context(), r, run.Wait{}); err != nil {
		t.Fatal(err)
	}
	queued(t, q)
	if _, err := store.ClaimRun(t.Context(), r.ID, boathook.Claim{ID: "claim_a", LeaseUntil: time.Now().Add(time.Minute)}, time.Now()); err != nil {
		t.Fatal(err)
	}
	existing, _ := store.RunHead(t.Context(), r.ID)
	head, err := starter.StartOnce(t.Context(), r, &existing, run.Wait{})
	if err != nil || head.Status != boathook.RunRunning {
		t.Errorf("got %+v, %v; want the running run", head, err)
	}
	if got := queued(t, q); len(got) != 0 {
		t.Errorf("queued %d runs more", len(got))
	}
}

// The first request stored the run and died before its message was sent.
func TestARepeatOfARunThatIsStillPendingQueuesItAgain(t *testing.T) {
	starter, store, q := newStarter(t)
	r := pendingRun(`{}`)
	if err := store.CreateRun(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	existing, _ := store.RunHead(t.Context(), r.ID)
	if _, err := starter.StartOnce(t.Context(), r, &existing, run.Wait{}); err != nil {
		t.Fatal(err)
	}
	if got := queued(t, q); len(got) != 1 || got[0].ID != r.ID {
		t.Errorf("queued %+v", got)
	}
}

func TestARepeatWithAnotherInputIsAConflict(t *testing.T) {
	for name, found := range map[string]bool{"found before": true, "met while storing": false} {
		t.Run(name, func(t *testing.T) {
			starter, store, _ := newStarter(t)
			first := pendingRun(`{"a":1}`)
			if _, err := starter.StartOnce(t.Context(), first, nil, run.Wait{}); err != nil {
				t.Fatal(err)
			}
			second := pendingRun(`{"a":2}`)
			second.ID = first.ID
			var existing *boathook.RunHead
			if found {
				head, _ := store.RunHead(t.Context(), first.ID)
				existing = &head
			}
			if _, err := starter.StartOnce(t.Context(), second, existing, run.Wait{}); !boathook.IsKind(err, boathook.Conflict) {
				t.Errorf("got %v, want a conflict", err)
			}
			if kept, _ := store.Run(t.Context(), "ws_a", first.ID); kept.Input.String() != `{"a":1}` {
				t.Errorf("the stored input is %s", kept.Input.Bytes())
			}
		})
	}
}

func TestStartWaitsUntilTheRunHasStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		starter, store, _ := newStarter(t)
		r := pendingRun(`{}`)
		time.AfterFunc(300*time.Millisecond, func() {
			store.ClaimRun(t.Context(), r.ID, boathook.Claim{ID: "claim_a", LeaseUntil: time.Now().Add(time.Minute)}, time.Now())
		})
		begun := time.Now()
		head, err := starter.Start(t.Context(), r, run.Wait{Most: 2 * time.Second})
		if err != nil || head.Status != boathook.RunRunning {
			t.Errorf("got status %s, %v", head.Status, err)
		}
		if took := time.Since(begun); took > 500*time.Millisecond {
			t.Errorf("noticed after %s", took)
		}
	})
}

func TestStartAnswersPendingWhenTheWaitIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		starter, store, _ := newStarter(t)
		begun := time.Now()
		head, err := starter.Start(t.Context(), pendingRun(`{}`), run.Wait{Most: 2 * time.Second})
		if err != nil || head.Status != boathook.RunPending {
			t.Errorf("got status %s, %v", head.Status, err)
		}
		if took := time.Since(begun); took != 2*time.Second {
			t.Errorf("waited %s", took)
		}
		if n := store.looks.Load(); n > 9 {
			t.Errorf("looked %d times: the intervals don't grow", n)
		}
	})
}

func TestStartStopsWaitingWhenItsCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		starter, _, _ := newStarter(t)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		begun := time.Now()
		if _, err := starter.Start(ctx, pendingRun(`{}`), run.Wait{Most: 2 * time.Second}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took != 100*time.Millisecond {
			t.Errorf("waited %s", took)
		}
	})
}

// orderedStore tells, before each record, what the queue holds.
type orderedStore struct {
	*startStore
	before func()
}

func (s *orderedStore) CreateRun(ctx context.Context, r boathook.Run) error {
	s.before()
	return s.startStore.CreateRun(ctx, r)
}

// Of two requests with one key the second must leave no message of its own: its
// input would execute if the first's message never came.
func TestARefusedRepeatSendsNothing(t *testing.T) {
	starter, store, q := newStarter(t)
	starter.Store = &orderedStore{store, func() {
		if stats := q.Stats(); stats.Ready != 0 {
			t.Error("a message was sent before its record")
		}
	}}
	first, second := pendingRun(`{"a":1}`), pendingRun(`{"a":2}`)
	second.ID = first.ID
	if _, err := starter.StartOnce(t.Context(), first, nil, run.Wait{}); err != nil {
		t.Fatal(err)
	}
	queued(t, q)
	if _, err := starter.StartOnce(t.Context(), second, nil, run.Wait{}); !boathook.IsKind(err, boathook.Conflict) {
		t.Errorf("got %v, want a conflict", err)
	}
	if got := queued(t, q); len(got) != 0 {
		t.Errorf("queued %+v", got)
	}
}
