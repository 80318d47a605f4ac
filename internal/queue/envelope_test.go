package queue_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/compress"
	"boathook/internal/queue"
)

// Where payloads are not compressed they follow their envelope, unless they are no text that
// a message can have.
func TestAPlainPayloadComesBackFromItsMessage(t *testing.T) {
	compress.PlainBelow(100)
	defer compress.PlainBelow(0)
	e := boathook.Event{ID: "evt_a", Time: time.UnixMilli(1_771_143_284_003)}
	for body, plain := range map[string]bool{
		`{"a":"é"}`: true, "a\nb\n": true, "\n": true, strings.Repeat("a", 99): true,
		strings.Repeat("a", 100): false, "a\x00b": false, "\xff": false, "\uffff": false, "": false,
	} {
		d := queue.Delivery{Delivery: boathook.Delivery{
			ID: boathook.NewDeliveryID(&e, "out_a"), WorkspaceID: "ws_a", SourceID: "dep_a", WebhookID: "out_a", Body: boathook.NewBody([]byte(body)),
		}, Attempt: 1, First: 1}
		m, err := queue.EncodeDelivery(d)
		if err != nil || m.Validate() != nil || strings.HasSuffix(m.Body, "\n"+body) != plain {
			t.Errorf("%q became %q: %v, %v", body, m.Body, err, m.Validate())
		}
		if got, err := queue.DecodeDelivery(m.Body); err != nil || got.Body.String() != body {
			t.Errorf("%q came back as %q, %v", body, got.Body, err)
		}
		r := boathook.Run{RunHead: boathook.RunHead{ID: "run_a", WorkspaceID: "ws_a", SourceID: "dep_a", VersionID: "ver_a"}, Input: d.Body}
		if m, err = queue.EncodeRun(r); err != nil || m.Validate() != nil || strings.HasSuffix(m.Body, "\n"+body) != plain {
			t.Errorf("the input %q became %q: %v, %v", body, m.Body, err, m.Validate())
		}
		if got, err := queue.DecodeRun(m.Body); err != nil || got.Input.String() != body {
			t.Errorf("the input %q came back as %q, %v", body, got.Input, err)
		}
	}
	m, err := queue.EncodeRun(boathook.Run{RunHead: boathook.RunHead{ID: "run_a", WorkspaceID: "ws_a", SourceID: "dep_a", VersionID: "ver_a"}, Input: boathook.NewBody(nil)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := queue.DecodeRun(m.Body + "\nanother"); err == nil {
		t.Error("a message with two payloads is taken")
	}
}

func TestADeliveryComesBackFromItsMessage(t *testing.T) {
	e := boathook.Event{ID: "evt_a", Time: time.UnixMilli(1_771_143_284_003)}
	job := queue.Delivery{
		Delivery: boathook.Delivery{
			ID: boathook.NewDeliveryID(&e, "out_a"), WorkspaceID: "ws_a", SourceID: "dep_a", WebhookID: "out_a",
			EventID: e.ID, EventType: boathook.EventRunFailed, Environment: boathook.Staging, Body: boathook.NewBody([]byte(`{}`)),
		},
		Attempt: 7, First: 5,
	}
	followed := job
	followed.Trace = boathook.TraceContext{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", State: strings.Repeat("a", boathook.MaxTraceState)}
	postponed := job
	postponed.Skipped, postponed.NotBefore = 2, e.Time.UTC()
	postponed.Since, postponed.CutAt, postponed.Again = e.Time.UTC().Add(-time.Hour), e.Time.UTC().Add(-time.Minute), true
	for _, want := range []queue.Delivery{job, followed, postponed} {
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
		want.Body, want.Trace = boathook.Body{}, boathook.TraceContext{}
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
	want := queue.Delivery{Delivery: job.Delivery, Attempt: 8, First: 5, Skipped: 2, Since: postponed.Since}
	if diff := cmp.Diff(want, postponed.Next()); diff != "" {
		t.Errorf("the attempt after it (-want +got):\n%s", diff)
	}
	if got := postponed.Failures(); got != 5 {
		t.Errorf("%d waits are used up when it fails, want 3 of its own and 2 that passed", got)
	}
}

// noise is n bytes of what compresses worst of all that a JSON text may hold: of
// letters, and of characters of two to four bytes, so many of each that a byte says
// as little as can be of which it is.
func noise(n int) string {
	random := rand.New(rand.NewChaCha8([32]byte{1}))
	var text strings.Builder
	for text.Len() < n-4 {
		switch k := random.IntN(100); {
		case k < 58:
			letter := rune(' ' + random.IntN('~'-' '))
			if letter != '"' && letter != '\\' {
				text.WriteRune(letter)
			}
		case k < 88:
			text.WriteRune(rune(0x80 + random.IntN(0x780)))
		case k < 97:
			text.WriteRune(rune(0x800 + random.IntN(0xD000)))
		default:
			text.WriteRune(rune(0x10000 + random.IntN(0x100000)))
		}
	}
	return text.String() + strings.Repeat(" ", n-text.Len())
}

// What has been accepted must reach its queue, whatever it holds.
func TestTheLongestAndWorstThereIsFitsAMessage(t *testing.T) {
	e := boathook.Event{ID: "evt_a", Time: time.UnixMilli(1_771_143_284_003)}
	body := noise(queue.MaxDeliveryBody)
	first, err := queue.EncodeDelivery(queue.Delivery{Attempt: 1, First: 1, Delivery: boathook.Delivery{
		ID: boathook.NewDeliveryID(&e, "out_a"), WorkspaceID: "ws_a", SourceID: "dep_a", WebhookID: "out_a",
		EventID: e.ID, EventType: boathook.EventRunFailed, Environment: boathook.Staging, Body: boathook.NewBody([]byte(body)),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Validate(); err != nil {
		t.Error(err)
	}
	if size := len(first.Body); size < queue.MaxBody*8/10 {
		t.Errorf("the noise has become %d bytes: it is not the worst there is", size)
	}
	if got, err := queue.DecodeDelivery(first.Body); err != nil || got.Body.String() != body {
		t.Errorf("%d bytes come back, %v", got.Body.Len(), err)
	}

	r := boathook.Run{Input: boathook.NewBody([]byte(`"` + noise(boathook.MaxTriggerBody-2) + `"`)), RunHead: boathook.RunHead{
		ID: "run_a", WorkspaceID: "ws_a", SourceID: "dep_a", VersionID: "ver_a", CreatedAt: e.Time.UTC(), Status: boathook.RunPending, RetryOf: "run_b",
		Trace:   boathook.TraceContext{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", State: strings.Repeat("a", boathook.MaxTraceState)},
		Details: boathook.TriggerDetails{Event: "push", DeliveryID: "72d3162e", ContentType: "application/json", Query: "a=1"},
	}}
	r.InputHash = boathook.HashInput(r.Input.Bytes())
	message, err := queue.EncodeRun(r)
	if err != nil || message.Validate() != nil {
		t.Fatal(err, message.Validate())
	}
	got, err := queue.DecodeRun(message.Body)
	if diff := cmp.Diff(r, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%.2000s", err, diff)
	}
}
