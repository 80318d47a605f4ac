package signature_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"strings"
	"testing"
	"time"

	"boathook/internal/signature"
)

// sum is an HMAC by the standard library.
func sum(h func() hash.Hash, key, message string) []byte {
	mac := hmac.New(h, []byte(key))
	mac.Write([]byte(message))
	return mac.Sum(nil)
}

// TestASignatureIsReadAsItIsDescribed has what senders put into a header. An empty
// reason is a request that verifies.
func TestASignatureIsReadAsItIsDescribed(t *testing.T) {
	const (
		key      = "a secret of one side and the other"
		hook     = `{"action":"opened"}`
		sentAt   = "1795287600"
		mismatch = "signature is over another body or with another secret"
	)
	var (
		in256    = hex.EncodeToString(sum(sha256.New, key, hook))
		zeros    = strings.Repeat("0", 64)
		rolling  = signature.HMAC{Header: "X-Sig", Algorithm: signature.AlgorithmSHA256, Encoding: signature.Hex, Prefix: "v1=", Separator: ","}
		stamped  = signature.HMAC{Header: "X-Sig", Algorithm: signature.AlgorithmSHA256, Encoding: signature.Hex, Timestamp: "X-At", Version: "v0:", Join: "."}
		expected = "X-Sig: expected v1=<64 hex digits>"
	)
	for _, tc := range []struct {
		name   string
		scheme signature.HMAC
		value  string
		at     string
		reason string
	}{
		{"SHA-1 in base64", signature.HMAC{Header: "X-Sig", Algorithm: signature.AlgorithmSHA1, Encoding: signature.Base64},
			base64.StdEncoding.EncodeToString(sum(sha1.New, key, hook)), "", ""},
		{"SHA-512 in hex", signature.HMAC{Header: "X-Sig", Algorithm: signature.AlgorithmSHA512, Encoding: signature.Hex, Prefix: "s="},
			"s=" + hex.EncodeToString(sum(sha512.New, key, hook)), "", ""},
		{"one of one", rolling, "v1=" + in256, "", ""},
		{"the first of two", rolling, "v1=" + in256 + ",v1=" + zeros, "", ""},
		{"the second of two", rolling, "v1=" + zeros + ", v1=" + in256, "", ""},
		{"beside another scheme's", rolling, "v2=x,v1=" + in256 + ",", "", ""},
		{"neither of two", rolling, "v1=" + zeros + ",v1=" + zeros, "", mismatch},
		{"two without a prefix", rolling, in256 + "," + in256, "", expected},
		{"separated otherwise", rolling, "v1=" + in256 + " v1=" + zeros, "", expected},
		{"only separators", rolling, ",,,", "", expected},
		{"with its timestamp", stamped, hex.EncodeToString(sum(sha256.New, key, "v0:"+sentAt+"."+hook)), sentAt, ""},
		{"of another timestamp", stamped, hex.EncodeToString(sum(sha256.New, key, "v0:"+sentAt+"."+hook)), "1795287601", mismatch},
		{"without its timestamp", stamped, in256, "", "X-At is missing"},
	} {
		h := http.Header{}
		h.Set("X-Sig", tc.value)
		if tc.at != "" {
			h.Set("X-At", tc.at)
		}
		reason := ""
		if err := tc.scheme.Verify(h, []byte(hook), key, time.Unix(1795287600, 0)); err != nil {
			reason = err.Error()
		}
		if reason != tc.reason {
			t.Errorf("%s: got %q, want %q", tc.name, reason, tc.reason)
		}
	}
}
