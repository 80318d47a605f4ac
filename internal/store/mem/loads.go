package mem

import (
	"context"
	"maps"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// LookUpAgent implements [store.Runs].
func (s *Store) LookUpAgent(_ context.Context, agentID string, runIDs ...string) (store.AgentView, error) {
	defer s.lock()()
	view := store.AgentView{
		Live: maps.Clone(s.under(agentID).live), Load: s.loads[agentID],
		Runs: make(map[string]boathook.RunHead), Pinned: make(map[string]string),
	}
	view.Load.InFlight = maps.Clone(view.Load.InFlight)
	if src, ok := s.sources[agentID]; ok && src.Kind == boathook.Agent {
		src = cloneSource(src)
		view.Agent = &src
	}
	for _, id := range runIDs {
		if r, ok := s.runs[id]; ok {
			view.Runs[id] = cloneHead(r.RunHead)
		}
		if pinned, ok := s.pinnedRuns[id]; ok {
			view.Pinned[id] = pinned
		}
	}
	return view, nil
}

// PinRun implements [store.Runs].
func (s *Store) PinRun(_ context.Context, id, runID string) (pinned string, err error) {
	if err := store.CheckIDs(id, runID); err != nil {
		return "", err
	}
	defer s.lock()()
	if pinned, ok := s.pinnedRuns[id]; ok {
		return pinned, nil
	}
	s.pinnedRuns[id] = runID
	s.expire(func() { delete(s.pinnedRuns, id) })
	return runID, nil
}

// Admit implements [store.Loads]. It knows the load better than its caller.
func (s *Store) Admit(_ context.Context, agentID, runID string, limit store.Limit, _ store.Load, now time.Time) (made time.Time, err error) {
	if err := store.CheckIDs(agentID); err != nil {
		return made, err
	}
	defer s.lock()()
	known := s.loads[agentID]
	next, err := known.Admit(runID, limit, now)
	if err != nil {
		return made, err
	}
	s.loads[agentID] = next
	return next.Made(known, runID), nil
}

// Release implements [store.Loads].
func (s *Store) Release(_ context.Context, agentID, runID string, made time.Time) error {
	defer s.lock()()
	load := s.loads[agentID]
	if until, ok := load.InFlight[runID]; ok && (made.IsZero() || until.Equal(made)) {
		load.InFlight = maps.Clone(load.InFlight)
		delete(load.InFlight, runID)
		load.Revision++
		s.loads[agentID] = load
	}
	return nil
}
