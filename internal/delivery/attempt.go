package delivery

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/dialect"
	"boathook/internal/egress"
	"boathook/internal/queue"
	"boathook/internal/seal"
)

// sent is an attempt that was made.
type sent struct {
	boathook.Attempt
	retryAfter time.Duration // that the receiver asks for
	timedOut   bool          // no answer came in time
	cut        bool          // it was given up before: it is to be made again
}

// attempt sends the request. What the receiver does wrong is in what is sent; an
// error is ours, and nothing was sent.
func (d *Deliverer) attempt(ctx context.Context, job queue.Delivery, w *webhook) (s sent, err error) {
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	ctx, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	s.Attempt = boathook.Attempt{Number: job.Attempt, SentAt: d.config.Now(), URL: w.URL, CutAt: job.CutAt}
	req, err := d.request(ctx, job, w, &s.Attempt)
	if err != nil || req == nil {
		return s, err
	}
	answered := make(chan sent, 1)
	go func() { answered <- d.exchange(req, s) }()
	return d.await(ctx, job, w, answered, cut), nil
}

// request makes an attempt's request and signs it, in the dialect that its body is
// of; nil for a webhook whose URL is none, or whose secret can't sign so, which the
// attempt then says.
func (d *Deliverer) request(ctx context.Context, job queue.Delivery, w *webhook, a *boathook.Attempt) (*http.Request, error) {
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
	m := dialect.Message{DeliveryID: job.ID, EventType: job.EventType, SentAt: a.SentAt, Body: job.Body}
	if a.Signature, err = speaks.Sign(m, secrets...); err != nil {
		if name == w.Dialect {
			return nil, err
		}
		a.Error = "the webhook's secret can't sign in the dialect " + name + ", which the delivery was made in"
		return nil, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(job.Body))
	if err != nil {
		a.Error = "the webhook's URL is not valid"
		return nil, nil //nolint:nilerr // it is the attempt's failure, not ours
	}
	req.Header = speaks.Header(m, a.Signature)
	for name, value := range custom {
		req.Header.Set(name, value)
	}
	// A thawed Lambda function finds its kept connections dead. This header lets
	// the transport send the request again on a new one; having no value, it is
	// not sent itself (net/http, Transport).
	if req.Header.Get(boathook.IdempotencyKey) == "" {
		req.Header[boathook.IdempotencyKey] = nil
	}
	return req, nil
}

// exchange sends an attempt's request and reads the answer.
func (d *Deliverer) exchange(req *http.Request, s sent) sent {
	begun := time.Now()
	res, err := d.config.Client.Do(req)
	if err != nil {
		s.Duration = time.Since(begun)
		s.cut = errors.Is(context.Cause(req.Context()), errMakeRoom)
		s.timedOut = egress.IsTimeout(err)
		s.Error = egress.Explain(err, s.Duration)
		return s
	}
	defer res.Body.Close()
	s.Response = response(res)
	s.Duration = time.Since(begun)
	switch status := res.StatusCode; {
	case status >= 300 && status < 400:
		s.Error = fmt.Sprintf("answered %d: redirects are not followed", status)
	case status < 200 || status >= 300:
		s.Error = fmt.Sprintf("answered %d", status)
		if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
			s.retryAfter, _ = ParseRetryAfter(res.Header.Get("Retry-After"), d.config.Now())
		}
	}
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
