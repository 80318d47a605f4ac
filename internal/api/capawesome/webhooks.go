package capawesome

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

type webhookView struct {
	ID               string               `json:"id"`
	AppID            string               `json:"appId"`
	Name             string               `json:"name"`
	URL              string               `json:"url"`
	Events           []boathook.EventType `json:"events"`
	Format           boathook.Format      `json:"format"`
	Enabled          bool                 `json:"enabled"`
	HasSigningSecret bool                 `json:"hasSigningSecret"`
	CreatedAt        boathook.Time        `json:"createdAt"`
	UpdatedAt        boathook.Time        `json:"updatedAt"`
}

func viewWebhook(w boathook.OutgoingWebhook) webhookView {
	return webhookView{
		ID: w.ID, AppID: w.SourceID, Name: w.Name, URL: w.URL, Events: w.Events, Format: w.Format, Enabled: w.Enabled,
		HasSigningSecret: w.Secrets.Current != nil,
		CreatedAt:        boathook.Time{Time: w.CreatedAt}, UpdatedAt: boathook.Time{Time: w.UpdatedAt},
	}
}

// webhookInput has what a webhook can be set to; nil leaves a field as it is.
type webhookInput struct {
	httpjson.Found
	Name          *string              `json:"name"`
	URL           *string              `json:"url"`
	Events        []boathook.EventType `json:"events"`
	Format        *boathook.Format     `json:"format"`
	Enabled       *bool                `json:"enabled"`
	SigningSecret nullableString       `json:"signingSecret"`
}

// nullableString tells null, which is the empty string here, from a field that
// is not given.
type nullableString struct {
	given bool
	text  string
}

// UnmarshalJSON implements [json.Unmarshaler].
func (s *nullableString) UnmarshalJSON(text []byte) error {
	s.given = true
	return json.Unmarshal(text, &s.text)
}

func (in webhookInput) read() service.AppWebhookChange {
	change := service.AppWebhookChange{
		Name: in.Name, URL: in.URL, Events: in.Events, Format: in.Format, Enabled: in.Enabled, Issues: in.Issues,
	}
	if in.SigningSecret.given {
		change.SigningSecret = &in.SigningSecret.text
	}
	return change
}

func (f face) createWebhook(ctx context.Context, c httpjson.Call, in webhookInput) (webhookView, error) {
	w, err := f.Webhooks.Create(ctx, c.Caller, c.PathValue("app"), in.read())
	return viewWebhook(w), named(err, in.Issues)
}

func (f face) listWebhooks(ctx context.Context, c httpjson.Call, _ httpjson.None) ([]webhookView, error) {
	offset, limit, err := window(c)
	if err != nil {
		return nil, err
	}
	webhooks, err := f.Webhooks.List(ctx, c.Caller, c.PathValue("app"), c.URL.Query().Get("query"), offset, limit)
	return httpjson.ViewList(webhooks, "", viewWebhook).Data, err
}

func (f face) getWebhook(ctx context.Context, c httpjson.Call, _ httpjson.None) (webhookView, error) {
	w, err := f.Webhooks.Get(ctx, c.Caller, c.PathValue("app"), c.PathValue("webhook"))
	return viewWebhook(w), err
}

func (f face) changeWebhook(ctx context.Context, c httpjson.Call, in webhookInput) (webhookView, error) {
	w, err := f.Webhooks.Change(ctx, c.Caller, c.PathValue("app"), c.PathValue("webhook"), in.read())
	return viewWebhook(w), named(err, in.Issues)
}

func (f face) deleteWebhook(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, f.Webhooks.Delete(ctx, c.Caller, c.PathValue("app"), c.PathValue("webhook"))
}

type queued struct {
	DeliveryID string `json:"deliveryId"`
}

func (f face) testWebhook(ctx context.Context, c httpjson.Call, _ httpjson.None) (queued, error) {
	id, err := f.Webhooks.Test(ctx, c.Caller, c.PathValue("app"), c.PathValue("webhook"))
	return queued{id.String()}, err
}

// deliveryView is one attempt.
type deliveryView struct {
	ID                 string             `json:"id"`
	Event              boathook.EventType `json:"event"`
	RequestBody        string             `json:"requestBody"`
	ResponseStatusCode *int               `json:"responseStatusCode"`
	ResponseBody       *string            `json:"responseBody"`
	SentAt             int64              `json:"sentAt"`
}

func viewDelivery(a service.Attempted) deliveryView {
	view := deliveryView{
		ID: deliveryID(a.Delivery.ID, a.Attempt.Number), Event: a.Delivery.EventType, RequestBody: a.Delivery.Sent().String(),
		SentAt: a.Attempt.SentAt.UnixMilli(),
	}
	if r := a.Attempt.Response; r != nil {
		text := httpjson.BodyText(r)
		view.ResponseStatusCode, view.ResponseBody = &r.Status, &text
	}
	return view
}

// deliveryID is an attempt's: its delivery's, and for a later one also its
// number.
func deliveryID(id boathook.DeliveryID, attempt int) string {
	if attempt == 1 {
		return id.String()
	}
	return fmt.Sprintf("%s:%d", id, attempt)
}

// parseDeliveryID reads either form of [deliveryID].
func parseDeliveryID(text string) (id boathook.DeliveryID, attempt int, err error) {
	first, number, numbered := strings.Cut(text, ":")
	if id, err = boathook.ParseDeliveryID(first); err != nil {
		return id, 0, notFound("Delivery")
	}
	attempt = 1
	if numbered {
		attempt, err = strconv.Atoi(number)
	}
	if err != nil || deliveryID(id, attempt) != text {
		return id, 0, notFound("Delivery")
	}
	return id, attempt, nil
}

func (f face) listDeliveries(ctx context.Context, c httpjson.Call, _ httpjson.None) ([]deliveryView, error) {
	offset, limit, err := window(c)
	if err != nil {
		return nil, err
	}
	attempts, err := f.Webhooks.Deliveries(ctx, c.Caller, c.PathValue("app"), c.PathValue("webhook"), offset, limit)
	return httpjson.ViewList(attempts, "", viewDelivery).Data, err
}

func (f face) resend(ctx context.Context, c httpjson.Call, _ httpjson.None) (queued, error) {
	id, attempt, err := parseDeliveryID(c.PathValue("delivery"))
	if err != nil {
		return queued{}, err
	}
	return queued{id.String()}, f.Webhooks.Resend(ctx, c.Caller, c.PathValue("app"), c.PathValue("webhook"), id, attempt)
}
