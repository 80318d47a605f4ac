package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"boathook/internal/api"
	"boathook/internal/boathook"
	"boathook/internal/delivery"
	"boathook/internal/queue"
	queuemem "boathook/internal/queue/mem"
	"boathook/internal/run"
	"boathook/internal/service"
	"boathook/internal/store"
	"boathook/internal/store/mem"
	"boathook/internal/tracing"
)

const (
	stackToken   = "bh_the-stack's-own-admin-token"
	streamSecret = "the stack's secret of the WebSockets"
)

const internalToken = "the-stack's-internal-token"

// tester is the API on the embedded store, with fakes for the rest.
type tester struct {
	t        *testing.T
	config   config
	handler  *api.Handler
	store    store.Store
	runs     *starter
	publish  *publisher
	retries  *sender
	queues   map[string]*queuemem.Queue
	watchers *watchers
	log      *bytes.Buffer
	clock    *clock
	host     string // that requests are sent to
}

// config is what an API is made of, with its operations.
type config struct {
	service.Config
	PublicURL string
}

// serve makes the API of operations.
func (c config) serve() *api.Handler {
	return api.New(api.Config{Service: service.New(c.Config), PublicURL: c.PublicURL, Now: c.Now, Log: c.Log})
}

func newAPI(t *testing.T, change ...func(*config)) *tester {
	t.Helper()
	c := &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	s := mem.New(mem.Config{Retention: 30 * 24 * time.Hour, Now: c.Now})
	a := &tester{
		t: t, store: s, clock: c, log: new(bytes.Buffer),
		runs: &starter{store: s}, publish: &publisher{}, retries: &sender{}, watchers: &watchers{},
		queues: make(map[string]*queuemem.Queue),
	}
	queues := make(map[string]queue.Redriver)
	for _, name := range []string{queue.Runs, queue.Deliveries, queue.Retries} {
		a.queues[name] = queuemem.New(queuemem.Config{MaxReceives: 1, DeadLetter: queuemem.New(queuemem.Config{})})
		queues[name] = a.queues[name]
	}
	a.config = config{Config: service.Config{
		Store: s, Runs: a.runs, Publish: a.publish, Queues: queues, Seal: sealer{},
		AdminToken:    func(context.Context) (string, error) { return stackToken, nil },
		InternalToken: func(context.Context) (string, error) { return internalToken, nil },
		Workspace:     "ws_local",

		StreamSecret: func(context.Context) (string, error) { return streamSecret, nil },
		Watchers:     a.watchers,
		CheckURL: func(field, raw string) error {
			if !strings.HasPrefix(raw, "https://") {
				return boathook.InvalidField(field, "must begin with https://")
			}
			return nil
		},
		AllowTarget: func(target boathook.Target) error {
			if target.Type == boathook.TargetCommand && target.Argv[0] == "forbidden" {
				return boathook.InvalidField("argv", "not here")
			}
			return nil
		},
		AllowDestination: func(d boathook.Destination) error {
			if strings.Contains(d.QueueARN, "forbidden") {
				return boathook.InvalidField("destination.queue_arn", "not here")
			}
			return nil
		},
		Now: c.Now,
		Log: slog.New(slog.NewTextHandler(a.log, nil)),
	}, PublicURL: "https://hooks.example.com"}
	for _, f := range change {
		f(&a.config)
	}
	a.config.Resend = &delivery.Resender{
		Store: a.config.Store, Retries: a.retries, Now: c.Now,
		Publish: &delivery.Publisher{Store: s, Queue: a.retries, RecordDays: a.config.RecordDays, Log: a.config.Log},
	}
	a.handler = a.config.serve()
	if err := service.New(a.config.Config).Callers.EnsureWorkspace(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

// request makes a request; header has names and values in turn.
func (a *tester) request(token, method, path, body string, header ...string) *httptest.ResponseRecorder {
	a.t.Helper()
	r := httptest.NewRequestWithContext(a.t.Context(), method, path, strings.NewReader(body))
	if a.host != "" {
		r.Host = a.host
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	if r.Pattern != "" {
		pattern := strings.TrimSuffix(strings.Replace(r.Pattern, " /api/v3/", " /", 1), "{$}")
		document.Check(a.t, pattern, r, body, w)
	}
	return w
}

// as makes a request that must be answered with a status, and reads its answer.
func (a *tester) as(token string, status int, method, path, body string, header ...string) object {
	a.t.Helper()
	w := a.request(token, method, path, body, header...)
	if w.Code != status {
		a.t.Fatalf("%s %s %s: got %d %s, want %d", method, path, body, w.Code, w.Body, status)
	}
	if w.Body.Len() == 0 {
		return nil
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		a.t.Errorf("%s %s: Content-Type is %q", method, path, got)
	}
	var o object
	if err := json.Unmarshal(w.Body.Bytes(), &o); err != nil {
		a.t.Fatalf("%s %s: %v in %s", method, path, err, w.Body)
	}
	return o
}

// ask is as, by the first workspace's admin.
func (a *tester) ask(status int, method, path, body string, header ...string) object {
	a.t.Helper()
	return a.as(stackToken, status, method, path, body, header...)
}

// refused makes a request that must fail about a field, and gives the message.
func (a *tester) refused(status int, field, method, path, body string, header ...string) string {
	a.t.Helper()
	e := a.ask(status, method, path, body, header...).object("error")
	if got, _ := e["field"].(string); got != field {
		a.t.Errorf("%s %s %s: the error is about the field %q, want %q (%s)", method, path, body, got, field, e["message"])
	}
	if e.text("message") == "" || e.text("code") == "" || e.text("request_id") == "" {
		a.t.Errorf("%s %s %s: incomplete error %v", method, path, body, e)
	}
	return e.text("message")
}

// tokenFor makes a token in the workspace of another.
func (a *tester) tokenFor(token string, role boathook.Role) string {
	a.t.Helper()
	return a.as(token, 201, "POST", "/v1/tokens", `{"name":"test","role":"`+string(role)+`"}`).text("token")
}

// otherWorkspace makes a second workspace and gives its admin's token.
func (a *tester) otherWorkspace() string {
	a.t.Helper()
	return a.ask(201, "POST", "/v1/workspaces", `{"name":"other"}`).text("token")
}

// deployment makes one, and gives its path.
func (a *tester) deployment() (path string) {
	a.t.Helper()
	return "/v1/deployments/" + a.ask(201, "POST", "/v1/deployments", `{"name":"bot"}`).text("id")
}

// agent makes one of a new crew, and gives its path.
func (a *tester) agent() (path string) {
	a.t.Helper()
	crew := "/v1/crews/" + a.ask(201, "POST", "/v1/crews", `{"name":"reviewers"}`).text("id")
	return crew + "/agents/" + a.ask(201, "POST", crew+"/agents",
		`{"name":"Reviewer","slug":"reviewer","target":{"type":"command","argv":["true"]}}`).text("id")
}

func (a *tester) version(deployment, environment string) object {
	a.t.Helper()
	return a.ask(201, "POST", deployment+"/versions", `{"environment":"`+environment+`","target":{"type":"command","argv":["true"]}}`)
}

func (a *tester) incoming(deployment string) object {
	a.t.Helper()
	return a.ask(201, "POST", deployment+"/incoming-webhooks", `{"name":"ci","environment":"production"}`)
}

func (a *tester) outgoing(deployment string) object {
	a.t.Helper()
	return a.ask(201, "POST", deployment+"/outgoing-webhooks",
		`{"name":"slack","url":"https://example.com/hook","events":["run.succeeded"],"environment":"production","headers":{"X-Key":"header-credential"}}`)
}

// idOf is the id of what a path leads to.
func idOf(path string) string {
	if path == alertsPath { // which needs none
		return boathook.NewAlertsID("ws_local")
	}
	return path[strings.LastIndex(path, "/")+1:]
}

type object map[string]any

func (o object) text(field string) string {
	s, _ := o[field].(string)
	return s
}

func (o object) object(field string) object {
	m, _ := o[field].(map[string]any)
	return m
}

func (o object) list(field string) []object {
	items, _ := o[field].([]any)
	objects := make([]object, len(items))
	for i, item := range items {
		objects[i], _ = item.(map[string]any)
	}
	return objects
}

func (o object) column(list, field string) []string {
	values := []string{}
	for _, item := range o.list(list) {
		values = append(values, item.text(field))
	}
	return values
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// starter makes runs durable in the store.
type starter struct {
	store      store.Store
	run        boathook.Run // the last
	wait       run.Wait
	unrecorded bool
	err        error
}

func (s *starter) StartOnce(ctx context.Context, r boathook.Run, existing *boathook.RunHead, wait run.Wait) (run.Started, error) {
	s.run, s.wait = r, wait
	if s.err != nil {
		return run.Started{}, s.err
	}
	if existing != nil {
		if existing.InputHash != r.InputHash {
			return run.Started{}, boathook.Errorf(boathook.Conflict, "the idempotency key was used with another body")
		}
		return run.Started{RunHead: *existing}, nil
	}
	return run.Started{RunHead: r.RunHead, Unrecorded: s.unrecorded}, s.store.CreateRun(ctx, r)
}

type publisher struct {
	events  []boathook.Event // published to all
	event   boathook.Event   // published to webhook
	webhook boathook.OutgoingWebhook
	err     error
	trace   boathook.TraceContext // that the last of all follow from
}

// PublishAll counts two deliveries for the first event, three for the second…
func (p *publisher) PublishAll(ctx context.Context, events ...boathook.Event) ([]int, error) {
	if p.err != nil {
		return nil, p.err
	}
	p.events, p.trace = append(p.events, events...), tracing.From(ctx)
	deliveries := make([]int, len(events))
	for i := range events {
		deliveries[i] = i + 2
	}
	return deliveries, nil
}

func (p *publisher) PublishTo(_ context.Context, e boathook.Event, w boathook.OutgoingWebhook) error {
	p.event, p.webhook = e, w
	return p.err
}

// Make is that of the publisher.
func (p *publisher) Make(ctx context.Context, e boathook.Event, w boathook.OutgoingWebhook) (boathook.Delivery, string, error) {
	return new(delivery.Publisher).Make(ctx, e, w)
}

type sender struct {
	mu       sync.Mutex // of those who send at once
	messages []queue.Message
	err      error
}

func (s *sender) Send(_ context.Context, messages ...queue.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, messages...)
	return s.err
}

// sealer hides nothing, but opens only for the same workspace and subject.
type sealer struct{}

func (sealer) NewDataKey(_ context.Context, workspaceID string) ([]byte, error) {
	return []byte("key of " + workspaceID), nil
}

func (sealer) Seal(_ context.Context, workspaceID, subject string, plain []byte) ([]byte, error) {
	return append([]byte(workspaceID+"|"+subject+"|"), plain...), nil
}

func (sealer) Open(_ context.Context, workspaceID, subject string, sealed []byte) ([]byte, error) {
	plain, ok := bytes.CutPrefix(sealed, []byte(workspaceID+"|"+subject+"|"))
	if !ok {
		return nil, errors.New("sealed for another")
	}
	return plain, nil
}

func TestHealthNeedsNoToken(t *testing.T) {
	w := newAPI(t).request("", "GET", "/healthz", "")
	if w.Code != 200 || w.Body.String() != `{"status":"ok","version":"dev"}` {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestUnknownPathsAndMethodsAreAnsweredInJSON(t *testing.T) {
	a := newAPI(t)
	for _, path := range []string{"/v1", "/nothing", "/v1/nothing", "/v1/me/", "/v1/deployments/x/y", "/healthz/x"} {
		if e := a.as("", 404, "GET", path, "").object("error"); e.text("code") != "not_found" {
			t.Errorf("%s: %v", path, e)
		}
	}
	for _, c := range []struct{ method, path, allow string }{
		{"DELETE", "/v1/me", "GET, HEAD"},
		{"PUT", "/v1/deployments", "GET, HEAD, POST"},
		{"POST", "/healthz", "GET, HEAD"},
	} {
		if e := a.as("", 405, c.method, c.path, "").object("error"); e.text("code") != "method_not_allowed" {
			t.Errorf("%s %s: %v", c.method, c.path, e)
		}
		if got := a.request("", c.method, c.path, "").Header().Get("Allow"); got != c.allow {
			t.Errorf("%s %s allows %q, want %q", c.method, c.path, got, c.allow)
		}
	}
}

func TestAnErrorCarriesTheRequestsID(t *testing.T) {
	a := newAPI(t)
	for _, c := range []struct {
		given string
		kept  bool
	}{
		{"JKJaXmPLvHcESHA=", true}, {"", false}, {"with space", false}, {strings.Repeat("x", 129), false},
	} {
		w := a.request("", "GET", "/v1/me", "", "X-Request-Id", c.given)
		var o object
		if err := json.Unmarshal(w.Body.Bytes(), &o); err != nil {
			t.Fatal(err)
		}
		id := o.object("error").text("request_id")
		if id == "" || (id == c.given) != c.kept || id != w.Header().Get("X-Request-Id") {
			t.Errorf("%q: the error has %q, the header %q", c.given, id, w.Header().Get("X-Request-Id"))
		}
	}
}

// failing is a store with a failure in each of its parts that a test needs.
type failing struct{ store.Store }

var errStore = errors.New("the cause, with a table's name")

func (failing) Sources(context.Context, string, boathook.SourceKind, boathook.Page) ([]boathook.Source, string, error) {
	return nil, "", errStore
}

func (failing) Runs(context.Context, store.RunQuery) ([]boathook.Run, string, error) {
	return nil, "", errStore
}

func (failing) AnyActive(context.Context, string) (bool, error) { return false, errStore }

func (failing) Log(context.Context, string, int, int) (int, []boathook.LogLine, error) {
	return 0, nil, errStore
}

func TestAFailureOfTheStoreIsA503ThatHidesItsCause(t *testing.T) {
	a := newAPI(t, func(c *config) { c.Store = failing{c.Store.(store.Store)} })
	deployment := a.deployment()
	for _, c := range []struct{ method, path, route string }{
		{"GET", "/v1/deployments", "GET /v1/deployments"},
		{"GET", "/v1/runs", "GET /v1/runs"},
		{"DELETE", deployment, "DELETE /v1/deployments/{deployment}"},
	} {
		a.log.Reset()
		w := a.request(stackToken, c.method, c.path, "", "X-Request-Id", "req-1")
		if w.Code != 503 || strings.Contains(w.Body.String(), "cause") || !strings.Contains(w.Body.String(), `"request_id":"req-1"`) {
			t.Errorf("%s: got %d %s", c.route, w.Code, w.Body)
		}
		for _, want := range []string{"the cause", "request_id=req-1", c.route} {
			if !strings.Contains(a.log.String(), want) {
				t.Errorf("the log lacks %q: %s", want, a.log)
			}
		}
	}
	a.ask(200, "GET", deployment, "")
}

func TestWithoutSealsNothingIsStored(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	made := a.outgoing(deployment).text("id")
	before := a.request(stackToken, "GET", deployment+"/outgoing-webhooks", "").Body.String()
	secrets := a.secrets(deployment, made)

	broken := a.config
	broken.Seal = brokenSealer{}
	a.handler = broken.serve()
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/v1/workspaces", `{"name":"x"}`},
		{"POST", deployment + "/outgoing-webhooks", bodies["POST /v1/deployments/{deployment}/outgoing-webhooks"]},
		{"POST", deployment + "/outgoing-webhooks/" + made + "/rotate-secret", ``},
		{"PATCH", deployment + "/outgoing-webhooks/" + made, `{"name":"y","headers":{"A":"b"}}`},
		{"POST", deployment + "/versions", `{"environment":"staging","target":{"type":"http","url":"https://e.example","headers":{"A":"b"}}}`},
	} {
		if got := a.refused(503, "", c.method, c.path, c.body); strings.Contains(got, "key") {
			t.Errorf("%s %s: a 503 says %q", c.method, c.path, got)
		}
	}

	a.handler = a.config.serve()
	if after := a.request(stackToken, "GET", deployment+"/outgoing-webhooks", "").Body.String(); after != before {
		t.Errorf("the webhooks changed from %s to %s", before, after)
	}
	if got := a.secrets(deployment, made); !slices.Equal(got, secrets) {
		t.Errorf("the secrets changed from %q to %q", secrets, got)
	}
	if got := a.ask(200, "GET", deployment+"/versions", "").list("data"); len(got) != 0 {
		t.Errorf("there are versions: %v", got)
	}
}

type brokenSealer struct{}

var errKey = errors.New("the key service is down")

func (brokenSealer) NewDataKey(context.Context, string) ([]byte, error)           { return nil, errKey }
func (brokenSealer) Seal(context.Context, string, string, []byte) ([]byte, error) { return nil, errKey }
func (brokenSealer) Open(context.Context, string, string, []byte) ([]byte, error) { return nil, errKey }

func TestBodiesAreDecodedStrictly(t *testing.T) {
	a := newAPI(t)
	out := a.deployment() + "/outgoing-webhooks"
	for _, c := range []struct {
		name, path, body, field string
		status                  int
	}{
		{"not JSON", "/v1/deployments", `{"name"`, "", 400},
		{"not an object", "/v1/deployments", `["name"]`, "", 400},
		{"null", "/v1/deployments", `null`, "", 400},
		{"a second value", "/v1/deployments", `{"name":"a"} {}`, "", 400},
		{"not UTF-8", "/v1/deployments", "{\"name\":\"\xff\"}", "", 400},
		{"an unknown field", "/v1/deployments", `{"name":"a","nmae":"b"}`, "nmae", 400},
		{"an unknown field within", out, `{"retry":{"schedule":[]}}`, "retry.schedule", 400},
		{"the wrong type", "/v1/deployments", `{"name":7}`, "name", 400},
		{"the wrong type within", out, `{"retry":{"schedule_seconds":[5,"5"]}}`, "retry.schedule_seconds.1", 400},
		{"the wrong type of an entry", out, `{"headers":{"A":1}}`, "headers.A", 400},
		{"null for a string", "/v1/deployments", `{"name":null}`, "name", 400},
		{"null for an array", out, `{"events":null}`, "events", 400},
		{"null in an array", out, `{"events":["run.failed",null]}`, "events.1", 400},
		{"null for an object", out, `{"retry":null}`, "retry", 400},
		{"null within", out, `{"retry":{"schedule_seconds":null}}`, "retry.schedule_seconds", 400},
		{"null for an entry", out, `{"headers":{"A":null}}`, "headers.A", 400},
		{"null for a truth", out, `{"enabled":null}`, "enabled", 400},
		{"null for a number", out, `{"timeout_seconds":null}`, "timeout_seconds", 400},
		{"null for a number within what may be null", out, `{"rate_limit":{"per_second":null}}`, "rate_limit.per_second", 400},
		{"a fraction within what may be null", out, `{"rate_limit":{"per_second":0.5}}`, "rate_limit.per_second", 400},
		{"a name in other letters", "/v1/deployments", `{"Name":"a"}`, "Name", 400},
		{"a small fraction", out, `{"timeout_seconds":27.00000000000000000000000000001}`, "timeout_seconds", 400},
		{"a fraction of many places", out, `{"timeout_seconds":1e-99999999999999999999}`, "timeout_seconds", 400},
		{"a number beyond 64 bits", out, `{"timeout_seconds":18446744073709551617}`, "timeout_seconds", 400},
		{"a number of many places", out, `{"timeout_seconds":1e99999999999999999999}`, "timeout_seconds", 400},
		{"a fraction", out, `{"timeout_seconds":1.5}`, "timeout_seconds", 400},
		{"a number for a truth", out, `{"enabled":1}`, "enabled", 400},
		{"a string for an array", out, `{"events":"run.failed"}`, "events", 400},
		{"an array for an object", out, `{"headers":[]}`, "headers", 400},
		{"a missing body", "/v1/deployments", ``, "name", 400},
		{"a body over the limit", "/v1/deployments", `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, "", 413},
		{"a body where none is due", out + "/out_x/test", `{"event":"run.failed"}`, "event", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			a.t = t
			a.refused(c.status, c.field, "POST", c.path, c.body)
		})
	}
}

func TestAWholeNumberIsOneHoweverItIsWritten(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	path := deployment + "/outgoing-webhooks/" + a.outgoing(deployment).text("id")
	for written, want := range map[string]float64{
		"27": 27, "27.0": 27, "27.000": 27, "2.7e1": 27, "2.7E+1": 27, "270e-1": 27, "0.27e2": 27, "30.0e0": 30, "1": 1,
		"1000000000000000000000000e-24": 1,
	} {
		got := a.ask(200, "PATCH", path, `{"timeout_seconds":`+written+`,"retry":{"schedule_seconds":[`+written+`]}}`)
		if got["timeout_seconds"] != want || !reflect.DeepEqual(got.object("retry")["schedule_seconds"], []any{want}) {
			t.Errorf("%s is read as %v, %v", written, got["timeout_seconds"], got["retry"])
		}
	}
	// The bounds are those of what was written.
	for _, written := range []string{"-1.0", "-0.1e1", "0.0", "0e999", "-0", "31.0", "4294967297", "18446744073709551617.0", "9223372036854775807"} {
		a.refused(400, "timeout_seconds", "PATCH", path, `{"timeout_seconds":`+written+`}`)
	}
}

func TestABodyThatBreaksOffIsRefused(t *testing.T) {
	a := newAPI(t)
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/deployments", io.MultiReader(strings.NewReader(`{"name":`), brokenReader{}))
	r.Header.Set("Authorization", "Bearer "+stackToken)
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	if w.Code != 400 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestListsHavePagesNewestFirst(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	for _, c := range []struct{ path, list, body string }{
		{"/v1/tokens", "data", `{"name":"t","role":"viewer"}`},
		{"/v1/deployments", "data", `{"name":"d"}`},
		{deployment + "/versions", "data", `{"environment":"staging","target":{"type":"command","argv":["true"]}}`},
		{deployment + "/incoming-webhooks", "data", `{"name":"i","environment":"staging"}`},
		{deployment + "/outgoing-webhooks", "data", `{"name":"o","url":"https://e.example","events":["run.failed"],"environment":"staging"}`},
		{"/v1/crews", "data", `{"name":"c"}`},
		{a.agent() + "/outgoing-webhooks", "data", `{"name":"o","url":"https://e.example","events":["run.failed"]}`},
		{"/v1/runs", "runs", `{"deployment_id":"` + idOf(deployment) + `","environment":"staging"}`},
	} {
		t.Run(c.path, func(t *testing.T) {
			a.t = t
			want := a.ask(200, "GET", c.path, "").column(c.list, "id")
			for range 5 {
				a.clock.pass(time.Second)
				status, field := 201, "id"
				if c.list == "runs" {
					status, field = 202, "run_id"
				}
				want = slices.Insert(want, 0, a.ask(status, "POST", c.path, c.body).text(field))
			}
			var got []string
			for cursor, more := "", true; more; {
				page := a.ask(200, "GET", c.path+"?limit=2&cursor="+cursor, "")
				got = append(got, page.column(c.list, "id")...)
				if next, ok := page["next_cursor"]; !ok {
					t.Fatal("next_cursor is left out")
				} else if cursor, more = next.(string); len(got) > len(want) {
					t.Fatal("the list does not end")
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			for _, limit := range []string{"0", "201", "-1", "ten", "1.5"} {
				a.refused(400, "limit", "GET", c.path+"?limit="+limit, "")
			}
			a.ask(200, "GET", c.path+"?limit=200", "")
			a.refused(400, "cursor", "GET", c.path+"?cursor=nonsense", "")
		})
	}
}

func TestAnEmptyListIsAnEmptyArray(t *testing.T) {
	a := newAPI(t)
	other := a.otherWorkspace()
	for path, want := range map[string]string{
		"/v1/deployments": `{"data":[],"next_cursor":null}`,
		"/v1/runs":        `{"runs":[],"next_cursor":null}`,
	} {
		if got := a.request(other, "GET", path, "").Body.String(); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	deployment := a.deployment()
	for _, path := range []string{
		deployment + "/versions", deployment + "/incoming-webhooks", deployment + "/outgoing-webhooks",
	} {
		if got, want := a.request(stackToken, "GET", path, "").Body.String(), `{"data":[],"next_cursor":null}`; got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

func TestAnswersAreNotCachedAndNotEscaped(t *testing.T) {
	a := newAPI(t)
	w := a.request(stackToken, "POST", "/v1/deployments", `{"name":"R&D <bots>"}`)
	if !strings.Contains(w.Body.String(), `"name":"R&D <bots>"`) {
		t.Errorf("got %s", w.Body)
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
}

func TestAPathOfAnyLengthIsAnswered(t *testing.T) {
	a := newAPI(t)
	for _, n := range []int{200, 257, 5000} {
		a.refused(404, "", "GET", "/v1/runs/run_"+strings.Repeat("x", n), "")
	}
}

func TestAListOfWebhooksGoesOnWhenItsPageWasDeleted(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	for range 5 {
		a.outgoing(deployment)
	}
	path := deployment + "/outgoing-webhooks"
	seen := map[string]bool{}
	cursor := ""
	for range 10 {
		page := a.ask(200, "GET", path+"?limit=2&cursor="+cursor, "")
		for _, w := range page.list("data") {
			id := w["id"].(string)
			seen[id] = true
			a.ask(204, "DELETE", path+"/"+id, "")
		}
		if page["next_cursor"] == nil {
			break
		}
		cursor = page.text("next_cursor")
	}
	if len(seen) != 5 {
		t.Errorf("%d of 5 were listed", len(seen))
	}
}
