package storetest

import (
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// testDueLife looks at rows that wait for longer than records are kept, and at
// rows that nobody has looked at in time: as long as either may be needed, it is
// there.
func (s *suite) testDueLife(t *testing.T) {
	began := s.clock.Now()
	far := store.ScheduledCheck(boathook.NewID(boathook.RunID), began.Add(2*retention))
	past := store.ScheduledCheck(boathook.NewID(boathook.RunID), began.Add(-2*retention))
	for _, d := range []store.Due{far, past} {
		must(t, s.PutDue(t.Context(), d))
	}
	wantDue := func(t *testing.T, d store.Due) {
		t.Helper()
		var found []store.Due
		for shard := range store.DueShards {
			found = append(found, s.dueOf(t, d.ID, shard, s.clock.Now(), 100)...)
		}
		wantSame(t, "rows", found, []store.Due{d})
	}

	s.clock.Advance(retention - time.Minute)
	t.Run("a row that was overdue when it was put is there for the retention", func(t *testing.T) { wantDue(t, past) })
	s.clock.Advance(retention + time.Minute)
	t.Run("a row that is due long after the retention is there then", func(t *testing.T) { wantDue(t, far) })
	s.clock.Advance(retention - time.Minute)
	t.Run("and for another retention, though sweep stands still", func(t *testing.T) { wantDue(t, far) })
}
