package sqlite

import (
	"context"
	"time"

	"boathook/internal/database"
	"boathook/internal/store"
)

// turnsItem says who has a turn of a deployment.
type turnsItem struct {
	Taken    map[string]time.Time `json:"taken"`
	Revision int                  `json:"revision"`
}

func (s *Store) turns(tx *database.Tx, sourceID string) (turnsItem, error) {
	item, _, err := first[turnsItem](tx, "SELECT item FROM turns WHERE source_id = ? AND expires > ?", sourceID, s.now())
	return item, err
}

func (s *Store) putTurns(tx *database.Tx, sourceID string, it turnsItem) error {
	return tx.Exec("INSERT OR REPLACE INTO turns (source_id, expires, item) VALUES (?, ?, ?)", sourceID, s.expiry(), encode(it))
}

// Turns implements [store.Turns].
func (s *Store) Turns(_ context.Context, sourceID string, limit int) (store.TurnsView, error) {
	return read(s, func(tx *database.Tx) (view store.TurnsView, err error) {
		item, err := s.turns(tx, sourceID)
		if err != nil {
			return view, err
		}
		view.Taken, view.Revision = item.Taken, item.Revision
		for row, err := range tx.Query(`SELECT accepted_at, run_id FROM waiting WHERE source_id = ? AND expires > ?
			ORDER BY accepted_at, run_id LIMIT ?`, sourceID, s.now(), limit) {
			if err != nil {
				return view, err
			}
			view.Line = append(view.Line, store.Waiting{RunID: row.Text(1), At: row.Time(0)})
		}
		return view, nil
	})
}

// MoveTurns implements [store.Turns].
func (s *Store) MoveTurns(_ context.Context, sourceID string, known store.TurnsView, taken map[string]time.Time) (moved bool, err error) {
	if err := store.CheckIDs(sourceID); err != nil {
		return false, err
	}
	return write(s, func(tx *database.Tx) (moved bool, err error) {
		item, err := s.turns(tx, sourceID)
		if err != nil || item.Revision != known.Revision {
			return false, err
		}
		item = turnsItem{make(map[string]time.Time, len(taken)), item.Revision + 1}
		for id, at := range taken {
			item.Taken[id] = stored(at)
		}
		return true, s.putTurns(tx, sourceID, item)
	})
}

// EndTurn implements [store.Turns].
func (s *Store) EndTurn(_ context.Context, sourceID, runID string) error {
	return s.config.DB.Write(func(tx *database.Tx) error {
		item, err := s.turns(tx, sourceID)
		if err != nil {
			return err
		}
		if _, has := item.Taken[runID]; !has {
			return nil
		}
		delete(item.Taken, runID)
		item.Revision++
		return s.putTurns(tx, sourceID, item)
	})
}

// StandInLine implements [store.Turns].
func (s *Store) StandInLine(_ context.Context, sourceID string, w store.Waiting) error {
	if err := store.CheckIDs(sourceID, w.RunID); err != nil {
		return err
	}
	return s.config.DB.Write(func(tx *database.Tx) error {
		return tx.Exec("INSERT OR REPLACE INTO waiting (source_id, accepted_at, run_id, expires) VALUES (?, ?, ?, ?)", sourceID, w.At, w.RunID, s.expiry())
	})
}

// LeaveLine implements [store.Turns].
func (s *Store) LeaveLine(_ context.Context, sourceID string, w store.Waiting) error {
	return s.config.DB.Write(func(tx *database.Tx) error {
		return tx.Exec("DELETE FROM waiting WHERE source_id = ? AND accepted_at = ? AND run_id = ?", sourceID, w.At, w.RunID)
	})
}
