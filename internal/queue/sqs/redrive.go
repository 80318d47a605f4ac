package sqs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
	"boathook/internal/queue"
)

// Redriver moves the messages of a dead-letter queue back by SQS's own message
// move tasks.
type Redriver struct {
	client       *sqs.Client
	url, deadURL string
}

var _ queue.Redriver = (*Redriver)(nil)

// NewRedriver is for the queue at a URL and its dead-letter queue at another.
func NewRedriver(client *sqs.Client, url, deadURL string) *Redriver {
	return &Redriver{client, url, deadURL}
}

// Redrive implements [queue.Redriver].
func (r *Redriver) Redrive(ctx context.Context) error {
	attributes, err := r.attributes(ctx, r.deadURL)
	if err != nil {
		return fmt.Errorf("redrive: %w", err)
	}
	_, err = r.client.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(attributes.arn)})
	if _, busy := errors.AsType[*types.UnsupportedOperation](err); busy {
		return boathook.Errorf(boathook.Conflict, "a move from this dead-letter queue is under way")
	}
	if err != nil {
		return fmt.Errorf("redrive: %w", err)
	}
	return nil
}

// State implements [queue.Redriver].
func (r *Redriver) State(ctx context.Context) (s queue.State, err error) {
	var live, dead attributes
	var group errgroup.Group
	group.Go(func() (err error) {
		if live, err = r.attributes(ctx, r.url); err != nil {
			return fmt.Errorf("state of a queue: %w", err)
		}
		return nil
	})
	group.Go(func() (err error) {
		if dead, err = r.attributes(ctx, r.deadURL); err != nil {
			return fmt.Errorf("state of a dead-letter queue: %w", err)
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return s, err
	}
	s.Depth, s.Dead = live.Depth, dead.Depth
	out, err := r.client.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: &dead.arn, MaxResults: aws.Int32(1)})
	if err != nil {
		return s, fmt.Errorf("list moves: %w", err)
	}
	if len(out.Results) > 0 {
		s.Move = move(out.Results[0])
	}
	return s, nil
}

// DeadLetters implements [queue.Redriver].
func (r *Redriver) DeadLetters(ctx context.Context) ([]queue.DeadLetter, error) {
	out, err := r.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &r.deadURL, MaxNumberOfMessages: queue.MaxBatch,
		WaitTimeSeconds:             1, // then all of SQS's servers are asked, and not a few of them
		VisibilityTimeout:           1, // the SDK would leave out a 0
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameApproximateReceiveCount},
	})
	if err != nil {
		return nil, fmt.Errorf("look at dead letters: %w", err)
	}
	letters := make([]queue.DeadLetter, len(out.Messages))
	for i, m := range out.Messages {
		receives, err := strconv.Atoi(m.Attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)])
		if err != nil {
			return nil, fmt.Errorf("look at dead letter %s: receive count: %w", aws.ToString(m.MessageId), err)
		}
		letters[i] = queue.DeadLetter{ID: aws.ToString(m.MessageId), Body: aws.ToString(m.Body), Receives: receives}
	}
	return letters, nil
}

func move(e types.ListMessageMoveTasksResultEntry) *queue.Move {
	m := &queue.Move{
		Status:    queue.MoveRunning,
		Moved:     int(e.ApproximateNumberOfMessagesMoved),
		Total:     int(aws.ToInt64(e.ApproximateNumberOfMessagesToMove)),
		StartedAt: time.UnixMilli(e.StartedTimestamp).UTC(),
		Failure:   aws.ToString(e.FailureReason),
	}
	switch aws.ToString(e.Status) {
	case "COMPLETED":
		m.Status = queue.MoveCompleted
	case "CANCELLED":
		m.Status = queue.MoveCanceled
	case "FAILED":
		m.Status = queue.MoveFailed
	}
	return m
}

type attributes struct {
	queue.Depth
	arn string
}

func (r *Redriver) attributes(ctx context.Context, url string) (a attributes, err error) {
	out, err := r.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []types.QueueAttributeName{
			types.QueueAttributeNameQueueArn,
			types.QueueAttributeNameApproximateNumberOfMessages,
			types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
			types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
		},
	})
	if err != nil {
		return a, err
	}
	a.arn = out.Attributes[string(types.QueueAttributeNameQueueArn)]
	for name, into := range map[types.QueueAttributeName]*int{
		types.QueueAttributeNameApproximateNumberOfMessages:           &a.Ready,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible: &a.InFlight,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed:    &a.Delayed,
	} {
		if *into, err = strconv.Atoi(out.Attributes[string(name)]); err != nil {
			return a, fmt.Errorf("attribute %s: %w", name, err)
		}
	}
	return a, nil
}
