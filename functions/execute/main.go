// Command execute is the Lambda function that executes runs from the runs
// queue, one at a time. What it does is in package run.
package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"boathook/functions/internal/allow"
	"boathook/functions/internal/boot"
	"boathook/functions/internal/queues"
	"boathook/functions/internal/sealing"
	"boathook/internal/delivery"
	"boathook/internal/lambda/sqsbatch"
	"boathook/internal/live"
	"boathook/internal/live/apigateway"
	"boathook/internal/metrics"
	"boathook/internal/run"
)

type config struct {
	boot.Logging
	boot.Tables
	allow.Egress
	allow.Targets
	queues.Runs
	queues.Deliveries
	sealing.Key
	WebSocketEndpoint string `env:"BOATHOOK_WEBSOCKET_ENDPOINT,required,notEmpty"`
}

func main() { boot.Run(build) }

func build(_ context.Context, c config, sdk aws.Config) (any, error) {
	store, client, counters, tracer := c.Store(sdk), sqs.NewFromConfig(sdk), c.Metrics(), c.Tracer()
	worker := run.New(run.Config{
		Store:   store,
		Targets: c.targets(sdk),
		Keeper: &run.Keeper{
			Store:   store,
			Publish: &delivery.Publisher{Store: store, Queue: c.DeliveriesQueue(client), RecordDays: c.RetentionDays, Log: slog.Default(), Tracer: tracer},
			Queue:   c.RunsQueue(client),
			Now:     time.Now,
			Log:     slog.Default(),
			Metrics: counters,
		},
		Stream:    live.NewBroadcast(store, apigateway.New(sdk, c.WebSocketEndpoint), time.Now, slog.Default()),
		Seal:      c.Sealer(sdk, store),
		Now:       time.Now,
		Log:       slog.Default(),
		Tracer:    tracer,
		Heartbeat: 20 * time.Second,
	})
	return metrics.Flushed(counters, sqsbatch.Handler(worker.Handle, sqsbatch.Options{})), nil
}
