package sqs_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"boathook/internal/queue"
	"boathook/internal/queue/sqs"
)

func TestSendMakesFewRequests(t *testing.T) {
	sized := func(sizes ...int) (messages []queue.Message) {
		for _, n := range sizes {
			messages = append(messages, queue.Message{Body: strings.Repeat("x", n)})
		}
		return messages
	}
	grouped := sized(256<<10, 256<<10, 256<<10, 256<<10)
	for i := range grouped {
		grouped[i].Group = "out_a"
	}
	for name, test := range map[string]struct {
		send []queue.Message
		want []int // how many messages in each request, largest first
	}{
		"none for nothing":                            {nil, nil},
		"one for one":                                 {sized(1), []int{1}},
		"one for ten":                                 {sized(slices.Repeat([]int{1}, 10)...), []int{10}},
		"two for eleven":                              {sized(slices.Repeat([]int{1}, 11)...), []int{10, 1}},
		"one for 1 MiB in one message":                {sized(1 << 20), []int{1}},
		"one for 1 MiB in four":                       {sized(256<<10, 256<<10, 256<<10, 256<<10), []int{4}},
		"two for a byte more":                         {sized(256<<10, 256<<10, 256<<10, 256<<10, 1), []int{4, 1}},
		"two where groups make it too long":           {grouped, []int{3, 1}},
		"one for each that is alone too long for two": {sized(600<<10, 600<<10, 600<<10), []int{1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			var s service
			if err := s.queue().Send(t.Context(), test.send...); err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, entries := range s.requests {
				got = append(got, len(entries))
			}
			slices.Sort(got)
			slices.Reverse(got)
			if !slices.Equal(got, test.want) {
				t.Errorf("requests of %d messages, want %d", got, test.want)
			}
		})
	}
}

func TestSendTellsGroupAndDelay(t *testing.T) {
	var s service
	err := s.queue().Send(t.Context(),
		queue.Message{Body: "a", Group: "out_a", Delay: 1500 * time.Millisecond},
		queue.Message{Body: "b", Delay: queue.MaxDelay},
		queue.Message{Body: "c"})
	if err != nil {
		t.Fatal(err)
	}
	want := []entry{
		{"0", "a", 2, "out_a"},
		{"1", "b", 900, ""},
		{"2", "c", 0, ""},
	}
	if got := s.requests[0]; !slices.Equal(got, want) {
		t.Errorf("sent %+v, want %+v", got, want)
	}
}

func TestSendSurvivesOrTellsWhatFails(t *testing.T) {
	type tries = []verdict // of one message, first try first; then it is accepted
	for name, test := range map[string]struct {
		verdicts map[string]tries // by body
		failed   []int
		requests int
	}{
		"nothing fails": {nil, nil, 2},
		"a message refused once is sent once more":         {map[string]tries{"3": {refuse}}, nil, 3},
		"a message left out of the answer, too":            {map[string]tries{"3": {leaveOut}}, nil, 3},
		"several are sent once more together":              {map[string]tries{"3": {refuse}, "4": {refuse}}, nil, 3},
		"a message refused twice has failed":               {map[string]tries{"3": {refuse, refuse}}, []int{3}, 3},
		"a message refused as the sender's fault, at once": {map[string]tries{"3": {blame}}, []int{3}, 2},
		"one of each": {map[string]tries{"3": {blame}, "4": {refuse, blame}, "5": {refuse}}, []int{3, 4}, 3},
		"failures of two batches are told together, in order": {
			map[string]tries{"11": {blame}, "2": {blame}}, []int{2, 11}, 2},
		"a throttled request is retried":                 {map[string]tries{"3": {throttle, throttle}}, nil, 4},
		"a request throttled too long fails its batch":   {map[string]tries{"10": {throttle, throttle, throttle}}, []int{10, 11}, 4},
		"a broken request is retried":                    {map[string]tries{"3": {sever}}, nil, 3},
		"a request broken too often fails its batch":     {map[string]tries{"10": {sever, sever, sever}}, []int{10, 11}, 4},
		"a second try that breaks fails what it carries": {map[string]tries{"3": {refuse, sever, sever, sever}}, []int{3}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // the SDK's retries wait
				s := service{verdicts: test.verdicts}
				var messages []queue.Message
				for i := range 12 { // batches of 0–9 and 10–11
					messages = append(messages, queue.Message{Body: strconv.Itoa(i)})
				}
				err := s.queue().Send(t.Context(), messages...)
				var partial *queue.PartialError
				switch {
				case test.failed == nil && err != nil:
					t.Errorf("error %v", err)
				case test.failed == nil:
				case !errors.As(err, &partial):
					t.Errorf("error %v, want a partial one", err)
				case !slices.Equal(partial.Failed, test.failed) || partial.Err == nil:
					t.Errorf("failed: %d (%v), want %d", partial.Failed, partial.Err, test.failed)
				}
				if len(s.requests) != test.requests {
					t.Errorf("%d requests, want %d", len(s.requests), test.requests)
				}
			})
		})
	}
}

func TestSendHasFourRequestsUnderWayAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := service{latency: time.Second}
		start := time.Now()
		if err := s.queue().Send(t.Context(), slices.Repeat([]queue.Message{{Body: "b"}}, 100)...); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 3*time.Second || len(s.requests) != 10 {
			t.Errorf("%d requests of a second took %s, want 10 in 3s", len(s.requests), took)
		}
	})
}

// service stands in for SQS at the SDK's HTTP client: it takes down what
// SendMessageBatch sends, and answers by the verdicts.
type service struct {
	verdicts map[string][]verdict // by body, one for each try
	latency  time.Duration

	mu       sync.Mutex
	requests [][]entry
}

type entry struct {
	ID             string `json:"Id"`
	MessageBody    string
	DelaySeconds   int
	MessageGroupID string `json:"MessageGroupId"`
}

// verdict is what happens to a message or, for the last two, to the request
// that carries it.
type verdict int

const (
	accept verdict = iota
	refuse
	blame // refuse as the sender's fault
	leaveOut
	throttle
	sever // break the connection
)

func (s *service) queue() *sqs.Queue {
	return sqs.New(awssqs.New(awssqs.Options{
		Region: "eu-west-1", HTTPClient: s,
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	}), "https://sqs.eu-west-1.amazonaws.com/123456789012/test")
}

// Do implements the SDK's HTTPClient.
func (s *service) Do(r *http.Request) (*http.Response, error) {
	var in struct{ Entries []entry }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, err
	}
	time.Sleep(s.latency)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, in.Entries)

	type result struct {
		ID          string `json:"Id"`
		Code        string
		SenderFault bool
	}
	var out struct{ Successful, Failed []result }
	for _, e := range in.Entries {
		switch s.next(e.MessageBody) {
		case accept:
			out.Successful = append(out.Successful, result{ID: e.ID})
		case refuse:
			out.Failed = append(out.Failed, result{ID: e.ID, Code: "InternalError"})
		case blame:
			out.Failed = append(out.Failed, result{ID: e.ID, Code: "InvalidMessageContents", SenderFault: true})
		case leaveOut:
		case throttle:
			return answer(http.StatusBadRequest, map[string]string{"__type": "com.amazonaws.sqs#RequestThrottled"})
		case sever:
			return nil, io.ErrUnexpectedEOF
		}
	}
	return answer(http.StatusOK, out)
}

// next takes the verdict on a message's next try.
func (s *service) next(body string) verdict {
	left := s.verdicts[body]
	if len(left) == 0 {
		return accept
	}
	s.verdicts[body] = left[1:]
	return left[0]
}

func answer(status int, v any) (*http.Response, error) {
	body, err := json.Marshal(v)
	return &http.Response{
		StatusCode: status,
		Header:     http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body:       io.NopCloser(bytes.NewReader(body)),
	}, err
}
