package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/creack/pty"
	"github.com/spf13/cobra"

	"boathook/internal/cli"
	"boathook/internal/testing/browser"
)

// shell is where commands are run, as processes of the built program, with settings of
// its own.
type shell struct {
	t      *testing.T
	folder string // has the program, on its PATH, and is where commands run
	env    []string

	kill func() // ends the last command that was started, -9
}

// builtIn is the folder of the program that [binary] gives; empty where no test asked.
var builtIn string

var build = sync.OnceValues(func() (path string, err error) {
	if builtIn, err = os.MkdirTemp("", "boathook"); err != nil {
		return "", err
	}
	path = filepath.Join(builtIn, "boathook")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

// binary is the program, which one build makes for all tests that run processes of it.
func binary(t *testing.T) (path string) {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMain(m *testing.M) {
	code := m.Run()
	browser.Close()
	_ = os.RemoveAll(builtIn)
	os.Exit(code)
}

func newShell(t *testing.T, variables ...string) *shell {
	t.Helper()
	program, folder := binary(t), t.TempDir()
	return &shell{t: t, folder: folder, env: append([]string{
		"PATH=" + filepath.Dir(program) + ":" + os.Getenv("PATH"), "HOME=" + folder, "TERM=xterm",
	}, variables...)}
}

// loggedIn is a shell that has logged in to a server.
func loggedIn(t *testing.T, p *program) *shell {
	t.Helper()
	s := newShell(t)
	s.feed(p.token, "login", p.url)
	return s
}

// result is what a process left.
type result struct {
	code        int
	stdout, err string
}

// run runs the program with arguments and something on its standard input.
func (s *shell) run(stdin string, args ...string) result {
	s.t.Helper()
	return s.end(s.command(stdin, "boathook", args...))
}

func (s *shell) command(stdin, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(patience(s.t), "/usr/bin/env", append([]string{name}, args...)...)
	cmd.Dir, cmd.Env, cmd.Stdin = s.folder, s.env, strings.NewReader(stdin)
	return cmd
}

func (s *shell) end(cmd *exec.Cmd) result {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if e, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || e.ExitCode() < 0) {
		s.t.Fatalf("%v: %v\n%s", cmd.Args, err, &stderr)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// feed runs a command that must succeed, and gives what it printed.
func (s *shell) feed(stdin string, args ...string) string {
	s.t.Helper()
	r := s.run(stdin, args...)
	if r.code != 0 {
		s.t.Fatalf("boathook %q: exit code %d\n%s", args, r.code, r.err)
	}
	return r.stdout
}

func (s *shell) must(args ...string) string {
	s.t.Helper()
	return s.feed("", args...)
}

// object runs a command with --output json, and reads the object that it prints.
func (s *shell) object(args ...string) map[string]any {
	s.t.Helper()
	objects := s.objects(args...)
	if len(objects) != 1 {
		s.t.Fatalf("%v printed %d objects", args, len(objects))
	}
	return objects[0]
}

func (s *shell) objects(args ...string) (objects []map[string]any) {
	s.t.Helper()
	for line := range strings.Lines(s.must(append(args, "--output", "json")...)) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			s.t.Fatalf("%v printed %q: %v", args, line, err)
		}
		objects = append(objects, object)
	}
	return objects
}

// A person's first minute: log in, make a deployment and a webhook, trigger, look.
func TestTheCommandsShowTheWholeWay(t *testing.T) {
	p := start(t)
	got := make(chan *http.Request, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r }))
	defer receiver.Close()
	s := loggedIn(t, p)
	if me := s.object("whoami"); me["role"] != "admin" || me["url"] != p.url {
		t.Errorf("whoami: %v", me)
	}
	s.must("deployments", "create", "hello", "--command", "echo working >&2; cat")
	s.must("webhooks", "create", "status page", "--deployment", "hello", "--url", receiver.URL)
	r := s.run("", "trigger", "hello", "-d", `{"hello":"world"}`, "--watch")
	if r.code != 0 || r.stdout != "{\"hello\":\"world\"}\n" || !strings.Contains(r.err, "working\n") || !strings.Contains(r.err, "succeeded") {
		t.Errorf("the run: %+v", r)
	}
	if sent := <-got; sent.Header.Get("X-Crewship-Event") != "run.succeeded" {
		t.Errorf("the receiver got %v", sent.Header)
	}
	run := s.object("runs", "list", "--deployment", "hello")
	if s.object("runs", "get", run["id"].(string))["output"].(map[string]any)["hello"] != "world" {
		t.Errorf("the run is %v", run)
	}
	p.finished("/v1/deployments/" + run["deployment_id"].(string) + "/outgoing-webhooks/" + s.object("webhooks", "get", "status page")["id"].(string))
	delivery := s.object("deliveries", "list", "--webhook", "status page")["id"].(string)
	shown := s.must("deliveries", "show", delivery)
	for _, want := range []string{"run.succeeded of ", "succeeded after 1 attempt\n", "POST " + receiver.URL, "X-Crewship-Signature: ", `    "hello": "world"`, "Attempt 1 at "} {
		if !strings.Contains(shown, want) {
			t.Errorf("the delivery does not show %q:\n%s", want, shown)
		}
	}
	if id := s.object("deliveries", "resend", delivery)["delivery_id"]; id != delivery {
		t.Errorf("sent %v again", id)
	}
	if sent := <-got; sent.Header.Get("X-Crewship-Delivery") != delivery {
		t.Errorf("the receiver got %v", sent.Header)
	}
	if n := s.object("deliveries", "recover", "--webhook", "status page", "--since", "1h", "--dry-run")["queued"]; n != 0.0 {
		t.Errorf("%v would be sent again", n)
	}
	if status := s.object("status"); status["status"] != "ok" || len(status["queues"].([]any)) != 3 {
		t.Errorf("status: %v", status)
	}
}

// An endpoint is down, is repaired, and gets what it has missed; who watches sees both.
func TestWhatWasMissedIsRecovered(t *testing.T) {
	t.Parallel()
	p := start(t)
	var down atomic.Bool
	down.Store(true)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer receiver.Close()
	s := loggedIn(t, p)
	s.must("deployments", "create", "hello", "--command", "cat")
	s.must("webhooks", "create", "status page", "--deployment", "hello", "--url", receiver.URL, "--retry", "none")
	watching := s.start("deliveries", "tail", "--deployment", "hello", "--event", "run.succeeded")
	for range 3 {
		s.must("trigger", "hello")
	}
	watching.stdout.await(t, `(?s)(run\.succeeded  failed  500 answered 500.*){3}`)
	if n := s.object("deliveries", "recover", "--webhook", "status page", "--since", "1h", "--dry-run")["queued"]; n != 3.0 {
		t.Errorf("%v would be sent again", n)
	}
	down.Store(false)
	if n := s.object("deliveries", "recover", "--webhook", "status page", "--since", "1h", "--status", "failed")["queued"]; n != 3.0 {
		t.Errorf("%v are sent again", n)
	}
	watching.stdout.await(t, `(?s)(run\.succeeded  succeeded  200.*){3}`)
	watching.stop()
	if err := <-watching.done; err != nil {
		t.Errorf("after an interrupt: %v\n%s", err, watching.stderr)
	}
}

// A webhook that is new gets what happened before it was made. Nothing is sent twice, and a
// thousand events are not sent by mistake.
func TestWhatAWebhookHasMissedIsReplayed(t *testing.T) {
	p := start(t)
	got := make(chan string, 2000)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header.Get("X-Shipway-Delivery") }))
	defer receiver.Close()
	s := loggedIn(t, p)
	repository := s.object("repositories", "create", "acme/site")["id"].(string)
	example, err := json.Marshal(s.object("event-types", "get", "build_finish")["example"])
	if err != nil {
		t.Fatal(err)
	}
	create := []string{"webhooks", "create", "--repository", "acme/site", "--url", receiver.URL}
	s.must(append(create, "old")...)
	if r := s.run("", "deliveries", "replay", "--webhook", "old", "--since", "1h"); r.code != cli.Failed || !strings.Contains(r.err, "keeps no events") {
		t.Errorf("without a feed: %+v", r)
	}
	s.must("webhooks", "delete", "old")
	s.must("feed", "keep", "acme/site", "--days", "7")
	event := fmt.Sprintf(`{"source":%q,"type":"build_finish","data":%s}`, repository, example)
	for range 10 {
		p.call("POST", "/v1/events", `{"events":[`+event+strings.Repeat(","+event, 99)+`]}`, 202)
	}
	s.must(append(create, "new")...)
	replay := []string{"deliveries", "replay", "--webhook", "new", "--since", "1h"}
	if counted := s.object(append(replay, "--dry-run")...); counted["queued"] != 1000.0 || counted["by_status"].(map[string]any)["missing"] != 1000.0 {
		t.Errorf("counted %v", counted)
	}
	if r := s.run("", replay...); r.code != cli.Usage || !strings.Contains(r.err, "1000 events would be sent to new: --yes") {
		t.Errorf("without a question: %+v", r)
	}
	const question = "1000 events would be sent to new. Send them? [y/N] "
	if shown, err := s.answered(question, "n", replay...); err == nil || !strings.Contains(shown, "nothing was sent") || len(got) > 0 {
		t.Errorf("to a no it says %q, %v", shown, err)
	}
	if shown, err := s.answered(question, "y", replay...); err != nil || !regexp.MustCompile(`queued +1000\b`).MatchString(shown) {
		t.Errorf("to a yes it says %q, %v", shown, err)
	}
	deliveries := map[string]bool{}
	for range 1000 {
		deliveries[<-got] = true
	}
	if sent := s.object(replay...); len(deliveries) != 1000 || sent["queued"] != 0.0 || sent["matched"] != 1000.0 {
		t.Errorf("there are %d deliveries; once more: %v", len(deliveries), sent)
	}
	for len(s.objects("deliveries", "list", "--webhook", "new", "--status", "retrying")) > 0 { // they are recorded after they were received
	}
	again := s.object(append(replay, "--only", "all", "--yes")...)
	for range 1000 {
		delete(deliveries, <-got)
	}
	if len(deliveries) > 0 || again["queued"] != 1000.0 || again["by_status"].(map[string]any)["succeeded"] != 1000.0 {
		t.Errorf("all: %v; %d were not sent again", again, len(deliveries))
	}
}

func TestAFeedIsFollowed(t *testing.T) {
	s := loggedIn(t, start(t))
	s.must("repositories", "create", "acme/site")
	if r := s.run("", "feed", "acme/site"); r.code != cli.Failed || !strings.Contains(r.err, "`boathook feed keep`") {
		t.Errorf("without a feed: %+v", r)
	}
	s.must("feed", "keep", "acme/site", "--days", "7")
	example, err := json.Marshal(s.object("event-types", "get", "build_finish")["example"])
	if err != nil {
		t.Fatal(err)
	}
	publish := func(id string) {
		s.must("publish", "build_finish", "--source", "acme/site", "--id", id, "-d", string(example))
	}
	publish("first")
	r := s.run("", "feed", "acme/site", "-o", "json")
	cursor := regexp.MustCompile(`--cursor (\S+)`).FindStringSubmatch(r.err)
	if cursor == nil || !strings.Contains(r.stdout, `"id":"first"`) {
		t.Fatalf("the feed is %+v", r)
	}
	following := s.start("feed", "acme/site", "--follow", "--cursor", cursor[1])
	publish("second")
	following.stdout.await(t, `second  build_finish`)
	following.stop()
	if err := <-following.done; err != nil {
		t.Errorf("after an interrupt: %v\n%s", err, following.stderr)
	}
}

// A delivery that changes is shown again also when newer ones have not changed.
func TestTailShowsAnOlderDeliveryThatChanges(t *testing.T) {
	t.Parallel()
	p := start(t)
	var refused atomic.Pointer[string] // the first delivery, until it is let through
	var open atomic.Bool
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Crewship-Delivery")
		refused.CompareAndSwap(nil, &id)
		if *refused.Load() == id && !open.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer receiver.Close()
	s := loggedIn(t, p)
	s.must("deployments", "create", "hello", "--command", "cat")
	s.must("webhooks", "create", "--deployment", "hello", "--url", receiver.URL, "--retry", strings.Repeat("1,", 10)+strings.Repeat("30,", 9)+"30")
	watching := s.start("deliveries", "tail", "--deployment", "hello")
	s.must("trigger", "hello")
	old := watching.stdout.await(t, `([0-9a-f-]{36})  run\.succeeded  retrying`)[1]
	s.must("trigger", "hello")
	watching.stdout.await(t, `run\.succeeded  succeeded`)
	open.Store(true)
	watching.stdout.await(t, old+`  run\.succeeded  succeeded`)
	watching.stop()
	if err := <-watching.done; err != nil {
		t.Errorf("after an interrupt: %v\n%s", err, watching.stderr)
	}
}

func TestExitCodesAndErrorsSayWhatToDo(t *testing.T) {
	p := start(t)
	s := loggedIn(t, p)
	viewer := s.object("tokens", "create", "reader", "--role", "viewer")["token"].(string)
	s.must("deployments", "create", "twin")
	s.must("deployments", "create", "twin")
	s.must("deployments", "create", "fails", "--command", "exit 7")
	s.must("deployments", "create", "idle")
	for _, tt := range []struct {
		args  string
		env   string
		code  int
		wants string
	}{
		{"deployments get hello", "", cli.Absent, `no deployment is named "hello"`},
		{"deployments get twin", "", cli.Usage, "2 deployments are named"},
		{"deployments get dep_aaaaaaaaaaaaaaaaaaaaaaaa", "", cli.Absent, "dep_aaaaaaaaaaaaaaaaaaaaaaaa"},
		{"deployments get", "", cli.Usage, "the deployment's name or id is missing"},
		{"deployments get a b", "", cli.Usage, `"b" is too much`},
		{"deployments gte a", "", cli.Usage, `unknown command "gte"`},
		{"deplyoments list", "", cli.Usage, "deployments"},
		{"deployments list --frobnicate", "", cli.Usage, "--frobnicate"},
		{"deployments list --output yaml", "", cli.Usage, `"yaml" is neither table nor json`},
		{"deployments update idle", "", cli.Usage, "nothing to change"},
		{"deployments create x --command a --url https://b.example.com", "", cli.Usage, "give one of them"},
		{"deployments create x --url ftp://b", "", cli.Usage, "url"},
		{"trigger fails --watch", "", 7, "exit code 7"},
		{"trigger idle", "", cli.Failed, "No running version"},
		{"trigger idle -d {", "", cli.Usage, "--data is not JSON"},
		{"trigger idle -d @nothing", "", cli.Usage, "nothing"},
		{"webhooks create --url https://a.example.com", "", cli.Usage, "--deployment, --agent, --repository, --app, --customer or --alerts"},
		{"webhooks create --deployment idle", "", cli.Usage, "--url is missing"},
		{"webhooks create --deployment idle --app a --url https://a.example.com", "", cli.Usage, "none of the others can be"},
		{"webhooks create --deployment idle --url https://a.example.com --timeout 0", "", cli.Usage, "timeout_seconds"},
		{"incoming-webhooks list", "", cli.Usage, "--deployment is missing"},
		{"deliveries recover --webhook a --since yesterday", "", cli.Usage, "--since"},
		{"deliveries replay --since 1h", "", cli.Usage, "--webhook is missing"},
		{"deliveries replay --webhook a --since yesterday", "", cli.Usage, "--since"},
		{"publish job_finished --source nowhere -d {}", "", cli.Absent, "nowhere"},
		{"tokens list", "BOATHOOK_TOKEN=" + viewer, cli.Denied, "`boathook whoami`"},
		{"whoami", "BOATHOOK_TOKEN=bh_wrong", cli.Denied, "`boathook login`"},
		{"whoami", "BOATHOOK_URL=http://elsewhere.example.com", cli.Denied, "there is no token for http://elsewhere.example.com"},
		{"whoami --profile nobody", "", cli.Absent, `no profile "nobody"`},
		{"whoami", "BOATHOOK_URL=elsewhere BOATHOOK_TOKEN=x", cli.Usage, "is not the URL of a Boathook"},
	} {
		asked := *s
		asked.env = append(slices.Clone(s.env), strings.Fields(tt.env)...)
		r := asked.run("", strings.Fields(tt.args)...)
		if r.code != tt.code || !strings.Contains(r.err, tt.wants) || strings.Count(r.err, "\n") > 5 {
			t.Errorf("boathook %s: exit code %d, want %d; it says\n%swant %s", tt.args, r.code, tt.code, r.err, tt.wants)
		}
	}
	p.stop()
	err := <-p.done
	p.done <- err // for the cleanup
	if r := s.run("", "deployments", "create", "late"); r.code != cli.Unreachable || !strings.Contains(r.err, "can't be reached") {
		t.Errorf("without a server: %+v", r)
	}
}

func TestProfilesAreKeptForTheirOwnerOnly(t *testing.T) {
	p := start(t)
	s := newShell(t)
	if r := s.run("", "whoami"); r.code != cli.Denied || !strings.Contains(r.err, "`boathook login`") {
		t.Errorf("before a login: %+v", r)
	}
	if r := s.run("bh_wrong\n", "login", p.url); r.code != cli.Denied {
		t.Errorf("a wrong token: %+v", r)
	}
	if r := s.run("  \n", "login", p.url); r.code != cli.Usage || !strings.Contains(r.err, "token is empty") {
		t.Errorf("no token: %+v", r)
	}
	file := filepath.Join(s.folder, "token")
	if err := os.WriteFile(file, []byte(p.token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.must("login", p.url, "--token-file", file, "--profile", "work")
	reader := s.object("tokens", "create", "reader", "--role", "viewer")["token"].(string)
	s.feed(reader, "login", p.url+"/", "--profile", "reading")
	if role := s.object("whoami")["role"]; role != "viewer" { // the last login is the current one
		t.Errorf("the current profile is %v's", role)
	}
	if role := s.object("whoami", "--profile", "work")["role"]; role != "admin" {
		t.Errorf("the profile work is %v's", role)
	}
	kept := filepath.Join(s.folder, ".config", "boathook", "profiles.json")
	info, err := os.Stat(kept)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the profiles: %v, %v", info, err)
	}
	s.must("logout", "--profile", "work")
	if r := s.run("", "whoami", "--profile", "work"); r.code != cli.Absent {
		t.Errorf("a profile that is forgotten: %+v", r)
	}
	if err := os.WriteFile(kept, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := s.run("", "whoami"); r.code != cli.Failed || !strings.Contains(r.err, "is damaged") {
		t.Errorf("a damaged file: %+v", r)
	}
	s.env = append(s.env, "BOATHOOK_URL="+p.url, "BOATHOOK_TOKEN="+p.token)
	if role := s.object("whoami")["role"]; role != "admin" {
		t.Errorf("the variables give %v", role)
	}
}

// onTerminal runs a command on a terminal of some columns, and gives what it shows.
func (s *shell) onTerminal(columns uint16, variables []string, args ...string) string {
	s.t.Helper()
	cmd := s.command("", "boathook", args...)
	cmd.Env, cmd.Stdin = append(slices.Clone(s.env), variables...), nil
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: columns})
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	shown, err := io.ReadAll(f)
	if err != nil && !errors.Is(err, syscall.EIO) { // which is how a terminal ends
		s.t.Fatal(err)
	}
	_ = cmd.Wait()
	return strings.ReplaceAll(string(shown), "\r\n", "\n")
}

// answered runs the program on a terminal, and answers its question. It gives what is shown
// from then on.
func (s *shell) answered(question, answer string, args ...string) (shown string, err error) {
	s.t.Helper()
	cmd := s.command("", "boathook", args...)
	cmd.Stdin = nil
	f, err := pty.Start(cmd)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	var before []byte
	for !strings.Contains(string(before), question) {
		some := make([]byte, 1024)
		n, err := f.Read(some)
		if err != nil {
			s.t.Fatalf("%v after %q", err, before)
		}
		before = append(before, some[:n]...)
	}
	if _, err := io.WriteString(f, answer+"\n"); err != nil {
		s.t.Fatal(err)
	}
	rest, err := io.ReadAll(f)
	if err != nil && !errors.Is(err, syscall.EIO) { // which is how a terminal ends
		s.t.Fatal(err)
	}
	return string(rest), cmd.Wait()
}

// On a terminal the token is asked for, and not shown.
func TestLoginAsksForTheToken(t *testing.T) {
	p := start(t)
	s := newShell(t)
	shown, err := s.answered("Token: ", p.token, "login", p.url)
	if err != nil || strings.Contains(shown, p.token) || !strings.Contains(shown, "Logged in to "+p.url) {
		t.Errorf("%v: %q", err, shown)
	}
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

func TestATableFitsItsTerminal(t *testing.T) {
	p := start(t)
	s := loggedIn(t, p)
	s.must("deployments", "create", "hello", "--command", "echo a long line that says why it fails and goes on for a while >&2; exit 1")
	s.run("", "trigger", "hello", "--watch")
	for _, columns := range []uint16{60, 100, 200} {
		shown := s.onTerminal(columns, nil, "runs", "list")
		lines := strings.Split(strings.TrimSpace(escapes.ReplaceAllString(shown, "")), "\n")
		if len(lines) != 2 || !strings.HasPrefix(lines[0], "ID ") {
			t.Errorf("%d columns:\n%s", columns, shown)
		}
		for _, line := range lines {
			if n := len([]rune(line)); n > int(columns) {
				t.Errorf("a line of %d characters on %d columns: %s", n, columns, line)
			}
		}
		if !strings.Contains(shown, "\x1b[31mfailed") {
			t.Errorf("%d columns: no colour in\n%q", columns, shown)
		}
	}
	for _, variable := range []string{"NO_COLOR=1", "TERM=dumb"} {
		if shown := s.onTerminal(100, []string{variable}, "runs", "list"); strings.Contains(shown, "\x1b[31m") {
			t.Errorf("%s: colour in %q", variable, shown)
		}
	}
	piped := s.must("runs", "list")
	if fields := strings.Split(piped, "\t"); !strings.HasPrefix(piped, "run_") || len(fields) != 6 || strings.Contains(piped, "\x1b") {
		t.Errorf("into a pipe: %q", piped)
	}
}

// What others have named can't move the cursor, or add lines that look like others.
func TestHostileNamesAreShownHarmlessly(t *testing.T) {
	p := start(t)
	s := loggedIn(t, p)
	s.must("deployments", "create", "hello", "--command", `printf 'red \033[31m\n' >&2; exit 1`)
	s.run("", "trigger", "hello", "--watch")
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Evil", "\x1b]0;title\x07")
		w.WriteHeader(500)
		io.WriteString(w, "\x1b[2J\x1b[1;1H\nsucceeded\u009b31m")
	}))
	defer evil.Close()
	s.must("webhooks", "create", "evil", "--deployment", "hello", "--url", evil.URL, "--retry", "none")
	s.run("", "trigger", "hello", "--watch")
	w := s.object("webhooks", "get", "evil")
	d := p.finished("/v1/deployments/" + w["deployment_id"].(string) + "/outgoing-webhooks/" + w["id"].(string))
	if shown := s.must("deliveries", "show", d["id"].(string)); strings.ContainsAny(shown, "\x1b\x07\u009b") {
		t.Errorf("shown as %q", shown)
	}
}

// exampled are the commands that a command has below it and that do something.
func exampled(c *cobra.Command) (commands []*cobra.Command) {
	if len(c.Commands()) == 0 || c.Example != "" {
		commands = append(commands, c)
	}
	for _, sub := range c.Commands() {
		commands = append(commands, exampled(sub)...)
	}
	return commands
}

// lasting are the commands that go on until they are interrupted.
var lasting = []string{"tail", "listen", "feed"}

// TestEachExampleRuns runs every line of every command's examples as it is pasted, in an
// order in which what they need is there.
func TestEachExampleRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT RUN: running each command's examples takes 20 s: run it without -short")
	}
	t.Parallel()
	p := start(t)
	sink := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer sink.Close()
	receiver := runReceiver(t, "python", block(t, "receive.md", "python"), receiversSecret)
	s := newShell(t, "BOATHOOK_SECRET=an-example-secret")
	examples := make(map[string][]string)
	for _, top := range cli.Commands(cli.Environment{Getenv: environment()}) {
		for _, c := range exampled(top) {
			if c.Example == "" {
				t.Errorf("%s has no example", c.CommandPath())
			}
			examples[c.CommandPath()] = strings.Split(strings.ReplaceAll(c.Example, "\\\n", ""), "\n")
		}
	}
	given := strings.NewReplacer(
		"http://127.0.0.1:8000", "http://"+receiver, "http://127.0.0.1:8080", p.url, "https://hooks.example.com", p.url,
		"https://status.example.com", sink.URL, "https://jobs.example.com", sink.URL, "http://localhost:3000", sink.URL,
		"BOATHOOK_SECRET=…", "BOATHOOK_SECRET=an-example-secret", "| jq .example |", `| python3 -c 'import json,sys; print(json.dumps(json.load(sys.stdin)["example"]))' |`,
	)
	put := func(name, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(s.folder, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(".data/admin-token", p.token+"\n")
	put("secret.txt", receiversSecret)
	s.env = append(s.env, "WEBHOOK_SECRET="+receiversSecret)
	put("payload.json", `{"event":"a","source":"b","data":{}}`)
	paste := func(command string, replace ...string) {
		t.Helper()
		lines, ok := examples[command]
		if !ok {
			t.Fatalf("there is no command %s", command)
		}
		delete(examples, command)
		for _, line := range lines {
			line = strings.NewReplacer(replace...).Replace(given.Replace(strings.TrimSpace(line)))
			cmd := s.command(p.token+"\n", "bash", "-euo", "pipefail", "-c", line)
			if slices.Contains(lasting, command[strings.LastIndex(command, " ")+1:]) {
				cmd = s.command("", "bash", "-c", line+" & sleep 1; kill -INT $!; wait $!")
			}
			if r := s.end(cmd); r.code != 0 {
				t.Errorf("%s\nexit code %d\n%s", line, r.code, r.err)
			}
		}
	}
	paste("login")
	for _, c := range []string{"whoami", "status"} {
		paste(c)
	}
	for _, noun := range []string{"deployments", "crews", "agents", "repositories", "apps", "customers"} {
		paste(noun + " create")
		paste(noun + " list")
		if noun != "crews" && noun != "apps" {
			paste(noun + " get")
		}
	}
	put("invoice.json", `{"description":"An invoice was paid.","schema":{"type":"object","required":["invoice"]},"example":{"invoice":"inv_17"}}`)
	for _, verb := range []string{"create", "list", "get"} {
		paste("event-types " + verb)
	}
	put("job.json", s.must("event-types", "get", "job_finished", "-o", "json"))
	put("job.json", string(exampleOf(t, filepath.Join(s.folder, "job.json"))))
	delete(examples, "crews get")
	delete(examples, "apps get")
	paste("deployments deploy")
	paste("deployments versions")
	paste("deployments activate")
	paste("webhooks create", "https://hooks.slack.com/services/T/B/X", sink.URL)
	s.must("webhooks", "create", "status page", "--deployment", "hello", "--url", sink.URL)
	for _, c := range []string{"webhooks list", "webhooks get", "webhooks test", "webhooks preview", "webhooks stats", "webhooks rotate-secret", "webhooks update"} {
		paste(c)
	}
	s.must("webhooks", "update", "status page", "--enabled")
	for _, verb := range []string{"create", "list", "get", "requests", "rotate", "url", "update"} {
		paste("incoming-webhooks " + verb)
	}
	paste("trigger")
	paste("verify")
	paste("probe")
	s.env = slices.DeleteFunc(s.env, func(v string) bool { return strings.HasPrefix(v, "BOATHOOK_SECRET=") }) // the agent's own secret
	paste("agents trigger")
	run := s.objects("runs", "list", "--status", "succeeded")[0]["id"].(string)
	for _, verb := range []string{"list", "get", "watch", "retry"} {
		paste("runs "+verb, "run_2q5zkx7wmt3vnh6ybd4cfj7r", run)
	}
	s.must("deployments", "create", "slow", "--command", "sleep 600")
	paste("runs cancel", "run_2q5zkx7wmt3vnh6ybd4cfj7r", s.object("trigger", "slow")["run_id"].(string))
	w := s.object("webhooks", "get", "status page")
	delivery := p.finished("/v1/deployments/" + w["deployment_id"].(string) + "/outgoing-webhooks/" + w["id"].(string))["id"].(string)
	paste("listen")
	s.must("feed", "keep", "hello", "--days", "7")
	for _, verb := range []string{"list", "show", "resend", "recover", "replay", "tail"} {
		paste("deliveries "+verb, "019c5f3e-87a8-8a51-8cd9-2b1f0c6d7e8f", delivery)
	}
	for _, c := range []string{"customers portal", "feed keep", "publish", "feed", "tokens create", "tokens list", "tokens get", "queues list", "queues redrive", "smoke"} {
		paste(c)
	}
	for _, c := range []string{
		"tokens delete", "webhooks delete", "incoming-webhooks delete", "agents update", "agents delete", "crews update", "crews delete",
		"repositories delete", "event-types delete", "customers update", "customers delete", "apps update", "apps delete", "logout",
	} {
		paste(c)
	}
	s.feed(p.token, "login", p.url)
	paste("deployments update")
	delete(examples, "deployments delete") // its name is another by now
	if len(examples) > 0 {
		t.Errorf("these were not run: %v", slices.Sorted(maps.Keys(examples)))
	}
}

// exampleOf is the example of an event type that a file has.
func exampleOf(t *testing.T, file string) json.RawMessage {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var of struct{ Example json.RawMessage }
	if err := json.Unmarshal(text, &of); err != nil {
		t.Fatal(err)
	}
	return of.Example
}
