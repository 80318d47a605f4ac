package api_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
)

const (
	queueARN  = "arn:aws:sqs:eu-west-1:123456789012:orders"
	ordersARN = queueARN + ".fifo"
)

func toQueue(arn string) string { return `"destination":{"type":"sqs","queue_arn":"` + arn + `"}` }

// newQueueWebhook makes an outgoing webhook that sends to a queue.
func (a *tester) newQueueWebhook(source, fields string) object {
	a.t.Helper()
	return a.ask(201, "POST", source+"/outgoing-webhooks",
		`{"name":"orders","events":["run.succeeded"],"environment":"production",`+toQueue(queueARN)+fields+`}`)
}

func TestAWebhookMaySendToAQueueInPlaceOfAURL(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	made := a.newQueueWebhook(deployment, `,"headers":{"X-Key":"k"}`)
	want := map[string]any{"type": "sqs", "queue_arn": queueARN}
	for name, got := range map[string]object{
		"made":   made,
		"read":   a.ask(200, "GET", deployment+"/outgoing-webhooks/"+made.text("id"), ""),
		"listed": a.ask(200, "GET", deployment+"/outgoing-webhooks", "")["data"].([]any)[0].(map[string]any),
	} {
		if got["url"] != nil || !reflect.DeepEqual(got["destination"], want) {
			t.Errorf("%s: the url is %v and the destination %v", name, got["url"], got["destination"])
		}
	}
}

// A URL and a destination take each other's place, and what goes elsewhere loses its
// headers: they were for the receiver before.
func TestAWebhookChangesBetweenAURLAndAQueue(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	path := deployment + "/outgoing-webhooks/" + a.outgoing(deployment).text("id")
	const url = "https://example.com/hook"
	for _, step := range []struct {
		name, change string
		url          any
		queue        string
		headers      int
	}{
		{"another name", `{"name":"renamed"}`, url, "", 1},
		{"a queue", `{` + toQueue(queueARN) + `}`, nil, queueARN, 0},
		{"the same with a header", `{` + toQueue(queueARN) + `,"headers":{"X-Key":"k"}}`, nil, queueARN, 1},
		{"the same", `{` + toQueue(queueARN) + `}`, nil, queueARN, 1},
		{"another queue", `{` + toQueue(ordersARN) + `}`, nil, ordersARN, 0},
		{"another with a header", `{` + toQueue(queueARN) + `,"headers":{"X-Key":"k"}}`, nil, queueARN, 1},
		{"the URL again", `{"url":"` + url + `"}`, url, "", 0},
	} {
		got := a.ask(200, "PATCH", path, step.change)
		destination, _ := got["destination"].(map[string]any)
		queue, _ := destination["queue_arn"].(string)
		if got["url"] != step.url || queue != step.queue || len(got["headers"].(map[string]any)) != step.headers {
			t.Errorf("%s: the url is %v, the queue %q, the headers are %v", step.name, got["url"], queue, got["headers"])
		}
		if read := a.ask(200, "GET", path, ""); !reflect.DeepEqual(read, got) {
			t.Errorf("%s: read %v, want %v", step.name, read, got)
		}
	}
}

func TestADestinationThatIsNoneIsRefused(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	ofURL := deployment + "/outgoing-webhooks/" + a.outgoing(deployment).text("id")
	ofQueue := deployment + "/outgoing-webhooks/" + a.newQueueWebhook(deployment, "").text("id")
	for _, tt := range []struct{ field, body string }{
		{"destination", `{"url":"https://example.com/hook",` + toQueue(queueARN) + `}`},
		{"destination", `{"destination":null}`},
		{"destination", `{"destination":"` + queueARN + `"}`},
		{"destination.type", `{"destination":{"queue_arn":"` + queueARN + `"}}`},
		{"destination.type", `{"destination":{"type":"kafka","queue_arn":"` + queueARN + `"}}`},
		{"destination.type", `{"destination":{"type":"","queue_arn":""}}`},
		{"destination.queue_arn", `{"destination":{"type":"sqs"}}`},
		{"destination.region", `{"destination":{"type":"sqs","queue_arn":"` + queueARN + `","region":"eu-west-1"}}`},
		{"destination.queue_arn", `{` + toQueue("") + `}`},
		{"destination.queue_arn", `{` + toQueue("orders") + `}`},
		{"destination.queue_arn", `{` + toQueue("https://sqs.eu-west-1.amazonaws.com/123456789012/orders") + `}`},
		{"destination.queue_arn", `{` + toQueue("arn:aws:sns:eu-west-1:123456789012:orders") + `}`},
		{"destination.queue_arn", `{` + toQueue(queueARN+":x") + `}`},
		{"destination.queue_arn", `{` + toQueue(queueARN+" ") + `}`},
		{"destination.queue_arn", `{` + toQueue("arn:aws:sqs:eu-west-1:12345678901:orders") + `}`},
		{"destination.queue_arn", `{` + toQueue("arn:aws:sqs::123456789012:orders") + `}`},
		{"destination.queue_arn", `{` + toQueue("arn:aws:sqs:eu-west-1/../x:123456789012:orders") + `}`},
		{"destination.queue_arn", `{` + toQueue("arn:aws:sqs:eu-west-1:123456789012:or/../ders") + `}`},
		{"destination.queue_arn", `{` + toQueue("arn:aws:sqs:eu-west-1:123456789012:.fifo") + `}`},
		{"destination.queue_arn", `{` + toQueue("arn:aws:sqs:eu-west-1:123456789012:a*") + `}`},
		{"destination.queue_arn", `{` + toQueue("arn:aws:sqs:eu-west-1:123456789012:"+strings.Repeat("a", 81)) + `}`},
		{"destination.queue_arn", `{` + toQueue("arn:aws:sqs:eu-west-1:123456789012:forbidden") + `}`},
	} {
		a.refused(400, tt.field, "PATCH", ofURL, tt.body)
		a.refused(400, tt.field, "PATCH", ofQueue, tt.body)
	}
	if message := a.refused(400, "url", "POST", deployment+"/outgoing-webhooks", `{"name":"x","events":["run.succeeded"],"environment":"production"}`); !strings.Contains(message, "destination") {
		t.Errorf("%q does not say that a destination will do", message)
	}
}

// The headers of a message are its attributes: ten at most, and not of all names.
func TestHeadersThatAMessageHasNoRoomForAreRefused(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	made := a.newQueueWebhook(deployment, "")
	path := deployment + "/outgoing-webhooks/" + made.text("id")
	ofURL := deployment + "/outgoing-webhooks/" + a.outgoing(deployment).text("id")
	const four, five = `"headers":{"A":"1","B":"2","C":"3","D":"4"}`, `"headers":{"A":"1","B":"2","C":"3","D":"4","E":"5"}`
	a.ask(200, "PATCH", path, `{`+four+`}`) // crewship has six of its own
	if message := a.refused(400, "headers", "PATCH", path, `{`+five+`}`); !strings.Contains(message, "at most 4") {
		t.Errorf("the message is %q", message)
	}
	a.ask(200, "PATCH", path, `{"dialect":"standard",`+five+`}`) // standard has five
	a.refused(400, "headers", "PATCH", path, `{"dialect":"crewship"}`)
	for _, name := range []string{"X-Key!", "AWS.Key", "amazon.key", ".key", "key.", "a..b", strings.Repeat("k", 257)} {
		a.refused(400, "headers", "PATCH", path, `{"headers":{"`+name+`":"v"}}`)
		a.ask(200, "PATCH", ofURL, `{"headers":{"`+name+`":"v"}}`)
		a.refused(400, "headers", "PATCH", ofURL, `{`+toQueue(queueARN)+`,"headers":{"`+name+`":"v"}}`)
	}
	a.ask(200, "PATCH", ofURL, `{`+toQueue(queueARN)+`}`) // the headers are gone, and with them the fault
}

func TestADeliveryToAQueueShowsTheQueueAndTheMessagesID(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	webhook := a.newQueueWebhook(deployment, "").text("id")
	id := a.record(idOf(deployment), webhook, boathook.Attempt{
		Number: 1, SentAt: a.clock.Now(), Duration: 20 * time.Millisecond, Signature: "abc",
		Destination: boathook.Destination{Type: boathook.DestinationSQS, QueueARN: queueARN},
		Response:    &boathook.Response{Status: http.StatusOK, MessageID: "5fea7756-0ea4-451a-a703-a558b933e274"},
	})
	got := a.ask(200, "GET", "/v1/deliveries/"+id.String(), "")
	request := got["request"].(map[string]any)
	want := map[string]any{"type": "sqs", "queue_arn": queueARN}
	if request["method"] != "SendMessage" || request["url"] != nil || !reflect.DeepEqual(request["destination"], want) {
		t.Errorf("the request is %v", request)
	}
	if headers := request["headers"].(map[string]any); headers["X-Crewship-Signature"] != "abc" {
		t.Errorf("the headers are %v", headers)
	}
	attempt := got["attempts"].([]any)[0].(map[string]any)
	if attempt["message_id"] != "5fea7756-0ea4-451a-a703-a558b933e274" || attempt["response_status"] != 200.0 {
		t.Errorf("the attempt is %v", attempt)
	}
}

// Their documents say that each webhook has a URL.
func TestTheDocumentedSystemsKnowNoWebhookOfAQueue(t *testing.T) {
	a := newAPI(t)
	hooks, repository := a.repository("docker-hello")
	a.ask(201, "POST", "/v1/repositories/"+repository+"/outgoing-webhooks", `{"name":"x","events":["build_finish"],`+toQueue(queueARN)+`}`)
	if got := a.array(hooks); len(got) != 0 {
		t.Errorf("Shipway lists %v", got)
	}
	webhooks, app := a.app()
	made := a.ask(201, "POST", "/v1/apps/"+app+"/outgoing-webhooks", `{"name":"x","events":["job_finished"],`+toQueue(queueARN)+`}`)
	if got := a.array(webhooks); len(got) != 0 {
		t.Errorf("Capawesome Cloud lists %v", got)
	}
	one := webhooks + "/" + made.text("id")
	a.ask(404, "GET", one, "")
	a.ask(404, "PATCH", one, `{"url":"https://example.com/hook"}`)
	a.ask(404, "DELETE", one, "")
	if got := a.ask(200, "GET", "/v1/apps/"+app+"/outgoing-webhooks/"+made.text("id"), ""); got["destination"] == nil {
		t.Errorf("it is %v now", got)
	}
}

const listener = `"destination":{"type":"listener"}`

// Each kind of source may have a listener, to which nothing is sent again by itself.
func TestAWebhookMayTellAListenerInPlaceOfAURL(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	_, repository := a.repository("docker-hello")
	_, app := a.app()
	for source, fields := range map[string]string{
		deployment:                       `"events":["run.succeeded"],"environment":"production"`,
		a.agent():                        `"events":["run.succeeded"]`,
		"/v1/repositories/" + repository: `"events":["build_finish"]`,
		"/v1/apps/" + app:                `"events":["job_finished"]`,
	} {
		made := a.ask(201, "POST", source+"/outgoing-webhooks", `{"name":"laptop",`+fields+`,`+listener+`,"signing_secret":"0123456789abcdefghijklmnop"}`)
		for name, got := range map[string]object{
			"made":   made,
			"read":   a.ask(200, "GET", source+"/outgoing-webhooks/"+made.text("id"), ""),
			"listed": a.ask(200, "GET", source+"/outgoing-webhooks", "")["data"].([]any)[0].(map[string]any),
		} {
			want := map[string]any{"type": "listener"}
			schedule := got["retry"].(map[string]any)["schedule_seconds"].([]any)
			if got["url"] != nil || !reflect.DeepEqual(got["destination"], want) || len(schedule) != 0 {
				t.Errorf("%s: the url is %v, the destination %v, and it is sent again after %v", name, got["url"], got["destination"], schedule)
			}
		}
		if made.text("signing_secret") != "0123456789abcdefghijklmnop" {
			t.Errorf("the secret is %q", made.text("signing_secret"))
		}
		id := a.ask(202, "POST", source+"/outgoing-webhooks/"+made.text("id")+"/test", "").text("delivery_id")
		if _, err := boathook.ParseDeliveryID(id); err != nil {
			t.Errorf("a test is the delivery %q", id)
		}
	}
	own := a.ask(201, "POST", deployment+"/outgoing-webhooks",
		`{"name":"laptop","events":["run.failed"],"environment":"production",`+listener+`,"retry":{"schedule_seconds":[5]}}`)
	if got := own["retry"].(map[string]any)["schedule_seconds"].([]any); len(got) != 1 {
		t.Errorf("its own schedule is %v", got)
	}
}

func TestAWebhookChangesBetweenAURLAndAListener(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	path := deployment + "/outgoing-webhooks/" + a.outgoing(deployment).text("id")
	for _, step := range []struct {
		change  string
		url     any
		to      any
		headers int
	}{
		{`{` + listener + `}`, nil, map[string]any{"type": "listener"}, 0},
		{`{` + listener + `,"name":"laptop"}`, nil, map[string]any{"type": "listener"}, 0},
		{`{` + toQueue(queueARN) + `,"headers":{"X-Key":"k"}}`, nil, map[string]any{"type": "sqs", "queue_arn": queueARN}, 1},
		{`{` + listener + `}`, nil, map[string]any{"type": "listener"}, 0},
		{`{"url":"https://example.com/hook"}`, "https://example.com/hook", nil, 0},
	} {
		got := a.ask(200, "PATCH", path, step.change)
		if got["url"] != step.url || !reflect.DeepEqual(got["destination"], step.to) || len(got["headers"].(map[string]any)) != step.headers {
			t.Errorf("%s: the url is %v, the destination %v, the headers are %v", step.change, got["url"], got["destination"], got["headers"])
		}
	}
}

func TestWhatAListenerDoesNotHaveIsRefused(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	for _, tt := range []struct{ field, fields string }{
		{"destination", `"url":"https://example.com/hook",` + listener},
		{"destination.queue_arn", `"destination":{"type":"listener","queue_arn":"` + queueARN + `"}`},
		{"destination.port", `"destination":{"type":"listener","port":8080}`},
		{"destination.type", `"destination":{"type":"Listener"}`},
		{"headers", listener + `,"headers":{"X-Key":"k"}`},
	} {
		a.refused(400, tt.field, "POST", deployment+"/outgoing-webhooks",
			`{"name":"laptop","events":["run.succeeded"],"environment":"production",`+tt.fields+`}`)
	}
	made := a.ask(201, "POST", deployment+"/outgoing-webhooks", `{"name":"laptop","events":["run.succeeded"],"environment":"production",`+listener+`}`)
	a.refused(400, "headers", "PATCH", deployment+"/outgoing-webhooks/"+made.text("id"), `{"headers":{"X-Key":"k"}}`)
	_, repository := a.repository("docker-hello")
	a.ask(201, "POST", "/v1/repositories/"+repository+"/outgoing-webhooks", `{"name":"laptop","events":["build_finish"],`+listener+`}`)
	webhooks, _ := a.app()
	a.ask(400, "POST", webhooks, `{"name":"laptop","events":["job_finished"],`+listener+`}`)
}

// A listener makes of it the request that a URL would have been sent.
func TestADeliveryToAListenerShowsTheRequest(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	webhook := a.ask(201, "POST", deployment+"/outgoing-webhooks",
		`{"name":"laptop","events":["run.succeeded"],"environment":"production",`+listener+`}`).text("id")
	id := a.record(idOf(deployment), webhook, boathook.Attempt{
		Number: 1, SentAt: a.clock.Now(), Signature: "abc", Destination: boathook.Destination{Type: boathook.DestinationListener},
		Response: &boathook.Response{Status: http.StatusAccepted, Body: []byte("announced to 1 connection")},
	})
	got := a.ask(200, "GET", "/v1/deliveries/"+id.String(), "")
	request := got["request"].(map[string]any)
	if request["method"] != "POST" || request["url"] != nil || !reflect.DeepEqual(request["destination"], map[string]any{"type": "listener"}) {
		t.Errorf("the request is %v", request)
	}
	headers := request["headers"].(map[string]any)
	if headers["X-Crewship-Signature"] != "abc" || headers["Content-Type"] != "application/json" || headers["X-Crewship-Delivery"] != id.String() {
		t.Errorf("the headers are %v", headers)
	}
	attempt := got["attempts"].([]any)[0].(map[string]any)
	if attempt["response_status"] != 202.0 || attempt["response_body"] != "announced to 1 connection" {
		t.Errorf("the attempt is %v", attempt)
	}
}
