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
	"slices"
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

// What a [Verifier] says of a request that is well-formed.
var (
	ErrMismatch = errors.New("signature is over another body or with another secret")
	ErrNoSecret = errors.New("the webhook has no secret to verify with") // anybody can sign with an empty key
)

// Algorithm is the hash function of an HMAC.
type Algorithm string

// The algorithms.
const (
	AlgorithmSHA1   Algorithm = "sha1"
	AlgorithmSHA256 Algorithm = "sha256"
	AlgorithmSHA512 Algorithm = "sha512"
)

// Algorithms are all of them.
var Algorithms = []Algorithm{AlgorithmSHA1, AlgorithmSHA256, AlgorithmSHA512}

// Valid reports whether a is one of the algorithms.
func (a Algorithm) Valid() bool { return slices.Contains(Algorithms, a) }

// Size is the length of a signature in bytes.
func (a Algorithm) Size() int { return a.new().Size() }

// Sum is the HMAC of the parts together.
func (a Algorithm) Sum(key []byte, parts ...[]byte) []byte {
	mac := hmac.New(a.new, key)
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
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

	// Separator stands between several signatures in the header, each with its
	// Prefix: while a secret rolls, its sender signs with the old one and the new
	// one. One of them must be right. Empty: the header holds one.
	Separator string

	// Timestamp is the header that holds Unix seconds, or empty. With it the
	// signature is over Version + timestamp + Join + body.
	Timestamp string
	Version   string
	Join      string
}

// Verify is a [Verifier].
func (m HMAC) Verify(h http.Header, body []byte, secret string, now time.Time) error {
	text, err := Required(h, m.Header)
	if err != nil {
		return err
	}
	given := m.given(text)
	if len(given) == 0 {
		return fmt.Errorf("%s: expected %s%s", m.Header, m.Prefix, m.Form())
	}
	if m.Timestamp == "" {
		return m.Compare(given, []byte(secret), body)
	}
	sent, err := TimestampIn(h, m.Timestamp)
	if err != nil {
		return err
	}
	if err := m.Compare(given, []byte(secret), []byte(m.Version+sent.Text+m.Join), body); err != nil {
		return err
	}
	return sent.Fresh(now, Tolerance)
}

// given are the signatures in a header's text.
func (m HMAC) given(text string) (given [][]byte) {
	texts := []string{text}
	if m.Separator != "" {
		texts = strings.Split(text, m.Separator)
	}
	for _, one := range texts {
		if len(texts) > 1 {
			one = strings.TrimSpace(one)
		}
		if encoded, ok := strings.CutPrefix(one, m.Prefix); ok {
			if sum, ok := m.Decode(encoded); ok {
				given = append(given, sum)
			}
		}
	}
	return given
}

// Decode reads one signature, without its prefix; false if it can't be one.
func (m HMAC) Decode(text string) (sum []byte, ok bool) {
	var err error
	if m.Encoding == Base64 {
		sum, err = base64.StdEncoding.Strict().DecodeString(text)
	} else {
		sum, err = hex.DecodeString(text)
	}
	return sum, err == nil && len(sum) == m.Algorithm.new().Size()
}

// Form describes what Decode takes.
func (m HMAC) Form() string {
	size := m.Algorithm.new().Size()
	if m.Encoding == Base64 {
		return fmt.Sprintf("<%d characters of base64>", base64.StdEncoding.EncodedLen(size))
	}
	return fmt.Sprintf("<%d hex digits>", hex.EncodedLen(size))
}

// Compare looks for the right signature among those given. The signed text is the
// parts together.
func (m HMAC) Compare(given [][]byte, key []byte, signed ...[]byte) error {
	if len(key) == 0 {
		return ErrNoSecret
	}
	want := m.Algorithm.Sum(key, signed...)
	found := 0
	for _, sum := range given {
		found |= subtle.ConstantTimeCompare(sum, want)
	}
	if found == 0 {
		return ErrMismatch
	}
	return nil
}

// Timestamp is a time in Unix seconds, as its sender wrote and signed it.
type Timestamp struct {
	Text    string
	seconds int64
}

// ParseTimestamp reads one; where names its place in the request, for the error.
func ParseTimestamp(where, text string) (Timestamp, error) {
	n, err := strconv.ParseUint(text, 10, 63) // takes digits only
	if err != nil {
		return Timestamp{}, fmt.Errorf("%s: expected Unix seconds", where)
	}
	return Timestamp{text, int64(n)}, nil
}

// TimestampIn reads the one in a header.
func TimestampIn(h http.Header, name string) (Timestamp, error) {
	text, err := Required(h, name)
	if err != nil {
		return Timestamp{}, err
	}
	return ParseTimestamp(name, text)
}

// Fresh refuses what is too old to be anything but a replay, or too far ahead.
func (t Timestamp) Fresh(now time.Time, tolerance time.Duration) error {
	allowed := int64(tolerance / time.Second)
	switch age := now.Unix() - t.seconds; {
	case age > allowed:
		return fmt.Errorf("timestamp is %d s old, %d allowed", age, allowed)
	case age < -allowed:
		return fmt.Errorf("timestamp is %d s ahead, %d allowed", -age, allowed)
	}
	return nil
}

// Required is a header's value, and an error where it has none.
func Required(h http.Header, name string) (string, error) {
	value := h.Get(name)
	if value == "" {
		return "", fmt.Errorf("%s is missing", name)
	}
	return value, nil
}

// VerifySecret verifies that a value, which stands in the place name, is the
// secret.
func VerifySecret(name, value, secret string) error {
	if secret == "" {
		return ErrNoSecret
	}
	if !EqualText(value, secret) {
		return errors.New(name + " is not the webhook's secret")
	}
	return nil
}

// EqualText compares two texts in a time that tells nothing of either but, at
// most, their length.
func EqualText(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b)) // of one length
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
