package api_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/service"
	"boathook/internal/store"
)

// fail stores a delivery that failed at its second attempt.
func (a *tester) fail(deployment, webhook string) boathook.DeliveryID {
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
func (a *tester) resent() (ids []string) {
	a.t.Helper()
	for _, m := range a.retries.messages {
		d, err := queue.DecodeDelivery(m.Body)
		if err != nil || d.Attempt != 3 || d.First != 3 || d.Body.Len() == 0 {
			a.t.Errorf("queued %+v, %v", d, err)
		}
		ids = append(ids, d.ID.String())
	}
	slices.Sort(ids)
	return ids
}

// wait stores a delivery that has failed once and waits for its next attempt.
func (a *tester) wait(deployment, webhook string, next time.Time) boathook.DeliveryID {
	a.t.Helper()
	d := a.delivery(deployment, webhook)
	for n := range 2 {
		d.Status, d.Attempts, d.NextAttemptAt = boathook.DeliveryRetrying, n+1, next
		if err := a.store.RecordAttempt(a.t.Context(), d, failedAttempt(n+1)); err != nil {
			a.t.Fatal(err)
		}
	}
	return d.ID
}

// cancel stores a delivery that was canceled after two attempts.
func (a *tester) cancel(deployment, webhook string) boathook.DeliveryID {
	a.t.Helper()
	id := a.wait(deployment, webhook, a.clock.Now().Add(time.Hour))
	d, err := a.store.Delivery(a.t.Context(), "ws_local", id)
	if err == nil {
		d.Reason = "the webhook is disabled"
		err = a.store.CancelDelivery(a.t.Context(), d)
	}
	if err != nil {
		a.t.Fatal(err)
	}
	return id
}

func TestRecoverResendsEachDeliveryThatWasNotTakenOnce(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	source, webhook := idOf(deployment), a.outgoing(deployment).text("id")
	other := a.outgoing(deployment).text("id")
	path := deployment + "/outgoing-webhooks/" + webhook + "/recover"

	a.fail(source, webhook) // before the time
	a.clock.pass(time.Hour)
	since := a.clock.Now().Format(time.RFC3339)
	var want []string
	for range 40 { // several pages
		want = append(want, a.fail(source, webhook).String(),
			a.wait(source, webhook, a.clock.Now().Add(24*time.Hour)).String(), a.cancel(source, webhook).String())
		a.clock.pass(time.Second)
	}
	slices.Sort(want)
	a.fail(source, other)
	a.wait(source, webhook, a.clock.Now()) // is on its way
	d := a.delivery(source, webhook)
	d.Status, d.Attempts = boathook.DeliverySucceeded, 1
	if err := a.store.RecordAttempt(t.Context(), d, failedAttempt(1)); err != nil {
		t.Fatal(err)
	}
	until := a.clock.Now()
	a.clock.pass(time.Minute)
	a.fail(source, webhook) // after the time

	period := `"since":"` + since + `","until":"` + until.Format(time.RFC3339) + `"`
	counts := map[string]any{"failed": 40.0, "retrying": 40.0, "canceled": 40.0}
	for range 2 {
		got := a.ask(202, "POST", path, `{"dry_run":true,`+period+`}`)
		if got["queued"] != 120.0 || !reflect.DeepEqual(got["by_status"], counts) || got["dry_run"] != true || len(a.resent()) != 0 {
			t.Errorf("a dry run answered %v", got)
		}
	}
	got := a.ask(202, "POST", path, `{`+period+`}`)
	if got["queued"] != 120.0 || !reflect.DeepEqual(got["by_status"], counts) || got["dry_run"] != false || got["next_cursor"] != nil || got["until"] != until.Format(boathook.TimeLayout) {
		t.Errorf("answered %v", got)
	}
	if got := a.resent(); !slices.Equal(got, want) {
		t.Errorf("queued %d deliveries, want %d", len(got), len(want))
	}
	// Until it is attempted, one that was canceled says so.
	if got := a.ask(202, "POST", path, `{"statuses":["failed","retrying"],`+period+`}`); got["queued"] != 0.0 ||
		!reflect.DeepEqual(got["by_status"], map[string]any{"failed": 0.0, "retrying": 0.0}) {
		t.Errorf("a repeat answered %v", got)
	}
	if n := len(a.ask(200, "GET", deployment+"/outgoing-webhooks/"+webhook+"/deliveries?status=failed", "").list("data")); n != 2 {
		t.Errorf("%d are failed, want those of before and after", n)
	}
	if got := a.ask(202, "POST", path, `{"since":"0001-01-01T00:00:00Z","statuses":["failed"]}`)["queued"]; got != 2.0 {
		t.Errorf("of the other two, %v were queued", got)
	}
}

func TestADeliveryThatWaitsForItsFirstAttemptIsSentNow(t *testing.T) {
	for rate, postponed := range map[string]bool{`null`: true, `{"per_second":5}`: false} {
		a := newAPI(t)
		deployment := a.deployment()
		webhook := a.outgoing(deployment).text("id")
		path := deployment + "/outgoing-webhooks/" + webhook
		a.ask(200, "PATCH", path, `{"rate_limit":`+rate+`}`)
		d := a.delivery(idOf(deployment), webhook)
		if err := a.store.PostponeDelivery(t.Context(), d, a.clock.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if got := a.ask(202, "POST", path+"/recover", `{"since":"2026-03-01T00:00:00Z"}`)["queued"]; got != 1.0 {
			t.Fatalf("%v were queued", got)
		}
		// Past its rate limit nothing is sent; else its message finds it made.
		job, err := queue.DecodeDelivery(a.retries.messages[0].Body)
		if err != nil || job.Attempt != 1 || job.Postponed() != postponed {
			t.Errorf("with the limit %s: queued %+v, %v", rate, job, err)
		}
	}
}

// brittle is a store that breaks off, and takes its time.
type brittle struct {
	service.Store
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
	a := newAPI(t, func(c *config) {
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
	a := newAPI(t, func(c *config) { b.Store, c.Store = c.Store, b })
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
	queued, body := 0.0, `{"since":"2026-03-01T00:00:00Z"}`
	for body != "" {
		got := a.ask(202, "POST", path, body)
		queued += got["queued"].(float64)
		if body = ""; got["next_cursor"] != nil {
			body = `{"since":"2026-03-01T00:00:00Z","until":"` + got.text("until") + `","cursor":"` + got.text("next_cursor") + `"}`
		}
	}
	if queued != 50 {
		t.Errorf("a repeat queued %v, want the 50 that were not reopened", queued)
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
		`{"since":"2026-03-01T00:00:00Z","statuses":[]}`:                  "statuses",
		`{"since":"2026-03-01T00:00:00Z","statuses":["succeeded"]}`:       "statuses",
		`{"since":"2026-03-01T00:00:00Z","statuses":["failed","x"]}`:      "statuses",
		`{"since":"2026-03-01T00:00:00Z","cursor":"nonsense"}`:            "cursor",
	} {
		a.refused(400, field, "POST", path+"/recover", body)
	}
	a.ask(200, "PATCH", path, `{"enabled":false}`)
	if got := a.refused(409, "", "POST", path+"/recover", `{"since":"2026-03-01T00:00:00Z"}`); !strings.Contains(got, "disabled") {
		t.Errorf("refused with %q", got)
	}
	a.ask(202, "POST", path+"/recover", `{"since":"2026-03-01T00:00:00Z","dry_run":true}`)
}

func TestWebhooksOfEverySourceRecover(t *testing.T) {
	a := newAPI(t)
	_, repository := a.repository("docker-hello")
	_, app := a.app()
	for source, event := range map[string]string{
		a.agent():                        "run.failed",
		"/v1/repositories/" + repository: "build_finish",
		"/v1/apps/" + app:                "job_finished",
		alertsPath:                       "run.lost",
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
