package mem

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"iter"
	"slices"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
	"boathook/internal/store/paging"
)

// feed has the events of a source.
type feed struct {
	last   int64        // the position that was given last
	events []paging.Fed // by position
	known  map[string]bool
}

// expireAt has a record dropped at a time.
func (s *Store) expireAt(at time.Time, drop func()) {
	heap.Push(&s.expiring, expiring{at: at, drop: drop})
}

func (f *feed) search(position int64) (i int, found bool) {
	return slices.BinarySearchFunc(f.events, position, func(e paging.Fed, p int64) int { return cmp.Compare(e.Position, p) })
}

func (f *feed) remove(position int64) {
	if i, found := f.search(position); found {
		f.events = slices.Delete(f.events, i, i+1)
	}
}

// AppendEvents implements [store.Feeds].
func (s *Store) AppendEvents(_ context.Context, sourceID string, keep time.Duration, events ...boathook.Event) error {
	if err := store.CheckFeed(sourceID, events); err != nil {
		return err
	}
	defer s.lock()()
	f := s.feeds[sourceID]
	if f == nil {
		f = &feed{known: make(map[string]bool)}
		s.feeds[sourceID] = f
	}
	now := s.config.Now()
	for _, e := range events {
		if f.known[e.ID] {
			continue
		}
		if !e.Fresh {
			f.known[e.ID] = true
			s.expireAt(now.Add(max(keep, s.config.Retention)), func() { delete(f.known, e.ID) })
		}
		f.last++
		position := f.last
		e.Time, e.Data, e.Channels, e.Fresh = stored(e.Time), bytes.Clone(e.Data), slices.Clone(e.Channels), false
		f.events = append(f.events, paging.Fed{Position: position, Event: store.FeedEvent{Event: e, Published: stored(now)}})
		s.expireAt(now.Add(keep), func() { f.remove(position) })
	}
	return nil
}

// FeedEvents implements [store.Feeds].
func (s *Store) FeedEvents(_ context.Context, q store.FeedQuery) (store.FeedPage, error) {
	defer s.lock()()
	f := cmp.Or(s.feeds[q.SourceID], &feed{})
	return paging.Feed(q, s.config.Now(), f.last, func(position int64) iter.Seq[paging.Fed] {
		return func(yield func(paging.Fed) bool) {
			i, _ := f.search(position + 1)
			for _, e := range f.events[i:] {
				e.Event.Data, e.Event.WorkspaceID, e.Event.SourceID = bytes.Clone(e.Event.Data), q.WorkspaceID, q.SourceID
				if !yield(e) {
					return
				}
			}
		}
	})
}

// Audience implements [store.Webhooks].
func (s *Store) Audience(ctx context.Context, sourceID string) (a store.Audience, err error) {
	a.Outgoing, err = s.AllOutgoing(ctx, sourceID)
	defer s.lock()()
	if src, ok := s.sources[sourceID]; ok {
		a.Source = new(cloneSource(src))
	}
	return a, err
}
