package preset

import (
	"strings"

	"boathook/internal/signature"
)

// Zoom is the name of a preset.
const Zoom = "zoom"

// zoom is Zoom (Zoom Developers, "Using webhooks", "Validate your webhook
// endpoint"). It has no id of a delivery.
var zoom = preset{
	name: Zoom, secret: hasSecret,
	verify: verifiedBy(signature.HMAC{
		Header: "x-zm-signature", Algorithm: signature.AlgorithmSHA256, Encoding: signature.Hex, Prefix: "v0=",
		Timestamp: "x-zm-request-timestamp", Version: "v0:", Join: ":",
	}.Verify),
	events: oneOf(inInput("/event")),
	// The signature tells a repeat: it is over the time and the body.
	key:       func(m *message) string { return strings.ToLower(m.header("x-zm-signature")) },
	handshake: urlValidation,
}

// urlValidation answers what Zoom sends when a URL is entered, and every three days:
// its token, and the token's signature by the secret.
func urlValidation(m *message) (*Answer, error) {
	if m.at("/event") != "endpoint.url_validation" {
		return nil, nil
	}
	plain := m.at("/payload/plainToken")
	return answerJSON(map[string]any{
		"plainToken": plain, "encryptedToken": signature.SHA256(m.Secret, []byte(plain)),
	}), nil
}
