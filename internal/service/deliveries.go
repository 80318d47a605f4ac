package service

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/delivery"
	"boathook/internal/store"
)

// Deliveries are events on their way to outgoing webhooks.
type Deliveries struct{ *core }

// DeliveryDetail is a delivery with what was sent and what came of it.
type DeliveryDetail struct {
	boathook.Delivery
	Attempts []boathook.Attempt // oldest first
	// Headers are those of the last attempt's request; see [delivery.SentHeaders]. Nil
	// before the first attempt, once the webhook is deleted, and of a delivery with a fault.
	Headers map[string]string
}

// detail is a delivery of a webhook with what was sent.
func detail(w boathook.OutgoingWebhook, d boathook.Delivery, attempts []boathook.Attempt) (DeliveryDetail, error) {
	shown := DeliveryDetail{Delivery: d, Attempts: attempts}
	if len(attempts) == 0 || d.Fault != "" {
		return shown, nil
	}
	var err error
	shown.Headers, err = delivery.SentHeaders(w, d, attempts[len(attempts)-1])
	return shown, err
}

// deliveryID reads the id of a delivery.
func deliveryID(text string) (boathook.DeliveryID, error) {
	id, err := boathook.ParseDeliveryID(text)
	if err != nil {
		return id, noSuch("delivery", text)
	}
	return id, nil
}

// Get finds one by its id.
func (k Deliveries) Get(ctx context.Context, c Caller, id string) (DeliveryDetail, error) {
	if err := c.May("Deliveries.Get"); err != nil {
		return DeliveryDetail{}, err
	}
	parsed, err := deliveryID(id)
	if err != nil {
		return DeliveryDetail{}, err
	}
	webhooks := ahead[boathook.OutgoingWebhook]{read: func(o store.Owner) (boathook.OutgoingWebhook, error) {
		return k.cfg.Store.Outgoing(ctx, o.SourceID, o.WebhookID)
	}}
	defer webhooks.wait()
	d, attempts, err := k.cfg.Store.Attempts(webhooks.listen(ctx), c.Workspace, parsed)
	if err == nil && !c.reaches(d.SourceID) {
		return DeliveryDetail{}, noSuch("delivery", id)
	}
	if err != nil {
		return DeliveryDetail{}, missing("delivery", id, err)
	}
	w, err := webhooks.of(store.Owner{SourceID: d.SourceID, WebhookID: d.WebhookID})
	if boathook.IsKind(err, boathook.NotFound) {
		return DeliveryDetail{Delivery: d, Attempts: attempts}, nil
	}
	if err != nil {
		return DeliveryDetail{}, err
	}
	return detail(w, d, attempts)
}

// DeliveryFilter selects deliveries; empty fields select all.
type DeliveryFilter struct {
	Status boathook.DeliveryStatus
	Event  boathook.EventType
}

// List gives a webhook's, the newest event's first, without their bodies.
func (k Deliveries) List(ctx context.Context, c Caller, of SourceRef, webhookID string, only DeliveryFilter, p boathook.Page) (deliveries []boathook.Delivery, next string, err error) {
	if err := c.May("Deliveries.List"); err != nil {
		return nil, "", err
	}
	s, w, err := k.outgoing(ctx, c, of, webhookID)
	if err != nil {
		return nil, "", err
	}
	q := store.DeliveryQuery{WorkspaceID: c.Workspace, WebhookID: w.ID, Page: p, EventType: only.Event}
	if only.Status != "" {
		if q.Statuses, err = statusAsked(only.Status); err != nil {
			return nil, "", err
		}
	}
	if q.EventType != "" && !slices.Contains(boathook.EventTypes[s.Kind], q.EventType) && (s.Kind != boathook.Customer || !q.EventType.IsTypeName()) {
		return nil, "", boathook.InvalidField("event", "a %s has no event %q", s.Kind, q.EventType)
	}
	return k.cfg.Store.Deliveries(ctx, q)
}

// statusAsked is what selects deliveries of one status.
func statusAsked(status boathook.DeliveryStatus) ([]boathook.DeliveryStatus, error) {
	if !status.Valid() {
		return nil, boathook.InvalidField("status", "must be %s, %s, %s or %s",
			boathook.DeliverySucceeded, boathook.DeliveryRetrying, boathook.DeliveryFailed, boathook.DeliveryCanceled)
	}
	return []boathook.DeliveryStatus{status}, nil
}

// DeliverySearch selects deliveries of a workspace; empty fields select all.
type DeliverySearch struct {
	SourceID       string // it may be deleted, as the webhook may
	WebhookID      string
	EventType      boathook.EventType
	Status         boathook.DeliveryStatus
	ResponseStatus string    // of the last attempt's response: a code such as 500, a class such as 5xx, or none
	Since          time.Time // of events that happened then or later
	Until          time.Time // of events that happened before
}

// query checks what is asked for.
func (in DeliverySearch) query(workspaceID string, p boathook.Page) (q store.DeliveryQuery, err error) {
	q = store.DeliveryQuery{
		WorkspaceID: workspaceID, SourceID: in.SourceID, WebhookID: in.WebhookID, EventType: in.EventType, Since: in.Since, Until: in.Until, Page: p,
	}
	if in.SourceID != "" && (!boathook.IsID(in.SourceID) || !boathook.HasIDKind(in.SourceID, boathook.DeploymentID) && boathook.KindOf(in.SourceID) == boathook.Deployment) {
		return q, boathook.InvalidField("source_id", "must be the id of a deployment, an agent, a repository, an app, a customer or the alerts, such as dep_…")
	}
	if in.WebhookID != "" && (!boathook.IsID(in.WebhookID) || !boathook.HasIDKind(in.WebhookID, boathook.OutgoingID)) {
		return q, boathook.InvalidField("webhook_id", "must be the id of an outgoing webhook, such as out_…")
	}
	if in.EventType != "" && !in.EventType.InCatalogue() && !in.EventType.IsTypeName() {
		return q, boathook.InvalidField("event_type", "must be the name of a type of events, such as run.failed, of at most %d bytes", boathook.MaxEventTypeName)
	}
	if in.Status != "" {
		if q.Statuses, err = statusAsked(in.Status); err != nil {
			return q, err
		}
	}
	if in.ResponseStatus != "" {
		var ok bool
		if q.Response, ok = boathook.ParseStatusRange(in.ResponseStatus); !ok {
			return q, boathook.InvalidField("response_status", "must be a status code from 100 to 599, such as 500, a class of them, such as 5xx, or none where there was no response")
		}
	}
	if !in.Since.IsZero() && !in.Until.IsZero() && !in.Since.Before(in.Until) {
		return q, boathook.InvalidField("until", "must be after since")
	}
	return q, nil
}

// All gives those of the workspace, the newest event's first, without their bodies. A page
// may be shorter than its limit, and empty, where there are more.
func (k Deliveries) All(ctx context.Context, c Caller, in DeliverySearch, p boathook.Page) (deliveries []boathook.Delivery, next string, err error) {
	if err := c.May("Deliveries.All"); err != nil {
		return nil, "", err
	}
	q, err := in.query(c.Workspace, p)
	if err != nil {
		return nil, "", err
	}
	if q.SourceID = cmp.Or(q.SourceID, c.Customer); !c.reaches(q.SourceID) {
		return nil, "", noSuch("source", q.SourceID)
	}
	if q.WebhookID != "" {
		return k.cfg.Store.Deliveries(ctx, q)
	}
	return k.cfg.Store.WorkspaceDeliveries(ctx, q)
}

// Resend queues one more attempt of a delivery, with which its retry schedule starts
// again.
func (k Deliveries) Resend(ctx context.Context, c Caller, id string) (boathook.DeliveryID, error) {
	if err := c.May("Deliveries.Resend"); err != nil {
		return boathook.DeliveryID{}, err
	}
	parsed, err := deliveryID(id)
	if err != nil {
		return parsed, err
	}
	d, err := k.cfg.Store.Delivery(ctx, c.Workspace, parsed)
	if err == nil && !c.reaches(d.SourceID) {
		return parsed, noSuch("delivery", id)
	}
	if err != nil {
		return parsed, missing("delivery", id, err)
	}
	w, err := k.cfg.Store.Outgoing(ctx, d.SourceID, d.WebhookID)
	if boathook.IsKind(err, boathook.NotFound) {
		return parsed, boathook.Errorf(boathook.Conflict, "the delivery's webhook is deleted")
	}
	if err != nil {
		return parsed, err
	}
	return d.ID, k.resend(ctx, w, d)
}

// resend queues one more attempt of a webhook's delivery.
func (k *core) resend(ctx context.Context, w boathook.OutgoingWebhook, d boathook.Delivery) error {
	if !w.Enabled {
		return errDisabled
	}
	return k.cfg.Resend.Resend(ctx, w, d)
}

// Recovery asks for the deliveries of a time to be sent now that were not taken.
type Recovery struct {
	Since    time.Time                 // of their events
	Until    time.Time                 // of their events, itself included, to the millisecond; zero: now
	Statuses []boathook.DeliveryStatus // any of them; nil: all that are recoverable
	DryRun   bool                      // only count
	Cursor   string                    // of what was recovered before
}

// recoverable are the statuses of deliveries that were not taken: those that
// failed for good, that wait for another attempt, and that were canceled while
// their webhook was disabled.
var recoverable = []boathook.DeliveryStatus{boathook.DeliveryFailed, boathook.DeliveryRetrying, boathook.DeliveryCanceled}

// Recovered says how many were queued. With a next cursor there are more: the same
// request with it, and with Until as it is here, carries on.
type Recovered struct {
	Queued   int                             // or would be
	ByStatus map[boathook.DeliveryStatus]int // of them, as they were before
	Until    time.Time
	Next     string
}

const (
	// recoverTime is how long one request goes on, well below the API's 30 s.
	recoverTime = 15 * time.Second
	// recoverLimit is how many deliveries, with their bodies, are in memory.
	recoverLimit = 50
)

// Recover resends each delivery of a webhook that was not taken, once: what is
// queued again is failed no longer, and its next attempt is due. So a request that
// broke off is repeated.
func (k Outgoing) Recover(ctx context.Context, c Caller, of SourceRef, id string, in Recovery) (Recovered, error) {
	if err := c.May("Outgoing.Recover"); err != nil {
		return Recovered{}, err
	}
	begun := k.cfg.Now()
	_, w, err := k.outgoing(ctx, c, of, id)
	if err != nil {
		return Recovered{}, err
	}
	q, err := in.query(w, begun)
	if err != nil {
		return Recovered{}, err
	}
	if !w.Enabled && !in.DryRun {
		return Recovered{}, errDisabled
	}

	out := Recovered{ByStatus: make(map[boathook.DeliveryStatus]int), Until: q.Until.Add(-time.Millisecond)}
	for _, status := range q.Statuses {
		out.ByStatus[status] = 0
	}
	for {
		page, next, err := k.cfg.Resend.ResendPage(ctx, w, q, in.DryRun)
		for _, d := range page {
			out.Queued++
			out.ByStatus[d.Status]++
		}
		if err != nil {
			return Recovered{}, fmt.Errorf("recover webhook %s, after %d deliveries: %w", w.ID, out.Queued, err)
		}
		if out.Next, q.Cursor = next, next; next == "" || k.cfg.Now().Sub(begun) >= recoverTime {
			k.cfg.Log.InfoContext(ctx, "deliveries recovered", "webhook_id", w.ID, "queued", out.Queued, "dry_run", in.DryRun, "more", next != "")
			return out, nil
		}
	}
}

// query selects the deliveries that are asked for.
func (in Recovery) query(w boathook.OutgoingWebhook, now time.Time) (store.DeliveryQuery, error) {
	q := store.DeliveryQuery{
		WorkspaceID: w.WorkspaceID, WebhookID: w.ID, Statuses: in.Statuses, Since: in.Since, Until: now,
		Page: boathook.Page{Limit: recoverLimit, Cursor: in.Cursor},
	}
	if !in.Until.IsZero() {
		q.Until = in.Until
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
