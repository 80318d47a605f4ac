package mem

import (
	"context"
	"maps"
	"slices"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
	"boathook/internal/store/paging"
)

// hour is what is counted of a webhook's hour.
type hour struct {
	boathook.AttemptCounts
	expires time.Time
}

// CountAttempts implements [store.Statistics].
func (s *Store) CountAttempts(_ context.Context, id string, c boathook.AttemptCounts) error {
	if err := store.CheckIDs(id); err != nil {
		return err
	}
	defer s.lock()()
	at := paging.PositionOf(boathook.StatisticsHour(c.From), "")
	i, found := s.statistics.search(id, at)
	if !found {
		h := &hour{AttemptCounts: boathook.AttemptCounts{From: boathook.StatisticsHour(c.From)}}
		s.statistics.put(id, at, h)
		s.expireLater(func() time.Time { return h.expires }, func() { s.statistics.remove(id, at) })
	}
	h := s.statistics[id][i].Value
	h.expires = s.expiry()
	h.Add(c)
	return nil
}

// AttemptCounts implements [store.Statistics].
func (s *Store) AttemptCounts(_ context.Context, id string, since, until time.Time) (hours []boathook.AttemptCounts, _ error) {
	defer s.lock()()
	for e := range s.statistics.before(id, paging.PositionOf(until, "")) {
		if e.Value.From.Before(since) {
			break
		}
		h := e.Value.AttemptCounts
		h.Durations = maps.Clone(h.Durations)
		hours = append(hours, h)
	}
	slices.Reverse(hours)
	return hours, nil
}
