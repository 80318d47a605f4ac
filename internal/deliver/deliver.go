// Package deliver makes the attempts of deliveries: it signs and sends the
// request, records what came of it, and schedules the next attempt where one
// is due.
//
// An attempt is recorded after it is made and its next one is scheduled, and
// only then acknowledged. A crash in between repeats the attempt, with the same
// delivery id and body; it never loses one.
//
// A webhook's health is noted on the way, on transitions only; a webhook whose
// receiver is gone, or that failed for too long, is disabled. See health.go.
// Attempts whose turn is not yet, for a rate limit or since the webhook keeps
// timing out, wait in the retries queue. See turn.go.
package deliver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/singleflight"

	"boathook/internal/boathook"
	"boathook/internal/dialect"
	"boathook/internal/egress"
	"boathook/internal/metrics"
	"boathook/internal/queue"
	"boathook/internal/schedule"
	"boathook/internal/store"
)

// Store is the part of the store that deliver needs.
type Store interface {
	Outgoing(ctx context.Context, sourceID, id string) (boathook.OutgoingWebhook, error)
	RecordAttempt(ctx context.Context, d boathook.Delivery, a boathook.Attempt) error
	CancelDelivery(ctx context.Context, d boathook.Delivery) error
	Delivery(ctx context.Context, workspaceID string, id boathook.DeliveryID) (boathook.Delivery, error)
	PutDue(ctx context.Context, d store.Due) error
	ReserveSlot(ctx context.Context, webhookID string, interval time.Duration, now time.Time) (time.Time, error)

	MarkHealth(ctx context.Context, sourceID, id string, h boathook.Health) (boathook.Health, error)
	ClearHealth(ctx context.Context, sourceID, id string) error
	DisableOutgoing(ctx context.Context, sourceID, id string) error
}

// Publisher queues an event's deliveries.
type Publisher interface {
	Publish(ctx context.Context, e boathook.Event) error
}

// Opener decrypts what a webhook keeps sealed.
type Opener interface {
	Open(ctx context.Context, workspaceID, subject string, sealed []byte) ([]byte, error)
}

// Client sends requests past the guard; see package egress.
type Client interface {
	Do(*http.Request) (*http.Response, error)
}

// Deliverer is the room. Make it with [New].
type Deliverer struct {
	config   Config
	webhooks singleflight.Group // the reads that a batch's deliveries share
	breakers breakers
}

// Config is what a [Deliverer] works with. All fields but Metrics are required.
type Config struct {
	Store   Store
	Retries queue.Sender
	Publish Publisher // of the event that a webhook was disabled
	Client  Client
	Seal    Opener
	Now     func() time.Time
	Jitter  func() float64 // uniform in [0, 1)
	Log     *slog.Logger
	Metrics *metrics.Counters
}

// New makes a Deliverer.
func New(c Config) *Deliverer {
	return &Deliverer{config: c}
}

// Handle makes the attempt of one message. Nil acknowledges it: the attempt is
// recorded, or is not to be made.
func (d *Deliverer) Handle(ctx context.Context, body string) error {
	job, err := queue.DecodeDelivery(body)
	if err != nil {
		return err
	}
	if job.Attempt > 1 || job.PutOff() {
		if made, err := d.alreadyMade(ctx, job); made || err != nil {
			return err
		}
	}
	w, err := d.webhook(ctx, job)
	if err != nil {
		return err
	}
	if reason := whyNot(w); reason != "" {
		d.config.Log.InfoContext(ctx, "delivery canceled", "delivery_id", job.ID, "webhook_id", job.WebhookID, "reason", reason)
		canceled := job.Delivery
		canceled.Reason, canceled.Attempts = reason, job.Attempt-1
		d.config.Metrics.Count(metrics.DeliveriesCanceled)
		return d.config.Store.CancelDelivery(ctx, canceled)
	}

	if waits, err := d.putOff(ctx, job, w); waits || err != nil {
		return err
	}

	attempt, retryAfter, err := d.attempt(ctx, job, w)
	if err != nil {
		return err
	}
	delivery := job.Delivery
	delivery.Attempts = job.Attempt
	if attempt.Succeeded() {
		delivery.Status = boathook.DeliverySucceeded
		err = d.recovered(ctx, w)
	} else {
		err = d.failed(ctx, job, w, attempt, retryAfter, &delivery)
	}
	if err != nil {
		return err
	}
	err = d.config.Store.RecordAttempt(ctx, delivery, attempt)
	if err != nil && !boathook.IsKind(err, boathook.Conflict) { // a duplicate message has recorded it
		return err
	}
	d.count(delivery.Status)
	if delivery.Status != boathook.DeliverySucceeded {
		d.config.Log.WarnContext(ctx, "attempt failed", "delivery_id", job.ID, "webhook_id", job.WebhookID, "source_id", job.SourceID,
			"attempt", job.Attempt, "outcome", delivery.Status, "error", attempt.Error, "duration_ms", attempt.Duration.Milliseconds())
	}
	return nil
}

func (d *Deliverer) count(status boathook.DeliveryStatus) {
	if status == boathook.DeliverySucceeded {
		d.config.Metrics.Count(metrics.AttemptsSucceeded)
		return
	}
	d.config.Metrics.Count(metrics.AttemptsFailed)
	if status == boathook.DeliveryFailed {
		d.config.Metrics.Count(metrics.DeliveriesExhausted)
	}
}

// alreadyMade reports whether a later attempt, or one that was put off, is
// recorded, or its delivery is settled, so that it must not be made. Of one that
// is recorded the scheduling is repeated: that may be where the first time broke
// off.
func (d *Deliverer) alreadyMade(ctx context.Context, job queue.Delivery) (bool, error) {
	record, err := d.config.Store.Delivery(ctx, job.WorkspaceID, job.ID)
	switch {
	case boathook.IsKind(err, boathook.NotFound):
		return false, nil // the attempt before was made and not recorded
	case err != nil:
		return false, err
	case record.Attempts < job.Attempt:
		// A record from before a resend says nothing of the series that it
		// began: the one of its first attempt may be late.
		return record.Status != boathook.DeliveryRetrying && record.Attempts >= job.Series, nil
	case record.Attempts == job.Attempt && record.Status == boathook.DeliveryRetrying:
		return true, d.schedule(ctx, job.Next(), record.NextAttemptAt)
	}
	return true, nil
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

func whyNot(w *webhook) string {
	switch {
	case w == nil:
		return "the webhook was deleted"
	case !w.Enabled:
		return "the webhook is disabled"
	}
	return ""
}

// attempt sends the request. What the receiver does wrong is in the attempt;
// an error is ours, and nothing was sent.
func (d *Deliverer) attempt(ctx context.Context, job queue.Delivery, w *webhook) (a boathook.Attempt, retryAfter time.Duration, err error) {
	speech, ok := dialect.Lookup(w.Dialect)
	if !ok {
		return a, 0, fmt.Errorf("delivery %s: unknown dialect %q", job.ID, w.Dialect)
	}
	secrets, err := d.secrets(ctx, w)
	if err != nil {
		return a, 0, err
	}
	custom, err := d.customHeaders(ctx, w)
	if err != nil {
		return a, 0, err
	}

	sentAt := d.config.Now()
	m := dialect.Message{DeliveryID: job.ID, EventType: job.EventType, SentAt: sentAt, Body: job.Body}
	a = boathook.Attempt{Number: job.Attempt, SentAt: sentAt, URL: w.URL}
	if a.Signature, err = speech.Sign(m, secrets...); err != nil {
		return a, 0, err
	}

	ctx, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(job.Body))
	if err != nil {
		a.Error = "the webhook's URL is not valid"
		return a, 0, nil
	}
	req.Header = speech.Header(m, a.Signature)
	for name, value := range custom {
		req.Header.Set(name, value)
	}
	// A thawed Lambda function finds its kept connections dead. This header lets
	// the transport send the request again on a new one; having no value, it is
	// not sent itself (net/http, Transport).
	if req.Header.Get(boathook.IdempotencyKey) == "" {
		req.Header[boathook.IdempotencyKey] = nil
	}

	res, err := d.config.Client.Do(req)
	d.breakers.note(w.ID, err != nil && egress.IsTimeout(err), d.config.Now())
	if err != nil {
		a.Duration = d.config.Now().Sub(sentAt)
		a.Error = egress.Explain(err, a.Duration)
		return a, 0, nil
	}
	defer res.Body.Close()
	a.Response = response(res)
	a.Duration = d.config.Now().Sub(sentAt)
	switch status := res.StatusCode; {
	case status >= 300 && status < 400:
		a.Error = fmt.Sprintf("answered %d: redirects are not followed", status)
	case status < 200 || status >= 300:
		a.Error = fmt.Sprintf("answered %d", status)
		if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
			retryAfter, _ = schedule.ParseRetryAfter(res.Header.Get("Retry-After"), d.config.Now())
		}
	}
	return a, retryAfter, nil
}

// secrets are those that sign now, the current one first; none if the webhook
// has none.
func (d *Deliverer) secrets(ctx context.Context, w *webhook) ([]string, error) {
	if w.Secrets.Current == nil {
		return nil, nil
	}
	sealed := [][]byte{w.Secrets.Current}
	if d.config.Now().Before(w.Secrets.PreviousUntil) {
		sealed = append(sealed, w.Secrets.Previous)
	}
	secrets := make([]string, len(sealed))
	for i, s := range sealed {
		secret, err := d.config.Seal.Open(ctx, w.WorkspaceID, w.ID, s)
		if err != nil {
			return nil, fmt.Errorf("open the secret of webhook %s: %w", w.ID, err)
		}
		secrets[i] = string(secret)
	}
	return secrets, nil
}

func (d *Deliverer) customHeaders(ctx context.Context, w *webhook) (headers map[string]string, err error) {
	if len(w.SealedHeaders) == 0 {
		return nil, nil
	}
	text, err := d.config.Seal.Open(ctx, w.WorkspaceID, w.ID, w.SealedHeaders)
	if err == nil {
		err = json.Unmarshal(text, &headers)
	}
	if err != nil {
		return nil, fmt.Errorf("open the headers of webhook %s: %w", w.ID, err)
	}
	return headers, nil
}

// bodyPatience is how long a receiver's body is read once its status is known:
// the status decides, the body is for the log.
const bodyPatience = 5 * time.Second

// response is what the log keeps of a receiver's answer.
func response(res *http.Response) *boathook.Response {
	slow := time.AfterFunc(bodyPatience, func() { res.Body.Close() })
	defer slow.Stop()
	body, truncated, err := egress.ReadBody(res, boathook.MaxResponseBody)
	headers, cut := loggedHeaders(res.Header)
	return &boathook.Response{
		Status: res.StatusCode, Headers: headers,
		Body: body, Truncated: truncated || cut || err != nil,
	}
}

// maxHeaderBytes is how much the log keeps of a response's headers.
const maxHeaderBytes = 2 << 10

// loggedHeaders leaves out what is of no use to a reader or a secret of the
// receiver's, and cuts what is beyond maxHeaderBytes.
func loggedHeaders(h http.Header) (kept http.Header, cut bool) {
	kept = make(http.Header, len(h))
	size := 0
	for _, name := range slices.Sorted(maps.Keys(h)) {
		switch name {
		case "Date", "Connection", "Content-Length", "Set-Cookie", "Alt-Svc", "Report-To", "Nel":
			continue
		}
		for _, v := range h[name] {
			if size+len(name)+len(v) > maxHeaderBytes {
				cut = true
				continue
			}
			size += len(name) + len(v)
			kept[name] = append(kept[name], v)
		}
	}
	return kept, cut
}

// failed schedules the attempt after a failed one, if the webhook goes on and its
// schedule has one, and sets the delivery's status.
func (d *Deliverer) failed(ctx context.Context, job queue.Delivery, w *webhook, a boathook.Attempt, retryAfter time.Duration, delivery *boathook.Delivery) error {
	disabled, err := d.failing(ctx, w, a)
	if err != nil {
		return err
	}
	if disabled {
		delivery.Status = boathook.DeliveryFailed
		return nil
	}
	wait, ok := schedule.Next(w.Retry, job.Attempt-job.Series+1, retryAfter, d.config.Jitter())
	if !ok {
		delivery.Status = boathook.DeliveryFailed
		return nil
	}
	delivery.Status = boathook.DeliveryRetrying
	delivery.NextAttemptAt = d.config.Now().Add(wait).Truncate(time.Millisecond)
	return d.schedule(ctx, job.Next(), delivery.NextAttemptAt)
}

// schedule has an attempt made at a time: through the queue if it is soon,
// else by a due row, which sweep sends. Messages never wait in flight.
func (d *Deliverer) schedule(ctx context.Context, next queue.Delivery, at time.Time) error {
	wait := max(0, at.Sub(d.config.Now()))
	if wait > queue.MaxDelay {
		return d.config.Store.PutDue(ctx, store.DueAttempt{
			DeliveryID: next.ID, WorkspaceID: next.WorkspaceID, Attempt: next.Attempt, Series: next.Series,
		}.Row(at))
	}
	message, err := queue.EncodeDelivery(next)
	if err != nil {
		return err
	}
	message.Delay = wait
	return d.config.Retries.Send(ctx, message)
}
