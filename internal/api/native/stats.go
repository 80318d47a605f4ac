package native

import (
	"context"
	"time"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// statsView are a webhook's attempts, counted by the hour or the day.
type statsView struct {
	WebhookID string              `json:"webhook_id"`
	Bucket    service.StatsBucket `json:"bucket"`
	Data      []bucketView        `json:"data"` // oldest first; the last bucket is not over
}

// bucketView counts attempts by what their deliveries were after them. The latencies are of
// all of them, and are steps of a histogram: see [boathook.DurationSteps].
type bucketView struct {
	From         boathook.Time `json:"from"`
	Succeeded    int           `json:"succeeded"`
	Failed       int           `json:"failed"`
	Retrying     int           `json:"retrying"`
	LatencyP50MS *int64        `json:"latency_p50_ms"` // null: there were no attempts
	LatencyP95MS *int64        `json:"latency_p95_ms"`
}

func viewBucket(c boathook.AttemptCounts) bucketView {
	return bucketView{
		From: boathook.Time{Time: c.From}, Succeeded: c.Succeeded, Failed: c.Failed, Retrying: c.Retrying,
		LatencyP50MS: milliseconds(c.Percentile(0.5)), LatencyP95MS: milliseconds(c.Percentile(0.95)),
	}
}

// milliseconds is nil for none.
func milliseconds(d time.Duration) *int64 {
	if d == 0 {
		return nil
	}
	return new(d.Milliseconds())
}

func (f face) outgoingStats(ctx context.Context, c httpjson.Call, _ httpjson.None) (statsView, error) {
	since, err := optionalTime(c, "since")
	if err != nil {
		return statsView{}, err
	}
	stats, err := f.Outgoing.Stats(ctx, c.Caller, sourceInPath(c), c.PathValue("outgoing"), service.StatsQuery{
		Since: since, Bucket: service.StatsBucket(c.URL.Query().Get("bucket")),
	})
	view := statsView{WebhookID: stats.WebhookID, Bucket: stats.Bucket, Data: make([]bucketView, len(stats.Counts))}
	for i, counts := range stats.Counts {
		view.Data[i] = viewBucket(counts)
	}
	return view, err
}
