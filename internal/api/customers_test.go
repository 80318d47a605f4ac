package api_test

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"boathook/internal/boathook"
)

const customersWebhook = `{"name":"x","url":"https://e.example","events":["*"]}`

// customer makes a customer, and gives its path.
func (a *tester) customer(externalID string) string {
	a.t.Helper()
	return "/v1/customers/" + a.ask(201, "POST", "/v1/customers", `{"name":"Acme","external_id":"`+externalID+`"}`).text("id")
}

func TestACustomerIsMadeFoundChangedAndDeleted(t *testing.T) {
	a := newAPI(t)
	const path = "/v1/customers"
	made := a.ask(201, "POST", path, `{"name":"Acme","external_id":"acct 1042/ü","metadata":{"plan":"team"}}`)
	want := object{
		"id": made["id"], "name": "Acme", "external_id": "acct 1042/ü", "metadata": map[string]any{"plan": "team"},
		"created_at": "2026-03-01T12:00:00.000Z", "updated_at": "2026-03-01T12:00:00.000Z",
	}
	one := path + "/" + made.text("id")
	byExternalID := path + "?external_id=acct+1042%2F%C3%BC"
	a.ask(201, "POST", path, `{"name":"another"}`)
	listed := a.ask(200, "GET", path, "").list("data")
	for _, got := range []object{made, a.ask(200, "GET", one, ""), a.ask(200, "GET", byExternalID, "").list("data")[0]} {
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	if !slices.ContainsFunc(listed, func(c object) bool { return reflect.DeepEqual(c, want) }) || len(listed) != 2 {
		t.Errorf("listed %v", listed)
	}
	if got := a.as(a.otherWorkspace(), 200, "GET", byExternalID, "").list("data"); len(got) != 0 {
		t.Errorf("another workspace finds %v", got)
	}
	if got := a.ask(200, "PATCH", one, `{"name":"Acme Ltd","metadata":{}}`); got.text("name") != "Acme Ltd" || len(got.object("metadata")) != 0 || got["external_id"] != "acct 1042/ü" {
		t.Errorf("changed to %v", got)
	}
	if got := a.ask(200, "PATCH", one, `{"external_id":null}`); got["external_id"] != nil || got.text("name") != "Acme Ltd" {
		t.Errorf("changed to %v", got)
	}
	if got := a.ask(200, "GET", byExternalID, "").list("data"); len(got) != 0 {
		t.Errorf("by the external id that it gave up: %v", got)
	}
	a.ask(204, "DELETE", one, "")
	a.ask(404, "GET", one, "")
	a.ask(404, "PATCH", one, `{}`)
	a.ask(404, "DELETE", one, "")
}

func TestACustomersFieldsAreBounded(t *testing.T) {
	a := newAPI(t)
	a.refused(400, "name", "POST", "/v1/customers", `{}`)
	long := strings.Repeat("é", 500)
	var many []string
	for i := range 21 {
		many = append(many, fmt.Sprintf(`"n%d":"x"`, i))
	}
	for field, body := range map[string]string{
		"external_id":   `"external_id":""`,
		"metadata":      `"metadata":{` + strings.Join(many, ",") + `}`,
		"metadata.n":    `"metadata":{"n":"` + long + `x"}`,
		"metadata.plan": `"metadata":{"plan":5}`,
		"colour":        `"colour":"red"`,
	} {
		a.refused(400, field, "POST", "/v1/customers", `{"name":"x",`+body+`}`)
	}
	for _, id := range []string{strings.Repeat("x", 129), strings.Repeat("é", 65), `a\nb`, `\u0000`, `a\u202eb`} {
		a.refused(400, "external_id", "POST", "/v1/customers", `{"name":"x","external_id":"`+id+`"}`)
	}
	a.refused(400, "metadata", "POST", "/v1/customers", `{"name":"x","metadata":{"":"x"}}`)
	a.refused(400, "external_id", "GET", "/v1/customers?external_id=", "")
	a.ask(201, "POST", "/v1/customers", `{"name":"x","external_id":"`+strings.Repeat("x", 128)+`","metadata":{"n":"`+long+`",`+strings.Join(many[:19], ",")+`}}`)
}

func TestAnExternalIDIsOneCustomersOfTheWorkspace(t *testing.T) {
	a := newAPI(t)
	first, second := a.customer("x"), a.customer("y")
	a.refused(409, "external_id", "POST", "/v1/customers", `{"name":"Acme","external_id":"x"}`)
	a.refused(409, "external_id", "PATCH", second, `{"external_id":"x"}`)
	a.ask(200, "PATCH", first, `{"external_id":"x"}`)
	a.as(a.otherWorkspace(), 201, "POST", "/v1/customers", `{"name":"Acme","external_id":"x"}`)
	a.ask(204, "DELETE", first, "")
	a.ask(200, "PATCH", second, `{"external_id":"x"}`)
	a.customer("y")
}

func TestOfCustomersThatAreMadeAtOnceOneHasTheExternalID(t *testing.T) {
	a := newAPI(t)
	codes := make([]int, 8)
	var all sync.WaitGroup
	for i := range codes {
		all.Go(func() {
			codes[i] = a.request(stackToken, "POST", "/v1/customers", `{"name":"Acme","external_id":"x"}`).Code
		})
	}
	all.Wait()
	made := 0
	for _, code := range codes {
		switch code {
		case http.StatusCreated:
			made++
		case http.StatusConflict:
		default:
			t.Errorf("answered %d", code)
		}
	}
	if made != 1 || len(a.ask(200, "GET", "/v1/customers", "").list("data")) != 1 {
		t.Errorf("%d were made", made)
	}
}

func TestACustomersWebhooksGoWithIt(t *testing.T) {
	a := newAPI(t)
	customer := a.customer("x")
	webhook := customer + "/outgoing-webhooks/" + a.ask(201, "POST", customer+"/outgoing-webhooks", customersWebhook).text("id")
	a.refused(400, "events", "POST", customer+"/outgoing-webhooks", strings.Replace(customersWebhook, `"*"`, `"*","webhook.disabled"`, 1))
	a.refused(400, "events", "POST", customer+"/outgoing-webhooks", strings.Replace(customersWebhook, `"*"`, `"job_created"`, 1))
	a.ask(202, "POST", webhook+"/test", "")
	a.ask(202, "POST", webhook+"/recover", `{"since":"2026-02-01T00:00:00Z"}`)
	a.ask(200, "PATCH", webhook, `{"enabled":false}`)
	a.ask(409, "POST", webhook+"/test", "")
	a.ask(409, "POST", webhook+"/recover", `{"since":"2026-02-01T00:00:00Z"}`)
	a.ask(204, "DELETE", customer+"/outgoing-webhooks/"+a.ask(201, "POST", customer+"/outgoing-webhooks", customersWebhook).text("id"), "")
	a.ask(204, "DELETE", customer, "")
	a.ask(404, "GET", webhook, "")
}

// Nothing but Boathook's own words can be published to customers yet, so that what
// tells them from no source at all is the error.
func TestAnEventNamesACustomerByEitherID(t *testing.T) {
	a := newAPI(t)
	customer := idOf(a.customer("acct:1"))
	for _, source := range []string{customer, "customer:acct:1"} {
		a.refused(400, "type", "POST", "/v1/events", `{"source":"`+source+`","type":"job_created","data":{}}`)
	}
	for _, source := range []string{"acct:1", "customer:acct:2", "customer:", "customer:" + customer, `customer:\u0000`} {
		a.refused(404, "source", "POST", "/v1/events", `{"source":"`+source+`","type":"job_created","data":{}}`)
	}
}

func TestTenThousandCustomersAreListedInPagesAndFoundAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("each page is held to the OpenAPI document, which takes a while")
	}
	a := newAPI(t)
	const customers = 10_000
	for i := range customers {
		c := boathook.Source{
			ID: boathook.NewID(boathook.CustomerID), WorkspaceID: "ws_local", Kind: boathook.Customer, Name: "Acme", CreatedAt: a.clock.Now(),
			Customer: &boathook.CustomerSettings{ExternalID: fmt.Sprintf("acct_%d", i), UpdatedAt: a.clock.Now()},
		}
		if err := a.store.PutSource(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	seen, pages := make(map[string]bool), 0
	for cursor := ""; ; pages++ {
		got := a.ask(200, "GET", "/v1/customers?limit=200"+cursor, "")
		for _, c := range got.list("data") {
			seen[c.text("external_id")] = true
		}
		if got["next_cursor"] == nil {
			break
		}
		cursor = "&cursor=" + got.text("next_cursor")
	}
	if len(seen) != customers || pages != customers/200-1 {
		t.Errorf("%d are listed, in %d pages", len(seen), pages+1)
	}
	if got := a.ask(200, "GET", "/v1/customers?external_id=acct_7777", ""); len(got.list("data")) != 1 || got["next_cursor"] != nil || got.list("data")[0].text("external_id") != "acct_7777" {
		t.Errorf("found %v", got)
	}
}
