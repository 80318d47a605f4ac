package websocket_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	client "github.com/coder/websocket"

	"boathook/internal/boathook"
	"boathook/internal/live"
	"boathook/internal/live/websocket"
	"boathook/internal/live/wstoken"
	"boathook/internal/store/mem"
)

const secret = "the stack's secret of the WebSockets"

// place is the live log behind real WebSockets.
type place struct {
	*websocket.Gateway
	t      *testing.T
	store  *mem.Store
	server *httptest.Server
}

func newPlace(t *testing.T, authTimeout time.Duration) *place {
	t.Helper()
	p := &place{t: t, store: mem.New(mem.Config{Retention: time.Hour}), Gateway: websocket.New(authTimeout, slog.New(slog.DiscardHandler))}
	liveLog := &live.Log{
		Store: p.store, Sockets: p.Gateway, Now: time.Now,
		Secret: func(context.Context) (string, error) { return secret, nil },
	}
	p.server = httptest.NewServer(p.Handler(liveLog))
	t.Cleanup(func() {
		p.server.Close()
		p.Shutdown()
	})
	return p
}

func (p *place) url(token string) string {
	return strings.Replace(p.server.URL, "http", "ws", 1) + "/ws?token=" + token
}

// dial opens a connection that no test waits for longer than 20 s.
func (p *place) dial(token string) *client.Conn {
	p.t.Helper()
	conn, _, err := client.Dial(p.t.Context(), p.url(token), nil)
	must(p.t, err)
	conn.SetReadLimit(1 << 20)
	p.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// watch opens a connection that watches ws_a by the time this returns.
func (p *place) watch() *client.Conn {
	p.t.Helper()
	conn := p.dial(wstoken.New(secret, wstoken.Bearer{WorkspaceID: "ws_a"}, time.Now()))
	send(p.t, conn, `{"type":"subscribe","channel":"workspace:ws_a"}`)
	send(p.t, conn, `{"type":"ping"}`)
	if got := receive(p.t, conn); got != `{"type":"pong","payload":null}` {
		p.t.Fatalf("a ping is answered %s", got)
	}
	return conn
}

// watchers are the connections that watch ws_a.
func (p *place) watchers() (ids []string) {
	p.t.Helper()
	watchers, err := p.store.Watchers(p.t.Context(), "ws_a", boathook.LogChannel)
	must(p.t, err)
	for _, w := range watchers {
		ids = append(ids, w.ID)
	}
	return ids
}

func send(t *testing.T, conn *client.Conn, text string) {
	t.Helper()
	must(t, conn.Write(t.Context(), client.MessageText, []byte(text)))
}

func receive(t *testing.T, conn *client.Conn) string {
	t.Helper()
	_, text, err := conn.Read(t.Context())
	must(t, err)
	return string(text)
}

// ended is the code that a connection was closed with; no frame may come
// before.
func ended(t *testing.T, conn *client.Conn) client.StatusCode {
	t.Helper()
	_, text, err := conn.Read(t.Context())
	if err == nil {
		t.Fatalf("it got %s", text)
	}
	return client.CloseStatus(err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAWatcherGetsItsFramesInOrder(t *testing.T) {
	p := newPlace(t, time.Minute)
	conn := p.watch()
	for i := range 1000 {
		must(t, p.Post(t.Context(), p.watchers()[0], fmt.Append(nil, i)))
	}
	for i := range 1000 {
		if got := receive(t, conn); got != fmt.Sprint(i) {
			t.Fatalf("frame %d is %s", i, got)
		}
	}
}

func TestABadTokenIsRefusedBeforeTheHandshake(t *testing.T) {
	p := newPlace(t, time.Minute)
	_, res, err := client.Dial(t.Context(), p.url("nonsense"), nil)
	if err == nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("%v, %v", res, err)
	}
}

func TestAPlainRequestLeavesNoConnection(t *testing.T) {
	p := newPlace(t, time.Minute)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.server.URL, nil)
	must(t, err)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("answered %d", res.StatusCode)
	}
}

func TestAFrameThatIsTooLargeEndsTheConnection(t *testing.T) {
	p := newPlace(t, time.Minute)
	conn := p.watch()
	send(t, conn, strings.Repeat("x", 33<<10))
	if code := ended(t, conn); code != client.StatusMessageTooBig {
		t.Errorf("closed with %d", code)
	}
}

func TestWhatDoesNotAuthenticateInTimeIsClosed(t *testing.T) {
	p := newPlace(t, 50*time.Millisecond)
	silent, spoke := p.dial(""), p.watch()
	if code := ended(t, silent); code != client.StatusPolicyViolation {
		t.Errorf("closed with %d", code)
	}
	send(t, spoke, `{"type":"ping"}`)
	receive(t, spoke)
}

func TestAClientLearnsWhyItIsClosed(t *testing.T) {
	p := newPlace(t, time.Minute)
	conn := p.dial("")
	send(t, conn, `{"type":"auth","token":"nonsense"}`)
	if got := receive(t, conn); got != `{"type":"error","payload":{"error":"unauthorized","message":"unauthorized"}}` {
		t.Errorf("it got %s", got)
	}
	if code := ended(t, conn); code != client.StatusPolicyViolation {
		t.Errorf("closed with %d", code)
	}
}

func TestAClientThatGoesIsForgotten(t *testing.T) {
	p := newPlace(t, time.Minute)
	conn := p.watch()
	id := p.watchers()[0]
	must(t, conn.Close(client.StatusNormalClosure, ""))
	p.server.Close()
	p.Shutdown() // waits for what is left of the connection
	if w := p.watchers(); len(w) != 0 {
		t.Errorf("watchers %v", w)
	}
	if err := p.Post(t.Context(), id, []byte("late")); !boathook.IsKind(err, boathook.NotFound) {
		t.Errorf("a post: %v", err)
	}
	must(t, p.Close(t.Context(), id))
}

func TestAWatcherThatNeverReadsIsDroppedAndHoldsNobodyUp(t *testing.T) {
	p := newPlace(t, time.Minute)
	p.watch()
	idle := p.watchers()[0]
	reader := p.watch()
	reading := p.watchers()
	reading = slices.DeleteFunc(reading, func(id string) bool { return id == idle })

	frame := []byte(strings.Repeat("x", 30<<10))
	start, posted := time.Now(), 0
	for ; posted < 10_000; posted++ {
		must(t, p.Post(t.Context(), reading[0], frame))
		if len(receive(t, reader)) != len(frame) {
			t.Fatal("the reader got another frame")
		}
		if err := p.Post(t.Context(), idle, frame); boathook.IsKind(err, boathook.NotFound) {
			break
		}
	}
	if posted == 10_000 {
		t.Error("a client that never reads is not dropped")
	}
	t.Logf("dropped after %d KiB and %s", posted*len(frame)>>10, time.Since(start))
}

func TestShutdownSaysGoodbye(t *testing.T) {
	p := newPlace(t, time.Minute)
	conn := p.watch()
	p.server.Close()
	over := make(chan struct{})
	go func() {
		defer close(over)
		p.Shutdown()
	}()
	if code := ended(t, conn); code != client.StatusGoingAway {
		t.Errorf("closed with %d", code)
	}
	<-over
}

func TestAThousandWatchers(t *testing.T) {
	p := newPlace(t, time.Minute)
	conns := make([]*client.Conn, 1000)
	for i := range conns {
		conns[i] = p.watch()
	}
	broadcast := live.NewBroadcast(p.store, p, time.Now, slog.New(slog.DiscardHandler))
	run := boathook.RunHead{ID: "run_a", WorkspaceID: "ws_a", SourceID: "agent_a"}
	const flushes = 20
	for i := range flushes {
		broadcast.Lines(t.Context(), run, []boathook.LogLine{{Time: time.Now(), Stream: "stdout", Text: fmt.Sprint("line ", i)}})
	}
	var reading sync.WaitGroup
	for _, conn := range conns {
		reading.Go(func() {
			for i := range flushes {
				_, got, err := conn.Read(t.Context())
				if err != nil || !strings.Contains(string(got), fmt.Sprintf(`"content":"line %d"`, i)) {
					t.Errorf("frame %d is %s, %v", i, got, err)
					return
				}
			}
		})
	}
	reading.Wait()
}
