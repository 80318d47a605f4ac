package service

import (
	"context"
	"slices"
	"time"

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
