package manage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/catalogue"
	"boathook/internal/dialect"
	"boathook/internal/seal"
	"boathook/internal/store"
)

type outgoingView struct {
	ID string `json:"id"`
	sourceRef
	Name           string               `json:"name"`
	URL            *string              `json:"url"`                   // null: it has a destination
	Destination    *destinationView     `json:"destination,omitempty"` // absent: it has a URL
	Events         []boathook.EventType `json:"events"`
	Environment    *string              `json:"environment"` // null: each
	Dialect        string               `json:"dialect"`
	Format         boathook.Format      `json:"format"`
	Headers        map[string]string    `json:"headers"` // names only
	TimeoutSeconds int                  `json:"timeout_seconds"`
	Retry          retry                `json:"retry"`
	RateLimit      *rateLimit           `json:"rate_limit"` // null: as many as there are
	Enabled        bool                 `json:"enabled"`
	DisabledReason *string              `json:"disabled_reason"` // why Boathook disabled it
	DisabledAt     boathook.Time        `json:"disabled_at"`
	FailingSince   boathook.Time        `json:"failing_since"` // every attempt failed since then
	SlowSince      boathook.Time        `json:"slow_since"`    // its answers take a second or longer since then
	NextProbeAt    boathook.Time        `json:"next_probe_at"` // it does not answer: its deliveries wait for this
	PreviousUntil  boathook.Time        `json:"previous_secret_expires_at"`
	CreatedAt      boathook.Time        `json:"created_at"`
	UpdatedAt      boathook.Time        `json:"updated_at"`
	SigningSecret  string               `json:"signing_secret,omitempty"` // once
}

// destinationView is where a webhook's deliveries go that has no URL.
type destinationView struct {
	Type     boathook.DestinationType `json:"type"`
	QueueARN string                   `json:"queue_arn"`
}

func viewDestination(d boathook.Destination) *destinationView {
	if d.IsZero() {
		return nil
	}
	return new(destinationView(d))
}

type retry struct {
	ScheduleSeconds []int `json:"schedule_seconds"`
}

// rateLimit bounds how many requests a webhook is sent.
type rateLimit struct {
	PerSecond *int `json:"per_second"` // 0 takes the limit away
}

// read gives the limit that is asked for; nil asks for none.
func (l *rateLimit) read() (perSecond int, err error) {
	switch {
	case l == nil:
		return 0, nil
	case l.PerSecond == nil:
		return 0, boathook.InvalidField("rate_limit.per_second", "is required; a rate_limit of null is for no limit")
	case *l.PerSecond < 0 || *l.PerSecond > boathook.MaxRateLimit:
		return 0, boathook.InvalidField("rate_limit.per_second", "must be from 1 to %d, or 0 for no limit", boathook.MaxRateLimit)
	}
	return *l.PerSecond, nil
}

func (h *Handler) viewOutgoing(w boathook.OutgoingWebhook) outgoingView {
	view := outgoingView{
		ID: w.ID, sourceRef: refTo(w.SourceID), Name: w.Name, URL: httpjson.Nullable(w.URL), Destination: viewDestination(w.Destination),
		Events: w.Events, Environment: httpjson.Nullable(string(w.Environment)),
		Dialect: w.Dialect, Format: cmp.Or(w.Format, boathook.Raw), Headers: boathook.ShownHeaders(w), TimeoutSeconds: int(w.Timeout / time.Second),
		Retry: retry{make([]int, len(w.Retry))}, Enabled: w.Enabled,
		DisabledReason: httpjson.Nullable(w.Disabled.Reason), DisabledAt: boathook.Time{Time: w.Disabled.At},
		FailingSince: boathook.Time{Time: w.Health.FailingSince}, SlowSince: boathook.Time{Time: w.Health.SlowSince},
		NextProbeAt: boathook.Time{Time: w.Health.Probe.At},
		CreatedAt:   boathook.Time{Time: w.CreatedAt}, UpdatedAt: boathook.Time{Time: w.UpdatedAt},
	}
	for i, wait := range w.Retry {
		view.Retry.ScheduleSeconds[i] = int(wait / time.Second)
	}
	if w.RateLimit > 0 {
		view.RateLimit = &rateLimit{&w.RateLimit}
	}
	if w.Secrets.PreviousUntil.After(h.cfg.Now()) {
		view.PreviousUntil.Time = w.Secrets.PreviousUntil
	}
	return view
}

// outgoing is the webhook that the path names.
func (h *Handler) outgoing(ctx context.Context, c call) (boathook.Source, boathook.OutgoingWebhook, error) {
	var s boathook.Source
	var w boathook.OutgoingWebhook
	_, sourceID := sourceInPath(c)
	err := beside(func() (err error) {
		s, err = h.pathSource(ctx, c)
		return err
	}, func() (err error) {
		w, err = h.cfg.Store.Outgoing(ctx, sourceID, c.PathValue("outgoing"))
		return missing("outgoing webhook", c.PathValue("outgoing"), err)
	})
	return s, w, err
}

// outgoingInput has what a webhook can be set to; nil leaves a field as it is.
type outgoingInput struct {
	Name           *string               `json:"name"`
	URL            *string               `json:"url"`
	Destination    *destinationInput     `json:"destination"`
	Events         []boathook.EventType  `json:"events"`
	Environment    *boathook.Environment `json:"environment"`
	Dialect        *string               `json:"dialect"`
	Format         *boathook.Format      `json:"format"`
	Headers        map[string]string     `json:"headers"`
	TimeoutSeconds *int                  `json:"timeout_seconds"`
	Retry          *retry                `json:"retry"`
	RateLimit      **rateLimit           `json:"rate_limit"` // null: as many as there are
	Enabled        *bool                 `json:"enabled"`
	SigningSecret  *string               `json:"signing_secret"`
}

type destinationInput struct {
	Type     *boathook.DestinationType `json:"type"`
	QueueARN *string                   `json:"queue_arn"`
}

// read gives the destination that is asked for.
func (in destinationInput) read() (d boathook.Destination, err error) {
	for _, f := range []struct {
		name  string
		given bool
	}{{"destination.type", in.Type != nil}, {"destination.queue_arn", in.QueueARN != nil}} {
		if !f.given {
			return d, boathook.InvalidField(f.name, "is required")
		}
	}
	d = boathook.Destination{Type: *in.Type, QueueARN: *in.QueueARN}
	return d, d.Check()
}

// applyReceiver changes where a webhook's deliveries go: a URL takes the place of a
// destination, and a destination that of a URL. What goes elsewhere loses its
// headers. They are for the receiver before. Who may change a webhook may not read
// them, and so not have them sent to a receiver of his own.
func (h *Handler) applyReceiver(in outgoingInput, w *boathook.OutgoingWebhook) error {
	moved := false
	switch {
	case in.URL != nil && in.Destination != nil:
		return boathook.InvalidField("destination", "can't be given beside a url: a webhook has one of them")
	case in.URL != nil:
		if err := h.cfg.CheckURL("url", *in.URL); err != nil {
			return err
		}
		moved = !w.Destination.IsZero() || !sameOrigin(w.URL, *in.URL)
		w.URL, w.Destination = *in.URL, boathook.Destination{}
	case in.Destination != nil:
		to, err := in.Destination.read()
		if err == nil {
			err = h.cfg.AllowDestination(to)
		}
		if err != nil {
			return err
		}
		moved = w.Destination != to
		w.URL, w.Destination = "", to
	}
	if moved {
		w.SealedHeaders, w.HeaderNames = nil, nil
	}
	return nil
}

// checkAttributes refuses headers that don't all fit into a message of a queue, beside
// those of the webhook's dialect.
func checkAttributes(w boathook.OutgoingWebhook) error {
	d, ok := dialect.Lookup(w.Dialect)
	if !ok || w.Destination.Type != boathook.DestinationSQS {
		return nil
	}
	for _, name := range w.HeaderNames {
		if fault := boathook.AttributeFault(name); fault != "" {
			return boathook.InvalidField("headers", "%q is sent as the name of a message attribute, which %s", name, fault)
		}
	}
	own := len(d.Header(dialect.Message{}, "signature"))
	if own+len(w.HeaderNames) > boathook.MaxMessageAttributes {
		return boathook.InvalidField("headers", "must be at most %d: a message of a queue has room for %d attributes, and the dialect %s has %d",
			boathook.MaxMessageAttributes-own, boathook.MaxMessageAttributes, d.Name, own)
	}
	return nil
}

// applyOutgoing changes a webhook of a source of some kind, but for its secret.
func (h *Handler) applyOutgoing(ctx context.Context, in outgoingInput, kind boathook.SourceKind, w *boathook.OutgoingWebhook) error {
	if in.Name != nil {
		if err := checkName(*in.Name); err != nil {
			return err
		}
		w.Name = *in.Name
	}
	if err := h.applyReceiver(in, w); err != nil {
		return err
	}
	if in.Events != nil {
		if err := checkEvents(in.Events, kind); err != nil {
			return err
		}
		w.Events = in.Events
	}
	if in.Environment != nil {
		if err := checkEnvironment(*in.Environment); err != nil {
			return err
		}
		if kind == boathook.Agent && *in.Environment != boathook.Production {
			return boathook.InvalidField("environment", "must be %s: an agent runs nowhere else", boathook.Production)
		}
		w.Environment = *in.Environment
	}
	if in.Dialect != nil {
		if _, ok := dialect.Lookup(*in.Dialect); !ok {
			return boathook.InvalidField("dialect", "must be one of %s", oneOf(dialect.Names()))
		}
		w.Dialect = *in.Dialect
	}
	if in.Format != nil {
		if !in.Format.Valid() {
			return boathook.InvalidField("format", "must be %s, %s, %s or %s", boathook.Raw, boathook.Slack, boathook.Discord, boathook.Teams)
		}
		w.Format = *in.Format
	}
	if in.TimeoutSeconds != nil {
		if err := checkSeconds("timeout_seconds", *in.TimeoutSeconds, 1, boathook.MaxDeliveryTimeout); err != nil {
			return err
		}
		w.Timeout = time.Duration(*in.TimeoutSeconds) * time.Second
	}
	if in.Retry != nil {
		schedule, err := in.Retry.schedule()
		if err != nil {
			return err
		}
		w.Retry = schedule
	}
	if in.RateLimit != nil {
		limit, err := (*in.RateLimit).read()
		if err != nil {
			return err
		}
		w.RateLimit = limit
	}
	if in.Enabled != nil {
		if err := h.enable(ctx, w, *in.Enabled); err != nil {
			return err
		}
	}
	if in.Headers != nil {
		if err := checkHeaders(in.Headers); err != nil {
			return err
		}
		sealed, err := h.sealHeaders(ctx, w.WorkspaceID, seal.OutgoingHeaders(w.ID), in.Headers)
		if err != nil {
			return err
		}
		w.SealedHeaders, w.HeaderNames = sealed, slices.Sorted(maps.Keys(in.Headers))
	}
	if err := checkAttributes(*w); err != nil {
		return err
	}
	w.UpdatedAt = h.cfg.Now()
	return nil
}

// enable enables or disables a webhook in its owner's name. One that is enabled
// begins anew: what was held against it is forgotten.
func (h *Handler) enable(ctx context.Context, w *boathook.OutgoingWebhook, enabled bool) error {
	w.Enabled, w.Disabled = enabled, boathook.Disabling{}
	if !enabled || w.Revision == 0 {
		return nil
	}
	w.Health = boathook.Health{}
	return h.cfg.Store.ClearHealth(ctx, w.ID, boathook.HealthFailures|boathook.HealthSlow|boathook.HealthProbe|boathook.HealthDisabling)
}

// sameOrigin reports whether requests to two URLs go to one server: by scheme,
// host and port (RFC 6454, section 5).
func sameOrigin(a, b string) bool {
	one, err := url.Parse(a)
	if err != nil {
		return false
	}
	other, err := url.Parse(b)
	return err == nil && one.Scheme == other.Scheme && strings.EqualFold(one.Hostname(), other.Hostname()) && portOf(one) == portOf(other)
}

func portOf(u *url.URL) string {
	return cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
}

func checkEvents(events []boathook.EventType, kind boathook.SourceKind) error {
	if len(events) == 0 {
		return boathook.InvalidField("events", "must name at least one of %s", oneOf(boathook.EventTypes[kind]))
	}
	for i := range events {
		if fault := eventFault(events, i, kind); fault != "" {
			return boathook.InvalidField("events", "%s", fault)
		}
	}
	return nil
}

// eventFault says what is wrong with one of the events that a webhook is to have;
// empty: nothing is.
func eventFault(events []boathook.EventType, i int, kind boathook.SourceKind) string {
	allowed := boathook.EventTypes[kind]
	if kind == boathook.Repository {
		allowed = append(slices.Clip(allowed), boathook.AllEvents)
	}
	switch e := events[i]; {
	case e == boathook.AllEvents && kind == boathook.Repository && len(events) > 1:
		return fmt.Sprintf("%q is each event: it stands alone", e)
	case !slices.Contains(allowed, e):
		return fmt.Sprintf("must be one of %s, not %q", oneOf(allowed), e)
	case slices.Contains(events[:i], e):
		return fmt.Sprintf("%q is given twice", e)
	}
	return ""
}

func (r retry) schedule() ([]time.Duration, error) {
	if r.ScheduleSeconds == nil {
		return nil, boathook.InvalidField("retry.schedule_seconds", "is required; [] is for no retries")
	}
	if len(r.ScheduleSeconds) > maxRetries {
		return nil, boathook.InvalidField("retry.schedule_seconds", "must have at most %d entries", maxRetries)
	}
	schedule := make([]time.Duration, len(r.ScheduleSeconds))
	for i, n := range r.ScheduleSeconds {
		if err := checkSeconds("retry.schedule_seconds", n, 1, maxRetryWait); err != nil {
			return nil, err
		}
		schedule[i] = time.Duration(n) * time.Second
	}
	return schedule, nil
}

func (h *Handler) createOutgoing(ctx context.Context, c call, in outgoingInput) (outgoingView, error) {
	s, err := h.pathSource(ctx, c)
	if err != nil {
		return outgoingView{}, err
	}
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"name", in.Name != nil}, {"url", in.URL != nil || in.Destination != nil}, {"events", in.Events != nil},
		{"environment", in.Environment != nil || s.Kind != boathook.Deployment},
	} {
		switch {
		case f.given:
		case f.name == "url":
			return outgoingView{}, boathook.InvalidField(f.name, "is required, or a destination in its place")
		default:
			return outgoingView{}, boathook.InvalidField(f.name, "is required")
		}
	}
	secret := boathook.NewSigningSecret()
	if in.SigningSecret != nil {
		secret = *in.SigningSecret
		if len(secret) < minSecret || len(secret) > maxSecret || !boathook.Printable(secret) {
			return outgoingView{}, boathook.InvalidField("signing_secret",
				"must have %d to %d printable ASCII characters, without spaces", minSecret, maxSecret)
		}
	}
	w := h.newOutgoing(s)
	if s.Kind == boathook.Agent {
		w.Environment = boathook.Production
	}
	if err := h.applyOutgoing(ctx, in, s.Kind, &w); err != nil {
		return outgoingView{}, err
	}
	if err := checkSecret(w.Dialect, "signing_secret", secret); err != nil {
		return outgoingView{}, err
	}
	if err := h.sealSecret(ctx, &w, secret); err != nil {
		return outgoingView{}, err
	}
	if err := h.addOutgoing(ctx, w); err != nil {
		return outgoingView{}, err
	}
	return h.viewWithSecret(w, secret), nil
}

// newOutgoing is a source's webhook as far as nobody says otherwise.
func (h *Handler) newOutgoing(s boathook.Source) boathook.OutgoingWebhook {
	return boathook.OutgoingWebhook{
		ID: boathook.NewID(boathook.OutgoingID), WorkspaceID: s.WorkspaceID, SourceID: s.ID,
		Dialect: dialect.DefaultFor(s.Kind), Format: boathook.Raw,
		Timeout: boathook.DefaultDeliveryTimeout, Retry: boathook.DefaultRetry,
		Enabled: true, CreatedAt: h.cfg.Now(),
	}
}

// addOutgoing stores a new webhook, if its source has room for one more.
func (h *Handler) addOutgoing(ctx context.Context, w boathook.OutgoingWebhook) error {
	others, err := h.allOutgoing(ctx, w.SourceID)
	if err != nil {
		return err
	}
	if len(others) >= boathook.MaxWebhooks {
		return boathook.Errorf(boathook.Invalid, "a source has at most %d outgoing webhooks", boathook.MaxWebhooks)
	}
	return h.cfg.Store.PutOutgoing(ctx, w)
}

// sealSecret gives a webhook its current secret.
func (h *Handler) sealSecret(ctx context.Context, w *boathook.OutgoingWebhook, secret string) error {
	sealed, err := h.cfg.Seal.Seal(ctx, w.WorkspaceID, seal.OutgoingSecret(w.ID), []byte(secret))
	if err != nil {
		return fmt.Errorf("seal the secret of %s: %w", w.ID, err)
	}
	w.Secrets.Current = sealed
	return nil
}

// setSecret gives a webhook the secret that its user brings, or none if that is
// empty. A secret of before is gone at once.
func (h *Handler) setSecret(ctx context.Context, w *boathook.OutgoingWebhook, field, secret string) error {
	if len(secret) > maxSecret {
		return boathook.InvalidField(field, "must have at most %d bytes", maxSecret)
	}
	if err := checkSecret(w.Dialect, field, secret); err != nil {
		return err
	}
	w.Secrets = boathook.SealedSecrets{}
	if secret == "" {
		return nil
	}
	return h.sealSecret(ctx, w, secret)
}

// checkSecret refuses a secret that can't sign in a dialect, and none, which is
// the empty one, where it must sign.
func checkSecret(name, field, secret string) error {
	d, ok := dialect.Lookup(name)
	if !ok {
		return boathook.InvalidField("dialect", "must be one of %s", oneOf(dialect.Names()))
	}
	if secret == "" {
		if d.SecretOptional {
			return nil
		}
		return boathook.InvalidField(field, "is required by the dialect %s", name)
	}
	if err := d.CheckSecret(secret); err != nil {
		return boathook.InvalidField(field, "%s", err)
	}
	return nil
}

// changeDialect checks that the webhook's secret can sign in the dialect that
// it has now, and ends an overlap: the secret before may not.
func (h *Handler) changeDialect(ctx context.Context, w *boathook.OutgoingWebhook) error {
	w.Secrets = boathook.SealedSecrets{Current: w.Secrets.Current}
	var secret []byte
	if w.Secrets.Current != nil {
		var err error
		if secret, err = h.cfg.Seal.Open(ctx, w.WorkspaceID, seal.OutgoingSecret(w.ID), w.Secrets.Current); err != nil {
			return fmt.Errorf("open the secret of %s: %w", w.ID, err)
		}
	}
	if err := checkSecret(w.Dialect, "signing_secret", string(secret)); err != nil {
		return boathook.InvalidField("dialect", "the webhook's %s; POST …/rotate-secret makes one that will do", err)
	}
	return nil
}

// viewWithSecret shows a webhook with its secret, this once.
func (h *Handler) viewWithSecret(w boathook.OutgoingWebhook, secret string) outgoingView {
	view := h.viewOutgoing(w)
	view.SigningSecret = secret
	return view
}

// allOutgoing are a source's webhooks that can be read.
func (h *Handler) allOutgoing(ctx context.Context, sourceID string) ([]boathook.OutgoingWebhook, error) {
	all, err := h.cfg.Store.AllOutgoing(ctx, sourceID)
	if errors.Is(err, store.ErrIncomplete) {
		err = nil
	}
	return all, err
}

// withURL are those that the documented systems know, whose webhooks all have a URL.
func withURL(all []boathook.OutgoingWebhook) []boathook.OutgoingWebhook {
	return slices.DeleteFunc(all, func(w boathook.OutgoingWebhook) bool { return !w.Destination.IsZero() })
}

func (h *Handler) listOutgoing(ctx context.Context, c call, _ httpjson.None) (httpjson.List[outgoingView], error) {
	_, sourceID := sourceInPath(c)
	var all []boathook.OutgoingWebhook
	err := beside(func() error {
		_, err := h.pathSource(ctx, c)
		return err
	}, func() (err error) {
		all, err = h.allOutgoing(ctx, sourceID)
		return err
	})
	if err != nil {
		return httpjson.List[outgoingView]{}, err
	}
	p, err := c.Page()
	if err != nil {
		return httpjson.List[outgoingView]{}, err
	}
	page, next, err := cut(all, p, func(w boathook.OutgoingWebhook) place { return place{w.CreatedAt, w.ID} })
	if err != nil {
		return httpjson.List[outgoingView]{}, err
	}
	ids := make([]string, len(page))
	for i, w := range page {
		ids[i] = w.ID
	}
	healths, err := h.cfg.Store.Health(ctx, ids...)
	if err != nil {
		return httpjson.List[outgoingView]{}, err
	}
	views := make([]outgoingView, len(page))
	for i, w := range page {
		w.Health = healths[w.ID]
		views[i] = h.viewOutgoing(w)
	}
	return httpjson.List[outgoingView]{Data: views, NextCursor: httpjson.Nullable(next)}, nil
}

func (h *Handler) getOutgoing(ctx context.Context, c call, _ httpjson.None) (outgoingView, error) {
	_, w, err := h.outgoing(ctx, c)
	if err != nil {
		return outgoingView{}, err
	}
	return h.viewOutgoing(w), nil
}

func (h *Handler) changeOutgoing(ctx context.Context, c call, in outgoingInput) (outgoingView, error) {
	s, w, err := h.outgoing(ctx, c)
	if err != nil {
		return outgoingView{}, err
	}
	if in.SigningSecret != nil {
		return outgoingView{}, boathook.InvalidField("signing_secret", "can't be changed: POST …/rotate-secret makes a new one")
	}
	before := w.Dialect
	if err := h.applyOutgoing(ctx, in, s.Kind, &w); err != nil {
		return outgoingView{}, err
	}
	if w.Dialect != before {
		if err := h.changeDialect(ctx, &w); err != nil {
			return outgoingView{}, err
		}
	}
	if err := h.cfg.Store.PutOutgoing(ctx, w); err != nil {
		return outgoingView{}, err
	}
	return h.viewOutgoing(w), nil
}

func (h *Handler) deleteOutgoing(ctx context.Context, c call, _ httpjson.None) (httpjson.None, error) {
	s, err := h.pathSource(ctx, c)
	if err != nil {
		return httpjson.None{}, err
	}
	return httpjson.None{}, missing("outgoing webhook", c.PathValue("outgoing"), h.cfg.Store.DeleteOutgoing(ctx, s.ID, c.PathValue("outgoing")))
}

type rotation struct {
	OverlapSeconds *int `json:"overlap_seconds"` // nil: as the dialect has it
}

// rotateSecret makes a new secret, or a webhook's first. The one before signs
// beside it while they overlap; a secret that overlapped already is dropped.
func (h *Handler) rotateSecret(ctx context.Context, c call, in rotation) (outgoingView, error) {
	_, w, err := h.outgoing(ctx, c)
	if err != nil {
		return outgoingView{}, err
	}
	d, ok := dialect.Lookup(w.Dialect)
	if !ok {
		return outgoingView{}, fmt.Errorf("webhook %s has the unknown dialect %q", w.ID, w.Dialect)
	}
	overlap := d.DefaultOverlap
	if n := in.OverlapSeconds; n != nil {
		if d.MaxOverlap == 0 && *n != 0 {
			return outgoingView{}, boathook.InvalidField("overlap_seconds", "must be 0: the dialect %s has one signature at a time", d.Name)
		}
		if err := checkSeconds("overlap_seconds", *n, 0, d.MaxOverlap); err != nil {
			return outgoingView{}, err
		}
		overlap = time.Duration(*n) * time.Second
	}
	w.UpdatedAt = h.cfg.Now()
	previous := w.Secrets.Current
	w.Secrets = boathook.SealedSecrets{}
	if overlap > 0 && previous != nil {
		w.Secrets.Previous = previous
		w.Secrets.PreviousUntil = w.UpdatedAt.Add(overlap)
	}
	secret := boathook.NewSigningSecret()
	if err := h.sealSecret(ctx, &w, secret); err != nil {
		return outgoingView{}, err
	}
	if err := h.cfg.Store.PutOutgoing(ctx, w); err != nil {
		return outgoingView{}, err
	}
	return h.viewWithSecret(w, secret), nil
}

type queued struct {
	DeliveryID string `json:"delivery_id"`
}

var errDisabled = boathook.Errorf(boathook.Conflict, "the webhook is disabled: nothing is sent to it")

func (h *Handler) testOutgoing(ctx context.Context, c call, _ httpjson.None) (queued, error) {
	s, w, err := h.outgoing(ctx, c)
	if err != nil {
		return queued{}, err
	}
	id, err := h.sendExample(ctx, s.Kind, w)
	return queued{id.String()}, err
}

// sendExample sends a webhook of a kind of source the catalogue's example of
// the first event that it wants.
func (h *Handler) sendExample(ctx context.Context, kind boathook.SourceKind, w boathook.OutgoingWebhook) (boathook.DeliveryID, error) {
	if !w.Enabled {
		return boathook.DeliveryID{}, errDisabled
	}
	wanted := w.Events[0]
	if wanted == boathook.AllEvents {
		wanted = boathook.EventTypes[kind][0]
	}
	t, ok := catalogue.Lookup(kind, wanted)
	if !ok {
		return boathook.DeliveryID{}, fmt.Errorf("webhook %s wants the unknown event %q", w.ID, wanted)
	}
	event := boathook.Event{
		ID: boathook.NewID(boathook.EventID), WorkspaceID: w.WorkspaceID, SourceID: w.SourceID,
		Environment: w.Environment, Type: t.Name, Time: h.cfg.Now(), Data: t.Example,
	}
	if err := h.cfg.Publish.PublishTo(ctx, event, w); err != nil {
		return boathook.DeliveryID{}, fmt.Errorf("publish a test to %s: %w", w.ID, err)
	}
	return boathook.NewDeliveryID(&event, w.ID), nil
}
