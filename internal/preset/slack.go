package preset

import (
	"boathook/internal/signature"
)

// Slack is the name of a preset.
const Slack = "slack"

// slack is Slack (Slack API, "Verifying requests from Slack", "The Events API",
// "Enabling interactivity with Slash Commands", "Handling user interaction").
// Events are JSON, an interaction is a form whose field payload is JSON, and a
// command is a form of fields.
var slack = preset{
	name: Slack, secret: hasSecret, form: eitherForm,
	verify: verifiedBy(signature.HMAC{
		Header: "X-Slack-Signature", Algorithm: signature.AlgorithmSHA256, Encoding: signature.Hex, Prefix: "v0=",
		Timestamp: "X-Slack-Request-Timestamp", Version: "v0:", Join: ":",
	}.Verify),
	events: oneOf(inInput("/event/type"), inInput("/command"), inInput("/type")),
	id:     firstOf(inInput("/event_id"), inInput("/trigger_id")), idSigned: true,
	handshake: slackAsks,
	accepted:  emptyForForms,
}

// slackAsks answers url_verification, which Slack sends when a URL is entered and
// wants its challenge back of, and ssl_check, by which it looks at the certificate
// of a command's URL.
func slackAsks(m *message) (*Answer, error) {
	if m.at("/ssl_check") == "1" {
		return answerText(""), nil
	}
	if m.at("/type") != "url_verification" {
		return nil, nil
	}
	challenge, _ := m.document(m.input).ValueAt("/challenge")
	text, ok := challenge.(string)
	if !ok {
		return nil, nil
	}
	return answerJSON(map[string]any{"challenge": text}), nil
}

// emptyForForms is what a command's and an interaction's sender must be told: 200,
// and nothing that Slack would take for a message.
func emptyForForms(m *message) *Answer {
	if !isForm(m) {
		return nil
	}
	return answerText("")
}
