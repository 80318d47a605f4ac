package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/cache"
	"boathook/internal/dialect"
	"boathook/internal/expression"
	"boathook/internal/queue"
	"boathook/internal/store"
	"boathook/internal/tracing"
)

// PublishStore is the part of the store that a [Publisher] needs.
type PublishStore interface {
	Audience(ctx context.Context, sourceID string) (store.Audience, error)
	AppendEvents(ctx context.Context, sourceID string, keep time.Duration, events ...boathook.Event) error
	EnterDeliveries(ctx context.Context, deliveries ...boathook.Delivery) error
}

// Publisher fans events out: it puts them into their source's feed, if that keeps any,
// finds the outgoing webhooks that want one, renders and compresses its body once per
// dialect and format, and queues one delivery for each webhook. The deliveries follow
// from the place in a trace that ctx carries.
//
// The workspace's list of deliveries learns of them just before they are queued. A crash
// between the two leaves it with deliveries that have no records, which it does not show.
//
// The feed comes first. A crash between it and the queue leaves an event in the feed alone; who
// repeats it, as all do who can, queues its deliveries, and the feed has it once.
type Publisher struct {
	Store      PublishStore
	Queue      queue.Sender // of deliveries: first attempts
	RecordDays int          // for how many days records are kept; see [boathook.Source.FeedSettings]
	Log        *slog.Logger
	Tracer     *tracing.Tracer // may be nil

	expressions cache.Cache[*expression.Expression] // by their texts
	once        sync.Once                           // of alerts
	alerts      cache.Cache[bool]                   // whether a workspace's want delivery.exhausted
}

// Publish queues one delivery of e for each webhook that wants it. When it
// returns nil, all are durable. It may be repeated: an event's delivery to a
// webhook has one id, however often it is queued.
func (p *Publisher) Publish(ctx context.Context, e boathook.Event) error {
	_, err := p.PublishAll(ctx, e)
	return err
}

// PublishAll is [Publisher.Publish] of several events. It counts the deliveries
// of each.
func (p *Publisher) PublishAll(ctx context.Context, events ...boathook.Event) (deliveries []int, err error) {
	ctx, span := p.Tracer.Send(ctx, queue.Deliveries)
	defer func() { span.Done(err) }()
	audiences := make(map[string]store.Audience, 1)
	for _, e := range events {
		if _, read := audiences[e.SourceID]; read {
			continue
		}
		if audiences[e.SourceID], err = p.Store.Audience(ctx, e.SourceID); err != nil {
			return nil, fmt.Errorf("publish event %s: %w", e.ID, err)
		}
		if err := p.feed(ctx, audiences[e.SourceID].Source, events); err != nil {
			return nil, err
		}
	}
	b := batch{store: p.Store, sender: p.Queue}
	total := 0
	for _, e := range events {
		audience := audiences[e.SourceID]
		if audience.Source != nil {
			e.SourceName = audience.Source.Name
		}
		n, err := p.fanOut(ctx, &b, e, audience.Outgoing)
		if err != nil {
			return nil, fmt.Errorf("publish event %s: %w", e.ID, err)
		}
		deliveries = append(deliveries, n)
		total += n
	}
	span.Set(slog.Int("messaging.batch.message_count", total))
	if len(events) == 1 {
		span.Set(ofEvent(events[0])...)
	}
	return deliveries, b.flush(ctx)
}

// feed puts those of the events that are a source's into its feed, if it keeps any. A
// source that was deleted keeps none.
func (p *Publisher) feed(ctx context.Context, s *boathook.Source, events []boathook.Event) error {
	if s == nil {
		return nil
	}
	keep := s.FeedSettings(p.RecordDays).Retention()
	if keep == 0 {
		return nil
	}
	own := slices.DeleteFunc(slices.Clone(events), func(e boathook.Event) bool { return e.SourceID != s.ID })
	return p.Store.AppendEvents(ctx, s.ID, keep, own...)
}

// fanOut adds an event's deliveries to those of its source's webhooks that want it, and
// counts them.
func (p *Publisher) fanOut(ctx context.Context, b *batch, e boathook.Event, webhooks []boathook.OutgoingWebhook) (n int, err error) {
	m := p.making(e)
	defer func() { m.end() }()
	for i := range webhooks {
		w := &webhooks[i]
		if !w.Wants(e.Type, e.Environment) || !w.Hears(&e) || !p.knows(ctx, w, &e) {
			continue
		}
		wanted, fault, err := m.wants(ctx, w)
		if err != nil {
			return n, err
		}
		if !wanted {
			continue
		}
		if err := m.add(ctx, b, w, fault); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// PublishTo queues e's delivery to one webhook, whatever it has subscribed to and its
// filter says.
func (p *Publisher) PublishTo(ctx context.Context, e boathook.Event, w boathook.OutgoingWebhook) (err error) {
	if !p.knows(ctx, &w, &e) {
		return nil
	}
	m := p.making(e)
	defer func() { m.end() }()
	ctx, span := p.Tracer.Send(ctx, queue.Deliveries, ofEvent(e)...)
	defer func() { span.Done(err) }()
	b := batch{store: p.Store, sender: p.Queue}
	if err := m.add(ctx, &b, &w, ""); err != nil {
		return err
	}
	return b.flush(ctx)
}

// ofEvent is what a trace tells of an event.
func ofEvent(e boathook.Event) []slog.Attr {
	return []slog.Attr{
		slog.String("boathook.event.id", e.ID), slog.String("boathook.event.type", string(e.Type)), slog.String("boathook.source.id", e.SourceID),
	}
}

// knows reports whether a webhook's dialect is one that there is. Only a roll-back to an
// older Boathook makes it another. The other webhooks' deliveries must not wait for it.
func (p *Publisher) knows(ctx context.Context, w *boathook.OutgoingWebhook, e *boathook.Event) bool {
	_, known := dialect.Lookup(w.Dialect)
	if !known {
		p.Log.ErrorContext(ctx, "webhook skipped: unknown dialect", "webhook_id", w.ID, "dialect", w.Dialect, "event_id", e.ID)
	}
	return known
}

// batch collects messages, so that many small ones are few requests, and sends
// them before they are too many to hold: each of the webhooks of a source has
// its own copy of a body.
type batch struct {
	store      PublishStore
	sender     queue.Sender
	deliveries []boathook.Delivery // without their bodies
	messages   []queue.Message     // of the deliveries
	bytes      int
}

const (
	batchBytes = 8 << 20
	maxTries   = 3 // of a message that the queue does not take
)

// add adds the delivery to a webhook.
func (m *making) add(ctx context.Context, b *batch, w *boathook.OutgoingWebhook, fault string) error {
	d, err := m.delivery(ctx, w, fault)
	if err != nil {
		return err
	}
	message, err := queue.EncodeDelivery(queue.Delivery{Delivery: d, Attempt: 1, First: 1})
	if err != nil {
		return err
	}
	d.Body = boathook.Body{}
	b.deliveries, b.messages = append(b.deliveries, d), append(b.messages, message)
	if b.bytes += len(message.Body); b.bytes >= batchBytes {
		return b.flush(ctx)
	}
	return nil
}

// flush enters what was added into its workspace's list, and sends it. What a queue has not
// taken of it is sent again: only those messages, as they are, since each is a delivery with
// its id.
func (b *batch) flush(ctx context.Context) error {
	if len(b.messages) == 0 {
		return nil
	}
	if err := b.store.EnterDeliveries(ctx, b.deliveries...); err != nil {
		return err
	}
	left := b.messages
	b.deliveries, b.messages, b.bytes = nil, nil, 0
	for try := 1; len(left) > 0; try++ {
		err := b.sender.Send(ctx, left...)
		if err == nil {
			return nil
		}
		partial, ok := errors.AsType[*queue.PartialError](err)
		if !ok || try == maxTries {
			return fmt.Errorf("queue deliveries: %w", err)
		}
		failed := make([]queue.Message, len(partial.Failed))
		for i, index := range partial.Failed {
			failed[i] = left[index]
		}
		left = failed
	}
	return nil
}
