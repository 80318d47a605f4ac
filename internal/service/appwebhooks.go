package service

import (
	"context"
	"strings"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// AppWebhooks are the outgoing webhooks of apps, as Capawesome Cloud's clients know
// them.
type AppWebhooks struct{ *core }

// AppWebhookChange has what an app's webhook can be set to; nil leaves a field as it
// is.
type AppWebhookChange struct {
	Name          *string
	URL           *string
	Events        []boathook.EventType
	Format        *boathook.Format
	Enabled       *bool
	SigningSecret *string // empty: none
	// Issues are faults that the face has found already: they are told with those
	// that there are besides.
	Issues boathook.Issues
}

// Attempted is an attempt with its delivery.
type Attempted = store.Attempted

// appWebhook finds a webhook of an app. One that sends to a queue is none: each of
// Capawesome Cloud's has a URL.
func (k *core) appWebhook(ctx context.Context, c Caller, appID, id string) (boathook.OutgoingWebhook, error) {
	_, w, err := k.outgoing(ctx, c, SourceRef{Kind: boathook.App, ID: appID}, id)
	if err == nil && !w.Destination.IsZero() {
		err = noSuch("outgoing webhook", id)
	}
	return w, err
}

// applyAppWebhook changes a webhook, or tells all that is wrong with the change.
func (k *core) applyAppWebhook(ctx context.Context, in AppWebhookChange, w *boathook.OutgoingWebhook) error {
	all := in.Issues
	for i := range in.Events {
		if in.Issues.About("events") {
			break // what there is of them is not what was sent
		}
		if fault := eventFault(in.Events, i, boathook.App); fault != "" {
			all.Add(fault, "events", i)
		}
	}
	if all.About("events") {
		in.Events = nil
	}
	for _, part := range []OutgoingChange{{Name: in.Name}, {URL: in.URL}, {Events: in.Events}, {Format: in.Format}} {
		if err := all.Take(k.applyOutgoing(ctx, part, boathook.App, w)); err != nil {
			return err
		}
	}
	if in.SigningSecret != nil {
		if err := all.Take(k.setSecret(ctx, w, *in.SigningSecret)); err != nil {
			return err
		}
	}
	if err := all.Or(); err != nil {
		return err
	}
	// What a webhook's failures have left is cleared where it is enabled, and so
	// that comes last.
	return k.applyOutgoing(ctx, OutgoingChange{Enabled: in.Enabled}, boathook.App, w)
}

// Create makes a webhook of an app, which needs a name, a URL and events.
func (k AppWebhooks) Create(ctx context.Context, c Caller, appID string, in AppWebhookChange) (boathook.OutgoingWebhook, error) {
	if err := c.May("AppWebhooks.Create"); err != nil {
		return boathook.OutgoingWebhook{}, err
	}
	app, err := k.source(ctx, c, boathook.App, appID)
	if err != nil {
		return boathook.OutgoingWebhook{}, err
	}
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"name", in.Name != nil}, {"url", in.URL != nil}, {"events", in.Events != nil},
	} {
		if !f.given && !in.Issues.About(f.name) {
			in.Issues.Add("is required", f.name)
		}
	}
	w := k.newOutgoing(app)
	if err := k.applyAppWebhook(ctx, in, &w); err != nil {
		return boathook.OutgoingWebhook{}, err
	}
	return w, k.addOutgoing(ctx, w)
}

// List gives a part of an app's whose names contain a text, in any case of letters,
// the newest first.
func (k AppWebhooks) List(ctx context.Context, c Caller, appID, query string, skip, limit int) ([]boathook.OutgoingWebhook, error) {
	if err := c.May("AppWebhooks.List"); err != nil {
		return nil, err
	}
	app, err := k.source(ctx, c, boathook.App, appID)
	if err != nil {
		return nil, err
	}
	all, err := k.allOutgoing(ctx, app.ID)
	if err != nil {
		return nil, err
	}
	var found []boathook.OutgoingWebhook
	query = strings.ToLower(query)
	for _, w := range withURL(all) {
		if strings.Contains(strings.ToLower(w.Name), query) {
			found = append(found, w)
		}
	}
	return found[min(skip, len(found)):min(skip+limit, len(found))], nil
}

// Get finds one of an app.
func (k AppWebhooks) Get(ctx context.Context, c Caller, appID, id string) (boathook.OutgoingWebhook, error) {
	if err := c.May("AppWebhooks.Get"); err != nil {
		return boathook.OutgoingWebhook{}, err
	}
	return k.appWebhook(ctx, c, appID, id)
}

// Change sets what is given.
func (k AppWebhooks) Change(ctx context.Context, c Caller, appID, id string, in AppWebhookChange) (boathook.OutgoingWebhook, error) {
	if err := c.May("AppWebhooks.Change"); err != nil {
		return boathook.OutgoingWebhook{}, err
	}
	w, err := k.appWebhook(ctx, c, appID, id)
	if err != nil {
		return boathook.OutgoingWebhook{}, err
	}
	if err := k.applyAppWebhook(ctx, in, &w); err != nil {
		return boathook.OutgoingWebhook{}, err
	}
	return w, k.cfg.Store.PutOutgoing(ctx, w)
}

// Delete removes a webhook.
func (k AppWebhooks) Delete(ctx context.Context, c Caller, appID, id string) error {
	if err := c.May("AppWebhooks.Delete"); err != nil {
		return err
	}
	w, err := k.appWebhook(ctx, c, appID, id)
	if err != nil {
		return err
	}
	return missing("outgoing webhook", id, k.cfg.Store.DeleteOutgoing(ctx, w.SourceID, w.ID))
}

// Test sends a webhook the catalogue's example of the first event that it wants.
func (k AppWebhooks) Test(ctx context.Context, c Caller, appID, id string) (boathook.DeliveryID, error) {
	if err := c.May("AppWebhooks.Test"); err != nil {
		return boathook.DeliveryID{}, err
	}
	w, err := k.appWebhook(ctx, c, appID, id)
	if err != nil {
		return boathook.DeliveryID{}, err
	}
	return k.sendExample(ctx, boathook.App, w)
}

// Deliveries lists a part of a webhook's attempts, the newest delivery's first, and
// of one delivery the last first.
func (k AppWebhooks) Deliveries(ctx context.Context, c Caller, appID, id string, skip, limit int) (attempts []Attempted, err error) {
	if err := c.May("AppWebhooks.Deliveries"); err != nil {
		return nil, err
	}
	err = beside(func() error {
		_, err := k.appWebhook(ctx, c, appID, id)
		return err
	}, func() (err error) {
		attempts, err = k.cfg.Store.AttemptLog(ctx, store.AttemptQuery{WorkspaceID: c.Workspace, WebhookID: id, Skip: skip, Limit: limit})
		return err
	})
	return attempts, err
}

// Resend queues one more attempt of a webhook's delivery, which has been attempted so
// many times at least.
func (k AppWebhooks) Resend(ctx context.Context, c Caller, appID, id string, delivery boathook.DeliveryID, attempt int) error {
	if err := c.May("AppWebhooks.Resend"); err != nil {
		return err
	}
	w, err := k.appWebhook(ctx, c, appID, id)
	if err != nil {
		return err
	}
	d, err := k.cfg.Store.Delivery(ctx, c.Workspace, delivery)
	if err == nil && (d.WebhookID != w.ID || attempt > max(1, d.Attempts)) {
		err = noSuch("delivery", delivery.String())
	}
	if err != nil {
		return missing("delivery", delivery.String(), err)
	}
	return k.resend(ctx, w, d)
}
