package store

import "boathook/internal/boathook"

// AddTrigger changes the head of a run that a trigger joins, but for its input.
func AddTrigger(r *boathook.RunHead, j Join) {
	r.Details, r.StartsAt = j.Details, j.StartsAt
	r.Burst = r.Burst.Clone()
	r.Burst.Count++
	if len(r.Burst.Triggers) < boathook.MaxBurstTriggers {
		r.Burst.Triggers = append(r.Burst.Triggers, j.Trigger)
	}
}
