package boathook

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Limits of the types of events that a workspace defines.
const (
	MaxEventTypes           = 200      // of a workspace, also those that are archived
	MaxEventTypeName        = 100      // bytes
	MaxEventTypeDescription = 1000     // characters
	MaxEventTypeVersion     = 50       // characters
	MaxEventSchema          = 32 << 10 // bytes of a schema, and of an example, without white space
	MaxWantedEvents         = 100      // types that a webhook names
)

// EventTypePattern is what the name of a type is that a workspace defines.
const EventTypePattern = `[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*`

// TypeDefinition is a type of events that a workspace defines. Customers' webhooks can
// want it, and it can be published to customers.
type TypeDefinition struct {
	Revision    int // counts its changes; see package store
	WorkspaceID string
	Name        EventType
	Description string
	Version     string          // the workspace's own; empty: none
	Schema      json.RawMessage // JSON Schema of the data of such an event, without white space; nil: any object
	Example     json.RawMessage // of such data, without white space; nil: none
	CreatedAt   time.Time
	UpdatedAt   time.Time
	ArchivedAt  time.Time // zero: it is not. Who wants it keeps it; nobody newly wants or publishes it
}

// IsTypeName reports whether a workspace's type can be called t: words with dots
// between them, as [EventTypePattern] has it, of at most [MaxEventTypeName] bytes.
func (t EventType) IsTypeName() bool {
	for word := range strings.SplitSeq(string(t), ".") {
		if word == "" || strings.ContainsFunc(word, func(r rune) bool { return !isWordRune(r) }) {
			return false
		}
	}
	return len(t) <= MaxEventTypeName
}

func isWordRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-'
}

// InCatalogue reports whether some kind of source tells of t, or Boathook does.
func (t EventType) InCatalogue() bool {
	for _, types := range EventTypes {
		if slices.Contains(types, t) {
			return true
		}
	}
	return t == EventPing || t.Own()
}
