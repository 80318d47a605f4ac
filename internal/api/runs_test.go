package api_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

func TestARunIsStartedWithItsInputUnharmed(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	version := a.version(deployment, "staging")
	for name, input := range map[string]string{
		"big integers and key order": `{"z": 123456789012345678901234567890, "a": [1.10, 1e400], "z": "twice"}`,
		"escapes":                    `"\u0041 <&> \ud83d\ude00"`,
		"null":                       `null`,
		"a number":                   `7`,
		"white space":                "{\n\t\"a\" :  1 }",
	} {
		started := a.ask(202, "POST", "/v1/runs", `{"deployment_id":"`+idOf(deployment)+`","environment":"staging","input": `+input+` }`)
		want := object{"run_id": a.runs.run.ID, "version_id": version.text("id"), "version_number": 1.0, "status": "pending"}
		if !reflect.DeepEqual(started, want) {
			t.Errorf("%s: got %v, want %v", name, started, want)
		}
		if got := a.runs.run.Input.String(); got != input {
			t.Errorf("%s: the input is %s", name, got)
		}
	}
	a.ask(202, "POST", "/v1/runs", `{"deployment_id":"`+idOf(deployment)+`","environment":"staging"}`)
	r := a.runs.run
	if r.Input.String() != `{}` || r.InputHash != boathook.HashInput([]byte(`{}`)) {
		t.Errorf("without an input it is %s", r.Input.Bytes())
	}
	if r.Trigger != boathook.TriggerAPI || r.WorkspaceID != "ws_local" || r.WebhookID != "" || r.Status != boathook.RunPending ||
		!r.CreatedAt.Equal(a.clock.Now()) || a.runs.wait.Most != 2*time.Second {
		t.Errorf("started %+v, waiting %s", r.RunHead, a.runs.wait)
	}
}

func TestARunWithoutARecordSaysToAskLater(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	a.version(deployment, "production")
	for _, a.runs.unrecorded = range []bool{true, false} {
		w := a.request(stackToken, "POST", "/v1/runs", `{"deployment_id":"`+idOf(deployment)+`"}`)
		if told := w.Header().Get("Retry-After") == "1"; w.Code != 202 || told != a.runs.unrecorded {
			t.Errorf("unrecorded %t: %d, Retry-After %q", a.runs.unrecorded, w.Code, w.Header().Get("Retry-After"))
		}
	}
}

func TestARunShowsItsInputAsItWasGiven(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	a.version(deployment, "production")
	input := `{"z":123456789012345678901234567890,"a":"<&>"}`
	id := a.ask(202, "POST", "/v1/runs", `{"deployment_id":"`+idOf(deployment)+`","input":`+input+`}`).text("run_id")
	want := fmt.Sprintf(`{"id":%q,"version_id":%q,"deployment_id":%q,"environment":"production","trigger":"api","status":"pending",`+
		`"input":%s,"output":null,"error_message":null,"created_at":"2026-03-01T12:00:00.000Z","started_at":null,"completed_at":null}`,
		id, a.runs.run.VersionID, idOf(deployment), input)
	if got := a.request(stackToken, "GET", "/v1/runs/"+id, "").Body.String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := a.request(stackToken, "GET", "/v1/runs", "").Body.String(); got != `{"runs":[`+want+`],"next_cursor":null}` {
		t.Errorf("the list is %s", got)
	}
}

func TestRunsThatCanNotStart(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	a.version(deployment, "production")
	id := `"deployment_id":"` + idOf(deployment) + `"`
	long := strings.Repeat("x", 512<<10)
	for _, c := range []struct {
		name, body, field string
		status            int
	}{
		{"no deployment", `{}`, "deployment_id", 400},
		{"an unknown deployment", `{"deployment_id":"dep_unknown"}`, "", 404},
		{"an unknown environment", `{` + id + `,"environment":"test"}`, "environment", 400},
		{"an empty environment", `{` + id + `,"environment":""}`, "environment", 400},
		{"an input over the limit", `{` + id + `,"input":"` + long + `"}`, "input", 413},
		{"an input too deep", `{` + id + `,"input":` + strings.Repeat("[", 513) + strings.Repeat("]", 513) + `}`, "input", 400},
		{"an unknown field", `{` + id + `,"wait":1}`, "wait", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			a.t = t
			a.refused(c.status, c.field, "POST", "/v1/runs", c.body)
		})
	}
	a.t = t
	a.ask(202, "POST", "/v1/runs", `{`+id+`,"input":"`+long[2:]+`"}`)
	a.ask(202, "POST", "/v1/runs", `{`+id+`,"input":`+strings.Repeat("[", 512)+strings.Repeat("]", 512)+`}`)
	if got, want := a.refused(409, "", "POST", "/v1/runs", `{`+id+`,"environment":"staging"}`), "No running version found for staging environment"; got != want {
		t.Errorf("without a version: %q, want %q", got, want)
	}
	a.runs.err = boathook.Errorf(boathook.Unavailable, "queue runs-1 is down")
	if got := a.refused(503, "", "POST", "/v1/runs", `{`+id+`}`); strings.Contains(got, "queue") {
		t.Errorf("a 503 says %q", got)
	}
}

func TestAnIdempotencyKeyStartsOneRun(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	a.version(deployment, "production")
	a.version(deployment, "staging")
	body := `{"deployment_id":"` + idOf(deployment) + `","input":{"n":1}}`
	start := func(key, body string) string {
		t.Helper()
		return a.ask(202, "POST", "/v1/runs", body, "Idempotency-Key", key).text("run_id")
	}
	first := start("k1", body)
	if want := boathook.DeriveID(boathook.RunID, "api", idOf(deployment), "production", "k1"); first != want {
		t.Errorf("the run's id is %s, want %s", first, want)
	}
	if again := start("k1", body); again != first {
		t.Errorf("the same key gives %s and %s", first, again)
	}
	if got := a.refused(409, "", "POST", "/v1/runs", strings.Replace(body, "1", "2", 1), "Idempotency-Key", "k1"); !strings.Contains(got, "key") {
		t.Errorf("another body: %q", got)
	}
	others := []string{first, start("k2", body), start("", body), start("", body),
		start("k1", strings.Replace(body, "{", `{"environment":"staging",`, 1)), start(strings.Repeat("k", 255), body)}
	slices.Sort(others)
	if len(slices.Compact(others)) != 6 {
		t.Errorf("other keys and environments give the same runs: %q", others)
	}
	a.refused(400, "Idempotency-Key", "POST", "/v1/runs", body, "Idempotency-Key", strings.Repeat("k", 256))
	a.refused(400, "Idempotency-Key", "POST", "/v1/runs", body, "Idempotency-Key", "k1", "Idempotency-Key", "k2")
	a.refused(400, "Idempotency-Key", "POST", "/v1/runs", body, "Idempotency-Key", "k1,k2") // as API Gateway passes two on
}

func TestRunsAreListedByDeploymentEnvironmentAndStatus(t *testing.T) {
	a := newAPI(t)
	var runs []string // oldest first: of each deployment, in production and staging
	var deployments []string
	for range 2 {
		d := a.deployment()
		deployments = append(deployments, idOf(d))
		for _, env := range []string{"production", "staging"} {
			a.version(d, env)
			a.clock.pass(time.Second)
			runs = append(runs, a.ask(202, "POST", "/v1/runs", `{"deployment_id":"`+idOf(d)+`","environment":"`+env+`"}`).text("run_id"))
		}
	}
	a.ask(202, "POST", "/v1/runs/"+runs[3]+"/cancel", "")
	for query, want := range map[string][]string{
		"":                                    {runs[3], runs[2], runs[1], runs[0]},
		"?deployment_id=" + deployments[0]:    {runs[1], runs[0]},
		"?environment=production":             {runs[2], runs[0]},
		"?status=canceled":                    {runs[3]},
		"?status=pending&environment=staging": {runs[1]},
		"?status=failed":                      {},
	} {
		if got := a.ask(200, "GET", "/v1/runs"+query, "").column("runs", "id"); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	a.refused(400, "status", "GET", "/v1/runs?status=done", "")
	a.refused(400, "environment", "GET", "/v1/runs?environment=test", "")
	a.refused(404, "", "GET", "/v1/runs?deployment_id=dep_unknown", "")
}

// succeed adds many newer runs to a source.
func (a *tester) succeed(source string, many int) {
	a.t.Helper()
	for range many {
		a.clock.pass(time.Millisecond)
		if err := a.store.CreateRun(a.t.Context(), boathook.Run{
			RunHead: boathook.RunHead{
				ID: boathook.NewID(boathook.RunID), WorkspaceID: "ws_local", SourceID: source, Environment: boathook.Production,
				Trigger: boathook.TriggerWebhook, Status: boathook.RunSucceeded, CreatedAt: a.clock.Now(),
			},
			Input: boathook.NewBody(boathook.EmptyInput),
		}); err != nil {
			a.t.Fatal(err)
		}
	}
}

func TestARareRunIsFoundByGoingOnFromPagesThatHaveNone(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	a.version(deployment, "production")
	rare := a.ask(202, "POST", "/v1/runs", `{"deployment_id":"`+idOf(deployment)+`"}`).text("run_id")
	a.ask(202, "POST", "/v1/runs/"+rare+"/cancel", "")
	a.succeed(idOf(deployment), 2*store.MaxLook)
	var pages []string
	for cursor, more := "", true; more; {
		page := a.ask(200, "GET", "/v1/runs?status=canceled&cursor="+cursor, "")
		pages = append(pages, fmt.Sprint(page.column("runs", "id")))
		cursor, more = page["next_cursor"].(string)
	}
	if want := []string{"[]", "[]", "[" + rare + "]"}; !slices.Equal(pages, want) {
		t.Errorf("the pages have %v, want %v", pages, want)
	}
}

// pending starts a run, and gives its id.
func (a *tester) pending() string {
	a.t.Helper()
	deployment := a.deployment()
	a.version(deployment, "production")
	return a.ask(202, "POST", "/v1/runs", `{"deployment_id":"`+idOf(deployment)+`","input":{"n":1}}`).text("run_id")
}

var claim = boathook.Claim{ID: "c", LeaseUntil: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}

func (a *tester) running() string {
	a.t.Helper()
	id := a.pending()
	if _, err := a.store.ClaimRun(a.t.Context(), id, claim, a.clock.Now()); err != nil {
		a.t.Fatal(err)
	}
	return id
}

func (a *tester) print(run string, first int, texts ...string) {
	a.t.Helper()
	var lines []boathook.LogLine
	for _, text := range texts {
		lines = append(lines, boathook.LogLine{Time: a.clock.Now(), Stream: "stdout", Text: text})
	}
	if err := a.store.AppendLog(a.t.Context(), boathook.RunHead{ID: run}, first, lines); err != nil {
		a.t.Fatal(err)
	}
}

func (a *tester) finish(run string, o boathook.Outcome) {
	a.t.Helper()
	o.CompletedAt = a.clock.Now()
	if _, err := a.store.FinishRun(a.t.Context(), run, claim, o); err != nil {
		a.t.Fatal(err)
	}
}

func TestARunIsCanceledUntilItIsOver(t *testing.T) {
	a := newAPI(t)
	pending, running, over := a.pending(), a.running(), a.running()
	a.finish(over, boathook.Outcome{Status: boathook.RunSucceeded})
	if got := a.ask(202, "POST", "/v1/runs/"+pending+"/cancel", ""); got.text("status") != "canceled" || got.text("run_id") != pending {
		t.Errorf("a pending run: %v", got)
	}
	if got := a.ask(202, "POST", "/v1/runs/"+running+"/cancel", "").text("status"); got != "running" {
		t.Errorf("a running run is %s", got)
	}
	if head, err := a.store.RunHead(t.Context(), running); err != nil || !head.CancelRequested {
		t.Errorf("the request is not in the store: %+v, %v", head, err)
	}
	a.refused(409, "", "POST", "/v1/runs/"+over+"/cancel", "")
	a.refused(409, "", "POST", "/v1/runs/"+pending+"/cancel", "")
}

// events reads a run's events after some id.
func (a *tester) events(run, last string) string {
	a.t.Helper()
	var header []string
	if last != "" {
		header = []string{"Last-Event-ID", last}
	}
	w := a.request(stackToken, "GET", "/v1/runs/"+run+"/events", "", header...)
	if w.Code == 204 && w.Body.Len() == 0 {
		return "(over)"
	}
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/event-stream; charset=utf-8" || w.Header().Get("Cache-Control") != "no-cache" {
		a.t.Fatalf("got %d %v %s", w.Code, w.Header(), w.Body)
	}
	return w.Body.String()
}

func TestARunsEventsCarryOnFromTheLastThatTheClientHas(t *testing.T) {
	a := newAPI(t)
	run := a.pending()
	heartbeat := func(status string) string {
		return `data: {"type":"heartbeat","data":{"run_id":"` + run + `","status":"` + status + `"}}` + "\n\nretry: 1000\n\n"
	}
	check := func(last, want string) {
		t.Helper()
		if got := a.events(run, last); got != want {
			t.Errorf("after %q: got\n%s\nwant\n%s", last, got, want)
		}
	}
	check("", heartbeat("pending"))

	if _, err := a.store.ClaimRun(t.Context(), run, claim, a.clock.Now()); err != nil {
		t.Fatal(err)
	}
	started := "id: 1\n" + `data: {"type":"run.started","data":{"run_id":"` + run + `","started_at":"2026-03-01T12:00:00.000Z"}}` + "\n\n"
	check("", started+"retry: 1000\n\n")
	check("1", heartbeat("running"))

	line := func(id int, text string) string {
		return fmt.Sprintf("id: %d\n"+`data: {"type":"log","data":{"time":"2026-03-01T12:00:00.000Z","stream":"stdout","text":%s}}`+"\n\n", id, text)
	}
	a.print(run, 0, "one", "<two>\nlines")
	a.print(run, 2, "three")
	check("", started+line(2, `"one"`)+line(3, `"<two>\nlines"`)+line(4, `"three"`)+"retry: 1000\n\n")
	check("2", line(3, `"<two>\nlines"`)+line(4, `"three"`)+"retry: 1000\n\n")
	check("4", heartbeat("running"))
	check("99", heartbeat("running"))

	a.finish(run, boathook.Outcome{Status: boathook.RunSucceeded, Output: json.RawMessage(`{"z":12345678901234567890}`), LogLines: 3})
	completed := "id: 5\n" + `data: {"type":"run.completed","data":` + a.request(stackToken, "GET", "/v1/runs/"+run, "").Body.String() + "}\n\n"
	complete := "id: 6\n" + `data: {"type":"complete","data":{"run_id":"` + run + `","status":"succeeded"}}` + "\n\n"
	check("", started+line(2, `"one"`)+line(3, `"<two>\nlines"`)+line(4, `"three"`)+completed+complete)
	check("3", line(4, `"three"`)+completed+complete)
	check("4", completed+complete)
	check("5", complete)
	check("6", "(over)")
	check("7", "(over)")

	for _, bad := range []string{"x", "-1", "1.5", "99999999999999999999"} {
		a.refused(400, "Last-Event-ID", "GET", "/v1/runs/"+run+"/events", "", "Last-Event-ID", bad)
	}
}

func TestAFailedRunAndACanceledOneEndTheirEvents(t *testing.T) {
	a := newAPI(t)
	failed, canceled := a.running(), a.pending()
	a.finish(failed, boathook.Outcome{Status: boathook.RunFailed, Error: "exit status 2"})
	a.ask(202, "POST", "/v1/runs/"+canceled+"/cancel", "")
	if got := a.events(failed, "1"); !strings.HasPrefix(got, "id: 2\ndata: {\"type\":\"run.failed\"") || !strings.Contains(got, `"error_message":"exit status 2"`) ||
		!strings.HasSuffix(got, "id: 3\n"+`data: {"type":"complete","data":{"run_id":"`+failed+`","status":"failed"}}`+"\n\n") {
		t.Errorf("a failed run: %s", got)
	}
	if got, want := a.events(canceled, ""), "id: 3\n"+`data: {"type":"complete","data":{"run_id":"`+canceled+`","status":"canceled"}}`+"\n\n"; got != want {
		t.Errorf("a canceled run: %s", got)
	}
	if got := a.events(canceled, "3"); got != "(over)" {
		t.Errorf("a canceled run that is complete: %s", got)
	}
}

func TestALongLogComesInSeveralResponses(t *testing.T) {
	a := newAPI(t)
	run := a.running()
	const lines, perChunk = 20000, 500
	texts := slices.Repeat([]string{strings.Repeat("x", 100)}, perChunk)
	for first := 0; first < lines; first += perChunk {
		a.print(run, first, texts...)
	}
	a.finish(run, boathook.Outcome{Status: boathook.RunSucceeded, LogLines: lines})

	last, responses := "0", 0
	for next := 1; ; responses++ {
		if responses > 10 {
			t.Fatal("the events do not end")
		}
		body := a.events(run, last)
		if len(body) > 1<<20+1000 {
			t.Fatalf("a response has %d bytes", len(body))
		}
		for event := range strings.SplitSeq(strings.TrimSuffix(body, "\n\n"), "\n\n") {
			if event == "retry: 1000" {
				continue
			}
			last, _, _ = strings.Cut(strings.TrimPrefix(event, "id: "), "\n")
			if last != fmt.Sprint(next) {
				t.Fatalf("event %d has the id %s", next, last)
			}
			next++
		}
		if !strings.HasSuffix(body, "retry: 1000\n\n") {
			break
		}
	}
	if want := fmt.Sprint(lines + 3); last != want || responses == 0 {
		t.Errorf("the last event is %s after %d responses, want %s after several", last, responses+1, want)
	}
}

func TestALogThatLacksLinesStillEnds(t *testing.T) {
	a := newAPI(t)
	run := a.running()
	a.print(run, 0, "one")
	a.finish(run, boathook.Outcome{Status: boathook.RunSucceeded, LogLines: 5})
	if got := a.events(run, "1"); !strings.HasPrefix(got, "id: 2\n") || !strings.HasSuffix(got, "retry: 1000\n\n") {
		t.Errorf("first %s", got)
	}
	if got := a.events(run, "2"); !strings.HasPrefix(got, "id: 7\n") || !strings.Contains(got, "id: 8\n") {
		t.Errorf("then %s", got)
	}
}

func TestEventsThatCanNotBeReadHaveTheClientAskAgain(t *testing.T) {
	a := newAPI(t)
	run := a.running()
	config := a.config
	config.Store = failing{a.store}
	a.handler = config.serve()
	got := a.events(run, "1")
	if !strings.HasPrefix(got, `data: {"type":"error","data":{"message":"the events can't be read for now"`) ||
		!strings.HasSuffix(got, "retry: 1000\n\n") || strings.Contains(got, "cause") {
		t.Errorf("got %s", got)
	}
	if !strings.Contains(a.log.String(), "the cause") {
		t.Errorf("the log is %s", a.log)
	}
}

func TestAWorkspacesRunsAreListedWhateverItsNumberOfDeployments(t *testing.T) {
	a := newAPI(t)
	run := a.pending()
	for range 200 {
		a.clock.pass(time.Second)
		a.deployment()
	}
	if got := a.ask(200, "GET", "/v1/runs", "").column("runs", "id"); !slices.Equal(got, []string{run}) {
		t.Errorf("got %q", got)
	}
}
