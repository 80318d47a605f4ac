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
	putOff := job
	putOff.NotBefore = e.Time.UTC()
	for _, want := range []queue.Delivery{job, putOff} {
		m, err := queue.EncodeDelivery(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := queue.DecodeDelivery(m.Body)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	next := putOff.Next()
	if next.Attempt != 8 || next.PutOff() || next.Series != 5 {
		t.Errorf("after it comes %+v", next)
	}
}
