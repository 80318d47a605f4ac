// Package otel counts what happens by OpenTelemetry's metrics, from which its SDK makes
// OTLP and the text that Prometheus reads.
package otel

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"boathook/internal/metrics"
)

// counter is where a metric is counted. No dimension is a webhook or a source: a
// workspace has as many as it likes.
type counter struct {
	name, description string
	outcome           string // the dimension; empty: there is none
}

const (
	attempts   = "boathook.attempts"
	deliveries = "boathook.deliveries"
	runs       = "boathook.runs"
)

var descriptions = map[string]string{
	attempts:   "Attempts of deliveries, by what came of them.",
	deliveries: "Deliveries that are over, by how they ended.",
	runs:       "Runs that are over, by how they ended.",
}

var counters = map[metrics.Metric][]counter{
	metrics.AttemptsSucceeded:   {{name: attempts, outcome: "succeeded"}, {name: deliveries, outcome: "succeeded"}},
	metrics.AttemptsFailed:      {{name: attempts, outcome: "failed"}},
	metrics.AttemptsPostponed:   {{name: attempts, outcome: "postponed"}},
	metrics.DeliveriesExhausted: {{name: deliveries, outcome: "failed"}},
	metrics.DeliveriesCanceled:  {{name: deliveries, outcome: "canceled"}},
	metrics.RunsSucceeded:       {{name: runs, outcome: "succeeded"}},
	metrics.RunsFailed:          {{name: runs, outcome: "failed"}},
	metrics.RunsCanceled:        {{name: runs, outcome: "canceled"}},
	metrics.RunsLost:            {{name: "boathook.runs.lost", description: "Runs that failed since their runner was lost."}},
	metrics.WebhooksDisabled:    {{name: "boathook.webhooks.disabled", description: "Outgoing webhooks that were disabled since their receivers failed or are gone."}},
	metrics.TriggersRefused:     {{name: "boathook.triggers.refused", description: "Triggers that were refused."}},
}

// histogram is where a duration is kept.
type histogram struct {
	name, description string
	bounds            []float64 // seconds
}

var short = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

var histograms = map[metrics.Duration]histogram{
	metrics.TriggerAccepted: {"boathook.trigger.duration", "From a trigger's arrival until it is accepted.", short},
	metrics.AttemptMade:     {"boathook.attempt.duration", "From an attempt's request until its answer is read, or does not come.", short},
	metrics.DeliveryTaken:   {"boathook.delivery.duration", "From an event until its delivery is taken.", []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 36000, 86400, 259200}},
	metrics.RunExecuted:     {"boathook.run.duration", "From a run's start until its end.", []float64{.1, .5, 1, 5, 10, 30, 60, 120, 300, 600, 840}},
}

// Instruments are [metrics.Instruments] of a meter. Make them with [New].
type Instruments struct {
	counts    map[metrics.Metric][]func()
	durations map[metrics.Duration]func(time.Duration)
}

// New makes Instruments, with each count at 0.
func New(m metric.Meter) (*Instruments, error) {
	made := &Instruments{counts: make(map[metrics.Metric][]func()), durations: make(map[metrics.Duration]func(time.Duration))}
	ctx := context.Background()
	for name, all := range counters {
		for _, c := range all {
			instrument, err := m.Int64Counter(c.name, metric.WithDescription(c.description+descriptions[c.name]))
			if err != nil {
				return nil, fmt.Errorf("metric %s: %w", c.name, err)
			}
			var with attribute.Set
			if c.outcome != "" {
				with = attribute.NewSet(attribute.String("outcome", c.outcome))
			}
			dimension := metric.WithAttributeSet(with)
			instrument.Add(ctx, 0, dimension)
			made.counts[name] = append(made.counts[name], func() { instrument.Add(ctx, 1, dimension) })
		}
	}
	for name, h := range histograms {
		instrument, err := m.Float64Histogram(h.name, metric.WithDescription(h.description), metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(h.bounds...))
		if err != nil {
			return nil, fmt.Errorf("metric %s: %w", h.name, err)
		}
		made.durations[name] = func(took time.Duration) { instrument.Record(ctx, took.Seconds()) }
	}
	return made, nil
}

// Count implements [metrics.Instruments].
func (i *Instruments) Count(m metrics.Metric) {
	for _, add := range i.counts[m] {
		add()
	}
}

// Observe implements [metrics.Instruments].
func (i *Instruments) Observe(d metrics.Duration, took time.Duration) { i.durations[d](took) }
