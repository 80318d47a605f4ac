package console

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

// eventsShown is how many events a page of a feed has: their data may be long.
const eventsShown = 25

// eventRow is an event in a list.
type eventRow struct {
	service.FeedEvent
	Path  string
	Start string // of its data
}

// feedPart is the part of a feed that the URL asks for.
func (r *request) feedPart() service.FeedBack {
	before, err := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64)
	if err != nil || before < 0 {
		before = 0
	}
	return service.FeedBack{Before: before, Limit: eventsShown}
}

// events lists what happened to a source.
func (c *Console) events(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	var s boathook.Source
	var part service.NewestEvents
	err := beside(func() (err error) {
		s, err = c.source(ctx, r, of)
		return err
	}, func() (err error) {
		part, err = c.cfg.Service.Feeds.Newest(ctx, r.caller, of, r.feedPart())
		return err
	})
	if err != nil {
		return answer{}, err
	}
	path := r.pathOf(of)
	rows := make([]eventRow, len(part.Events))
	for i, e := range part.Events {
		rows[i] = eventRow{e, path + "/events/" + url.PathEscape(e.ID), boathook.Shorten(string(e.Data[:min(len(e.Data), 400)]), 160)}
		if q := r.URL.Query(); q.Has("before") {
			rows[i].Path += "?before=" + url.QueryEscape(q.Get("before"))
		}
	}
	pages := pager{Count: len(rows), What: plural(len(rows), "event", "events")}
	if r.URL.Query().Has("before") {
		pages.Newest = path + "/events"
	}
	if part.Older > 0 {
		pages.Older = fmt.Sprintf("%s/events?before=%d", path, part.Older)
	}
	return r.page("events", view{
		Title: "Events of " + nameOf(s), Nav: navOf(s.Kind), Crumbs: r.crumbs(s), Source: r.headOf(s, "events"),
		Data: map[string]any{
			"Rows": rows, "Days": part.RetentionDays, "Path": path, "Pager": pages, "MayKeep": r.caller.May("Feeds.Change") == nil,
			"Publish": publishPath(r, s),
		},
	})
}

// publishPath is where an event of a source can be published; empty: it can't.
func publishPath(r *request, s boathook.Source) string {
	if r.caller.May("Events.Publish") != nil || s.Kind == boathook.Deployment || s.Kind == boathook.Agent || s.Kind == boathook.Alerts {
		return ""
	}
	return "/console/events?source=" + s.ID
}

// keepEvents sets for how many days a source's events are kept.
func (c *Console) keepEvents(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	days, err := numberOf(formOf(r.PostForm), "event_retention_days")
	if err == nil && days == nil {
		err = boathook.InvalidField("event_retention_days", "is required")
	}
	if err == nil {
		_, err = c.cfg.Service.Feeds.Change(ctx, r.caller, of, days)
	}
	if err != nil {
		return c.eventsAgain(ctx, r, of, err)
	}
	if *days == 0 {
		return r.redirect(r.pathOf(of)+"/events", "No events are kept from now on")
	}
	return r.redirect(r.pathOf(of)+"/events", fmt.Sprintf("Events are kept for %d %s", *days, plural(*days, "day", "days")))
}

// eventsAgain shows the form of a source's retention again.
func (c *Console) eventsAgain(ctx context.Context, r *request, of service.SourceRef, problem error) (answer, error) {
	s, err := c.source(ctx, r, of)
	if err != nil {
		return answer{}, err
	}
	return r.invalid("events", view{
		Title: "Events of " + nameOf(s), Nav: navOf(s.Kind), Crumbs: r.crumbs(s), Source: r.headOf(s, "events"),
		Data: map[string]any{"Path": r.pathOf(of), "MayKeep": true, "Wrong": true},
	}, problem)
}

// eventPage shows an event, and where it went.
func (c *Console) eventPage(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	var s boathook.Source
	var e service.SentEvent
	err := beside(func() (err error) {
		s, err = c.source(ctx, r, of)
		return err
	}, func() (err error) {
		e, err = c.cfg.Service.Feeds.Event(ctx, r.caller, of, r.PathValue("event"), r.feedPart())
		return err
	})
	if err != nil {
		return answer{}, err
	}
	path := r.pathOf(of)
	went := listed{names: map[string]string{}}
	var passed []string
	for _, to := range e.Sent {
		if to.Delivery == nil {
			passed = append(passed, to.Webhook.Name)
			continue
		}
		went.deliveries, went.names[to.Webhook.ID] = append(went.deliveries, *to.Delivery), to.Webhook.Name
	}
	list := link{"Events", path + "/events"}
	here := path + "/events/" + url.PathEscape(e.ID) + "?"
	if before := r.URL.Query().Get("before"); before != "" {
		list.Path += "?before=" + url.QueryEscape(before)
		here += "before=" + url.QueryEscape(before) + "&"
	}
	again := ""
	if to := publishPath(r, s); to != "" && !e.Type.Own() {
		again = to + "&type=" + url.QueryEscape(string(e.Type))
	}
	return r.page("event", view{
		Title: string(e.Type), Nav: navOf(s.Kind), Crumbs: append(r.below(s), list),
		Data: map[string]any{"Event": e, "Body": bodyOf(e.Data, r.URL.Query()), "Rows": went.rows(r, false), "Passed": passed, "Here": here, "Again": again},
	})
}

// publishForm is the form of an event that is published by hand.
func (c *Console) publishForm(ctx context.Context, r *request) (answer, error) {
	if err := r.caller.May("Events.Publish"); err != nil {
		return answer{}, err
	}
	types, err := c.publishable(ctx, r)
	if err != nil {
		return answer{}, err
	}
	f := formOf(r.URL.Query())
	if t := typeNamed(types, f.Value("type")); t != nil && f.Value("data") == "" {
		f.set("data", example(t))
	}
	f.set("key", rand.Text())
	return r.page("publish", publishView(r, types, f))
}

// publishable are the types of events that can be published.
func (c *Console) publishable(ctx context.Context, r *request) (types []service.EventType, err error) {
	for p := (boathook.Page{Limit: service.MaxLimit}); ; {
		part, next, err := c.cfg.Service.EventTypes.List(ctx, r.caller, p)
		if err != nil {
			return nil, err
		}
		types = append(types, slices.DeleteFunc(part, func(t service.EventType) bool { return !t.Publishable })...)
		if p.Cursor = next; next == "" {
			return types, nil
		}
	}
}

func typeNamed(types []service.EventType, name string) *service.EventType {
	i := slices.IndexFunc(types, func(t service.EventType) bool { return string(t.Name) == name })
	if i < 0 {
		return nil
	}
	return &types[i]
}

// example is data to begin with.
func example(t *service.EventType) string {
	if t.Example == nil {
		return "{}"
	}
	return pretty(t.Example)
}

func publishView(r *request, types []service.EventType, f form) view {
	var groups []typeGroup
	for _, t := range types {
		title := "Of " + string(t.Source) + "s"
		switch {
		case !t.CreatedAt.IsZero():
			title = "Your own, of customers"
		case t.Source == boathook.Repository:
			title = "Of repositories"
		}
		if len(groups) == 0 || groups[len(groups)-1].Title != title {
			groups = append(groups, typeGroup{Title: title})
		}
		last := &groups[len(groups)-1]
		last.Types = append(last.Types, t)
	}
	return view{Title: "Publish an event", Nav: "events", Form: f, Data: map[string]any{
		"Tabs": r.eventTabs("publish"), "Groups": groups, "Chosen": typeNamed(types, f.Value("type")), "Environments": anyEnvironment,
	}}
}

// typeGroup is a part of the choice of types.
type typeGroup struct {
	Title string
	Types []service.EventType
}

// publish publishes an event. The form has a key of its own, so that it is published once
// however often the form is sent.
func (c *Console) publish(ctx context.Context, r *request) (answer, error) {
	f := formOf(r.PostForm)
	in := service.NewEvent{
		Source: strings.TrimSpace(f.Value("source")), Type: boathook.EventType(f.Value("type")), Environment: boathook.Environment(f.Value("environment")),
		Channels: strings.FieldsFunc(f.Value("channels"), func(r rune) bool { return r == ',' || r == ' ' }),
	}
	if data := strings.TrimSpace(f.Value("data")); data != "" {
		in.Data = json.RawMessage(data)
	}
	published, err := c.cfg.Service.Events.Publish(ctx, r.caller, []service.NewEvent{in}, f.Value("key"))
	if err != nil {
		types, other := c.publishable(ctx, r)
		if other != nil {
			return answer{}, other
		}
		if boathook.IsKind(err, boathook.Conflict) { // the key was used: what is sent now is another event
			r.PostForm.Set("key", rand.Text())
		}
		return r.invalid("publish", publishView(r, types, nil), ofPublished(err))
	}
	q := url.Values{"source": {in.Source}, "type": {string(in.Type)}}
	n := published[0].Deliveries
	return r.redirect(withQuery("/console/events", q), fmt.Sprintf("%s is published, and goes to %d %s", in.Type, n, plural(n, "webhook", "webhooks")))
}

// ofPublished is an error about an event in a request as one about a field of the form:
// /events/0/data/invoice is about the data.
func ofPublished(err error) error {
	e, ok := errors.AsType[*boathook.Error](err)
	if !ok {
		return err
	}
	field, within, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(e.Field, "/events/0"), "/"), "/")
	message := e.Message
	switch {
	case within != "":
		message = "/" + within + " " + message
	case e.Kind == boathook.Conflict:
		field, message = whole, "This form was sent before with something else in it. Send it again to publish what stands here"
	}
	return &boathook.Error{Kind: e.Kind, Field: field, Message: message}
}
