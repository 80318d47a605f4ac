package console

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

const typesPath = "/console/event-types"

// eventTypeRoutes has the pages of the types of events: the workspace's own, and those of
// the catalogue.
func (c *Console) eventTypeRoutes(mux *http.ServeMux) {
	one := typesPath + "/{type}"
	c.get(mux, typesPath, c.eventTypes)
	c.post(mux, typesPath, c.createEventType)
	c.get(mux, "/console/new-event-type", c.newEventType) // a type may be called new
	c.get(mux, one, c.eventTypePage)
	c.post(mux, one, c.saveEventType)
	c.get(mux, one+"/archive", c.askArchive)
	c.post(mux, one+"/archive", c.archive)
}

// eventTabs are the pages of the workspace's events.
func (r *request) eventTabs(current string) []tab {
	tabs := []tab{{"Types", typesPath, current == "types"}}
	if r.caller.May("Events.Publish") == nil {
		tabs = append([]tab{{"Publish", "/console/events", current == "publish"}}, tabs...)
	}
	return tabs
}

// eventTypeRow is a type in a list, or on its page.
type eventTypeRow struct {
	service.EventType
}

func (t *eventTypeRow) Path() string { return typesPath + "/" + url.PathEscape(string(t.Name)) }

// Own reports whether the workspace has defined it.
func (t *eventTypeRow) Own() bool { return !t.CreatedAt.IsZero() }

// Of is whose events are of this type.
func (t *eventTypeRow) Of() string {
	name, _ := sourceText(t.Source)
	return name
}

// Archived reports whether it is out of use.
func (t *eventTypeRow) Archived() bool { return !t.ArchivedAt.IsZero() }

// eventTypes lists the workspace's own, and behind them the catalogue.
func (c *Console) eventTypes(ctx context.Context, r *request) (answer, error) {
	types, next, err := c.cfg.Service.EventTypes.List(ctx, r.caller, r.part())
	if err != nil {
		return answer{}, err
	}
	rows := make([]eventTypeRow, len(types))
	own := false
	for i, t := range types {
		rows[i] = eventTypeRow{t}
		own = own || rows[i].Own()
	}
	pages := r.pager(len(rows), plural(len(rows), "type", "types"), next)
	return r.page("event-types", view{Title: "Types of events", Nav: "events", Data: map[string]any{
		"Rows": rows, "Own": own || pages.Newest != "", "Tabs": r.eventTabs("types"), "May": r.caller.May("EventTypes.Put") == nil, "Pager": pages,
	}})
}

// newEventType is the form of a new type.
func (c *Console) newEventType(_ context.Context, r *request) (answer, error) {
	if err := r.caller.May("EventTypes.Put"); err != nil {
		return answer{}, err
	}
	return r.page("event-type", newTypeView())
}

func newTypeView() view {
	return view{Title: "Define a type", Nav: "events", Crumbs: []link{{"Types of events", typesPath}}, Data: map[string]any{"Action": typesPath, "New": true, "May": true}}
}

// definitionOf reads the form of a type.
func definitionOf(f form) service.EventTypeInput {
	description, version := f.Value("description"), f.Value("version")
	in := service.EventTypeInput{Description: &description, Version: &version}
	for name, into := range map[string]*json.RawMessage{"schema": &in.Schema, "example": &in.Example} {
		if text := strings.TrimSpace(f.Value(name)); text != "" {
			*into = json.RawMessage(text)
		}
	}
	return in
}

// ofDefinition has an error about a part of a schema or of an example be one about the
// field that has it: /example/order/id is in the example.
func ofDefinition(err error) error {
	e, ok := errors.AsType[*boathook.Error](err)
	if !ok || !strings.HasPrefix(e.Field, "/") {
		return err
	}
	field, within, _ := strings.Cut(strings.TrimPrefix(e.Field, "/"), "/")
	message := e.Message
	if within != "" {
		message = "/" + within + " " + message
	}
	return &boathook.Error{Kind: e.Kind, Field: field, Message: message}
}

// createEventType defines a type that there is not yet.
func (c *Console) createEventType(ctx context.Context, r *request) (answer, error) {
	f := formOf(r.PostForm)
	name := boathook.EventType(strings.TrimSpace(f.Value("name")))
	var err error = errNoType
	if name.IsTypeName() {
		_, err = c.cfg.Service.EventTypes.Get(ctx, r.caller, name)
	}
	switch {
	case err == nil:
		err = &boathook.Error{Kind: boathook.Conflict, Field: "name", Message: "There is one of this name. Choose another, or edit that one"}
	case boathook.IsKind(err, boathook.NotFound):
		_, err = c.cfg.Service.EventTypes.Put(ctx, r.caller, name, definitionOf(f))
	}
	if err != nil {
		return r.invalid("event-type", newTypeView(), ofDefinition(err))
	}
	return r.redirect((&eventTypeRow{service.EventType{Name: name}}).Path(), string(name)+" is defined: it can be published, and wanted by webhooks")
}

var errNoType = boathook.Errorf(boathook.NotFound, "There is no type of events of this name")

// eventType finds the type that a page is about.
func (c *Console) eventType(ctx context.Context, r *request) (eventTypeRow, error) {
	name := boathook.EventType(r.PathValue("type"))
	if !name.IsTypeName() && !name.InCatalogue() {
		return eventTypeRow{}, errNoType
	}
	t, err := c.cfg.Service.EventTypes.Get(ctx, r.caller, name)
	return eventTypeRow{t}, err
}

// eventTypePage shows a type, and its form to who may change it.
func (c *Console) eventTypePage(ctx context.Context, r *request) (answer, error) {
	t, err := c.eventType(ctx, r)
	if err != nil {
		return answer{}, err
	}
	f := form{}
	f.set("description", t.Description)
	f.set("version", t.Version)
	for name, value := range map[string]json.RawMessage{"schema": t.Schema, "example": t.Example} {
		if value != nil {
			f.set(name, pretty(value))
		}
	}
	f.set("revision", revisionOf(t))
	return r.page("event-type", typeView(r, t, f))
}

// revisionOf tells a type from how it was before a change.
func revisionOf(t eventTypeRow) string { return t.UpdatedAt.UTC().Format(time.RFC3339Nano) }

func typeView(r *request, t eventTypeRow, f form) view {
	publish := ""
	if t.Publishable && r.caller.May("Events.Publish") == nil {
		publish = "/console/events?type=" + url.QueryEscape(string(t.Name))
	}
	return view{
		Title: string(t.Name), Nav: "events", Crumbs: []link{{"Types of events", typesPath}}, Form: f,
		Data: map[string]any{
			"Type": &t, "Action": t.Path(), "New": false, "Publish": publish, "May": t.Own() && r.caller.May("EventTypes.Put") == nil,
			"Schema": pretty(t.Schema), "Example": pretty(t.Example),
		},
	}
}

// saveEventType defines a type anew. If somebody else has since the form was made, the
// form is shown again before it is.
func (c *Console) saveEventType(ctx context.Context, r *request) (answer, error) {
	t, err := c.eventType(ctx, r)
	if err != nil {
		return answer{}, err
	}
	if now := revisionOf(t); r.PostForm.Get("revision") != now {
		r.PostForm.Set("revision", now)
		err = errTypeChanged
	} else {
		_, err = c.cfg.Service.EventTypes.Put(ctx, r.caller, t.Name, definitionOf(formOf(r.PostForm)))
	}
	if err != nil {
		return r.invalid("event-type", typeView(r, t, formOf(r.PostForm)), ofDefinition(err))
	}
	what := " is saved"
	if t.Archived() {
		what = " is in use again"
	}
	return r.redirect(t.Path(), string(t.Name)+what)
}

var errTypeChanged = boathook.Errorf(boathook.Conflict, "Somebody has changed this type since you opened the form. Save again to replace it with what stands here")

// askArchive asks before a type is taken out of use.
func (c *Console) askArchive(ctx context.Context, r *request) (answer, error) {
	t, err := c.eventType(ctx, r)
	if err = cmp.Or(r.caller.May("EventTypes.Archive"), err); err != nil {
		return answer{}, err
	}
	if !t.Own() || t.Archived() {
		return c.notFound(ctx, r)
	}
	return r.page("event-type-archive", view{
		Title: "Archive " + string(t.Name), Nav: "events", Crumbs: []link{{"Types of events", typesPath}, {string(t.Name), t.Path()}}, Data: &t,
	})
}

// archive takes a type out of use.
func (c *Console) archive(ctx context.Context, r *request) (answer, error) {
	name := boathook.EventType(r.PathValue("type"))
	if err := c.cfg.Service.EventTypes.Archive(ctx, r.caller, name); err != nil {
		return answer{}, err
	}
	return r.redirect(typesPath, string(name)+" is archived")
}
