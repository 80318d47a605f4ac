package storetest

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

func (s *suite) testTurns(t *testing.T) {
	const r0, r1, r2, r3 = "run_0", "run_1", "run_2", "run_3"
	dep, now := boathook.NewID(boathook.DeploymentID), s.clock.Now()
	look := func(t *testing.T, limit int) store.TurnsView {
		t.Helper()
		return read(s.Turns(t.Context(), dep, limit))(t)
	}
	wantTaken := func(t *testing.T, want map[string]time.Time) {
		t.Helper()
		if got := look(t, 1).Taken; !maps.EqualFunc(got, want, time.Time.Equal) {
			t.Errorf("taken by %v, want %v", got, want)
		}
	}
	wantLine := func(t *testing.T, want ...store.Waiting) {
		t.Helper()
		got := look(t, store.MaxLine).Line
		if !slices.EqualFunc(got, want, func(a, b store.Waiting) bool { return a.Compare(b) == 0 }) {
			t.Errorf("in line are %v, want %v", got, want)
		}
	}
	move := func(t *testing.T, known store.TurnsView, taken map[string]time.Time, want bool) {
		t.Helper()
		if moved := read(s.MoveTurns(t.Context(), dep, known, taken))(t); moved != want {
			t.Errorf("moved %t, want %t", moved, want)
		}
	}

	t.Run("at first nobody has a turn, and nobody waits", func(t *testing.T) {
		wantTaken(t, nil)
		wantLine(t)
		must(t, s.EndTurn(t.Context(), dep, r0))
		must(t, s.LeaveLine(t.Context(), dep, store.Waiting{RunID: r0, At: now}))
		wantTaken(t, nil)
	})
	t.Run("of many that move the turns at once, one does", func(t *testing.T) {
		known := look(t, 1)
		moved := winners(t, 6, func(ctx context.Context, _ int) (bool, error) {
			return s.MoveTurns(ctx, dep, known, map[string]time.Time{r0: now})
		})
		if len(moved) != 1 {
			t.Errorf("%d have moved them", len(moved))
		}
		wantTaken(t, map[string]time.Time{r0: now})
		move(t, known, nil, false)
	})
	t.Run("who knows them moves them, also to none", func(t *testing.T) {
		known := look(t, 1)
		move(t, known, map[string]time.Time{r0: now, r1: now.Add(time.Second + time.Microsecond)}, true)
		move(t, known, nil, false)
		wantTaken(t, map[string]time.Time{r0: now, r1: now.Add(time.Second)})
		known = look(t, 1)
		move(t, known, nil, true)
		wantTaken(t, nil)
		move(t, known, nil, false)
		move(t, look(t, 1), map[string]time.Time{r0: now, r1: now}, true)
	})
	t.Run("a turn ends once, and who has read it before does not bring it back", func(t *testing.T) {
		known := look(t, 1)
		must(t, s.EndTurn(t.Context(), dep, r0))
		wantTaken(t, map[string]time.Time{r1: now})
		move(t, known, known.Taken, false)
		known = look(t, 1)
		must(t, s.EndTurn(t.Context(), dep, r0)) // it has none any more: nothing changes
		move(t, known, map[string]time.Time{r1: now, r2: now}, true)
		wantTaken(t, map[string]time.Time{r1: now, r2: now})
	})
	first, second, third := store.Waiting{RunID: r3, At: now.Add(-time.Second)}, store.Waiting{RunID: r0, At: now}, store.Waiting{RunID: r2, At: now}
	t.Run("a line is in the order of acceptance, whoever stands in it first", func(t *testing.T) {
		for _, w := range []store.Waiting{third, first, second, third} {
			must(t, s.StandInLine(t.Context(), dep, w))
		}
		wantLine(t, first, second, third)
		if got := look(t, 2).Line; len(got) != 2 || got[0].Compare(first) != 0 || got[1].Compare(second) != 0 {
			t.Errorf("the first two are %v", got)
		}
		wantTaken(t, map[string]time.Time{r1: now, r2: now})
	})
	t.Run("who leaves is gone, and may come again", func(t *testing.T) {
		for range 2 {
			must(t, s.LeaveLine(t.Context(), dep, second))
			wantLine(t, first, third)
		}
		must(t, s.StandInLine(t.Context(), dep, second))
		wantLine(t, first, second, third)
	})
	t.Run("a long line is read from its beginning", func(t *testing.T) {
		long := boathook.NewID(boathook.DeploymentID)
		for i := range 30 {
			must(t, s.StandInLine(t.Context(), long, store.Waiting{RunID: r0, At: now.Add(time.Duration(29-i) * time.Second)}))
		}
		if got := read(s.Turns(t.Context(), long, 25))(t).Line; len(got) != 25 || !got[0].At.Equal(now) || !got[24].At.Equal(now.Add(24*time.Second)) {
			t.Errorf("got %v", got)
		}
	})
	t.Run("another deployment has its own", func(t *testing.T) {
		other := read(s.Turns(t.Context(), boathook.NewID(boathook.DeploymentID), 10))(t)
		if len(other.Taken) > 0 || len(other.Line) > 0 {
			t.Errorf("it has %+v", other)
		}
	})
	t.Run("after the retention they are gone", func(t *testing.T) {
		s.clock.Advance(retention)
		wantTaken(t, nil)
		wantLine(t)
		must(t, s.EndTurn(t.Context(), dep, r1))
		move(t, look(t, 1), map[string]time.Time{r3: now}, true)
		wantTaken(t, map[string]time.Time{r3: now})
	})
}

func (s *suite) testMarkWaiting(t *testing.T) {
	at := s.clock.Now().Add(time.Second)
	t.Run("a pending run waits since it was first said to, and is not removed as one that was refused", func(t *testing.T) {
		r := s.pending(t)
		for _, since := range []time.Time{at, at.Add(time.Minute)} {
			head := read(s.MarkWaiting(t.Context(), r.ID, since))(t)
			r.WaitsSince = at
			wantSame(t, "head", head, r.RunHead)
		}
		must(t, s.RemovePending(t.Context(), r.ID))
		s.wantRun(t, r)
		head := read(s.ClaimRun(t.Context(), r.ID, s.newClaim(), s.clock.Now()))(t)
		if head.Status != boathook.RunRunning || !head.WaitsSince.Equal(at) {
			t.Errorf("claimed as %+v", head)
		}
	})
	t.Run("a run that is running or over is a conflict, and told", func(t *testing.T) {
		running, _ := s.running(t)
		for _, r := range []boathook.Run{running, s.over(t)} {
			head, err := s.MarkWaiting(t.Context(), r.ID, at)
			if !boathook.IsKind(err, boathook.Conflict) || head.Status != r.Status {
				t.Errorf("got %+v, %v", head, err)
			}
			s.wantRun(t, r)
		}
	})
	t.Run("an absent run is not found, and not made", func(t *testing.T) {
		r := s.newRun()
		if _, err := s.MarkWaiting(t.Context(), r.ID, at); !boathook.IsKind(err, boathook.NotFound) {
			t.Errorf("got %v", err)
		}
		s.wantNoRun(t, r)
	})
	t.Run("a run is created as one that takes its turn, and waits", func(t *testing.T) {
		r := s.newRun()
		r.TakesTurn, r.WaitsSince = true, at
		must(t, s.CreateRun(t.Context(), r))
		must(t, s.RemovePending(t.Context(), r.ID))
		s.wantRun(t, r)
	})
}

func (s *suite) testMaxInFlight(t *testing.T) {
	source := s.newSource(boathook.NewID(boathook.WorkspaceID))
	want := func(t *testing.T, limit int) {
		t.Helper()
		if got := read(s.LookUpTrigger(t.Context(), source.ID, "", ""))(t).MaxInFlight; got != limit {
			t.Errorf("a trigger sees the limit %d, want %d", got, limit)
		}
	}
	put := func(t *testing.T, limit int) {
		t.Helper()
		source.Deployment = &boathook.DeploymentSettings{MaxInFlight: limit}
		must(t, s.PutSource(t.Context(), source))
		source.Revision++
		wantSame(t, "source", read(s.Source(t.Context(), source.WorkspaceID, source.ID))(t), source)
	}
	t.Run("a trigger sees the limit of a deployment, as it is after each change", func(t *testing.T) {
		want(t, 0)
		put(t, 3)
		want(t, 3)
		v := read(s.AddVersion(t.Context(), s.newVersion(source)))(t)
		want(t, 3)
		must(t, s.Activate(t.Context(), v, boathook.Staging))
		put(t, 1000)
		want(t, 1000)
		put(t, 0)
		want(t, 0)
		put(t, 1)
		want(t, 1)
		if live := read(s.Live(t.Context(), source.ID))(t); len(live) != 2 {
			t.Errorf("live is %v", live)
		}
	})
	t.Run("a deployment that is deleted has none", func(t *testing.T) {
		must(t, s.DeleteSource(t.Context(), source.WorkspaceID, source.ID))
		want(t, 0)
	})
}
