package manage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/store"
)

// The hooks of Shipway's repositories are outgoing webhooks in the shapes of
// GitHub's hooks API v3 (wire formats, section 3), so that clients of those
// work unchanged.

var shipwayStyle = httpjson.Style{
	Lenient: true, Basic: true, WriteError: writeShipwayError,
	Prefixes: []string{enterprisePrefix},
	Below:    []string{"/repos/", enterprisePrefix + "/"},
}

// enterprisePrefix begins the paths of clients that take any host for a GitHub
// Enterprise Server. Such a client follows only links that have it too.
const enterprisePrefix = "/api/v3"

// hooksDocumentation is where these shapes are described.
const hooksDocumentation = "https://docs.github.com/rest/repos/webhooks"

type shipwayError struct {
	Message       string              `json:"message"`
	Errors        []shipwayFieldError `json:"errors,omitempty"`
	Documentation string              `json:"documentation_url"`
}

type shipwayFieldError struct {
	Resource string `json:"resource"`
	Field    string `json:"field,omitempty"`
	Code     string `json:"code"`
	Message  string `json:"message"`
}

// wholeHook is the field of an error that is about no field, but is answered 422.
const wholeHook = "hook"

// errHookExists has GitHub's words, which clients compare.
var errHookExists = boathook.InvalidField(wholeHook, "Hook already exists on this repository")

// writeShipwayError has GitHub's words where clients compare them, and its 422
// for a body that is JSON but not valid.
func writeShipwayError(w http.ResponseWriter, status int, _, field, message string) {
	e := shipwayError{Message: message, Documentation: hooksDocumentation}
	switch {
	case status == http.StatusUnauthorized:
		e.Message = "Bad credentials"
	case status == http.StatusNotFound:
		e.Message = "Not Found"
	case status == http.StatusBadRequest && field != "":
		status = http.StatusUnprocessableEntity
		if field == wholeHook {
			field = ""
		}
		e.Message, e.Errors = "Validation Failed", []shipwayFieldError{{"Hook", field, "custom", message}}
	}
	httpjson.WriteError(w, status, e)
}

// hookName is the name of every hook: GitHub keeps the field for services that
// are long gone.
const hookName = "web"

// hookContentType is the only one that Shipway documents.
const hookContentType = "json"

type hookView struct {
	Type          string               `json:"type"`
	ID            int32                `json:"id"`
	Name          string               `json:"name"`
	Active        bool                 `json:"active"`
	Events        []boathook.EventType `json:"events"`
	Config        hookConfigView       `json:"config"`
	CreatedAt     string               `json:"created_at"`
	UpdatedAt     string               `json:"updated_at"`
	URL           string               `json:"url"`
	TestURL       string               `json:"test_url"`
	PingURL       string               `json:"ping_url"`
	DeliveriesURL string               `json:"deliveries_url"`
	LastResponse  *hookLastResponse    `json:"last_response,omitempty"` // not in pings
}

type hookConfigView struct {
	ContentType string `json:"content_type"`
	InsecureSSL string `json:"insecure_ssl"`
	Secret      string `json:"secret,omitempty"` // a mask
	URL         string `json:"url"`
}

// hookLastResponse is what came of the newest delivery. A list has its status only:
// failed while no attempt succeeds, else active.
type hookLastResponse struct {
	Code    *int    `json:"code"` // null: there was no answer, or none is known
	Status  string  `json:"status"`
	Message *string `json:"message"`
}

// viewHook shows a repository's hook; last is nil where nothing is to be told of
// its deliveries.
func (h *Handler) viewHook(c call, repository boathook.Source, w boathook.OutgoingWebhook, last *hookLastResponse) hookView {
	link := fmt.Sprintf("%s/hooks/%d", h.repositoryURL(c, repository), w.Number())
	return hookView{
		Type: "Repository", ID: w.Number(), Name: hookName, Active: w.Enabled, Events: w.Events, Config: viewHookConfig(w),
		CreatedAt: shipwayTime(w.CreatedAt), UpdatedAt: shipwayTime(w.UpdatedAt),
		URL: link, TestURL: link + "/tests", PingURL: link + "/pings", DeliveriesURL: link + "/deliveries", LastResponse: last,
	}
}

func viewHookConfig(w boathook.OutgoingWebhook) hookConfigView {
	view := hookConfigView{URL: w.URL, ContentType: hookContentType, InsecureSSL: verifiedSSL}
	if w.Secrets.Current != nil {
		view.Secret = boathook.Mask
	}
	return view
}

// The words of a hook's last response.
const (
	hookUnused = "unused" // nothing was sent to it
	hookActive = "active"
	hookFailed = "failed"
)

func viewLastResponse(newest []boathook.Delivery) *hookLastResponse {
	if len(newest) == 0 {
		return &hookLastResponse{Status: hookUnused}
	}
	delivery := viewHookDelivery(newest[0])
	last := &hookLastResponse{Status: hookFailed, Message: &delivery.Status}
	if delivery.StatusCode != 0 {
		last.Code = &delivery.StatusCode
	}
	if newest[0].Status == boathook.DeliverySucceeded {
		last.Status = hookActive
	}
	return last
}

// viewHooks shows a list of hooks. Their deliveries would take several reads for
// each: what is known of all at once is whether they fail.
func (h *Handler) viewHooks(ctx context.Context, c call, repository boathook.Source, hooks []boathook.OutgoingWebhook) ([]hookView, error) {
	ids := make([]string, len(hooks))
	for i, w := range hooks {
		ids[i] = w.ID
	}
	healths, err := h.cfg.Store.Health(ctx, ids...)
	if err != nil {
		return nil, err
	}
	views := make([]hookView, len(hooks))
	for i, w := range hooks {
		last := &hookLastResponse{Status: hookActive}
		if !healths[w.ID].FailingSince.IsZero() {
			last.Status = hookFailed
		}
		views[i] = h.viewHook(c, repository, w, last)
	}
	return views, nil
}

// shipwayTime is without milliseconds, which some clients of GitHub's can't read.
func shipwayTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// hooks are the webhooks of the repository that the path names, newest first. Those
// that send to a queue are not among them: each hook of Shipway has a URL.
func (h *Handler) hooks(ctx context.Context, c call) (repository boathook.Source, hooks []boathook.OutgoingWebhook, err error) {
	err = beside(func() (err error) {
		repository, err = h.hookRepository(ctx, c)
		return err
	}, func() (err error) {
		hooks, err = h.allOutgoing(ctx, repositoryID(c))
		hooks = withURL(hooks)
		return err
	})
	return repository, hooks, err
}

// hook is the webhook that the path names.
func (h *Handler) hook(ctx context.Context, c call) (repository boathook.Source, hook boathook.OutgoingWebhook, err error) {
	repository, hooks, err := h.hooks(ctx, c)
	if err != nil {
		return repository, hook, err
	}
	hook, err = pick(c, hooks)
	return repository, hook, err
}

// pick is the one of a repository's webhooks that the path names.
func pick(c call, hooks []boathook.OutgoingWebhook) (hook boathook.OutgoingWebhook, err error) {
	matches := 0
	for _, w := range hooks {
		if strconv.Itoa(int(w.Number())) == c.PathValue("hook") {
			hook = w
			matches++
		}
	}
	switch matches {
	case 0:
		return hook, boathook.Errorf(boathook.NotFound, "there is no such hook")
	case 1:
		return hook, nil
	}
	return hook, boathook.Errorf(boathook.Conflict, "%d hooks have this id: use /v1/repositories/%s/outgoing-webhooks", matches, hook.SourceID)
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

// hookConfig is how a hook is sent to; nil was not given.
type hookConfig struct {
	URL         *string         `json:"url"`
	ContentType *string         `json:"content_type"`
	Secret      *string         `json:"secret"`
	InsecureSSL json.RawMessage `json:"insecure_ssl"` // a string or a number
}

func (in hookConfig) empty() bool {
	return in.URL == nil && in.ContentType == nil && in.Secret == nil && in.InsecureSSL == nil
}

// verifiedSSL is the one value of insecure_ssl: certificates are always verified.
const verifiedSSL = "0"

// applyHook changes a hook. Its config is set as a whole: without a secret, it has
// none. An empty config, which some clients always send, changes nothing.
func (h *Handler) applyHook(ctx context.Context, in hookInput, w *boathook.OutgoingWebhook) error {
	if in.Name != nil && *in.Name != hookName {
		return boathook.InvalidField("name", "must be %q", hookName)
	}
	if in.Config != nil && !in.Config.empty() {
		config := *in.Config
		config.URL = cmp.Or(config.URL, new(string))
		config.Secret = cmp.Or(config.Secret, new(string))
		if err := h.applyHookConfig(ctx, config, w); err != nil {
			return boathook.Within("config", err)
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
	if slices.Contains(events, boathook.AllEvents) {
		events = []boathook.EventType{boathook.AllEvents}
	}
	return h.applyOutgoing(ctx, outgoingInput{Events: events, Enabled: in.Active}, boathook.Repository, w)
}

// applyHookConfig changes what is given of a hook's config.
func (h *Handler) applyHookConfig(ctx context.Context, in hookConfig, w *boathook.OutgoingWebhook) error {
	if in.ContentType != nil && *in.ContentType != hookContentType {
		return boathook.InvalidField("content_type", "must be %q: payloads are sent as JSON only", hookContentType)
	}
	if ssl := string(bytes.Trim(in.InsecureSSL, `"`)); ssl != "" && ssl != verifiedSSL && ssl != "null" {
		return boathook.InvalidField("insecure_ssl", "must be %q: certificates are always verified", verifiedSSL)
	}
	if err := h.applyOutgoing(ctx, outgoingInput{URL: in.URL}, boathook.Repository, w); err != nil {
		return err
	}
	switch {
	case in.Secret == nil:
		return nil
	case *in.Secret == boathook.Mask && w.Secrets.Current == nil:
		return boathook.InvalidField("secret", "is a mask, and the hook has no secret")
	case *in.Secret == boathook.Mask:
		return nil // as it was read
	}
	return h.setSecret(ctx, w, "secret", *in.Secret)
}

// checkUnique refuses a hook that would send what another one sends already: to
// the same URL, in the same words, an event that both want.
func checkUnique(w boathook.OutgoingWebhook, hooks []boathook.OutgoingWebhook) error {
	for _, other := range hooks {
		if other.ID != w.ID && other.URL == w.URL && other.Dialect == w.Dialect && other.Format == w.Format && overlap(other.Events, w.Events) {
			return errHookExists
		}
	}
	return nil
}

func overlap(a, b []boathook.EventType) bool {
	return slices.Contains(a, boathook.AllEvents) || slices.Contains(b, boathook.AllEvents) ||
		slices.ContainsFunc(a, func(e boathook.EventType) bool { return slices.Contains(b, e) })
}

func (h *Handler) createHook(ctx context.Context, c call, in hookInput) (hookView, error) {
	repository, hooks, err := h.hooks(ctx, c)
	if err != nil {
		return hookView{}, err
	}
	if in.Config == nil {
		return hookView{}, boathook.InvalidField("config", "is required")
	}
	if in.Config.URL == nil {
		return hookView{}, boathook.InvalidField("config.url", "is required")
	}
	w := h.newOutgoing(repository)
	w.Name, w.Events = hookName, boathook.EventTypes[boathook.Repository]
	if err := h.applyHook(ctx, in, &w); err != nil {
		return hookView{}, err
	}
	if err := checkUnique(w, hooks); err != nil {
		return hookView{}, err
	}
	return h.viewHook(c, repository, w, viewLastResponse(nil)), h.addOutgoing(ctx, w)
}

func (h *Handler) listHooks(w http.ResponseWriter, c call) error {
	repository, hooks, err := h.hooks(c.Context(), c)
	if err != nil {
		return err
	}
	slices.Reverse(hooks) // GitHub's are oldest first
	size := perPage(c)
	last := max(1, (len(hooks)+size-1)/size)
	page := c.Clamped("page", 1, boathook.MaxWebhooks, 1)
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
	views, err := h.viewHooks(c.Context(), c, repository, hooks[min(len(hooks), (page-1)*size):min(len(hooks), page*size)])
	if err != nil {
		return err
	}
	setLinks(w, links)
	return httpjson.Answer(w, http.StatusOK, views)
}

// The sizes of a page of GitHub's lists.
const (
	defaultPerPage = 30
	maxPerPage     = 100
)

func perPage(c call) int { return c.Clamped("per_page", 1, maxPerPage, defaultPerPage) }

// link is the request's own URL with another parameter, as a Link header has it.
func (h *Handler) link(c call, rel, name, value string) string {
	u := url.URL{Path: c.URL.Path, RawPath: c.URL.RawPath}
	q := c.URL.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return fmt.Sprintf("<%s%s>; rel=%q", c.PublicURL(), u.String(), rel)
}

func setLinks(w http.ResponseWriter, links []string) {
	if len(links) > 0 {
		w.Header().Set("Link", strings.Join(links, ", "))
	}
}

// showHook is a hook with what came of its newest delivery.
func (h *Handler) showHook(ctx context.Context, c call, repository boathook.Source, w boathook.OutgoingWebhook) (hookView, error) {
	newest, _, err := h.cfg.Store.Deliveries(ctx, store.DeliveryQuery{
		WorkspaceID: w.WorkspaceID, WebhookID: w.ID, Page: boathook.Page{Limit: 1},
	})
	if err != nil {
		return hookView{}, err
	}
	return h.viewHook(c, repository, w, viewLastResponse(newest)), nil
}

func (h *Handler) getHook(ctx context.Context, c call, _ httpjson.None) (hookView, error) {
	repository, w, err := h.hook(ctx, c)
	if err != nil {
		return hookView{}, err
	}
	return h.showHook(ctx, c, repository, w)
}

func (h *Handler) changeHook(ctx context.Context, c call, in hookInput) (hookView, error) {
	repository, w, err := h.editHook(ctx, c, func(w *boathook.OutgoingWebhook) error { return h.applyHook(ctx, in, w) })
	if err != nil {
		return hookView{}, err
	}
	return h.showHook(ctx, c, repository, w)
}

// editHook changes the hook that the path names, and stores it. What leaves its
// URL and events as they are is taken even if another hook has the same.
func (h *Handler) editHook(ctx context.Context, c call, apply func(*boathook.OutgoingWebhook) error) (repository boathook.Source, w boathook.OutgoingWebhook, err error) {
	repository, hooks, err := h.hooks(ctx, c)
	if err != nil {
		return repository, w, err
	}
	if w, err = pick(c, hooks); err != nil {
		return repository, w, err
	}
	before := w
	if err := apply(&w); err != nil {
		return repository, w, err
	}
	if w.URL != before.URL || !slices.Equal(w.Events, before.Events) {
		if err := checkUnique(w, hooks); err != nil {
			return repository, w, err
		}
	}
	return repository, w, h.cfg.Store.PutOutgoing(ctx, w)
}

func (h *Handler) getHookConfig(ctx context.Context, c call, _ httpjson.None) (hookConfigView, error) {
	_, w, err := h.hook(ctx, c)
	return viewHookConfig(w), err
}

// changeHookConfig leaves what is not given as it is, the secret too.
func (h *Handler) changeHookConfig(ctx context.Context, c call, in hookConfig) (hookConfigView, error) {
	_, w, err := h.editHook(ctx, c, func(w *boathook.OutgoingWebhook) error { return h.applyHookConfig(ctx, in, w) })
	return viewHookConfig(w), err
}

func (h *Handler) deleteHook(ctx context.Context, c call, _ httpjson.None) (httpjson.None, error) {
	_, w, err := h.hook(ctx, c)
	if err != nil {
		return httpjson.None{}, err
	}
	return httpjson.None{}, h.cfg.Store.DeleteOutgoing(ctx, w.SourceID, w.ID)
}

func (h *Handler) testHook(ctx context.Context, c call, _ httpjson.None) (httpjson.None, error) {
	_, w, err := h.hook(ctx, c)
	if err != nil {
		return httpjson.None{}, err
	}
	_, err = h.sendExample(ctx, boathook.Repository, w)
	return httpjson.None{}, err
}

// hookPing is the data of a ping, in GitHub's shape.
type hookPing struct {
	Zen        string         `json:"zen"`
	HookID     int32          `json:"hook_id"`
	Hook       hookView       `json:"hook"`
	Repository repositoryName `json:"repository"`
}

// pingZen is what a ping says. GitHub's say a different thing each time.
const pingZen = "Answer first, work afterwards."

func (h *Handler) pingHook(ctx context.Context, c call, _ httpjson.None) (httpjson.None, error) {
	repository, w, err := h.hook(ctx, c)
	if err != nil {
		return httpjson.None{}, err
	}
	if !w.Enabled {
		return httpjson.None{}, errDisabled
	}
	data, err := boathook.EncodeJSON(hookPing{pingZen, w.Number(), h.viewHook(c, repository, w, nil), nameRepository(repository)})
	if err != nil {
		return httpjson.None{}, fmt.Errorf("encode a ping: %w", err)
	}
	ping := boathook.Event{
		ID: boathook.NewID(boathook.EventID), WorkspaceID: w.WorkspaceID, SourceID: w.SourceID,
		Type: boathook.EventPing, Time: h.cfg.Now(), Data: data,
	}
	if err := h.cfg.Publish.PublishTo(ctx, ping, w); err != nil {
		return httpjson.None{}, fmt.Errorf("publish a ping to %s: %w", w.ID, err)
	}
	return httpjson.None{}, nil
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

	Action         *string `json:"action"`          // null: Shipway's events have none
	InstallationID *int64  `json:"installation_id"` // null: there are no apps to install
	RepositoryID   int32   `json:"repository_id"`

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
		RepositoryID: (&boathook.Source{ID: d.SourceID}).Number(),
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
	_, hook, err := h.hook(c.Context(), c)
	if err != nil {
		return err
	}
	deliveries, next, err := h.cfg.Store.Deliveries(c.Context(), store.DeliveryQuery{
		WorkspaceID: c.Workspace, WebhookID: hook.ID,
		Page: boathook.Page{Limit: perPage(c), Cursor: c.URL.Query().Get("cursor")},
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
	return httpjson.Answer(w, http.StatusOK, views)
}

// hookDelivery is the delivery that the path names, by its number or its guid.
func (h *Handler) hookDelivery(ctx context.Context, c call) (boathook.OutgoingWebhook, boathook.Delivery, []boathook.Attempt, error) {
	_, w, err := h.hook(ctx, c)
	if err != nil {
		return w, boathook.Delivery{}, nil, err
	}
	id, err := boathook.ParseDeliveryID(c.PathValue("delivery"))
	if err != nil {
		if id, err = h.numberedDelivery(ctx, w, c.PathValue("delivery")); err != nil {
			return w, boathook.Delivery{}, nil, err
		}
	}
	d, attempts, err := h.cfg.Store.Attempts(ctx, c.Workspace, id)
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
		Page: boathook.Page{Limit: store.MaxCounted, Look: store.MaxCounted},
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

func (h *Handler) getHookDelivery(ctx context.Context, c call, _ httpjson.None) (hookDeliveryView, error) {
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

func (h *Handler) redeliverHook(ctx context.Context, c call, _ httpjson.None) (httpjson.None, error) {
	w, d, _, err := h.hookDelivery(ctx, c)
	if err != nil {
		return httpjson.None{}, err
	}
	return httpjson.None{}, h.resend(ctx, w, d)
}
