package api_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/service"
	"boathook/internal/store"
)

// publishedTo puts an event into a source's feed.
func (a *tester) publishedTo(source string, change ...func(*boathook.Event)) boathook.Event {
	a.t.Helper()
	e := boathook.Event{
		ID: boathook.NewID(boathook.EventID), WorkspaceID: "ws_local", SourceID: source, Type: "job_finished",
		Time: a.clock.Now().Add(-time.Second), Data: []byte(`{"n":1}`),
	}
	for _, f := range change {
		f(&e)
	}
	if err := a.store.AppendEvents(a.t.Context(), source, 30*24*time.Hour, e); err != nil {
		a.t.Fatal(err)
	}
	return e
}

// comesTo stores what an event's delivery has come to. Its last attempt was made now.
func (a *tester) comesTo(e boathook.Event, webhook string, status boathook.DeliveryStatus) {
	a.t.Helper()
	d := boathook.Delivery{
		ID: boathook.NewDeliveryID(&e, webhook), WorkspaceID: "ws_local", SourceID: e.SourceID, WebhookID: webhook, EventID: e.ID, EventType: e.Type,
		Body: boathook.NewBody([]byte("as it was made")), Status: status, Attempts: 1,
	}
	var err error
	switch status {
	case boathook.DeliveryCanceled:
		d.Attempts, d.Reason = 0, "the webhook is disabled"
		err = a.store.CancelDelivery(a.t.Context(), d)
	case boathook.DeliveryRetrying:
		d.NextAttemptAt = a.clock.Now().Add(24 * time.Hour)
		fallthrough
	default:
		err = a.store.RecordAttempt(a.t.Context(), d, boathook.Attempt{Number: 1, SentAt: a.clock.Now(), Error: "answered 500"})
	}
	if err != nil {
		a.t.Fatal(err)
	}
}

// replayable makes an app that keeps its events, with a webhook, a day ago.
func replayable(t *testing.T, change ...func(*config)) (a *tester, app, webhook, path string) {
	t.Helper()
	a = newAPI(t, append([]func(*config){func(c *config) { c.RecordDays = 30 }}, change...)...)
	source := "/v1/apps/" + a.newApp()
	a.keep(source, 60)
	path = source + "/outgoing-webhooks"
	webhook = a.ask(201, "POST", path, `{"name":"x","url":"https://e.example","events":["job_created","job_finished"],"environment":"production"}`).text("id")
	a.clock.pass(24 * time.Hour)
	return a, idOf(source), webhook, path + "/" + webhook
}

// queued are the events whose deliveries are in the retries queue, in their order, each
// with the number of its attempt.
func (a *tester) queued() (events []string) {
	a.t.Helper()
	for _, m := range a.retries.messages {
		d, err := queue.DecodeDelivery(m.Body)
		if err != nil || d.First != d.Attempt || d.Body.Len() == 0 || m.Group != d.WebhookID {
			a.t.Errorf("queued %+v, %v", d, err)
		}
		events = append(events, fmt.Sprint(d.EventID, " ", d.Attempt))
	}
	return events
}

const sinceMarch = `{"since":"2026-03-01T00:00:00Z"`

func TestAReplaySendsWhatItIsAskedFor(t *testing.T) {
	a, app, webhook, path := replayable(t)
	missing := a.publishedTo(app)
	a.publishedTo(app, func(e *boathook.Event) { e.Type = "app_build_created" }) // which the webhook does not want
	a.publishedTo(app, func(e *boathook.Event) { e.Environment = boathook.Staging })
	events := map[boathook.DeliveryStatus]boathook.Event{"missing": missing}
	for _, status := range []boathook.DeliveryStatus{"failed", "canceled", "retrying", "succeeded"} {
		events[status] = a.publishedTo(app, func(e *boathook.Event) { e.Type = "job_created" })
		a.comesTo(events[status], webhook, status)
	}
	a.clock.pass(time.Hour)
	recent := a.publishedTo(app)
	a.clock.pass(time.Minute)

	for only, want := range map[string][]boathook.DeliveryStatus{
		``:                                       {"missing"},
		`,"only":"missing"`:                      {"missing"},
		`,"only":"failed"`:                       {"failed", "canceled"},
		`,"only":"all"`:                          {"missing", "failed", "canceled", "retrying", "succeeded"},
		`,"types":["job_finished"],"only":"all"`: {"missing"},
		`,"until":"2026-03-02T11:59:59Z","only":"all"`: {},
	} {
		counts := map[string]any{}
		for _, of := range want {
			counts[string(of)] = 1.0
		}
		for range 2 {
			got := a.ask(202, "POST", path+"/replay", sinceMarch+only+`,"dry_run":true}`)
			by := got["by_status"].(map[string]any)
			maps.DeleteFunc(by, func(_ string, n any) bool { return n == 0.0 })
			if got["queued"] != float64(len(want)) || !reflect.DeepEqual(by, counts) || got["dry_run"] != true || got["next_cursor"] != nil || got["unknown"] != 0.0 {
				t.Errorf("%s: answered %v", only, got)
			}
		}
	}
	if got := a.queued(); len(got) > 0 {
		t.Fatalf("dry runs have queued %v", got)
	}
	got := a.ask(202, "POST", path+"/replay", sinceMarch+`,"only":"all"}`)
	if got["queued"] != 5.0 || got["matched"] != 6.0 || got["recent"] != 1.0 || got["since"] != "2026-03-01T00:00:00.000Z" || got["until"] != a.clock.Now().Format(boathook.TimeLayout) {
		t.Errorf("answered %v", got)
	}
	want := []string{missing.ID + " 1", events["failed"].ID + " 2", events["canceled"].ID + " 1", events["retrying"].ID + " 2", events["succeeded"].ID + " 2"}
	if got := a.queued(); !slices.Equal(got, want) {
		t.Errorf("queued %v, want %v", got, want)
	}
	for status, e := range events {
		d, err := a.store.Delivery(t.Context(), "ws_local", boathook.NewDeliveryID(&e, webhook))
		want, body := boathook.DeliveryRetrying, "as it was made"
		switch status {
		case "missing":
			body = `{"event":"job_finished"`
		case "succeeded":
			want = "succeeded" // whatever comes of it
		}
		if err != nil || d.Status != want || !strings.HasPrefix(d.Body.String(), body) {
			t.Errorf("the one that was %s is %s, with the body %s, %v", status, d.Status, d.Body, err)
		}
	}
	a.clock.pass(5 * time.Minute)
	a.retries.messages = nil
	a.ask(202, "POST", path+"/replay", sinceMarch+`}`)
	if got := a.queued(); !slices.Equal(got, []string{recent.ID + " 1"}) {
		t.Errorf("later it queued %v, want the one that was recent", got)
	}
	a.clock.pass(5 * time.Minute)
	if got := a.ask(202, "POST", path+"/replay", sinceMarch+`}`); got["queued"] != 0.0 || got["matched"] != 6.0 || got["recent"] != 0.0 {
		t.Errorf("with nothing left it answered %v", got)
	}
}

func TestEventsFromBeforeAWebhookWasMadeAreSentAtOnce(t *testing.T) {
	a, app, _, path := replayable(t)
	event := a.publishedTo(app)
	a.clock.pass(time.Second)
	source, _, _ := strings.Cut(path, "/outgoing-webhooks/")
	webhook := a.ask(201, "POST", source+"/outgoing-webhooks", `{"name":"new","url":"https://e.example","events":["job_finished"],"environment":"staging"}`).text("id")
	a.publishedTo(app, func(e *boathook.Event) { e.Environment = boathook.Production }) // which it does not hear
	after := a.publishedTo(app)
	got := a.ask(202, "POST", source+"/outgoing-webhooks/"+webhook+"/replay", sinceMarch+`}`)
	if got["queued"] != 1.0 || got["recent"] != 1.0 || !slices.Equal(a.queued(), []string{event.ID + " 1"}) {
		t.Errorf("answered %v, queued %v; %s is on its way", got, a.queued(), after.ID)
	}
}

func TestADisabledWebhookCountsWhatItMissesAndIsSentItLater(t *testing.T) {
	a, app, _, path := replayable(t)
	a.ask(200, "PATCH", path, `{"enabled":false}`)
	event := a.publishedTo(app)
	a.clock.pass(time.Hour)
	a.refused(409, "", "POST", path+"/replay", sinceMarch+`}`)
	if got := a.ask(202, "POST", path+"/replay", sinceMarch+`,"dry_run":true}`); got["queued"] != 1.0 {
		t.Errorf("it misses %v", got)
	}
	a.ask(200, "PATCH", path, `{"enabled":true}`)
	a.ask(202, "POST", path+"/replay", sinceMarch+`}`)
	if got := a.queued(); !slices.Equal(got, []string{event.ID + " 1"}) {
		t.Errorf("queued %v", got)
	}
}

// Past the retention nobody knows whether an event was delivered, unless its webhook was
// made since.
func TestWhatIsOlderThanTheLogIsSentOnlyWithAll(t *testing.T) {
	a, app, _, path := replayable(t)
	old := a.publishedTo(app, func(e *boathook.Event) { e.ID = "old" })
	if err := a.store.AppendEvents(t.Context(), app, 60*24*time.Hour, boathook.Event{ID: "kept", Type: "job_finished", Time: a.clock.Now(), Data: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	a.clock.pass(40 * 24 * time.Hour)
	for only, unknown := range map[string]float64{"missing": 1, "failed": 1, "all": 0} {
		got := a.ask(202, "POST", path+"/replay", sinceMarch+`,"dry_run":true,"only":"`+only+`"}`)
		if got["unknown"] != unknown || got["queued"] != 1-unknown || got["matched"] != 1.0 || got["since"] != "2026-03-01T00:00:00.000Z" {
			t.Errorf("%s: answered %v; %s has expired", only, got, old.ID)
		}
	}
	source, _, _ := strings.Cut(path, "/outgoing-webhooks/")
	webhook := a.ask(201, "POST", source+"/outgoing-webhooks", `{"name":"new","url":"https://e.example","events":["job_finished"]}`).text("id")
	if got := a.ask(202, "POST", source+"/outgoing-webhooks/"+webhook+"/replay", sinceMarch+`}`); got["queued"] != 1.0 || got["unknown"] != 0.0 {
		t.Errorf("a new webhook: %v", got)
	}
	a.clock.pass(30 * 24 * time.Hour)
	if got := a.ask(202, "POST", path+"/replay", sinceMarch+`}`); got["matched"] != 0.0 || got["since"] != a.clock.Now().Add(-60*24*time.Hour).Format(boathook.TimeLayout) {
		t.Errorf("when all has expired: %v", got)
	}
}

// slow is a store on which each part of a feed takes its time, and that may break off.
type slow struct {
	service.Store
	clock *clock
	each  time.Duration
	left  atomic.Int64 // calls of PostponeDelivery that succeed
}

func (s *slow) FeedEvents(ctx context.Context, q store.FeedQuery) (store.FeedPage, error) {
	s.clock.pass(s.each)
	return s.Store.FeedEvents(ctx, q)
}

func (s *slow) PostponeDelivery(ctx context.Context, d boathook.Delivery, at time.Time) error {
	if s.left.Add(-1) < 0 {
		return errBroken
	}
	return s.Store.PostponeDelivery(ctx, d, at)
}

func slowly(each time.Duration) (*slow, func(*config)) {
	s := &slow{each: each}
	s.left.Store(1 << 20)
	return s, func(c *config) { s.Store, c.Store = c.Store, s }
}

// carryOn repeats a replay with its cursors to its end, each request so often. It gives
// how many events were queued, and in how many parts.
func (a *tester) carryOn(path, body string, times int) (queued float64, parts int) {
	a.t.Helper()
	for next := body + "}"; next != ""; parts++ {
		var got object
		for range times {
			got = a.ask(202, "POST", path+"/replay", next)
			queued += got["queued"].(float64)
		}
		if next = ""; got["next_cursor"] != nil {
			next = body + `,"cursor":"` + got.text("next_cursor") + `"}`
		}
	}
	return queued, parts
}

func TestAReplayOfTenThousandEventsIsCarriedOnToItsEnd(t *testing.T) {
	s, with := slowly(500 * time.Millisecond)
	a, app, _, path := replayable(t, with)
	s.clock = a.clock
	var want []string
	for range 10_000 {
		want = append(want, a.publishedTo(app).ID+" 1")
	}
	a.clock.pass(time.Hour)
	if n, parts := a.carryOn(path, sinceMarch+`,"dry_run":true`, 1); n != 10_000 || parts < 10 {
		t.Errorf("counted %v in %d parts", n, parts)
	}
	if n, parts := a.carryOn(path, sinceMarch, 2); n != 10_000 || parts < 10 {
		t.Errorf("queued %v in %d parts", n, parts)
	}
	if got := a.queued(); !slices.Equal(got, want) {
		t.Errorf("queued %d, want each of the %d once and in order", len(got), len(want))
	}
}

// Each attempt that is queued twice has the number that it had before, so that it is made
// once.
func TestAReplayThatBrokeOffIsRepeated(t *testing.T) {
	for _, only := range []string{"missing", "failed", "all"} {
		s, with := slowly(6 * time.Second)
		a, app, webhook, path := replayable(t, with)
		s.clock = a.clock
		want := map[string]bool{}
		for i := range 120 {
			e := a.publishedTo(app)
			status := map[string]boathook.DeliveryStatus{"failed": boathook.DeliveryCanceled, "all": boathook.DeliverySucceeded}[only]
			if status != "" && i%2 == 0 {
				a.comesTo(e, webhook, status)
			}
			switch {
			case only == "all" && i%2 == 0:
				want[e.ID+" 2"] = true
			case only != "failed" || i%2 == 0:
				want[e.ID+" 1"] = true
			}
		}
		a.clock.pass(time.Hour)
		s.left.Store(int64(len(want) / 4))
		body := sinceMarch + `,"only":"` + only + `"`
		next := body + "}"
		for s.left.Load() >= 0 {
			w := a.request(stackToken, "POST", path+"/replay", next)
			if w.Code == 503 {
				s.left.Store(1 << 20)
				break
			}
			_, cursor, _ := strings.Cut(w.Body.String(), `"next_cursor":"`)
			cursor, _, _ = strings.Cut(cursor, `"`)
			next = body + `,"cursor":"` + cursor + `"}`
		}
		a.retries.err = &queue.PartialError{Failed: []int{1, 3}, Err: errors.New("throttled")}
		a.refused(503, "", "POST", path+"/replay", next)
		a.retries.err = nil
		a.carryOn(path, strings.TrimSuffix(next, "}"), 1)
		got := map[string]bool{}
		for _, m := range a.queued() {
			got[m] = true
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: queued %d attempts, want %d", only, len(got), len(want))
		}
	}
}

func TestReplaysSideBySideQueueTheSameAttempts(t *testing.T) {
	a, app, _, path := replayable(t)
	want := map[string]bool{}
	for range 200 {
		want[a.publishedTo(app).ID+" 1"] = true
	}
	a.clock.pass(time.Hour)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { a.ask(202, "POST", path+"/replay", sinceMarch+`}`) })
	}
	all.Wait()
	got := map[string]bool{}
	for _, m := range a.queued() {
		got[m] = true
	}
	if !maps.Equal(got, want) {
		t.Errorf("queued %d attempts, want %d", len(got), len(want))
	}
	a.retries.messages = nil
	if a.ask(202, "POST", path+"/replay", sinceMarch+`}`); len(a.queued()) > 0 {
		t.Errorf("another replay has queued %d", len(a.queued()))
	}
}

// What was attempted since the replay began is not sent again, whatever came of it.
func TestAReplaySendsAnEventOnce(t *testing.T) {
	s, with := slowly(11 * time.Second)
	a, app, webhook, path := replayable(t, with)
	s.clock = a.clock
	for range 50 {
		a.comesTo(a.publishedTo(app), webhook, boathook.DeliveryFailed)
	}
	a.clock.pass(time.Hour)
	for _, only := range []string{"failed", "all"} {
		a.retries.messages = nil
		body := sinceMarch + `,"only":"` + only + `"`
		cursor := a.ask(202, "POST", path+"/replay", body+"}").text("next_cursor")
		first := a.queued()
		for _, m := range a.retries.messages { // each is attempted, and fails for good
			job, err := queue.DecodeDelivery(m.Body)
			if err != nil {
				t.Fatal(err)
			}
			job.Status, job.Attempts, job.Resend = boathook.DeliveryFailed, job.Attempt, job.First
			if err := a.store.RecordAttempt(t.Context(), job.Delivery, boathook.Attempt{Number: job.Attempt, SentAt: a.clock.Now()}); err != nil {
				t.Fatal(err)
			}
		}
		a.retries.messages = nil
		parts := strings.Split(cursor, ".") // of the same beginning, and before the first event
		parts[0] = store.FeedCursor{Time: a.clock.Now()}.String()
		a.ask(202, "POST", path+"/replay", body+`,"cursor":"`+strings.Join(parts, ".")+`"}`)
		if got := a.queued(); len(first) != 25 || len(got) > 0 {
			t.Errorf("%s: queued %d, and after a repeat %d", only, len(first), len(got))
		}
	}
}

func TestAReplayWhoseEventsExpireIsToldWhereToGoOn(t *testing.T) {
	s, with := slowly(11 * time.Second)
	a, app, _, path := replayable(t, with)
	s.clock = a.clock
	for range 60 {
		a.publishedTo(app)
	}
	a.clock.pass(29 * 24 * time.Hour)
	left := a.publishedTo(app)
	a.clock.pass(time.Hour)
	body := sinceMarch + `,"only":"all"`
	cursor := a.ask(202, "POST", path+"/replay", body+"}").text("next_cursor")
	a.clock.pass(2 * 24 * time.Hour)
	a.retries.messages = nil
	gone := a.ask(410, "POST", path+"/replay", body+`,"cursor":"`+cursor+`"}`).object("error")
	if gone.text("code") != "gone" || gone.text("field") != "cursor" {
		t.Errorf("answered %v", gone)
	}
	a.ask(202, "POST", path+"/replay", body+`,"cursor":"`+gone.text("oldest_cursor")+`"}`)
	if got := a.queued(); !slices.Equal(got, []string{left.ID + " 1"}) {
		t.Errorf("it went on with %v", got)
	}
}

func TestAFilterThatFailsMakesADeliveryThatSaysSo(t *testing.T) {
	a, app, _, path := replayable(t)
	a.ask(200, "PATCH", path, `{"filter":".data.n.o > 0"}`)
	event := a.publishedTo(app)
	passed := a.publishedTo(app, func(e *boathook.Event) { e.Data = []byte(`{"n":{"o":1}}`) })
	a.publishedTo(app, func(e *boathook.Event) { e.Data = []byte(`{"n":{"o":0}}`) })
	a.clock.pass(time.Hour)
	if got := a.ask(202, "POST", path+"/replay", sinceMarch+`}`); got["queued"] != 2.0 || got["matched"] != 2.0 {
		t.Errorf("answered %v", got)
	}
	faults := map[string]string{}
	for _, m := range a.retries.messages {
		d, err := queue.DecodeDelivery(m.Body)
		if err != nil {
			t.Fatal(err)
		}
		faults[d.EventID] = d.Fault
	}
	if !strings.HasPrefix(faults[event.ID], "filter: ") || faults[passed.ID] != "" || len(faults) != 2 {
		t.Errorf("queued with the faults %q", faults)
	}
}

func TestTheEventsOfACustomerAreReplayed(t *testing.T) {
	a := newAPI(t, func(c *config) { c.RecordDays = 30 })
	kind := a.define("invoice.paid", `{"description":"An invoice was paid."}`)
	customer := a.customer("acct_1042")
	webhooks := customer + "/outgoing-webhooks"
	path := webhooks + "/" + a.ask(201, "POST", webhooks, `{"name":"x","url":"https://e.example","events":["*"],"channels":["eu"]}`).text("id")
	eu := a.publishedTo(idOf(customer), func(e *boathook.Event) { e.Type, e.Channels = "invoice.paid", []string{"eu"} })
	a.publishedTo(idOf(customer), func(e *boathook.Event) { e.Type, e.Channels = "invoice.paid", []string{"us"} })
	a.clock.pass(time.Hour)
	a.ask(204, "DELETE", kind, "") // archived: what was published is sent all the same
	a.ask(202, "POST", path+"/replay", sinceMarch+`,"types":["invoice.paid"]}`)
	if got := a.queued(); !slices.Equal(got, []string{eu.ID + " 1"}) {
		t.Errorf("queued %v", got)
	}
	a.ask(204, "DELETE", customer, "")
	a.ask(404, "POST", path+"/replay", sinceMarch+`}`)
}

func TestAReplayMustMakeSense(t *testing.T) {
	s, with := slowly(11 * time.Second)
	a, app, _, path := replayable(t, with)
	s.clock = a.clock
	for range 26 {
		a.publishedTo(app)
	}
	a.clock.pass(time.Hour)
	cursor := a.ask(202, "POST", path+"/replay", sinceMarch+`,"dry_run":true}`).text("next_cursor")
	for body, field := range map[string]string{
		`{}`:                           "since",
		`{"since":"yesterday"}`:        "since",
		sinceMarch + `,"until":"now"}`: "until",
		sinceMarch + `,"until":"2026-02-28T00:00:00Z"}`:               "until",
		`{"since":"2027-03-01T00:00:00Z"}`:                            "until",
		sinceMarch + `,"types":[]}`:                                   "types",
		sinceMarch + `,"types":["build_finish"]}`:                     "types",
		sinceMarch + `,"only":"lost"}`:                                "only",
		sinceMarch + `,"cursor":"nonsense"}`:                          "cursor",
		sinceMarch + `,"cursor":"` + cursor + `"}`:                    "cursor", // it is a dry run's
		sinceMarch + `,"dry_run":true,"cursor":"` + cursor[1:] + `"}`: "cursor",
		sinceMarch + `,"statuses":["failed"]}`:                        "statuses",
	} {
		a.refused(400, field, "POST", path+"/replay", body)
	}
	a.ask(202, "POST", path+"/replay", sinceMarch+`,"dry_run":true,"cursor":"`+cursor+`"}`)
	another := strings.TrimSuffix(path, idOf(path)) + a.ask(201, "POST", strings.TrimSuffix(path, "/"+idOf(path)), `{"name":"y","url":"https://e.example","events":["job_created"]}`).text("id")
	a.refused(400, "cursor", "POST", another+"/replay", sinceMarch+`,"dry_run":true,"cursor":"`+cursor+`"}`)
}

func TestWebhooksOfEverySourceReplay(t *testing.T) {
	s, with := slowly(11 * time.Second)
	a := newAPI(t, func(c *config) { c.RecordDays = 30 }, with)
	s.clock = a.clock
	_, repository := a.repository("docker-hello")
	_, app := a.app()
	for source, event := range map[string]boathook.EventType{
		a.deployment():                   "run.failed",
		a.agent():                        "run.failed",
		"/v1/repositories/" + repository: "build_finish",
		"/v1/apps/" + app:                "job_finished",
		a.customer("acct_1042"):          "webhook.disabled",
		alertsPath:                       "run.lost",
	} {
		webhooks := source + "/outgoing-webhooks"
		path := webhooks + "/" + a.ask(201, "POST", webhooks, `{"name":"x","url":"https://e.example","environment":"production","events":["`+string(event)+`"]}`).text("id")
		a.ask(200, "PATCH", source+"/events", `{"event_retention_days":0}`)
		if got := a.refused(409, "", "POST", path+"/replay", sinceMarch+`}`); !strings.Contains(got, "event_retention_days") {
			t.Errorf("%s keeps nothing: %s", source, got)
		}
		a.ask(200, "PATCH", source+"/events", `{"event_retention_days":2}`)
		for range 26 {
			if err := a.store.AppendEvents(t.Context(), idOf(source), 48*time.Hour, boathook.Event{
				ID: boathook.NewID(boathook.EventID), Type: event, Time: a.clock.Now(), Data: []byte(`{}`),
			}); err != nil {
				t.Fatal(err)
			}
		}
		a.clock.pass(time.Hour)
		got := a.ask(202, "POST", path+"/replay", sinceMarch+`}`)
		if got["queued"] != 25.0 {
			t.Errorf("%s: answered %v", source, got)
		}
		a.clock.pass(48 * time.Hour)
		a.refused(410, "cursor", "POST", path+"/replay", sinceMarch+`,"cursor":"`+got.text("next_cursor")+`"}`)
		a.ask(200, "PATCH", path, `{"enabled":false}`)
		a.refused(409, "", "POST", path+"/replay", sinceMarch+`}`)
	}
}
