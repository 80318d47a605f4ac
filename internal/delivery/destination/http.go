package destination

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/egress"
)

// HTTP posts messages to webhooks' URLs. Any 2xx is a success. 410 says that the
// receiver is gone.
type HTTP struct {
	Client Client
	Now    func() time.Time // what a date in Retry-After counts from
}

// Client sends requests past the guard, without following redirects; see package
// egress.
type Client interface {
	Do(*http.Request) (*http.Response, error)
}

// Send implements [Destination].
func (d HTTP) Send(ctx context.Context, w boathook.OutgoingWebhook, m Message) (r Result) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(m.Body))
	if err != nil {
		return Failed("the webhook's URL is not valid")
	}
	req.Header = maps.Clone(http.Header(m.Headers))
	for name, value := range m.Trace.Headers() {
		req.Header[name] = []string{value} // in lower case, as Trace Context asks
	}
	// A thawed Lambda function finds its kept connections dead. This header lets
	// the client send the request again on a new one. It has no value, so it is not
	// sent itself.
	if req.Header.Get(boathook.IdempotencyKey) == "" {
		req.Header[boathook.IdempotencyKey] = nil
	}
	begun := time.Now()
	res, err := d.Client.Do(req)
	if err != nil {
		r.Duration = time.Since(begun)
		r.TimedOut = egress.IsTimeout(err)
		r.Error = egress.Explain(err, r.Duration)
		return r
	}
	defer res.Body.Close()
	r.Response = response(res)
	r.Duration = time.Since(begun)
	switch status := res.StatusCode; {
	case status >= 300 && status < 400:
		r.Error = fmt.Sprintf("answered %d: redirects are not followed", status)
	case status < 200 || status >= 300:
		r.Error = fmt.Sprintf("answered %d", status)
	}
	switch res.StatusCode {
	case http.StatusGone:
		r.Gone = "the receiver answered 410 Gone"
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		r.RetryAfter, _ = boathook.ParseRetryAfter(res.Header.Get("Retry-After"), d.Now())
	}
	return r
}

// response is what the log keeps of a receiver's answer. Once its status is known, the
// body is read for as long as [Patience]: the status decides, the body is for the log.
func response(res *http.Response) *boathook.Response {
	r := &boathook.Response{Status: res.StatusCode}
	r.Headers, r.Truncated = loggedHeaders(res.Header)
	if res.Body == http.NoBody {
		return r
	}
	slow := time.AfterFunc(Patience, func() { res.Body.Close() })
	defer slow.Stop()
	body, truncated, err := egress.ReadBody(res, boathook.MaxResponseBody)
	r.Body, r.Truncated = body, r.Truncated || truncated || err != nil
	return r
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
