package mem

import (
	"context"
	"time"

	"boathook/internal/store"
)

type leaseKey struct {
	name  string
	place int
}

// TakeLease implements [store.Leases].
func (s *Store) TakeLease(_ context.Context, name string, places int, now, until time.Time) (l store.Lease, taken bool, err error) {
	if err := store.CheckForeignID(name); err != nil {
		return l, false, err
	}
	defer s.lock()()
	for place := range places {
		k := leaseKey{name, place}
		if now.Before(s.leases[k]) {
			continue
		}
		s.leases[k] = stored(until)
		return store.Lease{Name: name, Place: place, Until: stored(until)}, true, nil
	}
	return l, false, nil
}

// ReturnLease implements [store.Leases].
func (s *Store) ReturnLease(_ context.Context, l store.Lease) error {
	defer s.lock()()
	if k := (leaseKey{l.Name, l.Place}); s.leases[k].Equal(stored(l.Until)) {
		delete(s.leases, k)
	}
	return nil
}
