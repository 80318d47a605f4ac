package api_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/live/wstoken"
	"boathook/internal/service"
)

func TestAnyTokenOfAWorkspaceGetsOneForItsWebSocket(t *testing.T) {
	a := newAPI(t)
	viewer := a.ask(201, "POST", "/v1/tokens", `{"name":"v","role":"viewer"}`)
	other := a.ask(201, "POST", "/v1/workspaces", `{"name":"other"}`)
	others := a.as(other.text("token"), 200, "GET", "/v1/tokens", "").list("data")[0]
	for token, want := range map[string]wstoken.Bearer{
		viewer.text("token"): {WorkspaceID: "ws_local", TokenID: viewer.text("id")},
		stackToken:           {WorkspaceID: "ws_local"},
		other.text("token"):  {WorkspaceID: other.text("id"), TokenID: others.text("id")},
	} {
		answer := a.as(token, 200, "GET", "/api/v1/ws-token", "")
		b, err := wstoken.Verify(streamSecret, answer["token"].(string), a.clock.Now().Add(4*time.Minute))
		if b != want || err != nil || len(answer) != 1 {
			t.Errorf("a token of %+v, %v in %v; want one of %+v", b, err, answer, want)
		}
	}
	a.as("", 401, "GET", "/api/v1/ws-token", "")
	a.as("bh_unknown", 401, "GET", "/api/v1/ws-token", "")
}

func TestWithoutItsSecretThereIsNoTokenForAWebSocket(t *testing.T) {
	a := newAPI(t, func(c *config) {
		c.StreamSecret = func(context.Context) (string, error) { return "", errors.New("access denied to the secret") }
	})
	answer := a.ask(boathook.Unavailable.Status(), "GET", "/api/v1/ws-token", "")
	if text, _ := answer["error"].(string); text == "" || strings.Contains(text, "denied") {
		t.Errorf("answered %v", answer)
	}
	if !strings.Contains(a.log.String(), "access denied to the secret") {
		t.Errorf("logged %s", a.log)
	}
}

// watchers are told whose WebSockets to close.
type watchers struct {
	closed []wstoken.Bearer
	err    error
}

func (w *watchers) CloseWatchers(_ context.Context, workspaceID, tokenID string) error {
	w.closed = append(w.closed, wstoken.Bearer{WorkspaceID: workspaceID, TokenID: tokenID})
	return w.err
}

func TestATokensDeletionClosesItsWebSocketsAndMayBeRepeated(t *testing.T) {
	a := newAPI(t)
	id := a.ask(201, "POST", "/v1/tokens", `{"name":"v","role":"viewer"}`).text("id")
	a.watchers.err = errors.New("the gateway is down")
	a.ask(boathook.Unavailable.Status(), "DELETE", "/v1/tokens/"+id, "")
	a.ask(404, "GET", "/v1/tokens/"+id, "") // it is gone all the same
	a.watchers.err = nil
	a.ask(404, "DELETE", "/v1/tokens/"+id, "") // which completes it
	closed := wstoken.Bearer{WorkspaceID: "ws_local", TokenID: id}
	if want := []wstoken.Bearer{closed, closed}; !slices.Equal(a.watchers.closed, want) {
		t.Errorf("closed %v, want %v", a.watchers.closed, want)
	}
}

func TestATokenThatCanNotBeDeletedKeepsItsWebSockets(t *testing.T) {
	a := newAPI(t, func(c *config) { c.Store = &immortal{Store: c.Store} })
	id := a.ask(201, "POST", "/v1/tokens", `{"name":"v","role":"viewer"}`).text("id")
	a.ask(boathook.Unavailable.Status(), "DELETE", "/v1/tokens/"+id, "")
	if len(a.watchers.closed) != 0 {
		t.Errorf("closed %v", a.watchers.closed)
	}
}

// immortal is a store that deletes no token.
type immortal struct{ service.Store }

func (immortal) DeleteToken(context.Context, string, string) error { return errors.New("down") }
