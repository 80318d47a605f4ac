package dialect

import (
	"encoding/json"
	"net/http"

	"boathook/internal/boathook"
	"boathook/internal/signature"
)

// Capawesome is the dialect of Capawesome Cloud (wire formats, section 4).
const Capawesome = "capawesome"

// CapawesomeSignature is Capawesome Cloud's only header of its own.
const CapawesomeSignature = "X-Signature"

var capawesome = Dialect{
	Name:           Capawesome,
	SecretOptional: true,

	body: func(e boathook.Event) ([]byte, error) {
		return boathook.EncodeJSON(struct {
			Event boathook.EventType `json:"event"`
			Data  json.RawMessage    `json:"data"`
		}{e.Type, e.Data})
	},

	sign: func(m Message, secrets []string) (string, error) {
		return signature.SHA256(secrets[0], m.Body), nil
	},

	header: func(h http.Header, _ Message, signature string) {
		if signature != "" {
			h.Set(CapawesomeSignature, signature)
		}
	},
}
