package target

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/egress"
)

// HTTP posts a job to its target's URL. The log and the output are in the
// response, as [ReadAnswer] finds them. A status other than 2xx fails the run.
type HTTP struct {
	Client    Doer
	UserAgent string
}

// Doer sends a request without following redirects: an [egress.Client] without
// reuse of connections, since one that died unused would fail a run that can't
// be sent again.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Run implements [Target].
func (t HTTP) Run(ctx context.Context, job Job, log Log) Result {
	payload, err := job.Payload()
	if err != nil {
		return Failed("%s", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, job.Target.URL, bytes.NewReader(payload))
	if err != nil {
		return Failed("the target's URL is not valid")
	}
	// A body that can't be read again can't be sent twice: otherwise the
	// transport replays a request whose connection turns out to be dead.
	req.GetBody = nil
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", t.UserAgent)
	trace := job.Trace
	for name, value := range job.Target.Headers {
		req.Header.Set(name, value)
		if boathook.IsTraceHeader(name) {
			trace = boathook.TraceContext{} // the target's own wins
		}
	}
	for name, value := range trace.Headers() {
		req.Header[name] = []string{value} // in lower case, as Trace Context asks
	}

	start := time.Now()
	resp, err := t.Client.Do(req)
	if err != nil {
		return Broken(ctx, "target: %s", egress.Explain(err, time.Since(start)))
	}
	defer resp.Body.Close()
	result, err := ReadAnswer(ctx, resp.Body, resp.Header.Get("Content-Type"), log)
	switch {
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return Failed("target answered %d", resp.StatusCode)
	case err != nil:
		return Broken(ctx, "target: %s", egress.Explain(err, time.Since(start)))
	}
	return result
}
