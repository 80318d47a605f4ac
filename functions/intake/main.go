// Command intake is the Lambda function that answers triggers: the HTTP API's
// POST /webhooks/runs/{token}, and the trigger of agents. What it does is in
// package intake.
package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"boathook/functions/internal/boot"
	"boathook/functions/internal/queues"
	"boathook/functions/internal/sealing"
	"boathook/internal/egress"
	"boathook/internal/intake"
	"boathook/internal/lambda/httpapi"
	"boathook/internal/metrics"
	"boathook/internal/run"
)

type config struct {
	boot.Logging
	boot.Tables
	queues.Runs
	sealing.Key

	// What agents need to be triggered, besides the tables, where logs are.
	AgentExecution   bool     `env:"BOATHOOK_AGENT_EXECUTION,required"`
	AllowedTargets   []string `env:"BOATHOOK_ALLOWED_TARGETS,required"`
	InternalSecretID string   `env:"BOATHOOK_INTERNAL_SECRET_ID,required"`

	PublicURL string `env:"BOATHOOK_PUBLIC_URL,required"`
}

func main() { boot.Run(build) }

func build(_ context.Context, c config, sdk aws.Config) (any, error) {
	store, counters, tracer := c.Store(sdk), c.Metrics(), c.Tracer()
	handler := &intake.Intake{
		Store: store,
		Runs: &run.Starter{
			Store: store, Queue: c.RunsQueue(sqs.NewFromConfig(sdk)), Now: time.Now, Log: slog.Default(), Tracer: tracer,
		},
		Seal: c.Sealer(sdk, store),
		Agents: intake.Prerequisites{
			Execution:     c.AgentExecution,
			Target:        len(c.AllowedTargets) > 0,
			LogStore:      c.RecordsTable != "",
			InternalToken: c.InternalSecretID != "",
		},
		PublicURL: c.PublicURL,
		Client:    egress.New(egress.Config{}),
		Now:       time.Now,
		Log:       slog.Default(),
		Metrics:   counters,
		Tracer:    tracer,
	}
	return metrics.Flushed(counters, httpapi.Handler(handler.Handler())), nil
}
