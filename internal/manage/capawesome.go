package manage

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// The webhooks of Capawesome Cloud's apps are outgoing webhooks in its own
// shapes (wire formats, section 4). Times are in epoch milliseconds, as they
// are in its events.

var capawesomeStyle = style{lenient: true, writeError: writeCapawesomeError}

type capawesomeIssue struct {
	Message string `json:"message"`
}

func writeCapawesomeError(w http.ResponseWriter, status int, _, field, message string) {
	if status != http.StatusBadRequest {
		writeErrorJSON(w, status, capawesomeIssue{message})
		return
	}
	var body struct {
		Error struct {
			Issues []capawesomeIssue `json:"issues"`
		} `json:"error"`
	}
	body.Error.Issues = []capawesomeIssue{{strings.TrimSpace(field + " " + message)}}
	writeErrorJSON(w, status, body)
}

type appWebhookView struct {
	ID        string               `json:"id"`
	AppID     string               `json:"appId"`
	Name      string               `json:"name"`
	URL       string               `json:"url"`
	Events    []boathook.EventType `json:"events"`
	Format    boathook.Format      `json:"format"`
	Enabled   bool                 `json:"enabled"`
	CreatedAt int64                `json:"createdAt"`
	UpdatedAt int64                `json:"updatedAt"`
}

func viewAppWebhook(w boathook.OutgoingWebhook) appWebhookView {
	return appWebhookView{
		ID: w.ID, AppID: w.SourceID, Name: w.Name, URL: w.URL, Events: w.Events, Format: w.Format, Enabled: w.Enabled,
		CreatedAt: w.CreatedAt.UnixMilli(), UpdatedAt: w.UpdatedAt.UnixMilli(),
	}
}

// called gives an absent object the message that Capawesome Cloud has for it.
func called(object string, err error) error {
	if boathook.IsKind(err, boathook.NotFound) {
		return boathook.Errorf(boathook.NotFound, "%s not found.", object)
	}
	return err
}

// webhooksApp is the app that the path names.
func (h *Handler) webhooksApp(ctx context.Context, c call) (boathook.Source, error) {
	s, err := h.source(ctx, c, boathook.App, c.PathValue("app"))
	return s, called("App", err)
}

// appWebhook is the webhook that the path names.
func (h *Handler) appWebhook(ctx context.Context, c call) (boathook.OutgoingWebhook, error) {
	var w boathook.OutgoingWebhook
	err := beside(func() error {
		_, err := h.webhooksApp(ctx, c)
		return err
	}, func() (err error) {
		w, err = h.cfg.Store.Outgoing(ctx, c.PathValue("app"), c.PathValue("webhook"))
		return called("Webhook", err)
	})
	return w, err
}

// appWebhookInput has what a webhook can be set to; nil leaves a field as it is.
type appWebhookInput struct {
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

func (h *Handler) applyAppWebhook(ctx context.Context, in appWebhookInput, w *boathook.OutgoingWebhook) error {
	if err := h.applyOutgoing(ctx, outgoingInput{
		Name: in.Name, URL: in.URL, Events: in.Events, Format: in.Format, Enabled: in.Enabled,
	}, boathook.App, w); err != nil {
		return err
	}
	if !in.SigningSecret.given {
		return nil
	}
	return h.setSecret(ctx, w, "signingSecret", in.SigningSecret.text)
}

func (h *Handler) createAppWebhook(ctx context.Context, c call, in appWebhookInput) (appWebhookView, error) {
	app, err := h.webhooksApp(ctx, c)
	if err != nil {
		return appWebhookView{}, err
	}
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"name", in.Name != nil}, {"url", in.URL != nil}, {"events", in.Events != nil},
	} {
		if !f.given {
			return appWebhookView{}, boathook.InvalidField(f.name, "is required")
		}
	}
	w := h.newOutgoing(app)
	if err := h.applyAppWebhook(ctx, in, &w); err != nil {
		return appWebhookView{}, err
	}
	return viewAppWebhook(w), h.addOutgoing(ctx, w)
}

// The sizes of a page of Capawesome Cloud's lists, and how far one goes.
const (
	defaultAppLimit = 10
	maxAppLimit     = 100
	maxAppOffset    = 10_000
)

// window is the part of a list that limit and offset ask for.
func (c call) window() (offset, limit int, err error) {
	limit = defaultAppLimit
	for _, p := range []struct {
		name        string
		value       *int
		least, most int
	}{
		{"limit", &limit, 1, maxAppLimit}, {"offset", &offset, 0, maxAppOffset},
	} {
		text := c.URL.Query().Get(p.name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < p.least || n > p.most {
			return 0, 0, boathook.InvalidField(p.name, "must be a whole number from %d to %d", p.least, p.most)
		}
		*p.value = n
	}
	return offset, limit, nil
}

func (h *Handler) listAppWebhooks(ctx context.Context, c call, _ none) ([]appWebhookView, error) {
	app, err := h.webhooksApp(ctx, c)
	if err != nil {
		return nil, err
	}
	offset, limit, err := c.window()
	if err != nil {
		return nil, err
	}
	all, err := h.allOutgoing(ctx, app.ID)
	if err != nil {
		return nil, err
	}
	views := []appWebhookView{}
	query := strings.ToLower(c.URL.Query().Get("query"))
	for _, w := range all {
		if strings.Contains(strings.ToLower(w.Name), query) {
			views = append(views, viewAppWebhook(w))
		}
	}
	return views[min(offset, len(views)):min(offset+limit, len(views))], nil
}

func (h *Handler) getAppWebhook(ctx context.Context, c call, _ none) (appWebhookView, error) {
	w, err := h.appWebhook(ctx, c)
	if err != nil {
		return appWebhookView{}, err
	}
	return viewAppWebhook(w), nil
}

func (h *Handler) changeAppWebhook(ctx context.Context, c call, in appWebhookInput) (appWebhookView, error) {
	w, err := h.appWebhook(ctx, c)
	if err != nil {
		return appWebhookView{}, err
	}
	if err := h.applyAppWebhook(ctx, in, &w); err != nil {
		return appWebhookView{}, err
	}
	return viewAppWebhook(w), h.cfg.Store.PutOutgoing(ctx, w)
}

func (h *Handler) deleteAppWebhook(ctx context.Context, c call, _ none) (none, error) {
	w, err := h.appWebhook(ctx, c)
	if err != nil {
		return none{}, err
	}
	return none{}, h.cfg.Store.DeleteOutgoing(ctx, w.SourceID, w.ID)
}

type appQueued struct {
	DeliveryID string `json:"deliveryId"`
}

func (h *Handler) testAppWebhook(ctx context.Context, c call, _ none) (appQueued, error) {
	w, err := h.appWebhook(ctx, c)
	if err != nil {
		return appQueued{}, err
	}
	id, err := h.sendExample(ctx, boathook.App, w)
	return appQueued{id.String()}, err
}

// appDeliveryView is one attempt.
type appDeliveryView struct {
	ID                 string             `json:"id"`
	Event              boathook.EventType `json:"event"`
	RequestBody        string             `json:"requestBody"`
	ResponseStatusCode *int               `json:"responseStatusCode"`
	ResponseBody       *string            `json:"responseBody"`
	SentAt             int64              `json:"sentAt"`
}

func viewAppDelivery(a store.Attempted) appDeliveryView {
	shown := viewAttempt(a.Attempt)
	return appDeliveryView{
		ID: appDeliveryID(a.Delivery.ID, a.Attempt.Number), Event: a.Delivery.EventType, RequestBody: string(a.Delivery.Body),
		ResponseStatusCode: shown.ResponseStatus, ResponseBody: shown.ResponseBody, SentAt: a.Attempt.SentAt.UnixMilli(),
	}
}

// appDeliveryID is an attempt's: its delivery's, and for a later one also its
// number.
func appDeliveryID(id boathook.DeliveryID, attempt int) string {
	if attempt == 1 {
		return id.String()
	}
	return fmt.Sprintf("%s:%d", id, attempt)
}

// parseAppDeliveryID reads either form of [appDeliveryID].
func parseAppDeliveryID(text string) (id boathook.DeliveryID, attempt int, err error) {
	first, number, numbered := strings.Cut(text, ":")
	if id, err = boathook.ParseDeliveryID(first); err != nil {
		return id, 0, errNoDelivery
	}
	attempt = 1
	if numbered {
		attempt, err = strconv.Atoi(number)
	}
	if err != nil || appDeliveryID(id, attempt) != text {
		return id, 0, errNoDelivery
	}
	return id, attempt, nil
}

func (h *Handler) listAppDeliveries(ctx context.Context, c call, _ none) ([]appDeliveryView, error) {
	offset, limit, invalid := c.window()
	var attempts []store.Attempted
	err := beside(func() error {
		_, err := h.appWebhook(ctx, c)
		return cmp.Or(err, invalid)
	}, func() (err error) {
		if invalid == nil {
			attempts, err = h.cfg.Store.AttemptLog(ctx, store.AttemptQuery{
				WorkspaceID: c.workspace, WebhookID: c.PathValue("webhook"), Skip: offset, Limit: limit,
			})
		}
		return err
	})
	return viewList(attempts, "", viewAppDelivery).Data, err
}

func (h *Handler) resendAppDelivery(ctx context.Context, c call, _ none) (appQueued, error) {
	w, err := h.appWebhook(ctx, c)
	if err != nil {
		return appQueued{}, err
	}
	id, attempt, err := parseAppDeliveryID(c.PathValue("delivery"))
	if err != nil {
		return appQueued{}, called("Delivery", err)
	}
	d, err := h.cfg.Store.Delivery(ctx, c.workspace, id)
	if err == nil && (d.WebhookID != w.ID || attempt > max(1, d.Attempts)) {
		err = errNoDelivery
	}
	if err != nil {
		return appQueued{}, called("Delivery", err)
	}
	return appQueued{d.ID.String()}, h.resend(ctx, w, d)
}
