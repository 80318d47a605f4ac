package simulation

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"boathook/internal/run/target"
)

// mood is how an endpoint answers.
type mood string

const (
	healthy     mood = "healthy"
	flaky       mood = "flaky"       // one of the others, at random
	failing     mood = "failing"     // 500
	slow        mood = "slow"        // after seconds, perhaps too many
	hanging     mood = "hanging"     // never
	dripping    mood = "dripping"    // 200, and a body without end
	resetting   mood = "resetting"   // takes the request and closes the connection
	unreachable mood = "unreachable" // takes no connection
	throttling  mood = "throttling"  // 429 or 503 with Retry-After
	redirecting mood = "redirecting" // 302
	gone        mood = "gone"        // 410
	picky       mood = "picky"       // 500 to one delivery in three, always the same; in long worlds
)

var badMoods = []mood{flaky, failing, slow, hanging, dripping, resetting, unreachable, throttling, redirecting}

// endpoint is where a webhook points.
type endpoint struct {
	mood mood // guarded by the world's lock
	dead bool // stays in its mood when the trouble is over
}

// asReceived is a request as a server has it: there, the names of headers are canonical.
func asReceived(req *http.Request) *http.Request {
	received := req.Clone(req.Context())
	clear(received.Header)
	for name, values := range req.Header {
		received.Header[http.CanonicalHeaderKey(name)] = values
	}
	return received
}

// client is the HTTP client of a deliver process.
type client struct{ p *process }

// Do makes a request to the endpoint that its host names. What becomes of it is drawn
// in this order, which a seed's replay depends on; so it is one function.
func (c client) Do(req *http.Request) (*http.Response, error) {
	ctx, w, p, signed := req.Context(), c.p.world, c.p, time.Now()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req = asReceived(req)
	job, err := handled(ctx)
	must(err)
	id := job.ID.String()
	name := "POST to " + req.URL.Host
	f := w.fate(name, id)
	f.fault = f.fault.late()
	if err := p.pass(ctx, f.before); err != nil {
		p.note(name, id, "no connection: "+err.Error())
		w.ledger.arrived(ctx, w, req, body, signed, unreachable)
		return nil, &url.Error{Op: "Post", URL: req.URL.String(), Err: err}
	}
	r := w.chance("answer of "+req.URL.Host, id)
	m := w.moodOf(req.URL.Host)
	if m == flaky {
		m = pick(r, []mood{healthy, healthy, failing, slow, resetting, unreachable, throttling})
	}
	if m == picky {
		m = healthy
		if job.ID[15]%3 == 0 {
			m = failing
		}
		w.count("request to a picky endpoint")
	}
	status := w.ledger.arrived(ctx, w, req, body, signed, m)
	p.note(name, id, fmt.Sprintf("%s endpoint, answers %d%s", m, status, f.fault.afterwards()))

	wait := f.after
	switch {
	case m == slow:
		wait = between(r, time.Second, 45*time.Second)
	case m == hanging:
		wait = time.Hour
	case f.fault == crashAfter:
		p.crash()
	case f.fault == freezeAfter:
		p.freeze(f.freeze)
	}
	err = p.pass(ctx, wait)
	switch {
	case err != nil:
	case m == unreachable:
		err = syscall.ECONNREFUSED
	case m == resetting || f.fault == lost:
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, &url.Error{Op: "Post", URL: req.URL.String(), Err: err}
	}
	res := &http.Response{StatusCode: status, Header: make(http.Header), Body: io.NopCloser(strings.NewReader("noted"))}
	switch m {
	case throttling:
		res.Header.Set("Retry-After", pick(r, []string{"1", "90", "1200", "-5", "soon"}))
	case redirecting:
		res.Header.Set("Location", "https://elsewhere.example")
	case dripping:
		res.Body = newDrip(ctx)
	}
	return res, nil
}

// answers is the status that a mood answers with.
func (m mood) answers() int {
	switch m {
	case healthy, slow, dripping:
		return http.StatusOK
	case failing:
		return http.StatusInternalServerError
	case throttling:
		return http.StatusTooManyRequests
	case redirecting:
		return http.StatusFound
	case gone:
		return http.StatusGone
	}
	return 0
}

// drip is a body that gives a byte each second until it is closed.
type drip struct {
	ctx   context.Context
	close context.CancelFunc
}

func newDrip(ctx context.Context) drip {
	ctx, cancel := context.WithCancel(ctx)
	return drip{ctx, cancel}
}

func (d drip) Read(b []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		b[0] = '.'
		return 1, nil
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

func (d drip) Close() error {
	d.close()
	return nil
}

// agent is the target that executes the runs.
type agent struct{ p *process }

// Run counts, takes its time, prints, and succeeds or fails. Some runs outlive
// their time limit; in some the process crashes or is frozen.
func (a agent) Run(ctx context.Context, job target.Job, log target.Log) target.Result {
	w, p := a.p.world, a.p
	f := w.fate("Execute", job.RunID)
	f.fault = f.fault.late()
	if err := p.pass(ctx, f.before); err != nil {
		p.note("Execute", job.RunID, "not started: "+err.Error())
		return target.Failed("not started")
	}
	w.ledger.executed(begun(ctx), w, job)
	r := w.chance("execution", job.RunID)
	p.note("Execute", job.RunID, "started"+f.fault.afterwards())
	lines := r.IntN(4)
	length := either(r, between(r, time.Millisecond, 3*time.Second), between(r, time.Second, 4*time.Minute))
	if r.IntN(30) == 0 {
		length = 20 * time.Minute // beyond every limit
	}
	for i := range lines + 1 {
		if i > 0 {
			log.Line(target.Stdout, "line "+strconv.Itoa(i))
		}
		if i == lines/2 {
			switch f.fault {
			case crashAfter:
				p.crash()
			case freezeAfter:
				p.freeze(f.freeze)
			}
		}
		if err := p.pass(ctx, length/time.Duration(lines+1)); err != nil {
			return target.Failed("stopped: %s", err)
		}
	}
	if f.fault == lost || r.IntN(6) == 0 {
		return target.Failed("the agent gave up")
	}
	return target.Result{Output: []byte(`{"done":true}`)}
}

// moodOf is the mood of an endpoint now.
func (w *world) moodOf(host string) mood {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.endpoints[host].mood
}

// setMood changes the mood of an endpoint that is not dead.
func (w *world) setMood(host string, m mood) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.endpoints[host]; !e.dead {
		e.mood = m
	}
}
