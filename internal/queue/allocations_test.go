package queue_test

import (
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/testing/allocation"
)

// messages are encoded and decoded: a run's, and a delivery's with a body of 1 KB.
func messages() []allocation.Path {
	e := boathook.Event{ID: "evt_a", Time: time.UnixMilli(1_771_143_284_003)}
	body := boathook.NewBody([]byte(`{"data":[` + strings.Repeat(`{"id":12345,"name":"a row"},`, 36) + `{}]}`))
	job := queue.Delivery{
		Delivery: boathook.Delivery{
			ID: boathook.NewDeliveryID(&e, "out_a"), WorkspaceID: "ws_a", SourceID: "dep_a", WebhookID: "out_a",
			EventID: e.ID, EventType: boathook.EventRunFailed, Environment: boathook.Staging, Body: body,
		},
		Attempt: 1, First: 1,
	}
	run := boathook.Run{
		RunHead: boathook.RunHead{
			ID: "run_a", WorkspaceID: "ws_a", SourceID: "dep_a", VersionID: "ver_a", VersionNumber: 5, Environment: boathook.Production,
			Trigger: boathook.TriggerWebhook, WebhookID: "in_a", CreatedAt: e.Time, Status: boathook.RunPending,
		},
		Input: body,
	}
	encoded := func(t testing.TB, encode func() (queue.Message, error)) string {
		m, err := encode()
		if err != nil {
			t.Fatal(err)
		}
		return m.Body
	}
	check := func(t testing.TB, err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	return []allocation.Path{
		{Name: "encode/run", Prepare: func(t testing.TB) func() {
			return func() { encoded(t, func() (queue.Message, error) { return queue.EncodeRun(run) }) }
		}},
		{Name: "decode/run", Prepare: func(t testing.TB) func() {
			text := encoded(t, func() (queue.Message, error) { return queue.EncodeRun(run) })
			return func() {
				_, err := queue.DecodeRun(text)
				check(t, err)
			}
		}},
		{Name: "encode/delivery", Prepare: func(t testing.TB) func() {
			return func() { encoded(t, func() (queue.Message, error) { return queue.EncodeDelivery(job) }) }
		}},
		{Name: "decode/delivery", Prepare: func(t testing.TB) func() {
			text := encoded(t, func() (queue.Message, error) { return queue.EncodeDelivery(job) })
			return func() {
				_, err := queue.DecodeDelivery(text)
				check(t, err)
			}
		}},
		{Name: "encode/waiting", Prepare: func(t testing.TB) func() {
			return func() {
				_, err := queue.EncodeWaiting(job)
				check(t, err)
			}
		}},
		{Name: "decode/waiting", Prepare: func(t testing.TB) func() {
			text, err := queue.EncodeWaiting(job)
			check(t, err)
			return func() {
				_, err := queue.DecodeWaiting(text)
				check(t, err)
			}
		}},
	}
}

func BenchmarkMessages(b *testing.B) { allocation.Benchmark(b, messages()) }

func TestAllocations(t *testing.T) { allocation.Hold(t, messages()) }
