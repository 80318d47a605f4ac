package console

import (
	"context"
	"slices"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

// queueRow is a queue in a list.
type queueRow struct {
	service.Queue
	About   string
	Last    string               // what became of the last redrive
	Letters []service.DeadLetter // some of those that are dead
}

var aboutQueues = map[string]string{"runs": "Accepted triggers", "deliveries": "First attempts", "retries": "Later attempts"}

// lastMove says what became of a redrive.
func lastMove(q service.Queue) string {
	m := q.Move
	switch {
	case m == nil:
		return ""
	case m.Status == "running":
		return "A redrive is under way: " + number(m.Moved) + " of " + number(m.Total)
	case m.Status == "failed":
		return "The last redrive failed: " + m.Failure
	}
	return "The last redrive moved " + number(m.Moved)
}

// operations shows the stack's queues, which of the workspace's webhooks fail, and to whom
// alerts go.
func (c *Console) operations(ctx context.Context, r *request) (answer, error) {
	var queues []service.Queue
	var alerts []boathook.OutgoingWebhook
	var missed missed
	ctx, wait := c.readNames(ctx, r)
	defer wait()
	err := beside(func() (err error) {
		queues, err = c.cfg.Service.Queues.List(ctx, r.caller)
		return err
	}, func() (err error) {
		alerts, _, err = c.cfg.Service.Outgoing.List(ctx, r.caller, service.Alerts(r.caller.Workspace), boathook.Page{Limit: boathook.MaxWebhooks})
		return err
	}, func() (err error) {
		missed, err = c.missed(ctx, r)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	rows := make([]queueRow, len(queues))
	letters := make([]func() error, len(queues), len(queues)+1)
	dead := 0
	for i, q := range queues {
		rows[i] = queueRow{Queue: q, About: aboutQueues[q.Name], Last: lastMove(q)}
		dead += q.Dead.Ready
		letters[i] = func() (err error) {
			if q.Dead.Ready > 0 {
				rows[i].Letters, err = c.cfg.Service.Queues.DeadLetters(ctx, r.caller, q.Name)
			}
			return err
		}
	}
	var names service.Names
	letters = append(letters, func() (err error) {
		names, err = c.names(ctx, r, slices.Concat(missed.failed, missed.retrying))
		return err
	})
	if err := beside(letters...); err != nil {
		return answer{}, err
	}
	return r.page("operations", view{Title: "Operations", Nav: "operations", Data: map[string]any{
		"Queues": rows, "Dead": dead, "Troubles": troubles(r, names, allNames(names), missed), "Alerts": c.outgoingRows(alerts, nil), "Now": c.cfg.Now(), "Workspace": r.caller.Workspace,
	}})
}

// askRedrive asks before the dead letters of a queue are moved back.
func (c *Console) askRedrive(ctx context.Context, r *request) (answer, error) {
	queues, err := c.cfg.Service.Queues.List(ctx, r.caller)
	if err != nil {
		return answer{}, err
	}
	i := slices.IndexFunc(queues, func(q service.Queue) bool { return q.Name == r.PathValue("queue") })
	if i < 0 {
		return c.notFound(ctx, r)
	}
	return r.page("redrive", view{Title: "Redrive", Nav: "operations", Crumbs: []link{{"Operations", "/console/operations"}}, Data: queues[i]})
}

// redrive moves the dead letters of a queue back.
func (c *Console) redrive(ctx context.Context, r *request) (answer, error) {
	q, err := c.cfg.Service.Queues.Redrive(ctx, r.caller, r.PathValue("queue"))
	if err != nil {
		return answer{}, err
	}
	return r.redirect("/console/operations", "The dead letters of "+q.Name+" are moved back")
}
