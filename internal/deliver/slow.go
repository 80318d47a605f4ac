package deliver

import (
	"context"
	"errors"
	"time"

	"boathook/internal/boathook"
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
//     a lone slow endpoint is never asked twice.
const (
	slowAfter = time.Second
	cutAfter  = 3 * time.Second

	// leaseName is what the leases of slow requests are kept under.
	leaseName = "deliveries"
)

// errMakeRoom is why a request is given up that holds a batch.
var errMakeRoom = errors.New("given up to make room")

// isFirst reports whether an attempt comes from the queue of first attempts.
func isFirst(job queue.Delivery) bool { return job.Attempt == 1 && !job.Postponed() }

// await waits for what comes of a request, and gives up one that holds a batch for
// too long.
func (d *Deliverer) await(ctx context.Context, job queue.Delivery, w *webhook, answered <-chan sent, giveUp context.CancelCauseFunc) sent {
	timer := time.NewTimer(slowAfter)
	defer timer.Stop()
	select {
	case s := <-answered:
		return s
	case <-timer.C:
	}
	noticed := time.Now()
	lease, leased := d.slow(ctx, job, w)
	if leased {
		defer d.giveBack(ctx, lease)
	}
	if leased || !isFirst(job) {
		return <-answered
	}
	timer.Reset(cutAfter - slowAfter - time.Since(noticed))
	select {
	case s := <-answered:
		return s
	case <-timer.C:
	}
	giveUp(errMakeRoom)
	return <-answered // it may have been answered meanwhile
}

// slow marks a webhook, and takes a lease for a first attempt that is the first to
// mark it. What fails here is not the attempt's failure: without a mark or a lease
// it is given up.
func (d *Deliverer) slow(ctx context.Context, job queue.Delivery, w *webhook) (l store.Lease, leased bool) {
	ctx, cancel := context.WithTimeout(ctx, cutAfter-slowAfter)
	defer cancel()
	first, err := d.markSlow(ctx, w)
	if err == nil && first && isFirst(job) && d.config.Leases > 0 {
		now := d.config.Now()
		l, leased, err = d.config.Store.TakeLease(ctx, leaseName, d.config.Leases, now, now.Add(w.Timeout+bodyPatience))
	}
	if err != nil {
		d.config.Log.WarnContext(ctx, "slow webhook not noted", "webhook_id", w.ID, "error", err)
	}
	return l, leased
}

func (d *Deliverer) markSlow(ctx context.Context, w *webhook) (first bool, err error) {
	if err := w.lock(ctx); err != nil {
		return false, err
	}
	defer w.unlock()
	if !w.health.SlowSince.IsZero() {
		return false, nil
	}
	now := d.config.Now()
	if first, err = d.config.Store.MarkSlow(ctx, w.ID, now); err != nil {
		return false, err
	}
	w.health.SlowSince = now
	if first {
		d.config.Log.InfoContext(ctx, "webhook is slow", "webhook_id", w.ID, "source_id", w.SourceID)
	}
	return first, nil
}

func (d *Deliverer) giveBack(ctx context.Context, l store.Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cutAfter)
	defer cancel()
	if err := d.config.Store.ReturnLease(ctx, l); err != nil {
		d.config.Log.WarnContext(ctx, "lease not returned: it ends by itself", "until", l.Until, "error", err)
	}
}

// makeRoom has a first attempt whose request was given up made among the retries.
func (d *Deliverer) makeRoom(ctx context.Context, job queue.Delivery) error {
	job.NotBefore = d.config.Now()
	job.CutAt = job.NotBefore
	d.config.Metrics.Count(metrics.AttemptsPutOff)
	d.config.Log.InfoContext(ctx, "request given up to make room: it is made again among the retries",
		"delivery_id", job.ID, "webhook_id", job.WebhookID)
	return d.send(ctx, job, 0)
}

// The waits of those that an endpoint which does not answer keeps waiting: one
// attempt at a time probes it.
const (
	firstProbe = 30 * time.Second
	lastProbe  = 900 * time.Second
)

// noteSpeed notes how fast a webhook has answered, where that is news: the parts
// of its health that no longer hold are given back, to be cleared.
func (d *Deliverer) noteSpeed(ctx context.Context, w *webhook, s sent) (over boathook.HealthPart, err error) {
	h := &w.health
	switch {
	case s.timedOut:
		if h.SlowSince.IsZero() { // its own time-out is shorter than slowAfter
			h.SlowSince = d.config.Now()
			if _, err := d.config.Store.MarkSlow(ctx, w.ID, h.SlowSince); err != nil {
				return 0, err
			}
		}
		if h.Probe == (boathook.Probe{}) {
			h.Probe = boathook.Probe{At: d.config.Now().Add(firstProbe), Wait: firstProbe}
			_, err = d.config.Store.MoveProbe(ctx, w.ID, boathook.Probe{}, h.Probe)
		}
		return 0, err
	case s.Duration >= slowAfter:
		if h.Probe != (boathook.Probe{}) {
			over = boathook.HealthProbe
		}
	case !h.SlowSince.IsZero() || h.Probe != (boathook.Probe{}):
		over = boathook.HealthSlow | boathook.HealthProbe
	}
	return over, nil
}
