package mem

import (
	"context"
	"maps"
	"slices"
	"time"

	"boathook/internal/store"
)

// turns are those of a deployment, and its line.
type turns struct {
	taken    map[string]time.Time
	revision int
	line     []store.Waiting // sorted
	expires  time.Time
}

// turnsOf are a deployment's, to be changed.
func (s *Store) turnsOf(sourceID string) *turns {
	t := s.turns[sourceID]
	if t == nil {
		t = &turns{}
		s.turns[sourceID] = t
		s.expireLater(func() time.Time { return t.expires }, func() { delete(s.turns, sourceID) })
	}
	t.expires = s.expiry()
	return t
}

// Turns implements [store.Turns].
func (s *Store) Turns(_ context.Context, sourceID string, limit int) (store.TurnsView, error) {
	defer s.lock()()
	t := s.turns[sourceID]
	if t == nil {
		return store.TurnsView{}, nil
	}
	return store.TurnsView{
		Taken: maps.Clone(t.taken), Revision: t.revision, Line: slices.Clone(t.line[:min(limit, len(t.line))]),
	}, nil
}

// MoveTurns implements [store.Turns].
func (s *Store) MoveTurns(_ context.Context, sourceID string, known store.TurnsView, taken map[string]time.Time) (moved bool, err error) {
	if err := store.CheckIDs(sourceID); err != nil {
		return false, err
	}
	defer s.lock()()
	if t := s.turns[sourceID]; t == nil && known.Revision > 0 || t != nil && t.revision != known.Revision {
		return false, nil
	}
	t := s.turnsOf(sourceID)
	t.revision++
	t.taken = make(map[string]time.Time, len(taken))
	for id, at := range taken {
		t.taken[id] = stored(at)
	}
	return true, nil
}

// EndTurn implements [store.Turns].
func (s *Store) EndTurn(_ context.Context, sourceID, runID string) error {
	defer s.lock()()
	if t := s.turns[sourceID]; t != nil {
		if _, has := t.taken[runID]; has {
			delete(t.taken, runID)
			t.revision++
		}
	}
	return nil
}

// StandInLine implements [store.Turns].
func (s *Store) StandInLine(_ context.Context, sourceID string, w store.Waiting) error {
	if err := store.CheckIDs(sourceID, w.RunID); err != nil {
		return err
	}
	defer s.lock()()
	t, w := s.turnsOf(sourceID), store.Waiting{RunID: w.RunID, At: stored(w.At)}
	if i, stands := inLine(t.line, w); !stands {
		t.line = slices.Insert(t.line, i, w)
	}
	return nil
}

// LeaveLine implements [store.Turns].
func (s *Store) LeaveLine(_ context.Context, sourceID string, w store.Waiting) error {
	defer s.lock()()
	if t := s.turns[sourceID]; t != nil {
		if i, stands := inLine(t.line, store.Waiting{RunID: w.RunID, At: stored(w.At)}); stands {
			t.line = slices.Delete(t.line, i, i+1)
		}
	}
	return nil
}

// inLine is where in a line a run stands, or would.
func inLine(line []store.Waiting, w store.Waiting) (int, bool) {
	return slices.BinarySearchFunc(line, w, store.Waiting.Compare)
}
