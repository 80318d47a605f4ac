package dialect

import (
	"net/http"

	"boathook/internal/boathook"
	"boathook/internal/signature"
)

// Shipway is the dialect of Shipway (wire formats, section 3), modelled on
// GitHub's.
const Shipway = "shipway"

// Shipway's headers, and what it calls itself.
const (
	ShipwayEvent     = "X-Shipway-Event"
	ShipwayDelivery  = "X-Shipway-Delivery"
	ShipwaySignature = "X-Shipway-Signature"
	ShipwayUserAgent = "Shipway-Hookshot/0.1"
)

var shipway = Dialect{
	Name:           Shipway,
	SecretOptional: true,

	// The event's data as it is: its name is in a header.
	body: func(e boathook.Event) ([]byte, error) { return e.Data, nil },

	sign: func(m Message, secrets []string) (string, error) {
		return "sha1=" + signature.SHA1(secrets[0], m.Body), nil
	},

	header: func(h http.Header, m Message, signature string) {
		h.Set("User-Agent", ShipwayUserAgent)
		h.Set(ShipwayEvent, string(m.EventType))
		h.Set(ShipwayDelivery, m.DeliveryID.String())
		if signature != "" {
			h.Set(ShipwaySignature, signature)
		}
	},
}
