package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/client"
)

// server answers each request in turn by the next of answers, the last again and again,
// and keeps what came.
type server struct {
	*client.Client

	waits []time.Duration

	mu       sync.Mutex // a handler that hangs up may end after its client's next step
	requests []*http.Request
	bodies   []string
}

// came is what has come so far.
func (s *server) came() (requests []*http.Request, bodies []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests), slices.Clone(s.bodies)
}

// sent is one request.
func (s *server) sent(i int) *http.Request {
	requests, _ := s.came()
	return requests[i]
}

func serve(t *testing.T, answers ...http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.requests, s.bodies = append(s.requests, r), append(s.bodies, string(body))
		n := min(len(s.requests), len(answers))
		s.mu.Unlock()
		answers[n-1](w, r)
	}))
	t.Cleanup(h.Close)
	var err error
	s.Client, err = client.New(h.URL+"/", "bh_secret", client.WithWait(func(_ int, asked time.Duration) time.Duration {
		s.waits = append(s.waits, asked)
		return 0
	}))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func answer(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// hangUp ends the connection in place of an answer.
func hangUp(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }

func TestARequestCarriesTheTokenAndNamesTheProgram(t *testing.T) {
	s := serve(t, answer(200, `{"workspace":{"id":"ws_a"},"role":"admin"}`))
	me, err := s.Me(t.Context())
	if err != nil || me.Workspace.ID != "ws_a" || me.Role != boathook.Admin {
		t.Fatalf("got %+v, %v", me, err)
	}
	r := s.sent(0)
	if r.URL.Path != "/v1/me" || r.Header.Get("Authorization") != "Bearer bh_secret" || !strings.HasPrefix(r.Header.Get("User-Agent"), "Boathook-CLI/") {
		t.Errorf("sent %s with %v", r.URL, r.Header)
	}
}

func TestAListFollowsItsCursor(t *testing.T) {
	s := serve(t, answer(200, `{"data":[{"id":"dep_a"},{"id":"dep_b"}],"next_cursor":"x y"}`), answer(200, `{"data":[{"id":"dep_c"}],"next_cursor":null}`))
	var ids []string
	for d, err := range s.Deployments().All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, d.ID)
	}
	if !slices.Equal(ids, []string{"dep_a", "dep_b", "dep_c"}) || s.sent(1).URL.Query().Get("cursor") != "x y" {
		t.Errorf("got %v by %s", ids, s.sent(1).URL)
	}
}

func TestAListThatBreaksOffSaysSo(t *testing.T) {
	s := serve(t, answer(200, `{"data":[{"id":"dep_a"}],"next_cursor":"x"}`), answer(404, ""))
	var got []string
	var failure error
	for d, err := range s.Deployments().All(t.Context()) {
		if err != nil {
			failure = err
			continue
		}
		got = append(got, d.ID)
	}
	if len(got) != 1 || !client.IsStatus(failure, 404) {
		t.Errorf("got %v, %v", got, failure)
	}
}

func TestAnArrayIsReadByItsOffset(t *testing.T) {
	full := "[" + strings.Repeat(`{"id":"app_a"},`, 99) + `{"id":"app_a"}]`
	s := serve(t, answer(200, full), answer(200, `[{"id":"app_b"}]`))
	n := 0
	for _, err := range s.Apps().All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 101 || s.sent(1).URL.Query().Get("offset") != "100" {
		t.Errorf("%d apps, then %s", n, s.sent(1).URL)
	}
}

// What may be repeated is, and nothing else: a creation that may have been carried out
// would make two.
func TestOnlyWhatMayBeRepeatedIs(t *testing.T) {
	ctx := context.Background()
	get := func(c *server) error { _, err := c.Me(ctx); return err }
	remove := func(c *server) error { return c.Deployments().Delete(ctx, "dep_a") }
	create := func(c *server) error {
		_, err := c.Deployments().Create(ctx, client.DeploymentInput{Name: new("a")})
		return err
	}
	start := func(c *server) error {
		_, err := c.Start(ctx, client.RunInput{DeploymentID: "dep_a"}, "")
		return err
	}
	publish := func(c *server) error { _, err := c.Publish(ctx, []client.EventInput{{}}, "mine"); return err }
	for name, tt := range map[string]struct {
		call  func(*server) error
		first http.HandlerFunc
		want  int // requests
	}{
		"a read after 503":                     {get, answer(503, ""), 2},
		"a read after 500":                     {get, answer(500, ""), 2},
		"a read after a lost connection":       {get, hangUp, 2},
		"a read after 404":                     {get, answer(404, ""), 1},
		"a read after 501":                     {get, answer(501, ""), 1},
		"a deletion after 503":                 {remove, answer(503, ""), 2},
		"a creation after 503":                 {create, answer(503, ""), 1},
		"a creation after a lost connection":   {create, hangUp, 1},
		"a creation after 429":                 {create, answer(429, ""), 2},
		"a start after 503":                    {start, answer(503, ""), 2},
		"a start after a lost connection":      {start, hangUp, 2},
		"a publish after a lost connection":    {publish, hangUp, 2},
		"a wait that is asked for":             {get, answer(429, "", "Retry-After", "7"), 2},
		"a wait that nobody would wait for":    {get, answer(429, "", "Retry-After", "3600"), 1},
		"a wait until a date that nobody does": {get, answer(503, "", "Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)), 1},
		"a wait in no form that there is":      {get, answer(503, "", "Retry-After", "soon"), 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, tt.first, answer(200, "{}"))
			err := tt.call(s)
			requests, bodies := s.came()
			if len(requests) != tt.want || (err == nil) != (tt.want == 2) {
				t.Errorf("%d requests and %v", len(requests), err)
			}
			if len(bodies) == 2 && (bodies[0] != bodies[1] || requests[0].Header.Get("Idempotency-Key") != requests[1].Header.Get("Idempotency-Key")) {
				t.Errorf("repeated as %q with %v", bodies, requests[1].Header)
			}
			if strings.Contains(name, "asked for") && s.waits[0] != 7*time.Second {
				t.Errorf("waited %v", s.waits)
			}
		})
	}
}

func TestItGivesUpAfterFiveAttempts(t *testing.T) {
	s := serve(t, answer(503, `{"error":{"code":"unavailable","message":"try again","request_id":"r1"}}`))
	_, err := s.Me(t.Context())
	if requests, _ := s.came(); len(requests) != 5 || err == nil || err.Error() != "try again (request r1)" {
		t.Errorf("%d requests, %v", len(requests), err)
	}
}

func TestAKeyIsMadeForEachStart(t *testing.T) {
	s := serve(t, answer(202, "{}"))
	for range 2 {
		if _, err := s.Start(t.Context(), client.RunInput{}, ""); err != nil {
			t.Fatal(err)
		}
	}
	a, b := s.sent(0).Header.Get("Idempotency-Key"), s.sent(1).Header.Get("Idempotency-Key")
	if a == "" || a == b {
		t.Errorf("keys %q and %q", a, b)
	}
}

func TestARetryHasItsVersionAndAKey(t *testing.T) {
	s := serve(t, answer(202, `{"run_id":"run_b"}`))
	for key, in := range map[string]client.RunRetry{"": {}, "k": {Version: "same"}} {
		run, err := s.Retry(t.Context(), "run_a", in, key)
		if err != nil || run.RunID != "run_b" {
			t.Fatalf("started %+v, %v", run, err)
		}
		requests, _ := s.came()
		sent := requests[len(requests)-1]
		if got := sent.Header.Get("Idempotency-Key"); got == "" || key != "" && got != key {
			t.Errorf("with the key %q, it is %q", key, got)
		}
		if sent.Method != "POST" || sent.URL.Path != "/v1/runs/run_a/retry" {
			t.Errorf("asked %s %s", sent.Method, sent.URL.Path)
		}
	}
}

func TestErrorsAreReadInEachSystemsShape(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":{"code":"invalid","message":"must be a text","field":"name","request_id":"r"}}`: "name: must be a text",
		`{"error":{"message":"No running version"}}`:                                              "No running version",
		`{"error":"Agent not found"}`:                                                             "Agent not found",
		`{"message":"App not found."}`:                                                            "App not found.",
		`{"error":{"issues":[{"message":"name is required"}]}}`:                                   "name is required",
		"payload too large\n":                                                                     "payload too large",
		"":                                                                                        "bad request",
		`{"error":{"code":`:                                                                       `{"error":{"code":`,
		`{"error":[1,2],"message":""}`:                                                            "bad request",
	} {
		s := serve(t, answer(400, body, "Content-Type", "text/plain; charset=utf-8"))
		if _, err := s.Me(t.Context()); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", body, err, want)
		}
	}
	s := serve(t, answer(502, "<html>"+strings.Repeat("x", 1<<20), "Content-Type", "text/html"))
	if _, err := s.Me(t.Context()); err == nil || err.Error() != "bad gateway" {
		t.Errorf("a page of HTML: %v", err)
	}
}

func TestWhatIsNoBoathookIsSaidSo(t *testing.T) {
	s := serve(t, answer(200, "<html>hello</html>"))
	if _, err := s.Me(t.Context()); err == nil || !strings.Contains(err.Error(), "does not answer as a Boathook does") {
		t.Errorf("got %v", err)
	}
	c, err := client.New("http://127.0.0.1:1", "bh_secret", client.WithWait(func(int, time.Duration) time.Duration { return 0 }))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Me(t.Context())
	if _, ok := errors.AsType[*client.UnreachableError](err); !ok || strings.Contains(err.Error(), "/v1/me") {
		t.Errorf("nobody listens: %v", err)
	}
}

func TestTheURLIsChecked(t *testing.T) {
	for _, url := range []string{"", "hooks.example.com", "ftp://a", "https://", "https://user:secret@a", "https://a/?x=1", "https://a/#b", "http://[::1"} {
		if _, err := client.New(url, ""); err == nil || strings.Contains(err.Error(), "secret") && url != "https://user:secret@a" {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestIDsAreEscapedInPaths(t *testing.T) {
	s := serve(t, answer(200, "{}"))
	if _, err := s.Runs().Get(t.Context(), "../tokens?x=1#y"); err != nil {
		t.Fatal(err)
	}
	if got := s.sent(0).URL.EscapedPath(); got != "/v1/runs/..%2Ftokens%3Fx=1%23y" {
		t.Errorf("asked for %s", got)
	}
}

func TestARunsEventsAreReadFromWhereTheyEnded(t *testing.T) {
	s := serve(t, answer(200, "id: 1\ndata: {\"type\":\"log\"}\n\nid: 2\ndata: a\ndata: b\n\ndata: heartbeat\n\nretry: 1000\n\n"), answer(204, ""), answer(200, "id: 3\ndata: cut o"))
	var got []string
	last, err := s.RunEvents(t.Context(), "run_a", "", func(data string) { got = append(got, data) })
	if err != nil || last != "2" || !slices.Equal(got, []string{`{"type":"log"}`, "a\nb", "heartbeat"}) {
		t.Fatalf("got %q and %q, %v", last, got, err)
	}
	if last, err = s.RunEvents(t.Context(), "run_a", last, func(string) { t.Error("an event") }); err != nil || last != "2" {
		t.Errorf("nothing new: %q, %v", last, err)
	}
	if h := s.sent(1).Header.Get("Last-Event-ID"); h != "2" {
		t.Errorf("asked from %q", h)
	}
}

func ExampleClient() {
	server := httptest.NewServer(answer(202, `{"run_id":"run_2q5zkx7wmt3vnh6ybd4cfj7r","status":"running"}`))
	defer server.Close()
	c, err := client.New(server.URL, "bh_…")
	if err != nil {
		panic(err)
	}
	run, err := c.Start(context.Background(), client.RunInput{DeploymentID: "dep_7k2m5qx4zt3vhw6ynb2dcf5r", Input: []byte(`{"day":"monday"}`)}, "")
	if err != nil {
		panic(err)
	}
	fmt.Println(run.RunID, run.Status)
	// Output: run_2q5zkx7wmt3vnh6ybd4cfj7r running
}
