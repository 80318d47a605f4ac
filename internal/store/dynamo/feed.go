package dynamo

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
	"boathook/internal/compress"
	"boathook/internal/store"
)

// A feed has three kinds of items: the counter of its positions, a slot for each
// position, and a mark for each event that may be published again.
//
// Who publishes takes positions from the counter (one write for all events of a
// request), writes each event's mark, if the mark is absent, and then its slot, if the
// slot is absent. Where the mark is there, the event has the mark's position, and the new
// one is given up: a tombstone is put into its slot.
//
// Who reads goes from slot to slot. A position without a slot, below one that was given
// out later, is of somebody who has not written yet, or never will. The reader stops in
// front of it for [feedGrace]. Then it puts a tombstone there, if the slot is absent, and
// goes on. Who comes late to write meets the tombstone, takes another position, moves the
// mark from the old position to the new one, and writes there. Of two who move a mark one
// wins; the other follows the mark.
//
// Why each event is in the feed once, however often it is published and wherever a
// process dies:
//
//   - A slot is only written where it is absent. So what a position holds never changes.
//   - An event's slot is written at a position that the event's mark names at that time.
//     The mark moves away from a position only when a tombstone is there. So where an
//     event is, its mark stays, and the event is nowhere else. An event that is fresh has
//     no mark; one process writes it, once.
//   - A process that dies before the slot is written leaves a mark, if any. A repeat
//     finds it and goes on.
//
// Why a reader misses nothing and sees one order: it passes a position only when the
// slot is there, and that never changes. What is published later gets a higher position.
//
// Slots and tombstones expire with the feed's retention. A position that is missing may
// thus have expired. It has not, if the event before it, which the cursor names, came
// less than the retention ago. Otherwise the reader is told that it may have missed
// events. The counter never expires, since cursors count on it.

// feedPageSize is how many positions are in one partition. It is part of their keys:
// never change it.
const feedPageSize = 1000

const (
	// feedGrace is how long a reader waits for a position that was given out.
	feedGrace = 10 * time.Second
	// maxTaking is how long it may take to take positions. Their time would not be true
	// after that, and the order of times is what finds the events since a time.
	maxTaking = 10 * time.Second
	// maxTombstones is how many gaps one call closes.
	maxTombstones = 100
)

// counterItem counts the positions of a feed. It does not expire.
type counterItem struct {
	key
	Last  int64     `dynamodbav:"n"`  // the position that was given last
	Taken time.Time `dynamodbav:"ta"` // when
}

// markItem says where in a feed an event is that may be published again.
type markItem struct {
	record
	place
}

// place is a position that was given.
type place struct {
	Position int64     `dynamodbav:"n"`
	Taken    time.Time `dynamodbav:"ta"` // when it was given: its event's time in the feed
}

// feedItem is what is at a position: an event, or a tombstone, which has no id.
type feedItem struct {
	record
	place
	content                          // of its data
	ID          string               `dynamodbav:"i,omitempty"`
	Environment boathook.Environment `dynamodbav:"e,omitempty"`
	Type        boathook.EventType   `dynamodbav:"t,omitempty"`
	Time        time.Time            `dynamodbav:"et,omitempty"`
	Channels    []string             `dynamodbav:"c,omitempty"`
}

// settingsItem is a source's settings of its feed.
type settingsItem struct {
	RetentionDays int       `dynamodbav:"RetentionDays"`
	Raised        time.Time `dynamodbav:"Raised"`
}

// AppendEvents implements [store.Feeds].
func (s *Store) AppendEvents(ctx context.Context, sourceID string, keep time.Duration, events ...boathook.Event) error {
	if err := store.CheckFeed(sourceID, events); err != nil {
		return err
	}
	places, err := s.takePlaces(ctx, sourceID, len(events))
	if err != nil {
		return fmt.Errorf("append to the feed of %s: %w", sourceID, err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, e := range events {
		group.Go(func() error {
			if err := s.appendEvent(ctx, sourceID, keep, places[i], e); err != nil {
				return fmt.Errorf("append event %s to the feed of %s: %w", e.ID, sourceID, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// takePlaces takes the next n positions. Those that it took too long to take are left.
func (s *Store) takePlaces(ctx context.Context, sourceID string, n int) ([]place, error) {
	for {
		taken := s.config.Now().UTC().Truncate(time.Millisecond)
		values, err := encode(map[string]any{":n": n, ":taken": taken})
		if err != nil {
			return nil, err
		}
		out, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName: &s.config.RecordsTable, Key: feedCounterKey(sourceID).item(),
			UpdateExpression: aws.String("SET ta = :taken ADD n :n"), ExpressionAttributeValues: values,
			ReturnValues: types.ReturnValueAllNew,
		})
		if err != nil {
			return nil, err
		}
		counter, err := decode[counterItem](out.Attributes)
		if err != nil {
			return nil, err
		}
		if s.config.Now().Sub(taken) > maxTaking {
			continue
		}
		places := make([]place, n)
		for i := range places {
			places[i] = place{counter.Last - int64(n-1-i), taken}
		}
		return places, nil
	}
}

// appendEvent puts an event into the feed: at a place that was taken for it, or at the
// one that it has.
func (s *Store) appendEvent(ctx context.Context, sourceID string, keep time.Duration, at place, e boathook.Event) error {
	if !e.Fresh {
		marked, err := s.markEvent(ctx, sourceID, keep, at, e.ID)
		if err != nil {
			return err
		}
		if marked != at {
			if err := s.giveUp(ctx, sourceID, keep, at); err != nil {
				return err
			}
			at = marked
		}
	}
	for s.config.Now().Before(at.Taken.Add(keep)) {
		done, err := s.putSlot(ctx, sourceID, keep, at, e)
		if done || err != nil {
			return err
		}
		if at, err = s.move(ctx, sourceID, keep, at, e); err != nil {
			return err
		}
	}
	return nil // it came before, and has expired
}

// markEvent notes where an event is to be, or gives where it is.
func (s *Store) markEvent(ctx context.Context, sourceID string, keep time.Duration, at place, id string) (place, error) {
	it := markItem{record{feedMarkKey(sourceID, id), max(s.expiry(), s.config.Now().Add(keep).Unix())}, at}
	for {
		put, err := s.putRecord(ctx, it, absent, nil)
		if put || err != nil {
			return at, err
		}
		found, err := s.read(ctx, s.config.RecordsTable, it.key, true)
		if err != nil {
			return at, err
		}
		if found != nil {
			mark, err := decode[markItem](found)
			return mark.place, err
		}
		// It has expired between the write and the look that followed.
	}
}

// move gives an event another place than one that has a tombstone.
func (s *Store) move(ctx context.Context, sourceID string, keep time.Duration, from place, e boathook.Event) (to place, err error) {
	places, err := s.takePlaces(ctx, sourceID, 1)
	if err != nil {
		return from, err
	}
	if e.Fresh {
		return places[0], nil
	}
	it, moved, err := s.updateRecord(ctx, feedMarkKey(sourceID, e.ID), "SET n = :to, ta = :taken", "n = :from",
		map[string]any{":to": places[0].Position, ":taken": places[0].Taken, ":from": from.Position})
	if moved || err != nil {
		return places[0], err
	}
	if err := s.giveUp(ctx, sourceID, keep, places[0]); err != nil {
		return from, err
	}
	if it == nil {
		return from, errors.New("its mark has expired meanwhile")
	}
	mark, err := decode[markItem](it)
	return mark.place, err
}

// isNew is the condition of a slot that may be written. One that has expired may not:
// what it was, it stays.
const isNew = "attribute_not_exists(pk)"

// putSlot writes an event at a place. It is not done where a tombstone is.
func (s *Store) putSlot(ctx context.Context, sourceID string, keep time.Duration, at place, e boathook.Event) (done bool, err error) {
	it := feedItem{
		record: record{feedKey(sourceID, at.Position), at.Taken.Add(keep).Unix()}, place: at,
		ID: e.ID, Environment: e.Environment, Type: e.Type, Time: e.Time, Channels: e.Channels,
	}
	if it.content, err = s.split(ctx, it.key, compress.Compress(e.Data), maxPart, it.Expires); err != nil {
		return false, err
	}
	return s.putRecord(ctx, it, isNew+" OR i = :id", item{":id": str(e.ID)})
}

// giveUp puts a tombstone at a place, so that readers need not wait.
func (s *Store) giveUp(ctx context.Context, sourceID string, keep time.Duration, at place) error {
	_, err := s.bury(ctx, sourceID, at, at.Taken.Add(keep))
	return err
}

// bury puts a tombstone at a place, unless something is there.
func (s *Store) bury(ctx context.Context, sourceID string, at place, until time.Time) (buried bool, err error) {
	it := feedItem{record: record{feedKey(sourceID, at.Position), until.Unix()}, place: at}
	return s.putRecord(ctx, it, isNew, nil)
}

// FeedEvents implements [store.Feeds].
func (s *Store) FeedEvents(ctx context.Context, q store.FeedQuery) (store.FeedPage, error) {
	page, err := s.feedEvents(ctx, q)
	if err != nil {
		return store.FeedPage{}, fmt.Errorf("read the feed of %s: %w", q.SourceID, err)
	}
	return page, nil
}

func (s *Store) feedEvents(ctx context.Context, q store.FeedQuery) (store.FeedPage, error) {
	r := feedReading{s: s, q: q, now: s.config.Now(), at: store.FeedCursor{Time: q.Settings.Lookup(s.config.Now())}}
	var err error
	if q.Cursor != "" {
		if r.at, err = store.ParseFeedCursor(q.Cursor); err != nil {
			return r.page, err
		}
	}
	it, err := s.read(ctx, s.config.RecordsTable, feedCounterKey(q.SourceID), true)
	if err != nil {
		return r.page, err
	}
	if r.counter, err = decode[counterItem](it); err != nil {
		return r.page, err
	}
	switch {
	case r.at.Position > r.counter.Last:
		return r.page, store.ErrFeedCursor
	case r.at.Position == r.counter.Last: // nothing has been missed until now
		r.at.Time = q.Settings.Lookup(r.now)
	case q.Cursor == "" && q.Newest:
		r.at.Position, r.starting = q.Start(r.counter.Last), true
	case q.Cursor == "":
		first, err := r.since(ctx, 1, q.Since)
		if err != nil {
			return r.page, err
		}
		r.at.Position, r.starting = first-1, true
	}
	err = r.read(ctx)
	r.page.Next = r.at.String()
	return r.page, err
}

// feedReading is one call that reads a feed.
type feedReading struct {
	s        *Store
	q        store.FeedQuery
	now      time.Time
	counter  counterItem
	at       store.FeedCursor // what has been read
	starting bool             // nothing has been shown, and what came before Since is left out
	page     store.FeedPage
	bytes    int
}

// read goes from slot to slot until the page is full or there is nothing to go on with.
func (r *feedReading) read(ctx context.Context) error {
	for it, err := range r.slots(ctx) {
		if err != nil {
			return err
		}
		if it.Position > r.at.Position+1 || r.gone(it) {
			passed, err := r.pass(ctx, it.place)
			if !passed || err != nil {
				return err
			}
		}
		if it.Position > r.counter.Last || r.q.Beyond(it.Position) {
			return nil
		}
		if len(r.page.Events) == r.q.Limit || r.bytes >= store.MaxPageBytes {
			r.page.More = true
			return nil
		}
		if err := r.show(ctx, it); err != nil {
			return err
		}
	}
	return nil
}

// gone reports whether what was at a place is not to be shown any more.
func (r *feedReading) gone(it feedItem) bool {
	return !r.starting && it.Position <= r.counter.Last && !r.shown(it)
}

func (r *feedReading) shown(it feedItem) bool {
	return it.Expires > r.now.Unix() && r.q.Settings.Keeps(it.Taken, r.now)
}

// show puts the event of a slot into the page, and goes on behind it.
func (r *feedReading) show(ctx context.Context, it feedItem) error {
	r.at.Position = it.Position
	if !r.shown(it) {
		return nil // and its time says nothing of what follows
	}
	r.at.Time = it.Taken
	if it.ID == "" || r.q.Cursor == "" && it.Taken.Before(r.q.Since) {
		return nil
	}
	packed, err := r.s.joined(ctx, it.key, it.content)
	if err != nil && !errors.Is(err, errLost) {
		return err
	}
	data, err := open(it.key, packed)
	if err != nil {
		r.s.unreadable(ctx, err)
		return nil
	}
	r.starting = false
	r.bytes += len(data)
	r.page.Events = append(r.page.Events, store.FeedEvent{Published: it.Taken, Event: boathook.Event{
		ID: it.ID, WorkspaceID: r.q.WorkspaceID, SourceID: r.q.SourceID, Environment: it.Environment, Type: it.Type, Channels: it.Channels, Time: it.Time, Data: data,
	}})
	return nil
}

// pass closes the gap in front of a place, so that nobody can come in there any more. It
// is not passed while somebody may be about to.
func (r *feedReading) pass(ctx context.Context, to place) (passed bool, err error) {
	if r.lapsed() {
		if len(r.page.Events) == 0 {
			return false, r.expired(ctx)
		}
		r.page.More = true // of which the next call tells that it has expired
		return false, nil
	}
	if r.now.Sub(to.Taken) < feedGrace {
		return false, nil
	}
	for n := 0; r.at.Position+1 < to.Position; n++ {
		buried := n < maxTombstones
		if buried {
			buried, err = r.s.bury(ctx, r.q.SourceID, place{r.at.Position + 1, to.Taken}, r.now.Add(r.q.Settings.Retention()))
		}
		if !buried || err != nil {
			r.page.More = true // there are many gaps, or somebody has just written there
			return false, err
		}
		r.at = store.FeedCursor{Position: r.at.Position + 1, Time: to.Taken}
	}
	return true, nil
}

// lapsed reports whether what is missing behind what was read may have expired.
func (r *feedReading) lapsed() bool {
	return !r.starting && !r.q.Settings.KeepsBehind(r.at.Time, r.now)
}

// expired tells where to go on when what is behind the cursor has expired.
func (r *feedReading) expired(ctx context.Context) error {
	first, err := r.since(ctx, r.at.Position+1, time.Time{})
	if err != nil {
		return err
	}
	return store.ErrGone(store.FeedCursor{Position: first - 1, Time: r.q.Settings.Lookup(r.now)})
}

// slots are those behind what was read, those that have expired too; last comes one
// behind the end, whose time is when the last position was given out.
func (r *feedReading) slots(ctx context.Context) iter.Seq2[feedItem, error] {
	return func(yield func(feedItem, error) bool) {
		for from := r.at.Position + 1; from <= r.counter.Last; {
			out, err := r.s.client.Query(ctx, r.query(from, r.q.Limit+1, true))
			if err != nil {
				yield(feedItem{}, err)
				return
			}
			from = feedPageEnd(from) + 1
			for _, found := range out.Items {
				it := r.s.decodeSlot(ctx, found)
				if !yield(it, nil) {
					return
				}
				if len(out.LastEvaluatedKey) > 0 {
					from = it.Position + 1
				}
			}
			if len(out.Items) == 0 && r.lapsed() { // more partitions may be empty than can be read
				yield(feedItem{place: place{from, r.now}}, nil)
				return
			}
		}
		yield(feedItem{place: place{r.counter.Last + 1, r.counter.Taken}}, nil)
	}
}

// decodeSlot reads a slot. One that can't be read counts as a tombstone, and is told of
// in the log: the others must be shown.
func (s *Store) decodeSlot(ctx context.Context, found item) feedItem {
	it, err := decode[feedItem](found)
	if err != nil {
		s.unreadable(ctx, err)
		return feedItem{record: record{key: keyOf(found)}, place: place{Position: feedPosition(keyOf(found))}}
	}
	return it
}

// query reads a partition from a position on, forward or back.
func (r *feedReading) query(from int64, limit int, forward bool) *dynamodb.QueryInput {
	k := feedKey(r.q.SourceID, from)
	compare := " >= "
	if !forward {
		compare = " < "
	}
	return &dynamodb.QueryInput{
		TableName: &r.s.config.RecordsTable, ConsistentRead: aws.Bool(true), ScanIndexForward: &forward, Limit: aws.Int32(int32(limit)),
		KeyConditionExpression:    aws.String("pk = :pk AND sk" + compare + ":sk"),
		ExpressionAttributeValues: item{":pk": str(k.PK), ":sk": str(k.SK)},
	}
}

// since finds, from a position on, the first place that is still to be shown and that was
// given at a time or later, or a place shortly before it; or one behind the end. Times
// rise with the positions, but for the margin, and what expires first comes first. A
// partition without anything has expired, unless it is one of the last two, where
// somebody may be about to write.
func (r *feedReading) since(ctx context.Context, from int64, at time.Time) (int64, error) {
	at = at.Add(-store.FeedMargin)
	low, high := from, r.counter.Last+1
	for low < high {
		middle := low + (high-low)/2
		it, found, err := r.near(ctx, middle)
		if err != nil {
			return 0, err
		}
		switch old := found && (!r.shown(it) || it.Taken.Before(at)); {
		case !found && feedPageEnd(middle)+feedPageSize >= r.counter.Last:
			high = middle
		case !found:
			low = min(feedPageEnd(middle)+1, high)
		case it.Position >= middle && old:
			low = min(it.Position+1, high)
		case it.Position >= middle:
			high = middle
		case old:
			low = min(feedPageEnd(middle)+1, high)
		default:
			high = max(it.Position, low)
		}
	}
	return low, nil
}

// near is what is at a position, or behind it in its partition, or else before it there.
func (r *feedReading) near(ctx context.Context, position int64) (it feedItem, found bool, err error) {
	for _, forward := range []bool{true, false} {
		out, err := r.s.client.Query(ctx, r.query(position, 1, forward))
		if err != nil {
			return it, false, err
		}
		if len(out.Items) > 0 {
			return r.s.decodeSlot(ctx, out.Items[0]), true, nil
		}
	}
	return it, false, nil
}

// Audience implements [store.Webhooks]. The source's own item and those of its outgoing
// webhooks are side by side.
func (s *Store) Audience(ctx context.Context, sourceID string) (a store.Audience, err error) {
	k := sourceKey(sourceID)
	var outgoing []outgoingItem
	var incomplete error
	for found, err := range s.items(ctx, &dynamodb.QueryInput{
		TableName: &s.config.ConfigTable, ConsistentRead: aws.Bool(true), Limit: aws.Int32(boathook.MaxWebhooks + 2), // one more, to see the end
		KeyConditionExpression:    aws.String("pk = :pk AND sk BETWEEN :first AND :last"),
		ExpressionAttributeValues: item{":pk": str(k.PK), ":first": str(outgoingWebhooks), ":last": str(k.SK)},
	}) {
		if err != nil {
			return a, fmt.Errorf("get who hears of %s: %w", sourceID, err)
		}
		if keyOf(found) == k {
			it, err := decode[sourceItem](found)
			if err != nil {
				return a, err
			}
			a.Source = new(it.source())
			continue
		}
		it, err := decode[outgoingItem](found)
		if err != nil {
			s.unreadable(ctx, err)
			incomplete = store.ErrIncomplete
			continue
		}
		outgoing = append(outgoing, it)
	}
	slices.SortStableFunc(outgoing, func(a, b outgoingItem) int { return b.CreatedAt.Compare(a.CreatedAt) })
	a.Outgoing = each(outgoing, outgoingItem.outgoing)
	return a, incomplete
}
