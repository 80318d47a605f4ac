package run

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/metrics"
	"boathook/internal/queue"
	"boathook/internal/store"
	"boathook/internal/tracing"
)

// KeepStore is the part of the store that keeping needs.
type KeepStore interface {
	RetryStore
	store.Turns
	Source(ctx context.Context, workspaceID, id string) (boathook.Source, error)
	CreateRun(ctx context.Context, r boathook.Run) error
	MarkWaiting(ctx context.Context, id string, since time.Time) (boathook.RunHead, error)
	RunHead(ctx context.Context, id string) (boathook.RunHead, error)
	Run(ctx context.Context, workspaceID, id string) (boathook.Run, error)
	LogLines(ctx context.Context, runID string) (int, error)
	FinishRun(ctx context.Context, id string, c boathook.Claim, o boathook.Outcome) (boathook.RunHead, error)
	MarkPublished(ctx context.Context, id string) error
	Release(ctx context.Context, agentID, runID string, made time.Time) error
	PutDue(ctx context.Context, d store.Due) error
	DeleteDue(ctx context.Context, d store.Due) error
}

// Publisher tells the webhooks of an event. The same event again makes no
// second delivery.
type Publisher interface {
	Publish(ctx context.Context, e boathook.Event) error
	Alert(ctx context.Context, e boathook.Event) error // of the workspace's alerts
}

// Keeper brings runs to their end. Each claimed run has a scheduled check. It is
// written before the claim, and deleted when the run's event is published. So no run
// is forgotten, whatever crashes.
type Keeper struct {
	Store   KeepStore
	Publish Publisher
	Queue   queue.Sender // of runs: failed ones are retried
	Now     func() time.Time
	Log     *slog.Logger
	Metrics *metrics.Counters // may be nil
}

// Grace is how long after the end of a run's lease the run is checked. The clocks of
// two machines differ.
const Grace = 15 * time.Second

// pendingLook is how long until a pending run is checked again: its message is in the
// queue, or in the dead-letter queue.
const pendingLook = time.Hour

// Finish ends the work on a run that is over. It frees the run's place or turn, has a
// run that failed retried where its deployment wants that, publishes the run's event,
// records that, and deletes the scheduled check, in this order. It may be repeated.
func (k *Keeper) Finish(ctx context.Context, r boathook.Run, due store.Due) error {
	if err := k.release(ctx, r.RunHead); err != nil {
		return err
	}
	if !r.Published {
		if err := k.retry(ctx, r); err != nil {
			return err
		}
		if event, ok := r.Event(); ok {
			ctx := follow(ctx, r.Trace)
			if err := k.Publish.Publish(ctx, event); err != nil {
				return fmt.Errorf("publish the end of run %s: %w", r.ID, err)
			}
		}
		if r.WasLost() {
			if err := k.Publish.Alert(ctx, r.LostAlert()); err != nil {
				return fmt.Errorf("alert that run %s was lost: %w", r.ID, err)
			}
		}
		if err := k.Store.MarkPublished(ctx, r.ID); err != nil {
			return err
		}
	}
	if err := k.Store.DeleteDue(ctx, due); err != nil {
		return err
	}
	k.Metrics.Observe(metrics.RunExecuted, r.CompletedAt.Sub(r.StartedAt))
	k.Metrics.Count(map[boathook.RunStatus]metrics.Metric{
		boathook.RunSucceeded: metrics.RunsSucceeded,
		boathook.RunFailed:    metrics.RunsFailed,
		boathook.RunTimedOut:  metrics.RunsFailed,
		boathook.RunCanceled:  metrics.RunsCanceled,
	}[r.Status])
	return nil
}

// follow is ctx for what follows from a run: it carries the run's own place in a trace
// unless it has a later one of that trace.
func follow(ctx context.Context, trace boathook.TraceContext) context.Context {
	if trace.IsZero() || tracing.From(ctx).TraceID() == trace.TraceID() {
		return ctx
	}
	return tracing.With(ctx, trace)
}

// release frees the place that an agent's run holds among those in flight, or gives the turn
// of a deployment's run to the next.
func (k *Keeper) release(ctx context.Context, head boathook.RunHead) error {
	switch {
	case head.OfAgent():
		return k.Store.Release(ctx, head.SourceID, head.ID, time.Time{})
	case head.TakesTurn:
		return k.endTurn(ctx, head)
	}
	return nil
}

// CheckLease does what a run's state asks for. A run that is over is finished. A run
// whose runner is lost fails, and is finished. The check of any other run moves to
// when the run must be checked again. due is the check that has come up.
func (k *Keeper) CheckLease(ctx context.Context, head boathook.RunHead, due store.Due) error {
	if head.Lost(k.Now()) {
		failed, err := k.failLost(ctx, head)
		if boathook.IsKind(err, boathook.Conflict) {
			return nil // its runner lives after all, or another check was faster: this one stays
		}
		if err != nil {
			return err
		}
		head = failed
	}
	if !head.Status.Over() {
		return k.checkAgain(ctx, head, due)
	}
	if head.Published {
		if err := k.release(ctx, head); err != nil { // it was canceled while pending
			return err
		}
		return k.Store.DeleteDue(ctx, due)
	}
	run, err := k.Store.Run(ctx, head.WorkspaceID, head.ID)
	if err != nil {
		return err
	}
	return k.Finish(ctx, run, due)
}

// failLost fails a run whose runner let its lease run out. Conflict: the lease was
// renewed, or the run is over.
func (k *Keeper) failLost(ctx context.Context, head boathook.RunHead) (boathook.RunHead, error) {
	lines, err := k.Store.LogLines(ctx, head.ID)
	if err != nil {
		return head, err
	}
	failed, err := k.Store.FinishRun(ctx, head.ID, head.Claim, boathook.Outcome{
		Status: boathook.RunFailed, Error: boathook.RunnerLost, CompletedAt: k.Now(), LogLines: lines,
	})
	if err != nil {
		return head, err
	}
	k.Metrics.Count(metrics.RunsLost)
	k.Log.WarnContext(ctx, "runner lost", "run_id", head.ID, "source_id", head.SourceID, "lease_until", head.Claim.LeaseUntil)
	return failed, nil
}

// checkAgain moves the check of a run that is not over to when its lease may have run
// out.
func (k *Keeper) checkAgain(ctx context.Context, head boathook.RunHead, due store.Due) error {
	next := k.Now().Add(pendingLook)
	if head.Status == boathook.RunRunning {
		next = head.Claim.LeaseUntil.Add(Grace)
	}
	if !next.After(due.At) {
		return nil
	}
	if err := k.Store.PutDue(ctx, store.ScheduledCheck(head.ID, next)); err != nil {
		return err
	}
	return k.Store.DeleteDue(ctx, due)
}
