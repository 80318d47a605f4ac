package boathook

import (
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// DeliveryID is a UUIDv8 (RFC 9562): 48 bits of the event's time in
// milliseconds, 32 bits of hash(webhook) (12 before and 20 after the fixed
// bits), 42 bits of hash(event, webhook). It follows from its event and
// webhook, so a repeated publish makes no second delivery; and its record's
// key follows from it, so no index is needed to find it.
type DeliveryID [16]byte

// NewDeliveryID is the id of an event's delivery to a webhook.
func NewDeliveryID(e *Event, webhookID string) DeliveryID {
	tag := WebhookTag(webhookID)
	sum := digest(e.ID, webhookID)
	low := uint64(tag&0xfffff)<<42 | binary.BigEndian.Uint64(sum[:8])>>22
	return deliveryID(e.Time, tag, low)
}

// FirstDeliveryID is the least id of a webhook's deliveries for events at a
// time: the edge of a range that begins or ends there. It is that of 1970 for an
// earlier time.
func FirstDeliveryID(at time.Time, webhookID string) DeliveryID {
	tag := WebhookTag(webhookID)
	return deliveryID(at, tag, uint64(tag&0xfffff)<<42)
}

// LeastDeliveryID is the least id of all deliveries for events at a time, whatever their
// webhook, as [FirstDeliveryID] is of one's.
func LeastDeliveryID(at time.Time) DeliveryID { return deliveryID(at, 0, 0) }

func deliveryID(at time.Time, tag uint32, low uint64) (id DeliveryID) {
	binary.BigEndian.PutUint64(id[:8], uint64(max(at.UnixMilli(), 0))<<16|0x8<<12|uint64(tag>>20))
	binary.BigEndian.PutUint64(id[8:], 0b10<<62|low)
	return id
}

// ParseDeliveryID reads the canonical, lower-case form of a delivery's id.
func ParseDeliveryID(s string) (id DeliveryID, err error) {
	if len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' && s == strings.ToLower(s) {
		if _, err := hex.Decode(id[:], []byte(s[:8]+s[9:13]+s[14:18]+s[19:23]+s[24:])); err == nil &&
			id[6]>>4 == 8 && id[8]>>6 == 0b10 {
			return id, nil
		}
	}
	return DeliveryID{}, InvalidField("id", "not the id of a delivery (a lower-case UUID, version 8)")
}

func (id DeliveryID) String() string {
	text := hex.AppendEncode(make([]byte, 0, 36), id[:4])
	for _, part := range [][]byte{id[4:6], id[6:8], id[8:10], id[10:]} {
		text = hex.AppendEncode(append(text, '-'), part)
	}
	return string(text)
}

// LogValue is the id in logs, where it would be an array otherwise.
func (id DeliveryID) LogValue() slog.Value { return slog.StringValue(id.String()) }

// Time is the time of the delivery's event.
func (id DeliveryID) Time() time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(id[:8]) >> 16)).UTC()
}

// Tag is the [WebhookTag] of the delivery's webhook.
func (id DeliveryID) Tag() uint32 {
	return uint32(binary.BigEndian.Uint64(id[:8])&0xfff)<<20 |
		uint32(binary.BigEndian.Uint64(id[8:])>>42)&0xfffff
}

// Number is the delivery's id where a system's clients expect an integer, as
// Shipway's do: 32 bits of its event's time in seconds and 21 bits of a hash,
// which JavaScript can hold. [NumberTime] tells where to look for the delivery
// that has it. Two of one webhook and one second share theirs by a chance of
// one in two million.
func (id DeliveryID) Number() int64 {
	sum := digest("number", string(id[:]))
	return id.Time().Unix()&0xffffffff<<21 | int64(binary.BigEndian.Uint64(sum[:8])>>43)
}

// NumberTime is the second in which the event of a delivery with such a
// [DeliveryID.Number] happened.
func NumberTime(number int64) time.Time { return time.Unix(number>>21&0xffffffff, 0).UTC() }

// Shard spreads one webhook's deliveries evenly over n partitions.
func (id DeliveryID) Shard(n int) int { return int(id[15]) % n }

// WebhookTag is the part of a delivery's id that follows from its webhook.
// Two webhooks may share one: a reader compares the record's webhook too.
func WebhookTag(webhookID string) uint32 {
	sum := digest(webhookID)
	return binary.BigEndian.Uint32(sum[:4])
}

// DeliveryStatus is where a delivery is in its life.
type DeliveryStatus string

// A delivery appears with its first attempt, or canceled before one.
const (
	DeliverySucceeded DeliveryStatus = "succeeded"
	DeliveryRetrying  DeliveryStatus = "retrying"
	DeliveryFailed    DeliveryStatus = "failed"
	DeliveryCanceled  DeliveryStatus = "canceled" // its webhook was deleted or disabled
)

// Valid reports whether s is a status.
func (s DeliveryStatus) Valid() bool {
	switch s {
	case DeliverySucceeded, DeliveryRetrying, DeliveryFailed, DeliveryCanceled:
		return true
	}
	return false
}

// Delivery is one event for one outgoing webhook.
type Delivery struct {
	ID          DeliveryID
	WorkspaceID string
	SourceID    string
	WebhookID   string
	EventID     string
	EventType   EventType
	Environment Environment
	Dialect     string       // that its body was made for, whatever the webhook speaks by now; empty in lists
	Trace       TraceContext // that each attempt follows from; zero in lists
	Body        Body         // exactly what is sent, the same on every attempt
	ContentType string       // of a body that is not the dialect's; empty for the dialect's own, and in lists

	// Fault is why there is no body: the webhook's filter or transform failed when the
	// event was published. Body is the event's data then, of which each attempt of a
	// resend makes what it sends. Empty in lists.
	Fault string

	Status        DeliveryStatus
	Attempts      int       // how many were made
	NextAttemptAt time.Time // while retrying
	Reason        string    // why it was canceled
	Resend        int       // the number of the attempt that was its last resend; 0 for none
	Last          Summary   // of the last attempt; the zero one before the first
}

// Sent is the body that is sent, on every attempt; none of a delivery with a fault.
func (d *Delivery) Sent() Body {
	if d.Fault != "" {
		return Body{}
	}
	return d.Body
}

// Summary is what lists tell of an attempt.
type Summary struct {
	Number   int
	SentAt   time.Time
	Duration time.Duration
	Status   int    // the response's; 0: there was none
	Error    string // why it is not a success, as a [Label]
}

// Attempt is one request of a delivery, and what came of it.
type Attempt struct {
	Number    int // counts from 1, across resends
	SentAt    time.Time
	Duration  time.Duration
	URL       string // where it was sent; empty: to its Destination
	Signature string // the value of the dialect's signature header
	// TraceParent is the traceparent that was sent, of an attempt that was recorded as a
	// step of its trace; empty: the delivery's own.
	TraceParent string
	Response    *Response
	Error       string // why there is no response, or why it is not a success

	// Destination is where it was sent, unless to a URL.
	Destination Destination

	// CutAt is when an earlier request of the same attempt was given up, to make
	// room for others; zero for most. The receiver may have taken that one too.
	CutAt time.Time
}

// Response is a receiver's answer.
type Response struct {
	Status    int
	Headers   http.Header
	Body      []byte // at most [MaxResponseBody] bytes
	Truncated bool   // the receiver sent more, in body or headers, than is kept
	MessageID string // that a queue gave to what was sent; empty for other receivers
}

// Summary is the attempt in short.
func (a *Attempt) Summary() Summary {
	s := Summary{Number: a.Number, SentAt: a.SentAt, Duration: a.Duration, Error: Label(a.Error)}
	if a.Response != nil {
		s.Status = a.Response.Status
	}
	return s
}

// Succeeded reports whether the receiver took the delivery: any 2xx.
func (a *Attempt) Succeeded() bool {
	return a.Error == "" && a.Response != nil && a.Response.Status >= 200 && a.Response.Status < 300
}
