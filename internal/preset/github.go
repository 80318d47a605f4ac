package preset

import (
	"net/url"

	"boathook/internal/signature"
)

// GitHub is the name of a preset.
const GitHub = "github"

// github is GitHub (GitHub Docs, "Validating webhook deliveries", "Webhook events
// and payloads"), and those that send as it does: Gitea, Forgejo and Gogs, whose
// forms are signed over the JSON in them (Gitea, services/webhook/deliver.go).
var github = preset{
	name: GitHub, secret: hasSecret, form: payloadIn, rerun: true,
	verify: verifiedBy(signature.HMAC{
		Header: "X-Hub-Signature-256", Algorithm: signature.AlgorithmSHA256, Encoding: signature.Hex, Prefix: "sha256=",
	}.Verify),
	alsoSigned: payloadOf,
	events:     githubEvents,
	id: firstOf(inHeader("X-GitHub-Delivery"), inHeader("X-Gitea-Delivery"), inHeader("X-Forgejo-Delivery"),
		inHeader("X-Gogs-Delivery")),
	handshake: ping,
}

// payloadOf is the JSON in a form.
func payloadOf(m *message) []byte {
	if !isForm(m) {
		return nil
	}
	fields, err := url.ParseQuery(string(m.Body))
	if err != nil {
		return nil
	}
	return []byte(fields.Get("payload"))
}

// githubEvents are "pull_request.opened" and "pull_request".
func githubEvents(m *message) []string {
	return withAction(m, firstOf(inHeader("X-GitHub-Event"), inHeader("X-Gitea-Event"), inHeader("X-Forgejo-Event"), inHeader("X-Gogs-Event")))
}

// ping answers what GitHub sends when a webhook is created.
func ping(m *message) (*Answer, error) {
	if m.header("X-GitHub-Event") != "ping" {
		return nil, nil
	}
	return answerJSON(map[string]any{"status": "pong"}), nil
}
