package service

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// Feeds keep the events of sources in their order, for those who fetch them.
type Feeds struct{ *core }

// FeedFilter asks for a part of a feed.
type FeedFilter struct {
	Cursor string             // of the part before; empty: begin with what came at Since
	Since  time.Time          // zero: the oldest that is kept
	Type   boathook.EventType // empty: all
	Limit  int                // how many events are looked at
	Wait   time.Duration      // for how long to wait for an event, up to [MaxFeedWait]
}

// FeedEvent is an event in a feed.
type FeedEvent = store.FeedEvent

// FeedPart is a part of a feed, and for how long the feed keeps events.
type FeedPart struct {
	store.FeedPage
	RetentionDays int
}

// MaxFeedWait is how long a request may wait for an event: the API answers within 30 s.
const MaxFeedWait = 20 * time.Second

// How long a request that waits does so before it looks again. The first look is soon,
// for the one that has come just before the end of the last request.
const (
	firstLook   = 200 * time.Millisecond
	longestLook = 2 * time.Second
)

// Events gives a part of a source's feed, oldest first. It says where to go on, also
// where there are no events, and where the source keeps none, with no days.
func (k Feeds) Events(ctx context.Context, c Caller, of SourceRef, in FeedFilter) (FeedPart, error) {
	if err := c.May("Feeds.Events"); err != nil {
		return FeedPart{}, err
	}
	s, err := k.sourceOf(ctx, c, of)
	if err != nil {
		return FeedPart{}, err
	}
	if in.Type != "" && s.Kind != boathook.Customer && !slices.Contains(boathook.EventTypes[s.Kind], in.Type) {
		return FeedPart{}, boathook.InvalidField("type", "a %s has no event %q", s.Kind, in.Type)
	}
	if in.Cursor != "" && !in.Since.IsZero() {
		return FeedPart{}, boathook.InvalidField("since", "says where to begin, and the cursor where to go on: give one of them")
	}
	q := k.feedOf(s)
	q.Cursor, q.Since, q.Limit = in.Cursor, in.Since, in.Limit
	for left, look := in.Wait, firstLook; ; look = min(look*3/2, longestLook) {
		page, err := k.feedEvents(ctx, q)
		if err != nil {
			return FeedPart{}, err
		}
		page.Events = slices.DeleteFunc(page.Events, func(e store.FeedEvent) bool { return in.Type != "" && e.Type != in.Type })
		look = min(look, left)
		if len(page.Events) > 0 || page.More || left <= 0 || !pause(ctx, look) {
			return FeedPart{page, q.Settings.RetentionDays}, nil
		}
		left -= look
		q.Cursor = page.Next
	}
}

// FeedBack asks for a part of a feed from its end on.
type FeedBack struct {
	Before int64 // [NewestEvents.Older] of the part before this one; 0: begin with the newest
	Limit  int   // how many events are looked at
}

// NewestEvents are a part of a feed, the newest event first.
type NewestEvents struct {
	Events        []FeedEvent
	Older         int64 // asks for the part before these; 0: there is none
	RetentionDays int
}

// Newest gives the events of a feed as people look at them: the newest first, without
// those that have expired. Who must not miss any reads [Feeds.Events].
func (k Feeds) Newest(ctx context.Context, c Caller, of SourceRef, in FeedBack) (NewestEvents, error) {
	if err := c.May("Feeds.Newest"); err != nil {
		return NewestEvents{}, err
	}
	s, err := k.sourceOf(ctx, c, of)
	if err != nil {
		return NewestEvents{}, err
	}
	return k.newest(ctx, s, in)
}

func (k *core) newest(ctx context.Context, s boathook.Source, in FeedBack) (NewestEvents, error) {
	q := k.feedOf(s)
	out := NewestEvents{RetentionDays: q.Settings.RetentionDays}
	if out.RetentionDays == 0 {
		return out, nil
	}
	q.Newest, q.Before, q.Limit = true, max(in.Before, 0), in.Limit
	page, err := k.cfg.Store.FeedEvents(ctx, q)
	if err != nil {
		return out, err
	}
	end := q.Before - 1
	for out.Events = page.Events; page.More && len(out.Events) < in.Limit; out.Events = append(out.Events, page.Events...) {
		// They are so long that they come in several pages.
		q.Newest, q.Cursor, q.Limit = false, page.Next, in.Limit-len(out.Events)
		if page, err = k.cfg.Store.FeedEvents(ctx, q); err != nil {
			return out, err
		}
	}
	if q.Before == 0 {
		last, err := store.ParseFeedCursor(page.Next)
		if err != nil {
			return out, err
		}
		end = last.Position
	}
	slices.Reverse(out.Events)
	if begin := end - int64(in.Limit); begin > 0 && len(out.Events) > 0 {
		out.Older = begin + 1
	}
	return out, nil
}

// Sent is what a webhook was sent of an event.
type Sent struct {
	Webhook  boathook.OutgoingWebhook
	Delivery *boathook.Delivery // nil: there is none
}

// SentEvent is an event with where it went.
type SentEvent struct {
	FeedEvent
	Sent []Sent // one for each webhook that the source has now
}

// Event finds an event of a feed in a part of it, by the event's id, and what the webhooks
// that its source has now were sent of it.
func (k Feeds) Event(ctx context.Context, c Caller, of SourceRef, id string, in FeedBack) (e SentEvent, err error) {
	if err := c.May("Feeds.Event"); err != nil {
		return e, err
	}
	var s boathook.Source
	var webhooks []boathook.OutgoingWebhook
	err = beside(func() (err error) {
		s, err = k.sourceOf(ctx, c, of)
		return err
	}, func() (err error) {
		webhooks, err = k.allOutgoing(ctx, of.ID)
		return err
	})
	if err != nil {
		return e, err
	}
	part, err := k.newest(ctx, s, in)
	if err != nil {
		return e, err
	}
	i := slices.IndexFunc(part.Events, func(e FeedEvent) bool { return e.ID == id })
	if i < 0 {
		return e, noSuch("event", id)
	}
	e = SentEvent{FeedEvent: part.Events[i], Sent: make([]Sent, len(webhooks))}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, w := range webhooks {
		e.Sent[i].Webhook = k.shown(c, w)
		group.Go(func() error {
			d, err := k.cfg.Store.Delivery(ctx, s.WorkspaceID, boathook.NewDeliveryID(&e.Event, w.ID))
			if boathook.IsKind(err, boathook.NotFound) {
				return nil
			}
			e.Sent[i].Delivery = &d
			return err
		})
	}
	return e, group.Wait()
}

// pause waits; false if the request is over before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// feedOf begins a question for a source's feed.
func (k *core) feedOf(s boathook.Source) store.FeedQuery {
	return store.FeedQuery{WorkspaceID: s.WorkspaceID, SourceID: s.ID, Settings: s.FeedSettings(k.cfg.RecordDays)}
}

// feedEvents reads a part of a feed. Where no events are kept there are none, whatever
// is left of earlier ones.
func (k *core) feedEvents(ctx context.Context, q store.FeedQuery) (store.FeedPage, error) {
	if q.Settings.RetentionDays > 0 {
		return k.cfg.Store.FeedEvents(ctx, q)
	}
	if q.Cursor == "" {
		q.Cursor = store.FeedCursor{Time: k.cfg.Now()}.String()
	}
	_, err := store.ParseFeedCursor(q.Cursor)
	return store.FeedPage{Next: q.Cursor}, err
}

// Change sets for how many days a source's events are kept, and gives the days. Nil
// leaves them.
func (k Feeds) Change(ctx context.Context, c Caller, of SourceRef, days *int) (int, error) {
	if err := c.May("Feeds.Change"); err != nil {
		return 0, err
	}
	s, err := k.sourceOf(ctx, c, of)
	if err != nil {
		return 0, err
	}
	settings := s.FeedSettings(k.cfg.RecordDays)
	if days == nil {
		return settings.RetentionDays, nil
	}
	if *days < 0 || *days > boathook.MaxEventRetention {
		return 0, boathook.InvalidField("event_retention_days", "must be a whole number from 0, for none, to %d", boathook.MaxEventRetention)
	}
	s.Feed = new(settings.With(*days, k.cfg.Now()))
	return *days, k.cfg.Store.PutSource(ctx, s)
}
