package boathook

import (
	"encoding/json"
	"slices"
	"strings"
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

// Shipway's events. A ping is sent to one hook because someone asks for it: no
// webhook wants it, and nobody can publish it.
const (
	EventBuildFinish EventType = "build_finish"
	EventPing        EventType = "ping"
)

// AllEvents is what a webhook wants that wants each event but Boathook's own words:
// of a repository, since clients of GitHub's hooks write it so, or of a customer.
const AllEvents EventType = "*"

// Capawesome Cloud's events.
const (
	EventAppBuildCreated      EventType = "app_build_created"
	EventAppDeploymentCreated EventType = "app_deployment_created"
	EventJobCreated           EventType = "job_created"
	EventJobFinished          EventType = "job_finished"
)

// ownWords begin the types of events that Boathook alone tells of.
var ownWords = []string{"run.", "webhook.", "delivery."}

// Own reports whether t is one of Boathook's own words, which nobody can publish:
// a receiver can trust that such an event has happened.
func (t EventType) Own() bool {
	return slices.ContainsFunc(ownWords, func(word string) bool { return strings.HasPrefix(string(t), word) })
}

// EventTypes is what each kind of source can tell. Package catalogue knows
// what each event's data is.
var EventTypes = map[SourceKind][]EventType{
	Deployment: {EventRunSucceeded, EventRunFailed, EventWebhookDisabled},
	Agent:      {EventRunSucceeded, EventRunFailed, EventWebhookDisabled},
	Repository: {EventBuildFinish},
	App:        {EventAppBuildCreated, EventAppDeploymentCreated, EventJobCreated, EventJobFinished},
	Customer:   {EventWebhookDisabled},
	Alerts:     {EventWebhookFailing, EventWebhookRecovered, EventWebhookDisabled, EventDeliveryExhausted, EventRunLost},
}

// Limits of the channels of an event, and of a webhook.
const (
	MaxChannels      = 10
	MaxChannelLength = 100 // bytes
)

// IsChannel reports whether s can be the name of a channel: 1 to [MaxChannelLength] of
// the characters A-Z, a-z, 0-9, _, -, . and the colon.
func IsChannel(s string) bool {
	return s != "" && len(s) <= MaxChannelLength && !strings.ContainsFunc(s, func(r rune) bool { return !isWordRune(r) && r != '.' && r != ':' })
}

// Event is something that happened to a source.
type Event struct {
	ID          string
	WorkspaceID string
	SourceID    string
	Environment Environment // empty: of none in particular, and so of interest in each
	Type        EventType
	Channels    []string  // of a published event; see [OutgoingWebhook.Hears]
	Time        time.Time // stable: a repeated publish has the same
	Data        json.RawMessage

	// Fresh says that the id is random and new: nobody can publish the event again.
	Fresh bool

	// SourceName is what people call the source. Package publish finds it for messages
	// that are for people; empty elsewhere.
	SourceName string
}
