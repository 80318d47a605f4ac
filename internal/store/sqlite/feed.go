package sqlite

import (
	"context"
	"iter"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/compress"
	"boathook/internal/database"
	"boathook/internal/store"
	"boathook/internal/store/paging"
)

// feedItem is a source's settings of its feed.
type feedItem struct {
	RetentionDays int       `json:"retention_days"`
	Raised        time.Time `json:"raised,omitzero"`
}

// feedEventItem is an event in a feed, without its data.
type feedEventItem struct {
	ID          string               `json:"id"`
	Environment boathook.Environment `json:"environment,omitempty"`
	Type        boathook.EventType   `json:"type"`
	Channels    []string             `json:"channels,omitempty"`
	Time        time.Time            `json:"time"`
	Published   time.Time            `json:"published"`
}

// AppendEvents implements [store.Feeds].
func (s *Store) AppendEvents(_ context.Context, sourceID string, keep time.Duration, events ...boathook.Event) error {
	if err := store.CheckFeed(sourceID, events); err != nil {
		return err
	}
	now := s.now()
	return s.config.DB.Write(func(tx *database.Tx) error {
		last, err := lastInFeed(tx, sourceID)
		if err != nil {
			return err
		}
		for _, e := range events {
			isNew, err := s.markInFeed(tx, sourceID, e, now.Add(max(keep, s.config.Retention)))
			if err != nil {
				return err
			}
			if !isNew {
				continue
			}
			last++
			item := feedEventItem{e.ID, e.Environment, e.Type, e.Channels, stored(e.Time), stored(now)}
			if err := tx.Exec("INSERT INTO feed_events (source_id, position, expires, item, data) VALUES (?, ?, ?, ?, ?)",
				sourceID, last, now.Add(keep), encode(item), compress.Compress(e.Data)); err != nil {
				return err
			}
		}
		return tx.Exec("INSERT OR REPLACE INTO feeds (source_id, last) VALUES (?, ?)", sourceID, last)
	})
}

// lastInFeed is the position that a feed has given last.
func lastInFeed(tx *database.Tx, sourceID string) (last int64, err error) {
	_, err = tx.First(func(row database.Row) error { last = row.Int(0); return nil }, "SELECT last FROM feeds WHERE source_id = ?", sourceID)
	return last, err
}

// markInFeed notes an event that may come again; isNew is false if it was noted before.
func (s *Store) markInFeed(tx *database.Tx, sourceID string, e boathook.Event, expires time.Time) (isNew bool, err error) {
	known, err := tx.Exists("SELECT 1 FROM feed_marks WHERE source_id = ? AND event_id = ? AND expires > ?", sourceID, e.ID, s.now())
	if known || err != nil || e.Fresh {
		return !known, err
	}
	return true, tx.Exec("INSERT OR REPLACE INTO feed_marks (source_id, event_id, expires) VALUES (?, ?, ?)", sourceID, e.ID, expires)
}

// FeedEvents implements [store.Feeds].
func (s *Store) FeedEvents(_ context.Context, q store.FeedQuery) (store.FeedPage, error) {
	return read(s, func(tx *database.Tx) (page store.FeedPage, err error) {
		last, err := lastInFeed(tx, q.SourceID)
		if err != nil {
			return page, err
		}
		var failed error
		page, err = paging.Feed(q, s.now(), last, func(position int64) iter.Seq[paging.Fed] {
			return func(yield func(paging.Fed) bool) {
				for row, err := range tx.Query("SELECT position, item, data FROM feed_events WHERE source_id = ? AND position > ? AND expires > ? ORDER BY position",
					q.SourceID, position, s.now()) {
					if err != nil {
						failed = err
						return
					}
					e, err := fed(q, row)
					if err != nil {
						failed = err
						return
					}
					if !yield(e) {
						return
					}
				}
			}
		})
		if failed != nil {
			return store.FeedPage{}, failed
		}
		return page, err
	})
}

// fed is a row of feed_events.
func fed(q store.FeedQuery, row database.Row) (paging.Fed, error) {
	item, err := decode[feedEventItem](row, 1)
	if err != nil {
		return paging.Fed{}, err
	}
	data, err := compress.Decompress(row.Bytes(2), boathook.MaxRunLog)
	return paging.Fed{Position: row.Int(0), Event: store.FeedEvent{Published: item.Published, Event: boathook.Event{
		ID: item.ID, WorkspaceID: q.WorkspaceID, SourceID: q.SourceID, Environment: item.Environment, Type: item.Type, Channels: item.Channels, Time: item.Time, Data: data,
	}}}, err
}

// audienceItem is a source and the webhooks that hear of it.
type audienceItem struct {
	source   *sourceItem // nil: it was deleted
	webhooks []outgoingItem
}

// Audience implements [store.Webhooks].
func (s *Store) Audience(_ context.Context, sourceID string) (a store.Audience, err error) {
	it, err := s.audiences.Get(s.config.DB, sourceID, func(tx *database.Tx) (it audienceItem, keep bool, err error) {
		src, found, err := first[sourceItem](tx, "SELECT item FROM sources WHERE id = ?", sourceID)
		if err != nil {
			return it, false, err
		}
		if found {
			it.source = &src
		}
		it.webhooks, err = all[outgoingItem](s, tx, "SELECT item FROM outgoing WHERE source_id = ? ORDER BY created_at DESC, id DESC", sourceID)
		return it, true, err
	})
	if it.source != nil {
		a.Source = new(it.source.source())
	}
	a.Outgoing = each(it.webhooks, outgoingItem.outgoing)
	return a, err
}
