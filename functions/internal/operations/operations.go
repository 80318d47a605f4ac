// Package operations wires package service on AWS: both its faces, the API and the
// console, have the same operations on the same tables, queues, key and secrets.
package operations

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
	"boathook/internal/delivery"
	"boathook/internal/live"
	"boathook/internal/live/apigateway"
	"boathook/internal/run"
	"boathook/internal/service"
	"boathook/internal/tracing"
)

// Config is the part of a face's configuration that its operations need, and where
// its users reach it.
type Config struct {
	boot.Tables
	allow.Egress
	allow.Targets
	allow.Queues
	queues.All
	sealing.Key
	AdminSecretID  string `env:"BOATHOOK_ADMIN_SECRET_ID,required,notEmpty"`
	StreamSecretID string `env:"BOATHOOK_STREAM_SECRET_ID,required,notEmpty"`
	PublicURL      string `env:"BOATHOOK_PUBLIC_URL,required"`

	WebSocketEndpoint string `env:"BOATHOOK_WEBSOCKET_ENDPOINT,required,notEmpty"`
}

// Text gives the text of a secret. It is asked on every request, and is cached.
type Text = func(context.Context) (string, error)

// Secrets are what a face's callers prove, or have signed.
type Secrets struct {
	Admin, Stream Text
	Internal      Text // gives an empty text where nobody may use it
}

// Secrets are the two that both faces have.
func (c Config) Secrets(sdk aws.Config) Secrets {
	reader := secret.New(sdk)
	return Secrets{
		Admin: reader.Text(c.AdminSecretID), Stream: reader.Text(c.StreamSecretID),
		Internal: func(context.Context) (string, error) { return "", nil },
	}
}

// Service makes the operations.
func (c Config) Service(sdk aws.Config, s Secrets, tracer *tracing.Tracer) *service.Service {
	store, client := c.Store(sdk), sqs.NewFromConfig(sdk)
	publisher := &delivery.Publisher{Store: store, Queue: c.DeliveriesQueue(client), RecordDays: c.RetentionDays, Log: slog.Default(), Tracer: tracer}
	return service.New(service.Config{
		Store:   store,
		Runs:    &run.Starter{Store: store, Queue: c.RunsQueue(client), Now: time.Now, Log: slog.Default(), Tracer: tracer},
		Publish: publisher,
		Resend:  &delivery.Resender{Store: store, Retries: c.RetriesQueue(client), Publish: publisher, Now: time.Now},
		Queues:  c.Redrivers(client),
		Seal:    c.Sealer(sdk, store),

		AdminToken:       s.Admin,
		InternalToken:    s.Internal,
		Workspace:        "ws_default", // always: what is stored says so
		StreamSecret:     s.Stream,
		Watchers:         &live.Log{Store: store, Sockets: apigateway.New(sdk, c.WebSocketEndpoint), Now: time.Now},
		CheckURL:         c.Client().CheckURL,
		AllowTarget:      c.Check,
		AllowDestination: c.CheckDestination,
		RecordDays:       c.RetentionDays,
		Now:              time.Now,
		Log:              slog.Default(),
	})
}

// WebSocketURL is where browsers and others watch logs.
func (c Config) WebSocketURL() string {
	return "ws" + strings.TrimPrefix(c.WebSocketEndpoint, "http")
}
