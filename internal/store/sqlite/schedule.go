package sqlite

import (
	"context"
	"time"

	"boathook/internal/database"
	"boathook/internal/store"
)

// PutDue implements [store.Schedule].
func (s *Store) PutDue(_ context.Context, d store.Due) error {
	if err := store.CheckForeignID(d.ID); err != nil {
		return err
	}
	return s.config.DB.Write(func(tx *database.Tx) error {
		return tx.Exec("INSERT OR REPLACE INTO schedule (shard, due_at, id, kind, payload) VALUES (?, ?, ?, ?, ?)", d.Shard(), d.At, d.ID, string(d.Kind), d.Payload)
	})
}

// Due implements [store.Schedule].
func (s *Store) Due(_ context.Context, shard int, after store.Due, until time.Time, limit int) ([]store.Due, error) {
	return read(s, func(tx *database.Tx) (items []store.Due, err error) {
		for row, err := range tx.Query(`SELECT due_at, id, kind, payload FROM schedule WHERE shard = ? AND (due_at, id) > (?, ?) AND due_at <= ?
			ORDER BY due_at, id`, shard, after.At, after.ID, until) {
			if err != nil {
				return nil, err
			}
			if len(items) == limit {
				break
			}
			items = append(items, store.Due{At: row.Time(0), ID: row.Text(1), Kind: store.DueKind(row.Text(2)), Payload: row.Bytes(3)})
		}
		return items, nil
	})
}

// DeleteDue implements [store.Schedule].
func (s *Store) DeleteDue(_ context.Context, d store.Due) error {
	return s.config.DB.Write(func(tx *database.Tx) error {
		return tx.Exec("DELETE FROM schedule WHERE shard = ? AND due_at = ? AND id = ?", d.Shard(), d.At, d.ID)
	})
}

// ReserveSlot implements [store.Slots].
func (s *Store) ReserveSlot(_ context.Context, webhookID string, interval time.Duration, now time.Time) (time.Time, error) {
	if err := store.CheckIDs(webhookID); err != nil {
		return time.Time{}, err
	}
	return write(s, func(tx *database.Tx) (free time.Time, err error) {
		_, err = tx.First(func(row database.Row) error { free = time.UnixMicro(row.Int(0)).UTC(); return nil },
			"SELECT free_at FROM slots WHERE webhook_id = ? AND microseconds = ? AND expires > ?", webhookID, interval.Microseconds(), s.now())
		if err != nil {
			return free, err
		}
		if free.Before(now) {
			free = now.UTC().Truncate(time.Microsecond)
		}
		return free, tx.Exec("INSERT OR REPLACE INTO slots (webhook_id, microseconds, free_at, expires) VALUES (?, ?, ?, ?)",
			webhookID, interval.Microseconds(), free.Add(interval).UnixMicro(), s.expiry())
	})
}

// TakeLease implements [store.Leases].
func (s *Store) TakeLease(_ context.Context, name string, places int, now, until time.Time) (l store.Lease, taken bool, err error) {
	if err := store.CheckForeignID(name); err != nil {
		return l, false, err
	}
	err = s.config.DB.Write(func(tx *database.Tx) error {
		held := make(map[int64]bool)
		for row, err := range tx.Query("SELECT place FROM leases WHERE name = ? AND expires > ?", name, now) {
			if err != nil {
				return err
			}
			held[row.Int(0)] = true
		}
		for place := range places {
			if held[int64(place)] {
				continue
			}
			l, taken = store.Lease{Name: name, Place: place, Until: stored(until)}, true
			return tx.Exec("INSERT OR REPLACE INTO leases (name, place, expires) VALUES (?, ?, ?)", name, place, until)
		}
		return nil
	})
	return l, taken && err == nil, err
}

// ReturnLease implements [store.Leases].
func (s *Store) ReturnLease(_ context.Context, l store.Lease) error {
	return s.config.DB.Write(func(tx *database.Tx) error {
		return tx.Exec("DELETE FROM leases WHERE name = ? AND place = ? AND expires = ?", l.Name, l.Place, l.Until)
	})
}
