package preset

import (
	"strings"

	"boathook/internal/boathook"
	"boathook/internal/signature"
)

// HMAC is the name of a preset.
const HMAC = "hmac"

// hmacPreset is a signature over the body, in a header that the user describes.
// With a timestamp's header it is over timestamp + "." + body, as most write it.
var hmacPreset = preset{
	name: HMAC, secret: hasSecret, form: eitherForm,
	needs: []string{"header", "algorithm", "encoding"},
	takes: []string{"prefix", "separator", "timestamp_header", "delivery_header", "event_header", "event_pointer"},
	verify: func(m *message, body []byte) error {
		return verifiedBy(described(m.settings).Verify)(m, body)
	},
	events: eventAsDescribed,
	id:     idAsDescribed,
}

func described(v boathook.Verification) signature.HMAC {
	m := signature.HMAC{
		Header: v.Header, Algorithm: signature.Algorithm(v.Algorithm), Encoding: signature.Encoding(v.Encoding),
		Prefix: v.Prefix, Separator: v.Separator, Timestamp: v.TimestampHeader, Join: ".",
	}
	if m.Separator == "" && !strings.Contains(m.Prefix, ",") {
		m.Separator = "," // which neither hex nor base64 has
	}
	return m
}

// eventAsDescribed is where the user says, or else where most senders have it.
func eventAsDescribed(m *message) []string {
	v := m.settings
	switch {
	case v.EventHeader != "":
		return []string{m.header(v.EventHeader)}
	case v.EventPointer != "":
		return []string{m.at(v.EventPointer)}
	}
	return none.events(m)
}

func idAsDescribed(m *message) string {
	if m.settings.DeliveryHeader == "" {
		return ""
	}
	return m.header(m.settings.DeliveryHeader)
}
