// Package dialect turns an event into the exact request that a webhook's
// receiver expects: the body, the headers, the signature. One file a dialect;
// each is a table entry of pure functions. The bytes are those of wire formats,
// sections 1 and 3 to 5.
//
// A webhook may ask for a message for people in place of its dialect's body
// ([boathook.Format]): one file a chat service. [note] is what such a message
// says.
//
// A body is rendered once, when the event is published, and is the same on
// every attempt and resend. Headers and signature are made for each attempt,
// since they carry its time.
package dialect

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"boathook/internal/boathook"
)

// Message is one attempt's request, but for its signature.
type Message struct {
	DeliveryID boathook.DeliveryID
	EventType  boathook.EventType
	SentAt     time.Time
	Body       []byte

	ContentType string // of a body that is not the dialect's; empty for the dialect's own
}

// Dialect is one system's way of speaking.
type Dialect struct {
	// Name is how the API calls it.
	Name string
	// MaxOverlap is how long two secrets may sign after a rotation: 0 where
	// the signature's header has room for one.
	MaxOverlap time.Duration
	// DefaultOverlap is how long they do where nobody says.
	DefaultOverlap time.Duration
	// SecretOptional: a webhook without a secret sends no signature.
	SecretOptional bool

	body        func(boathook.Event) ([]byte, error)
	checkSecret func(secret string) error                         // nil: any secret will do
	sign        func(m Message, secrets []string) (string, error) // by at least one secret
	header      func(h http.Header, m Message, signature string)
}

var dialects = map[string]*Dialect{
	Crewship:   &crewship,
	Shipway:    &shipway,
	Capawesome: &capawesome,
	Standard:   &standard,
}

// Names lists all dialects by the alphabet.
func Names() []string { return slices.Sorted(maps.Keys(dialects)) }

// Lookup finds a dialect by name.
func Lookup(name string) (*Dialect, bool) {
	d, ok := dialects[name]
	return d, ok
}

// DefaultFor is the name of the dialect of a source's webhooks that name none.
func DefaultFor(kind boathook.SourceKind) string {
	return map[boathook.SourceKind]string{
		boathook.Deployment: Crewship,
		boathook.Agent:      Crewship,
		boathook.Repository: Shipway,
		boathook.App:        Capawesome,
		boathook.Customer:   Standard,
		boathook.Alerts:     Standard,
	}[kind]
}

// Body renders an event in a format, where raw is the dialect's own. It fails
// only on a format that is none, and on an event whose data is not what the
// catalogue says.
func (d *Dialect) Body(f boathook.Format, e boathook.Event) ([]byte, error) {
	if f == boathook.Raw || f == "" {
		return d.body(e)
	}
	write, ok := chats[f]
	if !ok {
		return nil, fmt.Errorf("event %s: unknown format %q", e.ID, f)
	}
	return boathook.EncodeJSON(write(noteOf(e)))
}

// CheckSecret reports, in words for who chose it, why a secret can't sign in
// this dialect.
func (d *Dialect) CheckSecret(secret string) error {
	if d.checkSecret == nil {
		return nil
	}
	return d.checkSecret(secret)
}

// Sign is the value of the signature header: by every secret that is in force,
// the current one first. Without a secret it is empty, which only a dialect
// with [Dialect.SecretOptional] allows. It fails only on a secret that
// [Dialect.CheckSecret] refuses.
func (d *Dialect) Sign(m Message, secrets ...string) (string, error) {
	if len(secrets) > 0 {
		return d.sign(m, secrets)
	}
	if !d.SecretOptional {
		return "", fmt.Errorf("delivery %s: the dialect %s needs a secret", m.DeliveryID, d.Name)
	}
	return "", nil
}

// Header is all that the request's header says, with a signature of [Dialect.Sign].
func (d *Dialect) Header(m Message, signature string) http.Header {
	h := http.Header{
		"Content-Type": {"application/json"},
		"User-Agent":   {boathook.UserAgent()},
	}
	d.header(h, m, signature)
	if m.ContentType != "" {
		h.Set("Content-Type", m.ContentType)
	}
	return h
}
