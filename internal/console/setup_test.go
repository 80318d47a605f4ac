package console_test

import (
	"context"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/console"
	"boathook/internal/delivery"
	"boathook/internal/queue"
	queuemem "boathook/internal/queue/mem"
	"boathook/internal/run"
	"boathook/internal/seal"
	"boathook/internal/service"
	"boathook/internal/store/mem"
)

// site is a console on stores in memory, with a clock of its own.
type site struct {
	t       *testing.T
	service *service.Service
	store   *mem.Store
	console *console.Console
	server  *httptest.Server
	log     *lines
	queues  map[string]*queuemem.Queue // by name

	mu  sync.Mutex
	now time.Time
}

func (s *site) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *site) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// lines is a log that several goroutines write.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

const adminToken = "bh_admin"

func fixed[T any](v T) func(context.Context) (T, error) {
	return func(context.Context) (T, error) { return v, nil }
}

// nobody watches a log.
type nobody struct{}

func (nobody) CloseWatchers(context.Context, string, string) error { return nil }

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, now: time.Date(2026, 11, 26, 19, 42, 7, 318e6, time.UTC), log: new(lines)}
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	records := mem.New(mem.Config{Retention: 30 * 24 * time.Hour, Now: s.clock})
	s.queues = make(map[string]*queuemem.Queue)
	redrivers := make(map[string]queue.Redriver)
	for _, name := range []string{queue.Runs, queue.Deliveries, queue.Retries} {
		s.queues[name] = queuemem.New(queuemem.Config{MaxReceives: 1, DeadLetter: queuemem.New(queuemem.Config{})})
		redrivers[name] = s.queues[name]
	}
	s.store = records
	sealer := seal.New(seal.NewLocalKey(), records)
	publisher := &delivery.Publisher{Store: records, Queue: s.queues[queue.Deliveries], RecordDays: 30, Log: log}
	s.service = service.New(service.Config{
		Store: records, Seal: sealer, Publish: publisher, Queues: redrivers,
		Runs:       &run.Starter{Store: records, Queue: s.queues[queue.Runs], Now: s.clock, Log: log},
		Resend:     &delivery.Resender{Store: records, Retries: s.queues[queue.Retries], Publish: publisher, Now: s.clock},
		AdminToken: fixed(adminToken), InternalToken: fixed(""), StreamSecret: fixed("a secret of streams"), Workspace: "ws_local",
		CheckURL: func(field, raw string) error {
			if !strings.HasPrefix(raw, "https://") {
				return boathook.InvalidField(field, "must begin with https://")
			}
			return nil
		},
		AllowTarget:      func(boathook.Target) error { return nil },
		AllowDestination: func(boathook.Destination) error { return nil },
		Watchers:         nobody{},
		RecordDays:       30, Now: s.clock, Log: log,
	})
	var err error
	s.console, err = console.New(console.Config{Service: s.service, Key: fixed([]byte("a key of thirty-two bytes, or so")), Now: s.clock, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	s.server = httptest.NewServer(s.console)
	t.Cleanup(s.server.Close)
	return s
}

// token makes an API token of the first workspace.
func (s *site) token(name string, role boathook.Role) (text, id string) {
	s.t.Helper()
	caller, err := s.service.Callers.Find(s.t.Context(), adminToken)
	if err != nil {
		s.t.Fatal(err)
	}
	token, text, err := s.service.Tokens.Create(s.t.Context(), caller, name, role)
	if err != nil {
		s.t.Fatal(err)
	}
	return text, token.ID
}

// visitor is somebody with a browser that runs no scripts.
type visitor struct {
	*site
	client *http.Client
	page   seen // the last
}

// seen is an answer, after redirects.
type seen struct {
	status int
	path   string // where it was, after redirects
	header http.Header
	body   string
}

func (s *site) visitor() *visitor {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &visitor{site: s, client: &http.Client{Jar: jar}}
}

// signedIn is somebody who has signed in with a token.
func (s *site) signedIn(token string) *visitor {
	s.t.Helper()
	v := s.visitor()
	v.send("/console/sign-in", url.Values{"token": {token}})
	v.at("/console/")
	return v
}

func (v *visitor) do(r *http.Request) seen {
	v.t.Helper()
	answered, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer answered.Body.Close()
	body, err := io.ReadAll(answered.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	v.page = seen{answered.StatusCode, answered.Request.URL.RequestURI(), answered.Header, string(body)}
	return v.page
}

// open opens a page.
func (v *visitor) open(path string) seen {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, v.server.URL+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	return v.do(r)
}

// send sends a form as it stands on the page that is open: with its proof, if it has one.
func (v *visitor) send(path string, form url.Values) seen {
	v.t.Helper()
	if found := csrf.FindStringSubmatch(v.page.body); found != nil && !form.Has("csrf") {
		form.Set("csrf", html.UnescapeString(found[1]))
	}
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.server.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return v.do(r)
}

// at fails the test unless the page that is open is a good one at a path.
func (v *visitor) at(path string) {
	v.t.Helper()
	if v.page.status != http.StatusOK || v.page.path != path {
		v.t.Fatalf("at %s with %d, want %s: %s", v.page.path, v.page.status, path, v.shown())
	}
}

// refused fails the test unless the last answer has a status and says something.
func (v *visitor) refused(status int, says string) {
	v.t.Helper()
	if v.page.status != status {
		v.t.Errorf("answered %d, want %d", v.page.status, status)
	}
	v.sees(says)
}

// sees fails the test unless the page that is open has a text.
func (v *visitor) sees(text string) {
	v.t.Helper()
	if !strings.Contains(v.page.body, text) {
		v.t.Errorf("%s does not show %q: %s", v.page.path, text, v.shown())
	}
}

func (v *visitor) seesNot(text string) {
	v.t.Helper()
	if strings.Contains(v.page.body, text) {
		v.t.Errorf("%s shows %q: %s", v.page.path, text, v.shown())
	}
}

// shown is what a page says, without its head and its sidebar.
func (v *visitor) shown() string {
	_, main, _ := strings.Cut(v.page.body, "<main")
	return main
}
