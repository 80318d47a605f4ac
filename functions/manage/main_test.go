package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"boathook/events"
	"boathook/functions/internal/stack"
	"boathook/internal/boathook"
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
		Input: []byte(`{"build":18446744073709551617}`),
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
		{"manage/create-hook", http.StatusCreated, `"config":{"url":"https://ci.example.com/hook","content_type":"json"}`},
	} {
		got := stack.Invoke[awsevents.APIGatewayV2HTTPRequest, awsevents.APIGatewayV2HTTPResponse](
			t, handler, events.Load[awsevents.APIGatewayV2HTTPRequest](t, tc.name))
		if got.StatusCode != tc.status || !strings.Contains(got.Body, tc.want) {
			t.Errorf("%s: answered %d %s, want %d with %s", tc.name, got.StatusCode, got.Body, tc.status, tc.want)
		}
	}
}

func TestTheTemplateGivesWhatTheConfigurationReads(t *testing.T) {
	stack.CheckVariables[config](t, "ManageFunction")
}
