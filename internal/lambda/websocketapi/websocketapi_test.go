package websocketapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"boathook/internal/boathook"
	"boathook/internal/lambda/websocketapi"
)

// service remembers the last thing that it was told.
type service struct {
	told string
	err  error
}

func (s *service) Connect(_ context.Context, id, token string) error {
	s.told = fmt.Sprintf("connect %s %s", id, token)
	return s.err
}

func (s *service) Receive(_ context.Context, id string, frame []byte) error {
	if string(frame) == "panic" {
		panic("in the service")
	}
	s.told = fmt.Sprintf("receive %s %q", id, frame)
	return s.err
}

func (s *service) Disconnect(_ context.Context, id string) error {
	s.told = "disconnect " + id
	return s.err
}

func TestAServiceIsToldWhatHappensToItsConnections(t *testing.T) {
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
		"a panic":                    {event: "MESSAGE", body: "panic", status: 500, logged: "in the service"},
		"an end":                     {event: "DISCONNECT", told: "disconnect c", status: 200},
		"something else":             {event: "RECONNECT", status: 500, logged: "RECONNECT"},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			defer slog.SetDefault(slog.Default())
			slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
			s := &service{err: tt.err}
			resp, err := websocketapi.Handler(s)(t.Context(), events.APIGatewayWebsocketProxyRequest{
				RequestContext:        events.APIGatewayWebsocketProxyRequestContext{ConnectionID: "c", EventType: tt.event, RouteKey: "$default"},
				QueryStringParameters: tt.query, Body: tt.body, IsBase64Encoded: tt.base64,
			})
			if err != nil || resp.StatusCode != tt.status || s.told != tt.told {
				t.Errorf("answered %d, %v; the service was told %q, want %d and %q", resp.StatusCode, err, s.told, tt.status, tt.told)
			}
			if (log.Len() > 0) != (tt.logged != "") || !strings.Contains(log.String(), tt.logged) || strings.Contains(log.String(), "secret") {
				t.Errorf("logged %q, want %q in it", &log, tt.logged)
			}
		})
	}
}
