package dynamo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"boathook/internal/boathook"
	"boathook/internal/store"
	"boathook/internal/store/dynamo"
	"boathook/internal/store/storetest"
)

func TestMotoIsAStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, emulated(t, moto))
}

func TestDynaliteIsAStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, emulated(t, dynalite))
}

// The variables that hold the emulators' URLs.
const (
	moto     = "BOATHOOK_TEST_MOTO"
	dynalite = "BOATHOOK_TEST_DYNALITE"
)

// emulated opens stores in an emulator.
func emulated(t *testing.T, variable string) storetest.Open {
	client := emulator(t, variable)
	return func(t *testing.T, now func() time.Time, retention time.Duration) store.Store {
		c := tables(t, client)
		c.Now, c.Retention = now, retention
		return dynamo.New(client, c)
	}
}

// emulator is a client of the emulator whose URL a variable holds. Without one
// the test is skipped, which CI refuses.
func emulator(t *testing.T, variable string) *dynamodb.Client {
	t.Helper()
	url := os.Getenv(variable)
	switch {
	case url != "":
		return client(func(o *dynamodb.Options) { o.BaseEndpoint, o.HTTPClient = &url, strict{t, &oneByOne{}} })
	case os.Getenv("CI") == "true":
		t.Fatalf("NOT TESTED: %s is unset", variable)
	default:
		t.Skipf("NOT TESTED: %s is unset; `make test` starts the emulator and sets it", variable)
	}
	return nil
}

// oneByOne sends a request when the one before is answered. moto serves requests
// in threads and checks conditions without a lock, so that two writes at once
// may both win, as they never do on AWS.
type oneByOne struct{ mu sync.Mutex }

func (c *oneByOne) Do(req *http.Request) (*http.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// The SDK closes its body while the transport may still read it, which loses
	// an answer now and then: the repeat would find its own write.
	sent, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body = io.NopCloser(bytes.NewReader(sent))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, err
}

func client(options ...func(*dynamodb.Options)) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region:      "eu-west-1",
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, options...)
}

// tables makes tables for a test, and deletes them in the end.
func tables(t *testing.T, client *dynamodb.Client) dynamo.Config {
	t.Helper()
	c := dynamo.Config{
		ConfigTable: boathook.NewID("config"), RecordsTable: boathook.NewID("records"), Retention: 15 * 24 * time.Hour,
	}
	for _, table := range dynamo.Tables(c.ConfigTable, c.RecordsTable) {
		if _, err := client.CreateTable(t.Context(), table); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_, err := client.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: table.TableName})
			if err != nil {
				t.Error(err)
			}
		})
		made := dynamodb.NewTableExistsWaiter(client, func(o *dynamodb.TableExistsWaiterOptions) {
			o.MinDelay = 10 * time.Millisecond
		})
		if err := made.Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: table.TableName}, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// wire is the SDK's HTTP client: it keeps the requests and can answer them.
type wire struct {
	answer func(request) *reply // nil: the next one answers
	next   dynamodb.HTTPClient  // where there is one

	mu       sync.Mutex
	requests []request
}

// request is one that the SDK has sent: an operation such as "PutItem" and its
// input.
type request struct {
	operation string
	input     map[string]any
}

// readSent reads a request of the SDK, which can be sent on.
func readSent(r *http.Request) (sent request, err error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return sent, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	_, sent.operation, _ = strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	return sent, json.Unmarshal(body, &sent.input)
}

type reply struct {
	status int
	body   string
}

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	sent, err := readSent(r)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.requests = append(w.requests, sent)
	w.mu.Unlock()

	answer := w.answer(sent)
	if answer == nil {
		return w.next.Do(r)
	}
	return &http.Response{
		StatusCode: answer.status, Request: r, Body: io.NopCloser(strings.NewReader(answer.body)),
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
	}, nil
}

// operations are those of the requests, in their order.
func (w *wire) operations() (operations []string) {
	for _, r := range w.requests {
		operations = append(operations, r.operation)
	}
	return operations
}

// onWire is a store whose requests are answered by a function.
func onWire(answer func(request) *reply) (*dynamo.Store, *wire) {
	w := &wire{answer: answer}
	return dynamo.New(client(func(o *dynamodb.Options) { o.HTTPClient = w }), dynamo.Config{
		ConfigTable: "config", RecordsTable: "records", Retention: 30 * 24 * time.Hour,
		Now: func() time.Time { return now },
	}), w
}

var now = time.Date(2026, 11, 21, 18, 0, 0, 123e6, time.UTC)

func ok(body string) *reply { return &reply{http.StatusOK, body} }

// failure is an answer of DynamoDB's that is an error.
func failure(code string) *reply {
	return &reply{http.StatusBadRequest, `{"__type":"com.amazonaws.dynamodb.v20120810#` + code + `","message":"injected"}`}
}

// once is a client like another, whose requests go through w and are not repeated.
func once(direct *dynamodb.Client, w *wire) *dynamodb.Client {
	return dynamodb.New(direct.Options(), func(o *dynamodb.Options) { o.HTTPClient, o.Retryer = w, aws.NopRetryer{} })
}

// breakable is a store in an emulator, with fresh tables, that answers requests
// itself while broken is set. The SDK does not retry.
func breakable(t *testing.T, variable string, broken func(request) bool) (s *dynamo.Store, mend func()) {
	t.Helper()
	direct := emulator(t, variable)
	w := &wire{next: direct.Options().HTTPClient, answer: func(r request) *reply {
		if broken(r) {
			return failure("InternalServerError")
		}
		return nil
	}}
	return dynamo.New(once(direct, w), tables(t, direct)), func() { broken = func(request) bool { return false } }
}
