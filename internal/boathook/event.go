package boathook

import (
	"encoding/json"
	"time"
)

// EventType names what happened.
type EventType string

// Crewship's events.
const (
	EventRunSucceeded EventType = "run.succeeded"
	EventRunFailed    EventType = "run.failed"
)

// EventWebhookDisabled tells that Boathook disabled one of the source's outgoing
// webhooks; see [OutgoingWebhook.DisabledEvent].
const EventWebhookDisabled EventType = "webhook.disabled"

// EventTypes is the catalogue: what each kind of source can tell.
var EventTypes = map[SourceKind][]EventType{
	Deployment: {EventRunSucceeded, EventRunFailed, EventWebhookDisabled},
}

// Event is something that happened to a source.
type Event struct {
	ID          string
	WorkspaceID string
	SourceID    string
	Environment Environment
	Type        EventType
	Time        time.Time // stable: a repeated publish has the same
	Data        json.RawMessage
}
