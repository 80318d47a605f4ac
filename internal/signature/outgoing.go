package signature

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"boathook/internal/boathook"
)

// SHA1 is lower-case hex(HMAC-SHA1(secret, body)), with the secret's text as
// the key: what stands behind "sha1=" in Shipway's signature.
func SHA1(secret string, body []byte) string {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// SHA256 is lower-case hex(HMAC-SHA256(secret, body)), with the secret's text
// as the key: Capawesome Cloud's signature.
func SHA256(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// The sizes of a key that Standard Webhooks allows, in bytes.
const (
	minStandardKey = 24
	maxStandardKey = 64
)

// StandardKey is the key that a secret of Standard Webhooks stands for: what
// follows "whsec_", which may be left out, is its base64. The error says what a
// secret must be, and does not hold this one.
func StandardKey(secret string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, boathook.SigningSecretPrefix))
	if err != nil || len(key) < minStandardKey || len(key) > maxStandardKey {
		return nil, fmt.Errorf("must be %s and the base64 of %d to %d bytes, as Standard Webhooks has it",
			boathook.SigningSecretPrefix, minStandardKey, maxStandardKey)
	}
	return key, nil
}

// Standard is one signature of Standard Webhooks: "v1," and
// base64(HMAC-SHA256(key, id + "." + timestamp + "." + body)), with the
// timestamp in Unix seconds.
func Standard(key []byte, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
