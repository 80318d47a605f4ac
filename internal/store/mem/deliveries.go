package mem

import (
	"bytes"
	"cmp"
	"context"
	"iter"
	"slices"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
	"boathook/internal/store/paging"
)

type deliveryKey struct {
	workspaceID string
	id          boathook.DeliveryID
}

// webhookKey is what a list of deliveries belongs to.
type webhookKey struct{ workspaceID, webhookID string }

type delivery struct {
	boathook.Delivery
	attempts []boathook.Attempt // by number
	expires  time.Time
}

// move brings a delivery to a state, and gives it the time that its next attempt
// needs.
func (s *Store) move(d *delivery, status boathook.DeliveryStatus, next time.Time) {
	d.Status, d.NextAttemptAt = status, stored(next)
	if d.expires.Before(next.Add(store.UnfinishedLife)) {
		d.expires = next.Add(s.config.Retention)
	}
}

// place is where a delivery stands among its webhook's.
func place(d boathook.Delivery) (of webhookKey, at paging.Position) {
	return webhookKey{d.WorkspaceID, d.WebhookID}, paging.PositionOf(d.ID.Time(), d.ID.String())
}

// create makes the record of a delivery.
func (s *Store) create(d boathook.Delivery) *delivery {
	rec := &delivery{Delivery: cloneDelivery(d)}
	key := deliveryKey{d.WorkspaceID, d.ID}
	of, at := place(d)
	s.deliveries[key] = rec
	s.deliveriesOf.put(of, at, rec)
	s.deliveriesIn.put(d.WorkspaceID, at, rec)
	rec.expires = s.expiry()
	s.expireLater(func() time.Time { return rec.expires }, func() {
		delete(s.deliveries, key)
		s.deliveriesOf.remove(of, at)
		s.deliveriesIn.remove(d.WorkspaceID, at)
	})
	return rec
}

// RecordAttempt implements [store.Deliveries]. An attempt that is recorded
// after a later one does not turn the delivery back.
func (s *Store) RecordAttempt(_ context.Context, d boathook.Delivery, a boathook.Attempt) error {
	if err := store.CheckIDs(d.WorkspaceID, d.WebhookID); err != nil {
		return err
	}
	defer s.lock()()
	rec, exists := s.deliveries[deliveryKey{d.WorkspaceID, d.ID}]
	if !exists {
		rec = s.create(d)
	}
	i, recorded := slices.BinarySearchFunc(rec.attempts, a.Number, func(a boathook.Attempt, n int) int { return cmp.Compare(a.Number, n) })
	if recorded {
		return boathook.Errorf(boathook.Conflict, "attempt %d of delivery %s is recorded", a.Number, d.ID)
	}
	if a.Number == 1 && rec.Attempts == 0 {
		rec.Dialect, rec.Body, rec.ContentType, rec.Fault, rec.Trace = d.Dialect, d.Body, d.ContentType, d.Fault, d.Trace
	}
	if !exists || a.Number > rec.Attempts {
		rec.Attempts, rec.Reason, rec.Resend, rec.Last = d.Attempts, "", d.Resend, a.Summary()
		rec.Last.SentAt = stored(rec.Last.SentAt)
		s.move(rec, d.Status, d.NextAttemptAt)
	}
	rec.attempts = slices.Insert(rec.attempts, i, cloneAttempt(a))
	return nil
}

// CancelDelivery implements [store.Deliveries].
func (s *Store) CancelDelivery(_ context.Context, d boathook.Delivery) error {
	if err := store.CheckIDs(d.WorkspaceID, d.WebhookID); err != nil {
		return err
	}
	defer s.lock()()
	rec, exists := s.deliveries[deliveryKey{d.WorkspaceID, d.ID}]
	if !exists {
		rec = s.create(d)
	} else if rec.Status != boathook.DeliveryRetrying && (rec.Status != boathook.DeliveryFailed || rec.Attempts > d.Attempts) {
		return nil
	}
	rec.Attempts = max(rec.Attempts, d.Attempts)
	rec.Status, rec.NextAttemptAt, rec.Reason = boathook.DeliveryCanceled, time.Time{}, d.Reason
	return nil
}

// PostponeDelivery implements [store.Deliveries].
func (s *Store) PostponeDelivery(_ context.Context, d boathook.Delivery, at time.Time) error {
	if err := store.CheckIDs(d.WorkspaceID, d.WebhookID); err != nil {
		return err
	}
	defer s.lock()()
	rec, exists := s.deliveries[deliveryKey{d.WorkspaceID, d.ID}]
	if !exists {
		rec = s.create(d)
	}
	if rec.Attempts > d.Attempts {
		return nil
	}
	status := rec.Status
	if status != boathook.DeliverySucceeded || !exists {
		status, rec.Reason = boathook.DeliveryRetrying, ""
		rec.Resend = cmp.Or(d.Resend, rec.Resend)
	}
	s.move(rec, status, at)
	if status == boathook.DeliverySucceeded {
		rec.NextAttemptAt = time.Time{}
	}
	return nil
}

// ReopenDelivery implements [store.Deliveries].
func (s *Store) ReopenDelivery(_ context.Context, d boathook.Delivery, at time.Time) error {
	defer s.lock()()
	rec, exists := s.deliveries[deliveryKey{d.WorkspaceID, d.ID}]
	if exists && (d.Status == boathook.DeliveryFailed || d.Status == boathook.DeliveryRetrying) &&
		rec.Status == d.Status && rec.Attempts == d.Attempts && rec.NextAttemptAt.Equal(stored(d.NextAttemptAt)) {
		rec.Resend = rec.Attempts + 1
		s.move(rec, boathook.DeliveryRetrying, at)
	}
	return nil
}

// Delivery implements [store.Deliveries].
func (s *Store) Delivery(_ context.Context, workspaceID string, id boathook.DeliveryID) (boathook.Delivery, error) {
	defer s.lock()()
	rec, ok := s.deliveries[deliveryKey{workspaceID, id}]
	if !ok {
		return boathook.Delivery{}, notFound("delivery")
	}
	return cloneDelivery(rec.Delivery), nil
}

// Attempts implements [store.Deliveries].
func (s *Store) Attempts(_ context.Context, workspaceID string, id boathook.DeliveryID) (boathook.Delivery, []boathook.Attempt, error) {
	defer s.lock()()
	rec, ok := s.deliveries[deliveryKey{workspaceID, id}]
	if !ok {
		return boathook.Delivery{}, nil, notFound("delivery")
	}
	attempts := make([]boathook.Attempt, len(rec.attempts))
	for i, a := range rec.attempts {
		attempts[i] = cloneAttempt(a)
	}
	return cloneDelivery(rec.Delivery), attempts, nil
}

// AttemptLog implements [store.Deliveries].
func (s *Store) AttemptLog(_ context.Context, q store.AttemptQuery) (log []store.Attempted, _ error) {
	defer s.lock()()
	looked, skip, size := 0, q.Skip, 0
	for e := range s.deliveriesOf.before(webhookKey{q.WorkspaceID, q.WebhookID}, paging.End) {
		if looked++; looked > store.MaxCounted {
			break
		}
		for number := e.Value.Attempts; number > 0; number-- {
			if skip > 0 {
				skip--
				continue
			}
			i, made := slices.BinarySearchFunc(e.Value.attempts, number, func(a boathook.Attempt, n int) int { return cmp.Compare(a.Number, n) })
			if !made {
				continue
			}
			if len(log) == q.Limit || size >= store.MaxPageBytes {
				return log, nil
			}
			a := store.Attempted{Delivery: cloneDelivery(e.Value.Delivery), Attempt: cloneAttempt(e.Value.attempts[i])}
			size += a.Delivery.Body.Len()
			if a.Attempt.Response != nil {
				size += len(a.Attempt.Response.Body)
			}
			log = append(log, a)
		}
	}
	return log, nil
}

// Deliveries implements [store.Deliveries].
func (s *Store) Deliveries(_ context.Context, q store.DeliveryQuery) ([]boathook.Delivery, string, error) {
	defer s.lock()()
	from, err := paging.ParseCursor(q.Cursor)
	if err != nil {
		return nil, "", err
	}
	return listDeliveries(s.deliveriesOf.before(webhookKey{q.WorkspaceID, q.WebhookID}, from), q)
}

// EnterDeliveries implements [store.Deliveries]: those that have records are listed.
func (s *Store) EnterDeliveries(_ context.Context, deliveries ...boathook.Delivery) error {
	return store.CheckWorkspaces(deliveries)
}

// WorkspaceDeliveries implements [store.Deliveries].
func (s *Store) WorkspaceDeliveries(_ context.Context, q store.DeliveryQuery) ([]boathook.Delivery, string, error) {
	defer s.lock()()
	from, err := paging.ParseCursor(q.Cursor)
	if err != nil {
		return nil, "", err
	}
	return listDeliveries(s.deliveriesIn.before(q.WorkspaceID, from), q)
}

// listDeliveries is a page of a list that a query asks for.
func listDeliveries(entries iter.Seq[paging.Entry[*delivery]], q store.DeliveryQuery) ([]boathook.Delivery, string, error) {
	if statuses, all := q.Unsucceeded(); !all {
		entries = only(entries, func(d *delivery) bool { return slices.Contains(statuses, d.Status) }) // package dynamo has an index of them
	}
	records, next := paging.Page(entries, q.Page, func(d *delivery) bool {
		at := d.ID.Time()
		return q.Wants(&d.Delivery) && !at.Before(stored(q.Since)) && (q.Until.IsZero() || at.Before(stored(q.Until)))
	})

	deliveries := make([]boathook.Delivery, len(records))
	for i, rec := range records {
		deliveries[i] = rec.Delivery
		d := &deliveries[i]
		d.Body, d.Resend, d.Dialect, d.ContentType, d.Fault, d.Trace = boathook.Body{}, 0, "", "", "", boathook.TraceContext{}
	}
	return deliveries, next, nil
}

func cloneDelivery(d boathook.Delivery) boathook.Delivery {
	d.NextAttemptAt = stored(d.NextAttemptAt)
	return d
}

func cloneAttempt(a boathook.Attempt) boathook.Attempt {
	a.SentAt, a.CutAt = stored(a.SentAt), stored(a.CutAt)
	if a.Response != nil {
		r := *a.Response
		r.Headers = r.Headers.Clone()
		r.Body = bytes.Clone(r.Body)
		a.Response = &r
	}
	return a
}
