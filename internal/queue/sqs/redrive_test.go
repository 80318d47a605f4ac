package sqs_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/queue/sqs"
)

// The emulators have no message move tasks, so this stands in for SQS at the
// SDK's HTTP client.
type mover struct {
	moves   string // what ListMessageMoveTasks answers
	letters string // what ReceiveMessage answers
	refusal string // the error of StartMessageMoveTask

	mu    sync.Mutex // a state is asked for in requests side by side
	calls []string
}

const (
	liveURL = "https://sqs.eu-west-1.amazonaws.com/123456789012/retries"
	deadURL = "https://sqs.eu-west-1.amazonaws.com/123456789012/retries-dead"
	deadARN = "arn:aws:sqs:eu-west-1:123456789012:retries-dead"
)

func (m *mover) redriver() *sqs.Redriver {
	return sqs.NewRedriver(awssqs.New(awssqs.Options{
		Region: "eu-west-1", HTTPClient: m, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	}), liveURL, deadURL)
}

func (m *mover) Do(r *http.Request) (*http.Response, error) {
	var in struct {
		QueueURL          string `json:"QueueUrl"`
		SourceARN         string `json:"SourceArn"`
		VisibilityTimeout int
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, err
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	m.mu.Lock()
	m.calls = append(m.calls, operation+" "+in.QueueURL+in.SourceARN)
	m.mu.Unlock()
	switch {
	case operation == "GetQueueAttributes" && in.QueueURL == deadURL:
		return answer(http.StatusOK, json.RawMessage(`{"Attributes":{"QueueArn":"`+deadARN+`","ApproximateNumberOfMessages":"7",
			"ApproximateNumberOfMessagesNotVisible":"0","ApproximateNumberOfMessagesDelayed":"0"}}`))
	case operation == "GetQueueAttributes":
		return answer(http.StatusOK, json.RawMessage(`{"Attributes":{"QueueArn":"x","ApproximateNumberOfMessages":"1",
			"ApproximateNumberOfMessagesNotVisible":"2","ApproximateNumberOfMessagesDelayed":"3"}}`))
	case operation == "StartMessageMoveTask" && m.refusal != "":
		return answer(http.StatusBadRequest, map[string]string{"__type": m.refusal, "message": "no"})
	case operation == "StartMessageMoveTask":
		return answer(http.StatusOK, map[string]string{"TaskHandle": "task"})
	}
	if operation == "ReceiveMessage" {
		if in.VisibilityTimeout != 1 {
			return nil, fmt.Errorf("a look hides messages for %d s", in.VisibilityTimeout)
		}
		return answer(http.StatusOK, json.RawMessage(m.letters))
	}
	return answer(http.StatusOK, json.RawMessage(m.moves))
}

func TestALookAtDeadLettersTakesNone(t *testing.T) {
	m := mover{letters: `{"Messages":[{"MessageId":"a","Body":"{}","ReceiptHandle":"r","Attributes":{"ApproximateReceiveCount":"6"}}]}`}
	got, err := m.redriver().DeadLetters(t.Context())
	if diff := cmp.Diff([]queue.DeadLetter{{ID: "a", Body: "{}", Receives: 6}}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if want := []string{"ReceiveMessage " + deadURL}; !slices.Equal(m.calls, want) {
		t.Errorf("the calls are %v, want %v", m.calls, want)
	}
	m = mover{letters: `{}`}
	if got, err := m.redriver().DeadLetters(t.Context()); err != nil || len(got) > 0 {
		t.Errorf("of none there are %v, %v", got, err)
	}
}

func TestARedriveStartsAMoveFromTheDeadLetterQueue(t *testing.T) {
	var m mover
	if err := m.redriver().Redrive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"GetQueueAttributes " + deadURL, "StartMessageMoveTask " + deadARN}; !slices.Equal(m.calls, want) {
		t.Errorf("the calls are %v, want %v", m.calls, want)
	}
}

func TestARedriveDuringAMoveIsAConflict(t *testing.T) {
	for refusal, conflict := range map[string]bool{
		"com.amazonaws.sqs#UnsupportedOperation":      true,
		"com.amazonaws.sqs#ResourceNotFoundException": false,
		"com.amazonaws.sqs#RequestThrottled":          false,
	} {
		m := mover{refusal: refusal}
		if err := m.redriver().Redrive(t.Context()); err == nil || boathook.IsKind(err, boathook.Conflict) != conflict {
			t.Errorf("%s: got %v", refusal, err)
		}
	}
}

func TestTheStateHasDepthsAndTheLastMove(t *testing.T) {
	started := time.UnixMilli(1_771_143_284_003).UTC()
	for moves, want := range map[string]*queue.Move{
		`{}`: nil,
		`{"Results":[{"Status":"RUNNING","ApproximateNumberOfMessagesMoved":3,"ApproximateNumberOfMessagesToMove":9,"StartedTimestamp":1771143284003}]}`: {
			Status: queue.MoveRunning, Moved: 3, Total: 9, StartedAt: started},
		`{"Results":[{"Status":"COMPLETED","ApproximateNumberOfMessagesMoved":9,"ApproximateNumberOfMessagesToMove":9,"StartedTimestamp":1771143284003}]}`: {
			Status: queue.MoveCompleted, Moved: 9, Total: 9, StartedAt: started},
		`{"Results":[{"Status":"CANCELLING","StartedTimestamp":1771143284003}]}`: {Status: queue.MoveRunning, StartedAt: started},
		`{"Results":[{"Status":"CANCELLED","StartedTimestamp":1771143284003}]}`:  {Status: queue.MoveCanceled, StartedAt: started},
		`{"Results":[{"Status":"FAILED","FailureReason":"AccessDenied","StartedTimestamp":1771143284003}]}`: {
			Status: queue.MoveFailed, Failure: "AccessDenied", StartedAt: started},
	} {
		m := mover{moves: moves}
		got, err := m.redriver().State(t.Context())
		wanted := queue.State{Depth: queue.Depth{Ready: 1, InFlight: 2, Delayed: 3}, Dead: queue.Depth{Ready: 7}, Move: want}
		if diff := cmp.Diff(wanted, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", moves, err, diff)
		}
	}
}

func TestAStateThatCanNotBeReadIsAnError(t *testing.T) {
	client := awssqs.New(awssqs.Options{Region: "eu-west-1", Retryer: aws.NopRetryer{}, HTTPClient: broken{},
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "")})
	if _, err := sqs.NewRedriver(client, liveURL, deadURL).State(t.Context()); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Do(*http.Request) (*http.Response, error) { return nil, errBroken }
