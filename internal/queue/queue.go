package queue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// The names of the queues, in the order of a webhook's road.
const (
	Runs       = "runs"
	Deliveries = "deliveries"
	Retries    = "retries"
)

// The limits that SQS sets.
const (
	MaxDelay     = 900 * time.Second
	MaxBody      = 1 << 20 // bytes of a message, and of one batch in all
	MaxBatch     = 10      // messages of one request
	MaxReceives  = 5       // then the dead-letter queue
	MaxGroupSize = 128     // characters of a group
)

// Message is what a sender gives.
type Message struct {
	Body  string        // Unicode text that XML 1.0 allows; at most [MaxBody] bytes
	Group string        // the tenant, for fairness; may be empty
	Delay time.Duration // rounded up to whole seconds; at most [MaxDelay]
}

// Validate reports why SQS would refuse m: its body is empty, too long or
// holds a character that XML 1.0 does not allow, its group is too long or not
// printable ASCII, or its delay is out of range.
func (m Message) Validate() error {
	switch {
	case m.Body == "":
		return errors.New("body: empty")
	case len(m.Body) > MaxBody:
		return fmt.Errorf("body: %d bytes, of at most %d", len(m.Body), MaxBody)
	case !isText(m.Body):
		return errors.New("body: a character that XML 1.0 does not allow")
	case len(m.Group) > MaxGroupSize:
		return fmt.Errorf("group: %d characters, of at most %d", len(m.Group), MaxGroupSize)
	case strings.ContainsFunc(m.Group, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("group: not printable ASCII")
	case m.Delay < 0 || m.Delay > MaxDelay:
		return fmt.Errorf("delay: %s, of at most %s", m.Delay, MaxDelay)
	}
	return nil
}

// isText reports whether XML 1.0 allows all of a text: no control characters but these
// three, and not two that are none (https://www.w3.org/TR/xml/#charsets).
func isText[T string | []byte](text T) bool {
	for i := 0; i < len(text); {
		if len(text)-i >= 8 && isPlain(binary.LittleEndian.Uint64([]byte(text[i:i+8]))) {
			i += 8
			continue
		}
		if c := text[i]; c < utf8.RuneSelf {
			if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
				return false
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(string(text[i:min(len(text), i+utf8.UTFMax)]))
		if r == utf8.RuneError && size == 1 || r == '\ufffe' || r == '\uffff' {
			return false
		}
		i += size
	}
	return true
}

// isPlain reports whether all of eight bytes are ASCII and none is a control character
// (DEL counts as none). A byte that is not ASCII has its highest bit set. One below a space
// has it set once a space is subtracted.
func isPlain(eight uint64) bool {
	const highest, spaces = 0x8080808080808080, 0x2020202020202020
	return (eight|(eight-spaces))&highest == 0
}

// DelaySeconds is the delay as SQS takes it.
func (m Message) DelaySeconds() int {
	return int((m.Delay + time.Second - 1) / time.Second)
}

// Sender accepts messages. When Send returns nil, every message is durable.
// A [*PartialError] names those that are not known to be; after any other
// error that is all of them. A message that is not known to be durable may be
// all the same: consumers bear duplicates. Send splits what is over the limits
// of one request; a single message over a limit is an error before anything
// is sent.
type Sender interface {
	Send(ctx context.Context, messages ...Message) error
}

// Received is a message in flight.
type Received struct {
	ID       string
	Body     string
	Group    string
	Receives int // this one included
	Receipt  string
}

// Queue is the whole contract. On AWS, Lambda's event source mapping does the
// receiving; Receive and Delete serve the embedded twin, tests, and operators.
type Queue interface {
	Sender
	// Receive waits up to wait for at least one message and returns at most
	// limit (1 to [MaxBatch]).
	Receive(ctx context.Context, limit int, wait time.Duration) ([]Received, error)
	// Delete acknowledges. A receipt of an earlier receive may be refused or
	// ignored.
	Delete(ctx context.Context, receipts ...string) error
}

// PartialError is a Send of which some messages were not accepted.
type PartialError struct {
	Failed []int // indexes into the messages of the call, ascending
	Err    error // one of the causes
}

func (e *PartialError) Error() string {
	return fmt.Sprintf("%d messages not sent: %v", len(e.Failed), e.Err)
}

// Unwrap gives the cause.
func (e *PartialError) Unwrap() error { return e.Err }
