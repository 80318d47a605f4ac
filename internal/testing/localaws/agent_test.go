package localaws_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// authTimeout is how long a connection may be open without a token.
const authTimeout = 10 * time.Second

// agent is an agent of a workspace of its own, and that workspace's
// administrator.
type agent struct {
	client
	workspace, crew, id, secret string
}

func (s *stack) agent(target string) *agent {
	s.t.Helper()
	made := s.call("POST", "/v1/workspaces", `{"name":"acme"}`, 201)
	a := &agent{client: client{s.t, s.url, made["token"].(string)}, workspace: made["id"].(string)}
	a.crew = a.call("POST", "/v1/crews", `{"name":"quality"}`, 201)["id"].(string)
	made = a.call("POST", "/v1/crews/"+a.crew+"/agents", fmt.Sprintf(
		`{"name":"Reviewer","slug":"reviewer","target":{"type":"http","url":%q}}`, target), 201)
	a.id, a.secret = made["id"].(string), made["webhook_secret"].(string)
	return a
}

// send posts a trigger and gives its answer, with its run's id if there is one.
func (a *agent) send(agent, body string, header ...string) (status int, answer, run string) {
	a.t.Helper()
	bare := []string{"Authorization", "", "Content-Type", ""}
	res, text := a.request("POST", "/api/v1/webhooks/"+a.crew+"/"+agent+"/trigger", body, append(bare, header...)...)
	return res.StatusCode, string(text), res.Header.Get("X-Run-Id")
}

// sign is the signature of a trigger.
func (a *agent) sign(message string) string { return hexMAC(sha256.New, a.secret, message) }

// trigger starts a run.
func (a *agent) trigger(body string) (run string) {
	a.t.Helper()
	status, answer, run := a.send(a.id, body, "X-Signature", a.sign(body))
	if status != 202 || answer != `{"status":"accepted"}` || run == "" {
		a.t.Fatalf("triggered: %d %s, run %q", status, answer, run)
	}
	return run
}

// runs are the agent's, with its newest first.
func (a *agent) runs() []object {
	a.t.Helper()
	return a.list("/api/v1/agents/" + a.id + "/runs?trigger=WEBHOOK")
}

// finished is a run of the agent, once it is over.
func (a *agent) finished(run string) object {
	a.t.Helper()
	return a.eventually("run "+run+" is over", func() object {
		for _, r := range a.runs() {
			if r["id"] == run && r["finished_at"] != nil {
				return r
			}
		}
		return nil
	})
}

// webSockets serves the stack's WebSocket API, and gives its URL.
func (s *stack) webSockets() string {
	s.t.Helper()
	server := httptest.NewServer(s.WebSocketAPI("StreamApi"))
	s.t.Cleanup(server.Close)
	return strings.Replace(server.URL, "http", "ws", 1) + "/live"
}

// watcher is a client of the live log.
type watcher struct {
	t    *testing.T
	conn *websocket.Conn
}

// frame is what it gets.
type frame struct {
	Type    string
	Channel string
	Payload struct {
		Level, Agent, Event, Content, Error string
		AgentID                             string            `json:"agent_id"`
		DeliveryID                          string            `json:"delivery_id"`
		Metadata                            map[string]string `json:"metadata"`
	}
}

func connect(t *testing.T, url string) watcher {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return watcher{t, conn}
}

func (w watcher) send(text string) {
	w.t.Helper()
	write(w.t, w.conn, text)
}

func (w watcher) subscribe(workspace string) {
	w.t.Helper()
	w.send(`{"type":"subscribe","channel":"workspace:` + workspace + `"}`)
}

func (w watcher) next() (f frame) {
	w.t.Helper()
	text, err := read(w.t, w.conn)
	if err == nil {
		err = json.Unmarshal([]byte(text), &f)
	}
	if err != nil {
		w.t.Fatalf("the watcher got %q, %v", text, err)
	}
	return f
}

// sees reads on until a frame shows a line, and gives that frame.
func (w watcher) sees(line string) frame {
	w.t.Helper()
	for {
		if f := w.next(); slices.Contains(strings.Split(f.Payload.Content, "\n"), line) {
			return f
		}
	}
}

// webSocketToken opens WebSockets of the workspace.
func (c client) webSocketToken() string {
	c.t.Helper()
	return c.call("GET", "/api/v1/ws-token", "", 200)["token"].(string)
}

// What a talker prints.
const (
	itsLine = "reading the change"
	itsEnd  = `{"verdict":"ok"}`
)

// talker is a target that prints a line again and again until it may end.
func talker(end <-chan struct{}) func(http.ResponseWriter, int, received) {
	return func(w http.ResponseWriter, _ int, _ received) {
		for {
			fmt.Fprintln(w, itsLine)
			if http.NewResponseController(w).Flush() != nil {
				return // the runner was killed
			}
			select {
			case <-end:
				fmt.Fprintln(w, itsEnd)
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
}

func agentJourney(t *testing.T, s *stack) {
	end := make(chan struct{})
	target, executed := receiver(t, talker(end))
	url, requests := receiver(t, ok)
	a := s.agent("http://127.0.0.1:1/nobody")
	api := "/v1/crews/" + a.crew + "/agents/" + a.id
	a.call("PATCH", api, fmt.Sprintf(`{"target":{"type":"http","url":%q}}`, target), 200) // its second version
	_, signing := a.outgoing(api, url)

	const body = `{"event":"pull_request.opened","source":"github","data":{"pr_number":42}}`
	now, old := strconv.FormatInt(time.Now().Unix(), 10), strconv.FormatInt(time.Now().Unix()-301, 10)
	good := a.sign(body)
	for name, test := range map[string]struct {
		agent, body string
		header      []string
		status      int
		answer      string
	}{
		"unsigned":                {a.id, body, nil, 401, "unauthorized\n"},
		"wrongly signed":          {a.id, body, []string{"X-Signature", hexMAC(sha256.New, a.secret+"x", body)}, 401, "unauthorized\n"},
		"signed for another body": {a.id, body + " ", []string{"X-Signature", good}, 401, "unauthorized\n"},
		"for nobody":              {"agent_nobody", body, []string{"X-Signature", good}, 404, "not found\n"},
		"old":                     {a.id, body, []string{"X-Timestamp", old, "X-Signature", a.sign(old + "." + body)}, 400, "stale or invalid timestamp\n"},
		"not JSON":                {a.id, "{", []string{"X-Signature", a.sign("{")}, 400, "invalid JSON\n"},
	} {
		if status, answer, _ := a.send(test.agent, test.body, test.header...); status != test.status || answer != test.answer {
			t.Errorf("a trigger that is %s: %d %q, want %d %q", name, status, answer, test.status, test.answer)
		}
	}

	sockets := s.webSockets()
	if _, res, err := websocket.Dial(t.Context(), sockets+"?token=nonsense", nil); err == nil || res == nil || res.StatusCode != 401 {
		t.Errorf("a bad token: %v, %v", res, err)
	}
	stranger := connect(t, sockets+"?token="+s.webSocketToken())
	stranger.subscribe(a.workspace)
	if f := stranger.next(); f.Type != "error" || f.Payload.Error != "access denied" {
		t.Errorf("another workspace's watcher got %+v", f)
	}
	watching := connect(t, sockets)
	watching.send(fmt.Sprintf(`{"type":"auth","token":%q}`, a.webSocketToken()))
	a.eventually("the watcher is authenticated", func() object {
		watching.subscribe("another")
		switch f := watching.next(); f.Payload.Error {
		case "access denied":
			return object{}
		case "not authenticated": // the frames overtook each other
			return nil
		default:
			t.Fatalf("the watcher got %+v", f)
			return nil
		}
	})
	watching.subscribe(a.workspace)

	key := []string{"X-Timestamp", now, "X-Signature", a.sign(now + "." + body), "Idempotency-Key", "k1"}
	status, answer, run := a.send(a.id, body, key...)
	if status != 202 || answer != `{"status":"accepted"}` || run == "" {
		t.Fatalf("triggered: %d %s, run %q", status, answer, run)
	}
	if _, _, again := a.send(a.id, body, key...); again != run {
		t.Errorf("the same key started %q and %q", run, again)
	}
	if status, _, _ := a.send(a.id, "{}", "X-Signature", a.sign("{}"), "Idempotency-Key", "k1"); status != 409 {
		t.Errorf("the same key with another body: %d", status)
	}

	f := watching.sees(itsLine) // while it runs: it ends only now
	close(end)
	if f.Type != "agent.log" || f.Channel != "workspace:"+a.workspace || f.Payload.Agent != "reviewer" || f.Payload.AgentID != a.id ||
		f.Payload.Level != "info" || f.Payload.Metadata["run_id"] != run {
		t.Errorf("the watcher got %+v", f)
	}
	watching.sees(itsEnd)
	job := next(t, executed)
	for _, want := range []string{`"session_id":"webhook-` + a.id, `Event: pull_request.opened\nSource: github\nData: {pr_number: 42}`, body} {
		if !strings.Contains(job.body, want) {
			t.Errorf("the agent got %s, without %s", job.body, want)
		}
	}
	if shown := a.finished(run); shown["status"] != "COMPLETED" || shown["trigger_type"] != "WEBHOOK" || len(a.runs()) != 1 {
		t.Errorf("the runs are %v", a.runs())
	}
	lines := a.list("/api/v1/agents/" + a.id + "/logs")
	if len(lines) < 2 || lines[0]["content"] != itsEnd || lines[1]["content"] != itsLine {
		t.Errorf("the log is %v", lines)
	}

	told := next(t, requests)
	if told.header.Get("X-Crewship-Event") != "run.succeeded" || !told.verifies(signing) {
		t.Errorf("delivered %v\n%s", told.header, told.body)
	}
	for _, want := range []string{`"run_id":"` + run, `"agent_id":"` + a.id, `"version_number":2`, `"input":` + body, `"output":` + itsEnd} {
		if !strings.Contains(told.body, want) {
			t.Errorf("delivered %s, without %s", told.body, want)
		}
	}

	internal, err := s.Secret(t.Context(), "InternalSecret")
	if err != nil {
		t.Fatal(err)
	}
	shown := "/api/v1/internal/agents/" + a.id + "/webhook-secret"
	if got := a.call("GET", shown, "", 200, "Authorization", "", "X-Internal-Token", internal); got["webhook_secret"] != a.secret {
		t.Error("the internal endpoint shows another secret")
	}
	a.call("GET", shown, "", 401)
	a.call("GET", shown, "", 401, "X-Internal-Token", internal+"x")
	a.call("GET", "/api/v1/internal/agents/agent_nobody/webhook-secret", "", 404, "X-Internal-Token", internal)

	before := a.sign(body)
	a.secret = a.call("POST", "/api/v1/agents/"+a.id+"/webhook-secret/rotate", "", 200)["webhook_secret"].(string)
	if status, _, _ := a.send(a.id, body, "X-Signature", before); status != 401 {
		t.Errorf("signed with the secret before: %d", status)
	}
	a.finished(a.trigger(body))

	const forget = "StreamFunction DeleteItem 200"
	forgotten := s.calls.of(forget)
	_ = watching.conn.CloseNow()
	s.eventually("the connection and what it watched are forgotten", func() object {
		if s.calls.of(forget) < forgotten+2 {
			return nil
		}
		return object{}
	})
}

func silentWatcher(t *testing.T, s *stack) {
	sockets := s.webSockets()
	start := time.Now()
	silent, known := connect(t, sockets), connect(t, sockets+"?token="+s.webSocketToken())
	silent.send(`{"type":"ping"}`)
	if f := silent.next(); f.Type != "pong" {
		t.Errorf("a ping is answered %+v", f)
	}
	text, err := read(t, silent.conn)
	if websocket.CloseStatus(err) != websocket.StatusNormalClosure || time.Since(start) < authTimeout {
		t.Errorf("after %s the silent watcher got %q, %v", time.Since(start), text, err)
	}
	stranger := connect(t, sockets)
	stranger.send(`{"type":"auth","token":"nonsense"}`)
	if f := stranger.next(); f.Type != "error" || f.Payload.Error != "unauthorized" {
		t.Errorf("a bad token is answered %+v", f)
	}
	if text, err := read(t, stranger.conn); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("with a bad token the watcher got %q, %v", text, err)
	}
	s.eventually("it was sweep that closed it", func() object {
		if s.calls.of("SweepFunction DeleteConnection 204") == 0 {
			return nil
		}
		return object{}
	})
	known.send(`{"type":"ping"}`)
	if f := known.next(); f.Type != "pong" {
		t.Errorf("who has a token is answered %+v", f)
	}
}

func goneWatcher(t *testing.T, s *stack) {
	end, endAgain := make(chan struct{}), make(chan struct{})
	first, second := talker(end), talker(endAgain)
	target, _ := receiver(t, func(w http.ResponseWriter, number int, r received) {
		if number == 1 {
			first(w, number, r)
		} else {
			second(w, number, r)
		}
	})
	a := s.agent(target)
	sockets := s.webSockets()
	staying, leaving := connect(t, sockets+"?token="+a.webSocketToken()), connect(t, sockets+"?token="+a.webSocketToken())
	staying.subscribe(a.workspace)
	leaving.subscribe(a.workspace)
	run := a.trigger(`{}`)
	staying.sees(itsLine)
	leaving.sees(itsLine)

	s.Function("StreamFunction").Close() // nobody hears that it leaves
	_ = leaving.conn.CloseNow()
	const post = "ExecuteFunction PostToConnection 410"
	s.eventually("a post finds nobody", func() object {
		if s.calls.of(post) == 0 {
			return nil
		}
		return object{}
	})
	close(end)
	staying.sees(itsEnd)
	if r := a.finished(run); r["status"] != "COMPLETED" {
		t.Errorf("the run is %v", r)
	}
	again := a.trigger(`{}`)
	for staying.sees(itsLine).Payload.Metadata["run_id"] != again { // while it runs: what is told at its end may come too late
	}
	close(endAgain)
	a.finished(again)
	if n := s.calls.of(post); n != 1 {
		t.Errorf("%d posts found nobody: who is gone is not forgotten", n)
	}
}

func revokedWatcher(t *testing.T, s *stack) {
	end := make(chan struct{})
	target, _ := receiver(t, talker(end))
	a := s.agent(target)
	token := a.call("POST", "/v1/tokens", `{"name":"watcher","role":"viewer"}`, 201)
	opens := a.call("GET", "/api/v1/ws-token", "", 200, "Authorization", fmt.Sprint("Bearer ", token["token"]))["token"].(string)
	sockets := s.webSockets()
	staying, revoked, idle := connect(t, sockets+"?token="+a.webSocketToken()), connect(t, sockets+"?token="+opens), connect(t, sockets+"?token="+opens)
	staying.subscribe(a.workspace)
	revoked.subscribe(a.workspace)
	run := a.trigger(`{}`)
	staying.sees(itsLine)
	revoked.sees(itsLine)

	a.call("DELETE", fmt.Sprint("/v1/tokens/", token["id"]), "", 204)
	for {
		text, err := read(t, revoked.conn)
		if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
			break
		}
		if err != nil {
			t.Fatalf("it got %q, %v", text, err)
		}
	}
	if _, res, err := websocket.Dial(t.Context(), sockets+"?token="+opens, nil); err == nil || res == nil || res.StatusCode != 401 {
		t.Errorf("its WebSocket token: %v, %v", res, err)
	}
	idle.subscribe(a.workspace)
	if f := idle.next(); f.Payload.Error != "unauthorized" {
		t.Errorf("who subscribes with it gets %+v", f)
	}
	if text, err := read(t, idle.conn); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("who subscribes with it gets %q, %v", text, err)
	}
	close(end)
	staying.sees(itsEnd)
	a.finished(run)
}
