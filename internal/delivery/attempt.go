package delivery

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/textproto"

	"boathook/internal/boathook"
	"boathook/internal/delivery/destination"
	"boathook/internal/dialect"
	"boathook/internal/queue"
	"boathook/internal/seal"
	"boathook/internal/tracing"
)

// sent is an attempt that was made.
type sent struct {
	boathook.Attempt
	result destination.Result // what came of it, of which the Attempt has a part
	cut    bool               // it was given up before: it is to be made again
}

// attempt sends the message. What the receiver does wrong is in what is sent; an
// error is ours, and nothing was sent.
func (d *Deliverer) attempt(ctx context.Context, job queue.Delivery, w *webhook) (s sent, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	s.Attempt = boathook.Attempt{
		Number: job.Attempt, SentAt: d.config.Now(), URL: w.URL, Destination: w.Destination, CutAt: job.CutAt,
	}
	if job, err = d.remake(ctx, job, w); err != nil {
		return s, err
	}
	if job.Fault != "" { // which another attempt would find as well
		s.Error, s.result.Unfit = job.Fault, true
		return s, nil
	}
	ctx, span := d.request(ctx, w)
	defer func() { span.End() }()
	m, err := d.message(ctx, job, w, &s.Attempt)
	if err != nil || m == nil {
		return s, err
	}
	s = d.await(ctx, isFirst(job), w, func() sent { return d.exchange(ctx, w, *m, s) }, cancel)
	status := 0
	if s.Response != nil {
		status = s.Response.Status
	}
	span.Answered(status, s.result.TimedOut)
	return s, nil
}

// process begins the step that makes an attempt, which follows from the delivery's place
// in a trace.
func (d *Deliverer) process(ctx context.Context, job queue.Delivery) (context.Context, *tracing.Span) {
	if d.config.Tracer == nil { // as mostly: nobody reads what would be told
		return tracing.With(ctx, job.Trace), nil
	}
	name := queue.Retries
	if isFirst(job) {
		name = queue.Deliveries
	}
	return d.config.Tracer.Process(tracing.With(ctx, job.Trace), name,
		slog.String("boathook.delivery.id", job.ID.String()), slog.String("boathook.webhook.id", job.WebhookID),
		slog.String("boathook.source.id", job.SourceID), slog.String("boathook.event.id", job.EventID),
		slog.String("boathook.event.type", string(job.EventType)), slog.Int("boathook.delivery.attempt", job.Attempt))
}

// request begins the step that sends an attempt.
func (d *Deliverer) request(ctx context.Context, w *webhook) (context.Context, *tracing.Span) {
	if w.Destination.IsZero() {
		return d.config.Tracer.Request(ctx, http.MethodPost, w.URL)
	}
	return d.config.Tracer.Start(ctx, tracing.Client, "send to "+string(w.Destination.Type), slog.String("boathook.destination.type", string(w.Destination.Type)))
}

// remake makes the body of a resend whose event had none, since an expression failed: by
// the expressions that the webhook has now. If these have not changed, neither has what
// they make, so the attempts of a resend send the same.
func (d *Deliverer) remake(ctx context.Context, job queue.Delivery, w *webhook) (queue.Delivery, error) {
	if job.Fault == "" || job.First == 1 {
		return job, nil
	}
	speaks := w.OutgoingWebhook
	speaks.Dialect = cmp.Or(job.Dialect, w.Dialect)
	made, reason, err := d.config.Publish.Make(ctx, boathook.Event{
		ID: job.EventID, WorkspaceID: job.WorkspaceID, SourceID: job.SourceID, Environment: job.Environment, Type: job.EventType,
		Time: job.ID.Time(), Data: job.Body.Bytes(),
	}, speaks)
	job.Body, job.ContentType, job.Fault = made.Body, made.ContentType, reason
	return job, err
}

// message makes an attempt's message and signs it, in the dialect that its body is
// of; nil for a webhook whose secret can't sign so, which the attempt then says.
func (d *Deliverer) message(ctx context.Context, job queue.Delivery, w *webhook, a *boathook.Attempt) (*destination.Message, error) {
	// Of one from before deliveries had a dialect, it is the webhook's.
	name := cmp.Or(job.Dialect, w.Dialect)
	speaks, ok := dialect.Lookup(name)
	if !ok {
		return nil, fmt.Errorf("delivery %s: unknown dialect %q", job.ID, name)
	}
	keys, err := secrets(ctx, d.config.Seal, &w.OutgoingWebhook, d.config.Now())
	if err != nil {
		return nil, err
	}
	custom, err := d.customHeaders(ctx, w)
	if err != nil {
		return nil, err
	}
	m := messageOf(job.Delivery, a.SentAt)
	if a.Signature, err = speaks.Sign(m, keys...); err != nil {
		if name == w.Dialect {
			return nil, err
		}
		a.Error = "the webhook's secret can't sign in the dialect " + name + ", which the delivery was made in"
		return nil, nil
	}
	header := textproto.MIMEHeader(speaks.Header(m, a.Signature))
	trace := tracing.From(ctx)
	if trace != job.Trace {
		a.TraceParent = trace.Parent
	}
	for name, value := range custom {
		header.Set(name, value)
		if boathook.IsTraceHeader(name) {
			trace = boathook.TraceContext{} // the webhook's own wins, and the two belong together
		}
	}
	return &destination.Message{
		DeliveryID: job.ID, SourceID: job.SourceID, Event: job.EventType, Attempt: job.Attempt,
		Headers: header, Trace: trace, Body: job.Body.Bytes(), First: job.First,
	}, nil
}

// exchange makes an attempt and waits for what comes of it.
func (d *Deliverer) exchange(ctx context.Context, w *webhook, m destination.Message, s sent) sent {
	s.result = d.config.Destination.Send(ctx, w.OutgoingWebhook, m)
	s.Response, s.Duration, s.Error = s.result.Response, s.result.Duration, s.result.Error
	return s
}

func (d *Deliverer) customHeaders(ctx context.Context, w *webhook) (headers map[string]string, err error) {
	if len(w.SealedHeaders) == 0 {
		return nil, nil
	}
	text, err := d.config.Seal.Open(ctx, w.WorkspaceID, seal.OutgoingHeaders(w.ID), w.SealedHeaders)
	if err == nil {
		err = json.Unmarshal(text, &headers)
	}
	if err != nil {
		return nil, fmt.Errorf("open the headers of webhook %s: %w", w.ID, err)
	}
	return headers, nil
}
