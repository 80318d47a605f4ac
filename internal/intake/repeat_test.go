package intake_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/intake"
	"boathook/internal/queue"
	"boathook/internal/run"
	"boathook/internal/store"
)

// over brings the run of an answer to its end, and frees its place.
func (p *agentPlace) over(t *testing.T, answer *httptest.ResponseRecorder) {
	t.Helper()
	id, claim := answer.Header().Get("X-Run-Id"), boathook.Claim{ID: "claim_a", LeaseUntil: time.Now().Add(time.Minute)}
	_, err := p.store.ClaimRun(t.Context(), id, claim, time.Now())
	if err == nil {
		_, err = p.store.FinishRun(t.Context(), id, claim, boathook.Outcome{Status: boathook.RunSucceeded, CompletedAt: time.Now()})
	}
	if err == nil {
		err = p.store.Release(t.Context(), p.agent.Source.ID, id, time.Time{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A repeat starts nothing, so it needs no place and counts for no rate: its sender
// is told of the first one's run however busy the agent is by then.
func TestARepeatedKeyIsAnsweredWhateverTheAgentsLoad(t *testing.T) {
	for name, limit := range map[string]func(*boathook.AgentSettings){
		"its rate is used up":   func(a *boathook.AgentSettings) { a.RatePerMinute = 2 },
		"its places are filled": func(a *boathook.AgentSettings) { a.MaxInFlight = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newAgentPlace(t, limit)
				first := p.signed(`{}`, "Idempotency-Key", "key")
				wantAnswer(t, first, http.StatusAccepted, agentAccepted)
				p.over(t, first)
				wantAnswer(t, p.signed(`{}`), http.StatusAccepted, agentAccepted)
				wantAnswer(t, p.signed(`{}`), http.StatusTooManyRequests, "too many requests\n")

				before := p.load(t)
				again := p.signed(`{}`, "Idempotency-Key", "key")
				wantAnswer(t, again, http.StatusAccepted, agentAccepted)
				if a, b := first.Header().Get("X-Run-Id"), again.Header().Get("X-Run-Id"); a != b {
					t.Errorf("the runs are %q and %q", a, b)
				}
				if after := p.load(t); after.Revision != before.Revision {
					t.Errorf("the load was %+v and is %+v", before, after)
				}
				// The same of a key whose use was another: it is no run either.
				if w := p.signed(`{"n":2}`, "Idempotency-Key", "key"); w.Code != http.StatusConflict {
					t.Errorf("the same key with another body: %d %s", w.Code, w.Body)
				}
				if after := p.load(t); after.Revision != before.Revision {
					t.Errorf("a conflict counts: the load was %+v and is %+v", before, after)
				}
			})
		})
	}
}

func (p *agentPlace) load(t *testing.T) store.Load {
	t.Helper()
	view, err := p.store.LookUpAgent(t.Context(), p.agent.Source.ID)
	if err != nil {
		t.Fatal(err)
	}
	return view.Load
}

// heedful has an agent's places in a store that heeds its contexts.
type heedful struct{ store.Loads }

func (h heedful) Release(ctx context.Context, agentID, runID string, made time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return h.Loads.Release(ctx, agentID, runID, made)
}

// A sender that leaves while its run is refused must not take a place with it.
func TestTheRunOfASenderThatHasLeftHoldsNoPlace(t *testing.T) {
	p := newAgentPlace(t, func(a *boathook.AgentSettings) { a.MaxInFlight = 1 })
	p.Loads = heedful{p.store}
	p.sendErr = errDown
	ctx, leave := context.WithCancel(t.Context())
	leave()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, p.path, strings.NewReader(`{}`))
	r.Header.Set("X-Signature", sign(`{}`))
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	if load := p.load(t); len(load.InFlight) != 0 {
		t.Errorf("in flight are %v", load.InFlight)
	}
}

// The place is that of the first request's run, which may be executed.
func TestARepeatThatFailsLeavesTheFirstOnesPlace(t *testing.T) {
	p := newAgentPlace(t, func(a *boathook.AgentSettings) { a.MaxInFlight = 1 })
	first := p.signed(`{}`, "Idempotency-Key", "key")
	wantAnswer(t, first, http.StatusAccepted, agentAccepted)
	held := func(after string) {
		t.Helper()
		if _, held := p.load(t).InFlight[first.Header().Get("X-Run-Id")]; !held {
			t.Errorf("after %s, the first one's run holds no place", after)
		}
	}
	p.sendErr = errDown
	if w := p.signed(`{}`, "Idempotency-Key", "key"); w.Code != http.StatusServiceUnavailable {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	p.sendErr = nil
	held("a repeat that could not be queued")

	// A request that raced with the first has not seen its run.
	p.handler = p.another(unseeing{p.place}, p)
	if w := p.signed(`{"n":2}`, "Idempotency-Key", "key"); w.Code != http.StatusConflict {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	held("a conflict")
}

// another is an intake beside the place's own, with a store and a queue of runs.
func (p *agentPlace) another(s intake.Store, q queue.Sender) http.Handler {
	in := &intake.Intake{
		Store: s, Seal: p, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Agents: intake.Prerequisites{Execution: true, Target: true, LogStore: true, InternalToken: true},
		Runs:   &run.Starter{Store: p.store, Queue: q, Now: time.Now, Log: slog.New(slog.DiscardHandler)},
	}
	return in.Handler()
}

// overtaken is a queue that takes nothing, and lets something happen before it says so.
type overtaken struct{ meanwhile func() }

func (o overtaken) Send(context.Context, ...queue.Message) error {
	o.meanwhile()
	return errDown
}

// The first request removes the record, since it can't know of the repeat. The
// run executes all the same, by the repeat's message, and so it keeps its place.
func TestARequestThatFailsLateLeavesThePlaceToTheRepeatThatWasAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newAgentPlace(t, func(a *boathook.AgentSettings) { a.MaxInFlight = 1 })
		own := p.handler
		var repeat *httptest.ResponseRecorder
		p.handler = p.another(p.place, overtaken{func() {
			time.Sleep(time.Second)
			p.handler = own
			repeat = p.signed(`{}`, "Idempotency-Key", "key")
		}})
		wantAnswer(t, p.signed(`{}`, "Idempotency-Key", "key"), http.StatusServiceUnavailable, "the run could not be made durable, try again\n")
		wantAnswer(t, repeat, http.StatusAccepted, agentAccepted)
		if _, held := p.load(t).InFlight[repeat.Header().Get("X-Run-Id")]; !held {
			t.Error("the run that was accepted has no place")
		}
		wantAnswer(t, p.signed(`{}`), http.StatusTooManyRequests, "too many requests\n")
	})
}

// unseeing does not see the runs that keys stand for.
type unseeing struct{ *place }

func (u unseeing) LookUpAgent(ctx context.Context, agentID string, _ ...string) (store.AgentView, error) {
	return u.place.LookUpAgent(ctx, agentID)
}

func TestATimestampIsGoodFor300Seconds(t *testing.T) {
	for age, status := range map[time.Duration]int{
		-301 * time.Second: http.StatusBadRequest, -300 * time.Second: http.StatusAccepted,
		300 * time.Second: http.StatusAccepted, 301 * time.Second: http.StatusBadRequest,
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newAgentPlace(t, nil)
			at := strconv.FormatInt(time.Now().Add(-age).Unix(), 10)
			if w := p.post(p.path, `{}`, "X-Signature", sign(at+".{}"), "X-Timestamp", at); w.Code != status {
				t.Errorf("%s old: answered %d %s, want %d", age, w.Code, w.Body, status)
			}
		})
	}
}

// A sender's repeat may have another body, but a failure is not such a repeat.
func TestADeliveryThatCanNotBeQueuedIsA503(t *testing.T) {
	p := newPlace(t)
	w := p.Incoming
	w.Verification = boathook.Verification{Preset: "github", SealedSecret: []byte("s3cret")}
	if err := p.store.PutIncoming(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte("s3cret"))
	mac.Write([]byte(`{}`))
	headers := []string{"X-Hub-Signature-256", "sha256=" + hex.EncodeToString(mac.Sum(nil)), "X-GitHub-Delivery", "72d3162e"}
	p.sendErr = errDown
	if w := p.trigger(`{}`, headers...); w.Code != http.StatusServiceUnavailable {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	p.sendErr = nil
	if w := p.trigger(`{}`, headers...); w.Code != http.StatusAccepted || len(p.queued(t)) != 1 {
		t.Errorf("its repeat is answered %d %s", w.Code, w.Body)
	}
}
