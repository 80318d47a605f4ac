package manage_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/manage"
	"boathook/internal/queue"
	"boathook/internal/seal"
)

// repository makes one of the owner grosskur, and gives its hooks' path.
func (a *api) repository(name string) (hooks, id string) {
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
func (a *api) hook(hooks string) string {
	a.t.Helper()
	made := a.ask(201, "POST", hooks, `{"name":"web","active":true,"events":["build_finish"],
		"config":{"url":"https://example.com/hook","content_type":"json","insecure_ssl":"0","secret":"hook-secret"}}`)
	return fmt.Sprintf("%s/%.0f", hooks, made["id"])
}

// webhookOf is the id of a source's newest outgoing webhook.
func (a *api) webhookOf(source string) string {
	a.t.Helper()
	all, err := a.store.AllOutgoing(a.t.Context(), source)
	if err != nil || len(all) == 0 {
		a.t.Fatalf("%d webhooks, %v", len(all), err)
	}
	return all[0].ID
}

// array makes a request that must be answered 200 with an array.
func (a *api) array(path string) []object {
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
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || w.Code != 201 || made.ID <= 0 || made.ID >= 1<<53 {
		t.Fatalf("%d %s, %v", w.Code, w.Body, err)
	}
	want := fmt.Sprintf(`{"id":%d,"name":"web","active":true,"events":["build_finish"],`+
		`"config":{"url":"https://example.com/hook","content_type":"json","secret":"********"},`+
		`"created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z"}`, made.ID)
	if got := w.Body.String(); got != want {
		t.Errorf("made %s, want %s", got, want)
	}
	path := fmt.Sprintf("%s/%d", hooks, made.ID)
	for _, p := range []string{path, strings.Replace(path, "grosskur/docker-hello", "Grosskur/Docker-Hello", 1)} {
		if got := a.request(stackToken, "GET", p, "").Body.String(); got != want {
			t.Errorf("%s: read %s, want %s", p, got, want)
		}
	}
	if got := a.request(stackToken, "GET", hooks, "").Body.String(); got != "["+want+"]" {
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
		{`{"active":false}`, false, "https://example.com/hook", true, []string{"hook-secret"}},
		{`{"active":true,"events":["build_finish"],"add_events":["build_finish"],"remove_events":["push"]}`, true, "https://example.com/hook", true, []string{"hook-secret"}},
		{`{"config":{"url":"https://new.example","secret":"********"}}`, true, "https://new.example", true, []string{"hook-secret"}},
		{`{"config":{"url":"https://new.example","secret":"other","insecure_ssl":0}}`, true, "https://new.example", true, []string{"other"}},
		{`{"config":{"url":"https://newer.example","content_type":"json"}}`, true, "https://newer.example", false, nil},
	} {
		got := a.ask(200, "PATCH", path, c.body)
		config := got.object("config")
		if got["active"] != c.active || config.text("url") != c.url || (config["secret"] == "********") != c.masked ||
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
		{"PATCH", path, `{"active":"yes"}`, "active"},
		{"GET", path + "/deliveries?cursor=nonsense", ``, "cursor"},
	} {
		e := a.ask(422, c.method, c.path, c.body)
		first := e.list("errors")
		if e.text("message") != "Validation Failed" || len(first) != 1 || first[0].text("field") != c.field ||
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
		if len(e) != 1 || e.text("message") == "" || c.message != "" && e.text("message") != c.message {
			t.Errorf("%s %s: got %v", c.method, c.path, e)
		}
	}
}

func TestARepositoryHasAHundredHooksInPages(t *testing.T) {
	a := newAPI(t)
	hooks, _ := a.repository("docker-hello")
	var ids []any
	for range boathook.MaxWebhooks {
		ids = append(ids, a.ask(201, "POST", hooks, `{"config":{"url":"https://e.example"}}`)["id"])
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
	a := newAPI(t, func(c *manage.Config) { c.PublicURL = "" })
	hooks, _ := a.repository("docker-hello")
	a.hook(hooks)
	a.hook(hooks)
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
		if d, err := queue.DecodeDelivery(a.retries.messages[0].Body); err != nil || d.ID != id || d.Attempt != 2 || d.Series != 2 {
			t.Errorf("queued %+v, %v", d, err)
		}
	}
	other := a.hook(hooks)
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
