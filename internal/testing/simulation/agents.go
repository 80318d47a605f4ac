package simulation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/intake"
	"boathook/internal/store"
)

// agentTrigger is how an agent is triggered.
type agentTrigger struct {
	path    string
	secret  string
	stamped bool // it refuses triggers without a timestamp
	limit   store.Limit
}

// addAgent makes a crew with an agent, which allows little.
func (w *world) addAgent(r *rand.Rand) {
	crew := boathook.NewID(boathook.CrewID)
	must(w.store.PutSource(context.Background(), boathook.Source{ID: crew, WorkspaceID: workspaceID, Kind: boathook.Crew, Name: "sim", CreatedAt: w.began}))
	id := boathook.NewID(boathook.AgentID)
	a := &agentTrigger{
		path: "/api/v1/webhooks/" + crew + "/" + id + "/trigger", secret: boathook.NewAgentSecret(), stamped: r.IntN(2) == 0,
		limit: store.Limit{RatePerMinute: pick(r, []int{2, 3, 60}), MaxInFlight: pick(r, []int{1, 2, 8})},
	}
	s := &source{id: id, kind: boathook.Agent, path: "/v1/crews/" + crew + "/agents/" + id, agent: a}
	w.addVersion(s, boathook.Production, r)
	w.addSource(r, s, &boathook.AgentSettings{
		CrewID: crew, Slug: "sim", SealedSecret: []byte(a.secret), RequireTimestamp: a.stamped,
		RatePerMinute: a.limit.RatePerMinute, MaxInFlight: a.limit.MaxInFlight,
	})
	w.ledger.loads[id] = &load{limit: a.limit, places: make(map[string]time.Time), before: make(map[string]int), unsure: make(map[string]bool)}
}

// sign signs a trigger as it is sent now: over the body and, if it has one, its
// timestamp.
func (a *agentTrigger) sign(body string, stamped bool) http.Header {
	if !stamped {
		return http.Header{intake.Signature: {hex.EncodeToString(mac(sha256.New, a.secret, body))}}
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	return http.Header{
		intake.Timestamp: {at}, intake.Signature: {hex.EncodeToString(mac(sha256.New, a.secret, at+"."+body))},
	}
}

// triggerAgent triggers an agent, with a signature or the plain secret, with a key
// or without, perhaps twice, or several times at once.
func (u *users) triggerAgent(r *rand.Rand) {
	agents := u.w.of(boathook.Agent)
	if len(agents) == 0 {
		return
	}
	a := pick(r, agents).agent
	k := keyed{path: a.path, body: fmt.Sprintf(`{"event":"push","source":"sim","data":{"n":%d}}`, r.Uint64())}
	stamped := a.stamped || r.IntN(3) > 0
	k.sign = func(body string) http.Header { return a.sign(body, stamped) }
	if !a.stamped && r.IntN(4) == 0 {
		k.sign = func(string) http.Header { return http.Header{intake.PlainSecret: {a.secret}} }
	}
	if r.IntN(2) == 0 {
		k.key = fmt.Sprintf("key-%d", r.Uint32())
		k.scopes = []string{a.path + " " + k.key}
	}
	who := r.IntN(6)
	if who != 0 {
		u.remember(k)
	}
	switch who {
	case 0: // somebody who has captured the trigger, and gives it another key
		header, own := k.sign(k.body), k
		k.sign = func(string) http.Header { return header }
		if u.fire(k).status != http.StatusAccepted {
			own.scopes = nil // if the copy is accepted first, the sender's key has no run
		}
		u.remember(own)
		if header.Get(intake.Timestamp) != "" {
			k.key, k.scopes = fmt.Sprintf("key-%d", r.Uint32()), nil
			u.fire(k)
		}
	case 1: // somebody who does not know the secret
		forger := agentTrigger{secret: boathook.NewAgentSecret()}
		k.sign = func(body string) http.Header { return forger.sign(body, stamped) }
		if u.fire(k).status == http.StatusAccepted {
			u.w.violated(ruleProven, a.path, "a forged trigger was accepted")
		}
	case 2, 3: // a burst
		for n := range 4 {
			other := keyed{path: a.path, body: fmt.Sprintf(`{"n":%d,"of":%s}`, n, k.body), sign: k.sign}
			u.all.Go(func() { u.fire(other) })
			time.Sleep(between(r, time.Nanosecond, 200*time.Millisecond))
		}
	default:
		u.fire(k)
		if r.IntN(3) == 0 {
			time.Sleep(between(r, time.Millisecond, 3*time.Second)) // another timestamp, and so another signature
			u.fire(k)
		}
	}
}

// What must hold of agents at each moment.
const (
	ruleRate     = "an agent's runs in a minute are within its limit"
	ruleInFlight = "an agent's runs in flight are within its limit"
	ruleAdmitted = "an agent's run that executes was admitted"
)

// load is what an agent's limits are compared with, as the ledger counts it.
type load struct {
	limit  store.Limit
	window time.Time // the beginning of the minute that count is of
	count  int
	places map[string]time.Time // by run: until when it counts as in flight, unless it is over before
	before map[string]int       // by run: how often it had been accepted when its place was made
	unsure map[string]bool      // runs whose trigger was refused, though the queue may have taken their message
}

// Admit implements [store.Loads].
func (s witness) Admit(ctx context.Context, agentID, runID string, limit store.Limit, known store.Load, now time.Time) (made time.Time, err error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if made, err = s.Store.Admit(ctx, agentID, runID, limit, known, now); err == nil {
		s.w.ledger.admit(agentID, runID, now)
	}
	return made, err
}

// Release implements [store.Loads].
func (s witness) Release(ctx context.Context, agentID, runID string, made time.Time) error {
	head, headErr := s.Store.RunHead(ctx, runID)
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	err := s.Store.Release(ctx, agentID, runID, made)
	if err != nil {
		return err
	}
	view, err := s.Store.LookUpAgent(ctx, agentID)
	if _, held := view.Load.InFlight[runID]; err == nil && !held {
		s.w.ledger.release(agentID, runID, headErr == nil && head.Status.Over())
	}
	return err
}

// release frees a run's place. One that is not over was refused, as far as its
// trigger could know. It may have been accepted before its place was made: then an
// earlier place had run out.
func (l *ledger) release(agentID, runID string, over bool) {
	a := l.loads[agentID]
	if _, held := a.places[runID]; held && !over {
		if l.acceptances(runID) > a.before[runID] {
			l.violated(ruleAdmitted, runID, "it was accepted and is not over, and its place is given to others")
		}
		a.unsure[runID] = true
	}
	delete(a.places, runID)
}

// admit counts a run that was admitted at a time of the clock of who asked.
func (l *ledger) admit(agentID, runID string, now time.Time) {
	a := l.loads[agentID]
	until := now.Add(boathook.PlaceLifetime)
	if held := a.places[runID]; now.Before(held) { // it is not counted again
		if !held.Before(until) {
			until = held.Add(time.Millisecond)
		}
		a.places[runID] = until
		return
	}
	for id, until := range a.places {
		if !now.Before(until) {
			delete(a.places, id)
		}
	}
	if minute := now.Truncate(time.Minute); minute.After(a.window) {
		a.window, a.count = minute, 0
	}
	a.count++
	a.places[runID], a.before[runID] = until, l.acceptances(runID)
	delete(a.unsure, runID)
	if a.count > a.limit.RatePerMinute {
		l.violated(ruleRate, runID, "the %d. in the minute of %s, of %d", a.count, a.window, a.limit.RatePerMinute)
	}
	if n := len(a.places); n > a.limit.MaxInFlight {
		l.violated(ruleInFlight, runID, "%d of %d", n, a.limit.MaxInFlight)
	}
}
