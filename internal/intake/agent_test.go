package intake_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/intake"
	"boathook/internal/store"
	"boathook/internal/testing/fixture"
)

// agentPlace is an intake with an agent behind it.
type agentPlace struct {
	*place
	agent fixture.Agent
	path  string
}

func newAgentPlace(t testing.TB, change func(*boathook.AgentSettings)) *agentPlace {
	t.Helper()
	p := &agentPlace{place: newPlace(t)}
	p.agent = fixture.NewAgent(t, p.store, p.Source.WorkspaceID, change)
	p.path = triggerPath(p.agent.Source.Agent.CrewID, p.agent.Source.ID)
	return p
}

func triggerPath(crewID, agentID string) string {
	return fmt.Sprintf("/api/v1/webhooks/%s/%s/trigger", crewID, agentID)
}

// sign is a sender's own code: hex(HMAC-SHA256(secret, text)).
func sign(text string) string {
	mac := hmac.New(sha256.New, []byte(fixture.AgentSecret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// signed triggers the agent with a right signature.
func (p *agentPlace) signed(body string, headers ...string) *httptest.ResponseRecorder {
	return p.post(p.path, body, append([]string{"X-Signature", sign(body)}, headers...)...)
}

func wantAnswer(t *testing.T, w *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	if w.Code != status || w.Body.String() != body {
		t.Errorf("answered %d %q, want %d %q", w.Code, w.Body, status, body)
	}
	kind := "text/plain; charset=utf-8"
	if status == http.StatusAccepted {
		kind = "application/json"
	}
	if got := w.Header().Get("Content-Type"); got != kind {
		t.Errorf("the content type is %q, want %q", got, kind)
	}
}

const agentAccepted = `{"status":"accepted"}`

func TestASignedTriggerStartsTheAgent(t *testing.T) {
	p := newAgentPlace(t, nil)
	const body = `{"event":"pull_request.opened","source":"github","data":{"pr":42}}`
	w := p.signed(body)
	wantAnswer(t, w, http.StatusAccepted, agentAccepted)
	if w.Header().Get("Deprecation")+w.Header().Get("Sunset") != "" {
		t.Errorf("a signed trigger is told of a deprecation: %v", w.Header())
	}
	found := p.queued(t)
	if len(found) != 1 || found[0].ID != w.Header().Get("X-Run-Id") {
		t.Fatalf("queued %+v, the answer names run %q", found, w.Header().Get("X-Run-Id"))
	}
	run := found[0]
	if run.SourceID != p.agent.Source.ID || run.VersionID != p.agent.Version.ID || run.Trigger != boathook.TriggerWebhook ||
		run.EventName != "pull_request.opened" || run.EventSource != "github" || run.Input.String() != body {
		t.Errorf("queued %+v with input %s", run.RunHead, run.Input.Bytes())
	}
}

func TestAnAgentsTriggerIsRefusedInTheDocumentedOrder(t *testing.T) {
	now := strconv.FormatInt(time.Now().Unix(), 10)
	stale := strconv.FormatInt(time.Now().Add(-302*time.Second).Unix(), 10)
	ahead := strconv.FormatInt(time.Now().Add(302*time.Second).Unix(), 10)
	large := strings.Repeat(" ", boathook.MaxAgentBody+1)
	wrong := sign("something else")

	p := newAgentPlace(t, nil)
	bare := fixture.NewAgent(t, p.store, p.Source.WorkspaceID, func(a *boathook.AgentSettings) { a.SealedSecret = nil })
	strict := fixture.NewAgent(t, p.store, p.Source.WorkspaceID, func(a *boathook.AgentSettings) { a.RequireTimestamp = true })
	strictPath := triggerPath(strict.Source.Agent.CrewID, strict.Source.ID)
	full := fixture.NewAgent(t, p.store, p.Source.WorkspaceID, func(a *boathook.AgentSettings) { a.RatePerMinute = 0 })
	fullPath := triggerPath(full.Source.Agent.CrewID, full.Source.ID)

	for _, tc := range []struct {
		name    string
		path    string
		body    string
		headers []string
		status  int
		answer  string
	}{
		{"no credential, unknown agent", triggerPath("crew_x", "agent_x"), large, nil, 401, "unauthorized\n"},
		{"empty credentials", p.path, `{}`, []string{"X-Signature", "", "X-Webhook-Secret", ""}, 401, "unauthorized\n"},
		{"unknown agent, large body", triggerPath("crew_x", "agent_x"), large, []string{"X-Signature", wrong}, 404, "not found\n"},
		{"an agent of another crew", triggerPath("crew_x", p.agent.Source.ID), large, []string{"X-Signature", wrong}, 404, "not found\n"},
		{"an agent without a secret", triggerPath(bare.Source.Agent.CrewID, bare.Source.ID), large, []string{"X-Signature", wrong}, 404, "not found\n"},
		{"an id longer than any key", triggerPath("crew_x", strings.Repeat("a", 2100)), `{}`, []string{"X-Signature", wrong}, 404, "not found\n"},
		{"an agent's id, longer than any key", triggerPath("crew_x", p.agent.Source.ID+strings.Repeat("a", 2100)), `{}`, []string{"X-Signature", wrong}, 404, "not found\n"},
		{"an id with the keys' separator", triggerPath(p.agent.Source.Agent.CrewID, p.agent.Source.ID+"%23source"), `{}`, []string{"X-Signature", sign(`{}`)}, 404, "not found\n"},
		{"a crew with the keys' separator", triggerPath(p.agent.Source.Agent.CrewID+"%23", p.agent.Source.ID), `{}`, []string{"X-Signature", sign(`{}`)}, 404, "not found\n"},
		{"an id with a NUL", triggerPath("crew_x", "agent_x%00"), `{}`, []string{"X-Signature", wrong}, 404, "not found\n"},
		{"a deployment", triggerPath("crew_x", p.Source.ID), `{}`, []string{"X-Signature", sign(`{}`)}, 404, "not found\n"},
		{"a large body, wrong signature", p.path, large, []string{"X-Signature", wrong}, 413, "payload too large\n"},
		{"a wrong signature, stale", p.path, `{`, []string{"X-Signature", wrong, "X-Timestamp", stale}, 401, "unauthorized\n"},
		{"a wrong signature beside the right secret", p.path, `{}`, []string{"X-Signature", wrong, "X-Webhook-Secret", fixture.AgentSecret}, 401, "unauthorized\n"},
		{"upper-case hex", p.path, `{}`, []string{"X-Signature", strings.ToUpper(sign(`{}`))}, 401, "unauthorized\n"},
		{"a prefix", p.path, `{}`, []string{"X-Signature", "sha256=" + sign(`{}`)}, 401, "unauthorized\n"},
		{"a signature without the timestamp that is sent", p.path, `{}`, []string{"X-Signature", sign(`{}`), "X-Timestamp", now}, 401, "unauthorized\n"},
		{"a wrong secret, stale", p.path, `{`, []string{"X-Webhook-Secret", "wrong", "X-Timestamp", stale}, 401, "unauthorized\n"},
		{"a stale timestamp, not JSON", p.path, `{`, []string{"X-Signature", sign(stale + ".{"), "X-Timestamp", stale}, 400, "stale or invalid timestamp\n"},
		{"a timestamp ahead", p.path, `{}`, []string{"X-Signature", sign(ahead + ".{}"), "X-Timestamp", ahead}, 400, "stale or invalid timestamp\n"},
		{"a timestamp that is none", p.path, `{}`, []string{"X-Signature", sign("now.{}"), "X-Timestamp", "now"}, 400, "stale or invalid timestamp\n"},
		{"the least timestamp", p.path, `{}`, []string{"X-Signature", sign("-9223372036854775808.{}"), "X-Timestamp", "-9223372036854775808"}, 400, "stale or invalid timestamp\n"},
		{"a timestamp with a plus", p.path, `{}`, []string{"X-Signature", sign("+" + now + ".{}"), "X-Timestamp", "+" + now}, 400, "stale or invalid timestamp\n"},
		{"a timestamp with a minus", p.path, `{}`, []string{"X-Signature", sign("-0.{}"), "X-Timestamp", "-0"}, 400, "stale or invalid timestamp\n"},
		{"a timestamp with a space", p.path, `{}`, []string{"X-Signature", sign(" " + now + ".{}"), "X-Timestamp", " " + now}, 400, "stale or invalid timestamp\n"},
		{"a timestamp with a line break", p.path, `{}`, []string{"X-Signature", sign(now + "\n.{}"), "X-Timestamp", now + "\n"}, 400, "stale or invalid timestamp\n"},
		{"a timestamp with an underscore", p.path, `{}`, []string{"X-Signature", sign(now[:4] + "_" + now[4:] + ".{}"), "X-Timestamp", now[:4] + "_" + now[4:]}, 400, "stale or invalid timestamp\n"},
		{"a fraction", p.path, `{}`, []string{"X-Signature", sign(now + ".0.{}"), "X-Timestamp", now + ".0"}, 400, "stale or invalid timestamp\n"},
		{"hexadecimal", p.path, `{}`, []string{"X-Signature", sign("0x7fffffff.{}"), "X-Timestamp", "0x7fffffff"}, 400, "stale or invalid timestamp\n"},
		{"other digits", p.path, `{}`, []string{"X-Signature", sign("１.{}"), "X-Timestamp", "１"}, 400, "stale or invalid timestamp\n"},
		{"a timestamp with a plus, and the secret", p.path, `{}`, []string{"X-Webhook-Secret", fixture.AgentSecret, "X-Timestamp", "+" + now}, 400, "stale or invalid timestamp\n"},
		{"the largest timestamp", p.path, `{}`, []string{"X-Signature", sign("18446744073709551615.{}"), "X-Timestamp", "18446744073709551615"}, 400, "stale or invalid timestamp\n"},
		{"a stale timestamp with the secret", p.path, `{}`, []string{"X-Webhook-Secret", fixture.AgentSecret, "X-Timestamp", stale}, 400, "stale or invalid timestamp\n"},
		{"no timestamp where one is required", strictPath, `{`, []string{"X-Signature", sign(`{`)}, 400, "stale or invalid timestamp\n"},
		{"not JSON, over the rate", fullPath, `{`, []string{"X-Signature", sign(`{`)}, 400, "invalid JSON\n"},
		{"not UTF-8", p.path, "{\"a\":\"\xff\"}", []string{"X-Signature", sign("{\"a\":\"\xff\"}")}, 400, "invalid JSON\n"},
		{"over the rate", fullPath, `{}`, []string{"X-Signature", sign(`{}`)}, 429, "too many requests\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := p.post(tc.path, tc.body, tc.headers...)
			wantAnswer(t, w, tc.status, tc.answer)
			if wait, err := strconv.Atoi(w.Header().Get("Retry-After")); (tc.status == 429) != (err == nil && wait >= 1 && wait <= 60) {
				t.Errorf("Retry-After is %q", w.Header().Get("Retry-After"))
			}
		})
	}
	if left := p.queued(t); len(left) != 0 {
		t.Errorf("%d refused triggers are queued", len(left))
	}
	if text := p.log.String(); strings.Contains(text, fixture.AgentSecret) {
		t.Error("the log holds the secret")
	} else if strings.Contains(text, "level=ERROR") || strings.Contains(text, strings.Repeat("a", 100)) {
		t.Errorf("logged %.500s", text)
	}
}

func TestWhatAnAgentsTriggerMayLookLike(t *testing.T) {
	now := strconv.FormatInt(time.Now().Add(-290*time.Second).Unix(), 10)
	for name, tc := range map[string]struct {
		body    string
		headers []string
		input   string
		event   string
	}{
		"an empty body":                      {"", []string{"X-Signature", sign("")}, `{}`, "unknown"},
		"an array":                           {`[1]`, []string{"X-Signature", sign(`[1]`)}, `[1]`, "unknown"},
		"an event that is no text":           {`{"event":5}`, []string{"X-Signature", sign(`{"event":5}`)}, `{"event":5}`, "unknown"},
		"a timestamp":                        {`{}`, []string{"X-Signature", sign(now + ".{}"), "X-Timestamp", now}, `{}`, "unknown"},
		"a right signature, a wrong secret":  {`{}`, []string{"X-Signature", sign(`{}`), "X-Webhook-Secret", "wrong"}, `{}`, "unknown"},
		"a form's content type":              {`{"event":"x"}`, []string{"X-Signature", sign(`{"event":"x"}`), "Content-Type", "application/x-www-form-urlencoded"}, `{"event":"x"}`, "x"},
		"a body of the largest size":         {strings.Repeat(" ", boathook.MaxAgentBody-2) + `{}`, []string{"X-Webhook-Secret", fixture.AgentSecret}, strings.Repeat(" ", boathook.MaxAgentBody-2) + `{}`, "unknown"},
		"an event too long for a run's head": {`{"event":"` + strings.Repeat("é", 200) + `"}`, []string{"X-Webhook-Secret", fixture.AgentSecret}, `{"event":"` + strings.Repeat("é", 200) + `"}`, strings.Repeat("é", 98) + "…"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newAgentPlace(t, nil)
			wantAnswer(t, p.post(p.path, tc.body, tc.headers...), http.StatusAccepted, agentAccepted)
			found := p.queued(t)
			if len(found) != 1 || found[0].Input.String() != tc.input || found[0].EventName != tc.event || found[0].EventSource != "unknown" {
				t.Errorf("queued %+v", found)
			}
		})
	}
}

func TestThePlainSecretWorksUntilItsSunset(t *testing.T) {
	for name, tc := range map[string]struct {
		at   time.Time
		keep bool
		ok   bool
	}{
		"before":                       {intake.Sunset.Add(-time.Hour), false, true},
		"at the last instant":          {intake.Sunset, false, true},
		"after":                        {intake.Sunset.Add(time.Second), false, false},
		"after, for an agent that may": {intake.Sunset.Add(time.Hour), true, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(tc.at))
				p := newAgentPlace(t, func(a *boathook.AgentSettings) { a.KeepPlainSecret = tc.keep })
				w := p.post(p.path, `{}`, "X-Webhook-Secret", fixture.AgentSecret)
				deprecation, sunset := `version="X-Webhook-Secret"`, "Thu, 31 Dec 2026 23:59:59 GMT"
				if tc.ok {
					wantAnswer(t, w, http.StatusAccepted, agentAccepted)
				} else {
					wantAnswer(t, w, http.StatusUnauthorized, "unauthorized\n")
					deprecation, sunset = "", ""
				}
				if w.Header().Get("Deprecation") != deprecation || w.Header().Get("Sunset") != sunset {
					t.Errorf("the headers are %v", w.Header())
				}
				wantAnswer(t, p.signed(`{}`), http.StatusAccepted, agentAccepted)
			})
		})
	}
}

func TestARepeatedKeyOfAnAgentStartsNothingAndCountsOnce(t *testing.T) {
	p := newAgentPlace(t, func(a *boathook.AgentSettings) { a.MaxInFlight = 1 })
	first := p.signed(`{"n":1}`, "Idempotency-Key", "key")
	again := p.signed(`{"n":1}`, "Idempotency-Key", "key")
	for _, w := range []*httptest.ResponseRecorder{first, again} {
		wantAnswer(t, w, http.StatusAccepted, agentAccepted)
	}
	if a, b := first.Header().Get("X-Run-Id"), again.Header().Get("X-Run-Id"); a == "" || a != b {
		t.Errorf("the runs are %q and %q", a, b)
	}
	if w := p.signed(`{"n":2}`, "Idempotency-Key", "key"); w.Code != http.StatusConflict {
		t.Errorf("the same key with another body: %d %s", w.Code, w.Body)
	}
	wantAnswer(t, p.signed(`{}`, "Idempotency-Key", strings.Repeat("k", 256)), http.StatusBadRequest, "Idempotency-Key is longer than 255 bytes\n")
	for _, keys := range [][]string{{"Idempotency-Key", "a", "Idempotency-Key", "b"}, {"Idempotency-Key", "a,b"}} {
		wantAnswer(t, p.signed(`{}`, keys...), http.StatusBadRequest, "Idempotency-Key must be given once, as a text without commas\n")
	}
	wantAnswer(t, p.signed(`{}`), http.StatusTooManyRequests, "too many requests\n")
}

func TestAFloodGetsAsManyRunsAsTheAgentAllows(t *testing.T) {
	p := newAgentPlace(t, nil)
	var accepted, limited atomic.Int32
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			switch w := p.signed(`{}`); w.Code {
			case http.StatusAccepted:
				accepted.Add(1)
			case http.StatusTooManyRequests:
				limited.Add(1)
			default:
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
		})
	}
	group.Wait()
	if accepted.Load() != 8 || limited.Load() != 42 {
		t.Errorf("%d were accepted and %d limited, want 8 and 42", accepted.Load(), limited.Load())
	}
}

func TestATriggerThatCanNotBeMadeDurableHoldsNoPlace(t *testing.T) {
	p := newAgentPlace(t, func(a *boathook.AgentSettings) { a.MaxInFlight = 1 })
	p.sendErr = errDown
	w := p.signed(`{}`)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" || strings.Contains(w.Body.String(), errDown.Error()) {
		t.Errorf("answered %d %s with %v", w.Code, w.Body, w.Header())
	}
	p.sendErr = nil
	wantAnswer(t, p.signed(`{}`), http.StatusAccepted, agentAccepted)
}

// A place of which an accepted run is in need is not given back, else the agent runs
// more than it allows.
func TestARepeatedTriggerThatFailsLeavesItsRunThePlace(t *testing.T) {
	for name, refuse := range map[string]func(*agentPlace){
		"its first was accepted":                func(*agentPlace) {},
		"its first was accepted without record": func(p *agentPlace) { p.createErr = errDown },
		"its first could not be taken back": func(p *agentPlace) {
			p.sendErr, p.removeErr = errDown, errDown
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newAgentPlace(t, func(a *boathook.AgentSettings) { a.MaxInFlight = 1 })
			refuse(p)
			p.signed(`{}`, "Idempotency-Key", "key")
			p.sendErr = errDown
			if w := p.signed(`{}`, "Idempotency-Key", "key"); w.Code != http.StatusServiceUnavailable {
				t.Errorf("the repetition: %d %s", w.Code, w.Body)
			}
			p.sendErr, p.createErr, p.removeErr = nil, nil, nil
			wantAnswer(t, p.signed(`{"another":1}`), http.StatusTooManyRequests, "too many requests\n")
			wantAnswer(t, p.signed(`{}`, "Idempotency-Key", "key"), http.StatusAccepted, agentAccepted)
		})
	}
}

// A record that waits since its trigger was refused has lost its place by the time
// that it is accepted.
func TestARunThatIsAcceptedLateIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newAgentPlace(t, func(a *boathook.AgentSettings) { a.MaxInFlight = 1 })
		p.sendErr, p.removeErr = errDown, errDown
		p.signed(`{}`, "Idempotency-Key", "key")
		p.sendErr, p.removeErr = nil, nil
		time.Sleep(boathook.PlaceLifetime)
		wantAnswer(t, p.signed(`{}`, "Idempotency-Key", "key"), http.StatusAccepted, agentAccepted)
		wantAnswer(t, p.signed(`{"another":1}`), http.StatusTooManyRequests, "too many requests\n")
	})
}

var errDown = errors.New("it is down")

func TestAStoreThatFailsTellsNothingOfItself(t *testing.T) {
	p := newAgentPlace(t, nil)
	p.lookUpErr = errDown
	if w := p.signed(`{}`); w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), errDown.Error()) {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
}

func TestTheTriggerOfAgentsExistsOnlyWhereAllItNeedsIsConfigured(t *testing.T) {
	p := newAgentPlace(t, nil)
	for name, agents := range map[string]intake.Prerequisites{
		"no execution":         {Target: true, LogStore: true, InternalToken: true},
		"no target is allowed": {Execution: true, LogStore: true, InternalToken: true},
		"no log store":         {Execution: true, Target: true, InternalToken: true},
		"no internal token":    {Execution: true, Target: true, LogStore: true},
	} {
		p.handler = p.open(agents)
		if w := p.signed(`{}`); w.Code != http.StatusNotFound {
			t.Errorf("%s: answered %d %s", name, w.Code, w.Body)
		}
	}
}

func TestAnAgentsRunIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newAgentPlace(t, nil)
		start := time.Now()
		wantAnswer(t, p.signed(`{}`), http.StatusAccepted, agentAccepted)
		if took := time.Since(start); took != 0 {
			t.Errorf("waited for %s", took)
		}
	})
}

func (p *agentPlace) runsOfAgent() store.RunQuery {
	return store.RunQuery{WorkspaceID: p.agent.Source.WorkspaceID, SourceID: p.agent.Source.ID, Page: boathook.Page{Limit: 200}}
}
