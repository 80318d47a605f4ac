// Command intake is the Lambda function that answers triggers: the HTTP API's
// POST /webhooks/runs/{token}. What it does is in package intake.
package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"boathook/functions/internal/boot"
	"boathook/internal/apigw"
	"boathook/internal/intake"
	"boathook/internal/metrics"
	"boathook/internal/runs"
	"boathook/internal/seal"
	sealkms "boathook/internal/seal/kms"
)

type config struct {
	boot.Logging
	boot.Tables
	RunsQueueURL string `env:"BOATHOOK_RUNS_QUEUE_URL,required,notEmpty"`
	KeyID        string `env:"BOATHOOK_KEY_ID,required,notEmpty"`
}

func main() { boot.Run(build) }

func build(_ context.Context, c config, sdk aws.Config) (any, error) {
	store, counters := c.Store(sdk), c.Metrics()
	room := &intake.Intake{
		Store: store,
		Runs: &runs.Starter{
			Store: store, Queue: boot.Queue(sdk, c.RunsQueueURL), Now: time.Now, Log: slog.Default(),
		},
		Seal:    seal.New(sealkms.Keys{Client: kms.NewFromConfig(sdk), KeyID: c.KeyID}, store),
		Now:     time.Now,
		Log:     slog.Default(),
		Metrics: counters,
	}
	return metrics.Flushed(counters, apigw.Handler(room.Handler())), nil
}
