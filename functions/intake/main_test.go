package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"boathook/events"
	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/seal"
	"boathook/internal/store"
	"boathook/internal/testing/stack"
)

func newHandler(t *testing.T) (*stack.Stack, any) {
	t.Helper()
	s := stack.New(t)
	s.Put(t, events.Servers{Target: "https://target.example", Receiver: "https://receiver.example"})
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

		"intake/agent-trigger-signed":        http.StatusAccepted,
		"intake/agent-trigger-base64-body":   http.StatusAccepted,
		"intake/agent-trigger-bad-signature": http.StatusUnauthorized,
	} {
		if got := invoke(t, handler, name); got.StatusCode != status {
			t.Errorf("%s: answered %d %s, want %d", name, got.StatusCode, got.Body, status)
		}
	}
}

// A trigger is accepted in two round trips: it looks up, then sends and writes,
// side by side. The write is of the input and then of the head, which together
// take about as long as the send.
func TestATriggerTakesTwoRoundTrips(t *testing.T) {
	s, handler := newHandler(t)
	s.Together(2)
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

// A webhook that verifies its senders needs its workspace's data key, which is
// then kept: its second trigger takes two round trips again.
func TestAVerifiedTriggerReadsTheDataKeyOnce(t *testing.T) {
	s, handler := newHandler(t)
	const secret = "It's a Secret to Everybody"
	webhook, err := s.Store.Incoming(t.Context(), events.DeploymentID, events.IncomingID)
	if err != nil {
		t.Fatal(err)
	}
	webhook.Verification.Preset = "github"
	webhook.Verification.SealedSecret, err = s.Seal.Seal(t.Context(), webhook.WorkspaceID, seal.IncomingSecret(webhook.ID), []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Store.PutIncoming(t.Context(), webhook); err != nil {
		t.Fatal(err)
	}
	event := events.Load[awsevents.APIGatewayV2HTTPRequest](t, "intake/trigger-base64-body")
	body, err := base64.StdEncoding.DecodeString(event.Body)
	if err != nil || !event.IsBase64Encoded {
		t.Fatal("the body is not base64", err)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	event.Headers["x-hub-signature-256"] = "sha256=" + hex.EncodeToString(mac.Sum(nil))

	for _, want := range [][]string{
		{"BatchGetItem", "Decrypt", "GetItem", "PutItem", "PutItem", "SendMessageBatch"},
		{"BatchGetItem", "PutItem", "PutItem", "SendMessageBatch"},
	} {
		s.Calls()
		res := stack.Invoke[awsevents.APIGatewayV2HTTPRequest, awsevents.APIGatewayV2HTTPResponse](t, handler, event)
		calls := stack.Actions(s.Calls())
		slices.Sort(calls)
		if res.StatusCode != http.StatusAccepted || !slices.Equal(calls, want) {
			t.Errorf("answered %d %s with the calls %v, want %v", res.StatusCode, res.Body, calls, want)
		}
	}

	event.Body = base64.StdEncoding.EncodeToString(append(body, ' '))
	res := stack.Invoke[awsevents.APIGatewayV2HTTPRequest, awsevents.APIGatewayV2HTTPResponse](t, handler, event)
	kept, _, err := s.Store.Requests(t.Context(), store.RequestQuery{
		WorkspaceID: events.WorkspaceID, SourceID: events.DeploymentID, WebhookID: events.IncomingID,
		Outcome: boathook.RequestRejected, Page: boathook.Page{Limit: 10},
	})
	if err != nil || len(kept) != 1 || res.StatusCode != http.StatusUnauthorized || kept[0].Sender.IP != "203.0.113.7" {
		t.Errorf("a tampered body was answered %d %s; the log has %+v, %v", res.StatusCode, res.Body, kept, err)
	}
}

// An agent's trigger is accepted in three: between the two, it is admitted.
// Its workspace's data key is read and unwrapped once an hour.
func TestAnAgentsTriggerTakesThreeRoundTrips(t *testing.T) {
	s, handler := newHandler(t)
	for _, tc := range []struct {
		first []string
		what  string
	}{
		{[]string{"BatchGetItem", "GetItem", "Decrypt", "PutItem"}, "the first in a process"},
		{[]string{"BatchGetItem", "UpdateItem"}, "any other"},
	} {
		s.Calls()
		if got := invoke(t, handler, "intake/agent-trigger-signed"); got.StatusCode != http.StatusAccepted {
			t.Fatalf("%s: answered %d %s", tc.what, got.StatusCode, got.Body)
		}
		calls := stack.Actions(s.Calls())
		if len(calls) < len(tc.first) {
			t.Fatalf("%s: the calls are %v", tc.what, calls)
		}
		first, beside := calls[:len(tc.first)], slices.Sorted(slices.Values(calls[len(tc.first):]))
		// In a new minute the load is replaced.
		if tc.what == "any other" && first[1] == "PutItem" {
			first[1] = "UpdateItem"
		}
		if want := []string{"PutItem", "PutItem", "SendMessageBatch"}; !slices.Equal(first, tc.first) || !slices.Equal(beside, want) {
			t.Errorf("%s: the calls are %v, then %v; want %v, then %v", tc.what, first, beside, tc.first, want)
		}
	}
}

// DynamoDB refuses keys above 2,048 bytes, which would count as its failure: 503
// and a line in the log.
func TestAnAgentsIDThatIsNoneIsNotLookedFor(t *testing.T) {
	s, handler := newHandler(t)
	for _, id := range []string{strings.Repeat("a", 2100), events.AgentID + "%23source", events.AgentID + "%00"} {
		for _, key := range []string{"", "k"} {
			event := events.Load[awsevents.APIGatewayV2HTTPRequest](t, "intake/agent-trigger-signed")
			event.RawPath = strings.Replace(event.RawPath, events.AgentID, id, 1)
			event.Headers["idempotency-key"] = key
			s.Calls()
			got := stack.Invoke[awsevents.APIGatewayV2HTTPRequest, awsevents.APIGatewayV2HTTPResponse](t, handler, event)
			if got.StatusCode != http.StatusNotFound || got.Body != "not found\n" {
				t.Errorf("%.40q: answered %d %s", id, got.StatusCode, got.Body)
			}
			if calls := stack.Actions(s.Calls()); len(calls) > 0 {
				t.Errorf("%.40q: it asked for %v", id, calls)
			}
		}
	}
}

// A trigger that is signed with a timestamp is known by its signature, at no
// further round trip. A key beside it takes one more, and its record comes before
// its message, as with any key. A repeat of a run that still waits gives it its place
// for as long again, and leaves a trace in the agent's log.
func TestATimestampedTriggerIsKnownByItsSignature(t *testing.T) {
	s, handler := newHandler(t)
	trigger := func(at time.Time, key string) (runID string, calls []string) {
		t.Helper()
		event := events.Load[awsevents.APIGatewayV2HTTPRequest](t, "intake/agent-trigger-signed")
		stamp := strconv.FormatInt(at.Unix(), 10)
		mac := hmac.New(sha256.New, []byte(events.AgentSecret))
		mac.Write([]byte(stamp + "." + event.Body))
		event.Headers["x-timestamp"], event.Headers["x-signature"] = stamp, hex.EncodeToString(mac.Sum(nil))
		if key != "" {
			event.Headers["idempotency-key"] = key
		}
		s.Calls()
		got := stack.Invoke[awsevents.APIGatewayV2HTTPRequest, awsevents.APIGatewayV2HTTPResponse](t, handler, event)
		if got.StatusCode != http.StatusAccepted {
			t.Fatalf("answered %d %s", got.StatusCode, got.Body)
		}
		return got.Headers["X-Run-Id"], stack.Actions(s.Calls())
	}
	now := time.Now()
	trigger(now.Add(-4*time.Minute), "") // reads the data key

	first, calls := trigger(now, "")
	if len(calls) != 5 || calls[0] != "BatchGetItem" {
		t.Errorf("without a key the calls are %v", calls)
	}
	again, calls := trigger(now, "another")
	if again != first || !slices.Equal(calls, []string{"BatchGetItem", "UpdateItem", "SendMessageBatch", "PutItem"}) {
		t.Errorf("repeated under a key it starts %s, the first was %s; the calls are %v", again, first, calls)
	}
	keyed, calls := trigger(now.Add(-time.Minute), "k")
	if len(calls) != 6 || !slices.Equal(calls[:2], []string{"BatchGetItem", "PutItem"}) || calls[5] != "SendMessageBatch" {
		t.Errorf("with a key the calls are %v", calls)
	}
	repeated, calls := trigger(now.Add(-2*time.Minute), "k")
	if repeated != keyed || !slices.Equal(calls, []string{"BatchGetItem", "GetItem", "PutItem", "UpdateItem", "SendMessageBatch", "PutItem"}) {
		t.Errorf("repeated with the key it starts %s, the first was %s; the calls are %v", repeated, keyed, calls)
	}
	for _, key := range []string{"", "k", "another"} {
		if got, _ := trigger(now.Add(-2*time.Minute), key); got != keyed {
			t.Errorf("the repeated one, captured and sent with the key %q, starts %s", key, got)
		}
	}
}

func TestWithoutExecutionThereIsNoTriggerOfAgents(t *testing.T) {
	s := stack.New(t)
	s.Put(t, events.Servers{Target: "https://target.example", Receiver: "https://receiver.example"})
	for variable, value := range map[string]string{
		"BOATHOOK_AGENT_EXECUTION": "false", "BOATHOOK_ALLOWED_TARGETS": "", "BOATHOOK_INTERNAL_SECRET_ID": "",
	} {
		was := s.Env[variable]
		s.Env[variable] = value
		handler, err := build(t.Context(), stack.Config[config](t, s), s.SDK)
		if err != nil {
			t.Fatal(err)
		}
		if got := invoke(t, handler, "intake/agent-trigger-signed"); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s=%q: answered %d %s", variable, value, got.StatusCode, got.Body)
		}
		s.Env[variable] = was
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
