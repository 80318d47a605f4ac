package service

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
	"boathook/internal/catalogue"
	"boathook/internal/store"
)

// Events are what happens to sources, told by users.
type Events struct{ *core }

// Limits of what is published at once.
const (
	maxEvents  = 100
	maxEventID = 100 // characters of an id that the caller chooses
)

// NewEvent is an event as it is given. The hash of its JSON is stored, to tell a repeat
// from another event of the same id: its fields, their names and their order stay.
type NewEvent struct {
	ID          string               `json:"id"`     // empty: it gets one
	Source      string               `json:"source"` // its id, owner/name of a repository, or "customer:" and a customer's external id
	Type        boathook.EventType   `json:"type"`
	Environment boathook.Environment `json:"environment"` // empty: of none in particular
	Data        json.RawMessage      `json:"data"`
	Channels    []string             `json:"channels,omitempty"` // sorted, once it is checked
}

// PublishedEvent is an event whose deliveries are durable.
type PublishedEvent struct {
	ID         string
	Deliveries int
}

// publishing is an event on its way out.
type publishing struct {
	boathook.Event
	published bool // before
	sent      PublishedEvent
}

// pin is what may be published again: an event that has an id of its own, or all
// others of a request that has an idempotency key.
type pin struct {
	store.EventPin
	by     string // the field or header that says so
	events []*publishing
}

// Publish checks all events before it publishes any, and gives them in their order when
// all their deliveries are durable. What failed in between may be repeated: with an
// id or an idempotency key, which may be empty, it makes no second delivery. An error
// about an event names a field by its JSON Pointer from the request on, as in
// "/events/0/type".
func (k Events) Publish(ctx context.Context, c Caller, in []NewEvent, idempotencyKey string) ([]PublishedEvent, error) {
	if err := c.May("Events.Publish"); err != nil {
		return nil, err
	}
	events, ids, byKey, err := k.checkPublish(ctx, c, in, idempotencyKey)
	if err != nil {
		return nil, err
	}
	if err := k.pin(ctx, ids); err != nil {
		return nil, err // which has not used up the key
	}
	if err := k.pin(ctx, byKey); err != nil {
		return nil, err
	}
	if err := k.send(ctx, events, slices.Concat(ids, byKey)); err != nil {
		return nil, err
	}
	sent := make([]PublishedEvent, len(events))
	for i, e := range events {
		sent[i] = e.sent
	}
	return sent, nil
}

// checkPublish makes the events that are asked for, and their pins: of those that
// have ids of their own, and of all others by the idempotency key.
func (k *core) checkPublish(ctx context.Context, c Caller, inputs []NewEvent, key string) (events []*publishing, ids, byKey []*pin, err error) {
	if len(inputs) == 0 || len(inputs) > maxEvents {
		return nil, nil, nil, boathook.InvalidField("events", "must have 1 to %d events", maxEvents)
	}
	if err := boathook.CheckIdempotencyKey(key); err != nil {
		return nil, nil, nil, err
	}
	inputs = slices.Clone(inputs)
	for i := range inputs {
		if err := inputs[i].check(); err != nil {
			return nil, nil, nil, located(placeOf(i), err)
		}
	}
	named, err := k.lookUpNamed(ctx, c, inputs)
	if err != nil {
		return nil, nil, nil, err
	}
	now := k.cfg.Now()
	seen := make(map[string]bool, len(inputs))
	var keyed []*publishing
	for i, input := range inputs {
		at := placeOf(i)
		s, err := k.checkEvent(ctx, input, named)
		if err != nil {
			return nil, nil, nil, located(at, err)
		}
		input.Source = s.ID // whichever way it is named, a repeat is the same
		inputs[i] = input
		e := &publishing{Event: boathook.Event{
			ID: input.ID, WorkspaceID: c.Workspace, SourceID: input.Source, Environment: input.Environment,
			Type: input.Type, Channels: input.Channels, Time: now, Data: input.Data,
		}}
		switch {
		case input.ID != "":
			ids = append(ids, &pin{by: at + "/id", events: []*publishing{e}, EventPin: store.EventPin{
				WorkspaceID: c.Workspace, ID: e.ID, Hash: hashOf(input), Time: now,
			}})
		case key != "":
			e.ID = boathook.DeriveID(boathook.EventID, c.Workspace, key, strconv.Itoa(i))
			keyed = append(keyed, e)
		default:
			e.ID, e.Fresh = boathook.NewID(boathook.EventID), true
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

// placeOf is the JSON Pointer of an event in the request.
func placeOf(i int) string { return "/events/" + strconv.Itoa(i) }

// hashOf tells content from other content, whatever white space is in it.
func hashOf(content any) [sha256.Size]byte {
	text, err := boathook.EncodeJSON(content)
	if err != nil {
		panic(err) // it was decoded from JSON
	}
	return sha256.Sum256(text)
}

// checkEvent refuses an event that is not in its source's catalogue, and gives the
// source.
func (k *core) checkEvent(ctx context.Context, in NewEvent, named named) (boathook.Source, error) {
	s, ok := named.sources[in.Source]
	if !ok {
		return s, &boathook.Error{Kind: boathook.NotFound, Field: "source", Message: "there is no such source: give the id of a deployment, agent, repository, app or customer, " +
			"owner/name of a repository, or customer: and a customer's external id"}
	}
	if !definable(s.Kind, in.Type) {
		return s, in.checkData(s.Kind)
	}
	d, ok := named.types[in.Type]
	switch {
	case !ok:
		return s, errNoType
	case !d.ArchivedAt.IsZero():
		return s, boathook.InvalidField("type", "is archived: PUT /v1/event-types/%s takes it into use again", in.Type)
	}
	return s, inField("data", k.checkDefined(ctx, d.Schema, in.Data))
}

// definable reports whether a type of a kind of source is one that the workspace defines,
// if it is any.
func definable(kind boathook.SourceKind, t boathook.EventType) bool {
	return kind == boathook.Customer && !t.InCatalogue()
}

var errNoType = boathook.InvalidField("type", "there is no such type: PUT /v1/event-types/{name} defines one")

// check refuses an event that is one of no source, and sorts its channels: whoever gives
// them in another order publishes the same.
func (in *NewEvent) check() error {
	if string(in.Data) == "null" {
		return boathook.InvalidField("data", "must be an object, not null")
	}
	if err := required(wanted{"source", in.Source != ""}, wanted{"type", in.Type != ""}, wanted{"data", in.Data != nil}); err != nil {
		return err
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
	if err := in.checkSize(); err != nil {
		return err
	}
	var err error
	in.Channels, err = checkChannels(in.Channels)
	return err
}

// checkSize refuses data that is too large, or that is no JSON which every receiver can
// parse.
func (in NewEvent) checkSize() error {
	if len(in.Data) > boathook.MaxEventData {
		return &boathook.Error{Kind: boathook.TooLarge, Field: "data",
			Message: fmt.Sprintf("is larger than %d KiB", boathook.MaxEventData>>10)}
	}
	if err := boathook.CheckJSON(in.Data); err != nil {
		return boathook.InvalidField("data", "%s", err)
	}
	return nil
}

// checkData refuses data that is not as the catalogue has it for a kind of source. The
// error's field is the JSON Pointer from the event on.
func (in NewEvent) checkData(kind boathook.SourceKind) error {
	t, ok := catalogue.Lookup(kind, in.Type)
	if !ok {
		return boathook.InvalidField("type", "%s", eventOf(kind))
	}
	return inField("data", t.Validate(in.Data))
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
// request, by its JSON Pointer.
func located(at string, err error) error {
	e, ok := errors.AsType[*boathook.Error](err)
	if !ok || e.Field == "" {
		return err
	}
	return &boathook.Error{Kind: e.Kind, Field: at + "/" + strings.TrimPrefix(e.Field, "/"), Message: e.Message}
}

// parallel is how many calls of the store are under way at once.
const parallel = 8

// pin finds out which events were published before, and when they happened.
func (k *core) pin(ctx context.Context, pins []*pin) error {
	if len(pins) == 0 {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, p := range pins {
		group.Go(func() (err error) {
			p.EventPin, err = k.cfg.Store.PinEvent(ctx, p.EventPin)
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
func (k *core) send(ctx context.Context, events []*publishing, pins []*pin) error {
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
	deliveries, err := k.cfg.Publish.PublishAll(ctx, plain...)
	if err != nil {
		return err
	}
	for i, e := range unsent {
		e.sent.Deliveries = deliveries[i]
	}
	if len(pins) == 0 {
		return nil
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
		group.Go(func() error { return k.cfg.Store.MarkEventPublished(ctx, p.WorkspaceID, p.ID, counts) })
	}
	if err := group.Wait(); err != nil {
		// They are on their way, and that is what was asked for. A repeat sends
		// them once more, under the same ids.
		k.cfg.Log.WarnContext(ctx, "events published without a mark", "events", len(unsent), "error", err)
	}
	return nil
}
