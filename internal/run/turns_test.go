package run_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	queuemem "boathook/internal/queue/mem"
	"boathook/internal/run"
	"boathook/internal/store"
	storemem "boathook/internal/store/mem"
)

// turnPlace has a keeper of a deployment that lets only so many runs execute at a time.
type turnPlace struct {
	*run.Keeper
	t     *testing.T
	store *turnStore
	queue *queuemem.Queue
	clock time.Time
	n     int // runs that were made
}

// turnStore is the embedded store, which counts its calls and fails them.
type turnStore struct {
	*storemem.Store
	calls int
	moved func() // before each move of the turns
}

func (s *turnStore) Turns(ctx context.Context, sourceID string, limit int) (store.TurnsView, error) {
	s.calls++
	return s.Store.Turns(ctx, sourceID, limit)
}

func (s *turnStore) MoveTurns(ctx context.Context, sourceID string, known store.TurnsView, taken map[string]time.Time) (bool, error) {
	if f := s.moved; f != nil {
		s.moved = nil
		f()
	}
	return s.Store.MoveTurns(ctx, sourceID, known, taken)
}

func newTurns(t *testing.T, limit int) *turnPlace {
	t.Helper()
	p := &turnPlace{t: t, clock: time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)}
	p.store = &turnStore{Store: storemem.New(storemem.Config{Retention: 24 * time.Hour, Now: p.now})}
	p.queue = queuemem.New(queuemem.Config{Visibility: time.Hour})
	p.Keeper = &run.Keeper{Store: p.store, Publish: quiet{}, Queue: p.queue, Now: p.now, Log: silent}
	p.limit(limit)
	return p
}

// quiet tells nobody.
type quiet struct{}

func (quiet) Publish(context.Context, boathook.Event) error { return nil }
func (quiet) Alert(context.Context, boathook.Event) error   { return nil }

func (p *turnPlace) now() time.Time { return p.clock }

func (p *turnPlace) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *turnPlace) limit(n int) {
	p.t.Helper()
	d, _ := p.store.Source(p.t.Context(), "ws_a", "dep_a")
	d.ID, d.WorkspaceID, d.Kind, d.Deployment = "dep_a", "ws_a", boathook.Deployment, &boathook.DeploymentSettings{MaxInFlight: n}
	p.must(p.store.PutSource(p.t.Context(), d))
}

// run makes the next run that is accepted.
func (p *turnPlace) run() boathook.Run {
	p.n++
	r := pendingRun(`{}`)
	r.ID, r.CreatedAt, r.TakesTurn = fmt.Sprintf("run_%03d", p.n), p.clock.Add(time.Duration(p.n)*time.Millisecond), true
	return r
}

// take has a run take its turn as execute does, and start if it has one.
func (p *turnPlace) take(r boathook.Run) bool {
	p.t.Helper()
	until, taken, err := p.TakeTurn(p.t.Context(), r)
	p.must(err)
	if taken {
		if !until.After(p.clock) {
			p.t.Errorf("its turn is over at %s", until)
		}
		p.start(r)
	}
	return taken
}

func (p *turnPlace) start(r boathook.Run) {
	p.t.Helper()
	err := p.store.CreateRun(p.t.Context(), r)
	if err != nil && !boathook.IsKind(err, boathook.Conflict) {
		p.t.Fatal(err)
	}
	_, err = p.store.ClaimRun(p.t.Context(), r.ID, boathook.Claim{ID: "claim_" + r.ID, LeaseUntil: p.clock.Add(run.Lease)}, p.clock)
	p.must(err)
}

// finish ends a run.
func (p *turnPlace) finish(r boathook.Run) {
	p.t.Helper()
	_, err := p.store.FinishRun(p.t.Context(), r.ID, boathook.Claim{ID: "claim_" + r.ID}, boathook.Outcome{Status: boathook.RunSucceeded, CompletedAt: p.clock})
	p.must(err)
	whole, err := p.store.Run(p.t.Context(), "ws_a", r.ID)
	p.must(err)
	p.must(p.Finish(p.t.Context(), whole, store.ScheduledCheck(r.ID, p.clock)))
}

// wantSent wants the messages of runs, and no others.
func (p *turnPlace) wantSent(want ...boathook.Run) {
	p.t.Helper()
	var got, ids []string
	for _, r := range queued(p.t, p.queue) {
		got = append(got, r.ID)
		if !r.TakesTurn {
			p.t.Errorf("the message of %s says that it needs no turn", r.ID)
		}
	}
	for _, r := range want {
		ids = append(ids, r.ID)
	}
	if slices.Sort(got); !slices.Equal(got, ids) {
		p.t.Errorf("sent are %v, want %v", got, ids)
	}
}

func (p *turnPlace) wantLine(want ...boathook.Run) {
	p.t.Helper()
	view, err := p.store.Store.Turns(p.t.Context(), "dep_a", store.MaxLine)
	p.must(err)
	if !slices.EqualFunc(view.Line, want, func(w store.Waiting, r boathook.Run) bool { return w.RunID == r.ID }) {
		p.t.Errorf("in line are %v, want %d", view.Line, len(want))
	}
}

// sweep does what is due of lines, and tells how often that was asked for.
func (p *turnPlace) sweep() (lines int) {
	p.t.Helper()
	for shard := range store.DueShards {
		rows, err := p.store.Due(p.t.Context(), shard, store.Due{}, p.clock, 100)
		p.must(err)
		for _, row := range rows {
			if row.Kind == store.DueLine {
				lines++
				p.must(p.GiveTurns(p.t.Context(), row))
			}
		}
	}
	return lines
}

func TestRunsTakeTurnsInTheOrderOfAcceptance(t *testing.T) {
	p := newTurns(t, 2)
	a, b, c, d := p.run(), p.run(), p.run(), p.run()
	if !p.take(a) || !p.take(b) {
		t.Fatal("there are two turns")
	}
	if p.take(d) || p.take(c) { // whose messages come in another order
		t.Fatal("there are no more than two turns")
	}
	p.wantLine(c, d)
	head, err := p.store.RunHead(t.Context(), c.ID)
	if err != nil || head.Status != boathook.RunPending || !head.WaitsSince.Equal(p.clock) {
		t.Errorf("who waits is %+v, %v", head, err)
	}
	p.wantSent()
	p.finish(b)
	p.wantSent(c)
	p.wantLine(d)
	if !p.take(c) {
		t.Error("it is its turn")
	}
	if p.take(d) { // its first message comes twice
		t.Error("it is not its turn")
	}
	p.finish(a)
	p.wantSent(d)
	p.wantLine()
	if !p.take(d) {
		t.Error("it is its turn")
	}
	p.finish(c)
	p.finish(d)
	p.wantSent()
}

func TestWhoComesLaterDoesNotPassTheLine(t *testing.T) {
	p := newTurns(t, 1)
	a, b, c := p.run(), p.run(), p.run()
	p.take(a)
	p.take(b)
	p.must(p.store.EndTurn(t.Context(), "dep_a", a.ID)) // whoever ended it dies before it looks
	if p.take(c) {
		t.Error("it has passed the line")
	}
	p.wantSent(b)
	p.wantLine(c)
}

// Of two that want one turn at once, the one whose write fails stands in line.
func TestTwoWantOneTurn(t *testing.T) {
	p := newTurns(t, 1)
	a, b := p.run(), p.run()
	p.store.moved = func() {
		if !p.take(a) {
			t.Error("it was first")
		}
	}
	if p.take(b) {
		t.Error("both have the turn")
	}
	p.wantLine(b)
}

func TestALimitThatIsRaisedLetsThoseGoWhoWait(t *testing.T) {
	for name, limit := range map[string]int{"raised": 30, "ended": 0} {
		t.Run(name, func(t *testing.T) {
			p := newTurns(t, 1)
			p.take(p.run())
			var waiting []boathook.Run
			for range 45 {
				r := p.run()
				waiting = append(waiting, r)
				p.take(r)
			}
			p.limit(limit)
			p.clock = p.clock.Add(2 * time.Minute)
			if n := p.sweep(); n != 1 {
				t.Errorf("the line is looked at %d times", n)
			}
			goes := 29
			if limit == 0 {
				goes = len(waiting)
			}
			p.wantSent(waiting[:goes]...)
			p.wantLine(waiting[goes:]...)
			p.clock = p.clock.Add(2 * time.Minute)
			again := 1
			if limit == 0 {
				again = 0
			}
			if n := p.sweep(); n != again {
				t.Errorf("the line is looked at %d times more, want %d", n, again)
			}
			p.wantSent()
		})
	}
}

func TestALimitThatIsLoweredHoldsForThoseWhoWait(t *testing.T) {
	p := newTurns(t, 3)
	a, b, c, d := p.run(), p.run(), p.run(), p.run()
	for _, r := range []boathook.Run{a, b, c, d} {
		p.take(r)
	}
	p.limit(1)
	p.finish(a)
	p.finish(b)
	p.wantSent()
	p.finish(c)
	p.wantSent(d)
}

func TestWhatIsOverLeavesTheLine(t *testing.T) {
	p := newTurns(t, 1)
	a, b, c, d := p.run(), p.run(), p.run(), p.run()
	for _, r := range []boathook.Run{a, b, c, d} {
		p.take(r)
	}
	_, err := p.store.RequestCancel(t.Context(), b.ID, p.clock) // who has canceled it dies before it leaves the line
	p.must(err)
	p.finish(a)
	p.wantSent(c)
	p.wantLine(d)
	if _, through, err := p.TakeTurn(t.Context(), b); !through || err != nil {
		t.Errorf("its message comes again: let through to who finds out that it is over: %t, %v", through, err)
	}
	p.wantLine(d)
}

// The one who gave a turn has died before the message was sent.
func TestATurnWhoseMessageWasNotSentIsSentByTheNext(t *testing.T) {
	p := newTurns(t, 1)
	a, b := p.run(), p.run()
	p.take(a)
	p.take(b)
	p.must(p.store.EndTurn(t.Context(), "dep_a", a.ID))
	view, err := p.store.Store.Turns(t.Context(), "dep_a", 1)
	p.must(err)
	_, err = p.store.Store.MoveTurns(t.Context(), "dep_a", view, map[string]time.Time{b.ID: p.clock})
	p.must(err)
	p.clock = p.clock.Add(59 * time.Second)
	p.sweep()
	p.wantSent() // it may be about to be sent
	p.clock = p.clock.Add(time.Minute)
	p.sweep()
	p.wantSent(b)
	p.wantLine()
}

// A run that has its turn never starts: its message is dead.
func TestATurnThatNobodyUsesIsTakenAway(t *testing.T) {
	p := newTurns(t, 1)
	a, b, c := p.run(), p.run(), p.run()
	p.take(a)
	p.take(b)
	p.finish(a)
	p.wantSent(b)
	p.take(c)
	p.clock = p.clock.Add(59 * time.Minute)
	p.sweep()
	p.wantSent()
	p.clock = p.clock.Add(2 * time.Minute)
	p.sweep()
	p.wantSent(c)
	// It is sent again by an operator, and waits for its turn.
	if p.take(b) {
		t.Error("it has another's turn")
	}
	p.take(c)
	p.finish(c)
	p.wantSent(b)
	if !p.take(b) {
		t.Error("it is its turn")
	}
}

// A run may execute for long: its turn is its own.
func TestATurnThatIsUsedIsNotTakenAway(t *testing.T) {
	p := newTurns(t, 1)
	a, b := p.run(), p.run()
	p.take(a)
	p.take(b)
	for range 3 {
		p.clock = p.clock.Add(time.Hour + time.Minute)
		p.sweep()
	}
	p.wantSent()
	p.wantLine(b)
}

// Half an hour after a run was given its turn it has to be given it anew: else it could be
// taken away while the run is about to start.
func TestATurnIsRenewedByWhoComesLate(t *testing.T) {
	p := newTurns(t, 1)
	a, b := p.run(), p.run()
	p.take(a)
	p.take(b)
	p.finish(a)
	p.clock = p.clock.Add(45 * time.Minute)
	if !p.take(b) {
		t.Fatal("it is its turn")
	}
	view, err := p.store.Store.Turns(t.Context(), "dep_a", 1)
	if at := view.Taken[b.ID]; err != nil || !at.Equal(p.clock) {
		t.Errorf("its turn counts from %s, %v", at, err)
	}
}

// Whoever failed to start a run removes its record. If it has started all the same, and waits,
// its record is all there is of it.
func TestARunThatWaitsKeepsItsRecord(t *testing.T) {
	p := newTurns(t, 1)
	a, b := p.run(), p.run()
	p.take(a)
	p.must(p.store.CreateRun(t.Context(), b))
	p.take(b)
	p.must(p.store.RemovePending(t.Context(), b.ID))
	p.finish(a)
	p.wantSent(b)
}

// A trigger that was refused, though the queue took its message, is repeated under its key: two
// messages of one run tell of two times.
func TestARunStandsInLineOnce(t *testing.T) {
	p := newTurns(t, 1)
	a, refused, between, again := p.run(), p.run(), p.run(), p.run()
	again.ID = refused.ID
	p.take(a)
	p.must(p.store.CreateRun(t.Context(), again))
	for _, r := range []boathook.Run{between, refused, again} {
		p.take(r)
	}
	p.wantLine(between, again)
	p.finish(a)
	p.wantSent(between)
	p.wantLine(again)
}

func TestARunOfADeploymentWithoutALimitCostsNothingMore(t *testing.T) {
	p := newTurns(t, 0)
	r := p.run()
	r.TakesTurn = false
	p.start(r)
	p.finish(r)
	if p.store.calls != 0 {
		t.Errorf("turns were looked at %d times", p.store.calls)
	}
	message, err := queue.EncodeRun(r)
	p.must(err)
	if got, err := queue.DecodeRun(message.Body); err != nil || got.TakesTurn {
		t.Errorf("its message says %t, %v", got.TakesTurn, err)
	}
}

// A look reads twenty of a line. Who is handled and stands further behind does not overtake
// those in between.
func TestNobodyOvertakesThoseThatALookHasNotRead(t *testing.T) {
	p := newTurns(t, 1)
	p.take(p.run())
	var last boathook.Run
	for range 30 {
		if last = p.run(); p.take(last) {
			t.Fatalf("%s has a turn, of one", last.ID)
		}
	}
	p.limit(25)
	if p.take(last) {
		t.Error("the last in line has a turn before others")
	}
	view, err := p.store.Store.Turns(t.Context(), "dep_a", 100)
	p.must(err)
	if _, has := view.Taken[last.ID]; has || len(view.Taken) != 25 {
		t.Errorf("turns have %v", view.Taken)
	}
}
