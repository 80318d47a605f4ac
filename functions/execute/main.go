// Command execute is the Lambda function that executes runs from the runs
// queue, one at a time. What it does is in package execute.
package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"boathook/functions/internal/allow"
	"boathook/functions/internal/boot"
	"boathook/internal/boathook"
	"boathook/internal/dialect"
	"boathook/internal/egress"
	"boathook/internal/execute"
	"boathook/internal/metrics"
	"boathook/internal/publish"
	sqsqueue "boathook/internal/queue/sqs"
	"boathook/internal/runs"
	"boathook/internal/seal"
	sealkms "boathook/internal/seal/kms"
	"boathook/internal/sqsbatch"
	"boathook/internal/stream"
	"boathook/internal/stream/apigateway"
	"boathook/internal/target"
	"boathook/internal/target/agentcore"
	"boathook/internal/target/lambda"
)

type config struct {
	boot.Logging
	boot.Tables
	allow.Egress
	allow.Targets
	DeliveriesQueueURL string `env:"BOATHOOK_DELIVERIES_QUEUE_URL,required,notEmpty"`
	WebSocketEndpoint  string `env:"BOATHOOK_WEBSOCKET_ENDPOINT,required,notEmpty"`
	KeyID              string `env:"BOATHOOK_KEY_ID,required,notEmpty"`
}

func main() { boot.Run(build) }

func build(_ context.Context, c config, sdk aws.Config) (any, error) {
	store, counters := c.Store(sdk), c.Metrics()
	guard := c.Guard()
	guard.NoReuse = true // a run can't be repeated, so its connection must not have died unused
	room := execute.New(execute.Config{
		Store: store,
		Targets: target.Set{
			boathook.TargetHTTP:      target.HTTP{Client: egress.New(guard), UserAgent: dialect.UserAgent},
			boathook.TargetLambda:    lambda.Target{Client: lambda.NewClient(sdk), Allowed: c.AllowedFunctionARNs},
			boathook.TargetAgentCore: agentcore.Target{Client: agentcore.NewClient(sdk), Allowed: c.AllowedRuntimeARNs},
		}.Only(c.AllowedTargets),
		Keeper: &runs.Keeper{
			Store:   store,
			Publish: &publish.Publisher{Webhooks: store, Queue: sqsqueue.New(sqs.NewFromConfig(sdk), c.DeliveriesQueueURL), Log: slog.Default()},
			Now:     time.Now,
			Log:     slog.Default(),
			Metrics: counters,
		},
		Stream:    stream.NewBroadcast(store, apigateway.New(sdk, c.WebSocketEndpoint), time.Now, slog.Default()),
		Seal:      seal.New(sealkms.Keys{Client: kms.NewFromConfig(sdk), KeyID: c.KeyID}, store),
		Now:       time.Now,
		Log:       slog.Default(),
		Heartbeat: 20 * time.Second,
	})
	return metrics.Flushed(counters, sqsbatch.Handler(room.Handle, sqsbatch.Options{})), nil
}
