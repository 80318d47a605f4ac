// Command sweep is the Lambda function that runs each minute and does what is
// due. What it does is in package sweep.
package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"boathook/functions/internal/boot"
	"boathook/functions/internal/queues"
	"boathook/internal/delivery"
	"boathook/internal/live"
	"boathook/internal/live/apigateway"
	"boathook/internal/run"
	"boathook/internal/sweep"
)

type config struct {
	boot.Logging
	boot.Tables
	queues.Runs
	queues.Deliveries
	queues.Retries
	WebSocketEndpoint string `env:"BOATHOOK_WEBSOCKET_ENDPOINT,required,notEmpty"`
}

// reserve is what is left to end in when the sweep's context does.
const reserve = 2 * time.Second

func main() { boot.Run(build) }

func build(_ context.Context, c config, sdk aws.Config) (any, error) {
	store, client, counters, tracer := c.Store(sdk), sqs.NewFromConfig(sdk), c.Metrics(), c.Tracer()
	sweeper := &sweep.Sweeper{
		Store: store,
		Keeper: &run.Keeper{
			Store:   store,
			Publish: &delivery.Publisher{Store: store, Queue: c.DeliveriesQueue(client), RecordDays: c.RetentionDays, Log: slog.Default(), Tracer: tracer},
			Queue:   c.RunsQueue(client),
			Now:     time.Now,
			Log:     slog.Default(),
			Metrics: counters,
		},
		Retries:     c.RetriesQueue(client),
		Connections: &live.Log{Store: store, Sockets: apigateway.New(sdk, c.WebSocketEndpoint), Now: time.Now},
		Now:         time.Now,
		Log:         slog.Default(),
		Tracer:      tracer,
	}
	return func(ctx context.Context) error {
		defer counters.Flush()
		if deadline, ok := ctx.Deadline(); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline.Add(-reserve))
			defer cancel()
		}
		return sweeper.Sweep(ctx)
	}, nil
}
