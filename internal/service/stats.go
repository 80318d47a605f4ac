package service

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

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

// StatsQuery asks for statistics.
type StatsQuery struct {
	Since  time.Time   // zero: a day ago by the hour, or 30 days by the day
	Bucket StatsBucket // empty: hour
}

// Stats are what the attempts of a webhook or a workspace came to, in buckets without gaps, oldest first. The
// last one is not over.
type Stats struct {
	WebhookID string // empty: of the workspace
	Bucket    StatsBucket
	Counts    []boathook.AttemptCounts
}

// Stats counts a webhook's attempts. Of those that were made within the last seconds some
// may be missing.
func (k Outgoing) Stats(ctx context.Context, c Caller, of SourceRef, id string, in StatsQuery) (Stats, error) {
	if err := c.May("Outgoing.Stats"); err != nil {
		return Stats{}, err
	}
	span, err := k.spanOf(in)
	if err != nil {
		return Stats{}, err
	}
	_, w, err := k.outgoing(ctx, c, of, id)
	if err != nil {
		return Stats{}, err
	}
	return k.stats(ctx, w.ID, span)
}

// StatsOfAll counts the attempts of each webhook of a source, the newest webhook first;
// see [Outgoing.Stats].
func (k Outgoing) StatsOfAll(ctx context.Context, c Caller, of SourceRef, in StatsQuery) ([]Stats, error) {
	if err := c.May("Outgoing.StatsOfAll"); err != nil {
		return nil, err
	}
	span, err := k.spanOf(in)
	if err != nil {
		return nil, err
	}
	var all []boathook.OutgoingWebhook
	err = beside(func() error {
		_, err := k.sourceOf(ctx, c, of)
		return err
	}, func() (err error) {
		all, err = k.allOutgoing(ctx, of.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	stats := make([]Stats, len(all))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelCounts)
	for i, w := range all {
		group.Go(func() (err error) {
			stats[i], err = k.stats(ctx, w.ID, span)
			return err
		})
	}
	return stats, group.Wait()
}

// parallelCounts is how many webhooks' counts are read at once: those of most sources
// come in one round trip.
const parallelCounts = 25

// Stats counts the attempts of all webhooks of the workspace, also of those that are
// deleted; see [Outgoing.Stats]. Attempts from before workspaces were counted are missing.
func (k Deliveries) Stats(ctx context.Context, c Caller, in StatsQuery) (Stats, error) {
	if err := c.May("Deliveries.Stats"); err != nil {
		return Stats{}, err
	}
	span, err := k.spanOf(in)
	if err != nil {
		return Stats{}, err
	}
	stats, err := k.stats(ctx, c.Workspace, span)
	stats.WebhookID = ""
	return stats, err
}

// statsSpan is the time that statistics are asked for.
type statsSpan struct {
	begin, now time.Time
	length     time.Duration // of a bucket
	bucket     StatsBucket
}

// spanOf checks what is asked for.
func (k *core) spanOf(in StatsQuery) (statsSpan, error) {
	now := k.cfg.Now().UTC()
	length, most, since := time.Hour, maxStatsHours, defaultStatsHours
	switch in.Bucket {
	case "", HourBucket:
		in.Bucket = HourBucket
	case DayBucket:
		length, most, since = day, maxStatsDays, defaultStatsDays
	default:
		return statsSpan{}, boathook.InvalidField("bucket", "must be %s or %s", HourBucket, DayBucket)
	}
	if in.Since.IsZero() {
		in.Since = now.Add(-time.Duration(since) * length)
	}
	if in.Since.After(now) || in.Since.Before(now.Add(-time.Duration(most)*length)) {
		return statsSpan{}, boathook.InvalidField("since", "must be at most %d days ago by the %s, and not in the future", most*int(length/time.Hour)/24, in.Bucket)
	}
	return statsSpan{in.Since.UTC().Truncate(length), now, length, in.Bucket}, nil
}

// stats are the counts of a webhook or a workspace.
func (k *core) stats(ctx context.Context, id string, span statsSpan) (Stats, error) {
	hours, err := k.cfg.Store.AttemptCounts(ctx, id, span.begin, span.now.Add(time.Millisecond))
	if err != nil {
		return Stats{}, err
	}
	stats := Stats{WebhookID: id, Bucket: span.bucket}
	for from := span.begin; !from.After(span.now); from = from.Add(span.length) {
		stats.Counts = append(stats.Counts, boathook.AttemptCounts{From: from})
	}
	for _, h := range hours {
		if i := int(h.From.Sub(span.begin) / span.length); i >= 0 && i < len(stats.Counts) {
			stats.Counts[i].Add(h)
		}
	}
	return stats, nil
}
