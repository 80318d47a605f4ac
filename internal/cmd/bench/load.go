package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// plan is the load that a system is put under.
type plan struct {
	Events     int           `json:"events"`     // that are measured; a multiple of Batch
	Warm       int           `json:"warm"`       // events before those, which are checked and not measured
	Source     string        `json:"source"`     // the kind of source, customer or app
	Batch      int           `json:"batch"`      // events in a request
	Bytes      int           `json:"bytes"`      // of an event's data, about
	Publishers int           `json:"publishers"` // requests at once
	Rate       float64       `json:"rate"`       // events a second (open loop); 0: each publisher sends as soon as it is answered
	Window     int           `json:"window"`     // events that may be accepted and not delivered, before publishers wait; 0: any
	Healthy    int           `json:"healthy"`    // receivers, each with its webhook
	Slow       int           `json:"slow"`       // receivers that answer after Latency
	Failing    int           `json:"failing"`    // receivers that answer 500
	Hanging    int           `json:"hanging"`    // receivers that never answer
	Latency    time.Duration `json:"latency"`    // of the slow, in nanoseconds
}

// check says what is wrong with a plan, by the flag's name.
func (p plan) check() error {
	for _, f := range []struct {
		name             string
		value, low, high int
	}{
		{"events", p.Events, 1, 10_000_000}, {"warm", p.Warm, 0, 10_000_000}, {"batch", p.Batch, 1, 100},
		{"bytes", p.Bytes, 0, 200_000}, {"publishers", p.Publishers, 1, 1000}, {"window", p.Window, 0, 10_000_000},
		{"healthy", p.Healthy, 0, 1000}, {"slow", p.Slow, 0, 1000}, {"failing", p.Failing, 0, 1000}, {"hanging", p.Hanging, 0, 1000},
	} {
		if f.value < f.low || f.value > f.high {
			return fmt.Errorf("-%s: %d is not from %d to %d", f.name, f.value, f.low, f.high)
		}
	}
	switch {
	case p.Source != ofCustomer && p.Source != ofApp:
		return fmt.Errorf("-source: %q is neither %s nor %s", p.Source, ofCustomer, ofApp)
	case p.Events%p.Batch != 0 || p.Warm%p.Batch != 0:
		return errors.New("-events and -warm: each must be a multiple of -batch")
	case p.Rate < 0:
		return errors.New("-rate: must not be negative")
	case p.Healthy+p.Slow == 0:
		return errors.New("-healthy and -slow: there must be a receiver that answers, or nothing is delivered")
	case p.Slow > 0 && p.Latency <= 0:
		return errors.New("-latency: must be above 0 where there are slow receivers")
	case p.Window > 0 && p.Window < p.Batch:
		return errors.New("-window: must be at least -batch")
	}
	return nil
}

// good are the receivers that answer with success. Each is owed each event once.
func (p plan) good() int { return p.Healthy + p.Slow }

// name says which loop it is.
func (p plan) name() string {
	if p.Rate == 0 {
		return "flat out"
	}
	return fmt.Sprintf("%g a second", p.Rate)
}

// latencies collects durations up to ten minutes, with three digits.
type latencies struct {
	mu   sync.Mutex
	hist *hdrhistogram.Histogram
}

const longest = 10 * time.Minute

func newLatencies() *latencies {
	return &latencies{hist: hdrhistogram.New(1, longest.Microseconds(), 3)}
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.hist.RecordValue(min(max(d, time.Microsecond), longest).Microseconds()) // it is within the bounds
}

func (l *latencies) quantiles() quantiles {
	l.mu.Lock()
	defer l.mu.Unlock()
	ms := func(us int64) float64 { return float64(us) / 1000 }
	return quantiles{
		P50: ms(l.hist.ValueAtQuantile(50)), P95: ms(l.hist.ValueAtQuantile(95)),
		P99: ms(l.hist.ValueAtQuantile(99)), Max: ms(l.hist.Max()),
	}
}

// ledger knows of each event when it was due and how often each receiver has had it.
type ledger struct {
	plan  plan
	begun time.Time

	due      []atomic.Int64  // by event: nanoseconds after begun
	accepted []atomic.Bool   // by event
	had      []atomic.Uint32 // by event, and within it by receiver
	left     []atomic.Int32  // by request: deliveries that are not made yet

	acceptedN, refused, deliveries, doubled, forged, corrupt, sick, connections atomic.Int64
	lastAccepted, lastArrived                                                   atomic.Int64 // nanoseconds after begun
	firstRefusal                                                                sync.Once
	refusal                                                                     string

	accept, endToEnd, done *latencies
}

func newLedger(p plan) *ledger {
	total := p.Warm + p.Events
	l := &ledger{
		plan: p, begun: time.Now(),
		due: make([]atomic.Int64, total), accepted: make([]atomic.Bool, total),
		had: make([]atomic.Uint32, total*p.good()), left: make([]atomic.Int32, total/p.Batch),
		accept: newLatencies(), endToEnd: newLatencies(), done: newLatencies(),
	}
	for i := range l.left {
		l.left[i].Store(int32(p.Batch * p.good()))
	}
	return l
}

func (l *ledger) now() int64 { return int64(time.Since(l.begun)) }

func raise(a *atomic.Int64, to int64) {
	for old := a.Load(); old < to && !a.CompareAndSwap(old, to); old = a.Load() {
	}
}

// delivered notes that a receiver is about to answer with success for an event, which it
// had at a time.
func (l *ledger) delivered(receiver, event int, at int64) {
	if l.had[event*l.plan.good()+receiver].Add(1) > 1 {
		l.doubled.Add(1)
		return
	}
	l.deliveries.Add(1)
	last := l.left[event/l.plan.Batch].Add(-1) == 0
	if event < l.plan.Warm {
		return
	}
	raise(&l.lastArrived, at)
	due := l.due[event].Load()
	l.endToEnd.add(time.Duration(at - due))
	if last {
		l.done.add(time.Duration(l.now() - due))
	}
}

// lost counts what was accepted and a receiver that answers has not had, by the receivers
// that lack anything.
func (l *ledger) lost() map[int]int {
	by := make(map[int]int)
	for event := range l.accepted {
		if !l.accepted[event].Load() {
			continue
		}
		for receiver := range l.plan.good() {
			if l.had[event*l.plan.good()+receiver].Load() == 0 {
				by[receiver]++
			}
		}
	}
	return by
}

// publish publishes the events from one number to before another. The time of each is
// counted from when it was due: one that is late since all publishers wait for answers
// has waited.
func (l *ledger) publish(ctx context.Context, s system, from, to int) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: l.plan.Publishers}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	batch := l.plan.Batch
	next := make(chan int, 1024) // the first event of a request
	start := l.now()
	go func() {
		defer close(next)
		if l.plan.Rate > 0 {
			runtime.LockOSThread() // it sleeps there
			defer runtime.UnlockOSThread()
		}
		for event := from; event < to; event += batch {
			if l.plan.Rate > 0 {
				due := start + int64(float64(event-from)/l.plan.Rate*1e9)
				for i := range batch {
					l.due[event+i].Store(due)
				}
				sleep(time.Duration(due - l.now()))
			}
			select {
			case next <- event:
			case <-ctx.Done():
				return
			}
		}
	}()
	events := content{l.plan.Source, s.source, batch, itemsFor(l.plan.Source, l.plan.Bytes)}
	var publishers sync.WaitGroup
	for range l.plan.Publishers {
		publishers.Go(func() {
			var body []byte
			for event := range next {
				l.room(ctx, event)
				body = events.append(body[:0], event)
				if l.plan.Rate == 0 {
					now := l.now()
					for i := range batch {
						l.due[event+i].Store(now)
					}
				}
				if err := send(ctx, client, s, body); err != nil {
					l.refused.Add(int64(batch))
					l.firstRefusal.Do(func() { l.refusal = err.Error() })
					continue
				}
				now := l.now()
				for i := range batch {
					l.accepted[event+i].Store(true)
				}
				l.acceptedN.Add(int64(batch))
				raise(&l.lastAccepted, now)
				if event >= l.plan.Warm {
					l.accept.add(time.Duration(now - l.due[event].Load()))
				}
			}
		})
	}
	publishers.Wait()
}

// room waits until few enough events are under way for one more.
func (l *ledger) room(ctx context.Context, event int) {
	for l.plan.Window > 0 && ctx.Err() == nil {
		undelivered := int64(event) - l.refused.Load() - l.deliveries.Load()/int64(l.plan.good())
		if undelivered < int64(l.plan.Window) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func send(ctx context.Context, client *http.Client, s system, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/events", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusAccepted {
		return fmt.Errorf("answered %d %.300s", res.StatusCode, strings.TrimSpace(string(text)))
	}
	return nil
}

// await waits until the receivers have all that was accepted, or nothing more has come for
// the time of patience.
func (l *ledger) await(ctx context.Context, patience time.Duration) {
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	last, since := int64(-1), time.Now()
	for {
		n := l.deliveries.Load()
		if n >= l.acceptedN.Load()*int64(l.plan.good()) {
			return
		}
		if n != last {
			last, since = n, time.Now()
		} else if time.Since(since) > patience {
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}
