package apigw_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"boathook/internal/apigw"
	"boathook/internal/boathook"
)

// room remembers the last thing that it was told.
type room struct {
	told string
	err  error
}

func (r *room) Connect(_ context.Context, id, token string) error {
	r.told = fmt.Sprintf("connect %s %s", id, token)
	return r.err
}

func (r *room) Receive(_ context.Context, id string, frame []byte) error {
	if string(frame) == "panic" {
		panic("at the room")
	}
	r.told = fmt.Sprintf("receive %s %q", id, frame)
	return r.err
}

func (r *room) Disconnect(_ context.Context, id string) error {
	r.told = "disconnect " + id
	return r.err
}

func TestARoomIsToldWhatHappensToItsConnections(t *testing.T) {
	for name, tt := range map[string]struct {
		event  string
		query  map[string]string
		body   string
		base64 bool
		err    error

		told   string
		status int
		logged string // empty: nothing is
	}{
		"a connection":               {event: "CONNECT", query: map[string]string{"token": "t"}, told: "connect c t", status: 200},
		"one without a token":        {event: "CONNECT", told: "connect c ", status: 200},
		"one that is refused":        {event: "CONNECT", err: boathook.Errorf(boathook.Unauthorized, "no"), told: "connect c ", status: 401},
		"one that fails":             {event: "CONNECT", err: errors.New("down"), told: "connect c ", status: 500, logged: "down"},
		"a text frame":               {event: "MESSAGE", body: `{"type":"ping"}`, told: `receive c "{\"type\":\"ping\"}"`, status: 200},
		"a binary frame":             {event: "MESSAGE", body: "AP8=", base64: true, told: `receive c "\x00\xff"`, status: 200},
		"a binary frame that is not": {event: "MESSAGE", body: "!", base64: true, status: 500, logged: "binary"},
		"a frame that fails":         {event: "MESSAGE", body: "secret", err: errors.New("down"), told: `receive c "secret"`, status: 500, logged: "down"},
		"a panic":                    {event: "MESSAGE", body: "panic", status: 500, logged: "at the room"},
		"an end":                     {event: "DISCONNECT", told: "disconnect c", status: 200},
		"something else":             {event: "RECONNECT", status: 500, logged: "RECONNECT"},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			defer slog.SetDefault(slog.Default())
			slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
			r := &room{err: tt.err}
			resp, err := apigw.WebSocket(r)(t.Context(), events.APIGatewayWebsocketProxyRequest{
				RequestContext:        events.APIGatewayWebsocketProxyRequestContext{ConnectionID: "c", EventType: tt.event, RouteKey: "$default"},
				QueryStringParameters: tt.query, Body: tt.body, IsBase64Encoded: tt.base64,
			})
			if err != nil || resp.StatusCode != tt.status || r.told != tt.told {
				t.Errorf("answered %d, %v; the room was told %q, want %d and %q", resp.StatusCode, err, r.told, tt.status, tt.told)
			}
			if (log.Len() > 0) != (tt.logged != "") || !strings.Contains(log.String(), tt.logged) || strings.Contains(log.String(), "secret") {
				t.Errorf("logged %q, want %q in it", &log, tt.logged)
			}
		})
	}
}
