package preset

import "boathook/internal/signature"

// Bitbucket is the name of a preset.
const Bitbucket = "bitbucket"

// bitbucket is Bitbucket Cloud (Atlassian Support, "Manage webhooks", "Secure
// webhooks") and Data Center. The latter's X-Request-Id can't be had behind API
// Gateway, which sets its own.
var bitbucket = preset{
	name: Bitbucket, secret: hasSecret,
	greet: func(m *message) *Answer { // Data Center's test of a connection is not signed
		if m.header("X-Event-Key") != "diagnostics:ping" {
			return nil
		}
		return answerJSON(map[string]any{"status": "pong"})
	},
	verify: verifiedBy(signature.HMAC{
		Header: "X-Hub-Signature", Algorithm: signature.AlgorithmSHA256, Encoding: signature.Hex, Prefix: "sha256=",
	}.Verify),
	events: oneOf(inHeader("X-Event-Key")),
	id:     inHeader("X-Request-UUID"),
}
