// Package queues is the part of functions' configurations that names the queues.
// It stands apart from boot, since not every function sends messages. One client
// serves all of a function's queues, so that they share its connections.
package queues

import (
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"boathook/internal/queue"
	sqsqueue "boathook/internal/queue/sqs"
)

// Runs is the part of a configuration that starts runs.
type Runs struct {
	RunsURL string `env:"BOATHOOK_RUNS_QUEUE_URL,required,notEmpty"`
}

// RunsQueue leads to execute.
func (r Runs) RunsQueue(client *sqs.Client) *sqsqueue.Queue { return sqsqueue.New(client, r.RunsURL) }

// Deliveries is the part of a configuration that publishes events.
type Deliveries struct {
	DeliveriesURL string `env:"BOATHOOK_DELIVERIES_QUEUE_URL,required,notEmpty"`
}

// DeliveriesQueue leads to deliver's first attempts.
func (d Deliveries) DeliveriesQueue(client *sqs.Client) *sqsqueue.Queue {
	return sqsqueue.New(client, d.DeliveriesURL)
}

// Retries is the part of a configuration that has attempts made again.
type Retries struct {
	RetriesURL string `env:"BOATHOOK_RETRIES_QUEUE_URL,required,notEmpty"`
}

// RetriesQueue leads to deliver's later attempts.
func (r Retries) RetriesQueue(client *sqs.Client) *sqsqueue.Queue {
	return sqsqueue.New(client, r.RetriesURL)
}

// All is the part of a configuration that operates the queues.
type All struct {
	Runs
	Deliveries
	Retries
	DeadRunsURL       string `env:"BOATHOOK_RUNS_DEAD_LETTER_QUEUE_URL,required,notEmpty"`
	DeadDeliveriesURL string `env:"BOATHOOK_DELIVERIES_DEAD_LETTER_QUEUE_URL,required,notEmpty"`
	DeadRetriesURL    string `env:"BOATHOOK_RETRIES_DEAD_LETTER_QUEUE_URL,required,notEmpty"`
}

// Redrivers are the queues with their dead-letter queues, by name.
func (a All) Redrivers(client *sqs.Client) map[string]queue.Redriver {
	return map[string]queue.Redriver{
		queue.Runs:       sqsqueue.NewRedriver(client, a.RunsURL, a.DeadRunsURL),
		queue.Deliveries: sqsqueue.NewRedriver(client, a.DeliveriesURL, a.DeadDeliveriesURL),
		queue.Retries:    sqsqueue.NewRedriver(client, a.RetriesURL, a.DeadRetriesURL),
	}
}
