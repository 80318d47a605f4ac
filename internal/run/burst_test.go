package run_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/run/target"
	"boathook/internal/store"
)

func joining(p *place, input string, starts time.Time) store.Join {
	return store.Join{
		Input: boathook.NewBody([]byte(input)), StartsAt: starts,
		Trigger: boathook.BurstTrigger{ID: boathook.NewID(boathook.RunID), At: time.Now()},
	}
}

// A burst's message comes before its time: it goes on waiting, and executes on the last
// input that joined, also one that joined between the look and the claim.
func TestABurstExecutesAtItsTimeOnItsLastInput(t *testing.T) {
	for name, recorded := range map[string]bool{"recorded": true, "without a record": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var inputs []string
				p := newPlace(t, func(_ context.Context, job target.Job, _ target.Log) target.Result {
					inputs = append(inputs, string(job.Input))
					return target.Result{}
				})
				r := p.Run(`{"n":1}`, time.Now())
				r.StartsAt = time.Now().Add(10 * time.Second)
				r.Burst = &boathook.Burst{Count: 1, Triggers: []boathook.BurstTrigger{{ID: "run_first", At: time.Now()}}}
				if recorded {
					must(t, p.store.CreateRun(t.Context(), r))
				}
				must(t, p.Handle(t.Context(), message(t, r)))
				if len(inputs) != 0 {
					t.Fatal("it has executed before its time")
				}
				want := `{"n":1}`
				if recorded {
					_, err := p.store.JoinRun(t.Context(), r.RunHead, joining(p, `{"n":2}`, time.Now().Add(20*time.Second)))
					must(t, err)
					time.Sleep(10 * time.Second)
					must(t, p.Handle(t.Context(), message(t, r)))
					if len(inputs) != 0 {
						t.Fatal("it has executed before its time, which has moved")
					}
					p.store.fail = func(call string) error {
						if call == "ClaimRun" {
							p.store.fail = nil
							_, err := p.store.JoinRun(t.Context(), r.RunHead, joining(p, `{"n":3}`, time.Now()))
							must(t, err)
						}
						return nil
					}
					want = `{"n":3}`
				}
				time.Sleep(10 * time.Second)
				must(t, p.Handle(t.Context(), message(t, r)))
				if len(inputs) != 1 || inputs[0] != want {
					t.Errorf("it has executed on %v, want %s", inputs, want)
				}
				if sent := queued(t, p.runs); len(sent) == 0 || sent[0].ID != r.ID {
					t.Errorf("while it was not yet time %d messages were sent", len(sent))
				}
				if _, err := p.store.JoinRun(t.Context(), r.RunHead, joining(p, `{"n":4}`, time.Now())); !boathook.IsKind(err, boathook.Conflict) {
					t.Errorf("a run that is over is joined: %v", err)
				}
			})
		})
	}
}

func TestABurstThatCanNotBeQueuedIsNotRecorded(t *testing.T) {
	starter, store, q := newStarter(t)
	r := pendingRun(`{}`)
	r.StartsAt, r.Burst = time.Now().Add(time.Hour), &boathook.Burst{Count: 1}
	starter.Queue = brokenQueue{}
	if _, err := starter.StartBurst(t.Context(), r); !boathook.IsKind(err, boathook.Unavailable) {
		t.Errorf("got %v", err)
	}
	if _, err := store.RunHead(t.Context(), r.ID); !boathook.IsKind(err, boathook.NotFound) {
		t.Errorf("its record is there: %v", err)
	}
	starter.Queue = q
	for _, want := range []bool{true, false} {
		if created, err := starter.StartBurst(t.Context(), r); created != want || err != nil {
			t.Errorf("created %t, %v; want %t", created, err, want)
		}
	}
	if stats := q.Stats(); stats.Delayed != 2 {
		t.Errorf("the queue has %+v", stats)
	}
}
