// Command deliver is the Lambda function that sends outgoing webhooks from the
// deliveries and retries queues. What it does is in package delivery.
package main

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"boathook/functions/internal/allow"
	"boathook/functions/internal/boot"
	"boathook/functions/internal/queues"
	"boathook/functions/internal/sealing"
	"boathook/internal/boathook"
	"boathook/internal/delivery"
	"boathook/internal/delivery/destination"
	"boathook/internal/delivery/destination/listener"
	destinationsqs "boathook/internal/delivery/destination/sqs"
	"boathook/internal/lambda/sqsbatch"
	"boathook/internal/live"
	"boathook/internal/live/apigateway"
	"boathook/internal/metrics"
)

type config struct {
	boot.Logging
	boot.Tables
	allow.Egress
	allow.Queues
	queues.Deliveries
	queues.Retries
	sealing.Key

	WebSocketEndpoint string `env:"BOATHOOK_WEBSOCKET_ENDPOINT,required,notEmpty"`

	// Concurrency is how many batches of first attempts there are at a time.
	Concurrency int `env:"BOATHOOK_DELIVERY_CONCURRENCY,required"`
}

// leases are how many of the batches slow endpoints may hold, of so many: two
// fifths, so that most are always free.
func leases(concurrency int) int { return concurrency * 2 / 5 }

// margin is what an attempt may take in all: its time-out, the receiver's body,
// and our own calls. One that could outlive the function is not begun.
const margin = boathook.MaxDeliveryTimeout + 10*time.Second

func main() { boot.Run(build) }

func build(_ context.Context, c config, sdk aws.Config) (any, error) {
	store, client, counters, tracer := c.Store(sdk), sqs.NewFromConfig(sdk), c.Metrics(), c.Tracer()
	worker := delivery.New(delivery.Config{
		Store:   store,
		Retries: c.RetriesQueue(client),
		Publish: &delivery.Publisher{Store: store, Queue: c.DeliveriesQueue(client), RecordDays: c.RetentionDays, Log: slog.Default(), Tracer: tracer},
		Destination: destination.Set{
			boathook.DestinationURL: destination.HTTP{Client: c.Client(), Now: time.Now},
			boathook.DestinationSQS: destinationsqs.New(sdk, c.AllowedQueueARNs),
			boathook.DestinationListener: listener.Destination{Announcer: &live.Announcer{
				Store: store, Sockets: apigateway.New(sdk, c.WebSocketEndpoint), Log: slog.Default(),
			}},
		},
		Seal:    c.Sealer(sdk, store),
		Now:     time.Now,
		Jitter:  rand.Float64,
		Log:     slog.Default(),
		Metrics: counters,
		Tracer:  tracer,
		Leases:  leases(c.Concurrency),
	})
	handle := sqsbatch.Handler(worker.Handle, sqsbatch.Options{Margin: margin})
	return metrics.Flushed(counters, func(ctx context.Context, e awsevents.SQSEvent) (awsevents.SQSEventResponse, error) {
		defer worker.StoreCounts(ctx)
		return handle(ctx, e)
	}), nil
}
