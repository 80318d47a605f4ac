package storetest

import (
	"fmt"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// testAttemptLog is about the log of a webhook's attempts. Each subtest stands for itself;
// together they count as one function.
func (s *suite) testAttemptLog(t *testing.T) {
	log := func(d boathook.Delivery, skip, limit int) []store.Attempted {
		t.Helper()
		return read(s.AttemptLog(t.Context(), store.AttemptQuery{WorkspaceID: d.WorkspaceID, WebhookID: d.WebhookID, Skip: skip, Limit: limit}))(t)
	}
	// more is another delivery to d's webhook.
	more := func(d boathook.Delivery, at time.Time) boathook.Delivery {
		added := s.newDelivery(d.WebhookID, at)
		added.WorkspaceID = d.WorkspaceID
		return added
	}

	t.Run("it is of the newest deliveries first, and of each one's last attempt first", func(t *testing.T) {
		w := s.newDelivery(boathook.NewID(boathook.OutgoingID), s.clock.Now())
		var want []store.Attempted // newest first
		for i, attempts := range []int{1, 3, 0, 2, 1, 12} {
			d := more(w, s.clock.Now().Add(time.Duration(i)*time.Second))
			var own []store.Attempted
			for n := 1; n <= attempts; n++ {
				d = s.record(t, d, n, boathook.DeliveryRetrying)
				own = append([]store.Attempted{{Attempt: s.newAttempt(n, 503)}}, own...)
			}
			for i := range own {
				own[i].Delivery = d
			}
			if attempts == 0 {
				must(t, s.CancelDelivery(t.Context(), d))
			}
			want = append(own, want...)
		}
		for _, skip := range []int{0, 1, 11, 12, 13, len(want) - 1, len(want), len(want) + 1} {
			for _, limit := range []int{1, 4, len(want)} {
				part := want[min(skip, len(want)):min(skip+limit, len(want))]
				wantSame(t, fmt.Sprintf("%d after %d", limit, skip), log(w, skip, limit), part)
			}
		}
		other := w
		other.WorkspaceID = boathook.NewID(boathook.WorkspaceID)
		wantSame(t, "in another workspace", log(other, 0, 10), []store.Attempted(nil))
	})
	t.Run("an attempt that was lost, or canceled in its place, is left out", func(t *testing.T) {
		w := s.newDelivery(boathook.NewID(boathook.OutgoingID), s.clock.Now())
		lost := s.record(t, w, 2, boathook.DeliveryFailed) // the first's record is gone
		canceled := s.record(t, more(w, s.clock.Now().Add(time.Second)), 1, boathook.DeliveryRetrying)
		canceled.Reason, canceled.Attempts = "the webhook was disabled", 2
		must(t, s.CancelDelivery(t.Context(), canceled))
		canceled.Status, canceled.NextAttemptAt = boathook.DeliveryCanceled, time.Time{}
		wantSame(t, "log", log(w, 0, 10), []store.Attempted{
			{Delivery: canceled, Attempt: s.newAttempt(1, 503)}, {Delivery: lost, Attempt: s.newAttempt(2, 503)},
		})
	})
	t.Run("it ends early where bodies or responses are long", func(t *testing.T) {
		const n, length = 12, 256 << 10 // three MiB in all
		w := s.newDelivery(boathook.NewID(boathook.OutgoingID), s.clock.Now())
		bodies := printable(length)
		for i := range n {
			d := more(w, s.clock.Now().Add(time.Duration(i)*time.Second))
			d.Body = boathook.NewBody(bodies)
			s.record(t, d, 1, boathook.DeliverySucceeded)
		}
		first := log(w, 0, 100)
		if len(first) == 0 || len(first) >= n {
			t.Fatalf("the first part has %d of %d attempts", len(first), n)
		}
		for i, a := range first {
			if a.Delivery.Body.String() != string(bodies) {
				t.Errorf("attempt %d has a body of %d bytes", i, a.Delivery.Body.Len())
			}
		}
		if rest := log(w, len(first), 100); len(first)+len(rest) != n {
			t.Errorf("the parts have %d and %d of %d attempts", len(first), len(rest), n)
		}
	})
	t.Run("two webhooks whose ids share a tag don't see each other's", func(t *testing.T) {
		workspaceID := boathook.NewID(boathook.WorkspaceID)
		for i, webhookID := range []string{tagTwin1, tagTwin2, tagTwin2} {
			d := s.newDelivery(webhookID, s.clock.Now().Add(time.Duration(i)*time.Second))
			d.WorkspaceID = workspaceID
			s.record(t, d, 1, boathook.DeliveryFailed)
		}
		for webhookID, want := range map[string]int{tagTwin1: 1, tagTwin2: 2} {
			if got := log(boathook.Delivery{WorkspaceID: workspaceID, WebhookID: webhookID}, 0, 10); len(got) != want {
				t.Errorf("%s has %d attempts, want %d", webhookID, len(got), want)
			}
		}
	})
}
