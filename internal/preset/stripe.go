package preset

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"boathook/internal/signature"
)

// Stripe is the name of a preset.
const Stripe = "stripe"

// stripe is Stripe (Stripe Docs, "Receive Stripe events in your webhook endpoint",
// "Verify webhook signatures manually").
var stripe = preset{
	name: Stripe, secret: hasSecret,
	verify: verifiedBy(verifyStripe),
	events: oneOf(inInput("/type")),
	id:     inInput("/id"), idSigned: true,
}

// verifyStripe verifies Stripe-Signature: t=<Unix seconds> and, while a secret is
// rolled, more than one v1=<signature over t.body>, separated by commas. Other
// schemes are ignored.
func verifyStripe(h http.Header, body []byte, secret string, now time.Time) error {
	const name = "Stripe-Signature"
	v1 := signature.HMAC{Algorithm: signature.AlgorithmSHA256, Encoding: signature.Hex}
	value, err := signature.Required(h, name)
	if err != nil {
		return err
	}
	var at string
	var given [][]byte
	for part := range strings.SplitSeq(value, ",") {
		key, text, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch key {
		case "t":
			at = text
		case "v1":
			if sum, ok := v1.Decode(text); ok {
				given = append(given, sum)
			}
		}
	}
	if at == "" || len(given) == 0 {
		return fmt.Errorf("%s: expected t=<Unix seconds>,v1=%s", name, v1.Form())
	}
	sent, err := signature.ParseTimestamp(name+" t", at)
	if err != nil {
		return err
	}
	if err := v1.Compare(given, []byte(secret), []byte(sent.Text+"."), body); err != nil {
		return err
	}
	return sent.Fresh(now, signature.Tolerance)
}
