package diagnose

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"boathook/internal/boathook"
)

// Variant is another form of a body or a secret, and what was done to get it.
// The first of a list has no Words: it is the form that is right.
type Variant struct {
	Words string
	Bytes []byte
}

// try is one way in which the signature may have been made.
type try struct {
	signed Text
	key    Variant
	body   Variant
	wrong  bool // the text that is signed is not the dialect's
}

// tries lists them by how much is wrong: nothing (then only the way it is written is),
// one thing, two things. Three at once are not looked for: each adds to what the
// examination of a large body costs.
func (s Scheme) tries(body []byte, keys []Variant) []try {
	var byCount [3][]try
	bodies := bodies(body)
	for _, signed := range s.texts() {
		for _, key := range keys {
			for _, b := range bodies {
				t := try{signed, key, b, signed.Words != s.Signed.Words}
				if n := t.count(); n < len(byCount) {
					byCount[n] = append(byCount[n], t)
				}
			}
		}
	}
	return append(append(byCount[0], byCount[1]...), byCount[2]...)
}

// count is how many things are wrong.
func (t try) count() (n int) {
	for _, wrong := range []bool{t.wrong, t.key.Words != "", t.body.Words != ""} {
		if wrong {
			n++
		}
	}
	return n
}

// mend says what is wrong in a try that has made the signature.
func (s Scheme) mend(t try) (problems []Problem) {
	if t.wrong {
		problems = append(problems, Problem{Signed, fmt.Sprintf("The signature is over %s. It must be over %s.", t.signed.Words, s.Signed.Words)})
	}
	if t.key.Words != "" {
		problems = append(problems, Problem{Secret, fmt.Sprintf("The signature is right with %s. The key must be %s.", t.key.Words, s.KeyWords())})
	}
	if t.body.Words != "" {
		problems = append(problems, Problem{Body, fmt.Sprintf("The signature is right over the body %s. "+
			"What is verified must be the bytes that were sent, before anything parses or prints them.", t.body.Words)})
	}
	return problems
}

// texts are those that may be signed, the right one first.
func (s Scheme) texts() []Text {
	list := []Text{s.Signed}
	others := []Text{BodyAlone}
	if s.Timestamp != "" {
		others = []Text{BodyAlone, timed, joined, colon, slack}
	}
	for _, t := range others {
		if t.Words != s.Signed.Words {
			list = append(list, t)
		}
	}
	return list
}

// Keys are what a secret may sign with, the right one first. A standard secret that is
// none has no right one.
func (s Scheme) Keys(secret string) []Variant {
	var keys distinct
	if key, err := s.Key(secret); err == nil {
		keys.add("", key)
	}
	trimmed := strings.TrimSpace(secret)
	if trimmed != secret {
		if key, err := s.Key(trimmed); err == nil {
			keys.add("the secret without the white space around it", key)
		}
	}
	bare := strings.TrimPrefix(trimmed, boathook.SigningSecretPrefix)
	keys.add("the secret's text, not decoded from base64", []byte(trimmed))
	keys.add("the secret's text without "+boathook.SigningSecretPrefix, []byte(bare))
	keys.add("the secret's text with "+boathook.SigningSecretPrefix+" before it", []byte(boathook.SigningSecretPrefix+bare))
	if key, err := base64.StdEncoding.DecodeString(bare); err == nil && len(key) > 0 {
		keys.add("the secret decoded from base64", key)
	}
	if key, err := hex.DecodeString(bare); err == nil && len(key) > 0 {
		keys.add("the secret decoded from hex", key)
	}
	keys.add("the secret and a line feed after it", []byte(secret+"\n"))
	keys.add("the secret without the quotes around it", []byte(strings.Trim(trimmed, `"'`)))
	return keys
}

// distinct is a list of variants without repetitions.
type distinct []Variant

func (d *distinct) add(words string, value []byte) {
	for _, v := range *d {
		if bytes.Equal(v.Bytes, value) {
			return
		}
	}
	*d = append(*d, Variant{words, value})
}
