package simulation

import (
	"context"

	"boathook/internal/boathook"
)

// half is an attempt of which a process has written the item of its own, and then
// died: the delivery's record knows nothing of it. An attempt after the first is the
// only write that leaves something to see when it is torn apart; the others write
// what is seen last.
type half struct {
	delivery boathook.Delivery // as the attempt leaves it
	attempt  boathook.Attempt
}

// RecordAttempt may be the last that a process does, between its two writes.
func (c calls) RecordAttempt(ctx context.Context, d boathook.Delivery, a boathook.Attempt) error {
	id := d.ID.String()
	w := c.p.world
	if a.Number == 1 || w.isCalm() || w.chance("tear of RecordAttempt", id).Float64() >= w.weather.crash {
		return tell(ctx, c.p, "RecordAttempt", id, func() error { return c.Store.RecordAttempt(ctx, d, a) })
	}
	return tell(ctx, c.p, "RecordAttempt", id, func() error {
		if w.tear(half{d, a}) {
			c.p.note("RecordAttempt", id, "CRASH between its two writes")
			c.p.crash()
			return errDead
		}
		return c.Store.RecordAttempt(ctx, d, a)
	})
}

// tear keeps a half, unless the attempt is recorded already.
func (w *world) tear(h half) bool {
	_, attempts, err := w.store.Attempts(context.Background(), workspaceID, h.delivery.ID)
	for _, a := range attempts {
		if a.Number == h.attempt.Number {
			return false
		}
	}
	if err != nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, torn := w.halves[tornAt{h.delivery.ID, h.attempt.Number}]; torn {
		return false
	}
	w.halves[tornAt{h.delivery.ID, h.attempt.Number}] = h
	w.counts["torn attempt"]++
	return true
}

// tornAt is the attempt of a half.
type tornAt struct {
	id     boathook.DeliveryID
	number int
}

// mend completes the record of an attempt that is recorded in half, when it is
// recorded again: the first one counts.
func (s witness) mend(ctx context.Context, d boathook.Delivery, a boathook.Attempt) (mended bool, err error) {
	at := tornAt{d.ID, a.Number}
	s.w.mu.Lock()
	h, torn := s.w.halves[at]
	delete(s.w.halves, at)
	s.w.mu.Unlock()
	if !torn {
		return false, nil
	}
	if err := s.Store.RecordAttempt(ctx, h.delivery, h.attempt); err != nil {
		return true, err
	}
	return true, boathook.Errorf(boathook.Conflict, "attempt %d of delivery %s is recorded already", a.Number, d.ID)
}
