package main

import (
	"io"
	"net/http"
	"testing"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"boathook/events"
	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/testing/stack"
)

// takingTurns is an event of a new run of a deployment that limits its runs.
func takingTurns(t *testing.T) (runID string, e awsevents.SQSEvent) {
	t.Helper()
	runID, e = message(t, events.VersionID)
	r, err := queue.DecodeRun(e.Records[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	r.TakesTurn = true
	m, err := queue.EncodeRun(r)
	if err != nil {
		t.Fatal(err)
	}
	e.Records[0].Body = m.Body
	return runID, e
}

// While a run executes, the next stands in line; the end of the first has its message sent:
// with the permissions that the template gives.
func TestARunWaitsForItsTurn(t *testing.T) {
	var executing func()
	s, handler := newHandler(t, func(w http.ResponseWriter, _ *http.Request) {
		executing()
		io.WriteString(w, "{}")
	})
	settings(t, s, boathook.DeploymentSettings{MaxInFlight: 1})
	firstID, first := takingTurns(t)
	secondID, second := takingTurns(t)
	invoke := func(e awsevents.SQSEvent) {
		if res := stack.Invoke[awsevents.SQSEvent, awsevents.SQSEventResponse](t, handler, e); len(res.BatchItemFailures) > 0 {
			t.Errorf("failures %v", res.BatchItemFailures)
		}
	}
	wantStatus := func(id string, want boathook.RunStatus) {
		t.Helper()
		if head, err := s.Store.RunHead(t.Context(), id); err != nil || head.Status != want {
			t.Errorf("the run is %+v, %v; want %s", head, err, want)
		}
	}
	executing = func() {
		invoke(second)
		wantStatus(secondID, boathook.RunPending)
	}
	invoke(first)
	wantStatus(firstID, boathook.RunSucceeded)
	messages, err := s.Runs.Receive(t.Context(), 10, 5*time.Second)
	if err != nil || len(messages) != 1 {
		t.Fatalf("%d messages are queued, %v", len(messages), err)
	}
	executing = func() {}
	second.Records[0].Body = messages[0].Body
	invoke(second)
	wantStatus(secondID, boathook.RunSucceeded)
	if view, err := s.Store.Turns(t.Context(), events.DeploymentID, 10); err != nil || len(view.Taken)+len(view.Line) > 0 {
		t.Errorf("turns and line are %+v, %v", view, err)
	}
}
