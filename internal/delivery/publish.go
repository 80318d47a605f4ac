package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"boathook/internal/boathook"
	"boathook/internal/dialect"
	"boathook/internal/queue"
	"boathook/internal/tracing"
)

// Webhooks lists the outgoing webhooks of a source, and names the source. It is asked
// for the name only where a webhook gets messages for people.
type Webhooks interface {
	AllOutgoing(ctx context.Context, sourceID string) ([]boathook.OutgoingWebhook, error)
	Source(ctx context.Context, workspaceID, id string) (boathook.Source, error)
}

// Publisher fans events out: it finds the outgoing webhooks that want one, renders
// and compresses its body once per dialect and format, and queues one delivery for
// each webhook. The deliveries follow from the place in a trace that ctx carries.
type Publisher struct {
	Webhooks Webhooks
	Queue    queue.Sender // of deliveries: first attempts
	Log      *slog.Logger
	Tracer   *tracing.Tracer // may be nil
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
	b := batch{sender: p.Queue}
	total, bySource := 0, make(map[string][]boathook.OutgoingWebhook, 1)
	for _, e := range events {
		webhooks, read := bySource[e.SourceID]
		if !read {
			if webhooks, err = p.Webhooks.AllOutgoing(ctx, e.SourceID); err != nil {
				return nil, fmt.Errorf("publish event %s: %w", e.ID, err)
			}
			bySource[e.SourceID] = webhooks
		}
		var wanting []boathook.OutgoingWebhook
		for _, w := range webhooks {
			if w.Wants(e.Type, e.Environment) && w.Hears(&e) {
				wanting = append(wanting, w)
			}
		}
		n, err := p.add(ctx, &b, e, wanting)
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

// PublishTo queues e's delivery to one webhook, whatever it has subscribed to.
func (p *Publisher) PublishTo(ctx context.Context, e boathook.Event, w boathook.OutgoingWebhook) (err error) {
	ctx, span := p.Tracer.Send(ctx, queue.Deliveries, ofEvent(e)...)
	defer func() { span.Done(err) }()
	b := batch{sender: p.Queue}
	if _, err := p.add(ctx, &b, e, []boathook.OutgoingWebhook{w}); err != nil {
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

// style is what a body depends on besides its event.
type style struct {
	dialect string
	format  boathook.Format
}

// nameOf is the name of an event's source; empty for one that was deleted.
func (p *Publisher) nameOf(ctx context.Context, e boathook.Event) (string, error) {
	s, err := p.Webhooks.Source(ctx, e.WorkspaceID, e.SourceID)
	if boathook.IsKind(err, boathook.NotFound) {
		return "", nil
	}
	return s.Name, err
}

// add adds the deliveries of an event, and counts them.
func (p *Publisher) add(ctx context.Context, b *batch, e boathook.Event, webhooks []boathook.OutgoingWebhook) (n int, err error) {
	var styles []style
	byStyle := make(map[style][]boathook.Delivery, 1)
	for _, w := range webhooks {
		s := style{w.Dialect, w.Format}
		if _, seen := byStyle[s]; !seen {
			styles = append(styles, s)
		}
		byStyle[s] = append(byStyle[s], boathook.Delivery{
			ID: boathook.NewDeliveryID(&e, w.ID), WorkspaceID: e.WorkspaceID, SourceID: e.SourceID, WebhookID: w.ID,
			EventID: e.ID, EventType: e.Type, Environment: e.Environment, Dialect: w.Dialect,
			Trace: tracing.From(ctx),
		})
	}
	for _, s := range styles {
		deliveries := byStyle[s]
		d, known := dialect.Lookup(s.dialect)
		if !known {
			// Only a roll-back to an older Boathook brings this about. The
			// others' deliveries must not wait for it.
			p.Log.ErrorContext(ctx, "webhooks skipped: unknown dialect", "webhook_id", deliveries[0].WebhookID,
				"webhooks", len(deliveries), "dialect", s.dialect, "event_id", e.ID)
			continue
		}
		if s.format != boathook.Raw && s.format != "" && e.SourceName == "" {
			if e.SourceName, err = p.nameOf(ctx, e); err != nil {
				return n, err
			}
		}
		text, err := d.Body(s.format, e)
		if err != nil {
			return n, fmt.Errorf("render: %w", err)
		}
		body := boathook.NewBody(text)
		messages := make([]queue.Message, len(deliveries))
		for i, to := range deliveries {
			to.Body = body
			if messages[i], err = queue.EncodeDelivery(queue.Delivery{Delivery: to, Attempt: 1, First: 1}); err != nil {
				return n, err
			}
		}
		if err := b.add(ctx, messages); err != nil {
			return n, err
		}
		n += len(messages)
	}
	return n, nil
}

// batch collects messages, so that many small ones are few requests, and sends
// them before they are too many to hold: each of the webhooks of a source has
// its own copy of a body.
type batch struct {
	sender   queue.Sender
	messages []queue.Message
	bytes    int
}

const (
	batchBytes = 8 << 20
	maxTries   = 3 // of a message that the queue does not take
)

func (b *batch) add(ctx context.Context, messages []queue.Message) error {
	for _, m := range messages {
		b.messages = append(b.messages, m)
		if b.bytes += len(m.Body); b.bytes >= batchBytes {
			if err := b.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush sends what was added. What a queue has not taken of it is sent again:
// only those messages, as they are, since each is a delivery with its id.
func (b *batch) flush(ctx context.Context) error {
	left := b.messages
	b.messages, b.bytes = nil, 0
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
