package boathook

import (
	"strings"
	"time"
)

// RequestOutcome is what became of a request to an incoming webhook.
type RequestOutcome string

// The outcomes.
const (
	RequestAccepted  RequestOutcome = "accepted"  // it started a run
	RequestRepeated  RequestOutcome = "repeated"  // a run had been started by an earlier request with its key
	RequestCoalesced RequestOutcome = "coalesced" // it became part of a run that an earlier request has brought about
	RequestIgnored   RequestOutcome = "ignored"   // the webhook's filter does not want it
	RequestAnswered  RequestOutcome = "answered"  // it was the sender's handshake
	RequestRejected  RequestOutcome = "rejected"
)

// RequestOutcomes lists them all.
var RequestOutcomes = []RequestOutcome{RequestAccepted, RequestRepeated, RequestCoalesced, RequestIgnored, RequestAnswered, RequestRejected}

// Request is one request to an incoming webhook, as its log shows it. Of the
// body and of headers' values it has only what helps to mend a sender and can't
// be a secret. An accepted one is known by its run, and so has no Sender.
type Request struct {
	ID          string // of the run, if it was accepted
	WorkspaceID string
	WebhookID   string
	At          time.Time
	Outcome     RequestOutcome
	Status      int    // of the answer
	Reason      string // why it started no run; empty if it did, and for a handshake
	RunID       string // the run that it started or repeated, if one
	Sender      *Sender
}

// Sender is what a request tells of where it came from.
type Sender struct {
	IP          string
	UserAgent   string
	ContentType string
	Headers     []string // their names, sorted
	BodySize    int      // bytes; one more than is allowed stands for any size above
	BodySHA256  string   // lower-case hex; empty for a body that is too large
}

// CutReason is the beginning of what another says of a failure, of at most so many bytes
// of UTF-8. What is left out is marked.
func CutReason(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + " … [cut]"
}

// Shorten cuts a text to at most so many bytes of UTF-8, and marks that it did.
func Shorten(s string, most int) string {
	const mark = "…"
	if len(s) > most {
		s = s[:most-len(mark)] + mark
	}
	return strings.ToValidUTF8(s, "")
}
