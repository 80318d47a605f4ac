// Package claim makes and checks signed texts that say something until they end, such as
// whom a link is for. Who checks one needs the secret and no store.
package claim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Purpose is what claims are for. It is signed with them: a claim for one purpose is
// none for another, though one secret signs both.
type Purpose string

// ErrInvalid is the error of what is no claim for the purpose, by the secret.
var ErrInvalid = errors.New("not a claim that was signed for this")

// ErrEnded is the error of a claim that was good once.
var ErrEnded = errors.New("the claim has ended")

// Sign makes a claim: its parts, the Unix second in which it ends, and
// base64url(HMAC-SHA256(secret, purpose + all of them)), separated by dots. Parts have no
// dots.
func (p Purpose) Sign(secret string, until time.Time, parts ...string) string {
	text := strings.Join(append(slices.Clip(parts), strconv.FormatInt(until.Unix(), 10)), ".")
	return text + "." + p.signature(secret, text)
}

// Verify gives the parts of a claim, so many as are wanted, and when it ends. One that
// has ended gives them beside [ErrEnded].
func (p Purpose) Verify(secret, signed string, want int, now time.Time) (parts []string, until time.Time, err error) {
	i := strings.LastIndexByte(signed, '.')
	if i < 0 {
		return nil, until, ErrInvalid
	}
	text, signature := signed[:i], signed[i+1:]
	if !hmac.Equal([]byte(signature), []byte(p.signature(secret, text))) { // as texts: there is one for each claim
		return nil, until, ErrInvalid
	}
	parts = strings.Split(text, ".")
	if len(parts) != want+1 {
		return nil, until, ErrInvalid
	}
	seconds, err := strconv.ParseInt(parts[want], 10, 64)
	if err != nil {
		return nil, until, ErrInvalid
	}
	if now.Unix() >= seconds {
		err = ErrEnded
	}
	return parts[:want], time.Unix(seconds, 0).UTC(), err
}

func (p Purpose) signature(secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(p))
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
