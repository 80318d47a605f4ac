package storetest

import (
	"net/http"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// testRepeatedAttempt records an attempt again, as a message that comes twice
// does, when its delivery has gone on since: it stays where it is.
func (s *suite) testRepeatedAttempt(t *testing.T) {
	failed := func(n int) boathook.Attempt { return s.newAttempt(n, http.StatusServiceUnavailable) }
	for number := 1; number <= 3; number++ {
		upTo := func(last boathook.DeliveryStatus) (d boathook.Delivery, attempts []boathook.Attempt) {
			d = s.newDelivery(boathook.NewID(boathook.OutgoingID), s.clock.Now())
			for n := 1; n <= number; n++ {
				status := boathook.DeliveryRetrying
				if n == number {
					status = last
				}
				d = s.record(t, d, n, status)
				attempts = append(attempts, failed(n))
			}
			return d, attempts
		}

		d, attempts := upTo(boathook.DeliveryRetrying)
		canceled := d
		canceled.Reason = "the webhook was deleted"
		must(t, s.CancelDelivery(t.Context(), canceled))
		wantKind(t, "an attempt again", s.RecordAttempt(t.Context(), d, failed(number)), boathook.Conflict)
		s.wantDelivery(t, s.after(canceled, number, boathook.DeliveryCanceled), attempts...)

		d, attempts = upTo(boathook.DeliveryFailed)
		at := s.clock.Now().Add(time.Hour)
		must(t, s.ReopenDelivery(t.Context(), d, at))
		wantKind(t, "an attempt again", s.RecordAttempt(t.Context(), d, failed(number)), boathook.Conflict)
		d.Status, d.NextAttemptAt, d.Resend = boathook.DeliveryRetrying, at, number+1
		s.wantDelivery(t, d, attempts...)
	}
}

// testRepeatedAdmission admits a run that has a place already, as requests with one
// idempotency key do that come at once: it counts once, whatever each knows.
func (s *suite) testRepeatedAdmission(t *testing.T) {
	agentID, minute := boathook.NewID(boathook.AgentID), s.clock.Now().Truncate(time.Minute)
	limit := store.Limit{RatePerMinute: 10, MaxInFlight: 10}
	read(s.Admit(t.Context(), agentID, boathook.NewID(boathook.RunID), limit, store.Load{}, minute))(t)
	before := read(s.LookUpAgent(t.Context(), agentID))(t).Load
	run := boathook.NewID(boathook.RunID)
	for range 3 {
		read(s.Admit(t.Context(), agentID, run, limit, before, minute))(t)
	}
	if load := read(s.LookUpAgent(t.Context(), agentID))(t).Load; load.Count != 2 || len(load.InFlight) != 2 {
		t.Errorf("two runs count as %d, and hold %d places", load.Count, len(load.InFlight))
	}
}
