package mem

import (
	"boathook/internal/store"
	"context"
	"time"
)

type slotKey struct {
	webhookID string
	interval  time.Duration
}

// ReserveSlot implements [store.Slots].
func (s *Store) ReserveSlot(_ context.Context, webhookID string, interval time.Duration, now time.Time) (time.Time, error) {
	if err := store.CheckIDs(webhookID); err != nil {
		return time.Time{}, err
	}
	defer s.lock()()
	k := slotKey{webhookID, interval}
	free, exists := s.slots[k]
	if !exists {
		s.expire(func() { delete(s.slots, k) })
	}
	if free.Before(now) {
		free = now.UTC().Truncate(time.Microsecond)
	}
	s.slots[k] = free.Add(interval)
	return free, nil
}
