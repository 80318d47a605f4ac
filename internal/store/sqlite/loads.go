package sqlite

import (
	"context"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/database"
	"boathook/internal/store"
)

type loadItem struct {
	Window   time.Time            `json:"window,omitzero"`
	Count    int                  `json:"count,omitempty"`
	InFlight map[string]time.Time `json:"in_flight,omitempty"`
	Revision int                  `json:"revision"`
}

func load(tx *database.Tx, agentID string) (store.Load, error) {
	item, _, err := first[loadItem](tx, "SELECT item FROM loads WHERE agent_id = ?", agentID)
	return store.Load(item), err
}

func putLoad(tx *database.Tx, agentID string, l store.Load) error {
	return tx.Exec("INSERT OR REPLACE INTO loads (agent_id, item) VALUES (?, ?)", agentID, encode(loadItem(l)))
}

// LookUpAgent implements [store.Runs].
func (s *Store) LookUpAgent(_ context.Context, agentID string, runIDs ...string) (store.AgentView, error) {
	return read(s, func(tx *database.Tx) (view store.AgentView, err error) {
		view.Runs, view.Pinned = make(map[string]boathook.RunHead), make(map[string]string)
		item, found, err := first[sourceItem](tx, "SELECT item FROM sources WHERE id = ? AND kind = 'agent'", agentID)
		if err != nil {
			return view, err
		}
		if found {
			agent := item.source()
			view.Agent = &agent
		}
		if view.Live, err = live(tx, agentID); err != nil {
			return view, err
		}
		if view.Load, err = load(tx, agentID); err != nil {
			return view, err
		}
		for _, id := range runIDs {
			head, err := s.head(tx, id)
			if err != nil {
				return view, err
			}
			if head != nil {
				view.Runs[id] = *head
			}
			pinned, err := s.pinnedRun(tx, id)
			if err != nil {
				return view, err
			}
			if pinned != "" {
				view.Pinned[id] = pinned
			}
		}
		return view, nil
	})
}

// Admit implements [store.Loads]. It knows the load better than its caller.
func (s *Store) Admit(_ context.Context, agentID, runID string, limit store.Limit, _ store.Load, now time.Time) (made time.Time, err error) {
	if err := store.CheckIDs(agentID); err != nil {
		return made, err
	}
	return write(s, func(tx *database.Tx) (made time.Time, err error) {
		known, err := load(tx, agentID)
		if err != nil {
			return made, err
		}
		next, err := known.Admit(runID, limit, now)
		if err != nil {
			return made, err
		}
		return next.Made(known, runID), putLoad(tx, agentID, next)
	})
}

// Release implements [store.Loads].
func (s *Store) Release(_ context.Context, agentID, runID string, made time.Time) error {
	return s.config.DB.Write(func(tx *database.Tx) error {
		l, err := load(tx, agentID)
		if err != nil {
			return err
		}
		until, ok := l.InFlight[runID]
		if !ok || !made.IsZero() && !until.Equal(made) {
			return nil
		}
		delete(l.InFlight, runID)
		l.Revision++
		return putLoad(tx, agentID, l)
	})
}
