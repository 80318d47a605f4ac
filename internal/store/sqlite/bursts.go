package sqlite

import (
	"context"

	"boathook/internal/boathook"
	"boathook/internal/compress"
	"boathook/internal/database"
	"boathook/internal/store"
)

func (s *Store) burst(tx *database.Tx, webhookID, key string) (b store.Burst, err error) {
	_, err = tx.First(func(row database.Row) error {
		b = store.Burst{RunID: row.Text(0), At: row.Time(1)}
		return nil
	}, "SELECT run_id, began_at FROM bursts WHERE webhook_id = ? AND key = ? AND expires > ?", webhookID, key, s.now())
	return b, err
}

// LookUpBurst implements [store.Bursts].
func (s *Store) LookUpBurst(_ context.Context, webhookID, key, id string) (b store.Burst, pinned string, err error) {
	err = s.config.DB.Read(func(tx *database.Tx) (err error) {
		if b, err = s.burst(tx, webhookID, key); err == nil {
			pinned, err = s.pinnedRun(tx, id)
		}
		return err
	})
	return b, pinned, err
}

// MoveBurst implements [store.Bursts].
func (s *Store) MoveBurst(_ context.Context, webhookID, key, fromRunID string, to store.Burst) (moved bool, err error) {
	if err := store.CheckIDs(webhookID, key, to.RunID); err != nil {
		return false, err
	}
	return write(s, func(tx *database.Tx) (bool, error) {
		b, err := s.burst(tx, webhookID, key)
		if err != nil || b.RunID != fromRunID {
			return false, err
		}
		return true, tx.Exec("INSERT OR REPLACE INTO bursts (webhook_id, key, run_id, began_at, expires) VALUES (?, ?, ?, ?, ?)",
			webhookID, key, to.RunID, to.At, s.expiry())
	})
}

// JoinRun implements [store.Bursts].
func (s *Store) JoinRun(_ context.Context, r boathook.RunHead, j store.Join) (boathook.RunHead, error) {
	return s.changeRun(r.ID, func(tx *database.Tx, head *boathook.RunHead) error {
		if !head.Joins() {
			return boathook.Errorf(boathook.Conflict, "run %s takes no more triggers", r.ID)
		}
		head.InputHash = boathook.HashInput(j.Input.Bytes())
		store.AddTrigger(head, j)
		if err := tx.Exec("UPDATE runs SET delivery_id = ? WHERE id = ?", j.Details.DeliveryID, r.ID); err != nil {
			return err
		}
		return putText(tx, r.ID, input, compress.Pack(j.Input))
	})
}
