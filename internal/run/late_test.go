package run_test

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/delivery"
	"boathook/internal/run"
	"boathook/internal/sweep"
)

// A process stands still between the row that has its run looked after and the
// claim: Lambda freezes processes. Once the row's time has come, sweep may have
// looked, found nothing claimed, and have deleted it; a run that began then would
// be nobody's if its runner died.
func TestARunThatIsClaimedTooLateIsNotExecuted(t *testing.T) {
	const looked = run.Lease + run.Grace // after the row is written
	for name, tc := range map[string]struct {
		frozen   time.Duration
		executed int64
	}{
		"just in time": {looked - time.Millisecond, 1},
		"too late":     {looked, 0},
		"far too late": {time.Hour, 0},
	} {
		for record, pending := range map[string]bool{"with its record": true, "without one": false} {
			t.Run(name+", "+record, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newPlace(t, succeed(`{}`))
					r := p.Run(`{}`, time.Now())
					if pending {
						must(t, p.store.CreateRun(t.Context(), r))
					}
					p.store.fail = func(call string) error {
						if call == "ClaimRun" {
							p.store.fail = nil
							time.Sleep(tc.frozen)
						}
						return nil
					}
					err := p.Handle(t.Context(), message(t, r))
					if n := p.executions.Load(); n != tc.executed || (err == nil) != (tc.executed == 1) {
						t.Fatalf("frozen for %s, it was executed %d times, and handled with %v", tc.frozen, n, err)
					}

					// Its message comes again, and sweep looks: it ends all the same, once.
					must(t, p.Handle(t.Context(), message(t, r)))
					p.sweepAll(t)
					run := p.get(t, r.ID)
					if !run.Status.Over() || !run.Published || p.executions.Load() != tc.executed || len(p.scheduled(t)) != 0 {
						t.Errorf("the run is %s after %d executions; rows %v", run.Status, p.executions.Load(), p.scheduled(t))
					}
					if d := p.delivered(t); len(d) != 1 {
						t.Errorf("%d deliveries tell of its end", len(d))
					}
				})
			})
		}
	}
}

// sweepAll sweeps each minute for a few hours.
func (p *place) sweepAll(t *testing.T) {
	t.Helper()
	sweeper := sweep.Sweeper{
		Store: p.store, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Keeper: &run.Keeper{
			Store: p.store, Now: time.Now, Log: slog.New(slog.DiscardHandler),
			Publish: &delivery.Publisher{Store: p.store, Queue: p.deliveries, Log: slog.New(slog.DiscardHandler)},
		},
	}
	for range 3 * 60 {
		must(t, sweeper.Sweep(t.Context()))
		time.Sleep(time.Minute)
	}
}
