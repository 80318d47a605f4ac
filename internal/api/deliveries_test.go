package api_test

import (
	"bytes"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/catalogue"
	"boathook/internal/queue"
)

func failedAttempt(number int) boathook.Attempt {
	return boathook.Attempt{
		Number: number, SentAt: time.Date(2026, 3, 1, 12, 0, number, 0, time.UTC), Duration: 1234567 * time.Microsecond,
		Signature: "abc123", Error: "status 500",
		Response: &boathook.Response{
			Status: 500, Headers: http.Header{"X-A": {"1", "2"}}, Body: []byte("bad \xff day"), Truncated: true,
		},
	}
}

// delivery is one of a webhook, for an event of now.
func (a *tester) delivery(deployment, webhook string) boathook.Delivery {
	e := boathook.Event{ID: boathook.NewID(boathook.EventID), Time: a.clock.Now()}
	return boathook.Delivery{
		ID: boathook.NewDeliveryID(&e, webhook), WorkspaceID: "ws_local", SourceID: deployment, WebhookID: webhook,
		EventID: e.ID, EventType: boathook.EventRunSucceeded, Environment: boathook.Production,
		Body: boathook.NewBody([]byte(`{"event":"run.succeeded","n":12345678901234567890}`)),
	}
}

// record stores a delivery that is retried after its attempts.
func (a *tester) record(deployment, webhook string, attempts ...boathook.Attempt) boathook.DeliveryID {
	a.t.Helper()
	d := a.delivery(deployment, webhook)
	for _, attempt := range attempts {
		d.Status, d.Attempts, d.NextAttemptAt = boathook.DeliveryRetrying, attempt.Number, attempt.SentAt.Add(time.Minute)
		if attempt.Succeeded() {
			d.Status, d.NextAttemptAt = boathook.DeliverySucceeded, time.Time{}
		}
		if err := a.store.RecordAttempt(a.t.Context(), d, attempt); err != nil {
			a.t.Fatal(err)
		}
	}
	return d.ID
}

func TestADeliveryShowsItsRequestAndEachAttempt(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	webhook := a.outgoing(deployment).text("id")
	timeout := boathook.Attempt{Number: 2, URL: "https://example.com/hook", SentAt: time.Date(2026, 3, 1, 12, 0, 2, 0, time.UTC), Signature: "def456", Error: "no answer within 30 s"}
	id := a.record(idOf(deployment), webhook, failedAttempt(1), timeout).String()
	got := a.ask(200, "GET", "/v1/deliveries/"+id, "")
	want := object{
		"id": id, "deployment_id": idOf(deployment), "webhook_id": webhook, "event_id": got.text("event_id"),
		"event": "run.succeeded", "environment": "production", "status": "retrying", "attempt_count": 2.0,
		"next_attempt_at": "2026-03-01T12:01:02.000Z", "reason": nil, "created_at": "2026-03-01T12:00:00.000Z",
		"request": map[string]any{
			"method": "POST", "url": "https://example.com/hook", "body": `{"event":"run.succeeded","n":12345678901234567890}`,
			"headers": map[string]any{
				"Content-Type": "application/json", "User-Agent": boathook.UserAgent(), "X-Key": "********",
				"X-Crewship-Event": "run.succeeded", "X-Crewship-Delivery": id,
				"X-Crewship-Timestamp": "1772366402", "X-Crewship-Signature": "def456",
			},
		},
		"last_attempt": map[string]any{
			"number": 2.0, "sent_at": "2026-03-01T12:00:02.000Z", "duration_ms": 0.0, "response_status": nil, "error": "no answer within 30 s",
		},
		"attempts": []any{
			map[string]any{
				"number": 1.0, "sent_at": "2026-03-01T12:00:01.000Z", "duration_ms": 1234.0, "response_status": 500.0,
				"response_headers": map[string]any{"X-A": "1, 2"}, "response_body": "bad \uFFFD day", "response_truncated": true, "error": "status 500", "cut_at": nil,
			},
			map[string]any{
				"number": 2.0, "sent_at": "2026-03-01T12:00:02.000Z", "duration_ms": 0.0, "response_status": nil,
				"response_headers": nil, "response_body": nil, "response_truncated": false, "error": "no answer within 30 s", "cut_at": nil,
			},
		},
	}
	if !strings.HasPrefix(got.text("event_id"), "evt_") || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}

	delete(want, "request")
	delete(want, "attempts")
	list := a.ask(200, "GET", deployment+"/outgoing-webhooks/"+webhook+"/deliveries", "").list("data")
	if len(list) != 1 || !reflect.DeepEqual(list[0], want) {
		t.Errorf("the list has %v, want %v", list, want)
	}
}

func TestADeliveryOutlivesItsWebhook(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	webhook := a.outgoing(deployment).text("id")
	id := a.record(idOf(deployment), webhook, failedAttempt(1)).String()
	a.ask(204, "DELETE", deployment+"/outgoing-webhooks/"+webhook, "")
	request := a.ask(200, "GET", "/v1/deliveries/"+id, "").object("request")
	if request["url"] != nil || request["headers"] != nil || request.text("body") == "" {
		t.Errorf("got %v", request)
	}
	a.refused(409, "", "POST", "/v1/deliveries/"+id+"/resend", "")
	if len(a.retries.messages) != 0 {
		t.Errorf("queued %v", a.retries.messages)
	}
}

func TestADeliveryCanceledBeforeItsFirstAttemptHasNoHeaders(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	d := a.delivery(idOf(deployment), a.outgoing(deployment).text("id"))
	d.Reason = "the webhook is disabled"
	if err := a.store.CancelDelivery(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	got := a.ask(200, "GET", "/v1/deliveries/"+d.ID.String(), "")
	if got.text("status") != "canceled" || got.text("reason") != d.Reason || got.object("request")["headers"] != nil || got.object("request").text("body") != d.Body.String() || got["next_attempt_at"] != nil {
		t.Errorf("got %v", got)
	}
}

func TestDeliveriesAreListedByStatusAndEvent(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	webhook := a.outgoing(deployment).text("id")
	path := deployment + "/outgoing-webhooks/" + webhook + "/deliveries"
	retrying := a.record(idOf(deployment), webhook, failedAttempt(1)).String()
	a.clock.pass(time.Second)
	good := failedAttempt(1)
	good.Error, good.Response = "", &boathook.Response{Status: 204}
	succeeded := a.record(idOf(deployment), webhook, good).String()
	for query, want := range map[string][]string{
		"":                     {succeeded, retrying},
		"?status=retrying":     {retrying},
		"?status=succeeded":    {succeeded},
		"?status=canceled":     {},
		"?event=run.succeeded": {succeeded, retrying},
		"?event=run.failed":    {},
		"?limit=1":             {succeeded},
	} {
		if got := a.ask(200, "GET", path+query, "").column("data", "id"); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	next := a.ask(200, "GET", path+"?limit=1", "").text("next_cursor")
	if got := a.ask(200, "GET", path+"?limit=1&cursor="+next, "").column("data", "id"); !slices.Equal(got, []string{retrying}) {
		t.Errorf("the second page has %q", got)
	}
	a.refused(400, "status", "GET", path+"?status=sent", "")
	a.refused(400, "event", "GET", path+"?event=run.started", "")
	a.refused(400, "limit", "GET", path+"?limit=201", "")
	a.refused(400, "cursor", "GET", path+"?cursor=nonsense", "")
}

func TestAResendQueuesTheNextAttemptOfTheSameDelivery(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	webhook := a.outgoing(deployment).text("id")
	id := a.record(idOf(deployment), webhook, failedAttempt(1), failedAttempt(2))
	if got := a.ask(202, "POST", "/v1/deliveries/"+id.String()+"/resend", "").text("delivery_id"); got != id.String() {
		t.Errorf("resent %s", got)
	}
	if len(a.retries.messages) != 1 {
		t.Fatalf("queued %v", a.retries.messages)
	}
	d, err := queue.DecodeDelivery(a.retries.messages[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	if d.ID != id || d.Attempt != 3 || d.First != 3 || d.WebhookID != webhook ||
		d.Body.String() != `{"event":"run.succeeded","n":12345678901234567890}` || a.retries.messages[0].Group != webhook {
		t.Errorf("queued %+v", d)
	}

	a.retries.err = errors.New("the retries queue's URL")
	if got := a.refused(503, "", "POST", "/v1/deliveries/"+id.String()+"/resend", ""); strings.Contains(got, "queue's") {
		t.Errorf("a 503 says %q", got)
	}
	a.ask(200, "PATCH", deployment+"/outgoing-webhooks/"+webhook, `{"enabled":false}`)
	a.refused(409, "", "POST", "/v1/deliveries/"+id.String()+"/resend", "")
}

func TestATestSendsAnExampleOfTheFirstEvent(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	webhook := a.outgoing(deployment).text("id")
	path := deployment + "/outgoing-webhooks/" + webhook
	for _, event := range boathook.EventTypes[boathook.Deployment] {
		a.ask(200, "PATCH", path, `{"events":["`+string(event)+`"]}`)
		got := a.ask(202, "POST", path+"/test", "").text("delivery_id")
		e := a.publish.event
		if want := boathook.NewDeliveryID(&e, webhook).String(); got != want || a.publish.webhook.ID != webhook {
			t.Errorf("queued %s to %s, want %s", got, a.publish.webhook.ID, want)
		}
		if e.Type != event || e.SourceID != idOf(deployment) || e.WorkspaceID != "ws_local" || e.Environment != boathook.Production || !e.Time.Equal(a.clock.Now()) {
			t.Errorf("published %+v", e)
		}
		if want, _ := catalogue.Lookup(boathook.Deployment, event); !bytes.Equal(e.Data, want.Example) {
			t.Errorf("the event's data is %s, want %s", e.Data, want.Example)
		}
	}
	a.publish.err = errors.New("down")
	a.refused(503, "", "POST", path+"/test", "")
	a.ask(200, "PATCH", path, `{"enabled":false}`)
	a.refused(409, "", "POST", path+"/test", "")
}
