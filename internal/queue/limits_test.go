package queue_test

import (
	"strings"
	"testing"
	"time"

	"boathook/internal/queue"
	"boathook/internal/testing/templatetest"
)

// The limits are SQS's own: Amazon SQS Developer Guide, "Message quotas". What is
// beyond them the embedded queue must not take either.
func TestTheLimitsAreThoseOfSQS(t *testing.T) {
	const maxDelay, maxBody, maxGroup = 15 * time.Minute, 1_048_576, 128
	if queue.MaxBatch != 10 {
		t.Errorf("a request has up to %d messages, want 10", queue.MaxBatch)
	}
	for name, tc := range map[string]struct {
		message queue.Message
		valid   bool
	}{
		"the longest delay":  {queue.Message{Body: "b", Delay: maxDelay}, true},
		"a longer delay":     {queue.Message{Body: "b", Delay: maxDelay + 1}, false},
		"the longest body":   {queue.Message{Body: strings.Repeat("b", maxBody)}, true},
		"a longer body":      {queue.Message{Body: strings.Repeat("b", maxBody+1)}, false},
		"the longest group":  {queue.Message{Body: "b", Group: strings.Repeat("g", maxGroup)}, true},
		"a longer group":     {queue.Message{Body: "b", Group: strings.Repeat("g", maxGroup+1)}, false},
		"an empty body":      {queue.Message{}, false},
		"a negative delay":   {queue.Message{Body: "b", Delay: -1}, false},
		"a space in a group": {queue.Message{Body: "b", Group: "a b"}, false},
	} {
		if err := tc.message.Validate(); (err == nil) != tc.valid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The embedded queue gives a message up when template.yaml's queues do.
func TestAMessageIsGivenUpAsInTheTemplate(t *testing.T) {
	redriven := 0
	for name, r := range templatetest.Read(t).Resources {
		var properties struct {
			RedrivePolicy struct {
				MaxReceives int `yaml:"maxReceiveCount"`
			} `yaml:"RedrivePolicy"`
		}
		if r.Type != "AWS::SQS::Queue" {
			continue
		}
		if err := r.Properties.Decode(&properties); err != nil {
			t.Fatal(err)
		}
		if n := properties.RedrivePolicy.MaxReceives; n > 0 {
			redriven++
			if n != queue.MaxReceives {
				t.Errorf("%s gives a message up after %d receives, want %d", name, n, queue.MaxReceives)
			}
		}
	}
	if redriven != 3 {
		t.Errorf("%d queues have a dead-letter queue, want 3", redriven)
	}
}

// SQS refuses control characters wherever they are: see isText, which looks at eight bytes
// at once.
func TestEachCharacterIsLookedAtWhereverItIs(t *testing.T) {
	const around = "0123456789abcdefgh"
	for at := range around {
		for r := range rune(0x100) {
			body := around[:at] + string(r) + around[at:]
			valid := r >= ' ' || r == '\t' || r == '\n' || r == '\r'
			if err := (queue.Message{Body: body}).Validate(); (err == nil) != valid {
				t.Errorf("%q: got %v", body, err)
			}
		}
		for _, bad := range []string{"\ufffe", "\uffff", "\x80", "\xff", "\xe2\x82", "\xed\xa0\x80"} {
			body := around[:at] + bad + around[at:]
			if (queue.Message{Body: body}).Validate() == nil {
				t.Errorf("%q passes", body)
			}
		}
		if body := around[:at] + "\ufffd€😀" + around[at:]; (queue.Message{Body: body}).Validate() != nil {
			t.Errorf("%q is refused", body)
		}
	}
}
