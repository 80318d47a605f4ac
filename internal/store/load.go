package store

import (
	"context"
	"maps"
	"time"

	"boathook/internal/boathook"
)

// Loads hold agents to their limits, whatever number of processes accept their
// triggers.
type Loads interface {
	// Admit counts a run against its agent's limits, and gives it a place among
	// those in flight until it is released, or for [boathook.PlaceLifetime]: until
	// made. Limited, with RetryAfter: it may not start now. A run that has a place
	// is not counted again: its place lasts anew, and made is zero. known is the
	// load as LookUpAgent gave it: while it is still that, this is one conditional
	// write, and a refusal may rest on it alone.
	Admit(ctx context.Context, agentID, runID string, limit Limit, known Load, now time.Time) (made time.Time, err error)
	// Release frees the place of a run, if it has one: that of a run that is over,
	// or, with made, the place that this Admit has made, if nobody was admitted to it
	// since.
	Release(ctx context.Context, agentID, runID string, made time.Time) error
}

// Limit is what an agent allows.
type Limit struct {
	RatePerMinute int
	MaxInFlight   int
}

// Load is an agent's: what its limits are compared with. The zero value is that
// of an agent which was never triggered.
type Load struct {
	Window   time.Time            // the beginning of the minute that Count counts
	Count    int                  // runs admitted in it
	InFlight map[string]time.Time // by run, when its place is free in any case
	Revision int                  // counts the changes
}

// window is the minute of the clock.
const window = time.Minute

// busyRetry is when a place may be free again: nobody knows.
const busyRetry = 5 * time.Second

// Admit is the load with one more run, without the places of runs that were
// lost. The place of a run that has one lasts anew, and nothing else changes. Its end
// always moves: a caller whose start fails releases the place only with the end that it
// was made with, and so not after another caller was admitted with the same run.
// Limited: see [Loads]. Invalid: runID is no id.
func (l Load) Admit(runID string, limit Limit, now time.Time) (Load, error) {
	if !boathook.IsID(runID) {
		return l, boathook.Errorf(boathook.Invalid, "the run's id is not one")
	}
	now = now.UTC().Truncate(time.Millisecond)
	until := now.Add(boathook.PlaceLifetime)
	if held := l.InFlight[runID]; now.Before(held) {
		if !held.Before(until) { // by a clock that is ahead, or in the same millisecond
			until = held.Add(time.Millisecond)
		}
		l.InFlight = maps.Clone(l.InFlight)
		l.InFlight[runID] = until
		l.Revision++
		return l, nil
	}
	next := Load{Window: now.Truncate(window), Count: 1, InFlight: make(map[string]time.Time), Revision: l.Revision + 1}
	if !next.Window.After(l.Window) { // another clock may be ahead
		next.Window, next.Count = l.Window, l.Count+1
	}
	maps.Copy(next.InFlight, l.InFlight)
	maps.DeleteFunc(next.InFlight, func(_ string, until time.Time) bool { return !now.Before(until) })
	switch {
	case next.Count > limit.RatePerMinute:
		return l, &boathook.Error{
			Kind: boathook.Limited, Message: "the agent's runs in this minute are used up", RetryAfter: next.Window.Add(window).Sub(now),
		}
	case len(next.InFlight) >= limit.MaxInFlight:
		return l, &boathook.Error{
			Kind: boathook.Limited, Message: "the agent's runs in flight are as many as it allows", RetryAfter: busyRetry,
		}
	}
	next.InFlight[runID] = until
	return next, nil
}

// Made is until when a run has its place, if the load follows from known by an
// Admit that has made it; zero if the run had one already.
func (l Load) Made(known Load, runID string) time.Time {
	if l.Count == known.Count && l.Window.Equal(known.Window) {
		return time.Time{}
	}
	return l.InFlight[runID]
}
