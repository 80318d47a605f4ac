package tracing_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/tracing"
)

func TestARequestsPlaceIsInItsContext(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for header, want := range map[string]boathook.TraceContext{
		parent:       {Parent: parent, State: "a=1"},
		parent + "x": {},
		"":           {},
	} {
		var got boathook.TraceContext
		h := tracing.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = tracing.From(r.Context()) }))
		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set("traceparent", header)
		r.Header.Set("tracestate", "a=1")
		h.ServeHTTP(httptest.NewRecorder(), r)
		if got != want {
			t.Errorf("%q: got %+v, want %+v", header, got, want)
		}
	}
	if got := tracing.From(context.WithoutCancel(tracing.With(t.Context(), boathook.TraceContext{Parent: parent}))); got.Parent != parent {
		t.Errorf("got %+v", got)
	}
}
