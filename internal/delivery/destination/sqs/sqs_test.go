package sqs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"boathook/internal/boathook"
	"boathook/internal/delivery/destination"
	"boathook/internal/delivery/destination/sqs"
)

const (
	orders = "arn:aws:sqs:eu-west-1:123456789012:orders"
	fifo   = "arn:aws:sqs:eu-central-1:123456789012:orders.fifo"
)

// sent is a SendMessage as it arrived.
type sent struct {
	authorization string

	QueueURL                                     string `json:"QueueUrl"`
	MessageBody                                  string
	MessageGroupID                               string `json:"MessageGroupId"`
	MessageDeduplicationID                       string `json:"MessageDeduplicationId"`
	MessageAttributes                            map[string]struct{ DataType, StringValue string }
	DelaySeconds, MessageSystemAttributes, Other any
}

// newQueues sends through the SDK's real client to a server in AWS's place. A
// request may be repeated, so two handlers may run at a time.
func newQueues(t *testing.T, answer http.HandlerFunc) (d *sqs.Destination, last func() sent) {
	t.Helper()
	var kept atomic.Pointer[sent]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if target := r.Header.Get("X-Amz-Target"); target != "AmazonSQS.SendMessage" {
			t.Errorf("called %s", target)
		}
		body, _ := io.ReadAll(r.Body)
		got := sent{authorization: r.Header.Get("Authorization")}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Error(err)
		}
		kept.Store(&got)
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return sqs.New(aws.Config{
		BaseEndpoint: &server.URL, Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, []string{orders, fifo, "arn:aws:sqs:*:123456789012:any-*"}), func() sent { return *kept.Load() }
}

func taken(w http.ResponseWriter, _ *http.Request) {
	io.WriteString(w, `{"MessageId":"5fea7756-0ea4-451a-a703-a558b933e274"}`)
}

// refuse answers as SQS does by its JSON protocol.
func refuse(status int, code, query, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.Header().Set("X-Amzn-Query-Error", query+";Sender")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"__type":%q,"message":%q}`, code, message)
	}
}

func to(arn string) boathook.OutgoingWebhook {
	return boathook.OutgoingWebhook{Destination: boathook.Destination{Type: boathook.DestinationSQS, QueueARN: arn}}
}

func message() destination.Message {
	e := boathook.Event{ID: "evt_a", Time: time.UnixMilli(1_771_143_284_003)}
	return destination.Message{
		DeliveryID: boathook.NewDeliveryID(&e, "out_a"), SourceID: "dep_a", First: 1, Body: []byte(`{"event":"run.succeeded","name":"Zoë 🚀"}`),
		Headers: map[string][]string{"Content-Type": {"application/json"}, "X-Crewship-Signature": {"abc"}, "X-Key": {"a", "b"}},
	}
}

func TestTheBodyIsTheMessageAndTheHeadersAreItsAttributes(t *testing.T) {
	d, last := newQueues(t, taken)
	m := message()
	m.Headers["X-Empty"] = []string{""}
	r := d.Send(t.Context(), to(orders), m)
	if r.Error != "" || r.Response == nil || r.Response.Status != 200 || r.Response.MessageID != "5fea7756-0ea4-451a-a703-a558b933e274" {
		t.Fatalf("got %+v with %+v", r, r.Response)
	}
	if last().MessageBody != string(m.Body) || !strings.HasSuffix(last().QueueURL, "/123456789012/orders") {
		t.Errorf("sent %q to %s", last().MessageBody, last().QueueURL)
	}
	got := map[string]string{}
	for name, value := range last().MessageAttributes {
		if value.DataType != "String" {
			t.Errorf("%s is of type %s", name, value.DataType)
		}
		got[name] = value.StringValue
	}
	want := map[string]string{"Content-Type": "application/json", "X-Crewship-Signature": "abc", "X-Key": "a, b"}
	if !maps.Equal(got, want) {
		t.Errorf("the attributes are %v, want %v", got, want)
	}
	if last().MessageGroupID != "" || last().MessageDeduplicationID != "" {
		t.Errorf("a standard queue gets the group %q and the id %q", last().MessageGroupID, last().MessageDeduplicationID)
	}
}

func TestAQueueIsAskedInItsOwnRegion(t *testing.T) {
	d, last := newQueues(t, taken)
	for _, arn := range []string{orders, fifo, "arn:aws:sqs:ap-south-2:123456789012:any-other"} {
		if r := d.Send(t.Context(), to(arn), message()); r.Error != "" {
			t.Fatal(r.Error)
		}
		if queue, _ := boathook.ParseQueueARN(arn); !strings.Contains(last().authorization, "/"+queue.Region+"/sqs/") {
			t.Errorf("%s: signed %s", arn, last().authorization)
		}
	}
}

// An attempt whose answer was lost and the one after it are one message; a resend is
// another, and so is another delivery.
func TestAFIFOQueueDropsRepeatedAttemptsAndNoResend(t *testing.T) {
	d, last := newQueues(t, taken)
	ids := map[string]bool{}
	send := func(m destination.Message) string {
		t.Helper()
		if r := d.Send(t.Context(), to(fifo), m); r.Error != "" {
			t.Fatal(r.Error)
		}
		if last().MessageGroupID != m.SourceID {
			t.Errorf("the group is %q, want the source", last().MessageGroupID)
		}
		if id := last().MessageDeduplicationID; id == "" || len(id) > 128 {
			t.Errorf("the deduplication id is %q", id)
		}
		ids[last().MessageDeduplicationID] = true
		return last().MessageDeduplicationID
	}
	m := message()
	first := send(m)
	m.Headers["X-Crewship-Signature"] = []string{"of a later time"}
	if again := send(m); again != first {
		t.Errorf("the attempt after has the id %s, and the first %s", again, first)
	}
	m.First = 3
	send(m)
	m.DeliveryID[15]++
	send(m)
	if len(ids) != 3 {
		t.Errorf("the ids are %v, want three", ids)
	}
}

func TestWhatIsNotAllowedIsNotSent(t *testing.T) {
	for arn, want := range map[string]string{
		"arn:aws:sqs:eu-west-1:123456789012:other":     "is not among those that are allowed here",
		"arn:aws:sqs:eu-west-1:999999999999:orders":    "is not among those that are allowed here",
		"arn:aws:sqs:eu-west-1:123456789012:any-a/../": "is not the ARN of a queue",
		"https://sqs.eu-west-1.amazonaws.com/1/orders": "is not the ARN of a queue",
		"": "is not the ARN of a queue",
	} {
		d, _ := newQueues(t, func(http.ResponseWriter, *http.Request) { t.Errorf("%q: asked", arn) })
		r := d.Send(t.Context(), to(arn), message())
		if !strings.Contains(r.Error, want) || r.Unfit || r.Response != nil { // the parameter may name it tomorrow
			t.Errorf("%q: got %+v, want an error that it %s", arn, r, want)
		}
	}
}

// What SQS never takes is not sent, and not tried again.
func TestAMessageThatSQSDoesNotTakeIsUnfit(t *testing.T) {
	headers := func(n int) map[string][]string {
		h := map[string][]string{}
		for i := range n {
			h[fmt.Sprintf("X-%d", i)] = []string{"v"}
		}
		return h
	}
	overhead := len("X-0") + len("String") + len("v")
	for _, tt := range []struct {
		name, want string
		change     func(m *destination.Message)
	}{
		{"a noncharacter", "U+FFFF", func(m *destination.Message) { m.Body = []byte("{\"a\":\"\uFFFF\"}") }},
		{"another", "U+FFFE", func(m *destination.Message) { m.Body = []byte("\uFFFE") }},
		{"a control character", "U+0000", func(m *destination.Message) { m.Body = []byte("\x00") }},
		{"an escape", "U+001B", func(m *destination.Message) { m.Body = []byte("a\x1b") }},
		{"not UTF-8", "not UTF-8", func(m *destination.Message) { m.Body = []byte("a\xff") }},
		{"half of a pair", "not UTF-8", func(m *destination.Message) { m.Body = []byte("\xed\xa0\x80") }},
		{"a header's value", `"X-Key" has the character U+FFFF`, func(m *destination.Message) { m.Headers["X-Key"] = []string{"\uFFFF"} }},
		{"a header's name", `"X-Key!"`, func(m *destination.Message) { m.Headers["X-Key!"] = []string{"v"} }},
		{"Amazon's own name", `"Aws.Key"`, func(m *destination.Message) { m.Headers["Aws.Key"] = []string{"v"} }},
		{"many headers", "11 headers", func(m *destination.Message) { m.Headers = headers(11) }},
		{"a long body", "1048577 bytes", func(m *destination.Message) { m.Headers, m.Body = nil, make1MiB(1) }},
		{"a long body with its headers", "1048577 bytes", func(m *destination.Message) { m.Headers, m.Body = headers(1), make1MiB(1-overhead) }},
	} {
		d, _ := newQueues(t, func(http.ResponseWriter, *http.Request) { t.Errorf("%s is sent", tt.name) })
		m := message()
		tt.change(&m)
		if r := d.Send(t.Context(), to(orders), m); !r.Unfit || !strings.Contains(r.Error, tt.want) || r.Response != nil {
			t.Errorf("%s: got %+v, want an error with %q", tt.name, r, tt.want)
		}
	}
	d, last := newQueues(t, taken)
	for name, change := range map[string]func(m *destination.Message){
		"the longest":              func(m *destination.Message) { m.Headers, m.Body = nil, make1MiB(0) },
		"the longest with headers": func(m *destination.Message) { m.Headers, m.Body = headers(10), make1MiB(-10*overhead) },
		"all that XML has": func(m *destination.Message) {
			m.Body = []byte("\t\n\r \u007f\u0085\ud7ff\ue000\ufffd\U00010000\U0010ffff")
		},
		"ten headers, and an empty":   func(m *destination.Message) { m.Headers = headers(10); m.Headers["X-Empty"] = []string{""} },
		"no header":                   func(m *destination.Message) { m.Headers = nil },
		"an empty one of a bad name!": func(m *destination.Message) { m.Headers["X!"] = []string{""} },
	} {
		m := message()
		change(&m)
		if r := d.Send(t.Context(), to(orders), m); r.Error != "" || last().MessageBody != string(m.Body) {
			t.Errorf("%s: got %+v", name, r)
		}
	}
}

// make1MiB is so many bytes more than a message may have.
func make1MiB(more int) []byte { return []byte(strings.Repeat("x", sqs.MaxMessage+more)) }

func TestARefusalIsToldInWordsAndMayBeTriedAgain(t *testing.T) {
	const role = "User: arn:aws:sts::123456789012:assumed-role/secret-role/x is not authorized to perform: sqs:sendmessage"
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		status int
		want   string
	}{
		{"throttled", refuse(400, "com.amazonaws.sqs#RequestThrottled", "RequestThrottled", "Rate exceeded"), 400, "Amazon SQS: RequestThrottled: Rate exceeded"},
		{"throttled by its key", refuse(400, "com.amazonaws.sqs#KmsThrottled", "KMS.ThrottlingException", "slow down"), 400, "Amazon SQS: KMS.ThrottlingException: slow down"},
		{"deleted", refuse(400, "com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist."), 400, "Amazon SQS: the queue does not exist"},
		{"access denied", refuse(403, "com.amazonaws.sqs#AccessDeniedException", "AccessDenied", role), 403, "Amazon SQS: access denied: the policies of this stack, of the queue or of its key don't allow to send to it"},
		{"over the queue's own limit", refuse(400, "com.amazon.coral.service#InvalidParameterValueException", "InvalidParameterValue", "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes."), 400, "Amazon SQS: InvalidParameterValue: One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes."},
		{"out of order", refuse(500, "com.amazonaws.sqs#InternalFailure", "InternalFailure", "try later"), 500, "Amazon SQS: InternalFailure: try later"},
		{"a long reason", refuse(400, "com.amazonaws.sqs#Odd", "Odd", strings.Repeat("€", 1000)), 400, "Amazon SQS: Odd: " + strings.Repeat("€", 165) + " … [cut]"},
		{"no words", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503); io.WriteString(w, "<html>") }, 503, "Amazon SQS: no valid HTTP response"},
		{"a success without words", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }, 200, "Amazon SQS: no valid HTTP response"},
	} {
		var calls atomic.Int32
		d, _ := newQueues(t, func(w http.ResponseWriter, r *http.Request) { calls.Add(1); tt.answer(w, r) })
		r := d.Send(t.Context(), to(orders), message())
		if r.Error != tt.want || r.Unfit || r.TimedOut || r.Gone != "" || r.Response == nil || r.Response.Status != tt.status || r.Response.MessageID != "" {
			t.Errorf("%s: got %+v with %+v, want %q", tt.name, r, r.Response, tt.want)
		}
		if calls.Load() != 1 {
			t.Errorf("%s: %d calls for one attempt", tt.name, calls.Load())
		}
	}
}

func TestContentsThatSQSRefusesAreUnfit(t *testing.T) {
	d, _ := newQueues(t, refuse(400, "com.amazonaws.sqs#InvalidMessageContents", "InvalidMessageContents", "no"))
	if r := d.Send(t.Context(), to(orders), message()); !r.Unfit || r.Error == "" {
		t.Errorf("got %+v", r)
	}
}

// A thawed Lambda function finds its kept connections dead.
func TestADeadConnectionIsNotTheAttemptsEnd(t *testing.T) {
	var calls atomic.Int32
	d, _ := newQueues(t, func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 2 {
			panic(http.ErrAbortHandler)
		}
		taken(w, r)
	})
	for range 2 {
		if r := d.Send(t.Context(), to(orders), message()); r.Error != "" {
			t.Fatalf("got %+v", r)
		}
	}
	if calls.Load() != 3 {
		t.Errorf("%d calls", calls.Load())
	}
}

// overdue is a context whose deadline passes when its parent is cancelled, so
// that a test needs no clock.
type overdue struct{ context.Context }

func (c overdue) Err() error {
	if c.Context.Err() != nil {
		return context.DeadlineExceeded
	}
	return nil
}

func TestAnAttemptEndsWithItsContext(t *testing.T) {
	for _, tt := range []struct {
		name     string
		cause    error
		want     string
		timedOut bool
	}{
		{"in time", context.DeadlineExceeded, "timed out after", true},
		{"given up", context.Canceled, "canceled", false},
	} {
		parent, end := context.WithCancelCause(t.Context())
		ctx := parent
		if tt.timedOut {
			ctx = overdue{parent}
		}
		var calls atomic.Int32
		d, _ := newQueues(t, func(_ http.ResponseWriter, r *http.Request) {
			calls.Add(1)
			end(tt.cause)
			<-r.Context().Done()
		})
		r := d.Send(ctx, to(orders), message())
		if !strings.Contains(r.Error, tt.want) || r.TimedOut != tt.timedOut || r.Response != nil || r.Unfit {
			t.Errorf("%s: got %+v", tt.name, r)
		}
		if calls.Load() != 1 {
			t.Errorf("%s: %d calls", tt.name, calls.Load())
		}
	}
}

// In each partition, the queue's URL is at the host that AWS has there.
func TestAQueuesURLFollowsFromItsARN(t *testing.T) {
	for arn, want := range map[string]string{
		orders: "https://sqs.eu-west-1.amazonaws.com/123456789012/orders",
		fifo:   "https://sqs.eu-central-1.amazonaws.com/123456789012/orders.fifo",
		"arn:aws-cn:sqs:cn-north-1:123456789012:q": "https://sqs.cn-north-1.amazonaws.com.cn/123456789012/q",
	} {
		var asked []string
		d := sqs.New(aws.Config{
			Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
			HTTPClient: doer(func(r *http.Request) (*http.Response, error) {
				body, _ := io.ReadAll(r.Body)
				var in sent
				if err := json.Unmarshal(body, &in); err != nil {
					return nil, err
				}
				asked = append(asked, "https://"+r.URL.Host, in.QueueURL)
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"MessageId":"m"}`))}, nil
			}),
		}, []string{arn})
		if r := d.Send(t.Context(), to(arn), message()); r.Error != "" {
			t.Fatal(r.Error)
		}
		if !slices.Equal(asked, []string{want[:strings.LastIndex(want, "/123456789012")], want}) {
			t.Errorf("%s: asked %q, want %s", arn, asked, want)
		}
	}
}

type doer func(*http.Request) (*http.Response, error)

func (f doer) Do(r *http.Request) (*http.Response, error) { return f(r) }

func TestATraceIsAnAttributeWhereThereIsRoomForIt(t *testing.T) {
	d, last := newQueues(t, taken)
	trace := boathook.TraceContext{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", State: "a=1"}
	for name, tt := range map[string]struct {
		trace         boathook.TraceContext
		others        int // attributes
		body          int // bytes
		parent, state string
	}{
		"room for both":        {trace, 8, 10, trace.Parent, trace.State},
		"room for one":         {trace, 9, 10, trace.Parent, ""},
		"room for none":        {trace, 10, 10, "", ""},
		"no bytes left":        {trace, 0, sqs.MaxMessage, "", ""},
		"no trace":             {boathook.TraceContext{}, 8, 10, "", ""},
		"a trace without more": {boathook.TraceContext{Parent: trace.Parent}, 8, 10, trace.Parent, ""},
	} {
		m := message()
		m.Trace, m.Headers, m.Body = tt.trace, map[string][]string{}, []byte(strings.Repeat("a", tt.body))
		for i := range tt.others {
			m.Headers[fmt.Sprintf("X-%d", i)] = []string{"a"}
		}
		if r := d.Send(t.Context(), to(orders), m); r.Error != "" {
			t.Errorf("%s: %+v", name, r)
			continue
		}
		attributes, want := last().MessageAttributes, tt.others
		for key, value := range map[string]string{"traceparent": tt.parent, "tracestate": tt.state} {
			if attributes[key].StringValue != value {
				t.Errorf("%s: %s is %+v", name, key, attributes[key])
			}
			if value != "" {
				want++
			}
		}
		if len(attributes) != want {
			t.Errorf("%s: the attributes are %v", name, attributes)
		}
	}
}
