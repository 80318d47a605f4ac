// Package signature makes and checks the signatures of webhooks. It is pure:
// bytes, secrets and times in, text or a verdict out. Comparisons are
// constant-time.
package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// Timestamped is Crewship's signature of an outgoing webhook (Crewship
// deployments, "Security Headers"): lower-case
// hex(HMAC-SHA256(secret, timestamp + "." + body)), with the timestamp in Unix
// seconds and the secret's text as the key.
func Timestamped(secret string, at time.Time, body []byte) string {
	return hex.EncodeToString(timestamped(secret, at, body))
}

// VerifyTimestamped reports whether a header made of [Timestamped] signatures,
// separated by commas, holds one by secret.
func VerifyTimestamped(header, secret string, at time.Time, body []byte) bool {
	want := timestamped(secret, at, body)
	found := false
	for s := range strings.SplitSeq(header, ",") {
		got, err := hex.DecodeString(s)
		if err == nil && hmac.Equal(got, want) {
			found = true
		}
	}
	return found
}

func timestamped(secret string, at time.Time, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(strconv.AppendInt(nil, at.Unix(), 10))
	mac.Write([]byte("."))
	mac.Write(body)
	return mac.Sum(nil)
}
