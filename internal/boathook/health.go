package boathook

import (
	"slices"
	"time"
)

// Health is how an outgoing webhook has fared lately. The zero Health is that of
// one that answers fast, and whose last attempt succeeded.
type Health struct {
	// FailingSince is when the first of its failures in a row was sent. Failures
	// and FailingHours count them, as far as they matter; see [Health.Counts].
	FailingSince time.Time
	Failures     int
	FailingHours []int64 // the hours that they fell into, in hours since 1970, ascending

	SlowSince time.Time // since when an answer takes a second or longer
	Probe     Probe     // zero unless its answers don't come at all
	Disabling Disabling // that is under way
	Alert     Alert     // of its failures
}

// IsZero reports whether there is nothing to tell.
func (h Health) IsZero() bool {
	return h.FailingSince.IsZero() && h.SlowSince.IsZero() && h.Probe == (Probe{}) && h.Disabling == (Disabling{}) && h.Alert == (Alert{})
}

// A webhook is disabled when no attempt has succeeded for FailingPatience, and
// at least minFailures of them failed, in at least minFailingHours different
// hours: two failures five days apart say nothing about the days between.
const (
	FailingPatience = 5 * 24 * time.Hour
	minFailures     = 10
	minFailingHours = 5
)

// Counts reports whether a failure at a time would still change the counts. They
// end where they are enough, so that an endpoint which is down costs few writes.
func (h Health) Counts(at time.Time) bool {
	return h.FailingSince.IsZero() || h.Failures < minFailures ||
		len(h.FailingHours) < minFailingHours && !slices.Contains(h.FailingHours, Hour(at))
}

// Hopeless reports whether a webhook that fails once more is to be disabled.
func (h Health) Hopeless(at time.Time) bool {
	return !h.FailingSince.IsZero() && at.Sub(h.FailingSince) >= FailingPatience &&
		h.Failures >= minFailures && len(h.FailingHours) >= minFailingHours
}

// Hour is the hour of a time, in hours since 1970.
func Hour(at time.Time) int64 { return at.Unix() / 3600 }

// Probe says when one attempt may try an endpoint that does not answer, while
// all others wait.
type Probe struct {
	At   time.Time
	Wait time.Duration // from the next probe to the one after it
}

// Failed is the health after an attempt that failed at a time.
func (h Health) Failed(at time.Time) Health {
	if h.FailingSince.IsZero() {
		h.FailingSince = at
	}
	h.Failures++
	if i, found := slices.BinarySearch(h.FailingHours, Hour(at)); !found {
		h.FailingHours = slices.Insert(slices.Clone(h.FailingHours), i, Hour(at))
	}
	return h
}

// HealthPart is a part of a [Health], or several.
type HealthPart uint8

// The parts.
const (
	HealthFailures HealthPart = 1 << iota
	HealthSlow
	HealthProbe
	HealthDisabling
)

// Without is the health without some of its parts.
func (h Health) Without(parts HealthPart) Health {
	if parts&HealthFailures != 0 {
		h.FailingSince, h.Failures, h.FailingHours = time.Time{}, 0, nil
	}
	if parts&HealthSlow != 0 {
		h.SlowSince = time.Time{}
	}
	if parts&HealthProbe != 0 {
		h.Probe = Probe{}
	}
	if parts&HealthDisabling != 0 {
		h.Disabling = Disabling{}
	}
	return h
}

// Disabling is when and why Boathook disabled a webhook.
type Disabling struct {
	At     time.Time
	Reason string // in words for its owner
}
