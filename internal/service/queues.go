package service

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
	"boathook/internal/queue"
)

// Queues are the stack's, with those that hold what could not be handled.
type Queues struct{ *core }

// Queue is a queue and how full it is.
type Queue struct {
	Name string
	queue.State
}

// queueNames are the queues, in the order of a webhook's road.
var queueNames = []string{queue.Runs, queue.Deliveries, queue.Retries}

// List looks at all queues.
func (k Queues) List(ctx context.Context, c Caller) ([]Queue, error) {
	if err := c.May("Queues.List"); err != nil {
		return nil, err
	}
	if err := k.operator(c); err != nil {
		return nil, err
	}
	queues := make([]Queue, len(queueNames))
	var group errgroup.Group
	for i, name := range queueNames {
		group.Go(func() (err error) {
			queues[i], err = k.look(ctx, name)
			return err
		})
	}
	return queues, group.Wait()
}

func (k Queues) look(ctx context.Context, name string) (Queue, error) {
	state, err := k.cfg.Queues[name].State(ctx)
	if err != nil {
		return Queue{}, fmt.Errorf("look at the queue %s: %w", name, err)
	}
	return Queue{name, state}, nil
}

// Redrive starts to move what is in a queue's dead-letter queue back.
func (k Queues) Redrive(ctx context.Context, c Caller, name string) (Queue, error) {
	if err := c.May("Queues.Redrive"); err != nil {
		return Queue{}, err
	}
	if err := k.operator(c); err != nil {
		return Queue{}, err
	}
	if !slices.Contains(queueNames, name) {
		return Queue{}, boathook.InvalidField("queue", "must be one of %s", strings.Join(queueNames, ", "))
	}
	if err := k.cfg.Queues[name].Redrive(ctx); err != nil {
		return Queue{}, fmt.Errorf("redrive %s: %w", name, err)
	}
	k.cfg.Log.WarnContext(ctx, "redrive started", "queue", name)
	return k.look(ctx, name)
}

// DeadLetter is a message that could not be processed, without what a user has sent.
type DeadLetter struct {
	ID          string
	RunID       string             // of the queue of runs
	DeliveryID  string             // of the other queues
	EventType   boathook.EventType // of a delivery
	WorkspaceID string             // another's run or delivery is not the caller's to open
	Source      SourceRef          // without the crew of an agent
	At          time.Time          // of the run, or of the delivery's event
	Receives    int                // about
	Fault       string             // why the message can't be read; all else is empty then
}

// DeadLetters looks at the dead letters of a queue, ten at most, and takes none.
func (k Queues) DeadLetters(ctx context.Context, c Caller, name string) ([]DeadLetter, error) {
	if err := c.May("Queues.DeadLetters"); err != nil {
		return nil, err
	}
	if err := k.operator(c); err != nil {
		return nil, err
	}
	if !slices.Contains(queueNames, name) {
		return nil, boathook.InvalidField("queue", "must be one of %s", strings.Join(queueNames, ", "))
	}
	messages, err := k.cfg.Queues[name].DeadLetters(ctx)
	if err != nil {
		return nil, fmt.Errorf("look at the dead letters of %s: %w", name, err)
	}
	letters := make([]DeadLetter, len(messages))
	for i, m := range messages {
		letters[i] = letterOf(name, m)
	}
	return letters, nil
}

// letterOf says what a message of a queue is about.
func letterOf(name string, m queue.DeadLetter) DeadLetter {
	l := DeadLetter{ID: m.ID, Receives: m.Receives}
	const maxFault = 300 // bytes
	if name == queue.Runs {
		run, err := queue.DecodeRun(m.Body)
		if err != nil {
			l.Fault = boathook.Shorten(err.Error(), maxFault)
			return l
		}
		l.RunID, l.WorkspaceID, l.At = run.ID, run.WorkspaceID, run.CreatedAt
		l.Source = SourceRef{Kind: boathook.KindOf(run.SourceID), ID: run.SourceID}
		return l
	}
	d, err := queue.DecodeDelivery(m.Body)
	if err != nil {
		l.Fault = boathook.Shorten(err.Error(), maxFault)
		return l
	}
	l.DeliveryID, l.EventType, l.WorkspaceID, l.At = d.ID.String(), d.EventType, d.WorkspaceID, d.ID.Time()
	l.Source = SourceRef{Kind: boathook.KindOf(d.SourceID), ID: d.SourceID}
	return l
}
