package api_test

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
func (a *tester) app() (webhooks, id string) {
	a.t.Helper()
	s := boathook.Source{ID: boathook.NewID(boathook.AppID), WorkspaceID: "ws_local", Kind: boathook.App, Name: "My app", CreatedAt: a.clock.Now()}
	if err := a.store.PutSource(a.t.Context(), s); err != nil {
		a.t.Fatal(err)
	}
	return "/v1/apps/" + s.ID + "/webhooks", s.ID
}

// appWebhook makes one with a secret, and gives its path.
func (a *tester) appWebhook(webhooks string) string {
	a.t.Helper()
	return webhooks + "/" + a.ask(201, "POST", webhooks,
		`{"name":"CI","url":"https://example.com/hook","events":["job_finished","job_created"],"signingSecret":"app-secret"}`).text("id")
}

func TestAnAppsWebhookHasCapawesomesShape(t *testing.T) {
	a := newAPI(t)
	webhooks, app := a.app()
	w := a.request(stackToken, "POST", webhooks, `{"name":"CI","url":"https://example.com/hook","events":["job_finished"],"signingSecret":"app-secret"}`)
	id := a.webhookOf(app)
	want := `{"id":"` + id + `","appId":"` + app + `","name":"CI","url":"https://example.com/hook","events":["job_finished"],` +
		`"format":"raw","enabled":true,"hasSigningSecret":true,"createdAt":"2026-03-01T12:00:00.000Z","updatedAt":"2026-03-01T12:00:00.000Z"}`
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
		made[c.field], made["updatedAt"] = c.want, a.clock.Now().Format(boathook.TimeLayout)
		made["hasSigningSecret"] = c.secret != ""
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
	const url, events = `"url":"https://e.example"`, `"events":["job_created"]`
	const known = "app_build_created, app_deployment_created, job_created, job_finished"
	for _, c := range []struct {
		method, path, body string
		issues             []string
	}{
		{"POST", webhooks, `{` + url + `,` + events + `}`, []string{"name: is required"}},
		{"POST", webhooks, `{"name":"x",` + events + `}`, []string{"url: is required"}},
		{"POST", webhooks, `{"name":"x",` + url + `}`, []string{"events: is required"}},
		{"POST", webhooks, `{}`, []string{"name: is required", "url: is required", "events: is required"}},
		{"POST", webhooks, ``, []string{"name: is required", "url: is required", "events: is required"}},
		{"POST", webhooks, `{"name":"x",` + url + `,"events":[]}`, []string{"events: must name at least one of " + known}},
		{"POST", webhooks, `{"name":"x","url":"ftp://e.example",` + events + `}`, []string{"url: must begin with https://"}},
		{"POST", webhooks, `{"name":"x",` + url + `,"events":["build_finish","job_created","job_created"]}`,
			[]string{"events.0: must be one of " + known + `, not "build_finish"`, `events.2: "job_created" is given twice`}},
		{"POST", webhooks, `{"name":"x",` + url + `,` + events + `,"signing_secret":"s3cret"}`,
			[]string{"signing_secret: no such field: there are name, url, events, format, enabled, signingSecret"}},
		{"POST", webhooks, `{"NAME":"x",` + url + `,` + events + `}`,
			[]string{"NAME: no such field: there are name, url, events, format, enabled, signingSecret", "name: is required"}},
		{"POST", webhooks, `{"name":7,"url":null,"events":"job_created","format":1,"enabled":"yes","signingSecret":[],"secret":1}`, []string{
			"name: must be a string", "url: must be a string, not null", "events: must be an array", "format: must be a string",
			"enabled: must be true or false", "signingSecret: must be a string",
			"secret: no such field: there are name, url, events, format, enabled, signingSecret",
		}},
		{"POST", webhooks, `{"name":"","url":"x","events":["job_created",7,null],"format":"email","signingSecret":"` + strings.Repeat("x", 129) + `"}`, []string{
			"events.1: must be a string", "events.2: must be a string, not null", "name: must have 1 to 100 characters", "url: must begin with https://",
			"format: must be raw, slack, discord or teams", "signingSecret: must have at most 128 bytes",
		}},
		{"POST", webhooks, `{"name"`, []string{": the body is not JSON: unexpected EOF"}},
		{"POST", webhooks, `{} {}`, []string{": the body goes on after its JSON object"}},
		{"POST", webhooks, `[]`, []string{": the body must be a JSON object"}},
		{"PATCH", path, `{"name":""}`, []string{"name: must have 1 to 100 characters"}},
		{"PATCH", path, `{"enable":false}`, []string{"enable: no such field: there are name, url, events, format, enabled, signingSecret"}},
		{"PATCH", path, `{"enabled":null}`, []string{"enabled: must be true or false, not null"}},
		{"PATCH", path, `{"events":null}`, []string{"events: must be an array, not null"}},
		{"POST", path + "/test", `{"event":"job_created"}`, []string{"event: no such field: there is none"}},
		{"GET", webhooks + "?limit=0", ``, []string{"limit: must be a whole number from 1 to 100"}},
		{"GET", webhooks + "?limit=101&offset=-1", ``, []string{
			"limit: must be a whole number from 1 to 100", "offset: must be a whole number from 0 to 10000",
		}},
		{"GET", webhooks + "?limit=0&name=x", ``, []string{"name: no such parameter: there are query, limit, offset"}},
		{"GET", path + "/deliveries?limit=x", ``, []string{"limit: must be a whole number from 1 to 100"}},
		{"POST", "/v1/apps", `{"type":"web","color":1}`, []string{
			"color: no such field: there are name, type", "name: is required", "type: must be one of android, capacitor, cordova, ios",
		}},
		{"GET", "/v1/apps?querry=x", ``, []string{"querry: no such parameter: there are name, query, organizationId, relations, limit, offset"}},
	} {
		before := a.request(stackToken, "GET", webhooks, "").Body.String()
		e := a.ask(400, c.method, c.path, c.body)
		if got := issuesOf(t, e); !slices.Equal(got, c.issues) {
			t.Errorf("%s %s %s: got\n%q, want\n%q", c.method, c.path, c.body, got, c.issues)
		}
		if after := a.request(stackToken, "GET", webhooks, "").Body.String(); after != before {
			t.Errorf("%s %s %s: refused, and the webhooks changed from %s to %s", c.method, c.path, c.body, before, after)
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
		{"", "GET", "/v1/users/me", ``, 401, "token"},
		{"", "GET", "/v1/apps", ``, 401, "token"},
		{a.tokenFor(stackToken, boathook.Viewer), "PATCH", strings.TrimSuffix(webhooks, "/webhooks"), ``, 403, "member"},
		{stackToken, "GET", "/v1/apps/app_x", ``, 404, "App not found."},
		{stackToken, "GET", "/v1/apps/app_x/webhooks", ``, 404, "App not found."},
		{stackToken, "POST", "/v1/apps?organizationId=ws_other", `{"name":"x"}`, 404, "Organization not found."},
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

// issuesOf are those of an error that is of the request, each with its path.
func issuesOf(t *testing.T, e object) []string {
	t.Helper()
	issues := []string{}
	for _, issue := range e.object("error").list("issues") {
		path, ok := issue["path"].([]any)
		if !ok || len(issue) != 2 {
			t.Errorf("the issue is %v", issue)
		}
		at := make([]string, len(path))
		for i, step := range path {
			at[i] = fmt.Sprint(step)
		}
		issues = append(issues, strings.Join(at, ".")+": "+issue.text("message"))
	}
	if len(e) != 1 {
		t.Errorf("the error is %v", e)
	}
	return issues
}

func TestUnknownPathsBelowAppsAreAnsweredInCapawesomesShape(t *testing.T) {
	a := newAPI(t)
	_, app := a.app()
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/v1/apps/" + app + "/channels", 404}, {"GET", "/v1/users", 404}, {"GET", "/v1/users/you", 404},
		{"PUT", "/v1/apps", 405}, {"PUT", "/v1/apps/" + app, 405}, {"DELETE", "/v1/users/me", 405},
	} {
		w := a.request(stackToken, c.method, c.path, "")
		if body := w.Body.String(); w.Code != c.status || !strings.HasPrefix(body, `{"message":"`) {
			t.Errorf("%s %s: %d %s", c.method, c.path, w.Code, body)
		}
	}
}

func TestAnAppIsAsTheSDKsTypeIt(t *testing.T) {
	a := newAPI(t)
	made := a.ask(201, "POST", "/v1/apps?organizationId=ws_local", `{"name":"Shop","type":"ios"}`)
	want := object{
		"id": made["id"], "name": "Shop", "type": "ios", "organizationId": "ws_local", "appChannelId": nil, "appEnvironmentId": nil,
		"createdAt": "2026-03-01T12:00:00.000Z", "updatedAt": "2026-03-01T12:00:00.000Z",
	}
	path := "/v1/apps/" + made.text("id")
	for _, got := range []object{made, a.ask(200, "GET", path, ""), a.array("/v1/apps")[0]} {
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	for _, c := range []struct {
		body, field string
		want        any
	}{
		{`{"name":"Store"}`, "name", "Store"}, {`{"type":"cordova"}`, "type", "cordova"}, {`{}`, "name", "Store"},
	} {
		a.clock.pass(time.Second)
		want[c.field], want["updatedAt"] = c.want, a.clock.Now().Format(boathook.TimeLayout)
		if got := a.ask(200, "PATCH", path, c.body); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", c.body, got, want)
		}
	}
	if got := a.ask(200, "GET", path, ""); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAnAppThatWasStoredWithoutATypeHasTheDefaultOne(t *testing.T) {
	a := newAPI(t)
	_, id := a.app()
	got := a.ask(200, "GET", "/v1/apps/"+id, "")
	if got["type"] != "capacitor" || got["updatedAt"] != got["createdAt"] {
		t.Errorf("got %v", got)
	}
	if made := a.ask(201, "POST", "/v1/apps", `{"name":"x"}`); made["type"] != "capacitor" {
		t.Errorf("made %v", made)
	}
}

func TestAppsAreListedByNameAndWindow(t *testing.T) {
	a := newAPI(t)
	for i := range 250 { // more than are read at once
		a.ask(201, "POST", "/v1/apps", fmt.Sprintf(`{"name":"App %03d"}`, i))
		a.clock.pass(time.Second)
	}
	for query, want := range map[string][]string{
		"?limit=2":                                {"App 249", "App 248"},
		"?limit=3&offset=248":                     {"App 001", "App 000"},
		"?limit=2&offset=199":                     {"App 050", "App 049"},
		"?offset=250":                             {},
		"?query=aPP+01&limit=2":                   {"App 019", "App 018"},
		"?query=01&limit=1&offset=10":             {"App 011"},
		"?query=9&offset=41":                      {"App 019", "App 009"},
		"?name=App+007":                           {"App 007"},
		"?name=app+007":                           {},
		"?limit=1&organizationId=ws_local":        {"App 249"},
		"?organizationId=ws_other":                {},
		"?limit=1&relations=appChannel,appBuilds": {"App 249"},
	} {
		names := []string{}
		for _, app := range a.array("/v1/apps" + query) {
			names = append(names, app.text("name"))
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s: got %q, want %q", query, names, want)
		}
	}
	if got := a.array("/v1/apps"); len(got) != 10 {
		t.Errorf("a page has %d", len(got))
	}
	if got := a.array("/v1/apps?limit=100&offset=150"); len(got) != 100 || got[99].text("name") != "App 000" {
		t.Errorf("the last page has %d", len(got))
	}
}

func TestTheUserIsTheToken(t *testing.T) {
	a := newAPI(t)
	user := object{
		"id": "stack", "email": "", "emailVerified": false, "name": "The stack's admin token", "image": nil, "twoFactorEnabled": false,
		"lastSeenAt": "2026-03-01T12:00:00.000Z", "createdAt": "2026-03-01T12:00:00.000Z", "updatedAt": "2026-03-01T12:00:00.000Z",
	}
	if got := a.ask(200, "GET", "/v1/users/me", ""); !reflect.DeepEqual(got, user) {
		t.Errorf("the stack's token is %v", got)
	}
	a.clock.pass(time.Hour)
	token := a.ask(201, "POST", "/v1/tokens", `{"name":"ci","role":"viewer"}`)
	a.clock.pass(time.Hour)
	user["id"], user["name"], user["lastSeenAt"] = token["id"], "ci", "2026-03-01T14:00:00.000Z"
	user["createdAt"], user["updatedAt"] = "2026-03-01T13:00:00.000Z", "2026-03-01T13:00:00.000Z"
	if got := a.as(token.text("token"), 200, "GET", "/v1/users/me", ""); !reflect.DeepEqual(got, user) {
		t.Errorf("a user's token is %v", got)
	}
}
