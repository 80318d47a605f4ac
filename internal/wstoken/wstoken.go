// Package wstoken makes and checks the tokens that open a WebSocket. A browser
// can't send an Authorization header with one, and a URL is no place for an API
// token: these are good for one workspace and a few minutes, and need no store.
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

// New makes a token for a workspace, signed with the stack's secret: the
// workspace, the Unix second in which it ends, and
// base64url(HMAC-SHA256(secret, purpose + both)), separated by dots.
func New(secret, workspaceID string, now time.Time) string {
	claim := workspaceID + "." + strconv.FormatInt(now.Add(Lifetime).Unix(), 10)
	return claim + "." + sign(secret, claim)
}

var errInvalid = boathook.Errorf(boathook.Unauthorized, "the token is not valid, or not any more")

// Verify gives the workspace that a token is for. Whatever is wrong with one is
// the same Unauthorized error.
func Verify(secret, token string, now time.Time) (workspaceID string, err error) {
	i := strings.LastIndexByte(token, '.')
	if i < 0 {
		return "", errInvalid
	}
	claim, signature := token[:i], token[i+1:]
	if !hmac.Equal([]byte(signature), []byte(sign(secret, claim))) { // as texts: there is one for each claim
		return "", errInvalid
	}
	workspaceID, end, _ := strings.Cut(claim, ".")
	seconds, err := strconv.ParseInt(end, 10, 64)
	if err != nil || now.Unix() >= seconds {
		return "", errInvalid
	}
	return workspaceID, nil
}

// purpose keeps what is signed here apart from whatever else the secret may
// ever sign.
const purpose = "boathook WebSocket token v1\n"

func sign(secret, claim string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(purpose))
	mac.Write([]byte(claim))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
