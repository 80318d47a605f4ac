package simulation

import (
	"context"
	"slices"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// page is what a list of deliveries gives at once, whatever the limit: a world
// has few of them, and several pages are to be walked.
const page = 2

// Deliveries lists by status as an index does that is behind: what a delivery was some
// time ago.
func (c calls) Deliveries(ctx context.Context, q store.DeliveryQuery) (deliveries []boathook.Delivery, next string, err error) {
	q.Limit = page
	wanted, lag := q.Statuses, c.p.world.plan.lag
	if lag > 0 {
		q.Statuses = nil
	}
	deliveries, err = do(ctx, c.p, "Deliveries", q.WebhookID+q.Cursor, func() (found []boathook.Delivery, err error) {
		found, next, err = c.Store.Deliveries(ctx, q)
		if lag == 0 || len(wanted) == 0 {
			return found, err
		}
		return slices.DeleteFunc(found, func(d boathook.Delivery) bool {
			return !slices.Contains(wanted, c.p.world.statusThen(d.ID, time.Now().Add(-lag)))
		}), err
	})
	if err != nil {
		next = ""
	}
	return deliveries, next, err
}

// statusThen is what a delivery was at a time.
func (w *world) statusThen(id boathook.DeliveryID, at time.Time) boathook.DeliveryStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ledger.records[id].statusThen(at)
}

// unchangedSince reports whether a delivery is what it was at a time, and has been
// since.
func (w *world) unchangedSince(id boathook.DeliveryID, at time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.ledger.records[id].history
	return len(h) > 0 && !h[len(h)-1].at.After(at)
}
