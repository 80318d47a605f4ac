package localaws_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"boathook/internal/cli"
)

// listening has two developers' machines told of a delivery, and one of them leave
// without a word.
func listening(t *testing.T, s *stack) {
	target, _ := receiver(t, echo)
	path, trigger := s.deployment(target)
	made := s.call("POST", path+"/outgoing-webhooks",
		`{"name":"laptop","destination":{"type":"listener"},"events":["run.succeeded"],"environment":"production"}`, 201)
	workspace := s.call("GET", "/v1/me", "", 200)["workspace"].(object)["id"].(string)
	sockets := s.webSockets()
	listen := func() watcher {
		w := connect(t, sockets+"?token="+s.webSocketToken())
		w.send(`{"type":"subscribe","channel":"deliveries:` + workspace + `"}`)
		if f := w.next(); f.Type != "subscribed" || f.Channel != "deliveries:"+workspace {
			t.Fatalf("who subscribes is told %+v", f)
		}
		return w
	}
	// announced triggers a run, whose delivery the listeners are told of.
	announced := func(listeners ...watcher) (delivery object) {
		s.call("POST", trigger, `{"a":1}`, 202)
		id := ""
		for _, w := range listeners {
			f := w.next()
			if f.Type != "delivery" || f.Payload.DeliveryID == "" || id != "" && f.Payload.DeliveryID != id {
				t.Fatalf("of the delivery %q a listener is told %+v", id, f)
			}
			id = f.Payload.DeliveryID
		}
		return s.eventually("the delivery is recorded", func() object {
			if d := s.call("GET", path+"/outgoing-webhooks/"+made["id"].(string)+"/deliveries", "", 200); len(d["data"].([]any)) > 0 &&
				d["data"].([]any)[0].(object)["id"] == id {
				return s.call("GET", "/v1/deliveries/"+id, "", 200)
			}
			return nil
		})
	}
	staying, leaving := listen(), listen()
	first := announced(staying, leaving)
	request := first["request"].(object)
	r := received{header: http.Header{}, body: request["body"].(string)}
	for name, value := range request["headers"].(object) {
		r.header.Set(name, value.(string))
	}
	if !r.verifies(made["signing_secret"].(string)) || first["status"] != "succeeded" {
		t.Errorf("the delivery is %v", first)
	}

	s.Function("StreamFunction").Close() // nobody hears that it leaves
	_ = leaving.conn.CloseNow()
	const post = "DeliverFunction PostToConnection 410"
	for s.calls.of(post) == 0 { // the gateway sees it some time later
		announced(staying)
	}
	announced(staying)
	if n := s.calls.of(post); n != 1 {
		t.Errorf("%d posts found nobody: who is gone is not forgotten", n)
	}
}

// socketsAt has WebSockets open where the test serves them. The functions know another
// address: that by which they reach AWS.
type socketsAt struct{ url string }

func (k socketsAt) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Upgrade") == "websocket" {
		here, err := url.Parse(k.url)
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.URL.Scheme, r.URL.Host, r.URL.Path, r.Host = strings.Replace(here.Scheme, "ws", "http", 1), here.Host, here.Path, ""
	}
	return http.DefaultTransport.RoundTrip(r)
}

// listeningByCommand has `boathook listen` forward a delivery of the stack.
func listeningByCommand(t *testing.T, s *stack) {
	target, _ := receiver(t, echo)
	path, trigger := s.deployment(target)
	came := make(chan received, 10)
	local := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		came <- received{header: r.Header, body: string(body)}
	}))
	defer local.Close()

	variables := map[string]string{"BOATHOOK_URL": s.url, "BOATHOOK_TOKEN": s.token}
	var told bytes.Buffer
	reader, writer := io.Pipe()
	root := &cobra.Command{Use: "boathook", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(cli.Commands(cli.Environment{
		Getenv: func(name string) string { return variables[name] }, ConfigDir: t.TempDir(),
		Stdin: strings.NewReader(""), Stdout: &told, Stderr: writer, Transport: socketsAt{s.webSockets()},
	})...)
	root.SetArgs([]string{"listen", "--deployment", strings.TrimPrefix(path, "/v1/deployments/"), "--events", "run.succeeded", "--forward-to", local.URL})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- root.ExecuteContext(ctx) }()
	secret := ""
	lines := bufio.NewScanner(reader)
	for lines.Scan() && lines.Text() != "Connected." {
		if strings.Contains(lines.Text(), "connection is lost") {
			t.Fatal(lines.Text())
		}
		if _, after, found := strings.Cut(lines.Text(), "The signing secret is "); found {
			secret = after
		}
	}
	go io.Copy(io.Discard, reader) // a pipe that nobody reads would hold it up
	for range 2 {
		s.call("POST", trigger, `{"a":1}`, 202)
		if got := <-came; !got.verifies(secret) {
			t.Errorf("the signature does not verify with %q: %v", secret, got.header)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if list := s.call("GET", path+"/outgoing-webhooks", "", 200)["data"].([]any); len(list) > 0 {
		t.Errorf("the command leaves %v", list)
	}
}
