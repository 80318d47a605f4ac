package probe

import (
	"fmt"
	"net/http"
)

// How to mend what a case has shown.

func mendSignature(p *prober, _ answer) string {
	return fmt.Sprintf("Compute %s. Do so over the bytes that arrived, compare in constant time, and answer 401 if none is equal.", p.scheme.Recipe())
}

func mendMissing(p *prober, _ answer) string {
	return fmt.Sprintf("A delivery without %s is not signed: answer 401. Anybody can send one.", p.scheme.Signature)
}

func mendCompare(p *prober, _ answer) string {
	return fmt.Sprintf("Compare the whole signature, %s, and its length, by a function for that: hmac.compare_digest, crypto.timingSafeEqual, hmac.Equal.", p.scheme.Form())
}

func mendEncoding(p *prober, a answer) string {
	if a.in(2) {
		return fmt.Sprintf("No sender writes it so. It is no hole, but a check that takes more than %s takes more than anybody tests.", p.scheme.Form())
	}
	return fmt.Sprintf("Take %s only, and answer 401 to what does not decode.", p.scheme.Form())
}

func mendRotation(p *prober, _ answer) string {
	separator := "a comma"
	if p.scheme.Separator == " " {
		separator = "a space"
	}
	return fmt.Sprintf("While a secret is rotated, %s has the new signature and the old one, separated by %s. Split it, and accept if any of them is right.",
		p.scheme.Signature, separator)
}

func mendStale(p *prober, _ answer) string {
	return fmt.Sprintf("Refuse a delivery whose %s is missing, no number, or more than 300 s before or after now. Else who has seen a delivery can send it again for ever.", p.scheme.Timestamp)
}

func mendSigned(p *prober, _ answer) string {
	return fmt.Sprintf("The timestamp must be part of what is verified, or it can be changed. Compute %s.", p.scheme.Recipe())
}

func mendExact(*prober, answer) string {
	return "Verify the bytes that arrived, before anything parses them. JSON that is parsed and serialised again is another text. " +
		"In Express: express.raw({type: \"*/*\"}); in Flask: request.get_data(); in Go: io.ReadAll(r.Body)."
}

func mendRepeat(p *prober, _ answer) string {
	by := "the ids in the body"
	if header := p.deliveryHeader(); header != "" {
		by = header
	}
	return fmt.Sprintf("A sender that has lost the answer sends again, and goes on until it gets 2xx. Deduplicate by %s, and answer 2xx to a repetition.", by)
}

func mendLarge(_ *prober, a answer) string {
	if a.status == http.StatusRequestEntityTooLarge {
		return "Boathook's deliveries have up to 784 KiB: an input of 512 and an output of 256. Allow 1 MiB if yours can be that large."
	}
	return "Read the whole body before it is verified, and allow 1 MiB. If that is too much, read it and answer 413, without closing the connection before."
}
