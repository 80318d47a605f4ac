package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// VerifyAgent reports whether a header is the signature of an agent's trigger
// (Crewship agents, "Authentication"): lower-case hex(HMAC-SHA256(secret,
// body)) without a prefix or, where the trigger has a timestamp, over
// timestamp + "." + body. The key is the secret's text.
func VerifyAgent(header, secret, timestamp string, body []byte) bool {
	mac := hmac.New(sha256.New, []byte(secret))
	if timestamp != "" {
		mac.Write([]byte(timestamp + "."))
	}
	mac.Write(body)
	return hmac.Equal([]byte(header), []byte(hex.EncodeToString(mac.Sum(nil))))
}
