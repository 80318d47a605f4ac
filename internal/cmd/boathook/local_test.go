package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"boathook/internal/cli"
	"boathook/internal/database"
	"boathook/internal/probe"
)

const (
	adminToken    = "bh_for-the-tests-of-the-local-system"
	internalToken = "internal-for-the-tests-of-the-local-system"
)

// program is the running program, as a user meets it.
type program struct {
	t      testing.TB
	url    string
	token  string // that it is called with
	stdout *output
	stderr *output
	stop   context.CancelFunc
	done   chan error
}

// output is what the program has printed so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed at each write, and made anew
	over chan struct{} // closed when who writes has ended
}

func newOutput() *output { return &output{more: make(chan struct{}), over: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// await returns the first match of pattern, which the program is to print.
func (o *output) await(t testing.TB, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	find := func() (match []string, more chan struct{}) {
		o.mu.Lock()
		defer o.mu.Unlock()
		return re.FindStringSubmatch(o.text.String()), o.more
	}
	for ctx := patience(t); ; {
		match, more := find()
		if match != nil {
			return match
		}
		select {
		case <-more:
			continue
		case <-o.over:
		case <-ctx.Done():
		}
		if match, _ := find(); match != nil {
			return match
		}
		t.Fatalf("the program never printed %q, but\n%s", pattern, o)
	}
}

// patience ends shortly before the test binary is stopped, so that a test can say
// what it waits for in vain. Nothing else bounds a wait: a busy machine gets to
// everything in the end.
func patience(t testing.TB) context.Context {
	t.Helper()
	ctx := t.Context()
	test, ok := t.(*testing.T)
	if !ok {
		return ctx
	}
	if deadline, bounded := test.Deadline(); bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-10*time.Second))
		t.Cleanup(cancel)
	}
	return ctx
}

// environment is a getenv of NAME=value pairs.
func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for _, pair := range pairs {
			if value, ok := strings.CutPrefix(pair, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

// around is what a command has around it that writes to one place.
func around(getenv func(string) string, out io.Writer) cli.Environment {
	return cli.Environment{Getenv: getenv, Stdin: strings.NewReader(""), Stdout: out, Stderr: out}
}

// start runs the program with more variables, until the test ends.
func start(t testing.TB, variables ...string) *program {
	t.Helper()
	return startIn(t, database.Memory, variables...)
}

// startIn runs it with its data in a folder.
func startIn(t testing.TB, folder string, variables ...string) *program {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	p := &program{t: t, token: adminToken, stdout: newOutput(), stderr: newOutput(), stop: stop, done: make(chan error, 1)}
	variables = append(variables, "PORT=0", "BOATHOOK_ADMIN_TOKEN="+adminToken, "BOATHOOK_INTERNAL_TOKEN="+internalToken)
	go func() {
		defer close(p.stderr.over)
		defer close(p.stdout.over)
		p.done <- execute(ctx, cli.Environment{Getenv: environment(variables...), Stdout: p.stdout, Stderr: p.stderr}, []string{"serve", "--dev", "--data", folder})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-p.done; err != nil {
			t.Errorf("the program ends with %v\n%s", err, p.stderr)
		}
	})
	p.url = p.stdout.await(t, `Boathook is at (http://127\.0\.0\.1:\d+)`)[1]
	return p
}

// call makes a request to the API, which must answer with the status, and
// decodes the answer.
func (p *program) call(method, path, body string, status int) map[string]any {
	p.t.Helper()
	got, text := p.ask(method, path, body)
	if got != status {
		p.t.Fatalf("%s %s: %d %s, want %d", method, path, got, text, status)
	}
	var answer map[string]any
	if len(text) > 0 {
		if err := json.Unmarshal(text, &answer); err != nil {
			p.t.Fatalf("%s %s: %s: %v", method, path, text, err)
		}
	}
	return answer
}

// ask makes a request to the API, and gives its answer.
func (p *program) ask(method, path, body string) (status int, text []byte) {
	p.t.Helper()
	url := path
	if strings.HasPrefix(path, "/") {
		url = p.url + path
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	if text, err = io.ReadAll(res.Body); err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, text
}

// deployment makes one whose runs execute a shell script, and gives its path
// and trigger URL.
func (p *program) deployment(script string) (path, trigger string) {
	p.t.Helper()
	path = "/v1/deployments/" + p.call("POST", "/v1/deployments", `{"name":"test"}`, 201)["id"].(string)
	argv, _ := json.Marshal([]string{"sh", "-c", script})
	p.call("POST", path+"/versions", fmt.Sprintf(`{"environment":"production","target":{"type":"command","argv":%s}}`, argv), 201)
	trigger = p.call("POST", path+"/incoming-webhooks", `{"name":"test","environment":"production"}`, 201)["url"].(string)
	return path, trigger
}

// finished awaits that a webhook's first delivery is over, and gives it.
func (p *program) finished(webhook string) map[string]any {
	p.t.Helper()
	for ctx := patience(p.t); ctx.Err() == nil; {
		list := p.call("GET", webhook+"/deliveries", "", 200)["data"].([]any)
		if len(list) > 0 {
			return p.call("GET", "/v1/deliveries/"+list[0].(map[string]any)["id"].(string), "", 200)
		}
		time.Sleep(20 * time.Millisecond) // the program has no way to tell
	}
	p.t.Fatal("nothing was delivered")
	return nil
}

// What `make run` prints is pasted into another terminal.
func TestThePrintedLinesShowTheWholeWay(t *testing.T) {
	need(t, "bash")
	for name, variables := range map[string][]string{
		"the folder's token": nil, "a token of the user's": {"BOATHOOK_ADMIN_TOKEN=" + adminToken}, "in memory": {"BOATHOOK_DATA=" + database.Memory},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShell(t, variables...)
			program := binary(t)
			cmd := process(t, program, variables...)
			cmd.Args, cmd.Dir = []string{program, "serve", "--dev"}, s.folder
			p := running(t, cmd)
			p.stdout.await(t, "what else there is")
			_, lines, _ := strings.Cut(p.stdout.String(), "another terminal:\n")
			lines, _, _ = strings.Cut(lines, "\n\n"+program+" listen")
			r := s.end(s.command("", "bash", "-euo", "pipefail", "-c", lines))
			if r.code != 0 || strings.Count(strings.TrimSpace(lines), "\n") != 2 {
				t.Fatalf("exit code %d\n%s\n%s", r.code, lines, r.err)
			}
			for _, want := range []string{"Logged in to " + p.url + " as admin", "hello\n", `{"hello":"world"}` + "\n"} {
				if !strings.Contains(r.stdout, want) {
					t.Errorf("the lines don't show %q:\n%s", want, r.stdout)
				}
			}
			if !strings.Contains(r.err, "working\n") {
				t.Errorf("the lines don't show the log:\n%s", r.err)
			}
		})
	}
}

// The README's first minute, in its three terminals.
func TestTheREADMEsFirstMinute(t *testing.T) {
	need(t, "bash")
	program, s := binary(t), newShell(t)
	if err := os.Mkdir(filepath.Join(s.folder, ".tools"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, filepath.Join(s.folder, ".tools", "boathook")); err != nil {
		t.Fatal(err)
	}
	cmd := process(t, program)
	cmd.Args, cmd.Dir = []string{program, "serve", "--dev"}, s.folder
	p := running(t, cmd)
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(strings.ReplaceAll(string(text), "http://127.0.0.1:8080", p.url), "```\n")
	first, second := blocks[3], blocks[5]
	if r := s.end(s.command("", "bash", "-euo", "pipefail", "-c", first)); r.code != 0 || !strings.Contains(r.stdout, `{"hello":"world"}`) {
		t.Fatalf("%s\n%+v", first, r)
	}
	l := s.listen(strings.Fields(strings.TrimPrefix(strings.TrimSpace(second), ".tools/boathook listen "))...)
	s.must("trigger", "hello", "-d", `{"hello":"again"}`)
	l.stdout.await(t, `(?s)run\.succeeded.*X-Crewship-Signature: .*"hello": "again"`)
}

func TestWhatIsInFlightIsFinishedOnAnInterrupt(t *testing.T) {
	p := start(t)
	path, trigger := p.deployment("touch begun; until test -e ended; do sleep 0.05; done; echo '{}'")
	told := make(chan string, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { told <- r.Header.Get("X-Crewship-Event") }))
	defer receiver.Close()
	p.call("POST", path+"/outgoing-webhooks", fmt.Sprintf(`{"name":"r","url":%q,"events":["run.succeeded"],"environment":"production"}`, receiver.URL), 201)
	t.Chdir(t.TempDir())
	p.call("POST", trigger, `{}`, 202)
	awaitFile(t, "begun")
	p.stop()
	p.stdout.await(t, "Finishing what is in flight")

	// Nothing more is accepted, but what goes on can be watched.
	req, err := http.NewRequestWithContext(t.Context(), "POST", trigger, strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	for answered := false; !answered; { // the line is printed just before it closes
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		answered = res.StatusCode == 503 && res.Header.Get("Retry-After") != ""
	}
	p.call("GET", path, "", 200)
	if err := os.WriteFile("ended", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err = <-p.done
	p.done <- err // for the cleanup
	if err != nil {
		t.Error(err)
	}
	// What the run led to was delivered before the program ended.
	if out := p.stdout.String(); len(told) != 1 || <-told != "run.succeeded" || strings.Contains(out, "are lost") {
		t.Errorf("the program printed\n%s", out)
	}
}

func TestWhatWaitsForItsTimeIsCountedOnAnInterrupt(t *testing.T) {
	p := start(t)
	path, trigger := p.deployment("cat")
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	defer down.Close()
	webhook := p.call("POST", path+"/outgoing-webhooks", fmt.Sprintf(
		`{"name":"r","url":%q,"events":["run.succeeded"],"environment":"production","retry":{"schedule_seconds":[600]}}`, down.URL), 201)["id"].(string)
	later := p.call("POST", path+"/outgoing-webhooks", fmt.Sprintf(
		`{"name":"r","url":%q,"events":["run.succeeded"],"environment":"production","retry":{"schedule_seconds":[3600]}}`, down.URL), 201)["id"].(string)
	for range 3 {
		p.call("POST", trigger, `{}`, 202)
	}
	for _, id := range []string{webhook, later} {
		p.retrying(path+"/outgoing-webhooks/"+id, 3)
	}
	p.stop()
	err := <-p.done
	p.done <- err // for the cleanup
	if err != nil {
		t.Error(err)
	}
	if out := p.stdout.String(); !strings.Contains(out, "6 that wait for their time are lost") {
		t.Errorf("the program printed\n%s", out)
	}
}

// retrying awaits that n of a webhook's deliveries wait for another attempt.
func (p *program) retrying(webhook string, n int) {
	p.t.Helper()
	for ctx := patience(p.t); ctx.Err() == nil; {
		if len(p.call("GET", webhook+"/deliveries?status=retrying", "", 200)["data"].([]any)) == n {
			return
		}
		time.Sleep(20 * time.Millisecond) // the program has no way to tell
	}
	p.t.Fatalf("%d deliveries are not retried", n)
}

// A client that follows no redirects, as curl and most senders, must not take one
// for a success.
func TestAPathIsNeverRedirected(t *testing.T) {
	p := start(t)
	_, trigger := p.deployment("true")
	for url, status := range map[string]int{
		strings.Replace(trigger, "/webhooks/", "//webhooks/", 1): 202, strings.Replace(trigger, "/runs/", "//runs//", 1): 202,
		p.url + "//v1//deployments": 201, p.url + "/webhooks": 404, p.url + "/webhooks/": 404, p.url + "/webhooks/runs": 404,
		p.url + "/api/v1/webhooks": 404, p.url + "/api/v1//webhooks/": 404, p.url + "/nothing//here": 404,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(`{"name":"a"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+p.token)
		res, err := http.DefaultTransport.RoundTrip(req) // which follows none
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != status {
			t.Errorf("%s: answered %s, want %d", url, res.Status, status)
		}
	}
}

func TestWhatNetHTTPLogsIsDebug(t *testing.T) {
	for level, shown := range map[string]bool{"debug": true, "info": false} {
		t.Run(level, func(t *testing.T) {
			p := start(t, "BOATHOOK_LOG_LEVEL="+level)
			log.Print("Unsolicited response received on idle HTTP channel") // as net/http does
			if strings.Contains(p.stderr.String(), "Unsolicited") != shown {
				t.Errorf("it logs %s", p.stderr)
			}
		})
	}
}

func awaitFile(t *testing.T, name string) {
	t.Helper()
	for ctx := patience(t); ctx.Err() == nil; {
		if _, err := os.Stat(name); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond) // another process: there is nothing to wait on
	}
	t.Fatalf("there is no file %s", name)
}

func TestWhatKeepsTheProgramFromStarting(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	for name, tc := range map[string]struct{ variable, want string }{
		"a port in use":          {fmt.Sprintf("PORT=%d", port), fmt.Sprintf("PORT: %d is in use", port)},
		"a port too high":        {"PORT=70000", "PORT"},
		"a port in words":        {"PORT=http", "PORT"},
		"a short token":          {"BOATHOOK_ADMIN_TOKEN=short", "BOATHOOK_ADMIN_TOKEN: at least 16"},
		"an odd token":           {"BOATHOOK_ADMIN_TOKEN=with a space in the middle", "BOATHOOK_ADMIN_TOKEN"},
		"a short internal token": {"BOATHOOK_INTERNAL_TOKEN=short", "BOATHOOK_INTERNAL_TOKEN: at least 16"},
		"an odd log level":       {"BOATHOOK_LOG_LEVEL=loud", "LOG_LEVEL"},
		"a short retention":      {"BOATHOOK_RETENTION_DAYS=14", `BOATHOOK_RETENTION_DAYS: "14" is no number of days from 15 to 3653`},
		"a queue by its name":    {"BOATHOOK_ALLOWED_QUEUE_ARNS=arn:aws:sqs:eu-west-1:123456789012:a,orders", `BOATHOOK_ALLOWED_QUEUE_ARNS: "orders" is not`},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := execute(t.Context(), around(environment(tc.variable, "PORT=0"), &out), []string{"serve", "--data", database.Memory})
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, tc.want)
			}
		})
	}
}

// TestOutsideClients runs clients that share no code with Boathook: those of each
// system walk its wire format, trouble has receivers that misbehave.
func TestOutsideClients(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for retries for more than a minute: run it without -short")
	}
	t.Parallel()
	need(t, "python3")
	for _, client := range []string{"crewship", "agents", "stream", "shipway", "capawesome", "standard", "presets", "trouble"} {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			p := start(t)
			// -B: what they share leaves no compiled copy behind.
			cmd := exec.CommandContext(t.Context(), "python3", "-B", "testdata/"+client+".py", p.url, adminToken)
			cmd.Env = append(os.Environ(), "BOATHOOK_INTERNAL_TOKEN="+internalToken)
			if deadline, bounded := patience(t).Deadline(); bounded {
				// Early enough to say what it has waited for in vain.
				cmd.Env = append(cmd.Env, fmt.Sprintf("DEADLINE=%d", deadline.Add(-10*time.Second).Unix()))
			}
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// documentsReceivers are those of receive.md, by the language of their block.
var documentsReceivers = map[string]struct {
	file    string
	command []string
}{
	"python": {"receiver.py", []string{"python3", "receiver.py"}},
	"js":     {"receiver.js", []string{"node", "receiver.js"}},
	"go":     {"receiver.go", []string{"go", "run", "receiver.go"}},
}

// runReceiver runs a receiver until the test ends.
func runReceiver(t *testing.T, language, code, secret string) (address string) {
	t.Helper()
	address = freeAddress(t)
	runReceiverAt(t, address, language, code, secret)
	return address
}

// runReceiverAt is runReceiver at an address that is free.
func runReceiverAt(t *testing.T, address, language, code, secret string) {
	t.Helper()
	receiver := documentsReceivers[language]
	need(t, receiver.command[0])
	_, port, _ := net.SplitHostPort(address)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, receiver.file), []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(receiver.command[0], receiver.command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PORT="+port, "WEBHOOK_SECRET="+secret)
	awaitListener(t, address, runUntilCleanup(t, cmd))
}

// receiversSecret is what they verify with.
const receiversSecret = "whsec_VGhlIFJFQURNRSdzIHJlY2VpdmVycw=="

// TestTheDocumentsReceivers pastes each receiver of receive.md, and delivers to it.
func TestTheDocumentsReceivers(t *testing.T) {
	for language := range documentsReceivers {
		t.Run(language, func(t *testing.T) {
			address := runReceiver(t, language, block(t, "receive.md", language), receiversSecret)
			p := start(t)
			path, trigger := p.deployment("cat")
			for name, webhook := range map[string]struct {
				secret string
				want   float64
			}{
				"with its secret":     {receiversSecret, 204},
				"with another secret": {"whsec_YW5vdGhlciBzZWNyZXQ=", 401},
			} {
				out := p.call("POST", path+"/outgoing-webhooks", fmt.Sprintf(
					`{"name":%q,"url":"http://%s/","events":["run.succeeded"],"environment":"production","retry":{"schedule_seconds":[]},"signing_secret":%q}`,
					name, address, webhook.secret), 201)["id"].(string)
				p.call("POST", trigger, `{"n":12345678901234567890,"text":"é <&>"}`, 202)
				delivery := p.finished(path + "/outgoing-webhooks/" + out)
				attempt := delivery["attempts"].([]any)[0].(map[string]any)
				if attempt["response_status"] != webhook.want {
					t.Errorf("%s the receiver answered %v, want %v", name, attempt, webhook.want)
				}
			}
		})
	}
}

// TestTheDocumentsReceiversHaveNoFault examines each receiver of receive.md. How fast a
// busy machine answers is no fault of theirs.
func TestTheDocumentsReceiversHaveNoFault(t *testing.T) {
	cases := slices.DeleteFunc(probe.Names(), func(name string) bool { return name == "speed" })
	for language := range documentsReceivers {
		t.Run(language, func(t *testing.T) {
			config := probe.Config{
				URL: "http://" + runReceiver(t, language, block(t, "receive.md", language), receiversSecret) + "/", Dialect: "crewship", Secret: receiversSecret, OldSecret: "older",
				Only: cases, Timeout: time.Hour, Pause: func(context.Context, time.Duration) {},
			}
			summary, err := probe.Receiver(patience(t), config, func(f probe.Finding) {
				if f.Verdict != probe.OK {
					t.Errorf("%+v", f)
				}
			})
			if err != nil || summary.OK < 30 {
				t.Errorf("%+v, %v", summary, err)
			}
		})
	}
}

// TestTheDocumentsTriggers runs each trigger of trigger.md as it stands there.
func TestTheDocumentsTriggers(t *testing.T) {
	need(t, "bash", "curl")
	p := start(t)
	path, trigger := p.deployment("cat")
	id := strings.TrimPrefix(path, "/v1/deployments/")

	_, action, _ := strings.Cut(block(t, "trigger.md", "yaml"), "run: |\n")
	variable, line, _ := strings.Cut(block(t, "trigger.md", "crontab"), "\n")
	if !strings.HasPrefix(variable, "TRIGGER_URL=") { // the URL is the user's own
		t.Errorf("the crontab begins with %q", variable)
	}
	cron := strings.ReplaceAll(strings.SplitN(line, " ", 6)[5], `\%`, "%") // as cron reads it
	for name, tc := range map[string]struct{ script, want string }{
		"GitHub Actions": {action, `{"repository":"org/repo","ref":"refs/heads/main","sha":"88d543e"}`},
		"cron":           {cron, `{"task":"daily report"}`},
	} {
		for range 2 { // the key makes the second start nothing
			cmd := exec.CommandContext(t.Context(), "bash", "-eu", "-c", tc.script)
			cmd.Env = append(os.Environ(), "TRIGGER_URL="+trigger, "GITHUB_RUN_ID=1", "GITHUB_RUN_ATTEMPT=1",
				"GITHUB_REPOSITORY=org/repo", "GITHUB_REF=refs/heads/main", "GITHUB_SHA=88d543e")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, out)
			}
		}
		list := p.call("GET", "/v1/runs?deployment_id="+id, "", 200)["runs"].([]any)
		input, _ := json.Marshal(list[0].(map[string]any)["input"])
		var got, want any
		_ = json.Unmarshal(input, &got)
		_ = json.Unmarshal([]byte(tc.want), &want)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: the newest run's input is %s, want %s", name, input, tc.want)
		}
	}
	if list := p.call("GET", "/v1/runs?deployment_id="+id, "", 200)["runs"].([]any); len(list) != 2 {
		t.Errorf("%d runs were started, want 2", len(list))
	}
}

func TestTheDocumentsVerification(t *testing.T) {
	need(t, "bash", "curl")
	p := start(t)
	path, trigger := p.deployment("cat")
	webhook := p.call("GET", path+"/incoming-webhooks", "", 200)["data"].([]any)[0].(map[string]any)["id"].(string)
	verify := func() string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "bash", "-eu", "-c", blockBelow(t, "trigger.md", "Let senders prove themselves", "bash"))
		cmd.Env = append(os.Environ(), "WEBHOOK="+p.url+path+"/incoming-webhooks/"+webhook, "TOKEN="+adminToken, "SECRET=a secret of both")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	verify()
	p.call("POST", trigger, `{"action":"opened"}`, 401)
	if out := verify(); !strings.Contains(out, "X-Hub-Signature-256 is missing") {
		t.Errorf("the log is %s", out)
	}
}

// TestTheDocumentsHook makes the hook of events.md as it stands there, and sends
// it a test.
func TestTheDocumentsHook(t *testing.T) {
	need(t, "sh", "curl")
	received := make(chan http.Header, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { received <- r.Header }))
	defer receiver.Close()
	p := start(t)
	cmd := exec.CommandContext(t.Context(), "sh", "-eu", "-c", blockBelow(t, "events.md", "Shipway", "sh"))
	cmd.Env = append(os.Environ(), "BOATHOOK="+p.url, "TOKEN="+adminToken, "URL="+receiver.URL, "SECRET=s3cret")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	id := regexp.MustCompile(`"id":(\d+)`).FindSubmatch(out)
	if id == nil {
		t.Fatalf("no hook in %s", out)
	}
	p.call("POST", fmt.Sprintf("/repos/grosskur/docker-hello/hooks/%s/tests", id[1]), "", 204)
	select {
	case h := <-received:
		if h.Get("X-Shipway-Event") != "build_finish" || !strings.HasPrefix(h.Get("X-Shipway-Signature"), "sha1=") {
			t.Errorf("received %v", h)
		}
	case <-patience(t).Done():
		t.Error("nothing was delivered")
	}
}

// TestTheDocumentsCustomer makes the customer of events.md as it stands there, and is
// sent its event.
func TestTheDocumentsCustomer(t *testing.T) {
	need(t, "sh", "curl", "grep")
	received := make(chan string, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		received <- r.Header.Get("webhook-id") + " " + string(body)
	}))
	defer receiver.Close()
	p := start(t)
	cmd := exec.CommandContext(t.Context(), "sh", "-eu", "-c", blockBelow(t, "events.md", "Webhooks for your customers", "sh"))
	cmd.Env = append(os.Environ(), "BOATHOOK="+p.url, "TOKEN="+adminToken, "URL="+receiver.URL)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"deliveries":1`) {
		t.Fatalf("%v\n%s", err, out)
	}
	select {
	case got := <-received:
		if strings.HasPrefix(got, " ") || !strings.Contains(got, `"type":"invoice.paid"`) || !strings.Contains(got, `"data":{"invoice":"inv_17"}`) {
			t.Errorf("received %s", got)
		}
	case <-patience(t).Done():
		t.Error("nothing was delivered")
	}
}

// block is the only code block in a language of a page of infra/docs.
func block(t *testing.T, page, language string) string {
	t.Helper()
	return onlyBlock(t, page, document(t, page), language)
}

// blockBelow is the only code block in a language below a heading of a page of
// infra/docs.
func blockBelow(t *testing.T, page, heading, language string) string {
	t.Helper()
	_, section, ok := strings.Cut(document(t, page), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("%s has no heading %q", page, heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	return onlyBlock(t, page+", below "+heading+",", section+"\n", language)
}

func document(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile("../../../infra/docs/" + page)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func onlyBlock(t *testing.T, what, text, language string) string {
	t.Helper()
	blocks := regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(text, -1)
	if len(blocks) != 1 {
		t.Fatalf("%s has %d blocks of %s", what, len(blocks), language)
	}
	return blocks[0][1]
}

// need skips a test that a machine without a program can't run.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is not installed", name)
			}
			t.Skipf("NOT RUN: install %s to run this test", name)
		}
	}
}

// freeAddress is one that nobody listens at. A test that runs beside others may find it
// taken: it must not be parallel.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
