package api_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/run"
	"boathook/internal/store"
)

// failed is a run, with an input, that a webhook has started and that has failed.
func (a *tester) failed(deployment string, env boathook.Environment, v object) boathook.Run {
	a.t.Helper()
	r := boathook.Run{Input: boathook.NewBody([]byte(`{"n": 123456789012345678901}`)), RunHead: boathook.RunHead{
		ID: boathook.NewID(boathook.RunID), WorkspaceID: "ws_local", SourceID: idOf(deployment), VersionID: v.text("id"), VersionNumber: 1,
		Environment: env, Trigger: boathook.TriggerWebhook, WebhookID: "in_a", CreatedAt: a.clock.Now(), CompletedAt: a.clock.Now(),
		Status: boathook.RunFailed, Error: "exit code 1", ExitCode: new(1), LogLines: 3, Published: true,
		Details: boathook.TriggerDetails{Event: "push", DeliveryID: "72d3162e", ContentType: "application/json", Query: "a=1"},
	}}
	r.InputHash = boathook.HashInput(r.Input.Bytes())
	if err := a.store.CreateRun(a.t.Context(), r); err != nil {
		a.t.Fatal(err)
	}
	return r
}

func retryOf(id string) string { return "/v1/runs/" + id + "/retry" }

// wantRun compares runs, whose inputs are texts.
func wantRun(t *testing.T, got, want boathook.Run) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.Transformer("text", boathook.Body.String)); diff != "" {
		t.Errorf("started (-want +got):\n%s", diff)
	}
}

func TestARunIsRetriedByTheLiveVersionOrTheSame(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	old := a.failed(deployment, boathook.Staging, a.version(deployment, "staging"))
	live := a.version(deployment, "staging")
	for body, version := range map[string]boathook.LiveVersion{
		"":                   {ID: live.text("id"), Number: 2},
		`{}`:                 {ID: live.text("id"), Number: 2},
		`{"version":"live"}`: {ID: live.text("id"), Number: 2},
		`{"version":"same"}`: {ID: old.VersionID, Number: 1},
	} {
		a.clock.pass(time.Second)
		started := a.ask(202, "POST", retryOf(old.ID), body)
		wanted := object{"run_id": a.runs.run.ID, "version_id": version.ID, "version_number": float64(version.Number), "status": "pending"}
		if diff := cmp.Diff(wanted, started); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
		wantRun(t, a.runs.run, boathook.Run{Input: old.Input, RunHead: boathook.RunHead{
			ID: a.runs.run.ID, WorkspaceID: old.WorkspaceID, SourceID: old.SourceID, VersionID: version.ID, VersionNumber: version.Number,
			Environment: boathook.Staging, Trigger: boathook.TriggerAPI, InputHash: old.InputHash, CreatedAt: a.clock.Now(),
			Details: old.Details, RetryOf: old.ID, Status: boathook.RunPending,
		}})
		if a.runs.run.ID == old.ID || a.runs.wait.Most != 2*time.Second {
			t.Errorf("%s: the run %s waits %s", body, a.runs.run.ID, a.runs.wait.Most)
		}
	}
	if got := a.ask(200, "GET", "/v1/runs/"+a.runs.run.ID, "").text("retry_of"); got != old.ID {
		t.Errorf("the new run is a retry of %q", got)
	}
	if err := a.store.MarkRetried(t.Context(), old.ID, boathook.Retry{RunID: a.runs.run.ID, At: a.clock.Now()}); err != nil {
		t.Fatal(err)
	}
	if got := a.ask(200, "GET", "/v1/runs/"+old.ID, "").text("retried_by"); got != a.runs.run.ID {
		t.Errorf("the old run is retried by %q", got)
	}
}

func TestRunsThatCanNotBeRetried(t *testing.T) {
	a := newAPI(t)
	pending, running := a.pending(), a.running()
	for id, status := range map[string]string{pending: "pending", running: "running"} {
		if got := a.refused(409, "", "POST", retryOf(id), ""); !strings.Contains(got, "is "+status) || !strings.Contains(got, "only a run that is over") {
			t.Errorf("one that is %s: %q", status, got)
		}
	}
	deployment := a.deployment()
	version := a.version(deployment, "staging")
	old := a.failed(deployment, boathook.Staging, version)
	a.refused(404, "", "POST", retryOf("run_unknown"), "")
	a.as(a.foreign(), 404, "POST", retryOf(old.ID), "")
	for _, body := range []string{`{"version":"new"}`, `{"version":""}`, `{"version":1}`, `{"version":null}`} {
		a.refused(400, "version", "POST", retryOf(old.ID), body)
	}
	a.refused(400, "input", "POST", retryOf(old.ID), `{"input":{}}`)
	a.refused(400, "Idempotency-Key", "POST", retryOf(old.ID), "", "Idempotency-Key", strings.Repeat("k", 256))

	lost := old
	lost.ID, lost.Input = boathook.NewID(boathook.RunID), boathook.Body{}
	if err := a.store.CreateRun(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	if got := a.refused(409, "", "POST", retryOf(lost.ID), ""); !strings.Contains(got, "input") || !strings.Contains(got, "lost") {
		t.Errorf("without its input: %q", got)
	}
	unserved := a.failed(deployment, boathook.Production, version)
	if got, want := a.refused(409, "", "POST", retryOf(unserved.ID), ""), "No running version found for production environment"; got != want {
		t.Errorf("where nothing is live: %q, want %q", got, want)
	}
	a.ask(202, "POST", retryOf(unserved.ID), `{"version":"same"}`)
	a.ask(202, "POST", "/v1/runs/"+a.runs.run.ID+"/cancel", "")
	a.ask(204, "DELETE", deployment, "")
	for _, body := range []string{"", `{"version":"same"}`} {
		if got := a.refused(404, "", "POST", retryOf(old.ID), body); !strings.Contains(got, "deployment") {
			t.Errorf("of a deleted deployment: %q", got)
		}
	}
}

// foreign is a token of another workspace's admin.
func (a *tester) foreign() string {
	a.t.Helper()
	made := a.ask(201, "POST", "/v1/workspaces", `{"name":"other"}`)
	return made.text("token")
}

func TestAnIdempotencyKeyRetriesOnce(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	first := a.version(deployment, "production")
	old, other := a.failed(deployment, boathook.Production, first), a.failed(deployment, boathook.Production, first)
	retry := func(id, body, key string) string {
		t.Helper()
		return a.ask(202, "POST", retryOf(id), body, "Idempotency-Key", key).text("run_id")
	}
	one := retry(old.ID, "", "k1")
	a.version(deployment, "production")
	if again := retry(old.ID, "", "k1"); again != one {
		t.Errorf("the same key gives %s and %s", one, again)
	}
	if again := retry(old.ID, `{"version":"same"}`, "k1"); again != one {
		t.Errorf("the same key gives %s and %s, of the same version", one, again)
	}
	all := []string{one, retry(old.ID, "", "k2"), retry(other.ID, "", "k1"), retry(old.ID, "", ""), retry(old.ID, "", "")}
	if slices.Sort(all); len(slices.Compact(all)) != 5 {
		t.Errorf("other keys, other runs and no keys give %q", all)
	}
	if got := a.refused(409, "", "POST", retryOf(old.ID), `{"version":"same"}`, "Idempotency-Key", "k2"); !strings.Contains(got, "key") {
		t.Errorf("the key of a run by another version: %q", got)
	}
}

func TestAnAgentsRunIsRetriedWithinItsLimits(t *testing.T) {
	a := newAPI(t)
	agent := a.agent()
	a.ask(200, "PATCH", agent, `{"max_in_flight":1}`)
	a.agentRun(agent, "run_old", &boathook.Outcome{Status: boathook.RunTimedOut, Error: "time limit of 1s exceeded"})
	old, err := a.store.Run(t.Context(), "ws_local", "run_old")
	if err != nil {
		t.Fatal(err)
	}
	view, err := a.store.LookUpAgent(t.Context(), idOf(agent))
	if err != nil {
		t.Fatal(err)
	}
	live := view.Live[boathook.Production]
	id := a.ask(202, "POST", retryOf(old.ID), "", "Idempotency-Key", "k").text("run_id")
	wantRun(t, a.runs.run, boathook.Run{Input: old.Input, RunHead: boathook.RunHead{
		ID: id, WorkspaceID: "ws_local", SourceID: idOf(agent), VersionID: live.ID, VersionNumber: live.Number, Environment: boathook.Production,
		Trigger: boathook.TriggerWebhook, InputHash: boathook.HashInput(old.Input.Bytes()), CreatedAt: a.clock.Now(),
		EventName: "push", EventSource: "github", Details: old.Details, RetryOf: old.ID, Status: boathook.RunPending,
	}})
	if a.runs.wait != (run.Wait{}) {
		t.Errorf("it waits %+v", a.runs.wait)
	}
	if again := a.ask(202, "POST", retryOf(old.ID), "", "Idempotency-Key", "k").text("run_id"); again != id {
		t.Errorf("the same key gives %s and %s", id, again)
	}
	w := a.request(stackToken, "POST", retryOf(old.ID), "")
	if w.Code != 429 || w.Header().Get("Retry-After") != "5" || !strings.Contains(w.Body.String(), "in flight") {
		t.Errorf("over the limit: %d, Retry-After %q, %s", w.Code, w.Header().Get("Retry-After"), w.Body)
	}

	if err := a.store.Release(t.Context(), idOf(agent), id, time.Time{}); err != nil {
		t.Fatal(err)
	}
	a.runs.err = boathook.Errorf(boathook.Unavailable, "down")
	a.refused(503, "", "POST", retryOf(old.ID), "")
	a.runs.err = nil
	a.ask(200, "PATCH", agent, `{"fence_payload":true}`)
	a.ask(202, "POST", retryOf(old.ID), "") // the refused one holds no place
	if !a.runs.run.Fenced {
		t.Error("the agent's fence does not hold for a retry")
	}

	a.agentRun(agent, "run_gone", &boathook.Outcome{Status: boathook.RunFailed})
	deleted := newAPI(t, func(c *config) { c.Store = withoutAgent{a.store} })
	deleted.refused(404, "", "POST", retryOf("run_gone"), "")
}

// withoutAgent is a store whose agents are deleted.
type withoutAgent struct{ store.Store }

func (withoutAgent) LookUpAgent(context.Context, string, ...string) (store.AgentView, error) {
	return store.AgentView{}, nil
}

// A run that failed tells when it is retried and by which run, and that run when it
// starts. It is canceled as any that waits.
func TestARunTellsOfTheRetryThatNobodyHasAskedFor(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	old := a.failed(deployment, boathook.Production, a.version(deployment, "production"))
	if run := a.ask(200, "GET", "/v1/runs/"+old.ID, ""); run["next_retry_at"] != nil || run["retry_number"] != nil {
		t.Errorf("a run that is not retried is %v", run)
	}
	starts := a.clock.Now().Add(30 * time.Second)
	next := old
	next.ID, next.Status, next.RetryOf, next.RetryNumber, next.StartsAt = run.RetryID(old.ID), boathook.RunPending, old.ID, 2, starts
	next.Trigger, next.Published, next.CompletedAt = boathook.TriggerRetry, false, time.Time{}
	for _, err := range []error{
		a.store.CreateRun(t.Context(), next),
		a.store.MarkRetried(t.Context(), old.ID, boathook.Retry{RunID: next.ID, At: a.clock.Now(), StartsAt: starts}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	const want = "2026-03-01T12:00:30.000Z"
	if run := a.ask(200, "GET", "/v1/runs/"+old.ID, ""); run["next_retry_at"] != want || run["retried_by"] != next.ID {
		t.Errorf("the failed run is %v", run)
	}
	path := "/v1/runs/" + next.ID
	if run := a.ask(200, "GET", path, ""); run["starts_at"] != want || run["retry_number"] != 2.0 || run["trigger"] != "retry" || run["status"] != "pending" {
		t.Errorf("the retry is %v", run)
	}
	a.ask(202, "POST", path+"/cancel", "")
	if run := a.ask(200, "GET", path, ""); run["status"] != "canceled" {
		t.Errorf("the retry is %v", run)
	}
}
