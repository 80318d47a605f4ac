package delivery_test

import (
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/delivery"
	"boathook/internal/queue"
	"boathook/internal/tracing"
)

var traced = boathook.TraceContext{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", State: "rojo=00f067aa0ba902b7"}

func TestADeliveryFollowsFromWhatItsEventFollowsFrom(t *testing.T) {
	for _, trace := range []boathook.TraceContext{traced, {}} {
		var q sent
		p := delivery.Publisher{Store: webhooks{list: []boathook.OutgoingWebhook{webhook("out_a")}}, Queue: &q, Log: slog.Default()}
		must(t, p.Publish(tracing.With(t.Context(), trace), event()))
		got, err := queue.DecodeDelivery(q.messages[0].Body)
		if err != nil || got.Trace != trace {
			t.Errorf("got %+v, %v, want %+v", got.Trace, err, trace)
		}
	}
}

// Each attempt names the trace, whether its message waited in the queue or in the store,
// and a resend too.
func TestEachAttemptCarriesTheTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var requests []http.Header
		p := newPlace(t, func(r *http.Request, _ []byte) (*http.Response, error) {
			requests = append(requests, r.Header)
			return response(500, ""), nil
		})
		p.change(t, func(w *boathook.OutgoingWebhook) { w.Retry = []time.Duration{time.Minute, time.Hour} })
		job := p.job()
		job.Trace = traced
		must(t, p.handle(t, job))
		d, _ := p.finish(t, job)
		resender := delivery.Resender{Store: p.store, Retries: p.retries, Now: time.Now}
		must(t, resender.Resend(t.Context(), p.Outgoing, d))
		messages, err := p.retries.Receive(t.Context(), 1, time.Minute)
		must(t, err)
		must(t, p.Handle(t.Context(), messages[0].Body))
		if len(requests) != 4 {
			t.Fatalf("%d requests, want 3 and a resend", len(requests))
		}
		for i, h := range requests {
			if asIs(h, "traceparent") != traced.Parent || asIs(h, "tracestate") != traced.State {
				t.Errorf("request %d: %v", i+1, h)
			}
		}
		d, attempts := p.record(t, job)
		headers, err := delivery.SentHeaders(p.Outgoing, d, attempts[3])
		if err != nil || headers["traceparent"] != traced.Parent || headers["tracestate"] != traced.State {
			t.Errorf("the log says %v, %v", headers, err)
		}
	})
}

// asIs is a header whose name has just that spelling, in lower case: so Trace Context asks.
func asIs(h http.Header, name string) string { return strings.Join(h[name], ",") }

// An event may have been published twice, by requests of two traces.
func TestASecondMessageOfADeliveryKeepsToTheTraceOfTheFirst(t *testing.T) {
	var got []string
	p := newPlace(t, func(r *http.Request, _ []byte) (*http.Response, error) {
		got = append(got, asIs(r.Header, "traceparent"))
		return response(500, ""), nil
	})
	first := p.job()
	first.Trace = traced
	must(t, p.handle(t, first))
	second := first.Next()
	second.Trace = boathook.TraceContext{Parent: "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01"}
	must(t, p.handle(t, second))
	if len(got) != 2 || got[0] != traced.Parent || got[1] != traced.Parent {
		t.Errorf("sent %q", got)
	}
}

func TestWithoutATraceADeliveryHasNoHeaderOfOne(t *testing.T) {
	var got http.Header
	p := newPlace(t, func(r *http.Request, _ []byte) (*http.Response, error) {
		got = r.Header
		return response(204, ""), nil
	})
	job := p.job()
	must(t, p.handle(t, job))
	d, attempts := p.record(t, job)
	logged, err := delivery.SentHeaders(p.Outgoing, d, attempts[0])
	must(t, err)
	for _, name := range append(keys(got), keys(logged)...) {
		if boathook.IsTraceHeader(name) {
			t.Errorf("it has the header %s", name)
		}
	}
}

func keys[V any](m map[string]V) (names []string) {
	for name := range maps.Keys(m) {
		names = append(names, name)
	}
	return names
}

func TestAWebhooksOwnTraceHeadersWin(t *testing.T) {
	for _, own := range []string{"Traceparent", "traceparent", "Tracestate"} {
		var got http.Header
		p := newPlace(t, func(r *http.Request, _ []byte) (*http.Response, error) {
			got = r.Header
			return response(204, ""), nil
		})
		p.change(t, func(w *boathook.OutgoingWebhook) {
			w.SealedHeaders, w.HeaderNames = []byte(`{"`+own+`":"mine"}`), []string{own}
		})
		job := p.job()
		job.Trace = traced
		must(t, p.handle(t, job))
		count := 0
		for name, values := range got {
			if boathook.IsTraceHeader(name) {
				count++
				if values[0] != "mine" {
					t.Errorf("with %s, %s is %q", own, name, values)
				}
			}
		}
		if count != 1 {
			t.Errorf("with %s, it has %v", own, got)
		}
		d, attempts := p.record(t, job)
		w, err := p.store.Outgoing(t.Context(), job.SourceID, job.WebhookID)
		must(t, err)
		logged, err := delivery.SentHeaders(w, d, attempts[0])
		must(t, err)
		for name, value := range logged {
			if boathook.IsTraceHeader(name) && value != boathook.Mask {
				t.Errorf("with %s, the log says %s: %s", own, name, value)
			}
		}
	}
}

// The event that a webhook was disabled may be told by several deliveries' attempts.
func TestThatAWebhookWasDisabledFollowsFromNoTrace(t *testing.T) {
	p := newPlace(t, status(410))
	p.change(t, func(w *boathook.OutgoingWebhook) {
		w.Events = append(w.Events, boathook.EventWebhookDisabled)
	})
	other := p.Outgoing
	other.ID, other.Revision = "out_other", 0
	must(t, p.store.PutOutgoing(t.Context(), other))
	job := p.job()
	job.Trace = traced
	must(t, p.handle(t, job))
	messages, err := p.first.Receive(t.Context(), 10, 0)
	must(t, err)
	if len(messages) == 0 {
		t.Fatal("nothing was published")
	}
	for _, m := range messages {
		if told, err := queue.DecodeDelivery(m.Body); err != nil || !told.Trace.IsZero() {
			t.Errorf("%+v, %v", told.Trace, err)
		}
	}
}
