package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"boathook/events"
	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/testing/stack"
)

// newHandler is a handler whose runs are executed by an http target.
func newHandler(t *testing.T, target http.HandlerFunc) (*stack.Stack, any) {
	t.Helper()
	server := httptest.NewServer(target)
	t.Cleanup(server.Close)
	s := stack.New(t)
	s.Put(t, events.Servers{Target: server.URL, Receiver: "https://receiver.example"})
	handler, err := build(t.Context(), stack.Config[config](t, s), s.SDK)
	if err != nil {
		t.Fatal(err)
	}
	return s, handler
}

func invoke(t *testing.T, handler any, name string) []awsevents.SQSBatchItemFailure {
	t.Helper()
	return stack.Invoke[awsevents.SQSEvent, awsevents.SQSEventResponse](
		t, handler, events.Load[awsevents.SQSEvent](t, name)).BatchItemFailures
}

func TestARunIsExecutedOnceHoweverOftenItsMessageComes(t *testing.T) {
	executions := 0
	s, handler := newHandler(t, func(w http.ResponseWriter, _ *http.Request) {
		executions++
		io.WriteString(w, "working\n{\"pages\":12}\n")
	})
	for _, name := range []string{"execute/one-run", "execute/duplicate-run"} {
		if failures := invoke(t, handler, name); len(failures) != 0 {
			t.Errorf("%s: failures %v", name, failures)
		}
	}
	run, err := s.Store.Run(t.Context(), events.WorkspaceID, events.RunID)
	if err != nil || run.Status != boathook.RunSucceeded || string(run.Output) != `{"pages":12}` || !run.Published || executions != 1 {
		t.Errorf("the run is %+v with output %s, %v; executed %d times", run.RunHead, run.Output, err, executions)
	}
	messages, err := s.Deliveries.Receive(t.Context(), 10, 0)
	if err != nil || len(messages) != 1 {
		t.Errorf("%d deliveries are queued, %v", len(messages), err)
	}
}

func TestAMessageThatCanNotBeReadIsLeftForTheDeadLetterQueue(t *testing.T) {
	_, handler := newHandler(t, func(http.ResponseWriter, *http.Request) { t.Error("something was executed") })
	if failures := invoke(t, handler, "execute/undecodable"); len(failures) != 1 {
		t.Errorf("failures %v, want the one record", failures)
	}
}

// What a run costs, from first message to acknowledgement, where intake has
// written the record. Each is one request; the scheduled check, the claim, the outcome
// and the mark are what at-most-once execution takes.
func TestTheCallsOfARun(t *testing.T) {
	s, handler := newHandler(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"pages":12}`)
	})
	event := events.Load[awsevents.SQSEvent](t, "execute/one-run")
	seed(t, s, event)
	s.Calls()
	stack.Invoke[awsevents.SQSEvent, awsevents.SQSEventResponse](t, handler, event)
	want := []string{
		"GetItem",          // the version, once in a process's life
		"PutItem",          // the scheduled check
		"UpdateItem",       // claim
		"PutItem",          // the log's chunk
		"PutItem",          // the output
		"UpdateItem",       // finish
		"Query",            // the webhooks
		"PutItem",          // their deliveries, in the workspace's list
		"SendMessageBatch", // and queued
		"UpdateItem",       // published
		"DeleteItem",       // the scheduled check
	}
	if got := stack.Actions(s.Calls()); !slices.Equal(got, want) {
		t.Errorf("the calls are\n%v, want\n%v", got, want)
	}
}

// Who watches gets an agent's lines; one that has gone is forgotten.
func TestAnAgentsLinesAreShownToItsWatchers(t *testing.T) {
	s, handler := newHandler(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "reviewing\n2 findings\n{}\n")
	})
	gone := boathook.Connection{ID: "gone", WorkspaceID: events.WorkspaceID, ConnectedAt: time.Now()}
	here := boathook.Connection{ID: events.ConnectionID, WorkspaceID: events.WorkspaceID, ConnectedAt: time.Now()}
	for _, c := range []boathook.Connection{gone, here} {
		if err := s.Store.Watch(t.Context(), c, boathook.LogChannel); err != nil {
			t.Fatal(err)
		}
	}
	s.WebSockets.End("gone")
	live, err := s.Store.Live(t.Context(), events.AgentID)
	if err != nil {
		t.Fatal(err)
	}
	message, err := queue.EncodeRun(boathook.Run{
		RunHead: boathook.RunHead{
			ID: events.RunID, WorkspaceID: events.WorkspaceID, SourceID: events.AgentID, VersionID: live[boathook.Production].ID,
			Environment: boathook.Production, Trigger: boathook.TriggerWebhook, Status: boathook.RunPending, CreatedAt: time.Now(),
			InputHash: boathook.HashInput(boathook.EmptyInput),
		},
		Input: boathook.NewBody(boathook.EmptyInput),
	})
	if err != nil {
		t.Fatal(err)
	}
	event := awsevents.SQSEvent{Records: []awsevents.SQSMessage{{MessageId: "1", Body: message.Body}}}
	if resp := stack.Invoke[awsevents.SQSEvent, awsevents.SQSEventResponse](t, handler, event); len(resp.BatchItemFailures) > 0 {
		t.Fatal("the run failed")
	}
	frames := s.WebSockets.Frames(events.ConnectionID)
	if len(frames) != 1 || !strings.Contains(frames[0], `"agent":"reviewer","agent_id":"`+events.AgentID+`"`) ||
		!strings.Contains(frames[0], `"content":"reviewing\n2 findings\n{}"`) {
		t.Errorf("frames %q", frames)
	}
	watchers, err := s.Store.Watchers(t.Context(), events.WorkspaceID, boathook.LogChannel)
	if err != nil || len(watchers) != 1 || watchers[0].ID != events.ConnectionID {
		t.Errorf("watchers %v, %v", watchers, err)
	}
}

// seed writes the records of an event's runs, as intake does.
func seed(t *testing.T, s *stack.Stack, e awsevents.SQSEvent) {
	t.Helper()
	for _, m := range e.Records {
		run, err := queue.DecodeRun(m.Body)
		if err == nil {
			err = s.Store.CreateRun(t.Context(), run)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheTemplateGivesWhatTheConfigurationReads(t *testing.T) {
	stack.CheckVariables[config](t, "ExecuteFunction")
}
