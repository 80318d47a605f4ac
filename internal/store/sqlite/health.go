package sqlite

import (
	"context"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/database"
	"boathook/internal/store"
)

type healthItem struct {
	FailingSince time.Time     `json:"failing_since,omitzero"`
	Failures     int           `json:"failures,omitempty"`
	FailingHours []int64       `json:"failing_hours,omitempty"`
	SlowSince    time.Time     `json:"slow_since,omitzero"`
	ProbeAt      time.Time     `json:"probe_at,omitzero"`
	ProbeWait    int64         `json:"probe_wait_ms,omitempty"`
	Disabling    disablingItem `json:"disabling,omitzero"`
	Alert        alertItem     `json:"alert,omitzero"`
}

type alertItem struct {
	Step  boathook.AlertStep `json:"step,omitempty"`
	At    time.Time          `json:"at,omitzero"`
	Since time.Time          `json:"since,omitzero"`
}

func newHealthItem(h boathook.Health) healthItem {
	return healthItem{
		stored(h.FailingSince), h.Failures, h.FailingHours, stored(h.SlowSince),
		stored(h.Probe.At), h.Probe.Wait.Milliseconds(), newDisablingItem(h.Disabling),
		alertItem{h.Alert.Step, stored(h.Alert.At), stored(h.Alert.Since)},
	}
}

func (it healthItem) health() boathook.Health {
	return boathook.Health{
		FailingSince: it.FailingSince, Failures: it.Failures, FailingHours: it.FailingHours, SlowSince: it.SlowSince,
		Probe:     boathook.Probe{At: it.ProbeAt, Wait: time.Duration(it.ProbeWait) * time.Millisecond},
		Disabling: boathook.Disabling(it.Disabling), Alert: boathook.Alert(it.Alert),
	}
}

// health reads a webhook's.
func (s *Store) health(tx *database.Tx, webhookID string) (boathook.Health, error) {
	item, _, err := first[healthItem](tx, "SELECT item FROM healths WHERE webhook_id = ? AND expires > ?", webhookID, s.now())
	return item.health(), err
}

// putHealth writes a webhook's, which lives anew.
func (s *Store) putHealth(tx *database.Tx, webhookID string, h boathook.Health) error {
	return tx.Exec("INSERT OR REPLACE INTO healths (webhook_id, expires, item) VALUES (?, ?, ?)", webhookID, s.expiry(), encode(newHealthItem(h)))
}

// changeHealth gives a webhook's health to change, and stores what it makes of it if
// it says so. It gives the health as it is afterwards.
func (s *Store) changeHealth(webhookID string, change func(*boathook.Health) (changed bool)) (boathook.Health, error) {
	if err := store.CheckIDs(webhookID); err != nil {
		return boathook.Health{}, err
	}
	return write(s, func(tx *database.Tx) (boathook.Health, error) {
		h, err := s.health(tx, webhookID)
		if err == nil && change(&h) {
			err = s.putHealth(tx, webhookID, h)
		}
		return h, err
	})
}

// Health implements [store.Healths].
func (s *Store) Health(_ context.Context, webhookIDs ...string) (map[string]boathook.Health, error) {
	return read(s, func(tx *database.Tx) (map[string]boathook.Health, error) {
		healths := make(map[string]boathook.Health)
		for _, id := range webhookIDs {
			h, err := s.health(tx, id)
			if err != nil {
				return nil, err
			}
			if !h.IsZero() {
				healths[id] = h
			}
		}
		return healths, nil
	})
}

// MarkFailure implements [store.Healths].
func (s *Store) MarkFailure(_ context.Context, webhookID string, at time.Time) (boathook.Health, error) {
	return s.changeHealth(webhookID, func(h *boathook.Health) bool {
		*h = h.Failed(stored(at))
		return true
	})
}

// MarkSlow implements [store.Healths].
func (s *Store) MarkSlow(_ context.Context, webhookID string, at time.Time) (first bool, err error) {
	_, err = s.changeHealth(webhookID, func(h *boathook.Health) bool {
		if first = h.SlowSince.IsZero(); first {
			h.SlowSince = stored(at)
		}
		return first
	})
	return first && err == nil, err
}

// MoveProbe implements [store.Healths].
func (s *Store) MoveProbe(_ context.Context, webhookID string, from, to boathook.Probe) (moved bool, err error) {
	_, err = s.changeHealth(webhookID, func(h *boathook.Health) bool {
		if moved = h.Probe.At.Equal(stored(from.At)); moved {
			h.Probe = to
		}
		return moved
	})
	return moved && err == nil, err
}

// MoveAlert implements [store.Healths].
func (s *Store) MoveAlert(_ context.Context, webhookID string, from, to boathook.Alert) (moved bool, err error) {
	_, err = s.changeHealth(webhookID, func(h *boathook.Health) bool {
		if moved = h.Alert.Step == from.Step && h.Alert.At.Equal(stored(from.At)); moved {
			h.Alert = to
		}
		return moved
	})
	return moved && err == nil, err
}

// MarkDisabling implements [store.Healths].
func (s *Store) MarkDisabling(_ context.Context, webhookID string, d boathook.Disabling) (boathook.Disabling, error) {
	h, err := s.changeHealth(webhookID, func(h *boathook.Health) bool {
		if h.Disabling.At.IsZero() {
			h.Disabling = boathook.Disabling{At: stored(d.At), Reason: d.Reason}
		}
		return true
	})
	return h.Disabling, err
}

// ClearHealth implements [store.Healths].
func (s *Store) ClearHealth(_ context.Context, webhookID string, parts boathook.HealthPart) error {
	return s.config.DB.Write(func(tx *database.Tx) error {
		h, err := s.health(tx, webhookID)
		if err != nil || h.IsZero() {
			return err
		}
		return s.putHealth(tx, webhookID, h.Without(parts))
	})
}
