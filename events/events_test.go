package events

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"
	gocmp "github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/live/wstoken"
	"boathook/internal/queue"
)

var update = flag.Bool("update", false, "write the payloads")

func TestPayloadsAreWhatTheirGeneratorMakes(t *testing.T) {
	made := generate(t)
	if *update {
		for name, text := range made {
			if err := os.MkdirAll(path.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name+".json", text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		t.Skip("written; run again without -update")
	}
	for name, text := range made {
		switch path.Dir(name) {
		case "intake", "manage", "console":
			compare[awsevents.APIGatewayV2HTTPRequest](t, name, text)
		case "execute", "deliver":
			compare[awsevents.SQSEvent](t, name, text)
		case "stream":
			compare[awsevents.APIGatewayWebsocketProxyRequest](t, name, text)
		case "sweep":
			compare[awsevents.EventBridgeEvent](t, name, text)
		default:
			t.Errorf("%s: no function of that name", name)
		}
	}
	files, err := fs.Glob(Payloads, "*/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if made[strings.TrimSuffix(file, ".json")] == nil {
			t.Errorf("%s: nobody makes it", file)
		}
	}
}

// compare holds a payload's file against what the generator makes, both read
// strictly. Envelopes are compared by what they carry: how well a payload is
// compressed is the Go release's own.
func compare[T any](t *testing.T, name string, made []byte) {
	t.Helper()
	field := func(name string) func(gocmp.Path) bool {
		return func(p gocmp.Path) bool { return p.Last().String() == "."+name }
	}
	diff := gocmp.Diff(decode[T](t, name, made), Load[T](t, name),
		gocmp.FilterPath(field("Body"), gocmp.Transformer("open", open)),
		gocmp.FilterPath(field("Md5OfBody"), gocmp.Ignore()))
	if diff != "" {
		t.Errorf("%s is not what the generator makes (-made +file); go test ./events -update writes it:\n%s", name, diff)
	}
}

// open reads a message's body as the envelope it is; one that is none stays
// as it is.
func open(body string) any {
	if r, err := queue.DecodeRun(body); err == nil {
		return r
	}
	if d, err := queue.DecodeDelivery(body); err == nil {
		return d
	}
	return body
}

func TestMessagesCarryTheStory(t *testing.T) {
	first, second := firstDelivery(t, finishedRun()), firstDelivery(t, laterRun())
	for _, tt := range []struct {
		name string
		want []any // nil for a message that can't be decoded
	}{
		{"execute/one-run", []any{RunID}},
		{"execute/duplicate-run", []any{RunID}},
		{"execute/undecodable", []any{nil}},
		{"deliver/one-delivery", []any{first.ID}},
		{"deliver/batch-with-one-bad-record", []any{first.ID, nil, second.ID}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []any
			for _, r := range Load[awsevents.SQSEvent](t, tt.name).Records {
				sum := md5.Sum([]byte(r.Body))
				if r.Md5OfBody != hex.EncodeToString(sum[:]) {
					t.Errorf("message %s: md5OfBody is not its body's", r.MessageId)
				}
				switch v := open(r.Body).(type) {
				case boathook.Run:
					got = append(got, v.ID)
				case queue.Delivery:
					got = append(got, v.ID)
				default:
					got = append(got, nil)
				}
			}
			if diff := gocmp.Diff(tt.want, got); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDuplicateIsTheSameMessageReceivedAgain(t *testing.T) {
	first := Load[awsevents.SQSEvent](t, "execute/one-run").Records[0]
	again := Load[awsevents.SQSEvent](t, "execute/duplicate-run").Records[0]
	if first.MessageId != again.MessageId || first.Body != again.Body || first.ReceiptHandle == again.ReceiptHandle {
		t.Error("the duplicate is not the same message with another receipt")
	}
}

func TestTriggerTokensAreOfTheSameWebhook(t *testing.T) {
	for _, name := range []string{"intake/trigger-accepted", "intake/trigger-bad-token"} {
		text := Load[awsevents.APIGatewayV2HTTPRequest](t, name).PathParameters["token"]
		token, ok := boathook.ParseURLToken(text)
		if !ok || token.SourceID != DeploymentID || token.WebhookID != IncomingID {
			t.Errorf("%s: the token is of %q, %q", name, token.SourceID, token.WebhookID)
		}
		if good := name == "intake/trigger-accepted"; (text == TriggerToken) != good {
			t.Errorf("%s: the token is %q", name, text)
		}
	}
}

func TestTheStreamsTokenIsGoodUntilTheEndOf2099(t *testing.T) {
	end := time.Date(2099, time.December, 31, 23, 59, 59, 0, time.UTC)
	if token := wstoken.New(StreamSecret, wstoken.Bearer{WorkspaceID: WorkspaceID, TokenID: TokenID}, end.Add(-wstoken.Lifetime)); token != StreamToken {
		t.Errorf("it is %s", token)
	}
}

// The fixture.

const (
	account = "123456789012"
	region  = "eu-central-1"
	gateway = "k3x9wq7f2b"
	host    = gateway + ".execute-api." + region + ".amazonaws.com"

	streamGateway = "q8d2mv5c1x" // of the WebSocket API

	// The integer is beyond 64 bits, and the keys are not in alphabetical
	// order: both must arrive unharmed.
	input = `{"repository":"acme/reports","ref":"refs/heads/main","build":18446744073709551617,"actor":"Zoë"}`
)

// payload is an agent's.
const payload = `{"event":"report.published","source":"nightly","data":{"url":"https://reports.example.com/2026-03-02","pages":12}}`

// signed is an agent's signature of a body.
func signed(body string) string {
	mac := hmac.New(sha256.New, []byte(AgentSecret))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

var start = time.Date(2026, time.March, 2, 4, 0, 0, 123e6, time.UTC)

func pendingRun() boathook.Run {
	return boathook.Run{
		RunHead: boathook.RunHead{
			ID: RunID, WorkspaceID: WorkspaceID, SourceID: DeploymentID, VersionID: VersionID,
			VersionNumber: VersionNumber, Environment: boathook.Production,
			Trigger: boathook.TriggerWebhook, WebhookID: IncomingID,
			InputHash: boathook.HashInput([]byte(input)), CreatedAt: start, Status: boathook.RunPending,
		},
		Input: boathook.NewBody(json.RawMessage(input)),
	}
}

func finishedRun() boathook.Run {
	r := pendingRun()
	r.Status = boathook.RunSucceeded
	r.StartedAt = start.Add(180 * time.Millisecond)
	r.CompletedAt = start.Add(42 * time.Second)
	r.Output = json.RawMessage(`{"pages":12,"url":"https://reports.example.com/2026-03-02"}`)
	return r
}

// laterRun is another run of the same deployment.
func laterRun() boathook.Run {
	r := finishedRun()
	r.ID = boathook.DeriveID(boathook.RunID, "later")
	r.CompletedAt = r.CompletedAt.Add(time.Second)
	return r
}

// firstDelivery is the first attempt to tell of a run's end.
func firstDelivery(t *testing.T, r boathook.Run) queue.Delivery {
	t.Helper()
	event, ok := r.Event()
	if !ok {
		t.Fatal("a run that succeeded has no event")
	}
	return queue.Delivery{
		Delivery: boathook.Delivery{
			ID: boathook.NewDeliveryID(&event, OutgoingID), WorkspaceID: WorkspaceID, SourceID: DeploymentID,
			WebhookID: OutgoingID, EventID: event.ID, EventType: event.Type, Environment: event.Environment,
			Body: boathook.NewBody(fmt.Appendf(nil, `{"event":%q,%s`, event.Type, event.Data[1:])),
		},
		Attempt: 1, First: 1,
	}
}

// The generator.

func generate(t *testing.T) map[string][]byte {
	t.Helper()
	run := must(queue.EncodeRun(pendingRun()))
	first := must(queue.EncodeDelivery(firstDelivery(t, finishedRun())))
	later := must(queue.EncodeDelivery(firstDelivery(t, laterRun())))

	const trigger, triggerPath = "POST /webhooks/runs/{token}", "/webhooks/runs/" + TriggerToken
	const agentTrigger, agentPath = "POST /api/v1/webhooks/{crew}/{agent}/trigger", "/api/v1/webhooks/" + CrewID + "/" + AgentID + "/trigger"
	const pages, html = "ANY /console/{proxy+}", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	const api, bearer = "ANY /v1/{proxy+}", "Bearer " + AdminToken
	made := make(map[string][]byte)
	for name, payload := range map[string]object{
		"intake/trigger-accepted": request{
			route: trigger, path: triggerPath, contentType: "application/json", body: input,
		}.event(),
		"intake/trigger-bad-token": request{ // the same webhook's, with another secret
			route: trigger, path: strings.Replace(triggerPath, "Abc", "Abg", 1), contentType: "application/json", body: input,
		}.event(),
		"intake/trigger-base64-body": request{
			route: trigger, path: triggerPath, contentType: "application/octet-stream", body: input, base64: true,
		}.event(),
		"intake/trigger-form-content-type": request{ // as curl -d sends it; API Gateway takes it for binary
			route: trigger, path: triggerPath, contentType: "application/x-www-form-urlencoded", body: input, base64: true,
		}.event(),
		"intake/trigger-not-json": request{
			route: trigger, path: triggerPath, contentType: "application/json", body: `{"repository": acme}`,
		}.event(),

		"intake/agent-trigger-signed": request{
			route: agentTrigger, path: agentPath, signature: signed(payload), contentType: "application/json", body: payload,
		}.event(),
		"intake/agent-trigger-base64-body": request{
			route: agentTrigger, path: agentPath, signature: signed(payload), contentType: "application/octet-stream", body: payload, base64: true,
		}.event(),
		"intake/agent-trigger-bad-signature": request{
			route: agentTrigger, path: agentPath, signature: signed(payload + " "), contentType: "application/json", body: payload,
		}.event(),

		"manage/create-deployment": request{
			route: api, path: "/v1/deployments", authorization: bearer,
			contentType: "application/json", body: `{"name":"nightly-reports"}`,
		}.event(),
		"manage/no-token": request{
			route: api, path: "/v1/deployments", contentType: "application/json", body: `{"name":"nightly-reports"}`,
		}.event(),
		"manage/get-run": request{
			route: api, path: "/v1/runs/" + RunID, authorization: bearer,
		}.event(),
		"manage/run-events-sse": request{
			route: api, path: "/v1/runs/" + RunID + "/events", authorization: bearer,
			accept: "text/event-stream", lastEventID: "1",
		}.event(),
		"manage/create-hook": request{ // as GitHub's older clients send it
			route: "ANY /repos/{proxy+}", path: "/repos/acme/site/hooks", authorization: "token " + AdminToken,
			contentType: "application/json",
			body:        `{"name":"web","active":true,"events":["build_finish"],"config":{"url":"https://ci.example.com/hook","content_type":"json","insecure_ssl":"0"}}`,
		}.event(),

		"console/sign-in-page": request{
			route: pages, path: "/console/sign-in", accept: html,
		}.event(),
		"console/sign-in": request{ // a browser's form, which API Gateway takes for binary
			route: pages, path: "/console/sign-in", accept: html, contentType: "application/x-www-form-urlencoded", origin: "https://" + host,
			body: "to=" + url.QueryEscape("/console/deployments") + "&token=" + AdminToken, base64: true,
		}.event(),
		"console/not-signed-in": request{
			route: pages, path: "/console/deployments", accept: html,
		}.event(),

		"execute/one-run":       sqsEvent("runs", received{run, 1, 1}),
		"execute/duplicate-run": sqsEvent("runs", received{run, 1, 2}),
		"execute/undecodable":   sqsEvent("runs", received{cut(run), 2, 1}),

		"deliver/one-delivery":              sqsEvent("deliveries", received{first, 3, 1}),
		"deliver/batch-with-one-bad-record": sqsEvent("deliveries", received{first, 3, 1}, received{cut(first), 4, 4}, received{later, 5, 1}),

		"stream/connect":              socket{kind: "CONNECT"}.event(),
		"stream/connect-with-token":   socket{kind: "CONNECT", token: StreamToken}.event(),
		"stream/connect-bad-token":    socket{kind: "CONNECT", token: StreamToken[:len(StreamToken)-1]}.event(),
		"stream/auth":                 socket{kind: "MESSAGE", body: `{"type":"auth","token":"` + StreamToken + `"}`}.event(),
		"stream/subscribe":            socket{kind: "MESSAGE", body: `{"type":"subscribe","channel":"workspace:` + WorkspaceID + `"}`}.event(),
		"stream/subscribe-to-another": socket{kind: "MESSAGE", body: `{"type":"subscribe","channel":"workspace:ws_another"}`}.event(),
		"stream/ping":                 socket{kind: "MESSAGE", body: `{"type":"ping"}`}.event(),
		"stream/not-json":             socket{kind: "MESSAGE", body: "hello"}.event(),
		"stream/binary":               socket{kind: "MESSAGE", body: "AP8=", base64: true}.event(),
		"stream/disconnect":           socket{kind: "DISCONNECT"}.event(),

		"sweep/scheduled-minute": {
			"version":     "0",
			"id":          "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
			"detail-type": "Scheduled Event",
			"source":      "aws.events",
			"account":     account,
			"time":        start.Truncate(time.Minute),
			"region":      region,
			"resources":   []string{"arn:aws:events:" + region + ":" + account + ":rule/boathook-SweepFunctionEachMinute-1KZ4XJ7Q2M9PD"},
			"detail":      object{},
		},
	} {
		var text bytes.Buffer
		enc := json.NewEncoder(&text)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(payload); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		made[name] = text.Bytes()
	}
	return made
}

type object map[string]any

// request is what differs from one request to the next.
type request struct {
	route, path         string // POST if it has a body, else GET
	authorization       string
	signature           string // of an agent's trigger
	origin              string // of the page that a browser sends a form from
	accept, lastEventID string
	contentType, body   string
	base64              bool // whether API Gateway takes the body for binary
}

// event is the request as an HTTP API passes it on, payload format 2.0.
func (r request) event() object {
	headers := map[string]string{
		"accept":            cmp.Or(r.accept, "*/*"),
		"content-length":    strconv.Itoa(len(r.body)),
		"host":              host,
		"user-agent":        "curl/8.5.0",
		"x-amzn-trace-id":   "Root=1-69a50cc0-4f1d2b7a3c9e8d6f5a0b1c2d",
		"x-forwarded-for":   "203.0.113.7",
		"x-forwarded-port":  "443",
		"x-forwarded-proto": "https",
	}
	for name, value := range map[string]string{
		"authorization": r.authorization, "content-type": r.contentType, "last-event-id": r.lastEventID,
		"x-signature": r.signature, "origin": r.origin,
	} {
		if value != "" {
			headers[name] = value
		}
	}
	_, proxied, _ := strings.Cut(strings.TrimSuffix(r.route, "{proxy+}"), " ")
	parameters := map[string]string{"proxy": strings.TrimPrefix(r.path, proxied)}
	if token, ok := strings.CutPrefix(r.path, "/webhooks/runs/"); ok {
		parameters = map[string]string{"token": token}
	}
	if strings.HasSuffix(r.path, "/trigger") {
		parameters = map[string]string{"crew": CrewID, "agent": AgentID}
	}
	method := "GET"
	if r.body != "" {
		method = "POST"
	}
	e := object{
		"version":        "2.0",
		"routeKey":       r.route,
		"rawPath":        r.path,
		"rawQueryString": "",
		"headers":        headers,
		"pathParameters": parameters,
		"requestContext": object{
			"accountId":    account,
			"apiId":        gateway,
			"domainName":   host,
			"domainPrefix": gateway,
			"http": object{
				"method": method, "path": r.path, "protocol": "HTTP/1.1",
				"sourceIp": "203.0.113.7", "userAgent": headers["user-agent"],
			},
			"requestId": "JKJaXmPLvHcESHA=",
			"routeKey":  r.route,
			"stage":     "$default",
			"time":      start.Format("02/Jan/2006:15:04:05 -0700"),
			"timeEpoch": start.UnixMilli(),
		},
		"isBase64Encoded": r.base64,
	}
	if r.base64 {
		e["body"] = base64.StdEncoding.EncodeToString([]byte(r.body))
	} else if r.body != "" {
		e["body"] = r.body
	}
	return e
}

// socket is what happens to the fixture's WebSocket.
type socket struct {
	kind   string // CONNECT, MESSAGE or DISCONNECT
	token  string // in the query
	body   string
	base64 bool // whether the frame is binary
}

// event is what a WebSocket API passes on.
func (s socket) event() object {
	of := object{
		"apiId":             streamGateway,
		"connectedAt":       start.UnixMilli(),
		"connectionId":      ConnectionID,
		"domainName":        streamGateway + ".execute-api." + region + ".amazonaws.com",
		"eventType":         s.kind,
		"extendedRequestId": "L0SM9GOxvHcF8Xg=",
		"identity":          object{"sourceIp": "203.0.113.7", "userAgent": "Mozilla/5.0"},
		"messageDirection":  "IN",
		"requestId":         "L0SM9GOxvHcF8Xg=",
		"requestTime":       start.Format("02/Jan/2006:15:04:05 -0700"),
		"requestTimeEpoch":  start.UnixMilli(),
		"routeKey":          "$default",
		"stage":             "live",
	}
	e := object{"requestContext": of, "isBase64Encoded": s.base64}
	switch s.kind {
	case "CONNECT":
		of["routeKey"] = "$connect"
		e["headers"] = map[string]string{
			"Host":                     streamGateway + ".execute-api." + region + ".amazonaws.com",
			"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
			"Sec-WebSocket-Key":        "dGhlIHNhbXBsZSBub25jZQ==",
			"Sec-WebSocket-Version":    "13",
			"X-Forwarded-For":          "203.0.113.7",
			"X-Forwarded-Port":         "443",
			"X-Forwarded-Proto":        "https",
		}
		if s.token != "" {
			e["queryStringParameters"] = map[string]string{"token": s.token}
			e["multiValueQueryStringParameters"] = map[string][]string{"token": {s.token}}
		}
	case "MESSAGE":
		of["messageId"] = "L0SM9cTcvHcCIhw="
		e["body"] = s.body
	case "DISCONNECT":
		of["routeKey"] = "$disconnect"
		of["disconnectStatusCode"] = 1005
		of["disconnectReason"] = "Client-side close frame status not set"
	}
	return e
}

// received is a message, which one it is, and how often it was received.
type received struct {
	queue.Message
	number, receives int
}

// sqsEvent is a batch as the event source mapping of a queue hands it over.
func sqsEvent(queueName string, batch ...received) object {
	var records []object
	for _, m := range batch {
		sum := md5.Sum([]byte(m.Body))
		sent := start.Add(time.Duration(m.number) * time.Second)
		records = append(records, object{
			"messageId":     fmt.Sprintf("059f36b4-87a3-44ab-83d2-66197%07d", m.number),
			"receiptHandle": base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "receipt %d of message %d", m.receives, m.number)),
			"body":          m.Body,
			"attributes": map[string]string{
				"ApproximateReceiveCount":          strconv.Itoa(m.receives),
				"SentTimestamp":                    strconv.FormatInt(sent.UnixMilli(), 10),
				"SenderId":                         "AROAIENQZJOLO23YVJ4VO:boathook-sender",
				"ApproximateFirstReceiveTimestamp": strconv.FormatInt(sent.UnixMilli()+12, 10),
				"MessageGroupId":                   m.Group,
			},
			"messageAttributes": object{},
			"md5OfBody":         hex.EncodeToString(sum[:]),
			"eventSource":       "aws:sqs",
			"eventSourceARN":    "arn:aws:sqs:" + region + ":" + account + ":boathook-" + queueName,
			"awsRegion":         region,
		})
	}
	return object{"Records": records}
}

// cut is a message of which half got lost.
func cut(m queue.Message) queue.Message {
	m.Body = m.Body[:len(m.Body)/2]
	return m
}

// must gives a message of the fixture, whose parts are all valid.
func must(m queue.Message, err error) queue.Message {
	if err != nil {
		panic(err)
	}
	return m
}
