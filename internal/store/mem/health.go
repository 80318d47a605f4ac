package mem

import (
	"context"
	"slices"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// health is an outgoing webhook's, with when it expires.
type health struct {
	boathook.Health
	expires time.Time
}

// health is a webhook's as it is kept, to be read.
func (s *Store) health(webhookID string) boathook.Health {
	h := s.healths[webhookID]
	if h == nil {
		return boathook.Health{}
	}
	read := h.Health
	read.FailingHours = slices.Clone(read.FailingHours)
	return read
}

// changeHealth changes a webhook's health, and gives it more time.
func (s *Store) changeHealth(webhookID string, change func(*boathook.Health)) {
	h := s.healths[webhookID]
	if h == nil {
		h = &health{}
		s.healths[webhookID] = h
		s.expireLater(func() time.Time { return h.expires }, func() {
			if s.healths[webhookID] == h {
				delete(s.healths, webhookID)
			}
		})
	}
	h.expires = s.expiry()
	change(&h.Health)
}

// Health implements [store.Healths].
func (s *Store) Health(_ context.Context, webhookIDs ...string) (map[string]boathook.Health, error) {
	defer s.lock()()
	healths := make(map[string]boathook.Health)
	for _, id := range webhookIDs {
		if h := s.health(id); !h.IsZero() {
			healths[id] = h
		}
	}
	return healths, nil
}

// MarkFailure implements [store.Healths].
func (s *Store) MarkFailure(_ context.Context, webhookID string, at time.Time) (boathook.Health, error) {
	if err := store.CheckIDs(webhookID); err != nil {
		return boathook.Health{}, err
	}
	defer s.lock()()
	s.changeHealth(webhookID, func(h *boathook.Health) { *h = h.Failed(stored(at)) })
	return s.health(webhookID), nil
}

// MarkSlow implements [store.Healths].
func (s *Store) MarkSlow(_ context.Context, webhookID string, at time.Time) (first bool, err error) {
	if err := store.CheckIDs(webhookID); err != nil {
		return false, err
	}
	defer s.lock()()
	if !s.health(webhookID).SlowSince.IsZero() {
		return false, nil
	}
	s.changeHealth(webhookID, func(h *boathook.Health) { h.SlowSince = stored(at) })
	return true, nil
}

// MoveProbe implements [store.Healths].
func (s *Store) MoveProbe(_ context.Context, webhookID string, from, to boathook.Probe) (moved bool, err error) {
	if err := store.CheckIDs(webhookID); err != nil {
		return false, err
	}
	defer s.lock()()
	if probe := s.health(webhookID).Probe; !probe.At.Equal(stored(from.At)) {
		return false, nil
	}
	s.changeHealth(webhookID, func(h *boathook.Health) { h.Probe = boathook.Probe{At: stored(to.At), Wait: to.Wait} })
	return true, nil
}

// MoveAlert implements [store.Healths].
func (s *Store) MoveAlert(_ context.Context, webhookID string, from, to boathook.Alert) (moved bool, err error) {
	if err := store.CheckIDs(webhookID); err != nil {
		return false, err
	}
	defer s.lock()()
	if a := s.health(webhookID).Alert; a.Step != from.Step || !a.At.Equal(stored(from.At)) {
		return false, nil
	}
	s.changeHealth(webhookID, func(h *boathook.Health) {
		h.Alert = boathook.Alert{Step: to.Step, At: stored(to.At), Since: stored(to.Since)}
	})
	return true, nil
}

// MarkDisabling implements [store.Healths].
func (s *Store) MarkDisabling(_ context.Context, webhookID string, d boathook.Disabling) (boathook.Disabling, error) {
	if err := store.CheckIDs(webhookID); err != nil {
		return d, err
	}
	defer s.lock()()
	s.changeHealth(webhookID, func(h *boathook.Health) {
		if h.Disabling.At.IsZero() {
			h.Disabling = boathook.Disabling{At: stored(d.At), Reason: d.Reason}
		}
	})
	return s.health(webhookID).Disabling, nil
}

// ClearHealth implements [store.Healths].
func (s *Store) ClearHealth(_ context.Context, webhookID string, parts boathook.HealthPart) error {
	defer s.lock()()
	if s.healths[webhookID] != nil {
		s.changeHealth(webhookID, func(h *boathook.Health) { *h = h.Without(parts) })
	}
	return nil
}
