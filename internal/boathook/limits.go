package boathook

import "time"

// The limits that users meet. Whatever is over one is refused with an error
// that names it; what is kept short (a response body, a log line) says so.
const (
	MaxTriggerBody  = 512 << 10 // bytes of a trigger's body, and so of a run's input
	MaxAgentBody    = 256 << 10 // bytes of the body of an agent's trigger, as its document has it
	MaxRunOutput    = 256 << 10 // bytes of a run's output
	MaxEventData    = 256 << 10 // bytes of a published event's data
	MaxResponseBody = 16 << 10  // bytes kept of a receiver's answer
	MaxLogLine      = 8 << 10   // bytes of one line of a run's log
	MaxRunLog       = 16 << 20  // bytes of one run's log; a line counts 64 more than its text
	MaxJSONDepth    = 512       // nested arrays and objects, so that every receiver can parse it
	MaxWebhooks     = 100       // webhooks of one source, incoming and outgoing each
	MaxNameLength   = 100       // characters of a name
	MaxRateLimit    = 1000      // requests a second, of an outgoing webhook that sets a limit

	MaxEventRetention = 3653 // days for which a source's feed keeps events

	MaxIdempotencyKey = 255 // bytes of an Idempotency-Key header

	DefaultRunTimeout = 10 * time.Minute
	MaxRunTimeout     = 14 * time.Minute // below Lambda's 15, so that the outcome can still be written

	DefaultWaitForStart = 2 * time.Second
	MaxWaitForStart     = 10 * time.Second

	DefaultDeliveryTimeout = 30 * time.Second
	MaxDeliveryTimeout     = 30 * time.Second
)
