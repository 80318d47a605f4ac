package paging

import (
	"iter"
	"time"

	"boathook/internal/store"
)

// Fed is an event at its position in a feed.
type Fed struct {
	Position int64
	Event    store.FeedEvent
}

// Feed makes a part of a feed that gives its positions without gaps: one that is missing
// has expired. last is the position that was given last; behind gives the events that
// are left behind a position, oldest first.
func Feed(q store.FeedQuery, now time.Time, last int64, behind func(position int64) iter.Seq[Fed]) (page store.FeedPage, err error) {
	at, begun := store.FeedCursor{Time: q.Settings.Lookup(now)}, q.Cursor != ""
	if begun {
		if at, err = store.ParseFeedCursor(q.Cursor); err != nil {
			return page, err
		}
		if at.Position > last {
			return page, store.ErrFeedCursor
		}
	}
	if q.Newest && !begun {
		at.Position = q.Start(last)
	}
	bytes := 0
	for e := range behind(at.Position) {
		if q.Beyond(e.Position) {
			break
		}
		if !q.Settings.Keeps(e.Event.Published, now) || !begun && e.Event.Published.Before(q.Since) {
			continue
		}
		if begun && e.Position != at.Position+1 {
			if len(page.Events) == 0 {
				return page, store.ErrGone(store.FeedCursor{Position: e.Position - 1, Time: q.Settings.Lookup(now)})
			}
			page.More = true // of which the next part tells that it is gone
			break
		}
		if len(page.Events) == q.Limit || bytes >= store.MaxPageBytes {
			page.More = true
			break
		}
		page.Events, begun = append(page.Events, e.Event), true
		at, bytes = store.FeedCursor{Position: e.Position, Time: e.Event.Published}, bytes+len(e.Event.Data)
	}
	if len(page.Events) == 0 {
		if begun && at.Position < last {
			return page, store.ErrGone(store.FeedCursor{Position: last, Time: q.Settings.Lookup(now)})
		}
		at = store.FeedCursor{Position: last, Time: q.Settings.Lookup(now)}
	}
	page.Next = at.String()
	return page, nil
}
