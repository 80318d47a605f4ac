package boathook

import "strings"

// DestinationType says what kind of place a webhook's deliveries go to.
type DestinationType string

// The types of destinations.
const (
	DestinationURL      DestinationType = ""         // requests to the webhook's URL
	DestinationSQS      DestinationType = "sqs"      // messages to a queue of Amazon SQS
	DestinationListener DestinationType = "listener" // announcements to whoever watches [DeliveriesChannel]
)

// Destination is where a webhook's deliveries go that has no URL. The zero
// Destination is that of a webhook with a URL.
type Destination struct {
	Type     DestinationType
	QueueARN string // of [DestinationSQS]; see [ParseQueueARN]
}

// IsZero reports whether the webhook has a URL instead.
func (d Destination) IsZero() bool { return d == Destination{} }

// Check refuses a destination that is none, with an [Invalid] error about one of the
// fields that the API has for it. Whether it is allowed is not asked here.
func (d Destination) Check() error {
	switch d.Type {
	case DestinationSQS:
		return d.checkQueue()
	case DestinationListener:
		if d.QueueARN != "" {
			return InvalidField("destination.queue_arn", "can't be given: a %s has no queue", DestinationListener)
		}
		return nil
	}
	return InvalidField("destination.type", "must be %s or %s; a webhook that sends to a URL has a url instead", DestinationSQS, DestinationListener)
}

func (d Destination) checkQueue() error {
	if _, ok := ParseQueueARN(d.QueueARN); !ok {
		return InvalidField("destination.queue_arn",
			"must be the ARN of a queue of Amazon SQS, such as arn:aws:sqs:eu-west-1:123456789012:name")
	}
	return nil
}

// QueueARN is the ARN of a queue of Amazon SQS, in its parts.
type QueueARN struct {
	Region  string
	Account string // 12 digits
	Name    string // up to 80 letters, digits, hyphens and underscores, with the suffix of a FIFO queue
}

// maxQueueName is how long a queue's name may be, in characters
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html).
const maxQueueName = 80

// fifoSuffix is how the names of FIFO queues end, and no others.
const fifoSuffix = ".fifo"

// ParseQueueARN reads an ARN, arn:<partition>:sqs:<region>:<account>:<name>.
func ParseQueueARN(text string) (q QueueARN, ok bool) {
	parts := strings.Split(text, ":")
	if len(parts) != 6 || parts[0] != "arn" || !strings.HasPrefix(parts[1], "aws") || parts[2] != "sqs" {
		return q, false
	}
	q = QueueARN{Region: parts[3], Account: parts[4], Name: parts[5]}
	name := strings.TrimSuffix(q.Name, fifoSuffix)
	ok = made(parts[1], lowers+"-") && made(q.Region, lowers+digits+"-") && len(q.Account) == 12 && made(q.Account, digits) &&
		made(name, letters+digits+"-_") && len(q.Name) <= maxQueueName
	return q, ok
}

// FIFO reports whether the queue keeps the order of its messages.
func (q QueueARN) FIFO() bool { return strings.HasSuffix(q.Name, fifoSuffix) }

const (
	digits  = "0123456789"
	lowers  = "abcdefghijklmnopqrstuvwxyz"
	letters = lowers + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// made reports whether a text is made of some characters, and of at least one.
func made(text, characters string) bool { return text != "" && strings.Trim(text, characters) == "" }

// What a message to a queue may carry besides its body
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html).
const (
	MaxMessageAttributes = 10
	maxAttributeName     = 256 // characters
)

// AttributeFault says why a header can't be a message attribute by its name, in
// words for who chose it; empty: it can.
func AttributeFault(name string) string {
	lower := strings.ToLower(name)
	switch {
	case !made(name, letters+digits+"-_.") || len(name) > maxAttributeName:
		return "must have letters, digits, hyphens, underscores and periods only, and at most 256 of them"
	case strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon."):
		return "must not begin with AWS. or Amazon., which are Amazon's own"
	case strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, ".."):
		return "must not have a period at an end, or beside another"
	}
	return ""
}
