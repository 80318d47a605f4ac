package delivery

import (
	"context"
	"sync"
	"time"

	"boathook/internal/boathook"
)

// tally counts the attempts that were recorded since they were last stored.
type tally struct {
	mu     sync.Mutex
	counts map[tallied]boathook.AttemptCounts
}

// tallied is what attempts are counted by.
type tallied struct {
	id   string // the webhook's, or its workspace's
	hour time.Time
}

func (t *tally) count(id string, sentAt time.Time, after boathook.DeliveryStatus, duration time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	of := tallied{id, boathook.StatisticsHour(sentAt)}
	c := t.counts[of]
	c.From = of.hour
	c.Count(after, duration)
	if t.counts == nil {
		t.counts = make(map[tallied]boathook.AttemptCounts)
	}
	t.counts[of] = c
}

func (t *tally) take() map[tallied]boathook.AttemptCounts {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := t.counts
	t.counts = nil
	return counts
}

// StoreCounts stores how many attempts were made since it was called last, for the
// statistics of their webhooks and workspaces: one write for each webhook and for each
// workspace, or two if an hour has ended meanwhile. It is called once a batch. What can't be stored is told of in the log and not
// counted: the deliveries themselves are recorded.
func (d *Deliverer) StoreCounts(ctx context.Context) {
	var writes sync.WaitGroup
	defer writes.Wait()
	for of, c := range d.tally.take() {
		writes.Go(func() {
			if err := d.config.Store.CountAttempts(ctx, of.id, c); err != nil {
				d.config.Log.ErrorContext(ctx, "attempts are not counted", "of", of.id, "error", err)
			}
		})
	}
}
