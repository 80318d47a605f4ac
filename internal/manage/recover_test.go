package manage_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/manage"
	"boathook/internal/queue"
	"boathook/internal/store"
)

// fail stores a delivery that failed at its second attempt.
func (a *api) fail(deployment, webhook string) boathook.DeliveryID {
	a.t.Helper()
	d := a.delivery(deployment, webhook)
	for n := range 2 {
		d.Status, d.Attempts = boathook.DeliveryFailed, n+1
		if err := a.store.RecordAttempt(a.t.Context(), d, failedAttempt(n+1)); err != nil {
			a.t.Fatal(err)
		}
	}
	return d.ID
}

// resent are the deliveries in the retries queue, sorted. Each must be the third
// attempt, with its body.
func (a *api) resent() (ids []string) {
	a.t.Helper()
	for _, m := range a.retries.messages {
		d, err := queue.DecodeDelivery(m.Body)
		if err != nil || d.Attempt != 3 || d.Series != 3 || len(d.Body) == 0 {
			a.t.Errorf("queued %+v, %v", d, err)
		}
		ids = append(ids, d.ID.String())
	}
	slices.Sort(ids)
	return ids
}

func TestRecoverResendsEachFailedDeliveryOnce(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	source, webhook := idOf(deployment), a.outgoing(deployment).text("id")
	other := a.outgoing(deployment).text("id")
	path := deployment + "/outgoing-webhooks/" + webhook + "/recover"

	a.fail(source, webhook) // before the time
	a.clock.pass(time.Hour)
	since := a.clock.Now().Format(time.RFC3339)
	var want []string
	for range 130 { // several pages
		want = append(want, a.fail(source, webhook).String())
		a.clock.pass(time.Second)
	}
	slices.Sort(want)
	a.fail(source, other)
	a.record(source, webhook, failedAttempt(1)) // is being retried
	until := a.clock.Now()
	a.clock.pass(time.Hour)
	a.fail(source, webhook) // after the time

	body := `{"since":"` + since + `","until":"` + until.Format(time.RFC3339) + `"}`
	got := a.ask(202, "POST", path, body)
	if got["queued"] != 130.0 || got["next_cursor"] != nil || got["until"] != until.Format(boathook.TimeLayout) {
		t.Errorf("answered %v", got)
	}
	if got := a.resent(); !slices.Equal(got, want) {
		t.Errorf("queued %d deliveries, want %d", len(got), len(want))
	}
	if got := a.ask(202, "POST", path, body)["queued"]; got != 0.0 {
		t.Errorf("a repeat queued %v", got)
	}
	if got := a.ask(200, "GET", "/v1/deliveries/"+want[0], ""); got["status"] != "retrying" || got["next_attempt_at"] != a.clock.Now().Format(boathook.TimeLayout) {
		t.Errorf("a recovered delivery is %v", got)
	}
	if got := a.ask(202, "POST", path, `{"since":"0001-01-01T00:00:00Z"}`)["queued"]; got != 2.0 {
		t.Errorf("of the other two, %v were queued", got)
	}
}

// brittle is a store that breaks off, and takes its time.
type brittle struct {
	manage.Store
	clock *clock
	left  atomic.Int64 // calls of ReopenDelivery that succeed
}

var errBroken = errors.New("the store is down")

func (b *brittle) Deliveries(ctx context.Context, q store.DeliveryQuery) ([]boathook.Delivery, string, error) {
	b.clock.pass(10 * time.Second)
	return b.Store.Deliveries(ctx, q)
}

func (b *brittle) ReopenDelivery(ctx context.Context, d boathook.Delivery, at time.Time) error {
	if b.left.Add(-1) < 0 {
		return errBroken
	}
	return b.Store.ReopenDelivery(ctx, d, at)
}

func TestARecoveryThatTakesLongIsCarriedOn(t *testing.T) {
	a := newAPI(t, func(c *manage.Config) {
		b := &brittle{Store: c.Store}
		b.left.Store(1 << 20)
		c.Store = b
	})
	a.config.Store.(*brittle).clock = a.clock
	deployment := a.deployment()
	webhook := a.outgoing(deployment).text("id")
	var want []string
	for range 220 {
		want = append(want, a.fail(idOf(deployment), webhook).String())
	}
	slices.Sort(want)
	path := deployment + "/outgoing-webhooks/" + webhook + "/recover"
	body := `{"since":"2026-03-01T00:00:00Z"}`
	for _, queued := range []float64{100, 100, 20} { // two pages each
		got := a.ask(202, "POST", path, body)
		if got["queued"] != queued || (got["next_cursor"] == nil) != (queued == 20) {
			t.Fatalf("answered %v, want %v", got, queued)
		}
		body = `{"since":"2026-03-01T00:00:00Z","until":"` + got.text("until") + `","cursor":"` + got.text("next_cursor") + `"}`
	}
	if got := a.resent(); !slices.Equal(got, want) {
		t.Errorf("queued %d deliveries, want %d", len(got), len(want))
	}
}

func TestARecoveryThatBrokeOffIsRepeated(t *testing.T) {
	b := &brittle{}
	b.left.Store(70)
	a := newAPI(t, func(c *manage.Config) { b.Store, c.Store = c.Store, b })
	b.clock = a.clock
	deployment := a.deployment()
	webhook := a.outgoing(deployment).text("id")
	want := map[string]bool{}
	for range 120 {
		want[a.fail(idOf(deployment), webhook).String()] = true
	}
	path := deployment + "/outgoing-webhooks/" + webhook + "/recover"
	a.refused(503, "", "POST", path, `{"since":"2026-03-01T00:00:00Z"}`)
	b.left.Store(1 << 20)
	if got := a.ask(202, "POST", path, `{"since":"2026-03-01T00:00:00Z"}`)["queued"]; got != 50.0 {
		t.Errorf("a repeat queued %v, want the 50 that were not reopened", got)
	}
	ids := a.resent()
	if len(ids) != 150 { // 30 of the second page once more, with the same attempt number
		t.Errorf("queued %d messages", len(ids))
	}
	if ids = slices.Compact(ids); len(ids) != len(want) {
		t.Errorf("queued %d deliveries, want %d", len(ids), len(want))
	}
}

func TestWhatTheQueueRefusesStaysFailed(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	webhook := a.outgoing(deployment).text("id")
	for range 5 {
		a.fail(idOf(deployment), webhook)
	}
	path := deployment + "/outgoing-webhooks/" + webhook
	a.retries.err = &queue.PartialError{Failed: []int{1, 3}, Err: errors.New("throttled")}
	a.refused(503, "", "POST", path+"/recover", `{"since":"2026-03-01T00:00:00Z"}`)
	if got := len(a.ask(200, "GET", path+"/deliveries?status=failed", "").list("data")); got != 2 {
		t.Errorf("%d are failed, want the 2 that were not queued", got)
	}
	a.retries.err = nil
	if got := a.ask(202, "POST", path+"/recover", `{"since":"2026-03-01T00:00:00Z"}`)["queued"]; got != 2.0 {
		t.Errorf("queued %v", got)
	}
}

func TestARecoveryMustMakeSense(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	path := deployment + "/outgoing-webhooks/" + a.outgoing(deployment).text("id")
	for body, field := range map[string]string{
		`{}`:                     "since",
		`{"since":"yesterday"}`:  "since",
		`{"since":"2026-03-01"}`: "since",
		`{"since":"2026-03-01T00:00:00Z","until":"now"}`:                  "until",
		`{"since":"2026-03-01T00:00:00Z","until":"2026-02-28T00:00:00Z"}`: "until",
		`{"since":"2027-03-01T00:00:00Z"}`:                                "until",
		`{"since":"2026-03-01T00:00:00Z","cursor":"nonsense"}`:            "cursor",
	} {
		a.refused(400, field, "POST", path+"/recover", body)
	}
	a.ask(200, "PATCH", path, `{"enabled":false}`)
	if got := a.refused(409, "", "POST", path+"/recover", `{"since":"2026-03-01T00:00:00Z"}`); !strings.Contains(got, "disabled") {
		t.Errorf("refused with %q", got)
	}
}

func TestWebhooksOfEverySourceRecover(t *testing.T) {
	a := newAPI(t)
	_, repository := a.repository("docker-hello")
	_, app := a.app()
	for source, event := range map[string]string{
		"/v1/repositories/" + repository: "build_finish",
		"/v1/apps/" + app:                "job_finished",
	} {
		webhook := a.ask(201, "POST", source+"/outgoing-webhooks", `{"name":"x","url":"https://e.example","events":["`+event+`"]}`).text("id")
		a.fail(idOf(source), webhook)
		path := source + "/outgoing-webhooks/" + webhook
		if got := a.ask(202, "POST", path+"/recover", `{"since":"2026-03-01T00:00:00Z"}`)["queued"]; got != 1.0 {
			t.Errorf("%s: %v were queued", source, got)
		}
		a.ask(200, "PATCH", path, `{"enabled":false}`)
		a.refused(409, "", "POST", path+"/recover", `{"since":"2026-03-01T00:00:00Z"}`)
	}
}
