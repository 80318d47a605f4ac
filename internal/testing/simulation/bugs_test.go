package simulation

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/delivery"
	"boathook/internal/dialect"
	"boathook/internal/queue"
	"boathook/internal/store"
)

// enough is within how many worlds a planted bug must be found, of those that can have
// it.
const enough = 500

// TestPlantedBugsAreFound breaks the services' wiring, one promise at a time, and
// sees that the simulation tells which.
func TestPlantedBugsAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates a few thousand worlds, which takes over a minute: run it without -short")
	}
	for _, tc := range []struct {
		bug  Bug
		rule string // that it breaks
		long bool   // only long worlds can break it
	}{
		{Bug{Name: "a message is acknowledged before it is handled", EarlyAck: true}, ruleRun, false},
		{Bug{Name: "a publish that fails is taken for done", Deliveries: heedless}, ruleDelivery, false},
		{Bug{Name: "a retry that can't be queued is taken for queued", Retries: heedless}, ruleOver, false},
		{Bug{Name: "every claim succeeds", Store: func(s store.Store) store.Store { return generous{s} }}, ruleOnce, false},
		{Bug{Name: "recover skips a page", Store: func(s store.Store) store.Store { return skipping{s} }}, rulePromise, false},
		{Bug{Name: "sweep misses the last row of a page", Store: func(s store.Store) store.Store { return shortsighted{s} }}, ruleRest, false},
		{Bug{Name: "a run is marked published before it is", Keeper: marksFirst}, ruleDelivery, false},
		{Bug{Name: "a scheduled item is deleted before its run is published", Keeper: deletesFirst}, rulePublished, false},
		{Bug{Name: "a body is rendered anew for a retry", Store: func(s store.Store) store.Store { return rendering{s} }}, ruleSameBody, false},
		{Bug{Name: "a delivery forgets its trace", Store: func(s store.Store) store.Store { return traceless{s} }}, ruleSameTrace, false},
		{Bug{Name: "a webhook is remembered for an hour", Store: func(s store.Store) store.Store { return &forgetless{Store: s} }}, ruleEnabled, false},
		{Bug{Name: "a row is dropped after its retry was sent in part", Retries: halfHearted}, ruleOver, false},
		{Bug{Name: "recover misses what was canceled", Store: func(s store.Store) store.Store { return choosy{s} }}, rulePromise, false},
		{Bug{Name: "two failures are enough to disable", Store: func(s store.Store) store.Store { return hasty{s} }}, ruleDisabled, true},
		{Bug{Name: "a record is kept for the retention from its first attempt on", Store: func(s store.Store) store.Store { return forgetful{s} }}, ruleOver, true},
		{Bug{Name: "a sender's id is not read", Intake: unnamed}, ruleSameKey, false},
		{Bug{Name: "signatures are not checked", Intake: trusting}, ruleProven, false},
		{Bug{Name: "the limits of agents are not looked at", Store: func(s store.Store) store.Store { return unlimited{s} }}, ruleInFlight, false},
		{Bug{Name: "a run begins without a place", Store: func(s store.Store) store.Store { return placeless{s} }}, ruleAdmitted, false},
		{Bug{Name: "a published event is not pinned", Store: func(s store.Store) store.Store { return unpinned{s} }}, ruleOneDelivery, false},
		{Bug{Name: "what is published is taken for published before it is", Store: func(s store.Store) store.Store { return published{s} }}, rulePublication, false},
		{Bug{Name: "staging runs what is live in production", Store: func(s store.Store) store.Store { return unstaged{s} }}, ruleVersion, false},
		{Bug{Name: "webhooks hear of each environment", Store: func(s store.Store) store.Store { return unscoped{s} }}, ruleScope, false},
		{Bug{Name: "all webhooks speak one dialect", Store: func(s store.Store) store.Store { return monoglot{s} }}, ruleSigned, false},
		{Bug{Name: "a retry does not wait", Retries: impatient}, ruleTime, false},
		{Bug{Name: "an attempt that succeeded is recorded without a request", Store: func(s store.Store) store.Store { return boastful{s} }}, ruleReceived, false},
		{Bug{Name: "events are not put into feeds", Store: func(s store.Store) store.Store { return feedless{s} }}, ruleFed, false},
		{Bug{Name: "an event that is published again is put into its feed again", Store: func(s store.Store) store.Store { return fresh{s} }}, ruleFed, false},
		{Bug{Name: "a feed passes over an event", Store: func(s store.Store) store.Store { return leaky{s} }}, ruleFeed, false},
		{Bug{Name: "a replay passes over an event", Store: func(s store.Store) store.Store { return leaky{s} }}, ruleReplayed, false},
		{Bug{Name: "a replay queues each attempt twice", Retries: doubling}, ruleAsked, false},
		{Bug{Name: "filters are not asked", Store: func(s store.Store) store.Store { return unfiltered{s} }}, ruleFilter, false},
		{Bug{Name: "transforms are not used", Store: func(s store.Store) store.Store { return untransformed{s} }}, ruleFilter, false},
		{Bug{Name: "a fault is forgotten", Deliveries: faultless}, ruleFault, false},
		{Bug{Name: "a run that failed is retried after it is marked published", Keeper: retriesLast}, ruleRetried, false},
		{Bug{Name: "turns are given to all who want one at once", Store: func(s store.Store) store.Store { return unguarded{s} }}, ruleTurns, false},
		{Bug{Name: "the last in line goes first", Store: func(s store.Store) store.Store { return reversed{s} }}, ruleTurnOrder, false},
		{Bug{Name: "a run keeps its turn when it is over", Store: func(s store.Store) store.Store { return holding{s} }}, ruleTurnEnds, false},
		{Bug{Name: "a trigger is told of a run that is about to start, and is not part of it", Store: func(s store.Store) store.Store { return tooLate{s} }}, ruleBurst, false},
		{Bug{Name: "a burst keeps the input of its first trigger", Store: func(s store.Store) store.Store { return firstInput{s} }}, ruleBurstLast, false},
		{Bug{Name: "a burst starts when its first message comes", Store: func(s store.Store) store.Store { return timeless{s} }}, ruleBurstTime, false},
		{Bug{Name: "a line is not looked at again", Keeper: looksOnce}, ruleTurnEnds, false},
	} {
		t.Run(tc.bug.Name, func(t *testing.T) {
			others := map[string]int{}
			for seed, n := uint64(1), 0; n < enough; seed++ {
				if tc.long && !planOf(seed).long {
					continue
				}
				n++
				for _, v := range Run(t, seed, tc.bug).Violations {
					if v.Rule == tc.rule {
						t.Logf("found with seed %d, the %d. world: %s", seed, n, v)
						return
					}
					others[v.Rule]++
				}
			}
			t.Errorf("%d seeds have not found that it breaks: %s; but %v", enough, tc.rule, others)
		})
	}
}

// heedless takes every answer for a yes.
func heedless(to queue.Sender) queue.Sender { return heedlessSender{to} }

type heedlessSender struct{ queue.Sender }

func (s heedlessSender) Send(ctx context.Context, messages ...queue.Message) error {
	_ = s.Sender.Send(ctx, messages...)
	return nil
}

// generous gives every claim.
type generous struct{ store.Store }

func (s generous) ClaimRun(ctx context.Context, id string, c boathook.Claim, startedAt time.Time) (boathook.RunHead, error) {
	head, err := s.Store.ClaimRun(ctx, id, c, startedAt)
	if boathook.IsKind(err, boathook.Conflict) && head.ID != "" {
		return head, nil
	}
	return head, err
}

// halfHearted takes a send in part for a whole one.
func halfHearted(to queue.Sender) queue.Sender { return halfHeartedSender{to} }

type halfHeartedSender struct{ queue.Sender }

func (s halfHeartedSender) Send(ctx context.Context, messages ...queue.Message) error {
	err := s.Sender.Send(ctx, messages...)
	if _, partial := errors.AsType[*queue.PartialError](err); partial {
		return nil
	}
	return err
}

// impatient sends at once what is to wait.
func impatient(to queue.Sender) queue.Sender { return impatientSender{to} }

type impatientSender struct{ queue.Sender }

func (s impatientSender) Send(ctx context.Context, messages ...queue.Message) error {
	for i := range messages {
		messages[i].Delay = 0
	}
	return s.Sender.Send(ctx, messages...)
}

// choosy does not list what was canceled.
type choosy struct{ store.Store }

func (s choosy) Deliveries(ctx context.Context, q store.DeliveryQuery) ([]boathook.Delivery, string, error) {
	q.Statuses = slices.DeleteFunc(slices.Clone(q.Statuses), func(s boathook.DeliveryStatus) bool { return s == boathook.DeliveryCanceled })
	return s.Store.Deliveries(ctx, q)
}

// hasty takes a webhook that failed twice for hopeless.
type hasty struct{ store.Store }

func (s hasty) MarkFailure(ctx context.Context, id string, at time.Time) (boathook.Health, error) {
	h, err := s.Store.MarkFailure(ctx, id, at)
	return overstated(h), err
}

func (s hasty) Outgoing(ctx context.Context, sourceID, id string) (boathook.OutgoingWebhook, error) {
	w, err := s.Store.Outgoing(ctx, sourceID, id)
	w.Health = overstated(w.Health)
	return w, err
}

func overstated(h boathook.Health) boathook.Health {
	if h.Failures >= 2 {
		h.Failures, h.FailingHours = 10, []int64{1, 2, 3, 4, 5}
	}
	return h
}

// forgetful forgets deliveries after the retention, whatever they have come to.
type forgetful struct{ store.Store }

func (s forgetful) Delivery(ctx context.Context, workspaceID string, id boathook.DeliveryID) (boathook.Delivery, error) {
	if time.Since(id.Time()) > (plan{long: true}).retention() {
		return boathook.Delivery{}, boathook.Errorf(boathook.NotFound, "delivery not found")
	}
	return s.Store.Delivery(ctx, workspaceID, id)
}

// unnamed hides the ids that senders give their deliveries in headers.
func unnamed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"X-GitHub-Delivery", "X-Gitlab-Event-UUID", "X-Shopify-Webhook-Id", "X-Delivery"} {
			r.Header.Del(name)
		}
		next.ServeHTTP(w, r)
	})
}

// trusting accepts what is refused for its signature.
func trusting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		if next.ServeHTTP(rec, r); rec.Code == http.StatusUnauthorized {
			rec.Code, rec.Body = http.StatusAccepted, bytes.NewBufferString(`{"run_id":"run_forged"}`)
		}
		maps.Copy(w.Header(), rec.Header())
		w.WriteHeader(rec.Code)
		w.Write(rec.Body.Bytes())
	})
}

// unlimited admits any number of runs.
type unlimited struct{ store.Store }

func (s unlimited) Admit(ctx context.Context, agentID, runID string, _ store.Limit, known store.Load, now time.Time) (time.Time, error) {
	return s.Store.Admit(ctx, agentID, runID, store.Limit{RatePerMinute: 1000, MaxInFlight: 1000}, known, now)
}

// placeless admits runs without counting them.
type placeless struct{ store.Store }

func (placeless) Admit(context.Context, string, string, store.Limit, store.Load, time.Time) (time.Time, error) {
	return time.Time{}, nil
}

// unpinned keeps nothing of published events.
type unpinned struct{ store.Store }

func (unpinned) PinEvent(_ context.Context, p store.EventPin) (store.EventPin, error) { return p, nil }

// published takes each event that is pinned for one that is published.
type published struct{ store.Store }

func (s published) PinEvent(ctx context.Context, p store.EventPin) (store.EventPin, error) {
	p, err := s.Store.PinEvent(ctx, p)
	p.Published = true
	return p, err
}

// unstaged gives a trigger what is live in production.
type unstaged struct{ store.Store }

func (s unstaged) LookUpTrigger(ctx context.Context, sourceID, webhookID, runID string) (store.TriggerView, error) {
	view, err := s.Store.LookUpTrigger(ctx, sourceID, webhookID, runID)
	if live, ok := view.Live[boathook.Production]; ok {
		view.Live[boathook.Staging] = live
	}
	return view, err
}

// unscoped lists webhooks as if they were for each environment.
type unscoped struct{ store.Store }

func (s unscoped) Audience(ctx context.Context, sourceID string) (store.Audience, error) {
	a, err := s.Store.Audience(ctx, sourceID)
	for i := range a.Outgoing {
		a.Outgoing[i].Environment = ""
	}
	return a, err
}

// monoglot knows one dialect.
type monoglot struct{ store.Store }

func (s monoglot) Outgoing(ctx context.Context, sourceID, id string) (boathook.OutgoingWebhook, error) {
	w, err := s.Store.Outgoing(ctx, sourceID, id)
	w.Dialect = dialect.Standard
	return w, err
}

// skipping passes over the second page of a list.
type skipping struct{ store.Store }

func (s skipping) Deliveries(ctx context.Context, q store.DeliveryQuery) ([]boathook.Delivery, string, error) {
	page, next, err := s.Store.Deliveries(ctx, q)
	if q.Cursor == "" || err != nil {
		return page, next, err
	}
	if next == "" {
		return nil, "", nil
	}
	q.Cursor = next
	return s.Store.Deliveries(ctx, q)
}

// shortsighted does not see the last row of what is due.
type shortsighted struct{ store.Store }

func (s shortsighted) Due(ctx context.Context, shard int, after store.Due, until time.Time, limit int) ([]store.Due, error) {
	rows, err := s.Store.Due(ctx, shard, after, until, limit)
	return rows[:max(0, len(rows)-1)], err
}

// wrongOrder is a keeper that ends runs in an order of its own.
type wrongOrder struct {
	Keeper
	store   store.Store
	publish *delivery.Publisher
	finish  func(k wrongOrder, ctx context.Context, r boathook.Run, due store.Due) error
}

func (k wrongOrder) Finish(ctx context.Context, r boathook.Run, due store.Due) error {
	return k.finish(k, ctx, r, due)
}

func marksFirst(k Keeper, s store.Store, p *delivery.Publisher) Keeper {
	return wrongOrder{k, s, p, func(k wrongOrder, ctx context.Context, r boathook.Run, due store.Due) error {
		event, ok := r.Event()
		if !ok || r.Published {
			return k.Keeper.Finish(ctx, r, due)
		}
		if err := k.store.MarkPublished(ctx, r.ID); err != nil {
			return err
		}
		if err := k.publish.Publish(ctx, event); err != nil {
			return err
		}
		return k.store.DeleteDue(ctx, due)
	}}
}

func deletesFirst(k Keeper, s store.Store, p *delivery.Publisher) Keeper {
	return wrongOrder{k, s, p, func(k wrongOrder, ctx context.Context, r boathook.Run, due store.Due) error {
		if err := k.store.DeleteDue(ctx, due); err != nil {
			return err
		}
		return k.Keeper.Finish(ctx, r, due)
	}}
}

func retriesLast(k Keeper, s store.Store, p *delivery.Publisher) Keeper {
	return wrongOrder{k, s, p, func(k wrongOrder, ctx context.Context, r boathook.Run, due store.Due) error {
		unwanted := r
		unwanted.CancelRequested = true
		if err := k.Keeper.Finish(ctx, unwanted, due); err != nil || r.Published {
			return err
		}
		return k.Keeper.Finish(ctx, r, due)
	}}
}

// unguarded moves the turns whatever they are by now.
type unguarded struct{ store.Store }

func (s unguarded) MoveTurns(ctx context.Context, sourceID string, known store.TurnsView, taken map[string]time.Time) (moved bool, err error) {
	now, err := s.Turns(ctx, sourceID, 1)
	if err != nil {
		return false, err
	}
	known.Revision = now.Revision
	return s.Store.MoveTurns(ctx, sourceID, known, taken)
}

// reversed shows lines from their end.
type reversed struct{ store.Store }

func (s reversed) Turns(ctx context.Context, sourceID string, limit int) (store.TurnsView, error) {
	view, err := s.Store.Turns(ctx, sourceID, limit)
	slices.Reverse(view.Line)
	return view, err
}

// holding ends no turns.
type holding struct{ store.Store }

func (holding) EndTurn(context.Context, string, string) error { return nil }

// tooLate takes a run that takes no more triggers for one that has taken this one.
type tooLate struct{ store.Store }

func (s tooLate) RunHead(ctx context.Context, id string) (boathook.RunHead, error) {
	head, err := s.Store.RunHead(ctx, id)
	if head.Burst != nil && head.Status.Over() {
		head.Status = boathook.RunPending
	}
	return head, err
}

func (s tooLate) JoinRun(ctx context.Context, r boathook.RunHead, j store.Join) (boathook.RunHead, error) {
	head, err := s.Store.JoinRun(ctx, r, j)
	if boathook.IsKind(err, boathook.Conflict) {
		err = nil
	}
	return head, err
}

// firstInput leaves a run's input as it is.
type firstInput struct{ store.Store }

func (s firstInput) JoinRun(ctx context.Context, r boathook.RunHead, j store.Join) (boathook.RunHead, error) {
	whole, err := s.Run(ctx, workspaceID, r.ID)
	if err != nil {
		return r, err
	}
	j.Input = whole.Input
	return s.Store.JoinRun(ctx, r, j)
}

// timeless does not know when a run starts.
type timeless struct{ store.Store }

func (s timeless) Run(ctx context.Context, workspaceID, id string) (boathook.Run, error) {
	r, err := s.Store.Run(ctx, workspaceID, id)
	if r.Burst != nil {
		r.StartsAt = time.Time{}
	}
	return r, err
}

// looksOnce has no line looked at twice.
func looksOnce(k Keeper, s store.Store, p *delivery.Publisher) Keeper { return lookingOnce{k, s} }

type lookingOnce struct {
	Keeper
	store store.Store
}

func (k lookingOnce) GiveTurns(ctx context.Context, due store.Due) error {
	return k.store.DeleteDue(ctx, due)
}

// rendering gives a body that means the same.
type rendering struct{ store.Store }

func (s rendering) Delivery(ctx context.Context, workspaceID string, id boathook.DeliveryID) (boathook.Delivery, error) {
	d, err := s.Store.Delivery(ctx, workspaceID, id)
	d.Body = boathook.NewBody(append(bytes.Clone(d.Body.Bytes()), ' '))
	return d, err
}

// traceless loses the traces of deliveries.
type traceless struct{ store.Store }

func (s traceless) Delivery(ctx context.Context, workspaceID string, id boathook.DeliveryID) (boathook.Delivery, error) {
	d, err := s.Store.Delivery(ctx, workspaceID, id)
	d.Trace = boathook.TraceContext{}
	return d, err
}

// forgetless remembers webhooks for an hour.
type forgetless struct {
	store.Store
	known sync.Map
}

type memory struct {
	webhook boathook.OutgoingWebhook
	at      time.Time
}

func (s *forgetless) Outgoing(ctx context.Context, sourceID, id string) (boathook.OutgoingWebhook, error) {
	if m, ok := s.known.Load(id); ok && time.Since(m.(memory).at) < time.Hour {
		return m.(memory).webhook, nil
	}
	w, err := s.Store.Outgoing(ctx, sourceID, id)
	if err == nil {
		s.known.Store(id, memory{w, time.Now()})
	}
	return w, err
}

// boastful records a success whatever came of an attempt.
type boastful struct{ store.Store }

func (s boastful) RecordAttempt(ctx context.Context, d boathook.Delivery, a boathook.Attempt) error {
	d.Status, d.NextAttemptAt = boathook.DeliverySucceeded, time.Time{}
	return s.Store.RecordAttempt(ctx, d, a)
}

// feedless keeps no events.
type feedless struct{ store.Store }

func (feedless) AppendEvents(context.Context, string, time.Duration, ...boathook.Event) error {
	return nil
}

// fresh takes each event for one that nobody can publish again.
type fresh struct{ store.Store }

func (s fresh) AppendEvents(ctx context.Context, sourceID string, keep time.Duration, events ...boathook.Event) error {
	events = slices.Clone(events)
	for i := range events {
		events[i].Fresh = true
	}
	return s.Store.AppendEvents(ctx, sourceID, keep, events...)
}

// leaky loses the last of three events.
type leaky struct{ store.Store }

func (s leaky) FeedEvents(ctx context.Context, q store.FeedQuery) (store.FeedPage, error) {
	page, err := s.Store.FeedEvents(ctx, q)
	page.Events = page.Events[:min(2, len(page.Events))]
	return page, err
}

// doubling sends each attempt that begins a schedule anew with the next number as well.
func doubling(to queue.Sender) queue.Sender { return doublingSender{to} }

type doublingSender struct{ queue.Sender }

func (s doublingSender) Send(ctx context.Context, messages ...queue.Message) error {
	for _, m := range slices.Clone(messages) {
		if d, err := queue.DecodeDelivery(m.Body); err == nil && d.Attempt == d.First && d.First > 1 {
			d.Attempt, d.First = d.Attempt+1, d.First+1
			next, err := queue.EncodeDelivery(d)
			must(err)
			messages = append(messages, next)
		}
	}
	return s.Sender.Send(ctx, messages...)
}

// unfiltered lists webhooks without their filters.
type unfiltered struct{ store.Store }

func (s unfiltered) Audience(ctx context.Context, sourceID string) (store.Audience, error) {
	a, err := s.Store.Audience(ctx, sourceID)
	for i := range a.Outgoing {
		a.Outgoing[i].Filter = ""
	}
	return a, err
}

// untransformed lists webhooks without their transforms.
type untransformed struct{ store.Store }

func (s untransformed) Audience(ctx context.Context, sourceID string) (store.Audience, error) {
	a, err := s.Store.Audience(ctx, sourceID)
	for i := range a.Outgoing {
		a.Outgoing[i].Transform = ""
	}
	return a, err
}

// faultless has an event sent although an expression of its webhook has failed.
func faultless(to queue.Sender) queue.Sender { return faultlessSender{to} }

type faultlessSender struct{ queue.Sender }

func (s faultlessSender) Send(ctx context.Context, messages ...queue.Message) error {
	messages = slices.Clone(messages)
	for i, m := range messages {
		d, err := queue.DecodeDelivery(m.Body)
		must(err)
		d.Fault = ""
		messages[i], err = queue.EncodeDelivery(d)
		must(err)
	}
	return s.Sender.Send(ctx, messages...)
}
