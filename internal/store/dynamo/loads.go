package dynamo

import (
	"context"
	"fmt"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// loadItem is an agent's load.
type loadItem struct {
	record
	Window   time.Time            `dynamodbav:"w"`
	Count    int                  `dynamodbav:"n"`
	InFlight map[string]time.Time `dynamodbav:"f"`
	Revision int                  `dynamodbav:"v"`
}

func newLoadItem(of record, l store.Load) loadItem {
	return loadItem{of, l.Window, l.Count, l.InFlight, l.Revision}
}

func (l loadItem) load() store.Load {
	return store.Load{Window: l.Window, Count: l.Count, InFlight: l.InFlight, Revision: l.Revision}
}

// LookUpAgent implements [store.Runs].
func (s *Store) LookUpAgent(ctx context.Context, agentID string, runIDs ...string) (view store.AgentView, err error) {
	agent, live, load := sourceKey(agentID), liveKey(agentID), loadKey(agentID)
	if agent.isNone() {
		return view, nil
	}
	keys := []tableKey{s.configKey(agent), s.configKey(live), s.recordKey(load)}
	for _, id := range runIDs {
		keys = append(keys, s.recordKey(headKey(id)), s.recordKey(pinnedRunKey(id)))
	}
	found, err := s.readBatch(ctx, keys...)
	if err != nil {
		return view, fmt.Errorf("look up agent %s: %w", agentID, err)
	}
	if it, ok := found[agent]; ok {
		agent, err := decode[sourceItem](it)
		if err != nil {
			return view, err
		}
		if src := agent.source(); src.Kind == boathook.Agent {
			view.Agent = &src
		}
	}
	busy, err := decode[loadItem](found[load])
	if err != nil {
		return view, err
	}
	view.Load = busy.load()
	view.Runs, view.Pinned = make(map[string]boathook.RunHead), make(map[string]string)
	for _, id := range runIDs {
		if it, ok := found[headKey(id)]; ok {
			h, err := decode[headItem](it)
			if err != nil {
				return view, err
			}
			view.Runs[id] = h.head()
		}
		if it, ok := found[pinnedRunKey(id)]; ok {
			p, err := decode[pinnedRunItem](it)
			if err != nil {
				return view, err
			}
			view.Pinned[id] = p.RunID
		}
	}
	l, err := decode[liveItem](found[live])
	view.Live = l.live()
	return view, err
}

// pinnedRunItem says which run an id stands for that is not the run's own.
type pinnedRunItem struct {
	record
	RunID string `dynamodbav:"r"`
}

// PinRun implements [store.Runs].
func (s *Store) PinRun(ctx context.Context, id, runID string) (pinned string, err error) {
	it := pinnedRunItem{s.record(pinnedRunKey(id)), part("", runID)}
	if it.RunID == "" {
		return "", store.ErrNoID
	}
	for {
		put, err := s.putRecord(ctx, it, absent, nil)
		if err != nil {
			return "", fmt.Errorf("pin run %s: %w", runID, err)
		}
		if put {
			return runID, nil
		}
		found, err := s.read(ctx, s.config.RecordsTable, it.key, true)
		if err != nil {
			return "", fmt.Errorf("pin run %s: %w", runID, err)
		}
		if found != nil {
			other, err := decode[pinnedRunItem](found)
			return other.RunID, err
		}
		// It has expired between the write and the look that followed.
	}
}

// Admit implements [store.Loads].
func (s *Store) Admit(ctx context.Context, agentID, runID string, limit store.Limit, known store.Load, now time.Time) (made time.Time, err error) {
	for {
		next, err := known.Admit(runID, limit, now)
		if err != nil {
			return made, err
		}
		current, held, err := s.putLoad(ctx, agentID, runID, limit, known, next)
		if err != nil {
			return made, fmt.Errorf("admit run %s: %w", runID, err)
		}
		if held {
			return next.Made(known, runID), nil
		}
		known = current // another run was admitted or is over
	}
}

// putLoad changes an agent's load to one that follows from known. Within a
// minute it adds a run to the load as it is by then, so that runs which come at
// once don't wait for one another. For a new minute, or where places of lost
// runs are dropped, it replaces the load if it still is the known one. The place of
// a run that has one is moved if it still ends as it is known to. Where none of
// these may be, held is false, with the load as it is.
func (s *Store) putLoad(ctx context.Context, agentID, runID string, limit store.Limit, known, next store.Load) (current store.Load, held bool, err error) {
	var it item
	k := loadKey(agentID)
	switch {
	case next.Made(known, runID).IsZero():
		it, held, err = s.tryUpdate(ctx, k, "SET v = v + :one, x = :expires, f.#run = :until", present, "f.#run = :known", map[string]any{
			"#run": part("", runID), ":one": 1, ":expires": s.expiry(), ":until": next.InFlight[runID], ":known": known.InFlight[runID],
		})
	case next.Window.Equal(known.Window) && len(next.InFlight) == len(known.InFlight)+1:
		it, held, err = s.tryUpdate(ctx, k,
			"SET n = n + :one, v = v + :one, x = :expires, f.#run = :until", present,
			"w = :window AND n < :rate AND size(f) < :places AND attribute_not_exists(f.#run)", map[string]any{
				"#run": part("", runID), ":one": 1, ":expires": s.expiry(), ":until": next.InFlight[runID],
				":window": known.Window, ":rate": limit.RatePerMinute, ":places": limit.MaxInFlight,
			})
	default:
		when, values := absent, item{}
		if known.Revision > 0 {
			when, values = "x > :now AND v = :known", item{":known": num(int64(known.Revision))}
		}
		held, err = s.putRecord(ctx, newLoadItem(s.record(k), next), when, values)
	}
	if err == nil && !held && it == nil {
		var found map[key]item
		found, err = s.readBatch(ctx, s.recordKey(k)) // as [Store.LookUpAgent] does: intake may read loads in no other way
		it = found[k]
	}
	if err != nil {
		return store.Load{}, false, err
	}
	l, err := decode[loadItem](it)
	return l.load(), held, err
}

// Release implements [store.Loads].
func (s *Store) Release(ctx context.Context, agentID, runID string, made time.Time) error {
	when, values := "attribute_exists(f.#run)", map[string]any{"#run": part("", runID), ":one": 1}
	if !made.IsZero() {
		when, values[":made"] = "f.#run = :made", made
	}
	if _, err := s.changeRecord(ctx, loadKey(agentID), "SET v = v + :one REMOVE f.#run", when, values); err != nil {
		return fmt.Errorf("release run %s: %w", runID, err)
	}
	return nil
}
