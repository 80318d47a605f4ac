package shipway_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/api/httpjson"
	"boathook/internal/api/shipway"
	"boathook/internal/boathook"
	"boathook/internal/service"
	"boathook/internal/testing/facetest"
)

// hooks are operations that note what they are asked for.
type hooks struct {
	shipway.Hooks
	of      service.Repository
	number  int32
	change  service.HookChange
	skip    int
	limit   int
	refusal error
}

func (h *hooks) hook() service.Hook {
	return service.Hook{
		Repository: boathook.Source{ID: "repo_1", Owner: "acme", Name: "site"},
		OutgoingWebhook: boathook.OutgoingWebhook{
			ID: "out_1", URL: "https://e.example", Enabled: true, Events: []boathook.EventType{boathook.AllEvents},
			Secrets: boathook.SealedSecrets{Current: []byte("sealed")},
		},
	}
}

func (h *hooks) Change(_ context.Context, _ service.Caller, of service.Repository, number int32, in service.HookChange) (service.Hook, error) {
	h.of, h.number, h.change = of, number, in
	return h.hook(), h.refusal
}

func (h *hooks) ChangeConfig(_ context.Context, _ service.Caller, of service.Repository, number int32, in service.HookChange) (service.Hook, error) {
	h.of, h.number, h.change = of, number, in
	return h.hook(), h.refusal
}

func (h *hooks) List(_ context.Context, _ service.Caller, of service.Repository, skip, limit int) ([]service.Hook, int, error) {
	h.of, h.skip, h.limit = of, skip, limit
	return []service.Hook{h.hook()}, 9, h.refusal
}

// ask sends a request to the face, as the API does.
func ask(t *testing.T, h *hooks, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	admin := service.Caller{Workspace: "ws_1", Role: boathook.Admin}
	return facetest.Ask(t, []httpjson.Face{shipway.New(shipway.Operations{Hooks: h})}, admin, method, path, body)
}

func TestAChangeReachesTheOperation(t *testing.T) {
	text := func(s string) *string { return &s }
	off := false
	for _, tc := range []struct {
		body string
		want service.HookChange
	}{
		{`{}`, service.HookChange{}},
		{`{"config":{}}`, service.HookChange{}},
		{`{"active":false,"add_events":["build_finish"],"remove_events":["*"]}`, service.HookChange{
			Enabled: &off, AddEvents: []boathook.EventType{"build_finish"}, RemoveEvents: []boathook.EventType{"*"},
		}},
		// A config is set as a whole.
		{`{"config":{"url":"https://new.example"}}`, service.HookChange{URL: text("https://new.example"), SigningSecret: text("")}},
		{`{"config":{"secret":"********"}}`, service.HookChange{URL: text(""), SigningSecret: text(boathook.Mask)}},
	} {
		h := &hooks{}
		w := ask(t, h, "PATCH", "/repos/acme/site/hooks/17", tc.body)
		if w.Code != 200 || h.of != (service.Repository{Owner: "acme", Name: "site"}) || h.number != 17 {
			t.Fatalf("%s: answered %d %s of %v, number %d", tc.body, w.Code, w.Body, h.of, h.number)
		}
		if diff := cmp.Diff(tc.want, h.change); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.body, diff)
		}
		var view struct {
			URL    string
			Config struct{ Secret string }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &view); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(view.URL, "https://hooks.example.com/repos/acme/site/hooks/") || view.Config.Secret != boathook.Mask {
			t.Errorf("shown as %s", w.Body)
		}
	}
	// Of the config alone, what is not given stays.
	h := &hooks{}
	ask(t, h, "PATCH", "/repos/acme/site/hooks/17/config", `{"url":"https://new.example"}`)
	if diff := cmp.Diff(service.HookChange{URL: text("https://new.example")}, h.change); diff != "" {
		t.Errorf("a config (-want +got):\n%s", diff)
	}
}

func TestANumberHasOneText(t *testing.T) {
	for _, text := range []string{"017", "+17", "-17", "1e1", "2147483648", "99999999999999999999", "x"} {
		h := &hooks{number: -1}
		ask(t, h, "PATCH", "/repos/acme/site/hooks/"+text, `{}`)
		if h.number != 0 {
			t.Errorf("%s is %d", text, h.number)
		}
	}
}

func TestAListIsAskedForByPage(t *testing.T) {
	h := &hooks{}
	w := ask(t, h, "GET", "/repos/acme/site/hooks?page=3&per_page=2", "")
	if h.skip != 4 || h.limit != 2 {
		t.Errorf("asked for %d after %d", h.limit, h.skip)
	}
	if link := w.Header().Get("Link"); !strings.Contains(link, `hooks?page=4&per_page=2>; rel="next"`) || !strings.Contains(link, `hooks?page=5&per_page=2>; rel="last"`) {
		t.Errorf("links to %s", link)
	}
}

func TestErrorsAreGitHubs(t *testing.T) {
	const hook, config = "/repos/acme/site/hooks/17", "/repos/acme/site/hooks/17/config"
	for _, tc := range []struct {
		path, body string
		refusal    error
		status     int
		want       string
	}{
		{hook, `{}`, boathook.InvalidField("url", "no"), 422, "Validation Failed Hook config.url custom no"},
		{hook, `{}`, boathook.InvalidField("signing_secret", "no"), 422, "Validation Failed Hook config.secret custom no"},
		{hook, `{}`, boathook.InvalidField("events", "no"), 422, "Validation Failed Hook events custom no"},
		{hook, `{}`, service.ErrHookExists, 422, "Validation Failed Hook  custom Hook already exists on this repository"},
		{hook, `{}`, boathook.Errorf(boathook.NotFound, "there is no hook"), 404, "Not Found"},
		{hook, `{}`, boathook.Errorf(boathook.Unauthorized, "no"), 401, "Bad credentials"},
		{hook, `{}`, boathook.Errorf(boathook.Conflict, "the webhook is disabled"), 409, "the webhook is disabled"},
		{hook, `{`, nil, 400, "the body is not JSON: unexpected EOF"},
		{hook, `{"config":{"content_type":"form"}}`, nil, 422, `Validation Failed Hook config.content_type custom must be "json": payloads are sent as JSON only`},
		{config, `{"insecure_ssl":1}`, nil, 422, `Validation Failed Hook insecure_ssl custom must be "0": certificates are always verified`},
		{config, `{}`, boathook.InvalidField("url", "no"), 422, "Validation Failed Hook url custom no"},
		{config, `{}`, boathook.InvalidField("signing_secret", "no"), 422, "Validation Failed Hook secret custom no"},
	} {
		w := ask(t, &hooks{refusal: tc.refusal}, "PATCH", tc.path, tc.body)
		var e struct {
			Message string
			Errors  []struct{ Resource, Field, Code, Message string }
			URL     string `json:"documentation_url"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
			t.Fatalf("%s %s: %v", tc.path, w.Body, err)
		}
		got := e.Message
		for _, one := range e.Errors {
			got += strings.Join([]string{"", one.Resource, one.Field, one.Code, one.Message}, " ")
		}
		if w.Code != tc.status || got != tc.want || !strings.HasPrefix(e.URL, "https://docs.github.com/") {
			t.Errorf("%s %s, refused with %v: answered %d %s", tc.path, tc.body, tc.refusal, w.Code, w.Body)
		}
	}
}
