package crewship_test

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"boathook/internal/api/crewship"
	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
	"boathook/internal/testing/facetest"
)

var caller = service.Caller{Workspace: "ws_a", Role: boathook.Viewer}

// ask sends a request to the face of operations that nothing is behind, and writes an
// error as the face does.
func ask(t *testing.T, o crewship.Operations, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	v1 := httpjson.Style{WriteError: func(w http.ResponseWriter, status int, code, _, _ string) {
		httpjson.WriteError(w, status, code)
	}}
	return facetest.Ask(t, crewship.New(o, v1, slog.New(slog.DiscardHandler)), caller, "GET", path, "", header...)
}

// runs has one run, and what Events gives.
type runs struct {
	crewship.Runs // operations that are not asked for
	run           boathook.Run
	events        iter.Seq2[service.RunEvent, error]
	last          *int // that Events was asked for
}

func (f runs) Get(_ context.Context, c service.Caller, id string) (boathook.Run, error) {
	if c != caller || id != f.run.ID {
		return boathook.Run{}, boathook.Errorf(boathook.NotFound, "there is no run")
	}
	return f.run, nil
}

func (f runs) Events(_ context.Context, _ service.Caller, _ string, last int) (boathook.RunHead, iter.Seq2[service.RunEvent, error], error) {
	*f.last = last
	return f.run.RunHead, f.events, nil
}

func TestARunIsShownAsCrewshipDoes(t *testing.T) {
	at := time.Date(2026, 11, 21, 12, 0, 0, 5_000_000, time.FixedZone("", 3600))
	r := boathook.Run{
		RunHead: boathook.RunHead{
			ID: "run_a", SourceID: "dep_a", VersionID: "ver_a", Environment: boathook.Staging,
			Trigger: boathook.TriggerAPI, Status: boathook.RunPending, CreatedAt: at,
		},
		Input: boathook.NewBody([]byte(`{"b":1e400,"a":"<script>&\u2028"}`)),
	}
	want := `{"id":"run_a","version_id":"ver_a","deployment_id":"dep_a","environment":"staging","trigger":"api","status":"pending",` +
		`"input":{"b":1e400,"a":"<script>&\u2028"},"output":null,"error_message":null,` +
		`"created_at":"2026-11-21T11:00:00.005Z","started_at":null,"completed_at":null}`
	if got := ask(t, crewship.Operations{Runs: runs{run: r}}, "/v1/runs/run_a").Body.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if w := ask(t, crewship.Operations{Runs: runs{run: r}}, "/v1/runs/run_b"); w.Code != 404 || w.Body.String() != `"not_found"` {
		t.Errorf("another run: %d %s", w.Code, w.Body)
	}
}

func TestARunShowsWhatItsTriggerSaid(t *testing.T) {
	r := boathook.Run{RunHead: boathook.RunHead{ID: "run_a", RetryOf: "run_b", Details: boathook.TriggerDetails{
		Event: "push", ContentType: "text/plain", Query: "a=1&b=2&b=%C3%BC",
	}}, Input: boathook.NewBody([]byte(`{}`))}
	const want = `"trigger_details":{"event":"push","delivery_id":null,"content_type":"text/plain","query":{"a":"1","b":["2","ü"]}},"retry_of":"run_b"}`
	if got := ask(t, crewship.Operations{Runs: runs{run: r}}, "/v1/runs/run_a").Body.String(); !strings.HasSuffix(got, want) {
		t.Errorf("shown as %s", got)
	}
}

func TestARunOfAnAgentThatHasLostItsInput(t *testing.T) {
	r := boathook.Run{RunHead: boathook.RunHead{ID: "run_a", SourceID: "agent_a", Status: boathook.RunFailed}}
	got := ask(t, crewship.Operations{Runs: runs{run: r}}, "/v1/runs/run_a").Body.String()
	if !strings.Contains(got, `"input":null,"input_missing":true,`) || !strings.Contains(got, `"agent_id":"agent_a"`) || strings.Contains(got, "deployment_id") {
		t.Errorf("shown as %s", got)
	}
}

func TestARunsEventsAreServerSent(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	head := boathook.RunHead{ID: "run_a", StartedAt: at, Status: boathook.RunRunning}
	const started = "id: 1\n" + `data: {"type":"run.started","data":{"run_id":"run_a","started_at":"2026-03-01T12:00:00.000Z"}}` + "\n\n"
	const line = "id: 2\n" + `data: {"type":"log","data":{"time":"2026-03-01T12:00:00.000Z","stream":"stdout","text":"<one>"}}` + "\n\n"
	long := service.RunEvent{Number: 2, Kind: service.RunPrinted, Line: boathook.LogLine{Text: strings.Repeat("\x00", 1<<18)}}
	type event = service.RunEvent
	for name, tc := range map[string]struct {
		events []event
		err    error // after the events
		want   string
	}{
		"none": {nil, nil, `data: {"type":"heartbeat","data":{"run_id":"run_a","status":"running"}}` + "\n\nretry: 1000\n\n"},
		"some": {[]event{
			{Number: 1, Kind: service.RunStarted},
			{Number: 2, Kind: service.RunPrinted, Line: boathook.LogLine{Time: at, Stream: "stdout", Text: "<one>"}},
		}, nil, started + line + "retry: 1000\n\n"},
		"all": {[]event{
			{Number: 1, Kind: service.RunStarted}, {Number: 2, Kind: service.RunComplete},
		}, nil, started + "id: 2\n" + `data: {"type":"complete","data":{"run_id":"run_a","status":"running"}}` + "\n\n"},
		"a failure": {[]event{{Number: 1, Kind: service.RunStarted}}, errors.New("the cause"),
			started + `data: {"type":"error","data":{"message":"the events can't be read for now","request_id":""}}` + "\n\nretry: 1000\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			last := 0
			w := ask(t, crewship.Operations{Runs: runs{last: &last, run: boathook.Run{RunHead: head}, events: func(yield func(event, error) bool) {
				for _, e := range tc.events {
					if !yield(e, nil) {
						return
					}
				}
				if tc.err != nil {
					yield(event{}, tc.err)
				}
			}}}, "/v1/runs/run_a/events", "Last-Event-ID", "41")
			if w.Body.String() != tc.want || last != 41 {
				t.Errorf("after %d got\n%s\nwant\n%s", last, w.Body, tc.want)
			}
		})
	}

	// A line whose text grows sixfold in JSON fills a response: the next is not read.
	given := 0
	w := ask(t, crewship.Operations{Runs: runs{last: new(int), run: boathook.Run{RunHead: head}, events: func(yield func(event, error) bool) {
		for given = 1; yield(long, nil); given++ {
		}
	}}}, "/v1/runs/run_a/events")
	if given != 2 || !strings.HasSuffix(w.Body.String(), "retry: 1000\n\n") {
		t.Errorf("%d lines were read for %d bytes", given, w.Body.Len())
	}
	if w := ask(t, crewship.Operations{Runs: runs{last: new(int)}}, "/v1/runs/run_a/events"); w.Code != 204 {
		t.Errorf("a client that has all: %d", w.Code)
	}
}

// agents find nothing.
type agents struct{ crewship.Agents }

func (agents) Find(context.Context, service.Caller, string) (service.LiveAgent, *boathook.Source, error) {
	return service.LiveAgent{}, nil, boathook.Errorf(boathook.NotFound, `there is no agent "agent_a"`)
}

func (agents) InternalSecret(context.Context, service.Caller, string) (string, error) {
	return "", service.ErrNoSecret
}

func TestWhatIsNotFoundIsToldInCrewshipsWords(t *testing.T) {
	for path, want := range map[string]string{
		"/api/v1/agents/agent_a":                         `{"error":"Agent not found"}`,
		"/api/v1/agents/agent_a?workspace_id=ws_b":       `{"error":"Workspace not found"}`,
		"/api/v1/agents/agent_a?workspace_id=ws_a":       `{"error":"Agent not found"}`,
		"/api/v1/internal/agents/agent_a/webhook-secret": `{"error":"Webhook secret not configured for agent"}`,
	} {
		if w := ask(t, crewship.Operations{Agents: agents{}}, path); w.Code != 404 || w.Body.String() != want {
			t.Errorf("%s: %d %s, want %s", path, w.Code, w.Body, want)
		}
	}
}
