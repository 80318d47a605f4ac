// Package metrics counts what happens and writes the counts as lines in
// CloudWatch's embedded metric format, from which CloudWatch Logs makes metrics
// without any call. A line is written after each invocation that counted
// something, so a batch of deliveries is one line.
//
// There are no dimensions: one for each webhook would cost more than all else.
// What a single webhook does is in the delivery log.
//
// Where CloudWatch does not read lines, [Instruments] take the counts, and durations too;
// see package otel.
package metrics

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"sync"
	"time"
)

// Metric is the name of a count.
type Metric string

// The metrics.
const (
	AttemptsSucceeded   Metric = "AttemptsSucceeded"
	AttemptsFailed      Metric = "AttemptsFailed"
	AttemptsPostponed   Metric = "AttemptsPostponed"   // for a rate limit or a breaker
	DeliveriesExhausted Metric = "DeliveriesExhausted" // failed for good, until somebody resends them
	DeliveriesCanceled  Metric = "DeliveriesCanceled"
	WebhooksDisabled    Metric = "WebhooksDisabled"
	RunsSucceeded       Metric = "RunsSucceeded"
	RunsFailed          Metric = "RunsFailed"
	RunsCanceled        Metric = "RunsCanceled"
	RunsLost            Metric = "RunsLost" // failed since their runner was lost
	TriggersRefused     Metric = "TriggersRefused"
)

// Duration is the name of a duration. Those are kept by [Instruments] alone: in
// CloudWatch each would cost as much as a count, and its lines more.
type Duration string

// The durations.
const (
	TriggerAccepted Duration = "TriggerAccepted" // from a trigger's arrival until it is accepted
	AttemptMade     Duration = "AttemptMade"     // of an attempt's request
	DeliveryTaken   Duration = "DeliveryTaken"   // from an event until its delivery is taken
	RunExecuted     Duration = "RunExecuted"     // from a run's start until its end
)

// Instruments take what happens at once. They are safe for concurrent use.
type Instruments interface {
	Count(m Metric)
	Observe(d Duration, took time.Duration)
}

// Counters are safe for concurrent use. Nil Counters count nothing.
type Counters struct {
	instruments Instruments // in place of the lines, unless nil

	namespace string
	out       io.Writer
	now       func() time.Time

	mu     sync.Mutex
	counts map[Metric]int // since the last line
}

// New makes Counters that write to out, which CloudWatch Logs reads: a Lambda
// function's standard output.
func New(namespace string, out io.Writer, now func() time.Time) *Counters {
	return &Counters{namespace: namespace, out: out, now: now, counts: make(map[Metric]int)}
}

// To makes Counters that write no lines: instruments take all.
func To(i Instruments) *Counters { return &Counters{instruments: i} }

// Observe has a duration kept, where there are instruments.
func (c *Counters) Observe(d Duration, took time.Duration) {
	if c != nil && c.instruments != nil {
		c.instruments.Observe(d, took)
	}
}

// Count adds one.
func (c *Counters) Count(m Metric) {
	if c == nil {
		return
	}
	if c.instruments != nil {
		c.instruments.Count(m)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[m]++
}

// The embedded metric format, as far as it is used: Amazon CloudWatch User
// Guide, "Specification: Embedded metric format".
type (
	metadata struct {
		Timestamp         int64 // Unix milliseconds
		CloudWatchMetrics []directive
	}
	directive struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []definition
	}
	definition struct {
		Name Metric
		Unit string
	}
)

// Flush writes what was counted, if anything was, and begins anew. Counts that
// can't be written are lost: nothing waits for them.
func (c *Counters) Flush() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.counts) == 0 {
		return
	}
	d := directive{Namespace: c.namespace, Dimensions: [][]string{{}}}
	line := make(map[string]any, len(c.counts)+1)
	for _, m := range slices.Sorted(maps.Keys(c.counts)) {
		d.Metrics = append(d.Metrics, definition{m, "Count"})
		line[string(m)] = c.counts[m]
	}
	line["_aws"] = metadata{c.now().UnixMilli(), []directive{d}}
	clear(c.counts)
	_ = json.NewEncoder(c.out).Encode(line)
}

// Flushed is a Lambda handler that flushes c when it is done.
func Flushed[In, Out any](c *Counters, handle func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (Out, error) {
		defer c.Flush()
		return handle(ctx, in)
	}
}
