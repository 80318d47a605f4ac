package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"boathook/events"
	"boathook/internal/boathook"
	"boathook/internal/signature"
	"boathook/internal/store"
	"boathook/internal/testing/stack"
)

func newHandler(t *testing.T, receiver http.HandlerFunc) (*stack.Stack, any) {
	t.Helper()
	server := httptest.NewServer(receiver)
	t.Cleanup(server.Close)
	s := stack.New(t)
	s.Put(t, events.Servers{Target: "https://target.example", Receiver: server.URL})
	handler, err := build(t.Context(), stack.Config[config](t, s), s.SDK)
	if err != nil {
		t.Fatal(err)
	}
	return s, handler
}

func invoke(t *testing.T, handler any, name string) []awsevents.SQSBatchItemFailure {
	t.Helper()
	return stack.Invoke[awsevents.SQSEvent, awsevents.SQSEventResponse](
		t, handler, events.Load[awsevents.SQSEvent](t, name)).BatchItemFailures
}

func deliveries(t *testing.T, s *stack.Stack) []boathook.Delivery {
	t.Helper()
	list, _, err := s.Store.Deliveries(t.Context(), store.DeliveryQuery{
		WorkspaceID: events.WorkspaceID, WebhookID: events.OutgoingID, Page: boathook.Page{Limit: 10},
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestOfABatchOnlyTheBadRecordFails(t *testing.T) {
	verified := make(chan bool, 10)
	s, handler := newHandler(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seconds, _ := strconv.ParseInt(r.Header.Get("X-Crewship-Timestamp"), 10, 64)
		verified <- signature.VerifyTimestamped(r.Header.Get("X-Crewship-Signature"), events.OutgoingSecret, time.Unix(seconds, 0), body)
	})
	failures := invoke(t, handler, "deliver/batch-with-one-bad-record")
	bad := events.Load[awsevents.SQSEvent](t, "deliver/batch-with-one-bad-record").Records[1].MessageId
	if len(failures) != 1 || failures[0].ItemIdentifier != bad {
		t.Errorf("failures %v, want %s", failures, bad)
	}
	for range 2 {
		if !<-verified {
			t.Error("a signature does not verify")
		}
	}
	list := deliveries(t, s)
	if len(list) != 2 || list[0].Status != boathook.DeliverySucceeded || list[1].Status != boathook.DeliverySucceeded {
		t.Errorf("recorded %+v", list)
	}
}

// The first successful attempt of a delivery is one write of one unit. The
// webhook is read for it, since a rotation must be seen at once; once the
// process knows the workspace's key, there is nothing else.
func TestAFirstSuccessIsOneWriteOfOneUnit(t *testing.T) {
	s, handler := newHandler(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Server", "nginx/1.27.0")
		io.WriteString(w, `{"ok":true}`)
	})
	invoke(t, handler, "deliver/batch-with-one-bad-record") // warms the process
	s.Calls()
	invoke(t, handler, "deliver/one-delivery")
	calls := s.Calls()
	if got := stack.Actions(calls); !slices.Equal(got, []string{"BatchGetItem", "PutItem"}) {
		t.Fatalf("the calls are %v, want the webhook's look-up and one PutItem", got)
	}
	if size := itemSize(t, calls[1].Body); size > 1024 {
		t.Errorf("the item has %d bytes, which is more than one unit", size)
	}
}

func TestAColdProcessReadsTheKeyOnce(t *testing.T) {
	s, handler := newHandler(t, func(http.ResponseWriter, *http.Request) {})
	invoke(t, handler, "deliver/batch-with-one-bad-record") // two deliveries of one webhook, side by side
	got := slices.Sorted(slices.Values(stack.Actions(s.Calls())))
	if got[0] == got[1] {
		got = got[1:] // one delivery came too late to share the other's look-up
	}
	if want := []string{"BatchGetItem", "Decrypt", "GetItem", "PutItem", "PutItem", "UpdateItem", "UpdateItem"}; !slices.Equal(got, want) {
		t.Errorf("the calls are %v, want %v: the webhook with its health, the key, the workspace, two records, and their counts, of the webhook and of the workspace", got, want)
	}
}

// attribute is a value of an item.
type attribute struct {
	S *string
	N *string
	B []byte
	M map[string]attribute
}

// itemSize is a put item's size as DynamoDB counts it: names and values in
// bytes, a number about one byte for two digits and one more, a map three and one
// for each of its entries.
func itemSize(t *testing.T, body json.RawMessage) (size int) {
	t.Helper()
	var put struct{ Item map[string]attribute }
	if err := json.Unmarshal(body, &put); err != nil {
		t.Fatal(err)
	}
	return attributesSize(t, body, put.Item)
}

func attributesSize(t *testing.T, body json.RawMessage, attributes map[string]attribute) (size int) {
	t.Helper()
	for name, value := range attributes {
		size += len(name)
		switch {
		case value.S != nil:
			size += len(*value.S)
		case value.N != nil:
			size += (len(*value.N)+1)/2 + 1
		case value.B != nil:
			size += len(value.B)
		case value.M != nil:
			size += 3 + len(value.M) + attributesSize(t, body, value.M)
		default:
			t.Fatalf("attribute %s is of a type that is not counted: %s", name, body)
		}
	}
	return size
}

func TestAFailureIsQueuedAgain(t *testing.T) {
	s, handler := newHandler(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	if failures := invoke(t, handler, "deliver/one-delivery"); len(failures) != 0 {
		t.Errorf("failures %v", failures)
	}
	if list := deliveries(t, s); len(list) != 1 || list[0].Status != boathook.DeliveryRetrying || list[0].NextAttemptAt.IsZero() {
		t.Errorf("recorded %+v", list)
	}
	if got := stack.Actions(s.Calls()); !slices.Contains(got, "SendMessageBatch") {
		t.Errorf("the calls are %v: no retry was queued", got)
	}
}

func TestTheTemplateGivesWhatTheConfigurationReads(t *testing.T) {
	stack.CheckVariables[config](t, "DeliverFunction")
}
