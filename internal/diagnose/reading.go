package diagnose

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"boathook/internal/signature"
)

// reading is one way to read a text as a signature, and what is wrong with how it is
// written.
type reading struct {
	sum       []byte
	algorithm signature.Algorithm
	problems  []Problem
}

// prefixes are those that senders write before a signature.
var prefixes = regexp.MustCompile(`^(?i:v\d+[,=]|(?:hmac-)?sha-?(?:1|256|512)[=:])`)

// read finds the signatures in a header, however they are written.
func (s Scheme) read(text string) (readings []reading) {
	parts := []string{text} // the whole first: it may hold the separator in a prefix
	if split := s.split(text); len(split) > 1 {
		parts = append(parts, split...)
	}
	for _, part := range parts {
		if one, ok := s.readOne(part); ok {
			readings = append(readings, one)
		}
	}
	return readings
}

// readOne reads one signature; false if it is none.
func (s Scheme) readOne(text string) (reading, bool) {
	var problems []Problem
	trimmed := strings.Trim(text, " \t\r\n\"'")
	if trimmed != text {
		problems = append(problems, Problem{Encoding, fmt.Sprintf("White space or quotes stand around the signature in %s.", s.Signature)})
	}
	prefix := prefixes.FindString(trimmed)
	encoded := trimmed[len(prefix):]
	if prefix != s.Prefix {
		problems = append(problems, s.prefixProblem(prefix))
	}
	sum, form := decode(encoded)
	algorithm, ok := algorithmOf(sum)
	if !ok {
		return reading{}, false
	}
	if want := forms[s.Encoding]; form != want {
		problems = append(problems, Problem{Encoding, fmt.Sprintf("The signature is written in %s. It must be in %s: %s.", form, want, s.Form())})
	}
	if algorithm != s.Algorithm {
		problems = append(problems, Problem{Algorithm, fmt.Sprintf("The signature is an HMAC-%s, by its length. It must be an HMAC-%s: %s.",
			algorithmName(algorithm), algorithmName(s.Algorithm), s.Form())})
	}
	return reading{sum, algorithm, problems}, true
}

func (s Scheme) prefixProblem(prefix string) Problem {
	switch {
	case prefix == "":
		return Problem{Prefix, fmt.Sprintf("The prefix %q is missing before the signature in %s.", s.Prefix, s.Signature)}
	case s.Prefix == "":
		return Problem{Prefix, fmt.Sprintf("The prefix %q does not belong before the signature in %s.", prefix, s.Signature)}
	}
	return Problem{Prefix, fmt.Sprintf("The prefix before the signature in %s is %q. It must be %q.", s.Signature, prefix, s.Prefix)}
}

// The forms that a signature can be written in.
const (
	lowerHex = "lower-case hex"
	upperHex = "upper-case hex"
	base64s  = "base64"
	base64u  = "the URL-safe base64, or base64 without its padding"
)

var forms = map[signature.Encoding]string{signature.Hex: lowerHex, signature.Base64: base64s}

// decode reads hex or base64 of any kind, and says which it is.
func decode(text string) (sum []byte, form string) {
	if sum, err := hex.DecodeString(text); err == nil {
		if strings.ToLower(text) == text {
			return sum, lowerHex
		}
		return sum, upperHex
	}
	if sum, err := base64.StdEncoding.Strict().DecodeString(text); err == nil {
		return sum, base64s
	}
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	sum, err := base64.RawStdEncoding.DecodeString(plain)
	if err != nil {
		return nil, ""
	}
	return sum, base64u
}
