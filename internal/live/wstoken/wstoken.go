// Package wstoken makes and checks the tokens that open a WebSocket. A browser
// can't send an Authorization header with one, and a URL is no place for an API
// token: these are good for one workspace and a few minutes. They say by which API
// token they were made; whether that is still there, only the store knows.
package wstoken

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"boathook/internal/boathook"
)

// Lifetime is how long a token is good. A WebSocket that it has opened outlives
// it.
const Lifetime = 5 * time.Minute

// Bearer is whom a token is for.
type Bearer struct {
	WorkspaceID string
	TokenID     string // of the API token that made it; empty if that is the stack's own
}

// New makes a token, signed with the stack's secret: the workspace, the API
// token's id, the Unix second in which it ends, and
// base64url(HMAC-SHA256(secret, purpose + the three)), separated by dots.
func New(secret string, b Bearer, now time.Time) string {
	claim := b.WorkspaceID + "." + b.TokenID + "." + strconv.FormatInt(now.Add(Lifetime).Unix(), 10)
	return claim + "." + sign(secret, claim)
}

var errInvalid = boathook.Errorf(boathook.Unauthorized, "the token is not valid, or not any more")

// Verify gives whom a token is for. Whatever is wrong with one is the same
// Unauthorized error.
func Verify(secret, token string, now time.Time) (Bearer, error) {
	i := strings.LastIndexByte(token, '.')
	if i < 0 {
		return Bearer{}, errInvalid
	}
	claim, signature := token[:i], token[i+1:]
	if !hmac.Equal([]byte(signature), []byte(sign(secret, claim))) { // as texts: there is one for each claim
		return Bearer{}, errInvalid
	}
	parts := strings.Split(claim, ".")
	if len(parts) != 3 {
		return Bearer{}, errInvalid
	}
	seconds, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil || now.Unix() >= seconds {
		return Bearer{}, errInvalid
	}
	return Bearer{WorkspaceID: parts[0], TokenID: parts[1]}, nil
}

// purpose keeps what is signed here apart from whatever else the secret may
// ever sign.
const purpose = "boathook WebSocket token v2\n"

func sign(secret, claim string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(purpose))
	mac.Write([]byte(claim))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
