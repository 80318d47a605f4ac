package native

import (
	"context"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// Queues are described with [service.Queues].
type Queues interface {
	List(ctx context.Context, c service.Caller) ([]service.Queue, error)
	Redrive(ctx context.Context, c service.Caller, name string) (service.Queue, error)
}

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
	Status    string        `json:"status"`
	Moved     int           `json:"moved"`
	Total     int           `json:"total"`
	StartedAt boathook.Time `json:"started_at"`
	Failure   *string       `json:"failure"`
}

func viewQueue(q service.Queue) queueView {
	view := queueView{Queue: q.Name, Depth: depthView(q.Depth), Dead: depthView(q.Dead)}
	if m := q.Move; m != nil {
		view.Move = &moveView{string(m.Status), m.Moved, m.Total, boathook.Time{Time: m.StartedAt}, httpjson.Nullable(m.Failure)}
	}
	return view
}

func (f face) listQueues(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.List[queueView], error) {
	queues, err := f.Queues.List(ctx, c.Caller)
	return httpjson.ViewList(queues, "", viewQueue), err
}

type redrive struct {
	Queue string `json:"queue"`
}

func (f face) redrive(ctx context.Context, c httpjson.Call, in redrive) (queueView, error) {
	q, err := f.Queues.Redrive(ctx, c.Caller, in.Queue)
	return viewQueue(q), err
}
