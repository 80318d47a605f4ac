package console

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/catalogue"
	"boathook/internal/dialect"
	"boathook/internal/service"
)

// option is a choice of a select or of radio buttons.
type option struct{ Value, Text, Hint string }

var dialects = []option{
	{dialect.Crewship, "Crewship", ""}, {dialect.Standard, "Standard Webhooks", ""},
	{dialect.Shipway, "Shipway", ""}, {dialect.Capawesome, "Capawesome Cloud", ""},
}

var formats = []option{
	{string(boathook.Raw), "JSON", ""}, {string(boathook.Slack), "Slack message", ""},
	{string(boathook.Discord), "Discord message", ""}, {string(boathook.Teams), "Teams message", ""},
}

var environments = []option{
	{string(boathook.Production), "Production", ""}, {string(boathook.Staging), "Staging", ""},
}

var anyEnvironment = append([]option{{"", "Every one", ""}}, environments...)

// The choices of a retry schedule. Another one is typed as waits.
var retries = []option{
	{"default", "Nine retries over three days", "After 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h"},
	{"hour", "Three retries within the hour", "After 5 s, 5 min and 30 min"},
	{"none", "None", "A failed delivery can still be resent by hand"},
	{"own", "Own schedule", "Up to 20 waits, such as 10 s, 2 min, 1 h"},
}

var withinTheHour = []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute}

// eventChoice is a checkbox of an event.
type eventChoice struct {
	Name, Hint string
	Checked    bool
}

// outgoingForm is what the form of an outgoing webhook shows besides what was typed.
type outgoingForm struct {
	Source       boathook.Source
	Path         string // of the source
	Action       string // where the form is sent
	Cancel       string
	Webhook      *boathook.OutgoingWebhook // that is edited; nil: a new one
	Events       []eventChoice
	Environments []option
	Dialects     []option
	Formats      []option
	Retries      []option
	Samples      []boathook.EventType
	Dialect      string // of a webhook that names none
	HeaderHint   string
}

// Open reports whether the advanced fields are shown: something is wrong with one, or set.
func (o outgoingForm) Open(f form) bool {
	for _, name := range []string{"timeout_seconds", "rate_limit", "transform", "headers", "channels", "queue_arn", "signing_secret"} {
		if f.Error(name) != "" {
			return true
		}
	}
	return f.Value("transform") != "" || f.Value("rate_limit") != "" || f.Value("channels") != "" || f.Value("queue_arn") != ""
}

// newOutgoing is the form of a new webhook.
func (c *Console) newOutgoing(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	if err := r.caller.May("Outgoing.Create"); err != nil {
		return answer{}, err
	}
	var s boathook.Source
	var own []service.EventType
	err := beside(func() (err error) {
		s, err = c.source(ctx, r, of)
		return err
	}, func() (err error) {
		own, err = c.ownTypes(ctx, r, of.Kind)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	return r.page("outgoing-form", outgoingFormView(r, s, own, nil, nil))
}

// outgoingFormView is the page of the form of a new webhook, or of one that is edited.
func outgoingFormView(r *request, s boathook.Source, own []service.EventType, w *boathook.OutgoingWebhook, typed form) view {
	path := r.pathOf(refOf(s))
	data := outgoingForm{
		Source: s, Path: path, Action: path + "/outgoing", Cancel: path, Webhook: w,
		Environments: anyEnvironment, Dialects: dialects, Formats: formats, Retries: retries,
	}
	data.Dialect = dialect.DefaultFor(s.Kind)
	if s.Kind == boathook.Deployment || w != nil && w.Environment != "" { // which is not taken back
		data.Environments = environments
	}
	v := view{Title: "Add outgoing webhook", Nav: navOf(s.Kind), Crumbs: r.below(s), Form: typed}
	if w != nil {
		data.Action, data.Cancel = path+"/outgoing/"+w.ID+"/edit", path+"/outgoing/"+w.ID
		if len(w.HeaderNames) > 0 {
			data.HeaderHint = "It has " + strings.Join(w.HeaderNames, ", ") + ". What is typed here takes their place."
		}
		v.Title, v.Crumbs = "Edit "+w.Name, append(v.Crumbs, link{w.Name, data.Cancel})
	}
	if v.Form == nil {
		v.Form = form{}
		if w != nil {
			v.Form = formOfOutgoing(*w)
		}
	}
	add := func(t boathook.EventType, hint string) {
		data.Events = append(data.Events, eventChoice{Name: string(t), Hint: hint, Checked: v.Form.Is("events", string(t))})
		if t != boathook.AllEvents {
			data.Samples = append(data.Samples, t)
		}
	}
	if s.Kind == boathook.Customer || s.Kind == boathook.Repository {
		add(boathook.AllEvents, "Every type, also those to come. It stands alone.")
	}
	for _, t := range own {
		add(t.Name, t.Description)
	}
	for _, t := range boathook.EventTypes[s.Kind] {
		known, _ := catalogue.Lookup(s.Kind, t)
		add(t, known.Description)
	}
	if w != nil {
		for _, t := range w.Events {
			if !slices.ContainsFunc(data.Events, func(c eventChoice) bool { return c.Name == string(t) }) {
				add(t, "An archived type: nothing new is published of it.")
			}
		}
	}
	v.Data = data
	return v
}

// ownTypes are those that the workspace defines for its customers.
func (c *Console) ownTypes(ctx context.Context, r *request, kind boathook.SourceKind) (own []service.EventType, err error) {
	if kind != boathook.Customer {
		return nil, nil
	}
	types, err := c.publishable(ctx, r)
	return slices.DeleteFunc(types, func(t service.EventType) bool { return t.CreatedAt.IsZero() }), err
}

// formOfOutgoing is the form as a webhook has been set.
func formOfOutgoing(w boathook.OutgoingWebhook) form {
	f := form{}
	f.set("name", w.Name)
	f.set("url", w.URL)
	f.set("queue_arn", w.Destination.QueueARN)
	f.set("environment", string(w.Environment))
	f.set("dialect", w.Dialect)
	f.set("format", string(w.Format))
	f.set("filter", w.Filter)
	f.set("transform", w.Transform)
	f.set("channels", strings.Join(w.Channels, ", "))
	f.set("timeout_seconds", strconv.Itoa(int(w.Timeout/time.Second)))
	if w.RateLimit > 0 {
		f.set("rate_limit", strconv.Itoa(w.RateLimit))
	}
	f.set("revision", strconv.Itoa(w.Revision))
	events := make([]string, len(w.Events))
	for i, t := range w.Events {
		events[i] = string(t)
	}
	f.set("events", events...)
	switch {
	case slices.Equal(w.Retry, boathook.DefaultRetry):
		f.set("retry", "default")
	case slices.Equal(w.Retry, withinTheHour):
		f.set("retry", "hour")
	case len(w.Retry) == 0:
		f.set("retry", "none")
	default:
		f.set("retry", "own")
		waits := make([]string, len(w.Retry))
		for i, d := range w.Retry {
			waits[i] = d.String()
		}
		f.set("schedule_seconds", strings.Join(waits, ", "))
	}
	return f
}

// changeOf reads the form of an outgoing webhook. Its errors name the form's fields.
func changeOf(f form, edited bool) (in service.OutgoingChange, err error) {
	text := func(name string) *string { s := strings.TrimSpace(f.Value(name)); return &s }
	in.Name, in.Filter, in.Transform = text("name"), text("filter"), text("transform")
	if queue := f.Value("queue_arn"); queue != "" {
		kind := boathook.DestinationSQS
		in.Destination = &service.DestinationChange{Type: &kind, QueueARN: text("queue_arn")}
	} else {
		in.URL = text("url")
	}
	in.Events = []boathook.EventType{}
	if f["events"] != nil {
		for _, name := range f["events"].values {
			in.Events = append(in.Events, boathook.EventType(name))
		}
	}
	if environment := boathook.Environment(f.Value("environment")); environment != "" {
		in.Environment = &environment
	}
	if d := f.Value("dialect"); d != "" {
		in.Dialect = &d
	}
	if format := boathook.Format(f.Value("format")); format != "" {
		in.Format = &format
	}
	in.Channels = []string{}
	for name := range strings.FieldsSeq(strings.ReplaceAll(f.Value("channels"), ",", " ")) {
		in.Channels = append(in.Channels, name)
	}
	if in.Headers, err = headersOf(f.Value("headers")); err != nil {
		return in, err
	}
	if in.TimeoutSeconds, err = numberOf(f, "timeout_seconds"); err != nil {
		return in, err
	}
	perSecond, err := numberOf(f, "rate_limit")
	if err != nil {
		return in, err
	}
	if perSecond == nil {
		perSecond = new(int)
	}
	in.RateLimit = &service.RateLimit{PerSecond: perSecond}
	if in.Retry, err = scheduleOf(f); err != nil {
		return in, err
	}
	if secret := f.Value("signing_secret"); secret != "" && !edited {
		in.SigningSecret = &secret
	}
	return in, nil
}

// numberOf reads a number; nil: none was typed.
func numberOf(f form, name string) (*int, error) {
	text := strings.TrimSpace(f.Value(name))
	if text == "" {
		return nil, nil //nolint:nilnil // nothing was typed, and nothing is wrong
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return nil, boathook.InvalidField(name, "must be a whole number")
	}
	return &n, nil
}

// headersOf reads lines such as Authorization: Bearer …; nil: there are none, and those
// of before stay.
func headersOf(text string) (map[string]string, error) {
	headers, err := pairsOf("headers", text, "X-Team: billing")
	if len(headers) == 0 {
		headers = nil
	}
	return headers, err
}

// pairsOf reads lines of a name and a value, as in the example.
func pairsOf(field, text, example string) (map[string]string, error) {
	pairs := make(map[string]string)
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, boathook.InvalidField(field, "must be lines such as %s", example)
		}
		pairs[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return pairs, nil
}

// scheduleOf reads the choice of a retry schedule.
func scheduleOf(f form) (*service.RetrySchedule, error) {
	seconds := func(waits []time.Duration) *service.RetrySchedule {
		s := &service.RetrySchedule{Seconds: []int{}}
		for _, w := range waits {
			s.Seconds = append(s.Seconds, int(w/time.Second))
		}
		return s
	}
	switch f.Value("retry") {
	case "hour":
		return seconds(withinTheHour), nil
	case "none":
		return seconds(nil), nil
	case "own":
		var waits []time.Duration
		for text := range strings.SplitSeq(f.Value("schedule_seconds"), ",") {
			text = strings.NewReplacer(" ", "", "min", "m").Replace(text)
			if _, err := strconv.Atoi(text); err == nil {
				text += "s"
			}
			d, err := time.ParseDuration(text)
			if err != nil || d%time.Second != 0 {
				return nil, boathook.InvalidField("schedule_seconds", "must be waits such as 10 s, 2 min, 1 h")
			}
			waits = append(waits, d)
		}
		return seconds(waits), nil
	}
	return seconds(boathook.DefaultRetry), nil
}

// createOutgoing makes a webhook, and shows its secret once.
func (c *Console) createOutgoing(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	f := formOf(r.PostForm)
	in, err := changeOf(f, false)
	var w boathook.OutgoingWebhook
	var secret string
	if err == nil {
		w, secret, err = c.cfg.Service.Outgoing.Create(ctx, r.caller, of, in)
	}
	if err != nil {
		return c.outgoingAgain(ctx, r, of, nil, err)
	}
	return c.secretPage(r, of, w, secret, "Created")
}

// outgoingAgain shows the form of a webhook with what is wrong with it.
func (c *Console) outgoingAgain(ctx context.Context, r *request, of service.SourceRef, w *boathook.OutgoingWebhook, problem error) (answer, error) {
	s, err := c.source(ctx, r, of)
	if err != nil {
		return answer{}, err
	}
	own, err := c.ownTypes(ctx, r, of.Kind)
	if err != nil {
		return answer{}, err
	}
	return r.invalid("outgoing-form", outgoingFormView(r, s, own, w, formOf(r.PostForm).has("events")), named(problem))
}

// named is an error about a field of the API, about the form's own field.
func named(err error) error {
	e, ok := err.(*boathook.Error) //nolint:errorlint // wrapped ones are not about fields
	if !ok {
		return err
	}
	field := e.Field
	switch {
	case strings.HasPrefix(field, "retry"):
		field = "schedule_seconds"
	case strings.HasPrefix(field, "rate_limit"):
		field = "rate_limit"
	case strings.HasPrefix(field, "destination"):
		field = "queue_arn"
	}
	return &boathook.Error{Kind: e.Kind, Field: field, Message: e.Message}
}

// secretPage shows a secret, the only time, with programs that verify by it.
func (c *Console) secretPage(r *request, of service.SourceRef, w boathook.OutgoingWebhook, secret, what string) (answer, error) {
	path := r.pathOf(of)
	return r.page("secret", view{
		Title: w.Name, Nav: navOf(of.Kind), Crumbs: []link{{"Webhooks", path}},
		Data: map[string]any{
			"Webhook": w, "Secret": secret, "What": what, "Path": path + "/outgoing/" + w.ID, "Events": join(w.Events),
			"Panes": verifiers(w.Dialect),
		},
	})
}

func join(events []boathook.EventType) string {
	names := make([]string, len(events))
	for i, t := range events {
		names[i] = string(t)
	}
	return strings.Join(names, ", ")
}

// outgoingPage shows one webhook: how it fares, and its last deliveries.
func (c *Console) outgoingPage(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	var (
		s     boathook.Source
		w     boathook.OutgoingWebhook
		stats service.Stats
		last  []boathook.Delivery
	)
	id := r.PathValue("out")
	err := beside(func() (err error) {
		s, err = c.source(ctx, r, of)
		return err
	}, func() (err error) {
		w, err = c.cfg.Service.Outgoing.Get(ctx, r.caller, of, id)
		return err
	}, func() (err error) {
		stats, err = c.cfg.Service.Outgoing.Stats(ctx, r.caller, of, id, service.StatsQuery{})
		return err
	}, func() (err error) {
		last, _, err = c.cfg.Service.Deliveries.List(ctx, r.caller, of, id, service.DeliveryFilter{}, boathook.Page{Limit: 10})
		return err
	})
	if err != nil {
		return answer{}, err
	}
	found := listed{deliveries: last, names: map[string]string{w.ID: w.Name}}
	path := r.pathOf(of)
	drawn := newChart(stats.Counts)
	drawn.Poll = r.URL.Path
	return r.page("outgoing", view{
		Title: w.Name, Nav: navOf(of.Kind), Crumbs: r.below(s),
		Data: map[string]any{
			"Webhook": w, "Health": c.healthOf(w), "Chart": drawn, "Path": path + "/outgoing/" + w.ID,
			"Rows": found.rows(r, false), "Deliveries": path + "/deliveries?webhook=" + w.ID, "Events": join(w.Events), "HasFeed": s.Kind != boathook.Crew,
		},
	})
}

// healthOf is how a webhook fares, in a badge.
func (c *Console) healthOf(w boathook.OutgoingWebhook) badge {
	now := c.cfg.Now()
	switch {
	case !w.Enabled && strings.Contains(w.Disabled.Reason, "410"):
		return badge{"s-idle", "slash", "410 Gone"}
	case !w.Enabled:
		return badge{"s-idle", "slash", "Disabled"}
	case !w.Health.FailingSince.IsZero():
		return badge{"s-bad", "warn", "Failing " + about(max(0, now.Sub(w.Health.FailingSince)))}
	case !w.Health.SlowSince.IsZero():
		return badge{"s-warn", "wait", "Slow"}
	}
	return badge{"s-ok", "check", "Healthy"}
}

// editOutgoing is the form of a webhook that is there.
func (c *Console) editOutgoing(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	if err := r.caller.May("Outgoing.Change"); err != nil {
		return answer{}, err
	}
	var s boathook.Source
	var w boathook.OutgoingWebhook
	var own []service.EventType
	err := beside(func() (err error) {
		s, w, err = c.ofSource(ctx, r, of)
		return err
	}, func() (err error) {
		own, err = c.ownTypes(ctx, r, of.Kind)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	return r.page("outgoing-form", outgoingFormView(r, s, own, &w, nil))
}

// ofSource finds a source and the webhook of it that a page is about.
func (c *Console) ofSource(ctx context.Context, r *request, of service.SourceRef) (s boathook.Source, w boathook.OutgoingWebhook, err error) {
	err = beside(func() (err error) {
		s, err = c.source(ctx, r, of)
		return err
	}, func() (err error) {
		w, err = c.cfg.Service.Outgoing.Get(ctx, r.caller, of, r.PathValue("out"))
		return err
	})
	return s, w, err
}

var errChanged = boathook.Errorf(boathook.Conflict, "Somebody has changed this webhook since you opened the form. Save again to replace it with what stands here")

// stale reports whether what a form edits has changed since the form was made. The next
// time it has not, unless it changes again.
func (r *request) stale(revision int) bool {
	now := strconv.Itoa(revision)
	if r.PostForm.Get("revision") == now {
		return false
	}
	r.PostForm.Set("revision", now)
	return true
}

// saveOutgoing changes a webhook. If somebody else has changed it since the form was
// made, the form is shown again before it is.
func (c *Console) saveOutgoing(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	w, err := c.cfg.Service.Outgoing.Get(ctx, r.caller, of, r.PathValue("out"))
	if err != nil {
		return answer{}, err
	}
	if r.stale(w.Revision) {
		return c.outgoingAgain(ctx, r, of, &w, errChanged)
	}
	in, err := changeOf(formOf(r.PostForm), true)
	if err == nil {
		_, err = c.cfg.Service.Outgoing.Change(ctx, r.caller, of, w.ID, in)
	}
	if err != nil {
		return c.outgoingAgain(ctx, r, of, &w, err)
	}
	return r.redirect(r.pathOf(of)+"/outgoing/"+w.ID, w.Name+" is saved")
}

// switchOutgoing enables or disables a webhook.
func (c *Console) switchOutgoing(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	on := r.PostForm.Get("enabled") == "true"
	w, err := c.cfg.Service.Outgoing.Change(ctx, r.caller, of, r.PathValue("out"), service.OutgoingChange{Enabled: &on})
	if err != nil {
		return answer{}, err
	}
	return r.redirect(r.back(r.pathOf(of)), w.Name+map[bool]string{true: " is enabled", false: " is disabled: nothing is sent to it"}[on])
}

// testOutgoing sends a webhook an example, and shows the delivery.
func (c *Console) testOutgoing(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	if _, err := c.cfg.Service.Outgoing.Test(ctx, r.caller, of, r.PathValue("out")); err != nil {
		return answer{}, err
	}
	return r.redirect(r.pathOf(of)+"/deliveries?webhook="+r.PathValue("out"), "A test is being sent. It appears here with its first attempt")
}

// ask is a page about one webhook that asks before something is done: its template is
// told by the path's end.
func (c *Console) ask(template, title string, op service.Operation) ofSource {
	return func(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
		if err := r.caller.May(op); err != nil {
			return answer{}, err
		}
		s, w, err := c.ofSource(ctx, r, of)
		if err != nil {
			return answer{}, err
		}
		return r.page(template, askView(r, s, w, of, title, nil))
	}
}

func askView(r *request, s boathook.Source, w boathook.OutgoingWebhook, of service.SourceRef, title string, data map[string]any) view {
	path := r.pathOf(of)
	all := map[string]any{"Webhook": w, "Path": path + "/outgoing/" + w.ID, "Overlap": overlapOf(w), "Overlaps": overlaps, "Times": times, "Only": replayed}
	maps.Copy(all, data)
	return view{
		Title: title, Nav: navOf(of.Kind),
		Crumbs: append(r.below(s), link{w.Name, path + "/outgoing/" + w.ID}), Data: all,
	}
}

// The choices of a rotation, a recovery and a replay.
var (
	overlaps = []option{{"0", "No longer", ""}, {"3600", "For an hour", ""}, {"86400", "For a day", ""}, {"604800", "For a week", ""}}
	times    = []option{{"1h", "the last hour", ""}, {"6h", "the last 6 hours", ""}, {"24h", "the last 24 hours", ""}, {"72h", "the last 3 days", ""}, {"168h", "the last 7 days", ""}}
	replayed = []option{{"missing", "Those that it has never had", ""}, {"failed", "Those that failed", ""}, {"all", "All, once more", ""}}
)

// overlapOf reports whether two secrets can sign for a while in a webhook's dialect.
func overlapOf(w boathook.OutgoingWebhook) bool {
	d, ok := dialect.Lookup(w.Dialect)
	return ok && d.MaxOverlap > 0
}

// rotate gives a webhook a new secret, and shows it once.
func (c *Console) rotate(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	overlap, err := numberOf(formOf(r.PostForm), "overlap_seconds")
	if err != nil {
		return answer{}, err
	}
	w, secret, err := c.cfg.Service.Outgoing.RotateSecret(ctx, r.caller, of, r.PathValue("out"), overlap)
	if err != nil {
		return answer{}, err
	}
	return c.secretPage(r, of, w, secret, "Rotated")
}

// deleteOutgoing deletes a webhook.
func (c *Console) deleteOutgoing(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	if err := c.cfg.Service.Outgoing.Delete(ctx, r.caller, of, r.PathValue("out")); err != nil {
		return answer{}, err
	}
	return r.redirect(r.pathOf(of), "The webhook is deleted")
}

// sinceOf reads the beginning of a time that a form has chosen: 1h, 24h, or since.
func (c *Console) sinceOf(f form) (time.Time, error) {
	switch span := f.Value("span"); span {
	case "1h", "6h", "24h", "72h", "168h":
		d, err := time.ParseDuration(span)
		return c.cfg.Now().Add(-d), err
	}
	t, err := time.Parse(time.RFC3339Nano, f.Value("since"))
	if err != nil {
		return t, boathook.InvalidField("since", "must be a time such as 2026-11-26T19:42:07Z")
	}
	return t, nil
}

// recover counts, or queues, the deliveries of a webhook that were not taken.
func (c *Console) recover(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	s, w, err := c.ofSource(ctx, r, of)
	if err != nil {
		return answer{}, err
	}
	f := formOf(r.PostForm)
	in := service.Recovery{DryRun: f.Value("go") == ""}
	if in.Since, err = c.sinceOf(f); err != nil {
		return r.invalid("recover", askView(r, s, w, of, "Recover deliveries", nil), err)
	}
	total := service.Recovered{ByStatus: make(map[boathook.DeliveryStatus]int)}
	for range maxParts {
		part, err := c.cfg.Service.Outgoing.Recover(ctx, r.caller, of, w.ID, in)
		if err != nil {
			return r.invalid("recover", askView(r, s, w, of, "Recover deliveries", nil), err)
		}
		total.Queued += part.Queued
		for status, n := range part.ByStatus {
			total.ByStatus[status] += n
		}
		total.Next, in.Cursor, in.Until = part.Next, part.Next, part.Until
		if part.Next == "" {
			break
		}
	}
	if in.DryRun {
		v := askView(r, s, w, of, "Recover deliveries", map[string]any{"Counted": total, "More": total.Next != "", "Since": in.Since.UTC().Format(time.RFC3339Nano)})
		return r.page("recover", v)
	}
	told := fmt.Sprintf("%s %s queued", number(total.Queued), plural(total.Queued, "delivery is", "deliveries are"))
	if total.Next != "" {
		told += ", and there are more: recover once more"
	}
	return r.redirect(r.pathOf(of)+"/outgoing/"+w.ID, told)
}

// maxParts is how many parts of a recovery or a replay one request makes; each is up to
// some hundred deliveries, and API Gateway waits for 30 seconds.
const maxParts = 10

// replay counts, or queues, events of the feed that a webhook should have had.
func (c *Console) replay(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	s, w, err := c.ofSource(ctx, r, of)
	if err != nil {
		return answer{}, err
	}
	f := formOf(r.PostForm)
	in := service.Replay{DryRun: f.Value("go") == "", Only: service.ReplayOnly(f.Value("only"))}
	again := func(err error) (answer, error) {
		return r.invalid("replay", askView(r, s, w, of, "Replay events", nil), err)
	}
	if in.Since, err = c.sinceOf(f); err != nil {
		return again(err)
	}
	var total service.Replayed
	for i := range maxParts {
		part, err := c.cfg.Service.Outgoing.Replay(ctx, r.caller, of, w.ID, in)
		if err != nil {
			return again(err)
		}
		if i == 0 {
			total = part
		} else {
			total.Add(part.Replayed)
			total.Next = part.Next
		}
		in.Cursor, in.Until = part.Next, part.Until
		if part.Next == "" {
			break
		}
	}
	if in.DryRun {
		return r.page("replay", askView(r, s, w, of, "Replay events", map[string]any{"Counted": total, "Count": total.Count(), "More": total.Next != "", "Since": in.Since.UTC().Format(time.RFC3339Nano)}))
	}
	told := fmt.Sprintf("%s %s queued", number(total.Count()), plural(total.Count(), "event is", "events are"))
	if total.Next != "" {
		told += ", and there are more: replay once more"
	}
	return r.redirect(r.pathOf(of)+"/outgoing/"+w.ID, told)
}

// preview shows what the webhook of a form would be sent of an event.
func (c *Console) preview(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	f := formOf(r.PostForm)
	id := f.Value("webhook_id")
	in, err := changeOf(f, id != "")
	shown := map[string]any{}
	if err == nil {
		// What is not typed yet is no reason to show nothing.
		if in.Name != nil && *in.Name == "" {
			in.Name = nil
		}
		if in.URL != nil && *in.URL == "" {
			in.URL = nil
		}
		in.SigningSecret = nil
		of := of
		sample := boathook.EventType(f.Value("sample"))
		if len(in.Events) == 0 {
			in.Events = []boathook.EventType{sample}
		}
		asked := service.Previewed{As: &in, Type: sample}
		if in.Environment != nil {
			asked.Environment = *in.Environment
		}
		var made service.Preview
		made, err = c.cfg.Service.Outgoing.Preview(ctx, r.caller, of, id, asked)
		shown["Made"], shown["Body"] = made, bodyOf(made.Delivery.Body.Bytes(), url.Values{})
		if made.Webhook.URL != "" {
			shown["Path"] = pathPart(made.Webhook.URL)
		}
	}
	if err != nil {
		shown["Error"] = sentence(problemOf(err))
	}
	a, err := r.fragment("outgoing-form", "preview", view{Data: shown, Form: f})
	a.status = http.StatusOK
	return a, err
}

// problemOf is what is wrong, with the field that it is about.
func problemOf(err error) string {
	if e, ok := err.(*boathook.Error); ok && e.Field != "" { //nolint:errorlint // wrapped ones are not about fields
		return strings.TrimPrefix(e.Field, "/event/") + " " + e.Message
	}
	return err.Error()
}

// pathPart is what a request's line has of a URL.
func pathPart(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "/"
	}
	return u.RequestURI()
}
