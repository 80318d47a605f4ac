package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

func (s *suite) testBursts(t *testing.T) {
	in, now := boathook.NewID(boathook.IncomingID), s.clock.Now()
	burst := func() store.Burst { return store.Burst{RunID: boathook.NewID(boathook.RunID), At: now} }
	wantBurst := func(t *testing.T, key string, want store.Burst) {
		t.Helper()
		got, pinned, err := s.LookUpBurst(t.Context(), in, key, "run_none")
		if must(t, err); got.RunID != want.RunID || !got.At.Equal(want.At) || pinned != "" {
			t.Errorf("the burst is %+v, pinned %q; want %+v", got, pinned, want)
		}
	}
	move := func(t *testing.T, key, from string, to store.Burst, want bool) {
		t.Helper()
		if moved := read(s.MoveBurst(t.Context(), in, key, from, to))(t); moved != want {
			t.Errorf("moved %t, want %t", moved, want)
		}
	}
	first, second := burst(), burst()
	t.Run("of many that begin one at once, one does", func(t *testing.T) {
		wantBurst(t, "key", store.Burst{})
		move(t, "key", first.RunID, second, false)
		if began := winners(t, 7, func(ctx context.Context, _ int) (bool, error) { return s.MoveBurst(ctx, in, "key", "", first) }); len(began) != 1 {
			t.Errorf("%d have begun it", len(began))
		}
		wantBurst(t, "key", first)
	})
	t.Run("who knows it begins the next; another key has its own", func(t *testing.T) {
		move(t, "key", "", second, false)
		move(t, "key", first.RunID, second, true)
		move(t, "key", first.RunID, first, false)
		wantBurst(t, "key", second)
		wantBurst(t, "other", store.Burst{})
		move(t, "other", "", first, true)
		wantBurst(t, "key", second)
	})
	t.Run("the run that an id stands for is seen with it", func(t *testing.T) {
		id := boathook.NewID(boathook.RunID)
		read(s.PinRun(t.Context(), id, first.RunID))(t)
		got, pinned, err := s.LookUpBurst(t.Context(), in, "key", id)
		if must(t, err); got.RunID != second.RunID || pinned != first.RunID {
			t.Errorf("got %+v, %q", got, pinned)
		}
	})
	t.Run("after the retention it is gone", func(t *testing.T) {
		s.clock.Advance(retention)
		wantBurst(t, "key", store.Burst{})
		move(t, "key", "", first, true)
	})
}

// joinable is a pending run that triggers can join.
func (s *suite) joinable(t *testing.T) boathook.Run {
	t.Helper()
	r := s.newRun()
	r.StartsAt = s.clock.Now().Add(time.Minute)
	r.Burst = &boathook.Burst{Count: 1, Triggers: []boathook.BurstTrigger{{ID: boathook.NewID(boathook.RunID), DeliveryID: "d-1", At: s.clock.Now()}}}
	must(t, s.CreateRun(t.Context(), r))
	s.wantRun(t, r)
	return r
}

func (s *suite) newJoin(n int) store.Join {
	return store.Join{
		Input: boathook.NewBody(fmt.Appendf(nil, `{"n":%d}`, n)), Details: boathook.TriggerDetails{Event: "push", DeliveryID: fmt.Sprint("d-", n)},
		Trigger:  boathook.BurstTrigger{ID: boathook.NewID(boathook.RunID), DeliveryID: fmt.Sprint("d-", n), At: s.clock.Now()},
		StartsAt: s.clock.Now().Add(time.Duration(n) * time.Second),
	}
}

func (s *suite) testJoinRun(t *testing.T) {
	t.Run("a run has the input, the details and the time of the last that joins it, and lists them all", func(t *testing.T) {
		r := s.joinable(t)
		for n := 2; n <= 3; n++ {
			j := s.newJoin(n)
			if n == 3 {
				j.Details, j.Input = boathook.TriggerDetails{}, boathook.NewBody([]byte(`"`+strings.Repeat("x", 500<<10)+`"`))
			}
			head := read(s.JoinRun(t.Context(), r.RunHead, j))(t)
			r.Input, r.InputHash = j.Input, boathook.HashInput(j.Input.Bytes())
			store.AddTrigger(&r.RunHead, j)
			wantSame(t, "head", head, r.RunHead)
			s.wantRun(t, r)
			for id, want := range map[string]int{"d-1": 0, "d-2": 3 - n, "d-3": 0} {
				q := store.RunQuery{WorkspaceID: r.WorkspaceID, Kind: boathook.Deployment, DeliveryID: id, Page: boathook.Page{Limit: 10}}
				found := pageOf(s.Runs(t.Context(), q))(t)
				if len(slices.DeleteFunc(found, func(f boathook.Run) bool { return f.ID != r.ID })) != want {
					t.Errorf("after %d, %d runs are found by %s", n, len(found), id)
				}
			}
		}
		if r.Burst.Count != 3 || len(r.Burst.Triggers) != 3 {
			t.Errorf("it lists %+v", r.Burst)
		}
	})
	t.Run("a long list ends, and its count goes on", func(t *testing.T) {
		r := s.joinable(t)
		for n := range boathook.MaxBurstTriggers + 2 {
			store.AddTrigger(&r.RunHead, s.newJoin(n))
			head := read(s.JoinRun(t.Context(), r.RunHead, s.newJoin(n)))(t)
			if head.Burst.Count != n+2 || len(head.Burst.Triggers) != min(n+2, boathook.MaxBurstTriggers) {
				t.Fatalf("after %d: %d of %d are listed", n, len(head.Burst.Triggers), head.Burst.Count)
			}
		}
	})
	t.Run("of many that join at once, none is forgotten", func(t *testing.T) {
		r := s.joinable(t)
		atOnce(t, 8, func(ctx context.Context, i int) error { _, err := s.JoinRun(ctx, r.RunHead, s.newJoin(i)); return err })
		if head := read(s.RunHead(t.Context(), r.ID))(t); head.Burst.Count != 9 || len(head.Burst.Triggers) != 9 {
			t.Errorf("it lists %+v", head.Burst)
		}
	})
	t.Run("a run that is claimed or canceled, or waits, or is of no burst, takes no more", func(t *testing.T) {
		claimed, canceled, waits, other := s.joinable(t), s.joinable(t), s.joinable(t), s.pending(t)
		read(s.ClaimRun(t.Context(), claimed.ID, s.newClaim(), s.clock.Now()))(t)
		read(s.RequestCancel(t.Context(), canceled.ID, s.clock.Now()))(t)
		read(s.MarkWaiting(t.Context(), waits.ID, s.clock.Now()))(t)
		for _, r := range []boathook.Run{claimed, canceled, waits, other} {
			before := read(s.Run(t.Context(), r.WorkspaceID, r.ID))(t)
			head, err := s.JoinRun(t.Context(), r.RunHead, s.newJoin(2))
			if !boathook.IsKind(err, boathook.Conflict) {
				t.Errorf("%s: got %v", before.Status, err)
			}
			wantSame(t, "head", head, before.RunHead)
			s.wantRun(t, before)
		}
	})
	t.Run("an absent run is not found, and not made", func(t *testing.T) {
		r := s.newRun()
		if _, err := s.JoinRun(t.Context(), r.RunHead, s.newJoin(2)); !boathook.IsKind(err, boathook.NotFound) {
			t.Errorf("got %v", err)
		}
		s.wantNoRun(t, r)
	})
}
