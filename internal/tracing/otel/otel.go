// Package otel records the steps of traces with OpenTelemetry's SDK. It links no
// exporter: the programs choose one.
package otel

import (
	"context"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/trace"

	"boathook/internal/boathook"
	"boathook/internal/tracing"
)

// scope is who makes the spans.
const scope = "boathook"

// Recorder is a [tracing.Recorder] whose steps are spans of a provider.
type Recorder struct{ tracer trace.Tracer }

// NewRecorder makes a Recorder.
func NewRecorder(p trace.TracerProvider) Recorder {
	return Recorder{p.Tracer(scope, trace.WithInstrumentationVersion(boathook.Release))}
}

// Resource is what spans and metrics are of: Boathook, with more attributes, and what
// OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say.
func Resource(ctx context.Context, attributes ...attribute.KeyValue) (*resource.Resource, error) {
	of, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", "boathook"), attribute.String("service.version", boathook.Release)),
		resource.WithAttributes(attributes...), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return of, nil
}

var kinds = map[tracing.Kind]trace.SpanKind{
	tracing.Server: trace.SpanKindServer, tracing.Client: trace.SpanKindClient,
	tracing.Producer: trace.SpanKindProducer, tracing.Consumer: trace.SpanKindConsumer,
}

// Start implements [tracing.Recorder].
func (r Recorder) Start(ctx context.Context, kind tracing.Kind, name string, from boathook.TraceContext, attributes []slog.Attr) (boathook.TraceContext, tracing.Recording) {
	var format propagation.TraceContext
	ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{}) // the place alone counts
	ctx = format.Extract(ctx, propagation.MapCarrier(from.Headers()))
	ctx, span := r.tracer.Start(ctx, name, trace.WithSpanKind(kinds[kind]), trace.WithAttributes(converted(attributes)...))
	headers := make(propagation.MapCarrier, 2)
	format.Inject(ctx, headers)
	return boathook.TraceContext{Parent: headers[boathook.TraceParent], State: headers[boathook.TraceState]}, recording{span}
}

type recording struct{ span trace.Span }

func (r recording) Set(attributes ...slog.Attr) { r.span.SetAttributes(converted(attributes)...) }
func (r recording) Fail()                       { r.span.SetStatus(codes.Error, "") }
func (r recording) End()                        { r.span.End() }

// converted leaves out what is empty.
func converted(attributes []slog.Attr) []attribute.KeyValue {
	made := make([]attribute.KeyValue, 0, len(attributes))
	for _, a := range attributes {
		switch a.Value.Kind() {
		case slog.KindInt64:
			made = append(made, attribute.Int64(a.Key, a.Value.Int64()))
		default:
			if text := a.Value.String(); text != "" {
				made = append(made, attribute.String(a.Key, text))
			}
		}
	}
	return made
}
