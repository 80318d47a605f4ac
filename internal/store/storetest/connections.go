package storetest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
)

// testConnections moves the clock, so it has a store of its own.
func (s *suite) testConnections(t *testing.T) {
	newConnection := func(workspaceID string) boathook.Connection {
		return boathook.Connection{ID: boathook.NewID("L0SM9cOFvHcCIhw="), WorkspaceID: workspaceID, ConnectedAt: s.clock.Now()}
	}
	wantWatchers := func(t *testing.T, workspaceID string, want ...boathook.Connection) {
		t.Helper()
		wantSame(t, "watchers", read(s.Watchers(t.Context(), workspaceID, boathook.LogChannel))(t), want)
	}
	wantNone := func(t *testing.T, id string) {
		t.Helper()
		_, err := s.Connection(t.Context(), id)
		wantKind(t, "Connection", err, boathook.NotFound)
	}

	t.Run("one that was never put is not found, and deleting it is no error", func(t *testing.T) {
		c := newConnection(boathook.NewID(boathook.WorkspaceID))
		wantNone(t, c.ID)
		must(t, s.DeleteConnection(t.Context(), c))
		wantWatchers(t, c.WorkspaceID)
	})
	t.Run("one authenticates, and watches only when it says so", func(t *testing.T) {
		c := newConnection("")
		must(t, s.PutConnection(t.Context(), c))
		wantSame(t, "connection", read(s.Connection(t.Context(), c.ID))(t), c)
		c.WorkspaceID = boathook.NewID(boathook.WorkspaceID)
		must(t, s.PutConnection(t.Context(), c))
		wantSame(t, "connection", read(s.Connection(t.Context(), c.ID))(t), c)
		wantWatchers(t, c.WorkspaceID)
		for range 2 {
			must(t, s.Watch(t.Context(), c, boathook.LogChannel))
			wantWatchers(t, c.WorkspaceID, c)
		}
		for range 2 {
			must(t, s.Unwatch(t.Context(), c, boathook.LogChannel))
			wantWatchers(t, c.WorkspaceID)
		}
		wantSame(t, "connection", read(s.Connection(t.Context(), c.ID))(t), c)
		must(t, s.Watch(t.Context(), c, boathook.LogChannel))
		wantWatchers(t, c.WorkspaceID, c)
	})
	t.Run("a workspace has its own watchers until they are deleted", func(t *testing.T) {
		workspaceID := boathook.NewID(boathook.WorkspaceID)
		kept, gone, other := newConnection(workspaceID), newConnection(workspaceID), newConnection(boathook.NewID(boathook.WorkspaceID))
		for _, c := range []boathook.Connection{kept, gone, other} {
			must(t, s.PutConnection(t.Context(), c))
			must(t, s.Watch(t.Context(), c, boathook.LogChannel))
		}
		must(t, s.DeleteConnection(t.Context(), gone))
		wantWatchers(t, workspaceID, kept)
		wantWatchers(t, other.WorkspaceID, other)
		wantNone(t, gone.ID)
		wantSame(t, "connection", read(s.Connection(t.Context(), kept.ID))(t), kept)
	})
	t.Run("a token has its own watchers, of its workspace", func(t *testing.T) {
		workspaceID := boathook.NewID(boathook.WorkspaceID)
		mine, too, others, stacks, elsewhere := newConnection(workspaceID), newConnection(workspaceID), newConnection(workspaceID),
			newConnection(workspaceID), newConnection(boathook.NewID(boathook.WorkspaceID))
		mine.TokenID, too.TokenID, others.TokenID, elsewhere.TokenID = "tok_mine", "tok_mine", "tok_others", "tok_mine"
		for _, c := range []boathook.Connection{mine, too, others, stacks, elsewhere} {
			must(t, s.PutConnection(t.Context(), c))
			must(t, s.Watch(t.Context(), c, boathook.LogChannel))
			wantSame(t, "connection", read(s.Connection(t.Context(), c.ID))(t), c)
		}
		idle := newConnection(workspaceID)
		idle.TokenID = "tok_mine"
		must(t, s.PutConnection(t.Context(), idle))

		want := []boathook.Connection{mine, too}
		slices.SortFunc(want, func(a, b boathook.Connection) int { return strings.Compare(a.ID, b.ID) })
		wantSame(t, "watchers by a token", read(s.WatchersBy(t.Context(), workspaceID, "tok_mine"))(t), want)
		must(t, s.DeleteConnection(t.Context(), too))
		wantSame(t, "watchers by a token", read(s.WatchersBy(t.Context(), workspaceID, "tok_mine"))(t), []boathook.Connection{mine})
		wantSame(t, "watchers by the stack's own token", read(s.WatchersBy(t.Context(), workspaceID, ""))(t), []boathook.Connection{stacks})
		if got := read(s.WatchersBy(t.Context(), workspaceID, "tok_unknown"))(t); len(got) != 0 {
			t.Errorf("an unknown token has the watchers %v", got)
		}
	})
	t.Run("one watches each channel by itself", func(t *testing.T) {
		workspaceID := boathook.NewID(boathook.WorkspaceID)
		c, log := newConnection(workspaceID), newConnection(workspaceID)
		c.TokenID = "tok_mine"
		for _, c := range []boathook.Connection{c, log} {
			must(t, s.PutConnection(t.Context(), c))
		}
		must(t, s.Watch(t.Context(), log, boathook.LogChannel))
		want := func(wantLog, wantDeliveries []boathook.Connection) {
			t.Helper()
			slices.SortFunc(wantLog, func(a, b boathook.Connection) int { return strings.Compare(a.ID, b.ID) })
			wantWatchers(t, workspaceID, wantLog...)
			wantSame(t, "watchers of deliveries", read(s.Watchers(t.Context(), workspaceID, boathook.DeliveriesChannel))(t), wantDeliveries)
		}
		for range 2 {
			must(t, s.Watch(t.Context(), c, boathook.DeliveriesChannel))
			want([]boathook.Connection{log}, []boathook.Connection{c})
		}
		for range 2 {
			must(t, s.Watch(t.Context(), c, boathook.LogChannel))
			want([]boathook.Connection{c, log}, []boathook.Connection{c})
		}
		wantSame(t, "watchers by a token", read(s.WatchersBy(t.Context(), workspaceID, "tok_mine"))(t), []boathook.Connection{c})
		for range 2 {
			must(t, s.Unwatch(t.Context(), c, boathook.LogChannel))
			want([]boathook.Connection{log}, []boathook.Connection{c})
		}
		wantSame(t, "watchers by a token", read(s.WatchersBy(t.Context(), workspaceID, "tok_mine"))(t), []boathook.Connection{c})
		must(t, s.Watch(t.Context(), c, boathook.LogChannel))
		must(t, s.Unwatch(t.Context(), c, boathook.DeliveriesChannel))
		want([]boathook.Connection{c, log}, nil)
		must(t, s.Watch(t.Context(), c, boathook.DeliveriesChannel))
		must(t, s.DeleteConnection(t.Context(), c))
		want([]boathook.Connection{log}, nil)
		if got := read(s.WatchersBy(t.Context(), workspaceID, "tok_mine"))(t); len(got) != 0 {
			t.Errorf("the token of a deleted connection has the watchers %v", got)
		}
	})
	t.Run("one that has not authenticated is deleted", func(t *testing.T) {
		c := newConnection("")
		must(t, s.PutConnection(t.Context(), c))
		must(t, s.DeleteConnection(t.Context(), c))
		wantNone(t, c.ID)
	})
	t.Run("nothing is seen of one that is too old", func(t *testing.T) {
		workspaceID := boathook.NewID(boathook.WorkspaceID)
		old := newConnection(workspaceID)
		must(t, s.PutConnection(t.Context(), old))
		must(t, s.Watch(t.Context(), old, boathook.LogChannel))
		s.clock.Advance(boathook.MaxConnection - time.Minute)
		young := newConnection(workspaceID)
		must(t, s.PutConnection(t.Context(), young))
		must(t, s.Watch(t.Context(), young, boathook.LogChannel))
		wantSame(t, "connection", read(s.Connection(t.Context(), old.ID))(t), old)

		s.clock.Advance(2 * time.Minute)
		wantNone(t, old.ID)
		wantWatchers(t, workspaceID, young)
	})
}
