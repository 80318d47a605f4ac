package simulation

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/run"
	"boathook/internal/store"
)

// What must hold once the world is at rest.
const (
	ruleRest      = "the world comes to rest"
	ruleRun       = "an accepted trigger has a run that is over, or a dead message"
	rulePublished = "a run that is over is published"
	ruleDelivery  = "a run's end has a finished delivery for each webhook, or a dead message"
	ruleOver      = "a delivery is over, or has a dead message"
	ruleReceived  = "a delivery that succeeded was received"
	ruleSchedule  = "a delivery fails after its whole schedule, or with its webhook"
	ruleCanceled  = "a delivery is canceled because its webhook is disabled or deleted"
	ruleAttempts  = "each recorded attempt was made"
	ruleBody      = "what is sent is what is recorded"
	ruleExecuted  = "a run that succeeded was executed"
	ruleRetried   = "a run that failed is retried as its deployment says, and tells of it"
	ruleScope     = "a webhook hears of its environment only"

	ruleOneDelivery = "an event has one delivery for each webhook"
	ruleEvent       = "an event tells how its run ended"
	rulePromise     = "a resend that was accepted is made, or has a dead message"
)

// check holds the ledger against the store. Strictly, nothing may be in a
// dead-letter queue: they have been redriven.
func (w *world) check(strictly bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.checker()
	if strictly {
		for id := range c.dead {
			c.violated(ruleRest, id, "its message is dead again after a redrive, without trouble")
		}
	}
	for _, row := range w.due(time.Now()) {
		if c.dead[subjectOf(row)] {
			continue
		}
		c.violated(ruleRest, row.ID, "a %s row is due since %s", row.Kind, time.Since(row.At))
	}
	if w.invoked > 0 {
		c.violated(ruleRest, "", "%d invocations go on", w.invoked)
	}
	for _, a := range w.ledger.accepted {
		c.run(a)
	}
	for _, r := range w.allRuns() {
		if r.Status.Over() {
			c.over(r)
			c.retried(r)
			c.forget(r)
		}
	}
	c.turns(w)
	c.checkBursts()
	for _, p := range w.ledger.published {
		c.publication(p)
	}
	for _, id := range w.ledger.deliveries {
		c.delivery(id)
		c.event(id)
	}
	for of, ids := range c.deliveriesOf {
		if len(ids) > 1 {
			c.violated(ruleOneDelivery, of.event, "its deliveries to %s are %v", of.webhook, ids)
		}
	}
	for _, p := range w.ledger.promises {
		c.promise(p)
	}
	w.feeds(c)
	w.tally(c)
}

// checker looks at one world at rest.
type checker struct {
	*ledger
	store        witness
	dead         map[string]bool // ids of runs and deliveries with a message in a dead-letter queue
	deadPairs    map[eventAt]bool
	deliveriesOf map[eventAt][]boathook.DeliveryID
	done         map[boathook.DeliveryID]bool
	ctx          context.Context
	now          time.Time
}

// eventAt is what a delivery is of.
type eventAt struct{ event, webhook string }

func (w *world) checker() checker {
	c := checker{
		ledger: w.ledger, store: w.store, dead: w.deadMessages(), deadPairs: make(map[eventAt]bool),
		deliveriesOf: make(map[eventAt][]boathook.DeliveryID), done: make(map[boathook.DeliveryID]bool),
		ctx: context.Background(), now: time.Now(),
	}
	for _, l := range w.lines() {
		for _, pair := range l.pairs {
			c.deadPairs[pair] = true
		}
	}
	for id, d := range w.ledger.records {
		of := eventAt{d.EventID, d.WebhookID}
		c.deliveriesOf[of] = append(c.deliveriesOf[of], id)
	}
	return c
}

func (w *world) lines() []*line { return []*line{w.runs, w.deliveries, w.retries} }

// run checks an acceptance.
func (c checker) run(a acceptance) {
	r, err := c.theRun(a.runID)
	if earlier, ok := c.expired[a.runID]; ok && a.at.Before(earlier.CreatedAt.Add(c.store.w.plan.retention()-2*maxSkew)) {
		r, err = earlier, nil // a later trigger has its id since
	}
	switch {
	case c.dead[a.runID]:
	case err != nil:
		c.violated(ruleRun, a.runID, "%s", err)
	case !r.Status.Over():
		c.violated(ruleRun, a.runID, "it is %s", r.Status)
	}
}

// over checks a run that is over.
func (c checker) over(r boathook.Run) {
	event, has := r.Event()
	if !has {
		return
	}
	if r.Status == boathook.RunSucceeded && c.executions[r.ID] == 0 {
		c.violated(ruleExecuted, r.ID, "it was not")
	}
	if !r.Published {
		c.violated(rulePublished, r.ID, "it is not")
		return
	}
	for _, id := range c.webhooks {
		wants := func(w *boathook.OutgoingWebhook) bool {
			return w.SourceID == r.SourceID && w.Wants(event.Type, event.Environment) && c.store.w.expressions[w.ID].hears(event.Type, event.Environment)
		}
		// A webhook that changed meanwhile may have been seen either way.
		if !c.throughout(id, c.finished[r.ID], c.marked[r.ID], wants) {
			continue
		}
		delivery := boathook.NewDeliveryID(&event, id)
		if _, _, err := c.record(delivery); err != nil && !c.dead[delivery.String()] {
			c.violated(ruleDelivery, r.ID, "delivery %s to %s: %s", delivery, id, err)
		}
		c.delivery(delivery)
	}
}

// retried checks that a run which failed has the retry that its deployment wants.
func (c checker) retried(r boathook.Run) {
	_, wanted := c.store.w.plan.retries.Wait(r.RetryNumber + 1)
	if r.OfAgent() || r.Status != boathook.RunFailed || r.CancelRequested || !wanted {
		return
	}
	next, err := c.theRun(run.RetryID(r.ID))
	switch {
	case c.dead[r.ID] || c.dead[run.RetryID(r.ID)]:
	case err != nil:
		c.violated(ruleRetried, r.ID, "its retry: %s", err)
	case next.RetryOf != r.ID || next.RetryNumber != r.RetryNumber+1 || !next.Status.Over():
		c.violated(ruleRetried, r.ID, "its retry %s is the %d. of %s and %s", next.ID, next.RetryNumber, next.RetryOf, next.Status)
	case r.RetriedBy.RunID == "":
		c.violated(ruleRetried, r.ID, "it does not tell of its retry %s", next.ID)
	}
}

// forget leaves out of what is held against a run's event the deliveries of a run that
// had its id before.
func (c checker) forget(r boathook.Run) {
	event, _ := r.Event()
	for of, ids := range c.deliveriesOf {
		if of.event == event.ID {
			c.deliveriesOf[of] = slices.DeleteFunc(ids, func(id boathook.DeliveryID) bool { return c.before(id, r.ID) })
		}
	}
}

// delivery checks a delivery that is known. It is a list of rules, which share what is
// known of the delivery.
func (c checker) delivery(id boathook.DeliveryID) {
	if c.done[id] {
		return
	}
	c.done[id] = true
	d, attempts, err := c.record(id)
	if c.dead[id.String()] {
		return
	}
	if err != nil {
		c.violated(ruleOver, id.String(), "%s", err)
		return
	}
	if d.Fault != "" {
		c.faulty(d, attempts)
		return
	}
	requests := c.requests[id]
	if len(requests) < len(attempts) {
		c.violated(ruleAttempts, id.String(), "%d attempts, %d requests", len(attempts), len(requests))
	}
	if len(requests) > 0 && string(requests[0].body) != d.Body.String() {
		c.violated(ruleBody, id.String(), "sent %s, recorded %s", requests[0].body, d.Body)
	}
	webhook := c.last(d.WebhookID)
	if webhook.Environment != "" && d.Environment != "" && webhook.Environment != d.Environment {
		c.violated(ruleScope, id.String(), "it is of %s, its webhook of %s", d.Environment, webhook.Environment)
	}
	switch d.Status {
	case boathook.DeliverySucceeded:
		if !slices.ContainsFunc(requests, func(r request) bool { return r.status/100 == 2 }) {
			c.violated(ruleReceived, id.String(), "no request of %d", len(requests))
		}
	case boathook.DeliveryFailed:
		if len(attempts) == 0 || d.Attempts <= len(webhook.Retry) && !overdue(webhook, d, attempts) &&
			c.throughout(d.WebhookID, c.history[d.WebhookID][0].at, c.now, isEnabled) {
			c.violated(ruleSchedule, id.String(), "after %d attempts of %d", d.Attempts, 1+len(webhook.Retry))
		}
	case boathook.DeliveryCanceled:
		if d.Reason == "" || c.throughout(d.WebhookID, c.history[d.WebhookID][0].at, c.now, isEnabled) {
			c.violated(ruleCanceled, id.String(), "for the reason %q", d.Reason)
		}
	default:
		c.violated(ruleOver, id.String(), "it is %s, the next attempt at %s", d.Status, d.NextAttemptAt)
	}
}

// overdue reports whether a delivery's last attempt was made when the waits of its
// webhook's schedule, at their shortest, had passed: an attempt that waits for an
// endpoint to answer uses them up too.
func overdue(w *boathook.OutgoingWebhook, d boathook.Delivery, attempts []boathook.Attempt) bool {
	var schedule time.Duration
	for _, wait := range w.Retry {
		schedule += wait
	}
	return attempts[len(attempts)-1].SentAt.Add(maxSkew).Sub(d.ID.Time()) >= schedule*8/10
}

// subjectOf is the run or the delivery that a row is about.
func subjectOf(row store.Due) string {
	id, _, _ := strings.Cut(row.ID, "#")
	return id
}

// last is a webhook as it was last.
func (l *ledger) last(id string) *boathook.OutgoingWebhook {
	for _, c := range slices.Backward(l.history[id]) {
		if c.webhook != nil {
			return c.webhook
		}
	}
	return nil
}

// event checks that what a delivery tells of a run is so. A test's run never
// was.
func (c checker) event(id boathook.DeliveryID) {
	d := c.records[id]
	var body struct {
		RunID string `json:"run_id"`
		Data  struct {
			RunID string `json:"run_id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(c.requests[id][0].body, &body); err != nil {
		c.violated(ruleEvent, id.String(), "%s", err)
		return
	}
	r, err := c.theRun(cmp.Or(body.RunID, body.Data.RunID))
	if err != nil || c.before(id, r.ID) {
		return
	}
	if event, has := r.Event(); !has || event.Type != d.EventType && d.EventType != "" {
		c.violated(ruleEvent, id.String(), "%s of run %s, which is %s", d.EventType, r.ID, r.Status)
	}
}

// promise checks that a resend has led to an attempt more, unless its webhook
// was not there for it.
func (c checker) promise(p promise) {
	d, _, err := c.record(p.id)
	switch {
	case c.dead[p.id.String()]:
	case err != nil:
		c.violated(rulePromise, p.id.String(), "%s", err)
	case d.Attempts <= p.beyond && c.throughout(d.WebhookID, p.at.Add(-staleness), c.now, isEnabled):
		c.violated(rulePromise, p.id.String(), "there were %d attempts, and are %d", p.beyond, d.Attempts)
	}
}

// allRuns are those of all deployments and agents.
func (w *world) allRuns() (all []boathook.Run) {
	for _, kind := range []boathook.SourceKind{boathook.Deployment, boathook.Agent} {
		q := store.RunQuery{WorkspaceID: workspaceID, Kind: kind, Page: boathook.Page{Limit: 200}}
		for more := true; more; more = q.Cursor != "" {
			page, next, err := w.store.Runs(context.Background(), q)
			must(err)
			all = append(all, page...)
			q.Cursor = next
		}
	}
	for id, r := range w.ledger.runs { // those that have expired
		if !slices.ContainsFunc(all, func(r boathook.Run) bool { return r.ID == id }) {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, byAge)
	return all
}

// deadMessages are the ids that messages in the dead-letter queues are about.
func (w *world) deadMessages() map[string]bool {
	dead := make(map[string]bool)
	for _, l := range w.lines() {
		l.bury()
		for _, id := range l.ids {
			dead[id] = true
		}
	}
	return dead
}

// tally counts how things ended.
func (w *world) tally(c checker) {
	for _, r := range w.allRuns() {
		w.counts["run "+string(r.Status)]++
		w.counts["run in "+string(r.Environment)]++
		if r.OfAgent() {
			w.counts["run of an agent"]++
		}
		if r.RetryNumber > 0 {
			w.counts["run that nobody has asked for"]++
		}
		if r.Error == "runner lost" {
			w.counts["runner lost"]++
		}
	}
	for _, id := range c.deliveries {
		if d, err := c.store.Delivery(c.ctx, workspaceID, id); err == nil {
			w.counts["delivery "+string(d.Status)]++
		}
	}
	w.counts["dead message"] += len(c.dead)
	w.counts["published event"] = len(c.published)
}
