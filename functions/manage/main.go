// Command manage is the Lambda function of the management API. What it does is
// in packages service and api.
package main

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"boathook/functions/internal/allow"
	"boathook/functions/internal/boot"
	"boathook/functions/internal/queues"
	"boathook/functions/internal/sealing"
	"boathook/functions/internal/secret"
	"boathook/internal/api"
	"boathook/internal/delivery"
	"boathook/internal/lambda/httpapi"
	"boathook/internal/live"
	"boathook/internal/live/apigateway"
	"boathook/internal/run"
	"boathook/internal/service"
)

type config struct {
	boot.Logging
	boot.Tables
	allow.Egress
	allow.Targets
	allow.Queues
	queues.All
	sealing.Key
	AdminSecretID    string `env:"BOATHOOK_ADMIN_SECRET_ID,required,notEmpty"`
	InternalSecretID string `env:"BOATHOOK_INTERNAL_SECRET_ID,required,notEmpty"`
	StreamSecretID   string `env:"BOATHOOK_STREAM_SECRET_ID,required,notEmpty"`
	PublicURL        string `env:"BOATHOOK_PUBLIC_URL,required"`

	WebSocketEndpoint string `env:"BOATHOOK_WEBSOCKET_ENDPOINT,required,notEmpty"`
}

func main() { boot.Run(build) }

func build(_ context.Context, c config, sdk aws.Config) (any, error) {
	store, client, secrets, tracer := c.Store(sdk), sqs.NewFromConfig(sdk), secret.New(sdk), c.Tracer()
	publisher := &delivery.Publisher{Store: store, Queue: c.DeliveriesQueue(client), RecordDays: c.RetentionDays, Log: slog.Default(), Tracer: tracer}
	operations := service.New(service.Config{
		Store:   store,
		Runs:    &run.Starter{Store: store, Queue: c.RunsQueue(client), Now: time.Now, Log: slog.Default(), Tracer: tracer},
		Publish: publisher,
		Resend:  &delivery.Resender{Store: store, Retries: c.RetriesQueue(client), Publish: publisher, Now: time.Now},
		Queues:  c.Redrivers(client),
		Seal:    c.Sealer(sdk, store),

		AdminToken:       secrets.Text(c.AdminSecretID),
		InternalToken:    secrets.Text(c.InternalSecretID),
		Workspace:        "ws_default", // always: what is stored says so
		StreamSecret:     secrets.Text(c.StreamSecretID),
		Watchers:         &live.Log{Store: store, Sockets: apigateway.New(sdk, c.WebSocketEndpoint), Now: time.Now},
		CheckURL:         c.Client().CheckURL,
		AllowTarget:      c.Check,
		AllowDestination: c.CheckDestination,
		RecordDays:       c.RetentionDays,
		Now:              time.Now,
		Log:              slog.Default(),
	})
	return httpapi.Handler(api.New(api.Config{Service: operations, PublicURL: c.PublicURL, WebSocketURL: "ws" + strings.TrimPrefix(c.WebSocketEndpoint, "http"), Now: time.Now, Log: slog.Default(), Tracer: tracer})), nil
}
