package delivery

import (
	"context"
	"fmt"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/metrics"
	"boathook/internal/tracing"
)

// webhook is what the deliveries of a batch know of their webhook.
type webhook struct {
	boathook.OutgoingWebhook // its Health is as it was read

	held   chan struct{} // holds a token while one of a batch's attempts looks at health, and writes a transition
	health boathook.Health
}

func newWebhook(w boathook.OutgoingWebhook) *webhook {
	return &webhook{OutgoingWebhook: w, health: w.Health, held: make(chan struct{}, 1)}
}

// lock waits for the health, as long as ctx does: who holds it may be waiting for
// the store.
func (w *webhook) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case w.held <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *webhook) unlock() { <-w.held }

// health is the webhook's, as this batch knows it.
func (d *Deliverer) health(ctx context.Context, w *webhook) (boathook.Health, error) {
	if err := w.lock(ctx); err != nil {
		return boathook.Health{}, err
	}
	defer w.unlock()
	return w.health, nil
}

// note notes what an attempt says of its webhook's health, and reports whether the
// webhook is disabled now. It costs nothing where that is nothing new.
func (d *Deliverer) note(ctx context.Context, w *webhook, s sent) (disabled bool, err error) {
	if err := w.lock(ctx); err != nil {
		return false, err
	}
	defer w.unlock()
	over, err := d.noteSpeed(ctx, w, s)
	if err != nil {
		return false, err
	}
	works := s.Succeeded() && (!w.health.FailingSince.IsZero() || w.health.Disabling != boathook.Disabling{} || w.health.Alert != boathook.Alert{})
	if works {
		if err := d.alertRecovered(ctx, w); err != nil {
			return false, err
		}
		// A disabling that a crash has cut short is called off as well: a later one
		// has its own time and reason.
		over |= boathook.HealthFailures | boathook.HealthDisabling
	}
	if over != 0 {
		if err := d.config.Store.ClearHealth(ctx, w.ID, over); err != nil {
			return false, err
		}
		w.health = w.health.Without(over)
	}
	if works {
		d.config.Log.InfoContext(ctx, "webhook works again", "webhook_id", w.ID, "source_id", w.SourceID)
	}
	if s.Succeeded() {
		return false, nil
	}
	return d.failing(ctx, w, s)
}

// failing counts a failed attempt and reports whether its webhook is disabled now,
// so that no further attempt is to be made: the receiver said that it is gone for
// good, or every attempt failed for too long.
func (d *Deliverer) failing(ctx context.Context, w *webhook, s sent) (disabled bool, err error) {
	if w.health.Counts(s.SentAt) {
		health, err := d.config.Store.MarkFailure(ctx, w.ID, s.SentAt)
		if err != nil {
			// The failure may be stored all the same. A success of this batch must clear it.
			if w.health.FailingSince.IsZero() {
				w.health.FailingSince = s.SentAt
			}
			return false, err
		}
		w.health = health
	}
	if err := d.alertFailing(ctx, w, s); err != nil {
		return false, err
	}
	if whyDisable(s, w.health) == "" {
		return false, nil
	}
	// Another process may have seen it work, or have disabled it.
	fresh, err := d.config.Store.Outgoing(ctx, w.SourceID, w.ID)
	if boathook.IsKind(err, boathook.NotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	w.health = fresh.Health
	reason := whyDisable(s, fresh.Health)
	if fresh.Enabled && reason != "" {
		return true, d.disable(ctx, fresh, reason)
	}
	return !fresh.Enabled, nil
}

// whyDisable is empty for a webhook that may go on.
func whyDisable(s sent, h boathook.Health) string {
	switch {
	case s.result.Gone != "":
		return s.result.Gone
	case h.Hopeless(s.SentAt):
		return "failing since " + h.FailingSince.UTC().Format(time.RFC3339)
	}
	return ""
}

// disable notes the time and the reason first, so that the event is the same
// however often a crash repeats this, and tells the others before the webhook
// is seen disabled, when nothing would repeat it.
func (d *Deliverer) disable(ctx context.Context, w boathook.OutgoingWebhook, reason string) error {
	disabling, err := d.config.Store.MarkDisabling(ctx, w.ID, boathook.Disabling{At: d.config.Now(), Reason: reason})
	if err == nil && boathook.KindOf(w.SourceID) != boathook.Alerts { // whose webhooks are told below
		// The event may be published again by another delivery's attempt, so that it
		// follows from none.
		err = d.config.Publish.Publish(tracing.With(ctx, boathook.TraceContext{}), w.DisabledEvent(disabling))
	}
	if err == nil {
		err = d.config.Publish.Alert(ctx, w.DisabledAlert(disabling))
	}
	if err == nil {
		err = d.config.Store.DisableOutgoing(ctx, w.SourceID, w.ID, disabling)
	}
	if err != nil && !boathook.IsKind(err, boathook.NotFound) { // deleted meanwhile
		return fmt.Errorf("disable webhook %s: %w", w.ID, err)
	}
	d.config.Metrics.Count(metrics.WebhooksDisabled)
	d.config.Log.WarnContext(ctx, "webhook disabled", "webhook_id", w.ID, "source_id", w.SourceID, "reason", disabling.Reason)
	return nil
}
