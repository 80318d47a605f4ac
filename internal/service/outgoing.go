package service

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
	"boathook/internal/catalogue"
	"boathook/internal/delivery"
	"boathook/internal/dialect"
	"boathook/internal/expression"
	"boathook/internal/seal"
	"boathook/internal/store"
)

// Outgoing are the outgoing webhooks of sources: URLs that are told of their events.
type Outgoing struct{ *core }

// OutgoingChange has what an outgoing webhook can be set to; nil leaves a field as it
// is.
type OutgoingChange struct {
	Name           *string
	URL            *string            // takes the place of a destination
	Destination    *DestinationChange // takes the place of a URL
	Events         []boathook.EventType
	Environment    *boathook.Environment
	Dialect        *string
	Format         *boathook.Format
	Filter         *string           // an expression; empty: none
	Transform      *string           // an expression; empty: none
	Headers        map[string]string // without any it has none
	TimeoutSeconds *int
	Retry          *RetrySchedule
	RateLimit      *RateLimit
	Enabled        *bool
	AlertAfter     *AlertThreshold
	Channels       []string          // without any it hears all events
	Metadata       map[string]string // the whole of it
	SigningSecret  *string           // of a new webhook only: see [Outgoing.RotateSecret]
}

// DestinationChange is a destination, of which each field must be given that its type
// has.
type DestinationChange struct {
	Type     *boathook.DestinationType
	QueueARN *string
}

// RetrySchedule has the waits before the second, third, … attempt; none means no
// retries, and nil is refused.
type RetrySchedule struct{ Seconds []int }

// AlertThreshold is a [boathook.AlertThreshold], of which nil is refused.
type AlertThreshold struct{ Failures, Seconds *int }

func (a AlertThreshold) read() (boathook.AlertThreshold, error) {
	var threshold boathook.AlertThreshold
	const most = int(boathook.MaxAlertOver / time.Second)
	switch {
	case a.Failures == nil || *a.Failures < 1 || *a.Failures > boathook.MaxAlertFailures:
		return threshold, boathook.InvalidField("alert_after.failures", "must be from 1 to %d", boathook.MaxAlertFailures)
	case a.Seconds == nil || *a.Seconds < 0 || *a.Seconds > most:
		return threshold, boathook.InvalidField("alert_after.seconds", "must be from 0 to %d", most)
	}
	return boathook.AlertThreshold{Failures: *a.Failures, Over: time.Duration(*a.Seconds) * time.Second}, nil
}

// RateLimit bounds how many requests a webhook is sent; 0 takes the limit away, and
// nil is refused.
type RateLimit struct{ PerSecond *int }

// outgoing finds a webhook of a source, and the source.
func (k *core) outgoing(ctx context.Context, c Caller, of SourceRef, id string) (s boathook.Source, w boathook.OutgoingWebhook, err error) {
	err = beside(func() (err error) {
		s, err = k.sourceOf(ctx, c, of)
		return err
	}, func() (err error) {
		w, err = k.cfg.Store.Outgoing(ctx, of.ID, id)
		return missing("outgoing webhook", id, err)
	})
	return s, w, err
}

// shown is a webhook as a caller sees it: a previous secret is hidden once its overlap
// is over, and what the workspace notes about it from its customer.
func (k *core) shown(c Caller, w boathook.OutgoingWebhook) boathook.OutgoingWebhook {
	if c.Customer != "" {
		w.Metadata = nil
	}
	if !w.Secrets.PreviousUntil.After(k.cfg.Now()) {
		w.Secrets.Previous, w.Secrets.PreviousUntil = nil, time.Time{}
	}
	return w
}

// applyOutgoing changes a webhook of a source of some kind, but for its secret. What is
// refused changes nothing in the store.
func (k *core) applyOutgoing(ctx context.Context, in OutgoingChange, kind boathook.SourceKind, w *boathook.OutgoingWebhook) error {
	before, wanted := w.Dialect, w.Events
	for _, apply := range []func(OutgoingChange, boathook.SourceKind, *boathook.OutgoingWebhook) error{
		applyName, k.applyReceiver, applyEvents, applyForm, applyExpressions, applyPace, applyNotes,
	} {
		if err := apply(in, kind, w); err != nil {
			return err
		}
	}
	if err := k.checkDefinedTypes(ctx, w, kind, wanted); err != nil {
		return err
	}
	if in.Headers != nil {
		if err := checkHeaders(in.Headers); err != nil {
			return err
		}
		sealed, err := k.sealHeaders(ctx, w.WorkspaceID, seal.OutgoingHeaders(w.ID), in.Headers)
		if err != nil {
			return err
		}
		w.SealedHeaders, w.HeaderNames = sealed, slices.Sorted(maps.Keys(in.Headers))
	}
	if err := checkSendable(*w); err != nil {
		return err
	}
	if w.Dialect != before && w.Revision > 0 { // a new one gets its secret next
		if err := k.changeDialect(ctx, w); err != nil {
			return err
		}
	}
	if in.Enabled != nil { // last: a change that is refused forgets nothing
		if err := k.enable(ctx, w, *in.Enabled); err != nil {
			return err
		}
	}
	w.UpdatedAt = k.cfg.Now()
	return nil
}

// applyName sets a webhook's name.
func applyName(in OutgoingChange, _ boathook.SourceKind, w *boathook.OutgoingWebhook) error {
	if in.Name != nil {
		if err := checkName(*in.Name); err != nil {
			return err
		}
		w.Name = *in.Name
	}
	return nil
}

// applyReceiver sets where a webhook's deliveries go: a URL takes the place of a
// destination, and a destination that of a URL. What goes elsewhere loses its
// headers. They are for the receiver before. Who may change a webhook may not read
// them, and so not have them sent to a receiver of his own.
func (k *core) applyReceiver(in OutgoingChange, _ boathook.SourceKind, w *boathook.OutgoingWebhook) error {
	moved := false
	switch {
	case in.URL != nil && in.Destination != nil:
		return boathook.InvalidField("destination", "can't be given beside a url: a webhook has one of them")
	case in.URL != nil:
		if err := k.cfg.CheckURL("url", *in.URL); err != nil {
			return err
		}
		moved = !w.Destination.IsZero() || !sameOrigin(w.URL, *in.URL)
		w.URL, w.Destination = *in.URL, boathook.Destination{}
	case in.Destination != nil:
		to, err := in.Destination.read()
		if err == nil && to.Type == boathook.DestinationSQS {
			err = k.cfg.AllowDestination(to)
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

// toListener reports whether a webhook's deliveries are to go to a listener.
func (in OutgoingChange) toListener() bool {
	d := in.Destination
	return d != nil && d.Type != nil && *d.Type == boathook.DestinationListener
}

// read gives the destination that is asked for.
func (in DestinationChange) read() (d boathook.Destination, err error) {
	if err := required(wanted{"destination.type", in.Type != nil}); err != nil {
		return d, err
	}
	d.Type = *in.Type
	if in.QueueARN != nil {
		d.QueueARN = *in.QueueARN
	} else if d.Type == boathook.DestinationSQS {
		return d, required(wanted{"destination.queue_arn", false})
	}
	return d, d.Check()
}

// checkSendable refuses headers that a webhook's destination can't send: those that
// don't all fit into a message of a queue, beside those of the webhook's dialect, and
// any for a listener, which would see masks for their values.
func checkSendable(w boathook.OutgoingWebhook) error {
	if w.Destination.Type == boathook.DestinationListener && len(w.HeaderNames) > 0 {
		return boathook.InvalidField("headers", "can't be given: what a %s is told of has none but the dialect's", boathook.DestinationListener)
	}
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

// applyEvents sets which events a webhook wants.
func applyEvents(in OutgoingChange, kind boathook.SourceKind, w *boathook.OutgoingWebhook) error {
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
	return nil
}

// applyForm sets how a webhook's requests are written.
func applyForm(in OutgoingChange, _ boathook.SourceKind, w *boathook.OutgoingWebhook) error {
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
	return nil
}

// applyExpressions sets which events a webhook wants of its types, and what its bodies
// are.
func applyExpressions(in OutgoingChange, _ boathook.SourceKind, w *boathook.OutgoingWebhook) error {
	for _, e := range []struct {
		field string
		text  *string
		set   *string
	}{{"filter", in.Filter, &w.Filter}, {"transform", in.Transform, &w.Transform}} {
		if e.text == nil {
			continue
		}
		if err := checkExpression(e.field, *e.text); err != nil {
			return err
		}
		*e.set = *e.text
	}
	return nil
}

// checkExpression refuses a text that does not compile. An empty one stands for none.
func checkExpression(field, text string) error {
	if text == "" {
		return nil
	}
	if _, err := expression.Compile(text); err != nil {
		return boathook.InvalidField(field, "%s", err)
	}
	return nil
}

// applyPace sets how long, how often and how fast a webhook is sent to.
func applyPace(in OutgoingChange, _ boathook.SourceKind, w *boathook.OutgoingWebhook) error {
	if in.TimeoutSeconds != nil {
		if err := checkSeconds("timeout_seconds", *in.TimeoutSeconds, 1, boathook.MaxDeliveryTimeout); err != nil {
			return err
		}
		w.Timeout = time.Duration(*in.TimeoutSeconds) * time.Second
	}
	if in.Retry != nil {
		schedule, err := in.Retry.read()
		if err != nil {
			return err
		}
		w.Retry = schedule
	}
	if in.RateLimit != nil {
		limit, err := in.RateLimit.read()
		if err != nil {
			return err
		}
		w.RateLimit = limit
	}
	if in.AlertAfter != nil {
		threshold, err := in.AlertAfter.read()
		if err != nil {
			return err
		}
		w.AlertAfter = threshold
	}
	return nil
}

// applyNotes sets a webhook's channels, and what its owner notes about it.
func applyNotes(in OutgoingChange, _ boathook.SourceKind, w *boathook.OutgoingWebhook) (err error) {
	if in.Channels != nil {
		if w.Channels, err = checkChannels(in.Channels); err != nil {
			return err
		}
	}
	if in.Metadata != nil {
		if err := checkMetadata(in.Metadata); err != nil {
			return err
		}
		w.Metadata = maps.Clone(in.Metadata)
	}
	return nil
}

func (r RetrySchedule) read() ([]time.Duration, error) {
	if r.Seconds == nil {
		return nil, boathook.InvalidField("retry.schedule_seconds", "is required; [] is for no retries")
	}
	if len(r.Seconds) > maxRetries {
		return nil, boathook.InvalidField("retry.schedule_seconds", "must have at most %d entries", maxRetries)
	}
	schedule := make([]time.Duration, len(r.Seconds))
	for i, n := range r.Seconds {
		if err := checkSeconds("retry.schedule_seconds", n, 1, maxRetryWait); err != nil {
			return nil, err
		}
		schedule[i] = time.Duration(n) * time.Second
	}
	return schedule, nil
}

func (l RateLimit) read() (perSecond int, err error) {
	switch {
	case l.PerSecond == nil:
		return 0, boathook.InvalidField("rate_limit.per_second", "is required; a rate_limit of null is for no limit")
	case *l.PerSecond < 0 || *l.PerSecond > boathook.MaxRateLimit:
		return 0, boathook.InvalidField("rate_limit.per_second", "must be from 1 to %d, or 0 for no limit", boathook.MaxRateLimit)
	}
	return *l.PerSecond, nil
}

// enable enables or disables a webhook in its owner's name. One that is enabled
// begins anew: what was held against it is forgotten.
func (k *core) enable(ctx context.Context, w *boathook.OutgoingWebhook, enabled bool) error {
	w.Enabled, w.Disabled = enabled, boathook.Disabling{}
	if !enabled || w.Revision == 0 {
		return nil
	}
	w.Health = boathook.Health{}
	return k.cfg.Store.ClearHealth(ctx, w.ID, boathook.HealthFailures|boathook.HealthSlow|boathook.HealthProbe|boathook.HealthDisabling)
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
	if len(events) > boathook.MaxWantedEvents {
		return boathook.InvalidField("events", "must name at most %d", boathook.MaxWantedEvents)
	}
	for i := range events {
		if fault := eventFault(events, i, kind); fault != "" {
			return boathook.InvalidField("events", "%s", fault)
		}
	}
	return nil
}

// hasAllEvents reports whether a webhook of a kind of source can want [boathook.AllEvents].
func hasAllEvents(kind boathook.SourceKind) bool {
	return kind == boathook.Repository || kind == boathook.Customer
}

// eventFault says what is wrong with one of the events that a webhook is to have;
// empty: nothing is.
func eventFault(events []boathook.EventType, i int, kind boathook.SourceKind) string {
	allowed := boathook.EventTypes[kind]
	if hasAllEvents(kind) {
		allowed = append(slices.Clip(allowed), boathook.AllEvents)
	}
	switch e := events[i]; {
	case e == boathook.AllEvents && hasAllEvents(kind) && len(events) > 1:
		return fmt.Sprintf("%q is each event: it stands alone", e)
	case kind == boathook.Customer && e.IsTypeName() && !e.InCatalogue():
		// whether there is such a type is looked up
	case !slices.Contains(allowed, e):
		return fmt.Sprintf("must be one of %s, not %q", oneOf(allowed), e)
	case slices.Contains(events[:i], e):
		return fmt.Sprintf("%q is given twice", e)
	}
	return ""
}

// checkDefinedTypes refuses types that a customer's webhook newly wants, and that the
// workspace does not define, or has archived. before are those that it wanted before.
func (k *core) checkDefinedTypes(ctx context.Context, w *boathook.OutgoingWebhook, kind boathook.SourceKind, before []boathook.EventType) error {
	if kind != boathook.Customer {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, e := range w.Events {
		if e == boathook.AllEvents || e.InCatalogue() || slices.Contains(before, e) {
			continue
		}
		group.Go(func() error {
			d, err := k.cfg.Store.EventType(ctx, w.WorkspaceID, e)
			switch {
			case boathook.IsKind(err, boathook.NotFound):
				return boathook.InvalidField("events", "there is no type %q: PUT /v1/event-types/{name} defines one", e)
			case err == nil && !d.ArchivedAt.IsZero():
				return boathook.InvalidField("events", "%q is archived: PUT /v1/event-types/%s takes it into use again", e, e)
			}
			return err
		})
	}
	return group.Wait()
}

// Create makes a webhook of a source, which needs a name, a URL or a destination,
// events, and of a deployment an environment. Its secret is given this once.
func (k Outgoing) Create(ctx context.Context, c Caller, of SourceRef, in OutgoingChange) (w boathook.OutgoingWebhook, secret string, err error) {
	if err := c.May("Outgoing.Create"); err != nil {
		return w, "", err
	}
	if err := c.mayChange(in); err != nil {
		return w, "", err
	}
	s, err := k.sourceOf(ctx, c, of)
	if err != nil {
		return w, "", err
	}
	if err := required(wanted{"name", in.Name != nil}); err != nil {
		return w, "", err
	}
	if in.URL == nil && in.Destination == nil {
		return w, "", boathook.InvalidField("url", "is required, or a destination in its place")
	}
	if err := required(wanted{"events", in.Events != nil}, wanted{"environment", in.Environment != nil || s.Kind != boathook.Deployment}); err != nil {
		return w, "", err
	}
	if secret, err = firstSecret(in.SigningSecret); err != nil {
		return w, "", err
	}
	if err := k.storeAlerts(ctx, s); err != nil {
		return w, "", err
	}
	w = k.newOutgoing(s)
	if in.toListener() {
		w.Retry = nil // it fetches what it missed
	}
	if s.Kind == boathook.Agent {
		w.Environment = boathook.Production
	}
	if err := k.applyOutgoing(ctx, in, s.Kind, &w); err != nil {
		return w, "", err
	}
	if err := checkSecret(w.Dialect, secret); err != nil {
		return w, "", err
	}
	if err := k.sealSecret(ctx, &w, secret); err != nil {
		return w, "", err
	}
	return w, secret, k.addOutgoing(ctx, w)
}

// firstSecret is the secret that a webhook begins with: the user's own, or a new one.
func firstSecret(own *string) (string, error) {
	if own == nil {
		return boathook.NewSigningSecret(), nil
	}
	if len(*own) < minSecret || len(*own) > maxSecret || !boathook.Printable(*own) {
		return "", boathook.InvalidField(secretField,
			"must have %d to %d printable ASCII characters, without spaces", minSecret, maxSecret)
	}
	return *own, nil
}

// newOutgoing is a source's webhook as far as nobody says otherwise.
func (k *core) newOutgoing(s boathook.Source) boathook.OutgoingWebhook {
	return boathook.OutgoingWebhook{
		ID: boathook.NewID(boathook.OutgoingID), WorkspaceID: s.WorkspaceID, SourceID: s.ID,
		Dialect: dialect.DefaultFor(s.Kind), Format: boathook.Raw,
		Timeout: boathook.DefaultDeliveryTimeout, Retry: boathook.DefaultRetry,
		Enabled: true, CreatedAt: k.cfg.Now(),
	}
}

// addOutgoing stores a new webhook, unless its source has as many as it may.
func (k *core) addOutgoing(ctx context.Context, w boathook.OutgoingWebhook) error {
	others, err := k.allOutgoing(ctx, w.SourceID)
	if err != nil {
		return err
	}
	if len(others) >= boathook.MaxWebhooks {
		return boathook.Errorf(boathook.Invalid, "a source has at most %d outgoing webhooks", boathook.MaxWebhooks)
	}
	return k.cfg.Store.PutOutgoing(ctx, w)
}

// allOutgoing are a source's webhooks that can be read.
func (k *core) allOutgoing(ctx context.Context, sourceID string) ([]boathook.OutgoingWebhook, error) {
	all, err := k.cfg.Store.AllOutgoing(ctx, sourceID)
	if errors.Is(err, store.ErrIncomplete) {
		err = nil
	}
	return all, err
}

// withURL are those that the documented systems know, whose webhooks all have a URL.
func withURL(all []boathook.OutgoingWebhook) []boathook.OutgoingWebhook {
	return slices.DeleteFunc(all, func(w boathook.OutgoingWebhook) bool { return !w.Destination.IsZero() })
}

// List gives the newest first.
func (k Outgoing) List(ctx context.Context, c Caller, of SourceRef, p boathook.Page) (webhooks []boathook.OutgoingWebhook, next string, err error) {
	if err := c.May("Outgoing.List"); err != nil {
		return nil, "", err
	}
	var all []boathook.OutgoingWebhook
	err = beside(func() error {
		_, err := k.sourceOf(ctx, c, of)
		return err
	}, func() (err error) {
		all, err = k.allOutgoing(ctx, of.ID)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	webhooks, next, err = cut(all, p, func(w boathook.OutgoingWebhook) place { return place{w.CreatedAt, w.ID} })
	if err != nil {
		return nil, "", err
	}
	for i, w := range webhooks {
		webhooks[i] = k.shown(c, w)
	}
	return webhooks, next, k.addHealth(ctx, webhooks)
}

// addHealth gives webhooks of a list their health, which a list comes without.
func (k *core) addHealth(ctx context.Context, webhooks []boathook.OutgoingWebhook) error {
	ids := make([]string, len(webhooks))
	for i, w := range webhooks {
		ids[i] = w.ID
	}
	healths, err := k.cfg.Store.Health(ctx, ids...)
	if err != nil {
		return err
	}
	for i, w := range webhooks {
		webhooks[i].Health = healths[w.ID]
	}
	return nil
}

// Get finds one of a source.
func (k Outgoing) Get(ctx context.Context, c Caller, of SourceRef, id string) (boathook.OutgoingWebhook, error) {
	if err := c.May("Outgoing.Get"); err != nil {
		return boathook.OutgoingWebhook{}, err
	}
	_, w, err := k.outgoing(ctx, c, of, id)
	return k.shown(c, w), err
}

// Change sets what is given.
func (k Outgoing) Change(ctx context.Context, c Caller, of SourceRef, id string, in OutgoingChange) (w boathook.OutgoingWebhook, err error) {
	if err := c.May("Outgoing.Change"); err != nil {
		return w, err
	}
	if err := c.mayChange(in); err != nil {
		return w, err
	}
	s, w, err := k.outgoing(ctx, c, of, id)
	if err != nil {
		return w, err
	}
	if in.SigningSecret != nil {
		return w, boathook.InvalidField(secretField, "can't be changed: rotate-secret makes a new one")
	}
	if err := k.applyOutgoing(ctx, in, s.Kind, &w); err != nil {
		return w, err
	}
	return k.shown(c, w), k.cfg.Store.PutOutgoing(ctx, w)
}

// Delete removes a webhook: what is on its way to it is canceled.
func (k Outgoing) Delete(ctx context.Context, c Caller, of SourceRef, id string) error {
	if err := c.May("Outgoing.Delete"); err != nil {
		return err
	}
	s, err := k.sourceOf(ctx, c, of)
	if err != nil {
		return err
	}
	return missing("outgoing webhook", id, k.cfg.Store.DeleteOutgoing(ctx, s.ID, id))
}

// RotateSecret makes a new secret, or a webhook's first, and gives it this once. The
// one before signs beside it while they overlap, for as long as the dialect has it
// where nothing is given; a secret that overlapped already is dropped.
func (k Outgoing) RotateSecret(ctx context.Context, c Caller, of SourceRef, id string, overlapSeconds *int) (w boathook.OutgoingWebhook, secret string, err error) {
	if err := c.May("Outgoing.RotateSecret"); err != nil {
		return w, "", err
	}
	if _, w, err = k.outgoing(ctx, c, of, id); err != nil {
		return w, "", err
	}
	d, ok := dialect.Lookup(w.Dialect)
	if !ok {
		return w, "", fmt.Errorf("webhook %s has the unknown dialect %q", w.ID, w.Dialect)
	}
	overlap := d.DefaultOverlap
	if n := overlapSeconds; n != nil {
		if d.MaxOverlap == 0 && *n != 0 {
			return w, "", boathook.InvalidField("overlap_seconds", "must be 0: the dialect %s has one signature at a time", d.Name)
		}
		if err := checkSeconds("overlap_seconds", *n, 0, d.MaxOverlap); err != nil {
			return w, "", err
		}
		overlap = time.Duration(*n) * time.Second
	}
	w.UpdatedAt = k.cfg.Now()
	previous := w.Secrets.Current
	w.Secrets = boathook.SealedSecrets{}
	if overlap > 0 && previous != nil {
		w.Secrets.Previous = previous
		w.Secrets.PreviousUntil = w.UpdatedAt.Add(overlap)
	}
	secret = boathook.NewSigningSecret()
	if err := k.sealSecret(ctx, &w, secret); err != nil {
		return w, "", err
	}
	return k.shown(c, w), secret, k.cfg.Store.PutOutgoing(ctx, w)
}

// Test sends a webhook the catalogue's example of the first event that it wants.
func (k Outgoing) Test(ctx context.Context, c Caller, of SourceRef, id string) (boathook.DeliveryID, error) {
	if err := c.May("Outgoing.Test"); err != nil {
		return boathook.DeliveryID{}, err
	}
	s, w, err := k.outgoing(ctx, c, of, id)
	if err != nil {
		return boathook.DeliveryID{}, err
	}
	return k.sendExample(ctx, s.Kind, w)
}

// Previewed is an event that is made up, to see what a webhook would be sent of it.
type Previewed struct {
	// As is what the webhook would be changed to, or what a new one would be set to;
	// nil: it is previewed as it is.
	As *OutgoingChange

	Type        boathook.EventType
	Environment boathook.Environment // empty: of none in particular
	Channels    []string
	Data        json.RawMessage // nil: the type's example
}

// Preview is what a webhook would be sent.
type Preview struct {
	Webhook  boathook.OutgoingWebhook
	Reason   string // why nothing is; empty: it is
	Delivery boathook.Delivery
	Headers  map[string]string // those that the owner has set have masks for values
}

// Preview tells what a webhook would be sent of an event if it were enabled, or why it
// would not. Nothing is sent. It is signed: who may ask may publish through a transform of
// his own as well. An error about the event names a field by its JSON Pointer from the
// request on, as in "/event/type".
func (k Outgoing) Preview(ctx context.Context, c Caller, of SourceRef, id string, in Previewed) (shown Preview, err error) {
	if err := c.May("Outgoing.Preview"); err != nil {
		return shown, err
	}
	s, w, err := k.previewed(ctx, c, of, id, in.As)
	if err != nil {
		return shown, err
	}
	e, err := k.madeUp(ctx, s, in)
	if err != nil {
		return shown, located("/event", err)
	}
	e.ID, e.Time, e.SourceName = boathook.NewID(boathook.EventID), k.cfg.Now(), s.Name
	shown.Webhook = k.shown(c, w)
	if shown.Reason = unwanted(w, e); shown.Reason != "" {
		return shown, nil
	}
	shown.Delivery, shown.Reason, err = k.cfg.Publish.Make(ctx, e, w)
	if err == nil && shown.Reason == "" {
		shown.Headers, err = delivery.PreviewHeaders(ctx, k.cfg.Seal, w, shown.Delivery, e.Time)
	}
	return shown, err
}

// previewed is the webhook of a preview: one of a source with a change that is not
// stored, or without an id a new one, which signs with a secret that nobody has.
func (k Outgoing) previewed(ctx context.Context, c Caller, of SourceRef, id string, as *OutgoingChange) (s boathook.Source, w boathook.OutgoingWebhook, err error) {
	if id != "" {
		s, w, err = k.outgoing(ctx, c, of, id)
	} else if s, err = k.sourceOf(ctx, c, of); err == nil {
		w = k.newOutgoing(s)
	}
	if err == nil && as != nil {
		if err = c.mayChange(*as); err == nil {
			err = k.applyOutgoing(ctx, *as, s.Kind, &w)
		}
	}
	if err == nil && id == "" {
		var secret string
		if secret, err = firstSecret(nil); err == nil {
			err = k.sealSecret(ctx, &w, secret)
		}
	}
	return s, w, err
}

// madeUp is the event of a source that is asked about.
func (k *core) madeUp(ctx context.Context, s boathook.Source, in Previewed) (e boathook.Event, err error) {
	e = boathook.Event{WorkspaceID: s.WorkspaceID, SourceID: s.ID, Type: in.Type, Environment: in.Environment, Data: in.Data}
	if in.Environment != "" {
		if err := checkEnvironment(in.Environment); err != nil {
			return e, err
		}
	}
	if e.Channels, err = checkChannels(in.Channels); err != nil {
		return e, err
	}
	t, err := k.typeOf(ctx, s, in.Type)
	if err != nil || in.Data == nil {
		e.Data = t.Example
		return e, err
	}
	told := NewEvent{Type: in.Type, Data: in.Data}
	if err := told.checkSize(); err != nil {
		return e, err
	}
	if definable(s.Kind, in.Type) {
		return e, inField("data", k.checkDefined(ctx, t.Schema, in.Data))
	}
	return e, told.checkData(s.Kind)
}

// typeOf is a type of events that a source can have, with an example.
func (k *core) typeOf(ctx context.Context, s boathook.Source, name boathook.EventType) (EventType, error) {
	if definable(s.Kind, name) {
		t, err := k.exampleOf(ctx, s.Kind, s.WorkspaceID, name)
		if boathook.IsKind(err, boathook.NotFound) {
			err = errNoType
		}
		return t, err
	}
	t, ok := catalogue.Lookup(s.Kind, name)
	if !ok {
		return EventType{}, boathook.InvalidField("type", "%s", eventOf(s.Kind))
	}
	return fromCatalogue(t), nil
}

// unwanted says why a webhook does not want an event, before its filter is asked; empty:
// it does.
func unwanted(w boathook.OutgoingWebhook, e boathook.Event) string {
	w.Enabled = true
	switch {
	case w.Wants(e.Type, e.Environment) && w.Hears(&e):
		return ""
	case w.Wants(e.Type, e.Environment):
		return "channels: " + cmp.Or(strings.Join(e.Channels, ", "), "none")
	case w.Wants(e.Type, ""):
		return "environment: " + string(e.Environment)
	}
	return "events: " + string(e.Type)
}

var errDisabled = boathook.Errorf(boathook.Conflict, "the webhook is disabled: nothing is sent to it")

// sendExample sends a webhook of a kind of source the catalogue's example of
// the first event that it wants.
func (k *core) sendExample(ctx context.Context, kind boathook.SourceKind, w boathook.OutgoingWebhook) (boathook.DeliveryID, error) {
	if !w.Enabled {
		return boathook.DeliveryID{}, errDisabled
	}
	t, err := k.exampleFor(ctx, kind, w)
	if err != nil {
		return boathook.DeliveryID{}, err
	}
	event := boathook.Event{
		ID: boathook.NewID(boathook.EventID), WorkspaceID: w.WorkspaceID, SourceID: w.SourceID,
		Environment: w.Environment, Type: t.Name, Time: k.cfg.Now(), Data: t.Example,
	}
	if err := k.cfg.Publish.PublishTo(ctx, event, w); err != nil {
		return boathook.DeliveryID{}, fmt.Errorf("publish a test to %s: %w", w.ID, err)
	}
	return boathook.NewDeliveryID(&event, w.ID), nil
}

// exampleFor is the type of the first event that a webhook wants, with an example. For
// a customer's webhook that wants every type it is the first by name that the workspace
// defines, if there is one.
func (k *core) exampleFor(ctx context.Context, kind boathook.SourceKind, w boathook.OutgoingWebhook) (EventType, error) {
	if wanted := w.Events[0]; wanted != boathook.AllEvents {
		return k.exampleOf(ctx, kind, w.WorkspaceID, wanted)
	}
	if kind == boathook.Customer {
		all, err := k.cfg.Store.AllEventTypes(ctx, w.WorkspaceID)
		if err != nil {
			return EventType{}, err
		}
		for _, d := range all {
			if d.ArchivedAt.IsZero() {
				return withExample(d), nil
			}
		}
	}
	return k.exampleOf(ctx, kind, w.WorkspaceID, boathook.EventTypes[kind][0])
}

func (k *core) exampleOf(ctx context.Context, kind boathook.SourceKind, workspaceID string, name boathook.EventType) (EventType, error) {
	if t, ok := catalogue.Lookup(kind, name); ok {
		return fromCatalogue(t), nil
	}
	d, err := k.cfg.Store.EventType(ctx, workspaceID, name)
	if err != nil {
		return EventType{}, fmt.Errorf("look for the event type %q: %w", name, err)
	}
	return withExample(d), nil
}

// withExample is a type with an example: an empty object where the workspace gives none.
func withExample(d boathook.TypeDefinition) EventType {
	t := defined(d)
	if t.Example == nil {
		t.Example = json.RawMessage(`{}`)
	}
	return t
}
