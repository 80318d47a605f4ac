// Package live serves the live log: who is connected to the
// WebSocket, what they may watch, and what they see of the agents' runs and of
// deliveries.
//
// A connection authenticates with a short-lived token (package wstoken), in its
// URL or in its first frame, and subscribes to its workspace's channels. Each gets
// it frames of one kind: the lines that the workspace's agents print
// ([Broadcast]), or the deliveries that are for listeners ([Announcer]).
// It keeps nothing in memory, since on AWS each frame may meet another
// process: connections are in the store, and the sockets themselves are held by
// a gateway ([Sockets]).
//
// API Gateway may hand over two frames of one connection at once. A client that
// authenticates with a frame should await an answer, such as a ping's, before it
// subscribes; or give the token in the URL.
package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
	"boathook/internal/live/wstoken"
	"boathook/internal/store"
)

// AuthTimeout is how long a connection may be open without a token. Where
// nobody watches the clock it is closed by [Log.CloseUnauthenticated], when
// sweep finds that it is due, or at its next frame.
const AuthTimeout = 10 * time.Second

// maxMessage is the longest frame that a client may send, in bytes: a token and
// a few words.
const maxMessage = 4 << 10

// Sockets are the open WebSockets, held by a gateway.
type Sockets interface {
	// Post sends one text frame. NotFound: the connection is gone.
	Post(ctx context.Context, id string, frame []byte) error
	// Close ends a connection. One that is gone is no error.
	Close(ctx context.Context, id string) error
}

// Store is the part of the store that the log needs.
type Store interface {
	PutConnection(ctx context.Context, c boathook.Connection) error
	Connection(ctx context.Context, id string) (boathook.Connection, error)
	DeleteConnection(ctx context.Context, c boathook.Connection) error
	Watch(ctx context.Context, c boathook.Connection, ch boathook.Channel) error
	Unwatch(ctx context.Context, c boathook.Connection, ch boathook.Channel) error
	WatchersBy(ctx context.Context, workspaceID, tokenID string) ([]boathook.Connection, error)
	Token(ctx context.Context, workspaceID, id string) (boathook.Token, error)
	PutDue(ctx context.Context, d store.Due) error
}

// Log is what the gateway tells of its connections. All fields are required;
// without Secret, only [Log.CloseUnauthenticated] and [Log.CloseWatchers] work.
type Log struct {
	Store   Store
	Sockets Sockets
	// Secret gives the secret that signs tokens, never empty. It is called
	// at each authentication, so it should keep what it has read.
	Secret func(context.Context) (string, error)
	Now    func() time.Time
}

// Connect takes a new connection with the token of its URL, or without one. No
// frame may be posted to it before Connect has returned. Unauthorized: the
// token is not good, and the connection must not be opened.
func (r *Log) Connect(ctx context.Context, id, token string) error {
	c := boathook.Connection{ID: id, ConnectedAt: r.Now()}
	var err error
	if token != "" {
		var b wstoken.Bearer
		b, err = r.verify(ctx, token)
		c.WorkspaceID, c.TokenID = b.WorkspaceID, b.TokenID
	} else {
		err = r.Store.PutDue(ctx, store.Due{At: c.ConnectedAt.Add(AuthTimeout), ID: id, Kind: store.DueConnection})
	}
	if err != nil {
		return err
	}
	return r.Store.PutConnection(ctx, c)
}

func (r *Log) verify(ctx context.Context, token string) (wstoken.Bearer, error) {
	secret, err := r.Secret(ctx)
	if err != nil {
		return wstoken.Bearer{}, err
	}
	b, err := wstoken.Verify(secret, token, r.Now())
	if err != nil {
		return wstoken.Bearer{}, err
	}
	return b, r.checkToken(ctx, b.WorkspaceID, b.TokenID)
}

var errRevoked = boathook.Errorf(boathook.Unauthorized, "the API token that this one was made with is gone")

// checkToken refuses an API token that was deleted. The stack's own, which has no
// id, is in no store.
func (r *Log) checkToken(ctx context.Context, workspaceID, id string) error {
	if id == "" {
		return nil
	}
	_, err := r.Store.Token(ctx, workspaceID, id)
	if boathook.IsKind(err, boathook.NotFound) {
		return errRevoked
	}
	return err
}

// message is a client's frame.
type message struct {
	Type    string `json:"type"`
	Token   string `json:"token"`   // of "auth"
	Channel string `json:"channel"` // of "subscribe" and "unsubscribe"
}

// What a client did wrong.
const (
	tooLarge         = "message too large"
	notJSON          = "message is not a JSON object"
	unknownType      = "unknown message type"
	unauthorized     = "unauthorized"
	notAuthenticated = "not authenticated"
	accessDenied     = "access denied"
)

// Receive takes a client's frame, and answers it where an answer is due. What a
// client does wrong is answered, and ends a connection that has not
// authenticated; an error is the store's or the gateway's failure. The checks stand in
// one switch, since their order is what keeps a stranger out.
func (r *Log) Receive(ctx context.Context, id string, text []byte) error {
	var m message
	wrong := ""
	if len(text) > maxMessage {
		wrong = tooLarge
	} else if json.Unmarshal(text, &m) != nil {
		wrong = notJSON
	}
	if m.Type == "ping" { // the most frequent frame by far, and the same for everyone: it needs no look-up
		return r.reply(ctx, id, frame{Type: "pong"})
	}

	c, err := r.Store.Connection(ctx, id)
	if boathook.IsKind(err, boathook.NotFound) {
		return r.Sockets.Close(ctx, id)
	}
	if err != nil {
		return err
	}
	authenticated := c.WorkspaceID != ""
	channel, ok := channelOf(c, m.Channel)
	switch {
	case !authenticated && !r.Now().Before(c.ConnectedAt.Add(AuthTimeout)):
		return r.end(ctx, c)
	case wrong != "" && !authenticated:
		return r.refuse(ctx, c, wrong)
	case wrong != "":
		return r.reply(ctx, id, errorFrame("", wrong))
	case m.Type == "auth":
		return r.authenticate(ctx, c, m.Token)
	case !authenticated:
		return r.reply(ctx, id, errorFrame(m.Channel, notAuthenticated))
	case m.Type != "subscribe" && m.Type != "unsubscribe":
		return r.reply(ctx, id, errorFrame("", unknownType))
	case !ok:
		return r.reply(ctx, id, errorFrame(m.Channel, accessDenied))
	case m.Type == "subscribe":
		return r.watch(ctx, c, channel)
	default: // a run that is under way may show its lines for as long as [lookUpEvery]
		return r.Store.Unwatch(ctx, c, channel)
	}
}

// channelOf finds the channel of its own workspace that a connection calls by a name.
func channelOf(c boathook.Connection, name string) (ch boathook.Channel, ok bool) {
	i := slices.IndexFunc(boathook.Channels, func(ch boathook.Channel) bool { return name == ch.Of(c.WorkspaceID) })
	if i < 0 {
		return "", false
	}
	return boathook.Channels[i], true
}

// watch makes the connection a channel's watcher if its API token is still there, which is
// looked up twice. Before: who has none must not see a single line. After: whoever
// deletes the token looks for watchers afterwards, so one that was deleted
// meanwhile is found by one of the two.
//
// A watcher of deliveries is told that it is one: what it missed before it has to
// fetch. Crewship's clients know no such frame, and are not sent it.
func (r *Log) watch(ctx context.Context, c boathook.Connection, ch boathook.Channel) error {
	err := r.checkToken(ctx, c.WorkspaceID, c.TokenID)
	if err == nil {
		if err := r.Store.Watch(ctx, c, ch); err != nil {
			return err
		}
		err = r.checkToken(ctx, c.WorkspaceID, c.TokenID)
	}
	switch {
	case boathook.IsKind(err, boathook.Unauthorized):
		return r.refuse(ctx, c, unauthorized)
	case err != nil: // nobody may watch whose token is not known to be good
		return errors.Join(err, r.end(ctx, c))
	case ch == boathook.DeliveriesChannel:
		return r.reply(ctx, c.ID, frame{Type: "subscribed", Channel: ch.Of(c.WorkspaceID)})
	}
	return nil
}

// CloseWatchers ends the connections that watch a workspace by an API token that
// was deleted. It may be repeated.
func (r *Log) CloseWatchers(ctx context.Context, workspaceID, tokenID string) error {
	watchers, err := r.Store.WatchersBy(ctx, workspaceID, tokenID)
	if err != nil {
		return err
	}
	var ends errgroup.Group
	ends.SetLimit(postsAtOnce)
	for _, c := range watchers {
		ends.Go(func() error { return r.end(ctx, c) })
	}
	return ends.Wait()
}

// authenticate makes the connection its token's workspace's, for good.
func (r *Log) authenticate(ctx context.Context, c boathook.Connection, token string) error {
	b, err := r.verify(ctx, token)
	switch {
	case boathook.IsKind(err, boathook.Unauthorized) && c.WorkspaceID == "":
		return r.refuse(ctx, c, unauthorized)
	case boathook.IsKind(err, boathook.Unauthorized):
		return r.reply(ctx, c.ID, errorFrame("", unauthorized))
	case err != nil:
		return err
	case c.WorkspaceID == b.WorkspaceID:
		return nil
	case c.WorkspaceID != "":
		return r.reply(ctx, c.ID, errorFrame("", accessDenied))
	}
	c.WorkspaceID, c.TokenID = b.WorkspaceID, b.TokenID
	return r.Store.PutConnection(ctx, c)
}

// Disconnect forgets a connection that has ended.
func (r *Log) Disconnect(ctx context.Context, id string) error {
	c, err := r.Store.Connection(ctx, id)
	if boathook.IsKind(err, boathook.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return r.Store.DeleteConnection(ctx, c)
}

// CloseUnauthenticated ends a connection that is still open without a token.
func (r *Log) CloseUnauthenticated(ctx context.Context, id string) error {
	c, err := r.Store.Connection(ctx, id)
	if boathook.IsKind(err, boathook.NotFound) || err == nil && c.WorkspaceID != "" {
		return nil
	}
	if err != nil {
		return err
	}
	return r.end(ctx, c)
}

// refuse tells a client why its connection ends. It ends even if it can't be told.
func (r *Log) refuse(ctx context.Context, c boathook.Connection, why string) error {
	return errors.Join(r.reply(ctx, c.ID, errorFrame("", why)), r.end(ctx, c))
}

func (r *Log) end(ctx context.Context, c boathook.Connection) error {
	if err := r.Sockets.Close(ctx, c.ID); err != nil {
		return err
	}
	return r.Store.DeleteConnection(ctx, c)
}

// reply sends a frame to a client, which may have gone meanwhile.
func (r *Log) reply(ctx context.Context, id string, f frame) error {
	text, err := f.encode()
	if err != nil {
		return err
	}
	if err := r.Sockets.Post(ctx, id, text); err != nil && !boathook.IsKind(err, boathook.NotFound) {
		return fmt.Errorf("answer connection %s: %w", id, err)
	}
	return nil
}
