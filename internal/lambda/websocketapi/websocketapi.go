// Package websocketapi serves the connections of an API Gateway WebSocket API.
package websocketapi

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/aws/aws-lambda-go/events"

	"boathook/internal/boathook"
)

// Service is told what happens to connections; package live has it.
type Service interface {
	Connect(ctx context.Context, id, token string) error
	Receive(ctx context.Context, id string, frame []byte) error
	Disconnect(ctx context.Context, id string) error
}

// Handler makes a Lambda handler of a service, for the routes $connect,
// $disconnect and $default of a WebSocket API. A connection's token is in its
// query. A connection is refused with the status of its error. Whatever fails
// is logged with the connection's id; a frame or a token never is. The error is
// always nil.
func Handler(service Service) func(context.Context, events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
	return func(ctx context.Context, e events.APIGatewayWebsocketProxyRequest) (resp events.APIGatewayProxyResponse, _ error) {
		log := slog.With("request_id", e.RequestContext.RequestID, "connection_id", e.RequestContext.ConnectionID, "route", e.RequestContext.RouteKey)
		defer func() {
			if p := recover(); p != nil {
				log.ErrorContext(ctx, "service panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				resp.StatusCode = http.StatusInternalServerError
			}
		}()
		err := tell(ctx, service, &e)
		refused, isRefused := errors.AsType[*boathook.Error](err)
		switch {
		case err == nil:
			resp.StatusCode = http.StatusOK
		case isRefused:
			resp.StatusCode = refused.Kind.Status()
		default:
			log.ErrorContext(ctx, "connection failed", "error", err)
			resp.StatusCode = http.StatusInternalServerError
		}
		return resp, nil
	}
}

// tell passes on what happened to a connection.
func tell(ctx context.Context, service Service, e *events.APIGatewayWebsocketProxyRequest) error {
	id := e.RequestContext.ConnectionID
	switch e.RequestContext.EventType {
	case "CONNECT":
		return service.Connect(ctx, id, e.QueryStringParameters["token"])
	case "MESSAGE":
		frame := []byte(e.Body)
		if e.IsBase64Encoded {
			var err error
			if frame, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
				return fmt.Errorf("decode a binary frame: %w", err)
			}
		}
		return service.Receive(ctx, id, frame)
	case "DISCONNECT":
		return service.Disconnect(ctx, id)
	}
	return fmt.Errorf("unknown event type %q", e.RequestContext.EventType)
}
