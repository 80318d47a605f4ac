package service

import (
	"context"
	"time"

	"boathook/internal/boathook"
)

// StatsBucket is the time of which statistics count attempts together.
type StatsBucket string

// The buckets.
const (
	HourBucket StatsBucket = "hour"
	DayBucket  StatsBucket = "day" // of UTC
)

// How far back statistics go, by bucket: what is asked for at most, and without a since.
const (
	maxStatsHours     = 31 * 24
	defaultStatsHours = 24
	maxStatsDays      = 92
	defaultStatsDays  = 30
)

const day = 24 * time.Hour

// StatsQuery asks for the statistics of a webhook.
type StatsQuery struct {
	Since  time.Time   // zero: a day ago by the hour, or 30 days by the day
	Bucket StatsBucket // empty: hour
}

// Stats are what a webhook's attempts came to, in buckets without gaps, oldest first. The
// last one is not over.
type Stats struct {
	WebhookID string
	Bucket    StatsBucket
	Counts    []boathook.AttemptCounts
}

// Stats counts a webhook's attempts. Of those that were made within the last seconds some
// may be missing.
func (k Outgoing) Stats(ctx context.Context, c Caller, of SourceRef, id string, in StatsQuery) (Stats, error) {
	if err := c.May("Outgoing.Stats"); err != nil {
		return Stats{}, err
	}
	now := k.cfg.Now().UTC()
	length, most, since := time.Hour, maxStatsHours, defaultStatsHours
	switch in.Bucket {
	case "", HourBucket:
		in.Bucket = HourBucket
	case DayBucket:
		length, most, since = day, maxStatsDays, defaultStatsDays
	default:
		return Stats{}, boathook.InvalidField("bucket", "must be %s or %s", HourBucket, DayBucket)
	}
	if in.Since.IsZero() {
		in.Since = now.Add(-time.Duration(since) * length)
	}
	if in.Since.After(now) || in.Since.Before(now.Add(-time.Duration(most)*length)) {
		return Stats{}, boathook.InvalidField("since", "must be at most %d days ago by the %s, and not in the future", most*int(length/time.Hour)/24, in.Bucket)
	}
	_, w, err := k.outgoing(ctx, c, of, id)
	if err != nil {
		return Stats{}, err
	}
	begin := in.Since.UTC().Truncate(length)
	hours, err := k.cfg.Store.AttemptCounts(ctx, w.ID, begin, now.Add(time.Millisecond))
	if err != nil {
		return Stats{}, err
	}
	stats := Stats{WebhookID: w.ID, Bucket: in.Bucket}
	for from := begin; !from.After(now); from = from.Add(length) {
		stats.Counts = append(stats.Counts, boathook.AttemptCounts{From: from})
	}
	for _, h := range hours {
		if i := int(h.From.Sub(begin) / length); i >= 0 && i < len(stats.Counts) {
			stats.Counts[i].Add(h)
		}
	}
	return stats, nil
}
