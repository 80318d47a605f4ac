// Package publish fans an event out: it finds the outgoing webhooks that want
// it, renders the body once per dialect, and queues one delivery for each.
package publish

import (
	"context"
	"fmt"
	"log/slog"

	"boathook/internal/boathook"
	"boathook/internal/dialect"
	"boathook/internal/queue"
)

// Webhooks lists the outgoing webhooks of a source.
type Webhooks interface {
	AllOutgoing(ctx context.Context, sourceID string) ([]boathook.OutgoingWebhook, error)
}

// Publisher queues deliveries.
type Publisher struct {
	Webhooks Webhooks
	Queue    queue.Sender // of deliveries: first attempts
	Log      *slog.Logger
}

// Publish queues one delivery of e for each webhook that wants it. When it
// returns nil, all are durable. It may be repeated: an event's delivery to a
// webhook has one id, however often it is queued.
func (p *Publisher) Publish(ctx context.Context, e boathook.Event) error {
	webhooks, err := p.Webhooks.AllOutgoing(ctx, e.SourceID)
	if err != nil {
		return fmt.Errorf("publish event %s: %w", e.ID, err)
	}
	var wanting []boathook.OutgoingWebhook
	for _, w := range webhooks {
		if w.Wants(e.Type, e.Environment) {
			wanting = append(wanting, w)
		}
	}
	return p.queue(ctx, e, wanting)
}

// PublishTo queues e's delivery to one webhook, whatever it has subscribed to.
func (p *Publisher) PublishTo(ctx context.Context, e boathook.Event, w boathook.OutgoingWebhook) error {
	return p.queue(ctx, e, []boathook.OutgoingWebhook{w})
}

func (p *Publisher) queue(ctx context.Context, e boathook.Event, webhooks []boathook.OutgoingWebhook) error {
	bodies := make(map[string][]byte, 1)
	messages := make([]queue.Message, 0, len(webhooks))
	for _, w := range webhooks {
		body, ok := bodies[w.Dialect]
		if !ok {
			d, known := dialect.Lookup(w.Dialect)
			if !known {
				// Only a roll-back to an older Boathook brings this about. The
				// others' deliveries must not wait for it.
				p.Log.ErrorContext(ctx, "webhook skipped: unknown dialect", "webhook_id", w.ID, "dialect", w.Dialect, "event_id", e.ID)
				continue
			}
			var err error
			if body, err = d.Body(e); err != nil {
				return fmt.Errorf("render event %s: %w", e.ID, err)
			}
			bodies[w.Dialect] = body
		}
		message, err := queue.EncodeDelivery(queue.Delivery{
			Delivery: boathook.Delivery{
				ID: boathook.NewDeliveryID(&e, w.ID), WorkspaceID: e.WorkspaceID, SourceID: e.SourceID, WebhookID: w.ID,
				EventID: e.ID, EventType: e.Type, Environment: e.Environment, Body: body,
			},
			Attempt: 1, Series: 1,
		})
		if err != nil {
			return err
		}
		messages = append(messages, message)
	}
	if len(messages) == 0 {
		return nil
	}
	if err := p.Queue.Send(ctx, messages...); err != nil {
		return fmt.Errorf("queue the deliveries of event %s: %w", e.ID, err)
	}
	return nil
}
