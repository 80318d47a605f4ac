package intake_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/intake"
	"boathook/internal/queue"
	queuemem "boathook/internal/queue/mem"
	"boathook/internal/run"
	"boathook/internal/store"
	storemem "boathook/internal/store/mem"
	"boathook/internal/testing/fixture"
)

// place is an intake with what is behind it.
type place struct {
	fixture.Deployment
	store.Loads
	store.Bursts
	t       testing.TB
	store   *storemem.Store
	queue   *queuemem.Queue
	handler http.Handler
	log     *strings.Builder

	lookUpErr, createErr, removeErr, sendErr, keepErr, openErr, pinErr error

	keep     func() // what happens when a request is kept, or nil
	lookedUp func() // what happens when an agent was looked up, or nil
}

func (p *place) PutRequest(ctx context.Context, slot int, r boathook.Request) error {
	if p.keep != nil {
		p.keep()
	}
	if p.keepErr != nil {
		return p.keepErr
	}
	return p.store.PutRequest(ctx, slot, r)
}

func (p *place) Open(ctx context.Context, workspaceID, subject string, sealed []byte) ([]byte, error) {
	if p.openErr != nil {
		return nil, p.openErr
	}
	return fixture.Unsealed{}.Open(ctx, workspaceID, subject, sealed)
}

func (p *place) LookUpTrigger(ctx context.Context, sourceID, webhookID, runID string) (store.TriggerView, error) {
	if p.lookUpErr != nil {
		return store.TriggerView{}, p.lookUpErr
	}
	view, err := p.store.LookUpTrigger(ctx, sourceID, webhookID, runID)
	if p.lookedUp != nil {
		p.lookedUp()
	}
	return view, err
}

func (p *place) LookUpAgent(ctx context.Context, agentID string, runIDs ...string) (store.AgentView, error) {
	if p.lookUpErr != nil {
		return store.AgentView{}, p.lookUpErr
	}
	view, err := p.store.LookUpAgent(ctx, agentID, runIDs...)
	if p.lookedUp != nil {
		p.lookedUp()
	}
	return view, err
}

func (p *place) PinRun(ctx context.Context, id, runID string) (string, error) {
	if p.pinErr != nil {
		return "", p.pinErr
	}
	return p.store.PinRun(ctx, id, runID)
}

func (p *place) RunHead(ctx context.Context, id string) (boathook.RunHead, error) {
	return p.store.RunHead(ctx, id)
}

// starts is the store as starts of runs see it.
type starts struct {
	run.StartStore
	p *place
}

func (s starts) CreateRun(ctx context.Context, r boathook.Run) error {
	if s.p.createErr != nil {
		return s.p.createErr
	}
	return s.StartStore.CreateRun(ctx, r)
}

func (s starts) RemovePending(ctx context.Context, id string) error {
	if s.p.removeErr != nil {
		return s.p.removeErr
	}
	return s.StartStore.RemovePending(ctx, id)
}

func (p *place) Send(ctx context.Context, m ...queue.Message) error {
	if p.sendErr != nil {
		return p.sendErr
	}
	return p.queue.Send(ctx, m...)
}

func newPlace(t testing.TB) *place {
	t.Helper()
	p := &place{
		t:     t,
		store: storemem.New(storemem.Config{Retention: 24 * time.Hour}),
		queue: queuemem.New(queuemem.Config{Visibility: time.Hour}),
		log:   &strings.Builder{},
	}
	p.Deployment = fixture.New(t, p.store, "https://receiver.example")
	p.Loads, p.Bursts = p.store, p.store
	p.handler = p.open(intake.Prerequisites{Execution: true, Target: true, LogStore: true, InternalToken: true})
	return p
}

// open makes the handler of a deployment where agents have some prerequisites.
func (p *place) open(agents intake.Prerequisites) http.Handler {
	log := slog.New(slog.NewTextHandler(&synced{w: p.log}, nil))
	return (&intake.Intake{
		Store: p, Seal: p, Agents: agents, Now: time.Now, Log: log,
		Runs: &run.Starter{Store: starts{p.store, p}, Queue: p, Now: time.Now, Log: log},
	}).Handler()
}

// synced lets several requests log at once.
type synced struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *synced) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(b)
}

// trigger posts a body to the fixture's URL.
func (p *place) trigger(body string, headers ...string) *httptest.ResponseRecorder {
	return p.post("/webhooks/runs/"+p.Token.Text, body, headers...)
}

// postAs posts to the fixture's URL with a query, which may be anything.
func (p *place) postAs(query, body string, headers ...string) *httptest.ResponseRecorder {
	w, _ := p.serve(http.MethodPost, "/webhooks/runs/"+p.Token.Text+query, body, headers...)
	return w
}

func (p *place) post(path, body string, headers ...string) *httptest.ResponseRecorder {
	return p.ask(http.MethodPost, path, body, headers...)
}

// serve has the handler answer a request, which need not be one that is documented.
func (p *place) serve(method, path, body string, headers ...string) (*httptest.ResponseRecorder, *http.Request) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	return w, r
}

func (p *place) ask(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	w, r := p.serve(method, path, body, headers...)
	if t, ok := p.t.(*testing.T); ok && slices.Contains(routes, r.Pattern) { // benchmarks measure the handler alone
		document.Check(t, r.Pattern, r, "", w) // a body may be anything
	}
	return w
}

// queued is what waits for execute.
func (p *place) queued(t *testing.T) (found []boathook.Run) {
	t.Helper()
	messages, err := p.queue.Receive(t.Context(), 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		r, err := queue.DecodeRun(m.Body)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, r)
	}
	return found
}

func runID(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var answer struct {
		RunID string `json:"run_id"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusAccepted {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	return answer.RunID
}

func TestATriggerIsAnsweredAsDocumented(t *testing.T) {
	p := newPlace(t)
	w := p.trigger(`{"a":1}`)
	id := runID(t, w)
	want := fmt.Sprintf(`{"run_id":%q,"version_id":%q,"version_number":1,"status":"pending"}`, id, p.Version.ID)
	if got := w.Body.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type is %q", got)
	}
	if !boathook.HasIDKind(id, boathook.RunID) {
		t.Errorf("the run is called %q", id)
	}
}

func TestTheBodyIsTheInputUnharmed(t *testing.T) {
	for name, tc := range map[string]struct{ body, contentType, want string }{
		"object":                    {`{"z":1,"a":2}`, "application/json", `{"z":1,"a":2}`},
		"key order and duplicates":  {`{"b":1,"a":2,"b":3}`, "application/json", `{"b":1,"a":2,"b":3}`},
		"an integer beyond 64 bits": {`{"n":123456789012345678901234567890}`, "application/json", `{"n":123456789012345678901234567890}`},
		"not an object":             {`[1,"two",null]`, "application/json", `[1,"two",null]`},
		"text":                      {`"text"`, "application/json", `"text"`},
		"null":                      {`null`, "application/json", `null`},
		"empty":                     {``, "application/json", `{}`},
		"JSON sent as a form":       {`{"a":1}`, "application/x-www-form-urlencoded", `{"a":1}`},
		"JSON without a type":       {`{"a":1}`, "", `{"a":1}`},
		"escapes and markup":        {`{"a":"<b>&\u0000\ud83d\ude00 ü"}`, "application/json", `{"a":"<b>&\u0000\ud83d\ude00 ü"}`},
		"as large as is allowed":    {`"` + strings.Repeat("x", boathook.MaxTriggerBody-2) + `"`, "application/json", `"` + strings.Repeat("x", boathook.MaxTriggerBody-2) + `"`},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			id := runID(t, p.trigger(tc.body, "Content-Type", tc.contentType))
			queued := p.queued(t)
			if len(queued) != 1 || queued[0].Input.String() != tc.want {
				t.Errorf("queued %.200s", queued[0].Input.Bytes())
			}
			kept, err := p.store.Run(t.Context(), p.Source.WorkspaceID, id)
			if err != nil || kept.Input.String() != tc.want {
				t.Errorf("stored %.200s, %v", kept.Input.Bytes(), err)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	const tooLarge = boathook.MaxTriggerBody + 1
	for name, tc := range map[string]struct {
		body    string
		headers []string
		status  int
		message string
	}{
		"one byte too many":  {`"` + strings.Repeat("x", tooLarge-2) + `"`, nil, 413, "the body is larger than 512 KiB"},
		"far too many bytes": {strings.Repeat("x", 10<<20), nil, 413, "the body is larger than 512 KiB"},
		"not JSON":           {`a=1&b=2`, nil, 400, "not JSON: it looks like a form"},
		"malformed":          {`{"a":}`, nil, 400, "not JSON: it is broken at byte 6, '}'"},
		"truncated":          {`{"a":1`, nil, 400, "not JSON: it ends before it is complete"},
		"not UTF-8":          {"{\"a\":\"\xc3\x28\"}", nil, 400, "not JSON: not valid UTF-8"},
		"nested deeply":      {strings.Repeat("[", 100_000), nil, 400, "nested deeper than 512 levels"},
		"a key too long":     {`{}`, []string{"Idempotency-Key", strings.Repeat("k", 256)}, 400, "Idempotency-Key is longer than 255 bytes"},
		"two keys":           {`{}`, []string{"Idempotency-Key", "a", "Idempotency-Key", "b"}, 400, "Idempotency-Key must be given once, as a text without commas"},
		"one key twice":      {`{}`, []string{"Idempotency-Key", "a", "Idempotency-Key", "a"}, 400, "Idempotency-Key must be given once, as a text without commas"},
		"two keys in one":    {`{}`, []string{"Idempotency-Key", "a,b"}, 400, "Idempotency-Key must be given once, as a text without commas"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			w := p.trigger(tc.body, tc.headers...)
			want := fmt.Sprintf(`{"error":{"message":%q}}`, tc.message)
			if w.Code != tc.status || w.Body.String() != want {
				t.Errorf("answered %d %s\nwant %d %s", w.Code, w.Body, tc.status, want)
			}
			if n := len(p.queued(t)); n != 0 {
				t.Errorf("%d runs were queued", n)
			}
		})
	}
}

func TestWrongDisabledAndUnknownTokensAreAlike(t *testing.T) {
	p := newPlace(t)
	disabled := p.Incoming
	disabled.Enabled = false

	unknown := boathook.NewURLToken(boathook.NewID(boathook.DeploymentID), boathook.NewID(boathook.IncomingID))
	wrongSecret := boathook.NewURLToken(p.Source.ID, p.Incoming.ID)
	var answers []string
	for _, tc := range []struct {
		token string
		setUp func()
	}{
		{unknown.Text, nil},
		{wrongSecret.Text, nil},
		{"x", nil},
		{url.PathEscape("../../v1/me"), nil},
		{p.Token.Text + "x", nil},
		{p.Token.Text, func() {
			if err := p.store.PutIncoming(t.Context(), disabled); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		if tc.setUp != nil {
			tc.setUp()
		}
		for _, body := range []string{`{}`, `not JSON`, strings.Repeat("x", boathook.MaxTriggerBody+1)} {
			w := p.post("/webhooks/runs/"+tc.token, body)
			answers = append(answers, fmt.Sprint(w.Code, w.Header(), w.Body))
		}
	}
	for i, a := range answers {
		if a != answers[0] || !strings.HasPrefix(a, "404") {
			t.Errorf("answer %d is %s\nthe first was %s", i, a, answers[0])
		}
	}
	if n := len(p.queued(t)); n != 0 {
		t.Errorf("%d runs were queued", n)
	}
}

func TestWithoutALiveVersionTheAnswerNamesTheEnvironment(t *testing.T) {
	p := newPlace(t)
	staging := p.Incoming
	staging.Environment = boathook.Staging
	if err := p.store.PutIncoming(t.Context(), staging); err != nil {
		t.Fatal(err)
	}
	w := p.trigger(`{}`)
	if want := `{"error":{"message":"No running version found for staging environment"}}`; w.Code != 409 || w.Body.String() != want {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
}

func TestAnIdempotencyKeyStartsOneRun(t *testing.T) {
	p := newPlace(t)
	first := p.trigger(`{"a":1}`, "Idempotency-Key", "k")
	second := p.trigger(`{"a":1}`, "Idempotency-Key", "k")
	if first.Body.String() != second.Body.String() || second.Code != 202 {
		t.Errorf("answered %s, then %d %s", first.Body, second.Code, second.Body)
	}
	ids := map[string]bool{}
	for _, r := range p.queued(t) {
		ids[r.ID] = true
	}
	if len(ids) != 1 {
		t.Errorf("%d runs were queued", len(ids))
	}

	if w := p.trigger(`{"a":2}`, "Idempotency-Key", "k"); w.Code != 409 || !strings.Contains(w.Body.String(), "another body") {
		t.Errorf("with another body: %d %s", w.Code, w.Body)
	}
	if runID(t, p.trigger(`{"a":1}`, "Idempotency-Key", "k2")) == runID(t, first) {
		t.Error("another key gave the same run")
	}
	one, other := runID(t, p.trigger(`{"a":1}`)), runID(t, p.trigger(`{"a":1}`))
	if one == other {
		t.Error("without a key two requests gave one run")
	}
}

// The version went away after the first request: its answer stays the same.
func TestARepeatIsAnsweredThoughNothingIsLiveAnymore(t *testing.T) {
	p := newPlace(t)
	first := runID(t, p.trigger(`{}`, "Idempotency-Key", "k"))
	staging := p.Incoming
	staging.Environment = boathook.Staging // where nothing is live
	if err := p.store.PutIncoming(t.Context(), staging); err != nil {
		t.Fatal(err)
	}
	if got := runID(t, p.trigger(`{}`, "Idempotency-Key", "k")); got != first {
		t.Errorf("got run %s, want %s", got, first)
	}
}

func TestConcurrentRequestsWithOneKeyStartOneRun(t *testing.T) {
	p := newPlace(t)
	var mu sync.Mutex
	ids := map[string]int{}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			w := p.trigger(`{}`, "Idempotency-Key", "k")
			mu.Lock()
			defer mu.Unlock()
			ids[fmt.Sprint(w.Code, w.Body)]++
		})
	}
	all.Wait()
	if len(ids) != 1 {
		t.Errorf("answers: %v", ids)
	}
}

func TestAFailingDependencyIsA503AndNothingIsHalfDone(t *testing.T) {
	down := errors.New("secret detail of the store")
	for name, breakIt := range map[string]func(*place){
		"the store": func(p *place) { p.lookUpErr = down },
		"the queue": func(p *place) { p.sendErr = down },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			breakIt(p)
			w := p.trigger(`{}`)
			if want := `{"error":{"message":"the run could not be made durable, try again"}}`; w.Code != 503 || w.Body.String() != want || w.Header().Get("Retry-After") == "" {
				t.Errorf("answered %d %v %s", w.Code, w.Header(), w.Body)
			}
			list, _, err := p.store.Runs(t.Context(), store.RunQuery{
				WorkspaceID: p.Source.WorkspaceID, SourceID: p.Source.ID, Page: boathook.Page{Limit: 10},
			})
			if err != nil || len(list) != 0 {
				t.Errorf("runs left behind: %+v, %v", list, err)
			}
		})
	}
}

func TestABodyThatBreaksOffIsRefused(t *testing.T) {
	p := newPlace(t)
	r := httptest.NewRequest(http.MethodPost, "/webhooks/runs/"+p.Token.Text, io.MultiReader(strings.NewReader(`{"a":`), brokenReader{}))
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	if w.Code != 400 || len(p.queued(t)) != 0 {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("reset") }

func TestOtherMethodsAndPaths(t *testing.T) {
	p := newPlace(t)
	for _, tc := range []struct {
		method, path string
		status       int
	}{
		{"PUT", "/webhooks/runs/" + p.Token.Text, 405},
		{"POST", "/webhooks/runs/", 404},
		{"POST", "/webhooks/runs/" + p.Token.Text + "/more", 404},
		{"POST", "/", 404},
	} {
		w := httptest.NewRecorder()
		p.handler.ServeHTTP(w, httptest.NewRequest(tc.method, tc.path, nil))
		if w.Code != tc.status || !strings.HasPrefix(w.Body.String(), `{"error":{"message":`) {
			t.Errorf("%s %s: answered %d %s, want %d", tc.method, tc.path, w.Code, w.Body, tc.status)
		}
	}
}

func TestNothingSecretIsLogged(t *testing.T) {
	p := newPlace(t)
	p.trigger(`{"password":"hunter2"}`)
	p.sendErr = errors.New("down")
	p.trigger(`{"password":"hunter2"}`)
	if log := p.log.String(); log == "" || strings.Contains(log, "hunter2") || strings.Contains(log, p.Token.Text) {
		t.Errorf("the log is %s", log)
	}
}

// A run whose record can't be written is accepted, and appears when it executes.
func TestARunWithoutARecordSaysToAskLater(t *testing.T) {
	p := newAgentPlace(t, nil)
	for name, send := range map[string]func() *httptest.ResponseRecorder{
		"a deployment's":        func() *httptest.ResponseRecorder { return p.trigger(`{}`) },
		"a deployment's, keyed": func() *httptest.ResponseRecorder { return p.trigger(`{}`, "Idempotency-Key", "a") },
		"an agent's":            func() *httptest.ResponseRecorder { return p.signed(`{}`) },
	} {
		p.createErr = errors.New("throttled")
		if w := send(); w.Code != http.StatusAccepted || w.Header().Get("Retry-After") != "1" {
			t.Errorf("%s: %d, Retry-After %q", name, w.Code, w.Header().Get("Retry-After"))
		}
		p.createErr = nil
		if w := send(); w.Code != http.StatusAccepted || w.Header().Get("Retry-After") != "" {
			t.Errorf("%s: %d, Retry-After %q though it is recorded", name, w.Code, w.Header().Get("Retry-After"))
		}
	}
}
