package sqlite

import (
	"bytes"
	"cmp"
	"context"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/database"
	"boathook/internal/store"
)

type pinItem struct {
	Hash       []byte    `json:"hash"`
	Time       time.Time `json:"time"`
	Published  bool      `json:"published,omitempty"`
	Deliveries []int     `json:"deliveries,omitempty"`
}

func (s *Store) pin(tx *database.Tx, workspaceID, id string) (item pinItem, found bool, err error) {
	return first[pinItem](tx, "SELECT item FROM pins WHERE workspace_id = ? AND id = ? AND expires > ?", workspaceID, id, s.now())
}

// PinEvent implements [store.Events].
func (s *Store) PinEvent(_ context.Context, p store.EventPin) (store.EventPin, error) {
	if err := cmp.Or(store.CheckIDs(p.WorkspaceID), store.CheckForeignID(p.ID)); err != nil {
		return p, err
	}
	return write(s, func(tx *database.Tx) (store.EventPin, error) {
		pinned, found, err := s.pin(tx, p.WorkspaceID, p.ID)
		if err != nil {
			return p, err
		}
		if !found {
			pinned = pinItem{Hash: p.Hash[:], Time: stored(p.Time)}
			if err := tx.Exec("INSERT OR REPLACE INTO pins (workspace_id, id, expires, item) VALUES (?, ?, ?, ?)",
				p.WorkspaceID, p.ID, s.expiry(), encode(pinned)); err != nil {
				return p, err
			}
		}
		if !bytes.Equal(pinned.Hash, p.Hash[:]) {
			return p, boathook.Errorf(boathook.Conflict, "event %s is pinned with other content", p.ID)
		}
		p.Time, p.Published, p.Deliveries = pinned.Time, pinned.Published, pinned.Deliveries
		return p, nil
	})
}

// MarkEventPublished implements [store.Events].
func (s *Store) MarkEventPublished(_ context.Context, workspaceID, id string, deliveries []int) error {
	return s.config.DB.Write(func(tx *database.Tx) error {
		pinned, found, err := s.pin(tx, workspaceID, id)
		if err != nil {
			return err
		}
		if !found {
			return notFound("event")
		}
		pinned.Published, pinned.Deliveries = true, deliveries
		return tx.Exec("UPDATE pins SET item = ? WHERE workspace_id = ? AND id = ?", encode(pinned), workspaceID, id)
	})
}
