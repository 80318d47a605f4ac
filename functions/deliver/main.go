// Command deliver is the Lambda function that sends outgoing webhooks from the
// deliveries and retries queues. What it does is in package deliver.
package main

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"boathook/functions/internal/allow"
	"boathook/functions/internal/boot"
	"boathook/internal/boathook"
	"boathook/internal/deliver"
	"boathook/internal/egress"
	"boathook/internal/metrics"
	"boathook/internal/publish"
	sqsqueue "boathook/internal/queue/sqs"
	"boathook/internal/seal"
	sealkms "boathook/internal/seal/kms"
	"boathook/internal/sqsbatch"
)

type config struct {
	boot.Logging
	boot.Tables
	allow.Egress
	DeliveriesQueueURL string `env:"BOATHOOK_DELIVERIES_QUEUE_URL,required,notEmpty"`
	RetriesQueueURL    string `env:"BOATHOOK_RETRIES_QUEUE_URL,required,notEmpty"`
	KeyID              string `env:"BOATHOOK_KEY_ID,required,notEmpty"`
}

// margin is what an attempt may take in all: its time-out, the receiver's body,
// and our own calls. One that could outlive the function is not begun.
const margin = boathook.MaxDeliveryTimeout + 10*time.Second

func main() { boot.Run(build) }

func build(_ context.Context, c config, sdk aws.Config) (any, error) {
	store, queues, counters := c.Store(sdk), sqs.NewFromConfig(sdk), c.Metrics()
	room := deliver.New(deliver.Config{
		Store:   store,
		Retries: sqsqueue.New(queues, c.RetriesQueueURL),
		Publish: &publish.Publisher{Webhooks: store, Queue: sqsqueue.New(queues, c.DeliveriesQueueURL), Log: slog.Default()},
		Client:  egress.New(c.Guard()),
		Seal:    seal.New(sealkms.Keys{Client: kms.NewFromConfig(sdk), KeyID: c.KeyID}, store),
		Now:     time.Now,
		Jitter:  rand.Float64,
		Log:     slog.Default(),
		Metrics: counters,
	})
	return metrics.Flushed(counters, sqsbatch.Handler(room.Handle, sqsbatch.Options{Margin: margin})), nil
}
