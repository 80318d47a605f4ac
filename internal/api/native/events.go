package native

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// Events are described with [service.Events].
type Events interface {
	Publish(ctx context.Context, c service.Caller, in []service.NewEvent, idempotencyKey string) ([]service.PublishedEvent, error)
}

// maxEventsBody is how long a request may be that publishes events, in bytes: Lambda
// takes 6 MB, with all that is around it.
const maxEventsBody = 5_000_000

// eventInput is an event as it is given.
type eventInput struct {
	ID          string               `json:"id"`
	Source      string               `json:"source"`
	Type        boathook.EventType   `json:"type"`
	Environment boathook.Environment `json:"environment"`
	Data        json.RawMessage      `json:"data"`
	Channels    []string             `json:"channels"`
}

// publishInput is one event, or several. It does not embed eventInput: the
// decoder's errors would name that among the fields.
type publishInput struct {
	ID          string               `json:"id"`
	Source      string               `json:"source"`
	Type        boathook.EventType   `json:"type"`
	Environment boathook.Environment `json:"environment"`
	Data        json.RawMessage      `json:"data"`
	Channels    []string             `json:"channels"`

	Events []eventInput `json:"events"`
}

// read gives the events that are asked for, and whether the body itself is the only one.
func (in publishInput) read() (events []service.NewEvent, alone bool, err error) {
	one := service.NewEvent{ID: in.ID, Source: in.Source, Type: in.Type, Environment: in.Environment, Data: in.Data, Channels: in.Channels}
	if in.Events == nil {
		return []service.NewEvent{one}, true, nil
	}
	if one.ID+one.Source+string(one.Type)+string(one.Environment) != "" || one.Data != nil || one.Channels != nil {
		return nil, false, boathook.InvalidField("events", "stands alone: the fields of one event don't go with it")
	}
	events = make([]service.NewEvent, len(in.Events))
	for i, e := range in.Events {
		events[i] = service.NewEvent(e)
	}
	return events, false, nil
}

type publishedView struct {
	Events []publishedEvent `json:"events"`
}

type publishedEvent struct {
	ID         string `json:"id"`
	Deliveries int    `json:"deliveries"`
}

func (f face) publishEvents(w http.ResponseWriter, c httpjson.Call) error {
	var in publishInput
	err := httpjson.Decode(w, c, maxEventsBody, &in)
	if boathook.IsKind(err, boathook.TooLarge) {
		return boathook.Errorf(boathook.TooLarge, "the body is over %d bytes: send fewer events at once", maxEventsBody)
	}
	if err != nil {
		return err
	}
	events, alone, err := in.read()
	if err != nil {
		return err
	}
	published, err := f.Events.Publish(c.Context(), c.Caller, events, boathook.IdempotencyKeyOf(c.Header))
	if alone {
		err = ofBody(err)
	}
	if err != nil {
		return err
	}
	view := publishedView{make([]publishedEvent, len(published))}
	for i, e := range published {
		view.Events[i] = publishedEvent(e)
	}
	return httpjson.Answer(w, http.StatusAccepted, view)
}

// ofBody makes an error about the only event one about the body, which the event is: a
// field of the body itself is named, one further in by its JSON Pointer.
func ofBody(err error) error {
	e, ok := errors.AsType[*boathook.Error](err)
	if !ok {
		return err
	}
	pointer, ok := strings.CutPrefix(e.Field, "/events/0")
	if !ok {
		return err
	}
	if name := pointer[1:]; !strings.Contains(name, "/") {
		pointer = name
	}
	return &boathook.Error{Kind: e.Kind, Field: pointer, Message: e.Message}
}
