// Package delivery makes the attempts of deliveries: it signs and sends the
// request, records what came of it, and schedules the next attempt where one
// is due.
//
// An attempt is recorded after it is made and its next one is scheduled, and
// only then acknowledged. A crash in between repeats the attempt, with the same
// delivery id and body; it never loses one.
//
// A batch of messages is held until its slowest request ends, so one endpoint
// that hangs could hold all batches. First attempts have a queue of their own in
// which no request holds a batch for more than three seconds; see slow.go. What
// waits for a rate limit, or for an endpoint that does not answer, waits in the
// retries queue or in the store; see postpone.go.
//
// A webhook's health is noted on the way, on transitions only; a webhook whose
// receiver is gone, or that failed for too long, is disabled. See health.go. What people
// are to know of it the workspace's alerts are told; see alert.go.
package delivery

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/singleflight"

	"boathook/internal/boathook"
	"boathook/internal/delivery/destination"
	"boathook/internal/metrics"
	"boathook/internal/queue"
	"boathook/internal/store"
	"boathook/internal/tracing"
)

// Store is the part of the store that deliver needs.
type Store interface {
	Outgoing(ctx context.Context, sourceID, id string) (boathook.OutgoingWebhook, error)
	DisableOutgoing(ctx context.Context, sourceID, id string, d boathook.Disabling) error
	RecordAttempt(ctx context.Context, d boathook.Delivery, a boathook.Attempt) error
	CancelDelivery(ctx context.Context, d boathook.Delivery) error
	PostponeDelivery(ctx context.Context, d boathook.Delivery, at time.Time) error
	Delivery(ctx context.Context, workspaceID string, id boathook.DeliveryID) (boathook.Delivery, error)
	PutDue(ctx context.Context, d store.Due) error

	store.Slots
	store.Leases
	CountAttempts(ctx context.Context, id string, c boathook.AttemptCounts) error

	MarkFailure(ctx context.Context, webhookID string, at time.Time) (boathook.Health, error)
	MarkSlow(ctx context.Context, webhookID string, at time.Time) (first bool, err error)
	MoveProbe(ctx context.Context, webhookID string, from, to boathook.Probe) (moved bool, err error)
	MoveAlert(ctx context.Context, webhookID string, from, to boathook.Alert) (moved bool, err error)
	MarkDisabling(ctx context.Context, webhookID string, d boathook.Disabling) (boathook.Disabling, error)
	ClearHealth(ctx context.Context, webhookID string, parts boathook.HealthPart) error
}

// EventPublisher makes and queues an event's deliveries; [Publisher] does.
type EventPublisher interface {
	Publish(ctx context.Context, e boathook.Event) error
	Alert(ctx context.Context, e boathook.Event) error
	Make(ctx context.Context, e boathook.Event, w boathook.OutgoingWebhook) (d boathook.Delivery, reason string, err error)
}

// Opener decrypts what a webhook keeps sealed.
type Opener interface {
	Open(ctx context.Context, workspaceID, subject string, sealed []byte) ([]byte, error)
}

// Deliverer makes attempts. Make it with [New].
type Deliverer struct {
	config   Config
	webhooks singleflight.Group // the reads that a batch's deliveries share
	tally    tally
}

// Config is what a [Deliverer] works with. All fields but Metrics and Tracer are required.
type Config struct {
	Store       Store
	Retries     queue.Sender
	Publish     EventPublisher          // of the event that a webhook was disabled, of alerts, and of bodies that could not be made
	Destination destination.Destination // what sends the deliveries
	Seal        Opener
	Now         func() time.Time
	Jitter      func() float64 // uniform in [0, 1)
	Log         *slog.Logger
	Metrics     *metrics.Counters
	Tracer      *tracing.Tracer

	// Leases is how many first attempts may take their full time-out, of all that
	// are slow at a time and whatever process makes them. The others are given up
	// after three seconds and made again in the retries queue. 0: all are.
	Leases int
}

// New makes a Deliverer.
func New(c Config) *Deliverer {
	return &Deliverer{config: c}
}

// Handle makes the attempt of one message. Nil acknowledges it: the attempt is
// recorded, or is not to be made, or waits elsewhere. The steps stand in one function,
// since their order is what loses no delivery.
func (d *Deliverer) Handle(ctx context.Context, body string) (err error) {
	job, err := queue.DecodeDelivery(body)
	if err != nil {
		return err
	}
	if !isFirst(job) {
		var made bool
		if job, made, err = d.alreadyMade(ctx, job); made || err != nil {
			return err
		}
	}
	w, err := d.webhook(ctx, job)
	if err != nil {
		return err
	}
	if reason := whyNot(job, w); reason != "" {
		d.config.Log.InfoContext(ctx, "delivery canceled", "delivery_id", job.ID, "webhook_id", job.WebhookID, "reason", reason)
		canceled := job.Delivery
		canceled.Reason, canceled.Attempts = reason, job.Attempt-1
		d.config.Metrics.Count(metrics.DeliveriesCanceled)
		return d.config.Store.CancelDelivery(ctx, canceled)
	}
	if postponed, err := d.postpone(ctx, job, w); postponed || err != nil {
		return err
	}

	ctx, span := d.process(ctx, job)
	defer func() { span.Done(err) }()
	sent, err := d.attempt(ctx, job, w)
	if err != nil {
		return err
	}
	if sent.cut {
		return d.makeRoom(ctx, job)
	}
	disabled := false
	if !sent.result.Unfit {
		if disabled, err = d.note(ctx, w, sent); err != nil {
			return err
		}
	}
	delivery, recorded, err := d.record(ctx, &job, w, sent, disabled)
	if err != nil {
		return err
	}
	if recorded {
		for _, of := range []string{w.ID, w.WorkspaceID} {
			d.tally.count(of, sent.SentAt, delivery.Status, sent.Duration)
		}
	}
	span.Set(slog.String("boathook.delivery.status", string(delivery.Status)))
	d.count(job, sent, delivery.Status)
	if delivery.Status != boathook.DeliverySucceeded {
		d.config.Log.WarnContext(ctx, "attempt failed", "delivery_id", job.ID, "webhook_id", job.WebhookID, "source_id", job.SourceID,
			"attempt", job.Attempt, "outcome", delivery.Status, "error", sent.Error, "duration_ms", sent.Duration.Milliseconds())
	}
	return nil
}

// record schedules what follows an attempt, and records it. On Conflict its number is
// recorded already, mostly by a duplicate of its message, and nothing is left to do:
// recorded is false then.
//
// The number of a resend may have been used by an attempt before it: one
// that was under way, or whose process died between the writes of its record. Then the
// resend is recorded by the next number. It must be: messages from before it are dropped
// once a resend is accepted, so nobody else goes on with the delivery.
func (d *Deliverer) record(ctx context.Context, job *queue.Delivery, w *webhook, s sent, disabled bool) (delivery boathook.Delivery, recorded bool, err error) {
	for {
		delivery = job.Delivery
		delivery.Attempts = job.Attempt
		if job.First > 1 {
			delivery.Resend = job.First
		}
		s.Number = job.Attempt
		if s.Succeeded() {
			delivery.Status = boathook.DeliverySucceeded
		} else if err := d.failed(ctx, *job, w, s, disabled, &delivery); err != nil {
			return delivery, false, err
		}
		err := d.config.Store.RecordAttempt(ctx, delivery, s.Attempt)
		if !boathook.IsKind(err, boathook.Conflict) {
			return delivery, err == nil, err
		}
		if job.First == 1 {
			return delivery, false, nil
		}
		found, err := d.config.Store.Delivery(ctx, job.WorkspaceID, job.ID)
		if err != nil || !overtaken(*job, found) {
			return delivery, false, err
		}
		*job = again(*job, found)
	}
}

func (d *Deliverer) count(job queue.Delivery, s sent, status boathook.DeliveryStatus) {
	d.config.Metrics.Observe(metrics.AttemptMade, s.Duration)
	if status == boathook.DeliverySucceeded {
		d.config.Metrics.Count(metrics.AttemptsSucceeded)
		d.config.Metrics.Observe(metrics.DeliveryTaken, d.config.Now().Sub(job.ID.Time()))
		return
	}
	d.config.Metrics.Count(metrics.AttemptsFailed)
	if status == boathook.DeliveryFailed {
		d.config.Metrics.Count(metrics.DeliveriesExhausted)
	}
}

// alreadyMade reports whether an attempt must not be made: it or a later one is
// recorded, or its delivery is over, or a resend goes on in its place. Of one
// that is recorded the scheduling is repeated: that may be where the first time
// broke off.
//
// A resend whose number was used up meanwhile, by an attempt from before it, is given
// the next: else that attempt would decide when the delivery has failed.
func (d *Deliverer) alreadyMade(ctx context.Context, job queue.Delivery) (_ queue.Delivery, made bool, err error) {
	record, err := d.config.Store.Delivery(ctx, job.WorkspaceID, job.ID)
	job.Dialect = cmp.Or(job.Dialect, record.Dialect)
	if err == nil {
		job.Trace = record.Trace                // the same on each attempt, though an event may have been published twice
		if job.Again && record.Body.Len() > 0 { // it may have been made twice as well, and otherwise
			job.Dialect, job.Body, job.ContentType, job.Fault = record.Dialect, record.Body, record.ContentType, record.Fault
		}
	}
	open := record.Status == boathook.DeliveryRetrying
	switch {
	case boathook.IsKind(err, boathook.NotFound):
		return job, false, nil // the attempt before was made and not recorded
	case err != nil:
		return job, false, err
	case record.Resend > job.First:
		return job, true, nil
	case record.Attempts < job.Attempt:
		// A record from before a resend says nothing of the attempts that it
		// began: the one of its first attempt may be late.
		return job, !open && record.Attempts >= job.First, nil
	case overtaken(job, record):
		return again(job, record), false, nil
	case record.Attempts == job.Attempt && open:
		return job, true, d.schedule(ctx, job.Next(), record.NextAttemptAt)
	}
	return job, true, nil
}

// overtaken reports whether a resend's number was used up by an attempt before it,
// which has left the delivery unfinished or failed.
func overtaken(job queue.Delivery, record boathook.Delivery) bool {
	return record.Attempts >= job.Attempt && job.First > max(record.Resend, 1) &&
		(record.Status == boathook.DeliveryRetrying || record.Status == boathook.DeliveryFailed)
}

// again is a resend by the number after those that are recorded.
func again(job queue.Delivery, record boathook.Delivery) queue.Delivery {
	job.Attempt, job.First = record.Attempts+1, record.Attempts+1
	return job
}

// webhook is the delivery's, or nil if it was deleted. It is never remembered: a
// rotation follows a leak, and a webhook that is disabled is to hear no more.
func (d *Deliverer) webhook(ctx context.Context, job queue.Delivery) (*webhook, error) {
	w, err, _ := d.webhooks.Do(job.WebhookID, func() (any, error) {
		w, err := d.config.Store.Outgoing(ctx, job.SourceID, job.WebhookID)
		if boathook.IsKind(err, boathook.NotFound) {
			return (*webhook)(nil), nil
		}
		return newWebhook(w), err
	})
	if err != nil {
		return nil, err
	}
	return w.(*webhook), nil
}

func whyNot(job queue.Delivery, w *webhook) string {
	switch {
	case job.Body.Len() == 0:
		return "its body is lost"
	case w == nil:
		return "the webhook was deleted"
	case !w.Enabled:
		return "the webhook is disabled"
	}
	return ""
}

// failed schedules the attempt after a failed one, if the webhook goes on, its
// schedule has one and another could succeed, and sets the delivery's status.
func (d *Deliverer) failed(ctx context.Context, job queue.Delivery, w *webhook, s sent, disabled bool, delivery *boathook.Delivery) error {
	delivery.Status = boathook.DeliveryFailed
	if disabled || s.result.Unfit {
		return d.exhausted(ctx, w, *delivery, s)
	}
	if !job.Since.IsZero() { // its schedule went on while it waited
		passed := PassedWaits(w.Retry, s.SentAt.Sub(job.Since))
		job.Skipped += max(0, 1+passed-job.Failures())
	}
	wait, ok := NextWait(w.Retry, job.Failures(), s.result.RetryAfter, d.config.Jitter())
	if left := job.Since.Add(DueAfter(w.Retry, len(w.Retry))).Sub(d.config.Now()); !ok && job.Skipped > 0 && left > 0 {
		wait, ok = left, true // duplicates have skipped too much
	}
	if !ok {
		return d.exhausted(ctx, w, *delivery, s)
	}
	delivery.Status = boathook.DeliveryRetrying
	delivery.NextAttemptAt = d.config.Now().Add(wait).Truncate(time.Millisecond)
	return d.schedule(ctx, job.Next(), delivery.NextAttemptAt)
}

// schedule has an attempt made at a time: through the queue if it is soon, else
// by a scheduled retry in the store, which sweep sends. Messages never wait in
// flight.
func (d *Deliverer) schedule(ctx context.Context, next queue.Delivery, at time.Time) error {
	wait := max(0, at.Sub(d.config.Now()))
	if wait > queue.MaxDelay {
		return d.wait(ctx, next, at)
	}
	return d.send(ctx, next, wait)
}

// wait has an attempt wait in the store until a time.
func (d *Deliverer) wait(ctx context.Context, job queue.Delivery, at time.Time) error {
	payload, err := queue.EncodeWaiting(job)
	if err != nil {
		return err
	}
	return d.config.Store.PutDue(ctx, store.ScheduledRetry(job.ID, job.Attempt, job.First, at, payload))
}

// send queues an attempt among the retries.
func (d *Deliverer) send(ctx context.Context, job queue.Delivery, delay time.Duration) error {
	message, err := queue.EncodeDelivery(job)
	if err != nil {
		return err
	}
	message.Delay = delay
	return d.config.Retries.Send(ctx, message)
}
