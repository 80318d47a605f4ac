package sim

import (
	"context"
	"sync"
	"time"

	"boathook/internal/queue"
)

// mapping is Lambda's event source mapping of a queue. Pollers fill batches side
// by side. A batch is handed over when it is full, or when its window is over; it
// counts as one of those at a time from its first message until the function has
// answered, which is when its slowest message has been handled.
type mapping struct {
	w           *world
	line        *line
	kind        kind
	size        int
	window      time.Duration
	concurrency int

	mu    sync.Mutex
	free  int // batches that may begin
	begun int // how many the mapping works with so far
	more  chan struct{}
}

// What AWS documents of mappings of standard queues: five batches at first, and
// five a second more while messages wait.
const (
	pollers   = 5
	firstOnes = 5
	growth    = 5
)

func newMapping(w *world, l *line, k kind, size int, window time.Duration, concurrency int) *mapping {
	return &mapping{
		w: w, line: l, kind: k, size: size, window: window, concurrency: concurrency,
		free: min(firstOnes, concurrency), begun: min(firstOnes, concurrency), more: make(chan struct{}, 1),
	}
}

func (m *mapping) start() {
	for range pollers {
		m.w.running.Go(m.poll)
	}
	m.w.running.Go(m.grow)
}

// grow lets the mapping work on more batches, while messages wait for one.
func (m *mapping) grow() {
	for m.begun < m.concurrency {
		select {
		case <-time.After(time.Second):
		case <-m.w.ctx.Done():
			return
		}
		m.mu.Lock()
		if m.free == 0 && m.line.Stats().Ready > 0 {
			n := min(growth, m.concurrency-m.begun)
			m.begun += n
			m.release(n)
		}
		m.mu.Unlock()
	}
}

// release frees batches. It is called with the lock held.
func (m *mapping) release(n int) {
	m.free += n
	select {
	case m.more <- struct{}{}:
	default:
	}
}

// acquire waits until a batch may begin; false when the world ends before.
func (m *mapping) acquire() bool {
	for {
		m.mu.Lock()
		if m.free > 0 {
			m.free--
			if m.free > 0 {
				m.release(0) // for the next that waits
			}
			m.mu.Unlock()
			return true
		}
		m.mu.Unlock()
		select {
		case <-m.more:
		case <-m.w.ctx.Done():
			return false
		}
	}
}

func (m *mapping) poll() {
	for m.acquire() {
		batch := m.fill()
		if len(batch) == 0 { // the world ends
			return
		}
		m.w.going.Go(func() {
			m.w.invoke(m.kind, batch[0].Body, func(ctx context.Context, p *process) { p.batch(ctx, m.line, batch) })
			m.mu.Lock()
			defer m.mu.Unlock()
			m.release(1)
		})
	}
}

// fill receives a batch.
func (m *mapping) fill() (batch []queue.Received) {
	var until time.Time
	for len(batch) < m.size {
		wait := patience
		if len(batch) > 0 {
			if wait = time.Until(until); wait <= 0 {
				break
			}
		}
		received, err := m.line.Receive(m.w.ctx, m.size-len(batch), wait)
		if m.w.ctx.Err() != nil {
			return batch
		}
		must(err)
		if len(batch) == 0 && len(received) > 0 {
			until = time.Now().Add(m.window)
		}
		batch = append(batch, received...)
	}
	return batch
}
