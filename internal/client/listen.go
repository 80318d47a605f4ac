package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

const (
	// pingEvery is how often a connection is asked whether it is alive. API Gateway ends
	// one that is silent for ten minutes.
	pingEvery = time.Minute
	// silence is how long a connection may say nothing before it counts as dead.
	silence = 90 * time.Second
	// maxFrame is more than any frame has: they end at 32 KiB.
	maxFrame = 64 << 10
)

// Announcement tells that a delivery of a webhook that listens has been tried. What was
// sent is read by [Client.Delivery], once its attempt is recorded.
type Announcement struct {
	DeliveryID string `json:"delivery_id"`
	WebhookID  string `json:"webhook_id"`
	Attempt    int    `json:"attempt"`
}

// frame is one of the WebSocket, in either direction.
type frame struct {
	Type    string          `json:"type"`
	Channel string          `json:"channel,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// Listen connects to the server's WebSocket and calls each for what it announces of the
// workspace's deliveries, until the connection ends, which is an error. It calls subscribed
// once all that is tried from then on is announced.
func (c *Client) Listen(ctx context.Context, subscribed func(), each func(Announcement)) error {
	conn, channel, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.CloseNow() //nolint:errcheck // it has ended
	conn.SetReadLimit(maxFrame)
	if err := wsjson.Write(ctx, conn, frame{Type: "subscribe", Channel: channel}); err != nil {
		return unreachable(ctx, err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go keepAlive(ctx, conn)
	for {
		f, err := read(ctx, conn)
		if err != nil {
			return unreachable(ctx, err)
		}
		switch f.Type {
		case "subscribed":
			subscribed()
		case "delivery":
			var a Announcement
			if err := json.Unmarshal(f.Payload, &a); err != nil {
				return fmt.Errorf("an announcement is not understood: %w", err)
			}
			each(a)
		case "error":
			return fmt.Errorf("the server refuses to announce deliveries: %s", f.Payload)
		}
	}
}

// connect opens a connection for the token's workspace, and names the channel of its
// deliveries.
func (c *Client) connect(ctx context.Context) (*websocket.Conn, string, error) {
	me, err := c.Me(ctx)
	if err != nil {
		return nil, "", err
	}
	opens, err := get[struct {
		Token string `json:"token"`
	}](ctx, c, "/api/v1/ws-token")
	if err != nil {
		return nil, "", err
	}
	conn, _, err := websocket.Dial(ctx, me.WebSocketURL+"?token="+url.QueryEscape(opens.Token), &websocket.DialOptions{HTTPClient: c.plain}) //nolint:bodyclose // the library does
	if err != nil {
		return nil, "", unreachable(ctx, fmt.Errorf("the WebSocket does not open: %w", withoutURL(err)))
	}
	return conn, "deliveries:" + me.Workspace.ID, nil
}

// read waits for the next frame.
func read(ctx context.Context, conn *websocket.Conn) (f frame, err error) {
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	err = wsjson.Read(ctx, conn, &f)
	return f, err
}

// keepAlive has the server answer once in a while.
func keepAlive(ctx context.Context, conn *websocket.Conn) {
	t := time.NewTicker(pingEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if wsjson.Write(ctx, conn, frame{Type: "ping"}) != nil {
				return // read finds out
			}
		}
	}
}
