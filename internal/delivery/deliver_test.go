package delivery_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/delivery"
	"boathook/internal/delivery/destination"
	"boathook/internal/dialect"
	"boathook/internal/metrics"
	"boathook/internal/queue"
	queuemem "boathook/internal/queue/mem"
	"boathook/internal/signature"
	"boathook/internal/store"
	storemem "boathook/internal/store/mem"
	"boathook/internal/testing/fixture"
)

var errDown = errors.New("down")

// answers is a receiver made of a function.
type answers func(r *http.Request, body []byte) (*http.Response, error)

func (a answers) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return a(r, body)
}

func status(code int, headers ...string) answers {
	return func(*http.Request, []byte) (*http.Response, error) { return response(code, "", headers...), nil }
}

func response(code int, body string, headers ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Add(headers[i], headers[i+1])
	}
	return &http.Response{StatusCode: code, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

// faulty is the embedded store. It counts the calls that some tests are about;
// before each it asks fail, if that is set.
type faulty struct {
	*storemem.Store
	fail func(call string) error

	mu    sync.Mutex
	calls map[string]int
}

func (f *faulty) begin(call string) error {
	f.mu.Lock()
	f.calls[call]++
	f.mu.Unlock()
	if f.fail == nil {
		return nil
	}
	return f.fail(call)
}

func (f *faulty) Outgoing(ctx context.Context, sourceID, id string) (boathook.OutgoingWebhook, error) {
	if err := f.begin("Outgoing"); err != nil {
		return boathook.OutgoingWebhook{}, err
	}
	return f.Store.Outgoing(ctx, sourceID, id)
}

func (f *faulty) RecordAttempt(ctx context.Context, d boathook.Delivery, a boathook.Attempt) error {
	if err := f.begin("RecordAttempt"); err != nil {
		return err
	}
	return f.Store.RecordAttempt(ctx, d, a)
}

func (f *faulty) MarkFailure(ctx context.Context, webhookID string, at time.Time) (boathook.Health, error) {
	if err := f.begin("MarkFailure"); err != nil {
		return boathook.Health{}, err
	}
	return f.Store.MarkFailure(ctx, webhookID, at)
}

func (f *faulty) MarkSlow(ctx context.Context, webhookID string, at time.Time) (bool, error) {
	if err := f.begin("MarkSlow"); err != nil {
		return false, err
	}
	return f.Store.MarkSlow(ctx, webhookID, at)
}

func (f *faulty) MoveProbe(ctx context.Context, webhookID string, from, to boathook.Probe) (bool, error) {
	if err := f.begin("MoveProbe"); err != nil {
		return false, err
	}
	return f.Store.MoveProbe(ctx, webhookID, from, to)
}

func (f *faulty) MarkDisabling(ctx context.Context, webhookID string, d boathook.Disabling) (boathook.Disabling, error) {
	if err := f.begin("MarkDisabling"); err != nil {
		return boathook.Disabling{}, err
	}
	return f.Store.MarkDisabling(ctx, webhookID, d)
}

func (f *faulty) ClearHealth(ctx context.Context, webhookID string, parts boathook.HealthPart) error {
	if err := f.begin("ClearHealth"); err != nil {
		return err
	}
	return f.Store.ClearHealth(ctx, webhookID, parts)
}

func (f *faulty) MoveAlert(ctx context.Context, webhookID string, from, to boathook.Alert) (bool, error) {
	if err := f.begin("MoveAlert"); err != nil {
		return false, err
	}
	return f.Store.MoveAlert(ctx, webhookID, from, to)
}

func (f *faulty) Audience(ctx context.Context, sourceID string) (store.Audience, error) {
	if err := f.begin("Audience"); err != nil {
		return store.Audience{}, err
	}
	return f.Store.Audience(ctx, sourceID)
}

func (f *faulty) PostponeDelivery(ctx context.Context, d boathook.Delivery, at time.Time) error {
	if err := f.begin("PostponeDelivery"); err != nil {
		return err
	}
	return f.Store.PostponeDelivery(ctx, d, at)
}

func (f *faulty) CountAttempts(ctx context.Context, webhookID string, c boathook.AttemptCounts) error {
	if err := f.begin("CountAttempts"); err != nil {
		return err
	}
	return f.Store.CountAttempts(ctx, webhookID, c)
}

func (f *faulty) PutDue(ctx context.Context, d store.Due) error {
	if err := f.begin("PutDue"); err != nil {
		return err
	}
	return f.Store.PutDue(ctx, d)
}

func (f *faulty) TakeLease(ctx context.Context, name string, places int, now, until time.Time) (store.Lease, bool, error) {
	if err := f.begin("TakeLease"); err != nil {
		return store.Lease{}, false, err
	}
	return f.Store.TakeLease(ctx, name, places, now, until)
}

func (f *faulty) ReserveSlot(ctx context.Context, webhookID string, interval time.Duration, now time.Time) (time.Time, error) {
	if err := f.begin("ReserveSlot"); err != nil {
		return time.Time{}, err
	}
	return f.Store.ReserveSlot(ctx, webhookID, interval, now)
}

func (f *faulty) DisableOutgoing(ctx context.Context, sourceID, id string, d boathook.Disabling) error {
	if err := f.begin("DisableOutgoing"); err != nil {
		return err
	}
	return f.Store.DisableOutgoing(ctx, sourceID, id, d)
}

// logged is what processes have logged.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// place is a deliverer with what is around it.
type place struct {
	fixture.Deployment
	*delivery.Deliverer
	store   *faulty
	retries *queuemem.Queue
	first   *queuemem.Queue // what is published
	log     *logged
	counts  *bytes.Buffer
	metrics *metrics.Counters
	alerts  *delivery.Publisher // of alerts: it remembers who wants them

	mu      sync.Mutex // for tests that change or read these while requests are made
	receive answers
	sent    int
}

func (p *place) Do(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.sent++
	receive := p.receive
	p.mu.Unlock()
	return receive.Do(r)
}

// requests is how many were sent, while others may be.
func (p *place) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

func (p *place) Publish(ctx context.Context, e boathook.Event) error {
	if err := p.store.begin("Publish"); err != nil {
		return err
	}
	return p.publisher().Publish(ctx, e)
}

func (p *place) Alert(ctx context.Context, e boathook.Event) error {
	if err := p.store.begin("Alert"); err != nil {
		return err
	}
	return p.alerts.Alert(ctx, e)
}

func (p *place) Make(ctx context.Context, e boathook.Event, w boathook.OutgoingWebhook) (boathook.Delivery, string, error) {
	return p.publisher().Make(ctx, e, w)
}

func (p *place) publisher() *delivery.Publisher {
	return &delivery.Publisher{Store: p.store, Queue: p.first, Log: slog.New(slog.DiscardHandler)}
}

func newPlace(t testing.TB, receive answers) *place {
	t.Helper()
	p := &place{
		store:   &faulty{Store: storemem.New(storemem.Config{Retention: 30 * 24 * time.Hour}), calls: map[string]int{}},
		retries: queuemem.New(queuemem.Config{Visibility: 6 * time.Minute}),
		first:   queuemem.New(queuemem.Config{Visibility: 6 * time.Minute}),
		log:     &logged{},
		counts:  &bytes.Buffer{},
		receive: receive,
	}
	p.metrics = metrics.New("test", p.counts, time.Now)
	p.Deployment = fixture.New(t, p.store, "https://receiver.example/hook")
	p.alerts = p.publisher()
	p.Deliverer = p.process(1)
	return p
}

// process is one more process that makes attempts.
func (p *place) process(leases int) *delivery.Deliverer {
	return delivery.New(delivery.Config{
		Store: p.store, Retries: p.retries, Destination: destination.HTTP{Client: p, Now: time.Now}, Seal: fixture.Unsealed{}, Now: time.Now, Leases: leases,
		Publish: p, Jitter: func() float64 { return 0.5 }, Log: slog.New(slog.NewTextHandler(p.log, nil)), Metrics: p.metrics,
	})
}

const payload = `{"event":"run.succeeded","run_id":"run_a"}`

// job is a first attempt of a new delivery.
func (p *place) job() queue.Delivery {
	e := boathook.Event{ID: boathook.NewID(boathook.EventID), Time: time.Now()}
	return queue.Delivery{
		Delivery: boathook.Delivery{
			ID: boathook.NewDeliveryID(&e, p.Outgoing.ID), WorkspaceID: p.Source.WorkspaceID, SourceID: p.Source.ID, WebhookID: p.Outgoing.ID,
			EventID: e.ID, EventType: boathook.EventRunSucceeded, Environment: boathook.Production, Body: boathook.NewBody([]byte(payload)),
		},
		Attempt: 1, First: 1,
	}
}

func (p *place) handle(t testing.TB, job queue.Delivery) error {
	t.Helper()
	m, err := queue.EncodeDelivery(job)
	must(t, err)
	return p.Handle(t.Context(), m.Body)
}

func (p *place) record(t testing.TB, job queue.Delivery) (boathook.Delivery, []boathook.Attempt) {
	t.Helper()
	d, attempts, err := p.store.Attempts(t.Context(), job.WorkspaceID, job.ID)
	must(t, err)
	return d, attempts
}

// next waits for the retry that is queued, and acknowledges it.
func (p *place) next(t testing.TB, wait time.Duration) queue.Delivery {
	t.Helper()
	messages, err := p.retries.Receive(t.Context(), 1, wait)
	must(t, err)
	if len(messages) == 0 {
		t.Fatalf("no retry came within %s", wait)
	}
	job, err := queue.DecodeDelivery(messages[0].Body)
	must(t, err)
	must(t, p.retries.Delete(t.Context(), messages[0].Receipt))
	return job
}

func (p *place) noRetry(t testing.TB) {
	t.Helper()
	if stats := p.retries.Stats(); stats != (queuemem.Stats{}) {
		t.Errorf("the retries queue holds %+v", stats)
	}
}

func (p *place) scheduled(t testing.TB) (rows []store.Due) {
	t.Helper()
	for shard := range store.DueShards {
		page, err := p.store.Due(t.Context(), shard, store.Due{}, time.Now().Add(100*24*time.Hour), 100)
		must(t, err)
		rows = append(rows, page...)
	}
	return rows
}

func (p *place) change(t testing.TB, change func(*boathook.OutgoingWebhook)) {
	t.Helper()
	w := p.Outgoing
	change(&w)
	must(t, p.store.PutOutgoing(t.Context(), w))
	p.Outgoing.Revision++
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestADeliveryIsSentSignedAndRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got *http.Request
		var gotBody []byte
		p := newPlace(t, func(r *http.Request, body []byte) (*http.Response, error) {
			got, gotBody = r, body
			time.Sleep(200 * time.Millisecond)
			return response(201, "thanks", "Content-Type", "text/plain", "Set-Cookie", "session=secret"), nil
		})
		job := p.job()
		sentAt := time.Now()
		must(t, p.handle(t, job))

		if got.Method != http.MethodPost || got.URL.String() != "https://receiver.example/hook" || string(gotBody) != payload ||
			got.ContentLength != int64(len(payload)) || len(got.TransferEncoding) != 0 {
			t.Errorf("sent %s %s with %d bytes: %s", got.Method, got.URL, got.ContentLength, gotBody)
		}
		if !signature.VerifyTimestamped(got.Header.Get(dialect.CrewshipSignature), fixture.Secret, sentAt, gotBody) {
			t.Errorf("the signature %q does not verify", got.Header.Get(dialect.CrewshipSignature))
		}
		d, attempts := p.record(t, job)
		if d.Status != boathook.DeliverySucceeded || d.Attempts != 1 || d.Body.String() != payload || !d.NextAttemptAt.IsZero() {
			t.Errorf("recorded %+v", d)
		}
		want := []boathook.Attempt{{
			Number: 1, SentAt: sentAt.UTC().Truncate(time.Millisecond), Duration: 200 * time.Millisecond,
			URL:       "https://receiver.example/hook",
			Signature: got.Header.Get(dialect.CrewshipSignature),
			Response:  &boathook.Response{Status: 201, Headers: http.Header{"Content-Type": {"text/plain"}}, Body: []byte("thanks")},
		}}
		if diff := cmp.Diff(want, attempts); diff != "" {
			t.Error(diff)
		}
		p.noRetry(t)
	})
}

func TestCustomHeadersAreSentWithTheDialects(t *testing.T) {
	var got http.Header
	p := newPlace(t, func(r *http.Request, _ []byte) (*http.Response, error) {
		got = r.Header
		return response(204, ""), nil
	})
	p.change(t, func(w *boathook.OutgoingWebhook) { w.SealedHeaders = []byte(`{"Authorization":"Bearer x"}`) })
	must(t, p.handle(t, p.job()))
	if got.Get("Authorization") != "Bearer x" || got.Get(dialect.CrewshipEvent) != "run.succeeded" {
		t.Errorf("sent %v", got)
	}
}

func TestDuringAnOverlapBothSecretsSign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var header string
		p := newPlace(t, func(r *http.Request, _ []byte) (*http.Response, error) {
			header = r.Header.Get(dialect.CrewshipSignature)
			return response(204, ""), nil
		})
		p.change(t, func(w *boathook.OutgoingWebhook) {
			w.Secrets = boathook.SealedSecrets{
				Current: []byte("whsec_new"), Previous: []byte(fixture.Secret), PreviousUntil: time.Now().Add(time.Hour),
			}
		})
		verifies := func(secret string) bool {
			return signature.VerifyTimestamped(header, secret, time.Now(), []byte(payload))
		}
		must(t, p.handle(t, p.job()))
		if first, _, _ := strings.Cut(header, ","); !verifies("whsec_new") || !verifies(fixture.Secret) || header == first {
			t.Errorf("during the overlap the header is %q", header)
		}
		time.Sleep(time.Hour)
		must(t, p.handle(t, p.job()))
		if !verifies("whsec_new") || verifies(fixture.Secret) {
			t.Errorf("after the overlap the header is %q", header)
		}
	})
}

func TestWhatCountsAsAFailure(t *testing.T) {
	for name, tc := range map[string]struct {
		receive answers
		want    string
	}{
		"a server error":  {status(500), "answered 500"},
		"a client error":  {status(404), "answered 404"},
		"a redirect":      {status(302, "Location", "https://elsewhere.example"), "answered 302: redirects are not followed"},
		"not modified":    {status(304), "answered 304: redirects are not followed"},
		"a dead receiver": {func(*http.Request, []byte) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }, "connection closed before the response was complete"},
		"a receiver so slow": {func(r *http.Request, _ []byte) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}, "timed out after 30s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t, tc.receive)
				job := p.job()
				must(t, p.handle(t, job))
				d, attempts := p.record(t, job)
				if d.Status != boathook.DeliveryRetrying || len(attempts) != 1 || attempts[0].Error != tc.want {
					t.Errorf("recorded %s with %+v", d.Status, attempts)
				}
				if log := p.log.String(); !strings.Contains(log, "attempt failed") || strings.Contains(log, "run_a") {
					t.Errorf("logged %s", log)
				}
			})
		})
	}
}

func TestTheLogKeepsLittleOfALargeAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		body      io.Reader
		kept      int
		truncated bool
	}{
		"as much as is kept":     {strings.NewReader(strings.Repeat("x", boathook.MaxResponseBody)), boathook.MaxResponseBody, false},
		"one byte more":          {strings.NewReader(strings.Repeat("x", boathook.MaxResponseBody+1)), boathook.MaxResponseBody, true},
		"without end":            {endless{}, boathook.MaxResponseBody, true},
		"broken off":             {io.MultiReader(strings.NewReader("half"), broken{}), 4, true},
		"bytes that are no text": {strings.NewReader("\x00\xff\xfe"), 3, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, func(*http.Request, []byte) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(tc.body)}, nil
			})
			job := p.job()
			must(t, p.handle(t, job))
			d, attempts := p.record(t, job)
			if r := attempts[0].Response; d.Status != boathook.DeliverySucceeded || len(r.Body) != tc.kept || r.Truncated != tc.truncated {
				t.Errorf("%s: kept %d bytes, truncated %v", d.Status, len(r.Body), r.Truncated)
			}
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestABodyThatNeverEndsDoesNotHoldADelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := io.Pipe() // nothing is ever written
		p := newPlace(t, func(*http.Request, []byte) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: r}, nil
		})
		job := p.job()
		begun := time.Now()
		must(t, p.handle(t, job))
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("took %s", took)
		}
		if d, attempts := p.record(t, job); d.Status != boathook.DeliverySucceeded || !attempts[0].Response.Truncated {
			t.Errorf("recorded %+v, %+v", d, attempts)
		}
	})
}

func TestManyAndLargeHeadersAreCut(t *testing.T) {
	p := newPlace(t, func(*http.Request, []byte) (*http.Response, error) {
		h := http.Header{}
		for range 1000 {
			h.Add("X-Noise", strings.Repeat("n", 100))
		}
		return &http.Response{StatusCode: 200, Header: h, Body: http.NoBody}, nil
	})
	job := p.job()
	must(t, p.handle(t, job))
	_, attempts := p.record(t, job)
	if n := len(attempts[0].Response.Headers["X-Noise"]); n == 0 || n > 20 {
		t.Errorf("%d of 1000 headers are kept", n)
	}
}

func TestRetriesFollowTheScheduleToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(500))
		p.change(t, func(w *boathook.OutgoingWebhook) { w.Retry = []time.Duration{5 * time.Second, 15 * time.Minute} })
		first := p.job()
		must(t, p.handle(t, first))
		d, _ := p.record(t, first)
		if want := time.Now().Add(5 * time.Second).UTC().Truncate(time.Millisecond); !d.NextAttemptAt.Equal(want) {
			t.Errorf("the next attempt is at %s, want %s", d.NextAttemptAt, want)
		}

		begun := time.Now()
		second := p.next(t, time.Minute)
		if waited := time.Since(begun); waited != 5*time.Second || second.Attempt != 2 || second.ID != first.ID || !bytes.Equal(second.Body.Bytes(), first.Body.Bytes()) {
			t.Errorf("after %s came %+v", waited, second)
		}
		must(t, p.handle(t, second))
		begun = time.Now()
		third := p.next(t, time.Hour)
		if waited := time.Since(begun); waited != 15*time.Minute || third.Attempt != 3 {
			t.Errorf("after %s came attempt %d", waited, third.Attempt)
		}
		must(t, p.handle(t, third))

		p.noRetry(t)
		d, attempts := p.record(t, first)
		if d.Status != boathook.DeliveryFailed || d.Attempts != 3 || len(attempts) != 3 || !d.NextAttemptAt.IsZero() {
			t.Errorf("recorded %+v with %d attempts", d, len(attempts))
		}
	})
}

func TestAWaitThatTheQueueCanNotHoldIsADueRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(503, "Retry-After", "7200"))
		job := p.job()
		must(t, p.handle(t, job))
		p.noRetry(t)
		rows := p.scheduled(t)
		if len(rows) != 1 || rows[0].Kind != store.DueDelivery || time.Until(rows[0].At).Round(time.Second) != 2*time.Hour {
			t.Fatalf("rows: %+v", rows)
		}
		due, err := queue.DecodeWaiting(rows[0].Payload)
		must(t, err)
		want := job.Next()
		want.Body = boathook.Body{}
		if diff := cmp.Diff(want, due); diff != "" {
			t.Errorf("the row holds (-want +got):\n%s", diff)
		}
	})
}

func TestRetryAfterIsHonouredWithinReason(t *testing.T) {
	for _, tc := range []struct {
		status int
		header func(now time.Time) string
		want   time.Duration
	}{
		{429, func(time.Time) string { return "60" }, time.Minute},
		{503, func(now time.Time) string { return now.Add(time.Hour).UTC().Format(http.TimeFormat) }, time.Hour},
		{503, func(now time.Time) string { return now.Add(-time.Hour).UTC().Format(http.TimeFormat) }, 5 * time.Second},
		{429, func(time.Time) string { return "-60" }, 5 * time.Second},
		{429, func(time.Time) string { return "soon" }, 5 * time.Second},
		{429, func(time.Time) string { return "1" }, 5 * time.Second},
		{503, func(time.Time) string { return strings.Repeat("9", 400) }, 24 * time.Hour},
		{503, func(time.Time) string { return "Fri, 31 Dec 9999 23:59:59 GMT" }, 24 * time.Hour},
		{500, func(time.Time) string { return "60" }, 5 * time.Second},
		{301, func(time.Time) string { return "60" }, 5 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			header := tc.header(time.Now())
			p := newPlace(t, status(tc.status, "Retry-After", header))
			job := p.job()
			must(t, p.handle(t, job))
			d, _ := p.record(t, job)
			if got := time.Until(d.NextAttemptAt); d.Status != boathook.DeliveryRetrying || got != tc.want {
				t.Errorf("%d with %.50q: %s, next after %s; want %s", tc.status, header, d.Status, got, tc.want)
			}
		})
	}
}

func TestAWebhookWithoutRetriesFailsAtOnce(t *testing.T) {
	p := newPlace(t, status(500))
	p.change(t, func(w *boathook.OutgoingWebhook) { w.Retry = nil })
	job := p.job()
	must(t, p.handle(t, job))
	p.noRetry(t)
	if d, _ := p.record(t, job); d.Status != boathook.DeliveryFailed {
		t.Errorf("recorded %s", d.Status)
	}
}

func TestADeliveryWhoseWebhookIsGoneIsCanceled(t *testing.T) {
	for name, goAway := range map[string]func(*place){
		"deleted": func(p *place) {
			_ = p.store.DeleteOutgoing(context.Background(), p.Source.ID, p.Outgoing.ID)
		},
		"disabled": func(p *place) {
			w := p.Outgoing
			w.Enabled = false
			_ = p.store.PutOutgoing(context.Background(), w)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, status(200))
			goAway(p)
			job := p.job()
			must(t, p.handle(t, job))
			if d, err := p.store.Delivery(t.Context(), job.WorkspaceID, job.ID); err != nil || d.Status != boathook.DeliveryCanceled || p.sent != 0 {
				t.Errorf("recorded %+v, %v; sent %d", d, err, p.sent)
			}
		})
	}
}

// Each attempt has the same body: a resend of a delivery that has lost it is none.
func TestADeliveryThatHasLostItsBodyIsCanceled(t *testing.T) {
	p := newPlace(t, status(200))
	job := p.job()
	job.Body = boathook.Body{}
	must(t, p.handle(t, job))
	if d, _ := p.record(t, job); d.Status != boathook.DeliveryCanceled || d.Reason != "its body is lost" || p.sent != 0 {
		t.Errorf("recorded %+v; sent %d", d, p.sent)
	}
}

func TestADisabledWebhookStopsSendingAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(200))
		must(t, p.handle(t, p.job()))
		p.change(t, func(w *boathook.OutgoingWebhook) { w.Enabled = false })
		sent := p.sent
		must(t, p.handle(t, p.job()))
		if p.sent != sent {
			t.Error("it still sends")
		}
	})
}

func TestAFailureOfOursIsNotAcknowledged(t *testing.T) {
	for _, call := range []string{"Outgoing", "RecordAttempt"} {
		t.Run(call, func(t *testing.T) {
			p := newPlace(t, status(200))
			p.store.fail = func(c string) error {
				if c == call {
					return errDown
				}
				return nil
			}
			job := p.job()
			if err := p.handle(t, job); !errors.Is(err, errDown) {
				t.Fatalf("got %v", err)
			}
			p.store.fail = nil
			must(t, p.handle(t, job)) // the message comes again
			if d, attempts := p.record(t, job); d.Status != boathook.DeliverySucceeded || len(attempts) != 1 {
				t.Errorf("recorded %+v with %d attempts", d, len(attempts))
			}
		})
	}
}

func TestASecondMessageOfARecordedAttemptSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(500))
		must(t, p.handle(t, p.job()))
		second := p.next(t, time.Minute)
		must(t, p.handle(t, second))
		sent := p.sent
		must(t, p.handle(t, second)) // only its scheduling is repeated
		if p.sent != sent {
			t.Errorf("sent %d requests more", p.sent-sent)
		}
		if stats := p.retries.Stats(); stats.Delayed != 2 {
			t.Errorf("the retries queue holds %+v", stats)
		}
	})
}

func TestARetryOfAFinishedDeliverySendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(200))
		job := p.job()
		must(t, p.handle(t, job))
		late := job
		late.Attempt = 2 // of a duplicate whose first attempt failed
		must(t, p.handle(t, late))
		if p.sent != 1 {
			t.Errorf("sent %d requests", p.sent)
		}
	})
}

func TestAResendReopensAFinishedDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(500))
		p.change(t, func(w *boathook.OutgoingWebhook) { w.Retry = []time.Duration{5 * time.Second} })
		job := p.job()
		must(t, p.handle(t, job))
		must(t, p.handle(t, p.next(t, time.Minute)))
		if d, _ := p.record(t, job); d.Status != boathook.DeliveryFailed {
			t.Fatalf("recorded %s", d.Status)
		}
		resend := job
		resend.Attempt, resend.First = 3, 3
		must(t, p.handle(t, resend)) // fails, and starts the schedule again
		fourth := p.next(t, time.Minute)
		if fourth.Attempt != 4 || fourth.First != 3 {
			t.Errorf("the retry is %+v", fourth)
		}
		p.receive = status(204)
		must(t, p.handle(t, fourth))
		if d, attempts := p.record(t, job); d.Status != boathook.DeliverySucceeded || d.Attempts != 4 || len(attempts) != 4 {
			t.Errorf("recorded %+v with %d attempts", d, len(attempts))
		}
	})
}

// The record of the resend itself takes longer than the first wait.
func TestTheRetryOfAResendDoesNotWaitForItsRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(500))
		p.change(t, func(w *boathook.OutgoingWebhook) { w.Retry = nil })
		job := p.job()
		must(t, p.handle(t, job))
		if d, _ := p.record(t, job); d.Status != boathook.DeliveryFailed {
			t.Fatalf("recorded %s", d.Status)
		}
		retry := job
		retry.Attempt, retry.First = 3, 2
		must(t, p.handle(t, retry))
		if p.sent != 2 {
			t.Errorf("sent %d requests", p.sent)
		}
	})
}

// A delivery that is being retried is sent now: the message that it waited with
// finds its attempt made, and the resend has all retries of the schedule.
func TestAResendOfADeliveryThatWaitsTakesItsPlace(t *testing.T) {
	for name, reopened := range map[string]bool{"a resend": false, "a recovery": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t, status(500))
				p.change(t, func(w *boathook.OutgoingWebhook) { w.Retry = []time.Duration{10 * time.Minute, 10 * time.Minute} })
				job := p.job()
				must(t, p.handle(t, job))
				time.Sleep(time.Minute)
				resend := job
				resend.Attempt, resend.First = 2, 2
				if reopened {
					d, _ := p.record(t, job)
					must(t, p.store.ReopenDelivery(t.Context(), d, time.Now()))
				}
				must(t, p.handle(t, resend))
				if handled := p.work(t, time.Hour); handled != 3 {
					t.Errorf("%d messages for the one that waited and two retries", handled)
				}
				if d, attempts := p.record(t, job); d.Status != boathook.DeliveryFailed || d.Attempts != 4 || len(attempts) != 4 || p.sent != 4 {
					t.Errorf("recorded %+v with %d attempts; sent %d", d, len(attempts), p.sent)
				}
			})
		})
	}
}

// The message that waited is faster than the resend: the resend is one more
// attempt, with all retries.
func TestAResendWhoseNumberIsUsedUpHasTheNext(t *testing.T) {
	for name, waits := range map[string][]time.Duration{
		"and the delivery waits":  {5 * time.Second, 10 * time.Minute},
		"and the delivery failed": {5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t, status(500))
				p.change(t, func(w *boathook.OutgoingWebhook) { w.Retry = waits })
				job := p.job()
				must(t, p.handle(t, job))
				resend := job
				resend.Attempt, resend.First = 2, 2
				must(t, p.handle(t, p.next(t, time.Minute))) // the second
				must(t, p.handle(t, resend))
				must(t, p.handle(t, resend)) // a duplicate
				if p.sent != 3 {
					t.Errorf("sent %d", p.sent)
				}
				p.work(t, time.Hour)
				want := 3 + len(waits)
				if d, attempts := p.record(t, job); d.Status != boathook.DeliveryFailed || d.Attempts != want || len(attempts) != want || p.sent != want {
					t.Errorf("recorded %+v with %d attempts, want %d; sent %d", d, len(attempts), want, p.sent)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(500))
		job := p.job()
		must(t, p.handle(t, job))
		resend := job
		resend.Attempt, resend.First = 2, 2
		p.receive = status(204)
		must(t, p.handle(t, p.next(t, time.Minute)))
		must(t, p.handle(t, resend))
		if d, _ := p.record(t, job); d.Status != boathook.DeliverySucceeded || p.sent != 2 {
			t.Errorf("it was taken meanwhile; recorded %+v, sent %d", d, p.sent)
		}
	})
}

func TestWhatBecomesOfAttemptsIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(204))
		p.change(t, func(w *boathook.OutgoingWebhook) { w.Retry = []time.Duration{time.Second} })
		wantCounts := func(want map[string]float64) {
			t.Helper()
			p.metrics.Flush()
			got := map[string]any{}
			if p.counts.Len() > 0 {
				must(t, json.Unmarshal(p.counts.Bytes(), &got))
			}
			p.counts.Reset()
			delete(got, "_aws")
			counts := map[string]float64{}
			for name, n := range got {
				counts[name] = n.(float64)
			}
			if diff := cmp.Diff(want, counts); diff != "" {
				t.Error(diff)
			}
		}
		for range 2 {
			must(t, p.handle(t, p.job()))
		}
		wantCounts(map[string]float64{"AttemptsSucceeded": 2})
		p.receive = hangs
		must(t, p.handle(t, p.job()))
		wantCounts(map[string]float64{"AttemptsFailed": 1})
		must(t, p.handle(t, p.job()))
		wantCounts(map[string]float64{"AttemptsPostponed": 1})
		p.receive = status(410)
		time.Sleep(time.Minute)
		must(t, p.handle(t, p.next(t, 0)))
		wantCounts(map[string]float64{"AttemptsFailed": 1, "DeliveriesExhausted": 1, "WebhooksDisabled": 1})
		time.Sleep(10 * time.Second)
		must(t, p.handle(t, p.job()))
		wantCounts(map[string]float64{"DeliveriesCanceled": 1})
	})
}

func TestAMessageThatIsNoDeliveryIsAnError(t *testing.T) {
	p := newPlace(t, status(200))
	for _, body := range []string{"", "{}", `{"d":"x"}`, `{"d":"01234567-89ab-8def-8123-456789abcdef","a":1}`} {
		if err := p.Handle(t.Context(), body); err == nil {
			t.Errorf("%q was acknowledged", body)
		}
	}
}

// A change of the webhook is for what happens from then on.
func TestADeliveryThatWaitsKeepsTheDialectThatItWasMadeIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []http.Header
		p := newPlace(t, func(r *http.Request, _ []byte) (*http.Response, error) {
			got = append(got, r.Header.Clone())
			return response(500, ""), nil
		})
		p.change(t, func(w *boathook.OutgoingWebhook) { w.Retry = []time.Duration{5 * time.Second, time.Hour} })
		first := p.job()
		first.Dialect = dialect.Crewship
		must(t, p.handle(t, first))
		p.change(t, func(w *boathook.OutgoingWebhook) { w.Dialect, w.Format = dialect.Standard, boathook.Slack })
		second := p.next(t, time.Minute)
		must(t, p.handle(t, second))

		if len(got) != 2 || got[1].Get(dialect.CrewshipEvent) != "run.succeeded" || got[1].Get("webhook-signature") != "" {
			t.Fatalf("sent %v", got)
		}
		d, attempts := p.record(t, first)
		if d.Dialect != dialect.Crewship || len(attempts) != 2 || attempts[1].Signature != got[1].Get(dialect.CrewshipSignature) {
			t.Errorf("recorded %+v, %+v", d, attempts)
		}
		// A resend knows it from the record.
		again := queue.Delivery{Delivery: d, Attempt: 3, First: 3}
		again.Dialect = ""
		must(t, p.handle(t, again))
		if len(got) != 3 || got[2].Get(dialect.CrewshipEvent) == "" {
			t.Errorf("the resend sent %v", got[2:])
		}
	})
}

func TestADeliveryWhoseDialectTheNewSecretCanNotSignFailsAndSaysSo(t *testing.T) {
	p := newPlace(t, status(204))
	p.change(t, func(w *boathook.OutgoingWebhook) {
		w.Dialect, w.Retry, w.Secrets.Current = dialect.Crewship, nil, []byte("no key of Standard Webhooks")
	})
	job := p.job()
	job.Dialect = dialect.Standard
	must(t, p.handle(t, job))
	d, attempts := p.record(t, job)
	if d.Status != boathook.DeliveryFailed || len(attempts) != 1 || !strings.Contains(attempts[0].Error, "dialect standard") {
		t.Errorf("recorded %+v, %+v", d, attempts)
	}
}
