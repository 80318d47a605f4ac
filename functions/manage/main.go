// Command manage is the Lambda function of the management API. What it does is
// in packages service and api.
package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"boathook/functions/internal/boot"
	"boathook/functions/internal/operations"
	"boathook/functions/internal/secret"
	"boathook/internal/api"
	"boathook/internal/lambda/httpapi"
)

type config struct {
	boot.Logging
	operations.Config
	InternalSecretID string `env:"BOATHOOK_INTERNAL_SECRET_ID,required,notEmpty"`
}

func main() { boot.Run(build) }

func build(_ context.Context, c config, sdk aws.Config) (any, error) {
	tracer, secrets := c.Tracer(), c.Secrets(sdk)
	secrets.Internal = secret.New(sdk).Text(c.InternalSecretID)
	return httpapi.Handler(api.New(api.Config{
		Service: c.Service(sdk, secrets, tracer), PublicURL: c.PublicURL, WebSocketURL: c.WebSocketURL(),
		Now: time.Now, Log: slog.Default(), Tracer: tracer,
	})), nil
}
