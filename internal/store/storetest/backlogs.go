package storetest

import (
	"context"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

func (s *suite) testBacklogs(t *testing.T) {
	r := s.newRun()
	now := s.clock.Now()
	first, second := now.Add(10*time.Second), now.Add(20*time.Second)
	wantMark := func(t *testing.T, want time.Time) {
		t.Helper()
		_, backlog, err := s.LookUpStart(t.Context(), r.SourceID, r.ID)
		must(t, err)
		view, err := s.LookUpTrigger(t.Context(), r.SourceID, r.WebhookID, "")
		must(t, err)
		if !backlog.Equal(want) || !view.Backlog.Equal(want) {
			t.Errorf("the mark is %s to who waits, %s to a trigger; want %s", backlog, view.Backlog, want)
		}
	}
	move := func(t *testing.T, from, to time.Time, want bool) {
		t.Helper()
		if moved, err := s.MoveBacklog(t.Context(), r.SourceID, from, to); moved != want || err != nil {
			t.Errorf("moved %t, %v; want %t", moved, err, want)
		}
	}

	t.Run("a source has none at first", func(t *testing.T) {
		wantMark(t, time.Time{})
		move(t, first, second, false)
		wantMark(t, time.Time{})
	})
	t.Run("of many that mark it at once, one does", func(t *testing.T) {
		marked := winners(t, 8, func(ctx context.Context, _ int) (bool, error) {
			return s.MoveBacklog(ctx, r.SourceID, time.Time{}, first)
		})
		if len(marked) != 1 {
			t.Errorf("%d have marked it", len(marked))
		}
		wantMark(t, first)
	})
	t.Run("a mark is moved by who knows it", func(t *testing.T) {
		move(t, time.Time{}, second, false)
		move(t, second, first, false)
		wantMark(t, first)
		move(t, first, second, true)
		wantMark(t, second)
	})
	t.Run("another source has its own", func(t *testing.T) {
		if moved, err := s.MoveBacklog(t.Context(), boathook.NewID(boathook.DeploymentID), time.Time{}, first); !moved || err != nil {
			t.Errorf("moved %t, %v", moved, err)
		}
	})
	t.Run("a mark is taken away by who knows it", func(t *testing.T) {
		move(t, first, time.Time{}, false)
		wantMark(t, second)
		move(t, second, time.Time{}, true)
		wantMark(t, time.Time{})
		move(t, time.Time{}, first, true)
		wantMark(t, first)
	})
	t.Run("one that nobody moves is gone after an hour", func(t *testing.T) {
		s.clock.Advance(10*time.Second + store.BacklogLife)
		wantMark(t, time.Time{})
		move(t, time.Time{}, second, true)
	})
	t.Run("who waits sees the run", func(t *testing.T) {
		r := s.newRun()
		if run, _, err := s.LookUpStart(t.Context(), r.SourceID, r.ID); run != nil || err != nil {
			t.Errorf("before it is created: %+v, %v", run, err)
		}
		must(t, s.CreateRun(t.Context(), r))
		run, _, err := s.LookUpStart(t.Context(), r.SourceID, r.ID)
		must(t, err)
		wantSame(t, "run", *run, r.RunHead)
	})
}
