// Package websocket holds the live log's connections as real WebSockets, for one
// machine: what API Gateway does on AWS. It keeps API Gateway's limits, so that
// a client that works here works there.
package websocket

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"boathook/internal/boathook"
)

const (
	// maxFrame is the longest frame that a client may send, in bytes. A longer
	// one ends the connection with the code 1009.
	maxFrame = 32 << 10
	// maxUnread is how many bytes wait for a client that does not read. Then it
	// is dropped.
	maxUnread = 4 << 20
	// writeTimeout is how long one frame may take to be written.
	writeTimeout = 10 * time.Second
)

// Service is told of connections; package live has it.
type Service interface {
	Connect(ctx context.Context, id, token string) error
	Receive(ctx context.Context, id string, frame []byte) error
	Disconnect(ctx context.Context, id string) error
	CloseUnauthenticated(ctx context.Context, id string) error
}

// Gateway holds connections. Make it with [New].
type Gateway struct {
	authTimeout time.Duration
	log         *slog.Logger

	serving sync.WaitGroup // requests and the connections that they became

	mu      sync.Mutex
	sockets map[string]*socket
	over    bool // no connection may be opened any more
}

// New makes a Gateway that asks its service to close what has not authenticated
// after authTimeout.
func New(authTimeout time.Duration, log *slog.Logger) *Gateway {
	return &Gateway{authTimeout: authTimeout, log: log, sockets: make(map[string]*socket)}
}

// socket is one connection, with the frames that wait for its client.
type socket struct {
	conn *websocket.Conn
	drop context.CancelFunc // ends it at once

	mu     sync.Mutex
	unread [][]byte
	size   int
	ending websocket.StatusCode // 0 until nothing may be posted any more

	more chan struct{} // holds a token while there is something to write, or it is ending
}

// Handler opens connections for a service. The token is in the query.
func (g *Gateway) Handler(service Service) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.serving.Add(1)
		defer g.serving.Done()
		// The connection outlives what its request's context is for.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), boathook.MaxConnection)
		defer cancel()
		id := boathook.NewID("conn")
		err := service.Connect(ctx, id, r.URL.Query().Get("token"))
		if e, ok := errors.AsType[*boathook.Error](err); ok {
			http.Error(w, e.Message, e.Kind.Status())
			return
		}
		if err != nil {
			g.log.ErrorContext(ctx, "connection failed", "connection_id", id, "error", err)
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
		defer func() {
			if err := service.Disconnect(context.WithoutCancel(ctx), id); err != nil {
				g.log.ErrorContext(ctx, "disconnect failed", "connection_id", id, "error", err)
			}
		}()
		// Any page may connect, as to API Gateway: a token is needed, which no
		// browser sends by itself.
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return // Accept has answered
		}
		conn.SetReadLimit(maxFrame)
		g.serve(ctx, cancel, id, conn, service)
	})
}

// serve passes on a client's frames until its connection ends.
func (g *Gateway) serve(ctx context.Context, cancel context.CancelFunc, id string, conn *websocket.Conn, service Service) {
	s := &socket{conn: conn, drop: cancel, more: make(chan struct{}, 1)}
	g.mu.Lock()
	g.sockets[id] = s
	if g.over {
		s.end(websocket.StatusGoingAway)
	}
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		delete(g.sockets, id)
		g.mu.Unlock()
	}()

	var writing sync.WaitGroup
	writing.Go(func() {
		defer cancel()
		s.write(ctx)
	})
	defer writing.Wait()
	defer cancel()
	defer time.AfterFunc(g.authTimeout, func() {
		if err := service.CloseUnauthenticated(ctx, id); err != nil {
			g.log.ErrorContext(ctx, "connection not looked after", "connection_id", id, "error", err)
		}
	}).Stop()

	for {
		_, frame, err := conn.Read(ctx)
		if err != nil {
			return
		}
		if err := service.Receive(ctx, id, frame); err != nil {
			g.log.ErrorContext(ctx, "frame failed", "connection_id", id, "error", err)
		}
	}
}

// write sends what waits until the connection ends.
func (s *socket) write(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			_ = s.conn.CloseNow() // it has ended, or must
			return
		case <-s.more:
		}
		frames, ending := s.take()
		for _, f := range frames {
			if !s.writeFrame(ctx, f) {
				return
			}
		}
		if ending != 0 {
			_ = s.conn.Close(ending, "") // a client that does not answer is gone all the same
			return
		}
	}
}

func (s *socket) writeFrame(ctx context.Context, frame []byte) bool {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageText, frame) == nil // it ends the connection when it fails
}

func (s *socket) take() (frames [][]byte, ending websocket.StatusCode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	frames, s.unread, s.size = s.unread, nil, 0
	return frames, s.ending
}

// end has the connection closed after what waits for its client.
func (s *socket) end(status websocket.StatusCode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ending = status
	s.signal()
}

func (s *socket) signal() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

func (g *Gateway) socket(id string) *socket {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sockets[id]
}

// Post leaves a frame for a client, and never waits for it. NotFound: the
// connection is gone, or goes now since its client does not read.
func (g *Gateway) Post(_ context.Context, id string, frame []byte) error {
	s := g.socket(id)
	if s == nil {
		return errGone
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending != 0 {
		return errGone
	}
	if s.size+len(frame) > maxUnread {
		s.ending = websocket.StatusPolicyViolation
		s.drop()
		return errGone
	}
	s.unread = append(s.unread, frame)
	s.size += len(frame)
	s.signal()
	return nil
}

var errGone = boathook.Errorf(boathook.NotFound, "the connection is gone")

// Close ends a connection after the frames that wait for its client.
func (g *Gateway) Close(_ context.Context, id string) error {
	if s := g.socket(id); s != nil {
		s.end(websocket.StatusPolicyViolation)
	}
	return nil
}

// Shutdown closes all connections, and returns when none is left. The HTTP
// server must be shut down before.
func (g *Gateway) Shutdown() {
	g.mu.Lock()
	g.over = true
	for _, s := range g.sockets {
		s.end(websocket.StatusGoingAway)
	}
	g.mu.Unlock()
	g.serving.Wait()
}
