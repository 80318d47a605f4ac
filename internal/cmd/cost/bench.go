package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/testing/localaws"
)

// bench is a stack that is measured.
type bench struct {
	*localaws.Cloud
	meter  *meter
	server *http.Server
	url    string // of the API, the target and the receivers
	token  string

	deployment, trigger string // their paths

	begin  chan chan struct{} // gives a target that takes long what it closes when it has worked
	answer chan struct{}      // is closed when it may answer

	appID  string
	queued map[boathook.Environment][]string // messages to its webhook, in the deliveries queue
	stored int                               // bytes of a delivery that succeeded at once

	mu       sync.Mutex
	seen     map[string]bool // deliveries that have arrived
	received int             // bytes of the last one's request
	body     int             // bytes of its body
}

func newBench(ctx context.Context, template *localaws.Template) (*bench, error) {
	emulators, err := localaws.FromEnv(os.Getenv)
	if err != nil {
		return nil, err
	}
	binaries, err := filepath.Abs(".tools/functions")
	if err != nil {
		return nil, err
	}
	if err := localaws.Build(ctx, ".", binaries, runtime.GOARCH, template.Functions()...); err != nil {
		return nil, err
	}
	b := &bench{queued: make(map[boathook.Environment][]string), seen: make(map[string]bool), begin: make(chan chan struct{}), meter: newMeter(template)}
	b.Cloud, err = localaws.Deploy(ctx, localaws.Config{
		Template: template, StackName: "cost", Binaries: binaries, Emulators: emulators,
		Parameters: map[string]string{"AllowedEgress": "127.0.0.0/8", "AllowHttp": "true"},
		Log:        b.meter.log, Called: b.meter.called, Invoked: b.meter.invoked,
	})
	if err != nil {
		return nil, err
	}
	b.meter.cpu = func(function string) time.Duration { return b.Function(function).CPU() }
	b.meter.tables, err = readTables(b.Cloud, template)
	if err == nil {
		err = b.setUp(ctx)
	}
	if err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// Close ends the stack and its parties.
func (b *bench) Close() {
	if b.server != nil {
		_ = b.server.Close() // nobody waits for it any more
	}
	b.Cloud.Close()
}

// setUp makes a deployment, and an app whose events are published, with a webhook
// each for what goes well and for what does not, and serves all three parties.
func (b *bench) setUp(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b.url = "http://" + listener.Addr().String()
	mux := http.NewServeMux()
	mux.Handle("/", b.Cloud)
	mux.HandleFunc("POST /target/{kind}", b.work)
	mux.HandleFunc("POST /receiver/{kind}", b.receive)
	b.server = &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go b.server.Serve(listener) //nolint:errcheck // it ends when it is closed

	if b.token, err = b.Secret(ctx, "AdminSecret"); err != nil {
		return err
	}
	var made struct{ ID, URL, Token string }
	if err := b.post(ctx, "/v1/tokens", `{"name":"the publisher","role":"admin"}`, "", &made); err != nil {
		return err
	}
	b.token = made.Token // as publishers have it, not the stack's own
	if err := b.readWorkspaces(ctx); err != nil {
		return err
	}
	if err := b.post(ctx, "/v1/deployments", `{"name":"nightly reports"}`, "", &made); err != nil {
		return err
	}
	b.deployment = "/v1/deployments/" + made.ID
	if err := b.deploy(ctx, target); err != nil {
		return err
	}
	if err := b.post(ctx, b.deployment+"/incoming-webhooks", `{"name":"GitHub Actions","environment":"production"}`, "", &made); err != nil {
		return err
	}
	_, token, _ := strings.Cut(made.URL, "/webhooks/")
	b.trigger = "/webhooks/" + token
	if err := b.post(ctx, b.deployment+"/outgoing-webhooks", fmt.Sprintf(
		`{"name":"report status","url":"%s/receiver/ok","events":["run.succeeded"],"environment":"production"}`, b.url), "", &made); err != nil {
		return err
	}
	if err := b.post(ctx, "/v1/apps", `{"name":"reports"}`, "", &made); err != nil {
		return err
	}
	b.appID = made.ID
	for environment, kind := range map[boathook.Environment]string{boathook.Production: "ok", boathook.Staging: "flaky"} {
		if err := b.post(ctx, "/v1/apps/"+b.appID+"/outgoing-webhooks", fmt.Sprintf(
			`{"name":"job status","url":"%s/receiver/%s","events":["job_finished"],"environment":%q,"dialect":"crewship"}`, b.url, kind, environment), "", &made); err != nil {
			return err
		}
	}
	return nil
}

// readWorkspaces tells the meter the workspaces' ids.
func (b *bench) readWorkspaces(ctx context.Context) error {
	var list struct{ Data []struct{ ID string } }
	if err := b.send(ctx, http.MethodGet, "/v1/workspaces", "", "", &list); err != nil {
		return err
	}
	b.meter.tables.workspaces = make(map[string]bool)
	for _, w := range list.Data {
		b.meter.tables.workspaces[w.ID] = true
	}
	return nil
}

// The targets of runs.
const (
	target        = "done"  // answers at once
	quietTarget   = "quiet" // takes as long as it takes that the run's lease is renewed once
	talkingTarget = "talks" // prints

	renewal = 20500 * time.Millisecond // a little more than the heartbeat of functions/execute
	printed = 4                        // lines of the one that talks
)

// work is the target of runs. One that takes long begins when [bench.working] waits for it,
// and answers when it may.
func (b *bench) work(w http.ResponseWriter, r *http.Request) {
	if kind := r.PathValue("kind"); kind != target {
		_ = http.NewResponseController(w).Flush() // execute tells
		begin := <-b.begin
		if kind == quietTarget {
			time.Sleep(renewal)
		} else {
			for i := range printed {
				fmt.Fprintf(w, "rendering page %d of %d\n", i+1, printed)
				_ = http.NewResponseController(w).Flush()
				time.Sleep(1500 * time.Millisecond) // a second is a chunk of the log
			}
		}
		close(begin)
		<-b.answer
	}
	io.WriteString(w, `{"pages":12,"url":"https://reports.example.com/2026-03-02"}`) //nolint:errcheck // execute tells
}

// working returns when a target that takes long has done its work, but for the answer: that
// waits until b.answer is closed.
func (b *bench) working(ctx context.Context) error {
	b.answer = make(chan struct{})
	done := make(chan struct{})
	select {
	case b.begin <- done:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// deploy has the deployment's runs executed by another target.
func (b *bench) deploy(ctx context.Context, target string) error {
	return b.post(ctx, b.deployment+"/versions", fmt.Sprintf(
		`{"environment":"production","target":{"type":"http","url":"%s/target/%s"}}`, b.url, target), "", new(struct{}))
}

// receive answers as receivers do; a flaky one fails the first time, and a slow one takes
// longer than a second.
func (b *bench) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	id := r.Header.Get("X-Crewship-Delivery")
	b.mu.Lock()
	again := b.seen[id]
	b.seen[id] = true
	b.body = len(body)
	b.received = len(body) + len(r.URL.Path) + len("POST  HTTP/1.1\r\nHost: \r\n\r\n") + len(r.Host)
	for name, values := range r.Header {
		b.received += len(name) + len(": \r\n") + len(values[0])
	}
	b.mu.Unlock()
	if r.PathValue("kind") == "slow" {
		time.Sleep(slowDelay)
	}
	time.Sleep(receiverDelay)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Server", "nginx/1.27.0")
	if r.PathValue("kind") == "flaky" && !again {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	io.WriteString(w, `{"ok":true}`) //nolint:errcheck // deliver tells
}

// requestSize is how many bytes a delivery's request has, and its body.
func (b *bench) requestSize() (request, body int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.received, b.body
}

// post makes a request to the API and reads its answer. An empty idempotency
// key is none.
func (b *bench) post(ctx context.Context, path, body, key string, answer any) error {
	return b.send(ctx, http.MethodPost, path, body, key, answer)
}

// send is post for any method.
func (b *bench) send(ctx context.Context, method, path, body, key string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, b.url+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+b.token)
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set(boathook.IdempotencyKey, key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s", text)
	}
	if err == nil {
		err = json.Unmarshal(text, answer)
	}
	if err != nil {
		return fmt.Errorf("POST %s: %d: %w", path, res.StatusCode, err)
	}
	return nil
}

// signIn opens a session of the console's, and gives its cookie.
func (b *bench) signIn(ctx context.Context) (*http.Cookie, error) {
	form := url.Values{"token": {b.token}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url+"/console/sign-in", strings.NewReader(form))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultTransport.RoundTrip(req) // which does not go on to the page
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if cookies := res.Cookies(); res.StatusCode == http.StatusSeeOther && len(cookies) > 0 {
		return cookies[0], nil
	}
	return nil, fmt.Errorf("sign in: answered %d", res.StatusCode)
}

// look opens a page of the console.
func (b *bench) look(ctx context.Context, path string, session *http.Cookie) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+path, nil)
	if err != nil {
		return err
	}
	req.AddCookie(session)
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: answered %d", path, res.StatusCode)
	}
	return nil
}

// drained waits until a queue is empty, for a minute at most.
func (b *bench) drained(ctx context.Context, queue string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		waiting, inFlight, err := b.Depth(ctx, queue)
		if err != nil {
			return fmt.Errorf("wait until %s is empty: %w", queue, err)
		}
		if waiting+inFlight == 0 {
			return nil
		}
		time.Sleep(20 * time.Millisecond) // other processes: there is nothing to wait on
	}
}
