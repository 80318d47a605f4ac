// Command manage is the Lambda function of the management API. What it does is
// in package manage.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"boathook/functions/internal/boot"
	"boathook/internal/apigw"
	"boathook/internal/boathook"
	"boathook/internal/cache"
	"boathook/internal/egress"
	"boathook/internal/manage"
	"boathook/internal/publish"
	"boathook/internal/queue"
	"boathook/internal/runs"
	"boathook/internal/seal"
	sealkms "boathook/internal/seal/kms"
	"boathook/internal/target"
)

// firstWorkspace is the workspace that the stack's admin token belongs to.
const firstWorkspace = "ws_default"

type config struct {
	boot.Logging
	boot.Tables
	boot.Egress
	RunsQueueURL        string   `env:"BOATHOOK_RUNS_QUEUE_URL,required,notEmpty"`
	DeliveriesQueueURL  string   `env:"BOATHOOK_DELIVERIES_QUEUE_URL,required,notEmpty"`
	RetriesQueueURL     string   `env:"BOATHOOK_RETRIES_QUEUE_URL,required,notEmpty"`
	DeadRunsURL         string   `env:"BOATHOOK_RUNS_DEAD_LETTER_QUEUE_URL,required,notEmpty"`
	DeadDeliveriesURL   string   `env:"BOATHOOK_DELIVERIES_DEAD_LETTER_QUEUE_URL,required,notEmpty"`
	DeadRetriesURL      string   `env:"BOATHOOK_RETRIES_DEAD_LETTER_QUEUE_URL,required,notEmpty"`
	KeyID               string   `env:"BOATHOOK_KEY_ID,required,notEmpty"`
	AdminSecretID       string   `env:"BOATHOOK_ADMIN_SECRET_ID,required,notEmpty"`
	AllowedFunctionARNs []string `env:"BOATHOOK_ALLOWED_FUNCTION_ARNS,required"`
	PublicURL           string   `env:"BOATHOOK_PUBLIC_URL,required"`
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

		AdminToken: adminToken(secretsmanager.NewFromConfig(sdk), c.AdminSecretID),
		Workspace:  firstWorkspace,
		CheckURL:   egress.New(c.Guard()).CheckURL,
		AllowTarget: func(t boathook.Target) error {
			switch {
			case t.Type == boathook.TargetCommand:
				return boathook.InvalidField("type", "command targets run on one machine only")
			case t.Type == boathook.TargetLambda && !target.AllowsARN(c.AllowedFunctionARNs, t.FunctionARN):
				return boathook.InvalidField("function_arn", "not among the functions that the stack's parameter AllowedFunctionArns names")
			}
			return nil
		},
		PublicURL: c.PublicURL,
		Now:       time.Now,
		Log:       slog.Default(),
	})
	return apigw.Handler(room), nil
}

// adminTokenTTL bounds how long a rotated token is still good.
const adminTokenTTL = time.Minute

// adminToken reads the stack's own token from its secret.
func adminToken(client *secretsmanager.Client, secretID string) func(context.Context) (string, error) {
	tokens := cache.Cache[string]{TTL: adminTokenTTL, Size: 1}
	return func(ctx context.Context) (string, error) {
		return tokens.Get(ctx, secretID, func(ctx context.Context) (string, error) {
			out, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &secretID})
			if err != nil {
				return "", fmt.Errorf("read the admin token: %w", err)
			}
			if aws.ToString(out.SecretString) == "" {
				return "", errors.New("the secret of the admin token is empty")
			}
			return *out.SecretString, nil
		})
	}
}
