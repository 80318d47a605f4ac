package sim

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/publish"
	"boathook/internal/queue"
	"boathook/internal/store"
)

// enough is within how many seeds a planted bug must be found.
const enough = 500

// TestPlantedBugsAreFound breaks the rooms' wiring, one promise at a time, and
// sees that the simulation tells which.
func TestPlantedBugsAreFound(t *testing.T) {
	for _, tc := range []struct {
		bug  Bug
		rule string // that it breaks
	}{
		{Bug{Name: "a message is acknowledged before it is handled", EarlyAck: true}, ruleRun},
		{Bug{Name: "a publish that fails is taken for done", Deliveries: heedless}, ruleDelivery},
		{Bug{Name: "a retry that can't be queued is taken for queued", Retries: heedless}, ruleSettled},
		{Bug{Name: "every claim succeeds", Store: func(s store.Store) store.Store { return generous{s} }}, ruleOnce},
		{Bug{Name: "recover skips a page", Store: func(s store.Store) store.Store { return skipping{s} }}, rulePromise},
		{Bug{Name: "sweep misses the last row of a page", Store: func(s store.Store) store.Store { return shortsighted{s} }}, ruleRest},
		{Bug{Name: "a run is marked published before it is", Keeper: marksFirst}, ruleDelivery},
		{Bug{Name: "a due row is deleted before its run is published", Keeper: deletesFirst}, rulePublished},
		{Bug{Name: "a body is rendered anew for a retry", Store: func(s store.Store) store.Store { return rendering{s} }}, ruleSameBody},
		{Bug{Name: "a webhook is remembered for an hour", Store: func(s store.Store) store.Store { return &forgetless{Store: s} }}, ruleEnabled},
		{Bug{Name: "an attempt that succeeded is recorded without a request", Store: func(s store.Store) store.Store { return boastful{s} }}, ruleReceived},
	} {
		t.Run(tc.bug.Name, func(t *testing.T) {
			others := map[string]int{}
			for seed := range uint64(enough) {
				for _, v := range Run(t, seed+1, tc.bug).Violations {
					if v.Rule == tc.rule {
						t.Logf("found with seed %d: %s", seed+1, v)
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

// wrongOrder is a keeper that settles runs in an order of its own.
type wrongOrder struct {
	Keeper
	store   store.Store
	publish *publish.Publisher
	settle  func(k wrongOrder, ctx context.Context, r boathook.Run, due store.Due) error
}

func (k wrongOrder) Settle(ctx context.Context, r boathook.Run, due store.Due) error {
	return k.settle(k, ctx, r, due)
}

func marksFirst(k Keeper, s store.Store, p *publish.Publisher) Keeper {
	return wrongOrder{k, s, p, func(k wrongOrder, ctx context.Context, r boathook.Run, due store.Due) error {
		event, ok := r.Event()
		if !ok || r.Published {
			return k.Keeper.Settle(ctx, r, due)
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

func deletesFirst(k Keeper, s store.Store, p *publish.Publisher) Keeper {
	return wrongOrder{k, s, p, func(k wrongOrder, ctx context.Context, r boathook.Run, due store.Due) error {
		if err := k.store.DeleteDue(ctx, due); err != nil {
			return err
		}
		return k.Keeper.Settle(ctx, r, due)
	}}
}

// rendering gives a body that means the same.
type rendering struct{ store.Store }

func (s rendering) Delivery(ctx context.Context, workspaceID string, id boathook.DeliveryID) (boathook.Delivery, error) {
	d, err := s.Store.Delivery(ctx, workspaceID, id)
	d.Body = append(bytes.Clone(d.Body), ' ')
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
