package localaws_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// The queues that webhooks may send to, which are none of the stack's own.
const (
	ordersARN = "arn:aws:sqs:eu-west-1:123456789012:orders"
	eventsARN = "arn:aws:sqs:eu-west-1:123456789012:events.fifo"
)

// toQueues has an event told to a standard queue and to a FIFO queue, and resent to
// both. What is not allowed is refused.
func toQueues(t *testing.T, s *stack) {
	client := sqs.NewFromConfig(s.SDK())
	urls := map[string]string{}
	for arn, in := range map[string]*sqs.CreateQueueInput{
		ordersARN: {QueueName: aws.String("orders")},
		eventsARN: {QueueName: aws.String("events.fifo"), Attributes: map[string]string{"FifoQueue": "true"}},
	} {
		made, err := client.CreateQueue(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		urls[arn] = *made.QueueUrl
	}
	target, _ := receiver(t, echo)
	path, trigger := s.deployment(target)
	const webhook = `{"name":"out","destination":{"type":"sqs","queue_arn":%q},"events":["run.succeeded"],"environment":"production"}`
	refused := s.call("POST", path+"/outgoing-webhooks", fmt.Sprintf(webhook, ordersARN+"-2"), 400)
	if field := refused["error"].(object)["field"]; field != "destination.queue_arn" {
		t.Errorf("another queue is refused for its %v", field)
	}
	secrets := map[string]string{}
	for arn := range urls {
		secrets[arn] = s.call("POST", path+"/outgoing-webhooks", fmt.Sprintf(webhook, arn), 201)["signing_secret"].(string)
	}
	s.call("POST", trigger, `{"a":1}`, 202)
	for arn, url := range urls {
		first := receive(t, s, client, url)
		id := first.header.Get("X-Crewship-Delivery")
		s.eventually("the message is in the log", func() object {
			d := s.call("GET", "/v1/deliveries/"+id, "", 200)
			if d["status"] != "succeeded" {
				return nil
			}
			if attempt := d["attempts"].([]any)[0].(object); attempt["message_id"] != first.id {
				t.Errorf("%s: the log says %v, want the message %s", arn, attempt, first.id)
			}
			return d
		})
		s.call("POST", "/v1/deliveries/"+id+"/resend", "", 202)
		again := receive(t, s, client, url)
		for _, m := range []queued{first, again} {
			if m.header.Get("X-Crewship-Delivery") != id || m.body != first.body || !m.verifies(secrets[arn]) {
				t.Errorf("%s: got %v with %s", arn, m.header, m.body)
			}
		}
		if again.id == first.id {
			t.Errorf("%s: the resend is the message before", arn)
		}
	}
}

// queued is a message, with its attributes as a request's headers.
type queued struct {
	received
	id string
}

// receive takes the next message of a queue.
func receive(t *testing.T, s *stack, client *sqs.Client, url string) (m queued) {
	t.Helper()
	s.eventually("a message is in the queue", func() object {
		out, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: &url, MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) == 0 {
			return nil
		}
		got := out.Messages[0]
		m = queued{received{header: map[string][]string{}, body: *got.Body}, *got.MessageId}
		for name, value := range got.MessageAttributes {
			m.header.Set(name, *value.StringValue)
		}
		if _, err := client.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: got.ReceiptHandle}); err != nil {
			t.Error(err)
		}
		return object{}
	})
	return m
}
