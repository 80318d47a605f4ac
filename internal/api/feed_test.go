package api_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
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
