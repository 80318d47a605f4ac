// Command manage is the Lambda function of the management API. What it does is
// in package manage.
package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"boathook/functions/internal/allow"
	"boathook/functions/internal/boot"
	"boathook/functions/internal/secret"
	"boathook/internal/apigw"
	"boathook/internal/egress"
	"boathook/internal/manage"
	"boathook/internal/publish"
	"boathook/internal/queue"
	sqsqueue "boathook/internal/queue/sqs"
	"boathook/internal/runs"
	"boathook/internal/seal"
	sealkms "boathook/internal/seal/kms"
)

// firstWorkspace is the workspace that the stack's admin token belongs to.
const firstWorkspace = "ws_default"

type config struct {
	boot.Logging
	boot.Tables
	allow.Egress
	allow.Targets
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
	store, queues, secrets := c.Store(sdk), sqs.NewFromConfig(sdk), secretsmanager.NewFromConfig(sdk)
	room := manage.New(manage.Config{
		Store:   store,
		Runs:    &runs.Starter{Store: store, Queue: sqsqueue.New(queues, c.RunsQueueURL), Now: time.Now, Log: slog.Default()},
		Publish: &publish.Publisher{Webhooks: store, Queue: sqsqueue.New(queues, c.DeliveriesQueueURL), Log: slog.Default()},
		Retries: sqsqueue.New(queues, c.RetriesQueueURL),
		Queues: map[string]queue.Redriver{
			manage.RunsQueue:       sqsqueue.NewRedriver(queues, c.RunsQueueURL, c.DeadRunsURL),
			manage.DeliveriesQueue: sqsqueue.NewRedriver(queues, c.DeliveriesQueueURL, c.DeadDeliveriesURL),
			manage.RetriesQueue:    sqsqueue.NewRedriver(queues, c.RetriesQueueURL, c.DeadRetriesURL),
		},
		Seal: seal.New(sealkms.Keys{Client: kms.NewFromConfig(sdk), KeyID: c.KeyID}, store),

		AdminToken:    secret.Text(secrets, c.AdminSecretID),
		InternalToken: secret.Text(secrets, c.InternalSecretID),
		Workspace:     firstWorkspace,
		StreamSecret:  secret.Text(secrets, c.StreamSecretID),
		CheckURL:      egress.New(c.Guard()).CheckURL,
		AllowTarget:   c.Check,
		PublicURL:     c.PublicURL,
		Now:           time.Now,
		Log:           slog.Default(),
	})
	return apigw.Handler(room), nil
}
