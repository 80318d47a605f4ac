package manage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/store"
)

// recovery asks for the failed deliveries of a time to be sent again.
type recovery struct {
	Since  string `json:"since"`  // of their events
	Until  string `json:"until"`  // of their events, itself included; now by default
	Cursor string `json:"cursor"` // of the answer before
}

// recovered says how many were queued. With a next cursor there are more: the
// same request with it, and with until as it is here, carries on.
type recovered struct {
	Queued     int           `json:"queued"`
	Until      boathook.Time `json:"until"`
	NextCursor *string       `json:"next_cursor"`
}

const (
	// recoverTime is how long one request goes on, well below the API's 30 s.
	recoverTime = 15 * time.Second
	// recoverLimit is how many deliveries, with their bodies, are in memory.
	recoverLimit = 50
	// recoverParallel is how many of them are read or written at once.
	recoverParallel = 16
)

// recoverOutgoing resends each delivery of a webhook that is failed, once: what
// is queued again is failed no longer. So a request that broke off is repeated.
func (h *Handler) recoverOutgoing(ctx context.Context, c call, in recovery) (recovered, error) {
	begun := h.cfg.Now()
	_, w, err := h.outgoing(ctx, c)
	if err != nil {
		return recovered{}, err
	}
	since, err := parseTime("since", in.Since)
	if err != nil {
		return recovered{}, err
	}
	until := begun
	if in.Until != "" {
		if until, err = parseTime("until", in.Until); err != nil {
			return recovered{}, err
		}
	}
	if until.Before(since) {
		return recovered{}, boathook.InvalidField("until", "must not be before since")
	}
	if !w.Enabled {
		return recovered{}, errDisabled
	}

	out := recovered{Until: boathook.Time{Time: until}, NextCursor: nullable(in.Cursor)}
	q := store.DeliveryQuery{
		WorkspaceID: w.WorkspaceID, WebhookID: w.ID, Statuses: []boathook.DeliveryStatus{boathook.DeliveryFailed},
		Since: since, Until: until.Add(time.Millisecond),
		Page: store.Page{Limit: recoverLimit, Cursor: in.Cursor},
	}
	for {
		n, next, err := h.recoverPage(ctx, q)
		if err != nil {
			return recovered{}, fmt.Errorf("recover webhook %s, after %d deliveries: %w", w.ID, out.Queued, err)
		}
		out.Queued += n
		if out.NextCursor, q.Cursor = nullable(next), next; next == "" || h.cfg.Now().Sub(begun) >= recoverTime {
			h.cfg.Log.InfoContext(ctx, "deliveries recovered", "webhook_id", w.ID, "queued", out.Queued, "more", next != "")
			return out, nil
		}
	}
}

func parseTime(field, text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, boathook.InvalidField(field, "must be a time such as 2026-11-21T18:00:00Z")
	}
	return t, nil
}

// recoverPage queues a page of failed deliveries again, and tells how many. One
// is reopened once it is queued: a crash between the two leaves it failed, and
// a repeat queues the same attempt again, which deliver makes once.
func (h *Handler) recoverPage(ctx context.Context, q store.DeliveryQuery) (queued int, next string, err error) {
	page, next, err := h.cfg.Store.Deliveries(ctx, q)
	if err != nil {
		return 0, "", err
	}
	// The list may be behind, and has no bodies.
	if err := atOnce(page, func(d *boathook.Delivery) (err error) {
		*d, err = h.cfg.Store.Delivery(ctx, q.WorkspaceID, d.ID)
		if boathook.IsKind(err, boathook.NotFound) {
			return nil // expired meanwhile
		}
		return err
	}); err != nil {
		return 0, "", err
	}
	page = slices.DeleteFunc(page, func(d boathook.Delivery) bool { return d.Status != boathook.DeliveryFailed })
	if len(page) == 0 {
		return 0, next, nil
	}
	messages := make([]queue.Message, len(page))
	for i, d := range page {
		if messages[i], err = queue.EncodeDelivery(resend(d)); err != nil {
			return 0, "", err
		}
	}
	sendErr := h.cfg.Retries.Send(ctx, messages...)
	if partial := (*queue.PartialError)(nil); errors.As(sendErr, &partial) {
		for _, i := range slices.Backward(partial.Failed) {
			page = slices.Delete(page, i, i+1)
		}
	} else if sendErr != nil {
		return 0, "", sendErr
	}
	now := h.cfg.Now()
	err = atOnce(page, func(d *boathook.Delivery) error { return h.cfg.Store.ReopenDelivery(ctx, *d, now) })
	return len(page), next, errors.Join(sendErr, err)
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
