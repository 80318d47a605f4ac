package queue_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/queue"
)

func TestADeliveryComesBackFromItsMessage(t *testing.T) {
	e := boathook.Event{ID: "evt_a", Time: time.UnixMilli(1_771_143_284_003)}
	job := queue.Delivery{
		Delivery: boathook.Delivery{
			ID: boathook.NewDeliveryID(&e, "out_a"), WorkspaceID: "ws_a", SourceID: "dep_a", WebhookID: "out_a",
			EventID: e.ID, EventType: boathook.EventRunFailed, Environment: boathook.Staging, Body: []byte(`{}`),
		},
		Attempt: 7, Series: 5,
	}
	postponed := job
	postponed.Skipped, postponed.NotBefore = 2, e.Time.UTC()
	postponed.Since, postponed.CutAt = e.Time.UTC().Add(-time.Hour), e.Time.UTC().Add(-time.Minute)
	for _, want := range []queue.Delivery{job, postponed} {
		m, err := queue.EncodeDelivery(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := queue.DecodeDelivery(m.Body)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}

		waiting, err := queue.EncodeWaiting(want)
		if err != nil || len(waiting) > 1<<10 {
			t.Errorf("%d bytes, of at most 1 KiB; %v", len(waiting), err)
		}
		got, err = queue.DecodeWaiting(waiting)
		want.Body = nil
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("waiting: %v (-want +got):\n%s", err, diff)
		}
		if _, err := queue.DecodeDelivery(string(waiting)); err == nil {
			t.Error("a message without a body is taken")
		}
		if _, err := queue.DecodeWaiting([]byte(m.Body)); err == nil {
			t.Error("what waits is taken with a body")
		}
	}
	want := queue.Delivery{Delivery: job.Delivery, Attempt: 8, Series: 5, Skipped: 2, Since: postponed.Since}
	if diff := cmp.Diff(want, postponed.Next()); diff != "" {
		t.Errorf("the attempt after it (-want +got):\n%s", diff)
	}
	if got := postponed.Failures(); got != 5 {
		t.Errorf("%d waits are used up when it fails, want 3 of its own and 2 that passed", got)
	}
}
