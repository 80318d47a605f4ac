package preset

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"

	"boathook/internal/signature"
)

// SendGrid is the name of a preset.
const SendGrid = "sendgrid"

// sendGrid is Twilio SendGrid's event webhook (SendGrid Docs, "Event Webhook
// Security Features"). The secret is the verification key that it shows, which is
// public: it opens nothing. Its libraries set no bound to the timestamp's age, and
// it repeats a delivery for a day, so the signed text is what tells a repeat.
var sendGrid = preset{
	name: SendGrid, secret: hasSecret,
	checkSecret: func(secret string) error { _, err := sendGridKey(secret); return err },
	verify:      verifySendGrid,
	events:      oneOf(inInput("/0/event")),
	id:          inInput("/0/sg_event_id"),
	key: func(m *message) string {
		sum := sha256.Sum256(append([]byte(m.header(sendGridTimestamp)), m.Wire...))
		return hex.EncodeToString(sum[:])
	},
}

const (
	sendGridSignature = "X-Twilio-Email-Event-Webhook-Signature"
	sendGridTimestamp = "X-Twilio-Email-Event-Webhook-Timestamp"
)

// sendGridKey reads a verification key: base64 of the DER form of a public key of
// an elliptic curve.
func sendGridKey(secret string) (*ecdsa.PublicKey, error) {
	der, err := base64.StdEncoding.DecodeString(secret)
	if err == nil {
		var key any
		if key, err = x509.ParsePKIXPublicKey(der); err == nil {
			if key, ok := key.(*ecdsa.PublicKey); ok {
				return key, nil
			}
		}
	}
	return nil, errors.New("must be the verification key that SendGrid shows, in base64")
}

func verifySendGrid(m *message, body []byte) error {
	text, err := signature.Required(m.Header, sendGridSignature)
	if err != nil {
		return unproven(err)
	}
	sentAt, err := signature.Required(m.Header, sendGridTimestamp)
	if err != nil {
		return unproven(err)
	}
	given, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return unproven(errors.New(sendGridSignature + ": expected base64"))
	}
	key, err := sendGridKey(m.Secret)
	if err != nil {
		return unproven(errors.New("the webhook's secret " + err.Error()))
	}
	sum := sha256.Sum256(slices.Concat([]byte(sentAt), body))
	if !ecdsa.VerifyASN1(key, sum[:], given) {
		return unproven(signature.ErrMismatch)
	}
	return nil
}
