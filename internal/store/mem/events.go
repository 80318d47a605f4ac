package mem

import (
	"context"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

type pinKey struct{ workspaceID, eventID string }

// PinEvent implements [store.Events].
func (s *Store) PinEvent(_ context.Context, p store.EventPin) (store.EventPin, error) {
	defer s.lock()()
	k := pinKey{p.WorkspaceID, p.EventID}
	pinned := s.pins[k]
	if pinned == nil {
		p.Time, p.Published, p.Deliveries = stored(p.Time), false, 0
		pinned = &p
		s.pins[k] = pinned
		s.expire(func() { delete(s.pins, k) })
	}
	if pinned.Hash != p.Hash {
		return p, boathook.Errorf(boathook.Conflict, "event %s is pinned with other content", p.EventID)
	}
	return *pinned, nil
}

// MarkEventPublished implements [store.Events].
func (s *Store) MarkEventPublished(_ context.Context, workspaceID, eventID string, deliveries int) error {
	defer s.lock()()
	pinned := s.pins[pinKey{workspaceID, eventID}]
	if pinned == nil {
		return notFound("event")
	}
	pinned.Published, pinned.Deliveries = true, deliveries
	return nil
}
