package mem

import (
	"bytes"
	"context"
	"time"

	"boathook/internal/store"
	"boathook/internal/store/paging"
)

// PutDue implements [store.Schedule].
func (s *Store) PutDue(_ context.Context, d store.Due) error {
	if err := store.CheckForeignID(d.ID); err != nil {
		return err
	}
	defer s.lock()()
	s.due.put(d.Shard(), paging.PositionOf(d.At, d.ID), cloneDue(d))
	return nil
}

// Due implements [store.Schedule].
func (s *Store) Due(_ context.Context, shard int, after store.Due, until time.Time, limit int) ([]store.Due, error) {
	defer s.lock()()
	i, found := s.due.search(shard, paging.PositionOf(after.At, after.ID))
	if found {
		i++
	}
	var rows []store.Due
	for _, e := range s.due[shard][i:] {
		if len(rows) == limit || e.At > until.UnixMilli() {
			break
		}
		rows = append(rows, cloneDue(e.Value))
	}
	return rows, nil
}

// DeleteDue implements [store.Schedule].
func (s *Store) DeleteDue(_ context.Context, d store.Due) error {
	defer s.lock()()
	s.due.remove(d.Shard(), paging.PositionOf(d.At, d.ID))
	return nil
}

func cloneDue(d store.Due) store.Due {
	d.At = stored(d.At)
	d.Payload = bytes.Clone(d.Payload)
	return d
}
