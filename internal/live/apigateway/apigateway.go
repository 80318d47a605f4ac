// Package apigateway reaches the connections of an API Gateway WebSocket API,
// through the API's own management endpoint.
package apigateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi/types"

	"boathook/internal/boathook"
	"boathook/internal/egress"
)

// Sockets are an API's connections. The client's retries are bounded by each
// call's context.
type Sockets struct {
	client *apigatewaymanagementapi.Client
}

// New are the connections of the API that has a stage at an endpoint:
// https://{api}.execute-api.{region}.amazonaws.com/{stage}.
func New(cfg aws.Config, endpoint string) Sockets {
	return Sockets{apigatewaymanagementapi.NewFromConfig(cfg, func(o *apigatewaymanagementapi.Options) {
		o.BaseEndpoint = &endpoint
		o.HTTPClient = client{o.HTTPClient}
	})}
}

// client takes final responses only: the SDK would read what follows any other,
// past the end of its context.
type client struct {
	apigatewaymanagementapi.HTTPClient
}

func (c client) Do(req *http.Request) (*http.Response, error) {
	return egress.Final(c.HTTPClient.Do(req))
}

// Post sends one text frame, of at most 128 KiB. NotFound: the connection is
// gone.
func (s Sockets) Post(ctx context.Context, id string, frame []byte) error {
	_, err := s.client.PostToConnection(ctx, &apigatewaymanagementapi.PostToConnectionInput{ConnectionId: &id, Data: frame})
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
	_, err := s.client.DeleteConnection(ctx, &apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: &id})
	if err != nil && !gone(err) {
		return fmt.Errorf("close connection %s: %w", id, err)
	}
	return nil
}

func gone(err error) bool {
	_, ok := errors.AsType[*types.GoneException](err)
	return ok
}
