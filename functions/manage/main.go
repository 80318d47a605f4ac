// Command manage is the Lambda function of the management API. What it does is
// in package manage.
package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"boathook/functions/internal/boot"
	"boathook/internal/apigw"
	"boathook/internal/egress"
	"boathook/internal/manage"
	"boathook/internal/publish"
	"boathook/internal/queue"
	"boathook/internal/runs"
	"boathook/internal/seal"
	sealkms "boathook/internal/seal/kms"
)

// firstWorkspace is the workspace that the stack's admin token belongs to.
const firstWorkspace = "ws_default"

type config struct {
	boot.Logging
	boot.Tables
	boot.Egress
	boot.Targets
	RunsQueueURL       string `env:"BOATHOOK_RUNS_QUEUE_URL,required,notEmpty"`
	DeliveriesQueueURL string `env:"BOATHOOK_DELIVERIES_QUEUE_URL,required,notEmpty"`
	RetriesQueueURL    string `env:"BOATHOOK_RETRIES_QUEUE_URL,required,notEmpty"`
	DeadRunsURL        string `env:"BOATHOOK_RUNS_DEAD_LETTER_QUEUE_URL,required,notEmpty"`
	DeadDeliveriesURL  string `env:"BOATHOOK_DELIVERIES_DEAD_LETTER_QUEUE_URL,required,notEmpty"`
	DeadRetriesURL     string `env:"BOATHOOK_RETRIES_DEAD_LETTER_QUEUE_URL,required,notEmpty"`
	KeyID              string `env:"BOATHOOK_KEY_ID,required,notEmpty"`
	AdminSecretID      string `env:"BOATHOOK_ADMIN_SECRET_ID,required,notEmpty"`
	InternalSecretID   string `env:"BOATHOOK_INTERNAL_SECRET_ID,required,notEmpty"`
	StreamSecretID     string `env:"BOATHOOK_STREAM_SECRET_ID,required,notEmpty"`
	PublicURL          string `env:"BOATHOOK_PUBLIC_URL,required"`
}

func main() { boot.Run(build) }

func build(_ context.Context, c config, sdk aws.Config) (any, error) {
	store := c.Store(sdk)
	room := manage.New(manage.Config{
		Store:   store,
		Runs:    &runs.Starter{Store: store, Queue: boot.Queue(sdk, c.RunsQueueURL), Now: time.Now, Log: slog.Default()},
		Publish: &publish.Publisher{Webhooks: store, Queue: boot.Queue(sdk, c.DeliveriesQueueURL), Log: slog.Default()},
		Retries: boot.Queue(sdk, c.RetriesQueueURL),
		Queues: map[string]queue.Redriver{
			manage.RunsQueue:       boot.Redriver(sdk, c.RunsQueueURL, c.DeadRunsURL),
			manage.DeliveriesQueue: boot.Redriver(sdk, c.DeliveriesQueueURL, c.DeadDeliveriesURL),
			manage.RetriesQueue:    boot.Redriver(sdk, c.RetriesQueueURL, c.DeadRetriesURL),
		},
		Seal: seal.New(sealkms.Keys{Client: kms.NewFromConfig(sdk), KeyID: c.KeyID}, store),

		AdminToken:    boot.Secret(sdk, c.AdminSecretID),
		InternalToken: boot.Secret(sdk, c.InternalSecretID),
		Workspace:     firstWorkspace,
		StreamSecret:  boot.Secret(sdk, c.StreamSecretID),
		CheckURL:      egress.New(c.Guard()).CheckURL,
		AllowTarget:   c.Check,
		PublicURL:     c.PublicURL,
		Now:           time.Now,
		Log:           slog.Default(),
	})
	return apigw.Handler(room), nil
}
