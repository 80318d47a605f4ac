package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	awsevents "github.com/aws/aws-lambda-go/events"

	"boathook/events"
	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/run"
	"boathook/internal/testing/stack"
)

// dynamoDB answers the SDK's requests in AWS's place, without a connection, so
// that a bubble's time passes. The log of the run in it takes long to store, and
// the run goes on meanwhile.
type dynamoDB struct {
	target  string // executes the run
	input   json.RawMessage
	storing time.Duration // of the log

	mu       sync.Mutex
	claim    string
	renewals []time.Time // of the lease, its claim first
	leases   []time.Time // what each promised
}

func (d *dynamoDB) Do(r *http.Request) (*http.Response, error) {
	var in struct {
		Key, Item                 map[string]map[string]string
		UpdateExpression          string
		ExpressionAttributeValues map[string]map[string]any
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil {
		return nil, err
	}
	answer := "{}"
	switch _, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "."); action {
	case "GetItem": // the version
		answer = fmt.Sprintf(`{"Item":{"ID":{"S":%q},"SourceID":{"S":%q},"Target":{"M":{"Type":{"S":"http"},"URL":{"S":%q}}}}}`,
			events.VersionID, events.DeploymentID, d.target)
	case "PutItem":
		if strings.HasPrefix(in.Item["sk"]["S"], "log#") {
			time.Sleep(d.storing)
		}
	case "UpdateItem":
		answer = d.head(in.UpdateExpression, in.ExpressionAttributeValues)
	case "Query": // the webhooks
		answer = `{"Items":[],"Count":0}`
	}
	return &http.Response{
		StatusCode: http.StatusOK, Request: r, Body: io.NopCloser(strings.NewReader(answer)),
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
	}, nil
}

// head is the run's after a change of it.
func (d *dynamoDB) head(change string, values map[string]map[string]any) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if claim, ok := values[":claim"]["S"].(string); ok {
		d.claim = claim
	}
	if strings.Contains(change, "cl = :lease") {
		var ms int64
		_, _ = fmt.Sscan(fmt.Sprint(values[":lease"]["N"]), &ms)
		d.renewals, d.leases = append(d.renewals, time.Now()), append(d.leases, time.UnixMilli(ms))
	}
	hash := boathook.HashInput(d.input)
	return fmt.Sprintf(`{"Attributes":{"pk":{"S":"run#%s"},"sk":{"S":"head"},"ws":{"S":%q},"so":{"S":%q},"v":{"S":%q},
		"s":{"S":"pending"},"ci":{"S":%q},"ih":{"B":%q},"x":{"N":"99999999999"}}}`,
		events.RunID, events.WorkspaceID, events.DeploymentID, events.VersionID, d.claim, base64.StdEncoding.EncodeToString(hash[:]))
}

// While a run goes on, its lease is renewed so often that it holds though two
// renewals in a row should fail: a runner whose lease ran out is taken for lost.
func TestALeaseOutlivesTwoHeartbeatsThatFail(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close") // nothing of it is left to wait for
		io.WriteString(w, "working\n{}\n")
	}))
	defer target.Close()
	event := events.Load[awsevents.SQSEvent](t, "execute/one-run")
	triggered, err := queue.DecodeRun(event.Records[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		const length = 10 * time.Minute
		d := &dynamoDB{target: target.URL, input: triggered.Input.Bytes(), storing: length}
		env := map[string]string{
			"BOATHOOK_LOG_LEVEL": "error", "BOATHOOK_METRICS_NAMESPACE": "test", "BOATHOOK_CONFIG_TABLE": "config", "BOATHOOK_RECORDS_TABLE": "records",
			"BOATHOOK_RETENTION_DAYS": "30", "BOATHOOK_RUNS_QUEUE_URL": "https://sqs.example/runs", "BOATHOOK_DELIVERIES_QUEUE_URL": "https://sqs.example/deliveries", "BOATHOOK_KEY_ID": "key",
			"BOATHOOK_ALLOWED_EGRESS": "127.0.0.0/8", "BOATHOOK_ALLOW_HTTP": "true", "BOATHOOK_ALLOWED_TARGETS": "http",
			"BOATHOOK_ALLOWED_FUNCTION_ARNS": "", "BOATHOOK_ALLOWED_RUNTIME_ARNS": "", "BOATHOOK_WEBSOCKET_ENDPOINT": "https://live.example",
		}
		handler, err := build(t.Context(), stack.Config[config](t, &stack.Stack{Env: env}), aws.Config{
			Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), HTTPClient: d,
		})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		res := stack.Invoke[awsevents.SQSEvent, awsevents.SQSEventResponse](t, handler, event)
		if took := time.Since(begun); len(res.BatchItemFailures) > 0 || took < length {
			t.Fatalf("after %s: failures %v", took, res.BatchItemFailures)
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		until := append(d.renewals[1:], begun.Add(length)) // the next renewal, or the end
		for i, at := range d.renewals {
			if d.leases[i].Sub(at) != run.Lease {
				t.Errorf("renewed for %s, want %s", d.leases[i].Sub(at), run.Lease)
			}
			if pause := until[i].Sub(at); 3*pause >= run.Lease {
				t.Errorf("a renewal comes %s after the one before; the lease is %s", pause, run.Lease)
			}
		}
	})
}
