package service

import (
	"context"
	"fmt"
	"slices"
	"strings"

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
