package simulation

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/run/target"
	"boathook/internal/store"
	storemem "boathook/internal/store/mem"
)

// ledger is what really happened: what users were promised, what the target
// executed, what endpoints received, when the store changed. What it finds
// wrong at once is among its violations. The world's lock guards it.
type ledger struct {
	accepted   []acceptance
	executions map[string]int // by run
	requests   map[boathook.DeliveryID][]request
	deliveries []boathook.DeliveryID // with requests, in the order of the first
	history    map[string][]change   // by webhook
	webhooks   []string              // with a history, oldest first
	created    map[string]time.Time  // by run: when the store had it; of several with the id, the last
	finished   map[string]time.Time  // by run: when the store had its end
	marked     map[string]time.Time  // by run: when the store first had it marked as published
	promises   []promise
	expected   []expected
	asked      map[string]int                       // by delivery, and by webhook: how often users have asked for it to be attempted again
	resent     map[boathook.DeliveryID]map[int]bool // the attempts that were queued for it
	replayed   map[boathook.DeliveryID]bool         // those of which a replay has queued the first attempt
	published  []publication
	records    map[boathook.DeliveryID]recorded
	runs       map[string]boathook.Run // in long worlds: as they were written last
	expired    map[string]boathook.Run // runs that expired, and whose ids others have since
	loads      map[string]*load        // by agent
	arrivals   map[string][]arrival    // by webhook
	successes  map[string][]time.Time  // by webhook: when what succeeded was sent
	turns      map[string]*turns       // by deployment
	free       map[string]bool         // runs that were accepted, at least once, while their deployment had no limit
	numbers    int                     // of triggers of bursts
	bursts     map[int]burstTrigger    // that were accepted, by number
	starts     map[string][]startsAt   // by run of a burst
	inputs     map[string]int          // by run of a burst: the number of the trigger that it executed on
	violations []Violation
}

// Violation is an invariant that does not hold.
type Violation struct {
	Rule    string
	Subject string // the id of the run or delivery
	Detail  string
}

func (v Violation) String() string { return fmt.Sprintf("%s: %s: %s", v.Rule, v.Subject, v.Detail) }

// acceptance is a trigger that was answered 202.
type acceptance struct {
	at     time.Time
	runID  string
	scopes []string // what stands for the run: an idempotency key and the like
}

// request is what an endpoint was sent.
type request struct {
	body     []byte
	status   int // what it answers; 0 if nothing
	at       time.Time
	attempt  int
	replayed bool   // it is the first, and a replay has made it
	waited   bool   // for the endpoint to answer, while another attempt probed it
	trace    string // its id; empty if it has none
}

// change is a webhook from a time on; nil once it is deleted.
type change struct {
	at      time.Time
	webhook *boathook.OutgoingWebhook
}

// promise is a delivery of which a user was told that an attempt is queued.
type promise struct {
	id     boathook.DeliveryID
	at     time.Time
	beyond int // attempts that were made before
}

func newLedger() *ledger {
	return &ledger{
		executions: make(map[string]int), requests: make(map[boathook.DeliveryID][]request),
		history: make(map[string][]change), created: make(map[string]time.Time), finished: make(map[string]time.Time), marked: make(map[string]time.Time),
		records: make(map[boathook.DeliveryID]recorded), runs: make(map[string]boathook.Run), loads: make(map[string]*load), expired: make(map[string]boathook.Run),
		arrivals: make(map[string][]arrival), successes: make(map[string][]time.Time), turns: make(map[string]*turns), free: make(map[string]bool),
		asked: make(map[string]int), resent: make(map[boathook.DeliveryID]map[int]bool), replayed: make(map[boathook.DeliveryID]bool),
		bursts: make(map[int]burstTrigger), inputs: make(map[string]int), starts: make(map[string][]startsAt),
	}
}

func (l *ledger) violated(rule, subject, format string, args ...any) {
	l.violations = append(l.violations, Violation{rule, subject, fmt.Sprintf(format, args...)})
}

// violated is [ledger.violated] of one who does not hold the world's lock.
func (w *world) violated(rule, subject, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ledger.violated(rule, subject, format, args...)
}

// What must hold at each moment.
const (
	ruleOnce      = "a run executes at most once"
	ruleSameBody  = "each attempt has the same body"
	ruleSameTrace = "each attempt is of the same trace"
	ruleSigned    = "a request is as its dialect says, and signed by a secret in force"
	ruleEnabled   = "nothing is sent to a webhook that is disabled or deleted"
	ruleSameKey   = "a key has one run"
	ruleKnownHost = "a request goes to its webhook's URL"
	ruleVersion   = "a run executes a version of its environment"
	ruleTime      = "an attempt is not made before its time"
	ruleProven    = "who can't prove himself starts no run"
)

// begun notes that the store has a run. A key or a sender's id stands for one run
// within the retention: once the run has expired, it is as if it had never been, and a
// repeat is a new run, by the same id. It executes once too.
func (l *ledger) begun(id string, retention time.Duration) {
	if earlier, known := l.created[id]; known && time.Since(earlier) >= retention {
		delete(l.executions, id)
		delete(l.finished, id)
		delete(l.marked, id)
	}
	l.created[id] = time.Now()
}

// remember keeps a run as it was written last.
func (l *ledger) remember(r boathook.Run) {
	if known, ok := l.runs[r.ID]; ok && !known.CreatedAt.Equal(r.CreatedAt) {
		l.expired[r.ID] = known
	}
	l.runs[r.ID] = r
}

// removedPending forgets a run that was not accepted. What was removed may not have been
// written: a run that is over had its id before, and has expired.
func (l *ledger) removedPending(id string) {
	if l.runs[id].Status == boathook.RunPending {
		delete(l.runs, id)
	}
}

// before reports whether a delivery tells of a run that had the id before, and has
// expired.
func (l *ledger) before(id boathook.DeliveryID, runID string) bool {
	return id.Time().Before(l.created[runID].Add(-2 * maxSkew))
}

// executed counts an execution.
func (l *ledger) executed(begun time.Time, w *world, job target.Job) {
	head, err := w.store.Store.RunHead(context.Background(), job.RunID)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts["execution"]++
	l.executions[job.RunID]++
	if n := l.executions[job.RunID]; n > 1 {
		l.violated(ruleOnce, job.RunID, "executed %d times", n)
	}
	if err != nil || job.Target.URL != targetURL(head.Environment, head.VersionID) {
		l.violated(ruleVersion, job.RunID, "%s for version %s in %s: %v", job.Target.URL, head.VersionID, head.Environment, err)
	}
	l.burstExecuted(begun, head, job)
	if head.RetryNumber > 0 && head.StartsAt.After(time.Now().Add(2*maxSkew)) {
		l.violated(ruleRetried, job.RunID, "executed before %s", head.StartsAt)
	}
	if a := l.loads[head.SourceID]; a != nil && a.places[job.RunID].IsZero() && time.Since(head.CreatedAt) < boathook.PlaceLifetime-2*maxSkew && !a.unsure[job.RunID] {
		l.violated(ruleAdmitted, job.RunID, "it has no place among the agent's runs in flight")
	}
}

// staleness is for how long a webhook that has changed is still used as before:
// deliver remembers it for 5 seconds by its own clock, which may step back.
const staleness = 5*time.Second + 2*maxSkew

// arrived takes a request that was signed at a time, at an endpoint in a mood, and gives
// its status. That a connection is refused counts as a request without an answer.
func (l *ledger) arrived(ctx context.Context, w *world, req *http.Request, body []byte, signed time.Time, m mood) (status int) {
	job, err := handled(ctx)
	must(err)
	w.mu.Lock()
	defer w.mu.Unlock()
	id, webhook := job.ID, w.webhookAt[req.URL.Host]
	if webhook != job.WebhookID {
		l.violated(ruleKnownHost, id.String(), "it goes to %s, and so to %q, not to %s", req.URL.Host, webhook, job.WebhookID)
		return 0
	}
	status = m.answers()
	earlier := l.requests[id]
	if len(earlier) == 0 {
		l.deliveries = append(l.deliveries, id)
	} else if !bytes.Equal(earlier[0].body, body) {
		l.violated(ruleSameBody, id.String(), "first %s, then %s", earlier[0].body, body)
	}
	trace := boathook.TraceContextOf(req.Header).TraceID()
	if trace != "" {
		w.counts["request of a trace"]++
	}
	if len(earlier) > 0 && earlier[0].trace != trace && !l.crossed(job, earlier) {
		l.violated(ruleSameTrace, id.String(), "first %q, then %q", earlier[0].trace, trace)
	}
	l.early(job, earlier)
	l.requests[id] = append(earlier, request{body, status, time.Now(), job.Attempt, job.Again, !job.Since.IsZero(), trace})
	l.arrivals[webhook] = append(l.arrivals[webhook], arrival{time.Now(), status})
	w.counts["request to a "+string(m)+" endpoint"]++

	since := begun(ctx).Add(-staleness)
	var secrets []string
	var as *boathook.OutgoingWebhook // it was then
	for _, c := range l.since(webhook, since) {
		if c.webhook == nil {
			continue
		}
		if c.webhook.Enabled {
			as = c.webhook
		}
		secrets = append(secrets, string(c.webhook.Secrets.Current))
		if c.webhook.Secrets.PreviousUntil.After(since) {
			secrets = append(secrets, string(c.webhook.Secrets.Previous))
		}
	}
	if as == nil {
		l.violated(ruleEnabled, id.String(), "the invocation began at %s", begun(ctx).Sub(w.began))
		return status
	}
	w.counts["request in the dialect "+as.Dialect]++
	w.counts["request in the format "+string(as.Format)]++
	plain := req.Clone(ctx) // no dialect has the headers of a trace
	maps.DeleteFunc(plain.Header, func(name string, _ []string) bool { return boathook.IsTraceHeader(name) })
	if err := receivers[as.Dialect].check(plain, body, job, as, secrets, signed); err != nil {
		l.violated(ruleSigned, id.String(), "in the dialect %s: %s", as.Dialect, err)
	}
	return status
}

// queued notes attempts that the API queues.
func (w *world) queued(messages []queue.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range messages {
		d, err := queue.DecodeDelivery(m.Body)
		must(err)
		if d.Attempt == 1 {
			w.ledger.replayed[d.ID] = d.Again
			continue
		}
		if w.ledger.resent[d.ID] == nil {
			w.ledger.resent[d.ID] = make(map[int]bool)
		}
		w.ledger.resent[d.ID][d.Attempt] = true
	}
}

// crossed reports whether a delivery's event was replayed while what was published of it
// was still on its way. Then two have made its first attempt, each in a trace of its own.
func (l *ledger) crossed(job queue.Delivery, earlier []request) bool {
	published := func(r request) bool { return r.attempt == 1 && !r.replayed }
	return l.replayed[job.ID] && (job.Attempt == 1 && !job.Again || slices.ContainsFunc(earlier, published))
}

// early checks that an attempt does not come before its time: after the first request
// of the attempt before, its webhook's schedule waits. A resend does not wait. Where
// attempts have waited for the endpoint to answer, the schedule passes with attempts
// or without, and their numbers tell nothing.
func (l *ledger) early(job queue.Delivery, earlier []request) {
	before := slices.IndexFunc(earlier, func(r request) bool { return r.attempt == job.Attempt-1 })
	schedule, wait := l.last(job.WebhookID).Retry, job.Attempt-2
	if job.First > 1 || !job.Since.IsZero() || before < 0 || wait >= len(schedule) ||
		slices.ContainsFunc(earlier, func(r request) bool { return r.waited || r.attempt == job.Attempt }) {
		return
	}
	if passed := time.Since(earlier[before].at); passed+2*maxSkew < schedule[wait]*8/10 {
		l.violated(ruleTime, job.ID.String(), "attempt %d, %s after the one before", job.Attempt, passed)
	}
}

// since is what a webhook was at a time and thereafter.
func (l *ledger) since(webhookID string, at time.Time) []change {
	changes := l.history[webhookID]
	for len(changes) > 1 && !changes[1].at.After(at) {
		changes = changes[1:]
	}
	return changes
}

// throughout reports whether all that a webhook was from a time to another is
// as asked, and that it was there.
func (l *ledger) throughout(webhookID string, from, to time.Time, is func(*boathook.OutgoingWebhook) bool) bool {
	changes := l.since(webhookID, from)
	if len(changes) == 0 || changes[0].at.After(from) {
		return false
	}
	for _, c := range changes {
		if c.at.After(to) {
			break
		}
		if c.webhook == nil || !is(c.webhook) {
			return false
		}
	}
	return true
}

func isEnabled(w *boathook.OutgoingWebhook) bool { return w.Enabled }

// witness is the store, with what the ledger must know of it written down.
type witness struct {
	*storemem.Store
	w *world
}

var _ store.Store = witness{}

func (s witness) changed(id string, to *boathook.OutgoingWebhook) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	l := s.w.ledger
	if len(l.history[id]) == 0 {
		l.webhooks = append(l.webhooks, id)
	}
	l.history[id] = append(l.history[id], change{time.Now(), to})
}

// PutOutgoing implements [store.Webhooks].
func (s witness) PutOutgoing(ctx context.Context, w boathook.OutgoingWebhook) error {
	err := s.Store.PutOutgoing(ctx, w)
	if err == nil {
		s.changed(w.ID, &w)
	}
	return err
}

// DeleteOutgoing implements [store.Webhooks].
func (s witness) DeleteOutgoing(ctx context.Context, sourceID, id string) error {
	err := s.Store.DeleteOutgoing(ctx, sourceID, id)
	if err == nil {
		s.changed(id, nil)
	}
	return err
}

// DisableOutgoing implements [store.Webhooks].
func (s witness) DisableOutgoing(ctx context.Context, sourceID, id string, d boathook.Disabling) error {
	err := s.Store.DisableOutgoing(ctx, sourceID, id, d)
	if err == nil {
		s.w.mu.Lock()
		s.w.ledger.disabled(id, d.Reason)
		s.w.mu.Unlock()
		if strings.HasPrefix(d.Reason, "failing") {
			s.w.count("webhook disabled after days")
		}
		w, _ := s.Store.Outgoing(ctx, sourceID, id)
		s.changed(id, &w)
		s.w.count("webhook disabled")
	}
	return err
}

// wrote notes a delivery's record after a write.
func (s witness) wrote(ctx context.Context, d boathook.Delivery, err error) error {
	record, attempts, readErr := s.Store.Attempts(ctx, d.WorkspaceID, d.ID)
	if readErr != nil {
		return err
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	history := s.w.ledger.records[d.ID].history
	if n := len(history); n == 0 || history[n-1].status != record.Status {
		history = append(history, statusAt{time.Now(), record.Status})
	}
	s.w.ledger.records[d.ID] = recorded{record, attempts, history}
	return err
}

// RecordAttempt implements [store.Deliveries].
func (s witness) RecordAttempt(ctx context.Context, d boathook.Delivery, a boathook.Attempt) error {
	mended, err := s.mend(ctx, d, a)
	if !mended {
		err = s.Store.RecordAttempt(ctx, d, a)
	}
	if a.Succeeded() {
		s.w.mu.Lock()
		s.w.ledger.successes[d.WebhookID] = append(s.w.ledger.successes[d.WebhookID], a.SentAt)
		s.w.mu.Unlock()
	}
	return s.wrote(ctx, d, err)
}

// CancelDelivery implements [store.Deliveries].
func (s witness) CancelDelivery(ctx context.Context, d boathook.Delivery) error {
	return s.wrote(ctx, d, s.Store.CancelDelivery(ctx, d))
}

// PostponeDelivery implements [store.Deliveries].
func (s witness) PostponeDelivery(ctx context.Context, d boathook.Delivery, at time.Time) error {
	return s.wrote(ctx, d, s.Store.PostponeDelivery(ctx, d, at))
}

// ReopenDelivery implements [store.Deliveries].
func (s witness) ReopenDelivery(ctx context.Context, d boathook.Delivery, at time.Time) error {
	return s.wrote(ctx, d, s.Store.ReopenDelivery(ctx, d, at))
}

// PutDue implements [store.Schedule].
func (s witness) PutDue(ctx context.Context, d store.Due) error {
	err := s.Store.PutDue(ctx, d)
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.dueAt[keyOf(d)] = d.At
	return err
}

// DeleteDue implements [store.Schedule].
func (s witness) DeleteDue(ctx context.Context, d store.Due) error {
	err := s.Store.DeleteDue(ctx, d)
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	delete(s.w.dueAt, keyOf(d))
	return err
}

// FinishRun implements [store.Runs].
func (s witness) FinishRun(ctx context.Context, id string, c boathook.Claim, o boathook.Outcome) (boathook.RunHead, error) {
	head, err := s.Store.FinishRun(ctx, id, c, o)
	if err == nil {
		s.first(s.w.ledger.finished, id)
	}
	s.wroteRun(ctx, id)
	return head, err
}

// MarkPublished implements [store.Runs].
func (s witness) MarkPublished(ctx context.Context, id string) error {
	s.first(s.w.ledger.marked, id)
	err := s.Store.MarkPublished(ctx, id)
	s.wroteRun(ctx, id)
	return err
}

// MarkRetried implements [store.Runs].
func (s witness) MarkRetried(ctx context.Context, id string, by boathook.Retry) error {
	err := s.Store.MarkRetried(ctx, id, by)
	s.wroteRun(ctx, id)
	return err
}

// MoveVersion implements [store.Runs].
func (s witness) MoveVersion(ctx context.Context, id string, v boathook.LiveVersion) error {
	err := s.Store.MoveVersion(ctx, id, v)
	s.wroteRun(ctx, id)
	return err
}

func (s witness) first(times map[string]time.Time, id string) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if _, known := times[id]; !known {
		times[id] = time.Now()
	}
}

// acceptances is how often a user was told that a run was accepted.
func (l *ledger) acceptances(runID string) (n int) {
	for _, a := range l.accepted {
		if a.runID == runID {
			n++
		}
	}
	return n
}

// accept notes a trigger that was answered 202.
func (l *ledger) accept(runID string, scopes []string) {
	for _, a := range l.accepted {
		if a.runID == runID {
			continue
		}
		for _, scope := range scopes {
			if slices.Contains(a.scopes, scope) {
				l.violated(ruleSameKey, runID, "%s has the run %s too", scope, a.runID)
			}
		}
	}
	l.accepted = append(l.accepted, acceptance{time.Now(), runID, scopes})
}

// promise notes what a user was told of a delivery.
func (w *world) promise(p promise) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ledger.promises = append(w.ledger.promises, p)
}
