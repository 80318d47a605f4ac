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

// LogLine is a line that an agent's run has printed, as its watchers are told.
type LogLine struct {
	AgentID string `json:"agent_id"`
	Level   string `json:"level"`
	Content string `json:"content"`
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
	return subscribe(ctx, c, "deliveries", map[string]func(json.RawMessage) error{
		"subscribed": func(json.RawMessage) error { subscribed(); return nil },
		"delivery":   payload(each),
	})
}

// Watch is as [Client.Listen], for the lines that the workspace's agents print. Nobody tells
// from when on they are: a line may be missed of a run that was started just after the call.
func (c *Client) Watch(ctx context.Context, each func(LogLine)) error {
	return subscribe(ctx, c, "workspace", map[string]func(json.RawMessage) error{"agent.log": payload(each)})
}

// payload reads a frame's payload for a function.
func payload[T any](each func(T)) func(json.RawMessage) error {
	return func(text json.RawMessage) error {
		var v T
		if err := json.Unmarshal(text, &v); err != nil {
			return fmt.Errorf("an announcement is not understood: %w", err)
		}
		each(v)
		return nil
	}
}

// subscribe hands the frames of one of the workspace's channels to the functions of their
// types, until the connection ends or one of them fails.
func subscribe(ctx context.Context, c *Client, channel string, frames map[string]func(json.RawMessage) error) error {
	conn, workspace, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.CloseNow() //nolint:errcheck // it has ended
	conn.SetReadLimit(maxFrame)
	if err := wsjson.Write(ctx, conn, frame{Type: "subscribe", Channel: channel + ":" + workspace}); err != nil {
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
		if f.Type == "error" {
			return fmt.Errorf("the server refuses to announce what happens on %q: %s", channel, f.Payload)
		}
		if each, ok := frames[f.Type]; ok {
			if err := each(f.Payload); err != nil {
				return err
			}
		}
	}
}

// connect opens a connection for the token's workspace, and gives that one's id.
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
	return conn, me.Workspace.ID, nil
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
