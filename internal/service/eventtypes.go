package service

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"boathook/internal/boathook"
	"boathook/internal/cache"
	"boathook/internal/catalogue"
	"boathook/internal/schema"
)

// EventTypes are what sources can tell of: the catalogue, and the types that the
// workspace defines for its customers.
type EventTypes struct{ *core }

// EventType is a type of event that a kind of source can tell.
type EventType struct {
	Name        boathook.EventType
	Source      boathook.SourceKind
	Publishable bool // others are Boathook's own, or archived
	Description string
	Version     string
	Schema      json.RawMessage // of its data, as JSON Schema; nil: any object
	Example     json.RawMessage // of its data; nil: none

	// Of a type that the workspace defines; zero of the catalogue's.
	CreatedAt  time.Time
	UpdatedAt  time.Time
	ArchivedAt time.Time // zero: it is not
}

// EventTypeInput is a type as it is given, whole. Nil, or the text null, is a field that
// is not.
type EventTypeInput struct {
	Description *string
	Version     *string
	Schema      json.RawMessage
	Example     json.RawMessage
}

func fromCatalogue(t catalogue.Type) EventType {
	return EventType{
		Name: t.Name, Source: t.Source, Publishable: !t.Name.Own(), Description: t.Description, Schema: t.Schema, Example: t.Example,
	}
}

func defined(d boathook.TypeDefinition) EventType {
	return EventType{
		Name: d.Name, Source: boathook.Customer, Publishable: d.ArchivedAt.IsZero(), Description: d.Description, Version: d.Version,
		Schema: d.Schema, Example: d.Example, CreatedAt: d.CreatedAt, UpdatedAt: d.UpdatedAt, ArchivedAt: d.ArchivedAt,
	}
}

// List gives the workspace's own, the newest first, and behind them the catalogue.
func (k EventTypes) List(ctx context.Context, c Caller, p boathook.Page) (types []EventType, next string, err error) {
	if err := c.May("EventTypes.List"); err != nil {
		return nil, "", err
	}
	own, err := k.cfg.Store.AllEventTypes(ctx, c.Workspace)
	if err != nil {
		return nil, "", err
	}
	var all []EventType
	for _, d := range own {
		all = append(all, defined(d))
	}
	for _, t := range catalogue.All() {
		all = append(all, fromCatalogue(t))
	}
	all = slices.DeleteFunc(all, func(t EventType) bool { return !c.mayTell(t) })
	return cut(all, p, func(t EventType) place { return place{t.CreatedAt, string(t.Source) + "/" + string(t.Name)} })
}

// Get finds one by its name. Of a name that several kinds of source have in the
// catalogue it gives the first kind's.
func (k EventTypes) Get(ctx context.Context, c Caller, name boathook.EventType) (EventType, error) {
	if err := c.May("EventTypes.Get"); err != nil {
		return EventType{}, err
	}
	for _, t := range catalogue.All() {
		if t := fromCatalogue(t); t.Name == name && c.mayTell(t) {
			return t, nil
		}
	}
	d, err := k.cfg.Store.EventType(ctx, c.Workspace, name)
	return defined(d), missing("event type", string(name), err)
}

// Put defines a type, or defines it anew. One that was archived is not any more.
func (k EventTypes) Put(ctx context.Context, c Caller, name boathook.EventType, in EventTypeInput) (EventType, error) {
	if err := c.May("EventTypes.Put"); err != nil {
		return EventType{}, err
	}
	if err := checkTypeName(name); err != nil {
		return EventType{}, err
	}
	in, err := k.checkEventType(ctx, in)
	if err != nil {
		return EventType{}, err
	}
	now := k.cfg.Now()
	d, err := k.cfg.Store.EventType(ctx, c.Workspace, name)
	if boathook.IsKind(err, boathook.NotFound) {
		d = boathook.TypeDefinition{WorkspaceID: c.Workspace, Name: name, CreatedAt: now}
		err = k.wantRoomForType(ctx, c.Workspace)
	}
	if err != nil {
		return EventType{}, err
	}
	d.Description, d.Version, d.Schema, d.Example = *in.Description, *cmp.Or(in.Version, new(string)), in.Schema, in.Example
	d.UpdatedAt, d.ArchivedAt = now, time.Time{}
	return defined(d), k.cfg.Store.PutEventType(ctx, d)
}

// Archive takes a type out of use: nothing newly wants it, and nothing is published of
// it. Webhooks that want it keep it, and what was published is delivered.
func (k EventTypes) Archive(ctx context.Context, c Caller, name boathook.EventType) error {
	if err := c.May("EventTypes.Archive"); err != nil {
		return err
	}
	d, err := k.cfg.Store.EventType(ctx, c.Workspace, name)
	if err != nil {
		return missing("event type", string(name), err)
	}
	if !d.ArchivedAt.IsZero() {
		return nil
	}
	d.ArchivedAt = k.cfg.Now()
	d.UpdatedAt = d.ArchivedAt
	return k.cfg.Store.PutEventType(ctx, d)
}

func checkTypeName(name boathook.EventType) error {
	switch {
	case !name.IsTypeName():
		return boathook.InvalidField("name", "must match %s, in at most %d characters", boathook.EventTypePattern, boathook.MaxEventTypeName)
	case name.Own():
		return boathook.InvalidField("name", "%q is told of by Boathook alone", name)
	case name.InCatalogue():
		return boathook.InvalidField("name", "%q is another kind of source's", name)
	}
	return nil
}

// wantRoomForType refuses one type more than a workspace may have. Of two that are made
// at once both may be.
func (k *core) wantRoomForType(ctx context.Context, workspaceID string) error {
	all, err := k.cfg.Store.AllEventTypes(ctx, workspaceID)
	if err == nil && len(all) >= boathook.MaxEventTypes {
		return boathook.Errorf(boathook.Invalid, "a workspace has at most %d event types, with those that are archived", boathook.MaxEventTypes)
	}
	return err
}

// checkEventType gives a definition without white space and nulls.
func (k *core) checkEventType(ctx context.Context, in EventTypeInput) (EventTypeInput, error) {
	if err := required(wanted{"description", in.Description != nil}); err != nil {
		return in, err
	}
	if n := utf8.RuneCountInString(*in.Description); n > boathook.MaxEventTypeDescription {
		return in, boathook.InvalidField("description", "must have at most %d characters", boathook.MaxEventTypeDescription)
	}
	if in.Version != nil && utf8.RuneCountInString(*in.Version) > boathook.MaxEventTypeVersion {
		return in, boathook.InvalidField("version", "must have at most %d characters", boathook.MaxEventTypeVersion)
	}
	var err error
	if in.Schema, err = compactJSON("schema", in.Schema); err != nil {
		return in, err
	}
	if in.Example, err = compactJSON("example", in.Example); err != nil {
		return in, err
	}
	if in.Schema != nil {
		if in.Schema[0] != '{' {
			return in, boathook.InvalidField("schema", "must be an object")
		}
		if _, err := k.compiled(ctx, in.Schema); err != nil {
			return in, inField("schema", err)
		}
	}
	if in.Example != nil {
		return in, inField("example", k.checkDefined(ctx, in.Schema, in.Example))
	}
	return in, nil
}

// compactJSON is a value without white space; nil for none, and for null.
func compactJSON(field string, text json.RawMessage) (json.RawMessage, error) {
	if text == nil || string(text) == "null" {
		return nil, nil
	}
	if err := boathook.CheckJSON(text); err != nil {
		return nil, boathook.InvalidField(field, "%s", err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return nil, boathook.InvalidField(field, "not JSON: %s", err)
	}
	if compact.Len() > boathook.MaxEventSchema {
		return nil, boathook.InvalidField(field, "must have at most %d KiB, without white space", boathook.MaxEventSchema>>10)
	}
	return compact.Bytes(), nil
}

// inField makes an error about a value one about the field that has the value: it names
// the field, or what is further in by a JSON Pointer from the field on.
func inField(field string, err error) error {
	invalid, ok := errors.AsType[*boathook.Error](err)
	if !ok {
		return err
	}
	if invalid.Field != "" {
		field = "/" + field + invalid.Field
	}
	return &boathook.Error{Kind: invalid.Kind, Field: field, Message: invalid.Message}
}

// newSchemas keeps compiled schemas, by their hashes: to compile one takes as long as
// to check a few hundred events.
func newSchemas() *cache.Cache[*schema.Schema] {
	return &cache.Cache[*schema.Schema]{Size: 64}
}

func (k *core) compiled(ctx context.Context, document json.RawMessage) (*schema.Schema, error) {
	hash := sha256.Sum256(document)
	return k.schemas.Get(ctx, string(hash[:]), func(context.Context) (*schema.Schema, error) { return schema.Compile(document) })
}

// checkDefined refuses data that is no object, or not as a schema says; nil is none.
func (k *core) checkDefined(ctx context.Context, document, data json.RawMessage) error {
	if !strings.HasPrefix(string(bytes.TrimLeft(data, " \t\r\n")), "{") {
		return boathook.InvalidField("", "must be an object")
	}
	if document == nil {
		return nil
	}
	s, err := k.compiled(ctx, document)
	if err != nil {
		return err
	}
	return s.Validate(data)
}
