package delivery

import (
	"context"
	"hash/fnv"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/metrics"
	"boathook/internal/queue"
)

// postpone has an attempt wait that is not to be made now, and reports whether it
// does. Its number is still to be made when it comes back.
//
//   - A webhook with a rate limit has a bucket of one second's requests. When it
//     is empty, an attempt reserves the next slot, once, and waits for it.
//   - A first attempt of a slow webhook goes on to the retries queue.
//   - Attempts of a webhook that does not answer wait while one of them probes it.
func (d *Deliverer) postpone(ctx context.Context, job queue.Delivery, w *webhook) (bool, error) {
	if job.Fault != "" && job.First == 1 {
		return false, nil // nothing is sent
	}
	now := d.config.Now()
	first := isFirst(job)
	if !job.Postponed() {
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
	switch slow, err := d.health(ctx, w); {
	case err != nil:
		return false, err
	case wait > queue.MaxDelay:
		d.config.Metrics.Count(metrics.AttemptsPostponed)
		return true, d.park(ctx, job, job.NotBefore)
	case wait > 0, first && !slow.SlowSince.IsZero():
		d.config.Metrics.Count(metrics.AttemptsPostponed)
		return true, d.send(ctx, job, wait)
	case first || slow.Probe == (boathook.Probe{}):
		return false, nil
	}
	return d.spare(ctx, job, w)
}

// minWait is for how long an attempt waits at least for an endpoint that does not
// answer, if its webhook's schedule is shorter.
const minWait = 15 * time.Minute

// shortWait is what the queue is to wait for: the store's rows are looked at each
// minute.
const shortWait = time.Minute

// spare has an attempt wait for a webhook that does not answer, unless it is the
// one to probe it, or its schedule is over.
func (d *Deliverer) spare(ctx context.Context, job queue.Delivery, w *webhook) (bool, error) {
	now := d.config.Now()
	next, err := d.nextProbe(ctx, w, now)
	if next.At.IsZero() || err != nil {
		return false, err
	}
	if job.Since.IsZero() {
		job.Since = now.Add(-DueAfter(w.Retry, job.Failures()-1))
	}
	if end := job.Since.Add(max(DueAfter(w.Retry, len(w.Retry)), minWait)); !now.Before(end) {
		return false, nil
	}
	// Behind the next probe, each at a time of its own.
	job.NotBefore = next.At.Add(time.Duration(share(job.ID) * float64(next.Wait) / 4))
	d.config.Metrics.Count(metrics.AttemptsPostponed)
	if wait := job.NotBefore.Sub(now); wait < shortWait {
		return true, d.send(ctx, job, wait)
	}
	return true, d.park(ctx, job, job.NotBefore)
}

// share is a delivery's own number in [0, 1).
func share(id boathook.DeliveryID) float64 {
	h := fnv.New32a()
	h.Write(id[:])
	return float64(h.Sum32()) / (1 << 32)
}

// nextProbe is the probe that an attempt has to wait for: the zero one if the
// webhook has answered meanwhile, and if this attempt is to probe it now.
func (d *Deliverer) nextProbe(ctx context.Context, w *webhook, now time.Time) (boathook.Probe, error) {
	if err := w.lock(ctx); err != nil {
		return boathook.Probe{}, err
	}
	defer w.unlock()
	due := w.health.Probe
	if now.Before(due.At) || due.At.IsZero() {
		return due, nil
	}
	next := boathook.Probe{At: now.Add(due.Wait), Wait: min(2*due.Wait, lastProbe)}
	ours, err := d.config.Store.MoveProbe(ctx, w.ID, due, next)
	if err != nil {
		return next, err
	}
	w.health.Probe = next // another process, if it was faster, has moved it as far
	if ours {
		return boathook.Probe{}, nil
	}
	return next, nil
}

// park has an attempt wait in the store until a time. Its delivery may have no
// record yet. A resend that waits takes the place of the attempts before it. Otherwise a
// duplicate of an earlier message would take the resend's time for its own.
func (d *Deliverer) park(ctx context.Context, job queue.Delivery, at time.Time) error {
	if err := d.wait(ctx, job, at); err != nil {
		return err
	}
	delivery := job.Delivery
	delivery.Attempts = job.Attempt - 1
	if job.First > 1 && job.Attempt == job.First {
		delivery.Resend = job.First
	}
	return d.config.Store.PostponeDelivery(ctx, delivery, at)
}
