package shipway

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

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
func viewHook(c httpjson.Call, h service.Hook, last *hookLastResponse) hookView {
	link := fmt.Sprintf("%s/hooks/%d", repositoryURL(c, h.Repository), h.Number())
	return hookView{
		Type: "Repository", ID: h.Number(), Name: hookName, Active: h.Enabled, Events: h.Events, Config: viewConfig(h),
		CreatedAt: formatTime(h.CreatedAt), UpdatedAt: formatTime(h.UpdatedAt),
		URL: link, TestURL: link + "/tests", PingURL: link + "/pings", DeliveriesURL: link + "/deliveries", LastResponse: last,
	}
}

func viewConfig(w service.Hook) hookConfigView {
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

func viewLastResponse(newest *boathook.Delivery) *hookLastResponse {
	if newest == nil {
		return &hookLastResponse{Status: hookUnused}
	}
	delivery := viewDelivery(*newest)
	last := &hookLastResponse{Status: hookFailed, Message: &delivery.Status}
	if delivery.StatusCode != 0 {
		last.Code = &delivery.StatusCode
	}
	if newest.Status == boathook.DeliverySucceeded {
		last.Status = hookActive
	}
	return last
}

// viewHealth is the last response of a hook in a list.
func viewHealth(h service.Hook) *hookLastResponse {
	if h.Health.FailingSince.IsZero() {
		return &hookLastResponse{Status: hookActive}
	}
	return &hookLastResponse{Status: hookFailed}
}

// hookInPath is the number of the hook that the path names; 0, which is no hook's, if
// that is no number.
func hookInPath(c httpjson.Call) int32 {
	text := c.PathValue("hook")
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || strconv.FormatUint(n, 10) != text {
		return 0
	}
	return int32(n)
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

// read gives the change that is asked for. A config is set as a whole: without a
// secret, it has none. An empty config, which some clients always send, changes nothing.
func (in hookInput) read() (service.HookChange, error) {
	change := service.HookChange{}
	if in.Name != nil && *in.Name != hookName {
		return change, boathook.InvalidField("name", "must be %q", hookName)
	}
	if in.Config != nil && !in.Config.empty() {
		config := *in.Config
		config.URL = cmp.Or(config.URL, new(string))
		config.Secret = cmp.Or(config.Secret, new(string))
		var err error
		if change, err = config.read(); err != nil {
			return change, boathook.Within("config", err)
		}
	}
	change.Events, change.AddEvents, change.RemoveEvents, change.Enabled = in.Events, in.AddEvents, in.RemoveEvents, in.Active
	return change, nil
}

// read gives the change that is asked for: what is not given stays as it is, the
// secret too.
func (in hookConfig) read() (service.HookChange, error) {
	if in.ContentType != nil && *in.ContentType != hookContentType {
		return service.HookChange{}, boathook.InvalidField("content_type", "must be %q: payloads are sent as JSON only", hookContentType)
	}
	if ssl := string(bytes.Trim(in.InsecureSSL, `"`)); ssl != "" && ssl != verifiedSSL && ssl != "null" {
		return service.HookChange{}, boathook.InvalidField("insecure_ssl", "must be %q: certificates are always verified", verifiedSSL)
	}
	return service.HookChange{URL: in.URL, SigningSecret: in.Secret}, nil
}

func (f face) createHook(ctx context.Context, c httpjson.Call, in hookInput) (hookView, error) {
	if in.Config == nil {
		return hookView{}, boathook.InvalidField("config", "is required")
	}
	if in.Config.URL == nil {
		return hookView{}, boathook.InvalidField("config.url", "is required")
	}
	change, err := in.read()
	if err != nil {
		return hookView{}, err
	}
	h, err := f.Hooks.Create(ctx, c.Caller, repositoryInPath(c), hookName, change)
	return viewHook(c, h, viewLastResponse(nil)), named(err, hookFields)
}

func (f face) listHooks(w http.ResponseWriter, c httpjson.Call) error {
	size := perPage(c)
	page := c.Clamped("page", 1, boathook.MaxWebhooks, 1)
	hooks, total, err := f.Hooks.List(c.Context(), c.Caller, repositoryInPath(c), (page-1)*size, size)
	if err != nil {
		return err
	}
	last := max(1, (total+size-1)/size)
	var links []string
	link := func(rel string, number int) {
		links = append(links, linkTo(c, rel, "page", strconv.Itoa(number)))
	}
	if page > 1 {
		link("prev", min(page-1, last))
		link("first", 1)
	}
	if page < last {
		link("next", page+1)
		link("last", last)
	}
	views := make([]hookView, len(hooks))
	for i, h := range hooks {
		views[i] = viewHook(c, h, viewHealth(h))
	}
	setLinks(w, links)
	return httpjson.Answer(w, http.StatusOK, views)
}

func (f face) getHook(ctx context.Context, c httpjson.Call, _ httpjson.None) (hookView, error) {
	h, err := f.Hooks.Get(ctx, c.Caller, repositoryInPath(c), hookInPath(c))
	return viewHook(c, h, viewLastResponse(h.Newest)), err
}

func (f face) changeHook(ctx context.Context, c httpjson.Call, in hookInput) (hookView, error) {
	change, err := in.read()
	if err != nil {
		return hookView{}, err
	}
	h, err := f.Hooks.Change(ctx, c.Caller, repositoryInPath(c), hookInPath(c), change)
	return viewHook(c, h, viewLastResponse(h.Newest)), named(err, hookFields)
}

func (f face) getConfig(ctx context.Context, c httpjson.Call, _ httpjson.None) (hookConfigView, error) {
	h, err := f.Hooks.Config(ctx, c.Caller, repositoryInPath(c), hookInPath(c))
	return viewConfig(h), err
}

func (f face) changeConfig(ctx context.Context, c httpjson.Call, in hookConfig) (hookConfigView, error) {
	change, err := in.read()
	if err != nil {
		return hookConfigView{}, err
	}
	h, err := f.Hooks.ChangeConfig(ctx, c.Caller, repositoryInPath(c), hookInPath(c), change)
	return viewConfig(h), named(err, configFields)
}

func (f face) deleteHook(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, f.Hooks.Delete(ctx, c.Caller, repositoryInPath(c), hookInPath(c))
}

func (f face) testHook(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, f.Hooks.Test(ctx, c.Caller, repositoryInPath(c), hookInPath(c))
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

func (f face) pingHook(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, f.Hooks.Ping(ctx, c.Caller, repositoryInPath(c), hookInPath(c), func(h service.Hook) ([]byte, error) {
		data, err := boathook.EncodeJSON(hookPing{pingZen, h.Number(), viewHook(c, h, nil), nameRepository(h.Repository)})
		if err != nil {
			return nil, fmt.Errorf("encode a ping: %w", err)
		}
		return data, nil
	})
}
