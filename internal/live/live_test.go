package live_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/live"
	"boathook/internal/live/wstoken"
	"boathook/internal/store"
	"boathook/internal/store/mem"
)

const secret = "the stack's secret of the WebSockets"

// sockets remember what was posted and closed; before each post they ask fail,
// if that is set.
type sockets struct {
	fail     func(ctx context.Context, id string) error
	closeErr map[string]error // of connections that can't be closed

	mu     sync.Mutex
	posts  map[string][]string
	closed map[string]bool
}

func newSockets() *sockets {
	return &sockets{posts: make(map[string][]string), closed: make(map[string]bool)}
}

func (s *sockets) Post(ctx context.Context, id string, frame []byte) error {
	if s.fail != nil {
		if err := s.fail(ctx, id); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posts[id] = append(s.posts[id], string(frame))
	return nil
}

func (s *sockets) Close(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.closeErr[id]; err != nil {
		return err
	}
	s.closed[id] = true
	return nil
}

// place is the live log with what is around it.
type place struct {
	*live.Log
	*sockets
	t     *testing.T
	store *mem.Store
	now   time.Time
}

func newPlace(t *testing.T) *place {
	p := &place{t: t, sockets: newSockets(), now: time.Date(2026, 11, 21, 18, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return p.now }
	p.store = mem.New(mem.Config{Retention: time.Hour, Now: clock})
	p.Log = &live.Log{
		Store: p.store, Sockets: p.sockets, Now: clock,
		Secret: func(context.Context) (string, error) { return secret, nil },
	}
	return p
}

// token is one that the stack's own admin has made.
func (p *place) token(workspaceID string) string {
	return wstoken.New(secret, wstoken.Bearer{WorkspaceID: workspaceID}, p.now)
}

// tokenBy is one that was made with an API token.
func (p *place) tokenBy(tokenID string) string {
	return wstoken.New(secret, wstoken.Bearer{WorkspaceID: "ws_a", TokenID: tokenID}, p.now)
}

// makeTokens stores API tokens of ws_a.
func (p *place) makeTokens(ids ...string) {
	p.t.Helper()
	for _, id := range ids {
		must(p.t, p.store.PutToken(p.t.Context(), boathook.Token{ID: id, WorkspaceID: "ws_a", Hash: boathook.HashToken(id), Role: boathook.Viewer}))
	}
}

// deleteToken deletes an API token of ws_a as the API does.
func (p *place) deleteToken(id string) {
	p.t.Helper()
	must(p.t, p.store.DeleteToken(p.t.Context(), "ws_a", id))
	for range 2 { // it may be repeated
		must(p.t, p.CloseWatchers(p.t.Context(), "ws_a", id))
	}
}

// send hands over a connection's frames, in turn.
func (p *place) send(id string, frames ...string) {
	p.t.Helper()
	for _, f := range frames {
		must(p.t, p.Receive(p.t.Context(), id, []byte(f)))
	}
}

// wantWatchers checks who watches a workspace, by connection ids.
func (p *place) wantWatchers(workspaceID string, want ...string) {
	p.t.Helper()
	watchers, err := p.store.Watchers(p.t.Context(), workspaceID, boathook.LogChannel)
	must(p.t, err)
	var got []string
	for _, w := range watchers {
		got = append(got, w.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		p.t.Errorf("watchers of %s (-want +got):\n%s", workspaceID, diff)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func auth(token string) string { return `{"type":"auth","token":"` + token + `"}` }

const (
	subscribe   = `{"type":"subscribe","channel":"workspace:ws_a"}`
	unsubscribe = `{"type":"unsubscribe","channel":"workspace:ws_a"}`
	ping        = `{"type":"ping"}`
	pong        = `{"type":"pong","payload":null}`
)

func TestAFrameIsAnsweredOrEndsTheConnection(t *testing.T) {
	p := newPlace(t)
	good, other := p.token("ws_a"), p.token("ws_b")
	for name, tt := range map[string]struct {
		token   string   // of the URL
		frames  []string // in turn
		want    []string // the answers to all of them
		closed  bool
		watches bool
	}{
		"the token in the URL": {token: good, frames: []string{subscribe}, watches: true},
		"the token in a frame": {frames: []string{auth(good), subscribe}, watches: true},
		"both":                 {token: good, frames: []string{auth(good), subscribe}, watches: true},
		"subscribing twice":    {token: good, frames: []string{subscribe, subscribe}, watches: true},
		"a token and no more":  {token: good},
		"a ping":               {token: good, frames: []string{ping}, want: []string{pong}},
		"a ping before authentication": {
			frames: []string{ping, auth(good), subscribe}, want: []string{pong}, watches: true,
		},
		"a field that is not known": {token: good, frames: []string{`{"id":7,"type":"ping","payload":{}}`}, want: []string{pong}},
		"another workspace's channel": {
			frames: []string{auth(other), subscribe},
			want:   []string{`{"type":"error","channel":"workspace:ws_a","payload":{"error":"access denied","message":"access denied"}}`},
		},
		"another channel": {
			token: good, frames: []string{`{"type":"subscribe","channel":"agent:ws_a"}`},
			want: []string{`{"type":"error","channel":"agent:ws_a","payload":{"error":"access denied","message":"access denied"}}`},
		},
		"no channel": {
			token: good, frames: []string{`{"type":"subscribe"}`},
			want: []string{`{"type":"error","payload":{"error":"access denied","message":"access denied"}}`},
		},
		"unsubscribing":              {token: good, frames: []string{subscribe, unsubscribe}},
		"unsubscribing from nothing": {token: good, frames: []string{unsubscribe, subscribe}, watches: true},
		"unsubscribing from another's": {
			frames: []string{auth(other), unsubscribe},
			want:   []string{`{"type":"error","channel":"workspace:ws_a","payload":{"error":"access denied","message":"access denied"}}`},
		},
		"unsubscribing before authentication": {
			frames: []string{unsubscribe, auth(good), subscribe},
			want:   []string{`{"type":"error","channel":"workspace:ws_a","payload":{"error":"not authenticated","message":"not authenticated"}}`}, watches: true,
		},
		"subscribing before authentication": {
			frames: []string{subscribe, auth(good), subscribe},
			want:   []string{`{"type":"error","channel":"workspace:ws_a","payload":{"error":"not authenticated","message":"not authenticated"}}`}, watches: true,
		},
		"a bad token": {
			frames: []string{auth("nonsense")},
			want:   []string{`{"type":"error","payload":{"error":"unauthorized","message":"unauthorized"}}`}, closed: true,
		},
		"a bad token after a good one": {
			token: good, frames: []string{auth("nonsense"), subscribe},
			want: []string{`{"type":"error","payload":{"error":"unauthorized","message":"unauthorized"}}`}, watches: true,
		},
		"another workspace's token after the first": {
			token: good, frames: []string{auth(other), subscribe},
			want: []string{`{"type":"error","payload":{"error":"access denied","message":"access denied"}}`}, watches: true,
		},
		"not JSON": {
			token: good, frames: []string{"hello", subscribe},
			want: []string{`{"type":"error","payload":{"error":"message is not a JSON object","message":"message is not a JSON object"}}`}, watches: true,
		},
		"JSON that is no object": {
			token: good, frames: []string{`["subscribe"]`},
			want: []string{`{"type":"error","payload":{"error":"message is not a JSON object","message":"message is not a JSON object"}}`},
		},
		"binary": {
			token: good, frames: []string{"\x00\xff\x1b[31m"},
			want: []string{`{"type":"error","payload":{"error":"message is not a JSON object","message":"message is not a JSON object"}}`},
		},
		"not JSON before authentication": {
			frames: []string{"hello"},
			want:   []string{`{"type":"error","payload":{"error":"message is not a JSON object","message":"message is not a JSON object"}}`}, closed: true,
		},
		"a type that is not known": {
			token: good, frames: []string{`{"type":"shout"}`},
			want: []string{`{"type":"error","payload":{"error":"unknown message type","message":"unknown message type"}}`},
		},
		"too large": {
			token: good, frames: []string{`{"type":"ping","payload":"` + strings.Repeat("x", 4<<10) + `"}`, subscribe},
			want: []string{`{"type":"error","payload":{"error":"message too large","message":"message too large"}}`}, watches: true,
		},
		"too large before authentication": {
			frames: []string{strings.Repeat(" ", 4<<10) + ping},
			want:   []string{`{"type":"error","payload":{"error":"message too large","message":"message too large"}}`}, closed: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			must(t, p.Connect(t.Context(), "c", tt.token))
			p.send("c", tt.frames...)
			if diff := cmp.Diff(tt.want, p.posts["c"]); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
			if p.closed["c"] != tt.closed {
				t.Errorf("closed: %t", p.closed["c"])
			}
			if tt.watches {
				p.wantWatchers("ws_a", "c")
			} else {
				p.wantWatchers("ws_a")
			}
		})
	}
}

func TestAConnectionWithABadTokenIsNotOpened(t *testing.T) {
	p := newPlace(t)
	bearer := wstoken.Bearer{WorkspaceID: "ws_a"}
	for _, token := range []string{"nonsense", wstoken.New("another secret", bearer, p.now), wstoken.New(secret, bearer, p.now.Add(-time.Hour)), p.tokenBy("tok_unknown")} {
		if err := p.Connect(t.Context(), "c", token); !boathook.IsKind(err, boathook.Unauthorized) {
			t.Errorf("%s: %v", token, err)
		}
		_, err := p.store.Connection(t.Context(), "c")
		if !boathook.IsKind(err, boathook.NotFound) {
			t.Errorf("%s: the connection is stored: %v", token, err)
		}
	}
}

// due are the connections that sweep would close now.
func (p *place) due() (ids []string) {
	p.t.Helper()
	for shard := range store.DueShards {
		rows, err := p.store.Due(p.t.Context(), shard, store.Due{}, p.now, 10)
		must(p.t, err)
		for _, row := range rows {
			if row.Kind == store.DueConnection {
				ids = append(ids, row.ID)
			}
		}
	}
	return ids
}

func TestAConnectionWithoutATokenIsClosedAfterTenSeconds(t *testing.T) {
	for name, tt := range map[string]struct {
		frame  string // sent at once
		closed bool
	}{
		"that says nothing":    {"", true},
		"that only pings":      {ping, true},
		"that subscribes":      {subscribe, true},
		"that authenticates":   {auth(newPlace(t).token("ws_a")), false},
		"that has gone before": {"bye", false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			must(t, p.Connect(t.Context(), "c", ""))
			switch tt.frame {
			case "":
			case "bye":
				must(t, p.Disconnect(t.Context(), "c"))
			default:
				p.send("c", tt.frame)
			}
			p.now = p.now.Add(live.AuthTimeout - time.Millisecond)
			if len(p.due()) != 0 {
				t.Error("it is due too early")
			}
			p.now = p.now.Add(time.Millisecond)
			if diff := cmp.Diff([]string{"c"}, p.due()); diff != "" {
				t.Fatalf("due (-want +got):\n%s", diff)
			}
			for range 2 {
				must(t, p.CloseUnauthenticated(t.Context(), "c"))
			}
			if p.closed["c"] != tt.closed {
				t.Errorf("closed: %t", p.closed["c"])
			}
		})
	}
}

func TestAConnectionWithoutATokenIsClosedAtItsFirstFrameAfterTenSeconds(t *testing.T) {
	p := newPlace(t)
	must(t, p.Connect(t.Context(), "c", ""))
	p.now = p.now.Add(live.AuthTimeout)
	p.send("c", auth(p.token("ws_a")))
	if !p.closed["c"] || len(p.posts["c"]) > 0 {
		t.Errorf("closed: %t, answers %q", p.closed["c"], p.posts["c"])
	}
}

func TestATokenInTheURLNeedsNoClock(t *testing.T) {
	p := newPlace(t)
	must(t, p.Connect(t.Context(), "c", p.token("ws_a")))
	p.now = p.now.Add(time.Minute)
	if due := p.due(); len(due) > 0 {
		t.Errorf("due: %v", due)
	}
	p.send("c", subscribe) // a WebSocket outlives its token
	p.wantWatchers("ws_a", "c")
}

func TestAConnectionThatEndsIsForgotten(t *testing.T) {
	p := newPlace(t)
	must(t, p.Connect(t.Context(), "c", p.token("ws_a")))
	p.send("c", subscribe)
	for range 2 {
		must(t, p.Disconnect(t.Context(), "c"))
	}
	p.wantWatchers("ws_a")
	p.send("c", subscribe)
	if !p.closed["c"] {
		t.Error("a frame of a connection that nobody knows leaves it open")
	}
	p.wantWatchers("ws_a")
}

func TestAClientThatGoesBeforeItsAnswerIsNoError(t *testing.T) {
	p := newPlace(t)
	must(t, p.Connect(t.Context(), "c", ""))
	p.fail = func(context.Context, string) error { return boathook.Errorf(boathook.NotFound, "gone") }
	p.send("c", ping, "garbage")
}

func TestAFailureIsAnErrorWithoutTheFrame(t *testing.T) {
	p := newPlace(t)
	must(t, p.Connect(t.Context(), "c", ""))
	down := errors.New("down")
	p.fail = func(context.Context, string) error { return down }
	if err := p.Receive(t.Context(), "c", []byte(ping)); !errors.Is(err, down) {
		t.Errorf("a ping: %v", err)
	}
	p.Secret = func(context.Context) (string, error) { return "", down }
	err := p.Receive(t.Context(), "c", []byte(auth("the-token")))
	if !errors.Is(err, down) || strings.Contains(err.Error(), "the-token") {
		t.Errorf("authentication: %v", err)
	}
	if err := p.Connect(t.Context(), "d", "the-token"); !errors.Is(err, down) {
		t.Errorf("a connection: %v", err)
	}
}

func TestAnAPITokensDeletionClosesTheWebSocketsThatItOpened(t *testing.T) {
	p := newPlace(t)
	p.makeTokens("tok_a", "tok_b")
	must(t, p.Connect(t.Context(), "by URL", p.tokenBy("tok_a")))
	must(t, p.Connect(t.Context(), "by frame", ""))
	p.send("by frame", auth(p.tokenBy("tok_a")))
	must(t, p.Connect(t.Context(), "another's", p.tokenBy("tok_b")))
	must(t, p.Connect(t.Context(), "the stack's", p.token("ws_a")))
	for _, id := range []string{"by URL", "by frame", "another's", "the stack's"} {
		p.send(id, subscribe)
	}
	p.deleteToken("tok_a")
	if diff := cmp.Diff(map[string]bool{"by URL": true, "by frame": true}, p.closed); diff != "" {
		t.Errorf("closed (-want +got):\n%s", diff)
	}
	p.wantWatchers("ws_a", "another's", "the stack's")
	p.send("another's", subscribe, ping)
	p.send("the stack's", subscribe, ping)
	if diff := cmp.Diff(map[string][]string{"another's": {pong}, "the stack's": {pong}}, p.posts); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

// raced is the embedded store with something that happens just before or after a
// connection becomes a watcher.
type raced struct {
	live.Store
	before, after func()
}

func (r raced) Watch(ctx context.Context, c boathook.Connection, ch boathook.Channel) error {
	r.before()
	defer r.after()
	return r.Store.Watch(ctx, c, ch)
}

func TestADeletedAPITokensWebSocketTokenOpensNothing(t *testing.T) {
	const refused = `{"type":"error","payload":{"error":"unauthorized","message":"unauthorized"}}`
	for name, tt := range map[string]struct {
		token  string   // of the URL
		before []string // frames while the API token is there
		after  []string // frames once it is gone
	}{
		"in a frame":            {"", nil, []string{auth("T"), subscribe}},
		"of who only connected": {"T", nil, []string{subscribe}},
		"of who authenticated":  {"", []string{auth("T")}, []string{subscribe}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.makeTokens("tok_a")
			token := p.tokenBy("tok_a")
			fill := func(s string) string { return strings.ReplaceAll(s, "T", token) }
			must(t, p.Connect(t.Context(), "c", fill(tt.token)))
			for _, f := range tt.before {
				p.send("c", fill(f))
			}
			p.deleteToken("tok_a")
			p.Log.Store = raced{p.store, func() { t.Error("it watches, if for a moment") }, func() {}}
			for _, f := range tt.after {
				p.send("c", fill(f))
			}
			if !p.closed["c"] || p.posts["c"][0] != refused {
				t.Errorf("closed %t, answers %q", p.closed["c"], p.posts["c"])
			}
			p.wantWatchers("ws_a")
			if err := p.Connect(t.Context(), "d", token); !boathook.IsKind(err, boathook.Unauthorized) {
				t.Errorf("a new connection: %v", err)
			}
		})
	}
}

func TestATokenThatIsDeletedMeanwhileLeavesNoWatcher(t *testing.T) {
	for name, watchFirst := range map[string]bool{"before the connection watches": false, "once it watches": true} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.makeTokens("tok_a")
			must(t, p.Connect(t.Context(), "c", p.tokenBy("tok_a")))
			remove, nothing := func() { p.deleteToken("tok_a") }, func() {}
			if watchFirst {
				p.Log.Store = raced{p.store, nothing, remove}
			} else {
				p.Log.Store = raced{p.store, remove, nothing}
			}
			p.send("c", subscribe)
			if !p.closed["c"] {
				t.Error("it is open")
			}
			p.wantWatchers("ws_a")
		})
	}
}

// forgetful is the embedded store when tokens can't be read.
type forgetful struct {
	live.Store
	err error
}

func (f forgetful) Token(context.Context, string, string) (boathook.Token, error) {
	return boathook.Token{}, f.err
}

func TestNobodyWatchesWhoseAPITokenCanNotBeLookedUp(t *testing.T) {
	p := newPlace(t)
	p.makeTokens("tok_a")
	must(t, p.Connect(t.Context(), "c", p.tokenBy("tok_a")))
	down := errors.New("down")
	p.Log.Store = forgetful{p.store, down}
	if err := p.Receive(t.Context(), "c", []byte(subscribe)); !errors.Is(err, down) {
		t.Errorf("subscribing: %v", err)
	}
	if !p.closed["c"] {
		t.Error("it is open")
	}
	p.wantWatchers("ws_a")
	if err := p.Connect(t.Context(), "d", p.tokenBy("tok_a")); !errors.Is(err, down) || boathook.IsKind(err, boathook.Unauthorized) {
		t.Errorf("connecting: %v", err)
	}
}

func TestASocketThatCanNotBeClosedIsLeftForARepeat(t *testing.T) {
	p := newPlace(t)
	p.makeTokens("tok_a")
	for _, id := range []string{"c", "d"} {
		must(t, p.Connect(t.Context(), id, p.tokenBy("tok_a")))
		p.send(id, subscribe)
	}
	must(t, p.store.DeleteToken(t.Context(), "ws_a", "tok_a"))
	p.closeErr = map[string]error{"c": errors.New("down")}
	if err := p.CloseWatchers(t.Context(), "ws_a", "tok_a"); err == nil {
		t.Error("no error")
	}
	p.wantWatchers("ws_a", "c")
	p.closeErr = nil
	must(t, p.CloseWatchers(t.Context(), "ws_a", "tok_a"))
	if !p.closed["c"] || !p.closed["d"] {
		t.Errorf("closed %v", p.closed)
	}
	p.wantWatchers("ws_a")
}
