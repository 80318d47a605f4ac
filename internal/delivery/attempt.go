package delivery

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/textproto"

	"boathook/internal/boathook"
	"boathook/internal/delivery/destination"
	"boathook/internal/dialect"
	"boathook/internal/queue"
	"boathook/internal/seal"
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
	m, err := d.message(ctx, job, w, &s.Attempt)
	if err != nil || m == nil {
		return s, err
	}
	answered := make(chan sent, 1)
	go func() { answered <- d.exchange(ctx, w, *m, s) }()
	return d.await(ctx, job, w, answered, cut), nil
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
	trace := job.Trace
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
