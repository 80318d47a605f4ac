package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"boathook/internal/boathook"
	"boathook/internal/metrics"
	metricsotel "boathook/internal/metrics/otel"
	"boathook/internal/queue/mem"
	"boathook/internal/tracing"
	tracingotel "boathook/internal/tracing/otel"
)

// signals are what is told of the program, and to whom.
type signals struct {
	traces, metrics bool // by OTLP, as OpenTelemetry's variables say
	page            bool // of metrics, for Prometheus
}

// readSignals reads OpenTelemetry's variables
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
// Its SDK reads the others. Nothing is sent unless one names an endpoint.
func readSignals(getenv func(string) string) (s signals, err error) {
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") {
		return s, nil
	}
	if s.traces, err = exported(getenv, "TRACES"); err == nil {
		s.metrics, err = exported(getenv, "METRICS")
	}
	return s, err
}

// exported reports whether a signal is sent by OTLP.
func exported(getenv func(string) string, signal string) (bool, error) {
	variable := "OTEL_" + signal + "_EXPORTER"
	switch exporter := getenv(variable); exporter {
	case "none":
		return false, nil
	case "", "otlp":
	default:
		return false, fmt.Errorf("%s: %q is neither otlp nor none", variable, exporter)
	}
	const all = "OTEL_EXPORTER_OTLP_"
	for _, variable := range []string{all + signal + "_PROTOCOL", all + "PROTOCOL"} {
		if protocol := getenv(variable); protocol == "http/protobuf" {
			break
		} else if protocol != "" {
			return false, fmt.Errorf("%s: %q is not spoken here: http/protobuf is", variable, protocol)
		}
	}
	return getenv(all+"ENDPOINT") != "" || getenv(all+signal+"_ENDPOINT") != "", nil
}

// telemetry is what tells of the program: of its steps, and what they come to. All is nil
// that is off.
type telemetry struct {
	tracer   *tracing.Tracer
	counters *metrics.Counters
	meter    metric.Meter
	page     http.Handler // that Prometheus reads
	ends     []func(context.Context) error
}

// telemetryEnd is how long what is left to tell may take at the end.
const telemetryEnd = 5 * time.Second

// newTelemetry begins to tell.
func newTelemetry(ctx context.Context, s signals, log *slog.Logger) (*telemetry, error) {
	t := &telemetry{}
	if s == (signals{}) {
		return t, nil
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("telemetry is lost", "error", err) }))
	of, err := tracingotel.Resource(ctx)
	if err != nil {
		return nil, err
	}
	if s.traces {
		if err := t.trace(ctx, of); err != nil {
			return nil, err
		}
	}
	if s.metrics || s.page {
		return t, t.measure(ctx, s, of)
	}
	return t, nil
}

func (t *telemetry) trace(ctx context.Context, of *resource.Resource) error {
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return fmt.Errorf("traces by OTLP: %w", err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(of))
	t.tracer = &tracing.Tracer{Recorder: tracingotel.NewRecorder(provider), Queues: "boathook"}
	t.ends = append(t.ends, provider.Shutdown)
	return nil
}

func (t *telemetry) measure(ctx context.Context, s signals, of *resource.Resource) error {
	options := []sdkmetric.Option{sdkmetric.WithResource(of)}
	if s.metrics {
		exporter, err := otlpmetrichttp.New(ctx)
		if err != nil {
			return fmt.Errorf("metrics by OTLP: %w", err)
		}
		options = append(options, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter)))
	}
	if s.page {
		registry := prometheus.NewRegistry()
		registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
		exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo(), otelprometheus.WithoutTargetInfo())
		if err != nil {
			return fmt.Errorf("metrics for Prometheus: %w", err)
		}
		options = append(options, sdkmetric.WithReader(exporter))
		t.page = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	}
	provider := sdkmetric.NewMeterProvider(options...)
	t.ends = append(t.ends, provider.Shutdown)
	t.meter = provider.Meter("boathook", metric.WithInstrumentationVersion(boathook.Release))
	instruments, err := metricsotel.New(t.meter)
	if err != nil {
		return err
	}
	t.counters = metrics.To(instruments)
	return nil
}

// watch has the depths of queues told.
func (t *telemetry) watch(queues map[string]depths) error {
	if t.meter == nil {
		return nil
	}
	_, err := t.meter.Int64ObservableGauge("boathook.queue.messages",
		metric.WithDescription("Messages of a queue, by whether they can be received."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			for name, q := range queues {
				stats := q.Stats()
				for state, n := range map[string]int{"ready": stats.Ready, "in_flight": stats.InFlight, "delayed": stats.Delayed} {
					o.Observe(int64(n), metric.WithAttributes(attribute.String("queue", name), attribute.String("state", state)))
				}
			}
			return nil
		}))
	return err
}

// depths is a queue that knows how many messages it has.
type depths interface{ Stats() mem.Stats }

// end tells what is left, for as long as it may take.
func (t *telemetry) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), telemetryEnd)
	defer cancel()
	var failures []error
	for _, end := range t.ends {
		failures = append(failures, end(ctx))
	}
	return errors.Join(failures...)
}
