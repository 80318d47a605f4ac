package run_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	queuemem "boathook/internal/queue/mem"
	"boathook/internal/run"
)

// triggers are as on AWS: each is served by a process of its own, which knows of
// the others by the store alone.
type triggers struct {
	*startStore
	queue   *queuemem.Queue
	waiting atomic.Int64
}

func newTriggers(t *testing.T) *triggers {
	_, store, q := newStarter(t)
	return &triggers{startStore: store, queue: q}
}

const patience = 2 * time.Second

// fire starts a run of dep_a that a runner claims after a while, or never if that
// is 0. It tells for how long the run was waited for.
func (tr *triggers) fire(t *testing.T, claimed time.Duration) (started run.Started, waited time.Duration) {
	ctx := context.WithoutCancel(t.Context())
	process := &run.Starter{Store: tr, Queue: tr.queue, Now: time.Now, Log: silent}
	view, err := tr.LookUpTrigger(ctx, "dep_a", "in_a", "")
	if err != nil {
		t.Error(err)
	}
	r := pendingRun(`{}`)
	if claimed > 0 {
		time.AfterFunc(claimed, func() {
			claim := boathook.Claim{ID: "claim_a", LeaseUntil: time.Now().Add(time.Minute)}
			if _, err := tr.ClaimRun(ctx, r.ID, claim, time.Now()); err != nil {
				t.Error(err)
			}
		})
	}
	tr.waiting.Add(1)
	defer tr.waiting.Add(-1)
	begun := time.Now()
	if started, err = process.Start(ctx, r, run.Wait{Most: patience, Backlog: view.Backlog}); err != nil {
		t.Error(err)
	}
	return started, time.Since(begun)
}

// wantMark checks whether dep_a is marked.
func (tr *triggers) wantMark(t *testing.T, want bool) {
	t.Helper()
	view, err := tr.LookUpTrigger(t.Context(), "dep_a", "in_a", "")
	if err != nil || view.Backlog.IsZero() == want {
		t.Errorf("the mark is %s, %v", view.Backlog, err)
	}
}

// each fires a trigger at every interval, and tells how many were waiting at most
// from a time on.
func (tr *triggers) each(t *testing.T, interval, length, from time.Duration) (most int64) {
	for begun := time.Now(); time.Since(begun) < length; time.Sleep(interval) {
		go tr.fire(t, 0)
		synctest.Wait()
		if time.Since(begun) >= from {
			most = max(most, tr.waiting.Load())
		}
	}
	return most
}

func TestWhileRunsQueueUpTwoTriggersWaitAtMost(t *testing.T) {
	for _, interval := range []time.Duration{100 * time.Millisecond, 2 * time.Millisecond} { // 10 and 500 a second
		synctest.Test(t, func(t *testing.T) {
			tr := newTriggers(t)
			if most := tr.each(t, interval, time.Minute, 2*time.Second); most > 2 {
				t.Errorf("every %s: %d wait at a time", interval, most)
			}
			time.Sleep(patience)
			// Those of the first second look, and one in ten seconds tries.
			first := int64(2 * time.Second / interval)
			if looks, marks := tr.looks.Load(), tr.marks.Load(); looks > 10*first || marks > 2*first {
				t.Errorf("every %s: %d looks and %d marks", interval, looks, marks)
			}
		})
	}
}

func TestAnotherSourcesTriggersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTriggers(t)
		tr.fire(t, 0) // in vain
		if _, waited := tr.fire(t, 0); waited != 0 {
			t.Errorf("the second waits for %s", waited)
		}
		process := &run.Starter{Store: tr, Queue: tr.queue, Now: time.Now, Log: silent}
		other := pendingRun(`{}`)
		other.SourceID = "dep_other"
		begun := time.Now()
		if _, err := process.Start(t.Context(), other, run.Wait{Most: time.Second / 2}); err != nil || time.Since(begun) != time.Second/2 {
			t.Errorf("another source's start waited for %s, %v", time.Since(begun), err)
		}
	})
}

func TestOnceRunsStartAgainAllWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTriggers(t)
		tr.each(t, 100*time.Millisecond, 5*time.Second, 0)
		time.Sleep(10 * time.Second)
		if started, _ := tr.fire(t, 1200*time.Millisecond); started.Status != boathook.RunRunning {
			t.Fatalf("who tries sees %s", started.Status)
		}
		tr.wantMark(t, false)
		if started, _ := tr.fire(t, 100*time.Millisecond); started.Status != boathook.RunRunning {
			t.Errorf("the next sees %s", started.Status)
		}
	})
}

func TestARunThatStartsSlowlyLeavesNoMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTriggers(t)
		if started, _ := tr.fire(t, 1600*time.Millisecond); started.Status != boathook.RunRunning {
			t.Errorf("the run is %s", started.Status)
		}
		tr.wantMark(t, false)
		if _, waited := tr.fire(t, 0); waited != patience {
			t.Errorf("the next waits for %s", waited)
		}
		tr.wantMark(t, true)
	})
}

func TestWithoutAMarkTriggersWaitTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTriggers(t)
		tr.backlog = errDown
		if _, waited := tr.fire(t, 0); waited > patience {
			t.Errorf("it waited for %s", waited)
		}
	})
}
