package sqs_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/queue/queuetest"
	"boathook/internal/queue/sqs"
)

// TestQueueKeepsTheContract runs on the emulators that internal/cmd/emulators
// starts and, where the SDK's own variables name an endpoint, on that one: a
// team's own emulator, or AWS itself.
func TestQueueKeepsTheContract(t *testing.T) {
	for _, on := range []struct {
		name     string
		variable string
		gaps     queuetest.Harness
	}{
		{name: "moto", variable: "BOATHOOK_TEST_MOTO"},
		{name: "fauxqs", variable: "BOATHOOK_TEST_FAUXQS", gaps: queuetest.Harness{NoGroups: true, NoAstral: true}},
		{name: "AWS_ENDPOINT_URL_SQS", variable: "AWS_ENDPOINT_URL_SQS"},
		{name: "AWS_ENDPOINT_URL", variable: "AWS_ENDPOINT_URL"},
	} {
		t.Run(on.name, func(t *testing.T) {
			t.Parallel()
			endpoint := os.Getenv(on.variable)
			switch {
			case endpoint != "":
			case strings.HasPrefix(on.variable, "AWS_"):
				t.Skipf("%s is not set", on.variable)
			case os.Getenv("CI") == "true":
				t.Fatalf("%s is not set, and CI skips nothing: run `make test`", on.variable)
			default:
				t.Skipf("%s is not set: `make test` installs and starts %s", on.variable, on.name)
			}
			cfg, err := config.LoadDefaultConfig(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			client := awssqs.NewFromConfig(cfg, func(o *awssqs.Options) { o.BaseEndpoint = &endpoint })
			h := on.gaps
			h.New = func(t *testing.T, c queuetest.Config) (q, dead queue.Queue) {
				return newQueues(t, client, c)
			}
			queuetest.Run(t, h)
		})
	}
}

// TestAThrottledQueueKeepsTheContract runs on an emulator behind a client whose
// every third request is refused. Answers that are lost are in sqs_test.go: an
// emulator would hold their messages back, or double them, as SQS does.
func TestAThrottledQueueKeepsTheContract(t *testing.T) {
	t.Parallel()
	endpoint := os.Getenv("BOATHOOK_TEST_FAUXQS")
	if endpoint == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("BOATHOOK_TEST_FAUXQS is not set, and CI skips nothing: run `make test`")
		}
		t.Skip("BOATHOOK_TEST_FAUXQS is not set: `make test` installs and starts fauxqs")
	}
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	direct := awssqs.NewFromConfig(cfg, func(o *awssqs.Options) { o.BaseEndpoint = &endpoint })
	throttled := awssqs.New(direct.Options(), func(o *awssqs.Options) {
		o.HTTPClient = &throttler{next: direct.Options().HTTPClient}
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
			o.RateLimiter = ratelimit.None
			o.MaxAttempts = 10 // of requests side by side, one may meet every refusal
		})
	})
	queuetest.Run(t, queuetest.Harness{NoGroups: true, NoAstral: true,
		New: func(t *testing.T, c queuetest.Config) (q, dead queue.Queue) {
			liveURL, deadURL := newURLs(t, direct, c)
			return sqs.New(throttled, liveURL), sqs.New(throttled, deadURL)
		},
	})
}

// throttler is the SDK's HTTP client that refuses every third request.
type throttler struct {
	next     awssqs.HTTPClient
	requests atomic.Int64
}

func (th *throttler) Do(r *http.Request) (*http.Response, error) {
	if th.requests.Add(1)%3 == 0 {
		return answer(http.StatusBadRequest, map[string]string{"__type": "com.amazonaws.sqs#RequestThrottled"})
	}
	return th.next.Do(r)
}

// newQueues makes a queue and its dead-letter queue, until the test ends.
func newQueues(t *testing.T, client *awssqs.Client, c queuetest.Config) (q, dead *sqs.Queue) {
	t.Helper()
	liveURL, deadURL := newURLs(t, client, c)
	return sqs.New(client, liveURL), sqs.New(client, deadURL)
}

func newURLs(t *testing.T, client *awssqs.Client, c queuetest.Config) (liveURL, deadURL string) {
	t.Helper()
	deadURL = create(t, client, nil)
	arn := types.QueueAttributeNameQueueArn
	out, err := client.GetQueueAttributes(t.Context(), &awssqs.GetQueueAttributesInput{
		QueueUrl: &deadURL, AttributeNames: []types.QueueAttributeName{arn},
	})
	if err != nil {
		t.Fatal(err)
	}
	liveURL = create(t, client, map[string]string{
		"VisibilityTimeout":  strconv.Itoa(int(c.Visibility.Seconds())),
		"MaximumMessageSize": strconv.Itoa(queue.MaxBody),
		"RedrivePolicy":      fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, out.Attributes[string(arn)], c.MaxReceives),
	})
	return liveURL, deadURL
}

func create(t *testing.T, client *awssqs.Client, attributes map[string]string) (url string) {
	t.Helper()
	name := boathook.NewID("test")
	out, err := client.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The test's own context is over.
		if _, err := client.DeleteQueue(context.Background(), &awssqs.DeleteQueueInput{QueueUrl: out.QueueUrl}); err != nil {
			t.Error(err)
		}
	})
	return *out.QueueUrl
}
