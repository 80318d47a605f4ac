package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	awsevents "github.com/aws/aws-lambda-go/events"

	"boathook/events"
	"boathook/functions/internal/stack"
	"boathook/internal/queue"
)

func newHandler(t *testing.T) (*stack.Stack, any) {
	t.Helper()
	s := stack.New(t)
	s.Tell(t, "https://target.example", "https://receiver.example")
	handler, err := build(t.Context(), stack.Config[config](t, s), s.SDK)
	if err != nil {
		t.Fatal(err)
	}
	return s, handler
}

func invoke(t *testing.T, handler any, name string) awsevents.APIGatewayV2HTTPResponse {
	t.Helper()
	return stack.Invoke[awsevents.APIGatewayV2HTTPRequest, awsevents.APIGatewayV2HTTPResponse](
		t, handler, events.Load[awsevents.APIGatewayV2HTTPRequest](t, name))
}

func TestThePayloadsAreAnsweredAsDocumented(t *testing.T) {
	_, handler := newHandler(t)
	for name, status := range map[string]int{
		"intake/trigger-accepted":          http.StatusAccepted,
		"intake/trigger-base64-body":       http.StatusAccepted,
		"intake/trigger-form-content-type": http.StatusAccepted,
		"intake/trigger-bad-token":         http.StatusNotFound,
		"intake/trigger-not-json":          http.StatusBadRequest,
	} {
		if got := invoke(t, handler, name); got.StatusCode != status {
			t.Errorf("%s: answered %d %s, want %d", name, got.StatusCode, got.Body, status)
		}
	}
}

// A trigger is accepted in two round trips: it looks up, then writes the head
// and the input and sends, side by side.
func TestATriggerTakesTwoRoundTrips(t *testing.T) {
	s, handler := newHandler(t)
	s.Together(3)
	if got := invoke(t, handler, "intake/trigger-accepted"); got.StatusCode != http.StatusAccepted {
		t.Fatalf("answered %d %s: the writes and the send are not side by side", got.StatusCode, got.Body)
	}
	calls := stack.Actions(s.Calls())
	if len(calls) == 0 || calls[0] != "BatchGetItem" {
		t.Fatalf("the calls are %v", calls)
	}
	beside := slices.Sorted(slices.Values(calls[1:]))
	if want := []string{"PutItem", "PutItem", "SendMessageBatch"}; !slices.Equal(beside, want) {
		t.Errorf("after the look-up the calls are %v, want %v", beside, want)
	}
}

func TestWhatIsAcceptedIsInTheQueue(t *testing.T) {
	s, handler := newHandler(t)
	res := invoke(t, handler, "intake/trigger-accepted")
	var answer struct {
		RunID string `json:"run_id"`
	}
	if err := json.Unmarshal([]byte(res.Body), &answer); err != nil {
		t.Fatal(err)
	}
	messages, err := s.Runs.Receive(t.Context(), 1, 0)
	if err != nil || len(messages) != 1 {
		t.Fatalf("received %d messages, %v", len(messages), err)
	}
	run, err := queue.DecodeRun(messages[0].Body)
	if err != nil || run.ID != answer.RunID || run.VersionID != events.VersionID || run.VersionNumber != events.VersionNumber {
		t.Errorf("received %+v, %v; the answer was %s", run, err, res.Body)
	}
}

func TestTheTemplateGivesWhatTheConfigurationReads(t *testing.T) {
	stack.CheckVariables[config](t, "IntakeFunction")
}
