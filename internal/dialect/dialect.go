// Package dialect turns an event into the exact request that a webhook's
// receiver expects: the body, the headers, the signature. One file a dialect;
// each is a table entry of pure functions. The formats are those of
// wire formats, "Outgoing".
//
// A body is rendered once, when the event is published, and is the same on
// every attempt and resend. Headers and signature are made for each attempt,
// since they carry its time.
package dialect

import (
	"net/http"
	"time"

	"boathook/internal/boathook"
)

// Version is Boathook's, as the User-Agent tells it.
const Version = "0.1"

// UserAgent is what Boathook calls itself where a dialect names no other.
const UserAgent = "Boathook/" + Version

// Message is one attempt's request, but for its signature.
type Message struct {
	DeliveryID boathook.DeliveryID
	EventType  boathook.EventType
	SentAt     time.Time
	Body       []byte
}

// Dialect is one system's way of speaking.
type Dialect struct {
	// Name is how the API calls it.
	Name string
	// MaxOverlap is how long two secrets may sign after a rotation.
	MaxOverlap time.Duration

	body   func(boathook.Event) ([]byte, error)
	sign   func(m Message, secrets []string) string
	header func(h http.Header, m Message, signature string)
}

var dialects = map[string]*Dialect{
	Crewship: &crewship,
}

// Lookup finds a dialect by name.
func Lookup(name string) (*Dialect, bool) {
	d, ok := dialects[name]
	return d, ok
}

// DefaultFor is the name of the dialect of a source's webhooks that name none.
func DefaultFor(kind boathook.SourceKind) string {
	return map[boathook.SourceKind]string{boathook.Deployment: Crewship, boathook.Agent: Crewship}[kind]
}

// Body renders an event. It fails only on an event whose data is not what the
// catalogue says.
func (d *Dialect) Body(e boathook.Event) ([]byte, error) { return d.body(e) }

// Sign is the value of the signature header: by every secret that is in force,
// the current one first.
func (d *Dialect) Sign(m Message, secrets ...string) string { return d.sign(m, secrets) }

// Header is all that the request's header says, with a signature of [Dialect.Sign].
func (d *Dialect) Header(m Message, signature string) http.Header {
	h := http.Header{
		"Content-Type": {"application/json"},
		"User-Agent":   {UserAgent},
	}
	d.header(h, m, signature)
	return h
}
