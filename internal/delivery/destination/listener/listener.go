// Package listener announces deliveries to developers' machines, which nothing reaches
// from outside: to the WebSockets that watch their workspace's deliveries.
//
// What is announced is a delivery's id. The listener fetches its headers and body from
// the API, once the attempt is recorded, and tells nothing of what it did with them: an
// attempt is a success when somebody heard of it.
package listener

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/delivery/destination"
	"boathook/internal/live"
)

// Announcer tells a workspace's listeners; [live.Announcer] is one.
type Announcer interface {
	// Announce tells how many took it. Its error has words for the delivery log.
	Announce(ctx context.Context, n live.Announcement) (taken int, err error)
}

// Destination announces messages.
type Destination struct {
	Announcer Announcer
}

// nobody is why an attempt fails that no listener heard of.
const nobody = "nobody listens: no connection has subscribed to the workspace's deliveries"

// Send implements [destination.Destination].
func (d Destination) Send(ctx context.Context, w boathook.OutgoingWebhook, m destination.Message) (r destination.Result) {
	begun := time.Now()
	taken, err := d.Announcer.Announce(ctx, live.Announcement{
		WorkspaceID: w.WorkspaceID, WebhookID: w.ID, DeliveryID: m.DeliveryID, Event: m.Event, Attempt: m.Attempt,
	})
	r.Duration = time.Since(begun)
	switch {
	case err != nil:
		r.Error = "not announced: " + err.Error()
	case taken == 0:
		r.Error = nobody
	default:
		r.Response = &boathook.Response{Status: http.StatusAccepted, Body: []byte(announced(taken))}
	}
	return r
}

// announced says how many connections took a message.
func announced(connections int) string {
	if connections == 1 {
		return "announced to 1 connection"
	}
	return fmt.Sprintf("announced to %d connections", connections)
}
