package api_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/seal"
)

func TestNamesHave1To100Characters(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	in := deployment + "/incoming-webhooks/" + a.incoming(deployment).text("id")
	out := deployment + "/outgoing-webhooks/" + a.outgoing(deployment).text("id")
	for _, path := range []string{deployment, in, out} {
		for name, status := range map[string]int{
			"":                          400,
			"  ":                        400,
			"x":                         200,
			strings.Repeat("ü", 100):    200,
			strings.Repeat("ü", 100+1):  400,
			strings.Repeat("long", 100): 400,
		} {
			body := `{"name":"` + name + `"}`
			if status == 200 {
				if got := a.ask(200, "PATCH", path, body).text("name"); got != name {
					t.Errorf("%s: the name is %q", path, got)
				}
				continue
			}
			a.refused(400, "name", "PATCH", path, body)
		}
	}
}

func TestTheURLOfAnIncomingWebhookIsShownAgain(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	made := a.incoming(deployment)
	path := deployment + "/incoming-webhooks/" + made.text("id")
	if got := a.ask(200, "GET", path+"/url", "").text("url"); got != made.text("url") {
		t.Errorf("the URL is %s, and was %s when it was made", got, made.text("url"))
	}
	rotated := a.ask(200, "POST", path+"/rotate", "")
	a.ask(200, "PATCH", path, `{"name":"renamed"}`)
	if got := a.ask(200, "GET", path+"/url", "").text("url"); got != rotated.text("url") || got == made.text("url") {
		t.Errorf("the URL is %s, and was %s when the webhook was rotated", got, rotated.text("url"))
	}
	w, err := a.store.Incoming(t.Context(), idOf(deployment), made.text("id"))
	if err != nil {
		t.Fatal(err)
	}
	w.SealedToken = nil // as that of a webhook from before
	if err := a.store.PutIncoming(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	if got := a.ask(404, "GET", path+"/url", ""); !strings.Contains(fmt.Sprint(got), "rotate") {
		t.Errorf("what to do is not said: %v", got)
	}
	a.ask(404, "GET", a.deployment()+"/incoming-webhooks/"+made.text("id")+"/url", "")
}

func TestADeploymentIsRenamedAndDeleted(t *testing.T) {
	a := newAPI(t)
	path := a.deployment()
	a.ask(200, "PATCH", path, `{"name":"renamed"}`)
	a.ask(200, "PATCH", path, `{}`)
	got := a.ask(200, "GET", path, "")
	want := object{"id": idOf(path), "name": "renamed", "created_at": "2026-03-01T12:00:00.000Z", "retry": nil, "max_in_flight": nil}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	a.ask(204, "DELETE", path, "")
	a.ask(404, "GET", path, "")
	a.ask(404, "DELETE", path, "")
}

func TestADeploymentSaysHowItsFailedRunsAreRetried(t *testing.T) {
	a := newAPI(t)
	path := "/v1/deployments/" + a.ask(201, "POST", "/v1/deployments", `{"name":"bot","retry":{"max":10}}`).text("id")
	retry := func(most, backoff int) any {
		return map[string]any{"max": float64(most), "backoff_seconds": float64(backoff)}
	}
	for _, step := range []struct {
		body string
		want any
	}{
		{`{}`, retry(10, 30)},
		{`{"retry":{"max":3,"backoff_seconds":3600}}`, retry(3, 3600)},
		{`{"name":"renamed"}`, retry(3, 3600)},
		{`{"retry":{"max":1,"backoff_seconds":1}}`, retry(1, 1)},
		{`{"retry":{"max":0}}`, nil},
	} {
		if got := a.ask(200, "PATCH", path, step.body)["retry"]; !reflect.DeepEqual(got, step.want) {
			t.Errorf("%s: it is %v, want %v", step.body, got, step.want)
		}
		if got := a.ask(200, "GET", path, "")["retry"]; !reflect.DeepEqual(got, step.want) {
			t.Errorf("%s: it is read as %v, want %v", step.body, got, step.want)
		}
	}
	for body, field := range map[string]string{
		`{"retry":{"max":11}}`:                           "retry.max",
		`{"retry":{"max":-1}}`:                           "retry.max",
		`{"retry":{"backoff_seconds":5}}`:                "retry.max",
		`{"retry":{"max":1,"backoff_seconds":0}}`:        "retry.backoff_seconds",
		`{"retry":{"max":1,"backoff_seconds":3601}}`:     "retry.backoff_seconds",
		`{"name":"other","retry":{"max":1,"every":"1"}}`: "retry.every",
	} {
		a.refused(400, field, "PATCH", path, body)
	}
	if got := a.ask(200, "GET", path, ""); got.text("name") != "renamed" || got["retry"] != nil {
		t.Errorf("a refused change has left %v", got)
	}
}

func TestADeploymentSaysHowManyRunsExecuteAtATime(t *testing.T) {
	a := newAPI(t)
	path := "/v1/deployments/" + a.ask(201, "POST", "/v1/deployments", `{"name":"bot","max_in_flight":1000}`).text("id")
	for _, step := range []struct {
		body string
		want any
	}{
		{`{}`, 1000.0}, {`{"max_in_flight":1}`, 1.0}, {`{"retry":{"max":1}}`, 1.0}, {`{"max_in_flight":0}`, nil},
	} {
		if got := a.ask(200, "PATCH", path, step.body)["max_in_flight"]; got != step.want {
			t.Errorf("%s: it is %v, want %v", step.body, got, step.want)
		}
		if got := a.ask(200, "GET", path, "")["max_in_flight"]; got != step.want {
			t.Errorf("%s: it is read as %v, want %v", step.body, got, step.want)
		}
	}
	for _, body := range []string{`{"max_in_flight":null}`, `{"max_in_flight":1001}`, `{"max_in_flight":-1}`} {
		a.refused(400, "max_in_flight", "PATCH", path, body)
	}
	if got := a.ask(200, "GET", path, ""); got["max_in_flight"] != nil || got["retry"] == nil {
		t.Errorf("a refused change has left %v", got)
	}
}

func TestADeploymentIsDeletedOnlyWhenNothingRuns(t *testing.T) {
	a := newAPI(t)
	path := a.deployment()
	a.version(path, "production")
	run := a.ask(202, "POST", "/v1/runs", `{"deployment_id":"`+idOf(path)+`"}`).text("run_id")
	a.refused(409, "", "DELETE", path, "")
	a.ask(200, "GET", path, "")
	a.ask(202, "POST", "/v1/runs/"+run+"/cancel", "")
	a.ask(204, "DELETE", path, "")
}

func TestVersionsAreNumberedAndLivePerEnvironment(t *testing.T) {
	a := newAPI(t)
	path := a.deployment()
	live := func() map[float64]string {
		t.Helper()
		m := map[float64]string{}
		for _, v := range a.ask(200, "GET", path+"/versions", "").list("data") {
			m[v["number"].(float64)] = fmt.Sprint(v["live_in"])
		}
		return m
	}
	first := a.version(path, "production")
	a.version(path, "staging")
	third := a.version(path, "production")
	if got := fmt.Sprint(third["number"], third["live_in"]); got != "3 [production]" {
		t.Errorf("the third version is %s", got)
	}
	if got, want := live(), (map[float64]string{1: "[]", 2: "[staging]", 3: "[production]"}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	a.ask(200, "POST", path+"/versions/"+first.text("id")+"/activate", "")
	if got, want := live(), (map[float64]string{1: "[production]", 2: "[staging]", 3: "[]"}); !reflect.DeepEqual(got, want) {
		t.Errorf("after a roll back: got %v, want %v", got, want)
	}
	promoted := a.ask(200, "POST", path+"/versions/"+first.text("id")+"/activate", `{"environment":"staging"}`)
	if got := fmt.Sprint(promoted["live_in"]); got != "[production staging]" {
		t.Errorf("after a promotion it is live in %s", got)
	}
	a.refused(400, "environment", "POST", path+"/versions/"+first.text("id")+"/activate", `{"environment":"test"}`)
	a.refused(400, "environment", "POST", path+"/versions", `{"target":{"type":"command","argv":["true"]}}`)
	a.refused(400, "target", "POST", path+"/versions", `{"environment":"staging"}`)
}

func TestTargets(t *testing.T) {
	a := newAPI(t)
	path := a.deployment() + "/versions"
	for _, c := range []struct{ target, field string }{
		{`{"type":"http","url":"https://e.example"}`, ""},
		{`{"type":"http","url":"https://e.example","headers":{"Authorization":"x"},"timeout_seconds":840}`, ""},
		{`{"type":"lambda","function_arn":"arn:aws:lambda:eu-west-1:123456789012:function:x"}`, ""},
		{`{"type":"command","argv":["cat","-"],"timeout_seconds":1}`, ""},

		{`{"type":"agentcore","runtime_arn":"arn:aws:bedrock-agentcore:eu-west-1:123456789012:runtime/x"}`, ""},
		{`{}`, "target.type"},
		{`{"type":"agentcore"}`, "target.runtime_arn"},
		{`{"type":"agentcore","runtime_arn":"x","function_arn":"y"}`, "target.function_arn"},
		{`{"type":"shell"}`, "target.type"},
		{`{"type":"http"}`, "target.url"},
		{`{"type":"http","url":""}`, "target.url"},
		{`{"type":"http","url":"http://e.example"}`, "target.url"},
		{`{"type":"http","url":"https://e.example","argv":["x"]}`, "target.argv"},
		{`{"type":"http","url":"https://e.example","headers":{"Host":"x"}}`, "target.headers"},
		{`{"type":"http","url":"https://e.example","timeout_seconds":0}`, "target.timeout_seconds"},
		{`{"type":"http","url":"https://e.example","timeout_seconds":841}`, "target.timeout_seconds"},
		{`{"type":"lambda"}`, "target.function_arn"},
		{`{"type":"lambda","function_arn":"x","url":"https://e.example"}`, "target.url"},
		{`{"type":"command"}`, "target.argv"},
		{`{"type":"command","argv":[]}`, "target.argv"},
		{`{"type":"command","argv":[""]}`, "target.argv"},
		{`{"type":"command","argv":["a\u0000b"]}`, "target.argv"},
		{`{"type":"command","argv":["` + strings.Repeat("x", 16<<10+1) + `"]}`, "target.argv"},
		{`{"type":"command","argv":["forbidden"]}`, "target.argv"},
		{`{"type":"command","argv":"cat"}`, "target.argv"},
		{`{"type":"command","argv":["x"],"headers":{}}`, "target.headers"},
		{`{"type":"command","argv":["x"],"cwd":"/"}`, "target.cwd"},
	} {
		body := `{"environment":"staging","target":` + c.target + `}`
		if c.field == "" {
			a.ask(201, "POST", path, body)
			continue
		}
		a.refused(400, c.field, "POST", path, body)
	}
}

func TestATargetsHeadersAreStoredSealed(t *testing.T) {
	a := newAPI(t)
	path := a.deployment()
	made := a.ask(201, "POST", path+"/versions", `{"environment":"staging","target":{"type":"http","url":"https://e.example","headers":{"Authorization":"Bearer 1"}}}`)
	if got := fmt.Sprint(made.object("target").object("headers")); got != "map[Authorization:********]" {
		t.Errorf("shown as %s", got)
	}
	v, err := a.store.Version(t.Context(), idOf(path), made.text("id"))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := sealer{}.Open(t.Context(), v.WorkspaceID, seal.TargetHeaders(v.ID), v.SealedHeaders)
	if err != nil || string(plain) != `{"Authorization":"Bearer 1"}` {
		t.Errorf("sealed %s, %v", plain, err)
	}
	if strings.Contains(fmt.Sprint(v.Target), "Bearer 1") {
		t.Errorf("the target is stored as %v", v.Target)
	}
}

func TestAnIncomingWebhookSaysWhichTriggersItCoalesces(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	path := deployment + "/incoming-webhooks/" + a.incoming(deployment).text("id")
	coalesce := func(key string, quiet, wait float64) any {
		return map[string]any{"key": key, "quiet_seconds": quiet, "max_wait_seconds": wait}
	}
	for _, step := range []struct {
		body string
		want any
	}{
		{`{"coalesce":{"key":".body.ref","quiet_seconds":5}}`, coalesce(".body.ref", 5, 5)},
		{`{"name":"other"}`, coalesce(".body.ref", 5, 5)},
		{`{"coalesce":{"key":"null","quiet_seconds":900,"max_wait_seconds":3600}}`, coalesce("null", 900, 3600)},
		{`{"coalesce":{}}`, nil},
	} {
		if got := a.ask(200, "PATCH", path, step.body)["coalesce"]; !reflect.DeepEqual(got, step.want) {
			t.Errorf("%s: it is %v, want %v", step.body, got, step.want)
		}
		if got := a.ask(200, "GET", path, "")["coalesce"]; !reflect.DeepEqual(got, step.want) {
			t.Errorf("%s: it is read as %v, want %v", step.body, got, step.want)
		}
	}
	for body, field := range map[string]string{
		`{"coalesce":{"quiet_seconds":5}}`:                                   "coalesce.key",
		`{"coalesce":{"key":".[","quiet_seconds":5}}`:                        "coalesce.key",
		`{"coalesce":{"key":"."}}`:                                           "coalesce.quiet_seconds",
		`{"coalesce":{"key":".","quiet_seconds":0}}`:                         "coalesce.quiet_seconds",
		`{"coalesce":{"key":".","quiet_seconds":901}}`:                       "coalesce.quiet_seconds",
		`{"coalesce":{"key":".","quiet_seconds":5,"max_wait_seconds":4}}`:    "coalesce.max_wait_seconds",
		`{"coalesce":{"key":".","quiet_seconds":5,"max_wait_seconds":3601}}`: "coalesce.max_wait_seconds",
	} {
		a.refused(400, field, "PATCH", path, body)
	}
	body := `{"name":"ci","environment":"production","coalesce":{"key":".body.ref","quiet_seconds":5,"max_wait_seconds":60}}`
	if got := a.ask(201, "POST", deployment+"/incoming-webhooks", body)["coalesce"]; !reflect.DeepEqual(got, coalesce(".body.ref", 5, 60)) {
		t.Errorf("it is made with %v", got)
	}
}

func TestAnIncomingWebhooksURLHoldsItsToken(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	made := a.incoming(deployment)
	path := deployment + "/incoming-webhooks/" + made.text("id")
	matches := func(url string) bool {
		t.Helper()
		text, ok := strings.CutPrefix(url, "https://hooks.example.com/webhooks/runs/")
		token, parsed := boathook.ParseURLToken(text)
		if !ok || !parsed || token.SourceID != idOf(deployment) || token.WebhookID != made.text("id") {
			t.Fatalf("the URL is %q", url)
		}
		w, err := a.store.Incoming(t.Context(), idOf(deployment), made.text("id"))
		if err != nil {
			t.Fatal(err)
		}
		return w.Matches(token)
	}
	if !matches(made.text("url")) {
		t.Error("the URL's token is not the webhook's")
	}
	want := object{
		"id": made.text("id"), "deployment_id": idOf(deployment), "name": "ci", "environment": "production",
		"enabled": true, "wait_for_start_ms": 2000.0, "verification": map[string]any{"preset": "none"}, "rerun_failed": false, "filter": nil, "coalesce": nil,
		"created_at": "2026-03-01T12:00:00.000Z", "updated_at": "2026-03-01T12:00:00.000Z",
	}
	if got := a.ask(200, "GET", path, ""); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}

	rotated := a.ask(200, "POST", path+"/rotate", "")
	if matches(made.text("url")) || !matches(rotated.text("url")) {
		t.Error("after a rotation, the URL before is valid or the new one is not")
	}
	a.clock.pass(time.Second)
	changed := a.ask(200, "PATCH", path, `{"enabled":false,"wait_for_start_ms":0}`)
	if changed["enabled"] != false || changed["wait_for_start_ms"] != 0.0 || changed.text("name") != "ci" || changed.text("updated_at") != "2026-03-01T12:00:01.000Z" {
		t.Errorf("changed to %v", changed)
	}
	if !matches(rotated.text("url")) {
		t.Error("a change has taken the token")
	}
	a.ask(204, "DELETE", path, "")
	a.ask(404, "GET", path, "")
	a.ask(404, "DELETE", path, "")
}

func TestIncomingWebhooksAreChecked(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	path := deployment + "/incoming-webhooks"
	a.refused(400, "name", "POST", path, `{"environment":"staging"}`)
	a.refused(400, "environment", "POST", path, `{"name":"x"}`)
	a.refused(400, "environment", "POST", path, `{"name":"x","environment":"test"}`)
	a.refused(400, "enabled", "POST", path, `{"name":"x","environment":"staging","enabled":true}`)
	for _, ms := range []string{"-1", "10001"} {
		a.refused(400, "wait_for_start_ms", "POST", path, `{"name":"x","environment":"staging","wait_for_start_ms":`+ms+`}`)
	}
	for _, ms := range []string{"0", "10000"} {
		a.ask(201, "POST", path, `{"name":"x","environment":"staging","wait_for_start_ms":`+ms+`}`)
	}
	one := path + "/" + a.incoming(deployment).text("id")
	a.refused(400, "environment", "PATCH", one, `{"environment":"staging"}`)
	a.refused(400, "wait_for_start_ms", "PATCH", one, `{"wait_for_start_ms":10001}`)
}

func TestWithoutAPublicURLIncomingWebhooksAreWhereTheRequestCame(t *testing.T) {
	a := newAPI(t, func(c *config) { c.PublicURL = "" })
	path := a.deployment() + "/incoming-webhooks"
	for host, want := range map[string]string{
		"api.example.com":      "https://api.example.com/",
		"api.example.com:8443": "https://api.example.com:8443/",
		"127.0.0.1:8080":       "http://127.0.0.1:8080/",
		"localhost:8080":       "http://localhost:8080/",
		"localhost":            "http://localhost/",
		"[::1]:8080":           "http://[::1]:8080/",
	} {
		a.host = host
		if got := a.ask(201, "POST", path, `{"name":"x","environment":"staging"}`).text("url"); !strings.HasPrefix(got, want+"webhooks/runs/") {
			t.Errorf("%s: got %s", host, got)
		}
	}
}

func TestASourceHasAtMost100WebhooksOfEachDirection(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	for path, body := range map[string]string{
		"/incoming-webhooks": `{"name":"x","environment":"staging"}`,
		"/outgoing-webhooks": `{"name":"x","url":"https://e.example","events":["run.failed"],"environment":"staging"}`,
	} {
		for range 100 {
			a.ask(201, "POST", deployment+path, body)
		}
		if message := a.refused(400, "", "POST", deployment+path, body); !strings.Contains(message, "100") {
			t.Errorf("%s: %q does not name the limit", path, message)
		}
	}
}

func TestAnOutgoingWebhookHasDefaults(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	made := a.outgoing(deployment)
	secret := made.text("signing_secret")
	if !strings.HasPrefix(secret, "whsec_") {
		t.Errorf("the secret is %q", secret)
	}
	delete(made, "signing_secret")
	want := object{
		"id": made.text("id"), "deployment_id": idOf(deployment), "name": "slack", "url": "https://example.com/hook",
		"events": []any{"run.succeeded"}, "environment": "production", "dialect": "crewship", "format": "raw", "filter": nil, "transform": nil,
		"headers": map[string]any{"X-Key": "********"}, "timeout_seconds": 30.0,
		"retry":   map[string]any{"schedule_seconds": []any{5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0}},
		"enabled": true, "disabled_reason": nil, "disabled_at": nil, "failing_since": nil, "slow_since": nil, "next_probe_at": nil, "previous_secret_expires_at": nil,
		"alert_after": map[string]any{"failures": 3.0, "seconds": 60.0},
		"rate_limit":  nil, "channels": []any{}, "metadata": map[string]any{},
		"created_at": "2026-03-01T12:00:00.000Z", "updated_at": "2026-03-01T12:00:00.000Z",
	}
	if !reflect.DeepEqual(made, want) {
		t.Errorf("made %v, want %v", made, want)
	}
	if got := a.ask(200, "GET", deployment+"/outgoing-webhooks/"+made.text("id"), ""); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := a.secrets(deployment, made.text("id")); !slices.Equal(got, []string{secret}) {
		t.Errorf("stored %q, shown %q", got, secret)
	}
}

// secrets are those in force: the current one, then the one before.
func (a *tester) secrets(deployment, id string) []string {
	a.t.Helper()
	w, err := a.store.Outgoing(a.t.Context(), idOf(deployment), id)
	if err != nil {
		a.t.Fatal(err)
	}
	var secrets []string
	for _, sealed := range [][]byte{w.Secrets.Current, w.Secrets.Previous} {
		if sealed == nil {
			continue
		}
		plain, err := sealer{}.Open(a.t.Context(), w.WorkspaceID, seal.OutgoingSecret(w.ID), sealed)
		if err != nil {
			a.t.Fatal(err)
		}
		secrets = append(secrets, string(plain))
	}
	return secrets
}

func TestOutgoingWebhooksAreChecked(t *testing.T) {
	a := newAPI(t)
	path := a.deployment() + "/outgoing-webhooks"
	valid := map[string]string{
		"name": `"x"`, "url": `"https://e.example"`, "events": `["run.failed"]`, "environment": `"staging"`,
	}
	body := func(field, value string) string {
		var parts []string
		for f, v := range valid {
			if f != field {
				parts = append(parts, `"`+f+`":`+v)
			}
		}
		if value != "" {
			parts = append(parts, `"`+field+`":`+value)
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	made := a.ask(201, "POST", path, body("", ""))
	numbers := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("60,", n), ",") + "]" }
	for _, c := range []struct{ field, value, at string }{
		{"name", ``, ""}, {"url", ``, ""}, {"events", ``, ""}, {"environment", ``, ""},
		{"name", `null`, ""}, {"name", `""`, ""},
		{"url", `""`, ""}, {"url", `"ftp://e.example"`, ""},
		{"events", `[]`, ""}, {"events", `["run.started"]`, ""}, {"events", `["run.failed","run.failed"]`, ""}, {"events", `[null]`, "events.0"},
		{"environment", `""`, ""}, {"environment", `"test"`, ""},
		{"dialect", `"shouting"`, ""}, {"dialect", `""`, ""}, {"format", `"email"`, ""}, {"format", `""`, ""},
		{"filter", `".a |"`, ""}, {"filter", `"now"`, ""}, {"transform", `"{"`, ""}, {"transform", `"` + strings.Repeat(" ", 4096) + `."`, ""},
		{"timeout_seconds", `0`, ""}, {"timeout_seconds", `31`, ""},
		{"retry", `{}`, "retry.schedule_seconds"},
		{"retry", `{"schedule_seconds":[0]}`, "retry.schedule_seconds"},
		{"retry", `{"schedule_seconds":[86401]}`, "retry.schedule_seconds"},
		{"retry", `{"schedule_seconds":` + numbers(21) + `}`, "retry.schedule_seconds"},
		{"rate_limit", `{}`, "rate_limit.per_second"},
		{"rate_limit", `{"per_second":-1}`, "rate_limit.per_second"}, {"rate_limit", `{"per_second":1001}`, "rate_limit.per_second"},
		{"signing_secret", `""`, ""}, {"signing_secret", `"` + strings.Repeat("x", 23) + `"`, ""},
		{"signing_secret", `"` + strings.Repeat("x", 129) + `"`, ""},
		{"signing_secret", `"` + strings.Repeat("x ", 12) + `"`, ""}, {"signing_secret", `"` + strings.Repeat("ü", 24) + `"`, ""},
		{"headers", `{"":"x"}`, ""}, {"headers", `{"a b":"x"}`, ""}, {"headers", `{"a:b":"x"}`, ""}, {"headers", `{"ä":"x"}`, ""},
		{"headers", `{"A":"x\r\nB: y"}`, ""}, {"headers", `{"A":" x"}`, ""}, {"headers", `{"A":"\u007f"}`, ""},
		{"headers", `{"A":"x","a":"y"}`, ""}, {"headers", `{"A":"********"}`, ""},
		{"headers", `{"A":"` + strings.Repeat("x", 8<<10) + `"}`, ""},
		{"headers", `{"content-type":"x"}`, ""}, {"headers", `{"Content-Length":"1"}`, ""}, {"headers", `{"HOST":"x"}`, ""},
		{"headers", `{"User-Agent":"x"}`, ""}, {"headers", `{"Transfer-Encoding":"chunked"}`, ""}, {"headers", `{"Connection":"close"}`, ""},
		{"headers", `{"X-Crewship-Signature":"x"}`, ""}, {"headers", `{"Webhook-Id":"x"}`, ""},
	} {
		at := c.at
		if at == "" {
			at = c.field
		}
		a.refused(400, at, "POST", path, body(c.field, c.value))
		if c.value != "" && c.value != "null" {
			a.refused(400, at, "PATCH", path+"/"+made.text("id"), `{"`+c.field+`":`+c.value+`}`)
		}
	}
	for _, c := range []struct{ field, value string }{
		{"events", `["run.failed","run.succeeded"]`}, {"dialect", `"crewship"`}, {"format", `"teams"`},
		{"timeout_seconds", `1`}, {"timeout_seconds", `30`},
		{"retry", `{"schedule_seconds":[]}`}, {"retry", `{"schedule_seconds":[1,86400]}`}, {"retry", `{"schedule_seconds":` + numbers(20) + `}`},
		{"headers", `{}`}, {"headers", `{"Authorization":"Basic eA==","X_Y.z~":""}`}, {"headers", `{"A":"ü\tü"}`},
		{"rate_limit", `{"per_second":1}`}, {"rate_limit", `{"per_second":1000}`},
		{"signing_secret", `"` + strings.Repeat("x", 24) + `"`}, {"signing_secret", `"` + strings.Repeat("~", 128) + `"`},
	} {
		a.ask(201, "POST", path, body(c.field, c.value))
	}
}

func TestAUsersOwnSigningSecretIsTaken(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	secret := "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	made := a.ask(201, "POST", deployment+"/outgoing-webhooks",
		`{"name":"x","url":"https://e.example","events":["run.failed"],"environment":"staging","signing_secret":"`+secret+`"}`)
	if made.text("signing_secret") != secret || !slices.Equal(a.secrets(deployment, made.text("id")), []string{secret}) {
		t.Errorf("made %v", made)
	}
}

func TestAWebhookSaysWhyItWasDisabledUntilItIsEnabled(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	source, webhook := idOf(deployment), a.outgoing(deployment).text("id")
	path := deployment + "/outgoing-webhooks/" + webhook
	wantHealth := func(since, at, reason any) {
		t.Helper()
		for _, w := range []object{a.ask(200, "GET", path, ""), a.ask(200, "GET", deployment+"/outgoing-webhooks", "").list("data")[0]} {
			if w["failing_since"] != since || w["disabled_at"] != at || w["disabled_reason"] != reason {
				t.Errorf("got %v, want %v, %v, %v", w, since, at, reason)
			}
		}
	}
	wantHealth(nil, nil, nil)
	now := a.clock.Now()
	text := now.Format(boathook.TimeLayout)
	disabling := boathook.Disabling{At: now, Reason: "gone"}
	if _, err := a.store.MarkFailure(t.Context(), webhook, now); err != nil {
		t.Fatal(err)
	}
	if _, err := a.store.MarkDisabling(t.Context(), webhook, disabling); err != nil {
		t.Fatal(err)
	}
	wantHealth(text, nil, nil) // it is not disabled yet
	if err := a.store.DisableOutgoing(t.Context(), source, webhook, disabling); err != nil {
		t.Fatal(err)
	}
	wantHealth(text, text, "gone")
	a.ask(200, "PATCH", path, `{"name":"renamed"}`)
	wantHealth(text, text, "gone")
	// What is refused forgets nothing.
	a.refused(400, "headers", "PATCH", path, `{"enabled":true,"headers":{"a header":"x"}}`)
	a.refused(400, "dialect", "PATCH", path, `{"enabled":true,"dialect":"no such"}`)
	wantHealth(text, text, "gone")
	a.ask(200, "PATCH", path, `{"enabled":true}`)
	wantHealth(nil, nil, nil)
	a.ask(200, "PATCH", path, `{"enabled":false}`)
	wantHealth(nil, nil, nil) // its owner did it
}

func TestAnOutgoingWebhookChangesFieldByField(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	made := a.outgoing(deployment)
	path := deployment + "/outgoing-webhooks/" + made.text("id")
	secrets := a.secrets(deployment, made.text("id"))
	delete(made, "signing_secret")
	for _, c := range []struct {
		body, field string
		want        any
	}{
		{`{"name":"y"}`, "name", "y"},
		{`{"url":"https://example.com:443/other?x=y"}`, "url", "https://example.com:443/other?x=y"},
		{`{"events":["run.failed"]}`, "events", []any{"run.failed"}},
		{`{"environment":"staging"}`, "environment", "staging"},
		{`{"headers":{"B":"2"}}`, "headers", map[string]any{"B": "********"}},
		{`{"headers":{}}`, "headers", map[string]any{}},
		{`{"timeout_seconds":5}`, "timeout_seconds", 5.0},
		{`{"retry":{"schedule_seconds":[]}}`, "retry", map[string]any{"schedule_seconds": []any{}}},
		{`{"rate_limit":{"per_second":5}}`, "rate_limit", map[string]any{"per_second": 5.0}},
		{`{"rate_limit":null}`, "rate_limit", nil},
		{`{"rate_limit":{"per_second":6.0}}`, "rate_limit", map[string]any{"per_second": 6.0}},
		{`{"rate_limit":{"per_second":0}}`, "rate_limit", nil},
		{`{"filter":".data.status == \"failed\""}`, "filter", `.data.status == "failed"`},
		{`{"filter":null}`, "filter", nil},
		{`{"transform":"{text: .type}"}`, "transform", "{text: .type}"},
		{`{"transform":""}`, "transform", nil},
		{`{"enabled":false}`, "enabled", false},
		{`{"enabled":true}`, "enabled", true},
	} {
		a.clock.pass(time.Second)
		made[c.field], made["updated_at"] = c.want, a.clock.Now().Format(boathook.TimeLayout)
		if got := a.ask(200, "PATCH", path, c.body); !reflect.DeepEqual(got, made) {
			t.Errorf("%s: got %v, want %v", c.body, got, made)
		}
	}
	if got := a.ask(200, "GET", path, ""); !reflect.DeepEqual(got, made) {
		t.Errorf("got %v, want %v", got, made)
	}
	if got := a.secrets(deployment, made.text("id")); !slices.Equal(got, secrets) {
		t.Errorf("the secrets changed from %q to %q", secrets, got)
	}
	a.refused(400, "signing_secret", "PATCH", path, `{"signing_secret":"`+strings.Repeat("x", 24)+`"}`)
	a.ask(204, "DELETE", path, "")
	a.ask(404, "GET", path, "")
	a.ask(404, "DELETE", path, "")
}

// Who may change a webhook may not read its headers, and so not have them sent to
// a receiver of his own. It is the same through each system's own paths.
func TestAWebhookThatMovesToAnotherServerLosesItsHeaders(t *testing.T) {
	a := newAPI(t)
	const masked, none = "map[X-Key:********]", "map[]"
	change := func(path string, body func(url string) string) func(url string) {
		return func(url string) { a.ask(200, "PATCH", path, body(url)) }
	}
	made := func(path string) string { // of a source whose webhooks are those of another system too
		return path + "/outgoing-webhooks/"
	}
	deployment := a.deployment()
	own := made(deployment) + a.outgoing(deployment).text("id")
	hooks, repository := a.repository("docker-hello")
	hook := a.hook(hooks)
	ownOfHook := made("/v1/repositories/"+repository) + a.webhookOf(repository)
	webhooks, app := a.app()
	webhook := a.appWebhook(webhooks)
	ownOfApp := made("/v1/apps/"+app) + idOf(webhook)

	for name, face := range map[string]struct {
		own  string // its path in /v1, which shows headers
		move func(url string)
	}{
		"/v1":        {own, change(own, func(url string) string { return `{"url":"` + url + `"}` })},
		"Shipway":    {ownOfHook, change(hook, func(url string) string { return `{"config":{"url":"` + url + `"}}` })},
		"Capawesome": {ownOfApp, change(webhook, func(url string) string { return `{"url":"` + url + `"}` })},
	} {
		for _, tc := range []struct {
			from, to string
			want     string
		}{
			{"https://e.example/a", "https://e.example/b?c=d", masked},
			{"https://e.example/a", "https://E.EXAMPLE:443/a", masked},
			{"https://e.example/a", "https://e.example:8443/a", none},
			{"https://e.example/a", "https://www.e.example/a", none},
			{"https://e.example/a", "https://attacker.example/https://e.example/a", none},
			{"https://e.example:8443/a", "https://e.example/a", none},
		} {
			a.ask(200, "PATCH", face.own, `{"url":"`+tc.from+`","headers":{"X-Key":"header-credential"}}`)
			face.move(tc.to)
			if got := fmt.Sprint(a.ask(200, "GET", face.own, "").object("headers")); got != tc.want {
				t.Errorf("%s: from %s to %s: the headers are %s, want %s", name, tc.from, tc.to, got, tc.want)
			}
			face.move(tc.from) // and they do not come back
			if got := fmt.Sprint(a.ask(200, "GET", face.own, "").object("headers")); got != tc.want {
				t.Errorf("%s: from %s to %s and back: the headers are %s, want %s", name, tc.from, tc.to, got, tc.want)
			}
		}
	}
	got := a.ask(200, "PATCH", own, `{"url":"https://another.example","headers":{"X-New":"1"}}`)
	if headers := fmt.Sprint(got.object("headers")); headers != "map[X-New:********]" {
		t.Errorf("moved with headers, it has %s", headers)
	}
	if got := a.ask(200, "PATCH", own, `{"url":"https://e.example"}`); fmt.Sprint(got.object("headers")) != none {
		t.Errorf("moved without, the answer shows %v", got["headers"])
	}
	a.refused(400, "headers", "PATCH", own, `{"url":"https://another.example","headers":{"X-Key":"********"}}`)
}

func TestASecretRotatesAtOnceOrWithAnOverlap(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	made := a.outgoing(deployment)
	path := deployment + "/outgoing-webhooks/" + made.text("id")
	rotate := func(body string) (secret string, expires any) {
		t.Helper()
		o := a.ask(200, "POST", path+"/rotate-secret", body)
		return o.text("signing_secret"), o["previous_secret_expires_at"]
	}
	first := made.text("signing_secret")
	second, expires := rotate("")
	if got := a.secrets(deployment, made.text("id")); second == first || expires != nil || !slices.Equal(got, []string{second}) {
		t.Errorf("without an overlap, %q are in force until %v", got, expires)
	}
	third, expires := rotate(`{"overlap_seconds":60}`)
	if got := a.secrets(deployment, made.text("id")); expires != "2026-03-01T12:01:00.000Z" || !slices.Equal(got, []string{third, second}) {
		t.Errorf("with an overlap, %q are in force until %v", got, expires)
	}
	a.clock.pass(59 * time.Second)
	if got := a.ask(200, "GET", path, "")["previous_secret_expires_at"]; got != "2026-03-01T12:01:00.000Z" {
		t.Errorf("before its end, the overlap ends at %v", got)
	}
	a.clock.pass(time.Second)
	if got := a.ask(200, "GET", path, "")["previous_secret_expires_at"]; got != nil {
		t.Errorf("after its end, the overlap ends at %v", got)
	}
	fourth, _ := rotate(`{"overlap_seconds":604800}`)
	fifth, _ := rotate(`{"overlap_seconds":0}`)
	if got := a.secrets(deployment, made.text("id")); fourth == fifth || !slices.Equal(got, []string{fifth}) {
		t.Errorf("an overlap of none has left %q in force", got)
	}
	a.refused(400, "overlap_seconds", "POST", path+"/rotate-secret", `{"overlap_seconds":-1}`)
	a.refused(400, "overlap_seconds", "POST", path+"/rotate-secret", `{"overlap_seconds":604801}`)
}
