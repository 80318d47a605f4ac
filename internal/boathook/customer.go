package boathook

import "time"

// Limits of what a customer is called and described by. An external id is a
// [IsForeignID].
const (
	MaxMetadata      = 20  // values of a customer's metadata
	MaxMetadataKey   = 100 // characters of the name of a value
	MaxMetadataValue = 500 // characters of a value
)

// CustomerSettings are what a customer has besides what every source has.
type CustomerSettings struct {
	ExternalID string            // what the workspace calls it; empty: nothing. No other customer of the workspace has it
	Metadata   map[string]string // the workspace's own notes
	UpdatedAt  time.Time
}
