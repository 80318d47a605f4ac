package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/store"
	storemem "boathook/internal/store/mem"
	"boathook/internal/sweep"
)

var errDown = errors.New("down")

// keeper remembers the runs that the keeper was asked to look after.
type keeper struct {
	mu      sync.Mutex
	runs    []string
	started []string
	lines   []string
	err     error
}

func (k *keeper) CheckLease(_ context.Context, head boathook.RunHead, _ store.Due) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.runs = append(k.runs, head.ID)
	return k.err
}

func (k *keeper) GiveTurns(_ context.Context, due store.Due) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, sourceID := due.LineOf()
	k.lines = append(k.lines, sourceID)
	return k.err
}

func (k *keeper) Start(_ context.Context, head boathook.RunHead, _ store.Due) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.started = append(k.started, head.ID)
	return k.err
}

// closed remembers the connections that were to be closed.
type closed struct {
	ids []string
	err error
}

func (c *closed) CloseUnauthenticated(_ context.Context, id string) error {
	c.ids = append(c.ids, id)
	return c.err
}

// sent is a queue that remembers, and fails while err says so.
type sent struct {
	mu         sync.Mutex
	deliveries []queue.Delivery
	calls      int
	err        func(queue.Delivery) error
}

func (s *sent) Send(_ context.Context, messages ...queue.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	var partial queue.PartialError
	for i, m := range messages {
		d, err := queue.DecodeDelivery(m.Body)
		if err == nil && s.err != nil {
			err = s.err(d)
		}
		if err != nil {
			partial.Failed, partial.Err = append(partial.Failed, i), err
			continue
		}
		s.deliveries = append(s.deliveries, d)
	}
	if len(partial.Failed) > 0 {
		return &partial
	}
	return nil
}

// place is a sweeper at a settable time, with what is around it.
type place struct {
	*sweep.Sweeper
	store  *storemem.Store
	keeper *keeper
	sent   *sent
	closed *closed
	now    time.Time
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{keeper: &keeper{}, sent: &sent{}, closed: &closed{}, now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	now := func() time.Time { return p.now }
	p.store = storemem.New(storemem.Config{Retention: 30 * 24 * time.Hour, Now: now})
	p.Sweeper = &sweep.Sweeper{
		Store: p.store, Keeper: p.keeper, Retries: p.sent, Connections: p.closed, Now: now, Log: slog.New(slog.DiscardHandler),
	}
	return p
}

// retrying records a delivery that waits for its second attempt, and the row
// that it waits in until at.
func (p *place) retrying(t *testing.T, at time.Time) boathook.DeliveryID {
	t.Helper()
	e := boathook.Event{ID: boathook.NewID(boathook.EventID), Time: p.now}
	d := boathook.Delivery{
		ID: boathook.NewDeliveryID(&e, "out_a"), WorkspaceID: "ws_a", SourceID: "dep_a", WebhookID: "out_a", EventID: e.ID,
		EventType: boathook.EventRunSucceeded, Body: boathook.NewBody([]byte(`{"a":1}`)), Status: boathook.DeliveryRetrying, Attempts: 1, NextAttemptAt: at,
	}
	must(t, p.store.RecordAttempt(t.Context(), d, boathook.Attempt{Number: 1, SentAt: p.now, Error: "answered 500"}))
	must(t, p.store.PutDue(t.Context(), waiting(t, queue.Delivery{Delivery: d, Attempt: 2, First: 1}, at)))
	return d.ID
}

// waiting is the row in which an attempt waits.
func waiting(t *testing.T, job queue.Delivery, at time.Time) store.Due {
	t.Helper()
	payload, err := queue.EncodeWaiting(job)
	must(t, err)
	return store.ScheduledRetry(job.ID, job.Attempt, job.First, at, payload)
}

func (p *place) rows(t *testing.T) (n int) {
	t.Helper()
	for shard := range store.DueShards {
		page, err := p.store.Due(t.Context(), shard, store.Due{}, p.now.Add(365*24*time.Hour), 100_000)
		must(t, err)
		n += len(page)
	}
	return n
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestADueRetryIsSentWithItsBodyAndItsRowDeleted(t *testing.T) {
	p := newPlace(t)
	due := p.retrying(t, p.now)
	p.retrying(t, p.now.Add(time.Millisecond)) // not due yet
	must(t, p.Sweep(t.Context()))

	if len(p.sent.deliveries) != 1 {
		t.Fatalf("sent %+v", p.sent.deliveries)
	}
	got := p.sent.deliveries[0]
	if got.ID != due || got.Attempt != 2 || got.First != 1 || got.Body.String() != `{"a":1}` || got.WebhookID != "out_a" || got.EventType != boathook.EventRunSucceeded {
		t.Errorf("sent %+v", got)
	}
	if n := p.rows(t); n != 1 {
		t.Errorf("%d rows are left, want the one that is not due", n)
	}
}

func TestEverythingThatIsDueIsSentInOneSweep(t *testing.T) {
	p := newPlace(t)
	const n = 2400 // more than a page of every shard
	for i := range n {
		p.retrying(t, p.now.Add(-time.Duration(i)*time.Millisecond))
	}
	must(t, p.Sweep(t.Context()))
	seen := map[boathook.DeliveryID]bool{}
	for _, d := range p.sent.deliveries {
		seen[d.ID] = true
	}
	if most := n/20 + 3*store.DueShards; p.sent.calls > most { // a shard has two pages or three, and each may end with fewer than 20
		t.Errorf("sent in %d calls, want %d at most", p.sent.calls, most)
	}
	if len(seen) != n || len(p.sent.deliveries) != n || p.rows(t) != 0 {
		t.Errorf("sent %d of %d deliveries in %d messages; %d rows are left", len(seen), n, len(p.sent.deliveries), p.rows(t))
	}
}

// slow is a store and a queue with the latency of a busy day.
type slow struct {
	*storemem.Store
	*sent
}

func (s slow) Due(ctx context.Context, shard int, after store.Due, until time.Time, limit int) ([]store.Due, error) {
	time.Sleep(20 * time.Millisecond)
	return s.Store.Due(ctx, shard, after, until, limit)
}

func (s slow) Delivery(ctx context.Context, workspaceID string, id boathook.DeliveryID) (boathook.Delivery, error) {
	time.Sleep(20 * time.Millisecond)
	return s.Store.Delivery(ctx, workspaceID, id)
}

func (s slow) DeleteDue(ctx context.Context, d store.Due) error {
	time.Sleep(20 * time.Millisecond)
	return s.Store.DeleteDue(ctx, d)
}

func (s slow) Send(ctx context.Context, messages ...queue.Message) error {
	time.Sleep(50 * time.Millisecond)
	return s.sent.Send(ctx, messages...)
}

func TestTenThousandAreSentWellWithinAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		const n = 10_000
		for i := range n {
			p.retrying(t, p.now.Add(-time.Duration(i)*time.Millisecond))
		}
		p.Store, p.Retries = slow{p.store, p.sent}, slow{p.store, p.sent}
		begun := time.Now()
		must(t, p.Sweep(t.Context()))
		if took := time.Since(begun); len(p.sent.deliveries) != n || took > 15*time.Second {
			t.Errorf("sent %d in %s", len(p.sent.deliveries), took)
		}
	})
}

func TestARowThatFailsStaysAndDoesNotStopTheOthers(t *testing.T) {
	p := newPlace(t)
	var sick []boathook.DeliveryID
	for i := range 2400 { // pages begin with failing rows
		id := p.retrying(t, p.now.Add(-time.Duration(2400-i)*time.Second))
		if i < 2000 {
			sick = append(sick, id)
		}
	}
	down := true
	failing := map[boathook.DeliveryID]bool{}
	for _, id := range sick {
		failing[id] = true
	}
	p.sent.err = func(d queue.Delivery) error {
		if down && failing[d.ID] {
			return errDown
		}
		return nil
	}
	if err := p.Sweep(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("got %v, want the failure", err)
	}
	if len(p.sent.deliveries) != 400 || p.rows(t) != 2000 {
		t.Errorf("sent %d, %d rows are left; want 400 and 2000", len(p.sent.deliveries), p.rows(t))
	}
	down = false
	must(t, p.Sweep(t.Context()))
	if len(p.sent.deliveries) != 2400 || p.rows(t) != 0 {
		t.Errorf("after the recovery: sent %d, %d rows are left", len(p.sent.deliveries), p.rows(t))
	}
}

func TestADueRunIsTended(t *testing.T) {
	p := newPlace(t)
	var want []string
	for i := range 3 {
		id := fmt.Sprintf("run_%d", i)
		want = append(want, id)
		must(t, p.store.CreateRun(t.Context(), boathook.Run{RunHead: boathook.RunHead{
			ID: id, WorkspaceID: "ws_a", SourceID: "dep_a", Environment: boathook.Production, Status: boathook.RunRunning, CreatedAt: p.now,
		}, Input: boathook.NewBody([]byte(`{}`))}))
		must(t, p.store.PutDue(t.Context(), store.ScheduledCheck(id, p.now)))
	}
	must(t, p.Sweep(t.Context()))
	slices.Sort(p.keeper.runs)
	if !slices.Equal(p.keeper.runs, want) {
		t.Errorf("looked after %v", p.keeper.runs)
	}
}

// The row's writer crashed before it wrote the record; its message will come
// again and write it.
func TestARowWithoutARecordWaitsForItAndIsDroppedInTheEnd(t *testing.T) {
	p := newPlace(t)
	e := boathook.Event{ID: "evt_a", Time: p.now}
	d := boathook.Delivery{ID: boathook.NewDeliveryID(&e, "out_a"), WorkspaceID: "ws_a", SourceID: "dep_a", WebhookID: "out_a"}
	must(t, p.store.PutDue(t.Context(), waiting(t, queue.Delivery{Delivery: d, Attempt: 2, First: 1}, p.now)))
	must(t, p.store.PutDue(t.Context(), store.ScheduledCheck("run_a", p.now)))

	must(t, p.Sweep(t.Context()))
	if n := p.rows(t); n != 2 {
		t.Fatalf("%d rows are left, want both", n)
	}
	p.now = p.now.Add(5 * 24 * time.Hour)
	must(t, p.Sweep(t.Context()))
	if n := p.rows(t); n != 0 {
		t.Errorf("five days later %d rows are left", n)
	}
}

// A process's clock may step back between two sweeps.
func TestAClockThatStepsBackOnlyDelays(t *testing.T) {
	p := newPlace(t)
	p.retrying(t, p.now.Add(-time.Minute))
	at := p.now
	p.now = at.Add(-24 * time.Hour)
	must(t, p.Sweep(t.Context()))
	if len(p.sent.deliveries) != 0 || p.rows(t) != 1 {
		t.Errorf("sent %d, %d rows are left", len(p.sent.deliveries), p.rows(t))
	}
	p.now = at
	must(t, p.Sweep(t.Context()))
	if len(p.sent.deliveries) != 1 || p.rows(t) != 0 {
		t.Errorf("sent %d, %d rows are left", len(p.sent.deliveries), p.rows(t))
	}
}

// A queue that is not reached at all leaves every row.
func TestWhatIsNotKnownToBeSentStays(t *testing.T) {
	p := newPlace(t)
	for range 100 {
		p.retrying(t, p.now)
	}
	p.Retries = lost{}
	if err := p.Sweep(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("got %v", err)
	}
	if n := p.rows(t); n != 100 {
		t.Errorf("%d rows are left of 100", n)
	}
}

type lost struct{}

func (lost) Send(context.Context, ...queue.Message) error { return errDown }

func TestASweepEndsWithItsContext(t *testing.T) {
	p := newPlace(t)
	p.retrying(t, p.now)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, p.Sweep(ctx))
	if n := p.rows(t); n != 1 {
		t.Errorf("%d rows are left", n)
	}
}

func TestAConnectionThatIsDueIsClosedAndItsRowDeleted(t *testing.T) {
	p := newPlace(t)
	const id = "L0SM9cOFvHcCIhw="
	must(t, p.store.PutDue(t.Context(), store.Due{At: p.now, ID: id, Kind: store.DueConnection}))
	must(t, p.store.PutDue(t.Context(), store.Due{At: p.now.Add(time.Second), ID: "later", Kind: store.DueConnection}))
	p.closed.err = errDown
	if err := p.Sweep(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("error %v", err)
	}
	if n := p.rows(t); n != 2 {
		t.Errorf("%d rows after a failure", n)
	}
	p.closed.err = nil
	must(t, p.Sweep(t.Context()))
	if n := p.rows(t); n != 1 || !slices.Equal(p.closed.ids, []string{id, id}) {
		t.Errorf("%d rows, closed %v", n, p.closed.ids)
	}
}
