package store

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"boathook/internal/boathook"
)

// Feeds keep the events of sources, each in the order in which they came into its feed,
// so that a reader who was away misses nothing.
//
// Each event has one position, which never changes, and there are no others between two
// that stand side by side. A reader who goes on where it stopped is shown each event
// once: nothing comes in before what was shown.
type Feeds interface {
	// AppendEvents puts events at the end of their source's feed, in their order, for a
	// time of at least a day. It may be repeated: an event is in the feed once, unless it is
	// [boathook.Event.Fresh] and a caller repeats it all the same. A repeat that comes
	// after that time, and within the store's retention, changes nothing.
	AppendEvents(ctx context.Context, sourceID string, keep time.Duration, events ...boathook.Event) error
	// FeedEvents reads a part of a feed, oldest first. [boathook.Gone]: some of what was
	// behind the cursor has expired; the error has a cursor that goes on with what is left.
	FeedEvents(ctx context.Context, q FeedQuery) (FeedPage, error)
}

// FeedQuery asks for a part of a feed.
type FeedQuery struct {
	WorkspaceID string
	SourceID    string
	Settings    boathook.FeedSettings // of the source, as they are now
	Cursor      string                // of the part before; empty: begin with what came at Since
	Since       time.Time             // where there is no cursor; zero: the oldest that is kept
	Limit       int                   // how many events: 1 to 200

	// Newest asks for the last Limit positions, where there is no cursor, in place of those
	// since a time: what has expired of them is left out.
	Newest bool
	Before int64 // with Newest: for those before this position; 0: for the last of all
}

// Start is the position behind which a feed is read that is asked for its newest, by the
// position that was given last.
func (q *FeedQuery) Start(last int64) int64 {
	if q.Before > 0 {
		last = min(last, q.Before-1)
	}
	return max(last-int64(q.Limit), 0)
}

// Beyond reports whether a position is not asked for any more.
func (q *FeedQuery) Beyond(position int64) bool { return q.Before > 0 && position >= q.Before }

// FeedPage is a part of a feed.
type FeedPage struct {
	Events []FeedEvent // may be fewer than the limit, see [MaxPageBytes], and none
	Next   string      // a cursor that goes on behind them; never empty
	More   bool        // there is more to be read at once
}

// FeedEvent is an event in a feed.
type FeedEvent struct {
	boathook.Event           // not Fresh
	Published      time.Time // when it came into the feed, to the millisecond
}

// FeedMargin is how much earlier than asked for a feed is looked into for what came since
// a time: the clocks of those who write it differ.
const FeedMargin = time.Minute

// FeedCursor is a place in a feed: behind a position that has been read.
type FeedCursor struct {
	Position int64     // counts from 1; 0: before all
	Time     time.Time // when the last event before it came into the feed, or when this place was looked up
}

// String is the cursor's text.
func (c FeedCursor) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(c.Position, 10) + "." + strconv.FormatInt(c.Time.UnixMilli(), 10)))
}

// ParseFeedCursor reads what [FeedCursor.String] gave. The error is [boathook.Invalid].
func ParseFeedCursor(text string) (c FeedCursor, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	position, at, ok := strings.Cut(string(raw), ".")
	if err == nil && ok {
		var ms int64
		c.Position, _ = strconv.ParseInt(position, 10, 64)
		ms, _ = strconv.ParseInt(at, 10, 64)
		c.Time = time.UnixMilli(ms).UTC()
	}
	if c.Position < 0 || c.String() != text {
		return FeedCursor{}, ErrFeedCursor
	}
	return c, nil
}

// ErrFeedCursor is the error of a cursor that a feed has not given.
var ErrFeedCursor = boathook.InvalidField("cursor", "not one that this feed has given")

// ErrGone is the error of a cursor behind which events have expired. oldest is where to
// go on.
func ErrGone(oldest FeedCursor) error {
	return &boathook.Error{
		Kind: boathook.Gone, Field: "cursor", OldestCursor: oldest.String(),
		Message: "some of the events behind it have expired: go on with the oldest cursor, and find out elsewhere what has happened meanwhile",
	}
}

// CheckFeed gives [ErrNoID] unless events can be put into a source's feed.
func CheckFeed(sourceID string, events []boathook.Event) error {
	if err := CheckIDs(sourceID); err != nil {
		return err
	}
	for _, e := range events {
		if err := CheckForeignID(e.ID); err != nil {
			return err
		}
	}
	return nil
}
