package probe

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"

	"boathook/internal/egress"
)

// request is a delivery as it is sent.
type request struct {
	header http.Header // its keys are written as they stand here
	body   []byte
	slowly bool
}

// answer is what came of a request.
type answer struct {
	status  int // 0: there was none
	header  http.Header
	said    string
	trouble string // why there was none
	elapsed time.Duration
}

// The answer's body is read until its end, since a connection that is closed too early can
// look like a fault of the receiver, but no more than this is kept or waited for.
const (
	maxAnswer = 64 << 10
	maxSaid   = 120
)

// smallBuffer makes the transport send each piece of a body when it has it.
const smallBuffer = 64

// client makes requests as a sender does: by HTTP/1.1, without a proxy, each over its own
// connection, so that one delivery's trouble is not the next one's.
func client(writeBuffer int) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true, DisableCompression: true, Protocols: protocols, WriteBufferSize: writeBuffer,
			MaxResponseHeaderBytes: 64 << 10, // as package egress has it, whose words tell of it
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// send makes one request. It fails only if the context ends.
func (p *prober) send(ctx context.Context, r request) (a answer, err error) {
	timed, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	var body io.Reader = bytes.NewReader(r.body)
	c := p.plain
	if r.slowly {
		body = &pieces{left: r.body, size: len(r.body)/5 + 1, pause: func() { p.Pause(timed, 250*time.Millisecond) }}
		c = p.slow
	}
	req, err := http.NewRequestWithContext(timed, http.MethodPost, p.URL, body)
	if err != nil {
		return a, err
	}
	req.ContentLength = int64(len(r.body))
	req.Header = r.header
	maps.Copy(req.Header, p.Header)

	began := p.Now()
	res, err := c.Do(req)
	if err == nil {
		defer res.Body.Close()
		var text []byte
		text, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		a.status, a.header, a.said = res.StatusCode, res.Header, clip(string(text))
	}
	a.elapsed = p.Now().Sub(began)
	if err != nil {
		a.status, a.trouble = 0, egress.Explain(err, a.elapsed)
	}
	return a, ctx.Err()
}

func clip(text string) string {
	text = strings.TrimSpace(strings.ToValidUTF8(text, "\ufffd"))
	if len(text) > maxSaid {
		text = strings.ToValidUTF8(text[:maxSaid], "") + "…"
	}
	return text
}

// String is the answer as it is shown.
func (a answer) String() string {
	if a.trouble != "" {
		return a.trouble
	}
	return fmt.Sprintf("%d in %s", a.status, short(a.elapsed))
}

func short(d time.Duration) string {
	if d < time.Millisecond {
		return "<1ms"
	}
	return d.Round(time.Millisecond).String()
}

// in reports whether the status is of a hundred, such as 2 for 2xx.
func (a answer) in(hundred int) bool { return a.status/100 == hundred }

// pieces is a body that comes piece by piece.
type pieces struct {
	left  []byte
	size  int
	pause func()
}

func (r *pieces) Read(into []byte) (n int, err error) {
	if len(r.left) == 0 {
		return 0, io.EOF
	}
	r.pause()
	n = copy(into, r.left[:min(r.size, len(r.left))])
	r.left = r.left[n:]
	return n, nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
