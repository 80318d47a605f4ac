package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

// visit follows a link to a customer's portal.
func (a *tester) visit(link string) (service.PortalVisit, error) {
	a.t.Helper()
	token, ok := strings.CutPrefix(link, "https://hooks.example.com/portal/#token=")
	if !ok {
		a.t.Fatalf("the link is %s", link)
	}
	return service.New(a.config.Config).Callers.FindPortal(a.t.Context(), token)
}

// portal is the caller who is in a customer's portal.
func (a *tester) portal(customer string) service.Caller {
	a.t.Helper()
	v, err := a.visit(a.ask(201, "POST", customer+"/portal", "").text("url"))
	if err != nil {
		a.t.Fatal(err)
	}
	return v.Caller
}

func TestALinkOpensACustomersPortalUntilItEnds(t *testing.T) {
	a := newAPI(t)
	customer := a.customer("acct_1042")
	for _, tt := range []struct {
		body string
		life time.Duration
	}{{"", time.Hour}, {`{}`, time.Hour}, {`{"expires_seconds":1}`, time.Second}, {`{"expires_seconds":604800}`, 7 * 24 * time.Hour}} {
		made := a.clock.Now()
		link := a.as(a.tokenFor(stackToken, boathook.Member), 201, "POST", customer+"/portal", tt.body)
		if end := made.Add(tt.life); link.text("expires_at") != end.Format(boathook.TimeLayout) {
			t.Errorf("%s: it ends at %s, not %s", tt.body, link.text("expires_at"), end)
		}
		v, err := a.visit(link.text("url"))
		if err != nil || v.Customer.ID != idOf(customer) || v.Customer.Name != "Acme" || v.Sender != "Default" || !v.Until.Equal(made.Add(tt.life)) {
			t.Errorf("%s: %+v, %v", tt.body, v, err)
		}
		a.clock.pass(tt.life)
		v, err = a.visit(link.text("url"))
		if !boathook.IsKind(err, boathook.Gone) || v.Sender != "Default" || v.Caller != (service.Caller{}) {
			t.Errorf("%s, when it has ended: %+v, %v", tt.body, v, err)
		}
	}
	link := a.ask(201, "POST", customer+"/portal", "").text("url")
	if token := link[strings.Index(link, "=")+1:]; strings.Contains(a.log.String(), token) {
		t.Error("the token is in the log")
	}
	a.ask(204, "DELETE", customer, "")
	if v, err := a.visit(link); !boathook.IsKind(err, boathook.Gone) || v.Sender != "Default" || v.Caller != (service.Caller{}) {
		t.Errorf("of a customer that is deleted: %+v, %v", v, err)
	}
}

func TestNothingElseOpensAPortal(t *testing.T) {
	a := newAPI(t)
	customer := a.customer("acct_1042")
	for _, body := range []string{`{"expires_seconds":0}`, `{"expires_seconds":604801}`, `{"expires_seconds":-1}`} {
		a.refused(400, "expires_seconds", "POST", customer+"/portal", body)
	}
	link := a.ask(201, "POST", customer+"/portal", "").text("url")
	other := idOf(a.customer("acct_2"))
	for name, tt := range map[string]string{
		"another customer":  strings.Replace(link, idOf(customer), other, 1),
		"another workspace": strings.Replace(link, "ws_local", "ws_other", 1),
		"a WebSocket":       "https://hooks.example.com/portal/#token=" + a.ask(200, "GET", "/api/v1/ws-token", "").text("token"),
		"an API token":      "https://hooks.example.com/portal/#token=" + stackToken,
		"nothing":           "https://hooks.example.com/portal/#token=",
	} {
		if v, err := a.visit(tt); !boathook.IsKind(err, boathook.Unauthorized) || v.Caller != (service.Caller{}) || v.Sender != "" {
			t.Errorf("for %s: %+v, %v", name, v, err)
		}
	}
	// And it opens no API.
	token := link[strings.Index(link, "=")+1:]
	a.as(token, 401, "GET", "/v1/me", "")
	a.as(token, 401, "GET", customer, "")
}

// objectsOf are what an operation of a portal can name of one source.
type objectsOf struct {
	source            service.SourceRef
	webhook, delivery string
}

// portalCalls calls each operation that a portal has, on objects of one source.
func portalCalls(s *service.Service) map[service.Operation]func(context.Context, service.Caller, objectsOf) error {
	since := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	return map[service.Operation]func(context.Context, service.Caller, objectsOf) error{
		"Customers.Get": func(ctx context.Context, c service.Caller, o objectsOf) error {
			_, err := s.Customers.Get(ctx, c, o.source.ID)
			return err
		},
		"Outgoing.Create": func(ctx context.Context, c service.Caller, o objectsOf) error {
			_, _, err := s.Outgoing.Create(ctx, c, o.source, service.OutgoingChange{Name: new("x"), URL: new("https://e.example"), Events: []boathook.EventType{"*"}})
			return err
		},
		"Outgoing.List": func(ctx context.Context, c service.Caller, o objectsOf) error {
			_, _, err := s.Outgoing.List(ctx, c, o.source, boathook.Page{Limit: 10})
			return err
		},
		"Outgoing.Get": func(ctx context.Context, c service.Caller, o objectsOf) error {
			_, err := s.Outgoing.Get(ctx, c, o.source, o.webhook)
			return err
		},
		"Outgoing.Change": func(ctx context.Context, c service.Caller, o objectsOf) error {
			_, err := s.Outgoing.Change(ctx, c, o.source, o.webhook, service.OutgoingChange{Name: new("changed")})
			return err
		},
		"Outgoing.RotateSecret": func(ctx context.Context, c service.Caller, o objectsOf) error {
			_, _, err := s.Outgoing.RotateSecret(ctx, c, o.source, o.webhook, nil)
			return err
		},
		"Outgoing.Test": func(ctx context.Context, c service.Caller, o objectsOf) error {
			_, err := s.Outgoing.Test(ctx, c, o.source, o.webhook)
			return err
		},
		"Outgoing.Preview": func(ctx context.Context, c service.Caller, o objectsOf) error {
			_, err := s.Outgoing.Preview(ctx, c, o.source, o.webhook, service.Previewed{Type: "invoice.paid"})
			return err
		},
		"Outgoing.Recover": func(ctx context.Context, c service.Caller, o objectsOf) error {
			_, err := s.Outgoing.Recover(ctx, c, o.source, o.webhook, service.Recovery{Since: since})
			return err
		},
		"Outgoing.Replay": func(ctx context.Context, c service.Caller, o objectsOf) error {
			_, err := s.Outgoing.Replay(ctx, c, o.source, o.webhook, service.Replay{Since: since})
			return err
		},
		"Outgoing.Stats": func(ctx context.Context, c service.Caller, o objectsOf) error {
			_, err := s.Outgoing.Stats(ctx, c, o.source, o.webhook, service.StatsQuery{})
			return err
		},
		"Outgoing.StatsOfAll": func(ctx context.Context, c service.Caller, o objectsOf) error {
			_, err := s.Outgoing.StatsOfAll(ctx, c, o.source, service.StatsQuery{})
			return err
		},
		"Outgoing.Delete": func(ctx context.Context, c service.Caller, o objectsOf) error {
			return s.Outgoing.Delete(ctx, c, o.source, o.webhook)
		},
		"Deliveries.Get": func(ctx context.Context, c service.Caller, o objectsOf) error {
			_, err := s.Deliveries.Get(ctx, c, o.delivery)
			return err
		},
		"Deliveries.Resend": func(ctx context.Context, c service.Caller, o objectsOf) error {
			_, err := s.Deliveries.Resend(ctx, c, o.delivery)
			return err
		},
		"Deliveries.List": func(ctx context.Context, c service.Caller, o objectsOf) error {
			_, _, err := s.Deliveries.List(ctx, c, o.source, o.webhook, service.DeliveryFilter{}, boathook.Page{Limit: 10})
			return err
		},
		"Deliveries.All": func(ctx context.Context, c service.Caller, o objectsOf) error {
			_, _, err := s.Deliveries.All(ctx, c, service.DeliverySearch{SourceID: o.source.ID}, boathook.Page{Limit: 10})
			return err
		},
		"Deliveries.Names": func(ctx context.Context, c service.Caller, o objectsOf) error {
			names, err := s.Deliveries.Names(ctx, c, []boathook.Delivery{{SourceID: o.source.ID, WebhookID: o.webhook}})
			if err == nil && (names.Sources[o.source.ID].ID == "" || names.Webhooks[o.webhook] == "") {
				return boathook.Errorf(boathook.NotFound, "it has no name")
			}
			return err
		},
		"Feeds.Events": func(ctx context.Context, c service.Caller, o objectsOf) error {
			_, err := s.Feeds.Events(ctx, c, o.source, service.FeedFilter{Limit: 10})
			return err
		},
		"Feeds.Newest": func(ctx context.Context, c service.Caller, o objectsOf) error {
			_, err := s.Feeds.Newest(ctx, c, o.source, service.FeedBack{Limit: 10})
			return err
		},
		"Feeds.Event": func(ctx context.Context, c service.Caller, o objectsOf) error {
			_, err := s.Feeds.Event(ctx, c, o.source, "evt_of_"+o.source.ID, service.FeedBack{Limit: 10})
			return err
		},
		"EventTypes.List": func(ctx context.Context, c service.Caller, o objectsOf) error {
			types, _, err := s.EventTypes.List(ctx, c, boathook.Page{Limit: 200})
			for _, t := range types {
				if t.Source != boathook.Customer {
					return fmt.Errorf("it has the %s's type %s", t.Source, t.Name)
				}
			}
			return othersIfNot(o, err)
		},
		"EventTypes.Get": func(ctx context.Context, c service.Caller, o objectsOf) error {
			if o.source.Kind != boathook.Customer {
				_, err := s.EventTypes.Get(ctx, c, boathook.EventTypes[boathook.Repository][0])
				return err
			}
			_, err := s.EventTypes.Get(ctx, c, "invoice.paid")
			return othersIfNot(o, err)
		},
	}
}

// othersIfNot is for an operation that gives all customers the same.
func othersIfNot(o objectsOf, err error) error {
	if err == nil && o.webhook == "" {
		return boathook.Errorf(boathook.NotFound, "it is nobody's in particular")
	}
	return err
}

func TestAPortalReachesItsCustomerAndNothingElse(t *testing.T) {
	a := newAPI(t)
	s := service.New(a.config.Config)
	calls := portalCalls(s)
	a.define("invoice.paid", `{"description":"An invoice was paid.","example":{"invoice":"inv_17"}}`)

	// objects are what a source has.
	objects := func(path string, kind boathook.SourceKind, crew, webhook string) objectsOf {
		id := idOf(path)
		if webhook == "" {
			webhook = a.ask(201, "POST", path+"/outgoing-webhooks", customersWebhook).text("id")
		}
		a.ask(200, "PATCH", path+"/events", `{"event_retention_days":7}`)
		e := boathook.Event{ID: "evt_of_" + id, Type: boathook.EventTypes[kind][0], Time: a.clock.Now(), Data: []byte(`{}`)}
		if err := a.store.AppendEvents(a.t.Context(), id, 30*24*time.Hour, e); err != nil {
			a.t.Fatal(err)
		}
		return objectsOf{service.SourceRef{Kind: kind, ID: id, Crew: crew}, webhook, a.record(id, webhook, failedAttempt(1)).String()}
	}
	customer := a.customer("acct_1042")
	own := objects(customer, boathook.Customer, "", "")
	caller := a.portal(customer)

	agent, deployment := a.agent(), a.deployment()
	alerts := objectsOf{source: service.Alerts("ws_local"), webhook: a.ask(201, "POST", "/v1/alerts/outgoing-webhooks", alertsWebhook).text("id")}
	alerts.delivery = a.record(alerts.source.ID, alerts.webhook, failedAttempt(1)).String()
	others := map[string]objectsOf{
		"another customer": objects(a.customer("acct_2"), boathook.Customer, "", ""),
		"a deployment":     objects(deployment, boathook.Deployment, "", a.outgoing(deployment).text("id")),
		"an agent":         objects(agent, boathook.Agent, strings.Split(agent, "/")[3], a.outgoing(agent).text("id")),
		"the alerts":       alerts,
	}
	// Another's webhook and delivery, behind the customer's own name.
	mixed := others["another customer"]
	mixed.source = own.source
	others["another customer's webhook"] = mixed

	before := a.read(slices.Collect(maps.Values(others)))
	for name, other := range others {
		for op, call := range calls {
			if ofOneSource := !strings.HasPrefix(string(op), "EventTypes."); !ofOneSource && other.source.Kind == boathook.Customer {
				continue
			}
			if name == "another customer's webhook" && slices.Contains([]service.Operation{"Customers.Get", "Outgoing.Create", "Outgoing.List", "Outgoing.StatsOfAll", "Deliveries.All", "Feeds.Events", "Feeds.Newest", "Feeds.Event"}, op) {
				continue
			}
			if op == "EventTypes.List" {
				other.webhook = "" // no source's: see othersIfNot
			}
			if err := call(t.Context(), caller, other); !boathook.IsKind(err, boathook.NotFound) {
				t.Errorf("%s of %s: %v", op, name, err)
			}
		}
	}
	if after := a.read(slices.Collect(maps.Values(others))); after != before {
		t.Errorf("the portal has changed\n%s\nto\n%s", before, after)
	}

	nouns := reflect.ValueOf(*s)
	for field, noun := range nouns.Fields() {
		if field.Name == "Callers" {
			continue
		}
		for method, call := range noun.Methods() {
			op := service.Operation(field.Name + "." + method.Name)
			if _, ok := calls[op]; ok {
				continue
			}
			in := make([]reflect.Value, call.Type().NumIn())
			for i := range in {
				in[i] = reflect.Zero(call.Type().In(i))
			}
			in[1] = reflect.ValueOf(caller)
			out := call.Call(in)
			if err, _ := reflect.TypeAssert[error](out[len(out)-1]); !boathook.IsKind(err, boathook.Forbidden) {
				t.Errorf("%s: %v", op, err)
			}
		}
	}

	for _, op := range slices.Sorted(maps.Keys(calls)) {
		if op == "Outgoing.Delete" {
			continue // last: what is deleted is there no more
		}
		if err := calls[op](t.Context(), caller, own); err != nil {
			t.Errorf("%s of its own: %v", op, err)
		}
	}
	if err := calls["Outgoing.Delete"](t.Context(), caller, own); err != nil {
		t.Errorf("Outgoing.Delete of its own: %v", err)
	}
}

// read is all that the API tells of objects.
func (a *tester) read(of []objectsOf) string {
	a.t.Helper()
	var all []string
	for _, o := range of {
		path := map[boathook.SourceKind]string{
			boathook.Customer: "/v1/customers/" + o.source.ID, boathook.Deployment: "/v1/deployments/" + o.source.ID,
			boathook.Agent: "/v1/crews/" + o.source.Crew + "/agents/" + o.source.ID, boathook.Alerts: "/v1/alerts",
		}[o.source.Kind]
		for _, path := range []string{path + "/outgoing-webhooks", path + "/events", "/v1/deliveries/" + o.delivery} {
			text, err := json.Marshal(a.ask(200, "GET", path, ""))
			if err != nil {
				a.t.Fatal(err)
			}
			all = append(all, string(text))
		}
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

func TestWhatAWorkspaceNotesIsNotForItsCustomers(t *testing.T) {
	a := newAPI(t)
	s := service.New(a.config.Config)
	customer := "/v1/customers/" + a.ask(201, "POST", "/v1/customers", `{"name":"Acme","external_id":"acct_9","metadata":{"plan":"secret plan"}}`).text("id")
	webhook := a.ask(201, "POST", customer+"/outgoing-webhooks", `{"name":"x","url":"https://e.example","events":["*"],"metadata":{"owner":"secret owner"}}`).text("id")
	v, err := a.visit(a.ask(201, "POST", customer+"/portal", "").text("url"))
	if err != nil {
		t.Fatal(err)
	}
	of := service.SourceRef{Kind: boathook.Customer, ID: idOf(customer)}
	got, err := s.Customers.Get(t.Context(), v.Caller, of.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []boathook.Source{v.Customer, got} {
		if s.Name != "Acme" || s.Customer.ExternalID != "" || s.Customer.Metadata != nil {
			t.Errorf("the customer sees %+v", s.Customer)
		}
	}
	list, _, err := s.Outgoing.List(t.Context(), v.Caller, of, boathook.Page{Limit: 10})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	one, err := s.Outgoing.Get(t.Context(), v.Caller, of, webhook)
	if err != nil {
		t.Fatal(err)
	}
	changed, err := s.Outgoing.Change(t.Context(), v.Caller, of, webhook, service.OutgoingChange{Name: new("mine")})
	if err != nil {
		t.Fatal(err)
	}
	rotated, _, err := s.Outgoing.RotateSecret(t.Context(), v.Caller, of, webhook, nil)
	if err != nil {
		t.Fatal(err)
	}
	previewed, err := s.Outgoing.Preview(t.Context(), v.Caller, of, webhook, service.Previewed{Type: boathook.EventTypes[boathook.Customer][0]})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []boathook.OutgoingWebhook{list[0], one, changed, rotated, previewed.Webhook} {
		if w.Metadata != nil {
			t.Errorf("the customer sees %v", w.Metadata)
		}
	}
	if kept := a.ask(200, "GET", customer+"/outgoing-webhooks/"+webhook, ""); kept.object("metadata").text("owner") != "secret owner" || kept.text("name") != "mine" {
		t.Errorf("the workspace's own: %v", kept)
	}

	queue := &service.DestinationChange{Type: new(boathook.DestinationSQS), QueueARN: new("arn:aws:sqs:eu-central-1:111122223333:q")}
	for field, in := range map[string]service.OutgoingChange{
		"destination": {Destination: queue}, "metadata": {Metadata: map[string]string{}},
		"alert_after": {AlertAfter: &service.AlertThreshold{Failures: new(100), Seconds: new(0)}},
	} {
		_, err := s.Outgoing.Change(t.Context(), v.Caller, of, webhook, in)
		in.Name, in.Events = new("x"), []boathook.EventType{"*"}
		if in.Destination == nil {
			in.URL = new("https://e.example")
		}
		_, _, created := s.Outgoing.Create(t.Context(), v.Caller, of, in)
		for _, err := range []error{err, created} {
			if !boathook.IsKind(err, boathook.Forbidden) || !strings.HasPrefix(err.Error(), field+": ") {
				t.Errorf("%s: %v", field, err)
			}
		}
	}
}

func TestPortalsHaveALookAndOriginsThatMayFrameThem(t *testing.T) {
	a := newAPI(t)
	const path = "/v1/portal-settings"
	none := object{"name": nil, "accent": nil, "accent_dark": nil, "frame_origins": []any{}}
	want := func(what string, got, want object) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	want("at first", a.ask(200, "GET", path, ""), none)
	set := object{"name": "Kestrel Freight", "accent": "#7a2d63", "accent_dark": "#e0a2cd", "frame_origins": []any{
		"https://app.kestrel.example", "https://a.example:8443", "http://localhost:3000",
	}}
	want("all set", a.ask(200, "PATCH", path, `{"name":"Kestrel Freight","accent":"#7A2D63","accent_dark":"#E0A2CD","frame_origins":
		["https://App.kestrel.example:443/","https://a.example:8443","http://localhost:3000","https://app.kestrel.example"]}`), set)
	want("read", a.ask(200, "GET", path, ""), set)
	want("nothing given", a.ask(200, "PATCH", path, `{}`), set)
	want("another workspace's", a.as(a.otherWorkspace(), 200, "GET", path, ""), none)

	customer := a.customer("acct_1042")
	link := a.ask(201, "POST", customer+"/portal", "").text("url")
	if v, err := a.visit(link); err != nil || v.Sender != "Kestrel Freight" || v.Look.Accent != "#7a2d63" || len(v.Look.FrameOrigins) != 3 {
		t.Errorf("a visit has %+v, %v", v.Look, err)
	}
	a.clock.pass(time.Hour)
	if v, err := a.visit(link); v.Sender != "Kestrel Freight" || v.Look.Accent != "#7a2d63" || !strings.Contains(err.Error(), "ask Kestrel Freight for another") {
		t.Errorf("one of a link that has ended has %+v, %v", v.Look, err)
	}

	set["name"], set["frame_origins"] = nil, []any{}
	want("some taken away", a.ask(200, "PATCH", path, `{"name":null,"frame_origins":[]}`), set)
	set["accent_dark"] = nil
	want("the dark colour taken away", a.ask(200, "PATCH", path, `{"accent_dark":null}`), set)
	a.ask(200, "PATCH", path, `{"accent_dark":"#e0a2cd"}`)
	want("the colour taken away", a.ask(200, "PATCH", path, `{"accent":null}`), none)
}

func TestPortalSettingsThatWouldNotDoAreRefused(t *testing.T) {
	a := newAPI(t)
	const path = "/v1/portal-settings"
	many, _ := json.Marshal(strings.Split(strings.Repeat("https://a.example ", 11), " ")[:11])
	for _, tt := range []struct{ field, body string }{
		{"name", `{"name":""}`}, {"name", `{"name":"` + strings.Repeat("x", 101) + `"}`},
		{"accent", `{"accent":"#ffcc00"}`}, {"accent", `{"accent":"red"}`}, {"accent", `{"accent":""}`}, {"accent", `{"accent_dark":"#e0a2cd"}`},
		{"accent_dark", `{"accent":"#7a2d63","accent_dark":"#7a2d63"}`},
		{"frame_origins", `{"frame_origins":` + string(many) + `}`},
		{"frame_origins", `{"frame_origins":["https://` + strings.Repeat("a.", 150) + `example"]}`},
	} {
		a.refused(400, tt.field, "PATCH", path, tt.body)
	}
	for _, origin := range []string{
		"", "*", "https://*", "https://*.example.com", "http://a.example", "a.example", "https://a.example/x", "https://a.example?x", "https://a.example#x", "https://a@a.example",
		"https://a.example https://b.example", "https://a.example; script-src *", "https://a.example'self'", "data:", "https:", "https://", "https://[::1]", "https://a..example",
		"https://a.example:", "https://a.example:x", "https://ä.example", "ftp://a.example", "http://localhost.example", "null", "'self'", "https://a.example\\n",
	} {
		body, err := json.Marshal(map[string][]string{"frame_origins": {origin}})
		if err != nil {
			t.Fatal(err)
		}
		a.refused(400, "frame_origins", "PATCH", path, string(body))
	}
	if got := a.ask(200, "GET", path, ""); got["name"] != nil || got["accent"] != nil || len(got.list("frame_origins")) != 0 {
		t.Errorf("what was refused has changed them to %v", got)
	}
}
