package boathook

import "time"

// FeedSettings say for how long a source's events are kept in its feed.
type FeedSettings struct {
	RetentionDays int       // 0: no event is kept
	Raised        time.Time // when the days last became more; zero: never
}

// FeedSettings are the source's own, or those of its kind: a customer's events are kept
// for as many days as records are, those of others are not.
func (s *Source) FeedSettings(recordDays int) FeedSettings {
	switch {
	case s.Feed != nil:
		return *s.Feed
	case s.Kind == Customer:
		return FeedSettings{RetentionDays: recordDays}
	}
	return FeedSettings{}
}

// With are the settings with another number of days.
func (f FeedSettings) With(days int, now time.Time) FeedSettings {
	if days > f.RetentionDays {
		f.Raised = now
	}
	f.RetentionDays = days
	return f
}

// Retention is for how long an event is kept that comes into the feed now.
func (f FeedSettings) Retention() time.Duration {
	return time.Duration(f.RetentionDays) * 24 * time.Hour
}

// feedMargin is by how much the times of events in a feed may be out of order: those
// who write them have clocks of their own.
const feedMargin = time.Minute

// Keeps reports whether an event that came into the feed at a time is still to be shown.
func (f FeedSettings) Keeps(at, now time.Time) bool { return at.After(now.Add(-f.Retention())) }

// Lookup is the time of a place in the feed that is looked up now: all that comes behind
// it from now on is kept as long as the settings say.
func (f FeedSettings) Lookup(now time.Time) time.Time {
	if sure := f.Raised.Add(feedMargin + time.Millisecond); now.Before(sure) {
		return sure
	}
	return now
}

// KeepsBehind reports whether all events are still there that came into the feed after
// one that came at a time. It may say no though they are: some that came before the days
// were raised are gone sooner.
func (f FeedSettings) KeepsBehind(at, now time.Time) bool {
	return f.Keeps(at.Add(-feedMargin), now) && at.After(f.Raised.Add(feedMargin))
}
