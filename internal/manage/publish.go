package manage

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/catalogue"
	"boathook/internal/store"
)

// Limits of what is published at once.
const (
	maxEvents     = 100
	maxEventID    = 100       // characters of an id that the caller chooses
	maxEventsBody = 5_000_000 // bytes of the whole request: Lambda takes 6 MB, with all that is around it
)

// eventInput is an event as it is given.
type eventInput struct {
	ID          string               `json:"id"`
	Source      string               `json:"source"`
	Type        boathook.EventType   `json:"type"`
	Environment boathook.Environment `json:"environment"`
	Data        json.RawMessage      `json:"data"`
}

// publishInput is one event, or several. It does not embed eventInput: the
// decoder's errors would name that among the fields.
type publishInput struct {
	ID          string               `json:"id"`
	Source      string               `json:"source"`
	Type        boathook.EventType   `json:"type"`
	Environment boathook.Environment `json:"environment"`
	Data        json.RawMessage      `json:"data"`

	Events []eventInput `json:"events"`
}

func (in publishInput) one() eventInput {
	return eventInput{in.ID, in.Source, in.Type, in.Environment, in.Data}
}

type publishedView struct {
	Events []publishedEvent `json:"events"`
}

type publishedEvent struct {
	ID         string `json:"id"`
	Deliveries int    `json:"deliveries"`
}

// publishing is an event on its way out.
type publishing struct {
	boathook.Event
	published bool // before
	sent      publishedEvent
}

// pin is what may be published again: an event that has an id of its own, or all
// others of a request that has an idempotency key.
type pin struct {
	store.EventPin
	by     string // the field or header that says so
	events []*publishing
}

// publishEvents checks all events before it publishes any, and answers when
// all their deliveries are durable. What failed in between may be repeated: with
// an id or an idempotency key it makes no second delivery.
func (h *Handler) publishEvents(w http.ResponseWriter, c call) error {
	var in publishInput
	err := httpjson.Decode(w, c, maxEventsBody, &in)
	if boathook.IsKind(err, boathook.TooLarge) {
		return boathook.Errorf(boathook.TooLarge, "the body is over %d bytes: send fewer events at once", maxEventsBody)
	}
	if err != nil {
		return err
	}
	events, ids, key, err := h.checkPublish(c.Context(), c, in)
	if err != nil {
		return err
	}
	if err := h.pin(c.Context(), ids); err != nil {
		return err // which has not used up the key
	}
	if err := h.pin(c.Context(), key); err != nil {
		return err
	}
	if err := h.send(c.Context(), events, slices.Concat(ids, key)); err != nil {
		return err
	}
	view := publishedView{make([]publishedEvent, len(events))}
	for i, e := range events {
		view.Events[i] = e.sent
	}
	return httpjson.Answer(w, http.StatusAccepted, view)
}

// checkPublish makes the events that a request asks for, and their pins: of
// those that have ids of their own, and of all others by the request's key.
func (h *Handler) checkPublish(ctx context.Context, c call, in publishInput) (events []*publishing, ids, byKey []*pin, err error) {
	inputs := in.Events
	if one := in.one(); in.Events == nil {
		inputs = []eventInput{one}
	} else if one.ID+one.Source+string(one.Type)+string(one.Environment) != "" || one.Data != nil {
		return nil, nil, nil, boathook.InvalidField("events", "stands alone: the fields of one event don't go with it")
	}
	if len(inputs) == 0 || len(inputs) > maxEvents {
		return nil, nil, nil, boathook.InvalidField("events", "must have 1 to %d events", maxEvents)
	}
	key := boathook.IdempotencyKeyOf(c.Header)
	if err := boathook.CheckIdempotencyKey(key); err != nil {
		return nil, nil, nil, err
	}

	now := h.cfg.Now()
	sources := make(map[string]boathook.Source, 1)
	seen := make(map[string]bool, len(inputs))
	var keyed []*publishing
	for i, input := range inputs {
		at := ""
		if in.Events != nil {
			at = "/events/" + strconv.Itoa(i)
		}
		if err := h.checkEvent(ctx, c, input, sources); err != nil {
			return nil, nil, nil, located(at, err)
		}
		e := &publishing{Event: boathook.Event{
			ID: input.ID, WorkspaceID: c.Workspace, SourceID: input.Source, Environment: input.Environment,
			Type: input.Type, Time: now, Data: input.Data,
		}}
		switch {
		case input.ID != "":
			ids = append(ids, &pin{by: field(at, "id"), events: []*publishing{e}, EventPin: store.EventPin{
				WorkspaceID: c.Workspace, ID: e.ID, Hash: hashOf(input), Time: now,
			}})
		case key != "":
			e.ID = boathook.DeriveID(boathook.EventID, c.Workspace, key, strconv.Itoa(i))
			keyed = append(keyed, e)
		default:
			e.ID = boathook.NewID(boathook.EventID)
		}
		if seen[e.ID] {
			return nil, nil, nil, located(at, boathook.InvalidField("id", "is another event's in this request"))
		}
		seen[e.ID] = true
		e.sent.ID = e.ID
		events = append(events, e)
	}
	if len(keyed) > 0 {
		byKey = []*pin{{by: boathook.IdempotencyKey, events: keyed, EventPin: store.EventPin{ // it is for the request as a whole
			WorkspaceID: c.Workspace, ID: keyed[0].ID, Hash: hashOf(inputs), Time: now,
		}}}
	}
	return events, ids, byKey, nil
}

// hashOf tells content from other content, whatever white space is in it.
func hashOf(content any) [sha256.Size]byte {
	text, err := boathook.EncodeJSON(content)
	if err != nil {
		panic(err) // it was decoded from JSON
	}
	return sha256.Sum256(text)
}

// checkEvent refuses what is not in its source's catalogue. Of its data, the
// error's field is the JSON Pointer from the event on.
func (h *Handler) checkEvent(ctx context.Context, c call, in eventInput, sources map[string]boathook.Source) error {
	if string(in.Data) == "null" {
		return boathook.InvalidField("data", "must be an object, not null")
	}
	for _, f := range []struct {
		name  string
		given bool
	}{{"source", in.Source != ""}, {"type", in.Type != ""}, {"data", in.Data != nil}} {
		if !f.given {
			return boathook.InvalidField(f.name, "is required")
		}
	}
	if in.Type.Own() {
		return &boathook.Error{Kind: boathook.Forbidden, Field: "type",
			Message: fmt.Sprintf("%q is told of by Boathook alone, so that receivers can trust it", in.Type)}
	}
	if in.Environment != "" {
		if err := checkEnvironment(in.Environment); err != nil {
			return err
		}
	}
	if len(in.ID) > maxEventID || !boathook.Printable(in.ID) {
		return boathook.InvalidField("id", "must have at most %d printable ASCII characters, without spaces", maxEventID)
	}
	if len(in.Data) > boathook.MaxEventData {
		return &boathook.Error{Kind: boathook.TooLarge, Field: "data",
			Message: fmt.Sprintf("is larger than %d KiB", boathook.MaxEventData>>10)}
	}
	if err := boathook.CheckJSON(in.Data); err != nil {
		return boathook.InvalidField("data", "%s", err)
	}
	s, known := sources[in.Source]
	if !known {
		var err error
		s, err = h.cfg.Store.Source(ctx, c.Workspace, in.Source)
		if boathook.IsKind(err, boathook.NotFound) {
			return &boathook.Error{Kind: boathook.NotFound, Field: "source", Message: "there is no such source: give the id of a deployment, agent, repository or app"}
		}
		if err != nil {
			return err
		}
		sources[in.Source] = s
	}
	t, ok := catalogue.Lookup(s.Kind, in.Type)
	if !ok {
		return boathook.InvalidField("type", "%s", eventOf(s.Kind))
	}
	err := t.Validate(in.Data)
	if invalid, ok := errors.AsType[*boathook.Error](err); ok {
		if invalid.Field == "" {
			return boathook.InvalidField("data", "%s", invalid.Message)
		}
		return boathook.InvalidField("/data"+invalid.Field, "%s", invalid.Message)
	}
	return err
}

// eventOf says which events of a kind of source can be published.
func eventOf(kind boathook.SourceKind) string {
	types := publishable(kind)
	if len(types) == 0 {
		return fmt.Sprintf("no event of this source can be published: its kind is %s, and Boathook alone tells of those", kind)
	}
	return fmt.Sprintf("must be one of %s: the source's kind is %s", oneOf(types), kind)
}

// publishable are the events of a kind of source that others tell of.
func publishable(kind boathook.SourceKind) []boathook.EventType {
	return slices.DeleteFunc(slices.Clone(boathook.EventTypes[kind]), boathook.EventType.Own)
}

// located makes an error about a field of an event one about its place in the
// body. A field of the body itself is named, one further in by its JSON Pointer.
func located(at string, err error) error {
	e, ok := errors.AsType[*boathook.Error](err)
	if !ok || e.Field == "" {
		return err
	}
	return &boathook.Error{Kind: e.Kind, Field: field(at, e.Field), Message: e.Message}
}

// field is the name of an event's field where the event is at a place.
func field(at, name string) string {
	if at != "" && name[0] != '/' {
		name = "/" + name
	}
	return at + name
}

// parallel is how many calls of the store are under way at once.
const parallel = 8

// pin finds out which events were published before, and when they happened.
func (h *Handler) pin(ctx context.Context, pins []*pin) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, p := range pins {
		group.Go(func() (err error) {
			p.EventPin, err = h.cfg.Store.PinEvent(ctx, p.EventPin)
			if boathook.IsKind(err, boathook.Conflict) {
				return &boathook.Error{Kind: boathook.Conflict, Field: p.by, Message: "was used with other content"}
			}
			for _, e := range p.events {
				e.Time, e.published = p.Time, p.Published
			}
			for i, n := range p.Deliveries {
				p.events[i].sent.Deliveries = n
			}
			return err
		})
	}
	return group.Wait()
}

// send publishes what was not published before.
func (h *Handler) send(ctx context.Context, events []*publishing, pins []*pin) error {
	var unsent []*publishing
	var plain []boathook.Event
	for _, e := range events {
		if !e.published {
			unsent, plain = append(unsent, e), append(plain, e.Event)
		}
	}
	if len(plain) == 0 {
		return nil
	}
	deliveries, err := h.cfg.Publish.PublishAll(ctx, plain...)
	if err != nil {
		return err
	}
	for i, e := range unsent {
		e.sent.Deliveries = deliveries[i]
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, p := range pins {
		if p.Published {
			continue
		}
		counts := make([]int, len(p.events))
		for i, e := range p.events {
			counts[i] = e.sent.Deliveries
		}
		group.Go(func() error { return h.cfg.Store.MarkEventPublished(ctx, p.WorkspaceID, p.ID, counts) })
	}
	if err := group.Wait(); err != nil {
		// They are on their way, and that is what was asked for. A repeat sends
		// them once more, under the same ids.
		h.cfg.Log.WarnContext(ctx, "events published without a mark", "events", len(unsent), "error", err)
	}
	return nil
}

type eventTypeView struct {
	Type        boathook.EventType  `json:"type"`
	Source      boathook.SourceKind `json:"source"`
	Publishable bool                `json:"publishable"` // by POST /v1/events; others are Boathook's own
	Schema      json.RawMessage     `json:"schema"`
	Example     json.RawMessage     `json:"example"`
}

// listEventTypes shows the catalogue whole: it is short.
func (h *Handler) listEventTypes(context.Context, call, httpjson.None) (httpjson.List[eventTypeView], error) {
	return httpjson.ViewList(catalogue.All(), "", func(t catalogue.Type) eventTypeView {
		return eventTypeView{t.Name, t.Source, !t.Name.Own(), t.Schema, t.Example}
	}), nil
}
