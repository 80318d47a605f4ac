package preset

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"boathook/internal/signature"
)

// Standard is the name of a preset.
const Standard = "standard"

// standard is Standard Webhooks, with the specification's headers or those that
// Svix gives the same ("svix-id"): Clerk, Resend and others send through it.
var standard = preset{
	name: Standard, secret: hasSecret,
	checkSecret: func(secret string) error { _, err := signature.StandardKey(secret); return err },
	verify:      verifiedBy(verifyStandard),
	events:      oneOf(inInput("/type"), inInput("/event_type")),
	id: func(m *message) string {
		return m.header(standardPrefix(m.Header) + "id")
	}, idSigned: true,
}

// standardPrefix is how the headers of a request begin.
func standardPrefix(h http.Header) string {
	if h.Get("webhook-signature") == "" && h.Get("svix-signature") != "" {
		return "svix-"
	}
	return "webhook-"
}

// verifyStandard verifies the id's, the timestamp's and the signature's header
// (Standard Webhooks, "Signature scheme"): signatures are separated by spaces, and
// those of another version than v1 are ignored. The secret is one that
// [signature.StandardKey] takes.
func verifyStandard(h http.Header, body []byte, secret string, now time.Time) error {
	prefix := standardPrefix(h)
	v1 := signature.HMAC{Algorithm: signature.AlgorithmSHA256, Encoding: signature.Base64}
	id, err := signature.Required(h, prefix+"id")
	if err != nil {
		return err
	}
	sent, err := signature.TimestampIn(h, prefix+"timestamp")
	if err != nil {
		return err
	}
	value, err := signature.Required(h, prefix+"signature")
	if err != nil {
		return err
	}
	var given [][]byte
	for part := range strings.SplitSeq(value, " ") {
		if text, ok := strings.CutPrefix(part, "v1,"); ok {
			if sum, ok := v1.Decode(text); ok {
				given = append(given, sum)
			}
		}
	}
	if len(given) == 0 {
		return fmt.Errorf("%ssignature: expected v1,%s", prefix, v1.Form())
	}
	key, err := signature.StandardKey(secret)
	if err != nil {
		return fmt.Errorf("the webhook's secret %w", err)
	}
	if err := v1.Compare(given, key, []byte(id+"."+sent.Text+"."), body); err != nil {
		return err
	}
	return sent.Fresh(now, signature.Tolerance)
}
