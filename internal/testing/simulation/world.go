package simulation

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/delivery"
	"boathook/internal/delivery/destination"
	"boathook/internal/queue"
	queuemem "boathook/internal/queue/mem"
	"boathook/internal/store"
	storemem "boathook/internal/store/mem"
)

const (
	workspaceID = "ws_sim"
	adminToken  = "bh_the-stacks-own-token"

	// As in template.yaml.
	runsVisibility       = 960 * time.Second
	deliveriesVisibility = 360 * time.Second
	runConcurrency       = 20
	deliveryConcurrency  = 20
	retryConcurrency     = 10

	// patience is how long a world has to come to rest once the trouble is
	// over: longer than any schedule of retries.
	patience = 40 * 24 * time.Hour
)

// Bug is a fault in a service's wiring, planted to see that it is found. Each
// field that is set takes the place of what it is given.
type Bug struct {
	Name       string
	Store      func(store.Store) store.Store
	Deliveries func(queue.Sender) queue.Sender
	Retries    func(queue.Sender) queue.Sender
	Keeper     func(Keeper, store.Store, *delivery.Publisher) Keeper
	Intake     func(http.Handler) http.Handler
	EarlyAck   bool // messages are acknowledged before they are handled
}

// Result is what came of a world.
type Result struct {
	Seed       uint64
	Violations []Violation
	Counts     map[string]int // of what happened, by name
	trace      trace
}

// Run simulates a seed, with a bug planted unless it is the zero Bug. It seeds
// crypto/rand for the whole process, so worlds run one after another.
func Run(t *testing.T, seed uint64, bug Bug) (result Result) {
	cryptotest.SetGlobalRandom(t, seed)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(seed, bug)
		w.start()
		w.live(t)
		w.setCalm()
		if w.plan.long {
			w.restDaily()
			w.check(true)
		} else {
			w.restFor(patience)
			w.check(false)
			if w.redrive() > 0 {
				w.restFor(patience)
				w.check(true)
			}
		}
		w.stop()
		result = Result{seed, w.ledger.violations, w.counts, w.trace}
	})
	return result
}

// world is all there is, in one seed.
type world struct {
	seed    uint64
	bug     Bug
	weather weather
	plan    plan
	began   time.Time

	leases int                // of first attempts that take their time
	client destination.Client // to endpoints, in the place of each process's own
	quiet  bool               // without a trace

	store                     witness
	runs, deliveries, retries *line
	sources                   []*source

	ctx     context.Context // ends when the world does
	end     context.CancelFunc
	running sync.WaitGroup // pollers and the sweep
	going   sync.WaitGroup // invocations

	mu        sync.Mutex
	calm      bool
	times     map[uint64]uint64 // how often something happened, by the hash of its name
	booted    map[kind]int
	idle      map[kind][]*process
	endpoints map[string]*endpoint // by host
	webhookAt map[string]string    // webhook by host

	expressions map[string]expressions // by webhook: written while it is made
	pollers     map[string]*poller     // by source that has a feed
	ledger      *ledger
	trace       trace
	counts      map[string]int
	halves      map[tornAt]half
	dueAt       map[dueKey]time.Time // when each scheduled item is due
	invoked     int                  // invocations that go on
}

// newWorld makes a world of what its seed plans, with weather.
func newWorld(seed uint64, bug Bug) *world {
	w := emptyWorld(seed, bug, true)
	w.weather = forecast(w.chance("weather", ""))
	w.setUp()
	return w
}

// emptyWorld makes a world of no sources and without weather.
func emptyWorld(seed uint64, bug Bug, planned bool) *world {
	w := &world{
		seed: seed, bug: bug, began: time.Now(),
		leases: 1,
		runs:   newLine("runs", runsVisibility), deliveries: newLine("deliveries", deliveriesVisibility), retries: newLine("retries", deliveriesVisibility),
		times: make(map[uint64]uint64), booted: make(map[kind]int), idle: make(map[kind][]*process),
		endpoints: make(map[string]*endpoint), webhookAt: make(map[string]string),
		expressions: make(map[string]expressions), pollers: make(map[string]*poller),
		ledger: newLedger(), counts: make(map[string]int), halves: make(map[tornAt]half), dueAt: make(map[dueKey]time.Time),
	}
	if planned {
		w.plan = planOf(seed)
	}
	w.store = witness{storemem.New(storemem.Config{Retention: w.plan.retention()}), w}
	w.ctx, w.end = context.WithCancel(context.Background())
	must(w.store.PutWorkspace(w.ctx, boathook.Workspace{ID: workspaceID, Name: "sim", CreatedAt: w.began}))
	return w
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// start sets what AWS does going: event source mappings receive messages and
// invoke functions, and sweep is called each minute.
func (w *world) start() {
	for _, m := range []*mapping{
		newMapping(w, w.runs, executeKind, 1, 0, runConcurrency),
		newMapping(w, w.deliveries, deliverKind, queue.MaxBatch, time.Second, deliveryConcurrency),
		newMapping(w, w.retries, deliverKind, queue.MaxBatch, time.Second, retryConcurrency),
	} {
		w.running.Go(m.work)
	}
	w.running.Go(w.sweepEachMinute)
}

// invoke has a process of a kind handle a call, as Lambda does: one that is idle,
// or a new one.
func (w *world) invoke(k kind, subject string, call func(context.Context, *process)) {
	p := w.take(k, subject)
	defer w.give(p)
	ctx, cancel := p.invocation()
	defer cancel()
	call(ctx, p)
}

// take is a process that serves nobody.
func (w *world) take(k kind, subject string) *process {
	r := w.chance("choice of "+string(k), subject)
	w.mu.Lock()
	w.invoked++
	idle := w.idle[k]
	idle = slices.DeleteFunc(idle, func(p *process) bool { return p.dead })
	ready := slices.DeleteFunc(slices.Clone(idle), func(p *process) bool { return time.Now().Before(p.thawAt) })
	if len(ready) == 0 {
		w.idle[k] = idle
		w.mu.Unlock()
		return w.boot(k)
	}
	p := pick(r, ready)
	w.idle[k] = slices.DeleteFunc(idle, func(other *process) bool { return other == p })
	w.mu.Unlock()
	return p
}

func (w *world) give(p *process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.invoked--
	if !p.dead {
		w.idle[p.kind] = append(w.idle[p.kind], p)
	}
}

// batch handles messages side by side and acknowledges those that were, all at
// the end: what a process has handled before it crashes comes again too.
func (p *process) batch(ctx context.Context, l *line, messages []queue.Received) {
	if p.world.bug.EarlyAck {
		for _, m := range messages {
			must(l.Delete(context.Background(), m.Receipt))
		}
	}
	receipts := make([]string, len(messages))
	var all sync.WaitGroup
	for i, m := range messages {
		time.Sleep(time.Microsecond) // one begins after the other
		all.Go(func() {
			p.note("receive from "+l.name, m.Body, fmt.Sprintf("for the %d. time", m.Receives))
			err := p.handle(context.WithValue(ctx, handledKey{}, m.Body), m.Body)
			p.note("handled", m.Body, said(err))
			if err == nil {
				receipts[i] = m.Receipt
			}
		})
	}
	all.Wait()
	err := tell(context.WithoutCancel(ctx), p, "acknowledge", messages[0].Body, func() error {
		return l.Delete(context.Background(), receipts...)
	})
	if err != nil {
		p.note("acknowledge", messages[0].Body, "not heard: the messages come again")
	}
}

// sweepEachMinute invokes sweep in each minute in which something is due; in
// the others it would find 16 empty shards.
func (w *world) sweepEachMinute() {
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-minute.C:
		}
		if !w.anyDue(time.Now().Add(maxSkew)) {
			continue
		}
		w.going.Go(func() {
			w.invoke(sweepKind, "", func(ctx context.Context, p *process) {
				err := p.sweep(ctx)
				p.note("sweep", "", said(err))
			})
		})
	}
}

// dueKey tells a scheduled item from others.
type dueKey struct {
	id string
	at int64 // in milliseconds
}

func keyOf(d store.Due) dueKey { return dueKey{d.ID, d.At.UnixMilli()} }

// anyDue reports whether a row is due by a time, without a look at the store.
func (w *world) anyDue(by time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, at := range w.dueAt {
		if !at.After(by) {
			return true
		}
	}
	return false
}

// due are the scheduled items until a time.
func (w *world) due(until time.Time) (rows []store.Due) {
	for shard := range store.DueShards {
		found, err := w.store.Store.Due(context.Background(), shard, store.Due{}, until, 1000)
		must(err)
		rows = append(rows, found...)
	}
	return rows
}

func (w *world) isCalm() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calm
}

func (w *world) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what]++
}

// setCalm ends the trouble: endpoints recover, unless they are dead for good.
func (w *world) setCalm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calm = true
	for _, e := range w.endpoints {
		if !e.dead {
			e.mood = healthy
		}
	}
}

// restFor waits until nothing is left to do, or for so long.
func (w *world) restFor(most time.Duration) {
	for limit := time.Now().Add(most); time.Now().Before(limit); time.Sleep(10 * time.Minute) {
		if w.atRest() {
			return
		}
	}
}

// atRest reports whether nothing is in work, queued or due. The row of a run or
// a delivery whose message is dead waits for its redrive.
func (w *world) atRest() bool {
	w.mu.Lock()
	invoked := w.invoked
	w.mu.Unlock()
	if invoked > 0 {
		return false
	}
	for _, l := range w.lines() {
		if l.Stats() != (queuemem.Stats{}) {
			return false
		}
	}
	dead := w.deadMessages()
	for _, row := range w.due(time.Now().Add(patience)) {
		if !dead[subjectOf(row)] {
			return false
		}
	}
	return true
}

// redrive moves what is in the dead-letter queues back, and counts it.
func (w *world) redrive() (moved int) {
	ctx := context.Background()
	for _, l := range w.lines() {
		l.bury()
		for _, m := range l.buried {
			time.Sleep(time.Millisecond)
			must(l.Queue.Send(ctx, m))
			w.note("operator", "redrive to "+l.name, m.Body, "sent")
			w.count("redriven message")
			moved++
		}
		l.buried, l.ids, l.pairs = nil, nil, nil
	}
	return moved
}

// stop ends the world. What does not end with it is a goroutine that leaks,
// which synctest reports.
func (w *world) stop() {
	w.end()
	w.running.Wait()
	w.going.Wait()
}
