package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/catalogue"
	"boathook/internal/queue"
	"boathook/internal/seal"
	"boathook/internal/store"
)

func TestAnAgentShowsItsSettingsAndItsLiveTarget(t *testing.T) {
	a := newAPI(t)
	crew := "/v1/crews/" + a.ask(201, "POST", "/v1/crews", `{"name":"reviewers"}`).text("id")
	made := a.ask(201, "POST", crew+"/agents", `{"name":"Reviewer","slug":"reviewer",
		"target":{"type":"http","url":"https://e.example","headers":{"X-Key":"value"}}}`)
	secret := made.text("webhook_secret")
	if len(secret) != 64 || strings.Trim(secret, "0123456789abcdef") != "" {
		t.Errorf("the secret is %q", secret)
	}
	want := object{
		"id": made.text("id"), "crew_id": idOf(crew), "name": "Reviewer", "slug": "reviewer",
		"require_timestamp": false, "keep_plain_secret": false, "rate_per_minute": 60.0, "max_in_flight": 8.0,
		"dedupe_seconds": 0.0, "fence_payload": false, "preset": "none", "verification": map[string]any{"preset": "none"},
		"trigger_url": "https://hooks.example.com/api/v1/webhooks/" + idOf(crew) + "/" + made.text("id") + "/trigger",
		"created_at":  "2026-03-01T12:00:00.000Z", "version_number": 1.0, "webhook_secret": secret,
		"target": map[string]any{"type": "http", "url": "https://e.example", "headers": map[string]any{"X-Key": "********"}},
	}
	if !reflect.DeepEqual(made, want) {
		t.Errorf("got %v, want %v", made, want)
	}
	delete(want, "webhook_secret")
	agent := crew + "/agents/" + made.text("id")
	if got := a.ask(200, "GET", agent, ""); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}

	changed := a.ask(200, "PATCH", agent, `{"name":"R","slug":"r","require_timestamp":true,"keep_plain_secret":true,"rate_per_minute":1,
		"max_in_flight":100,"dedupe_seconds":86400,"fence_payload":true,"preset":"github","target":{"type":"command","argv":["true"]}}`)
	maps.Copy(want, object{
		"name": "R", "slug": "r", "require_timestamp": true, "keep_plain_secret": true, "rate_per_minute": 1.0,
		"dedupe_seconds": 86400.0, "fence_payload": true, "preset": "github", "verification": map[string]any{"preset": "github"},
		"max_in_flight": 100.0, "version_number": 2.0, "target": map[string]any{"type": "command", "argv": []any{"true"}},
	})
	if !reflect.DeepEqual(changed, want) {
		t.Errorf("changed to %v, want %v", changed, want)
	}
	view, err := a.store.LookUpAgent(t.Context(), made.text("id"))
	if err != nil || view.Live[boathook.Production].Number != 2 {
		t.Errorf("live is %v, %v", view.Live, err)
	}
	sealed := view.Agent.Agent.SealedSecret
	if plain, err := a.config.Seal.Open(t.Context(), "ws_local", seal.AgentSecret(made.text("id")), sealed); err != nil || string(plain) != secret {
		t.Errorf("the stored secret opens to %q, %v", plain, err)
	}
	if got := a.ask(200, "GET", crew+"/agents", "").column("data", "slug"); !slices.Equal(got, []string{"r"}) {
		t.Errorf("the crew's agents are %q", got)
	}
}

func TestAgentsAreChecked(t *testing.T) {
	a := newAPI(t)
	agent := a.agent()
	crew := agent[:strings.Index(agent, "/agents")]
	const target = `"target":{"type":"command","argv":["true"]}`
	for body, field := range map[string]string{
		`{"slug":"a",` + target + `}`:                                                                 "name",
		`{"name":"a",` + target + `}`:                                                                 "slug",
		`{"name":"a","slug":"a"}`:                                                                     "target",
		`{"name":"a","slug":"a","target":{"type":"http"}}`:                                            "target.url",
		`{"name":"a","slug":"A",` + target + `}`:                                                      "slug",
		`{"name":"a","slug":"-a",` + target + `}`:                                                     "slug",
		`{"name":"a","slug":"a_b",` + target + `}`:                                                    "slug",
		`{"name":"a","slug":"` + strings.Repeat("a", 64) + `",` + target + `}`:                        "slug",
		`{"name":"a","slug":"a","rate_per_minute":0,` + target + `}`:                                  "rate_per_minute",
		`{"name":"a","slug":"a","rate_per_minute":6001,` + target + `}`:                               "rate_per_minute",
		`{"name":"a","slug":"a","max_in_flight":0,` + target + `}`:                                    "max_in_flight",
		`{"name":"a","slug":"a","max_in_flight":101,` + target + `}`:                                  "max_in_flight",
		`{"name":"a","slug":"a","webhook_secret":"x",` + target + `}`:                                 "webhook_secret",
		`{"name":"a","slug":"a","dedupe_seconds":-1,` + target + `}`:                                  "dedupe_seconds",
		`{"name":"a","slug":"a","dedupe_seconds":86401,` + target + `}`:                               "dedupe_seconds",
		`{"name":"a","slug":"a","preset":"gh",` + target + `}`:                                        "preset",
		`{"name":"a","slug":"a","preset":"github","verification":{"preset":"github"},` + target + `}`: "preset",
		`{"name":"a","slug":"a","verification":{"preset":"github","secret":"short"},` + target + `}`:  "verification.secret",
		`{"name":"a","slug":"a","verification":{"preset":"hmac","header":"x-signature","algorithm":"sha256","encoding":"hex"},` + target + `}`: "verification.header",
	} {
		a.refused(400, field, "POST", crew+"/agents", body)
	}
	a.refused(409, "slug", "POST", crew+"/agents", `{"name":"a","slug":"reviewer",`+target+`}`)
	a.ask(200, "PATCH", agent, `{"slug":"reviewer"}`)
	a.ask(201, "POST", crew+"/agents", `{"name":"a","slug":"other",`+target+`}`)
	a.refused(409, "slug", "PATCH", agent, `{"slug":"other"}`)
	a.refused(400, "target.url", "PATCH", agent, `{"name":"other","target":{"type":"http"}}`)
	if got := a.ask(200, "GET", agent, "").text("name"); got != "Reviewer" {
		t.Errorf("a change that was refused named it %q", got)
	}
	member := a.tokenFor(stackToken, boathook.Member)
	a.as(member, 200, "PATCH", agent, `{"name":"renamed"}`)
	a.as(member, 403, "PATCH", agent, `{`+target+`}`)
}

func TestAnAgentsVerificationHasASecretOfItsOwnOrTheAgents(t *testing.T) {
	a := newAPI(t)
	agent := a.agent()
	stored := func() boathook.Verification {
		t.Helper()
		view, err := a.store.LookUpAgent(t.Context(), idOf(agent))
		if err != nil {
			t.Fatal(err)
		}
		return view.Agent.Agent.Verification
	}
	got := a.ask(200, "PATCH", agent, `{"verification":{"preset":"stripe","secret":"whsec_of-stripe"}}`)
	if v := got.object("verification"); !reflect.DeepEqual(v, object{"preset": "stripe"}) {
		t.Errorf("it is shown as %v", v)
	}
	secret, err := a.config.Seal.Open(t.Context(), "ws_local", seal.AgentSender(idOf(agent)), stored().SealedSecret)
	if err != nil || string(secret) != "whsec_of-stripe" {
		t.Errorf("the stored secret opens to %q, %v", secret, err)
	}
	a.ask(200, "PATCH", agent, `{"verification":{"preset":"stripe"}}`) // it stays
	if v := stored(); len(v.SealedSecret) == 0 {
		t.Errorf("it is %+v", v)
	}
	a.ask(200, "PATCH", agent, `{"preset":"github"}`)
	if v := stored(); v.Preset != "github" || v.SealedSecret != nil {
		t.Errorf("without a secret of its own it is %+v", v)
	}
	if got := a.ask(200, "PATCH", agent, `{"preset":"none"}`).text("preset"); got != "none" || stored().IsSet() {
		t.Errorf("ended, it is %q", got)
	}
}

func TestAnAgentsRequestsAreListed(t *testing.T) {
	a := newAPI(t)
	agent := a.agent()
	a.agentRun(agent, "run_a", nil)
	a.clock.pass(time.Second)
	refused := boathook.Request{
		ID: "req_a", WorkspaceID: "ws_local", WebhookID: idOf(agent), At: a.clock.Now(), Outcome: boathook.RequestRejected, Status: 401,
		Reason: "X-Webhook-Secret is not the agent's", Sender: &boathook.Sender{IP: "192.0.2.1"},
	}
	if err := a.store.PutRequest(t.Context(), 0, refused); err != nil {
		t.Fatal(err)
	}
	got := a.ask(200, "GET", agent+"/requests", "").list("data")
	if len(got) != 2 || got[0].text("reason") != refused.Reason || got[0].text("outcome") != "rejected" || got[1].text("run_id") != "run_a" {
		t.Errorf("got %v", got)
	}
	if got := a.ask(200, "GET", agent+"/requests?outcome=rejected&limit=1", "").column("data", "id"); !slices.Equal(got, []string{"req_a"}) {
		t.Errorf("rejected are %q", got)
	}
	a.refused(400, "outcome", "GET", agent+"/requests?outcome=lost", "")
}

func TestCrewsAndAgentsAreDeletedFromTheInside(t *testing.T) {
	a := newAPI(t)
	agent := a.agent()
	crew := agent[:strings.Index(agent, "/agents")]
	a.refused(409, "", "DELETE", crew, "")
	a.agentRun(agent, "run_a", nil)
	a.refused(409, "", "DELETE", agent, "")
	a.ask(202, "POST", "/v1/runs/run_a/cancel", "")
	a.ask(204, "DELETE", agent, "")
	a.ask(404, "GET", agent, "")
	a.ask(404, "DELETE", agent, "")
	a.ask(204, "DELETE", crew, "")
	a.ask(404, "GET", crew, "")
}

func TestASourceIsOnlyFoundByThePathOfItsKind(t *testing.T) {
	a := newAPI(t)
	agent, deployment := a.agent(), a.deployment()
	crew := agent[:strings.Index(agent, "/agents")]
	for _, path := range []string{
		"/v1/deployments/" + idOf(agent), "/v1/deployments/" + idOf(crew), "/v1/crews/" + idOf(agent), "/v1/crews/" + idOf(deployment),
		crew + "/agents/" + idOf(deployment), "/v1/deployments/" + idOf(agent) + "/versions", "/api/v1/agents/" + idOf(deployment) + "/runs",
	} {
		a.ask(404, "GET", path, "")
	}
	a.ask(404, "DELETE", "/v1/deployments/"+idOf(agent), "")
	a.ask(404, "POST", "/v1/runs", `{"deployment_id":"`+idOf(agent)+`"}`)
	a.ask(404, "GET", "/v1/runs?deployment_id="+idOf(agent), "")
	a.ask(200, "GET", agent, "")
}

func TestTheInternalEndpointTakesTheInternalTokenAlone(t *testing.T) {
	a := newAPI(t)
	agent := a.agent()
	bare := boathook.Source{ID: "agent_bare", WorkspaceID: "ws_local", Kind: boathook.Agent, Agent: &boathook.AgentSettings{}}
	if err := a.store.PutSource(t.Context(), bare); err != nil {
		t.Fatal(err)
	}
	rotated := a.ask(200, "POST", "/api/v1/agents/"+idOf(agent)+"/webhook-secret/rotate", "")
	if rotated.text("rotated_at") != "2026-03-01T12:00:00.000Z" {
		t.Errorf("rotated: %v", rotated)
	}
	for _, tc := range []struct {
		agent, bearer, token string
		status               int
		body                 string
	}{
		{idOf(agent), "", internalToken, 200, `{"webhook_secret":"` + rotated.text("webhook_secret") + `"}`},
		{idOf(agent), "", "", 401, `{"error":"Unauthorized"}`},
		{idOf(agent), "", internalToken + "x", 401, `{"error":"Unauthorized"}`},
		{idOf(agent), stackToken, "", 401, `{"error":"Unauthorized"}`},
		{idOf(agent), stackToken, stackToken, 401, `{"error":"Unauthorized"}`},
		{"agent_x", "", "", 401, `{"error":"Unauthorized"}`},
		{"agent_x", "", internalToken, 404, `{"error":"Agent not found"}`},
		{idOf(a.deployment()), "", internalToken, 404, `{"error":"Agent not found"}`},
		{"agent_bare", "", internalToken, 404, `{"error":"Webhook secret not configured for agent"}`},
	} {
		w := a.request(tc.bearer, "GET", "/api/v1/internal/agents/"+tc.agent+"/webhook-secret", "", "X-Internal-Token", tc.token)
		if w.Code != tc.status || w.Body.String() != tc.body {
			t.Errorf("%+v: got %d %s", tc, w.Code, w.Body)
		}
	}
	a.as(internalToken, 401, "GET", "/v1/me", "")
}

func TestWithoutAnInternalTokenTheInternalEndpointOpensForNobody(t *testing.T) {
	for _, broken := range []error{nil, errors.New("the secret is gone")} {
		a := newAPI(t, func(c *config) {
			c.InternalToken = func(context.Context) (string, error) { return "", broken }
		})
		want := map[bool]int{true: 401, false: 503}[broken == nil]
		w := a.request("", "GET", "/api/v1/internal/agents/"+idOf(a.agent())+"/webhook-secret", "")
		if w.Code != want || strings.Contains(w.Body.String(), "gone") {
			t.Errorf("got %d %s, want %d", w.Code, w.Body, want)
		}
	}
}

// agentRun stores a run of the agent at a path, of the time that it is, that
// has ended with an outcome unless that is nil.
func (a *tester) agentRun(agent, id string, o *boathook.Outcome) {
	a.t.Helper()
	ctx, now := a.t.Context(), a.clock.Now()
	r := boathook.Run{
		RunHead: boathook.RunHead{
			ID: id, WorkspaceID: "ws_local", SourceID: idOf(agent), VersionID: "ver_a", VersionNumber: 1, Environment: boathook.Production,
			Trigger: boathook.TriggerWebhook, CreatedAt: now, Status: boathook.RunPending, EventName: "push", EventSource: "github",
			Details: boathook.TriggerDetails{Event: "push", DeliveryID: "72d3162e", Query: "env=prod"},
		},
		Input: boathook.NewBody(boathook.EmptyInput),
	}
	err := a.store.CreateRun(ctx, r)
	if err == nil && o != nil {
		claim := boathook.Claim{ID: "claim_a", LeaseUntil: now.Add(time.Minute)}
		_, err = a.store.ClaimRun(ctx, id, claim, now.Add(time.Second))
		if err == nil && o.Status != boathook.RunRunning {
			o.CompletedAt = now.Add(2500 * time.Millisecond)
			_, err = a.store.FinishRun(ctx, id, claim, *o)
		}
	}
	if err != nil {
		a.t.Fatal(err)
	}
}

// append stores lines that a run, which begins now, of the agent at a path prints.
func (a *tester) append(agent, id string, first int, lines []boathook.LogLine) {
	a.t.Helper()
	if err := a.store.AppendLog(a.t.Context(), boathook.RunHead{ID: id, SourceID: idOf(agent), CreatedAt: a.clock.Now()}, first, lines); err != nil {
		a.t.Fatal(err)
	}
}

func TestAnAgentsRunsReadAsCrewshipsDo(t *testing.T) {
	a := newAPI(t)
	agent := a.agent()
	runs := "/api/v1/agents/" + idOf(agent) + "/runs"
	if got := a.request(stackToken, "GET", runs, "").Body.String(); got != "[]" {
		t.Errorf("without runs: %s", got)
	}
	type end struct {
		outcome  *boathook.Outcome
		status   string
		exitCode any
	}
	ends := []end{
		{nil, "RUNNING", nil},
		{&boathook.Outcome{Status: boathook.RunRunning}, "RUNNING", nil},
		{&boathook.Outcome{Status: boathook.RunSucceeded}, "COMPLETED", 0.0},
		{&boathook.Outcome{Status: boathook.RunSucceeded, ExitCode: new(0)}, "COMPLETED", 0.0},
		{&boathook.Outcome{Status: boathook.RunFailed, Error: "exit code 7", ExitCode: new(7)}, "FAILED", 7.0},
		{&boathook.Outcome{Status: boathook.RunFailed, Error: "target answered 500"}, "FAILED", 1.0},
		{&boathook.Outcome{Status: boathook.RunFailed, Error: "output too long", ExitCode: new(0)}, "FAILED", 1.0},
		{&boathook.Outcome{Status: boathook.RunTimedOut, Error: "time limit of 10m0s exceeded"}, "TIMEOUT", 124.0},
		{&boathook.Outcome{Status: boathook.RunTimedOut, Error: "time limit of 10m0s exceeded", ExitCode: new(143)}, "TIMEOUT", 143.0},
		{&boathook.Outcome{Status: boathook.RunCanceled, Error: "canceled while running"}, "CANCELLED", nil},
	}
	for i, e := range ends {
		a.clock.pass(time.Minute)
		a.agentRun(agent, fmt.Sprintf("run_%d", i), e.outcome)
	}
	got := a.array(runs)
	slices.Reverse(got)
	for i, e := range ends {
		created := time.Date(2026, 3, 1, 12, i+1, 0, 0, time.UTC)
		want := object{
			"id": fmt.Sprintf("run_%d", i), "agent_id": idOf(agent), "chat_id": "webhook-" + idOf(agent), "workspace_id": "ws_local",
			"triggered_by": nil, "trigger_type": "WEBHOOK", "status": e.status, "started_at": nil, "finished_at": nil, "duration_ms": nil,
			"error_message": nil, "exit_code": e.exitCode, "created_at": created.Format(boathook.TimeLayout),
			"metadata": map[string]any{"event": "push", "source": "github", "trigger": "WEBHOOK"},
		}
		if e.outcome != nil {
			want["started_at"] = created.Add(time.Second).Format(boathook.TimeLayout)
			if e.outcome.Status != boathook.RunRunning {
				want["finished_at"], want["duration_ms"] = created.Add(2500*time.Millisecond).Format(boathook.TimeLayout), 1500.0
			}
			if e.outcome.Error != "" {
				want["error_message"] = e.outcome.Error
			}
		}
		if !reflect.DeepEqual(got[i], want) {
			t.Errorf("run %d:\ngot  %v\nwant %v", i, got[i], want)
		}
	}

	for query, want := range map[string]int{
		"": 10, "?status=RUNNING": 2, "?status=FAILED": 3, "?status=CANCELLED&trigger=WEBHOOK": 1, "?trigger_type=WEBHOOK&limit=4": 4,
		"?trigger=MANUAL": 0, "?status=TIMEOUT&trigger_type=CRON": 0,
	} {
		if got := a.array(runs + query); len(got) != want {
			t.Errorf("%q: %d runs, want %d", query, len(got), want)
		}
	}
	for query, want := range map[string]int{"?limit=0": 1, "?limit=-7": 1, "?limit=101": 10, "?limit=99999999999999999999": 10, "?limit=x": 10} {
		if got := a.array(runs + query); len(got) != want {
			t.Errorf("%q: %d runs, want %d", query, len(got), want)
		}
	}
	for _, query := range []string{"?status=failed", "?status=PENDING"} {
		if w := a.request(stackToken, "GET", runs+query, ""); w.Code != 400 || !strings.HasPrefix(w.Body.String(), `{"error":"`) {
			t.Errorf("%q: got %d %s", query, w.Code, w.Body)
		}
	}
	for _, path := range []string{"", "/runs", "/logs"} {
		if w := a.request(stackToken, "GET", "/api/v1/agents/agent_x"+path, ""); w.Code != 404 || w.Body.String() != `{"error":"Agent not found"}` {
			t.Errorf("%s of an unknown agent: got %d %s", path, w.Code, w.Body)
		}
	}
}

func TestAllAgentsRunsComeInNumberedPages(t *testing.T) {
	a := newAPI(t)
	if got, want := a.request(stackToken, "GET", "/api/v1/runs", "").Body.String(),
		`{"data":[],"stats":{"running":0,"today":0,"failed":0},"pagination":{"page":1,"limit":50,"total":0,"total_pages":0}}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	one, other := a.agent(), a.agent()
	for i, o := range []*boathook.Outcome{
		{Status: boathook.RunFailed, Error: "x"}, {Status: boathook.RunSucceeded}, {Status: boathook.RunTimedOut, Error: "x"},
		{Status: boathook.RunRunning}, nil, {Status: boathook.RunFailed, Error: "x"}, {Status: boathook.RunSucceeded},
	} {
		a.agentRun([]string{one, other}[i%2], fmt.Sprintf("run_%d", i), o)
		a.clock.pass(3 * time.Hour) // the first four are of one day, the others of the next
	}
	a.version(a.deployment(), "production") // a deployment's runs are not among them
	for query, want := range map[string]struct {
		ids                     string
		page, limit, total, all float64
	}{
		"":                              {"[run_6 run_5 run_4 run_3 run_2 run_1 run_0]", 1, 50, 7, 1},
		"?limit=3":                      {"[run_6 run_5 run_4]", 1, 3, 7, 3},
		"?limit=3&page=3":               {"[run_0]", 3, 3, 7, 3},
		"?limit=3&page=4":               {"[]", 4, 3, 7, 3},
		"?status=FAILED":                {"[run_5 run_0]", 1, 50, 2, 1},
		"?status=FAILED&limit=1&page=2": {"[run_0]", 2, 1, 2, 2},
		"?trigger=MANUAL":               {"[]", 1, 50, 0, 0},
	} {
		got := a.ask(200, "GET", "/api/v1/runs"+query, "")
		if ids := fmt.Sprint(got.column("data", "id")); ids != want.ids {
			t.Errorf("%q: got %s, want %s", query, ids, want.ids)
		}
		pagination := object{"page": want.page, "limit": want.limit, "total": want.total, "total_pages": want.all}
		if p := got.object("pagination"); !reflect.DeepEqual(p, pagination) {
			t.Errorf("%q: got %v, want %v", query, p, pagination)
		}
		if s, want := got.object("stats"), (object{"running": 2.0, "today": 3.0, "failed": 2.0}); !reflect.DeepEqual(s, want) {
			t.Errorf("%q: got %v, want %v", query, s, want)
		}
	}
	got := a.ask(200, "GET", "/api/v1/runs?agent_id="+idOf(other), "")
	if ids := fmt.Sprint(got.column("data", "id")); ids != "[run_5 run_3 run_1]" || got.object("stats")["failed"] != 1.0 {
		t.Errorf("one agent's: %v", got)
	}
	for query, want := range map[string][2]float64{
		"?page=0": {1, 50}, "?page=-1": {1, 50}, "?page=x": {1, 50}, "?page=200": {200, 50}, "?page=201": {200, 50},
		"?limit=0": {1, 1}, "?limit=101": {1, 100}, "?limit=100&page=101": {100, 100}, "?page=99999999999999999999": {200, 50},
	} {
		p := a.ask(200, "GET", "/api/v1/runs"+query, "").object("pagination")
		if got := [2]float64{p["page"].(float64), p["limit"].(float64)}; got != want {
			t.Errorf("%q: page and limit are %v, want %v", query, got, want)
		}
	}
	if w := a.request(stackToken, "GET", "/api/v1/runs?status=failed", ""); w.Code != 400 {
		t.Errorf("a status that is none: got %d %s", w.Code, w.Body)
	}
	if w := a.request(stackToken, "GET", "/api/v1/runs?agent_id=agent_x", ""); w.Code != 404 {
		t.Errorf("an unknown agent's runs: got %d %s", w.Code, w.Body)
	}
}

func TestARunOfAnAgentIsLookedUp(t *testing.T) {
	a := newAPI(t)
	agent := a.agent()
	a.agentRun(agent, "run_a", &boathook.Outcome{Status: boathook.RunSucceeded})
	listed := a.array("/api/v1/agents/" + idOf(agent) + "/runs")
	if got := a.ask(200, "GET", "/api/v1/runs/run_a", ""); len(listed) != 1 || !reflect.DeepEqual(got, listed[0]) {
		t.Errorf("got %v, listed is %v", got, listed)
	}
	// What the trigger said beside its body has no place in Crewship's shape.
	details := object{"event": "push", "delivery_id": "72d3162e", "content_type": nil, "query": map[string]any{"env": "prod"}}
	if got := a.ask(200, "GET", "/v1/runs/run_a", ""); got.text("agent_id") != idOf(agent) || !reflect.DeepEqual(object(got["trigger_details"].(map[string]any)), details) {
		t.Errorf("got %v, want the details %v", got, details)
	}
	deployment := a.deployment()
	a.version(deployment, "production")
	other := a.ask(202, "POST", "/v1/runs", `{"deployment_id":"`+idOf(deployment)+`"}`).text("run_id")
	stranger := a.ask(201, "POST", "/v1/workspaces", `{"name":"other"}`).text("token")
	for _, tc := range []struct{ token, run string }{{stackToken, "run_x"}, {stackToken, other}, {stranger, "run_a"}} {
		if w := a.request(tc.token, "GET", "/api/v1/runs/"+tc.run, ""); w.Code != 404 || w.Body.String() != `{"error":"Run not found"}` {
			t.Errorf("%s: got %d %s", tc.run, w.Code, w.Body)
		}
	}
	a.ask(202, "POST", "/v1/runs/"+other+"/cancel", "")
}

func TestAgentsAreLookedUpAsCrewshipsClientsDo(t *testing.T) {
	a := newAPI(t)
	if got := a.request(stackToken, "GET", "/api/v1/agents", "").Body.String(); got != "[]" {
		t.Errorf("without agents: %s", got)
	}
	one := a.agent()
	a.clock.pass(time.Minute)
	other := a.agent()
	crew := strings.Split(one, "/")[3]
	want := object{
		"id": idOf(one), "crew_id": crew, "workspace_id": "ws_local", "name": "Reviewer", "slug": "reviewer",
		"created_at": "2026-03-01T12:00:00.000Z", "crew": map[string]any{"name": a.ask(200, "GET", "/v1/crews/"+crew, "").text("name")},
	}
	order := []string{idOf(other), idOf(one)} // crew by crew
	if crew > strings.Split(other, "/")[3] {
		slices.Reverse(order)
	}
	got := a.array("/api/v1/agents")
	if len(got) != 2 || !reflect.DeepEqual(got[slices.Index(order, idOf(one))], want) {
		t.Errorf("got  %v\nwant %v in the order %v", got, want, order)
	}
	for query, ids := range map[string][]string{
		"?workspace_id=ws_local": order, "?crew_id=" + crew: {idOf(one)}, "?workspace_id=ws_local&crew_id=" + crew: {idOf(one)},
	} {
		var found []string
		for _, o := range a.array("/api/v1/agents" + query) {
			found = append(found, o.text("id"))
		}
		if !slices.Equal(found, ids) {
			t.Errorf("%q: got %q, want %q", query, found, ids)
		}
	}
	want["timeout_seconds"] = 600.0
	if got := a.ask(200, "GET", "/api/v1/agents/"+idOf(one)+"?workspace_id=ws_local", ""); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	for path, body := range map[string]string{
		"?workspace_id=ws_other": `{"error":"Workspace not found"}`, "?crew_id=crew_x": `{"error":"Crew not found"}`,
		"?crew_id=" + idOf(one): `{"error":"Crew not found"}`,
	} {
		if w := a.request(stackToken, "GET", "/api/v1/agents"+path, ""); w.Code != 404 || w.Body.String() != body {
			t.Errorf("%s: got %d %s", path, w.Code, w.Body)
		}
	}
	for _, path := range []string{"/api/v1/agents/" + idOf(one), "/api/v1/agents/" + idOf(one) + "/runs", "/api/v1/runs", "/api/v1/ws-token"} {
		if w := a.request(stackToken, "GET", path+"?workspace_id=ws_other", ""); w.Code != 404 || w.Body.String() != `{"error":"Workspace not found"}` {
			t.Errorf("%s in another workspace: got %d %s", path, w.Code, w.Body)
		}
	}
	stranger := a.ask(201, "POST", "/v1/workspaces", `{"name":"other"}`).text("token")
	if got := a.request(stranger, "GET", "/api/v1/agents", "").Body.String(); got != "[]" {
		t.Errorf("another workspace sees %s", got)
	}
	a.as(stranger, 404, "GET", "/api/v1/agents/"+idOf(one), "")
}

func TestEachAgentOfTheWorkspaceIsListed(t *testing.T) {
	a := newAPI(t)
	for i := range 205 { // more than a page of crews, and one crew with more than a page of agents
		crew := boathook.Source{ID: fmt.Sprintf("crew_%d", i), WorkspaceID: "ws_local", Kind: boathook.Crew, Name: "c", CreatedAt: a.clock.Now()}
		if err := a.store.PutSource(t.Context(), crew); err != nil {
			t.Fatal(err)
		}
		for j := range map[bool]int{true: 205, false: 1}[i == 0] {
			agent := boathook.Source{
				ID: fmt.Sprintf("agent_%d_%d", i, j), WorkspaceID: "ws_local", Kind: boathook.Agent, Name: "a", CreatedAt: a.clock.Now(),
				Agent: &boathook.AgentSettings{CrewID: crew.ID, Slug: fmt.Sprint("s", j)},
			}
			if err := a.store.PutSource(t.Context(), agent); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := a.array("/api/v1/agents"); len(got) != 409 {
		t.Errorf("%d agents are listed, want 409", len(got))
	}
}

func TestAnAdminReadsAnAgentsSecretAgainAndTheLogTellsWho(t *testing.T) {
	a := newAPI(t)
	agent := a.agent()
	path := agent + "/webhook-secret"
	rotated := a.ask(200, "POST", "/api/v1/agents/"+idOf(agent)+"/webhook-secret/rotate", "").text("webhook_secret")
	admin := a.ask(201, "POST", "/v1/tokens", `{"name":"a","role":"admin"}`)
	if got := a.as(admin.text("token"), 200, "GET", path, ""); !reflect.DeepEqual(got, object{"webhook_secret": rotated}) {
		t.Errorf("got %v, want %s", got, rotated)
	}
	logged := a.log.String()
	if !strings.Contains(logged, "source_id="+idOf(agent)) || !strings.Contains(logged, "token_id="+admin.text("id")) || strings.Contains(logged, rotated) {
		t.Errorf("logged %s", logged)
	}
	a.as(a.tokenFor(stackToken, boathook.Member), 403, "GET", path, "")
	crew := "/v1/crews/" + a.ask(201, "POST", "/v1/crews", `{"name":"c"}`).text("id")
	a.ask(404, "GET", crew+"/agents/"+idOf(agent)+"/webhook-secret", "")
	bare := boathook.Source{ID: "agent_bare", WorkspaceID: "ws_local", Kind: boathook.Agent, Agent: &boathook.AgentSettings{CrewID: idOf(crew)}}
	if err := a.store.PutSource(t.Context(), bare); err != nil {
		t.Fatal(err)
	}
	a.ask(404, "GET", crew+"/agents/agent_bare/webhook-secret", "")
}

// These lists can't say that there is more behind a page.
func TestTheListsOfAgentsRunsAreOfThoseThatAreCounted(t *testing.T) {
	a := newAPI(t)
	agent := idOf(a.agent())
	a.agentRun("/"+agent, "run_a", &boathook.Outcome{Status: boathook.RunFailed, Error: "x"})
	for _, c := range []struct{ newer, found int }{{store.MaxCounted - 1, 1}, {1, 0}} {
		a.succeed(agent, c.newer)
		page := a.ask(200, "GET", "/api/v1/runs?status=FAILED", "")
		got := []int{
			len(page.list("data")), int(page.object("pagination")["total"].(float64)),
			len(a.array("/api/v1/agents/" + agent + "/runs?status=FAILED")),
		}
		if want := []int{c.found, c.found, c.found}; !slices.Equal(got, want) {
			t.Errorf("after %d newer runs: %v are listed, counted and listed, want %v", c.newer, got, want)
		}
	}
}

func TestAnAgentsLogIsThatOfItsRunsNewestFirst(t *testing.T) {
	a := newAPI(t)
	agent := a.agent()
	logs := "/api/v1/agents/" + idOf(agent) + "/logs"
	if got := a.request(stackToken, "GET", logs, "").Body.String(); got != "[]" {
		t.Errorf("without runs: %s", got)
	}
	write := func(id string, first int, texts ...string) {
		var lines []boathook.LogLine
		for _, text := range texts {
			lines = append(lines, boathook.LogLine{Time: a.clock.Now(), Stream: "stdout", Text: text})
		}
		a.append(agent, id, first, lines)
	}
	write("run_a", 0, "a0", "a1")
	write("run_a", 2, "a2")
	a.agentRun(agent, "run_a", &boathook.Outcome{Status: boathook.RunSucceeded, LogLines: 3})
	a.clock.pass(time.Minute)
	a.agentRun(agent, "run_b", &boathook.Outcome{Status: boathook.RunSucceeded}) // it printed nothing
	a.clock.pass(time.Minute)
	write("run_c", 0, "c0", "\x1b[31mc1\x1b[0m")
	a.agentRun(agent, "run_c", nil)

	for query, want := range map[string]string{
		"":                  "\x1b[31mc1\x1b[0m c0 a2 a1 a0",
		"?limit=3":          "\x1b[31mc1\x1b[0m c0 a2",
		"?limit=2&offset=1": "c0 a2",
		"?offset=3":         "a1 a0",
		"?limit=1&offset=4": "a0",
		"?offset=5":         "",
		"?limit=500":        "\x1b[31mc1\x1b[0m c0 a2 a1 a0",
	} {
		var texts []string
		for _, l := range a.array(logs + query) {
			texts = append(texts, l.text("content"))
		}
		if got := strings.Join(texts, " "); got != want {
			t.Errorf("%q: got %q, want %q", query, got, want)
		}
	}
	want := `{"ts":"2026-03-01T12:02:00.000Z","level":"info","agent":"reviewer","event":"output","content":"c0","metadata":{"run_id":"run_c"}}`
	if got := a.request(stackToken, "GET", logs+"?limit=1&offset=1", "").Body.String(); got != "["+want+"]" {
		t.Errorf("got  %s\nwant [%s]", got, want)
	}
	for query, want := range map[string]int{"?limit=0": 1, "?limit=501": 5, "?offset=-1": 5, "?offset=x": 5, "?offset=1000001": 0} {
		if got := a.array(logs + query); len(got) != want {
			t.Errorf("%q: %d lines, want %d", query, len(got), want)
		}
	}
}

func TestALongLogOfAnAgentEndsEarly(t *testing.T) {
	a := newAPI(t)
	agent := a.agent()
	var lines []boathook.LogLine
	for range 500 {
		lines = append(lines, boathook.LogLine{Time: a.clock.Now(), Stream: "stderr", Text: strings.Repeat("\x01", boathook.MaxLogLine)})
	}
	for first := range 10 {
		a.append(agent, "run_a", 50*first, lines[50*first:50*first+50])
	}
	a.agentRun(agent, "run_a", &boathook.Outcome{Status: boathook.RunSucceeded, LogLines: 500})
	w := a.request(stackToken, "GET", "/api/v1/agents/"+idOf(agent)+"/logs?limit=500", "")
	if w.Code != 200 || w.Body.Len() > 6<<20*11/10 || w.Body.Len() < 1<<20 || !strings.Contains(w.Body.String(), `"level":"error"`) {
		t.Errorf("got %d, %d bytes", w.Code, w.Body.Len())
	}
}

func TestAnAgentsOutgoingWebhooks(t *testing.T) {
	a := newAPI(t)
	agent := a.agent()
	path := agent + "/outgoing-webhooks"
	made := a.ask(201, "POST", path, `{"name":"o","url":"https://e.example","events":["run.succeeded"]}`)
	if made.text("agent_id") != idOf(agent) || made.text("environment") != "production" || made.text("dialect") != "crewship" {
		t.Errorf("made %v", made)
	}
	if _, ok := made["deployment_id"]; ok {
		t.Errorf("an agent's webhook has a deployment: %v", made)
	}
	a.refused(400, "environment", "POST", path, `{"name":"o","url":"https://e.example","events":["run.succeeded"],"environment":"staging"}`)

	webhook := path + "/" + made.text("id")
	a.ask(202, "POST", webhook+"/test", "")
	want, _ := catalogue.Lookup(boathook.Agent, boathook.EventRunSucceeded)
	if e := a.publish.event; e.SourceID != idOf(agent) || !bytes.Equal(e.Data, want.Example) || !strings.Contains(string(e.Data), `"agent_id"`) {
		t.Errorf("the test's event is of %s: %s", e.SourceID, e.Data)
	}
	id := a.record(idOf(agent), made.text("id"), failedAttempt(1)).String()
	if got := a.ask(200, "GET", webhook+"/deliveries?status=retrying&event=run.succeeded", "").column("data", "agent_id"); !slices.Equal(got, []string{idOf(agent)}) {
		t.Errorf("the deliveries are of %q", got)
	}
	if got := a.ask(200, "GET", "/v1/deliveries/"+id, ""); got.text("agent_id") != idOf(agent) {
		t.Errorf("the delivery is %v", got)
	}
	a.ask(202, "POST", "/v1/deliveries/"+id+"/resend", "")
	if d, err := queue.DecodeDelivery(a.retries.messages[0].Body); err != nil || d.SourceID != idOf(agent) {
		t.Errorf("resent %+v, %v", d, err)
	}
}

// An agent's runs have an agent in place of a deployment, and another end.
func TestTheEventsOfAnAgentAreItsOwn(t *testing.T) {
	for _, event := range boathook.EventTypes[boathook.Agent] {
		own, _ := catalogue.Lookup(boathook.Agent, event)
		if err := own.Validate(own.Example); err != nil {
			t.Errorf("the example of %s: %v", event, err)
		}
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, status := range []boathook.RunStatus{boathook.RunSucceeded, boathook.RunFailed, boathook.RunTimedOut} {
		run := boathook.Run{RunHead: boathook.RunHead{
			ID: "run_a", SourceID: "agent_a", VersionID: "ver_a", VersionNumber: 1, Environment: boathook.Production, Status: status,
			CreatedAt: now, CompletedAt: now,
		}, Input: boathook.NewBody(boathook.EmptyInput)}
		e, _ := run.Event()
		if own, ok := catalogue.Lookup(boathook.Agent, e.Type); !ok || own.Validate(e.Data) != nil {
			t.Errorf("the event of a run that %s is none of an agent's: %s", status, e.Data)
		}
	}
	own, _ := catalogue.Lookup(boathook.Agent, boathook.EventRunFailed)
	deployments, _ := catalogue.Lookup(boathook.Deployment, boathook.EventRunFailed)
	if own.Validate(deployments.Example) == nil {
		t.Error("a deployment's event is taken for an agent's")
	}
	if _, ok := catalogue.Lookup(boathook.Agent, boathook.EventBuildFinish); ok {
		t.Error("an agent has a repository's event")
	}
}
