// Package tracing carries the place in a distributed trace that work follows from, from a
// trigger or a publish to each attempt of a delivery.
//
// It does so always, with the traceparent of whoever asks. A [Tracer] besides has the
// steps recorded. What records them is a [Recorder], as package otel has one: this package
// links no library.
package tracing

import (
	"context"
	"net/http"

	"boathook/internal/boathook"
)

type contextKey struct{}

// With is ctx for work that follows from a place in a trace.
func With(ctx context.Context, place boathook.TraceContext) context.Context {
	return context.WithValue(ctx, contextKey{}, place)
}

// From is the place in a trace that ctx's work follows from; zero if none is known.
func From(ctx context.Context) boathook.TraceContext {
	place, _ := ctx.Value(contextKey{}).(boathook.TraceContext)
	return place
}

// Handler has h see each request with the place in a trace that its headers name.
func Handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if place := boathook.TraceContextOf(r.Header); !place.IsZero() {
			r = r.WithContext(With(r.Context(), place))
		}
		h.ServeHTTP(w, r)
	})
}
