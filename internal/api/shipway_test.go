package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/seal"
)

// repository makes one of the owner grosskur, and gives its hooks' path.
func (a *tester) repository(name string) (hooks, id string) {
	a.t.Helper()
	s := boathook.Source{
		ID: boathook.NewRepositoryID("ws_local", "grosskur", name), WorkspaceID: "ws_local",
		Kind: boathook.Repository, Owner: "grosskur", Name: name, CreatedAt: a.clock.Now(),
	}
	if err := a.store.PutSource(a.t.Context(), s); err != nil {
		a.t.Fatal(err)
	}
	return "/repos/grosskur/" + name + "/hooks", s.ID
}

// hook makes one with a secret, and gives its path.
func (a *tester) hook(hooks string) string {
	a.t.Helper()
	made := a.ask(201, "POST", hooks, `{"name":"web","active":true,"events":["build_finish"],
		"config":{"url":"https://example.com/hook","content_type":"json","insecure_ssl":"0","secret":"hook-secret"}}`)
	return fmt.Sprintf("%s/%.0f", hooks, made["id"])
}

// webhookOf is the id of a source's newest outgoing webhook.
func (a *tester) webhookOf(source string) string {
	a.t.Helper()
	all, err := a.store.AllOutgoing(a.t.Context(), source)
	if err != nil || len(all) == 0 {
		a.t.Fatalf("%d webhooks, %v", len(all), err)
	}
	return all[0].ID
}

// array makes a request that must be answered 200 with an array.
func (a *tester) array(path string) []object {
	a.t.Helper()
	w := a.request(stackToken, "GET", path, "")
	var items []object
	if err := json.Unmarshal(w.Body.Bytes(), &items); err != nil || w.Code != 200 || items == nil {
		a.t.Fatalf("GET %s: %d %s, %v", path, w.Code, w.Body, err)
	}
	return items
}

func TestAHookHasGitHubsShape(t *testing.T) {
	a := newAPI(t)
	hooks, _ := a.repository("docker-hello")
	w := a.request(stackToken, "POST", hooks, `{"config":{"url":"https://example.com/hook","secret":"s"},"colour":"unknown fields are ignored"}`)
	var made struct{ ID int64 }
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || w.Code != 201 || made.ID <= 0 || made.ID >= 1<<31 {
		t.Fatalf("%d %s, %v", w.Code, w.Body, err)
	}
	want := strings.NewReplacer("ID", fmt.Sprint(made.ID), "URL", "https://hooks.example.com/repos/grosskur/docker-hello/hooks").Replace(
		`{"type":"Repository","id":ID,"name":"web","active":true,"events":["build_finish"],` +
			`"config":{"content_type":"json","insecure_ssl":"0","secret":"********","url":"https://example.com/hook"},` +
			`"created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z",` +
			`"url":"URL/ID","test_url":"URL/ID/tests","ping_url":"URL/ID/pings","deliveries_url":"URL/ID/deliveries",` +
			`"last_response":{"code":null,"status":"unused","message":null}}`)
	if got := w.Body.String(); got != want {
		t.Errorf("made %s, want %s", got, want)
	}
	path := fmt.Sprintf("%s/%d", hooks, made.ID)
	for _, p := range []string{path, strings.Replace(path, "grosskur/docker-hello", "Grosskur/Docker-Hello", 1)} {
		if got := a.request(stackToken, "GET", p, "").Body.String(); got != want {
			t.Errorf("%s: read %s, want %s", p, got, want)
		}
	}
	listed := "[" + strings.Replace(want, "unused", "active", 1) + "]" // a list tells whether a hook fails
	if got := a.request(stackToken, "GET", hooks, "").Body.String(); got != listed {
		t.Errorf("listed %s", got)
	}
	a.ask(204, "DELETE", path, "")
	a.ask(404, "GET", path, "")
	a.ask(404, "DELETE", path, "")
}

func TestAHookChangesAsGitHubsDo(t *testing.T) {
	a := newAPI(t)
	hooks, repository := a.repository("docker-hello")
	path := a.hook(hooks)
	id := a.webhookOf(repository)
	secret := func(want ...string) {
		t.Helper()
		w, err := a.store.Outgoing(t.Context(), repository, id)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		if w.Secrets.Current != nil {
			got = []string{strings.TrimPrefix(string(w.Secrets.Current), "ws_local|"+seal.OutgoingSecret(id)+"|")}
		}
		if !slices.Equal(got, want) {
			t.Errorf("the secret is %q, want %q", got, want)
		}
	}
	a.clock.pass(time.Second)
	for _, c := range []struct {
		body   string
		active bool
		url    string
		masked bool
		secret []string
	}{
		{`{}`, true, "https://example.com/hook", true, []string{"hook-secret"}},
		{`{"config":{},"active":true}`, true, "https://example.com/hook", true, []string{"hook-secret"}},
		{`{"active":false}`, false, "https://example.com/hook", true, []string{"hook-secret"}},
		{`{"active":true,"events":["build_finish"],"add_events":["build_finish"],"remove_events":["push"]}`, true, "https://example.com/hook", true, []string{"hook-secret"}},
		{`{"config":{"url":"https://new.example","secret":"********"}}`, true, "https://new.example", true, []string{"hook-secret"}},
		{`{"config":{"url":"https://new.example","secret":"other","insecure_ssl":0}}`, true, "https://new.example", true, []string{"other"}},
		{`{"config":{"url":"https://newer.example","content_type":"json"}}`, true, "https://newer.example", false, nil},
	} {
		got := a.ask(200, "PATCH", path, c.body)
		config := got.object("config")
		if got["active"] != c.active || config.text("url") != c.url || (config["secret"] == "********") != c.masked || config["insecure_ssl"] != "0" ||
			!reflect.DeepEqual(got["events"], []any{"build_finish"}) || got.text("updated_at") != "2026-03-01T12:00:01Z" || got.text("created_at") != "2026-03-01T12:00:00Z" {
			t.Errorf("%s: got %v", c.body, got)
		}
		secret(c.secret...)
	}
}

func TestHookErrorsAreGitHubs(t *testing.T) {
	a := newAPI(t)
	hooks, _ := a.repository("docker-hello")
	path := a.hook(hooks)
	for _, c := range []struct{ method, path, body, field string }{
		{"POST", hooks, `{}`, "config"},
		{"POST", hooks, `{"config":{}}`, "config.url"},
		{"POST", hooks, `{"config":{"url":"http://plain.example"}}`, "config.url"},
		{"POST", hooks, `{"config":{"url":7}}`, "config.url"},
		{"POST", hooks, `{"config":{"url":"https://e.example","secret":"********"}}`, "config.secret"},
		{"POST", hooks, `{"config":{"url":"https://e.example","secret":"` + strings.Repeat("x", 129) + `"}}`, "config.secret"},
		{"POST", hooks, `{"config":{"url":"https://e.example","content_type":"form"}}`, "config.content_type"},
		{"POST", hooks, `{"config":{"url":"https://e.example","insecure_ssl":"1"}}`, "config.insecure_ssl"},
		{"POST", hooks, `{"config":{"url":"https://e.example"},"events":["push"]}`, "events"},
		{"POST", hooks, `{"config":{"url":"https://e.example"},"events":[]}`, "events"},
		{"POST", hooks, `{"config":{"url":"https://e.example"},"name":"irc"}`, "name"},
		{"PATCH", path, `{"config":{"secret":"x"}}`, "config.url"},
		{"PATCH", path, `{"remove_events":["build_finish"]}`, "events"},
		{"PATCH", path, `{"add_events":["push"]}`, "events"},
		{"PATCH", path + "/config", `{"url":""}`, "url"},
		{"PATCH", path + "/config", `{"url":"http://plain.example"}`, "url"},
		{"PATCH", path + "/config", `{"content_type":"form"}`, "content_type"},
		{"PATCH", path + "/config", `{"insecure_ssl":1}`, "insecure_ssl"},
		{"PATCH", path + "/config", `{"secret":"` + strings.Repeat("x", 129) + `"}`, "secret"},
		{"PATCH", path + "/config", `{"secret":7}`, "secret"},
		{"PATCH", path, `{"active":"yes"}`, "active"},
		{"GET", path + "/deliveries?cursor=nonsense", ``, "cursor"},
	} {
		e := a.ask(422, c.method, c.path, c.body)
		first := e.list("errors")
		if e.text("message") != "Validation Failed" || e.text("documentation_url") == "" || len(first) != 1 || first[0].text("field") != c.field ||
			first[0].text("resource") != "Hook" || first[0].text("code") != "custom" || first[0].text("message") == "" {
			t.Errorf("%s %s: got %v, want an error about %s", c.path, c.body, e, c.field)
		}
	}
	if got := a.array(hooks); len(got) != 1 {
		t.Errorf("there are %d hooks", len(got))
	}
	for _, c := range []struct {
		token, method, path, body string
		status                    int
		message                   string
	}{
		{stackToken, "POST", hooks, `{"config"`, 400, ""},
		{stackToken, "POST", hooks, `[]`, 400, ""},
		{"bh_wrong", "GET", hooks, ``, 401, "Bad credentials"},
		{a.tokenFor(stackToken, boathook.Viewer), "POST", hooks, ``, 403, ""},
		{stackToken, "GET", "/repos/grosskur/other/hooks", ``, 404, "Not Found"},
		{stackToken, "GET", hooks + "/1", ``, 404, "Not Found"},
		{stackToken, "GET", hooks + "/0" + idOf(path), ``, 404, "Not Found"},
		{stackToken, "GET", hooks + "/out_x", ``, 404, "Not Found"},
		{stackToken, "POST", hooks, `{"x":"` + strings.Repeat("x", 1<<20) + `"}`, 413, ""},
	} {
		e := a.as(c.token, c.status, c.method, c.path, c.body)
		if len(e) != 2 || e.text("message") == "" || e.text("documentation_url") != "https://docs.github.com/rest/repos/webhooks" || c.message != "" && e.text("message") != c.message {
			t.Errorf("%s %s: got %v", c.method, c.path, e)
		}
	}
}

func TestARepositoryHasAHundredHooksInPages(t *testing.T) {
	a := newAPI(t)
	hooks, _ := a.repository("docker-hello")
	var ids []any
	for i := range boathook.MaxWebhooks {
		ids = append(ids, a.ask(201, "POST", hooks, fmt.Sprintf(`{"config":{"url":"https://e.example/%d"}}`, i))["id"])
		a.clock.pass(time.Second)
	}
	if e := a.ask(400, "POST", hooks, `{"config":{"url":"https://e.example"}}`); !strings.Contains(e.text("message"), "100") {
		t.Errorf("got %v", e)
	}
	a.host = "attacker.example" // a client names any
	at := func(page int) string {
		return fmt.Sprintf("<https://hooks.example.com%s?page=%d&per_page=40>", hooks, page)
	}
	for _, c := range []struct {
		query      string
		from, to   int
		link       string
		defaulting bool
	}{
		{"?per_page=40", 0, 40, at(2) + `; rel="next", ` + at(3) + `; rel="last"`, false},
		{"?per_page=40&page=2", 40, 80, at(1) + `; rel="prev", ` + at(1) + `; rel="first", ` + at(3) + `; rel="next", ` + at(3) + `; rel="last"`, false},
		{"?per_page=40&page=3", 80, 100, at(2) + `; rel="prev", ` + at(1) + `; rel="first"`, false},
		{"?per_page=40&page=9", 100, 100, at(3) + `; rel="prev", ` + at(1) + `; rel="first"`, false},
		{"?per_page=1000", 0, 100, "", false},
		{"", 0, 30, "", true},
		{"?per_page=many&page=-1", 0, 30, "", true},
	} {
		w := a.request(stackToken, "GET", hooks+c.query, "")
		var got []object
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		var found []any
		for _, hook := range got {
			found = append(found, hook["id"])
		}
		if !slices.Equal(found, ids[c.from:c.to]) {
			t.Errorf("%q: got %d hooks, want those from %d to %d", c.query, len(found), c.from, c.to)
		}
		if link := w.Header().Get("Link"); !c.defaulting && link != c.link {
			t.Errorf("%q: Link is %s, want %s", c.query, link, c.link)
		}
	}
}

func TestWithoutAPublicURLLinksLeadWhereTheRequestCame(t *testing.T) {
	a := newAPI(t, func(c *config) { c.PublicURL = "" })
	hooks, _ := a.repository("docker-hello")
	a.hook(hooks)
	a.ask(201, "POST", hooks, `{"config":{"url":"https://other.example"}}`)
	a.host = "api123.execute-api.eu-west-1.amazonaws.com"
	want := "<https://" + a.host + hooks + `?page=2&per_page=1>; rel="next", <https://` + a.host + hooks + `?page=2&per_page=1>; rel="last"`
	if got := a.request(stackToken, "GET", hooks+"?per_page=1", "").Header().Get("Link"); got != want {
		t.Errorf("Link is %s, want %s", got, want)
	}
}

func TestAHooksDeliveriesHaveGitHubsShape(t *testing.T) {
	a := newAPI(t)
	hooks, repository := a.repository("docker-hello")
	path := a.hook(hooks)
	webhook := a.webhookOf(repository)
	timedOut := boathook.Attempt{Number: 1, SentAt: time.Date(2026, 3, 1, 12, 0, 1, 0, time.UTC), Duration: 30 * time.Second, Signature: "sha1=abc", Error: "no answer within 30 s"}
	good := boathook.Attempt{
		Number: 2, SentAt: time.Date(2026, 3, 1, 12, 0, 7, 0, time.UTC), Duration: 270 * time.Millisecond, Signature: "sha1=abc",
		Response: &boathook.Response{Status: 200, Headers: http.Header{"Server": {"x"}}, Body: []byte("ok")},
	}
	retried := a.record(repository, webhook, timedOut, good)
	failed := a.record(repository, webhook, timedOut)
	canceled := a.delivery(repository, webhook)
	canceled.Reason = "the webhook is disabled"
	if err := a.store.CancelDelivery(t.Context(), canceled); err != nil {
		t.Fatal(err)
	}
	want := map[string]object{
		retried.String():     {"redelivery": true, "delivered_at": "2026-03-01T12:00:07Z", "duration": 0.27, "status": "OK", "status_code": 200.0},
		failed.String():      {"redelivery": false, "delivered_at": "2026-03-01T12:00:01Z", "duration": 30.0, "status": "no answer within 30 s", "status_code": 0.0},
		canceled.ID.String(): {"redelivery": false, "delivered_at": "2026-03-01T12:00:00Z", "duration": 0.0, "status": "the webhook is disabled", "status_code": 0.0},
	}
	list := a.array(path + "/deliveries")
	if len(list) != len(want) {
		t.Fatalf("got %v", list)
	}
	for _, got := range list {
		w := want[got.text("guid")]
		if w == nil {
			t.Fatalf("got %v", got)
		}
		w["guid"], w["id"], w["event"] = got["guid"], got["id"], "run.succeeded"
		w["action"], w["installation_id"] = nil, nil
		w["repository_id"] = a.ask(200, "GET", "/repos/grosskur/docker-hello", "")["id"]
		if !reflect.DeepEqual(got, w) {
			t.Errorf("got %v, want %v", got, w)
		}
		id := fmt.Sprintf("%.0f", got["id"])
		for _, name := range []string{id, got.text("guid")} {
			one := a.ask(200, "GET", path+"/deliveries/"+name, "")
			if one.text("url") != "https://example.com/hook" || one.object("request")["payload"] == nil || one["id"] != got["id"] {
				t.Errorf("%s: got %v", name, one)
			}
		}
	}
	one := a.ask(200, "GET", path+"/deliveries/"+retried.String(), "")
	headers := one.object("request").object("headers")
	if headers.text("X-Shipway-Event") != "run.succeeded" || headers.text("X-Shipway-Delivery") != retried.String() ||
		headers.text("X-Shipway-Signature") != "sha1=abc" || headers.text("User-Agent") != "Shipway-Hookshot/0.1" {
		t.Errorf("the request's headers are %v", headers)
	}
	if response := one.object("response"); response.text("payload") != "ok" || response.object("headers").text("Server") != "x" {
		t.Errorf("the response is %v", response)
	}

	w := a.request(stackToken, "GET", path+"/deliveries?per_page=2", "")
	link, _, _ := strings.Cut(strings.TrimPrefix(w.Header().Get("Link"), "<https://hooks.example.com"), `>; rel="next"`)
	if rest := a.array(link); len(rest) != 1 || rest[0]["guid"] != list[2]["guid"] {
		t.Errorf("the page behind %s has %v", link, rest)
	}
}

func TestAHooksDeliveryIsSentAgain(t *testing.T) {
	a := newAPI(t)
	hooks, repository := a.repository("docker-hello")
	path := a.hook(hooks)
	id := a.record(repository, a.webhookOf(repository), failedAttempt(1))
	for _, name := range []string{fmt.Sprint(id.Number()), id.String()} {
		a.retries.messages = nil
		if w := a.request(stackToken, "POST", path+"/deliveries/"+name+"/attempts", ""); w.Code != 202 || w.Body.String() != "{}" {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
		if len(a.retries.messages) != 1 {
			t.Fatalf("queued %v", a.retries.messages)
		}
		if d, err := queue.DecodeDelivery(a.retries.messages[0].Body); err != nil || d.ID != id || d.Attempt != 2 || d.First != 2 {
			t.Errorf("queued %+v, %v", d, err)
		}
	}
	others, _ := a.repository("other")
	other := a.hook(others)
	for _, name := range []string{fmt.Sprint(id.Number()), id.String(), "1", "-1", "x", "99999999999999999999"} {
		a.ask(404, "POST", other+"/deliveries/"+name+"/attempts", "")
		a.ask(404, "GET", other+"/deliveries/"+name, "")
	}
	for _, sign := range []string{"+", "-", "%20"} {
		a.ask(404, "GET", fmt.Sprintf("%s/deliveries/%s%d", path, sign, id.Number()), "")
	}
	a.ask(200, "PATCH", path, `{"active":false}`)
	a.ask(409, "POST", path+"/deliveries/"+id.String()+"/attempts", "")
	a.ask(409, "POST", path+"/tests", "")
}

func TestAHooksTestSendsTheCataloguesExample(t *testing.T) {
	a := newAPI(t)
	hooks, repository := a.repository("docker-hello")
	path := a.hook(hooks)
	if w := a.request(stackToken, "POST", path+"/tests", ""); w.Code != 204 || w.Body.Len() > 0 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	e := a.publish.event
	if e.Type != boathook.EventBuildFinish || e.SourceID != repository || a.publish.webhook.ID != a.webhookOf(repository) || !strings.Contains(string(e.Data), `"docker-hello"`) {
		t.Errorf("published %+v", e)
	}
}

func TestTwoDeliveriesWithOneNumberAreNotConfused(t *testing.T) {
	a := newAPI(t)
	hooks, repository := a.repository("docker-hello")
	path := a.hook(hooks)
	webhook := a.webhookOf(repository)
	first := map[int64]boathook.DeliveryID{}
	for i := 0; ; i++ {
		d := a.delivery(repository, webhook)
		d.ID = boathook.NewDeliveryID(&boathook.Event{ID: fmt.Sprint("evt_", i), Time: a.clock.Now()}, webhook)
		twin, found := first[d.ID.Number()]
		if !found {
			first[d.ID.Number()] = d.ID
			continue
		}
		for _, id := range []boathook.DeliveryID{twin, d.ID} {
			d.ID, d.Status, d.Attempts = id, boathook.DeliveryFailed, 1
			if err := a.store.RecordAttempt(t.Context(), d, failedAttempt(1)); err != nil {
				t.Fatal(err)
			}
		}
		e := a.ask(409, "GET", fmt.Sprintf("%s/deliveries/%d", path, d.ID.Number()), "")
		if !strings.Contains(e.text("message"), "guid") {
			t.Errorf("got %v", e)
		}
		a.ask(409, "POST", fmt.Sprintf("%s/deliveries/%d/attempts", path, d.ID.Number()), "")
		for _, id := range []boathook.DeliveryID{twin, d.ID} {
			if got := a.ask(200, "GET", path+"/deliveries/"+id.String(), ""); got.text("guid") != id.String() {
				t.Errorf("got %v", got)
			}
		}
		return
	}
}

func TestASecondHookThatSendsTheSameIsRefused(t *testing.T) {
	a := newAPI(t)
	hooks, _ := a.repository("docker-hello")
	first := a.hook(hooks)
	const refused = `[map[code:custom message:Hook already exists on this repository resource:Hook]]`
	exists := func(method, path, body string) {
		t.Helper()
		if e := a.ask(422, method, path, body); e.text("message") != "Validation Failed" || fmt.Sprint(e["errors"]) != refused {
			t.Errorf("%s %s: got %v", path, body, e)
		}
	}
	const same = `{"config":{"url":"https://example.com/hook"}}`
	exists("POST", hooks, same)
	exists("POST", hooks, `{"active":false,"events":["*"],"config":{"url":"https://example.com/hook","secret":"another"}}`)
	second := hooks + "/" + fmt.Sprintf("%.0f", a.ask(201, "POST", hooks, `{"config":{"url":"https://example.com/hook/2"}}`)["id"])
	exists("PATCH", second, same)
	exists("PATCH", second+"/config", `{"url":"https://example.com/hook"}`)
	if got := a.ask(200, "GET", second+"/config", "").text("url"); got != "https://example.com/hook/2" {
		t.Errorf("a refused change has set the URL %s", got)
	}
	a.ask(200, "PATCH", first, same)
	a.ask(204, "DELETE", first, "")
	a.ask(201, "POST", hooks, same)
	if others, _ := a.repository("other"); a.hook(others) == "" {
		t.Error("another repository's hook is refused")
	}
}

// Twins were made before they were refused, or by /v1/repositories.
func TestATwinThatLeavesItsURLAndEventsCanBeChanged(t *testing.T) {
	a := newAPI(t)
	hooks, repository := a.repository("docker-hello")
	path := a.hook(hooks)
	twin, err := a.store.Outgoing(t.Context(), repository, a.webhookOf(repository))
	if err != nil {
		t.Fatal(err)
	}
	twin.ID, twin.Revision = boathook.NewID(boathook.OutgoingID), 0
	if err := a.store.PutOutgoing(t.Context(), twin); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{`{"active":false}`, `{"config":{"url":"https://example.com/hook"},"events":["build_finish"]}`} {
		a.ask(200, "PATCH", path, body)
	}
	a.ask(422, "PATCH", path, `{"events":["*"]}`)
	a.ask(200, "PATCH", path, `{"config":{"url":"https://elsewhere.example"}}`)
	a.ask(422, "PATCH", path, `{"config":{"url":"https://example.com/hook"}}`)
}

func TestPartsOfAHooksConfigAreChangedAlone(t *testing.T) {
	a := newAPI(t)
	hooks, repository := a.repository("docker-hello")
	path := a.hook(hooks)
	id := a.webhookOf(repository)
	for _, c := range []struct{ body, url, secret string }{
		{`{}`, "https://example.com/hook", "hook-secret"},
		{`{"url":"https://new.example","content_type":"json","insecure_ssl":0}`, "https://new.example", "hook-secret"},
		{`{"secret":"********"}`, "https://new.example", "hook-secret"},
		{`{"secret":"other"}`, "https://new.example", "other"},
		{`{"unknown":true}`, "https://new.example", "other"},
		{`{"secret":""}`, "https://new.example", ""},
	} {
		want := object{"url": c.url, "content_type": "json", "insecure_ssl": "0"}
		if c.secret != "" {
			want["secret"] = "********"
		}
		if got := a.ask(200, "PATCH", path+"/config", c.body); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", c.body, got, want)
		}
		if got := a.ask(200, "GET", path+"/config", ""); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: read %v, want %v", c.body, got, want)
		}
		w, err := a.store.Outgoing(t.Context(), repository, id)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimPrefix(string(w.Secrets.Current), "ws_local|"+seal.OutgoingSecret(id)+"|"); got != c.secret {
			t.Errorf("%s: the secret is %q, want %q", c.body, got, c.secret)
		}
	}
	a.ask(422, "PATCH", path+"/config", `{"secret":"********"}`)
	a.ask(404, "GET", hooks+"/1/config", "")
	a.ask(404, "PATCH", hooks+"/1/config", `{}`)
}

func TestAHookForEachEventIsWrittenAsGitHubWritesIt(t *testing.T) {
	a := newAPI(t)
	hooks, repository := a.repository("docker-hello")
	made := a.ask(201, "POST", hooks, `{"events":["*","build_finish"],"config":{"url":"https://example.com/hook"}}`)
	path := fmt.Sprintf("%s/%.0f", hooks, made["id"])
	for _, c := range []struct{ body, want string }{
		{`{}`, `[*]`},
		{`{"add_events":["build_finish"]}`, `[*]`},
		{`{"events":["build_finish"]}`, `[build_finish]`},
		{`{"add_events":["*"]}`, `[*]`},
		{`{"remove_events":["*"],"add_events":["build_finish"]}`, `[build_finish]`},
	} {
		if got := fmt.Sprint(a.ask(200, "PATCH", path, c.body)["events"]); got != c.want {
			t.Errorf("%s: the events are %s, want %s", c.body, got, c.want)
		}
	}
	a.ask(200, "PATCH", path, `{"events":["*"]}`)
	a.ask(204, "POST", path+"/tests", "")
	if a.publish.event.Type != boathook.EventBuildFinish {
		t.Errorf("the test is of %q", a.publish.event.Type)
	}
	own := "/v1/repositories/" + repository + "/outgoing-webhooks"
	list := a.ask(200, "GET", own, "").list("data")
	if fmt.Sprint(list[0]["events"]) != "[*]" {
		t.Errorf("listed %v", list)
	}
	a.ask(200, "PATCH", own+"/"+list[0].text("id"), `{"events":["*"]}`)
	a.refused(400, "events", "PATCH", own+"/"+list[0].text("id"), `{"events":["*","build_finish"]}`)
	a.refused(400, "events", "PATCH", own+"/"+list[0].text("id"), `{"events":["**"]}`)
	a.refused(400, "events", "POST", a.deployment()+"/outgoing-webhooks", `{"name":"n","url":"https://e.example","events":["*"],"environment":"production"}`)
}

func TestAPingHasGitHubsShape(t *testing.T) {
	a := newAPI(t)
	hooks, repository := a.repository("docker-hello")
	path := a.hook(hooks)
	if w := a.request(stackToken, "POST", path+"/pings", ""); w.Code != 204 || w.Body.Len() > 0 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	e := a.publish.event
	if e.Type != "ping" || e.SourceID != repository || e.Environment != "" || a.publish.webhook.ID != a.webhookOf(repository) {
		t.Errorf("published %+v", e)
	}
	var ping object
	if err := json.Unmarshal(e.Data, &ping); err != nil {
		t.Fatal(err)
	}
	hook := a.ask(200, "GET", path, "")
	delete(hook, "last_response")
	of := a.ask(200, "GET", "/repos/grosskur/docker-hello", "")
	want := object{
		"zen": ping["zen"], "hook_id": hook["id"], "hook": map[string]any(hook),
		"repository": map[string]any{
			"id": of["id"], "name": "docker-hello", "full_name": "grosskur/docker-hello",
			"owner": map[string]any{"id": of.object("owner")["id"], "login": "grosskur"},
		},
	}
	if !reflect.DeepEqual(ping, want) || ping.text("zen") == "" {
		t.Errorf("sent %v, want %v", ping, want)
	}
	for _, body := range []string{`{"events":["ping"]}`, `{"add_events":["ping"]}`} {
		a.ask(422, "PATCH", path, body)
	}
	a.refused(400, "type", "POST", "/v1/events", `{"source":"`+repository+`","type":"ping","data":{}}`)
	a.ask(200, "PATCH", path, `{"active":false}`)
	a.ask(409, "POST", path+"/pings", "")
	a.ask(404, "POST", hooks+"/1/pings", "")
}

func TestAHookTellsWhatCameOfItsNewestDelivery(t *testing.T) {
	a := newAPI(t)
	hooks, repository := a.repository("docker-hello")
	path := a.hook(hooks)
	webhook := a.webhookOf(repository)
	for _, c := range []struct {
		outcome boathook.Attempt
		status  boathook.DeliveryStatus
		want    object
	}{
		{boathook.Attempt{Number: 1, Error: "no answer within 30 s"}, boathook.DeliveryFailed, object{"code": nil, "status": "failed", "message": "no answer within 30 s"}},
		{boathook.Attempt{Number: 1, Error: "answered 500", Response: &boathook.Response{Status: 500}}, boathook.DeliveryRetrying, object{"code": 500.0, "status": "failed", "message": "answered 500"}},
		{boathook.Attempt{Number: 1, Response: &boathook.Response{Status: 202}}, boathook.DeliverySucceeded, object{"code": 202.0, "status": "active", "message": "Accepted"}},
	} {
		a.clock.pass(time.Minute)
		d := a.delivery(repository, webhook)
		d.ID = boathook.NewDeliveryID(&boathook.Event{ID: "evt_" + string(c.status), Time: a.clock.Now()}, webhook)
		d.Status, d.Attempts, c.outcome.SentAt = c.status, 1, a.clock.Now()
		if c.status == boathook.DeliveryRetrying {
			d.NextAttemptAt = a.clock.Now().Add(time.Hour)
		}
		if err := a.store.RecordAttempt(t.Context(), d, c.outcome); err != nil {
			t.Fatal(err)
		}
		for name, got := range map[string]object{"read": a.ask(200, "GET", path, ""), "changed": a.ask(200, "PATCH", path, `{}`)} {
			if last := got.object("last_response"); !reflect.DeepEqual(last, c.want) {
				t.Errorf("%s: got %v, want %v", name, last, c.want)
			}
		}
	}
}

func TestAListOfHooksTellsWhichFail(t *testing.T) {
	a := newAPI(t)
	hooks, repository := a.repository("docker-hello")
	path := a.hook(hooks)
	webhook := a.webhookOf(repository)
	status := func() string {
		for _, hook := range a.array(hooks) {
			if strings.HasSuffix(path, fmt.Sprintf("/%.0f", hook["id"])) {
				return hook.object("last_response").text("status")
			}
		}
		return "not in the list"
	}
	if got := status(); got != "active" {
		t.Errorf("before the first failure it is %s", got)
	}
	if _, err := a.store.MarkFailure(t.Context(), webhook, a.clock.Now()); err != nil {
		t.Fatal(err)
	}
	if got := status(); got != "failed" {
		t.Errorf("it is %s", got)
	}
	// A change that is refused forgets nothing: another hook sends these events already.
	a.ask(201, "POST", hooks, `{"config":{"url":"https://example.com/other","content_type":"json"}}`)
	a.ask(422, "PATCH", path, `{"active":true,"config":{"url":"https://example.com/other"}}`)
	if got := status(); got != "failed" {
		t.Errorf("after a change that was refused it is %s", got)
	}
}

// Clients of an Enterprise Server follow no link that leaves its paths.
func TestBelowAPIV3TheLinksAreThereToo(t *testing.T) {
	a := newAPI(t)
	a.host = "attacker.example" // a client names any
	hooks, _ := a.repository("docker-hello")
	path := "/api/v3" + a.hook(hooks)
	const base = "https://hooks.example.com/api/v3/repos/grosskur/docker-hello"
	got := a.ask(200, "GET", path, "")
	for field, rest := range map[string]string{"url": "", "test_url": "/tests", "ping_url": "/pings", "deliveries_url": "/deliveries"} {
		if want := "https://hooks.example.com" + path + rest; got.text(field) != want {
			t.Errorf("%s is %s, want %s", field, got.text(field), want)
		}
	}
	repository := a.ask(200, "GET", "/api/v3/repos/grosskur/docker-hello", "")
	if repository.text("url") != base || repository.text("hooks_url") != base+"/hooks" || repository.object("owner").text("url") != "https://hooks.example.com/api/v3/users/grosskur" {
		t.Errorf("got %v", repository)
	}
	a.ask(201, "POST", "/api/v3"+hooks, `{"config":{"url":"https://other.example"}}`)
	if link := a.request(stackToken, "GET", "/api/v3"+hooks+"?per_page=1", "").Header().Get("Link"); !strings.HasPrefix(link, "<"+base+"/hooks?") {
		t.Errorf("Link is %s", link)
	}
	a.ask(204, "DELETE", path, "")
}

func TestARepositoryHasWhatClientsReadBeforeItsHooks(t *testing.T) {
	a := newAPI(t)
	a.repository("docker-hello")
	for token, change := range map[string]bool{stackToken: true, a.tokenFor(stackToken, boathook.Viewer): false} {
		got := a.as(token, 200, "GET", "/repos/Grosskur/docker-hello", "")
		permissions := map[string]any{"admin": change, "push": change, "pull": true}
		for field, want := range (object{
			"name": "docker-hello", "full_name": "grosskur/docker-hello", "private": true, "clone_url": nil, "archived": false, "size": 0.0,
			"permissions": permissions, "created_at": "2026-03-01T12:00:00Z", "pushed_at": nil,
			"issues_url": "https://hooks.example.com/repos/grosskur/docker-hello/issues{/number}",
		}) {
			if value, found := got[field]; !found || !reflect.DeepEqual(value, want) {
				t.Errorf("%s is %v, want %v", field, value, want)
			}
		}
		if owner := got.object("owner"); owner.text("login") != "grosskur" || owner.text("type") != "User" {
			t.Errorf("the owner is %v", owner)
		}
	}
	a.ask(404, "GET", "/repos/grosskur/none", "")
}

func TestWhatIsNotServedIsNotFoundAsGitHubSaysIt(t *testing.T) {
	a := newAPI(t)
	hooks, _ := a.repository("docker-hello")
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/repos", 404},
		{"GET", "/repos/grosskur", 404},
		{"GET", "/repos/grosskur/docker-hello/branches/main", 404},
		{"GET", "/repos//docker-hello", 404},
		{"POST", hooks + "/1/unknown", 404},
		{"PUT", hooks, 405},
		{"GET", "/api/v3", 404},
		{"GET", "/api/v3/users/grosskur", 404},
		{"GET", "/api/v3/v1/me", 404},
		{"DELETE", "/api/v3" + hooks, 405},
	} {
		e := a.ask(c.status, c.method, c.path, "")
		if len(e) != 2 || e.text("message") == "" || e.text("documentation_url") == "" || c.status == 404 && e.text("message") != "Not Found" {
			t.Errorf("%s %s: got %v", c.method, c.path, e)
		}
	}
	if e := a.ask(404, "GET", "/reposit", ""); e.object("error").text("code") != "not_found" {
		t.Errorf("got %v", e)
	}
}

func TestHooksTakeBasicAuthenticationAndNothingElseDoes(t *testing.T) {
	a := newAPI(t)
	hooks, _ := a.repository("docker-hello")
	viewer := a.tokenFor(stackToken, boathook.Viewer)
	for _, c := range []struct {
		user, password string
		status         int
	}{
		{"me", stackToken, 200},
		{"", viewer, 200},
		{viewer, "", 200},
		{viewer, "x-oauth-basic", 200},
		{viewer, "wrong", 401},
		{"me", stackToken + "x", 401},
		{"me", "", 401},
		{"", "", 401},
	} {
		r := httptest.NewRequest("GET", hooks, nil)
		r.SetBasicAuth(c.user, c.password)
		header := r.Header.Get("Authorization")
		for _, path := range []string{hooks, "/api/v3" + hooks} {
			if w := a.request("", "GET", path, "", "Authorization", header); w.Code != c.status {
				t.Errorf("%s of %s:%s: got %d, want %d", path, c.user, c.password, w.Code, c.status)
			}
		}
		if w := a.request("", "GET", "/v1/me", "", "Authorization", header); w.Code != 401 {
			t.Errorf("/v1/me of %s:%s: got %d", c.user, c.password, w.Code)
		}
	}
	r := httptest.NewRequest("GET", hooks, nil)
	r.SetBasicAuth("me", viewer)
	if w := a.request("", "POST", hooks, `{}`, "Authorization", r.Header.Get("Authorization")); w.Code != 403 {
		t.Errorf("a viewer makes a hook: got %d", w.Code)
	}
}

func TestTwoHooksWithOneNumberAreNotConfused(t *testing.T) {
	a := newAPI(t)
	hooks, repository := a.repository("docker-hello")
	byNumber := map[int32]string{}
	for i := 0; ; i++ {
		w := boathook.OutgoingWebhook{
			ID: fmt.Sprint("out_", i), WorkspaceID: "ws_local", SourceID: repository, Name: "web", URL: "https://example.com/hook",
			Events: []boathook.EventType{boathook.EventBuildFinish}, Dialect: "shipway", Enabled: true, CreatedAt: a.clock.Now(),
		}
		twin, found := byNumber[w.Number()]
		byNumber[w.Number()] = w.ID
		if !found {
			continue
		}
		number := w.Number()
		for _, id := range []string{twin, w.ID} {
			w.ID = id
			if err := a.store.PutOutgoing(t.Context(), w); err != nil {
				t.Fatal(err)
			}
		}
		for _, pattern := range a.handler.Patterns() {
			method, path, _ := strings.Cut(pattern, " ")
			rest, ofHook := strings.CutPrefix(path, "/repos/{owner}/{repo}/hooks/{hook}")
			if !ofHook {
				continue
			}
			e := a.ask(409, method, fmt.Sprintf("%s/%d%s", hooks, number, rest), bodyOf(pattern))
			if !strings.Contains(e.text("message"), "/v1/repositories/"+repository) {
				t.Errorf("%s: got %v", pattern, e)
			}
		}
		return
	}
}
