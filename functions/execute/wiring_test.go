package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"boathook/events"
	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/run/target/targettest"
	"boathook/internal/testing/stack"
)

// message is an event of a new run of the fixture's deployment, of one version.
func message(t *testing.T, versionID string) (runID string, e awsevents.SQSEvent) {
	t.Helper()
	runID = boathook.NewID(boathook.RunID)
	m, err := queue.EncodeRun(boathook.Run{
		RunHead: boathook.RunHead{
			ID: runID, WorkspaceID: events.WorkspaceID, SourceID: events.DeploymentID, VersionID: versionID, VersionNumber: 1,
			Environment: boathook.Production, Trigger: boathook.TriggerWebhook, Status: boathook.RunPending, CreatedAt: time.Now(),
			InputHash: boathook.HashInput(boathook.EmptyInput),
		},
		Input: boathook.NewBody(boathook.EmptyInput),
	})
	if err != nil {
		t.Fatal(err)
	}
	return runID, awsevents.SQSEvent{Records: []awsevents.SQSMessage{{MessageId: runID, Body: m.Body}}}
}

// executed has a new run of a version executed, and gives it as it ended.
func executed(t *testing.T, s *stack.Stack, handler any, versionID string) boathook.Run {
	t.Helper()
	id, event := message(t, versionID)
	res := stack.Invoke[awsevents.SQSEvent, awsevents.SQSEventResponse](t, handler, event)
	run, err := s.Store.Run(t.Context(), events.WorkspaceID, id)
	if err != nil || len(res.BatchItemFailures) > 0 {
		t.Fatalf("failures %v, %v", res.BatchItemFailures, err)
	}
	return run
}

// A connection that died while the function was frozen would fail a run that can't
// be repeated.
func TestEachRunHasAConnectionOfItsOwn(t *testing.T) {
	url, connections := targettest.Connections(t)
	s := stack.New(t)
	s.Put(t, events.Servers{Target: url, Receiver: "https://receiver.example"})
	handler, err := build(t.Context(), stack.Config[config](t, s), s.SDK)
	if err != nil {
		t.Fatal(err)
	}
	const n = 4
	for range n {
		if run := executed(t, s, handler, events.VersionID); run.Status != boathook.RunSucceeded {
			t.Fatalf("the run is %s: %s", run.Status, run.Error)
		}
	}
	if made := connections(); made != n {
		t.Errorf("%d runs had %d connections", n, made)
	}
}

func TestWhatIsCountedIsPrinted(t *testing.T) {
	printed := stack.Output(t)
	_, handler := newHandler(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") })
	invoke(t, handler, "execute/one-run")
	if counts := stack.Counts(t, printed()); counts["RunsSucceeded"] != 1 || len(counts) != 1 {
		t.Errorf("counted %v", counts)
	}
}

// What the stack's parameters don't allow is not executed, whatever was allowed
// when its version was made.
func TestOnlyWhatIsAllowedIsExecuted(t *testing.T) {
	const (
		function = "arn:aws:lambda:eu-west-1:123456789012:function:reports"
		runtime  = "arn:aws:bedrock-agentcore:eu-west-1:123456789012:runtime/reports-a1b2c3d4e5"
	)
	called := false
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	t.Cleanup(server.Close)
	s := stack.New(t)
	s.Put(t, events.Servers{Target: server.URL, Receiver: "https://receiver.example"})
	versions := make(map[boathook.TargetType]string)
	for _, target := range []boathook.Target{
		{Type: boathook.TargetHTTP, URL: server.URL},
		{Type: boathook.TargetLambda, FunctionARN: function},
		{Type: boathook.TargetAgentCore, RuntimeARN: runtime},
		{Type: boathook.TargetCommand, Argv: []string{"true"}},
	} {
		v, err := s.Store.AddVersion(t.Context(), boathook.Version{
			ID: boathook.NewID(boathook.VersionID), SourceID: events.DeploymentID, WorkspaceID: events.WorkspaceID,
			Environment: boathook.Production, Target: target, CreatedAt: time.Now(),
		})
		if err != nil {
			t.Fatal(err)
		}
		versions[target.Type] = v.ID
	}

	allowed := map[string]string{
		"BOATHOOK_ALLOWED_TARGETS": "http,lambda,agentcore", "BOATHOOK_ALLOWED_FUNCTION_ARNS": function,
		"BOATHOOK_ALLOWED_RUNTIME_ARNS": runtime, "BOATHOOK_ALLOWED_EGRESS": "127.0.0.0/8", "BOATHOOK_ALLOW_HTTP": "true",
	}
	for _, tc := range []struct {
		target          boathook.TargetType
		variable, value string // that differ from what allows everything
		refusal         string // what the run says; empty if it succeeds
	}{
		{boathook.TargetHTTP, "", "", ""},
		{boathook.TargetLambda, "", "", "Lambda: "}, // the emulator has no such function
		{boathook.TargetAgentCore, "", "", "AgentCore: "},
		{boathook.TargetHTTP, "BOATHOOK_ALLOWED_TARGETS", "lambda,agentcore", "targets of type"},
		{boathook.TargetHTTP, "BOATHOOK_ALLOWED_EGRESS", "", "not a public address"},
		{boathook.TargetHTTP, "BOATHOOK_ALLOW_HTTP", "false", "http is not allowed"},
		{boathook.TargetLambda, "BOATHOOK_ALLOWED_TARGETS", "http,agentcore", "targets of type"},
		{boathook.TargetLambda, "BOATHOOK_ALLOWED_FUNCTION_ARNS", "", "function " + function + " is not among"},
		{boathook.TargetAgentCore, "BOATHOOK_ALLOWED_TARGETS", "http,lambda", "targets of type"},
		{boathook.TargetAgentCore, "BOATHOOK_ALLOWED_RUNTIME_ARNS", "", "runtime " + runtime + " is not among"},
		{boathook.TargetCommand, "", "", "targets of type"},
		{boathook.TargetCommand, "BOATHOOK_ALLOWED_TARGETS", "http,command", "targets of type"},
	} {
		t.Run(fmt.Sprintf("%s with %s=%q", tc.target, tc.variable, tc.value), func(t *testing.T) {
			maps.Copy(s.Env, allowed)
			if tc.variable != "" {
				s.Env[tc.variable] = tc.value
			}
			handler, err := build(t.Context(), stack.Config[config](t, s), s.SDK)
			if err != nil {
				t.Fatal(err)
			}
			called = false
			run := executed(t, s, handler, versions[tc.target])
			if tc.refusal == "" {
				if run.Status != boathook.RunSucceeded || !called {
					t.Errorf("the run is %s: %s", run.Status, run.Error)
				}
				return
			}
			if run.Status != boathook.RunFailed || !strings.Contains(run.Error, tc.refusal) || called {
				t.Errorf("the run is %s: %s; want %q", run.Status, run.Error, tc.refusal)
			}
		})
	}
}

// A run that takes as long as it may leaves its function the time to store what
// came of it.
func TestTheLongestRunEndsBeforeItsFunction(t *testing.T) {
	if left := stack.Timeout(t, "ExecuteFunction") - boathook.MaxRunTimeout; left < 30*time.Second {
		t.Errorf("%s are left to store its outcome", left)
	}
}
