// Package sqs is the queue contract on Amazon SQS standard queues.
//
// Send makes as few requests as SQS allows: ten messages and 1 MiB at most in
// each, side by side where there are several. A message's group goes out as
// its MessageGroupId, which makes a standard queue a fair one.
//
// A request that fails as a whole is the SDK client's to retry, by its
// retryer. SQS may also take a request and refuse some of its messages: those
// that are not the sender's fault are sent once more. What has not been
// accepted then is in the [queue.PartialError].
package sqs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"boathook/internal/queue"
)

const (
	maxConcurrent = 4 // requests of one Send under way at once
	maxTries      = 2 // of a message that SQS refuses though it is not the sender's fault
	maxWait       = 20 * time.Second
)

// Queue is an SQS queue. It is safe for concurrent use.
type Queue struct {
	client *sqs.Client
	url    string
}

var _ queue.Queue = (*Queue)(nil)

// New is the queue at a URL.
func New(client *sqs.Client, url string) *Queue {
	return &Queue{client: client, url: url}
}

// Send implements [queue.Sender].
func (q *Queue) Send(ctx context.Context, messages ...queue.Message) error {
	for i, m := range messages {
		if err := m.Validate(); err != nil {
			return fmt.Errorf("send message %d: %w", i, err)
		}
	}
	var (
		requests errgroup.Group
		mu       sync.Mutex
		partial  queue.PartialError
	)
	requests.SetLimit(maxConcurrent)
	for _, batch := range split(messages) {
		requests.Go(func() error {
			if failed, err := q.sendBatch(ctx, messages, batch); len(failed) > 0 {
				mu.Lock()
				defer mu.Unlock()
				partial.Failed = append(partial.Failed, failed...)
				partial.Err = err
			}
			return nil // a failed batch does not stop the others
		})
	}
	_ = requests.Wait()
	if len(partial.Failed) > 0 {
		slices.Sort(partial.Failed)
		return &partial
	}
	return nil
}

// split puts the messages into batches of their indexes, each within the
// limits of one request. Groups count too: whether SQS counts them is not
// documented.
func split(messages []queue.Message) [][]int {
	var batches [][]int
	var batch []int
	size := 0
	for i, m := range messages {
		n := len(m.Body) + len(m.Group)
		if len(batch) == queue.MaxBatch || len(batch) > 0 && size+n > queue.MaxBody {
			batches = append(batches, batch)
			batch, size = nil, 0
		}
		batch = append(batch, i)
		size += n
	}
	if len(batch) > 0 {
		batches = append(batches, batch)
	}
	return batches
}

// sendBatch returns the indexes that are not known to be accepted and, if
// there are any, one of the causes.
func (q *Queue) sendBatch(ctx context.Context, messages []queue.Message, batch []int) (failed []int, cause error) {
	for try := 0; try < maxTries && len(batch) > 0; try++ {
		out, err := q.client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{
			QueueUrl: &q.url, Entries: entries(messages, batch),
		})
		if err != nil {
			return append(failed, batch...), err
		}
		accepted := make(map[string]bool)
		for _, e := range out.Successful {
			accepted[aws.ToString(e.Id)] = true
		}
		refused := make(map[string]types.BatchResultErrorEntry)
		for _, e := range out.Failed {
			refused[aws.ToString(e.Id)] = e
		}
		var again []int
		for _, i := range batch {
			id := strconv.Itoa(i)
			if accepted[id] {
				continue
			}
			e := refused[id]
			cause = refusal(e)
			if e.SenderFault {
				failed = append(failed, i)
			} else {
				again = append(again, i)
			}
		}
		batch = again
	}
	return append(failed, batch...), cause
}

// entries are the messages of a batch, each with its index as its id.
func entries(messages []queue.Message, batch []int) []types.SendMessageBatchRequestEntry {
	entries := make([]types.SendMessageBatchRequestEntry, 0, len(batch))
	for _, i := range batch {
		m := messages[i]
		entry := types.SendMessageBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), MessageBody: &m.Body, DelaySeconds: int32(m.DelaySeconds()),
		}
		if m.Group != "" {
			entry.MessageGroupId = &m.Group
		}
		entries = append(entries, entry)
	}
	return entries
}

func refusal(e types.BatchResultErrorEntry) error {
	return fmt.Errorf("refused by SQS: %s: %s", aws.ToString(e.Code), aws.ToString(e.Message))
}

// Receive implements [queue.Queue]. SQS waits whole seconds, so wait is
// rounded up, and 20 at most, so a longer wait may end early with nothing.
func (q *Queue) Receive(ctx context.Context, limit int, wait time.Duration) ([]queue.Received, error) {
	if limit < 1 || limit > queue.MaxBatch {
		return nil, fmt.Errorf("receive: limit %d, of 1 to %d", limit, queue.MaxBatch) // the SDK would leave out a 0
	}
	wait = min(max(wait, 0)+time.Second-1, maxWait)
	out, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &q.url, MaxNumberOfMessages: int32(limit), WaitTimeSeconds: int32(wait / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{
			types.MessageSystemAttributeNameApproximateReceiveCount,
			types.MessageSystemAttributeNameMessageGroupId,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	var received []queue.Received
	for _, m := range out.Messages {
		receives, err := strconv.Atoi(m.Attributes["ApproximateReceiveCount"])
		if err != nil {
			return nil, fmt.Errorf("receive: message %s: receive count: %w", aws.ToString(m.MessageId), err)
		}
		received = append(received, queue.Received{
			ID: aws.ToString(m.MessageId), Body: aws.ToString(m.Body), Group: m.Attributes["MessageGroupId"],
			Receives: receives, Receipt: aws.ToString(m.ReceiptHandle),
		})
	}
	return received, nil
}

// Delete implements [queue.Queue]. The receipts that SQS refuses are in the
// error; the others are deleted.
func (q *Queue) Delete(ctx context.Context, receipts ...string) error {
	var errs []error
	for chunk := range slices.Chunk(receipts, queue.MaxBatch) {
		entries := make([]types.DeleteMessageBatchRequestEntry, len(chunk))
		for i := range chunk {
			entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &chunk[i]}
		}
		out, err := q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &q.url, Entries: entries})
		if err != nil {
			errs = append(errs, fmt.Errorf("delete: %w", err))
			continue
		}
		for _, e := range out.Failed {
			errs = append(errs, fmt.Errorf("delete: %w", refusal(e)))
		}
	}
	return errors.Join(errs...)
}
