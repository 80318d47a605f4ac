package intake_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/testing/fixture"
)

// sent is a request as a client, or whoever has captured one, sends it.
type sent struct {
	how  string // "timestamp": signed with one; "body": signed without; "secret": the plain secret, with a timestamp
	at   int    // seconds ago, which make another signature
	key  string
	body string
	dies bool // between what it has pinned and its run
}

func (s sent) String() string {
	return fmt.Sprintf("{%s %d key %q body %s dies %t}", s.how, s.at, s.key, s.body, s.dies)
}

// send answers without the checks of [place.post], which take long.
func (p *agentPlace) send(s sent) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, p.path, strings.NewReader(s.body))
	now := strconv.FormatInt(time.Now().Unix()-int64(s.at), 10)
	switch s.how {
	case "timestamp":
		r.Header.Set("X-Timestamp", now)
		r.Header.Set("X-Signature", sign(now+"."+s.body))
	case "body":
		r.Header.Set("X-Signature", sign(s.body))
	case "secret":
		r.Header.Set("X-Timestamp", now)
		r.Header.Set("X-Webhook-Secret", fixture.AgentSecret)
	}
	if s.key != "" {
		r.Header.Set("Idempotency-Key", s.key)
	}
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	return w
}

// rules are what wire formats, section 2, say of repeated triggers: which run
// each has, counted from 1.
type rules struct {
	runs     int
	named    map[string]int // by the signature, or another one, of the request that the run began with
	answered map[string]int // by signatures that have had a run
	ofKey    map[string]int
	bodies   map[int]string // of the runs that were created
}

func newRules() *rules {
	return &rules{named: map[string]int{}, answered: map[string]int{}, ofKey: map[string]int{}, bodies: map[int]string{}}
}

// run is that of a request; conflict is that the run has another body.
func (r *rules) run(s sent) (run int, conflict bool) {
	signature := ""
	if s.how == "timestamp" {
		signature = fmt.Sprint(s.at, s.body)
	}
	run, answered := r.answered[signature]
	if !answered {
		if run = r.ofKey[s.key]; run == 0 {
			if run = r.named[signature]; run == 0 {
				r.runs++
				run = r.runs
			}
			if signature != "" {
				r.named[signature] = run
			}
			if s.key != "" {
				r.ofKey[s.key] = run
			}
		}
	}
	if of := r.ofKey[s.key]; answered && of != 0 && of != run {
		return of, true
	}
	if signature != "" && r.named[signature] != run {
		r.answered[signature] = run
	}
	if body, created := r.bodies[run]; created {
		return run, body != s.body
	}
	if !s.dies {
		r.bodies[run] = s.body
		for signature, named := range r.named {
			if named == run {
				r.answered[signature] = run
			}
		}
	}
	return run, false
}

func TestEverySequenceOfTriggersStartsTheRunsThatTheRulesSay(t *testing.T) {
	const body = `{"a":1}`
	requests := []sent{
		{"body", 0, "", body, false}, {"body", 0, "k", body, false}, {"body", 0, "k", `{"b":2}`, false}, {"secret", 0, "k", body, false},
	}
	for _, body := range []string{body, `{"b":2}`} {
		for _, key := range []string{"", "k", "j"} {
			for _, at := range []int{0, 60} {
				requests = append(requests, sent{"timestamp", at, key, body, false})
			}
		}
	}
	synctest.Test(t, func(t *testing.T) { // time stands still, so that signatures are the same again
		for _, first := range requests {
			if first.at != 0 || first.body != body || first.key == "j" {
				continue // the same by other names
			}
			for _, dies := range []bool{false, true} {
				first.dies = dies
				if dies && (first.key == "" || first.how != "timestamp") {
					continue // it pins nothing
				}
				for _, second := range requests {
					for _, third := range requests {
						if t.Failed() {
							return
						}
						follow(t, first, second, third)
					}
				}
			}
		}
	})
}

// follow sends requests and holds the answers to the rules.
func follow(t *testing.T, sequence ...sent) {
	t.Helper()
	p := newAgentPlace(t, func(a *boathook.AgentSettings) { a.MaxInFlight = 100 })
	rules, ids := newRules(), map[int]string{}
	for _, s := range sequence {
		run, conflict := rules.run(s)
		if p.sendErr = nil; s.dies {
			p.sendErr = errDown
		}
		w := p.send(s)
		id := w.Header().Get("X-Run-Id")
		want := http.StatusAccepted
		switch {
		case s.dies:
			want = http.StatusServiceUnavailable
		case conflict:
			want = http.StatusConflict
		}
		if w.Code != want {
			t.Errorf("%v: %v is answered %d %s, want %d", sequence, s, w.Code, w.Body, want)
			return
		}
		if want != http.StatusAccepted {
			continue
		}
		if known, ok := ids[run]; ok && known != id {
			t.Errorf("%v: %v has the run %s, want %s", sequence, s, id, known)
		}
		for other, known := range ids {
			if other != run && known == id {
				t.Errorf("%v: %v has the run of another", sequence, s)
			}
		}
		ids[run] = id
	}
	started := map[string]bool{}
	for {
		some := p.queued(t)
		if len(some) == 0 {
			break
		}
		for _, r := range some {
			started[r.ID] = true
		}
	}
	if len(started) != len(rules.bodies) {
		t.Errorf("%v: %d runs were started, want %d", sequence, len(started), len(rules.bodies))
	}
}

func TestTriggersThatRaceStartOneRun(t *testing.T) {
	body := `{"event":"x"}`
	for name, request := range map[string]func(i int) sent{
		"one request under many keys":            func(i int) sent { return sent{"timestamp", 0, "k" + strconv.Itoa(i), body, false} },
		"one request, and it under many keys":    func(i int) sent { return sent{"timestamp", 0, strings.Repeat("k", i%3), body, false} },
		"one request without a key":              func(int) sent { return sent{"timestamp", 0, "", body, false} },
		"one key with many signatures":           func(i int) sent { return sent{"timestamp", i, "k", body, false} },
		"one key with few signatures, each once": func(i int) sent { return sent{"timestamp", i % 3, "k", body, false} },
		"one key with signatures over the body":  func(int) sent { return sent{"body", 0, "k", body, false} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newAgentPlace(t, func(a *boathook.AgentSettings) { a.MaxInFlight = 100 })
				p.lookedUp = func() { time.Sleep(time.Second) } // until all have looked: none knows of another
				var group sync.WaitGroup
				answers := make([]*httptest.ResponseRecorder, 16)
				for i := range answers {
					group.Go(func() { answers[i] = p.send(request(i)) })
				}
				group.Wait()
				for _, w := range answers {
					if id := w.Header().Get("X-Run-Id"); w.Code != http.StatusAccepted || id != answers[0].Header().Get("X-Run-Id") {
						t.Errorf("answered %d %s with the run %q, and another with %q", w.Code, w.Body, id, answers[0].Header().Get("X-Run-Id"))
					}
				}
				heads, _, err := p.store.RunHeads(t.Context(), p.runsOfAgent())
				if err != nil || len(heads) != 1 {
					t.Errorf("there are %d runs, %v", len(heads), err)
				}
			})
		})
	}
}

// Whoever has captured a request may send it within its tolerance, and not later.
func TestACapturedTriggerIsWorthNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newAgentPlace(t, func(a *boathook.AgentSettings) { a.RatePerMinute, a.MaxInFlight = 1, 1 })
		now := strconv.FormatInt(time.Now().Unix(), 10)
		captured := []string{"X-Timestamp", now, "X-Signature", sign(now + ".{}")}
		first := p.post(p.path, `{}`, append(captured, "Idempotency-Key", "order-1")...)
		wantAnswer(t, first, http.StatusAccepted, agentAccepted)
		for _, key := range []string{"order-1", "order-2", "order-3", ""} {
			headers := captured
			if key != "" {
				headers = append(captured, "Idempotency-Key", key)
			}
			w := p.post(p.path, `{}`, headers...)
			wantAnswer(t, w, http.StatusAccepted, agentAccepted) // and it takes none of the agent's rate
			if got, want := w.Header().Get("X-Run-Id"), first.Header().Get("X-Run-Id"); got != want {
				t.Errorf("with the key %q it starts %s, the first was %s", key, got, want)
			}
		}
		time.Sleep(time.Minute)
		head, err := p.store.RequestCancel(t.Context(), first.Header().Get("X-Run-Id"), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := p.store.Release(t.Context(), p.agent.Source.ID, head.ID, time.Time{}); err != nil {
			t.Fatal(err)
		}
		wantAnswer(t, p.post(p.path, `{}`, captured...), http.StatusAccepted, agentAccepted) // though that run is over

		// A key that somebody has sent along with it is its owner's to use.
		later := strconv.FormatInt(time.Now().Unix(), 10)
		own := p.post(p.path, `{}`, "X-Timestamp", later, "X-Signature", sign(later+".{}"), "Idempotency-Key", "order-2")
		wantAnswer(t, own, http.StatusAccepted, agentAccepted)
		if own.Header().Get("X-Run-Id") == head.ID {
			t.Error("a captured request has taken a key")
		}

		time.Sleep(4*time.Minute + time.Second)
		wantAnswer(t, p.post(p.path, `{}`, captured...), http.StatusBadRequest, "stale or invalid timestamp\n")
	})
}

// A pin is for those triggers that could be captured and repeated with another key.
func TestOnlyASignedTriggerWithAKeyIsPinned(t *testing.T) {
	p := newAgentPlace(t, func(a *boathook.AgentSettings) { a.MaxInFlight = 100 })
	p.pinErr = errDown
	for _, s := range []sent{
		{"timestamp", 0, "", `{}`, false}, {"timestamp", 0, "", `{}`, false}, {"timestamp", 0, "k", `{}`, false},
		{"body", 0, "", `{}`, false}, {"body", 0, "k", `{}`, false}, {"body", 0, "k", `{}`, false}, {"secret", 0, "k", `{}`, false},
	} {
		if w := p.send(s); w.Code != http.StatusAccepted {
			t.Errorf("%v: answered %d %s", s, w.Code, w.Body)
		}
	}
	for _, s := range []sent{{"timestamp", 7, "new", `{}`, false}, {"timestamp", 8, "k", `{}`, false}} {
		if w := p.send(s); w.Code != http.StatusServiceUnavailable {
			t.Errorf("%v, which can't be pinned: answered %d %s", s, w.Code, w.Body)
		}
	}
}
