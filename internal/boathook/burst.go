package boathook

import (
	"slices"
	"time"
)

// Coalescing has triggers of an incoming webhook that come in a burst become one run, on the
// input of the last of them. The zero value has each start its own.
type Coalescing struct {
	Key     string        // in jq, see package expression: triggers for which it gives the same belong together
	Quiet   time.Duration // after the last trigger the run starts: 1 s to [MaxQuiet]
	MaxWait time.Duration // after the first one it starts in any case: Quiet to [MaxBurstWait]
}

// Limits of bursts.
const (
	MaxQuiet     = 15 * time.Minute
	MaxBurstWait = time.Hour

	// MaxBurstTriggers is how many triggers a run lists.
	MaxBurstTriggers = 20
)

// IsZero reports whether each trigger starts a run of its own.
func (c Coalescing) IsZero() bool { return c == Coalescing{} }

// StartsAt is when a run starts of which the first trigger came at a time, and the last at
// another.
func (c Coalescing) StartsAt(first, last time.Time) time.Time {
	starts, latest := last.Add(c.Quiet), first.Add(c.MaxWait)
	if latest.Before(starts) {
		return latest
	}
	return starts
}

// Burst is what a run stands for that takes the place of several triggers.
type Burst struct {
	Count    int            // of the triggers
	Triggers []BurstTrigger // the first of them, at most [MaxBurstTriggers]
}

// BurstTrigger is one trigger of a burst.
type BurstTrigger struct {
	ID         string // of the run that it would have been; not shown
	DeliveryID string // the sender's own; may be empty
	At         time.Time
}

// Has reports whether a trigger is listed; a nil burst lists none.
func (b *Burst) Has(id string) bool {
	return b != nil && slices.ContainsFunc(b.Triggers, func(t BurstTrigger) bool { return t.ID == id })
}

// Clone is a copy; of nil, nil.
func (b *Burst) Clone() *Burst {
	if b == nil {
		return nil
	}
	return &Burst{b.Count, slices.Clone(b.Triggers)}
}

// Joins reports whether a trigger can still become part of the run: it has not been claimed,
// and does not stand in line.
func (r *RunHead) Joins() bool {
	return r.Burst != nil && r.Status == RunPending && r.WaitsSince.IsZero()
}
