package dialect

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/signature"
)

// Standard is the dialect of the Standard Webhooks specification, version
// 1.0.0 (wire formats, section 5).
const Standard = "standard"

// The headers of Standard Webhooks.
const (
	StandardID        = "Webhook-Id"
	StandardTimestamp = "Webhook-Timestamp"
	StandardSignature = "Webhook-Signature"
)

var standard = Dialect{
	Name:           Standard,
	MaxOverlap:     7 * 24 * time.Hour,
	DefaultOverlap: 24 * time.Hour,

	body: func(e boathook.Event) ([]byte, error) {
		body := make([]byte, 0, len(`{"type":"","timestamp":"","data":}`)+len(e.Type)+len(boathook.TimeLayout)+len(e.Data))
		body = strconv.AppendQuote(append(body, `{"type":`...), string(e.Type))
		body = e.Time.UTC().AppendFormat(append(body, `,"timestamp":"`...), boathook.TimeLayout)
		return append(append(append(body, `","data":`...), e.Data...), '}'), nil
	},

	checkSecret: func(secret string) error {
		_, err := signature.StandardKey(secret)
		return err
	},

	sign: func(m Message, secrets []string) (string, error) {
		signatures := make([]string, len(secrets))
		for i, s := range secrets {
			key, err := signature.StandardKey(s)
			if err != nil {
				return "", err
			}
			signatures[i] = signature.Standard(key, m.DeliveryID.String(), m.SentAt, m.Body)
		}
		return strings.Join(signatures, " "), nil
	},

	header: func(h http.Header, m Message, signature string) {
		h.Set(StandardID, m.DeliveryID.String())
		h.Set(StandardTimestamp, strconv.FormatInt(m.SentAt.Unix(), 10))
		h.Set(StandardSignature, signature)
	},
}
