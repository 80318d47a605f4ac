package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/catalogue"
)

const invoicePaid = `{"description":"An invoice was paid.","version":"2","schema":{
	"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","required":["invoice","lines"],
	"properties":{"invoice":{"type":"string","pattern":"^inv_"},"lines":{"type":"array","items":{"$ref":"#/$defs/line"}}},
	"$defs":{"line":{"type":"object","properties":{"amount":{"type":"integer","minimum":1}},"required":["amount"],"additionalProperties":false}}},
	"example":{"invoice":"inv_17","lines":[{"amount":12345678901234567890}]}}`

// define defines a type, and gives its path.
func (a *tester) define(name, definition string) string {
	a.t.Helper()
	path := "/v1/event-types/" + name
	a.ask(200, "PUT", path, definition)
	return path
}

func paid(source, data string) string {
	return `{"source":"` + source + `","type":"invoice.paid","data":` + data + `}`
}

func TestATypeOfOnesOwnIsMadeChangedArchivedAndTakenBack(t *testing.T) {
	a := newAPI(t)
	const path = "/v1/event-types/invoice.paid"
	a.ask(404, "GET", path, "")
	made := a.ask(200, "PUT", path, invoicePaid)
	var input map[string]any
	if err := json.Unmarshal([]byte(invoicePaid), &input); err != nil {
		t.Fatal(err)
	}
	want := object{
		"type": "invoice.paid", "source": "customer", "publishable": true, "description": "An invoice was paid.", "version": "2",
		"schema": input["schema"], "example": input["example"],
		"created_at": "2026-03-01T12:00:00.000Z", "updated_at": "2026-03-01T12:00:00.000Z", "archived_at": nil,
	}
	if !reflect.DeepEqual(made, want) || !reflect.DeepEqual(a.ask(200, "GET", path, ""), want) {
		t.Errorf("made %v, want %v", made, want)
	}
	a.ask(204, "DELETE", path, "")
	a.ask(204, "DELETE", path, "")
	if got := a.ask(200, "GET", path, ""); got["archived_at"] == nil || got["publishable"] != false || !reflect.DeepEqual(got["schema"], want["schema"]) {
		t.Errorf("archived, it is %v", got)
	}
	again := a.ask(200, "PUT", path, `{"description":"","schema":null,"example":null}`)
	if again["archived_at"] != nil || again["publishable"] != true || again["schema"] != nil || again["example"] != nil || again["version"] != nil || again["created_at"] != want["created_at"] {
		t.Errorf("taken back, it is %v", again)
	}
	a.as(a.otherWorkspace(), 404, "GET", path, "")
	a.as(a.otherWorkspace(), 404, "DELETE", path, "")
	a.ask(404, "DELETE", "/v1/event-types/build_finish", "")
	if got := a.ask(200, "GET", "/v1/event-types/build_finish", ""); got["source"] != "repository" || got["description"] == "" {
		t.Errorf("of the catalogue: %v", got)
	}
}

func TestTheWorkspacesTypesAndTheCatalogueAreOneListInPages(t *testing.T) {
	a := newAPI(t)
	want := make(map[string]bool)
	for i := range 25 {
		name := fmt.Sprintf("own.type-%d", i)
		a.define(name, `{"description":"x"}`)
		want["customer/"+name] = true
		a.clock.pass(1)
	}
	for _, c := range catalogue.All() {
		want[string(c.Source)+"/"+string(c.Name)] = true
	}
	path, pages := "/v1/event-types?limit=7", 0
	for cursor := ""; ; pages++ {
		got := a.ask(200, "GET", path+cursor, "")
		for _, o := range got.list("data") {
			if name := o.text("source") + "/" + o.text("type"); !want[name] {
				t.Errorf("%s is listed, or is twice", name)
			} else {
				delete(want, name)
			}
		}
		if got["next_cursor"] == nil {
			break
		}
		cursor = "&cursor=" + got.text("next_cursor")
	}
	if len(want) > 0 || pages < 4 {
		t.Errorf("not listed in %d pages: %v", pages+1, want)
	}
	a.refused(400, "cursor", "GET", "/v1/event-types?cursor=x", "")
}

func TestATypesFieldsAreBounded(t *testing.T) {
	a := newAPI(t)
	for _, name := range []string{"a..b", ".a", "a.", "a%20b", "a%2Fb", "%C3%A9", "*", strings.Repeat("a", 101)} {
		if message := a.refused(400, "name", "PUT", "/v1/event-types/"+name, `{"description":"x"}`); !strings.Contains(message, "100 characters") {
			t.Errorf("%s: %s", name, message)
		}
	}
	for _, name := range []string{"run.started", "webhook.x", "delivery.exhausted", "build_finish", "job_finished", "ping"} {
		a.refused(400, "name", "PUT", "/v1/event-types/"+name, `{"description":"x"}`)
	}
	long := `"` + strings.Repeat("x", 32<<10) + `"`
	for _, c := range []struct{ field, body string }{
		{"description", `{}`}, {"description", `{"description":"` + strings.Repeat("é", 1001) + `"}`},
		{"version", `{"description":"x","version":"` + strings.Repeat("1", 51) + `"}`},
		{"schema", `{"description":"x","schema":{"title":` + long + `}}`}, {"example", `{"description":"x","example":{"a":` + long + `}}`},
		{"schema", `{"description":"x","schema":true}`}, {"schema", `{"description":"x","schema":[]}`},
		{"schema", `{"description":"x","schema":` + strings.Repeat(`{"not":`, 513) + `{}` + strings.Repeat(`}`, 513) + `}`},
		{"/schema/properties/a/unevaluatedItems", `{"description":"x","schema":{"properties":{"a":{"unevaluatedItems":false}}}}`},
		{"/schema/$ref", `{"description":"x","schema":{"$ref":"http://169.254.169.254/"}}`},
		{"/schema/pattern", `{"description":"x","schema":{"pattern":"(a+"}}`},
		{"example", `{"description":"x","example":[]}`}, {"example", `{"description":"x","schema":{"required":["a"]},"example":"a"}`},
		{"/example/a", `{"description":"x","schema":{"required":["a"]},"example":{}}`},
		{"/example/a/0", `{"description":"x","schema":{"properties":{"a":{"items":{"type":"string"}}}},"example":{"a":[1]}}`},
		{"colour", `{"description":"x","colour":"red"}`},
	} {
		a.refused(400, c.field, "PUT", "/v1/event-types/x", c.body)
	}
	a.refused(413, "", "PUT", "/v1/event-types/x", `{"description":"`+strings.Repeat("x", 2<<20)+`"}`)
	a.ask(404, "GET", "/v1/event-types/x", "")
}

func TestAWorkspaceHasAsManyTypesAsItMay(t *testing.T) {
	a := newAPI(t)
	for i := range boathook.MaxEventTypes {
		a.define(fmt.Sprintf("t%d", i), `{"description":"x"}`)
	}
	a.ask(204, "DELETE", "/v1/event-types/t7", "")
	if message := a.refused(400, "", "PUT", "/v1/event-types/more", `{"description":"x"}`); !strings.Contains(message, "at most 200") {
		t.Error(message)
	}
	a.define("t7", `{"description":"x"}`)
	a.as(a.otherWorkspace(), 200, "PUT", "/v1/event-types/more", `{"description":"x"}`)
}

func TestDataOfATypeOfOnesOwnIsHeldToItsSchema(t *testing.T) {
	a := newAPI(t)
	customer := idOf(a.customer("acct/1"))
	a.define("invoice.paid", invoicePaid)
	a.define("any.object", `{"description":"x"}`)
	good := `{"invoice":"inv_1","lines":[{"amount":1}]}`
	for _, source := range []string{customer, "customer:acct/1"} {
		a.ask(202, "POST", "/v1/events", paid(source, good))
		a.ask(202, "POST", "/v1/events", `{"source":"`+source+`","type":"any.object","data":{"a":[]}}`)
	}
	if e := a.publish.events[1]; e.Type != "any.object" || e.SourceID != customer || len(a.publish.events) != 4 {
		t.Errorf("published %+v", a.publish.events)
	}
	for field, data := range map[string]string{
		"data": `[]`, "/data/invoice": `{"invoice":"17","lines":[]}`, "/data/lines": `{"invoice":"inv_1"}`,
		"/data/lines/1/amount": `{"invoice":"inv_1","lines":[{"amount":1},{"amount":0}]}`, "/data/lines/0/more": `{"invoice":"inv_1","lines":[{"amount":1,"more":1}]}`,
	} {
		a.refused(400, field, "POST", "/v1/events", paid(customer, data))
		if field != "data" {
			a.refused(400, "/events/1"+field, "POST", "/v1/events", `{"events":[`+paid(customer, good)+`,`+paid("customer:acct/1", data)+`]}`)
		}
	}
	a.refused(400, "data", "POST", "/v1/events", `{"source":"`+customer+`","type":"any.object","data":[]}`)
	a.refused(400, "type", "POST", "/v1/events", `{"source":"`+customer+`","type":"invoice.Paid","data":{}}`)
	a.refused(400, "type", "POST", "/v1/events", `{"source":"`+a.newApp()+`","type":"invoice.paid","data":`+good+`}`)
	a.refused(403, "type", "POST", "/v1/events", `{"source":"`+customer+`","type":"webhook.disabled","data":{}}`)

	// A schema that is put anew counts at once.
	a.define("invoice.paid", `{"description":"x","schema":{"required":["new"]}}`)
	a.refused(400, "/data/new", "POST", "/v1/events", paid(customer, good))
}

func TestATypeThatIsArchivedIsNotNewlyWantedNorPublished(t *testing.T) {
	a := newAPI(t)
	customer := a.customer("x")
	path := a.define("invoice.paid", `{"description":"x","example":{"a":1}}`)
	a.define("invoice.due", `{"description":"x"}`)
	webhooks := customer + "/outgoing-webhooks"
	wanting := func(events string) string { return `{"name":"x","url":"https://e.example","events":[` + events + `]}` }
	webhook := webhooks + "/" + a.ask(201, "POST", webhooks, wanting(`"invoice.paid","webhook.disabled"`)).text("id")
	if got := a.ask(200, "GET", webhook, ""); got.text("dialect") != "standard" {
		t.Errorf("its dialect is %v", got["dialect"])
	}
	a.ask(204, "DELETE", path, "")
	if message := a.refused(400, "events", "POST", webhooks, wanting(`"invoice.paid"`)); !strings.Contains(message, "is archived") {
		t.Error(message)
	}
	if message := a.refused(400, "type", "POST", "/v1/events", paid(idOf(customer), `{}`)); !strings.Contains(message, "is archived") {
		t.Error(message)
	}
	got := a.ask(200, "PATCH", webhook, `{"events":["invoice.due","invoice.paid"]}`) // which it wanted before
	if fmt.Sprint(got["events"]) != "[invoice.due invoice.paid]" {
		t.Errorf("it wants %v", got["events"])
	}
	a.ask(202, "POST", webhook+"/test", "")
	a.ask(200, "PATCH", webhook, `{"events":["invoice.due"]}`)
	a.refused(400, "events", "PATCH", webhook, `{"events":["invoice.paid"]}`)
	if message := a.refused(400, "events", "PATCH", webhook, `{"events":["never.made"]}`); !strings.Contains(message, "there is no type") {
		t.Error(message)
	}
	a.define("invoice.paid", `{"description":"x"}`)
	a.ask(200, "PATCH", webhook, `{"events":["invoice.paid"]}`)
	a.ask(202, "POST", "/v1/events", paid(idOf(customer), `{}`))

	app, _ := a.app()
	a.refused(400, "events", "POST", "/v1/apps/"+idOf(strings.TrimSuffix(app, "/webhooks"))+"/outgoing-webhooks", wanting(`"invoice.paid"`))
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprintf(`"t.%d"`, i)
	}
	if message := a.refused(400, "events", "POST", webhooks, wanting(strings.Join(many, ","))); !strings.Contains(message, "at most 100") {
		t.Error(message)
	}
}

// The test of a webhook that wants every type is one that it can get.
func TestACustomersWebhookIsTestedWithATypeOfTheWorkspace(t *testing.T) {
	a := newAPI(t)
	webhooks := a.customer("x") + "/outgoing-webhooks"
	webhook := webhooks + "/" + a.ask(201, "POST", webhooks, customersWebhook).text("id")
	test := func(wantType boathook.EventType, wantData string) {
		t.Helper()
		a.ask(202, "POST", webhook+"/test", "")
		if e := a.publish.event; e.Type != wantType || wantData != "" && string(e.Data) != wantData {
			t.Errorf("sent %s %s, want %s %s", e.Type, e.Data, wantType, wantData)
		}
	}
	test("webhook.disabled", "")
	a.ask(204, "DELETE", a.define("a.archived", `{"description":"x","example":{"a":1}}`), "")
	a.define("b.first", `{"description":"x","example":{"b":1}}`)
	a.define("c.bare", `{"description":"x"}`)
	test("b.first", `{"b":1}`)
	a.ask(200, "PATCH", webhook, `{"events":["c.bare"]}`)
	test("c.bare", `{}`)
}

func TestARepositoryIsNamedByItsOwnerAndName(t *testing.T) {
	a := newAPI(t)
	id := a.ask(201, "POST", "/v1/repositories", `{"owner":"Acme","name":"site"}`).text("id")
	event := func(source, more string) string {
		return `{"source":"` + source + `","type":"build_finish","data":` + exampleOf(t, boathook.Repository, boathook.EventBuildFinish) + more + `}`
	}
	a.ask(202, "POST", "/v1/events", event("acme/Site", ""))
	if a.publish.events[0].SourceID != id {
		t.Errorf("published %+v", a.publish.events)
	}
	for _, source := range []string{"acme/other", "acme/", "/site", "/", "acme/site/x"} {
		a.refused(404, "source", "POST", "/v1/events", event(source, ""))
	}
	a.as(a.otherWorkspace(), 404, "POST", "/v1/events", event("acme/site", ""))

	// Whichever way the source is named, a repeat is the same.
	a.ask(202, "POST", "/v1/events", event(id, `,"id":"one"`))
	a.ask(202, "POST", "/v1/events", event("acme/site", `,"id":"one"`))
	if len(a.publish.events) != 2 {
		t.Errorf("published %d events, want 2", len(a.publish.events))
	}
}

func TestAnEventsChannelsArePublishedAndPartOfIt(t *testing.T) {
	a := newAPI(t)
	customer := idOf(a.customer("x"))
	a.define("invoice.paid", `{"description":"x"}`)
	event := func(more string) string {
		return strings.TrimSuffix(paid(customer, `{}`), "}") + more + `}`
	}
	a.ask(202, "POST", "/v1/events", event(`,"id":"one","channels":["eu","acct:1.x_-"]`))
	if got := a.publish.events[0].Channels; !slices.Equal(got, []string{"acct:1.x_-", "eu"}) {
		t.Errorf("published with the channels %q", got)
	}
	a.ask(202, "POST", "/v1/events", event(`,"id":"one","channels":["acct:1.x_-","eu"]`)) // the same, in another order
	a.refused(409, "id", "POST", "/v1/events", event(`,"id":"one","channels":["eu"]`))
	a.refused(409, "id", "POST", "/v1/events", event(`,"id":"one"`))
	a.ask(202, "POST", "/v1/events", event(`,"id":"two"`))
	a.ask(202, "POST", "/v1/events", event(`,"id":"two","channels":[]`)) // none is none
	if len(a.publish.events) != 2 {
		t.Errorf("published %d events, want 2", len(a.publish.events))
	}
	for _, channels := range []string{`[""]`, `["a b"]`, `["é"]`, `["a","a"]`, `["` + strings.Repeat("a", 101) + `"]`, `["1","2","3","4","5","6","7","8","9","10","11"]`} {
		a.refused(400, "channels", "POST", "/v1/events", event(`,"channels":`+channels))
		a.refused(400, "channels", "POST", "/v1/customers/"+customer+"/outgoing-webhooks", strings.TrimSuffix(customersWebhook, "}")+`,"channels":`+channels+`}`)
	}
	a.refused(400, "events", "POST", "/v1/events", `{"events":[`+event("")+`],"channels":["a"]}`)
}

func TestTwoPublishersWithOneKeyPublishOneContentOnce(t *testing.T) {
	a := newAPI(t)
	customer := idOf(a.customer("x"))
	a.define("invoice.paid", `{"description":"x"}`)
	publish := func(body, key string) int {
		return a.request(stackToken, "POST", "/v1/events", body, "Idempotency-Key", key).Code
	}
	if one, two := publish(paid(customer, `{"a":1}`), "k"), publish(paid("customer:x", `{ "a": 1 }`), "k"); one != 202 || two != 202 || len(a.publish.events) != 1 {
		t.Errorf("the same content: answered %d and %d, published %d", one, two, len(a.publish.events))
	}
	if code := publish(paid(customer, `{"a":2}`), "k"); code != http.StatusConflict || len(a.publish.events) != 1 {
		t.Errorf("other content: answered %d, published %d", code, len(a.publish.events))
	}
}

func TestAWebhookHasChannelsAndMetadataAndMayBeMadeDisabled(t *testing.T) {
	a := newAPI(t)
	webhooks := a.customer("x") + "/outgoing-webhooks"
	made := a.ask(201, "POST", webhooks, `{"name":"x","url":"https://e.example","events":["*"],"enabled":false,"channels":["eu","a"],"metadata":{"team":"billing"}}`)
	path := webhooks + "/" + made.text("id")
	for _, got := range []object{made, a.ask(200, "GET", path, ""), a.ask(200, "GET", webhooks, "").list("data")[0]} {
		if got["enabled"] != false || fmt.Sprint(got["channels"]) != "[a eu]" || fmt.Sprint(got["metadata"]) != "map[team:billing]" {
			t.Errorf("it is %v", got)
		}
	}
	if got := a.ask(200, "PATCH", path, `{"enabled":true}`); got["enabled"] != true || fmt.Sprint(got["channels"]) != "[a eu]" {
		t.Errorf("enabled, it is %v", got)
	}
	if got := a.ask(200, "PATCH", path, `{"channels":[],"metadata":{}}`); fmt.Sprint(got["channels"]) != "[]" || fmt.Sprint(got["metadata"]) != "map[]" {
		t.Errorf("without, it is %v", got)
	}
	a.refused(400, "metadata.n", "PATCH", path, `{"metadata":{"n":"`+strings.Repeat("x", 501)+`"}}`)
}
