package mem

import (
	"context"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// backlog is a source's mark, if it is not gone.
func (s *Store) backlog(sourceID string) time.Time {
	if until, ok := s.backlogs[sourceID]; ok && s.config.Now().Before(until.Add(store.BacklogLife)) {
		return until
	}
	delete(s.backlogs, sourceID)
	return time.Time{}
}

// LookUpStart implements [store.Backlogs].
func (s *Store) LookUpStart(_ context.Context, sourceID, runID string) (run *boathook.RunHead, backlog time.Time, err error) {
	defer s.lock()()
	if r, ok := s.runs[runID]; ok {
		head := cloneHead(r.RunHead)
		run = &head
	}
	return run, s.backlog(sourceID), nil
}

// MoveBacklog implements [store.Backlogs].
func (s *Store) MoveBacklog(_ context.Context, sourceID string, from, to time.Time) (moved bool, err error) {
	if err := store.CheckIDs(sourceID); err != nil {
		return false, err
	}
	defer s.lock()()
	switch {
	case !s.backlog(sourceID).Equal(stored(from)):
		return false, nil
	case to.IsZero():
		delete(s.backlogs, sourceID)
	default:
		s.backlogs[sourceID] = stored(to)
	}
	return true, nil
}
