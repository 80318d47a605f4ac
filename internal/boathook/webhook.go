package boathook

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"net/url"
	"slices"
	"strings"
	"time"
)

// IncomingWebhook is a URL that starts runs of its source's live version.
type IncomingWebhook struct {
	Revision     int // counts its changes; see package store
	ID           string
	WorkspaceID  string
	SourceID     string
	Name         string
	Environment  Environment
	Enabled      bool
	TokenHash    [sha256.Size]byte // of the URL's token, by which requests are judged
	SealedToken  []byte            // the token's text, encrypted, to be shown again; nil of a webhook from before it was kept
	WaitForStart time.Duration
	Verification Verification
	Filter       Filter
	Coalesce     Coalescing
	// RerunFailed: a repeated delivery of a run that failed or was canceled starts
	// another. Nil: as the preset has it.
	RerunFailed *bool
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Verification says how the senders of an incoming webhook prove themselves,
// besides the token in its URL. Package preset knows the presets and which
// fields each has; the zero value is that of no verification.
type Verification struct {
	Preset       string // empty or "none": the token alone
	SealedSecret []byte // encrypted; nil if the preset has none

	Header          string // that holds the signature
	Algorithm       string
	Encoding        string
	Prefix          string
	Separator       string // between several signatures in the header
	TimestampHeader string
	DeliveryHeader  string // that holds the sender's own id of the request
	EventHeader     string // that holds the name of what happened
	EventPointer    string // a JSON Pointer to it in the input
	TopicARN        string // of SNS, whose messages are taken
}

// IsSet reports whether senders must prove themselves by a preset.
func (v Verification) IsSet() bool { return v.Preset != "" && v.Preset != "none" }

// urlSecretBytes is the random part of a URL token: 160 bits.
const urlSecretBytes = 20

// URLToken is the credential in an incoming webhook's URL. Its text carries
// the ids of the source and the webhook, so that one batch read finds the
// webhook, the live version and a run of the same idempotency key.
type URLToken struct {
	SourceID  string
	WebhookID string
	Text      string
}

// NewURLToken makes a token with a fresh secret for a webhook of a source.
// The ids must come from [NewID].
func NewURLToken(sourceID, webhookID string) URLToken {
	raw := make([]byte, 0, 2*idBytes+urlSecretBytes)
	for _, id := range []string{sourceID, webhookID} {
		_, text, _ := strings.Cut(id, "_")
		b, err := idEncoding.DecodeString(text)
		if err != nil || len(b) != idBytes {
			panic("boathook: not an id: " + id)
		}
		raw = append(raw, b...)
	}
	raw = raw[:cap(raw)]
	rand.Read(raw[2*idBytes:])
	return URLToken{sourceID, webhookID, base64.RawURLEncoding.EncodeToString(raw)}
}

// ParseURLToken reads a token from a URL. False means that it can't be one;
// true says nothing yet about its secret: see [IncomingWebhook.Matches].
func ParseURLToken(text string) (URLToken, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != 2*idBytes+urlSecretBytes {
		return URLToken{}, false
	}
	return URLToken{
		SourceID:  DeploymentID + "_" + idEncoding.EncodeToString(raw[:idBytes]),
		WebhookID: IncomingID + "_" + idEncoding.EncodeToString(raw[idBytes:2*idBytes]),
		Text:      text,
	}, true
}

// Hash is what is stored of the token.
func (t URLToken) Hash() [sha256.Size]byte { return sha256.Sum256([]byte(t.Text)) }

// Matches compares a token with the webhook's in constant time.
func (w *IncomingWebhook) Matches(t URLToken) bool {
	h := t.Hash()
	return subtle.ConstantTimeCompare(h[:], w.TokenHash[:]) == 1
}

// OutgoingWebhook tells another system of a source's events.
type OutgoingWebhook struct {
	Revision    int // counts its changes; see package store
	ID          string
	WorkspaceID string
	SourceID    string
	Name        string
	URL         string      // empty: it has a Destination
	Destination Destination // zero: it has a URL
	Events      []EventType
	Environment Environment // empty: every environment
	Dialect     string
	Format      Format // of the body
	Filter      string // an expression that says which events it wants; empty: all of its Events
	Transform   string // an expression that makes the body; empty: Dialect and Format do
	Timeout     time.Duration
	Retry       []time.Duration // waits before the second, third, … attempt; empty for none
	RateLimit   int             // requests a second, at most [MaxRateLimit]; 0 for no limit
	Enabled     bool
	AlertAfter  AlertThreshold    // when the workspace's alerts tell that it fails
	Channels    []string          // events that have channels are sent if they share one; empty: all are
	Metadata    map[string]string // the workspace's own notes
	Secrets     SealedSecrets
	CreatedAt   time.Time
	UpdatedAt   time.Time

	// SealedHeaders is the JSON object of the headers that are sent besides
	// the dialect's own, encrypted: they often hold a credential. HeaderNames are
	// their names, which is all that is shown of them.
	SealedHeaders []byte
	HeaderNames   []string

	Disabled Disabling // by Boathook; zero for one that is enabled, or that its owner disabled
	Health   Health    // kept apart: putting a webhook leaves its health as it is
}

// Format is what the body of an outgoing webhook is. Empty, as webhooks have it
// that were stored before there were formats, is [Raw].
type Format string

// The formats.
const (
	Raw     Format = "raw"     // the event, as the webhook's dialect writes it
	Slack   Format = "slack"   // a message about the event, for Slack's incoming webhooks
	Discord Format = "discord" // a message for Discord's webhooks
	Teams   Format = "teams"   // a message for the workflow webhooks of Microsoft Teams
)

// Valid reports whether f is a format.
func (f Format) Valid() bool { return f == Raw || f == Slack || f == Discord || f == Teams }

// DisabledEvent tells the source's other webhooks that Boathook disables this
// one. Of its URL it has the host alone, since the rest may hold a token; a queue's
// ARN holds none. The same disabling always gives the same event.
func (w *OutgoingWebhook) DisabledEvent(d Disabling) Event {
	data, err := EncodeJSON(struct {
		WebhookID  string `json:"webhook_id"`
		Name       string `json:"name"`
		Host       string `json:"host"` // empty: it has a queue
		QueueARN   string `json:"queue_arn,omitempty"`
		Reason     string `json:"reason"`
		DisabledAt Time   `json:"disabled_at"`
	}{w.ID, w.Name, hostOf(w.URL), w.Destination.QueueARN, d.Reason, Time{d.At}})
	if err != nil {
		panic(err) // strings and times always encode
	}
	return Event{
		ID:          DeriveID(EventID, w.ID, string(EventWebhookDisabled), d.At.UTC().Format(TimeLayout)),
		WorkspaceID: w.WorkspaceID, SourceID: w.SourceID, Environment: w.Environment,
		Type: EventWebhookDisabled, Time: d.At, Data: data,
	}
}

// hostOf is the host of a URL, with its port if it has one.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "" // it was checked when it was taken
	}
	return u.Host
}

// SealedSecrets are an outgoing webhook's signing secrets, encrypted.
type SealedSecrets struct {
	Current       []byte    // nil: the webhook has no secret, and its deliveries are not signed
	Previous      []byte    // signs beside the current one after a rotation with overlap
	PreviousUntil time.Time // when Previous stops signing
}

// Wants reports whether the webhook takes events of a type in an environment.
// One without an environment takes those of each; an event without one goes to
// all that want its type.
func (w *OutgoingWebhook) Wants(t EventType, env Environment) bool {
	if !w.Enabled || w.Environment != "" && env != "" && w.Environment != env {
		return false
	}
	return slices.Contains(w.Events, t) || slices.Contains(w.Events, AllEvents) && !t.Own()
}

// Hears reports whether an event's channels let it through: a webhook without channels
// hears all events, one with channels those that share one. Boathook's own words have
// no channels, and every webhook hears them.
func (w *OutgoingWebhook) Hears(e *Event) bool {
	return len(w.Channels) == 0 || e.Type.Own() ||
		slices.ContainsFunc(e.Channels, func(channel string) bool { return slices.Contains(w.Channels, channel) })
}

// Number is the webhook's id where a system's clients expect an integer, as
// Shipway's do; see [number]. It finds its webhook among the [MaxWebhooks] of a
// source. Two of a full source share one by a chance of one in 400,000.
func (w *OutgoingWebhook) Number() int32 { return number("number", w.ID) }

// number names something by an integer: 31 bits of a hash, since clients in Java
// read an int. It is never 0, which clients take for none.
func number(parts ...string) int32 {
	sum := digest(parts...)
	return max(1, int32(binary.BigEndian.Uint32(sum[:4])>>1))
}

// DefaultRetry is the schedule of a webhook that sets none: 9 retries over
// three days and three hours.
var DefaultRetry = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// NewSigningSecret makes the secret of an outgoing webhook: "whsec_" and the
// base64 of 32 random bytes, as Standard Webhooks writes them. Crewship's
// dialect keys its HMAC with the whole string, Standard Webhooks with the
// decoded bytes.
func NewSigningSecret() string {
	var b [32]byte
	rand.Read(b[:])
	return SigningSecretPrefix + base64.StdEncoding.EncodeToString(b[:])
}

// SigningSecretPrefix begins every signing secret that Boathook makes.
const SigningSecretPrefix = "whsec_"
