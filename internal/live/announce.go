package live

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
)

// Announcer tells those who watch a workspace's deliveries of each that is made. It
// asks the store each time, so that who has just subscribed misses none: it is for
// developers' machines, not for traffic.
type Announcer struct {
	Store   WatcherStore
	Sockets Sockets
	Log     *slog.Logger
}

// Announcement is one attempt of a delivery. It is without the body, which a frame may
// have no room for: clients fetch the delivery by its id.
type Announcement struct {
	WorkspaceID string
	DeliveryID  boathook.DeliveryID
	WebhookID   string
	Event       boathook.EventType
	Attempt     int
}

// deliveryPayload is the payload of a "delivery".
type deliveryPayload struct {
	DeliveryID string             `json:"delivery_id"`
	WebhookID  string             `json:"webhook_id"`
	Event      boathook.EventType `json:"event"`
	Attempt    int                `json:"attempt"`
}

// What an [Announcer] fails with. The cause is in its log only, since it may name what
// is the operator's.
var (
	ErrNoLookUp    = errors.New("who listens can't be looked up")
	ErrUnreachable = errors.New("nobody who listens can be reached")
)

// Announce tells how many connections took an announcement. Those that are gone are
// removed. It is an error if there were others, and none of them took it.
func (a *Announcer) Announce(ctx context.Context, n Announcement) (taken int, err error) {
	watchers, err := a.Store.Watchers(ctx, n.WorkspaceID, boathook.DeliveriesChannel)
	if err != nil {
		a.Log.WarnContext(ctx, "listeners not looked up", "delivery_id", n.DeliveryID, "error", err)
		return 0, ErrNoLookUp
	}
	text, err := frame{Type: "delivery", Channel: boathook.DeliveriesChannel.Of(n.WorkspaceID), Payload: deliveryPayload{
		DeliveryID: n.DeliveryID.String(), WebhookID: n.WebhookID, Event: n.Event, Attempt: n.Attempt,
	}}.encode()
	if err != nil {
		return 0, err
	}
	var took, failed atomic.Int64
	var posts errgroup.Group
	posts.SetLimit(postsAtOnce)
	for _, w := range watchers {
		posts.Go(func() error {
			ok, err := post(ctx, a.Store, a.Sockets, w, text)
			if ok {
				took.Add(1)
			}
			if err != nil {
				failed.Add(1)
				a.Log.WarnContext(ctx, "listener not reached", "delivery_id", n.DeliveryID, "connection_id", w.ID, "error", err)
			}
			return nil
		})
	}
	_ = posts.Wait() // a listener's failure is its own
	if took.Load() == 0 && failed.Load() > 0 {
		return 0, ErrUnreachable
	}
	return int(took.Load()), nil
}
