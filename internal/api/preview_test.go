package api_test

import (
	"cmp"
	"strings"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/dialect"
	"boathook/internal/signature"
)

func TestAPreviewShowsWhatWouldBeSent(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	made := a.outgoing(deployment)
	path := deployment + "/outgoing-webhooks/" + made.text("id")
	a.ask(200, "PATCH", path, `{"enabled":false}`)
	const asked = `{"event":{"type":"run.succeeded","environment":"production"}}`
	for _, c := range []struct{ change, event, reason, body, contentType string }{
		{`{}`, asked, "", `"event":"run.succeeded"`, ""},
		{`{"filter":".data.status == \"failed\""}`, asked, "filter: false", "", ""},
		{`{"filter":".data.status"}`, asked, "filter: gives a string, not a boolean", "", ""},
		{`{"filter":".type == \"run.succeeded\"","transform":"\"\\(.type) in \\(.environment)\""}`, asked, "", "run.succeeded in production", "text/plain; charset=utf-8"},
		{`{"transform":"error(\"no\")"}`, asked, "transform: error: no", "", ""},
		{`{"format":"slack","transform":"{kind: .source.kind}"}`, asked, "", `{"kind":"deployment"}`, ""},
		{`{}`, `{"event":{"type":"run.succeeded","environment":"staging"}}`, "environment: staging", "", ""},
		{`{}`, `{"event":{"type":"run.failed"}}`, "events: run.failed", "", ""},
	} {
		a.ask(200, "PATCH", path, c.change)
		got := a.ask(200, "POST", path+"/preview", c.event)
		if c.reason != "" {
			if got["delivered"] != false || got["reason"] != c.reason || got["request"] != nil {
				t.Errorf("%s: %v, want %s", c.change, got, c.reason)
			}
			continue
		}
		request, ok := got["request"].(map[string]any)
		if !ok || got["delivered"] != true || request["method"] != "POST" || request["url"] != "https://example.com/hook" {
			t.Errorf("%s: %v", c.change, got)
			continue
		}
		body, headers := request["body"].(string), request["headers"].(map[string]any)
		if !strings.Contains(body, c.body) || headers["X-Key"] != "********" || headers["Content-Type"] != cmp.Or(c.contentType, "application/json") {
			t.Errorf("%s: %v", c.change, request)
		}
		if header, _ := headers[dialect.CrewshipSignature].(string); !signature.VerifyTimestamped(header, made.text("signing_secret"), a.clock.Now(), []byte(body)) {
			t.Errorf("the signature %q of %s does not verify", header, body)
		}
	}
	if len(a.publish.events) > 0 || a.publish.webhook.ID != "" {
		t.Error("a preview was sent")
	}
}

func TestAPreviewIsOfAnEventThatTheSourceHas(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	path := deployment + "/outgoing-webhooks/" + a.outgoing(deployment).text("id") + "/preview"
	for body, field := range map[string]string{
		`{}`:                                "event",
		`{"event":{}}`:                      "/event/type",
		`{"event":{"type":"build_finish"}}`: "/event/type",
		`{"event":{"type":"run.failed","environment":"test"}}`:       "/event/environment",
		`{"event":{"type":"run.failed","data":{}}}`:                  "/event/data",
		`{"event":{"type":"run.failed","data":null}}`:                "event.data",
		`{"event":{"type":"run.failed","data":{"status":["deep"]}}}`: "/event/data",
	} {
		if got := a.ask(400, "POST", path, body); !strings.HasPrefix(got["error"].(map[string]any)["field"].(string), field) {
			t.Errorf("%s: %v, want %s", body, got, field)
		}
	}
}

func TestEachKindOfSourceHasPreviews(t *testing.T) {
	a := newAPI(t)
	_, repository := a.repository("ci")
	for source, kind := range map[string]struct{ events, asked string }{
		a.agent():                        {`["run.failed"]`, "run.failed"},
		"/v1/repositories/" + repository: {`["build_finish"]`, "build_finish"},
		"/v1/apps/" + a.newApp():         {`["job_finished"]`, "job_finished"},
		a.customer("x"):                  {`["webhook.disabled"]`, "webhook.disabled"},
		alertsPath:                       {`["run.lost"]`, "run.lost"},
	} {
		webhook := source + "/outgoing-webhooks/" + a.ask(201, "POST", source+"/outgoing-webhooks",
			`{"name":"x","url":"https://e.example","environment":"production","events":`+kind.events+`}`).text("id")
		if got := a.ask(200, "POST", webhook+"/preview", `{"event":{"type":"`+kind.asked+`"}}`); got["delivered"] != true {
			t.Errorf("%s: %v", webhook, got)
		}
	}
}

// What could not be made was not sent: neither the event that is kept in its place nor
// headers are shown.
func TestADeliveryWhoseBodyCouldNotBeMadeShowsWhy(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	d := a.delivery(idOf(deployment), a.outgoing(deployment).text("id"))
	d.Fault, d.Status, d.Attempts = "transform: error: no", boathook.DeliveryFailed, 1
	if err := a.store.RecordAttempt(t.Context(), d, boathook.Attempt{Number: 1, SentAt: a.clock.Now(), Error: d.Fault}); err != nil {
		t.Fatal(err)
	}
	got := a.ask(200, "GET", "/v1/deliveries/"+d.ID.String(), "")
	request := got["request"].(map[string]any)
	if request["body"] != "" || request["headers"] != nil || request["body_missing"] != nil {
		t.Errorf("the request is %v", request)
	}
	if last := got["last_attempt"].(map[string]any); last["error"] != d.Fault || got["status"] != "failed" {
		t.Errorf("it is %v", got)
	}
}

func TestAPreviewIsOfATypeThatTheWorkspaceDefines(t *testing.T) {
	a := newAPI(t)
	customer := a.customer("x")
	a.ask(200, "PUT", "/v1/event-types/invoice.paid",
		`{"description":"Paid.","schema":{"type":"object","required":["invoice"]},"example":{"invoice":"inv_17"}}`)
	webhook := customer + "/outgoing-webhooks/" + a.ask(201, "POST", customer+"/outgoing-webhooks",
		`{"name":"x","url":"https://e.example","events":["invoice.paid"],"channels":["eu"]}`).text("id")
	for event, reason := range map[string]any{
		`{"type":"invoice.paid","channels":["eu"]}`:                            nil,
		`{"type":"invoice.paid","channels":["eu"],"data":{"invoice":"inv_2"}}`: nil,
		`{"type":"invoice.paid","channels":["us","cn"]}`:                       "channels: cn, us",
		`{"type":"invoice.paid"}`:                                              "channels: none",
	} {
		if got := a.ask(200, "POST", webhook+"/preview", `{"event":`+event+`}`); got["reason"] != reason || got["delivered"] != (reason == nil) {
			t.Errorf("%s: %v, want %v", event, got, reason)
		}
	}
	for event, field := range map[string]string{
		`{"type":"invoice.lost"}`:                         "/event/type",
		`{"type":"build_finish"}`:                         "/event/type",
		`{"type":"invoice.paid","data":{"invoice_id":1}}`: "/event/data/invoice",
		`{"type":"invoice.paid","channels":["e u"]}`:      "/event/channels",
	} {
		if got := a.ask(400, "POST", webhook+"/preview", `{"event":`+event+`}`); got["error"].(map[string]any)["field"] != field {
			t.Errorf("%s: %v, want %s", event, got, field)
		}
	}
}
