package dynamo

import (
	"context"
	"fmt"
	"time"
)

// slotItem says which slot of a webhook is free next.
type slotItem struct {
	record
	Free int64 `dynamodbav:"fr"` // Unix microseconds
}

// ReserveSlot implements [store.Slots].
func (s *Store) ReserveSlot(ctx context.Context, webhookID string, interval time.Duration, now time.Time) (time.Time, error) {
	k, at, step := slotKey(webhookID, interval), now.UnixMicro(), interval.Microseconds()
	for {
		it, held, err := s.tryUpdate(ctx, k, "SET fr = fr + :step, x = :x", present, "fr > :at",
			map[string]any{":step": step, ":x": s.expiry(), ":at": at})
		if held {
			var taken slotItem
			taken, err = decode[slotItem](it)
			at = taken.Free - step
		} else if err == nil {
			// Nobody waits: this slot is now's, unless another takes it first.
			held, err = s.putRecord(ctx, slotItem{s.record(k), at + step}, absent+" OR fr <= :at", item{":at": num(at)})
		}
		if err != nil {
			return time.Time{}, fmt.Errorf("reserve a slot of webhook %s: %w", webhookID, err)
		}
		if held {
			return time.UnixMicro(at).UTC(), nil
		}
	}
}
