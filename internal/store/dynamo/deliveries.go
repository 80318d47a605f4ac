package dynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"boathook/internal/boathook"
	"boathook/internal/compress"
	"boathook/internal/store"
)

// deliveryItem is a delivery's record: one write unit where its body and its
// first attempt are small.
type deliveryItem struct {
	record
	content                          // of the body
	BodyExpires int64                `dynamodbav:"bx,omitempty"`        // of a body that is in further items
	Parent      string               `dynamodbav:"parent,omitempty"`    // see [parentOf]
	Workspace   string               `dynamodbav:"workspace,omitempty"` // where there is a parent; see [unsucceededOf]
	Place       string               `dynamodbav:"place,omitempty"`     // where there is a parent
	SourceID    string               `dynamodbav:"so"`
	WebhookID   string               `dynamodbav:"w"`
	EventID     string               `dynamodbav:"i"`
	EventType   boathook.EventType   `dynamodbav:"t"`
	Environment boathook.Environment `dynamodbav:"e,omitempty"`
	Dialect     string               `dynamodbav:"dl,omitempty"`
	Trace       *traceItem           `dynamodbav:"tc,omitempty"`
	BodySize    int                  `dynamodbav:"z,omitempty"`  // in bytes, before it is compressed
	First       []byte               `dynamodbav:"a,omitempty"`  // the first attempt; see [packAttempt]
	Reason      string               `dynamodbav:"er,omitempty"` // why it was canceled
	Last        *summaryItem         `dynamodbav:"l,omitempty"`
	ContentType string               `dynamodbav:"ct,omitempty"`
	Fault       string               `dynamodbav:"fa,omitempty"`
	state
}

// state is what a delivery has come to.
type state struct {
	Status        boathook.DeliveryStatus `dynamodbav:"s"`
	Attempts      int                     `dynamodbav:"n"`
	NextAttemptAt time.Time               `dynamodbav:"u,omitempty"`
	Resend        int                     `dynamodbav:"rs,omitempty"`
}

func newState(d boathook.Delivery) state {
	return state{d.Status, d.Attempts, d.NextAttemptAt, d.Resend}
}

// give makes the state a delivery's.
func (st state) give(d *boathook.Delivery) {
	d.Status, d.Attempts, d.NextAttemptAt, d.Resend = st.Status, st.Attempts, st.NextAttemptAt, st.Resend
}

// summaryItem is the last attempt in short: lists read no attempts.
type summaryItem struct {
	Number   int       `dynamodbav:"n"`
	SentAt   time.Time `dynamodbav:"t"`
	Duration int64     `dynamodbav:"d"` // milliseconds
	Status   int       `dynamodbav:"s,omitempty"`
	Error    string    `dynamodbav:"e,omitempty"`
}

// traceItem is the place in a trace that a run or a delivery follows from.
type traceItem struct {
	Parent string `dynamodbav:"p"`
	State  string `dynamodbav:"s,omitempty"`
}

// newTraceItem is nil where there is none.
func newTraceItem(c boathook.TraceContext) *traceItem {
	if c.IsZero() {
		return nil
	}
	return new(traceItem(c))
}

func (it *traceItem) place() boathook.TraceContext {
	if it == nil {
		return boathook.TraceContext{}
	}
	return boathook.TraceContext(*it)
}

// newSummaryItem is nil where there is no attempt.
func newSummaryItem(s boathook.Summary) *summaryItem {
	if s.Number == 0 {
		return nil
	}
	return &summaryItem{s.Number, s.SentAt, s.Duration.Milliseconds(), s.Status, s.Error}
}

func (it *summaryItem) summary() boathook.Summary {
	if it == nil {
		return boathook.Summary{}
	}
	return boathook.Summary{
		Number: it.Number, SentAt: it.SentAt, Duration: time.Duration(it.Duration) * time.Millisecond, Status: it.Status, Error: it.Error,
	}
}

// maxInlineBody is how much of a compressed body the record itself holds. Later
// attempts and lists pay for the whole record's size each time.
const maxInlineBody = 4 << 10

// deliveryColumns are a delivery without its body and attempt.
const deliveryColumns = "pk, sk, x, so, w, i, t, e, s, n, u, er, l"

// lives reports whether a delivery's record lives long enough for an attempt at a
// time, whatever became of it so far: it was written after its event happened.
func (s *Store) lives(id boathook.DeliveryID, next time.Time) bool {
	return next.Add(store.UnfinishedLife).Before(id.Time().Add(s.config.Retention))
}

// deliveryExpiry is when the record of a delivery expires that is written now, and
// whose next attempt is at a time.
func (s *Store) deliveryExpiry(id boathook.DeliveryID, next time.Time) int64 {
	if s.lives(id, next) {
		return s.expiry()
	}
	return max(s.expiry(), next.Add(s.config.Retention).Unix())
}

func (s *Store) newDeliveryItem(ctx context.Context, d boathook.Delivery) (deliveryItem, error) {
	if !boathook.IsID(d.WebhookID) {
		return deliveryItem{}, store.ErrNoID // its key does not show that
	}
	it := deliveryItem{
		record:   record{deliveryKey(d.WorkspaceID, d.ID), s.deliveryExpiry(d.ID, d.NextAttemptAt)},
		SourceID: d.SourceID, WebhookID: d.WebhookID, EventID: d.EventID, EventType: d.EventType, Environment: d.Environment, Dialect: d.Dialect,
		Trace: newTraceItem(d.Trace), BodySize: d.Body.Len(), ContentType: d.ContentType, Fault: d.Fault, Reason: d.Reason, Last: newSummaryItem(d.Last), state: newState(d),
	}
	if it.Parent = parentOf(d); it.Parent != "" {
		it.Workspace, it.Place = unsucceededOf(d), d.ID.String()
	}
	var err error
	it.content, err = s.split(ctx, it.key, compress.Pack(d.Body), maxInlineBody, it.Expires)
	if it.Parts > 0 {
		it.BodyExpires = it.Expires
	}
	return it, err
}

// updateDelivery is updateRecord for a delivery's record, which is to live for an
// attempt at a time; the zero time is for none.
func (s *Store) updateDelivery(ctx context.Context, d boathook.Delivery, next time.Time, change, when string, values map[string]any) (it item, held bool, err error) {
	if !s.lives(d.ID, next) {
		change = strings.Replace(change, "SET ", "SET x = :x, ", 1)
		values[":x"] = s.deliveryExpiry(d.ID, next)
	}
	it, held, err = s.updateRecord(ctx, deliveryKey(d.WorkspaceID, d.ID), change, when, values)
	if !held || err != nil || s.lives(d.ID, next) {
		return it, held, err
	}
	return it, held, s.keepBody(ctx, d, it, next)
}

// keepBody writes the further items of a delivery's body anew, if they would
// expire before an attempt at a time.
func (s *Store) keepBody(ctx context.Context, d boathook.Delivery, record item, next time.Time) error {
	it, err := decode[deliveryItem](record)
	if err != nil || it.Parts == 0 || next.Add(store.UnfinishedLife).Unix() < it.BodyExpires {
		return err
	}
	if _, err := s.split(ctx, it.key, compress.Pack(d.Body), maxInlineBody, it.Expires); err != nil {
		return err
	}
	_, err = s.changeRecord(ctx, it.key, "SET bx = :x", "", map[string]any{":x": it.Expires})
	return err
}

// delivery is without its body.
func (it deliveryItem) delivery(workspaceID string) (boathook.Delivery, error) {
	id, err := boathook.ParseDeliveryID(it.SK)
	if err != nil {
		return boathook.Delivery{}, fmt.Errorf("item %s: %w", it.key, err)
	}
	d := boathook.Delivery{
		ID: id, WorkspaceID: workspaceID, SourceID: it.SourceID, WebhookID: it.WebhookID,
		EventID: it.EventID, EventType: it.EventType, Environment: it.Environment, Dialect: it.Dialect,
		Trace: it.Trace.place(), ContentType: it.ContentType, Fault: it.Fault, Reason: it.Reason, Last: it.Last.summary(),
	}
	it.give(&d)
	return d, nil
}

// attemptItem is a delivery's second or a later attempt, and the state that it
// left the delivery in: writing it is what records the attempt. The delivery
// follows, at the latest when the attempt is recorded again.
type attemptItem struct {
	record
	Attempt []byte `dynamodbav:"a"`
	state
}

// RecordAttempt implements [store.Deliveries].
func (s *Store) RecordAttempt(ctx context.Context, d boathook.Delivery, a boathook.Attempt) error {
	recorded, err := s.recordAttempt(ctx, d, a)
	if err != nil {
		return fmt.Errorf("record attempt %d of delivery %s: %w", a.Number, d.ID, err)
	}
	if !recorded {
		return boathook.Errorf(boathook.Conflict, "attempt %d of delivery %s is recorded already", a.Number, d.ID)
	}
	return nil
}

// recordAttempt is false if the attempt was recorded before.
func (s *Store) recordAttempt(ctx context.Context, d boathook.Delivery, a boathook.Attempt) (recorded bool, err error) {
	packed, err := packAttempt(a)
	if err != nil {
		return false, err
	}
	d.Last = a.Summary()
	if a.Number == 1 {
		it, err := s.newDeliveryItem(ctx, d)
		if err != nil {
			return false, err
		}
		it.First = packed
		return s.putRecord(ctx, it, absent+" OR n < :n", item{":n": num(1)})
	}

	it := attemptItem{s.record(attemptKey(d.ID, a.Number)), packed, newState(d)}
	if recorded, err = s.putRecord(ctx, it, absent, nil); err != nil {
		return false, err
	}
	if !recorded {
		stored, err := s.read(ctx, s.config.RecordsTable, it.key, true)
		if err != nil {
			return false, err
		}
		if it, err = decode[attemptItem](stored); err != nil {
			return false, err
		}
		first, err := unpackAttempt(it.Attempt)
		if err != nil {
			return false, err
		}
		it.give(&d)
		d.Last = first.Summary()
	}
	return recorded, s.follow(ctx, d, a.Number)
}

// follow brings a delivery's record to the state after its nth attempt, unless
// it is there or beyond.
func (s *Store) follow(ctx context.Context, d boathook.Delivery, n int) error {
	change := "SET s = :s, n = :n, u = :u, rs = :rs, l = :l REMOVE parent, workspace, place, er"
	values := map[string]any{":s": d.Status, ":n": d.Attempts, ":u": d.NextAttemptAt, ":rs": d.Resend, ":l": newSummaryItem(d.Last), ":number": n}
	if parent := parentOf(d); parent != "" {
		change = "SET s = :s, n = :n, u = :u, rs = :rs, l = :l, parent = :parent, workspace = :workspace, place = :place REMOVE er"
		values[":parent"], values[":workspace"], values[":place"] = parent, unsucceededOf(d), d.ID.String()
	}
	for {
		it, held, err := s.updateDelivery(ctx, d, d.NextAttemptAt, change, "n < :number", values)
		if held || err != nil {
			return err
		}
		if it == nil {
			made, err := s.makeDelivery(ctx, d)
			if made || err != nil {
				return err
			}
			continue
		}
		found, err := decode[deliveryItem](it)
		if err != nil || found.Attempts >= n {
			return err
		}
		// It was made between the update and the look that followed.
	}
}

// makeDelivery writes a delivery's record without attempts if it is absent.
func (s *Store) makeDelivery(ctx context.Context, d boathook.Delivery) (made bool, err error) {
	it, err := s.newDeliveryItem(ctx, d)
	if err != nil {
		return false, err
	}
	return s.putRecord(ctx, it, absent, nil)
}

// CancelDelivery implements [store.Deliveries].
func (s *Store) CancelDelivery(ctx context.Context, d boathook.Delivery) error {
	d.Status, d.NextAttemptAt = boathook.DeliveryCanceled, time.Time{}
	for {
		done, err := s.cancelDelivery(ctx, &d)
		if err != nil {
			return fmt.Errorf("cancel delivery %s: %w", d.ID, err)
		}
		if done {
			return nil
		}
	}
}

// cancelDelivery is not done if the record was made or removed meanwhile, or
// has more attempts than d, which then has as many.
func (s *Store) cancelDelivery(ctx context.Context, d *boathook.Delivery) (done bool, err error) {
	it, held, err := s.updateRecord(ctx, deliveryKey(d.WorkspaceID, d.ID),
		"SET s = :s, er = :reason, n = :n, parent = :parent, workspace = :workspace, place = :place REMOVE u", "(s = :retrying OR s = :failed) AND n <= :n", map[string]any{
			":s": d.Status, ":reason": d.Reason, ":n": d.Attempts, ":parent": parentOf(*d), ":workspace": unsucceededOf(*d), ":place": d.ID.String(),
			":retrying": boathook.DeliveryRetrying, ":failed": boathook.DeliveryFailed,
		})
	if held || err != nil {
		return held, err
	}
	if it == nil {
		return s.makeDelivery(ctx, *d)
	}
	found, err := decode[deliveryItem](it)
	d.Attempts = max(d.Attempts, found.Attempts)
	return found.Status != boathook.DeliveryRetrying, err
}

// PostponeDelivery implements [store.Deliveries].
func (s *Store) PostponeDelivery(ctx context.Context, d boathook.Delivery, at time.Time) error {
	for {
		done, err := s.postponeDelivery(ctx, d, at)
		if err != nil {
			return fmt.Errorf("postpone delivery %s: %w", d.ID, err)
		}
		if done {
			return nil
		}
	}
}

// postponeDelivery is not done if the record was made or removed meanwhile.
func (s *Store) postponeDelivery(ctx context.Context, d boathook.Delivery, at time.Time) (done bool, err error) {
	d.Status = boathook.DeliveryRetrying
	change, values := "SET s = :retrying, u = :at, parent = :parent, workspace = :workspace, place = :place", map[string]any{
		":retrying": d.Status, ":succeeded": boathook.DeliverySucceeded, ":n": d.Attempts, ":at": at,
		":parent": parentOf(d), ":workspace": unsucceededOf(d), ":place": d.ID.String(),
	}
	if d.Resend > 0 {
		change, values[":resend"] = change+", rs = :resend", d.Resend
	}
	it, held, err := s.updateDelivery(ctx, d, at, change+" REMOVE er", "s <> :succeeded AND n <= :n", values)
	if held || err != nil {
		return held, err
	}
	if it == nil {
		d.NextAttemptAt, d.Reason = at, ""
		return s.makeDelivery(ctx, d)
	}
	found, err := decode[deliveryItem](it)
	if err != nil || found.Status != boathook.DeliverySucceeded {
		return found.Attempts > d.Attempts, err
	}
	if s.lives(d.ID, at) {
		return true, nil
	}
	_, _, err = s.updateDelivery(ctx, d, at, "SET s = s", "", map[string]any{}) // a resend of it waits
	return true, err
}

// ReopenDelivery implements [store.Deliveries].
func (s *Store) ReopenDelivery(ctx context.Context, d boathook.Delivery, at time.Time) error {
	when, values := "s = :status AND n = :n", map[string]any{":status": d.Status, ":n": d.Attempts, ":at": at, ":resend": d.Attempts + 1}
	switch d.Status {
	case boathook.DeliveryFailed:
	case boathook.DeliveryRetrying:
		when += " AND u = :next"
		values[":next"] = d.NextAttemptAt
	default:
		return nil
	}
	d.Status = boathook.DeliveryRetrying
	values[":retrying"], values[":parent"], values[":workspace"], values[":place"] = d.Status, parentOf(d), unsucceededOf(d), d.ID.String()
	if _, _, err := s.updateDelivery(ctx, d, at, "SET s = :retrying, u = :at, rs = :resend, parent = :parent, workspace = :workspace, place = :place", when, values); err != nil {
		return fmt.Errorf("reopen delivery %s: %w", d.ID, err)
	}
	return nil
}

// Delivery implements [store.Deliveries].
func (s *Store) Delivery(ctx context.Context, workspaceID string, id boathook.DeliveryID) (boathook.Delivery, error) {
	d, _, err := s.delivery(ctx, workspaceID, id)
	return d, err
}

func (s *Store) delivery(ctx context.Context, workspaceID string, id boathook.DeliveryID) (d boathook.Delivery, it deliveryItem, err error) {
	found, err := s.read(ctx, s.config.RecordsTable, deliveryKey(workspaceID, id), true)
	if err != nil {
		return d, it, fmt.Errorf("get delivery %s: %w", id, err)
	}
	if found == nil {
		return d, it, notFound("delivery " + id.String())
	}
	if it, err = decode[deliveryItem](found); err != nil {
		return d, it, err
	}
	if d, err = it.delivery(workspaceID); err != nil {
		return d, it, err
	}
	store.TellOwner(ctx, store.Owner{SourceID: d.SourceID, WebhookID: d.WebhookID})
	packed, err := s.joined(ctx, it.key, it.content)
	switch {
	case err == nil:
		d.Body = compress.Unopened(packed, maxText)
	case !errors.Is(err, errLost):
		return d, it, fmt.Errorf("get the body of delivery %s: %w", id, err)
	}
	return d, it, nil
}

// Attempts implements [store.Deliveries].
func (s *Store) Attempts(ctx context.Context, workspaceID string, id boathook.DeliveryID) (boathook.Delivery, []boathook.Attempt, error) {
	d, it, err := s.delivery(ctx, workspaceID, id)
	if err != nil {
		return boathook.Delivery{}, nil, err
	}
	attempts, err := s.attempts(ctx, id, it)
	if err != nil {
		return boathook.Delivery{}, nil, fmt.Errorf("get the attempts of delivery %s: %w", id, err)
	}
	return d, attempts, nil
}

func (s *Store) attempts(ctx context.Context, id boathook.DeliveryID, it deliveryItem) (attempts []boathook.Attempt, err error) {
	if it.First != nil {
		a, err := unpackAttempt(it.First)
		if err != nil {
			return nil, err
		}
		attempts = append(attempts, a)
	}
	if it.Attempts < 2 {
		return attempts, nil
	}
	for later, err := range s.items(ctx, &dynamodb.QueryInput{
		TableName: &s.config.RecordsTable, ConsistentRead: aws.Bool(true),
		KeyConditionExpression:    aws.String("pk = :pk"),
		ExpressionAttributeValues: item{":pk": str(attemptKey(id, 0).PK)},
	}) {
		if err != nil {
			return nil, err
		}
		it, err := decode[attemptItem](later)
		if err != nil {
			return nil, err
		}
		a, err := unpackAttempt(it.Attempt)
		if err != nil {
			return nil, err
		}
		attempts = append(attempts, a)
	}
	return attempts, nil
}

// deliveryLists are the lists that have what a query selects of a webhook's. Of several
// statuses, those of retrying ones are looked at first: a delivery leaves them for others.
func (s *Store) deliveryLists(q store.DeliveryQuery) (stages [][]list) {
	whole := list{table: s.config.RecordsTable}
	if !q.Since.IsZero() {
		whole.oldest = boathook.FirstDeliveryID(q.Since, q.WebhookID).String()
	}
	if !q.Until.IsZero() {
		whole.newest = before(boathook.FirstDeliveryID(q.Until, q.WebhookID))
	}
	if len(q.Statuses) == 0 || slices.Contains(q.Statuses, boathook.DeliverySucceeded) {
		whole.columns = deliveryColumns
		return [][]list{s.webhookLists(whole, q.WorkspaceID, q.WebhookID)}
	}
	whole.index = byParent
	for _, status := range []boathook.DeliveryStatus{boathook.DeliveryRetrying, boathook.DeliveryFailed, boathook.DeliveryCanceled} {
		if !slices.Contains(q.Statuses, status) {
			continue
		}
		lists := slices.Repeat([]list{whole}, deliveryShards)
		for shard := range lists {
			lists[shard].partition = statusParent(status, q.WorkspaceID, q.WebhookID, shard)
		}
		stages = append(stages, lists)
	}
	return stages
}

// before is a position behind which all ids of deliveries are that are less than one that
// ends in 0: without its last digit it sorts before the id itself, and after all that are
// less.
func before(id boathook.DeliveryID) string {
	edge := id.String()
	return edge[:len(edge)-1]
}

// webhookLists are the lists of a webhook's deliveries, each like one.
func (s *Store) webhookLists(like list, workspaceID, webhookID string) []list {
	lists := slices.Repeat([]list{like}, deliveryShards)
	for shard := range lists {
		lists[shard].partition = webhookPartition(workspaceID, webhookID, shard)
	}
	return lists
}

// wanted reports whether a query selects a record.
func (it deliveryItem) wanted(q *store.DeliveryQuery) bool {
	d := boathook.Delivery{WebhookID: it.WebhookID, SourceID: it.SourceID, EventType: it.EventType, Status: it.Status, Last: it.Last.summary()}
	return q.Wants(&d)
}

// Deliveries implements [store.Deliveries].
func (s *Store) Deliveries(ctx context.Context, q store.DeliveryQuery) (deliveries []boathook.Delivery, next string, err error) {
	found, next, err := page(ctx, s, q.Page, isDeliveryID, func(it deliveryItem) bool { return it.wanted(&q) }, s.deliveryLists(q)...)
	if err != nil {
		return nil, "", fmt.Errorf("list deliveries of %s: %w", q.WebhookID, err)
	}
	for _, it := range objects(found) {
		d, err := it.delivery(q.WorkspaceID)
		if err != nil {
			return nil, "", err
		}
		deliveries = append(deliveries, d)
	}
	return deliveries, next, nil
}
