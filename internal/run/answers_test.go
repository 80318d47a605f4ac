package run_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/delivery"
	"boathook/internal/run"
	"boathook/internal/run/target"
	"boathook/internal/testing/fixture"
)

// twice is a store whose first answer to a conditional write is always lost: the
// SDK makes the write again, and the caller gets the second answer.
type twice struct{ *faulty }

func (s twice) CreateRun(ctx context.Context, r boathook.Run) error {
	_ = s.faulty.CreateRun(ctx, r)
	return s.faulty.CreateRun(ctx, r)
}

func (s twice) ClaimRun(ctx context.Context, id string, c boathook.Claim, at time.Time) (boathook.RunHead, error) {
	_, _ = s.faulty.ClaimRun(ctx, id, c, at)
	return s.faulty.ClaimRun(ctx, id, c, at)
}

func (s twice) FinishRun(ctx context.Context, id string, c boathook.Claim, o boathook.Outcome) (boathook.RunHead, error) {
	_, _ = s.faulty.FinishRun(ctx, id, c, o)
	return s.faulty.FinishRun(ctx, id, c, o)
}

// deaf is a store of which no answer to a renewal is heard, though each takes
// effect.
type deaf struct{ *faulty }

func (s deaf) RenewLease(ctx context.Context, id string, c boathook.Claim) (bool, error) {
	_, err := s.faulty.RenewLease(ctx, id, c)
	return false, errors.Join(err, errDown)
}

// late is a store in which the record of a run appears between the look that
// misses it and the write that makes up for it.
type late struct {
	*faulty
	record boathook.Run
}

func (s *late) ClaimRun(ctx context.Context, id string, c boathook.Claim, at time.Time) (boathook.RunHead, error) {
	head, err := s.faulty.ClaimRun(ctx, id, c, at)
	if boathook.IsKind(err, boathook.NotFound) {
		return head, errors.Join(err, s.CreateRun(ctx, s.record))
	}
	return head, err
}

// on has the place's runs executed on another store.
func (p *place) on(s run.Store, d does) {
	log := slog.New(slog.DiscardHandler)
	p.Executor = run.New(run.Config{
		Store: s, Seal: fixture.Unsealed{}, Stream: p, Now: time.Now, Log: log, Heartbeat: 20 * time.Second,
		Targets: does(func(ctx context.Context, job target.Job, log target.Log) target.Result {
			p.executions.Add(1)
			return d(ctx, job, log)
		}),
		Keeper: &run.Keeper{
			Store: p.store, Now: time.Now, Log: log,
			Publish: &delivery.Publisher{Store: p.store, Queue: p.deliveries, Log: log},
		},
	})
}

// wantSuccess is of a run that was handled once: it was executed once, succeeded
// and told.
func (p *place) wantSuccess(t *testing.T, r boathook.Run) {
	t.Helper()
	run := p.get(t, r.ID)
	if run.Status != boathook.RunSucceeded || string(run.Output) != `{"ok":true}` || !run.Published || p.executions.Load() != 1 {
		t.Errorf("the run is %s with output %s, published: %v, after %d executions", run.Status, run.Output, run.Published, p.executions.Load())
	}
	if d := p.delivered(t); len(d) != 1 || d[0].EventType != boathook.EventRunSucceeded {
		t.Errorf("delivered %+v", d)
	}
	if rows := p.scheduled(t); len(rows) != 0 {
		t.Errorf("rows are left: %v", rows)
	}
}

func slowly(context.Context, target.Job, target.Log) target.Result {
	time.Sleep(70 * time.Second) // a few heartbeats
	return target.Result{Output: json.RawMessage(`{"ok":true}`)}
}

// A claim that seems to be another's, and an outcome that seems to be stored, are
// the runner's own.
func TestARunIsExecutedThoughTheStoresAnswersAreLost(t *testing.T) {
	for name, pending := range map[string]bool{"with its record": true, "without one": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t, slowly)
				p.on(twice{p.store}, slowly)
				r := p.Run(`{}`, time.Now())
				if pending {
					must(t, p.store.CreateRun(t.Context(), r))
				}
				must(t, p.Handle(t.Context(), message(t, r)))
				p.wantSuccess(t, r)
			})
		})
	}
}

// The record's lease is then another than the runner knows of.
func TestAnOutcomeIsStoredThoughTheAnswersToHeartbeatsAreLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, slowly)
		p.on(deaf{p.store}, slowly)
		r, body := p.accept(t, `{}`)
		must(t, p.Handle(t.Context(), body))
		p.wantSuccess(t, r)
	})
}

func TestARunGoesOnWhileItsLeaseHoldsThoughHeartbeatsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, slowly)
		beats := 0
		p.store.fail = func(call string) error {
			if call == "RenewLease" {
				beats++
				return errDown
			}
			return nil
		}
		r, body := p.accept(t, `{}`)
		must(t, p.Handle(t.Context(), body))
		if beats == 0 {
			t.Fatal("no heartbeat was due")
		}
		p.wantSuccess(t, r)
	})
}

// Intake's own write of the record comes after its message is received.
func TestARunWhoseRecordComesLateIsExecuted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, slowly)
		r := p.Run(`{}`, time.Now())
		p.on(&late{p.store, r}, slowly)
		must(t, p.Handle(t.Context(), message(t, r)))
		p.wantSuccess(t, r)
	})
}

// A store that stays down ends the invocation with the lease: sweep ends the run
// when the store is back.
func TestAnOutcomeThatCanNotBeStoredIsGivenUpWithTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, succeed(`{}`))
		r, body := p.accept(t, `{}`)
		begun := time.Now()
		p.store.fail = func(call string) error {
			if call == "FinishRun" && time.Since(begun) < 24*time.Hour {
				return errDown
			}
			return nil
		}
		if err := p.Handle(t.Context(), body); !errors.Is(err, errDown) || time.Since(begun) > run.Lease {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		time.Sleep(24 * time.Hour)
		must(t, p.Handle(t.Context(), body))
		if run := p.get(t, r.ID); run.Status != boathook.RunFailed || run.Error != "runner lost" || !run.Published || p.executions.Load() != 1 {
			t.Errorf("the run is %s: %q, after %d executions", run.Status, run.Error, p.executions.Load())
		}
	})
}

// The record was made for another request with the same key, before another
// version went live.
func TestTheRecordsVersionIsTheOneThatExecutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got string
		p := newPlace(t, func(_ context.Context, job target.Job, _ target.Log) target.Result {
			got = job.Target.URL
			return target.Result{}
		})
		r, _ := p.accept(t, `{}`)
		second, err := p.store.AddVersion(t.Context(), boathook.Version{
			ID: boathook.NewID(boathook.VersionID), SourceID: p.Source.ID, WorkspaceID: p.Source.WorkspaceID, Environment: boathook.Production,
			Target: boathook.Target{Type: boathook.TargetHTTP, URL: "https://second.example"}, CreatedAt: time.Now(),
		})
		must(t, err)
		again := r
		again.VersionID, again.VersionNumber = second.ID, second.Number
		must(t, p.Handle(t.Context(), message(t, again)))
		if got != p.Version.Target.URL {
			t.Errorf("executed %s", got)
		}
	})
}
