package tracing

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"boathook/internal/boathook"
)

// Kind is what a step is to those before and after it, as OpenTelemetry has it.
type Kind int

// The kinds.
const (
	Server   Kind = iota // answers a request
	Client               // makes one
	Producer             // queues messages
	Consumer             // handles one
)

// Recorder keeps the steps of traces, as an SDK of OpenTelemetry does.
type Recorder interface {
	// Start begins a step that follows from a place, which is zero for the first of a
	// trace. It gives the step's own place, which is never zero.
	Start(ctx context.Context, kind Kind, name string, from boathook.TraceContext, attributes []slog.Attr) (boathook.TraceContext, Recording)
}

// Recording is a step that goes on.
type Recording interface {
	Set(attributes ...slog.Attr)
	// Fail marks the step as failed.
	Fail()
	End()
}

// Tracer has steps recorded. Names and attributes are those of OpenTelemetry's semantic
// conventions 1.39 (https://opentelemetry.io/docs/specs/semconv/) and, below "boathook.",
// Boathook's own: ids, kinds, numbers and outcomes. No attribute is a path, a query, a
// header, a body or an error's text. So an attribute that the conventions ask for and
// that may hold a secret is absent: url.full, url.path.
//
// A nil Tracer records nothing, and passes on the places that it is given.
type Tracer struct {
	Recorder Recorder
	Queues   string // messaging.system: what the queues are
}

// Span is a step that a [Tracer] has begun. A nil Span is of one that is not recorded.
type Span struct{ recording Recording }

// Start begins a step that follows from ctx's place. What is done with the ctx that it
// gives follows from the step.
func (t *Tracer) Start(ctx context.Context, kind Kind, name string, attributes ...slog.Attr) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	place, recording := t.Recorder.Start(ctx, kind, name, From(ctx), attributes)
	return With(ctx, place), &Span{recording}
}

// Set adds attributes.
func (s *Span) Set(attributes ...slog.Attr) {
	if s != nil {
		s.recording.Set(attributes...)
	}
}

// Fail says that the step failed, and what kind of failure it was: one of few.
func (s *Span) Fail(kind string) {
	if s != nil {
		s.recording.Set(slog.String("error.type", kind))
		s.recording.Fail()
	}
}

// FailIf is Fail for an error, of which only its kind is told.
func (s *Span) FailIf(err error) {
	if err != nil {
		kind := otherError
		if e, ok := errors.AsType[*boathook.Error](err); ok {
			kind = string(e.Kind)
		}
		s.Fail(kind)
	}
}

// Done ends the step, which failed if err is not nil.
func (s *Span) Done(err error) {
	s.FailIf(err)
	s.End()
}

// otherError is the kind of a failure that has no name.
const otherError = "_OTHER"

// End ends the step.
func (s *Span) End() {
	if s != nil {
		s.recording.End()
	}
}

// Send begins to queue messages.
func (t *Tracer) Send(ctx context.Context, queue string, attributes ...slog.Attr) (context.Context, *Span) {
	return t.messaging(ctx, Producer, "send", queue, attributes)
}

// Process begins to handle a message.
func (t *Tracer) Process(ctx context.Context, queue string, attributes ...slog.Attr) (context.Context, *Span) {
	return t.messaging(ctx, Consumer, "process", queue, attributes)
}

func (t *Tracer) messaging(ctx context.Context, kind Kind, operation, queue string, attributes []slog.Attr) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	return t.Start(ctx, kind, operation+" "+queue, append(attributes,
		slog.String("messaging.system", t.Queues), slog.String("messaging.destination.name", queue),
		slog.String("messaging.operation.name", operation), slog.String("messaging.operation.type", operation))...)
}

// Request begins to make a request to a URL, of which only the server is told.
func (t *Tracer) Request(ctx context.Context, method, to string, attributes ...slog.Attr) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	attributes = append(attributes, slog.String("http.request.method", method))
	if u, err := url.Parse(to); err == nil {
		attributes = append(attributes, slog.String("server.address", u.Hostname()), slog.Int("server.port", portOf(u)))
	}
	return t.Start(ctx, Client, method, attributes...)
}

func portOf(u *url.URL) int {
	if port, err := strconv.Atoi(u.Port()); err == nil {
		return port
	}
	if u.Scheme == "http" {
		return 80
	}
	return 443
}

// Answered tells the status of a request's answer; 0: there was none.
func (s *Span) Answered(status int, timedOut bool) {
	switch {
	case status != 0:
		s.Set(slog.Int("http.response.status_code", status))
		if status >= http.StatusBadRequest {
			s.Fail(strconv.Itoa(status))
		}
	case timedOut:
		s.Fail("timeout")
	default:
		s.Fail(otherError)
	}
}

// Serve has the requests of a route recorded, whose pattern is as a [http.ServeMux] has
// it. Those that only look are not: nothing follows from them.
func (t *Tracer) Serve(pattern string, h http.HandlerFunc) http.HandlerFunc {
	method, route, _ := strings.Cut(pattern, " ")
	if t == nil || method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions {
		return h
	}
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, span := t.Start(r.Context(), Server, pattern, slog.String("http.request.method", method), slog.String("http.route", route))
		defer span.End()
		answer := &answer{ResponseWriter: w, status: http.StatusOK}
		h(answer, r.WithContext(ctx))
		span.Set(slog.Int("http.response.status_code", answer.status))
		if answer.status >= http.StatusInternalServerError { // others are the client's
			span.Fail(strconv.Itoa(answer.status))
		}
	}
}

// answer remembers its status.
type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap is for [http.ResponseController].
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
