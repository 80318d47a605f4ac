package service

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/delivery"
	"boathook/internal/store"
)

// ReplayOnly says which events are sent again, of those that a webhook wants.
type ReplayOnly = delivery.ReplayOnly

// Replay asks for events of a source's feed to be sent to a webhook again.
type Replay struct {
	Since  time.Time            // of events that came into the feed then or later
	Until  time.Time            // of events that came into the feed then or before, to the millisecond; zero: now
	Types  []boathook.EventType // any of them; nil: all that the webhook wants
	Only   ReplayOnly           // empty: those that are missing
	DryRun bool                 // only count
	Cursor string               // of the answer before, to the same request
}

// Replayed says how many events were queued, and why others were not. With a next cursor
// there are more: the same request with it carries on.
type Replayed struct {
	delivery.Replayed
	Since time.Time // from when on the feed was looked at: later than asked for, if it keeps no more
	Until time.Time
	Next  string
}

// Count is how many events were queued, or would be.
func (r Replayed) Count() (n int) {
	for _, of := range r.Queued {
		n += of
	}
	return n
}

const (
	// replayTime is how long one request goes on, well below the API's 30 s. The part of
	// the feed that is begun by then is finished.
	replayTime = 10 * time.Second
	// replayPart is how many events of a feed are looked at together: few, since a filter
	// may take long.
	replayPart = 25
)

// Replay sends a webhook events of its source's feed again, in the order in which they
// came. One request handles as many as it can in a time. It may be repeated with its
// cursor: what it has queued before is not queued again.
func (k Outgoing) Replay(ctx context.Context, c Caller, of SourceRef, id string, in Replay) (Replayed, error) {
	if err := c.May("Outgoing.Replay"); err != nil {
		return Replayed{}, err
	}
	s, w, err := k.outgoing(ctx, c, of, id)
	if err != nil {
		return Replayed{}, err
	}
	now := k.cfg.Now()
	in.Only = cmp.Or(in.Only, delivery.ReplayMissing)
	if err := in.check(s.Kind); err != nil {
		return Replayed{}, err
	}
	at, err := in.place(w.ID, now)
	if err != nil {
		return Replayed{}, err
	}
	q := k.feedOf(s)
	switch {
	case q.Settings.RetentionDays == 0:
		return Replayed{}, boathook.Errorf(boathook.Conflict,
			"the source keeps no events, so none can be sent again: set event_retention_days with PATCH at the source's /events first")
	case !w.Enabled && !in.DryRun:
		return Replayed{}, errDisabled
	}
	out := Replayed{Replayed: delivery.Replayed{Queued: in.counts()}, Since: in.Since, Until: at.until}
	if kept := at.begun.Add(-q.Settings.Retention()); kept.After(in.Since) {
		out.Since = kept
	}
	p := delivery.Replay{
		Webhook: w, SourceName: s.Name, Only: in.Only, Types: in.Types, Since: in.Since, Until: at.until, DryRun: in.DryRun,
		Begun: at.begun, Recorded: now.Add(-time.Duration(k.cfg.RecordDays) * 24 * time.Hour),
	}
	if out.Next, err = k.replay(ctx, q, at, p, now, &out.Replayed); err != nil {
		return Replayed{}, fmt.Errorf("replay to webhook %s, after %d events: %w", w.ID, out.Count(), err)
	}
	k.cfg.Log.InfoContext(ctx, "events replayed", "webhook_id", w.ID, "only", in.Only, "matched", out.Matched, "queued", out.Count(),
		"dry_run", in.DryRun, "more", out.Next != "")
	return out, nil
}

// replay goes through a feed from a place on, and gives the cursor to go on with; empty:
// that was all.
func (k *core) replay(ctx context.Context, q store.FeedQuery, at replayPlace, p delivery.Replay, now time.Time, out *delivery.Replayed) (next string, err error) {
	q.Cursor, q.Since = at.feed, p.Since
	for q.Limit = replayPart; ; {
		page, err := k.cfg.Store.FeedEvents(ctx, q)
		if err != nil {
			return "", at.gone(err)
		}
		part, err := k.cfg.Resend.ReplayPage(ctx, p, page.Events)
		out.Add(part)
		if err != nil {
			return "", err
		}
		// The times in a feed may be out of order, by less than the margin.
		if last := len(page.Events) - 1; !page.More || last >= 0 && page.Events[last].Published.After(p.Until.Add(store.FeedMargin)) {
			return "", nil
		}
		q.Cursor, at.feed = page.Next, page.Next
		if k.cfg.Now().Sub(now) >= replayTime {
			return at.String(), nil
		}
	}
}

// check refuses what makes no sense, whatever the source has.
func (in *Replay) check(kind boathook.SourceKind) error {
	if in.Until = in.Until.Truncate(time.Millisecond); !in.Until.IsZero() && in.Until.Before(in.Since) {
		return boathook.InvalidField("until", "must not be before since")
	}
	if in.Types != nil && len(in.Types) == 0 || len(in.Types) > boathook.MaxWantedEvents {
		return boathook.InvalidField("types", "must name 1 to %d types", boathook.MaxWantedEvents)
	}
	for _, t := range in.Types {
		if kind != boathook.Customer && !slices.Contains(boathook.EventTypes[kind], t) {
			return boathook.InvalidField("types", "a %s has no event %q", kind, t)
		}
	}
	if !slices.Contains(replayOnly, in.Only) {
		return boathook.InvalidField("only", "must be one of %s", oneOf(replayOnly))
	}
	return nil
}

var replayOnly = []delivery.ReplayOnly{delivery.ReplayMissing, delivery.ReplayFailed, delivery.ReplayAll}

// counts are those of what is asked for, none yet.
func (in *Replay) counts() map[boathook.DeliveryStatus]int {
	counts := map[delivery.ReplayOnly][]boathook.DeliveryStatus{
		delivery.ReplayMissing: {delivery.Missing},
		delivery.ReplayFailed:  {boathook.DeliveryFailed, boathook.DeliveryCanceled},
		delivery.ReplayAll: {
			delivery.Missing, boathook.DeliveryFailed, boathook.DeliveryCanceled, boathook.DeliveryRetrying, boathook.DeliverySucceeded,
		},
	}
	queued := make(map[boathook.DeliveryStatus]int)
	for _, status := range counts[in.Only] {
		queued[status] = 0
	}
	return queued
}

// replayPlace is how far a replay has come.
type replayPlace struct {
	feed    string    // the feed's cursor; empty before its first part
	begun   time.Time // when the first request came
	until   time.Time
	request string // the sum of what was asked for, which is to be the same
}

// place is where a replay begins, or goes on.
func (in *Replay) place(webhookID string, now time.Time) (at replayPlace, err error) {
	sum := hashOf([]any{webhookID, in.Since.UTC(), in.Until.UTC(), in.Types, in.Only, in.DryRun})
	request := hex.EncodeToString(sum[:6])
	if in.Cursor == "" {
		at = replayPlace{begun: now.UTC().Truncate(time.Millisecond), until: in.Until, request: request}
		if at.until.IsZero() {
			at.until = at.begun
		}
		if at.until.Before(in.Since) {
			return at, boathook.InvalidField("until", "must not be before since")
		}
		return at, nil
	}
	at, ok := parseReplayPlace(in.Cursor)
	if !ok || at.request != request {
		return at, boathook.InvalidField("cursor", "must be the next_cursor of the same request to this webhook: nothing else of the request may change, dry_run included")
	}
	return at, nil
}

// String is the place as a cursor. Of its feed's cursor the characters are those of
// base64url.
func (at replayPlace) String() string {
	return strings.Join([]string{at.feed, strconv.FormatInt(at.begun.UnixMilli(), 36), strconv.FormatInt(at.until.UnixMilli(), 36), at.request}, ".")
}

func parseReplayPlace(text string) (at replayPlace, ok bool) {
	parts := strings.Split(text, ".")
	if len(parts) != 4 {
		return at, false
	}
	begun, _ := strconv.ParseInt(parts[1], 36, 64)
	until, _ := strconv.ParseInt(parts[2], 36, 64)
	at = replayPlace{parts[0], time.UnixMilli(begun).UTC(), time.UnixMilli(until).UTC(), parts[3]}
	_, err := store.ParseFeedCursor(at.feed)
	return at, err == nil && at.String() == text
}

// gone makes the error of a feed's cursor that is gone one of a replay's.
func (at replayPlace) gone(err error) error {
	e, ok := errors.AsType[*boathook.Error](err)
	if !ok || e.Kind != boathook.Gone {
		return err
	}
	at.feed = e.OldestCursor
	return &boathook.Error{
		Kind: boathook.Gone, Field: e.Field, OldestCursor: at.String(),
		Message: "some of the events behind it have expired, and can't be sent again: go on with the oldest cursor for the others",
	}
}
