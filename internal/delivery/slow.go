package delivery

import (
	"context"
	"sync/atomic"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/delivery/destination"
	"boathook/internal/metrics"
	"boathook/internal/queue"
	"boathook/internal/store"
)

// Lambda holds a batch until its slowest request ends, and works on a few batches
// at a time. So the time that a request may take in the queue of first attempts
// is bounded:
//
//   - After slowAfter without an answer the webhook is marked slow, for all
//     processes. First attempts of a slow webhook go on to the retries queue at
//     once. Only a fast answer takes the mark away.
//   - After cutAfter the request is given up, and the same attempt goes on to the
//     retries queue, where it has its full time-out.
//   - Who marks a webhook asks for a lease. With one, the request is not given up:
//     a lone slow endpoint is never asked twice. If the request of who marked it
//     has no answer after cutAfter either, the webhook's other attempts wait: else
//     they would take all batches of the retries queue for a time-out.
const (
	slowAfter = time.Second
	cutAfter  = 3 * time.Second

	// leaseName is what the leases of slow requests are kept under.
	leaseName = "deliveries"
)

// isFirst reports whether an attempt comes from the queue of first attempts.
func isFirst(job queue.Delivery) bool { return job.Attempt == 1 && !job.Postponed() && !job.Again }

// await makes a request, and ends its context if it holds a batch of first attempts for
// too long.
func (d *Deliverer) await(ctx context.Context, first bool, w *webhook, exchange func() sent, end context.CancelFunc) sent {
	var cut atomic.Bool
	answered, watched := make(chan struct{}), make(chan struct{})
	slow := time.AfterFunc(slowAfter, func() {
		defer close(watched)
		d.watch(ctx, first, w, answered, func() {
			cut.Store(ctx.Err() == nil)
			end()
		})
	})
	s := exchange()
	s.cut = s.Response == nil && cut.Load()
	close(answered)
	if !slow.Stop() {
		<-watched
	}
	return s
}

// watch sees to a request that has had no answer for slowAfter, until it has one or is given
// up.
func (d *Deliverer) watch(ctx context.Context, first bool, w *webhook, answered <-chan struct{}, giveUp func()) {
	noticed := time.Now()
	marked := d.markSlow(ctx, w)
	leased := false
	if marked && first {
		var lease store.Lease
		if lease, leased = d.takeLease(ctx, w); leased {
			defer func() {
				<-answered
				d.giveBack(ctx, lease)
			}()
		}
	}
	if !marked && !first {
		return
	}
	timer := time.NewTimer(cutAfter - slowAfter - time.Since(noticed))
	defer timer.Stop()
	select {
	case <-answered:
		return
	case <-timer.C:
	}
	if marked {
		d.holdOthers(ctx, w)
	}
	if !leased && first {
		giveUp() // it may have been answered meanwhile
	}
}

// markSlow marks a webhook, and reports whether this attempt is the first to. What
// fails here is not the attempt's failure.
func (d *Deliverer) markSlow(ctx context.Context, w *webhook) (first bool) {
	ctx, cancel := context.WithTimeout(ctx, cutAfter-slowAfter)
	defer cancel()
	err := w.lock(ctx)
	if err == nil {
		defer w.unlock()
		if !w.health.SlowSince.IsZero() {
			return false
		}
		now := d.config.Now()
		if first, err = d.config.Store.MarkSlow(ctx, w.ID, now); err == nil {
			w.health.SlowSince = now
		}
	}
	switch {
	case err != nil:
		d.config.Log.WarnContext(ctx, "slow webhook not marked", "webhook_id", w.ID, "error", err)
	case first:
		d.config.Log.InfoContext(ctx, "webhook is slow", "webhook_id", w.ID, "source_id", w.SourceID)
	}
	return first
}

// takeLease allows a slow request to hold its batch, unless there are as many
// already, or the store fails.
func (d *Deliverer) takeLease(ctx context.Context, w *webhook) (l store.Lease, taken bool) {
	if d.config.Leases == 0 {
		return l, false
	}
	ctx, cancel := context.WithTimeout(ctx, cutAfter-slowAfter)
	defer cancel()
	now := d.config.Now()
	l, taken, err := d.config.Store.TakeLease(ctx, leaseName, d.config.Leases, now, now.Add(w.Timeout+destination.Patience))
	if err != nil {
		d.config.Log.WarnContext(ctx, "no lease for a slow request", "webhook_id", w.ID, "error", err)
	}
	return l, taken
}

func (d *Deliverer) giveBack(ctx context.Context, l store.Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cutAfter)
	defer cancel()
	if err := d.config.Store.ReturnLease(ctx, l); err != nil {
		d.config.Log.WarnContext(ctx, "lease not returned: it ends by itself", "until", l.Until, "error", err)
	}
}

// holdOthers has a webhook's other attempts wait until this one's request, or a
// probe, is answered. What fails here is not the attempt's failure.
func (d *Deliverer) holdOthers(ctx context.Context, w *webhook) {
	ctx, cancel := context.WithTimeout(ctx, cutAfter-slowAfter)
	defer cancel()
	err := w.lock(ctx)
	if err == nil {
		defer w.unlock()
		err = d.beginProbing(ctx, w)
	}
	if err != nil {
		d.config.Log.WarnContext(ctx, "webhook's other attempts don't wait for it", "webhook_id", w.ID, "error", err)
	}
}

// makeRoom has a first attempt whose request was given up made among the retries.
func (d *Deliverer) makeRoom(ctx context.Context, job queue.Delivery) error {
	job.NotBefore = d.config.Now()
	job.CutAt = job.NotBefore
	d.config.Metrics.Count(metrics.AttemptsPostponed)
	d.config.Log.InfoContext(ctx, "request given up to make room: it is made again among the retries",
		"delivery_id", job.ID, "webhook_id", job.WebhookID)
	return d.send(ctx, job, 0)
}

// How long attempts wait for an endpoint that does not answer, while one of them
// at a time probes it. The first wait is short: it begins before a time-out, and
// an endpoint that takes five seconds is not to wait for longer than it must.
const (
	firstProbe = 5 * time.Second
	lastProbe  = 900 * time.Second
)

// beginProbing is called with the webhook's health locked.
func (d *Deliverer) beginProbing(ctx context.Context, w *webhook) error {
	if w.health.Probe != (boathook.Probe{}) {
		return nil
	}
	w.health.Probe = boathook.Probe{At: d.config.Now().Add(firstProbe), Wait: firstProbe}
	_, err := d.config.Store.MoveProbe(ctx, w.ID, boathook.Probe{}, w.health.Probe)
	return err
}

// noteSpeed notes how fast a webhook has answered, where that is news: the parts
// of its health that no longer hold are given back, to be cleared.
func (d *Deliverer) noteSpeed(ctx context.Context, w *webhook, s sent) (over boathook.HealthPart, err error) {
	h := &w.health
	switch {
	case s.result.TimedOut:
		if h.SlowSince.IsZero() { // its own time-out is shorter than slowAfter
			h.SlowSince = d.config.Now()
			if _, err := d.config.Store.MarkSlow(ctx, w.ID, h.SlowSince); err != nil {
				return 0, err
			}
		}
		return 0, d.beginProbing(ctx, w)
	case s.Duration >= slowAfter:
		if h.Probe != (boathook.Probe{}) {
			over = boathook.HealthProbe
		}
	case !h.SlowSince.IsZero() || h.Probe != (boathook.Probe{}):
		over = boathook.HealthSlow | boathook.HealthProbe
	}
	return over, nil
}
