package dialect

import (
	"fmt"
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
		return fmt.Appendf(nil, `{"event":%q,"data":%s}`, e.Type, e.Data), nil
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
