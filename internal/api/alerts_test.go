package api_test

import (
	"reflect"
	"strings"
	"testing"

	"boathook/internal/boathook"
)

const (
	alertsPath    = "/v1/alerts"
	alertsWebhook = `{"name":"on call","url":"https://e.example","events":["webhook.failing"]}`
)

func TestTheAlertsOfAWorkspaceHaveWebhooks(t *testing.T) {
	a := newAPI(t)
	list := func(token string) []object {
		return a.as(token, 200, "GET", alertsPath+"/outgoing-webhooks", "").list("data")
	}
	if all := list(stackToken); len(all) != 0 {
		t.Fatalf("at first there are %v", all)
	}
	made := a.ask(201, "POST", alertsPath+"/outgoing-webhooks",
		`{"name":"on call","url":"https://hooks.slack.com/x","format":"slack","events":["webhook.failing","webhook.recovered","webhook.disabled","delivery.exhausted","run.lost"]}`)
	if made.text("alerts_id") != boathook.NewAlertsID("ws_local") || made.text("dialect") != "standard" || made["environment"] != nil || !strings.HasPrefix(made.text("signing_secret"), "whsec_") {
		t.Errorf("made %v", made)
	}
	path := alertsPath + "/outgoing-webhooks/" + made.text("id")
	if got := a.ask(200, "PATCH", path, `{"events":["run.lost"]}`)["events"]; !reflect.DeepEqual(got, []any{"run.lost"}) {
		t.Errorf("it wants %v", got)
	}
	other := a.otherWorkspace()
	if all := list(other); len(all) != 0 {
		t.Errorf("another workspace has %v", all)
	}
	a.as(other, 404, "GET", path, "")
	a.as(other, 404, "DELETE", path, "")
	a.as(other, 201, "POST", alertsPath+"/outgoing-webhooks", alertsWebhook)
	if all := list(stackToken); len(all) != 1 {
		t.Errorf("there are %v", all)
	}
	a.ask(204, "DELETE", path, "")
	if all := list(stackToken); len(all) != 0 {
		t.Errorf("after it was deleted there are %v", all)
	}
}

func TestAlertsAreOfTheCatalogueOnly(t *testing.T) {
	a := newAPI(t)
	for _, events := range []string{`["*"]`, `["run.failed"]`, `["invoice.paid"]`, `[]`} {
		a.refused(400, "events", "POST", alertsPath+"/outgoing-webhooks", `{"name":"x","url":"https://e.example","events":`+events+`}`)
	}
	a.refused(403, "type", "POST", "/v1/events", `{"source":"`+boathook.NewAlertsID("ws_local")+`","type":"run.lost","data":{}}`)
}

func TestAlertsCanBeTriedAndKept(t *testing.T) {
	a := newAPI(t)
	id := a.ask(201, "POST", alertsPath+"/outgoing-webhooks", alertsWebhook).text("id")
	path := alertsPath + "/outgoing-webhooks/" + id
	a.ask(202, "POST", path+"/test", "")
	a.ask(200, "PATCH", path, `{"enabled":false}`)
	a.refused(409, "", "POST", path+"/test", "")
	a.ask(200, "PATCH", path, `{"enabled":true}`)
	for _, event := range boathook.EventTypes[boathook.Alerts] {
		a.ask(200, "PATCH", path, `{"events":["`+string(event)+`"],"format":"slack"}`)
		if got := a.ask(200, "POST", path+"/preview", `{"event":{"type":"`+string(event)+`"}}`); got["reason"] != nil {
			t.Errorf("%s: %v", event, got)
		}
	}
	if got := a.ask(200, "PATCH", alertsPath+"/events", `{"event_retention_days":7}`); got["event_retention_days"] != 7.0 {
		t.Errorf("kept for %v", got)
	}
	if got := a.ask(200, "GET", alertsPath+"/events", ""); got["event_retention_days"] != 7.0 {
		t.Errorf("got %v", got)
	}
}

func TestAThresholdIsChecked(t *testing.T) {
	a := newAPI(t)
	path := a.deployment() + "/outgoing-webhooks/"
	path += a.outgoing(strings.TrimSuffix(path, "/outgoing-webhooks/")).text("id")
	for threshold, field := range map[string]string{
		`{"failures":0,"seconds":1}`: "alert_after.failures", `{"failures":11,"seconds":1}`: "alert_after.failures", `{"seconds":1}`: "alert_after.failures",
		`{"failures":1}`: "alert_after.seconds", `{"failures":1,"seconds":-1}`: "alert_after.seconds", `{"failures":1,"seconds":432001}`: "alert_after.seconds",
	} {
		a.refused(400, field, "PATCH", path, `{"alert_after":`+threshold+`}`)
	}
	got := a.ask(200, "PATCH", path, `{"alert_after":{"failures":1,"seconds":0}}`).object("alert_after")
	if got["failures"] != 1.0 || got["seconds"] != 0.0 {
		t.Errorf("set to %v", got)
	}
}
