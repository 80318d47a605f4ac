package intake_test

import (
	"strings"
	"testing"

	"boathook/internal/boathook"
)

func TestARunFollowsFromTheTraceOfItsTrigger(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, tc := range []struct {
		name    string
		headers []string
		want    boathook.TraceContext
	}{
		{"a trace", []string{"traceparent", parent, "tracestate", "a=1"}, boathook.TraceContext{Parent: parent, State: "a=1"}},
		{"none", nil, boathook.TraceContext{}},
		{"a malformed one", []string{"traceparent", strings.ToUpper(parent)}, boathook.TraceContext{}},
		{"two", []string{"traceparent", parent, "traceparent", parent}, boathook.TraceContext{}},
		{"a malformed state", []string{"traceparent", parent, "tracestate", "A"}, boathook.TraceContext{Parent: parent}},
		{"a state that is too much", []string{"traceparent", parent, "tracestate", "a=" + strings.Repeat("b", 8<<10)}, boathook.TraceContext{Parent: parent}},
		{"with a key", []string{"traceparent", parent, "Idempotency-Key", "k"}, boathook.TraceContext{Parent: parent}},
	} {
		p := newPlace(t)
		if w := p.trigger(`{}`, tc.headers...); w.Code != 202 {
			t.Fatalf("%s: answered %d %s", tc.name, w.Code, w.Body)
		}
		r := p.queued(t)[0]
		stored, err := p.store.RunHead(t.Context(), r.ID)
		if err != nil || r.Trace != tc.want || stored.Trace != tc.want {
			t.Errorf("%s: queued %+v, stored %+v, %v", tc.name, r.Trace, stored.Trace, err)
		}
	}
}

// The run is the one that the first request started: so is its trace.
func TestARepeatedTriggerDoesNotChangeTheTrace(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	p := newPlace(t)
	p.trigger(`{}`, "Idempotency-Key", "k", "traceparent", parent)
	p.trigger(`{}`, "Idempotency-Key", "k", "traceparent", strings.Replace(parent, "4bf9", "aaaa", 1))
	for _, r := range p.queued(t) {
		if r.Trace.Parent != parent {
			t.Errorf("queued %+v", r.Trace)
		}
	}
}
