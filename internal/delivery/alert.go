package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
	"boathook/internal/tracing"
)

// alertMemory is how long it is remembered that a workspace's alerts want to know of
// deliveries that have failed for good: there may be thousands at a time, and mostly nobody
// wants to.
const alertMemory = 10 * time.Second

// Alert is [Publisher.Publish] of an event of a workspace's alerts. A webhook of theirs
// that newly wants delivery.exhausted is seen within ten seconds.
func (p *Publisher) Alert(ctx context.Context, e boathook.Event) error {
	if e.Type == boathook.EventDeliveryExhausted {
		if wanted, err := p.wanted(ctx, e); err != nil || !wanted {
			return err
		}
	}
	// It may be told again by another attempt or process, so that it follows from none.
	return p.Publish(tracing.With(ctx, boathook.TraceContext{}), e)
}

// wanted reports whether a webhook wants an alert, or the feed of the alerts keeps it, as
// is remembered.
func (p *Publisher) wanted(ctx context.Context, e boathook.Event) (bool, error) {
	p.once.Do(func() { p.alerts.TTL = alertMemory })
	return p.alerts.Get(ctx, e.SourceID, func(ctx context.Context) (bool, error) {
		audience, err := p.Store.Audience(ctx, e.SourceID)
		if err != nil && !errors.Is(err, store.ErrIncomplete) {
			return false, fmt.Errorf("look for who wants alerts: %w", err)
		}
		if s := audience.Source; s != nil && s.FeedSettings(p.RecordDays).Retention() > 0 {
			return true, nil
		}
		return slices.ContainsFunc(audience.Outgoing, func(w boathook.OutgoingWebhook) bool { return w.Wants(e.Type, "") }), nil
	})
}

// alertFailing tells the workspace's alerts once that a webhook is over its threshold. It
// is called with the webhook's health locked, after an attempt that failed.
func (d *Deliverer) alertFailing(ctx context.Context, w *webhook, s sent) error {
	a, now := w.health.Alert, d.config.Now()
	switch {
	case !w.AlertAfter.Reached(w.health, s.SentAt) || a.Step == boathook.AlertTold:
		return nil
	case a.Step != boathook.AlertNone && !a.Stale(now):
		return nil // somebody is at it
	case a.Step == boathook.AlertRecovering: // whoever was to tell of it has died
		return d.alertRecovered(ctx, w)
	case a.Step == boathook.AlertNone:
		a.Since = w.health.FailingSince
	}
	begun := boathook.Alert{Step: boathook.AlertFailing, At: now, Since: a.Since}
	told := begun
	told.Step = boathook.AlertTold
	return d.step(ctx, w, begun, told, w.FailingAlert(begun, s.Attempt))
}

// alertRecovered tells the workspace's alerts once that a webhook works again, if they
// were told that it fails. It is called with the webhook's health locked.
func (d *Deliverer) alertRecovered(ctx context.Context, w *webhook) error {
	a, now := w.health.Alert, d.config.Now()
	if a.Step == boathook.AlertNone || a.Step == boathook.AlertRecovering && !a.Stale(now) {
		return nil
	}
	begun := boathook.Alert{Step: boathook.AlertRecovering, At: now, Since: a.Since}
	events := []boathook.Event{w.RecoveredAlert(begun)}
	if a.Step == boathook.AlertFailing { // perhaps whoever was to tell of it has died
		events = slices.Insert(events, 0, w.FailingAlert(a, boathook.Attempt{}))
	}
	return d.step(ctx, w, begun, boathook.Alert{}, events...)
}

// step moves a webhook's alert to a step that is begun, tells of it, and moves it on. Of
// several processes one does so.
func (d *Deliverer) step(ctx context.Context, w *webhook, begun, done boathook.Alert, events ...boathook.Event) error {
	moved, err := d.config.Store.MoveAlert(ctx, w.ID, w.health.Alert, begun)
	if err != nil {
		return err
	}
	w.health.Alert = begun // another's, if that was faster
	if !moved {
		return nil
	}
	for _, e := range events {
		if err := d.config.Publish.Alert(ctx, e); err != nil {
			return fmt.Errorf("alert of webhook %s: %w", w.ID, err)
		}
	}
	if _, err := d.config.Store.MoveAlert(ctx, w.ID, begun, done); err != nil {
		return err
	}
	w.health.Alert = done
	return nil
}

// exhausted tells the workspace's alerts that a delivery has failed for good. That a
// delivery of an alert has is told nobody: it would be told without end.
func (d *Deliverer) exhausted(ctx context.Context, w *webhook, failed boathook.Delivery, s sent) error {
	if boathook.KindOf(failed.SourceID) == boathook.Alerts {
		return nil
	}
	return d.config.Publish.Alert(ctx, w.ExhaustedAlert(failed, s.Attempt))
}
