package storetest

import (
	"context"
	"crypto/sha256"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

func (s *suite) newPin() store.EventPin {
	return store.EventPin{
		WorkspaceID: boathook.NewID(boathook.WorkspaceID), ID: "order 4711 # ü", Hash: sha256.Sum256([]byte("content")), Time: s.clock.Now(),
	}
}

func (s *suite) testEvents(t *testing.T) {
	t.Run("one that is pinned again has the time of its first", func(t *testing.T) {
		first := s.newPin()
		wantSame(t, "the first pin", read(s.PinEvent(t.Context(), first))(t), first)
		again := first
		again.Time = first.Time.Add(time.Hour)
		wantSame(t, "the second pin", read(s.PinEvent(t.Context(), again))(t), first)
	})
	t.Run("one that is published says so, with its deliveries", func(t *testing.T) {
		p := s.newPin()
		read(s.PinEvent(t.Context(), p))(t)
		for range 2 {
			must(t, s.MarkEventPublished(t.Context(), p.WorkspaceID, p.ID, []int{100, 0, 2}))
			want := p
			want.Published, want.Deliveries = true, []int{100, 0, 2}
			wantSame(t, "the pin", read(s.PinEvent(t.Context(), p))(t), want)
		}
	})
	t.Run("one with other content is a conflict, and changes nothing", func(t *testing.T) {
		p := s.newPin()
		read(s.PinEvent(t.Context(), p))(t)
		other := p
		other.Hash = sha256.Sum256([]byte("other"))
		_, err := s.PinEvent(t.Context(), other)
		wantKind(t, "PinEvent", err, boathook.Conflict)
		wantSame(t, "the pin", read(s.PinEvent(t.Context(), p))(t), p)
	})
	t.Run("of several with different content at once, one wins", func(t *testing.T) {
		p := s.newPin()
		won := atOnce(t, 4, func(ctx context.Context, i int) error {
			mine := p
			mine.Hash[0] = byte(i)
			_, err := s.PinEvent(ctx, mine)
			return err
		})
		if len(won) != 1 {
			t.Errorf("%d won", len(won))
		}
	})
	t.Run("another workspace's is another event", func(t *testing.T) {
		p := s.newPin()
		read(s.PinEvent(t.Context(), p))(t)
		other := p
		other.WorkspaceID, other.Hash = boathook.NewID(boathook.WorkspaceID), sha256.Sum256([]byte("other"))
		wantSame(t, "the pin", read(s.PinEvent(t.Context(), other))(t), other)
	})
	t.Run("one that is not pinned can't be published", func(t *testing.T) {
		p := s.newPin()
		wantKind(t, "MarkEventPublished", s.MarkEventPublished(t.Context(), p.WorkspaceID, p.ID, []int{1}), boathook.NotFound)
	})
}
