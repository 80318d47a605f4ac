package deliver

import (
	"context"
	"sync"
	"time"

	"boathook/internal/metrics"
	"boathook/internal/queue"
)

// putOff has an attempt wait in the retries queue if its turn is not now, and
// reports whether it does. What waits has a place of its own: it is put off
// once, its number is still to be made, and it is sent when it comes back,
// whatever comes before it meanwhile.
//
//   - A webhook with a rate limit has a bucket of one second's requests; when it
//     is empty, an attempt reserves the next one to come, and waits for it.
//   - A first attempt for a webhook that keeps timing out makes room for others.
func (d *Deliverer) putOff(ctx context.Context, job queue.Delivery, w *webhook) (bool, error) {
	now := d.config.Now()
	asked := job.PutOff()
	if !asked {
		job.NotBefore = now
		if w.RateLimit > 0 {
			interval := time.Second / time.Duration(w.RateLimit)
			slot, err := d.config.Store.ReserveSlot(ctx, w.ID, interval, now)
			if err != nil {
				return false, err
			}
			job.NotBefore = slot.Add(interval - time.Second)
		}
	}
	wait := max(0, job.NotBefore.Sub(now))
	if wait == 0 && (asked || job.Attempt > 1 || d.breakers.allow(w.ID, now)) {
		return false, nil
	}
	message, err := queue.EncodeDelivery(job)
	if err != nil {
		return false, err
	}
	d.config.Metrics.Count(metrics.AttemptsPutOff)
	message.Delay = min(wait, queue.MaxDelay) // back too early, it waits on for its time
	return true, d.config.Retries.Send(ctx, message)
}

const (
	breakerTimeouts = 3                // in a row open it
	breakerPause    = 30 * time.Second // then one attempt tries again
	maxBreakers     = 1000             // when there are more, all are forgotten
)

// breakers know which webhooks time out, as far as this process has seen. That
// is enough: a process that has not seen it learns it within a batch, and its
// retries are sent in any case.
type breakers struct {
	mu        sync.Mutex
	byWebhook map[string]*breaker // of those whose last attempt timed out
}

type breaker struct {
	timeouts int       // in a row
	triesAt  time.Time // while open: when one attempt may try again
}

// allow reports whether an attempt may be made now.
func (b *breakers) allow(webhookID string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.byWebhook[webhookID]
	switch {
	case e == nil || e.timeouts < breakerTimeouts:
		return true
	case now.Before(e.triesAt):
		return false
	}
	e.triesAt = now.Add(breakerPause) // the others wait for what comes of this one
	return true
}

// note is told what came of each attempt.
func (b *breakers) note(webhookID string, timedOut bool, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !timedOut {
		delete(b.byWebhook, webhookID)
		return
	}
	e := b.byWebhook[webhookID]
	if e == nil {
		if b.byWebhook == nil || len(b.byWebhook) >= maxBreakers {
			b.byWebhook = make(map[string]*breaker)
		}
		e = &breaker{}
		b.byWebhook[webhookID] = e
	}
	e.timeouts++
	e.triesAt = now.Add(breakerPause)
}
