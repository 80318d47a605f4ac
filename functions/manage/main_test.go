package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"boathook/events"
	"boathook/internal/boathook"
	"boathook/internal/testing/stack"
)

// firstWorkspace is the workspace that the stack's admin token belongs to.
const firstWorkspace = "ws_default"

func TestThePayloadsAreAnswered(t *testing.T) {
	s := stack.New(t)
	c := stack.Config[config](t, s)
	handler, err := build(t.Context(), c, s.SDK)
	if err != nil {
		t.Fatal(err)
	}
	run := boathook.Run{
		RunHead: boathook.RunHead{
			ID: events.RunID, WorkspaceID: firstWorkspace, SourceID: events.DeploymentID, VersionID: events.VersionID,
			Environment: boathook.Production, Trigger: boathook.TriggerWebhook, Status: boathook.RunSucceeded,
			CreatedAt: time.Now(), StartedAt: time.Now(), CompletedAt: time.Now(),
		},
		Input: boathook.NewBody([]byte(`{"build":18446744073709551617}`)),
	}
	if err := s.Store.CreateRun(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	if err := s.Store.PutSource(t.Context(), boathook.Source{
		ID: boathook.NewRepositoryID(firstWorkspace, "acme", "site"), WorkspaceID: firstWorkspace,
		Kind: boathook.Repository, Owner: "acme", Name: "site", CreatedAt: time.Now(),
	}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		status int
		want   string
	}{
		{"manage/no-token", http.StatusUnauthorized, `"code":"unauthorized"`},
		{"manage/create-deployment", http.StatusCreated, `"name":"nightly-reports"`},
		{"manage/get-run", http.StatusOK, `"input":{"build":18446744073709551617}`},
		{"manage/run-events-sse", http.StatusOK, `data: {"type":"complete","data":{`},
		{"manage/create-hook", http.StatusCreated, `"config":{"content_type":"json","insecure_ssl":"0","url":"https://ci.example.com/hook"}`},
	} {
		got := stack.Invoke[awsevents.APIGatewayV2HTTPRequest, awsevents.APIGatewayV2HTTPResponse](
			t, handler, events.Load[awsevents.APIGatewayV2HTTPRequest](t, tc.name))
		if got.StatusCode != tc.status || !strings.Contains(got.Body, tc.want) {
			t.Errorf("%s: answered %d %s, want %d with %s", tc.name, got.StatusCode, got.Body, tc.status, tc.want)
		}
	}
}

func TestWhatIsNoIDReachesNothing(t *testing.T) {
	s := stack.New(t)
	handler, err := build(t.Context(), stack.Config[config](t, s), s.SDK)
	if err != nil {
		t.Fatal(err)
	}
	source := boathook.Source{
		ID: events.DeploymentID, WorkspaceID: firstWorkspace, Kind: boathook.Deployment, Name: "x", CreatedAt: time.Now(),
	}
	webhook := boathook.OutgoingWebhook{
		ID: events.OutgoingID, WorkspaceID: firstWorkspace, SourceID: source.ID, URL: "https://e.example/hook", Enabled: true,
		Events: []boathook.EventType{boathook.EventRunFailed}, Dialect: "crewship", CreatedAt: time.Now(),
	}
	for _, err := range []error{s.Store.PutSource(t.Context(), source), s.Store.PutOutgoing(t.Context(), webhook)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	failing, err := s.Store.MarkFailure(t.Context(), webhook.ID, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{webhook.ID + "#health", webhook.ID + "%23health", "%23", strings.Repeat("a", 1100), strings.Repeat("a", 3000)} {
		path := "/v1/deployments/" + source.ID + "/outgoing-webhooks/" + id
		for _, call := range [][2]string{
			{"GET", path}, {"PATCH", path}, {"DELETE", path}, {"POST", path + "/test"}, {"POST", path + "/rotate-secret"},
			{"GET", path + "/deliveries"}, {"GET", "/v1/deployments/" + id}, {"GET", "/v1/runs/" + id}, {"DELETE", "/v1/tokens/" + id},
		} {
			event := events.Load[awsevents.APIGatewayV2HTTPRequest](t, "manage/get-run")
			event.RequestContext.HTTP.Method, event.RawPath = call[0], call[1]
			if call[0] == "PATCH" {
				event.Body = `{}`
			}
			got := stack.Invoke[awsevents.APIGatewayV2HTTPRequest, awsevents.APIGatewayV2HTTPResponse](t, handler, event)
			if got.StatusCode != http.StatusNotFound || len(got.Body) > 500 {
				t.Errorf("%s %.100s: answered %d %.200s", call[0], call[1], got.StatusCode, got.Body)
			}
		}
	}
	if w, err := s.Store.Outgoing(t.Context(), source.ID, webhook.ID); err != nil || !w.Health.FailingSince.Equal(failing.FailingSince) || w.URL != webhook.URL {
		t.Errorf("the webhook is %+v, %v", w, err)
	}
}

// A token's deletion closes what it has open, by the WebSocket API's own
// management endpoint.
func TestADeletedTokensWebSocketIsClosed(t *testing.T) {
	s := stack.New(t)
	handler, err := build(t.Context(), stack.Config[config](t, s), s.SDK)
	if err != nil {
		t.Fatal(err)
	}
	send := func(method, path, body string) awsevents.APIGatewayV2HTTPResponse {
		t.Helper()
		return stack.Invoke[awsevents.APIGatewayV2HTTPRequest, awsevents.APIGatewayV2HTTPResponse](t, handler, awsevents.APIGatewayV2HTTPRequest{
			RawPath: path, Body: body, Headers: map[string]string{"authorization": "Bearer " + events.AdminToken},
			RequestContext: awsevents.APIGatewayV2HTTPRequestContext{HTTP: awsevents.APIGatewayV2HTTPRequestContextHTTPDescription{Method: method}},
		})
	}
	var token struct{ ID string }
	if err := json.Unmarshal([]byte(send("POST", "/v1/tokens", `{"name":"v","role":"viewer"}`).Body), &token); err != nil {
		t.Fatal(err)
	}
	for id, tokenID := range map[string]string{events.ConnectionID: token.ID, "another": ""} {
		if err := s.Store.Watch(t.Context(), boathook.Connection{ID: id, WorkspaceID: firstWorkspace, TokenID: tokenID, ConnectedAt: time.Now()}, boathook.LogChannel); err != nil {
			t.Fatal(err)
		}
	}
	if got := send("DELETE", "/v1/tokens/"+token.ID, ""); got.StatusCode != http.StatusNoContent {
		t.Fatalf("answered %d %s", got.StatusCode, got.Body)
	}
	if !s.WebSockets.Gone(events.ConnectionID) || s.WebSockets.Gone("another") {
		t.Errorf("closed: its own %t, another %t", s.WebSockets.Gone(events.ConnectionID), s.WebSockets.Gone("another"))
	}
}

func TestTheTemplateGivesWhatTheConfigurationReads(t *testing.T) {
	stack.CheckVariables[config](t, "ManageFunction")
}
