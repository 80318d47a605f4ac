package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// quantiles are of latencies, in milliseconds.
type quantiles struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// run is what came of one run of a plan. What is not known, as of a system on another
// machine, is nil.
type run struct {
	Accepted   int64  `json:"accepted"`           // events, the warm-up's too, as are all counts
	Refused    int64  `json:"refused"`            // events of requests that were not answered 202
	Refusal    string `json:"refusal,omitempty"`  // the first one's answer or error
	Deliveries int64  `json:"deliveries"`         // of an event to a receiver that answers, the first time
	Lost       int    `json:"lost"`               // accepted, and not delivered
	Doubled    int64  `json:"doubled"`            // delivered again after an answer of success
	Forged     int64  `json:"forged"`             // requests whose signature is wrong
	Corrupt    int64  `json:"corrupt"`            // requests that are signed, and whose data are not those that were published
	Sick       int64  `json:"sick"`               // requests to receivers that fail or hang
	Opened     int64  `json:"connections_opened"` // by the system, to receivers
	Trouble    string `json:"trouble,omitempty"`  // an error of the program under test

	// What there is to look into, where something is wrong.
	LostBy map[int]int `json:"lost_by,omitempty"` // receiver, from 0 on
	Said   string      `json:"said,omitempty"`    // last lines of the program under test
	kept   string      // folder of its data

	Seconds            float64  `json:"seconds"` // until the last arrived
	AcceptedPerSecond  float64  `json:"accepted_per_second"`
	DeliveredPerSecond float64  `json:"delivered_per_second"`
	CPUSecondsPer10k   *float64 `json:"cpu_seconds_per_10000_deliveries"`
	PeakMB             *float64 `json:"peak_mb"` // VmHWM, in MiB
	LiveMB             *float64 `json:"live_mb"` // live heap after the last collection, in MiB

	Accept   quantiles `json:"accept_ms"`     // from when a request was due to its answer
	EndToEnd quantiles `json:"end_to_end_ms"` // from when a request was due until a receiver has an event whole
	Done     quantiles `json:"done_ms"`       // from when a request was due until the last receiver has answered for its last event
}

// whole reports whether everything that was accepted was delivered once, as it was
// published.
func (r run) whole() bool {
	return r.Lost == 0 && r.Doubled == 0 && r.Forged == 0 && r.Corrupt == 0 && r.Refused == 0 && r.Trouble == ""
}

// wrong says what is not as it should be; empty if all is.
func (r run) wrong() string {
	if r.whole() {
		return ""
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%d lost, %d doubled, %d forged, %d corrupt, %d refused", r.Lost, r.Doubled, r.Forged, r.Corrupt, r.Refused)
	if r.Refusal != "" {
		fmt.Fprintf(&text, " (%s)", r.Refusal)
	}
	if r.Trouble != "" {
		fmt.Fprintf(&text, "; %s", r.Trouble)
	}
	for _, receiver := range slices.Sorted(maps.Keys(r.LostBy)) {
		fmt.Fprintf(&text, "\n  receiver %d lacks %d", receiver, r.LostBy[receiver])
	}
	if r.Said != "" {
		fmt.Fprintf(&text, "\n  it said: %s", r.Said)
	}
	if r.kept != "" {
		fmt.Fprintf(&text, "\n  its data are in %s", r.kept)
	}
	return text.String()
}

// driver measures.
type driver struct {
	patience time.Duration // for the next delivery, before what has not come is lost
	progress progress
}

// measure puts a system under a load.
func (d driver) measure(ctx context.Context, name string, p plan, begin starter) (run, error) {
	l := newLedger(p)
	r, err := newReceivers(ctx, p, l)
	if err != nil {
		return run{}, err
	}
	defer r.close()
	s, err := begin(ctx, p, r.urls())
	if err != nil {
		return run{}, fmt.Errorf("%s: %w", name, err)
	}
	out, err := d.load(ctx, name, l, r, s)
	r.release()
	if ended := s.end(); ended != nil {
		out.Trouble = ended.Error()
	}
	if s.process == nil || s.process.cmd == nil {
		time.Sleep(late) // what ends has finished; this goes on
	}
	out.LostBy = l.lost()
	for _, n := range out.LostBy {
		out.Lost += n
	}
	out.Deliveries, out.Doubled = l.deliveries.Load(), l.doubled.Load()
	out.Forged, out.Corrupt, out.Sick = l.forged.Load(), l.corrupt.Load(), l.sick.Load()
	if out.whole() {
		err = errors.Join(err, s.remove())
	} else {
		out.kept = s.data
		if s.process != nil {
			out.Said = s.process.lastWords()
		}
	}
	if errors.Is(err, context.Canceled) {
		return out, err
	}
	if err != nil {
		return out, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}

// late is for how long a system that is not stopped may show what it delivers twice.
const late = time.Second

// load publishes, and reads what it took.
func (d driver) load(ctx context.Context, name string, l *ledger, r *receivers, s system) (out run, err error) {
	if err := r.expect(s.secrets); err != nil {
		return out, err
	}
	p := l.plan
	defer d.progress.follow(name, l)()
	if p.Warm > 0 {
		l.publish(ctx, s, 0, p.Warm)
		l.await(ctx, d.patience)
	}
	var before time.Duration
	if s.process != nil {
		if before, err = s.process.settle(); err != nil {
			return out, err
		}
	}
	opened, acceptedBefore, deliveredBefore := l.connections.Load(), l.acceptedN.Load(), l.deliveries.Load()
	begun := l.now()
	l.publish(ctx, s, p.Warm, p.Warm+p.Events)
	l.await(ctx, d.patience)
	if ctx.Err() != nil {
		return out, ctx.Err()
	}
	accepted, delivered := l.acceptedN.Load()-acceptedBefore, l.deliveries.Load()-deliveredBefore
	out.Accepted, out.Refused, out.Refusal = l.acceptedN.Load(), l.refused.Load(), l.refusal
	out.Opened = l.connections.Load() - opened
	out.Seconds = seconds(l.lastArrived.Load() - begun)
	out.AcceptedPerSecond = perSecond(accepted, l.lastAccepted.Load()-begun)
	out.DeliveredPerSecond = perSecond(delivered, l.lastArrived.Load()-begun)
	out.Accept, out.EndToEnd, out.Done = l.accept.quantiles(), l.endToEnd.quantiles(), l.done.quantiles()
	if s.process == nil {
		return out, nil
	}
	after, err := s.process.settle()
	if err != nil {
		return out, err
	}
	if delivered > 0 {
		out.CPUSecondsPer10k = new((after - before).Seconds() * 10_000 / float64(delivered))
	}
	peak, err := s.process.peak()
	if err != nil {
		return out, err
	}
	out.PeakMB = &peak
	if live := s.process.liveMB(); live > 0 {
		out.LiveMB = new(float64(live))
	}
	return out, nil
}

func seconds(nanoseconds int64) float64 { return max(time.Duration(nanoseconds).Seconds(), 0) }

func perSecond(n, nanoseconds int64) float64 {
	if nanoseconds <= 0 {
		return 0
	}
	return float64(n) / seconds(nanoseconds)
}

// spread is of one figure over several runs.
type spread struct{ Median, Min, Max float64 }

// over gives the spread of a figure; false if a run does not have it.
func over(runs []run, figure func(run) *float64) (spread, bool) {
	var values []float64
	for _, r := range runs {
		v := figure(r)
		if v == nil {
			return spread{}, false
		}
		values = append(values, *v)
	}
	if len(values) == 0 {
		return spread{}, false
	}
	slices.Sort(values)
	middle := values[len(values)/2]
	if len(values)%2 == 0 {
		middle = (middle + values[len(values)/2-1]) / 2
	}
	return spread{middle, values[0], values[len(values)-1]}, true
}
