package manage_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/manage"
	"boathook/internal/wstoken"
)

func TestAnyTokenOfAWorkspaceGetsOneForItsWebSocket(t *testing.T) {
	a := newAPI(t)
	viewer := a.ask(201, "POST", "/v1/tokens", `{"name":"v","role":"viewer"}`)["token"].(string)
	other := a.ask(201, "POST", "/v1/workspaces", `{"name":"other"}`)
	for token, want := range map[string]string{viewer: "ws_local", stackToken: "ws_local", other["token"].(string): other["id"].(string)} {
		answer := a.as(token, 200, "GET", "/api/v1/ws-token", "")
		ws, err := wstoken.Verify(streamSecret, answer["token"].(string), a.clock.Now().Add(4*time.Minute))
		if ws != want || err != nil || len(answer) != 1 {
			t.Errorf("a token of %q, %v in %v; want one of %q", ws, err, answer, want)
		}
	}
	a.as("", 401, "GET", "/api/v1/ws-token", "")
	a.as("bh_unknown", 401, "GET", "/api/v1/ws-token", "")
}

func TestWithoutItsSecretThereIsNoTokenForAWebSocket(t *testing.T) {
	a := newAPI(t, func(c *manage.Config) {
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
