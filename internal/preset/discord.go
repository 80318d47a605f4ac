package preset

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"boathook/internal/signature"
)

// Discord is the name of a preset.
const Discord = "discord"

// discord is an application's interactions endpoint and its webhook events (Discord
// Developer Docs, "Interactions Overview", "Webhook Events"). The secret is the
// application's public key, in hex. An interaction is a request with a token, by
// which its run answers it within a quarter of an hour.
var discord = preset{
	name: Discord, secret: hasSecret,
	checkSecret: func(secret string) error { _, err := discordKey(secret); return err },
	verify:      verifyDiscord,
	events:      oneOf(inInput("/event/type"), inInput("/data/name"), inInput("/data/custom_id")),
	id:          inInput("/id"), idSigned: true,
	handshake: discordPing,
	accepted:  discordAccepted,
}

func discordKey(secret string) (ed25519.PublicKey, error) {
	key, err := hex.DecodeString(secret)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("must be the application's public key: %d hex digits", hex.EncodedLen(ed25519.PublicKeySize))
	}
	return key, nil
}

func verifyDiscord(m *message, body []byte) error {
	const name = "X-Signature-Ed25519"
	text, err := signature.Required(m.Header, name)
	if err != nil {
		return unproven(err)
	}
	sent, err := signature.TimestampIn(m.Header, "X-Signature-Timestamp")
	if err != nil {
		return unproven(err)
	}
	given, err := hex.DecodeString(text)
	if err != nil || len(given) != ed25519.SignatureSize {
		return unproven(fmt.Errorf("%s: expected <%d hex digits>", name, hex.EncodedLen(ed25519.SignatureSize)))
	}
	key, err := discordKey(m.Secret)
	if err != nil {
		return unproven(errors.New("the webhook's secret " + err.Error()))
	}
	if !ed25519.Verify(key, slices.Concat([]byte(sent.Text), body), given) {
		return unproven(signature.ErrMismatch)
	}
	if err := sent.Fresh(m.At, signature.Tolerance); err != nil {
		return unproven(err)
	}
	return nil
}

// The types of Discord's requests and answers that mean more than others.
const (
	interactionPing     = 1 // and the answer to it
	interactionDeferred = 5 // the answer is yet to come
	webhookPing         = 0
)

// isInteraction tells an interaction from a webhook event.
func isInteraction(m *message) bool { return m.at("/token") != "" }

func discordPing(m *message) (*Answer, error) {
	value, _ := m.document(m.input).ValueAt("/type")
	_, isEvent := m.document(m.input).ValueAt("/event")
	kind, _ := value.(json.Number)
	switch {
	case kind == json.Number(fmt.Sprint(webhookPing)) && !isInteraction(m):
		return &Answer{Status: http.StatusNoContent}, nil
	case kind == json.Number(fmt.Sprint(interactionPing)) && !isEvent:
		return answerJSON(map[string]any{"type": interactionPing}), nil
	}
	return nil, nil
}

func discordAccepted(m *message) *Answer {
	if isInteraction(m) {
		return answerJSON(map[string]any{"type": interactionDeferred})
	}
	return &Answer{Status: http.StatusNoContent}
}
