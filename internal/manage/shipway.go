package manage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// The hooks of Shipway's repositories are outgoing webhooks in the shapes of
// GitHub's hooks API v3 (wire formats, section 3), so that clients of those
// work unchanged.

var shipwayStyle = style{lenient: true, writeError: writeShipwayError}

type shipwayError struct {
	Message string              `json:"message"`
	Errors  []shipwayFieldError `json:"errors,omitempty"`
}

type shipwayFieldError struct {
	Resource string `json:"resource"`
	Field    string `json:"field"`
	Code     string `json:"code"`
	Message  string `json:"message"`
}

// writeShipwayError has GitHub's words where clients compare them, and its 422
// for a body that is JSON but not valid.
func writeShipwayError(w http.ResponseWriter, status int, _, field, message string) {
	e := shipwayError{Message: message}
	switch {
	case status == http.StatusUnauthorized:
		e.Message = "Bad credentials"
	case status == http.StatusNotFound:
		e.Message = "Not Found"
	case status == http.StatusBadRequest && field != "":
		status = http.StatusUnprocessableEntity
		e = shipwayError{"Validation Failed", []shipwayFieldError{{"Hook", field, "custom", message}}}
	}
	writeErrorJSON(w, status, e)
}

// hookName is the name of every hook: GitHub keeps the field for services that
// are long gone.
const hookName = "web"

// hookContentType is the only one that Shipway documents.
const hookContentType = "json"

type hookView struct {
	ID        int64                `json:"id"`
	Name      string               `json:"name"`
	Active    bool                 `json:"active"`
	Events    []boathook.EventType `json:"events"`
	Config    hookConfigView       `json:"config"`
	CreatedAt string               `json:"created_at"`
	UpdatedAt string               `json:"updated_at"`
}

type hookConfigView struct {
	URL         string `json:"url"`
	ContentType string `json:"content_type"`
	Secret      string `json:"secret,omitempty"` // a mask
}

func viewHook(w boathook.OutgoingWebhook) hookView {
	view := hookView{
		ID: w.Number(), Name: hookName, Active: w.Enabled, Events: w.Events,
		Config:    hookConfigView{URL: w.URL, ContentType: hookContentType},
		CreatedAt: shipwayTime(w.CreatedAt), UpdatedAt: shipwayTime(w.UpdatedAt),
	}
	if w.Secrets.Current != nil {
		view.Config.Secret = mask
	}
	return view
}

// shipwayTime is without milliseconds, which some clients of GitHub's can't read.
func shipwayTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// hookRepository is the repository that the path names.
func (h *Handler) hookRepository(ctx context.Context, c call) (boathook.Source, error) {
	return h.source(ctx, c, boathook.Repository, c.repositoryID())
}

func (c call) repositoryID() string {
	return boathook.NewRepositoryID(c.workspace, c.PathValue("owner"), c.PathValue("repo"))
}

// hooks are all webhooks of the repository that the path names, newest first.
func (h *Handler) hooks(ctx context.Context, c call) (hooks []boathook.OutgoingWebhook, err error) {
	err = beside(func() error {
		_, err := h.hookRepository(ctx, c)
		return err
	}, func() (err error) {
		hooks, err = h.allOutgoing(ctx, c.repositoryID())
		return err
	})
	return hooks, err
}

// hook is the webhook that the path names.
func (h *Handler) hook(ctx context.Context, c call) (boathook.OutgoingWebhook, error) {
	hooks, err := h.hooks(ctx, c)
	if err != nil {
		return boathook.OutgoingWebhook{}, err
	}
	i := slices.IndexFunc(hooks, func(w boathook.OutgoingWebhook) bool {
		return strconv.FormatInt(w.Number(), 10) == c.PathValue("hook")
	})
	if i < 0 {
		return boathook.OutgoingWebhook{}, boathook.Errorf(boathook.NotFound, "there is no such hook")
	}
	return hooks[i], nil
}

// hookInput has what a hook can be set to; nil leaves a field as it is.
type hookInput struct {
	Name         *string              `json:"name"`
	Active       *bool                `json:"active"`
	Events       []boathook.EventType `json:"events"`
	AddEvents    []boathook.EventType `json:"add_events"`
	RemoveEvents []boathook.EventType `json:"remove_events"`
	Config       *hookConfig          `json:"config"`
}

// hookConfig is set as a whole: without a secret, the hook has none.
type hookConfig struct {
	URL         string          `json:"url"`
	ContentType *string         `json:"content_type"`
	Secret      string          `json:"secret"`
	InsecureSSL json.RawMessage `json:"insecure_ssl"` // a string or a number
}

// applyHook changes a hook.
func (h *Handler) applyHook(ctx context.Context, in hookInput, w *boathook.OutgoingWebhook) error {
	if in.Name != nil && *in.Name != hookName {
		return boathook.InvalidField("name", "must be %q", hookName)
	}
	if in.Config != nil {
		if err := h.applyHookConfig(ctx, *in.Config, w); err != nil {
			return within("config", err)
		}
	}
	events := w.Events
	if in.Events != nil {
		events = in.Events
	}
	for _, e := range in.AddEvents {
		if !slices.Contains(events, e) {
			events = append(slices.Clip(events), e)
		}
	}
	events = slices.DeleteFunc(slices.Clone(events), func(e boathook.EventType) bool { return slices.Contains(in.RemoveEvents, e) })
	return h.applyOutgoing(ctx, outgoingInput{Events: events, Enabled: in.Active}, boathook.Repository, w)
}

func (h *Handler) applyHookConfig(ctx context.Context, in hookConfig, w *boathook.OutgoingWebhook) error {
	if in.ContentType != nil && *in.ContentType != hookContentType {
		return boathook.InvalidField("content_type", "must be %q: payloads are sent as JSON only", hookContentType)
	}
	if ssl := string(bytes.Trim(in.InsecureSSL, `"`)); ssl != "" && ssl != "0" && ssl != "null" {
		return boathook.InvalidField("insecure_ssl", `must be "0": certificates are always verified`)
	}
	if err := h.applyOutgoing(ctx, outgoingInput{URL: &in.URL}, boathook.Repository, w); err != nil {
		return err
	}
	if in.Secret == mask {
		if w.Secrets.Current == nil {
			return boathook.InvalidField("secret", "is a mask, and the hook has no secret")
		}
		return nil // as it was read
	}
	return h.setSecret(ctx, w, "secret", in.Secret)
}

func (h *Handler) createHook(ctx context.Context, c call, in hookInput) (hookView, error) {
	repository, err := h.hookRepository(ctx, c)
	if err != nil {
		return hookView{}, err
	}
	if in.Config == nil {
		return hookView{}, boathook.InvalidField("config", "is required")
	}
	w := h.newOutgoing(repository)
	w.Name, w.Events = hookName, boathook.EventTypes[boathook.Repository]
	if err := h.applyHook(ctx, in, &w); err != nil {
		return hookView{}, err
	}
	return viewHook(w), h.addOutgoing(ctx, w)
}

func (h *Handler) listHooks(w http.ResponseWriter, c call) error {
	hooks, err := h.hooks(c.Context(), c)
	if err != nil {
		return err
	}
	slices.Reverse(hooks) // GitHub's are oldest first
	size := c.perPage()
	last := max(1, (len(hooks)+size-1)/size)
	page := c.clamped("page", 1, boathook.MaxWebhooks, 1)
	var links []string
	link := func(rel string, number int) {
		links = append(links, h.link(c, rel, "page", strconv.Itoa(number)))
	}
	if page > 1 {
		link("prev", min(page-1, last))
		link("first", 1)
	}
	if page < last {
		link("next", page+1)
		link("last", last)
	}
	views := []hookView{}
	for _, hook := range hooks[min(len(hooks), (page-1)*size):min(len(hooks), page*size)] {
		views = append(views, viewHook(hook))
	}
	setLinks(w, links)
	return answer(w, http.StatusOK, views)
}

// The sizes of a page of GitHub's lists.
const (
	defaultPerPage = 30
	maxPerPage     = 100
)

func (c call) perPage() int { return c.clamped("per_page", 1, maxPerPage, defaultPerPage) }

// clamped is a number of the query: where it is none, the default one, and
// where it is out of range, the nearest that is not, as GitHub and Crewship take it.
func (c call) clamped(name string, least, most, otherwise int) int {
	n, err := strconv.Atoi(c.URL.Query().Get(name))
	if err != nil && !errors.Is(err, strconv.ErrRange) { // of a number out of an int's range, the nearest int
		return otherwise
	}
	return min(max(n, least), most)
}

// link is the request's own URL with another parameter, as a Link header has it.
func (h *Handler) link(c call, rel, name, value string) string {
	u := url.URL{Path: c.URL.Path, RawPath: c.URL.RawPath}
	q := c.URL.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return fmt.Sprintf("<%s%s>; rel=%q", h.publicURL(c), u.String(), rel)
}

func setLinks(w http.ResponseWriter, links []string) {
	if len(links) > 0 {
		w.Header().Set("Link", strings.Join(links, ", "))
	}
}

func (h *Handler) getHook(ctx context.Context, c call, _ none) (hookView, error) {
	w, err := h.hook(ctx, c)
	if err != nil {
		return hookView{}, err
	}
	return viewHook(w), nil
}

func (h *Handler) changeHook(ctx context.Context, c call, in hookInput) (hookView, error) {
	w, err := h.hook(ctx, c)
	if err != nil {
		return hookView{}, err
	}
	if err := h.applyHook(ctx, in, &w); err != nil {
		return hookView{}, err
	}
	return viewHook(w), h.cfg.Store.PutOutgoing(ctx, w)
}

func (h *Handler) deleteHook(ctx context.Context, c call, _ none) (none, error) {
	w, err := h.hook(ctx, c)
	if err != nil {
		return none{}, err
	}
	return none{}, h.cfg.Store.DeleteOutgoing(ctx, w.SourceID, w.ID)
}

func (h *Handler) testHook(ctx context.Context, c call, _ none) (none, error) {
	w, err := h.hook(ctx, c)
	if err != nil {
		return none{}, err
	}
	_, err = h.sendExample(ctx, boathook.Repository, w)
	return none{}, err
}

// hookDeliveryView is a delivery as its last attempt left it.
type hookDeliveryView struct {
	ID          int64              `json:"id"`
	GUID        string             `json:"guid"`
	DeliveredAt string             `json:"delivered_at"`
	Redelivery  bool               `json:"redelivery"`
	Duration    float64            `json:"duration"` // seconds
	Status      string             `json:"status"`
	StatusCode  int                `json:"status_code"` // 0: there was no answer
	Event       boathook.EventType `json:"event"`
	hookDeliveryDetail
}

// hookDeliveryDetail is not in lists.
type hookDeliveryDetail struct {
	URL      string            `json:"url,omitempty"`
	Request  *hookRequestView  `json:"request,omitempty"`
	Response *hookResponseView `json:"response,omitempty"`
}

type hookRequestView struct {
	Headers map[string]string `json:"headers"`
	Payload json.RawMessage   `json:"payload"`
}

type hookResponseView struct {
	Headers map[string]string `json:"headers"`
	Payload *string           `json:"payload"`
}

func viewHookDelivery(d boathook.Delivery) hookDeliveryView {
	view := hookDeliveryView{
		ID: d.ID.Number(), GUID: d.ID.String(), Event: d.EventType,
		DeliveredAt: shipwayTime(d.ID.Time()), Status: d.Reason,
	}
	last := d.Last
	if last.Number == 0 {
		return view // it was canceled before the first
	}
	view.DeliveredAt, view.Redelivery = shipwayTime(last.SentAt), last.Number > 1
	view.Duration, view.StatusCode, view.Status = last.Duration.Seconds(), last.Status, last.Error
	if last.Error == "" {
		view.Status = http.StatusText(last.Status)
	}
	return view
}

func (h *Handler) listHookDeliveries(w http.ResponseWriter, c call) error {
	hook, err := h.hook(c.Context(), c)
	if err != nil {
		return err
	}
	deliveries, next, err := h.cfg.Store.Deliveries(c.Context(), store.DeliveryQuery{
		WorkspaceID: c.workspace, WebhookID: hook.ID,
		Page: store.Page{Limit: c.perPage(), Cursor: c.URL.Query().Get("cursor")},
	})
	if err != nil {
		return err
	}
	views := make([]hookDeliveryView, len(deliveries))
	for i, d := range deliveries {
		views[i] = viewHookDelivery(d)
	}
	if next != "" {
		setLinks(w, []string{h.link(c, "next", "cursor", next)})
	}
	return answer(w, http.StatusOK, views)
}

// hookDelivery is the delivery that the path names, by its number or its guid.
func (h *Handler) hookDelivery(ctx context.Context, c call) (boathook.OutgoingWebhook, boathook.Delivery, []boathook.Attempt, error) {
	w, err := h.hook(ctx, c)
	if err != nil {
		return w, boathook.Delivery{}, nil, err
	}
	id, err := boathook.ParseDeliveryID(c.PathValue("delivery"))
	if err != nil {
		if id, err = h.numberedDelivery(ctx, w, c.PathValue("delivery")); err != nil {
			return w, boathook.Delivery{}, nil, err
		}
	}
	d, attempts, err := h.cfg.Store.Attempts(ctx, c.workspace, id)
	if err == nil && d.WebhookID != w.ID {
		err = errNoDelivery
	}
	return w, d, attempts, err
}

// numberedDelivery looks through those of the second that the number tells, as many
// as one look finds.
func (h *Handler) numberedDelivery(ctx context.Context, w boathook.OutgoingWebhook, text string) (found boathook.DeliveryID, err error) {
	digits, err := strconv.ParseUint(text, 10, 63) // no sign: a delivery has one number
	if err != nil {
		return found, errNoDelivery
	}
	number := int64(digits)
	second := boathook.NumberTime(number)
	deliveries, next, err := h.cfg.Store.Deliveries(ctx, store.DeliveryQuery{
		WorkspaceID: w.WorkspaceID, WebhookID: w.ID, Since: second, Until: second.Add(time.Second),
		Page: store.Page{Limit: store.MaxCounted, Look: store.MaxCounted},
	})
	if err != nil {
		return found, err
	}
	matches := 0
	for _, d := range deliveries {
		if d.ID.Number() == number {
			found = d.ID
			matches++
		}
	}
	switch {
	case matches == 1:
		return found, nil
	case matches > 1:
		return found, boathook.Errorf(boathook.Conflict, "%d deliveries have this id: use the guid", matches)
	case next != "":
		return found, boathook.Errorf(boathook.Conflict, "too many deliveries are of that second: use the guid")
	}
	return found, errNoDelivery
}

func (h *Handler) getHookDelivery(ctx context.Context, c call, _ none) (hookDeliveryView, error) {
	w, d, attempts, err := h.hookDelivery(ctx, c)
	if err != nil {
		return hookDeliveryView{}, err
	}
	view := viewHookDelivery(d)
	view.URL = w.URL
	view.Request, view.Response = &hookRequestView{Payload: d.Body}, &hookResponseView{}
	if len(attempts) == 0 {
		return view, nil
	}
	last := viewAttempt(attempts[len(attempts)-1])
	view.Response.Headers, view.Response.Payload = last.ResponseHeaders, last.ResponseBody
	view.Request.Headers, err = sentHeaders(w, d, attempts[len(attempts)-1])
	return view, err
}

func (h *Handler) redeliverHook(ctx context.Context, c call, _ none) (none, error) {
	w, d, _, err := h.hookDelivery(ctx, c)
	if err != nil {
		return none{}, err
	}
	return none{}, h.resend(ctx, w, d)
}
