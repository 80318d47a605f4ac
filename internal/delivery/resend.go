package delivery

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

// Resender queues attempts that a user asks for. All fields are required.
type Resender struct {
	Store   ResendStore
	Retries queue.Sender // the queue of later attempts
	Publish *Publisher   // makes the deliveries that a webhook has missed
	Now     func() time.Time
}

// ResendStore is the part of the store that a [Resender] needs.
type ResendStore interface {
	Delivery(ctx context.Context, workspaceID string, id boathook.DeliveryID) (boathook.Delivery, error)
	Deliveries(ctx context.Context, q store.DeliveryQuery) (deliveries []boathook.Delivery, next string, err error)
	ReopenDelivery(ctx context.Context, d boathook.Delivery, at time.Time) error
	PostponeDelivery(ctx context.Context, d boathook.Delivery, at time.Time) error
}

const (
	// resendParallel is how many deliveries of a page are read or written at once.
	resendParallel = 16
	// resendGrace is for how long an attempt that is due may be on its way.
	resendGrace = 5 * time.Minute
)

// Resend queues one more attempt of a webhook's delivery, with which the retry
// schedule starts again. While the delivery is being retried, it only comes sooner: a
// queued attempt of the same number finds itself made.
func (r *Resender) Resend(ctx context.Context, w boathook.OutgoingWebhook, d boathook.Delivery) error {
	m, err := queue.EncodeDelivery(resend(w, d, r.Now()))
	if err != nil {
		return err
	}
	if err := r.Retries.Send(ctx, m); err != nil {
		return fmt.Errorf("queue a resend of %s: %w", d.ID, err)
	}
	return nil
}

// resend is one more attempt of a delivery, with which its retry schedule starts
// again. One that has waited for its first counts as postponed until now, so that
// the message that it waits with finds it made; but not past a rate limit.
func resend(w boathook.OutgoingWebhook, d boathook.Delivery, now time.Time) queue.Delivery {
	r := queue.Delivery{Delivery: d, Attempt: d.Attempts + 1, First: d.Attempts + 1, Again: d.Attempts == 0}
	if d.Attempts == 0 && w.RateLimit == 0 {
		r.NotBefore = now
	}
	return r
}

// ResendPage queues those of a page of a webhook's deliveries again that are of the
// query's statuses, and gives them as they were. A dry run only gives them. Left out
// are those that are on their way already. With an error come those that were queued
// before it.
//
// One is reopened once it is queued: a crash between the two leaves it as it was, and
// a repeat queues the same attempt again, which is made once.
func (r *Resender) ResendPage(ctx context.Context, w boathook.OutgoingWebhook, q store.DeliveryQuery, dryRun bool) (page []boathook.Delivery, next string, err error) {
	page, next, err = r.Store.Deliveries(ctx, q)
	if err != nil {
		return nil, "", err
	}
	if !dryRun {
		// The list may be behind, and has no bodies.
		if err := atOnce(page, func(d *boathook.Delivery) (err error) {
			*d, err = r.Store.Delivery(ctx, q.WorkspaceID, d.ID)
			if boathook.IsKind(err, boathook.NotFound) {
				return nil // expired meanwhile
			}
			return err
		}); err != nil {
			return nil, "", err
		}
	}
	now := r.Now()
	page = slices.DeleteFunc(page, func(d boathook.Delivery) bool {
		return onItsWay(d, now) || !slices.Contains(q.Statuses, d.Status)
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
	sendErr := r.Retries.Send(ctx, messages...)
	if partial, ok := errors.AsType[*queue.PartialError](sendErr); ok {
		for _, i := range slices.Backward(partial.Failed) {
			page = slices.Delete(page, i, i+1)
		}
	} else if sendErr != nil {
		return nil, "", sendErr
	}
	err = atOnce(page, func(d *boathook.Delivery) error { return r.Store.ReopenDelivery(ctx, *d, now) })
	return page, next, errors.Join(sendErr, err)
}

// onItsWay reports whether the next attempt of a delivery is due, and was not long ago.
func onItsWay(d boathook.Delivery, now time.Time) bool {
	return d.Status == boathook.DeliveryRetrying && !d.NextAttemptAt.After(now) && now.Sub(d.NextAttemptAt) < resendGrace
}

// atOnce does something with each of many, some of them side by side.
func atOnce[T any](all []T, do func(*T) error) error {
	var work errgroup.Group
	work.SetLimit(resendParallel)
	for i := range all {
		work.Go(func() error { return do(&all[i]) })
	}
	return work.Wait()
}
