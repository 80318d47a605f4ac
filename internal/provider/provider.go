// Package provider knows the senders of incoming webhooks: how each signs its
// requests, where it names the event and its own id of the delivery, and what
// it asks before it sends anything. It is to what comes in what package dialect
// is to what goes out. It is pure.
package provider

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/signature"
)

// The presets that [boathook.Verification] names.
const (
	None     = "none"     // the token in the URL alone
	HMAC     = "hmac"     // a signature over the body, in a header that the user describes
	GitHub   = "github"   // GitHub Docs, "Validating webhook deliveries"
	GitLab   = "gitlab"   // GitLab Docs, "Webhooks"
	Stripe   = "stripe"   // Stripe Docs, "Receive Stripe events in your webhook endpoint"
	Slack    = "slack"    // Slack API, "Verifying requests from Slack", "The Events API"
	Shopify  = "shopify"  // Shopify Docs, "Deliver webhooks through HTTPS"
	Standard = "standard" // Standard Webhooks
	Grafana  = "grafana"  // Grafana Docs, "Configure webhook notifications"
)

// Presets lists them all.
var Presets = []string{None, HMAC, GitHub, GitLab, Stripe, Slack, Shopify, Standard, Grafana}

// Provider reads one kind of sender's requests. Make it with [New].
type Provider struct {
	verify      signature.Verifier // nil: the token in the URL alone
	checkSecret func(string) error // nil: any text

	id       place   // the provider's own id of the delivery, the same when it is repeated
	idSigned bool    // the signature covers the id: who has captured a request can't change it
	event    []place // of which the first that is there counts

	// form: the provider may send a form whose field "payload" is the JSON.
	form bool
	// handshake answers a request that only asks whether somebody is there.
	handshake func(h http.Header, input []byte) (answer map[string]string, ok bool)
}

// place is where something stands in a request: in a header, or at a JSON
// Pointer in the input.
type place struct{ header, pointer string }

func (p place) in(h http.Header, input []byte) string {
	if p.header != "" {
		return h.Get(p.header)
	}
	if p.pointer == "" {
		return ""
	}
	value, _ := boathook.ValueAt(input, p.pointer)
	text, _ := value.(string)
	return text
}

// New makes the provider that a webhook's verification names. The error is
// [boathook.Invalid], about one of the fields of "verification".
func New(v boathook.Verification) (*Provider, error) {
	if err := checkSettings(v); err != nil {
		return nil, err
	}
	switch v.Preset {
	case "", None:
		return &Provider{event: []place{{pointer: "/event"}}}, nil
	case HMAC:
		return &Provider{
			verify: signature.HMAC{
				Header: v.Header, Algorithm: signature.Algorithm(v.Algorithm), Encoding: signature.Encoding(v.Encoding), Prefix: v.Prefix,
			}.Verify,
			id:    place{header: v.DeliveryHeader},
			event: []place{{pointer: "/event"}},
		}, nil
	case GitHub:
		return &Provider{
			verify: signature.VerifyGitHub, form: true, handshake: ping,
			id: place{header: "X-GitHub-Delivery"}, event: []place{{header: "X-GitHub-Event"}},
		}, nil
	case GitLab:
		return &Provider{
			verify: signature.VerifyGitLab,
			id:     place{header: "X-Gitlab-Event-UUID"}, event: []place{{header: "X-Gitlab-Event"}},
		}, nil
	case Stripe:
		return &Provider{
			verify: signature.VerifyStripe,
			id:     place{pointer: "/id"}, idSigned: true, event: []place{{pointer: "/type"}},
		}, nil
	case Slack:
		return &Provider{
			verify: signature.VerifySlack, form: true, handshake: urlVerification,
			id: place{pointer: "/event_id"}, idSigned: true, event: []place{{pointer: "/event/type"}, {pointer: "/type"}},
		}, nil
	case Shopify:
		return &Provider{
			verify: signature.VerifyShopify,
			id:     place{header: "X-Shopify-Webhook-Id"}, event: []place{{header: "X-Shopify-Topic"}},
		}, nil
	case Standard:
		return &Provider{
			verify:      signature.VerifyStandard,
			checkSecret: func(secret string) error { _, err := signature.StandardKey(secret); return err },
			id:          place{header: "webhook-id"}, idSigned: true, event: []place{{pointer: "/type"}},
		}, nil
	case Grafana:
		scheme := signature.HMAC{
			Header: "X-Grafana-Alerting-Signature", Algorithm: signature.AlgorithmSHA256, Encoding: signature.Hex,
			Timestamp: v.TimestampHeader,
		}
		if v.Header != "" {
			scheme.Header = v.Header
		}
		return &Provider{verify: scheme.Verify, event: []place{{pointer: "/status"}}}, nil
	default:
		return nil, boathook.InvalidField("verification.preset", "must be one of %s", strings.Join(Presets, ", "))
	}
}

// checkSettings holds the fields beside the preset to what it takes.
func checkSettings(v boathook.Verification) error {
	for _, f := range []struct {
		name, value string
		presets     []string
	}{
		{"header", v.Header, []string{HMAC, Grafana}},
		{"algorithm", v.Algorithm, []string{HMAC}},
		{"encoding", v.Encoding, []string{HMAC}},
		{"prefix", v.Prefix, []string{HMAC}},
		{"delivery_header", v.DeliveryHeader, []string{HMAC}},
		{"timestamp_header", v.TimestampHeader, []string{Grafana}},
	} {
		if f.value == "" {
			continue
		}
		if !slices.Contains(f.presets, v.Preset) {
			return boathook.InvalidField("verification."+f.name, "is for the preset %s", strings.Join(f.presets, " or "))
		}
		if strings.HasSuffix(f.name, "header") && overwritten(f.value) {
			return boathook.InvalidField("verification."+f.name,
				"%q does not arrive as its sender wrote it: HTTP itself or what stands in front of Boathook sets it", f.value)
		}
	}
	if v.Preset != HMAC {
		return nil
	}
	switch {
	case v.Header == "":
		return boathook.InvalidField("verification.header", "is required: the header that holds the signature")
	case !signature.Algorithm(v.Algorithm).Valid():
		return boathook.InvalidField("verification.algorithm", "must be %s, %s or %s",
			signature.AlgorithmSHA256, signature.AlgorithmSHA1, signature.AlgorithmSHA512)
	case !signature.Encoding(v.Encoding).Valid():
		return boathook.InvalidField("verification.encoding", "must be %s or %s", signature.Hex, signature.Base64)
	}
	return nil
}

// notTheSenders are the headers, in lower case, that do not arrive as their
// sender wrote them, and notTheSendersPrefixes how more of them begin. Those of
// one connection end with it, net/http's server takes Host away, API Gateway sets
// X-Amzn-Trace-Id and what it forwards, and package apigw sets X-Request-Id.
var (
	notTheSenders = []string{
		"connection", "content-length", "expect", "forwarded", "host", "keep-alive", "proxy-authenticate",
		"proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "via", "x-request-id",
	}
	notTheSendersPrefixes = []string{"x-amzn-", "x-forwarded-"}
)

func overwritten(header string) bool {
	name := strings.ToLower(header)
	return slices.Contains(notTheSenders, name) ||
		slices.ContainsFunc(notTheSendersPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// Verifies reports whether the provider's requests prove themselves by a
// secret.
func (p *Provider) Verifies() bool { return p.verify != nil }

// CheckSecret says what a secret must be for this provider, if it is not.
func (p *Provider) CheckSecret(secret string) error {
	if p.checkSecret == nil {
		return nil
	}
	return p.checkSecret(secret)
}

// Verify is the provider's [signature.Verifier]; one that does not verify
// takes any request.
func (p *Provider) Verify(h http.Header, body []byte, secret string, now time.Time) error {
	if p.verify == nil {
		return nil
	}
	return p.verify(h, body, secret, now)
}

// Input is the JSON that a body holds: itself, or the field "payload" where
// the provider sent a form. It is not checked to be JSON.
func (p *Provider) Input(h http.Header, body []byte) ([]byte, error) {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	if !p.form || kind != "application/x-www-form-urlencoded" {
		return body, nil
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errors.New("the form is malformed")
	}
	if !form.Has("payload") {
		return nil, errors.New("the form has no field payload")
	}
	return []byte(form.Get("payload")), nil
}

// DeliveryID is the provider's own id of the delivery; empty if it has none. The
// signature covers one that is signed.
func (p *Provider) DeliveryID(h http.Header, input []byte) (id string, signed bool) {
	return p.id.in(h, input), p.idSigned
}

// Event is the provider's name of what happened; empty if the request names
// none.
func (p *Provider) Event(h http.Header, input []byte) string {
	for _, at := range p.event {
		if event := at.in(h, input); event != "" {
			return event
		}
	}
	return ""
}

// Handshake is the answer to a request that tells of no event, but asks whether
// somebody is there; false for any other.
func (p *Provider) Handshake(h http.Header, input []byte) (answer map[string]string, ok bool) {
	if p.handshake == nil {
		return nil, false
	}
	return p.handshake(h, input)
}

// ping is what GitHub sends when a webhook is created.
func ping(h http.Header, _ []byte) (answer map[string]string, ok bool) {
	if h.Get("X-GitHub-Event") != "ping" {
		return nil, false
	}
	return map[string]string{"status": "pong"}, true
}

// urlVerification is what Slack sends when a URL is entered, and again each
// time it is checked: it wants its challenge back.
func urlVerification(_ http.Header, input []byte) (answer map[string]string, ok bool) {
	if kind, _ := boathook.ValueAt(input, "/type"); kind != "url_verification" {
		return nil, false
	}
	challenge, _ := boathook.ValueAt(input, "/challenge")
	text, ok := challenge.(string)
	return map[string]string{"challenge": text}, ok
}
