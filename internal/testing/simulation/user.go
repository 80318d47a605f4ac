package simulation

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/intake"
	"boathook/internal/store"
)

// steps is how many steps users take at least.
const steps = 50

// users are those who call the system from outside. They repeat what has
// failed only by chance.
type users struct {
	w *world
	t *testing.T

	all sync.WaitGroup // of their steps

	mu          sync.Mutex
	keys        []keyed
	publishings []*publishing
	runs        []string // that they know of
}

// keyed is a trigger that may be repeated.
type keyed struct {
	path, key, body string
	sign            func(body string) http.Header // for senders that prove themselves; else nil
	scopes          []string                      // each stands for one run
}

// live has users take their steps, side by side where they overlap, until all
// are answered.
func (w *world) live(t *testing.T) {
	u := &users{w: w, t: t}
	r := w.chance("script", "")
	for n := range steps + r.IntN(10) {
		time.Sleep(w.pause(r))
		step := rand.New(rand.NewPCG(w.seed, uint64(n)))
		u.all.Go(func() { u.step(step) })
	}
	u.all.Wait()
}

// pause is the time between two steps: nearly none, seconds or minutes, in long worlds
// hours.
func (w *world) pause(r *rand.Rand) time.Duration {
	if w.plan.long && r.IntN(2) == 0 {
		return between(r, time.Minute, 17*time.Hour)
	}
	switch r.IntN(3) {
	case 0:
		return between(r, time.Microsecond, 5*time.Millisecond)
	case 1:
		return between(r, time.Millisecond, 10*time.Second)
	default:
		return between(r, time.Second, 10*time.Minute)
	}
}

// step takes one of the steps, each as likely as its weight.
func (u *users) step(r *rand.Rand) {
	plan := u.w.plan
	script := []struct {
		weight int
		step   func(*rand.Rand)
	}{
		{10 * weight(plan.agents), u.triggerAgent},
		{10 * weight(plan.events), u.publish},
		{3 * weight(plan.events), u.publishAgain},
		{8 * weight(plan.senders), u.send},
		{8, u.trigger},
		{10, u.triggerWithKey},
		{5, u.repeat},
		{1, u.reuseKey},
		{2, u.race},
		{6, u.startRun},
		{3, u.cancel},
		{2, u.retry},
		{4, u.resend},
		{3, u.recover},
		{4 * weight(plan.feeds), u.poll},
		{6 * weight(plan.feeds), u.replay},
		{2 * weight(plan.feeds), u.join},
		{1, u.testWebhook},
		{2, u.disable},
		{3, u.enable},
		{2, u.rotate},
		{1, u.deleteWebhook},
		{1, func(r *rand.Rand) { u.w.addWebhook(pick(r, u.w.sources), r) }},
		{1, u.deploy},
		{5, u.changeMood},
		{2, u.stepAClock},
		{3 * weight(plan.long), func(*rand.Rand) { u.w.redrive() }},
		{1, u.killAProcess},
		{6 * weight(plan.maxInFlight > 0), u.crowd},
		{8 * weight(plan.bursts), u.burst},
		{2 * weight(plan.maxInFlight > 0), u.limit},
	}
	total := 0
	for _, s := range script {
		total += s.weight
	}
	n := r.IntN(total)
	for _, s := range script {
		if n -= s.weight; n < 0 {
			s.step(r)
			return
		}
	}
}

func weight(of bool) int {
	if of {
		return 1
	}
	return 0
}

// deploy puts a new version live.
func (u *users) deploy(r *rand.Rand) {
	s := pick(r, u.w.of(boathook.Deployment, boathook.Agent))
	env := boathook.Production
	if s.kind == boathook.Deployment {
		env = u.w.environment(r)
	}
	u.w.addVersion(s, env, r)
}

// answer is what a user was told; its status is 0 where that is nothing.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// ask sends a request to a function.
func (u *users) ask(k kind, method, path, body string, header http.Header) (a answer) {
	u.w.invoke(k, path, func(ctx context.Context, p *process) {
		req := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
		req.Header = header.Clone()
		req.Header.Set(boathook.TraceParent, traceOf(method, path, body))
		rec := httptest.NewRecorder()
		p.serve.ServeHTTP(rec, req)
		subject := path + " " + body
		if p.isDead() || u.w.fate("answer", subject).fault == lost {
			p.note(method, subject, "the user hears nothing")
			return
		}
		p.note(method, subject, fmt.Sprintf("%d %s", rec.Code, strings.TrimSpace(rec.Body.String())))
		u.w.count(fmt.Sprintf("%s answers %d", k, rec.Code))
		a = answer{rec.Code, rec.Header(), rec.Body.Bytes()}
	})
	return a
}

// traceOf is the traceparent of a request: the same each time that it is sent.
func traceOf(request ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(request, " ")))
	return fmt.Sprintf("00-%x-%x-01", sum[:16], sum[16:24])
}

// manage asks the API.
func (u *users) manage(method, path, body string) answer {
	return u.ask(manageKind, method, path, body, http.Header{"Authorization": {"Bearer " + adminToken}})
}

// post asks the API for something that a key makes safe to repeat.
func (u *users) post(path, body, key string) answer {
	header := http.Header{"Authorization": {"Bearer " + adminToken}}
	if key != "" {
		header.Set(boathook.IdempotencyKey, key)
	}
	return u.ask(manageKind, http.MethodPost, path, body, header)
}

// accepted notes the run of a 202.
func (u *users) accepted(a answer, scopes ...string) {
	if a.status != http.StatusAccepted {
		return
	}
	runID := a.header.Get(intake.RunID)
	if runID == "" {
		var started struct {
			RunID string `json:"run_id"`
		}
		must(json.Unmarshal(a.body, &started))
		runID = started.RunID
	}
	u.mu.Lock()
	u.runs = append(u.runs, runID)
	u.mu.Unlock()
	u.w.mu.Lock()
	defer u.w.mu.Unlock()
	u.w.ledger.accept(runID, scopes)
}

// fire sends a trigger.
func (u *users) fire(k keyed) answer {
	header, scopes := make(http.Header), k.scopes
	if k.sign != nil {
		header = k.sign(k.body).Clone()
		if header.Get(intake.Timestamp) != "" {
			scopes = append(slices.Clone(scopes), k.path+" "+header.Get(intake.Signature))
		}
	}
	if k.key != "" {
		header.Set(boathook.IdempotencyKey, k.key)
	}
	a := u.ask(intakeKind, http.MethodPost, k.path, k.body, header)
	u.accepted(a, scopes...)
	return a
}

func (u *users) newTrigger(r *rand.Rand) keyed {
	s := pick(r, u.w.of(boathook.Deployment))
	return keyed{path: pick(r, s.triggers[:2]).path, body: fmt.Sprintf(`{"n":%d}`, r.IntN(1000))}
}

func (u *users) trigger(r *rand.Rand) { u.fire(u.newTrigger(r)) }

func (u *users) newKey(r *rand.Rand) keyed {
	k := u.newTrigger(r)
	k.key = fmt.Sprintf("key-%d", r.Uint32())
	k.scopes = []string{k.path + " " + k.key}
	u.remember(k)
	return k
}

// remember keeps a trigger that has a key: it may be sent again.
func (u *users) remember(k keyed) {
	if k.key == "" {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.keys = append(u.keys, k)
}

func (u *users) triggerWithKey(r *rand.Rand) {
	k := u.newKey(r)
	u.fire(k)
	if r.IntN(3) == 0 { // a sender that does not trust the first answer
		u.fire(k)
	}
}

// earlier is a trigger that was sent before.
func (u *users) earlier(r *rand.Rand) (k keyed, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.keys) == 0 {
		return k, false
	}
	return pick(r, u.keys), true
}

func (u *users) repeat(r *rand.Rand) {
	if k, ok := u.earlier(r); ok {
		u.fire(k)
	}
}

func (u *users) reuseKey(r *rand.Rand) {
	if k, ok := u.earlier(r); ok && k.key != "" {
		k.body = `{"another":"body"}`
		u.fire(k)
	}
}

// race sends one trigger twice at once, perhaps with two bodies.
func (u *users) race(r *rand.Rand) {
	first := u.newKey(r)
	second := first
	if r.IntN(3) == 0 {
		second.body = `{"another":"body"}`
	}
	var both sync.WaitGroup
	both.Go(func() { u.fire(first) })
	time.Sleep(between(r, time.Nanosecond, 10*time.Millisecond))
	u.fire(second)
	both.Wait()
}

func (u *users) startRun(r *rand.Rand) {
	s, env := pick(r, u.w.of(boathook.Deployment)), u.w.environment(r)
	var key string
	var scopes []string
	if r.IntN(2) == 0 {
		key = fmt.Sprintf("key-%d", r.IntN(10))
		scopes = []string{s.id + " " + string(env) + " " + key}
	}
	body := fmt.Sprintf(`{"deployment_id":%q,"environment":%q,"input":{"n":7}}`, s.id, env)
	u.accepted(u.post("/v1/runs", body, key), scopes...)
}

func (u *users) cancel(r *rand.Rand) {
	u.mu.Lock()
	known := u.runs
	u.mu.Unlock()
	if len(known) > 0 {
		id := pick(r, known[max(0, len(known)-4):]) // one of the last may not be over
		u.manage(http.MethodPost, "/v1/runs/"+id+"/cancel", "")
	}
}

// retry retries a run, which is over or not, perhaps under a key that was used before.
func (u *users) retry(r *rand.Rand) {
	u.mu.Lock()
	known := u.runs
	u.mu.Unlock()
	if len(known) == 0 {
		return
	}
	id := pick(r, known[max(0, len(known)-20):])
	var key string
	var scopes []string
	if r.IntN(2) == 0 {
		key = fmt.Sprintf("key-%d", r.IntN(2))
		scopes = []string{"retry " + id + " " + key}
	}
	u.accepted(u.post("/v1/runs/"+id+"/retry", pick(r, []string{"", `{"version":"live"}`, `{"version":"same"}`}), key), scopes...)
}

func (u *users) resend(r *rand.Rand) {
	u.w.mu.Lock()
	known := u.w.ledger.deliveries
	u.w.mu.Unlock()
	if len(known) == 0 {
		return
	}
	id := pick(r, known)
	before, err := u.w.store.Store.Delivery(context.Background(), workspaceID, id)
	at := time.Now()
	if err != nil {
		return
	}
	u.w.asks(id.String())
	if u.manage(http.MethodPost, "/v1/deliveries/"+id.String()+"/resend", "").status == http.StatusAccepted {
		u.w.promise(promise{id, at, before.Attempts})
	}
}

// webhook is the path of one of the webhooks.
func (u *users) webhook(r *rand.Rand) string {
	s := pick(r, u.w.sources)
	webhooks, err := u.w.store.Store.AllOutgoing(context.Background(), s.id)
	must(err)
	if len(webhooks) == 0 {
		return ""
	}
	return s.path + "/outgoing-webhooks/" + pick(r, webhooks).ID
}

// recover has all deliveries of a webhook sent that were not taken.
func (u *users) recover(r *rand.Rand) {
	path := u.webhook(r)
	if path == "" {
		return
	}
	_, id, _ := strings.Cut(path, "outgoing-webhooks/")
	var statuses string
	q := store.DeliveryQuery{
		WorkspaceID: workspaceID, WebhookID: id, Page: boathook.Page{Limit: 200},
		Statuses: []boathook.DeliveryStatus{boathook.DeliveryFailed, boathook.DeliveryRetrying, boathook.DeliveryCanceled},
	}
	if r.IntN(3) == 0 {
		q.Statuses, statuses = q.Statuses[:1], `,"statuses":["failed"]`
	}
	missed, _, err := u.w.store.Store.Deliveries(context.Background(), q)
	must(err)
	at := time.Now()
	unchanged := make(map[boathook.DeliveryID]bool)
	for _, d := range missed {
		unchanged[d.ID] = u.w.unchangedSince(d.ID, at.Add(-u.w.plan.lag))
	}
	body := fmt.Sprintf(`{"since":%q,"until":%q%s}`, u.w.began.Add(-maxSkew).Format(time.RFC3339), at.Add(maxSkew).Format(time.RFC3339Nano), statuses)
	u.w.asks(id)
	a := u.manage(http.MethodPost, path+"/recover", body)
	if a.status != http.StatusAccepted {
		return
	}
	var answer struct {
		Cursor *string `json:"next_cursor"`
	}
	must(json.Unmarshal(a.body, &answer))
	if answer.Cursor != nil {
		return // it was too slow to reach the end
	}
	u.w.count("recover")
	for _, d := range missed {
		if !unchanged[d.ID] {
			continue // the list may not have had it
		}
		u.w.promise(promise{d.ID, at, d.Attempts})
	}
}

// change asks for a change of one of the webhooks.
func (u *users) change(r *rand.Rand, method, at, body string) answer {
	path := u.webhook(r)
	if path == "" {
		return answer{}
	}
	return u.manage(method, path+at, body)
}

func (u *users) testWebhook(r *rand.Rand) {
	a := u.change(r, http.MethodPost, "/test", "")
	if a.status != http.StatusAccepted {
		return
	}
	var made struct {
		DeliveryID string `json:"delivery_id"`
	}
	must(json.Unmarshal(a.body, &made))
	id, err := boathook.ParseDeliveryID(made.DeliveryID)
	must(err)
	u.w.promise(promise{id, time.Now(), 0})
}

func (u *users) disable(r *rand.Rand) { u.change(r, http.MethodPatch, "", `{"enabled":false}`) }
func (u *users) enable(r *rand.Rand)  { u.change(r, http.MethodPatch, "", `{"enabled":true}`) }

func (u *users) rotate(r *rand.Rand) {
	u.change(r, http.MethodPost, "/rotate-secret", pick(r, []string{``, `{"overlap_seconds":60}`, `{"overlap_seconds":3600}`}))
}

func (u *users) deleteWebhook(r *rand.Rand) { u.change(r, http.MethodDelete, "", "") }

func (u *users) changeMood(r *rand.Rand) {
	u.w.mu.Lock()
	n := len(u.w.endpoints)
	u.w.mu.Unlock()
	host := fmt.Sprintf("endpoint-%d.example", 1+r.IntN(n))
	m := either(r, healthy, pick(r, append(badMoods, gone)))
	u.w.setMood(host, m)
	u.w.note("world", "weather", host, "is "+string(m))
}

// aProcess is one of those that run, and are idle: what happens to the others is
// their calls' to know.
func (u *users) aProcess(r *rand.Rand) *process {
	k := pick(r, []kind{intakeKind, manageKind, executeKind, deliverKind, sweepKind})
	u.w.mu.Lock()
	defer u.w.mu.Unlock()
	if len(u.w.idle[k]) == 0 {
		return nil
	}
	return pick(r, u.w.idle[k])
}

func (u *users) stepAClock(r *rand.Rand) {
	if p := u.aProcess(r); p != nil && !u.w.isCalm() {
		p.stepClock()
		p.note("clock", "", "stepped")
	}
}

func (u *users) killAProcess(r *rand.Rand) {
	if p := u.aProcess(r); p != nil && u.w.weather.crash > 0 {
		p.crash()
		p.note("kill", "", "CRASH")
	}
}
