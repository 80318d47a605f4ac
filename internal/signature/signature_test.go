package signature_test

import (
	"strings"
	"testing"
	"time"

	"boathook/internal/signature"
)

// The vector was made with
//
//	printf '1771143284.{"event":"run.succeeded"}' | openssl dgst -sha256 -hmac whsec_dGVzdA==
const (
	secret = "whsec_dGVzdA=="
	body   = `{"event":"run.succeeded"}`
	vector = "711ed17860c48696a0a320cafb73a4dea8bef8b6411baf61cbef777e65bc8848"
)

var at = time.Unix(1771143284, 999_000_000)

func TestTimestampedIsTheHMACThatOpenSSLMakes(t *testing.T) {
	if got := signature.Timestamped(secret, at, []byte(body)); got != vector {
		t.Errorf("got %s, want %s", got, vector)
	}
}

func TestVerifyTimestampedFindsTheSecretsSignature(t *testing.T) {
	other := signature.Timestamped("whsec_b3RoZXI=", at, []byte(body))
	for name, tc := range map[string]struct {
		header, secret, body string
		at                   time.Time
		want                 bool
	}{
		"alone":                    {vector, secret, body, at, true},
		"first of two":             {vector + "," + other, secret, body, at, true},
		"second of two":            {other + "," + vector, secret, body, at, true},
		"another secret's":         {other, secret, body, at, false},
		"over another body":        {vector, secret, body + " ", at, false},
		"of another second":        {vector, secret, body, at.Add(time.Second), false},
		"empty":                    {"", secret, body, at, false},
		"cut short":                {vector[:62], secret, body, at, false},
		"with a prefix":            {"sha256=" + vector, secret, body, at, false},
		"not hex":                  {strings.Repeat("z", 64), secret, body, at, false},
		"separated by a semicolon": {vector + ";" + other, secret, body, at, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := signature.VerifyTimestamped(tc.header, tc.secret, tc.at, []byte(tc.body)); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
