package sqlite

import (
	"context"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/database"
	"boathook/internal/store"
)

// hourItem is what is counted of a webhook's hour.
type hourItem struct {
	Succeeded int           `json:"succeeded,omitempty"`
	Retrying  int           `json:"retrying,omitempty"`
	Failed    int           `json:"failed,omitempty"`
	Durations map[int64]int `json:"durations_ms,omitempty"`
}

func newHourItem(c boathook.AttemptCounts) hourItem {
	it := hourItem{c.Succeeded, c.Retrying, c.Failed, make(map[int64]int, len(c.Durations))}
	for step, n := range c.Durations {
		it.Durations[step.Milliseconds()] = n
	}
	return it
}

func (it hourItem) counts(from time.Time) boathook.AttemptCounts {
	c := boathook.AttemptCounts{
		From: from, Succeeded: it.Succeeded, Retrying: it.Retrying, Failed: it.Failed, Durations: make(map[time.Duration]int, len(it.Durations)),
	}
	for ms, n := range it.Durations {
		c.Durations[time.Duration(ms)*time.Millisecond] = n
	}
	return c
}

// CountAttempts implements [store.Statistics].
func (s *Store) CountAttempts(_ context.Context, id string, c boathook.AttemptCounts) error {
	if err := store.CheckIDs(id); err != nil {
		return err
	}
	from := boathook.StatisticsHour(c.From)
	return s.config.DB.Add(func(tx *database.Tx) error {
		it, _, err := first[hourItem](tx, "SELECT item FROM statistics WHERE webhook_id = ? AND hour = ? AND expires > ?", id, from, s.now())
		if err != nil {
			return err
		}
		all := it.counts(from)
		all.Add(c)
		return tx.Exec("INSERT OR REPLACE INTO statistics (webhook_id, hour, expires, item) VALUES (?, ?, ?, ?)",
			id, from, s.expiry(), encode(newHourItem(all)))
	})
}

// AttemptCounts implements [store.Statistics].
func (s *Store) AttemptCounts(_ context.Context, id string, since, until time.Time) (hours []boathook.AttemptCounts, err error) {
	err = s.config.DB.Read(func(tx *database.Tx) error {
		for row, err := range tx.Query("SELECT hour, item FROM statistics WHERE webhook_id = ? AND hour >= ? AND hour < ? AND expires > ? ORDER BY hour",
			id, since, until, s.now()) {
			if err != nil {
				return err
			}
			it, err := decode[hourItem](row, 1)
			if err != nil {
				s.config.Log.Error("an hour's counts can't be read and are left out", "webhook_id", id, "error", err)
				continue
			}
			hours = append(hours, it.counts(row.Time(0)))
		}
		return nil
	})
	return hours, err
}
