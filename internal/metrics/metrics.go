// Package metrics counts what happens and writes the counts as lines in
// CloudWatch's embedded metric format, from which CloudWatch Logs makes metrics
// without any call. A line is written after each invocation that counted
// something, so a batch of deliveries is one line.
//
// There are no dimensions: one for each webhook would cost more than all else.
// What a single webhook does is in the delivery log.
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

// Counters are safe for concurrent use. Nil Counters count nothing.
type Counters struct {
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

// Count adds one.
func (c *Counters) Count(m Metric) {
	if c == nil {
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
