// Package sqs sends the messages of deliveries to queues of Amazon SQS.
//
// A message's body is the delivery's, byte for byte. Its attributes are the headers
// that a request would have, the signature among them, so that who receives it
// verifies it as a request. A header without a value is left out: an attribute must
// have one. So is a trace's header for which the ten attributes have no place left.
//
// In a FIFO queue, the message group is the source. The deduplication id is the
// delivery's with the number of the first attempt since its last resend: an attempt
// whose answer was lost and the one after it make one message in SQS's five minutes,
// and a resend makes another.
package sqs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"boathook/internal/boathook"
	"boathook/internal/delivery/destination"
	"boathook/internal/egress"
)

// Destination sends messages to the queues that are allowed. Make it with [New].
type Destination struct {
	client   *sqs.Client
	resolver sqs.EndpointResolverV2
	endpoint *string // in AWS's place; nil: AWS
	allowed  []string
}

// New makes a Destination for the queues that patterns of [boathook.AllowsARN] name.
func New(cfg aws.Config, allowed []string) *Destination {
	return &Destination{
		client: sqs.NewFromConfig(cfg, func(o *sqs.Options) {
			o.Retryer = retry.NewStandard(onceMore)
		}),
		resolver: sqs.NewDefaultEndpointResolverV2(), endpoint: cfg.BaseEndpoint, allowed: allowed,
	}
}

// onceMore has the SDK repeat a call once, at once, whose connection failed: a thawed
// Lambda function finds its kept ones dead. Everything else is the attempt's end: the
// webhook's schedule decides when there is another.
func onceMore(o *retry.StandardOptions) {
	o.MaxAttempts = 2
	o.Retryables = []retry.IsErrorRetryable{
		retry.NoRetryCanceledError{}, retry.RetryableConnectionError{},
	}
	o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
	o.RateLimiter = ratelimit.None
}

// MaxMessage is how many bytes the body and the attributes of a message have at most,
// the attributes' names and types included
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html).
// A queue's own MaximumMessageSize may be less.
const MaxMessage = 1 << 20

// Send implements [destination.Destination].
func (d *Destination) Send(ctx context.Context, w boathook.OutgoingWebhook, m destination.Message) (r destination.Result) {
	arn := w.Destination.QueueARN
	queue, ok := boathook.ParseQueueARN(arn)
	if !ok {
		return destination.Failed("%q is not the ARN of a queue", arn)
	}
	if !boathook.AllowsARN(d.allowed, arn) {
		return destination.Failed("queue %s is not among those that are allowed here", arn)
	}
	in, fault := input(queue, m)
	if fault != "" {
		return destination.Result{Error: fault, Unfit: true}
	}
	begun := time.Now()
	out, err := d.send(ctx, queue, in)
	r.Duration = time.Since(begun)
	if err != nil {
		explain(err, &r)
		return r
	}
	r.Response = &boathook.Response{Status: http.StatusOK, MessageID: aws.ToString(out.MessageId)}
	return r
}

func (d *Destination) send(ctx context.Context, queue boathook.QueueARN, in *sqs.SendMessageInput) (*sqs.SendMessageOutput, error) {
	endpoint, err := d.resolver.ResolveEndpoint(ctx, sqs.EndpointParameters{Region: &queue.Region, Endpoint: d.endpoint}.WithDefaults())
	if err != nil {
		return nil, err
	}
	in.QueueUrl = aws.String(endpoint.URI.JoinPath(queue.Account, queue.Name).String())
	return d.client.SendMessage(ctx, in, func(o *sqs.Options) { o.Region = queue.Region })
}

// text is the type of all attributes.
const text = "String"

// input is the call that sends a message, but for the queue's URL. fault says why SQS
// can't take the message; empty: it can.
func input(queue boathook.QueueARN, m destination.Message) (in *sqs.SendMessageInput, fault string) {
	if r, ok := refused(string(m.Body)); ok {
		return nil, fmt.Sprintf("not sent: the body has %s, which Amazon SQS does not take", r)
	}
	size := len(m.Body)
	attributes := make(map[string]types.MessageAttributeValue, len(m.Headers))
	for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
		value := strings.Join(m.Headers[name], ", ")
		if value == "" {
			continue
		}
		if fault := boathook.AttributeFault(name); fault != "" {
			return nil, fmt.Sprintf("not sent: the header %q is the name of a message attribute, which %s", name, fault)
		}
		if r, ok := refused(value); ok {
			return nil, fmt.Sprintf("not sent: the header %q has %s, which Amazon SQS does not take", name, r)
		}
		attributes[name] = types.MessageAttributeValue{DataType: aws.String(text), StringValue: &value}
		size += len(name) + len(text) + len(value)
	}
	if len(attributes) > boathook.MaxMessageAttributes {
		return nil, fmt.Sprintf("not sent: %d headers, and a message of Amazon SQS has %d attributes at most",
			len(attributes), boathook.MaxMessageAttributes)
	}
	if size > MaxMessage {
		return nil, fmt.Sprintf("not sent: %d bytes with the headers, and a message of Amazon SQS has %d at most", size, MaxMessage)
	}
	addTrace(attributes, m.Trace, MaxMessage-size)
	in = &sqs.SendMessageInput{MessageBody: aws.String(string(m.Body)), MessageAttributes: attributes}
	if queue.FIFO() {
		in.MessageGroupId = &m.SourceID
		in.MessageDeduplicationId = aws.String(fmt.Sprintf("%s.%d", m.DeliveryID, m.First))
	}
	return in, ""
}

// addTrace adds the attributes that carry a trace while there is room for them: no
// delivery fails for its trace.
func addTrace(attributes map[string]types.MessageAttributeValue, trace boathook.TraceContext, room int) {
	headers := trace.Headers()
	for _, name := range []string{boathook.TraceParent, boathook.TraceState} {
		value, ok := headers[name]
		room -= len(name) + len(text) + len(value)
		if !ok || len(attributes) == boathook.MaxMessageAttributes || room < 0 {
			return
		}
		attributes[name] = types.MessageAttributeValue{DataType: aws.String(text), StringValue: &value}
	}
}

// refused finds the first character of a text that SQS does not take: what is not
// among those of XML 1.0, and what is not UTF-8.
func refused(text string) (what string, found bool) {
	for i, r := range text {
		switch {
		case r == utf8.RuneError:
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				return "a byte that is not UTF-8", true
			}
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == '\uFFFE', r == '\uFFFF':
			return fmt.Sprintf("the character U+%04X", r), true
		}
	}
	return "", false
}

// maxReason is how much is kept of what AWS says of a failure, in bytes.
const maxReason = 500

// explain puts into a result what came of a call that SQS did not answer with a
// success. Whatever can be mended in the queue, its policy or the stack is tried again,
// as a request to a URL would be.
func explain(err error, r *destination.Result) {
	// The SDK wraps what was not answered as well.
	if answer, ok := errors.AsType[*awshttp.ResponseError](err); ok && answer.HTTPStatusCode() != 0 {
		r.Response = &boathook.Response{Status: answer.HTTPStatusCode()}
	}
	refusal, refused := errors.AsType[smithy.APIError](err)
	if !refused {
		r.TimedOut = egress.IsTimeout(err)
		r.Error = unanswered(err, r.Duration)
		return
	}
	_, r.Unfit = errors.AsType[*types.InvalidMessageContents](err)
	_, absent := errors.AsType[*types.QueueDoesNotExist](err)
	switch code := refusal.ErrorCode(); {
	case absent:
		r.Error = "Amazon SQS: the queue does not exist"
	case code == "AccessDenied" || code == "AccessDeniedException":
		// SQS's own words name the stack's role.
		r.Error = "Amazon SQS: access denied: the policies of this stack, of the queue or of its key don't allow to send to it"
	default:
		r.Error = "Amazon SQS: " + boathook.CutReason(code+": "+refusal.ErrorMessage(), maxReason)
	}
}

// unanswered puts a call into words to which no answer came, or none that can be read.
func unanswered(err error, elapsed time.Duration) string {
	_, sending := errors.AsType[*smithyhttp.RequestSendError](err)
	_, reading := errors.AsType[*smithy.DeserializationError](err)
	if sending || reading || egress.IsTimeout(err) || errors.Is(err, context.Canceled) {
		return "Amazon SQS: " + egress.Explain(err, elapsed)
	}
	return "Amazon SQS: " + boathook.CutReason(err.Error(), maxReason) // of the SDK's configuration or credentials
}
