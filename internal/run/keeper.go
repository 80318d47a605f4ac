package run

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/metrics"
	"boathook/internal/store"
)

// KeepStore is the part of the store that keeping needs.
type KeepStore interface {
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
}

// Keeper brings runs to their end. Each claimed run has a scheduled check, written
// before the claim and deleted when its event is published, so that none is
// forgotten whatever crashes.
type Keeper struct {
	Store   KeepStore
	Publish Publisher
	Now     func() time.Time
	Log     *slog.Logger
	Metrics *metrics.Counters // may be nil
}

// Grace is how long after its runner's lease a run is looked after: clocks of
// two machines differ.
const Grace = 15 * time.Second

// pendingLook is how long until another look at a run that waits for its
// runner: its message is in the queue, or in the dead-letter queue.
const pendingLook = time.Hour

// Finish frees the place of an agent's run that is over, publishes its event,
// records that, and deletes its scheduled check, in this order. It may be repeated.
func (k *Keeper) Finish(ctx context.Context, r boathook.Run, due store.Due) error {
	if err := k.release(ctx, r.RunHead); err != nil {
		return err
	}
	if !r.Published {
		if event, ok := r.Event(); ok {
			if err := k.Publish.Publish(ctx, event); err != nil {
				return fmt.Errorf("publish the end of run %s: %w", r.ID, err)
			}
		}
		if err := k.Store.MarkPublished(ctx, r.ID); err != nil {
			return err
		}
	}
	if err := k.Store.DeleteDue(ctx, due); err != nil {
		return err
	}
	k.Metrics.Count(map[boathook.RunStatus]metrics.Metric{
		boathook.RunSucceeded: metrics.RunsSucceeded,
		boathook.RunFailed:    metrics.RunsFailed,
		boathook.RunTimedOut:  metrics.RunsFailed,
		boathook.RunCanceled:  metrics.RunsCanceled,
	}[r.Status])
	return nil
}

// release frees the place that an agent's run holds among those in flight.
func (k *Keeper) release(ctx context.Context, head boathook.RunHead) error {
	if !head.OfAgent() {
		return nil
	}
	return k.Store.Release(ctx, head.SourceID, head.ID, time.Time{})
}

// CheckLease does what a run's state asks for: a run that is over is finished; one
// whose runner is lost fails, and is finished; the scheduled check of any other moves to
// when it must be looked at again. due is the row that brought the run up.
func (k *Keeper) CheckLease(ctx context.Context, head boathook.RunHead, due store.Due) error {
	now := k.Now()
	switch {
	case head.Lost(now):
		lines, err := k.Store.LogLines(ctx, head.ID)
		if err != nil {
			return err
		}
		finished, err := k.Store.FinishRun(ctx, head.ID, head.Claim, boathook.Outcome{
			Status: boathook.RunFailed, Error: "runner lost", CompletedAt: now, LogLines: lines,
		})
		if boathook.IsKind(err, boathook.Conflict) {
			return nil // its runner lives after all, or another look was faster: the row stays for the next
		}
		if err != nil {
			return err
		}
		k.Metrics.Count(metrics.RunsLost)
		k.Log.WarnContext(ctx, "runner lost", "run_id", head.ID, "source_id", head.SourceID, "lease_until", head.Claim.LeaseUntil)
		head = finished
	case !head.Status.Over():
		next := now.Add(pendingLook)
		if head.Status == boathook.RunRunning {
			next = head.Claim.LeaseUntil.Add(Grace)
		}
		if !next.After(due.At) {
			return nil
		}
		if err := k.Store.PutDue(ctx, store.DueRunRow(head.ID, next)); err != nil {
			return err
		}
		return k.Store.DeleteDue(ctx, due)
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
