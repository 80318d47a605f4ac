package live_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/live"
	"boathook/internal/store/mem"
)

var errDown = errors.New("down")

// partly is the embedded store, of which one method fails.
type partly struct {
	*mem.Store
	down string
}

func (p *partly) Connection(ctx context.Context, id string) (boathook.Connection, error) {
	if p.down == "Connection" {
		return boathook.Connection{}, errDown
	}
	return p.Store.Connection(ctx, id)
}

func (p *partly) Source(ctx context.Context, workspaceID, id string) (boathook.Source, error) {
	if p.down == "Source" {
		return boathook.Source{}, errDown
	}
	return p.Store.Source(ctx, workspaceID, id)
}

// What can't be looked up now is neither gone nor a stranger's: nothing is closed
// or forgotten for it.
func TestAConnectionThatCanNotBeLookedUpStaysAsItIs(t *testing.T) {
	p := newPlace(t)
	must(t, p.Connect(t.Context(), "known", p.token("ws_a")))
	p.send("known", subscribe)
	must(t, p.Connect(t.Context(), "new", ""))
	part := &partly{p.store, "Connection"}
	p.Log.Store = part
	for name, call := range map[string]func(context.Context) error{
		"a frame of one that is known": func(ctx context.Context) error { return p.Receive(ctx, "known", []byte(subscribe)) },
		"a frame of one that is new":   func(ctx context.Context) error { return p.Receive(ctx, "new", []byte(auth(p.token("ws_a")))) },
		"the end of one":               func(ctx context.Context) error { return p.Disconnect(ctx, "known") },
		"the time of one that is new":  func(ctx context.Context) error { return p.CloseUnauthenticated(ctx, "new") },
	} {
		if err := call(t.Context()); !errors.Is(err, errDown) {
			t.Errorf("%s: got %v, want the store's failure", name, err)
		}
	}
	part.down = ""
	if len(p.closed) > 0 || len(p.posts) > 0 {
		t.Errorf("closed %v, posted %v", p.closed, p.posts)
	}
	p.wantWatchers("ws_a", "known")
	p.send("new", auth(p.token("ws_a")), subscribe)
	p.wantWatchers("ws_a", "known", "new")
}

func TestATokenThatCanNotBeVerifiedIsNotRefused(t *testing.T) {
	p := newPlace(t)
	must(t, p.Connect(t.Context(), "known", p.token("ws_a")))
	must(t, p.Connect(t.Context(), "new", ""))
	secret := p.Secret
	p.Secret = func(context.Context) (string, error) { return "", errDown }
	for _, id := range []string{"known", "new"} {
		if err := p.Receive(t.Context(), id, []byte(auth(p.token("ws_a")))); !errors.Is(err, errDown) {
			t.Errorf("%s: got %v, want the failure", id, err)
		}
	}
	if err := p.Connect(t.Context(), "third", p.token("ws_a")); !errors.Is(err, errDown) {
		t.Errorf("a connection with a token: got %v", err)
	}
	if len(p.closed) > 0 || len(p.posts) > 0 {
		t.Errorf("closed %v, posted %v", p.closed, p.posts)
	}
	p.Secret = secret
	p.send("new", auth(p.token("ws_a")), subscribe)
	p.wantWatchers("ws_a", "new")
}

// The name is looked up again: a failure is not remembered as that of an agent
// without one.
func TestAnAgentsNameThatCanNotBeLookedUpIsLookedUpAgain(t *testing.T) {
	th := newTheatre(t, "a")
	part := &named{th.store, &partly{th.store.Store, "Source"}}
	var log bytes.Buffer
	th.Broadcast = live.NewBroadcast(part, th.sockets, time.Now, slog.New(slog.NewTextHandler(&log, nil)))
	th.show(stdout("lost"))
	if frames := th.seen("a"); len(frames) != 0 || log.Len() == 0 {
		t.Errorf("shown %v, logged %q", frames, log.String())
	}
	part.names.down = ""
	th.show(stdout("seen"))
	if frames := th.seen("a"); len(frames) != 1 || frames[0].Payload.Agent != "code-review" {
		t.Errorf("shown %v", frames)
	}
}

// named has its sources from another store.
type named struct {
	*counting
	names *partly
}

func (n *named) Source(ctx context.Context, workspaceID, id string) (boathook.Source, error) {
	return n.names.Source(ctx, workspaceID, id)
}

// The time is the document's: wire formats, section 2.
func TestWhoDoesNotAuthenticateHasTenSeconds(t *testing.T) {
	p := newPlace(t)
	must(t, p.Connect(t.Context(), "c", ""))
	p.now = p.now.Add(10*time.Second - time.Millisecond)
	if due := p.due(); len(due) != 0 {
		t.Errorf("due before: %v", due)
	}
	p.now = p.now.Add(time.Millisecond)
	if due := p.due(); len(due) != 1 {
		t.Errorf("due after ten seconds: %v", due)
	}
}
