package api_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

// keep has a source's events kept, and gives the path of its feed and its id.
func (a *tester) keep(path string, days int) (feed, id string) {
	a.t.Helper()
	feed = path + "/events"
	body := fmt.Sprintf(`{"event_retention_days":%d}`, days)
	if got := a.ask(200, "PATCH", feed, body); got["event_retention_days"] != float64(days) {
		a.t.Errorf("set %v", got)
	}
	return feed, path[len("/v1/apps/"):]
}

// happens puts events into a feed, as publishing does.
func (a *tester) happens(source string, types ...boathook.EventType) {
	a.t.Helper()
	for _, kind := range types {
		err := a.store.AppendEvents(a.t.Context(), source, 30*24*time.Hour, boathook.Event{
			ID: boathook.NewID(boathook.EventID), Type: kind, Environment: boathook.Staging, Time: a.clock.Now().Add(-time.Second), Data: json.RawMessage(`{"a":"ü"}`),
		})
		if err != nil {
			a.t.Fatal(err)
		}
	}
}

func typesOf(page object) (types []string) {
	for _, e := range page.list("data") {
		types = append(types, e.text("type"))
	}
	return types
}

func TestAFeedIsReadByItsCursor(t *testing.T) {
	a := newAPI(t)
	feed, app := a.keep("/v1/apps/"+a.newApp(), 30)
	empty := a.ask(200, "GET", feed, "")
	if len(empty.list("data")) > 0 || empty.text("next_cursor") == "" || empty["has_more"] != false || empty["event_retention_days"] != 30.0 {
		t.Errorf("an empty feed is %v", empty)
	}
	a.happens(app, "job_created", "job_finished", "job_created")
	page := a.ask(200, "GET", feed+"?limit=2&cursor="+empty.text("next_cursor"), "")
	e := page.list("data")[0]
	e["id"] = "an id"
	want := object{
		"id": "an id", "source": app, "type": "job_created", "environment": "staging", "data": map[string]any{"a": "ü"},
		"channels": []any{}, "created_at": "2026-03-01T11:59:59.000Z", "published_at": "2026-03-01T12:00:00.000Z",
	}
	if !reflect.DeepEqual(e, want) || page["has_more"] != true || len(page.list("data")) != 2 {
		t.Errorf("the first page is %v", page)
	}
	rest := a.ask(200, "GET", feed+"?cursor="+page.text("next_cursor"), "")
	if got := typesOf(rest); !reflect.DeepEqual(got, []string{"job_created"}) || rest["has_more"] != false {
		t.Errorf("the rest is %v", rest)
	}
	only := a.ask(200, "GET", feed+"?limit=1&type=job_finished", "")
	if len(only.list("data")) > 0 || only["has_more"] != true {
		t.Errorf("a page of one that is of another type is %v", only)
	}
	only = a.ask(200, "GET", feed+"?type=job_finished&cursor="+only.text("next_cursor"), "")
	if got := typesOf(only); !reflect.DeepEqual(got, []string{"job_finished"}) {
		t.Errorf("those of one type are %v", got)
	}
	a.clock.pass(time.Hour)
	a.happens(app, "app_build_created")
	since := a.ask(200, "GET", feed+"?since=2026-03-01T12:30:00Z", "")
	if got := typesOf(since); !reflect.DeepEqual(got, []string{"app_build_created"}) {
		t.Errorf("since half past there were %v", got)
	}
}

func TestASourceKeepsEventsAsItIsTold(t *testing.T) {
	a := newAPI(t, func(c *config) { c.RecordDays = 30 })
	path := "/v1/apps/" + a.newApp()
	if got := a.ask(200, "GET", path+"/events", ""); got["event_retention_days"] != 0.0 || got.text("next_cursor") == "" {
		t.Errorf("an app keeps %v", got)
	}
	feed, app := a.keep(path, 7)
	a.happens(app, "job_created")
	if got := a.ask(200, "GET", feed, ""); len(typesOf(got)) != 1 || got["event_retention_days"] != 7.0 {
		t.Errorf("it keeps %v", got)
	}
	a.keep(path, 0)
	if got := a.ask(200, "GET", feed, ""); len(got.list("data")) > 0 || a.ask(200, "PATCH", feed, `{}`)["event_retention_days"] != 0.0 {
		t.Errorf("without days it keeps %v", got)
	}
	for _, body := range []string{`{"event_retention_days":-1}`, `{"event_retention_days":3654}`} {
		a.refused(400, "event_retention_days", "PATCH", feed, body)
	}
	customer := "/v1/customers/" + a.ask(201, "POST", "/v1/customers", `{"name":"Acme"}`).text("id")
	if got := a.ask(200, "GET", customer+"/events", ""); got["event_retention_days"] != 30.0 {
		t.Errorf("a customer keeps %v", got)
	}
	for name, query := range map[string]string{"cursor": "?cursor=e30", "type": "?type=build_finish", "since": "?since=yesterday", "wait_seconds": "?wait_seconds=21"} {
		a.keep(path, 7)
		a.refused(400, name, "GET", feed+query, "")
	}
	a.refused(400, "since", "GET", feed+"?since=2026-03-01T12:30:00Z&cursor="+a.ask(200, "GET", feed, "").text("next_cursor"), "")
}

func TestAReaderWhoWasAwayTooLongIsToldWhereToGoOn(t *testing.T) {
	a := newAPI(t)
	feed, app := a.keep("/v1/apps/"+a.newApp(), 30)
	cursor := a.ask(200, "GET", feed, "").text("next_cursor")
	a.happens(app, "job_created")
	a.clock.pass(31 * 24 * time.Hour)
	a.happens(app, "job_finished")
	problem := object(a.ask(410, "GET", feed+"?cursor="+cursor, "")["error"].(map[string]any))
	if problem.text("code") != "gone" || problem.text("field") != "cursor" {
		t.Errorf("answered %v", problem)
	}
	if got := typesOf(a.ask(200, "GET", feed+"?cursor="+problem.text("oldest_cursor"), "")); !reflect.DeepEqual(got, []string{"job_finished"}) {
		t.Errorf("it goes on with %v", got)
	}
}

func TestAHundredPollersWaitForAnEventAndEachSeesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t)
		feed, app := a.keep("/v1/apps/"+a.newApp(), 30)
		begun := time.Now()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				page := a.ask(200, "GET", feed+"?wait_seconds=20", "")
				if got := typesOf(page); !reflect.DeepEqual(got, []string{"job_created"}) || time.Since(begun) > 10*time.Second {
					t.Errorf("after %s a poller has %v", time.Since(begun), got)
				}
			})
		}
		time.Sleep(7 * time.Second)
		a.happens(app, "job_created")
		all.Wait()
		begun = time.Now()
		if got := a.ask(200, "GET", feed+"?wait_seconds=3&type=job_finished", ""); len(got.list("data")) > 0 || got.text("next_cursor") == "" || time.Since(begun) != 3*time.Second {
			t.Errorf("after %s nothing has happened: %v", time.Since(begun), got)
		}
	})
}

// Each kind of source has a feed, whose settings are changed as others are.
func TestEachKindOfSourceHasAFeed(t *testing.T) {
	between := &interrupted{}
	a := newAPI(t, func(c *config) { between.Store, c.Store = c.Store, between })
	_, repository := a.repository("docker-hello")
	for _, path := range []string{a.deployment(), a.agent(), "/v1/repositories/" + repository, "/v1/apps/" + a.newApp(), a.customer("x"), alertsPath} {
		a.ask(200, "PATCH", path+"/events", `{"event_retention_days":1}`)
		cursor := a.ask(200, "GET", path+"/events", "").text("next_cursor")
		a.happens(idOf(path), "run.succeeded")
		a.clock.pass(31 * 24 * time.Hour)
		a.ask(410, "GET", path+"/events?cursor="+cursor, "")
		between.between = func() { a.ask(200, "PATCH", path+"/events", `{"event_retention_days":2}`) }
		a.ask(409, "PATCH", path+"/events", `{"event_retention_days":3}`)
		if got := a.ask(200, "PATCH", path+"/events", `{}`); got["event_retention_days"] != 2.0 {
			t.Errorf("%s: %v", path, got)
		}
	}
}

// People look at the newest events first, and at where they went.
func TestTheNewestEventsOfAFeedAndWhereTheyWent(t *testing.T) {
	a := newAPI(t)
	customer := a.customer("acct_1042")
	of := service.SourceRef{Kind: boathook.Customer, ID: idOf(customer)}
	s := service.New(a.config.Config)
	member := service.Caller{Workspace: "ws_local", Role: boathook.Member}
	newest := func(before int64, limit int) (ids []string, older int64) {
		t.Helper()
		part, err := s.Feeds.Newest(t.Context(), member, of, service.FeedBack{Before: before, Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range part.Events {
			ids = append(ids, e.ID)
		}
		return ids, part.Older
	}
	a.ask(200, "PATCH", customer+"/events", `{"event_retention_days":0}`)
	if part, err := s.Feeds.Newest(t.Context(), member, of, service.FeedBack{Limit: 10}); err != nil || part.RetentionDays != 0 || part.Events != nil {
		t.Errorf("of none that are kept: %+v, %v", part, err)
	}
	a.ask(200, "PATCH", customer+"/events", `{"event_retention_days":7}`)
	if ids, older := newest(0, 10); ids != nil || older != 0 {
		t.Errorf("an empty feed has %v, %d", ids, older)
	}
	long := []byte(`{"x":"` + strings.Repeat("x", 900<<10) + `"}`)
	for i := range 7 {
		e := boathook.Event{ID: fmt.Sprintf("e%d", i), WorkspaceID: "ws_local", SourceID: of.ID, Type: "webhook.disabled", Time: a.clock.Now(), Data: long}
		if err := a.store.AppendEvents(t.Context(), of.ID, 30*24*time.Hour, e); err != nil {
			t.Fatal(err)
		}
	}
	var pages [][]string
	for before := int64(0); ; {
		ids, older := newest(before, 3)
		if pages = append(pages, ids); older == 0 {
			break
		}
		before = older
	}
	if got := fmt.Sprint(pages); got != "[[e6 e5 e4] [e3 e2 e1] [e0]]" {
		t.Errorf("back from the end: %s", got)
	}
	if ids, older := newest(0, 200); len(ids) != 7 || ids[0] != "e6" || older != 0 {
		t.Errorf("all are %v, %d", ids, older)
	}

	told := a.ask(201, "POST", customer+"/outgoing-webhooks", customersWebhook).text("id")
	untold := a.ask(201, "POST", customer+"/outgoing-webhooks", customersWebhook).text("id")
	e := boathook.Event{ID: "e5", Time: a.clock.Now()}
	d := boathook.Delivery{
		ID: boathook.NewDeliveryID(&e, told), WorkspaceID: "ws_local", SourceID: of.ID, WebhookID: told, EventID: "e5", EventType: "webhook.disabled",
		Status: boathook.DeliverySucceeded, Attempts: 1,
	}
	if err := a.store.RecordAttempt(t.Context(), d, boathook.Attempt{Number: 1, SentAt: a.clock.Now()}); err != nil {
		t.Fatal(err)
	}
	sent, err := s.Feeds.Event(t.Context(), member, of, "e5", service.FeedBack{Limit: 3})
	if err != nil || sent.ID != "e5" || len(sent.Sent) != 2 {
		t.Fatalf("got %+v, %v", sent, err)
	}
	for _, to := range sent.Sent {
		if went := to.Delivery != nil; went != (to.Webhook.ID == told) || went && to.Delivery.ID != d.ID {
			t.Errorf("to %s (told %s, untold %s): %+v", to.Webhook.ID, told, untold, to.Delivery)
		}
	}
	if _, err := s.Feeds.Event(t.Context(), member, of, "e1", service.FeedBack{Limit: 3}); !boathook.IsKind(err, boathook.NotFound) {
		t.Errorf("one that is not in this part: %v", err)
	}
}
