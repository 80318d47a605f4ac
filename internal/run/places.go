package run

import (
	"context"
	"log/slog"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// PlaceStore is the part of the store that agents' limits need.
type PlaceStore interface {
	store.Loads
	RunHead(ctx context.Context, id string) (boathook.RunHead, error)
}

// Places hold agents to their limits.
type Places struct {
	Store PlaceStore
	Log   *slog.Logger
}

// Start has an agent's run started if the agent's limits allow it. existing is the
// run that has r's id already, or nil: a run that is asked for again counts once, since
// it has a place. Only one that still waits may have none, if it was refused at first
// and its record could not be removed. load is the agent's, as it was looked up.
func (p Places) Start(ctx context.Context, agent boathook.Source, load store.Load, r boathook.Run, existing *boathook.RunHead, start func() (Started, error)) (Started, error) {
	var made time.Time
	if existing == nil || existing.Status == boathook.RunPending {
		limit := store.Limit{RatePerMinute: agent.Agent.RatePerMinute, MaxInFlight: agent.Agent.MaxInFlight}
		var err error
		if made, err = p.Store.Admit(ctx, r.SourceID, r.ID, limit, load, r.CreatedAt); err != nil {
			return Started{}, err
		}
	}
	started, err := start()
	if !made.IsZero() && boathook.IsKind(err, boathook.Unavailable) {
		p.release(ctx, r, made)
	}
	return started, err
}

// release gives back the place of a run that was not accepted. It is left to a run
// that has a record, which could not be removed, and to one whose trigger was
// repeated meanwhile: the repetition may have been accepted, even if this call has
// removed the record since. A place that is not given back is free when it expires.
func (p Places) release(ctx context.Context, r boathook.Run, made time.Time) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, err := p.Store.RunHead(ctx, r.ID)
	if boathook.IsKind(err, boathook.NotFound) {
		err = p.Store.Release(ctx, r.SourceID, r.ID, made)
	}
	if err != nil {
		p.Log.ErrorContext(ctx, "place of a refused run left behind", "run_id", r.ID, "error", err)
	}
}
