package manage

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/store"
)

// The apps of Capawesome Cloud and their webhooks, which are outgoing webhooks, in
// its own shapes (wire formats, section 4), as its SDKs for Python and Node read
// and write them.

var capawesomeStyle = httpjson.Style{
	StrictQuery: true, WriteError: writeCapawesomeError, WriteIssues: writeCapawesomeIssues, Below: []string{"/v1/apps/", "/v1/users/"},
}

func writeCapawesomeError(w http.ResponseWriter, status int, _, field, message string) {
	if status != http.StatusBadRequest {
		httpjson.WriteError(w, status, struct {
			Message string `json:"message"`
		}{message})
		return
	}
	var all boathook.Issues
	if field == "" {
		all.Add(message)
	} else {
		all.Add(message, field)
	}
	writeCapawesomeIssues(w, all)
}

type capawesomeIssue struct {
	Path    []any  `json:"path"`
	Message string `json:"message"`
}

// writeCapawesomeIssues has the shape of zod's issues: that is what the SDKs know.
func writeCapawesomeIssues(w http.ResponseWriter, all boathook.Issues) {
	var body struct {
		Error struct {
			Issues []capawesomeIssue `json:"issues"`
		} `json:"error"`
	}
	for _, one := range all {
		body.Error.Issues = append(body.Error.Issues, capawesomeIssue{append([]any{}, one.Path...), one.Message})
	}
	httpjson.WriteError(w, http.StatusBadRequest, body)
}

type appWebhookView struct {
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

func viewAppWebhook(w boathook.OutgoingWebhook) appWebhookView {
	return appWebhookView{
		ID: w.ID, AppID: w.SourceID, Name: w.Name, URL: w.URL, Events: w.Events, Format: w.Format, Enabled: w.Enabled,
		HasSigningSecret: w.Secrets.Current != nil,
		CreatedAt:        boathook.Time{Time: w.CreatedAt}, UpdatedAt: boathook.Time{Time: w.UpdatedAt},
	}
}

// called gives an absent object the message that Capawesome Cloud has for it.
func called(object string, err error) error {
	if boathook.IsKind(err, boathook.NotFound) {
		return boathook.Errorf(boathook.NotFound, "%s not found.", object)
	}
	return err
}

// app is the one that the path names.
func (h *Handler) app(ctx context.Context, c call) (boathook.Source, error) {
	s, err := h.source(ctx, c, boathook.App, c.PathValue("app"))
	return s, called("App", err)
}

// appWebhook is the webhook that the path names.
func (h *Handler) appWebhook(ctx context.Context, c call) (boathook.OutgoingWebhook, error) {
	var w boathook.OutgoingWebhook
	err := beside(func() error {
		_, err := h.app(ctx, c)
		return err
	}, func() (err error) {
		w, err = h.cfg.Store.Outgoing(ctx, c.PathValue("app"), c.PathValue("webhook"))
		if err == nil && !w.Destination.IsZero() {
			err = boathook.Errorf(boathook.NotFound, "it has no URL") // which each webhook of Capawesome Cloud has
		}
		return called("Webhook", err)
	})
	return w, err
}

// appWebhookInput has what a webhook can be set to; nil leaves a field as it is.
type appWebhookInput struct {
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

// applyAppWebhook changes a webhook, or tells all that is wrong with the change.
// all are the faults that are known already.
func (h *Handler) applyAppWebhook(ctx context.Context, all boathook.Issues, in appWebhookInput, w *boathook.OutgoingWebhook) error {
	known := len(all)
	for i := range in.Events {
		if all[:known].About("events") {
			break // what there is of them is not what was sent
		}
		if fault := eventFault(in.Events, i, boathook.App); fault != "" {
			all.Add(fault, "events", i)
		}
	}
	if all.About("events") {
		in.Events = nil
	}
	for _, part := range []outgoingInput{{Name: in.Name}, {URL: in.URL}, {Events: in.Events}, {Format: in.Format}} {
		if err := all.Take(h.applyOutgoing(ctx, part, boathook.App, w)); err != nil {
			return err
		}
	}
	if in.SigningSecret.given {
		if err := all.Take(h.setSecret(ctx, w, "signingSecret", in.SigningSecret.text)); err != nil {
			return err
		}
	}
	if err := all.Or(); err != nil {
		return err
	}
	// What a webhook's failures have left is cleared where it is enabled, and so
	// that comes last.
	return h.applyOutgoing(ctx, outgoingInput{Enabled: in.Enabled}, boathook.App, w)
}

func (h *Handler) createAppWebhook(ctx context.Context, c call, in appWebhookInput) (appWebhookView, error) {
	app, err := h.app(ctx, c)
	if err != nil {
		return appWebhookView{}, err
	}
	all := in.Issues
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"name", in.Name != nil}, {"url", in.URL != nil}, {"events", in.Events != nil},
	} {
		if !f.given && !all.About(f.name) {
			all.Add("is required", f.name)
		}
	}
	w := h.newOutgoing(app)
	if err := h.applyAppWebhook(ctx, all, in, &w); err != nil {
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
func window(c call) (offset, limit int, err error) {
	limit = defaultAppLimit
	var all boathook.Issues
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
			all.Add(fmt.Sprintf("must be a whole number from %d to %d", p.least, p.most), p.name)
			continue
		}
		*p.value = n
	}
	return offset, limit, all.Or()
}

func (h *Handler) listAppWebhooks(ctx context.Context, c call, _ httpjson.None) ([]appWebhookView, error) {
	app, err := h.app(ctx, c)
	if err != nil {
		return nil, err
	}
	offset, limit, err := window(c)
	if err != nil {
		return nil, err
	}
	all, err := h.allOutgoing(ctx, app.ID)
	if err != nil {
		return nil, err
	}
	views := []appWebhookView{}
	query := strings.ToLower(c.URL.Query().Get("query"))
	for _, w := range withURL(all) {
		if strings.Contains(strings.ToLower(w.Name), query) {
			views = append(views, viewAppWebhook(w))
		}
	}
	return views[min(offset, len(views)):min(offset+limit, len(views))], nil
}

func (h *Handler) getAppWebhook(ctx context.Context, c call, _ httpjson.None) (appWebhookView, error) {
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
	if err := h.applyAppWebhook(ctx, in.Issues, in, &w); err != nil {
		return appWebhookView{}, err
	}
	return viewAppWebhook(w), h.cfg.Store.PutOutgoing(ctx, w)
}

func (h *Handler) deleteAppWebhook(ctx context.Context, c call, _ httpjson.None) (httpjson.None, error) {
	w, err := h.appWebhook(ctx, c)
	if err != nil {
		return httpjson.None{}, err
	}
	return httpjson.None{}, h.cfg.Store.DeleteOutgoing(ctx, w.SourceID, w.ID)
}

type appQueued struct {
	DeliveryID string `json:"deliveryId"`
}

func (h *Handler) testAppWebhook(ctx context.Context, c call, _ httpjson.None) (appQueued, error) {
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

func (h *Handler) listAppDeliveries(ctx context.Context, c call, _ httpjson.None) ([]appDeliveryView, error) {
	offset, limit, invalid := window(c)
	var attempts []store.Attempted
	err := beside(func() error {
		_, err := h.appWebhook(ctx, c)
		return cmp.Or(err, invalid)
	}, func() (err error) {
		if invalid == nil {
			attempts, err = h.cfg.Store.AttemptLog(ctx, store.AttemptQuery{
				WorkspaceID: c.Workspace, WebhookID: c.PathValue("webhook"), Skip: offset, Limit: limit,
			})
		}
		return err
	})
	return httpjson.ViewList(attempts, "", viewAppDelivery).Data, err
}

func (h *Handler) resendAppDelivery(ctx context.Context, c call, _ httpjson.None) (appQueued, error) {
	w, err := h.appWebhook(ctx, c)
	if err != nil {
		return appQueued{}, err
	}
	id, attempt, err := parseAppDeliveryID(c.PathValue("delivery"))
	if err != nil {
		return appQueued{}, called("Delivery", err)
	}
	d, err := h.cfg.Store.Delivery(ctx, c.Workspace, id)
	if err == nil && (d.WebhookID != w.ID || attempt > max(1, d.Attempts)) {
		err = errNoDelivery
	}
	if err != nil {
		return appQueued{}, called("Delivery", err)
	}
	return appQueued{d.ID.String()}, h.resend(ctx, w, d)
}
