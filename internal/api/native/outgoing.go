package native

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// Outgoing are described with [service.Outgoing].
type Outgoing interface {
	Create(ctx context.Context, c service.Caller, of service.SourceRef, in service.OutgoingChange) (w boathook.OutgoingWebhook, secret string, err error)
	List(ctx context.Context, c service.Caller, of service.SourceRef, p boathook.Page) (webhooks []boathook.OutgoingWebhook, next string, err error)
	Get(ctx context.Context, c service.Caller, of service.SourceRef, id string) (boathook.OutgoingWebhook, error)
	Change(ctx context.Context, c service.Caller, of service.SourceRef, id string, in service.OutgoingChange) (w boathook.OutgoingWebhook, err error)
	Delete(ctx context.Context, c service.Caller, of service.SourceRef, id string) error
	RotateSecret(ctx context.Context, c service.Caller, of service.SourceRef, id string, overlapSeconds *int) (w boathook.OutgoingWebhook, secret string, err error)
	Test(ctx context.Context, c service.Caller, of service.SourceRef, id string) (boathook.DeliveryID, error)
	Preview(ctx context.Context, c service.Caller, of service.SourceRef, id string, in service.Previewed) (service.Preview, error)
	Recover(ctx context.Context, c service.Caller, of service.SourceRef, id string, in service.Recovery) (service.Recovered, error)
	Replay(ctx context.Context, c service.Caller, of service.SourceRef, id string, in service.Replay) (service.Replayed, error)
	Stats(ctx context.Context, c service.Caller, of service.SourceRef, id string, in service.StatsQuery) (service.Stats, error)
}

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
	Filter         *string              `json:"filter"`    // null: none
	Transform      *string              `json:"transform"` // null: none
	Headers        map[string]string    `json:"headers"`   // names only
	TimeoutSeconds int                  `json:"timeout_seconds"`
	Retry          retry                `json:"retry"`
	RateLimit      *rateLimit           `json:"rate_limit"` // null: as many as there are
	Enabled        bool                 `json:"enabled"`
	AlertAfter     alertThreshold       `json:"alert_after"`
	Channels       []string             `json:"channels"` // none: it hears all events
	Metadata       map[string]string    `json:"metadata"`
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
	QueueARN string                   `json:"queue_arn,omitempty"` // of a queue
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

// alertThreshold is when the workspace's alerts tell that a webhook fails.
type alertThreshold struct {
	Failures *int `json:"failures"`
	Seconds  *int `json:"seconds"`
}

func viewThreshold(a boathook.AlertThreshold) alertThreshold {
	a = a.OrDefault()
	return alertThreshold{&a.Failures, new(int(a.Over / time.Second))}
}

// rateLimit bounds how many requests a webhook is sent.
type rateLimit struct {
	PerSecond *int `json:"per_second"` // 0 takes the limit away
}

func viewOutgoing(w boathook.OutgoingWebhook) outgoingView {
	view := outgoingView{
		ID: w.ID, sourceRef: refTo(w.SourceID), Name: w.Name, URL: httpjson.Nullable(w.URL), Destination: viewDestination(w.Destination),
		Events: w.Events, Environment: httpjson.Nullable(string(w.Environment)),
		Dialect: w.Dialect, Format: cmp.Or(w.Format, boathook.Raw),
		Filter: httpjson.Nullable(w.Filter), Transform: httpjson.Nullable(w.Transform), Headers: boathook.ShownHeaders(w), TimeoutSeconds: int(w.Timeout / time.Second),
		Retry: retry{make([]int, len(w.Retry))}, Enabled: w.Enabled, AlertAfter: viewThreshold(w.AlertAfter),
		Channels: append([]string{}, w.Channels...), Metadata: shownMetadata(w.Metadata),
		DisabledReason: httpjson.Nullable(w.Disabled.Reason), DisabledAt: boathook.Time{Time: w.Disabled.At},
		FailingSince: boathook.Time{Time: w.Health.FailingSince}, SlowSince: boathook.Time{Time: w.Health.SlowSince},
		NextProbeAt: boathook.Time{Time: w.Health.Probe.At}, PreviousUntil: boathook.Time{Time: w.Secrets.PreviousUntil},
		CreatedAt: boathook.Time{Time: w.CreatedAt}, UpdatedAt: boathook.Time{Time: w.UpdatedAt},
	}
	for i, wait := range w.Retry {
		view.Retry.ScheduleSeconds[i] = int(wait / time.Second)
	}
	if w.RateLimit > 0 {
		view.RateLimit = &rateLimit{&w.RateLimit}
	}
	return view
}

// viewWithSecret shows a webhook with its secret, this once.
func viewWithSecret(w boathook.OutgoingWebhook, secret string) outgoingView {
	view := viewOutgoing(w)
	view.SigningSecret = secret
	return view
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
	Filter         **string              `json:"filter"`    // null: none
	Transform      **string              `json:"transform"` // null: none
	Headers        map[string]string     `json:"headers"`
	TimeoutSeconds *int                  `json:"timeout_seconds"`
	Retry          *retry                `json:"retry"`
	RateLimit      **rateLimit           `json:"rate_limit"` // null: as many as there are
	Enabled        *bool                 `json:"enabled"`
	AlertAfter     *alertThreshold       `json:"alert_after"`
	Channels       []string              `json:"channels"`
	Metadata       map[string]string     `json:"metadata"`
	SigningSecret  *string               `json:"signing_secret"`
}

type destinationInput struct {
	Type     *boathook.DestinationType `json:"type"`
	QueueARN *string                   `json:"queue_arn"`
}

func (in outgoingInput) read() service.OutgoingChange {
	change := service.OutgoingChange{
		Name: in.Name, URL: in.URL, Destination: (*service.DestinationChange)(in.Destination), Events: in.Events, Environment: in.Environment, Dialect: in.Dialect, Format: in.Format,
		Filter: orNone(in.Filter), Transform: orNone(in.Transform),
		Headers: in.Headers, TimeoutSeconds: in.TimeoutSeconds, Enabled: in.Enabled, SigningSecret: in.SigningSecret,
		Channels: in.Channels, Metadata: in.Metadata,
	}
	if in.Retry != nil {
		change.Retry = &service.RetrySchedule{Seconds: in.Retry.ScheduleSeconds}
	}
	if in.AlertAfter != nil {
		change.AlertAfter = (*service.AlertThreshold)(in.AlertAfter)
	}
	if in.RateLimit != nil {
		change.RateLimit = &service.RateLimit{PerSecond: new(int)}
		if limit := *in.RateLimit; limit != nil {
			change.RateLimit.PerSecond = limit.PerSecond
		}
	}
	return change
}

// orNone is a text that null empties; nil if it is not given.
func orNone(in **string) *string {
	switch {
	case in == nil:
		return nil
	case *in == nil:
		return new(string)
	}
	return *in
}

func (f face) createOutgoing(ctx context.Context, c httpjson.Call, in outgoingInput) (outgoingView, error) {
	w, secret, err := f.Outgoing.Create(ctx, c.Caller, sourceInPath(c), in.read())
	return viewWithSecret(w, secret), err
}

func (f face) listOutgoing(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.List[outgoingView], error) {
	return httpjson.Listed(c, viewOutgoing, func(p boathook.Page) ([]boathook.OutgoingWebhook, string, error) {
		return f.Outgoing.List(ctx, c.Caller, sourceInPath(c), p)
	})
}

func (f face) getOutgoing(ctx context.Context, c httpjson.Call, _ httpjson.None) (outgoingView, error) {
	w, err := f.Outgoing.Get(ctx, c.Caller, sourceInPath(c), c.PathValue("outgoing"))
	return viewOutgoing(w), err
}

func (f face) changeOutgoing(ctx context.Context, c httpjson.Call, in outgoingInput) (outgoingView, error) {
	w, err := f.Outgoing.Change(ctx, c.Caller, sourceInPath(c), c.PathValue("outgoing"), in.read())
	return viewOutgoing(w), err
}

func (f face) deleteOutgoing(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, f.Outgoing.Delete(ctx, c.Caller, sourceInPath(c), c.PathValue("outgoing"))
}

type rotation struct {
	OverlapSeconds *int `json:"overlap_seconds"` // nil: as the dialect has it
}

func (f face) rotateSecret(ctx context.Context, c httpjson.Call, in rotation) (outgoingView, error) {
	w, secret, err := f.Outgoing.RotateSecret(ctx, c.Caller, sourceInPath(c), c.PathValue("outgoing"), in.OverlapSeconds)
	return viewWithSecret(w, secret), err
}

type queued struct {
	DeliveryID string `json:"delivery_id"`
}

func (f face) testOutgoing(ctx context.Context, c httpjson.Call, _ httpjson.None) (queued, error) {
	id, err := f.Outgoing.Test(ctx, c.Caller, sourceInPath(c), c.PathValue("outgoing"))
	return queued{id.String()}, err
}

// previewInput is an event to look at.
type previewInput struct {
	Event *struct {
		Type        *boathook.EventType   `json:"type"`
		Environment *boathook.Environment `json:"environment"` // absent: of none
		Channels    []string              `json:"channels"`
		Data        json.RawMessage       `json:"data"` // absent: the type's example
	} `json:"event"`
}

func (in previewInput) read() (event service.Previewed, err error) {
	switch {
	case in.Event == nil:
		return event, boathook.InvalidField("event", "is required")
	case string(in.Event.Data) == "null":
		return event, boathook.InvalidField("event.data", "must be an object, not null")
	case in.Event.Type == nil:
		return event, boathook.InvalidField("/event/type", "is required")
	}
	event.Type, event.Channels, event.Data = *in.Event.Type, in.Event.Channels, in.Event.Data
	if in.Event.Environment != nil {
		event.Environment = *in.Event.Environment
	}
	return event, nil
}

// previewView is what a webhook would be sent of an event.
type previewView struct {
	Delivered bool                `json:"delivered"`
	Reason    *string             `json:"reason"`  // why it is not delivered
	Request   *previewRequestView `json:"request"` // null: there is none
}

type previewRequestView struct {
	Method      string            `json:"method"`
	URL         *string           `json:"url"`
	Destination *destinationView  `json:"destination,omitempty"`
	Headers     map[string]string `json:"headers"` // masks for values that the owner has set
	Body        string            `json:"body"`
}

func (f face) previewOutgoing(ctx context.Context, c httpjson.Call, in previewInput) (previewView, error) {
	event, err := in.read()
	if err != nil {
		return previewView{}, err
	}
	p, err := f.Outgoing.Preview(ctx, c.Caller, sourceInPath(c), c.PathValue("outgoing"), event)
	if err != nil || p.Reason != "" {
		return previewView{Reason: &p.Reason}, err
	}
	w := p.Webhook
	return previewView{Delivered: true, Request: &previewRequestView{
		Method: methodTo(w.Destination), URL: httpjson.Nullable(w.URL), Destination: viewDestination(w.Destination),
		Headers: p.Headers, Body: p.Delivery.Body.String(),
	}}, nil
}
