package mem

import (
	"context"

	"boathook/internal/boathook"
	"boathook/internal/store"
	"boathook/internal/store/paging"
)

type burstKey struct{ webhookID, key string }

// LookUpBurst implements [store.Bursts].
func (s *Store) LookUpBurst(_ context.Context, webhookID, key, id string) (b store.Burst, pinned string, err error) {
	defer s.lock()()
	return s.bursts[burstKey{webhookID, key}], s.pinnedRuns[id], nil
}

// MoveBurst implements [store.Bursts].
func (s *Store) MoveBurst(_ context.Context, webhookID, key, fromRunID string, to store.Burst) (moved bool, err error) {
	if err := store.CheckIDs(webhookID, key, to.RunID); err != nil {
		return false, err
	}
	defer s.lock()()
	k := burstKey{webhookID, key}
	if s.bursts[k].RunID != fromRunID {
		return false, nil
	}
	to.At = stored(to.At)
	s.bursts[k] = to
	s.expire(func() {
		if s.bursts[k] == to {
			delete(s.bursts, k)
		}
	})
	return true, nil
}

// JoinRun implements [store.Bursts].
func (s *Store) JoinRun(_ context.Context, of boathook.RunHead, j store.Join) (boathook.RunHead, error) {
	defer s.lock()()
	r, err := s.run(of.ID)
	if err != nil {
		return boathook.RunHead{}, err
	}
	if !r.Joins() {
		return cloneHead(r.RunHead), boathook.Errorf(boathook.Conflict, "run %s takes no more triggers", r.ID)
	}
	r.Input, r.InputHash = j.Input, boathook.HashInput(j.Input.Bytes())
	at := paging.PositionOf(r.CreatedAt, r.ID)
	s.runsSent.remove(sentKey{r.WorkspaceID, r.Details.DeliveryID}, at)
	store.AddTrigger(&r.RunHead, j)
	if j.Details.DeliveryID != "" {
		s.runsSent.put(sentKey{r.WorkspaceID, j.Details.DeliveryID}, at, r)
	}
	return changed(r), nil
}
