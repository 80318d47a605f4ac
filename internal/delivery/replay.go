package delivery

import (
	"context"
	"errors"
	"slices"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/store"
	"boathook/internal/tracing"
)

// ReplayOnly says which events of a feed a webhook is sent again, of those that it wants.
type ReplayOnly string

// What a replay sends.
const (
	ReplayMissing ReplayOnly = "missing" // those of which the webhook has no delivery
	ReplayFailed  ReplayOnly = "failed"  // those whose delivery failed for good, or was canceled
	ReplayAll     ReplayOnly = "all"     // all, also those whose delivery succeeded
)

// Missing is what a replay counts an event as of which the webhook has no delivery. The
// others count as what their delivery is.
const Missing boathook.DeliveryStatus = "missing"

// Replay sends a webhook events from its source's feed again. What the webhook wants now
// decides: its types, environment, channels and filter.
//
// An event has one delivery to a webhook, whoever queues it. So an event that is missing
// gets the delivery that it would have had, and another replay beside this one makes no
// second. Of a delivery that is there one more attempt is queued, as a resend does.
type Replay struct {
	Webhook    boathook.OutgoingWebhook
	SourceName string
	Only       ReplayOnly
	Types      []boathook.EventType // any of them; nil: all
	Since      time.Time            // of events that came into the feed then or later
	Until      time.Time            // of events that came into the feed then or before
	DryRun     bool                 // only count
	Begun      time.Time            // what was attempted since then is not sent again

	// Recorded is since when what happened is sure to be on record. Of an event that came
	// before, and could have had a delivery then, nobody knows whether it had one.
	Recorded time.Time
}

// Replayed counts events.
type Replayed struct {
	Matched int                             // that the webhook wants
	Queued  map[boathook.DeliveryStatus]int // that were queued, or would be, by what they were before
	Recent  int                             // that have no delivery yet, and may be on their way to their first
	Unknown int                             // whose delivery, if they had one, is no longer on record
}

// Add adds the counts of another part.
func (r *Replayed) Add(part Replayed) {
	r.Matched, r.Recent, r.Unknown = r.Matched+part.Matched, r.Recent+part.Recent, r.Unknown+part.Unknown
	for status, n := range part.Queued {
		r.Queued[status] += n
	}
}

// candidate is an event that a webhook wants, and its delivery if it has one.
type candidate struct {
	event    store.FeedEvent
	fault    string // of the filter
	delivery boathook.Delivery
	exists   bool
}

// ReplayPage sends a webhook those events of a part of a feed that the replay is for.
// With an error come the counts of those that were queued before it.
//
// An event's record is written once its message is queued. A crash between the two leaves
// it as it was. A repeat queues the same attempt again, which is made once.
func (r *Resender) ReplayPage(ctx context.Context, p Replay, events []store.FeedEvent) (Replayed, error) {
	out := Replayed{Queued: make(map[boathook.DeliveryStatus]int)}
	found, err := r.candidates(ctx, p, events)
	if err != nil {
		return out, err
	}
	out.Matched = len(found)
	now := r.Now()
	found = slices.DeleteFunc(found, func(c candidate) bool { return !p.sends(c, now, &out) })
	if p.DryRun {
		for _, c := range found {
			out.Queued[c.status()]++
		}
		return out, nil
	}
	sent, err := r.replay(ctx, p, found, now)
	for _, c := range sent {
		out.Queued[c.status()]++
	}
	return out, err
}

// candidates are the events that the webhook wants, with their deliveries.
func (r *Resender) candidates(ctx context.Context, p Replay, events []store.FeedEvent) (found []candidate, err error) {
	w := p.Webhook
	w.Enabled = true // a dry run counts for one that is disabled, too
	for _, e := range events {
		e.SourceName = p.SourceName
		if e.Published.Before(p.Since) || e.Published.After(p.Until) {
			continue
		}
		if p.Types != nil && !slices.Contains(p.Types, e.Type) || !w.Wants(e.Type, e.Environment) || !w.Hears(&e.Event) {
			continue
		}
		m := r.Publish.making(e.Event)
		wanted, fault, err := m.wants(ctx, &w)
		m.end()
		if err != nil {
			return nil, err
		}
		if wanted {
			found = append(found, candidate{event: e, fault: fault})
		}
	}
	return found, atOnce(found, func(c *candidate) (err error) {
		c.delivery, err = r.Store.Delivery(ctx, w.WorkspaceID, boathook.NewDeliveryID(&c.event.Event, w.ID))
		if boathook.IsKind(err, boathook.NotFound) {
			return nil
		}
		c.exists = err == nil
		return err
	})
}

func (c *candidate) status() boathook.DeliveryStatus {
	if !c.exists {
		return Missing
	}
	return c.delivery.Status
}

// sends reports whether an event is sent again, and counts why not where that is no
// matter of course.
func (p Replay) sends(c candidate, now time.Time, out *Replayed) bool {
	w := p.Webhook
	switch c.status() {
	case Missing:
		switch {
		// Whoever publishes an event reads its webhooks before the feed has it.
		case now.Sub(c.event.Published) < resendGrace && !w.CreatedAt.After(c.event.Published):
			out.Recent++
		case p.Only != ReplayAll && c.event.Published.Before(p.Recorded) && w.CreatedAt.Before(p.Recorded):
			out.Unknown++
		default:
			return p.Only != ReplayFailed
		}
		return false
	case boathook.DeliveryFailed, boathook.DeliveryCanceled:
		return p.Only != ReplayMissing && c.delivery.Last.SentAt.Before(p.Begun)
	case boathook.DeliveryRetrying:
		return p.Only == ReplayAll && c.delivery.Last.SentAt.Before(p.Begun) && !onItsWay(c.delivery, now)
	default:
		return p.Only == ReplayAll && c.delivery.Last.SentAt.Before(p.Begun)
	}
}

// replay queues an attempt of each event, in their order, and notes it in the record. It
// gives those that were queued.
func (r *Resender) replay(ctx context.Context, p Replay, found []candidate, now time.Time) (sent []candidate, err error) {
	// What is missing follows from no trace: a replay may be asked for again, in another one,
	// and each attempt of a delivery is of the same.
	untraced := tracing.With(ctx, boathook.TraceContext{})
	messages := make([]queue.Message, len(found))
	var made []boathook.Delivery
	for i := range found {
		c := &found[i]
		if !c.exists {
			m := r.Publish.making(c.event.Event)
			c.delivery, err = m.delivery(untraced, &p.Webhook, c.fault)
			m.end()
			if err != nil {
				return nil, err
			}
			made = append(made, c.delivery)
		}
		if messages[i], err = queue.EncodeDelivery(resend(p.Webhook, c.delivery, now)); err != nil {
			return nil, err
		}
	}
	if len(messages) == 0 {
		return nil, nil
	}
	if len(made) > 0 {
		if err := r.Publish.Store.EnterDeliveries(ctx, made...); err != nil {
			return nil, err
		}
	}
	sendErr := r.Retries.Send(ctx, messages...)
	if partial, ok := errors.AsType[*queue.PartialError](sendErr); ok {
		for _, i := range slices.Backward(partial.Failed) {
			found = slices.Delete(found, i, i+1)
		}
	} else if sendErr != nil {
		return nil, sendErr
	}
	return found, errors.Join(sendErr, atOnce(found, func(c *candidate) error { return r.note(ctx, *c, now) }))
}

// note has a delivery's record say that its next attempt is due. One that succeeded stays
// so, whatever comes of the attempt that is asked for.
func (r *Resender) note(ctx context.Context, c candidate, now time.Time) error {
	d := c.delivery
	switch c.status() {
	case boathook.DeliverySucceeded:
		return nil
	case Missing, boathook.DeliveryCanceled:
		if d.Attempts > 0 {
			d.Resend = d.Attempts + 1
		}
		return r.Store.PostponeDelivery(ctx, d, now)
	default:
		return r.Store.ReopenDelivery(ctx, d, now)
	}
}
