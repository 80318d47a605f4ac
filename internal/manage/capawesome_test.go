package manage_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/seal"
	"boathook/internal/store"
)

// app makes one, and gives its webhooks' path.
func (a *api) app() (webhooks, id string) {
	a.t.Helper()
	s := boathook.Source{ID: boathook.NewID(boathook.AppID), WorkspaceID: "ws_local", Kind: boathook.App, Name: "My app", CreatedAt: a.clock.Now()}
	if err := a.store.PutSource(a.t.Context(), s); err != nil {
		a.t.Fatal(err)
	}
	return "/v1/apps/" + s.ID + "/webhooks", s.ID
}

// appWebhook makes one with a secret, and gives its path.
func (a *api) appWebhook(webhooks string) string {
	a.t.Helper()
	return webhooks + "/" + a.ask(201, "POST", webhooks,
		`{"name":"CI","url":"https://example.com/hook","events":["job_finished","job_created"],"signingSecret":"app-secret"}`).text("id")
}

func TestAnAppsWebhookHasCapawesomesShape(t *testing.T) {
	a := newAPI(t)
	webhooks, app := a.app()
	w := a.request(stackToken, "POST", webhooks, `{"name":"CI","url":"https://example.com/hook","events":["job_finished"],"signingSecret":"app-secret","colour":1}`)
	id := a.webhookOf(app)
	want := `{"id":"` + id + `","appId":"` + app + `","name":"CI","url":"https://example.com/hook","events":["job_finished"],` +
		`"format":"raw","enabled":true,"createdAt":1772366400000,"updatedAt":1772366400000}`
	if w.Code != 201 || w.Body.String() != want {
		t.Errorf("made %d %s, want %s", w.Code, w.Body, want)
	}
	if got := a.request(stackToken, "GET", webhooks+"/"+id, "").Body.String(); got != want {
		t.Errorf("read %s, want %s", got, want)
	}
	if got := a.request(stackToken, "GET", webhooks, "").Body.String(); got != "["+want+"]" {
		t.Errorf("listed %s", got)
	}
	a.ask(204, "DELETE", webhooks+"/"+id, "")
	if e := a.ask(404, "GET", webhooks+"/"+id, ""); e.text("message") != "Webhook not found." {
		t.Errorf("got %v", e)
	}
	if got := a.request(stackToken, "GET", webhooks, "").Body.String(); got != "[]" {
		t.Errorf("listed %s", got)
	}
}

func TestAnAppsWebhookChangesFieldByField(t *testing.T) {
	a := newAPI(t)
	webhooks, app := a.app()
	path := a.appWebhook(webhooks)
	made := a.ask(200, "GET", path, "")
	for _, c := range []struct {
		body, field string
		want        any
		secret      string
	}{
		{`{}`, "name", "CI", "app-secret"},
		{`{"name":"Chat"}`, "name", "Chat", "app-secret"},
		{`{"url":"https://other.example"}`, "url", "https://other.example", "app-secret"},
		{`{"events":["app_build_created"]}`, "events", []any{"app_build_created"}, "app-secret"},
		{`{"format":"slack"}`, "format", "slack", "app-secret"},
		{`{"enabled":false,"signingSecret":"x"}`, "enabled", false, "x"},
		{`{"signingSecret":null}`, "enabled", false, ""},
	} {
		a.clock.pass(time.Second)
		made[c.field], made["updatedAt"] = c.want, float64(a.clock.Now().UnixMilli())
		if got := a.ask(200, "PATCH", path, c.body); !reflect.DeepEqual(got, made) {
			t.Errorf("%s: got %v, want %v", c.body, got, made)
		}
		w, err := a.store.Outgoing(t.Context(), app, idOf(path))
		if secret := strings.TrimPrefix(string(w.Secrets.Current), "ws_local|"+seal.OutgoingSecret(w.ID)+"|"); err != nil || secret != c.secret {
			t.Errorf("%s: the secret is %q, %v", c.body, secret, err)
		}
	}
}

func TestErrorsOfAppsWebhooksAreCapawesomes(t *testing.T) {
	a := newAPI(t)
	webhooks, _ := a.app()
	path := a.appWebhook(webhooks)
	for _, c := range []struct{ method, path, body, message string }{
		{"POST", webhooks, `{"url":"https://e.example","events":["job_created"]}`, "name is required"},
		{"POST", webhooks, `{"name":"x","events":["job_created"]}`, "url is required"},
		{"POST", webhooks, `{"name":"x","url":"https://e.example"}`, "events is required"},
		{"POST", webhooks, `{"name":"x","url":"https://e.example","events":[]}`, "events must name at least one event"},
		{"POST", webhooks, `{"name":"x","url":"ftp://e.example","events":["job_created"]}`, "url must begin with https://"},
		{"POST", webhooks, `{"name":"x","url":"https://e.example","events":["build_finish"]}`, "events"},
		{"POST", webhooks, `{"name"`, "not JSON"},
		{"PATCH", path, `{"name":""}`, "name must have"},
		{"PATCH", path, `{"format":"email"}`, "format must be"},
		{"PATCH", path, `{"signingSecret":7}`, "must be a string"},
		{"PATCH", path, `{"signingSecret":"` + strings.Repeat("x", 129) + `"}`, "signingSecret must have at most"},
		{"GET", webhooks + "?limit=0", ``, "limit must be"},
		{"GET", webhooks + "?limit=101", ``, "limit must be"},
		{"GET", webhooks + "?offset=-1", ``, "offset must be"},
		{"GET", path + "/deliveries?limit=x", ``, "limit must be"},
	} {
		e := a.ask(400, c.method, c.path, c.body)
		issues := e.object("error").list("issues")
		if len(e) != 1 || len(issues) != 1 || len(issues[0]) != 1 || !strings.Contains(issues[0].text("message"), c.message) {
			t.Errorf("%s %s: got %v, want %q", c.path, c.body, e, c.message)
		}
	}
	deployment := strings.TrimPrefix(a.deployment(), "/v1/deployments/")
	for _, c := range []struct {
		token, method, path, body string
		status                    int
		message                   string
	}{
		{"", "GET", webhooks, ``, 401, "token"},
		{a.tokenFor(stackToken, boathook.Viewer), "POST", webhooks, ``, 403, "member"},
		{stackToken, "GET", "/v1/apps/app_x/webhooks", ``, 404, "App not found."},
		{stackToken, "GET", "/v1/apps/" + deployment + "/webhooks", ``, 404, "App not found."},
		{stackToken, "PATCH", webhooks + "/out_x", `{}`, 404, "Webhook not found."},
		{stackToken, "POST", path + "/deliveries/x/resend", ``, 404, "Delivery not found."},
		{stackToken, "POST", webhooks, `{"x":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "over"},
	} {
		if e := a.as(c.token, c.status, c.method, c.path, c.body); len(e) != 1 || !strings.Contains(e.text("message"), c.message) {
			t.Errorf("%s %s: got %v, want %q", c.method, c.path, e, c.message)
		}
	}
}

func TestAppsWebhooksAreListedByNameAndWindow(t *testing.T) {
	a := newAPI(t)
	webhooks, _ := a.app()
	for i := range 12 {
		a.ask(201, "POST", webhooks, fmt.Sprintf(`{"name":"Hook %02d","url":"https://e.example","events":["job_created"]}`, i))
		a.clock.pass(time.Second)
	}
	for query, want := range map[string][]string{
		"?limit=2":                  {"Hook 11", "Hook 10"},
		"?limit=3&offset=10":        {"Hook 01", "Hook 00"},
		"?offset=12":                {},
		"?query=hOOK+1":             {"Hook 11", "Hook 10"},
		"?query=1&limit=1&offset=1": {"Hook 10"},
		"?query=nothing":            {},
	} {
		names := []string{}
		for _, w := range a.array(webhooks + query) {
			names = append(names, w.text("name"))
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s: got %q, want %q", query, names, want)
		}
	}
	if got := a.array(webhooks); len(got) != 10 {
		t.Errorf("a page has %d", len(got))
	}
}

func TestAnAppsDeliveriesAreItsAttempts(t *testing.T) {
	a := newAPI(t)
	webhooks, app := a.app()
	path := a.appWebhook(webhooks)
	var want []string // newest first
	for i := range 5 {
		attempts := []boathook.Attempt{failedAttempt(1), failedAttempt(2), failedAttempt(3)}[:1+i%3]
		id := a.record(app, idOf(path), attempts...).String()
		ids := []string{id, id + ":2", id + ":3"}[:len(attempts)]
		slices.Reverse(ids)
		want = append(ids, want...)
		a.clock.pass(time.Second)
	}
	list := a.array(path + "/deliveries?limit=100")
	first := object{
		"id": want[0], "event": "run.succeeded", "requestBody": `{"event":"run.succeeded","n":12345678901234567890}`,
		"responseStatusCode": 500.0, "responseBody": "bad \uFFFD day", "sentAt": 1772366402000.0,
	}
	if len(list) != len(want) || !reflect.DeepEqual(list[0], first) {
		t.Fatalf("got %v, want %v first", list, first)
	}
	for offset := range len(want) + 2 {
		for limit := 1; limit <= len(want)+1; limit++ {
			ids := []string{}
			for _, d := range a.array(fmt.Sprintf("%s/deliveries?offset=%d&limit=%d", path, offset, limit)) {
				ids = append(ids, d.text("id"))
			}
			if part := want[min(offset, len(want)):min(offset+limit, len(want))]; !slices.Equal(ids, part) {
				t.Errorf("offset %d, limit %d: got %q, want %q", offset, limit, ids, part)
			}
		}
	}
}

func TestAListOfAnAppsDeliveriesEndsEarlyWhereNoneWasAttempted(t *testing.T) {
	a := newAPI(t)
	webhooks, app := a.app()
	path := a.appWebhook(webhooks)
	a.record(app, idOf(path), failedAttempt(1))
	for _, c := range []struct{ canceled, found int }{{store.MaxCounted - 1, 1}, {1, 0}} {
		for range c.canceled {
			a.clock.pass(time.Millisecond)
			e := boathook.Event{ID: boathook.NewID(boathook.EventID), Time: a.clock.Now()}
			if err := a.store.CancelDelivery(t.Context(), boathook.Delivery{
				ID: boathook.NewDeliveryID(&e, idOf(path)), WorkspaceID: "ws_local", SourceID: app, WebhookID: idOf(path),
				EventID: e.ID, Status: boathook.DeliveryCanceled, Reason: "x",
			}); err != nil {
				t.Fatal(err)
			}
		}
		if got := a.array(path + "/deliveries"); len(got) != c.found {
			t.Errorf("%d attempts are listed, want %d", len(got), c.found)
		}
	}
}

func TestAnAppsDeliveryIsResentByEitherID(t *testing.T) {
	a := newAPI(t)
	webhooks, app := a.app()
	path := a.appWebhook(webhooks)
	id := a.record(app, idOf(path), failedAttempt(1), failedAttempt(2))
	for _, name := range []string{id.String(), id.String() + ":2"} {
		a.retries.messages = nil
		if got := a.ask(202, "POST", path+"/deliveries/"+name+"/resend", ""); len(got) != 1 || got.text("deliveryId") != id.String() {
			t.Errorf("got %v", got)
		}
		if len(a.retries.messages) != 1 {
			t.Fatalf("queued %v", a.retries.messages)
		}
		if d, err := queue.DecodeDelivery(a.retries.messages[0].Body); err != nil || d.ID != id || d.Attempt != 3 {
			t.Errorf("queued %+v, %v", d, err)
		}
	}
	other := a.appWebhook(webhooks)
	for _, resend := range []string{
		path + "/deliveries/" + id.String() + ":3", path + "/deliveries/" + id.String() + ":1", path + "/deliveries/" + id.String() + ":02",
		path + "/deliveries/" + id.String() + ":", path + "/deliveries/" + id.String() + ":x", other + "/deliveries/" + id.String(),
	} {
		a.ask(404, "POST", resend+"/resend", "")
	}
	a.ask(200, "PATCH", path, `{"enabled":false}`)
	a.ask(409, "POST", path+"/deliveries/"+id.String()+"/resend", "")
	a.ask(409, "POST", path+"/test", "")
}

func TestAnAppsTestSendsTheCataloguesExample(t *testing.T) {
	a := newAPI(t)
	webhooks, app := a.app()
	path := a.appWebhook(webhooks)
	got := a.ask(202, "POST", path+"/test", "").text("deliveryId")
	e := a.publish.event
	if e.Type != boathook.EventJobFinished || e.SourceID != app || got != boathook.NewDeliveryID(&e, idOf(path)).String() || !strings.Contains(string(e.Data), `"stack":"macos-tahoe"`) {
		t.Errorf("published %+v as %s", e, got)
	}
}
