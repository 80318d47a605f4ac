package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"boathook/internal/boathook"
)

func (s *suite) testSlots(t *testing.T) {
	now := s.clock.Now()
	const interval = 3333 * time.Microsecond
	reserve := func(webhookID string, interval time.Duration, now time.Time) time.Time {
		t.Helper()
		return read(s.ReserveSlot(t.Context(), webhookID, interval, now))(t)
	}
	id := boathook.NewID(boathook.OutgoingID)

	t.Run("the first is now, and the others follow it", func(t *testing.T) {
		for i := range 3 {
			wantSame(t, "slot", reserve(id, interval, now), now.Add(time.Duration(i)*interval))
		}
		wantSame(t, "slot of a clock that is behind", reserve(id, interval, now.Add(-time.Minute)), now.Add(3*interval))
	})
	t.Run("those that nobody took are lost", func(t *testing.T) {
		later := now.Add(time.Minute)
		wantSame(t, "slot", reserve(id, interval, later), later)
		wantSame(t, "slot", reserve(id, interval, later), later.Add(interval))
	})
	t.Run("another interval and another webhook have their own", func(t *testing.T) {
		wantSame(t, "slot", reserve(id, time.Second, now), now)
		wantSame(t, "slot", reserve(boathook.NewID(boathook.OutgoingID), interval, now), now)
	})
	t.Run("of several that reserve at once, each has one", func(t *testing.T) {
		other := boathook.NewID(boathook.OutgoingID)
		slots := make([]time.Time, 8)
		atOnce(t, len(slots), func(ctx context.Context, i int) (err error) {
			slots[i], err = s.ReserveSlot(ctx, other, interval, now)
			return err
		})
		slices.SortFunc(slots, time.Time.Compare)
		for i, slot := range slots {
			wantSame(t, "slot", slot, now.Add(time.Duration(i)*interval))
		}
	})
}
