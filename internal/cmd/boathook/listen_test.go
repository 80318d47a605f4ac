package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"boathook/internal/signature"
)

// announced is the frame that tells of a delivery.
type announced struct {
	Type, Channel string
	Payload       struct {
		DeliveryID string `json:"delivery_id"`
		WebhookID  string `json:"webhook_id"`
		Event      string
		Attempt    int
	}
}

// nextFrame reads what a WebSocket gets next.
func nextFrame(t *testing.T, conn *websocket.Conn) (f announced) {
	t.Helper()
	_, text, err := conn.Read(patience(t))
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err != nil {
		t.Fatalf("got %q, %v", text, err)
	}
	return f
}

// recorded awaits the record of a delivery, which is made after the attempt.
func (p *program) recorded(id string) map[string]any {
	p.t.Helper()
	for ctx := patience(p.t); ctx.Err() == nil; {
		if status, text := p.ask("GET", "/v1/deliveries/"+id, ""); status == 200 {
			var d map[string]any
			if err := json.Unmarshal(text, &d); err != nil {
				p.t.Fatal(err)
			}
			return d
		}
		time.Sleep(20 * time.Millisecond) // the program has no way to tell
	}
	p.t.Fatalf("delivery %s is not recorded", id)
	return nil
}

// A developer's machine hears of a delivery, fetches it, and verifies it as a receiver
// would. What happens while it is away is in the log, as failed.
func TestADeveloperListensToDeliveries(t *testing.T) {
	p := start(t)
	path, trigger := p.deployment("cat")
	const secret = "0123456789abcdefghijklmnop"
	made := p.call("POST", path+"/outgoing-webhooks", `{"name":"laptop","events":["run.succeeded"],"environment":"production",`+
		`"destination":{"type":"listener"},"signing_secret":"`+secret+`"}`, 201)
	webhook := path + "/outgoing-webhooks/" + made["id"].(string)

	token := p.call("GET", "/api/v1/ws-token", "", 200)["token"].(string)
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(p.url, "http", "ws", 1)+"/ws?token="+token, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	const channel = "deliveries:" + firstWorkspace
	if err := conn.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, `{"type":"subscribe","channel":%q}`, channel)); err != nil {
		t.Fatal(err)
	}
	if f := nextFrame(t, conn); f.Type != "subscribed" || f.Channel != channel {
		t.Fatalf("it is told %+v", f)
	}
	p.call("POST", trigger, `{"hello":"world"}`, 202)
	f := nextFrame(t, conn)
	if f.Type != "delivery" || f.Channel != channel || f.Payload.WebhookID != made["id"] || f.Payload.Event != "run.succeeded" || f.Payload.Attempt != 1 {
		t.Fatalf("it is told %+v", f)
	}
	d := p.recorded(f.Payload.DeliveryID)
	attempt := d["attempts"].([]any)[0].(map[string]any)
	if d["status"] != "succeeded" || attempt["response_status"] != 202.0 || attempt["response_body"] != "announced to 1 connection" {
		t.Errorf("the delivery is %v", d)
	}
	request := d["request"].(map[string]any)
	header := func(name string) string { text, _ := request["headers"].(map[string]any)[name].(string); return text }
	seconds, _ := strconv.ParseInt(header("X-Crewship-Timestamp"), 10, 64)
	body := request["body"].(string)
	if !signature.VerifyTimestamped(header("X-Crewship-Signature"), secret, time.Unix(seconds, 0), []byte(body)) || !strings.Contains(body, "world") {
		t.Errorf("the signature of %v does not verify", request)
	}
	if request["method"] != "POST" || request["url"] != nil {
		t.Errorf("the request is %v", request)
	}
	test := p.call("POST", webhook+"/test", "", 202)["delivery_id"]
	if f := nextFrame(t, conn); f.Payload.DeliveryID != test {
		t.Errorf("of the test %v it is told %+v", test, f)
	}

	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	for ctx := patience(t); ; { // the program hears of the end some time later
		if ctx.Err() != nil {
			t.Fatal("deliveries go on to succeed")
		}
		id := p.call("POST", webhook+"/test", "", 202)["delivery_id"].(string)
		if p.recorded(id)["status"] == "failed" {
			break
		}
	}
	failed := p.call("GET", webhook+"/deliveries?status=failed", "", 200)["data"].([]any)
	last, _ := failed[0].(map[string]any)["last_attempt"].(map[string]any)
	if len(failed) != 1 || !strings.HasPrefix(last["error"].(string), "nobody listens") || failed[0].(map[string]any)["next_attempt_at"] != nil {
		t.Errorf("of whom nobody heard: %v", failed)
	}
}

// link is the way to a server, which can be cut.
type link struct {
	url string
	to  string

	mu   sync.Mutex
	cut  bool
	open []net.Conn
}

func newLink(t *testing.T, to string) *link {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	k := &link{url: "http://" + l.Addr().String(), to: to}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go k.pass(conn)
		}
	}()
	return k
}

// pass passes bytes both ways until one side ends.
func (k *link) pass(conn net.Conn) {
	defer conn.Close()
	server, err := net.Dial("tcp", k.to)
	if err != nil {
		return
	}
	defer server.Close()
	k.mu.Lock()
	if k.cut {
		k.mu.Unlock()
		return
	}
	k.open = append(k.open, conn, server)
	k.mu.Unlock()
	go func() {
		io.Copy(server, conn)
		server.Close()
	}()
	io.Copy(conn, server)
}

// set cuts the way, or mends it.
func (k *link) set(cut bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cut = cut
	for _, conn := range k.open {
		conn.Close()
	}
	k.open = nil
}

// taken is what a local server was sent.
type taken struct {
	header http.Header
	body   []byte
}

func (s *shell) listen(args ...string) *program {
	s.t.Helper()
	p := s.start(append([]string{"listen"}, args...)...)
	p.stderr.await(s.t, "Connected")
	return p
}

// start starts a command that goes on until it is interrupted, or killed.
func (s *shell) start(args ...string) *program {
	s.t.Helper()
	cmd := exec.Command(binary(s.t), args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = s.env, s.folder, newOutput(), newOutput()
	p := started(s.t, cmd)
	p.done = make(chan error, 1)
	p.stop = func() {
		_ = cmd.Process.Signal(os.Interrupt)
		p.done <- cmd.Wait()
	}
	s.kill = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	return p
}

// Deliveries come to a local server as a real endpoint would get them: those that happen
// while the connection is lost, once it is back, and each once.
func TestListenMissesNothing(t *testing.T) {
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	way := newLink(t, address)
	p := start(t, "PORT="+port, "BOATHOOK_PUBLIC_URL="+way.url)
	p.url = "http://" + address
	came := make(chan taken, 100)
	local := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		came <- taken{r.Header, body}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer local.Close()
	s := newShell(t)
	s.feed(p.token, "login", way.url)
	s.must("deployments", "create", "hello", "--command", "cat")
	forward := []string{"--deployment", "hello", "--events", "run.succeeded", "--forward-to", local.URL + "/hooks"}
	l := s.listen(forward...)
	secret := l.stderr.await(t, `The signing secret is (whsec_\S+)`)[1]
	id := s.object("deployments", "get", "hello")["id"].(string)

	runs := make(map[string]bool)
	trigger := func(n int) {
		t.Helper()
		for range n {
			runs[p.call("POST", "/v1/runs", `{"deployment_id":"`+id+`"}`, 202)["run_id"].(string)] = true
		}
	}
	next := func() {
		t.Helper()
		var got taken
		select {
		case got = <-came:
		case <-patience(t).Done():
			t.Fatalf("nothing came; the command says\n%s", l.stderr)
		}
		var event struct {
			RunID string `json:"run_id"`
		}
		seconds, _ := strconv.ParseInt(got.header.Get("X-Crewship-Timestamp"), 10, 64)
		if !signature.VerifyTimestamped(got.header.Get("X-Crewship-Signature"), secret, time.Unix(seconds, 0), got.body) {
			t.Errorf("the signature does not verify: %v", got.header)
		}
		if err := json.Unmarshal(got.body, &event); err != nil || !runs[event.RunID] {
			t.Errorf("%s came twice, or was not made: %v", event.RunID, err)
		}
		delete(runs, event.RunID)
	}
	trigger(1)
	next()
	l.stdout.await(t, `run\.succeeded  succeeded 202 in`)

	way.set(true)
	l.stderr.await(t, "The connection is lost")
	trigger(3)
	webhook := p.listener("/v1/deployments/" + id)
	p.inLog(webhook, 4)
	way.set(false)
	for range 3 {
		next()
	}
	trigger(1)
	next()

	// Killed, it can't end its webhook. The next one does, and has the same secret.
	s.kill()
	l = s.listen(forward...)
	if again := l.stderr.await(t, `The signing secret is (whsec_\S+)`)[1]; again != secret {
		t.Errorf("the secret was %s and is %s", secret, again)
	}
	if p.listener("/v1/deployments/"+id) == webhook {
		t.Error("the webhook of the killed command is still there")
	}
	trigger(1)
	next()
	l.stop()
	if err := <-l.done; err != nil {
		t.Errorf("after an interrupt: %v\n%s", err, l.stderr)
	}
	if list := p.call("GET", "/v1/deployments/"+id+"/outgoing-webhooks", "", 200)["data"].([]any); len(list) > 0 || len(came) > 0 {
		t.Errorf("%d webhooks are left, and %d requests", len(list), len(came))
	}
}

// listener is the path of the one webhook of a source.
func (p *program) listener(source string) string {
	p.t.Helper()
	list := p.call("GET", source+"/outgoing-webhooks", "", 200)["data"].([]any)
	if len(list) != 1 {
		p.t.Fatalf("the source has %d webhooks", len(list))
	}
	return source + "/outgoing-webhooks/" + list[0].(map[string]any)["id"].(string)
}

// inLog awaits that a webhook has n deliveries.
func (p *program) inLog(webhook string, n int) {
	p.t.Helper()
	for ctx := patience(p.t); ctx.Err() == nil; time.Sleep(20 * time.Millisecond) { // the program has no way to tell
		if len(p.call("GET", webhook+"/deliveries", "", 200)["data"].([]any)) == n {
			return
		}
	}
	p.t.Fatalf("the log does not have %d deliveries", n)
}

// A local server that fails, hangs up or is not there is told of, and ends nothing.
func TestListenTellsWhatTheLocalServerDoes(t *testing.T) {
	p := start(t)
	s := loggedIn(t, p)
	s.must("apps", "create", "demo")
	gone := freeAddress(t)
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"it fails":        {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no \x1b[31mway", 500) }, `job_finished  failed 500 in \d+ ms no  \[31mway`},
		"it redirects":    {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) }, `job_finished  failed 302 in`},
		"it hangs up":     {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, `job_finished  failed EOF`},
		"nobody is there": {nil, `job_finished  failed dial tcp .*connection refused`},
	} {
		t.Run(name, func(t *testing.T) {
			to := "http://" + gone
			if tt.handler != nil {
				local := httptest.NewServer(tt.handler)
				defer local.Close()
				to = local.URL
			}
			l := s.listen("--app", "demo", "--events", "job_finished", "--forward-to", to)
			w := s.object("webhooks", "list", "--app", "demo")
			s.must("webhooks", "test", w["id"].(string), "--app", "demo")
			l.stdout.await(t, tt.want)
			l.stop()
			if err := <-l.done; err != nil {
				t.Error(err)
			}
		})
	}
	for args, want := range map[string]string{
		"--app demo --forward-to localhost:3000": "--forward-to", "--forward-to http://localhost:3000": "say of which source",
		"--app nothing": "no app is named", "--app demo --events nothing": "events",
	} {
		if r := s.run("", append([]string{"listen"}, strings.Fields(args)...)...); r.code == 0 || !strings.Contains(r.err, want) {
			t.Errorf("listen %s: %+v", args, r)
		}
	}
}

func TestListenEndsWithItsWebhook(t *testing.T) {
	t.Parallel()
	p := start(t)
	s := loggedIn(t, p)
	s.must("apps", "create", "demo")
	l := s.listen("--app", "demo")
	s.must("webhooks", "delete", s.object("webhooks", "list", "--app", "demo")["id"].(string))
	l.stderr.await(t, "removed by somebody")
}
