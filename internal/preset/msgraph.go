package preset

import (
	"encoding/json"
	"errors"

	"boathook/internal/signature"
)

// MSGraph is the name of a preset.
const MSGraph = "msgraph"

// msGraph is Microsoft Graph's change notifications (Microsoft Learn, "Receive
// change notifications through webhooks"). The secret is the subscription's
// clientState, which each notification repeats.
var msGraph = preset{
	name: MSGraph, secret: hasSecret,
	greet:  echoValidationToken,
	verify: verifyClientState,
	events: oneOf(inInput("/value/0/changeType"), inInput("/value/0/lifecycleEvent")),
	id: func(m *message) string {
		if _, more := m.document(m.input).ValueAt("/value/1"); more {
			return "" // of several notifications
		}
		return m.at("/value/0/id")
	},
}

// echoValidationToken answers what Graph sends when a subscription is made.
func echoValidationToken(m *message) *Answer {
	text := m.Query.Get("validationToken")
	if text == "" {
		return nil
	}
	return answerText(text)
}

func verifyClientState(m *message, body []byte) error {
	if m.Secret == "" {
		return unproven(signature.ErrNoSecret)
	}
	var notifications struct {
		Value []struct {
			ClientState string `json:"clientState"`
		} `json:"value"`
	}
	if json.Unmarshal(body, &notifications) != nil || len(notifications.Value) == 0 {
		return unproven(errors.New("value: expected notifications, each with its clientState"))
	}
	for _, n := range notifications.Value {
		if !signature.EqualText(n.ClientState, m.Secret) {
			return unproven(errors.New("clientState is not the webhook's secret"))
		}
	}
	return nil
}
