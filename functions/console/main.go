// Command console is the Lambda function of the console, and of customers' portals.
// What it does is in packages service and console.
package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"boathook/functions/internal/boot"
	"boathook/functions/internal/operations"
	"boathook/internal/console"
	"boathook/internal/lambda/httpapi"
)

type config struct {
	boot.Logging
	operations.Config
}

func main() { boot.Run(build) }

func build(_ context.Context, c config, sdk aws.Config) (any, error) {
	secrets := c.Secrets(sdk)
	pages, err := console.New(console.Config{
		Service: c.Service(sdk, secrets, c.Tracer()), PublicURL: c.PublicURL, WebSocketURL: c.WebSocketURL(),
		// What it signs with is derived from this, under a label of its own.
		Key: func(ctx context.Context) ([]byte, error) {
			text, err := secrets.Stream(ctx)
			return []byte(text), err
		},
		Now: time.Now, Log: slog.Default(),
	})
	if err != nil {
		return nil, err
	}
	return httpapi.Handler(pages), nil
}
