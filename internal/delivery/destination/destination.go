// Package destination sends the messages of deliveries: [HTTP] as requests to
// webhooks' URLs, package sqs as messages to queues, package listener as announcements
// to developers' machines. Each makes one attempt at a time
// and tells what came of it in the same words, so that package delivery retries,
// postpones and disables whatever the receiver is.
package destination

import (
	"context"
	"fmt"
	"time"

	"boathook/internal/boathook"
)

// Message is what one attempt sends.
type Message struct {
	DeliveryID boathook.DeliveryID
	SourceID   string
	Event      boathook.EventType
	Attempt    int // its number
	// Headers are the dialect's, with the signature, and the webhook's own. They are
	// read only.
	Headers map[string][]string
	// Trace is what the attempt follows from, in headers of its own; zero: there are
	// none. A destination that has no room for them leaves them out.
	Trace boathook.TraceContext
	Body  []byte // never empty; the same on each attempt

	// First is the number of the first attempt since the last resend: 1 if there was
	// none. Attempts that share it may be taken for one.
	First int
}

// Result is what came of an attempt.
type Result struct {
	Response *boathook.Response // nil: there was none
	Duration time.Duration      // until the response was read, or did not come

	// Error says why it is not a success, in words for the delivery log and without
	// secrets; empty if it is one.
	Error string
	// TimedOut: there was no response in time.
	TimedOut bool
	// RetryAfter is how long the receiver asks to wait; 0 if it does not say. It is
	// [boathook.MaxRetryAfter] at most.
	RetryAfter time.Duration
	// Gone says that the receiver will never take anything again, and how it said
	// so; empty if it may.
	Gone string
	// Unfit: the destination never takes this message. It says nothing of others.
	Unfit bool
}

// Patience is how long an attempt may take once its receiver has decided: for what the
// log keeps of the response.
const Patience = 5 * time.Second

// Failed is the result of an attempt that gave nothing but a reason.
func Failed(format string, args ...any) Result {
	return Result{Error: fmt.Sprintf(format, args...)}
}

// Destination sends messages.
type Destination interface {
	// Send makes one attempt to send a message to a webhook's receiver. ctx carries
	// the attempt's time-out, which is for the receiver's decision; [Patience] may
	// come on top.
	Send(ctx context.Context, w boathook.OutgoingWebhook, m Message) Result
}

// Set is a destination that sends by the one of the webhook's type.
type Set map[boathook.DestinationType]Destination

// Send implements [Destination].
func (s Set) Send(ctx context.Context, w boathook.OutgoingWebhook, m Message) Result {
	d, ok := s[w.Destination.Type]
	if !ok {
		return Failed("destinations of type %q are not available here", w.Destination.Type)
	}
	return d.Send(ctx, w, m)
}
