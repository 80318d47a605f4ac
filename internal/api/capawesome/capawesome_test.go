package capawesome_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/api/capawesome"
	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
	"boathook/internal/testing/facetest"
)

// webhooks are operations that note what they are asked for.
type webhooks struct {
	capawesome.Webhooks
	appID, id   string
	change      service.AppWebhookChange
	delivery    boathook.DeliveryID
	attempt     int
	skip, limit int
	refusal     error
	found       []string // faults, of fields
}

func (o *webhooks) Change(_ context.Context, _ service.Caller, appID, id string, in service.AppWebhookChange) (boathook.OutgoingWebhook, error) {
	o.appID, o.id, o.change = appID, id, in
	if o.refusal != nil {
		return boathook.OutgoingWebhook{}, o.refusal
	}
	all := in.Issues
	for _, field := range o.found {
		all.Add("no", field)
	}
	return boathook.OutgoingWebhook{ID: id, SourceID: appID}, all.Or()
}

func (o *webhooks) List(_ context.Context, _ service.Caller, appID, _ string, skip, limit int) ([]boathook.OutgoingWebhook, error) {
	o.appID, o.skip, o.limit = appID, skip, limit
	return nil, o.refusal
}

func (o *webhooks) Resend(_ context.Context, _ service.Caller, appID, id string, delivery boathook.DeliveryID, attempt int) error {
	o.appID, o.id, o.delivery, o.attempt = appID, id, delivery, attempt
	return o.refusal
}

// tokens has one.
type tokens boathook.Token

func (t tokens) Mine(context.Context, service.Caller) (boathook.Token, error) {
	return boathook.Token(t), nil
}

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// ask sends a request to the face, as the API does, and gives what is answered.
func ask(t *testing.T, ops capawesome.Operations, method, path, body string) (status int, answer string) {
	t.Helper()
	admin := service.Caller{Workspace: "ws_1", Role: boathook.Admin}
	face := capawesome.New(ops, func() time.Time { return now })
	w := facetest.Ask(t, []httpjson.Face{face}, admin, method, path, body)
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestAChangeReachesTheOperation(t *testing.T) {
	text := func(s string) *string { return &s }
	on := true
	for _, tc := range []struct {
		body string
		want service.AppWebhookChange
	}{
		{`{}`, service.AppWebhookChange{}},
		{`{"name":"x","enabled":true,"events":[]}`, service.AppWebhookChange{Name: text("x"), Enabled: &on, Events: []boathook.EventType{}}},
		{`{"signingSecret":"s3cret"}`, service.AppWebhookChange{SigningSecret: text("s3cret")}},
		{`{"signingSecret":null}`, service.AppWebhookChange{SigningSecret: text("")}},
	} {
		o := &webhooks{}
		status, answer := ask(t, capawesome.Operations{Webhooks: o}, "PATCH", "/v1/apps/app_1/webhooks/out_1", tc.body)
		if status != 200 || o.appID != "app_1" || o.id != "out_1" || !strings.HasPrefix(answer, `{"id":"out_1","appId":"app_1",`) {
			t.Errorf("%s: answered %d %s", tc.body, status, answer)
		}
		if diff := cmp.Diff(tc.want, o.change); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.body, diff)
		}
	}
}

func TestADeliveryIsResentByTheIDOfAnAttempt(t *testing.T) {
	event := boathook.Event{ID: boathook.NewID(boathook.EventID), Time: now}
	id := boathook.NewDeliveryID(&event, "out_1")
	for text, attempt := range map[string]int{id.String(): 1, id.String() + ":3": 3} {
		o := &webhooks{}
		status, answer := ask(t, capawesome.Operations{Webhooks: o}, "POST", "/v1/apps/app_1/webhooks/out_1/deliveries/"+text+"/resend", "")
		if status != 202 || answer != `{"deliveryId":"`+id.String()+`"}` || o.delivery != id || o.attempt != attempt {
			t.Errorf("%s: answered %d %s, of the attempt %d of %s", text, status, answer, o.attempt, o.delivery)
		}
	}
	for _, text := range []string{"x", id.String() + ":1", id.String() + ":03", id.String() + ":x", id.String() + ":"} {
		o := &webhooks{}
		status, answer := ask(t, capawesome.Operations{Webhooks: o}, "POST", "/v1/apps/app_1/webhooks/out_1/deliveries/"+text+"/resend", "")
		if status != 404 || answer != `{"message":"Delivery not found."}` || o.attempt != 0 {
			t.Errorf("%s: answered %d %s", text, status, answer)
		}
	}
}

func TestTheStacksTokenIsAUserToo(t *testing.T) {
	for id, want := range map[string]string{"": `{"id":"stack",`, "tok_1": `{"id":"tok_1",`} {
		status, answer := ask(t, capawesome.Operations{Tokens: tokens{ID: id}}, "GET", "/v1/users/me", "")
		if status != 200 || !strings.HasPrefix(answer, want) || !strings.Contains(answer, `"lastSeenAt":"2026-03-01T12:00:00.000Z"`) {
			t.Errorf("answered %d %s", status, answer)
		}
	}
}

func TestErrorsAreCapawesomes(t *testing.T) {
	const one, list = "/v1/apps/app_1/webhooks/out_1", "/v1/apps/app_1/webhooks"
	absent := func(what string) error {
		return &boathook.Error{Kind: boathook.NotFound, Message: "there is none", Absent: what}
	}
	for _, tc := range []struct {
		method, path, body string
		ops                webhooks
		status             int
		want               string
	}{
		{"PATCH", one, `{}`, webhooks{refusal: absent("app")}, 404, `{"message":"App not found."}`},
		{"PATCH", one, `{}`, webhooks{refusal: absent("outgoing webhook")}, 404, `{"message":"Webhook not found."}`},
		{"GET", list, ``, webhooks{refusal: boathook.Errorf(boathook.Conflict, "no")}, 409, `{"message":"no"}`},
		{"GET", list, ``, webhooks{refusal: boathook.Errorf(boathook.Invalid, "no")}, 400, `{"error":{"issues":[{"path":[],"message":"no"}]}}`},
		{"GET", list + "?limit=0&offset=x", ``, webhooks{}, 400, `{"error":{"issues":[` +
			`{"path":["limit"],"message":"must be a whole number from 1 to 100"},{"path":["offset"],"message":"must be a whole number from 0 to 10000"}]}}`},
		// What a body has of another name is told as it was sent, and beside what the
		// operation finds.
		{"PATCH", one, `{"signing_secret":"x"}`, webhooks{found: []string{"signing_secret", "url"}}, 400, `{"error":{"issues":[` +
			`{"path":["signing_secret"],"message":"no such field: there are name, url, events, format, enabled, signingSecret"},` +
			`{"path":["signingSecret"],"message":"no"},{"path":["url"],"message":"no"}]}}`},
	} {
		status, answer := ask(t, capawesome.Operations{Webhooks: &tc.ops}, tc.method, tc.path, tc.body)
		if status != tc.status || answer != tc.want {
			t.Errorf("%s %s %s: answered %d %s, want %d %s", tc.method, tc.path, tc.body, status, answer, tc.status, tc.want)
		}
	}
}
