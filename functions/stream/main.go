// Command stream is the Lambda function of the WebSocket API, on which the logs
// of agents' runs are watched live. What it does is in package live.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"boathook/functions/internal/boot"
	"boathook/functions/internal/secret"
	"boathook/internal/lambda/websocketapi"
	"boathook/internal/live"
	"boathook/internal/live/apigateway"
)

type config struct {
	boot.Logging
	boot.Tables
	WebSocketEndpoint string `env:"BOATHOOK_WEBSOCKET_ENDPOINT,required,notEmpty"`
	StreamSecretID    string `env:"BOATHOOK_STREAM_SECRET_ID,required,notEmpty"`
}

func main() { boot.Run(build) }

func build(_ context.Context, c config, sdk aws.Config) (any, error) {
	return websocketapi.Handler(&live.Log{
		Store:   c.Store(sdk),
		Sockets: apigateway.New(sdk, c.WebSocketEndpoint),
		Secret:  secret.New(sdk).Text(c.StreamSecretID),
		Now:     time.Now,
	}), nil
}
