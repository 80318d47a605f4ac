package delivery

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
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
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	ctx, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	s.Attempt = boathook.Attempt{
		Number: job.Attempt, SentAt: d.config.Now(), URL: w.URL, Destination: w.Destination, CutAt: job.CutAt,
	}
	ctx, span := d.request(ctx, w)
	defer func() { span.End() }()
	m, err := d.message(ctx, job, w, &s.Attempt)
	if err != nil || m == nil {
		return s, err
	}
	answered := make(chan sent, 1)
	go func() { answered <- d.exchange(ctx, w, *m, s) }()
	s = d.await(ctx, job, w, answered, cut)
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

// message makes an attempt's message and signs it, in the dialect that its body is
// of; nil for a webhook whose secret can't sign so, which the attempt then says.
func (d *Deliverer) message(ctx context.Context, job queue.Delivery, w *webhook, a *boathook.Attempt) (*destination.Message, error) {
	// Of one from before deliveries had a dialect, it is the webhook's.
	name := cmp.Or(job.Dialect, w.Dialect)
	speaks, ok := dialect.Lookup(name)
	if !ok {
		return nil, fmt.Errorf("delivery %s: unknown dialect %q", job.ID, name)
	}
	secrets, err := d.secrets(ctx, w)
	if err != nil {
		return nil, err
	}
	custom, err := d.customHeaders(ctx, w)
	if err != nil {
		return nil, err
	}
	m := dialect.Message{DeliveryID: job.ID, EventType: job.EventType, SentAt: a.SentAt, Body: job.Body.Bytes()}
	if a.Signature, err = speaks.Sign(m, secrets...); err != nil {
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
	s.cut = s.Response == nil && errors.Is(context.Cause(ctx), errMakeRoom)
	return s
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
		secret, err := d.config.Seal.Open(ctx, w.WorkspaceID, seal.OutgoingSecret(w.ID), s)
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
	text, err := d.config.Seal.Open(ctx, w.WorkspaceID, seal.OutgoingHeaders(w.ID), w.SealedHeaders)
	if err == nil {
		err = json.Unmarshal(text, &headers)
	}
	if err != nil {
		return nil, fmt.Errorf("open the headers of webhook %s: %w", w.ID, err)
	}
	return headers, nil
}
