package main

import (
	"slices"
	"strconv"
	"testing"
	"time"

	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"boathook/events"
	"boathook/internal/boathook"
	"boathook/internal/signature"
	"boathook/internal/testing/stack"
)

// newQueueHandler has the fixture's webhook send to a queue, which is allowed or not.
func newQueueHandler(t *testing.T, allowed bool) (s *stack.Stack, handler any, client *awssqs.Client, url string) {
	t.Helper()
	s, _ = newHandler(t, answers(500))
	client = awssqs.NewFromConfig(s.SDK)
	name := boathook.NewID("orders")
	made, err := client.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: &name})
	if err != nil {
		t.Fatal(err)
	}
	arn := "arn:aws:sqs:eu-west-1:123456789012:" + name
	change(t, s, func(w *boathook.OutgoingWebhook) {
		w.URL, w.Destination = "", boathook.Destination{Type: boathook.DestinationSQS, QueueARN: arn}
	})
	if allowed {
		s.Env["BOATHOOK_ALLOWED_QUEUE_ARNS"] = arn
	}
	if handler, err = build(t.Context(), stack.Config[config](t, s), s.SDK); err != nil {
		t.Fatal(err)
	}
	return s, handler, client, *made.QueueUrl
}

// As a request costs one write, so does a message.
func TestADeliveryToAQueueIsOneMessageAndOneWrite(t *testing.T) {
	s, handler, client, url := newQueueHandler(t, true)
	invoke(t, handler, "deliver/batch-with-one-bad-record") // warms the process
	s.Calls()
	invoke(t, handler, "deliver/one-delivery")
	calls := s.Calls()
	if got := stack.Actions(calls); !slices.Equal(got, []string{"BatchGetItem", "SendMessage", "PutItem"}) {
		t.Fatalf("the calls are %v, want the webhook's look-up, the message and one PutItem", got)
	}
	if size := itemSize(t, calls[2].Body); size > 1024 {
		t.Errorf("the item has %d bytes, which is more than one unit", size)
	}
	list := deliveries(t, s)
	if len(list) == 0 {
		t.Fatalf("recorded %+v", list)
	}
	_, attempts, err := s.Store.Attempts(t.Context(), events.WorkspaceID, list[0].ID)
	if err != nil || len(attempts) != 1 || attempts[0].Response == nil || attempts[0].Response.MessageID == "" {
		t.Errorf("the attempts are %+v, %v", attempts, err)
	}

	received, err := client.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"},
	})
	if err != nil || len(received.Messages) == 0 {
		t.Fatalf("received %+v, %v", received, err)
	}
	for _, m := range received.Messages {
		of := func(name string) string {
			if value := m.MessageAttributes[name].StringValue; value != nil {
				return *value
			}
			return ""
		}
		seconds, _ := strconv.ParseInt(of("X-Crewship-Timestamp"), 10, 64)
		if !signature.VerifyTimestamped(of("X-Crewship-Signature"), events.OutgoingSecret, time.Unix(seconds, 0), []byte(*m.Body)) {
			t.Errorf("the signature of %v does not verify", m.MessageAttributes)
		}
	}
}

// The stack's parameter may have changed since the webhook was.
func TestAQueueThatIsNoLongerAllowedGetsNothing(t *testing.T) {
	s, handler, _, _ := newQueueHandler(t, false)
	invoke(t, handler, "deliver/one-delivery")
	if got := stack.Actions(s.Calls()); slices.Contains(got, "SendMessage") {
		t.Errorf("the calls are %v", got)
	}
	if list := deliveries(t, s); len(list) != 1 || list[0].Status != boathook.DeliveryRetrying {
		t.Errorf("recorded %+v, want a delivery that is tried again", list)
	}
}
