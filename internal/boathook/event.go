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

// EventTypes is the catalogue: what each kind of source can tell.
var EventTypes = map[SourceKind][]EventType{
	Deployment: {EventRunSucceeded, EventRunFailed},
	Agent:      {EventRunSucceeded, EventRunFailed},
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
