//go:build otel

package boot

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"boathook/internal/tracing"
	tracingotel "boathook/internal/tracing/otel"
)

// tellTimeout is how long an invocation waits, at its end, for its spans to be taken. What
// is not taken by then is lost: no trigger and no delivery waits for a collector that is
// away.
const tellTimeout = time.Second

// provider makes the spans of the process; nil where none are made.
var provider *sdktrace.TracerProvider

// Tracer records the steps of traces; nil where no endpoint is named. It is made once.
func (l Logging) Tracer() *tracing.Tracer {
	if l.OTLPEndpoint == "" {
		return nil
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { slog.Warn("traces are lost", "error", err) }))
	ctx := context.Background()
	of, err := tracingotel.Resource(ctx, attribute.String("cloud.provider", "aws"), attribute.String("cloud.region", os.Getenv("AWS_REGION")),
		attribute.String("faas.name", os.Getenv("AWS_LAMBDA_FUNCTION_NAME")))
	var exporter sdktrace.SpanExporter
	if err == nil {
		exporter, err = otlptracehttp.New(ctx, otlptracehttp.WithTimeout(tellTimeout), otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}))
	}
	if err != nil {
		slog.Error("nothing is traced", "error", err)
		return nil
	}
	provider = sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(of))
	return &tracing.Tracer{Recorder: tracingotel.NewRecorder(provider), Queues: "aws_sqs"}
}

// told is a handler whose spans are sent before each invocation ends: the process stands
// still until the next.
func told(h lambda.Handler) lambda.Handler {
	if provider == nil {
		return h
	}
	return telling{h}
}

type telling struct{ lambda.Handler }

func (h telling) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTimeout)
		defer cancel()
		if err := provider.ForceFlush(ctx); err != nil {
			otel.Handle(err)
		}
	}()
	return h.Handler.Invoke(ctx, payload)
}
