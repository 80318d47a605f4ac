package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/catalogue"
	"boathook/internal/service"
	"boathook/internal/store"
)

// newApp makes one through the API, and gives its id.
func (a *tester) newApp() (id string) {
	a.t.Helper()
	return a.ask(201, "POST", "/v1/apps", `{"name":"shop"}`).text("id")
}

func exampleOf(t *testing.T, kind boathook.SourceKind, name boathook.EventType) string {
	t.Helper()
	c, ok := catalogue.Lookup(kind, name)
	if !ok {
		t.Fatalf("a %s has no event %s", kind, name)
	}
	return string(c.Example)
}

func jobFinished(t *testing.T, source, more string) string {
	t.Helper()
	return `{"source":"` + source + `","type":"job_finished","data":` + exampleOf(t, boathook.App, boathook.EventJobFinished) + more + `}`
}

func TestAnEventIsPublishedWithItsDataByteForByte(t *testing.T) {
	a := newAPI(t)
	app := a.newApp()
	data := strings.Replace(exampleOf(t, boathook.App, boathook.EventJobFinished), `"stack":"macos-tahoe"`, ` "stack" :  "\u00fc<&>" `, 1)
	got := a.ask(202, "POST", "/v1/events", `{"source":"`+app+`","type":"job_finished","environment":"staging","data":`+data+`}`)
	events := got.list("events")
	if len(events) != 1 || !boathook.HasIDKind(events[0].text("id"), boathook.EventID) || events[0]["deliveries"] != 2.0 {
		t.Errorf("answered %v", got)
	}
	e := a.publish.events[0]
	if e.ID != events[0].text("id") || e.SourceID != app || e.WorkspaceID != "ws_local" || e.Type != boathook.EventJobFinished ||
		e.Environment != boathook.Staging || !e.Time.Equal(a.clock.Now()) {
		t.Errorf("published %+v", e)
	}
	if string(e.Data) != data {
		t.Errorf("the data is %s, want %s", e.Data, data)
	}
}

func TestABatchIsPublishedInItsOrder(t *testing.T) {
	a := newAPI(t)
	app := a.newApp()
	repository := a.ask(201, "POST", "/v1/repositories", `{"owner":"acme","name":"site"}`).text("id")
	other := a.newApp()
	got := a.ask(202, "POST", "/v1/events", `{"events":[`+
		jobFinished(t, app, `,"id":"first"`)+`,`+
		`{"source":"`+repository+`","type":"build_finish","data":`+exampleOf(t, boathook.Repository, boathook.EventBuildFinish)+`},`+
		jobFinished(t, other, ``)+`]}`)
	if fmt.Sprint(got.list("events")[0]) != "map[deliveries:2 id:first]" || got.list("events")[2]["deliveries"] != 4.0 {
		t.Errorf("answered %v", got)
	}
	for i, want := range []string{app, repository, other} {
		if a.publish.events[i].SourceID != want {
			t.Errorf("event %d is of %s, want %s", i, a.publish.events[i].SourceID, want)
		}
	}
}

func TestARepeatedEventIsPublishedOnce(t *testing.T) {
	a := newAPI(t)
	app := a.newApp()
	for name, c := range map[string]struct {
		body   string
		header []string
	}{
		"by its id":              {jobFinished(t, app, `,"id":"order-1"`), nil},
		"by the key":             {jobFinished(t, app, ``), []string{"Idempotency-Key", "k1"}},
		"a batch by the key":     {`{"events":[` + jobFinished(t, app, ``) + `,` + jobFinished(t, app, ``) + `]}`, []string{"Idempotency-Key", "k2"}},
		"a batch by id and key":  {`{"events":[` + jobFinished(t, app, `,"id":"order-2"`) + `,` + jobFinished(t, app, ``) + `]}`, []string{"Idempotency-Key", "k3"}},
		"by its id and no key":   {`{"events":[` + jobFinished(t, app, `,"id":"order-3"`) + `]}`, nil},
		"by its id, with spaces": {strings.ReplaceAll(jobFinished(t, app, `,"id":"order-4"`), ",", " ,"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			a.publish.events = nil
			first := a.ask(202, "POST", "/v1/events", c.body, c.header...)
			sent := len(a.publish.events)
			a.clock.pass(time.Hour)
			again := a.ask(202, "POST", "/v1/events", c.body, c.header...)
			if fmt.Sprint(first) != fmt.Sprint(again) {
				t.Errorf("answered %v, then %v", first, again)
			}
			if len(a.publish.events) != sent {
				t.Errorf("published %d events, then %d", sent, len(a.publish.events)-sent)
			}
		})
	}
}

func TestAnEventWhosePublishingFailedKeepsItsIDAndTime(t *testing.T) {
	a := newAPI(t)
	body := jobFinished(t, a.newApp(), ``)
	at := a.clock.Now()
	a.publish.err = errors.New("down")
	a.refused(503, "", "POST", "/v1/events", body, "Idempotency-Key", "k")
	a.clock.pass(time.Minute)
	a.publish.err = nil
	got := a.ask(202, "POST", "/v1/events", body, "Idempotency-Key", "k")
	if e := a.publish.events; len(e) != 1 || !e[0].Time.Equal(at) || e[0].ID != got.list("events")[0].text("id") {
		t.Errorf("published %+v, want one event of %s", e, at)
	}
}

func TestAnIDOrKeyIsForOneContent(t *testing.T) {
	a := newAPI(t)
	app := a.newApp()
	one, other := jobFinished(t, app, `,"id":"x"`), jobFinished(t, app, `,"id":"x","environment":"staging"`)
	a.ask(202, "POST", "/v1/events", one)
	a.refused(409, "id", "POST", "/v1/events", other)
	a.publish.events = nil
	a.refused(409, "/events/1/id", "POST", "/v1/events", `{"events":[`+jobFinished(t, app, `,"id":"y"`)+`,`+other+`]}`)
	if len(a.publish.events) != 0 {
		t.Error("a part of the batch was published")
	}

	plain := jobFinished(t, app, ``)
	a.ask(202, "POST", "/v1/events", `{"events":[`+plain+`,`+plain+`]}`, "Idempotency-Key", "k")
	a.refused(409, "Idempotency-Key", "POST", "/v1/events", `{"events":[`+plain+`]}`, "Idempotency-Key", "k")

	// A request that is refused for an id has not used up its key.
	a.refused(409, "/events/1/id", "POST", "/v1/events", `{"events":[`+plain+`,`+other+`]}`, "Idempotency-Key", "mixed")
	a.ask(202, "POST", "/v1/events", `{"events":[`+plain+`]}`, "Idempotency-Key", "mixed")

	// Another workspace's ids and keys are its own.
	token := a.otherWorkspace()
	theirs := a.as(token, 201, "POST", "/v1/apps", `{"name":"shop"}`).text("id")
	a.as(token, 202, "POST", "/v1/events", jobFinished(t, theirs, `,"id":"x"`))
	a.as(token, 202, "POST", "/v1/events", jobFinished(t, theirs, ``), "Idempotency-Key", "k")
}

func TestAllEventsAreCheckedBeforeAnyIsPublished(t *testing.T) {
	a := newAPI(t)
	app := a.newApp()
	good := jobFinished(t, app, ``)
	theirs := a.as(a.otherWorkspace(), 201, "POST", "/v1/apps", `{"name":"shop"}`).text("id")
	event := func(source, name, data string) string {
		return `{"source":"` + source + `","type":"` + name + `","data":` + data + `}`
	}
	for _, c := range []struct {
		status        int
		field, event  string
		fieldIfSingle string
	}{
		{400, "/source", `{"type":"job_finished","data":{}}`, "source"},
		{400, "/type", `{"source":"` + app + `","data":{}}`, "type"},
		{400, "/data", `{"source":"` + app + `","type":"job_finished"}`, "data"},
		{404, "/source", event("app_unknown", "job_finished", `{}`), "source"},
		{404, "/source", event(theirs, "job_finished", `{}`), "source"},
		{400, "/type", event(app, "build_finish", `{}`), "type"},
		{400, "/type", event(app, "job_started", `{}`), "type"},
		{400, "/data", event(app, "job_finished", `[]`), "data"},
		{400, "/data", event(app, "job_finished", `null`), "data"},
		{400, "/data/appBuildId", event(app, "job_finished", `{}`), "/data/appBuildId"},
		{400, "/data/status", strings.Replace(good, `"status":"canceled"`, `"status":"done"`, 1), "/data/status"},
		{400, "/data/more", strings.Replace(good, `"data":{`, `"data":{"more":1,`, 1), "/data/more"},
		{400, "/data", event(app, "job_finished", strings.Repeat("[", 600)+strings.Repeat("]", 600)), "data"},
		{413, "/data", event(app, "job_finished", `"`+strings.Repeat("x", 256<<10)+`"`), "data"},
		{400, "/environment", jobFinished(t, app, `,"environment":"test"`), "environment"},
		{400, "/id", jobFinished(t, app, `,"id":"a b"`), "id"},
		{400, "/id", jobFinished(t, app, `,"id":"`+strings.Repeat("x", 101)+`"`), "id"},
	} {
		a.refused(c.status, c.fieldIfSingle, "POST", "/v1/events", c.event)
		a.refused(c.status, "/events/1"+c.field, "POST", "/v1/events", `{"events":[`+good+`,`+c.event+`]}`)
	}
	for _, c := range []struct {
		status      int
		field, body string
		header      []string
	}{
		{400, "source", ``, nil},
		{400, "events", `{"events":[]}`, nil},
		{400, "events", `{"events":[` + strings.TrimSuffix(strings.Repeat(good+",", 101), ",") + `]}`, nil},
		{400, "events", `{"id":"x","events":[` + good + `]}`, nil},
		{400, "/events/1/id", `{"events":[` + jobFinished(t, app, `,"id":"x"`) + `,` + jobFinished(t, app, `,"id":"x"`) + `]}`, nil},
		{400, "type", `{"type":5}`, nil},
		{400, "time", `{"time":"2026-01-01T00:00:00Z"}`, nil},
		{400, "Idempotency-Key", good, []string{"Idempotency-Key", strings.Repeat("k", 256)}},
		{400, "Idempotency-Key", good, []string{"Idempotency-Key", "k1", "Idempotency-Key", "k2"}},
		{400, "Idempotency-Key", good, []string{"Idempotency-Key", "k1,k2"}},
	} {
		a.refused(c.status, c.field, "POST", "/v1/events", c.body, c.header...)
	}
	if len(a.publish.events) > 0 {
		t.Errorf("%d events were published", len(a.publish.events))
	}
}

func TestABatchMayHave100EventsAnd5MB(t *testing.T) {
	a := newAPI(t)
	app := a.newApp()
	good := jobFinished(t, app, ``)
	fit := `{"events":[` + strings.TrimSuffix(strings.Repeat(good+",", 100), ",") + `]}`
	fit += strings.Repeat(" ", 5_000_000-len(fit))
	if got := a.ask(202, "POST", "/v1/events", fit).list("events"); len(got) != 100 {
		t.Errorf("answered %d events", len(got))
	}
	if message := a.refused(413, "", "POST", "/v1/events", fit+" "); !strings.Contains(message, "5000000") || !strings.Contains(message, "fewer events") {
		t.Errorf("%q names no remedy", message)
	}
}

// The largest data that is allowed is 256 KiB, of which white space counts.
func TestDataMayHave256KiB(t *testing.T) {
	a := newAPI(t)
	data := exampleOf(t, boathook.App, boathook.EventJobFinished)
	data = "{" + strings.Repeat(" ", 256<<10-len(data)) + data[1:]
	a.ask(202, "POST", "/v1/events", `{"source":"`+a.newApp()+`","type":"job_finished","data":`+data+`}`)
	if got := len(a.publish.events[0].Data); got != 256<<10 {
		t.Errorf("published %d bytes", got)
	}
}

// failingMark is a store that can't mark events as published.
type failingMark struct{ service.Store }

func (failingMark) MarkEventPublished(context.Context, string, string, []int) error {
	return errors.New("down")
}

func TestEventsThatAreOnTheirWayAreAcceptedThoughTheMarkFails(t *testing.T) {
	a := newAPI(t, func(c *config) { c.Store = failingMark{c.Store} })
	body := jobFinished(t, a.newApp(), `,"id":"x"`)
	for range 2 { // the second finds no mark, and publishes under the same id
		a.ask(202, "POST", "/v1/events", body)
	}
	if e := a.publish.events; len(e) != 2 || e[0].ID != e[1].ID || !e[0].Time.Equal(e[1].Time) {
		t.Errorf("published %+v", e)
	}
	if !strings.Contains(a.log.String(), "without a mark") {
		t.Errorf("logged %s", a.log)
	}
}

// pins counts the writes to a store for events that may be published again.
type pins struct {
	service.Store
	writes int
}

func (p *pins) PinEvent(ctx context.Context, e store.EventPin) (store.EventPin, error) {
	p.writes++
	return p.Store.PinEvent(ctx, e)
}

func (p *pins) MarkEventPublished(ctx context.Context, workspaceID, id string, deliveries []int) error {
	p.writes++
	return p.Store.MarkEventPublished(ctx, workspaceID, id, deliveries)
}

func TestAKeyCostsTwoWritesHoweverManyEventsItIsFor(t *testing.T) {
	var p *pins
	a := newAPI(t, func(c *config) {
		p = &pins{Store: c.Store}
		c.Store = p
	})
	event := jobFinished(t, a.newApp(), ``)
	a.ask(202, "POST", "/v1/events", `{"events":[`+strings.Repeat(event+",", 99)+event+`]}`, "Idempotency-Key", "k")
	if p.writes != 2 {
		t.Errorf("%d writes, want 2", p.writes)
	}
}

func TestOfARepeatedBatchOnlyWhatIsNewIsPublished(t *testing.T) {
	a := newAPI(t)
	app := a.newApp()
	named, plain := jobFinished(t, app, `,"id":"order-1"`), jobFinished(t, app, ``)
	at := a.clock.Now()
	a.ask(202, "POST", "/v1/events", named)
	a.publish.events = nil
	a.clock.pass(time.Minute)
	batch := `{"events":[` + plain + `,` + named + `,` + plain + `]}`
	first := a.ask(202, "POST", "/v1/events", batch, "Idempotency-Key", "k").list("events")
	if e := a.publish.events; len(e) != 2 || e[0].ID == e[1].ID || !e[0].Time.Equal(at.Add(time.Minute)) || !e[1].Time.Equal(e[0].Time) {
		t.Errorf("published %+v, want the two events of the key", e)
	}
	a.clock.pass(time.Minute)
	again := a.ask(202, "POST", "/v1/events", batch, "Idempotency-Key", "k").list("events")
	if fmt.Sprint(first) != fmt.Sprint(again) || len(a.publish.events) != 2 {
		t.Errorf("answered %v, then %v, and published %d events", first, again, len(a.publish.events))
	}
	for i, deliveries := range []float64{2, 2, 3} {
		if first[i]["deliveries"] != deliveries {
			t.Errorf("event %d has %v deliveries, want %v", i, first[i]["deliveries"], deliveries)
		}
	}
}

func TestTheCatalogueIsShownWithSchemasAndExamples(t *testing.T) {
	a := newAPI(t)
	token := a.tokenFor(stackToken, boathook.Viewer)
	types := a.as(token, 200, "GET", "/v1/event-types", "").list("data")
	if len(types) != len(catalogue.All()) {
		t.Fatalf("it has %d types, want %d", len(types), len(catalogue.All()))
	}
	for _, o := range types {
		kind, name := boathook.SourceKind(o.text("source")), boathook.EventType(o.text("type"))
		example, err := json.Marshal(o["example"])
		if err != nil {
			t.Fatal(err)
		}
		if c, ok := catalogue.Lookup(kind, name); !ok || c.Validate(example) != nil || o.object("schema").text("$schema") == "" {
			t.Errorf("%s of a %s is %v", name, kind, o)
		}
	}
}

// A receiver that trusts Boathook's signature trusts that a run has succeeded, and
// that a webhook was disabled.
func TestBoathooksOwnWordsAreNotPublished(t *testing.T) {
	a := newAPI(t)
	deployment, agent, app, customer := idOf(a.deployment()), idOf(a.agent()), a.newApp(), idOf(a.customer("x"))
	token := a.tokenFor(stackToken, boathook.Member)
	publishable := 0
	for _, o := range a.ask(200, "GET", "/v1/event-types", "").list("data") {
		kind, name := boathook.SourceKind(o.text("source")), boathook.EventType(o.text("type"))
		source := map[boathook.SourceKind]string{boathook.Deployment: deployment, boathook.Agent: agent, boathook.App: app, boathook.Customer: customer, boathook.Alerts: "alerts"}[kind]
		if kind == boathook.Repository {
			source = a.ask(201, "POST", "/v1/repositories", `{"owner":"acme","name":"site"}`).text("id")
		}
		event := `{"source":"` + source + `","type":"` + string(name) + `","data":` + exampleOf(t, kind, name) + `}`
		if o["publishable"] == true {
			publishable++
			a.as(token, 202, "POST", "/v1/events", event)
			continue
		}
		for _, who := range []string{token, stackToken} {
			e := a.as(who, 403, "POST", "/v1/events", event).object("error")
			if e.text("field") != "type" || !strings.Contains(e.text("message"), "Boathook alone") {
				t.Errorf("%s: refused with %v", name, e)
			}
		}
		a.refused(403, "/events/1/type", "POST", "/v1/events", `{"events":[`+jobFinished(t, app, ``)+`,`+event+`]}`)
	}
	for _, name := range []string{"run.x", "run.", "webhook.failing", "delivery.exhausted"} { // also those that are not told of yet
		a.refused(403, "type", "POST", "/v1/events", `{"source":"`+app+`","type":"`+name+`","data":{}}`)
	}
	if len(a.publish.events) != publishable || publishable != 5 {
		t.Errorf("%d events were published, %d can be", len(a.publish.events), publishable)
	}
}

func TestViewersDontPublish(t *testing.T) {
	a := newAPI(t)
	a.as(a.tokenFor(stackToken, boathook.Viewer), 403, "POST", "/v1/events", jobFinished(t, a.newApp(), ``))
	a.as(a.tokenFor(stackToken, boathook.Member), 202, "POST", "/v1/events", jobFinished(t, a.newApp(), ``))
}

// What a publisher sends is read without a panic, and published as it came or
// not at all.
func FuzzPublishTakesAnEventAsItIsOrRefusesIt(f *testing.F) {
	for _, c := range catalogue.All() {
		f.Add(`{"source":"app_x","type":"` + string(c.Name) + `","data":` + string(c.Example) + `}`)
	}
	f.Add(`{"events":[{"id":"a"},null,{"data":{"status":1e9999999}}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		a := newAPI(t)
		source := boathook.Source{ID: "app_x", WorkspaceID: "ws_local", Kind: boathook.App}
		if err := a.store.PutSource(t.Context(), source); err != nil {
			t.Fatal(err)
		}
		w := a.request(stackToken, "POST", "/v1/events", body)
		if w.Code == 202 != (len(a.publish.events) > 0) || w.Code >= 500 {
			t.Errorf("%q: answered %d %s, published %d", body, w.Code, w.Body, len(a.publish.events))
		}
		for _, e := range a.publish.events {
			if !strings.Contains(body, string(e.Data)) {
				t.Errorf("%q: published %q", body, e.Data)
			}
		}
	})
}

func TestDeliveriesFollowFromTheTraceOfThePublish(t *testing.T) {
	a := newAPI(t)
	event := jobFinished(t, a.newApp(), "")
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for header, want := range map[string]boathook.TraceContext{parent: {Parent: parent, State: "a=1"}, parent + "0": {}} {
		a.ask(202, "POST", "/v1/events", event, "traceparent", header, "tracestate", "a=1")
		if a.publish.trace != want {
			t.Errorf("with %s, published with %+v, want %+v", header, a.publish.trace, want)
		}
	}
}
