package manage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/store"
)

// recovery asks for the deliveries of a time to be sent now that were not taken.
type recovery struct {
	Since    string                    `json:"since"`    // of their events
	Until    string                    `json:"until"`    // of their events, itself included; now by default
	Statuses []boathook.DeliveryStatus `json:"statuses"` // any of them; all that are recoverable by default
	DryRun   bool                      `json:"dry_run"`  // only count
	Cursor   string                    `json:"cursor"`   // of the answer before
}

// recoverable are the statuses of deliveries that were not taken: those that
// failed for good, that wait for another attempt, and that were canceled while
// their webhook was disabled.
var recoverable = []boathook.DeliveryStatus{boathook.DeliveryFailed, boathook.DeliveryRetrying, boathook.DeliveryCanceled}

// recovered says how many were queued. With a next cursor there are more: the
// same request with it, and with until as it is here, carries on.
type recovered struct {
	Queued     int                             `json:"queued"`    // or would be
	ByStatus   map[boathook.DeliveryStatus]int `json:"by_status"` // of them, as they were before
	DryRun     bool                            `json:"dry_run"`
	Until      boathook.Time                   `json:"until"`
	NextCursor *string                         `json:"next_cursor"`
}

const (
	// recoverTime is how long one request goes on, well below the API's 30 s.
	recoverTime = 15 * time.Second
	// recoverLimit is how many deliveries, with their bodies, are in memory.
	recoverLimit = 50
	// recoverParallel is how many of them are read or written at once.
	recoverParallel = 16
	// recoverGrace is for how long an attempt that is due may be on its way.
	recoverGrace = 5 * time.Minute
)

// recoverOutgoing resends each delivery of a webhook that was not taken, once:
// what is queued again is failed no longer, and its next attempt is due. So a
// request that broke off is repeated.
func (h *Handler) recoverOutgoing(ctx context.Context, c call, in recovery) (recovered, error) {
	begun := h.cfg.Now()
	_, w, err := h.outgoing(ctx, c)
	if err != nil {
		return recovered{}, err
	}
	q, err := in.query(w, begun)
	if err != nil {
		return recovered{}, err
	}
	if !w.Enabled && !in.DryRun {
		return recovered{}, errDisabled
	}

	out := recovered{
		ByStatus: make(map[boathook.DeliveryStatus]int), DryRun: in.DryRun,
		Until: boathook.Time{Time: q.Until.Add(-time.Millisecond)},
	}
	for _, status := range q.Statuses {
		out.ByStatus[status] = 0
	}
	for {
		page, next, err := h.recoverPage(ctx, w, q, in.DryRun)
		for _, d := range page {
			out.Queued++
			out.ByStatus[d.Status]++
		}
		if err != nil {
			return recovered{}, fmt.Errorf("recover webhook %s, after %d deliveries: %w", w.ID, out.Queued, err)
		}
		if out.NextCursor, q.Cursor = httpjson.Nullable(next), next; next == "" || h.cfg.Now().Sub(begun) >= recoverTime {
			h.cfg.Log.InfoContext(ctx, "deliveries recovered", "webhook_id", w.ID, "queued", out.Queued, "dry_run", in.DryRun, "more", next != "")
			return out, nil
		}
	}
}

// query selects the deliveries that are asked for.
func (in recovery) query(w boathook.OutgoingWebhook, now time.Time) (q store.DeliveryQuery, err error) {
	q = store.DeliveryQuery{
		WorkspaceID: w.WorkspaceID, WebhookID: w.ID, Statuses: in.Statuses, Until: now,
		Page: boathook.Page{Limit: recoverLimit, Cursor: in.Cursor},
	}
	if q.Since, err = parseTime("since", in.Since); err != nil {
		return q, err
	}
	if in.Until != "" {
		if q.Until, err = parseTime("until", in.Until); err != nil {
			return q, err
		}
	}
	if q.Until.Before(q.Since) {
		return q, boathook.InvalidField("until", "must not be before since")
	}
	q.Until = q.Until.Add(time.Millisecond)
	if in.Statuses == nil {
		q.Statuses = recoverable
	}
	if len(q.Statuses) == 0 || slices.ContainsFunc(q.Statuses, func(s boathook.DeliveryStatus) bool { return !slices.Contains(recoverable, s) }) {
		return q, boathook.InvalidField("statuses", "must be some of %s", recoverable)
	}
	return q, nil
}

func parseTime(field, text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, boathook.InvalidField(field, "must be a time such as 2026-11-21T18:00:00Z")
	}
	return t, nil
}

// recoverPage queues a page of deliveries again, and gives them as they were. One
// is reopened once it is queued: a crash between the two leaves it as it was, and
// a repeat queues the same attempt again, which deliver makes once.
func (h *Handler) recoverPage(ctx context.Context, w boathook.OutgoingWebhook, q store.DeliveryQuery, dryRun bool) (page []boathook.Delivery, next string, err error) {
	page, next, err = h.cfg.Store.Deliveries(ctx, q)
	if err != nil {
		return nil, "", err
	}
	if !dryRun {
		// The list may be behind, and has no bodies.
		if err := atOnce(page, func(d *boathook.Delivery) (err error) {
			*d, err = h.cfg.Store.Delivery(ctx, q.WorkspaceID, d.ID)
			if boathook.IsKind(err, boathook.NotFound) {
				return nil // expired meanwhile
			}
			return err
		}); err != nil {
			return nil, "", err
		}
	}
	now := h.cfg.Now()
	page = slices.DeleteFunc(page, func(d boathook.Delivery) bool {
		onItsWay := d.Status == boathook.DeliveryRetrying && !d.NextAttemptAt.After(now) && now.Sub(d.NextAttemptAt) < recoverGrace
		return onItsWay || !slices.Contains(q.Statuses, d.Status)
	})
	if dryRun || len(page) == 0 {
		return page, next, nil
	}
	messages := make([]queue.Message, len(page))
	for i, d := range page {
		if messages[i], err = queue.EncodeDelivery(resend(w, d, now)); err != nil {
			return nil, "", err
		}
	}
	sendErr := h.cfg.Retries.Send(ctx, messages...)
	if partial := (*queue.PartialError)(nil); errors.As(sendErr, &partial) {
		for _, i := range slices.Backward(partial.Failed) {
			page = slices.Delete(page, i, i+1)
		}
	} else if sendErr != nil {
		return nil, "", sendErr
	}
	err = atOnce(page, func(d *boathook.Delivery) error { return h.cfg.Store.ReopenDelivery(ctx, *d, now) })
	return page, next, errors.Join(sendErr, err)
}

// atOnce does something with each delivery, some of them side by side.
func atOnce(deliveries []boathook.Delivery, do func(*boathook.Delivery) error) error {
	var work errgroup.Group
	work.SetLimit(recoverParallel)
	for i := range deliveries {
		work.Go(func() error { return do(&deliveries[i]) })
	}
	return work.Wait()
}
