package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"

	"boathook/events"
	"boathook/internal/api/crewship"
	"boathook/internal/boathook"
	"boathook/internal/live/wstoken"
	"boathook/internal/testing/stack"
)

// client is the function behind its HTTP API, called by the stack's administrator.
type client struct {
	*stack.Stack
	t       *testing.T
	handler any
}

func newAPI(t *testing.T) *client {
	t.Helper()
	a := &client{Stack: stack.New(t), t: t}
	a.build(nil)
	return a
}

// build makes the function anew, with some variables that differ from the stack's.
func (a *client) build(variables map[string]string) {
	a.t.Helper()
	env := maps.Clone(a.Env)
	maps.Copy(env, variables)
	handler, err := build(a.t.Context(), stack.Config[config](a.t, &stack.Stack{Env: env}), a.SDK)
	if err != nil {
		a.t.Fatal(err)
	}
	a.handler = handler
}

// ask makes a request, and gives its answer's status and body. header has names
// in small letters and values in turn.
func (a *client) ask(method, path, body string, header ...string) (status int, answer string) {
	a.t.Helper()
	e := events.Load[awsevents.APIGatewayV2HTTPRequest](a.t, "manage/create-deployment")
	e.RequestContext.HTTP.Method, e.RequestContext.HTTP.Path, e.RawPath, e.Body = method, path, path, body
	e.Headers["content-length"] = fmt.Sprint(len(body))
	for pair := range slices.Chunk(header, 2) {
		e.Headers[pair[0]] = pair[1]
	}
	res := stack.Invoke[awsevents.APIGatewayV2HTTPRequest, awsevents.APIGatewayV2HTTPResponse](a.t, a.handler, e)
	return res.StatusCode, res.Body
}

// made makes a request that must be answered with a status, and decodes its
// answer.
func (a *client) made(status int, method, path, body string, header ...string) (answer map[string]any) {
	a.t.Helper()
	got, text := a.ask(method, path, body, header...)
	if got != status {
		a.t.Fatalf("%s %s: answered %d %s, want %d", method, path, got, text, status)
	}
	if len(text) > 0 {
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			a.t.Fatal(err)
		}
	}
	return answer
}

func TestWhatIsStartedAndPublishedGoesToItsQueue(t *testing.T) {
	a := newAPI(t)
	deployment := a.made(http.StatusCreated, "POST", "/v1/deployments", `{"name":"reports"}`)["id"].(string)
	path := "/v1/deployments/" + deployment
	a.made(http.StatusCreated, "POST", path+"/versions", `{"environment":"production","target":{"type":"http","url":"https://target.example"}}`)
	webhook := a.made(http.StatusCreated, "POST", path+"/outgoing-webhooks",
		`{"name":"out","url":"https://receiver.example","events":["run.succeeded"],"environment":"production"}`)["id"].(string)
	app := a.made(http.StatusCreated, "POST", "/v1/apps", `{"name":"shop"}`)["id"].(string)
	a.made(http.StatusCreated, "POST", "/v1/apps/"+app+"/webhooks", `{"name":"out","url":"https://receiver.example","events":["job_created"]}`)
	var example string
	for _, c := range a.made(http.StatusOK, "GET", "/v1/event-types", "")["data"].([]any) {
		if c := c.(map[string]any); c["type"] == "job_created" {
			text, _ := json.Marshal(c["example"])
			example = string(text)
		}
	}
	happened := boathook.Event{ID: boathook.NewID(boathook.EventID), Time: time.Now()}
	failed := boathook.Delivery{
		ID: boathook.NewDeliveryID(&happened, webhook), WorkspaceID: firstWorkspace, SourceID: deployment, WebhookID: webhook, EventID: happened.ID,
		EventType: boathook.EventRunSucceeded, Environment: boathook.Production, Body: boathook.NewBody([]byte(`{}`)), Status: boathook.DeliveryFailed, Attempts: 1,
	}
	if err := a.Store.RecordAttempt(t.Context(), failed, boathook.Attempt{Number: 1, SentAt: time.Now(), Error: "answered 500"}); err != nil {
		t.Fatal(err)
	}

	for _, tc := range []struct{ method, path, body, queue string }{
		{"POST", "/v1/runs", `{"deployment_id":"` + deployment + `"}`, "runs"},
		{"POST", "/v1/events", `{"source":"` + app + `","type":"job_created","data":` + example + `}`, "deliveries"},
		{"POST", path + "/outgoing-webhooks/" + webhook + "/test", ``, "deliveries"},
		{"POST", "/v1/deliveries/" + failed.ID.String() + "/resend", ``, "retries"},
		{"POST", path + "/outgoing-webhooks/" + webhook + "/recover", `{"since":"` + time.Now().Add(-time.Hour).Format(time.RFC3339) + `"}`, "retries"},
	} {
		a.Calls()
		status, answer := a.ask(tc.method, tc.path, tc.body)
		if got := a.Sent(t, a.Calls()); status >= 300 || !slices.Equal(got, []string{tc.queue}) {
			t.Errorf("%s: answered %d %s, sent to %v, want %s", tc.path, status, answer, got, tc.queue)
		}
	}
}

// Each queue is shown, and its dead-letter queue moved back, under its own name.
// (The emulator moves no messages: what it is asked is looked at.)
func TestQueuesAreOperatedByTheirNames(t *testing.T) {
	a := newAPI(t)
	a.SDK.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	a.build(nil)
	for _, name := range []string{"runs", "deliveries", "retries"} {
		a.Calls()
		a.ask("POST", "/v1/admin/redrive", `{"queue":"`+name+`"}`)
		looked, moved := a.operated()
		if len(looked) == 0 || looked[0] != name+"_dead_letter" || !strings.HasSuffix(moved, "-"+name+"-dead") {
			t.Errorf("to redrive %s, it looks at %v and moves %s", name, looked, moved)
		}
	}
	a.Calls()
	a.ask("GET", "/v1/admin/redrive", "")
	looked, _ := a.operated()
	slices.Sort(looked) // they are asked at once
	if !slices.Equal(looked, []string{"deliveries", "deliveries_dead_letter", "retries", "retries_dead_letter", "runs", "runs_dead_letter"}) {
		t.Errorf("it shows %v", looked)
	}
}

// operated are the queues that were looked at since the last calls, and the ARN of
// the one that messages were to be moved from.
func (a *client) operated() (looked []string, moved string) {
	a.t.Helper()
	for _, c := range a.Calls() {
		var in struct {
			QueueURL  string `json:"QueueUrl"`
			SourceARN string `json:"SourceArn"`
		}
		if len(c.Body) > 0 {
			if err := json.Unmarshal(c.Body, &in); err != nil {
				a.t.Fatal(err)
			}
		}
		switch c.Action {
		case "AmazonSQS.GetQueueAttributes":
			looked = append(looked, a.Queue(a.t, in.QueueURL))
		case "AmazonSQS.StartMessageMoveTask":
			moved = in.SourceARN
		}
	}
	return looked, moved
}

// Three secrets, of which none may stand for another.
func TestEachSecretOpensItsOwn(t *testing.T) {
	a := newAPI(t)
	crew := a.made(http.StatusCreated, "POST", "/v1/crews", `{"name":"reviewers"}`)["id"].(string)
	agent := a.made(http.StatusCreated, "POST", "/v1/crews/"+crew+"/agents",
		`{"name":"Reviewer","slug":"reviewer","target":{"type":"http","url":"https://target.example"}}`)
	path := "/api/v1/internal/agents/" + agent["id"].(string) + "/webhook-secret"
	for token, want := range map[string]int{
		events.InternalToken: http.StatusOK, events.AdminToken: http.StatusUnauthorized, events.StreamSecret: http.StatusUnauthorized,
	} {
		if status, answer := a.ask("GET", path, "", strings.ToLower(crewship.InternalToken), token); status != want {
			t.Errorf("the internal endpoint answered %d %s, want %d", status, answer, want)
		}
	}
	for token, want := range map[string]int{
		events.AdminToken: http.StatusOK, events.InternalToken: http.StatusUnauthorized, events.StreamSecret: http.StatusUnauthorized,
	} {
		if status, answer := a.ask("GET", "/v1/me", "", "authorization", "Bearer "+token); status != want {
			t.Errorf("the API answered %d %s, want %d", status, answer, want)
		}
	}
	token := a.made(http.StatusOK, "GET", "/api/v1/ws-token", "")["token"].(string)
	if bearer, err := wstoken.Verify(events.StreamSecret, token, time.Now()); err != nil || bearer.WorkspaceID != firstWorkspace {
		t.Errorf("a token of the WebSocket is for %v, %v", bearer, err)
	}
}

// What the stack's parameters don't allow is refused when it is set up.
func TestOnlyWhatIsAllowedIsTaken(t *testing.T) {
	const (
		function = "arn:aws:lambda:eu-west-1:123456789012:function:reports"
		runtime  = "arn:aws:bedrock-agentcore:eu-west-1:123456789012:runtime/reports-a1b2c3d4e5"
		version  = `{"environment":"production","target":%s}`
		webhook  = `{"name":"out","url":%q,"events":["run.succeeded"],"environment":"production"}`
	)
	lambda := fmt.Sprintf(version, `{"type":"lambda","function_arn":"`+function+`"}`)
	agentcore := fmt.Sprintf(version, `{"type":"agentcore","runtime_arn":"`+runtime+`"}`)
	server := fmt.Sprintf(version, `{"type":"http","url":"https://target.example"}`)
	command := fmt.Sprintf(version, `{"type":"command","argv":["true"]}`)
	const queue = "arn:aws:sqs:eu-west-1:123456789012:orders"
	toQueue := `{"name":"orders","events":["run.succeeded"],"environment":"production","destination":{"type":"sqs","queue_arn":"` + queue + `"}}`
	loopback := fmt.Sprintf(webhook, "http://127.0.0.1:8080/")
	a := newAPI(t)
	path := "/v1/deployments/" + a.made(201, "POST", "/v1/deployments", `{"name":"reports"}`)["id"].(string)
	for _, tc := range []struct {
		variables  map[string]string
		path, body string
		status     int
	}{
		{map[string]string{"BOATHOOK_ALLOWED_FUNCTION_ARNS": function}, "/versions", lambda, 201},
		{map[string]string{"BOATHOOK_ALLOWED_RUNTIME_ARNS": runtime}, "/versions", lambda, 400},
		{map[string]string{"BOATHOOK_ALLOWED_RUNTIME_ARNS": runtime}, "/versions", agentcore, 201},
		{map[string]string{"BOATHOOK_ALLOWED_FUNCTION_ARNS": function}, "/versions", agentcore, 400},
		{map[string]string{"BOATHOOK_ALLOWED_TARGETS": "lambda,agentcore"}, "/versions", server, 400},
		{nil, "/versions", server, 201},
		{nil, "/versions", command, 400},
		{map[string]string{"BOATHOOK_ALLOWED_TARGETS": "http,command"}, "/versions", command, 400}, // it would have the function's own credentials
		{map[string]string{"BOATHOOK_ALLOWED_QUEUE_ARNS": queue}, "/outgoing-webhooks", toQueue, 201},
		{map[string]string{"BOATHOOK_ALLOWED_QUEUE_ARNS": queue + "-2"}, "/outgoing-webhooks", toQueue, 400},
		{nil, "/outgoing-webhooks", toQueue, 400},
		{nil, "/outgoing-webhooks", loopback, 201},
		{map[string]string{"BOATHOOK_ALLOWED_EGRESS": ""}, "/outgoing-webhooks", loopback, 400},
		{map[string]string{"BOATHOOK_ALLOW_HTTP": "false"}, "/outgoing-webhooks", loopback, 400},
	} {
		a.build(tc.variables)
		if status, answer := a.ask("POST", path+tc.path, tc.body); status != tc.status {
			t.Errorf("with %v, %s is answered %d %s, want %d", tc.variables, tc.body, status, answer, tc.status)
		}
	}
}

func TestTriggersURLsAreThoseOfThePublicURL(t *testing.T) {
	a := newAPI(t)
	a.build(map[string]string{"BOATHOOK_PUBLIC_URL": "https://hooks.example.com"})
	path := "/v1/deployments/" + a.made(http.StatusCreated, "POST", "/v1/deployments", `{"name":"reports"}`)["id"].(string)
	url := a.made(http.StatusCreated, "POST", path+"/incoming-webhooks", `{"name":"in","environment":"production"}`)["url"].(string)
	if !strings.HasPrefix(url, "https://hooks.example.com/webhooks/runs/") {
		t.Errorf("the URL is %s", url)
	}
}
