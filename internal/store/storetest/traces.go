package storetest

import (
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// longTrace has as much as a trace may.
func longTrace() boathook.TraceContext {
	return boathook.TraceContext{
		Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		State:  "a=" + strings.Repeat("~ ~", boathook.MaxTraceState/3-1) + "~",
	}
}

func (s *suite) testTraces(t *testing.T) {
	t.Run("a run keeps what it follows from to its end", func(t *testing.T) {
		run := s.newRun()
		run.Trace = longTrace()
		must(t, s.CreateRun(t.Context(), run))
		claim := s.newClaim()
		head := read(s.ClaimRun(t.Context(), run.ID, claim, s.clock.Now()))(t)
		wantSame(t, "trace of a claim", head.Trace, run.Trace)
		head = read(s.FinishRun(t.Context(), run.ID, claim, boathook.Outcome{Status: boathook.RunSucceeded, CompletedAt: s.clock.Now()}))(t)
		wantSame(t, "trace of an end", head.Trace, run.Trace)
		wantSame(t, "trace", read(s.Run(t.Context(), run.WorkspaceID, run.ID))(t).Trace, run.Trace)
	})
	for name, made := range map[string]func(*testing.T, boathook.Delivery){
		"its first attempt": func(t *testing.T, d boathook.Delivery) {
			s.record(t, d, 1, boathook.DeliveryRetrying)
		},
		"a later attempt": func(t *testing.T, d boathook.Delivery) {
			s.record(t, d, 2, boathook.DeliveryRetrying)
		},
		"a wait": func(t *testing.T, d boathook.Delivery) {
			must(t, s.PostponeDelivery(t.Context(), d, s.clock.Now().Add(time.Hour)))
		},
		"its cancellation": func(t *testing.T, d boathook.Delivery) {
			d.Reason = "the webhook was deleted"
			must(t, s.CancelDelivery(t.Context(), d))
		},
	} {
		t.Run("a delivery whose record was made by "+name+" keeps what it follows from", func(t *testing.T) {
			d := s.newDelivery(boathook.NewID(boathook.OutgoingID), s.clock.Now())
			d.Trace = longTrace()
			made(t, d)
			wantSame(t, "trace", read(s.Delivery(t.Context(), d.WorkspaceID, d.ID))(t).Trace, d.Trace)
			later := d
			later.Trace = boathook.TraceContext{} // which it has from its record
			s.record(t, later, 3, boathook.DeliveryFailed)
			found, _, err := s.Attempts(t.Context(), d.WorkspaceID, d.ID)
			must(t, err)
			wantSame(t, "trace after another attempt", found.Trace, d.Trace)
			listed, _, err := s.Deliveries(t.Context(), store.DeliveryQuery{WorkspaceID: d.WorkspaceID, WebhookID: d.WebhookID, Page: boathook.Page{Limit: 10}})
			must(t, err)
			if len(listed) != 1 || !listed[0].Trace.IsZero() {
				t.Errorf("listed %+v", listed)
			}
		})
	}
}
