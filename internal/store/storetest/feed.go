package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

const day = 24 * time.Hour

// fed is a source whose feed a test writes and reads.
type fed struct {
	*suite
	workspaceID, sourceID string
	settings              boathook.FeedSettings
}

func (s *suite) newFeed(days int) *fed {
	return &fed{s, boathook.NewID(boathook.WorkspaceID), boathook.NewID(boathook.DeploymentID), boathook.FeedSettings{RetentionDays: days}}
}

// event is one that may be repeated.
func (f *fed) event(id string) boathook.Event {
	return boathook.Event{
		ID: id, WorkspaceID: f.workspaceID, SourceID: f.sourceID, Environment: boathook.Staging, Type: boathook.EventRunFailed, Channels: []string{"a", "b:c"},
		Time: f.clock.Now().Add(-time.Second), Data: json.RawMessage(`{"n":"ü"}`),
	}
}

func (f *fed) append(t *testing.T, ids ...string) {
	t.Helper()
	var events []boathook.Event
	for _, id := range ids {
		events = append(events, f.event(id))
	}
	must(t, f.AppendEvents(t.Context(), f.sourceID, f.settings.Retention(), events...))
}

func (f *fed) query(cursor string) store.FeedQuery {
	return store.FeedQuery{WorkspaceID: f.workspaceID, SourceID: f.sourceID, Settings: f.settings, Cursor: cursor, Limit: 100}
}

func (f *fed) page(t *testing.T, cursor string) store.FeedPage {
	t.Helper()
	page := read(f.FeedEvents(t.Context(), f.query(cursor)))(t)
	if page.Next == "" {
		t.Error("a page gives no cursor")
	}
	return page
}

func eventIDs(events []store.FeedEvent) (ids []string) {
	for _, e := range events {
		ids = append(ids, e.ID)
	}
	return ids
}

// rest are the events behind a cursor, page by page, and the cursor behind them.
func (f *fed) rest(t *testing.T, q store.FeedQuery) (ids []string, next string) {
	t.Helper()
	for range 100 {
		page := read(f.FeedEvents(t.Context(), q))(t)
		if len(page.Events) > q.Limit {
			t.Fatalf("a page of %d has %d events", q.Limit, len(page.Events))
		}
		ids, q.Cursor = append(ids, eventIDs(page.Events)...), page.Next
		if !page.More {
			return ids, page.Next
		}
	}
	t.Fatal("the feed has no end")
	return nil, ""
}

// oldest is the cursor of an error that says that events have expired.
func oldest(t *testing.T, err error) string {
	t.Helper()
	e, ok := errors.AsType[*boathook.Error](err)
	if !ok || e.Kind != boathook.Gone || e.OldestCursor == "" {
		t.Fatalf("error %v, want one of kind %s with a cursor", err, boathook.Gone)
	}
	return e.OldestCursor
}

func numbered(begin string, n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprintf("%s %02d", begin, i))
	}
	return ids
}

func (s *suite) testFeed(t *testing.T) {
	t.Run("events come back as they were, in their order, by a cursor", func(t *testing.T) {
		f := s.newFeed(30)
		empty := f.page(t, "")
		wantSame(t, "an empty feed", empty.Events, []store.FeedEvent(nil))
		f.append(t, "b", "a")
		first := f.page(t, empty.Next)
		var want []store.FeedEvent
		for _, id := range []string{"b", "a"} {
			want = append(want, store.FeedEvent{Event: f.event(id), Published: f.clock.Now()})
		}
		wantSame(t, "the feed", first, store.FeedPage{Events: want, Next: first.Next})
		wantSame(t, "from the beginning", eventIDs(f.page(t, "").Events), []string{"b", "a"})
		wantSame(t, "behind the end", f.page(t, first.Next).Events, []store.FeedEvent(nil))
		f.append(t, "c")
		wantSame(t, "what came meanwhile", eventIDs(f.page(t, first.Next).Events), []string{"c"})
		wantSame(t, "what came meanwhile, by the cursor of an empty page", eventIDs(f.page(t, empty.Next).Events), []string{"b", "a", "c"})
		wantSame(t, "another source's feed", s.newFeed(30).page(t, "").Events, []store.FeedEvent(nil))
	})
	t.Run("an event is there once, however often it is put there", func(t *testing.T) {
		f := s.newFeed(30)
		f.append(t, "a", "b")
		f.append(t, "b", "c", "a")
		f.clock.Advance(time.Hour)
		f.append(t, "c")
		ids, next := f.rest(t, f.query(""))
		wantSame(t, "the feed", ids, []string{"a", "b", "c"})
		f.append(t, "a")
		wantSame(t, "behind it", f.page(t, next).Events, []store.FeedEvent(nil))
	})
	t.Run("fresh events need no mark", func(t *testing.T) {
		f := s.newFeed(30)
		e := f.event(boathook.NewID(boathook.EventID))
		e.Fresh = true
		must(t, f.AppendEvents(t.Context(), f.sourceID, f.settings.Retention(), e))
		e.Fresh = false
		wantSame(t, "the feed", f.page(t, "").Events, []store.FeedEvent{{Event: e, Published: f.clock.Now()}})
	})
	t.Run("of many who put events there at once, each event is there once, in an order that stays", func(t *testing.T) {
		f := s.newFeed(30)
		ids := numbered("event", 12)
		var seen []string
		cursor := f.page(t, "").Next
		done := atOnce(t, 6, func(ctx context.Context, i int) error {
			return f.AppendEvents(ctx, f.sourceID, f.settings.Retention(), f.event(ids[2*i]), f.event(ids[2*i+1]), f.event(ids[(2*i+5)%12]))
		})
		wantSame(t, "publishers", len(done), 6)
		f.clock.Advance(time.Minute)
		q := f.query(cursor)
		q.Limit = 5
		seen, cursor = f.rest(t, q)
		wantSame(t, "what a poller has seen", slices.Sorted(slices.Values(seen)), ids)
		again, _ := f.rest(t, f.query(""))
		wantSame(t, "what another sees", again, seen)
		f.append(t, ids...)
		wantSame(t, "what comes when all are repeated", f.page(t, cursor).Events, []store.FeedEvent(nil))
	})
	t.Run("pages end at their limit", func(t *testing.T) {
		f := s.newFeed(30)
		ids := numbered("event", 7)
		f.append(t, ids...)
		for _, limit := range []int{1, 3, 7} {
			q := f.query("")
			q.Limit = limit
			all, _ := f.rest(t, q)
			wantSame(t, fmt.Sprintf("pages of %d", limit), all, ids)
		}
	})
	t.Run("pages end when they are long", func(t *testing.T) {
		f := s.newFeed(30)
		long := f.event("0")
		long.Data, _ = json.Marshal(string(printable(700 << 10)))
		ids := numbered("long", 4)
		for _, id := range ids {
			long.ID = id
			must(t, f.AppendEvents(t.Context(), f.sourceID, f.settings.Retention(), long))
		}
		page := f.page(t, "")
		if len(page.Events) == 0 || len(page.Events) == len(ids) || !page.More || string(page.Events[0].Data) != string(long.Data) {
			t.Errorf("a page has %d events, more: %t", len(page.Events), page.More)
		}
		all, _ := f.rest(t, f.query(""))
		wantSame(t, "all pages", all, ids)
	})
	t.Run("a reader begins where it wants", func(t *testing.T) {
		f := s.newFeed(30)
		begun := f.clock.Now()
		for _, id := range numbered("event", 9) {
			f.append(t, id)
			f.clock.Advance(time.Hour)
		}
		for hours, want := range map[int]int{-1: 9, 0: 9, 1: 8, 4: 5, 8: 1, 9: 0, 100: 0} {
			q := f.query("")
			q.Since = begun.Add(time.Duration(hours) * time.Hour)
			ids, next := f.rest(t, q)
			wantSame(t, fmt.Sprintf("since hour %d", hours), len(ids), want)
			wantSame(t, "behind the end", f.page(t, next).Events, []store.FeedEvent(nil))
			q.Since = q.Since.Add(time.Millisecond)
			ids, _ = f.rest(t, q)
			wantSame(t, fmt.Sprintf("a millisecond after hour %d", hours), len(ids), min(want, 8-min(max(hours, -1), 8)))
		}
	})
	t.Run("the newest can be read without those before, and from there back", func(t *testing.T) {
		f := s.newFeed(30)
		q := f.query("")
		q.Newest, q.Limit = true, 3
		wantSame(t, "an empty feed", eventIDs(read(f.FeedEvents(t.Context(), q))(t).Events), []string(nil))
		f.append(t, "a", "b", "c", "d", "e", "f", "g")
		for _, part := range []struct {
			before int64
			want   []string
		}{{0, []string{"e", "f", "g"}}, {5, []string{"b", "c", "d"}}, {2, []string{"a"}}, {1, nil}, {100, []string{"e", "f", "g"}}} {
			q.Before = part.before
			page := read(f.FeedEvents(t.Context(), q))(t)
			wantSame(t, fmt.Sprintf("before %d", part.before), eventIDs(page.Events), part.want)
		}
		q.Before, q.Limit = 0, 200
		wantSame(t, "all of them", eventIDs(read(f.FeedEvents(t.Context(), q))(t).Events), []string{"a", "b", "c", "d", "e", "f", "g"})
	})
	t.Run("the newest are those that are left", func(t *testing.T) {
		f := s.newFeed(2)
		f.append(t, "a", "b")
		f.clock.Advance(day)
		f.append(t, "c")
		f.clock.Advance(day + time.Minute)
		q := f.query("")
		q.Newest = true
		wantSame(t, "the feed", eventIDs(read(f.FeedEvents(t.Context(), q))(t).Events), []string{"c"})
		f.clock.Advance(2 * day)
		wantSame(t, "when all has expired", eventIDs(read(f.FeedEvents(t.Context(), q))(t).Events), []string(nil))
	})
	t.Run("what is no cursor of the feed is refused", func(t *testing.T) {
		f := s.newFeed(30)
		f.append(t, "a")
		for _, cursor := range []string{
			"!", "e30", "Z2FyYmFnZQ", "\n", f.page(t, "").Next + "\n", store.FeedCursor{Position: 99, Time: f.clock.Now()}.String(),
			store.FeedCursor{Position: -1, Time: f.clock.Now()}.String(),
		} {
			_, err := f.FeedEvents(t.Context(), f.query(cursor))
			wantBadCursor(t, cursor, err)
		}
	})
}

func (s *suite) testFeedExpiry(t *testing.T) {
	t.Run("an event expires, and a reader who was away is told", func(t *testing.T) {
		f := s.newFeed(2)
		before := f.page(t, "").Next
		f.append(t, "a")
		f.clock.Advance(day)
		f.append(t, "b", "c")
		q := f.query(before)
		q.Limit = 1
		behindA := read(f.FeedEvents(t.Context(), q))(t).Next
		f.clock.Advance(day + time.Minute)
		wantSame(t, "what is left", eventIDs(f.page(t, "").Events), []string{"b", "c"})
		wantSame(t, "a reader behind what has expired", eventIDs(f.page(t, behindA).Events), []string{"b", "c"})
		_, err := f.FeedEvents(t.Context(), f.query(before))
		ids, _ := f.rest(t, f.query(oldest(t, err)))
		wantSame(t, "what a reader goes on with", ids, []string{"b", "c"})

		f.clock.Advance(2 * day)
		_, err = f.FeedEvents(t.Context(), f.query(behindA))
		ids, next := f.rest(t, f.query(oldest(t, err)))
		wantSame(t, "when all has expired", ids, []string(nil))
		f.append(t, "d")
		wantSame(t, "what comes then", eventIDs(f.page(t, next).Events), []string{"d"})
	})
	t.Run("a reader of an idle feed misses nothing, and is told nothing", func(t *testing.T) {
		f := s.newFeed(1)
		empty := f.page(t, "").Next
		f.clock.Advance(40 * day)
		wantSame(t, "an empty feed", f.page(t, empty).Events, []store.FeedEvent(nil))
		f.append(t, "a")
		_, cursor := f.rest(t, f.query(f.page(t, empty).Next))
		f.clock.Advance(40 * day)
		wantSame(t, "an idle feed", f.page(t, cursor).Events, []store.FeedEvent(nil))
		f.append(t, "b")
		wantSame(t, "what comes then", eventIDs(f.page(t, cursor).Events), []string{"b"})
	})
	t.Run("an event that has expired does not come back", func(t *testing.T) {
		f := s.newFeed(1)
		f.append(t, "a", "b")
		cursor := f.page(t, "").Next
		f.clock.Advance(2 * day)
		f.append(t, "a")
		wantSame(t, "behind the cursor", f.page(t, cursor).Events, []store.FeedEvent(nil))
		wantSame(t, "from the beginning", f.page(t, "").Events, []store.FeedEvent(nil))
	})
	t.Run("fewer days count at once", func(t *testing.T) {
		f := s.newFeed(30)
		f.append(t, "a")
		cursor := f.page(t, "").Next
		f.clock.Advance(3 * day)
		f.append(t, "b", "c")
		f.settings = f.settings.With(1, f.clock.Now())
		wantSame(t, "what is left", eventIDs(f.page(t, "").Events), []string{"b", "c"})
		wantSame(t, "behind the cursor", eventIDs(f.page(t, cursor).Events), []string{"b", "c"})
		f.clock.Advance(2 * day)
		_, err := f.FeedEvents(t.Context(), f.query(cursor))
		oldest(t, err)
	})
	t.Run("more days hide no gap", func(t *testing.T) {
		f := s.newFeed(30)
		f.append(t, "a")
		f.settings = f.settings.With(1, f.clock.Now())
		cursor := f.page(t, "").Next
		f.append(t, "b")
		f.clock.Advance(time.Hour)
		f.settings = f.settings.With(30, f.clock.Now())
		f.append(t, "c")
		f.clock.Advance(2 * day)
		_, err := f.FeedEvents(t.Context(), f.query(cursor))
		ids, _ := f.rest(t, f.query(oldest(t, err)))
		wantSame(t, "what a reader goes on with", ids, []string{"c"})
	})
}

func (s *suite) testAudience(t *testing.T) {
	src := s.newSource(boathook.NewID(boathook.WorkspaceID))
	src.Feed = &boathook.FeedSettings{RetentionDays: 30, Raised: s.clock.Now()}
	must(t, s.PutSource(t.Context(), src))
	src.Revision = 1
	wantSame(t, "the source", read(s.Source(t.Context(), src.WorkspaceID, src.ID))(t), src)
	in := s.newIncoming(src)
	must(t, s.PutIncoming(t.Context(), in))
	read(s.AddVersion(t.Context(), s.newVersion(src)))(t)
	for range 3 {
		must(t, s.PutOutgoing(t.Context(), s.newOutgoing(src)))
		s.clock.Advance(time.Second)
	}
	want := store.Audience{Source: &src, Outgoing: read(s.AllOutgoing(t.Context(), src.ID))(t)}
	wantSame(t, "who hears of its events", read(s.Audience(t.Context(), src.ID))(t), want)
	wantSame(t, "webhooks", len(want.Outgoing), 3)
	must(t, s.DeleteSource(t.Context(), src.WorkspaceID, src.ID))
	wantSame(t, "who hears of what is deleted", read(s.Audience(t.Context(), src.ID))(t), store.Audience{})
}
