// Package samlocal_test runs the functions as `sam local` does: by the SAM CLI itself, built
// by it, in containers, with this machine's emulators for AWS. It holds what the
// documents say of `sam local invoke`, `start-lambda` and `start-api`.
//
// It is run by `make test-sam`, as root, on a machine that lets somebody run containers. On
// another it says what is missing and is skipped.
package samlocal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"boathook/events"
	"boathook/internal/signature"
	"boathook/internal/testing/localaws"
)

const (
	// samVariable names the SAM CLI's path. The command emulators sets it.
	samVariable = "BOATHOOK_TEST_SAM"
	root        = "../../.."
)

// architectures are Lambda's names of Go's.
var architectures = map[string]string{"amd64": "x86_64", "arm64": "arm64"}

func architecture(t *testing.T) string {
	t.Helper()
	name, ok := architectures[runtime.GOARCH]
	if !ok {
		t.Skipf("NOT RUN: sam local: Lambda has no machines like this one, %s", runtime.GOARCH)
	}
	return name
}

// sam is the SAM CLI with what it has built.
type sam struct {
	*engine
	path   string
	folder string // of what it built
	cloud  *localaws.Cloud
	args   []string // of every command that runs functions
}

func TestSAMLocal(t *testing.T) {
	path := os.Getenv(samVariable)
	if path == "" {
		t.Skipf("NOT RUN: sam local: %s is not set: run make test-sam", samVariable)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	s := &sam{engine: newEngine(t), path: path, folder: t.TempDir()}
	s.build(t)
	lambda := make(chan string, 1) // where start-lambda answers
	receiver := newReceiver(t, s.host)
	s.deploy(t, lambda)
	if err := s.cloud.PutFixture(t.Context(), events.Servers{Target: receiver.url + "/target", Receiver: receiver.url + "/receiver"}); err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(events.Payloads, "*/*.json")
	if err != nil {
		t.Fatal(err)
	}

	t.Run("sam local invoke", func(t *testing.T) {
		done := make(map[string]bool)
		for _, file := range files {
			if function := functionOf(file); !done[function] {
				done[function] = true
				t.Run(function, func(t *testing.T) { s.invoke(t, function, file) })
			}
		}
		if len(done) != 7 {
			t.Errorf("events are of %d functions", len(done))
		}
	})

	api := s.start(t, "start-lambda", "--warm-containers", "LAZY")
	lambda <- api
	t.Run("sam local start-lambda", func(t *testing.T) {
		for _, file := range files {
			t.Run(file, func(t *testing.T) {
				answer, err := invoke(t.Context(), api, functionOf(file), payload(t, file))
				if err != nil {
					t.Fatal(err)
				}
				wantAnswer(t, file, answer)
			})
		}
	})

	t.Run("sam local start-api", func(t *testing.T) {
		if err := s.cloud.Run(t.Context()); err != nil { // the queues invoke by start-lambda
			t.Fatal(err)
		}
		s.trigger(t, s.start(t, "start-api", "--warm-containers", "LAZY"), receiver)
	})
}

// build has the SAM CLI build the functions for this machine. SAM passes on only variables
// that a template declares, so that where AWS is declared, too.
func (s *sam) build(t *testing.T) {
	t.Helper()
	s.args = []string{"--skip-pull-image", "--parameter-overrides", "Architecture=" + architecture(t)}
	build := s.command(t.Context(), s.path, "build", "--build-dir", s.folder, "--parameter-overrides", "Architecture="+architecture(t))
	build.Dir, build.Env = root, append(build.Env, "ARCH="+runtime.GOARCH)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("sam build: %v\n%s", err, out)
	}
	file := filepath.Join(s.folder, "template.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, after, found := strings.Cut(string(text), "      Variables:\n")
	if !found {
		t.Fatal("the built template has no variables of all functions")
	}
	text = []byte(before + "      Variables:\n        AWS_ENDPOINT_URL: ''\n        AWS_EC2_METADATA_DISABLED: 'true'\n" + after)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// deploy makes the stack's tables, queues, key and secrets on the emulators, and tells the
// functions what they are called, as make env-vars does of a stack on AWS.
func (s *sam) deploy(t *testing.T, lambda <-chan string) {
	t.Helper()
	emulators, err := localaws.FromEnv(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	template, err := localaws.ReadTemplate(os.Getenv("BOATHOOK_TEST_TEMPLATE"))
	if err != nil {
		t.Fatal(err)
	}
	at := sync.OnceValue(func() string { return <-lambda })
	oneByOne := make(map[string]*sync.Mutex) // a warm container has one invocation at a time
	s.cloud, err = localaws.Deploy(t.Context(), localaws.Config{
		Template: template, StackName: "boathook", Emulators: emulators, Host: s.host,
		Parameters: map[string]string{"AllowedEgress": s.host + "/32", "AllowHttp": "true"},
		Secrets: map[string]string{
			"AdminSecret": events.AdminToken, "InternalSecret": events.InternalToken, "StreamSecret": events.StreamSecret,
		},
		Invoke: func(ctx context.Context, function string, payload []byte) ([]byte, error) {
			oneByOne[function].Lock()
			defer oneByOne[function].Unlock()
			return invoke(ctx, at(), function, payload)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.cloud.Close)
	variables := make(map[string]map[string]string)
	for _, id := range template.Functions() {
		variables[id], oneByOne[id] = s.cloud.Environment(id), new(sync.Mutex)
	}
	text, err := json.Marshal(variables)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.folder, "env.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s.args = append(s.args, "--env-vars", file)
}

// invoke runs a function once by sam local invoke.
func (s *sam) invoke(t *testing.T, function, file string) {
	t.Helper()
	event, err := filepath.Abs(filepath.Join(root, "events", file))
	if err != nil {
		t.Fatal(err)
	}
	cmd := s.command(t.Context(), s.path, slices.Concat([]string{"local", "invoke", function, "--event", event}, s.args)...)
	var answer, log bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.folder, &answer, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("sam local invoke: %v\n%s", err, &log)
	}
	wantAnswer(t, file, answer.Bytes())
	if t.Failed() {
		t.Logf("it logged:\n%s", &log)
	}
}

// start runs a server of the SAM CLI's until the test ends, and gives its URL when it
// answers.
func (s *sam) start(t *testing.T, command string, args ...string) (url string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	listener.Close()
	cmd := s.command(t.Context(), s.path, slices.Concat([]string{"local", command, "--host", "127.0.0.1", "--port", port}, args, s.args)...)
	log := new(syncBuffer)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.folder, log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-ended
		if t.Failed() {
			t.Logf("sam local %s printed:\n%s", command, log)
		}
	})
	for {
		if c, err := new(net.Dialer).DialContext(t.Context(), "tcp", address); err == nil {
			c.Close()
			return "http://" + address
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("sam local %s ended: %v", command, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// trigger does by HTTP what a user does first: a deployment is made, its URL started, its
// run executed, and its end delivered, signed.
func (s *sam) trigger(t *testing.T, api string, receiver *receiver) {
	t.Helper()
	call := func(method, path, body string, want int) (answer map[string]any) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, api+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+events.AdminToken)
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != want {
			t.Fatalf("%s %s: answered %d %s, %v", method, path, response.StatusCode, text, err)
		}
		if err := json.Unmarshal(text, &answer); err != nil {
			t.Fatalf("%s %s: %s: %v", method, path, text, err)
		}
		return answer
	}
	deployment := call("POST", "/v1/deployments", `{"name":"by sam local"}`, http.StatusCreated)
	at := "/v1/deployments/" + deployment["id"].(string)
	call("POST", at+"/versions", fmt.Sprintf(`{"environment":"production","target":{"type":"http","url":%q}}`, receiver.url+"/executed"), http.StatusCreated)
	outgoing := call("POST", at+"/outgoing-webhooks", fmt.Sprintf(`{"name":"status","url":%q,"events":["run.succeeded"],"environment":"production"}`, receiver.url+"/delivered"), http.StatusCreated)
	incoming := call("POST", at+"/incoming-webhooks", `{"name":"CI","environment":"production"}`, http.StatusCreated)

	trigger, err := url.Parse(incoming["url"].(string)) // its host is the one that the SAM CLI tells the function
	if err != nil {
		t.Fatal(err)
	}
	started := call("POST", trigger.Path, `{"build":7}`, http.StatusAccepted)["run_id"].(string)
	executed := receiver.next(t, "/executed")
	if !strings.Contains(string(executed.body), `"build":7`) {
		t.Errorf("the target was sent %s", executed.body)
	}
	delivered := receiver.next(t, "/delivered")
	signed := delivered.header.Get("X-Crewship-Timestamp") + "." + string(delivered.body)
	if want := signature.SHA256(outgoing["signing_secret"].(string), []byte(signed)); delivered.header.Get("X-Crewship-Signature") != want {
		t.Errorf("delivered with the signature %q, want %q", delivered.header.Get("X-Crewship-Signature"), want)
	}
	if !strings.Contains(string(delivered.body), started) {
		t.Errorf("delivered %s, want run %s", delivered.body, started)
	}
	if run := call("GET", "/v1/runs/"+started, "", http.StatusOK); run["status"] != "succeeded" {
		t.Errorf("the run is %v", run)
	}
}

// functionOf is the logical id of the function that an event's file is for.
func functionOf(file string) string {
	folder, _, _ := strings.Cut(file, "/")
	return strings.ToUpper(folder[:1]) + folder[1:] + "Function"
}

func payload(t *testing.T, file string) []byte {
	t.Helper()
	text, err := events.Payloads.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// invoke invokes a function by Lambda's API.
func invoke(ctx context.Context, api, function string, payload []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, "POST", api+"/2015-03-31/functions/"+function+"/invocations", bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode != http.StatusOK || response.Header.Get("X-Amz-Function-Error") != "") {
		err = fmt.Errorf("invoke %s: %s %s", function, response.Status, answer)
	}
	return answer, err
}

// answers are what the functions answer to the files: a part of it.
var answers = map[string]string{
	"console/not-signed-in": `"statusCode": 303`,
	"console/sign-in":       `"statusCode": 303`,
	"console/sign-in-page":  `"statusCode": 200`,

	"deliver/batch-with-one-bad-record": `{"batchItemFailures": [{"itemIdentifier": "059f36b4-87a3-44ab-83d2-661970000004"}]}`,
	"deliver/one-delivery":              `{"batchItemFailures": []}`,

	"execute/duplicate-run": `{"batchItemFailures": []}`,
	"execute/one-run":       `{"batchItemFailures": []}`,
	"execute/undecodable":   `{"batchItemFailures": [{"itemIdentifier": "059f36b4-87a3-44ab-83d2-661970000002"}]}`,

	"intake/agent-trigger-bad-signature": `"statusCode": 401`,
	"intake/agent-trigger-base64-body":   `"statusCode": 202`,
	"intake/agent-trigger-signed":        `"statusCode": 202`,
	"intake/trigger-accepted":            `"statusCode": 202`,
	"intake/trigger-bad-token":           `"statusCode": 404`,
	"intake/trigger-base64-body":         `"statusCode": 202`,
	"intake/trigger-form-content-type":   `"statusCode": 202`,
	"intake/trigger-not-json":            `"statusCode": 400`,

	"manage/create-deployment": `"statusCode": 201`,
	"manage/create-hook":       `"statusCode": 404`, // the fixture has no repository
	"manage/get-run":           `"statusCode": 404`, // nor this run
	"manage/no-token":          `"statusCode": 401`,
	"manage/run-events-sse":    `"statusCode": 404`,

	"stream/auth":                 `"statusCode": 200`,
	"stream/binary":               `"statusCode": 200`,
	"stream/connect":              `"statusCode": 200`,
	"stream/connect-bad-token":    `"statusCode": 401`,
	"stream/connect-with-token":   `"statusCode": 200`,
	"stream/disconnect":           `"statusCode": 200`,
	"stream/not-json":             `"statusCode": 200`,
	"stream/ping":                 `"statusCode": 200`,
	"stream/subscribe":            `"statusCode": 200`,
	"stream/subscribe-to-another": `"statusCode": 200`,

	"sweep/scheduled-minute": "null",
}

func wantAnswer(t *testing.T, file string, answer []byte) {
	t.Helper()
	if want, ok := answers[strings.TrimSuffix(file, ".json")]; !ok || !strings.Contains(string(answer), want) {
		t.Errorf("%s: answered %s, want %q", file, answer, want)
	}
}

// syncBuffer is what a process has printed until now.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// receiver is whom the functions send requests to, from their containers.
type receiver struct {
	url string
	got chan received
}

type received struct {
	path   string
	header http.Header
	body   []byte
}

func newReceiver(t *testing.T, host string) *receiver {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{url: "http://" + listener.Addr().String(), got: make(chan received, 1000)}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return
		}
		r.got <- received{q.URL.Path, q.Header, body}
		io.WriteString(w, `{"ok":true}`)
	})}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			panic(err)
		}
	}()
	t.Cleanup(func() { server.Close() })
	return r
}

// next waits for the next request to a path.
func (r *receiver) next(t *testing.T, path string) received {
	t.Helper()
	for {
		select {
		case got := <-r.got:
			if got.path == path {
				return got
			}
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}
