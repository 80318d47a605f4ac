package manage

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
	"boathook/internal/queue"
)

// queueNames are the queues, in the order of a webhook's road.
var queueNames = []string{queue.Runs, queue.Deliveries, queue.Retries}

type queueView struct {
	Queue string    `json:"queue"`
	Depth depthView `json:"depth"`
	Dead  depthView `json:"dead"`
	Move  *moveView `json:"move"` // the last one from the dead-letter queue back
}

// depthView is as SQS tells it: about, and up to a minute late.
type depthView struct {
	Ready    int `json:"ready"`
	InFlight int `json:"in_flight"`
	Delayed  int `json:"delayed"`
}

type moveView struct {
	Status    queue.MoveStatus `json:"status"`
	Moved     int              `json:"moved"`
	Total     int              `json:"total"`
	StartedAt boathook.Time    `json:"started_at"`
	Failure   *string          `json:"failure"`
}

func (h *Handler) viewQueue(ctx context.Context, name string) (queueView, error) {
	s, err := h.cfg.Queues[name].State(ctx)
	if err != nil {
		return queueView{}, fmt.Errorf("look at the queue %s: %w", name, err)
	}
	view := queueView{Queue: name, Depth: depthView(s.Depth), Dead: depthView(s.Dead)}
	if m := s.Move; m != nil {
		view.Move = &moveView{m.Status, m.Moved, m.Total, boathook.Time{Time: m.StartedAt}, nullable(m.Failure)}
	}
	return view, nil
}

// operator refuses who is none: the queues hold every workspace's messages, and
// whoever sees all workspaces can let themselves into each.
func (h *Handler) operator(c call) error {
	if c.workspace != h.cfg.Workspace {
		return boathook.Errorf(boathook.Forbidden, "this needs an admin of the stack's first workspace")
	}
	return nil
}

func (h *Handler) listQueues(ctx context.Context, c call, _ none) (list[queueView], error) {
	if err := h.operator(c); err != nil {
		return list[queueView]{}, err
	}
	views := make([]queueView, len(queueNames))
	var group errgroup.Group
	for i, name := range queueNames {
		group.Go(func() (err error) {
			views[i], err = h.viewQueue(ctx, name)
			return err
		})
	}
	return list[queueView]{Data: views}, group.Wait()
}

type redrive struct {
	Queue string `json:"queue"`
}

// redrive starts to move what is in a queue's dead-letter queue back.
func (h *Handler) redrive(ctx context.Context, c call, in redrive) (queueView, error) {
	if err := h.operator(c); err != nil {
		return queueView{}, err
	}
	if !slices.Contains(queueNames, in.Queue) {
		return queueView{}, boathook.InvalidField("queue", "must be one of %s", strings.Join(queueNames, ", "))
	}
	if err := h.cfg.Queues[in.Queue].Redrive(ctx); err != nil {
		return queueView{}, fmt.Errorf("redrive %s: %w", in.Queue, err)
	}
	h.cfg.Log.WarnContext(ctx, "redrive started", "queue", in.Queue)
	return h.viewQueue(ctx, in.Queue)
}
