package preset

import (
	"boathook/internal/signature"
)

// Grafana is the name of a preset.
const Grafana = "grafana"

// grafana is a contact point of Grafana's alerting (Grafana Docs, "Configure
// webhook notifications"). It can be told to use other headers than its own, and
// to sign a timestamp with the body.
var grafana = preset{
	name: Grafana, secret: hasSecret,
	takes: []string{"header", "timestamp_header"},
	verify: func(m *message, body []byte) error {
		scheme := signature.HMAC{
			Header: "X-Grafana-Alerting-Signature", Algorithm: signature.AlgorithmSHA256, Encoding: signature.Hex,
			Timestamp: m.settings.TimestampHeader, Join: ":",
		}
		if m.settings.Header != "" {
			scheme.Header = m.settings.Header
		}
		return verifiedBy(scheme.Verify)(m, body)
	},
	events: func(m *message) []string {
		status := m.at("/status")
		if status == "" {
			return nil
		}
		return []string{"alert." + status, status}
	},
}
