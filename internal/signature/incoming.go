package signature

import (
	"crypto/hmac"
	"crypto/sha1" // of an HMAC, which SHA-1's collisions do not break
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Verifier tells whether a request was signed by one who knows a secret. body
// is what came on the wire. The error says, in words for the user, what the
// sender must mend; neither the secret nor the right signature is in it.
type Verifier func(h http.Header, body []byte, secret string, now time.Time) error

// Tolerance is how far a signed timestamp may be from now, to either side.
const Tolerance = 300 * time.Second

var (
	errMismatch = errors.New("signature is over another body or with another secret")
	errNoSecret = errors.New("the webhook has no secret to verify with")
)

// Algorithm is the hash function of an HMAC.
type Algorithm string

// The algorithms.
const (
	AlgorithmSHA1   Algorithm = "sha1"
	AlgorithmSHA256 Algorithm = "sha256"
	AlgorithmSHA512 Algorithm = "sha512"
)

// Valid reports whether a is one of the algorithms.
func (a Algorithm) Valid() bool {
	return a == AlgorithmSHA1 || a == AlgorithmSHA256 || a == AlgorithmSHA512
}

func (a Algorithm) new() hash.Hash {
	switch a {
	case AlgorithmSHA1:
		return sha1.New()
	case AlgorithmSHA512:
		return sha512.New()
	default:
		return sha256.New()
	}
}

// Encoding is how the bytes of a signature are written.
type Encoding string

// The encodings.
const (
	Hex    Encoding = "hex"    // of either case
	Base64 Encoding = "base64" // the standard alphabet, padded
)

// Valid reports whether e is one of the encodings.
func (e Encoding) Valid() bool { return e == Hex || e == Base64 }

// HMAC is a signature over a request's body, in a header of its own.
type HMAC struct {
	Header    string
	Algorithm Algorithm
	Encoding  Encoding
	Prefix    string // stands before the signature in the header, such as "sha256="

	// Timestamp is the header that holds Unix seconds, or empty. With it the
	// signature is over Version + timestamp + ":" + body.
	Timestamp string
	Version   string
}

// Verify is a [Verifier].
func (m HMAC) Verify(h http.Header, body []byte, secret string, now time.Time) error {
	text, err := required(h, m.Header)
	if err != nil {
		return err
	}
	encoded, ok := strings.CutPrefix(text, m.Prefix)
	if !ok {
		return m.malformed()
	}
	got, ok := m.decode(encoded)
	if !ok {
		return m.malformed()
	}
	if m.Timestamp == "" {
		return m.compare([][]byte{got}, []byte(secret), body)
	}
	sent, err := timestampIn(h, m.Timestamp)
	if err != nil {
		return err
	}
	if err := m.compare([][]byte{got}, []byte(secret), []byte(m.Version+sent.text+":"), body); err != nil {
		return err
	}
	return sent.fresh(now)
}

func (m HMAC) decode(text string) (sum []byte, ok bool) {
	var err error
	if m.Encoding == Base64 {
		sum, err = base64.StdEncoding.Strict().DecodeString(text)
	} else {
		sum, err = hex.DecodeString(text)
	}
	return sum, err == nil && len(sum) == m.Algorithm.new().Size()
}

// form describes what decode takes.
func (m HMAC) form() string {
	size := m.Algorithm.new().Size()
	if m.Encoding == Base64 {
		return fmt.Sprintf("<%d characters of base64>", base64.StdEncoding.EncodedLen(size))
	}
	return fmt.Sprintf("<%d hex digits>", hex.EncodedLen(size))
}

func (m HMAC) malformed() error {
	return fmt.Errorf("%s: expected %s%s", m.Header, m.Prefix, m.form())
}

// compare looks for the right signature among those given.
func (m HMAC) compare(given [][]byte, key []byte, signed ...[]byte) error {
	if len(key) == 0 {
		return errNoSecret // anybody can sign with an empty key
	}
	mac := hmac.New(m.Algorithm.new, key)
	for _, part := range signed {
		mac.Write(part)
	}
	want := mac.Sum(nil)
	found := 0
	for _, sum := range given {
		found |= subtle.ConstantTimeCompare(sum, want)
	}
	if found == 0 {
		return errMismatch
	}
	return nil
}

// timestamp is a time in Unix seconds, as its sender wrote and signed it.
type timestamp struct {
	where   string
	text    string
	seconds int64
}

func parseTimestamp(where, text string) (timestamp, error) {
	n, err := strconv.ParseUint(text, 10, 63) // takes digits only
	if err != nil {
		return timestamp{}, fmt.Errorf("%s: expected Unix seconds", where)
	}
	return timestamp{where, text, int64(n)}, nil
}

func timestampIn(h http.Header, name string) (timestamp, error) {
	text, err := required(h, name)
	if err != nil {
		return timestamp{}, err
	}
	return parseTimestamp(name, text)
}

// fresh refuses what is too old to be anything but a replay, or too far ahead.
func (t timestamp) fresh(now time.Time) error {
	const allowed = int64(Tolerance / time.Second)
	switch age := now.Unix() - t.seconds; {
	case age > allowed:
		return fmt.Errorf("timestamp is %d s old, %d allowed", age, allowed)
	case age < -allowed:
		return fmt.Errorf("timestamp is %d s ahead, %d allowed", -age, allowed)
	}
	return nil
}

func required(h http.Header, name string) (string, error) {
	value := h.Get(name)
	if value == "" {
		return "", fmt.Errorf("%s is missing", name)
	}
	return value, nil
}

// VerifyGitHub verifies X-Hub-Signature-256 (GitHub Docs, "Validating webhook
// deliveries").
func VerifyGitHub(h http.Header, body []byte, secret string, now time.Time) error {
	return HMAC{Header: "X-Hub-Signature-256", Algorithm: AlgorithmSHA256, Encoding: Hex, Prefix: "sha256="}.Verify(h, body, secret, now)
}

// VerifyGitLab verifies X-Gitlab-Token, which is the secret itself (GitLab Docs,
// "Webhooks", secret token).
func VerifyGitLab(h http.Header, _ []byte, secret string, _ time.Time) error {
	const name = "X-Gitlab-Token"
	token, err := required(h, name)
	if err != nil {
		return err
	}
	if secret == "" {
		return errNoSecret
	}
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(secret)) // of one length
	if subtle.ConstantTimeCompare(got[:], want[:]) == 0 {
		return errors.New(name + " is not the webhook's secret")
	}
	return nil
}

// VerifySlack verifies X-Slack-Signature with its timestamp (Slack API, "Verifying
// requests from Slack").
func VerifySlack(h http.Header, body []byte, secret string, now time.Time) error {
	return HMAC{
		Header: "X-Slack-Signature", Algorithm: AlgorithmSHA256, Encoding: Hex, Prefix: "v0=",
		Timestamp: "X-Slack-Request-Timestamp", Version: "v0:",
	}.Verify(h, body, secret, now)
}

// VerifyShopify verifies X-Shopify-Hmac-Sha256 (Shopify Docs, "Deliver webhooks
// through HTTPS").
func VerifyShopify(h http.Header, body []byte, secret string, now time.Time) error {
	return HMAC{Header: "X-Shopify-Hmac-Sha256", Algorithm: AlgorithmSHA256, Encoding: Base64}.Verify(h, body, secret, now)
}

// VerifyStripe verifies Stripe-Signature (Stripe Docs, "Verify webhook signatures
// manually"): t=<Unix seconds> and, while a secret is rolled, more than one
// v1=<signature over t.body>, separated by commas. Other schemes are ignored.
func VerifyStripe(h http.Header, body []byte, secret string, now time.Time) error {
	const name = "Stripe-Signature"
	v1 := HMAC{Algorithm: AlgorithmSHA256, Encoding: Hex}
	value, err := required(h, name)
	if err != nil {
		return err
	}
	var at string
	var given [][]byte
	for part := range strings.SplitSeq(value, ",") {
		key, text, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch key {
		case "t":
			at = text
		case "v1":
			if sum, ok := v1.decode(text); ok {
				given = append(given, sum)
			}
		}
	}
	if at == "" || len(given) == 0 {
		return fmt.Errorf("%s: expected t=<Unix seconds>,v1=%s", name, v1.form())
	}
	sent, err := parseTimestamp(name+" t", at)
	if err != nil {
		return err
	}
	if err := v1.compare(given, []byte(secret), []byte(sent.text+"."), body); err != nil {
		return err
	}
	return sent.fresh(now)
}

// VerifyStandard verifies the headers webhook-id, webhook-timestamp and
// webhook-signature (Standard Webhooks, "Signature scheme"): signatures are
// separated by spaces, and those of another version than v1 are ignored. The
// secret is one that [StandardKey] takes.
func VerifyStandard(h http.Header, body []byte, secret string, now time.Time) error {
	const name = "webhook-signature"
	v1 := HMAC{Algorithm: AlgorithmSHA256, Encoding: Base64}
	id, err := required(h, "webhook-id")
	if err != nil {
		return err
	}
	sent, err := timestampIn(h, "webhook-timestamp")
	if err != nil {
		return err
	}
	value, err := required(h, name)
	if err != nil {
		return err
	}
	var given [][]byte
	for part := range strings.SplitSeq(value, " ") {
		if text, ok := strings.CutPrefix(part, "v1,"); ok {
			if sum, ok := v1.decode(text); ok {
				given = append(given, sum)
			}
		}
	}
	if len(given) == 0 {
		return fmt.Errorf("%s: expected v1,%s", name, v1.form())
	}
	key, err := StandardKey(secret)
	if err != nil {
		return fmt.Errorf("the webhook's secret %w", err)
	}
	if err := v1.compare(given, key, []byte(id+"."+sent.text+"."), body); err != nil {
		return err
	}
	return sent.fresh(now)
}
