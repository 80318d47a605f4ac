package localaws_test

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"boathook/internal/testing/localaws"
)

// suite is what the tests share, though each has a stack of its own.
type suite struct {
	config localaws.Config
	roles  roles
}

// stack is a deployed stack, and its administrator.
type stack struct {
	*localaws.Cloud
	client
	fault atomic.Pointer[func(localaws.Call) int]
	calls calls
}

// client is a user of a stack's HTTP API.
type client struct {
	t          *testing.T
	url, token string
}

// fail has those of a stack's requests to AWS fail for which a function gives a
// status.
func (s *stack) fail(fault func(localaws.Call) int) { s.fault.Store(&fault) }

func nothing(localaws.Call) int { return 0 }

func (s *suite) deploy(t *testing.T) *stack {
	t.Helper()
	c := s.config
	c.StackName = "t" + strings.ToLower(rand.Text()[:12])
	st := new(stack)
	st.fail(nothing)
	c.Fault = func(call localaws.Call) int { return (*st.fault.Load())(call) }
	var roles map[string]role
	ready := make(chan struct{}) // to be called: the roles are known
	c.Called = func(call localaws.Call) {
		if call.From != "" {
			<-ready
			s.roles.check(t, st.Cloud, roles[call.From], call)
			st.calls.add(call)
		}
	}
	logs := &logs{}
	c.Log = logs.of
	deployed, err := localaws.Deploy(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		deployed.Close()
		if t.Failed() {
			t.Log(logs)
		}
	})
	st.Cloud, roles = deployed, s.roles.of(t, deployed, c.Template.Functions())
	close(ready)
	if err := deployed.Run(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(deployed)
	t.Cleanup(server.Close)
	token, err := deployed.Secret(t.Context(), "AdminSecret")
	if err != nil {
		t.Fatal(err)
	}
	st.client = client{t, server.URL, token}
	return st
}

// logs are what the functions of a stack have printed.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) of(function string) io.Writer { return logWriter{l, function} }

type logWriter struct {
	logs     *logs
	function string
}

func (w logWriter) Write(p []byte) (int, error) {
	w.logs.mu.Lock()
	defer w.logs.mu.Unlock()
	fmt.Fprintf(&w.logs.text, "%s %s", w.function, p)
	return len(p), nil
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.text.String()
	return text[max(0, len(text)-16<<10):]
}

// request sends a request, and gives its answer and that one's body. A header
// without a value is left out.
func (c client) request(method, path, body string, header ...string) (*http.Response, []byte) {
	c.t.Helper()
	url := path
	if strings.HasPrefix(path, "/") {
		url = c.url + path
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/json")
	for pair := range slices.Chunk(header, 2) {
		if req.Header.Set(pair[0], pair[1]); pair[1] == "" {
			req.Header.Del(pair[0])
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res, text
}

type object = map[string]any

// call makes a request that must answer with the status.
func (c client) call(method, path, body string, status int, header ...string) (answer object) {
	c.t.Helper()
	res, text := c.request(method, path, body, header...)
	if res.StatusCode != status {
		c.t.Fatalf("%s %s: %d %s, want %d", method, path, res.StatusCode, text, status)
	}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &answer); err != nil {
			c.t.Fatalf("%s %s: %s: %v", method, path, text, err)
		}
	}
	return answer
}

// deployment makes one whose runs a URL executes, and gives its path and its
// trigger's URL.
func (c client) deployment(target string) (path, trigger string) {
	c.t.Helper()
	path = "/v1/deployments/" + c.call("POST", "/v1/deployments", `{"name":"test"}`, 201)["id"].(string)
	c.version(path, target)
	trigger = c.call("POST", path+"/incoming-webhooks", `{"name":"in","environment":"production"}`, 201)["url"].(string)
	// The API shows https, which is what API Gateway has.
	return path, strings.Replace(trigger, "https://", "http://", 1)
}

func (c client) version(path, target string) string {
	c.t.Helper()
	return c.call("POST", path+"/versions", fmt.Sprintf(`{"environment":"production","target":{"type":"http","url":%q}}`, target), 201)["id"].(string)
}

// outgoing makes a webhook, and gives its path and its secret.
func (c client) outgoing(path, url string) (webhook, secret string) {
	c.t.Helper()
	made := c.call("POST", path+"/outgoing-webhooks", fmt.Sprintf(
		`{"name":"out","url":%q,"events":["run.succeeded","run.failed"],"environment":"production","retry":{"schedule_seconds":[1,1]}}`, url), 201)
	return path + "/outgoing-webhooks/" + made["id"].(string), made["signing_secret"].(string)
}

// run is the run that an answer of a trigger names, once it is over.
func (c client) run(id any) object {
	c.t.Helper()
	return c.eventually("the run is over", func() object {
		run := c.call("GET", fmt.Sprintf("/v1/runs/%s", id), "", 200)
		if run["status"] == "pending" || run["status"] == "running" {
			return nil
		}
		return run
	})
}

// deliveries are those of a webhook, with its newest first.
func (c client) deliveries(webhook string) (list []object) {
	c.t.Helper()
	for _, d := range c.call("GET", webhook+"/deliveries?limit=200", "", 200)["data"].([]any) {
		list = append(list, d.(object))
	}
	return list
}

// eventually asks again until there is an answer. What is asked runs in other
// processes, which have no way to tell.
func (c client) eventually(what string, ask func() object) object {
	c.t.Helper()
	for ctx := patience(c.t); ctx.Err() == nil; time.Sleep(200 * time.Millisecond) {
		if answer := ask(); answer != nil {
			return answer
		}
	}
	c.t.Fatalf("it never came true that %s", what)
	return nil
}

// received is a request as it arrived.
type received struct {
	header http.Header
	body   string
}

// verifies reports whether its signature is the secret's.
func (r received) verifies(secret string) bool {
	signed := r.header.Get("X-Crewship-Timestamp") + "." + r.body
	return r.header.Get("X-Crewship-Signature") == hexMAC(sha256.New, secret, signed)
}

// receiver serves a handler that knows how often it was called, from 1, and
// tells of each request.
func receiver(t *testing.T, handle func(w http.ResponseWriter, number int, r received)) (url string, requests <-chan received) {
	t.Helper()
	arrived := make(chan received, 10_000)
	var mu sync.Mutex
	number := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		mu.Lock()
		number++
		n := number
		mu.Unlock()
		request := received{r.Header, string(body)}
		arrived <- request
		handle(w, n, request)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL, arrived
}

func next(t *testing.T, requests <-chan received) received {
	t.Helper()
	select {
	case r := <-requests:
		return r
	case <-patience(t).Done():
		t.Fatal("nothing arrived")
		return received{}
	}
}

// echo is a target that answers a run with its input.
func echo(w http.ResponseWriter, _ int, r received) {
	var run struct {
		Input json.RawMessage `json:"input"`
	}
	_ = json.Unmarshal([]byte(r.body), &run)
	fmt.Fprintf(w, "working\n%s\n", run.Input)
}

func ok(w http.ResponseWriter, _ int, _ received) { w.WriteHeader(http.StatusNoContent) }

// drained waits until a queue has nothing left, in flight or waiting.
func (s *stack) drained(queue string) {
	s.t.Helper()
	s.eventually(queue+" is empty", func() object {
		waiting, inFlight, err := s.Depth(s.t.Context(), queue)
		if err != nil {
			s.t.Fatal(err)
		}
		if waiting+inFlight > 0 {
			return nil
		}
		return object{}
	})
}

// calls counts a stack's calls, such as "SweepFunction DeleteConnection 204".
type calls struct {
	mu     sync.Mutex
	counts map[string]int
}

func (c *calls) add(call localaws.Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = make(map[string]int)
	}
	c.counts[fmt.Sprintf("%s %s %d", call.From, call.Action, call.Status)]++
}

func (c *calls) of(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[what]
}

// hexMAC is a signature by the receiver's own reckoning.
func hexMAC(h func() hash.Hash, secret, message string) string {
	mac := hmac.New(h, []byte(secret))
	mac.Write([]byte(message))
	return hex.EncodeToString(mac.Sum(nil))
}

// list makes a request whose answer is a bare list.
func (c client) list(path string) (list []object) {
	c.t.Helper()
	res, text := c.request("GET", path, "")
	if err := json.Unmarshal(text, &list); err != nil || res.StatusCode != 200 {
		c.t.Fatalf("GET %s: %d %s", path, res.StatusCode, text)
	}
	return list
}
