package storetest

import (
	"slices"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// shardOf finds the shard of the rows with an id: the only one that has any.
func (s *suite) shardOf(t *testing.T, id string, until time.Time) int {
	t.Helper()
	var shards []int
	for shard := range store.DueShards {
		if len(s.dueOf(t, id, shard, until, 100)) > 0 {
			shards = append(shards, shard)
		}
	}
	if len(shards) != 1 {
		t.Fatalf("the rows of %s are in the shards %v, want one", id, shards)
	}
	return shards[0]
}

// dueOf lists a shard and keeps the rows of an id.
func (s *suite) dueOf(t *testing.T, id string, shard int, until time.Time, limit int) []store.Due {
	t.Helper()
	rows := read(s.Due(t.Context(), shard, store.Due{}, until, limit))(t)
	if len(rows) > limit {
		t.Fatalf("%d rows, and the limit is %d", len(rows), limit)
	}
	return slices.DeleteFunc(rows, func(d store.Due) bool { return d.ID != id })
}

func (s *suite) testDue(t *testing.T) {
	now := s.clock.Now()
	remove := func(t *testing.T, rows ...store.Due) {
		for _, d := range rows {
			must(t, s.DeleteDue(t.Context(), d))
		}
	}

	t.Run("a row is due from its time on, and not before", func(t *testing.T) {
		d := store.ScheduledCheck(boathook.NewID(boathook.RunID), now)
		must(t, s.PutDue(t.Context(), d))
		shard := s.shardOf(t, d.ID, now)
		wantSame(t, "a millisecond before", s.dueOf(t, d.ID, shard, now.Add(-time.Millisecond), 100), []store.Due(nil))
		wantSame(t, "at its time", s.dueOf(t, d.ID, shard, now, 100), []store.Due{d})
		wantSame(t, "an hour later", s.dueOf(t, d.ID, shard, now.Add(time.Hour), 100), []store.Due{d})
		remove(t, d)
	})
	t.Run("rows read back as they were put, once, however often they are put", func(t *testing.T) {
		delivery := s.newDelivery(boathook.NewID(boathook.OutgoingID), now)
		attempt := store.ScheduledRetry(delivery.ID, 10, 1, now, []byte(`{"a":10}`))
		binary := store.Due{At: now, ID: boathook.NewID(boathook.RunID), Kind: store.DueRun, Payload: append(printable(1<<10-2), 0, 0xff)}
		for _, d := range []store.Due{attempt, binary} {
			for range 2 {
				must(t, s.PutDue(t.Context(), d))
			}
			wantSame(t, "rows", s.dueOf(t, d.ID, s.shardOf(t, d.ID, now), now, 100), []store.Due{d})
			remove(t, d)
		}
	})
	t.Run("the soonest come first, up to the limit", func(t *testing.T) {
		id := boathook.NewID(boathook.RunID)
		var rows []store.Due
		for _, at := range []time.Duration{5, 1, 3, 4, 2} {
			d := store.ScheduledCheck(id, now.Add(at*time.Second))
			must(t, s.PutDue(t.Context(), d))
			rows = append(rows, d)
		}
		slices.SortFunc(rows, func(a, b store.Due) int { return a.At.Compare(b.At) })
		shard := s.shardOf(t, id, now.Add(time.Hour))
		wantSame(t, "all rows", s.dueOf(t, id, shard, now.Add(time.Hour), 100), rows)
		wantSame(t, "two of them", s.dueOf(t, id, shard, now.Add(time.Hour), 2), rows[:2])
		wantSame(t, "exactly all of them", s.dueOf(t, id, shard, now.Add(time.Hour), 5), rows)
		wantSame(t, "those until the third", s.dueOf(t, id, shard, rows[2].At, 100), rows[:3])

		remove(t, rows[0], rows[2])
		wantSame(t, "what is left", s.dueOf(t, id, shard, now.Add(time.Hour), 100), []store.Due{rows[1], rows[3], rows[4]})
		remove(t, rows...) // some of them again, without an error
		wantSame(t, "nothing", s.dueOf(t, id, shard, now.Add(time.Hour), 100), []store.Due(nil))
	})
	t.Run("rows can be read on from one that was read, though it is deleted", func(t *testing.T) {
		id := boathook.NewID(boathook.RunID)
		var rows []store.Due
		for i := range 4 {
			rows = append(rows, store.ScheduledCheck(id, now.Add(time.Duration(i)*time.Millisecond)))
			must(t, s.PutDue(t.Context(), rows[i]))
		}
		shard := s.shardOf(t, id, rows[3].At)
		remove(t, rows[1])
		for i, want := range [][]store.Due{rows[2:], rows[2:], rows[3:], nil} {
			wantSame(t, "the rows behind", read(s.Due(t.Context(), shard, rows[i], rows[3].At, 100))(t), want)
		}
		wantSame(t, "up to the limit", read(s.Due(t.Context(), shard, rows[0], rows[3].At, 1))(t), rows[2:3])
		wantSame(t, "up to a time", read(s.Due(t.Context(), shard, rows[0], rows[2].At, 100))(t), rows[2:3])
		wantSame(t, "up to a time before", read(s.Due(t.Context(), shard, rows[3], rows[0].At, 100))(t), []store.Due(nil))
		remove(t, rows...)
	})
	t.Run("rows of one time are told apart by their ids, and read on one by one", func(t *testing.T) {
		want := map[string]store.Due{}
		for range store.DueShards + 4 { // so that some share a shard
			d := store.ScheduledCheck(boathook.NewID(boathook.RunID), now)
			want[d.ID] = d
			must(t, s.PutDue(t.Context(), d))
		}
		got := map[string]store.Due{}
		for shard := range store.DueShards {
			var last store.Due
			for {
				rows := read(s.Due(t.Context(), shard, last, now, 1))(t)
				if len(rows) == 0 {
					break
				}
				last = rows[0]
				if _, again := got[last.ID]; again {
					t.Fatalf("row %s comes twice", last.ID)
				}
				got[last.ID] = last
				remove(t, last)
			}
		}
		wantSame(t, "rows", got, want)
	})
	t.Run("times are kept in UTC to the millisecond", func(t *testing.T) {
		want := store.ScheduledCheck(boathook.NewID(boathook.RunID), now)
		d := want
		d.At = now.Add(999_999 * time.Nanosecond).In(time.FixedZone("", 3600))
		must(t, s.PutDue(t.Context(), d))
		shard := s.shardOf(t, d.ID, now)
		wantSame(t, "rows", s.dueOf(t, d.ID, shard, now, 100), []store.Due{want})
		remove(t, d)
		wantSame(t, "nothing", s.dueOf(t, d.ID, shard, now, 100), []store.Due(nil))
	})
	t.Run("a time before any row has none", func(t *testing.T) {
		for shard := range store.DueShards {
			wantSame(t, "rows", read(s.Due(t.Context(), shard, store.Due{}, time.UnixMilli(0), 100))(t), []store.Due(nil))
		}
	})
}
