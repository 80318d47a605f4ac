package target

import (
	"bytes"
	"context"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"boathook/internal/egress"
)

// HTTP posts a job to its target's URL. The lines of the response are the
// run's log as they come. The output is the response if that is one JSON
// value, else its last line if that is a JSON object. A status other than 2xx
// fails the run.
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
	for name, value := range job.Target.Headers {
		req.Header.Set(name, value)
	}

	start := time.Now()
	resp, err := t.Client.Do(req)
	if err != nil {
		return broken(ctx, err, start)
	}
	defer resp.Body.Close()
	var body, last excerpt
	lines := NewLines(log, Stdout)
	lines.ended = func(line excerpt) {
		if len(bytes.TrimSpace(line.kept)) > 0 {
			last = excerpt{append(last.kept[:0], line.kept...), line.size}
		}
	}
	_, err = io.Copy(io.MultiWriter(lines, &body), resp.Body)
	lines.Flush()
	switch {
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return Failed("target answered %d", resp.StatusCode)
	case err != nil:
		return broken(ctx, err, start)
	}
	return outputOf(body, last, isJSON(resp.Header))
}

// broken is the result of an exchange that err ended.
func broken(ctx context.Context, err error, start time.Time) Result {
	if stopped := Stopped(ctx); stopped != "" {
		return Result{Err: stopped}
	}
	return Failed("target: %s", egress.Explain(err, time.Since(start)))
}

// outputOf finds the output in a response of which last is the last line.
// declared tells that the response calls itself JSON: then it fails the run if
// it is too long to be looked at as a whole.
func outputOf(body, last excerpt, declared bool) Result {
	if whole := body.json(); whole != nil {
		return Result{Output: whole}
	}
	if last.opens("{") {
		if !last.whole() {
			return Result{Err: OutputTooLong}
		}
		if object := last.json(); object != nil {
			return Result{Output: object}
		}
	}
	if declared && !body.whole() {
		return Result{Err: OutputTooLong}
	}
	return Result{}
}

func isJSON(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}
