package intake_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/store"
	"boathook/internal/testing/fixture"
)

// hookSignature is GitHub's of a body, by a secret.
func hookSignature(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func byPreset(v boathook.Verification) func(*boathook.AgentSettings) {
	return func(a *boathook.AgentSettings) { a.Verification = v }
}

func TestGitHubsOwnWebhookTriggersAnAgent(t *testing.T) {
	const body = `{"action":"opened","number":42,"repository":{"full_name":"org/repo"}}`
	for name, tc := range map[string]struct{ secret, own, sent, contentType string }{
		"by the agent's secret":     {fixture.AgentSecret, "", body, "application/json"},
		"by a secret of the preset": {"github's own secret", "github's own secret", body, "application/json"},
		"as a form":                 {fixture.AgentSecret, "", "payload=" + url.QueryEscape(body), "application/x-www-form-urlencoded"},
	} {
		t.Run(name, func(t *testing.T) {
			v := boathook.Verification{Preset: "github"}
			if tc.own != "" {
				v.SealedSecret = []byte(tc.own)
			}
			p := newAgentPlace(t, byPreset(v))
			w := p.post(p.path, tc.sent, "X-Hub-Signature-256", hookSignature(tc.secret, tc.sent), "X-GitHub-Event", "pull_request",
				"X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958", "Content-Type", tc.contentType)
			wantAnswer(t, w, http.StatusAccepted, agentAccepted)
			found := p.queued(t)
			if len(found) != 1 || found[0].EventName != "pull_request.opened" || found[0].EventSource != "github" || found[0].Input.String() != body {
				t.Fatalf("queued %+v", found)
			}
			want := "Webhook event received:\nEvent: pull_request.opened\nSource: github\nData: {action: opened, number: 42, repository: {full_name: org/repo}}"
			if got := found[0].AgentPayload().Message(); got != want {
				t.Errorf("the message is\n%s", got)
			}
		})
	}
}

func TestGrafanasContactPointTriggersAnAgent(t *testing.T) {
	const body = `{"receiver":"sre","status":"firing","alerts":[{"labels":{"alertname":"disk"}}]}`
	p := newAgentPlace(t, byPreset(boathook.Verification{Preset: "grafana"}))
	w := p.post(p.path, body, "X-Grafana-Alerting-Signature", sign(body), "Content-Type", "application/json")
	wantAnswer(t, w, http.StatusAccepted, agentAccepted)
	if found := p.queued(t); len(found) != 1 || found[0].EventName != "alert.firing" || found[0].EventSource != "grafana" {
		t.Errorf("queued %+v", found)
	}
}

// The event and the source of one's own sender are those that it writes.
func TestASenderThatIsOnesOwnNamesItself(t *testing.T) {
	const body = `{"event":"build.failed","source":"ci","data":{}}`
	p := newAgentPlace(t, byPreset(boathook.Verification{Preset: "hmac", Header: "X-Ci-Signature", Algorithm: "sha256", Encoding: "hex"}))
	wantAnswer(t, p.post(p.path, body, "X-Ci-Signature", sign(body)), http.StatusAccepted, agentAccepted)
	if found := p.queued(t); len(found) != 1 || found[0].EventName != "build.failed" || found[0].EventSource != "ci" {
		t.Errorf("queued %+v", found)
	}
}

func TestAnAgentsPresetAndItsHeadersStandBesideEachOther(t *testing.T) {
	const body = `{"action":"opened"}`
	right, wrong := hookSignature(fixture.AgentSecret, body), hookSignature("another", body)
	for name, tc := range map[string]struct {
		preset  string
		headers []string
		status  int
	}{
		"the document's signature":                   {"github", []string{"X-Signature", sign(body)}, 202},
		"the plain secret":                           {"github", []string{"X-Webhook-Secret", fixture.AgentSecret}, 202},
		"a wrong signature beside the preset's":      {"github", []string{"X-Signature", sign("x"), "X-Hub-Signature-256", right}, 401},
		"a wrong one of the preset":                  {"github", []string{"X-Hub-Signature-256", wrong}, 401},
		"the preset's where there is none":           {"", []string{"X-Hub-Signature-256", right}, 401},
		"none of the two, and a preset that is none": {"none", nil, 401},
		"nothing at all":                             {"github", nil, 401},
	} {
		t.Run(name, func(t *testing.T) {
			p := newAgentPlace(t, byPreset(boathook.Verification{Preset: tc.preset}))
			want := agentAccepted
			if tc.status == 401 {
				want = "unauthorized\n"
			}
			wantAnswer(t, p.post(p.path, body, append(tc.headers, "X-GitHub-Event", "pull_request")...), tc.status, want)
		})
	}
}

func TestGitHubsPingIsAnsweredAndStartsNothing(t *testing.T) {
	const body = `{"zen":"Keep it logically awesome.","hook_id":1}`
	p := newAgentPlace(t, byPreset(boathook.Verification{Preset: "github"}))
	w := p.post(p.path, body, "X-Hub-Signature-256", hookSignature(fixture.AgentSecret, body), "X-GitHub-Event", "ping")
	if w.Code != http.StatusOK || w.Body.String() != `{"status":"pong"}` {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	if left := p.queued(t); len(left) != 0 {
		t.Errorf("queued %+v", left)
	}
	if kept := p.requests(t); len(kept) != 1 || kept[0].Outcome != boathook.RequestAnswered {
		t.Errorf("kept %+v", kept)
	}
}

func TestADeliveryThatIsRepeatedStartsOneRunOfAnAgent(t *testing.T) {
	p := newAgentPlace(t, func(a *boathook.AgentSettings) {
		a.Verification, a.MaxInFlight = boathook.Verification{Preset: "github"}, 1
	})
	send := func(body, delivery string) (run string) {
		t.Helper()
		w := p.post(p.path, body, "X-Hub-Signature-256", hookSignature(fixture.AgentSecret, body), "X-GitHub-Event", "push", "X-GitHub-Delivery", delivery)
		wantAnswer(t, w, http.StatusAccepted, agentAccepted)
		return w.Header().Get("X-Run-Id")
	}
	first := send(`{"n":1}`, "a")
	if again := send(`{"n":1}`, "a"); again != first {
		t.Errorf("the delivery's runs are %s and %s", first, again)
	}
	if changed := send(`{"n":1,"details":"changed"}`, "a"); changed != first {
		t.Errorf("the delivery, with another body, has the run %s, not %s", changed, first)
	}
	body := `{"n":1}`
	w := p.post(p.path, body, "X-Hub-Signature-256", hookSignature(fixture.AgentSecret, body), "X-GitHub-Event", "push", "X-GitHub-Delivery", "b")
	wantAnswer(t, w, http.StatusTooManyRequests, "too many requests\n") // another delivery is counted, and the place is taken
	outcomes := map[boathook.RequestOutcome]int{}
	for _, r := range p.requests(t) {
		outcomes[r.Outcome]++
	}
	if fmt.Sprint(outcomes) != "map[accepted:1 rejected:1 repeated:2]" {
		t.Errorf("kept %v", outcomes)
	}
}

// Stripe's id of the delivery is signed: no key makes another run of it.
func TestASignedDeliveryOfAnAgentCanNotBeReplayedUnderANewKey(t *testing.T) {
	p := newAgentPlace(t, byPreset(boathook.Verification{Preset: "stripe", SealedSecret: []byte("whsec_x")}))
	const body = `{"id":"evt_1","type":"charge.succeeded"}`
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte("whsec_x"))
	mac.Write([]byte(at + "." + body))
	signature := "t=" + at + ",v1=" + hex.EncodeToString(mac.Sum(nil))
	var ids []string
	for _, key := range []string{"one", "two", ""} {
		w := p.post(p.path, body, "Stripe-Signature", signature, "Idempotency-Key", key)
		wantAnswer(t, w, http.StatusAccepted, agentAccepted)
		ids = append(ids, w.Header().Get("X-Run-Id"))
	}
	if ids[0] == "" || ids[0] != ids[1] || ids[1] != ids[2] {
		t.Errorf("the runs are %q", ids)
	}
}

func TestTheSameBodyStartsOneRunWithinTheAgentsDedupeSeconds(t *testing.T) {
	for name, send := range map[string]func(p *agentPlace, body string) (run string){
		"signed": func(p *agentPlace, body string) string { return p.signed(body).Header().Get("X-Run-Id") },
		"with the secret": func(p *agentPlace, body string) string {
			return p.post(p.path, body, "X-Webhook-Secret", fixture.AgentSecret).Header().Get("X-Run-Id")
		},
		"under ever new keys": func(p *agentPlace, body string) string {
			return p.signed(body, "Idempotency-Key", boathook.NewID("key")).Header().Get("X-Run-Id")
		},
		"by a preset, repeats": func(p *agentPlace, body string) string {
			return p.post(p.path, body, "X-Hub-Signature-256", hookSignature(fixture.AgentSecret, body), "X-GitHub-Event", "push",
				"X-GitHub-Delivery", boathook.NewID("delivery")).Header().Get("X-Run-Id")
		},
	} {
		for _, at := range []time.Duration{0, 17 * time.Second, 59 * time.Second} { // in an interval, and near its end
			t.Run(fmt.Sprint(name, at), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute + at)))
					p := newAgentPlace(t, func(a *boathook.AgentSettings) {
						a.DedupeSeconds, a.Verification, a.MaxInFlight = 60, boathook.Verification{Preset: "github"}, 100
					})
					first := send(p, `{"n":1}`)
					if other := send(p, `{"n":2}`); other == "" || other == first {
						t.Fatalf("another body has the run %q", other)
					}
					for _, wait := range []time.Duration{0, time.Second, 58*time.Second + 999*time.Millisecond} {
						time.Sleep(wait)
						if again := send(p, `{"n":1}`); first == "" || again != first {
							t.Errorf("after %s the run is %q, not %q", wait, again, first)
						}
					}
					time.Sleep(time.Millisecond) // a minute after the first
					second := send(p, `{"n":1}`)
					if second == first || second == "" {
						t.Errorf("after a minute the run is %q", second)
					}
					time.Sleep(30 * time.Second)
					if again := send(p, `{"n":1}`); again != second {
						t.Errorf("half a minute later the run is %q, not %q", again, second)
					}
					if n := len(p.queued(t)); n < 3 {
						t.Errorf("%d runs are queued", n)
					}
				})
			})
		}
	}
}

func TestWithoutDedupeSecondsTheSameBodyStartsARunEachTime(t *testing.T) {
	p := newAgentPlace(t, nil)
	one, two := p.signed(`{}`).Header().Get("X-Run-Id"), p.signed(`{}`).Header().Get("X-Run-Id")
	if one == "" || two == "" || one == two {
		t.Errorf("the runs are %q and %q", one, two)
	}
}

func TestARunIsFencedAsItsAgentIsSet(t *testing.T) {
	for _, fenced := range []bool{false, true} {
		p := newAgentPlace(t, func(a *boathook.AgentSettings) { a.FencePayload = fenced })
		wantAnswer(t, p.signed(`{}`), http.StatusAccepted, agentAccepted)
		if found := p.queued(t); len(found) != 1 || found[0].Fenced != fenced {
			t.Errorf("queued %+v", found)
		}
	}
}

// requests are those to the agent, newest first.
func (p *agentPlace) requests(t *testing.T) []boathook.Request {
	t.Helper()
	found, _, err := p.store.Requests(t.Context(), store.RequestQuery{
		WorkspaceID: p.agent.Source.WorkspaceID, SourceID: p.agent.Source.ID, WebhookID: p.agent.Source.ID, Page: boathook.Page{Limit: 200},
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestARefusedTriggerOfAnAgentLeavesATraceWithTheReason(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // as in every synctest
	old, ahead := strconv.FormatInt(now.Add(-400*time.Second).Unix(), 10), strconv.FormatInt(now.Add(time.Hour).Unix(), 10)
	for name, tc := range map[string]struct {
		change  func(*boathook.AgentSettings)
		body    string
		headers []string
		status  int
		reason  string
	}{
		"no credential":        {nil, `{}`, nil, 401, "neither X-Signature nor X-Webhook-Secret is given"},
		"a prefix":             {nil, `{}`, []string{"X-Signature", "sha256=" + sign(`{}`)}, 401, "X-Signature is not of the form 64 lower-case hex digits, without a prefix"},
		"a wrong signature":    {nil, `{}`, []string{"X-Signature", sign(`x`)}, 401, "X-Signature is not that of the body with the agent's secret"},
		"a body-only one":      {nil, `{}`, []string{"X-Signature", sign(`{}`), "X-Timestamp", old}, 401, "X-Signature is not that of X-Timestamp, a dot and the body with the agent's secret"},
		"a wrong secret":       {nil, `{}`, []string{"X-Webhook-Secret", "wrong"}, 401, "X-Webhook-Secret is not the agent's"},
		"an old timestamp":     {nil, `{}`, []string{"X-Signature", sign(old + ".{}"), "X-Timestamp", old}, 400, "X-Timestamp is 400 s old, over 300 s"},
		"a timestamp ahead":    {nil, `{}`, []string{"X-Signature", sign(ahead + ".{}"), "X-Timestamp", ahead}, 400, "X-Timestamp is 3600 s ahead, over 300 s"},
		"no timestamp":         {func(a *boathook.AgentSettings) { a.RequireTimestamp = true }, `{}`, []string{"X-Signature", sign(`{}`)}, 400, "X-Timestamp is required and not given"},
		"a timestamp in words": {nil, `{}`, []string{"X-Signature", sign("now.{}"), "X-Timestamp", "now"}, 400, "X-Timestamp is not a number of seconds"},
		"not JSON":             {nil, `{`, []string{"X-Signature", sign(`{`)}, 400, "not JSON: it ends before it is complete"},
		"too large":            {nil, strings.Repeat(" ", boathook.MaxAgentBody+1), []string{"X-Signature", "x"}, 413, "the body is larger than 256 KiB"},
		"no secret":            {func(a *boathook.AgentSettings) { a.SealedSecret = nil }, `{}`, []string{"X-Signature", sign(`{}`)}, 404, "the agent has no webhook secret"},
		"over the rate":        {func(a *boathook.AgentSettings) { a.RatePerMinute = 0 }, `{}`, []string{"X-Signature", sign(`{}`)}, 429, "the agent's runs in this minute are used up"},
		"the preset's":         {byPreset(boathook.Verification{Preset: "github"}), `{}`, nil, 401, "X-Hub-Signature-256"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newAgentPlace(t, tc.change)
				if w := p.post(p.path, tc.body, tc.headers...); w.Code != tc.status || w.Body.Len() > 30 {
					t.Errorf("answered %d %s", w.Code, w.Body)
				}
				kept := p.requests(t)
				if len(kept) != 1 || kept[0].Outcome != boathook.RequestRejected || kept[0].Status != tc.status || kept[0].Sender == nil ||
					!strings.HasPrefix(kept[0].Reason, tc.reason) {
					t.Errorf("kept %+v, want the reason %q", kept, tc.reason)
				}
				if strings.Contains(fmt.Sprint(kept), fixture.AgentSecret) {
					t.Error("the trace holds the secret")
				}
			})
		})
	}
}

func TestATraceIsOfTheAgentThatThePathNames(t *testing.T) {
	p := newAgentPlace(t, nil)
	p.post(triggerPath("crew_x", p.agent.Source.ID), `{}`, "X-Signature", sign(`{}`))
	p.post(triggerPath("crew_x", p.agent.Source.ID), `{}`)
	if kept := p.requests(t); len(kept) > 0 {
		t.Errorf("by another crew's path: %+v", kept)
	}
	run := p.signed(`{}`).Header().Get("X-Run-Id")
	again := p.signed(`{}`, "Idempotency-Key", "k").Header().Get("X-Run-Id")
	p.signed(`{}`, "Idempotency-Key", "k")
	var got []string
	for _, r := range p.requests(t) {
		got = append(got, fmt.Sprint(r.Outcome, " ", r.RunID))
	}
	// Those of one instant are in the order of their ids.
	for _, want := range []string{"accepted " + run, "accepted " + again, "repeated " + again} {
		if !strings.Contains(strings.Join(got, "\n"), want) || len(got) != 3 {
			t.Errorf("kept %q, want %q", got, want)
		}
	}
}

func TestWhatAnAgentsTriggerSaysBesideItsBodyTravelsWithTheRun(t *testing.T) {
	const hook, own = `{"action":"opened"}`, `{"event":"build.failed","source":"ci"}`
	github := []string{"X-Hub-Signature-256", hookSignature(fixture.AgentSecret, hook), "X-GitHub-Event", "pull_request", "X-GitHub-Delivery", "72d3162e"}
	for name, tc := range map[string]struct {
		query, body string
		headers     []string
		want        boathook.TriggerDetails
	}{
		"a preset's": {"?env=prod&token=hunter2", hook, append(github, "Content-Type", "application/json"),
			boathook.TriggerDetails{Event: "pull_request.opened", DeliveryID: "72d3162e", ContentType: "application/json", Query: "env=prod"}},
		"the document's": {"?n=1&n=2", own, []string{"X-Signature", sign(own), "Content-Type", "text/plain"},
			boathook.TriggerDetails{Event: "build.failed", ContentType: "text/plain", Query: "n=1&n=2"}},
		"by the plain secret":   {"", own, []string{"X-Webhook-Secret", fixture.AgentSecret}, boathook.TriggerDetails{Event: "build.failed"}},
		"one that says nothing": {"", `{}`, []string{"X-Signature", sign(`{}`)}, boathook.TriggerDetails{}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newAgentPlace(t, byPreset(boathook.Verification{Preset: "github"}))
			w, _ := p.serve(http.MethodPost, p.path+tc.query, tc.body, tc.headers...)
			wantAnswer(t, w, http.StatusAccepted, agentAccepted)
			queued := p.queued(t)
			if len(queued) != 1 {
				t.Fatalf("%d runs were queued", len(queued))
			}
			head, err := p.store.RunHead(t.Context(), queued[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]boathook.TriggerDetails{tc.want, tc.want}, []boathook.TriggerDetails{queued[0].Details, head.Details}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhoLooksForAnAgentsURLStartsNothing(t *testing.T) {
	p := newAgentPlace(t, byPreset(boathook.Verification{Preset: "cloudevents"}))
	plain := fixture.NewAgent(t, p.store, p.Source.WorkspaceID, nil)
	bare := fixture.NewAgent(t, p.store, p.Source.WorkspaceID, func(a *boathook.AgentSettings) {
		a.SealedSecret, a.Verification = nil, boathook.Verification{Preset: "github"}
	})
	for name, tc := range map[string]struct {
		path   string
		status int
		answer string
	}{
		"with a preset":            {p.path, 200, ""},
		"without one":              {triggerPath(plain.Source.Agent.CrewID, plain.Source.ID), 401, "unauthorized\n"},
		"an unknown one":           {triggerPath("crew_x", "agent_x"), 401, "unauthorized\n"},
		"of another crew":          {triggerPath("crew_x", p.agent.Source.ID), 401, "unauthorized\n"},
		"with a preset, no secret": {triggerPath(bare.Source.Agent.CrewID, bare.Source.ID), 404, "not found\n"},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
			w := p.ask(method, tc.path, "", "WebHook-Request-Origin", "events.example")
			answer, allow, origin := tc.answer, "", ""
			if method == http.MethodHead {
				answer = ""
			}
			if method == http.MethodOptions && tc.status == 200 {
				allow, origin = "GET, HEAD, OPTIONS, POST", "events.example"
			}
			if w.Code != tc.status || w.Body.String() != answer || w.Header().Get("Allow") != allow || w.Header().Get("WebHook-Allowed-Origin") != origin {
				t.Errorf("%s, %s: answered %d %q %v", name, method, w.Code, w.Body, w.Header())
			}
		}
	}
	if n := len(p.queued(t)); n != 0 || len(p.requests(t)) != 0 {
		t.Errorf("%d runs were queued, %d requests are kept", n, len(p.requests(t)))
	}
	p.lookUpErr = errDown
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
		if w := p.ask(method, p.path, ""); w.Code != 503 {
			t.Errorf("%s, while the store is down: answered %d %q", method, w.Code, w.Body)
		}
	}
}

func TestGraphValidatesAnAgentsURL(t *testing.T) {
	p := newAgentPlace(t, byPreset(boathook.Verification{Preset: "msgraph"}))
	w := p.post(p.path+"?validationToken=%3Cb%3E+1", "")
	if w.Code != 200 || w.Body.String() != "<b> 1" || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("answered %d %q %v", w.Code, w.Body, w.Header())
	}
	if n := len(p.queued(t)); n != 0 {
		t.Errorf("%d runs were queued", n)
	}
}

func TestDiscordsPingOfAnAgentsURLIsAnsweredWithNothing(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public := hex.EncodeToString(key.Public().(ed25519.PublicKey))
	p := newAgentPlace(t, byPreset(boathook.Verification{Preset: "discord", SealedSecret: []byte(public)}))
	const body = `{"version":1,"application_id":"1","type":0}`
	at := strconv.FormatInt(time.Now().Unix(), 10)
	w := p.post(p.path, body, "X-Signature-Timestamp", at, "X-Signature-Ed25519", hex.EncodeToString(ed25519.Sign(key, []byte(at+body))))
	if w.Code != 204 || w.Body.Len() > 0 {
		t.Errorf("answered %d %q", w.Code, w.Body)
	}
	if n := len(p.queued(t)); n != 0 {
		t.Errorf("%d runs were queued", n)
	}
}
