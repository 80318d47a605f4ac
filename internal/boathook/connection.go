package boathook

import "time"

// Connection is an open WebSocket.
type Connection struct {
	ID          string // the gateway's
	WorkspaceID string // whose token it has shown; empty until then
	TokenID     string // the API token behind that; empty if it is the stack's own
	ConnectedAt time.Time
}

// MaxConnection is how long a WebSocket lives at most: API Gateway ends it
// then.
const MaxConnection = 2 * time.Hour

// ExpiresAt is when the connection has ended, whatever was heard of it.
func (c Connection) ExpiresAt() time.Time { return c.ConnectedAt.Add(MaxConnection) }
