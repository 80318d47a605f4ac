package simulation

import (
	"context"
	"slices"
	"time"

	"boathook/internal/queue"
)

// mapping is Lambda's event source mapping of a queue. Pollers fill batches side
// by side. A batch is handed over when it is full, or when its window is over; it
// counts as one of those at a time from its first message until the function has
// answered, which is when its slowest message has been handled.
//
// It is one goroutine: which poller receives a message follows from the seed.
type mapping struct {
	w           *world
	line        *line
	kind        kind
	size        int
	window      time.Duration
	concurrency int

	filling  []batch
	free     int       // batches that may begin
	begun    int       // how many batches the mapping works with so far
	grewAt   time.Time // when begun last grew
	answered chan struct{}
}

// batch is one that a poller fills.
type batch struct {
	messages []queue.Received
	until    time.Time // when its window is over
}

// What AWS documents of mappings of standard queues: five batches at first, and
// five a second more while messages wait.
const (
	pollers   = 5
	firstOnes = 5
	growth    = 5
)

func newMapping(w *world, l *line, k kind, size int, window time.Duration, concurrency int) *mapping {
	first := min(firstOnes, concurrency)
	return &mapping{
		w: w, line: l, kind: k, size: size, window: window, concurrency: concurrency,
		free: first, begun: first, grewAt: time.Now(), answered: make(chan struct{}, concurrency),
	}
}

// work receives and hands over until the world ends.
func (m *mapping) work() {
	for {
		m.handOver()
		wait := m.patience()
		i, ok := m.poller()
		if !ok {
			timer := time.NewTimer(wait)
			select {
			case <-m.answered:
				m.free++
			case <-timer.C:
				m.grow()
			case <-m.w.ctx.Done():
				return
			}
			timer.Stop()
			continue
		}
		free := m.size
		if i < len(m.filling) {
			free -= len(m.filling[i].messages)
		}
		received, err := m.line.Receive(m.w.ctx, free, wait)
		if m.w.ctx.Err() != nil {
			return
		}
		must(err)
		if len(received) == 0 {
			continue
		}
		if i == len(m.filling) {
			m.free--
			m.filling = append(m.filling, batch{until: time.Now().Add(m.window)})
		}
		m.filling[i].messages = append(m.filling[i].messages, received...)
	}
}

// poller chooses who receives next: one of the batches that are filled, or, being
// their number, one that begins anew. False if none may.
func (m *mapping) poller() (i int, ok bool) {
	for more := true; more; {
		select {
		case <-m.answered:
			m.free++
		default:
			more = false
		}
	}
	idle := 0
	if m.free > 0 {
		idle = pollers - len(m.filling)
	}
	all := len(m.filling) + max(idle, 0)
	if all == 0 {
		return 0, false
	}
	i = m.w.chance("poller of "+m.line.name, "").IntN(all)
	return min(i, len(m.filling)), true
}

// patience is for how long nothing but a message or an answer changes anything.
func (m *mapping) patience() time.Duration {
	wait := patience
	for _, b := range m.filling {
		wait = min(wait, time.Until(b.until))
	}
	if m.free == 0 && m.begun < m.concurrency {
		wait = min(wait, max(time.Until(m.grewAt.Add(time.Second)), time.Millisecond))
	}
	return wait
}

// grow lets the mapping work on more batches, while messages wait for one.
func (m *mapping) grow() {
	if m.free > 0 || m.begun == m.concurrency || time.Since(m.grewAt) < time.Second {
		return
	}
	m.grewAt = time.Now()
	if m.line.Stats().Ready > 0 {
		n := min(growth, m.concurrency-m.begun)
		m.begun += n
		m.free += n
	}
}

// handOver invokes the function with each batch that is full, or has waited for
// its window.
func (m *mapping) handOver() {
	m.filling = slices.DeleteFunc(m.filling, func(b batch) bool {
		if len(b.messages) < m.size && time.Now().Before(b.until) {
			return false
		}
		m.w.going.Go(func() {
			m.w.invoke(m.kind, b.messages[0].Body, func(ctx context.Context, p *process) { p.batch(ctx, m.line, b.messages) })
			m.answered <- struct{}{}
		})
		time.Sleep(time.Microsecond) // one begins after the other
		return true
	})
}
