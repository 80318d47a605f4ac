// Package stack is test support: the tables, queues, key and secrets of
// template.yaml on AWS emulators, a stand-in for its WebSocket API, a function's
// environment that names them, and a record of every request that the SDK's
// clients send.
package stack

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base32"
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
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/caarlos0/env/v11"

	"boathook/events"
	sqsqueue "boathook/internal/queue/sqs"
	"boathook/internal/seal"
	sealkms "boathook/internal/seal/kms"
	"boathook/internal/store/dynamo"
)

// Stack is what the functions share.
type Stack struct {
	SDK   aws.Config
	Env   map[string]string // every function's variables
	Store *dynamo.Store
	Seal  *seal.Sealer

	Runs, Deliveries, Retries *sqsqueue.Queue

	WebSockets *WebSockets

	recorder *recorder
}

// Call is one request to AWS.
type Call struct {
	Action   string // such as "DynamoDB_20120810.PutItem"
	Body     json.RawMessage
	Deadline time.Time // when its context ends; zero if it does not
}

// New makes a stack on the emulators that BOATHOOK_TEST_MOTO and, for DynamoDB,
// BOATHOOK_TEST_DYNALITE name.
func New(t testing.TB) *Stack {
	t.Helper()
	moto, dynalite := emulator(t, "BOATHOOK_TEST_MOTO"), emulator(t, "BOATHOOK_TEST_DYNALITE")
	s := &Stack{recorder: &recorder{next: http.DefaultClient}}
	s.SDK = aws.Config{
		Region:       "eu-west-1",
		Credentials:  credentials.NewStaticCredentialsProvider("emulator", "emulator", ""),
		BaseEndpoint: &moto,
		HTTPClient:   s.recorder,
	}
	s.recorder.dynamoDB = dynalite

	ctx := t.Context()
	name := "t" + strings.ToLower(base32.StdEncoding.EncodeToString(random(5)))
	db := dynamodb.NewFromConfig(s.SDK)
	tables := []string{name + "-config", name + "-records"}
	for _, table := range dynamo.Tables(tables[0], tables[1]) {
		_, err := db.CreateTable(ctx, table)
		must(t, err)
		must(t, dynamodb.NewTableExistsWaiter(db, func(o *dynamodb.TableExistsWaiterOptions) { o.MinDelay = 10 * time.Millisecond }).
			Wait(ctx, &dynamodb.DescribeTableInput{TableName: table.TableName}, time.Hour))
	}
	client := sqs.NewFromConfig(s.SDK)
	urls := make(map[string]string)
	for _, queue := range []string{"runs", "deliveries", "retries", "runs-dead", "deliveries-dead", "retries-dead"} {
		out, err := client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(name + "-" + queue)})
		must(t, err)
		urls[queue] = *out.QueueUrl
	}
	key, err := kms.NewFromConfig(s.SDK).CreateKey(ctx, &kms.CreateKeyInput{})
	must(t, err)
	secrets := make(map[string]string)
	for use, text := range map[string]string{"admin": events.AdminToken, "internal": events.InternalToken, "stream": events.StreamSecret} {
		secret, err := secretsmanager.NewFromConfig(s.SDK).CreateSecret(ctx, &secretsmanager.CreateSecretInput{
			Name: aws.String(name + "-" + use), SecretString: &text,
		})
		must(t, err)
		secrets[use] = *secret.ARN
	}
	s.WebSockets = newWebSockets(t)

	s.Env = map[string]string{
		"BOATHOOK_LOG_LEVEL":                        "error",
		"BOATHOOK_METRICS_NAMESPACE":                "Boathook/test",
		"BOATHOOK_CONFIG_TABLE":                     tables[0],
		"BOATHOOK_RECORDS_TABLE":                    tables[1],
		"BOATHOOK_RETENTION_DAYS":                   "30",
		"BOATHOOK_RUNS_QUEUE_URL":                   urls["runs"],
		"BOATHOOK_DELIVERIES_QUEUE_URL":             urls["deliveries"],
		"BOATHOOK_RETRIES_QUEUE_URL":                urls["retries"],
		"BOATHOOK_RUNS_DEAD_LETTER_QUEUE_URL":       urls["runs-dead"],
		"BOATHOOK_DELIVERIES_DEAD_LETTER_QUEUE_URL": urls["deliveries-dead"],
		"BOATHOOK_RETRIES_DEAD_LETTER_QUEUE_URL":    urls["retries-dead"],
		"BOATHOOK_KEY_ID":                           *key.KeyMetadata.KeyId,
		"BOATHOOK_ADMIN_SECRET_ID":                  secrets["admin"],
		"BOATHOOK_INTERNAL_SECRET_ID":               secrets["internal"],
		"BOATHOOK_STREAM_SECRET_ID":                 secrets["stream"],
		"BOATHOOK_WEBSOCKET_ENDPOINT":               s.WebSockets.url,
		"BOATHOOK_AGENT_EXECUTION":                  "true",
		"BOATHOOK_ALLOWED_TARGETS":                  "http,lambda,agentcore",
		"BOATHOOK_ALLOWED_FUNCTION_ARNS":            "",
		"BOATHOOK_ALLOWED_RUNTIME_ARNS":             "",
		"BOATHOOK_ALLOWED_QUEUE_ARNS":               "",
		"BOATHOOK_ALLOWED_EGRESS":                   "127.0.0.0/8",
		"BOATHOOK_ALLOW_HTTP":                       "true",
		"BOATHOOK_DELIVERY_CONCURRENCY":             "20",
		"BOATHOOK_PUBLIC_URL":                       "",
	}
	s.Store = dynamo.New(db, dynamo.Config{ConfigTable: tables[0], RecordsTable: tables[1], Retention: 30 * 24 * time.Hour})
	s.Seal = seal.New(sealkms.Keys{Client: kms.NewFromConfig(s.SDK), KeyID: s.Env["BOATHOOK_KEY_ID"]}, s.Store)
	s.Runs = sqsqueue.New(client, urls["runs"])
	s.Deliveries = sqsqueue.New(client, urls["deliveries"])
	s.Retries = sqsqueue.New(client, urls["retries"])
	return s
}

// Put puts the fixture of package events into the store.
func (s *Stack) Put(t testing.TB, servers events.Servers) {
	t.Helper()
	must(t, events.Put(t.Context(), s.Store, s.Seal, time.Now(), servers))
	s.Calls()
}

// Config reads a function's configuration from the stack's variables, of which
// it sees only its own.
func Config[C any](t testing.TB, s *Stack) C {
	t.Helper()
	c, err := env.ParseAsWithOptions[C](env.Options{Environment: s.Env})
	must(t, err)
	return c
}

// Calls are the requests since the last call of it.
func (s *Stack) Calls() []Call {
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	calls := s.recorder.calls
	s.recorder.calls = nil
	return calls
}

// Actions are the calls' actions, without their services' versions.
func Actions(calls []Call) []string {
	names := make([]string, len(calls))
	for i, c := range calls {
		_, names[i], _ = strings.Cut(c.Action, ".")
	}
	return names
}

// recorder remembers every request, and sends DynamoDB's to its own emulator.
type recorder struct {
	next     *http.Client
	dynamoDB string

	mu     sync.Mutex
	calls  []Call
	beside int           // how many more requests are waited for
	all    chan struct{} // closed when they have come
}

// Together holds the next n requests until all of them are under way: a client
// that sends them one after another never gets an answer, and fails.
func (s *Stack) Together(n int) {
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	s.recorder.beside, s.recorder.all = n, make(chan struct{})
}

// together waits for the requests that are to be sent beside this one.
func (r *recorder) together(ctx context.Context) error {
	r.mu.Lock()
	all := r.all
	if r.beside > 0 {
		if r.beside--; r.beside == 0 {
			close(all)
			r.all = nil
		}
	}
	r.mu.Unlock()
	if all == nil {
		return nil
	}
	select {
	case <-all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *recorder) Do(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	action := req.Header.Get("X-Amz-Target")
	if strings.HasPrefix(action, "DynamoDB") {
		req.URL.Host = strings.TrimPrefix(r.dynamoDB, "http://")
	}
	r.mu.Lock()
	deadline, _ := req.Context().Deadline()
	r.calls = append(r.calls, Call{action, body, deadline})
	r.mu.Unlock()
	if action != "DynamoDB_20120810.BatchGetItem" {
		if err := r.together(req.Context()); err != nil {
			return nil, err
		}
	}
	return r.next.Do(req)
}

// emulator is the URL of one; without it the test is skipped, but never in CI.
func emulator(t testing.TB, variable string) string {
	t.Helper()
	url := os.Getenv(variable)
	if url == "" {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not set: run `make test`", variable)
		}
		t.Skipf("NOT RUN: %s is not set; `make test` installs and starts the emulators", variable)
	}
	return url
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Invoke calls a handler as the Lambda runtime does, with a deadline that is
// far away.
func Invoke[In, Out any](t testing.TB, handler any, event In) Out {
	t.Helper()
	return InvokeUntil[In, Out](t, handler, event, time.Now().Add(time.Hour))
}

// InvokeUntil is Invoke with a deadline.
func InvokeUntil[In, Out any](t testing.TB, handler any, event In, deadline time.Time) Out {
	t.Helper()
	ctx, cancel := context.WithDeadline(t.Context(), deadline)
	defer cancel()
	out, err := handler.(func(context.Context, In) (Out, error))(ctx, event)
	must(t, err)
	return out
}
