package mem

import (
	"cmp"
	"context"
	"slices"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

type pinKey struct{ workspaceID, id string }

// PinEvent implements [store.Events].
func (s *Store) PinEvent(_ context.Context, p store.EventPin) (store.EventPin, error) {
	if err := cmp.Or(store.CheckIDs(p.WorkspaceID), store.CheckForeignID(p.ID)); err != nil {
		return p, err
	}
	defer s.lock()()
	k := pinKey{p.WorkspaceID, p.ID}
	pinned := s.pins[k]
	if pinned == nil {
		p.Time, p.Published, p.Deliveries = stored(p.Time), false, nil
		pinned = &p
		s.pins[k] = pinned
		s.expire(func() { delete(s.pins, k) })
	}
	if pinned.Hash != p.Hash {
		return p, boathook.Errorf(boathook.Conflict, "event %s is pinned with other content", p.ID)
	}
	return *pinned, nil
}

// MarkEventPublished implements [store.Events].
func (s *Store) MarkEventPublished(_ context.Context, workspaceID, id string, deliveries []int) error {
	defer s.lock()()
	pinned := s.pins[pinKey{workspaceID, id}]
	if pinned == nil {
		return notFound("event")
	}
	pinned.Published, pinned.Deliveries = true, slices.Clone(deliveries)
	return nil
}
