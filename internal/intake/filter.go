package intake

import (
	"context"
	"fmt"

	"boathook/internal/boathook"
	"boathook/internal/expression"
	"boathook/internal/preset"
)

// unwanted says in words why a webhook's filter wants no run of a request; empty if it
// does. An expression that fails wants the run, since to drop what nobody has judged would
// lose it: the run's details tell of the fault. What the request holds is in no words but
// those.
func (in *Intake) unwanted(ctx context.Context, w *boathook.IncomingWebhook, reading preset.Reading, details *boathook.TriggerDetails) (reason string, err error) {
	if reason := w.Filter.Refuse(reading.Names, reading.Document); reason != "" || w.Filter.JQ == "" {
		return reason, nil
	}
	wanted := false
	fault, err := in.evaluate(ctx, w.Filter.JQ, reading, *details, func(ctx context.Context, e *expression.Expression, input *expression.Input) (err error) {
		wanted, err = e.Filter(ctx, input)
		return err
	})
	switch {
	case err != nil:
		return "", fmt.Errorf("evaluate the filter of %s: %w", w.ID, err)
	case fault != "":
		details.FilterError = boathook.Shorten("filter.jq: "+fault, boathook.MaxFilterError)
		in.Log.WarnContext(ctx, "filter failed, the run starts", "webhook_id", w.ID, "source_id", w.SourceID)
	case !wanted:
		return "filter.jq gives false", nil
	}
	return "", nil
}

// evaluate does something with an expression over {event, delivery_id, query, body}. The
// first three are as the run's details show them, and body is its input. The fault is the
// expression's; an error is not.
func (in *Intake) evaluate(ctx context.Context, text string, reading preset.Reading, details boathook.TriggerDetails,
	do func(context.Context, *expression.Expression, *expression.Input) error,
) (fault string, err error) {
	e, err := in.expressions.Get(ctx, text, func(context.Context) (*expression.Expression, error) { return expression.Compile(text) })
	if err == nil {
		err = do(ctx, e, expression.NewInput(func() (any, error) { return inputOf(reading, details) }))
	}
	switch {
	case err == nil:
		return "", nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	}
	return err.Error(), nil
}

// inputOf is what expressions of an incoming webhook read.
func inputOf(reading preset.Reading, details boathook.TriggerDetails) (any, error) {
	body, err := reading.Document.Value()
	if err != nil {
		return nil, fmt.Errorf("the input can't be read: %w", err)
	}
	return map[string]any{
		"event": textOrNull(details.Event), "delivery_id": textOrNull(details.DeliveryID), "query": details.QueryValues(), "body": body,
	}, nil
}

func textOrNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
