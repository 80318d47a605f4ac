package preset

import (
	"net/http"
)

// AzureEventGrid is the name of a preset.
const AzureEventGrid = "azure-eventgrid"

// azureEventGrid is Azure Event Grid (Microsoft Learn, "Endpoint validation with
// Event Grid event schema", "CloudEvents v1.0 schema with Azure Event Grid"). It
// signs nothing: a secret is a delivery property that it sends as a header.
var azureEventGrid = preset{
	name: AzureEventGrid, secret: maySecret,
	takes:   []string{"header"},
	options: allowOrigin,
	greet:   validationCode,
	verify:  verifyToken,
	events:  oneOf(inInput("/0/eventType"), inInput("/0/type"), inInput("/type")),
	id: func(m *message) string {
		if _, more := m.document(m.input).ValueAt("/1"); more {
			return "" // of several events
		}
		return firstOf(inInput("/0/id"), inInput("/id"))(m)
	},
}

// validationCode answers what Event Grid sends when a subscription is made: its code,
// which is of use to nobody but who has made it.
func validationCode(m *message) *Answer {
	if m.header("aeg-event-type") != "SubscriptionValidation" {
		return nil
	}
	code := m.ofBody("/0/data/validationCode")
	if code == "" {
		return nil
	}
	return answerJSON(map[string]any{"validationResponse": code})
}

// allowOrigin answers the request for leave of a sender of CloudEvents (CloudEvents,
// "HTTP 1.1 Web Hooks for Event Delivery", section 4): who knows the URL may send.
func allowOrigin(h http.Header) map[string]string {
	origin := h.Get("WebHook-Request-Origin")
	if origin == "" {
		return nil
	}
	answer := map[string]string{"WebHook-Allowed-Origin": origin}
	if h.Get("WebHook-Request-Rate") != "" {
		answer["WebHook-Allowed-Rate"] = "*"
	}
	return answer
}
