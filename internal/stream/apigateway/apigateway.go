// Package apigateway reaches the connections of an API Gateway WebSocket API,
// through the API's own management endpoint.
package apigateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi/types"

	"boathook/internal/boathook"
)

// Sockets are the API's connections. The client's base endpoint is the API's
// stage: https://{api}.execute-api.{region}.amazonaws.com/{stage}. Its retries
// are bounded by each call's context.
type Sockets struct {
	Client *apigatewaymanagementapi.Client
}

// Post sends one text frame, of at most 128 KiB. NotFound: the connection is
// gone.
func (s Sockets) Post(ctx context.Context, id string, frame []byte) error {
	_, err := s.Client.PostToConnection(ctx, &apigatewaymanagementapi.PostToConnectionInput{ConnectionId: &id, Data: frame})
	if gone(err) {
		return boathook.Errorf(boathook.NotFound, "connection %s is gone", id)
	}
	if err != nil {
		return fmt.Errorf("post to connection %s: %w", id, err)
	}
	return nil
}

// Close ends a connection. One that is gone is no error.
func (s Sockets) Close(ctx context.Context, id string) error {
	_, err := s.Client.DeleteConnection(ctx, &apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: &id})
	if err != nil && !gone(err) {
		return fmt.Errorf("close connection %s: %w", id, err)
	}
	return nil
}

func gone(err error) bool {
	_, ok := errors.AsType[*types.GoneException](err)
	return ok
}
