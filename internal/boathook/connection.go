package boathook

import "time"

// Connection is an open WebSocket.
type Connection struct {
	ID          string // the gateway's
	WorkspaceID string // whose token it has shown; empty until then
	TokenID     string // the API token behind that; empty if it is the stack's own
	ConnectedAt time.Time
}

// Channel is what a connection can watch of its workspace.
type Channel string

// The channels. A connection watches any of them.
const (
	LogChannel        Channel = "workspace"  // the lines that agents print
	DeliveriesChannel Channel = "deliveries" // the deliveries of webhooks whose destination is a listener
)

// Channels are all of them.
var Channels = []Channel{LogChannel, DeliveriesChannel}

// Of is how clients call the channel of a workspace.
func (c Channel) Of(workspaceID string) string { return string(c) + ":" + workspaceID }

// MaxConnection is how long a WebSocket lives at most: API Gateway ends it
// then.
const MaxConnection = 2 * time.Hour

// ExpiresAt is when the connection has ended, whatever was heard of it.
func (c Connection) ExpiresAt() time.Time { return c.ConnectedAt.Add(MaxConnection) }
