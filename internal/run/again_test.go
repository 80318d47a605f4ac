package run_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/run"
	"boathook/internal/run/target"
	"boathook/internal/store"
)

// again is a keeper with a run that is running, of a deployment that has failed runs
// retried, and with the messages that it sends.
type again struct {
	*kept
	sent    []queue.Message
	sendErr error
}

func keepAgain(t *testing.T, retries boathook.RunRetries) *again {
	t.Helper()
	a := &again{kept: keep(t, true)}
	a.Queue = senderOf(func(messages ...queue.Message) error {
		if a.sendErr == nil {
			a.sent = append(a.sent, messages...)
		}
		return a.sendErr
	})
	must(t, a.store.PutSource(t.Context(), boathook.Source{
		ID: a.run.SourceID, WorkspaceID: a.run.WorkspaceID, Kind: boathook.Deployment, Name: "a", CreatedAt: a.now,
		Deployment: &boathook.DeploymentSettings{Retry: retries},
	}))
	return a
}

// ends has the run end, as its runner records it.
func (a *again) ends(t *testing.T, status boathook.RunStatus) {
	t.Helper()
	_, err := a.store.FinishRun(t.Context(), a.run.ID, claimA, boathook.Outcome{Status: status, Error: "exit code 1", CompletedAt: a.now})
	must(t, err)
}

func TestAFailedRunIsRetriedByARunOfItsOwn(t *testing.T) {
	a := keepAgain(t, boathook.RunRetries{Max: 2, Backoff: 30 * time.Second})
	a.ends(t, boathook.RunFailed)
	must(t, a.checkLease(t))

	old, err := a.store.Run(t.Context(), "ws_a", a.run.ID)
	must(t, err)
	starts := a.now.Add(30 * time.Second)
	next, err := a.store.Run(t.Context(), "ws_a", run.RetryID(old.ID))
	must(t, err)
	if want := (boathook.Retry{RunID: next.ID, At: a.now, StartsAt: starts}); old.RetriedBy != want || !old.Published {
		t.Errorf("the failed run tells of %+v, want %+v", old.RetriedBy, want)
	}
	if next.RetryOf != old.ID || next.RetryNumber != 1 || !next.StartsAt.Equal(starts) || next.Status != boathook.RunPending ||
		next.Trigger != boathook.TriggerRetry || next.Input.String() != old.Input.String() || next.WebhookID != "" {
		t.Errorf("the retry is %+v", next.RunHead)
	}
	if len(a.sent) != 1 || a.sent[0].Delay != 30*time.Second {
		t.Fatalf("sent %+v", a.sent)
	}
	if r, err := queue.DecodeRun(a.sent[0].Body); err != nil || r.ID != next.ID || r.RetryNumber != 1 || !r.StartsAt.Equal(starts) || r.RetryOf != old.ID {
		t.Errorf("sent the run %+v, %v", r.RunHead, err)
	}
	if len(a.published.events) != 1 || a.published.events[0].Type != boathook.EventRunFailed {
		t.Errorf("published %+v", a.published.events)
	}
}

func TestARunIsNotRetriedUnlessItFailed(t *testing.T) {
	wanted := boathook.RunRetries{Max: 1, Backoff: time.Second}
	for name, tc := range map[string]struct {
		retries boathook.RunRetries
		before  func(t *testing.T, a *again)
		status  boathook.RunStatus
	}{
		"it succeeded":                     {retries: wanted, status: boathook.RunSucceeded},
		"it was canceled":                  {retries: wanted, status: boathook.RunCanceled},
		"its deployment does not want any": {status: boathook.RunFailed},
		"its deployment is deleted": {retries: wanted, status: boathook.RunFailed, before: func(t *testing.T, a *again) {
			must(t, a.store.DeleteSource(t.Context(), a.run.WorkspaceID, a.run.SourceID))
		}},
		"it was to be canceled": {retries: wanted, status: boathook.RunFailed, before: func(t *testing.T, a *again) {
			_, err := a.store.RequestCancel(t.Context(), a.run.ID, a.now)
			must(t, err)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a := keepAgain(t, tc.retries)
			if tc.before != nil {
				tc.before(t, a)
			}
			a.ends(t, tc.status)
			must(t, a.checkLease(t))
			if _, err := a.store.RunHead(t.Context(), run.RetryID(a.run.ID)); !boathook.IsKind(err, boathook.NotFound) || len(a.sent) != 0 {
				t.Errorf("retried: %v, sent %d", err, len(a.sent))
			}
			if rows := a.rows(t); len(rows) != 0 {
				t.Errorf("rows left: %+v", rows)
			}
		})
	}
}

func TestRetriesInARowEndAndWaitTwiceAsLongEachTime(t *testing.T) {
	retries := boathook.RunRetries{Max: 4, Backoff: 25 * time.Minute}
	for n, want := range map[int]time.Duration{0: 0, 1: 25 * time.Minute, 2: 50 * time.Minute, 3: time.Hour, 4: time.Hour, 5: 0} {
		if wait, ok := retries.Wait(n); wait != want || ok != (want > 0) {
			t.Errorf("the %d. waits %s, %t; want %s", n, wait, ok, want)
		}
	}
}

// Beyond what a message can wait, the schedule has the run, and sweep sends it.
func TestARetryThatIsFarOffWaitsInTheSchedule(t *testing.T) {
	a := keepAgain(t, boathook.RunRetries{Max: 1, Backoff: 20 * time.Minute})
	a.ends(t, boathook.RunFailed)
	must(t, a.checkLease(t))
	next := run.RetryID(a.run.ID)
	due := store.ScheduledStart(next, a.now.Add(20*time.Minute))
	if rows := a.rows(t); len(a.sent) != 0 || len(rows) != 1 || rows[0].ID != due.ID || !rows[0].At.Equal(due.At) || rows[0].RunID() != next {
		t.Fatalf("sent %d, rows %+v", len(a.sent), rows)
	}

	a.now = due.At
	head, err := a.store.RunHead(t.Context(), next)
	must(t, err)
	a.sendErr = errDown
	if err := a.Start(t.Context(), head, due); !errors.Is(err, errDown) || len(a.rows(t)) != 1 {
		t.Fatalf("%v; the row must stay until the message is sent", err)
	}
	a.sendErr = nil
	must(t, a.Start(t.Context(), head, due))
	if r, err := queue.DecodeRun(a.sent[0].Body); err != nil || r.ID != next || a.sent[0].Delay != 0 || len(a.rows(t)) != 0 {
		t.Errorf("sent %+v, %v, rows %+v", r.RunHead, err, a.rows(t))
	}

	// One that was canceled meanwhile is not sent.
	must(t, a.store.PutDue(t.Context(), due))
	head, err = a.store.RequestCancel(t.Context(), next, a.now)
	must(t, err)
	must(t, a.Start(t.Context(), head, due))
	if len(a.sent) != 1 || len(a.rows(t)) != 0 {
		t.Errorf("sent %d, rows %+v", len(a.sent), a.rows(t))
	}
}

// crashing fails one call of the store, before its effect or after it.
type crashing struct {
	run.KeepStore
	left  int // calls until the one that fails
	after bool
}

func (s *crashing) fail(do func() error) error {
	s.left--
	if s.left == 0 && !s.after {
		return errDown
	}
	if err := do(); s.left != 0 {
		return err
	}
	return errDown
}

func (s *crashing) CreateRun(ctx context.Context, r boathook.Run) error {
	return s.fail(func() error { return s.KeepStore.CreateRun(ctx, r) })
}

func (s *crashing) MarkRetried(ctx context.Context, id string, by boathook.Retry) error {
	return s.fail(func() error { return s.KeepStore.MarkRetried(ctx, id, by) })
}

func (s *crashing) MarkPublished(ctx context.Context, id string) error {
	return s.fail(func() error { return s.KeepStore.MarkPublished(ctx, id) })
}

func (s *crashing) DeleteDue(ctx context.Context, d store.Due) error {
	return s.fail(func() error { return s.KeepStore.DeleteDue(ctx, d) })
}

func TestACrashAnywhereLeadsToOneRetry(t *testing.T) {
	for step := 1; step <= 4; step++ {
		for _, after := range []bool{false, true} {
			a := keepAgain(t, boathook.RunRetries{Max: 1, Backoff: time.Minute})
			a.ends(t, boathook.RunFailed)
			a.Store = &crashing{KeepStore: a.store, left: step, after: after}
			if err := a.checkLease(t); !errors.Is(err, errDown) {
				t.Fatalf("call %d did not fail: %v", step, err)
			}
			a.Store = a.store
			a.now = a.now.Add(5 * time.Second)
			must(t, a.checkLease(t))

			ids := make(map[string]bool)
			for _, m := range a.sent {
				r, err := queue.DecodeRun(m.Body)
				must(t, err)
				ids[r.ID] = true
			}
			runs, _, err := a.store.Runs(t.Context(), store.RunQuery{WorkspaceID: "ws_a", SourceID: a.run.SourceID, Page: boathook.Page{Limit: 10}})
			must(t, err)
			if len(ids) != 1 || !ids[run.RetryID(a.run.ID)] || len(runs) != 2 || len(a.rows(t)) != 0 {
				t.Errorf("call %d, after its effect %t: sent %v, runs %d, rows %d", step, after, ids, len(runs), len(a.rows(t)))
			}
		}
	}
}

func TestALostRunIsRetried(t *testing.T) {
	a := keepAgain(t, boathook.RunRetries{Max: 1, Backoff: time.Second})
	a.now = a.now.Add(run.Lease)
	must(t, a.checkLease(t))
	if _, err := a.store.RunHead(t.Context(), run.RetryID(a.run.ID)); err != nil || len(a.sent) != 1 {
		t.Errorf("sent %d, %v", len(a.sent), err)
	}
}

// The version that is live when a retry starts executes it, as with one that was asked
// for; a message that comes again changes nothing.
func TestARetryIsExecutedByTheVersionThatIsLiveThen(t *testing.T) {
	p := newPlace(t, func(context.Context, target.Job, target.Log) target.Result { return target.Result{} })
	_, next := p.retried(t)
	next.RetryNumber, next.StartsAt = 1, time.Now()
	must(t, p.store.CreateRun(t.Context(), next))
	live, err := p.store.AddVersion(t.Context(), boathook.Version{
		ID: boathook.NewID(boathook.VersionID), SourceID: next.SourceID, WorkspaceID: next.WorkspaceID, Environment: next.Environment,
		Target: boathook.Target{Type: boathook.TargetHTTP, URL: "https://example.com/new"}, CreatedAt: time.Now(),
	})
	must(t, err)
	for range 2 {
		must(t, p.Handle(t.Context(), message(t, next)))
	}
	if got := p.get(t, next.ID); got.VersionID != live.ID || got.VersionNumber != live.Number || got.Status != boathook.RunSucceeded || p.executions.Load() != 1 {
		t.Errorf("executed %d times, %+v", p.executions.Load(), got.RunHead)
	}
	if by := p.get(t, next.RetryOf).RetriedBy; by.RunID != next.ID || by.StartsAt.IsZero() {
		t.Errorf("the failed run tells of %+v", by)
	}

	// It is executed by its own version where none is live any more.
	_, orphan := p.retried(t)
	orphan.RetryNumber, orphan.Environment = 1, boathook.Staging
	must(t, p.Handle(t.Context(), message(t, orphan)))
	if got := p.get(t, orphan.ID); got.VersionID != orphan.VersionID {
		t.Errorf("executed by %s", got.VersionID)
	}
}
