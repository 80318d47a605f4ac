package run

import (
	"context"
	"fmt"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/store"
)

// RetryStore is the part of the store that links a run to the one that it repeats.
type RetryStore interface {
	MarkRetried(ctx context.Context, id string, by boathook.Retry) error
}

// linkRetry has the run that r repeats, if any, tell of r. It may be repeated.
func linkRetry(ctx context.Context, s RetryStore, r boathook.RunHead) error {
	if r.RetryOf == "" {
		return nil
	}
	return s.MarkRetried(ctx, r.RetryOf, boathook.Retry{RunID: r.ID, At: r.CreatedAt, StartsAt: r.StartsAt})
}

// RetryID is the id of the run that repeats another which failed, where nobody has asked
// for it.
func RetryID(id string) string { return boathook.DeriveID(boathook.RunID, id, "retried") }

// retry has a run that failed repeated, if its deployment wants that. The new run's
// record comes first, then its message or its scheduled item, then the link: all of it
// before the end of r is marked as published, so that whoever brings r to its end after
// a crash repeats it. The new run's id and times follow from r. So a repeat finds its
// record, and makes no second run; a second message of it does no harm.
func (k *Keeper) retry(ctx context.Context, r boathook.Run) error {
	if r.Status != boathook.RunFailed || r.OfAgent() || r.CancelRequested || r.Input.Lost() {
		return nil
	}
	source, err := k.Store.Source(ctx, r.WorkspaceID, r.SourceID)
	if boathook.IsKind(err, boathook.NotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("retry run %s: %w", r.ID, err)
	}
	settings := source.DeploymentSettings()
	wait, ok := settings.Retry.Wait(r.RetryNumber + 1)
	if !ok {
		return nil
	}
	next := boathook.Run{Input: r.Input, RunHead: boathook.RunHead{
		ID: RetryID(r.ID), WorkspaceID: r.WorkspaceID, SourceID: r.SourceID,
		VersionID: r.VersionID, VersionNumber: r.VersionNumber, Environment: r.Environment, Trigger: boathook.TriggerRetry,
		InputHash: r.InputHash, Details: r.Details, RetryOf: r.ID, RetryNumber: r.RetryNumber + 1,
		CreatedAt: r.CompletedAt, StartsAt: r.CompletedAt.Add(wait), Status: boathook.RunPending, TakesTurn: settings.MaxInFlight > 0,
	}}
	err = k.Store.CreateRun(ctx, next)
	if boathook.IsKind(err, boathook.Conflict) {
		next.RunHead, err = k.Store.RunHead(ctx, next.ID) // the settings may have changed since
	}
	if err != nil {
		return fmt.Errorf("retry run %s: %w", r.ID, err)
	}
	if next.Status == boathook.RunPending {
		if err := k.StartLater(ctx, next); err != nil {
			return fmt.Errorf("retry run %s: %w", r.ID, err)
		}
	}
	return linkRetry(ctx, k.Store, next.RunHead)
}

// StartLater has a pending run start at its time: by a message that waits in the queue,
// or by an item of the schedule where that is further away than a message can wait.
func (k *Keeper) StartLater(ctx context.Context, r boathook.Run) error {
	delay := max(0, r.StartsAt.Sub(k.Now()))
	if delay > queue.MaxDelay {
		return k.Store.PutDue(ctx, store.ScheduledStart(r.ID, r.StartsAt))
	}
	message, err := queue.EncodeRun(r)
	if err != nil {
		return err
	}
	message.Delay = delay
	return k.Queue.Send(ctx, message)
}

// Start sends the message of a pending run whose time has come, and then deletes due.
func (k *Keeper) Start(ctx context.Context, head boathook.RunHead, due store.Due) error {
	if head.Status == boathook.RunPending {
		r, err := k.Store.Run(ctx, head.WorkspaceID, head.ID)
		if err != nil {
			return err
		}
		message, err := queue.EncodeRun(r)
		if err != nil {
			return err
		}
		if err := k.Queue.Send(ctx, message); err != nil {
			return fmt.Errorf("start run %s: %w", r.ID, err)
		}
	}
	return k.Store.DeleteDue(ctx, due)
}

// current has the version that is live now execute a run that nobody has asked for.
// Another message of the run may name another: the record's is the one that counts.
func (x *Executor) current(ctx context.Context, r boathook.Run) (boathook.Run, error) {
	if r.RetryNumber == 0 {
		return r, nil
	}
	live, err := x.config.Store.Live(ctx, r.SourceID)
	if err != nil {
		return r, err
	}
	v, ok := live[r.Environment]
	if !ok || v.ID == r.VersionID {
		return r, nil
	}
	r.VersionID, r.VersionNumber = v.ID, v.Number
	return r, x.config.Store.MoveVersion(ctx, r.ID, v)
}
