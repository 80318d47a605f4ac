// Package diagnose says why a request's signature is wrong: not only that it does not
// verify, but which likely mistake makes it come out right. It is pure: a request, a
// secret and a time in, a verdict in words out.
//
// Another secret and another body can't be told apart in general. The mistakes that
// people make can: a body that was parsed and serialised again, a secret that was or was
// not decoded, a timestamp left out. Each is tried, and so are two at a time.
package diagnose

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"boathook/internal/signature"
)

// Kind is what is wrong.
type Kind string

// The kinds.
const (
	Missing   Kind = "missing"   // a header is
	Dialect   Kind = "dialect"   // the headers are another dialect's
	Timestamp Kind = "timestamp" // it is no Unix seconds
	Stale     Kind = "stale"     // it is too old
	Future    Kind = "future"    // it is too far ahead
	Form      Kind = "form"      // the header holds no signature
	Encoding  Kind = "encoding"  // it is written in another way
	Prefix    Kind = "prefix"    // what stands before it is missing or too much
	Algorithm Kind = "algorithm" // it is of another hash function
	Signed    Kind = "signed"    // it is over another text than the dialect's
	Body      Kind = "body"      // it is over another form of the body
	Secret    Kind = "secret"    // it is by another form of the secret
	Mismatch  Kind = "mismatch"  // it is by another secret or over another body
)

// Problem is one thing to mend.
type Problem struct {
	Kind Kind   `json:"kind"`
	Text string `json:"text"`
}

// Verdict is what there is to say of a request.
type Verdict struct {
	Dialect  string    `json:"dialect,omitempty"` // empty: the headers are of none
	Guessed  bool      `json:"guessed"`           // from the headers
	Right    bool      `json:"right"`
	Problems []Problem `json:"problems"`
}

// Request is a request that was received.
type Request struct {
	Dialect string // empty: it is guessed
	Header  http.Header
	Body    []byte
	Secret  string
	At      time.Time // when it arrived
}

// ErrNoSecret is of an empty secret: anybody can sign with it, so nothing is verified.
var ErrNoSecret = errors.New("the secret is empty")

// Examine says whether a request is signed right and, if not, why. It fails where it
// is asked in the wrong way.
func Examine(r Request) (Verdict, error) {
	if r.Secret == "" {
		return Verdict{}, ErrNoSecret
	}
	guessed, found := guess(r.Header)
	s := guessed
	if r.Dialect != "" {
		if s, found = Lookup(r.Dialect); !found {
			return Verdict{}, fmt.Errorf("there is no dialect %q: expected one of %s", r.Dialect, strings.Join(Names(), ", "))
		}
	}
	v := Verdict{Dialect: s.Name, Guessed: r.Dialect == "" && found, Problems: []Problem{}}
	if !found {
		v.Problems = append(v.Problems, unsigned())
		return v, nil
	}
	s = s.of(r.Header)
	v.Problems = append(v.Problems, s.missing(r.Header)...)
	if guessed.Signature != "" && guessed.Signature != s.Signature && r.Header.Get(s.Signature) == "" {
		v.Problems = append(v.Problems, Problem{Dialect, fmt.Sprintf("The headers are those of the dialect %s.", guessed.Name)})
	}
	v.Problems = append(v.Problems, s.timing(r)...)
	if text := r.Header.Get(s.Signature); text != "" {
		v.Problems = append(v.Problems, s.examine(r, text)...)
	}
	v.Right = len(v.Problems) == 0
	return v, nil
}

// unsigned is the problem of a request of no dialect.
func unsigned() Problem {
	var expected []string
	for _, s := range schemes {
		if !s.timestampOptional { // Capawesome's is the same
			expected = append(expected, fmt.Sprintf("%s (%s)", s.Signature, s.Name))
		}
	}
	return Problem{Missing, "No header has a signature. Expected one of " + strings.Join(expected, ", ") + "."}
}

// missing are the headers that the scheme needs and the request lacks.
func (s Scheme) missing(h http.Header) (problems []Problem) {
	for _, name := range []string{s.Signature, s.Timestamp, s.ID} {
		if name != "" && h.Get(name) == "" {
			problems = append(problems, Problem{Missing, fmt.Sprintf("The header %s is missing or empty.", name)})
		}
	}
	return problems
}

// timing looks at the timestamp, whoever signed it.
func (s Scheme) timing(r Request) []Problem {
	text := r.Header.Get(s.Timestamp)
	if s.Timestamp == "" || text == "" {
		return nil
	}
	seconds, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return []Problem{{Timestamp, fmt.Sprintf("%s is %q. It must be Unix seconds, such as %d.", s.Timestamp, clip(text), r.At.Unix())}}
	}
	const inMilliseconds = 1e11 // as seconds this is the year 5138
	if seconds >= inMilliseconds {
		return []Problem{{Timestamp, fmt.Sprintf("%s is %d, which looks like milliseconds. It must be Unix seconds, such as %d.",
			s.Timestamp, seconds, r.At.Unix())}}
	}
	sent := time.Unix(int64(seconds), 0).UTC()
	stamp := fmt.Sprintf("%s is %d (%s)", s.Timestamp, seconds, sent.Format(time.RFC3339))
	switch age := r.At.Truncate(time.Second).Sub(sent); {
	case age > signature.Tolerance:
		return []Problem{{Stale, fmt.Sprintf("%s: %s old, %s allowed. Each attempt is signed anew, so this is a request that was kept, or a clock that is wrong.",
			stamp, duration(age), duration(signature.Tolerance))}}
	case age < -signature.Tolerance:
		return []Problem{{Future, fmt.Sprintf("%s: %s in the future, %s allowed. The clock of the sender or of this machine is wrong.",
			stamp, duration(-age), duration(signature.Tolerance))}}
	}
	return nil
}

// duration writes one as people do.
func duration(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day {
		return fmt.Sprintf("%d days", d/day)
	}
	text := d.Truncate(time.Second).String()
	if before, ok := strings.CutSuffix(text, "m0s"); ok {
		text = before + "m"
	}
	if before, ok := strings.CutSuffix(text, "h0m"); ok {
		text = before + "h"
	}
	return text
}

// examine looks at the signatures of the header. It returns nothing where one is right.
func (s Scheme) examine(r Request, text string) []Problem {
	id, timestamp := r.Header.Get(s.ID), r.Header.Get(s.Timestamp)
	if s.right(text, r.Secret, id, timestamp, r.Body) {
		return nil
	}
	readings := s.read(text)
	if len(readings) == 0 {
		return []Problem{{Form, fmt.Sprintf("%s is %q, which is no signature. It must be %s.", s.Signature, clip(text), s.Form())}}
	}
	keys := s.Keys(r.Secret)
	for _, try := range s.tries(r.Body, keys) {
		for _, reading := range readings {
			made := reading.algorithm.Sum(try.key.Bytes, []byte(try.signed.before(id, timestamp)), try.body.Bytes)
			if hmac.Equal(made, reading.sum) {
				return slices.Concat(reading.problems, s.mend(try))
			}
		}
	}
	problems := slices.Clone(readings[0].problems)
	if _, err := s.Key(r.Secret); err != nil {
		problems = append(problems, Problem{Secret, fmt.Sprintf("The secret %s.", err)})
	}
	digest := sha256.Sum256(r.Body)
	return append(problems, Problem{Mismatch, fmt.Sprintf("The signature was made with another secret or over another body: "+
		"which of the two can't be told. The body here has %d bytes, and its SHA-256 begins with %s. "+
		"None of the usual changes of a body or a secret makes it right.", len(r.Body), hex.EncodeToString(digest[:4]))})
}

// right reports whether one of the header's signatures is exactly as it must be.
func (s Scheme) right(text, secret, id, timestamp string, body []byte) bool {
	key, err := s.Key(secret)
	if err != nil {
		return false
	}
	want := s.Write(s.Over(s.Signed, key, id, timestamp, body))
	return slices.ContainsFunc(s.split(text), func(given string) bool { return signature.EqualText(given, want) })
}

// split separates a header's signatures.
func (s Scheme) split(text string) []string {
	if s.Separator == "" {
		return []string{text}
	}
	return strings.Split(text, s.Separator)
}

// clip shortens what is shown of a header.
func clip(text string) string {
	const most = 80
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}
