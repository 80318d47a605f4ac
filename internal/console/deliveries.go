package console

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"boathook/internal/boathook"
	"boathook/internal/service"

	"golang.org/x/sync/errgroup"
)

// deliveryRow is a delivery in a list.
type deliveryRow struct {
	boathook.Delivery
	Path    string
	Open    string // the list's own path, with this one opened beside it
	Webhook string // its name; empty: it is deleted
	Source  string // its name, in lists of several sources
	Opened  bool
}

// At is when it was last attempted, or else when its event happened.
func (d *deliveryRow) At() time.Time {
	if d.Last.Number > 0 {
		return d.Last.SentAt
	}
	return d.ID.Time()
}

// Answer is the status code of the last response; – if there was none.
func (d *deliveryRow) Answer() string {
	if d.Last.Status == 0 {
		return "–"
	}
	return number(d.Last.Status)
}

// Bad reports whether its last attempt did not succeed.
func (d *deliveryRow) Bad() bool { return d.Last.Error != "" }

// Why is what is wrong with it, if something is.
func (d *deliveryRow) Why() string {
	if d.Status == boathook.DeliveryCanceled {
		return d.Reason
	}
	return d.Last.Error
}

// spans are the times that a list of deliveries can be narrowed to.
var spans = []struct {
	Value, Text string
	length      time.Duration
}{
	{"", "Any time", 0},
	{"1h", "Last hour", time.Hour},
	{"24h", "Last 24 hours", 24 * time.Hour},
	{"7d", "Last 7 days", 7 * 24 * time.Hour},
	{between, "Between…", 0},
}

// between stands for a time from since until until, of which either may be left out.
const between = "between"

// codes are the answers that a list of deliveries can be narrowed to.
var codes = []option{{Value: "2xx", Text: "2xx"}, {Value: "3xx", Text: "3xx"}, {Value: "4xx", Text: "4xx"}, {Value: "5xx", Text: "5xx"}, {Value: "none", Text: "No answer"}}

// typedTime is how browsers send a date and a time of day, with seconds or without.
const typedTime = "2006-01-02T15:04"

// timesOf turns the times that somebody has typed, in their own zone, into those of a URL
// that says the same everywhere. Who asks for a time between two others and has typed
// none begins with the last day. Nil: the URL is such a one.
func (r *request) timesOf(now time.Time) url.Values {
	q := r.URL.Query()
	changed := false
	for _, name := range []string{"since", "until"} {
		for _, layout := range []string{typedTime, typedTime + ":05"} {
			if t, err := time.ParseInLocation(layout, q.Get(name), r.zone()); err == nil {
				q.Set(name, t.UTC().Format(time.RFC3339))
				changed = true
			}
		}
		if q.Get(name) == "" && q.Has(name) {
			q.Del(name)
			changed = true
		}
	}
	switch {
	case q.Get("time") != between:
		if q.Has("time") && (q.Has("since") || q.Has("until")) { // another was chosen instead
			q.Del("since")
			q.Del("until")
			changed = true
		}
	case q.Has("since") || q.Has("until"):
		q.Del("time") // they say it
		changed = true
	default:
		q.Del("time")
		q.Set("since", now.Add(-24*time.Hour).UTC().Truncate(time.Minute).Format(time.RFC3339))
		q.Set("until", now.Add(time.Minute).UTC().Truncate(time.Minute).Format(time.RFC3339))
		changed = true
	}
	if changed {
		return q
	}
	return nil
}

// typed is a time as a form has it; empty of none.
func (r *request) typed(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(r.zone()).Format(typedTime)
}

// statuses are what deliveries can be.
var statuses = []boathook.DeliveryStatus{boathook.DeliverySucceeded, boathook.DeliveryRetrying, boathook.DeliveryFailed, boathook.DeliveryCanceled}

// search reads the filters of a list of deliveries.
func (c *Console) search(q url.Values) (service.DeliverySearch, error) {
	in := service.DeliverySearch{
		SourceID: q.Get("source"), WebhookID: q.Get("webhook"),
		EventType: boathook.EventType(q.Get("event")), Status: boathook.DeliveryStatus(q.Get("status")), ResponseStatus: q.Get("code"),
	}
	now := c.cfg.Now()
	for _, s := range spans {
		if s.length > 0 && s.Value == q.Get("time") {
			in.Since = now.Add(-s.length)
		}
	}
	for name, at := range map[string]*time.Time{"since": &in.Since, "until": &in.Until} {
		if q.Get(name) == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339Nano, q.Get(name))
		if err != nil {
			return in, boathook.InvalidField(name, "must be a time such as 2026-11-26T19:42:07Z")
		}
		*at = t
	}
	if !in.Since.IsZero() && !in.Until.IsZero() && !in.Since.Before(in.Until) {
		return in, boathook.InvalidField("until", "must be after the time that the list begins with")
	}
	return in, nil
}

// deliveries lists those of the workspace.
func (c *Console) deliveries(ctx context.Context, r *request) (answer, error) {
	return c.deliveryList(ctx, r, view{Title: "Deliveries", Nav: "deliveries"}, service.SourceRef{})
}

// sourceDeliveries lists those of a source.
func (c *Console) sourceDeliveries(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	return c.deliveryList(ctx, r, view{}, of)
}

// deliveryList lists deliveries, with what the attempts of a day came to, and one of them
// opened beside the list. Without a source they are those of all.
func (c *Console) deliveryList(ctx context.Context, r *request, v view, of service.SourceRef) (answer, error) {
	if times := r.timesOf(c.cfg.Now()); times != nil {
		return r.redirect(withQuery(r.URL.Path, times), "")
	}
	q := r.URL.Query()
	in, wrong := c.search(q)
	if of.ID != "" {
		in.SourceID = of.ID
	}
	var (
		found  listed
		source boathook.Source
		counts []boathook.AttemptCounts
		opened *delivery
		own    []service.EventType
	)
	err := beside(func() (err error) {
		if wrong == nil {
			found, err = c.listDeliveries(ctx, r, in)
		}
		return err
	}, func() (err error) {
		if of.ID != "" {
			source, err = c.source(ctx, r, of)
		}
		return err
	}, func() (err error) {
		counts, err = c.lastDay(ctx, r, of, in.WebhookID)
		return err
	}, func() (err error) {
		own, err = c.ownTypes(ctx, r, cmp.Or(of.Kind, boathook.Customer))
		return err
	}, func() (err error) {
		if id := q.Get("open"); id != "" {
			opened, err = c.delivery(ctx, r, id)
			if boathook.IsKind(err, boathook.NotFound) {
				err = nil
			}
		}
		return err
	})
	if err != nil {
		return answer{}, err
	}
	path := r.deliveriesPath()
	if of.ID != "" {
		path = r.pathOf(of) + "/deliveries"
		v = view{Title: "Deliveries of " + nameOf(source), Nav: navOf(of.Kind), Crumbs: r.crumbs(source), Source: r.headOf(source, "deliveries")}
	}
	rows := found.rows(r, of.ID == "")
	drawn := newChart(counts)
	newest, fresh := "", 0
	if len(rows) > 0 && q.Get("cursor") == "" {
		newest = rows[0].ID.String()
		fresh = newer(rows, q.Get("newest"))
	}
	drawn.Poll = polled(r.URL, newest)
	v.Data = map[string]any{
		"Path": path, "Rows": rows, "Opened": opened, "Chart": drawn, "News": fresh, "Filtered": filtered(r, "status", "code", "event", "time", "since", "until", "webhook", "source"),
		"Statuses": statuses, "Spans": spans, "Span": q.Get("time"), "Codes": codes, "Types": typesToChoose(own, of.Kind, in.EventType),
		"Search": in, "Webhook": found.names[in.WebhookID], "Close": without(r.URL, "open"), "Here": without(r.URL, "newest"),
		"Pager": r.pager(len(rows), plural(len(rows), "delivery", "deliveries"), found.next),
	}
	v.Form = formOf(q)
	if since := q.Has("since") && !in.Since.IsZero(); since || q.Has("until") {
		data := v.Data.(map[string]any)
		data["Span"], data["Since"], data["Until"] = between, r.typed(in.Since), r.typed(in.Until)
	}
	if wrong != nil {
		return r.invalid("deliveries", v, wrong)
	}
	return r.page("deliveries", v)
}

// listed is a part of a list of deliveries, with the names of what they tell of.
type listed struct {
	deliveries []boathook.Delivery
	names      map[string]string // of webhooks and sources, by id
	next       string
}

// listDeliveries finds the part of a list that the URL asks for.
func (c *Console) listDeliveries(ctx context.Context, r *request, in service.DeliverySearch) (l listed, err error) {
	ctx, wait := c.readNames(ctx, r)
	defer wait()
	l.deliveries, l.next, err = c.cfg.Service.Deliveries.All(ctx, r.caller, in, r.part())
	if err != nil {
		return l, err
	}
	found, err := c.names(ctx, r, l.deliveries)
	l.names = allNames(found)
	return l, err
}

// namesKept is for how long a name that was read is shown, so that a page that is loaded
// again makes a round trip less. A new name is seen that much later in lists.
const namesKept = 30 * time.Second

// names finds what webhooks and sources of deliveries are called.
func (c *Console) names(ctx context.Context, r *request, deliveries []boathook.Delivery) (service.Names, error) {
	all := service.Names{Sources: make(map[string]boathook.Source), Webhooks: make(map[string]string)}
	var mu sync.Mutex // guards all
	var group errgroup.Group
	asked := make(map[string]bool)
	for _, d := range deliveries {
		if asked[d.SourceID] {
			continue
		}
		asked[d.SourceID] = true
		group.Go(func() error {
			found, err := c.namesIn(ctx, r, d.SourceID)
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(all.Sources, found.Sources)
			maps.Copy(all.Webhooks, found.Webhooks)
			return err
		})
	}
	return all, group.Wait()
}

// namesIn are the names of a source and of its webhooks.
func (c *Console) namesIn(ctx context.Context, r *request, sourceID string) (service.Names, error) {
	key := r.caller.Workspace + " " + r.caller.Customer + " " + sourceID
	return c.named.Get(ctx, key, func(ctx context.Context) (service.Names, error) {
		return c.cfg.Service.Deliveries.Names(ctx, r.caller, []boathook.Delivery{{SourceID: sourceID}})
	})
}

// readNames gives a context whose reads begin to read the names of the sources that they
// find, so that [Console.names] need not wait for them. Their errors are found by it, too.
func (c *Console) readNames(ctx context.Context, r *request) (reading context.Context, wait func()) {
	var group sync.WaitGroup
	return service.WithSources(ctx, func(sourceID string) {
		group.Go(func() { _, _ = c.namesIn(ctx, r, sourceID) })
	}), group.Wait
}

// allNames are names by the ids of webhooks and sources.
func allNames(found service.Names) map[string]string {
	names := maps.Clone(found.Webhooks)
	for id, s := range found.Sources {
		names[id] = nameOf(s)
	}
	return names
}

// lastDay counts the attempts of the last 24 hours of a webhook, of a source, or of the
// workspace.
func (c *Console) lastDay(ctx context.Context, r *request, of service.SourceRef, webhookID string) ([]boathook.AttemptCounts, error) {
	switch {
	case of.ID == "" && webhookID == "":
		day, err := c.cfg.Service.Deliveries.Stats(ctx, r.caller, service.StatsQuery{})
		return day.Counts, err
	case of.ID == "":
		return nil, nil // the webhook's source is not known
	case webhookID != "":
		day, err := c.cfg.Service.Outgoing.Stats(ctx, r.caller, of, webhookID, service.StatsQuery{})
		if boathook.IsKind(err, boathook.NotFound) { // deleted: its deliveries are still there
			err = nil
		}
		return day.Counts, err
	}
	days, err := c.lastDayEach(ctx, r, of)
	if err != nil {
		return nil, err
	}
	return merged(slices.Collect(maps.Values(days))...), nil
}

func (l *listed) rows(r *request, sources bool) []deliveryRow {
	open := r.URL.Query().Get("open")
	rows := make([]deliveryRow, len(l.deliveries))
	for i, d := range l.deliveries {
		q := r.URL.Query()
		q.Set("open", d.ID.String())
		rows[i] = deliveryRow{
			Delivery: d, Path: r.Base() + "/deliveries/" + d.ID.String(), Open: withQuery(r.URL.Path, q),
			Webhook: l.names[d.WebhookID], Opened: open == d.ID.String(),
		}
		if sources {
			rows[i].Source = l.names[d.SourceID]
		}
	}
	return rows
}

// without is a page's own path without a part of its query.
func without(u *url.URL, name string) string {
	q := u.Query()
	q.Del(name)
	return withQuery(u.Path, q)
}

// polled is where a list's page asks how it is by now; newest is the first row that it
// shows, if it shows the newest.
func polled(u *url.URL, newest string) string {
	q := u.Query()
	if q.Get("newest") == "" && newest != "" {
		q.Set("newest", newest)
	}
	return withQuery(u.Path, q)
}

// newer counts the rows that came since a page was made, whose first row was newest.
func newer(rows []deliveryRow, newest string) int {
	if newest == "" {
		return 0
	}
	for i, d := range rows {
		if d.ID.String() == newest {
			return i
		}
	}
	return len(rows)
}

// typesToChoose are the types that a list can be narrowed to: the workspace's own, those of
// a kind of source, and the one that it is narrowed to, which may be archived.
func typesToChoose(own []service.EventType, kind boathook.SourceKind, chosen boathook.EventType) []boathook.EventType {
	var types []boathook.EventType
	for _, t := range own {
		types = append(types, t.Name)
	}
	types = append(types, eventTypes(kind)...)
	if chosen != "" && !slices.Contains(types, chosen) {
		types = append(types, chosen)
	}
	return types
}

// eventTypes are those that deliveries of a kind of source can tell of; of no kind, all.
func eventTypes(kind boathook.SourceKind) (types []boathook.EventType) {
	if kind != "" {
		return boathook.EventTypes[kind]
	}
	seen := make(map[boathook.EventType]bool)
	for _, p := range places {
		for _, t := range boathook.EventTypes[p.kind] {
			if !seen[t] {
				seen[t] = true
				types = append(types, t)
			}
		}
	}
	return types
}

// delivery is one with all that is known of it.
type delivery struct {
	service.DeliveryDetail
	Webhook string // its name; empty: it is deleted
	names   map[string]string
}

func (c *Console) delivery(ctx context.Context, r *request, id string) (*delivery, error) {
	ctx, wait := c.readNames(ctx, r)
	defer wait()
	d, err := c.cfg.Service.Deliveries.Get(ctx, r.caller, id)
	if err != nil {
		return nil, err
	}
	found, err := c.names(ctx, r, []boathook.Delivery{d.Delivery})
	names := allNames(found)
	return &delivery{DeliveryDetail: d, Webhook: names[d.WebhookID], names: names}, err
}

// Latest is its last attempt; nil before the first.
func (d *delivery) Latest() *boathook.Attempt {
	if len(d.Attempts) == 0 {
		return nil
	}
	return &d.Attempts[len(d.Attempts)-1]
}

// maxShown is how much of a body a page shows at first, in bytes.
const maxShown = 16 << 10

// shownBody is a body on a page.
type shownBody struct {
	Text   string // pretty or raw, perhaps shortened
	Whole  int    // its size as it was sent, in bytes
	Cut    int    // how much of it is shown; 0: all
	IsJSON bool
	Raw    bool
}

// maxMarked is how long a body is whose fields' names are marked, in bytes: each is an
// element of the page, and a browser is slow with very many.
const maxMarked = 128 << 10

// Marked reports whether the names of its fields are marked.
func (b shownBody) Marked() bool { return b.IsJSON && !b.Raw && len(b.Text) <= maxMarked }

// bodyOf shows a body by the URL's query: ?body=raw as it was sent, and ?all to its end.
func bodyOf(body []byte, q url.Values) shownBody {
	b := shownBody{Whole: len(body), Raw: q.Get("body") == "raw", IsJSON: isJSON(body)}
	shown := body
	if len(shown) > maxShown && !q.Has("all") {
		shown = cutText(shown, maxShown)
		b.Cut = len(shown)
	}
	b.Text = string(shown)
	if b.Raw || !b.IsJSON {
		return b
	}
	if b.Cut == 0 {
		b.Text = pretty(body)
		return b
	}
	b.Text = prettyStart(shown)
	return b
}

// cutText cuts at a character's end.
func cutText(b []byte, most int) []byte {
	b = b[:most]
	for len(b) > 0 && !utf8.RuneStart(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b[:max(len(b)-1, 0)]
}

func isJSON(body []byte) bool {
	head := strings.TrimLeft(string(body[:min(len(body), 64)]), " \t\r\n")
	return strings.HasPrefix(head, "{") || strings.HasPrefix(head, "[")
}

// deliveryPage shows one.
func (c *Console) deliveryPage(ctx context.Context, r *request) (answer, error) {
	d, err := c.delivery(ctx, r, r.PathValue("delivery"))
	if err != nil {
		return answer{}, err
	}
	q := r.URL.Query()
	body := d.Sent().Bytes()
	if q.Has("download") {
		return answer{status: http.StatusOK, header: http.Header{
			"Content-Type":        {"application/octet-stream"},
			"Content-Disposition": {`attachment; filename="` + d.ID.String() + `.json"`},
		}, body: body}, nil
	}
	source := service.SourceRef{Kind: kindOf(d.SourceID), ID: d.SourceID}
	v := view{
		Title: string(d.EventType), Nav: "deliveries", Crumbs: []link{{"Deliveries", r.deliveriesPath()}},
		Data: map[string]any{
			"Delivery": d, "Attempts": newestFirst(d.Attempts), "Body": bodyOf(body, q), "Curl": curl(d, body),
			"WebhookDeliveries": r.deliveriesPath() + "?webhook=" + d.WebhookID, "Source": source, "SourceName": d.names[d.SourceID],
			"Run": runOf(body), "May": r.caller.May("Deliveries.Resend") == nil,
		},
	}
	return r.page("delivery", v)
}

// resend sends a delivery again: now, if it waits for its next attempt.
func (c *Console) resend(ctx context.Context, r *request) (answer, error) {
	id := r.PathValue("delivery")
	if _, err := c.cfg.Service.Deliveries.Resend(ctx, r.caller, id); err != nil {
		return answer{}, err
	}
	return r.redirect(r.back(r.Base()+"/deliveries/"+id), "It is being sent again")
}
