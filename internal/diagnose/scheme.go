package diagnose

import (

	// of an HMAC, which SHA-1's collisions do not break

	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"boathook/internal/dialect"
	"boathook/internal/signature"
)

// Agent is the name of the scheme that agents' triggers are signed by. It is no
// dialect: Boathook receives it and never sends it.
const Agent = "agent"

// The headers of an agent's trigger (wire formats, section 2).
const (
	agentSignature = "X-Signature"
	agentTimestamp = "X-Timestamp"
)

// Scheme is how the requests of one dialect are signed, in parts that a signer or a
// verifier can each get wrong.
type Scheme struct {
	Name      string
	Signature string // the header
	Timestamp string // the header of Unix seconds; empty: there is none
	ID        string // the header of an id that is signed; empty: none is
	Prefix    string // stands before each signature
	Separator string // stands between signatures; empty: there is one
	Algorithm signature.Algorithm
	Encoding  signature.Encoding
	Signed    Text

	timestampOptional bool
	decodesSecret     bool
}

// Text is what is signed: what stands before the body, and the body.
type Text struct {
	Words  string
	before func(id, timestamp string) string
}

// BodyAlone is the text of schemes without a timestamp, and a mistake in the others.
var BodyAlone = Text{"body", func(string, string) string { return "" }}

// The other texts that webhooks sign.
var (
	timed  = Text{`timestamp + "." + body`, func(_, timestamp string) string { return timestamp + "." }}
	withID = Text{`id + "." + timestamp + "." + body`, func(id, timestamp string) string { return id + "." + timestamp + "." }}
	joined = Text{"timestamp + body", func(_, timestamp string) string { return timestamp }}
	colon  = Text{`timestamp + ":" + body`, func(_, timestamp string) string { return timestamp + ":" }}
	slack  = Text{`"v0:" + timestamp + ":" + body`, func(_, timestamp string) string { return "v0:" + timestamp + ":" }}
)

// schemes are all, in the order in which a request's headers are looked for them.
var schemes = []Scheme{
	{
		Name: dialect.Crewship, Signature: dialect.CrewshipSignature, Timestamp: dialect.CrewshipTimestamp, Separator: ",",
		Algorithm: signature.AlgorithmSHA256, Encoding: signature.Hex, Signed: timed,
	},
	{
		Name: dialect.Standard, Signature: dialect.StandardSignature, Timestamp: dialect.StandardTimestamp, ID: dialect.StandardID,
		Prefix: "v1,", Separator: " ", Algorithm: signature.AlgorithmSHA256, Encoding: signature.Base64, Signed: withID,
		decodesSecret: true,
	},
	{
		Name: dialect.Shipway, Signature: dialect.ShipwaySignature, Prefix: "sha1=",
		Algorithm: signature.AlgorithmSHA1, Encoding: signature.Hex, Signed: BodyAlone,
	},
	{
		Name: Agent, Signature: agentSignature, Timestamp: agentTimestamp, timestampOptional: true,
		Algorithm: signature.AlgorithmSHA256, Encoding: signature.Hex, Signed: timed,
	},
	{
		Name: dialect.Capawesome, Signature: dialect.CapawesomeSignature,
		Algorithm: signature.AlgorithmSHA256, Encoding: signature.Hex, Signed: BodyAlone,
	},
}

// Names lists the schemes by the alphabet.
func Names() []string {
	names := make([]string, len(schemes))
	for i, s := range schemes {
		names[i] = s.Name
	}
	slices.Sort(names)
	return names
}

// Lookup finds a scheme by the name of its dialect.
func Lookup(name string) (Scheme, bool) {
	i := slices.IndexFunc(schemes, func(s Scheme) bool { return s.Name == name })
	if i < 0 {
		return Scheme{}, false
	}
	return schemes[i], true
}

// guess finds the scheme that a request's headers are of. Capawesome's header and an
// agent's have one name, and without a timestamp they sign the same.
func guess(h http.Header) (Scheme, bool) {
	for _, s := range schemes {
		if s.Name == Agent && h.Get(s.Timestamp) == "" {
			continue
		}
		if h.Get(s.Signature) != "" || s.Timestamp != "" && h.Get(s.Timestamp) != "" {
			return s, true
		}
	}
	return Scheme{}, false
}

// of is the scheme as it holds for a request: an agent's sender may leave the
// timestamp out, and then signs the body.
func (s Scheme) of(h http.Header) Scheme {
	if s.timestampOptional && h.Get(s.Timestamp) == "" {
		s.Timestamp, s.Signed = "", BodyAlone
	}
	return s
}

// Key is what a secret signs with.
func (s Scheme) Key(secret string) ([]byte, error) {
	if s.decodesSecret {
		return signature.StandardKey(secret)
	}
	return []byte(secret), nil
}

// KeyWords says what Key does.
func (s Scheme) KeyWords() string {
	if s.decodesSecret {
		return "the bytes whose base64 follows whsec_ in the secret"
	}
	return "the secret's text as it is shown, with whsec_ if it has that"
}

// Over is a signature over a text of this scheme, or of another.
func (s Scheme) Over(text Text, key []byte, id, timestamp string, body []byte) []byte {
	return s.Algorithm.Sum(key, []byte(text.before(id, timestamp)), body)
}

// Write writes a signature as it stands in the header.
func (s Scheme) Write(sum []byte) string {
	if s.Encoding == signature.Base64 {
		return s.Prefix + base64.StdEncoding.EncodeToString(sum)
	}
	return s.Prefix + hex.EncodeToString(sum)
}

// Form describes what Write writes.
func (s Scheme) Form() string {
	m := signature.HMAC{Algorithm: s.Algorithm, Encoding: s.Encoding}
	form := m.Form()
	if s.Encoding == signature.Hex {
		form = strings.Replace(form, "hex", "lower-case hex", 1)
	}
	return s.Prefix + form
}

// Recipe says how to make a right signature.
func (s Scheme) Recipe() string {
	where := ""
	if s.Timestamp != "" {
		where = ", where timestamp is the text of " + s.Timestamp
	}
	if s.ID != "" {
		where += " and id that of " + s.ID
	}
	return fmt.Sprintf("%s = %s%s(HMAC-%s(key, %s))%s; the key is %s", s.Signature, quotedPrefix(s.Prefix), s.Encoding,
		algorithmName(s.Algorithm), s.Signed.Words, where, s.KeyWords())
}

func quotedPrefix(prefix string) string {
	if prefix == "" {
		return ""
	}
	return fmt.Sprintf("%q + ", prefix)
}

func algorithmName(a signature.Algorithm) string {
	return strings.Replace(strings.ToUpper(string(a)), "SHA", "SHA-", 1)
}

// algorithmOf tells by a signature's length how it was made.
func algorithmOf(sum []byte) (signature.Algorithm, bool) {
	i := slices.IndexFunc(signature.Algorithms, func(a signature.Algorithm) bool { return a.Size() == len(sum) })
	if i < 0 {
		return "", false
	}
	return signature.Algorithms[i], true
}
