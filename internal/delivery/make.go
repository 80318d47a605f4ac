package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/dialect"
	"boathook/internal/expression"
	"boathook/internal/store"
	"boathook/internal/tracing"
)

// maxEvaluating is how long the expressions of all webhooks may take with one event. Each
// is bounded in steps as well, and ends far earlier; this is for many that do all they may.
const maxEvaluating = 10 * time.Second

// making makes an event's deliveries. What they share is made once.
type making struct {
	publisher *Publisher
	event     boathook.Event
	input     *expression.Input
	bodies    map[style]boathook.Body // that no transform makes

	evaluating context.Context // until it has taken too long; nil before the first expression
	end        context.CancelFunc
}

// style is what a body depends on besides its event, where no transform makes it.
type style struct {
	dialect string
	format  boathook.Format
}

func (p *Publisher) making(e boathook.Event) *making {
	return &making{
		publisher: p, event: e, bodies: make(map[style]boathook.Body, 1), end: func() {},
		input: expression.NewInput(func() (any, error) { return inputOf(e) }),
	}
}

// inputOf is what expressions read of an event.
func inputOf(e boathook.Event) (any, error) {
	data, err := expression.Decode(e.Data)
	if err != nil {
		return nil, fmt.Errorf("the event's data can't be read: %w", err)
	}
	var environment any // null: of none
	if e.Environment != "" {
		environment = string(e.Environment)
	}
	return map[string]any{
		"type": string(e.Type), "environment": environment, "data": data,
		"source": map[string]any{"id": e.SourceID, "kind": string(boathook.KindOf(e.SourceID))},
	}, nil
}

// wants asks a webhook's filter. One that fails wants the event: its delivery tells of
// the fault. An error is not the filter's.
func (m *making) wants(ctx context.Context, w *boathook.OutgoingWebhook) (wanted bool, fault string, err error) {
	if w.Filter == "" {
		return true, "", nil
	}
	fault, err = m.evaluate(ctx, "filter", w.Filter, func(ctx context.Context, e *expression.Expression) (err error) {
		wanted, err = e.Filter(ctx, m.input)
		return err
	})
	return wanted || fault != "", fault, err
}

// delivery makes the event's delivery to a webhook. With a fault, of the filter or of the
// transform, it has the event's data for a body, of which [Publisher.Make] can make
// another.
func (m *making) delivery(ctx context.Context, w *boathook.OutgoingWebhook, fault string) (d boathook.Delivery, err error) {
	e := &m.event
	d = boathook.Delivery{
		ID: boathook.NewDeliveryID(e, w.ID), WorkspaceID: e.WorkspaceID, SourceID: e.SourceID, WebhookID: w.ID,
		EventID: e.ID, EventType: e.Type, Environment: e.Environment, Dialect: w.Dialect, Fault: fault, Trace: tracing.From(ctx),
	}
	switch {
	case fault != "":
	case w.Transform == "":
		d.Body, err = m.body(ctx, w)
		return d, err
	default:
		var body []byte
		d.Fault, err = m.evaluate(ctx, "transform", w.Transform, func(ctx context.Context, x *expression.Expression) (err error) {
			body, d.ContentType, err = x.Transform(ctx, m.input)
			return err
		})
		d.Body = boathook.NewBody(body)
	}
	if d.Fault != "" {
		d.Body = boathook.NewBody(e.Data)
	}
	return d, err
}

// body is that of a webhook's dialect and format. A message for people needs the source's
// name.
func (m *making) body(ctx context.Context, w *boathook.OutgoingWebhook) (boathook.Body, error) {
	s := style{w.Dialect, w.Format}
	if body, made := m.bodies[s]; made {
		return body, nil
	}
	if w.Format != boathook.Raw && w.Format != "" && m.event.SourceName == "" {
		var err error
		if m.event.SourceName, err = m.publisher.nameOf(ctx, m.event); err != nil {
			return boathook.Body{}, err
		}
	}
	d, ok := dialect.Lookup(w.Dialect)
	if !ok {
		return boathook.Body{}, fmt.Errorf("webhook %s has the unknown dialect %q", w.ID, w.Dialect)
	}
	text, err := d.Body(w.Format, m.event)
	if err != nil {
		return boathook.Body{}, fmt.Errorf("render: %w", err)
	}
	m.bodies[s] = boathook.NewBody(text)
	return m.bodies[s], nil
}

// evaluate does something with an expression, and gives its fault after the name of the
// field that has it. Only what is no fault of the expression is an error.
func (m *making) evaluate(ctx context.Context, field, text string, do func(context.Context, *expression.Expression) error) (fault string, err error) {
	if m.evaluating == nil {
		m.evaluating, m.end = context.WithTimeout(ctx, maxEvaluating)
	}
	e, err := m.publisher.expressions.Get(ctx, text, func(context.Context) (*expression.Expression, error) { return expression.Compile(text) })
	if err == nil {
		err = do(m.evaluating, e)
	}
	switch {
	case err == nil:
		return "", nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("with those of the source's other webhooks, it takes longer than %s", maxEvaluating)
	}
	return field + ": " + err.Error(), nil
}

// nameOf is the name of an event's source; empty for one that was deleted.
func (p *Publisher) nameOf(ctx context.Context, e boathook.Event) (string, error) {
	audience, err := p.Store.Audience(ctx, e.SourceID)
	if err != nil && !errors.Is(err, store.ErrIncomplete) || audience.Source == nil {
		return "", err
	}
	return audience.Source.Name, nil
}

// Make makes an event's delivery to one webhook, and queues nothing. With a reason there
// is nothing to send: the filter does not want the event, or an expression fails.
func (p *Publisher) Make(ctx context.Context, e boathook.Event, w boathook.OutgoingWebhook) (d boathook.Delivery, reason string, err error) {
	m := p.making(e)
	defer func() { m.end() }()
	wanted, fault, err := m.wants(ctx, &w)
	if err != nil {
		return d, "", err
	}
	if !wanted {
		return d, "filter: false", nil
	}
	d, err = m.delivery(ctx, &w, fault)
	return d, d.Fault, err
}
