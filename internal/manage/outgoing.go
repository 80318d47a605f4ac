package manage

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/dialect"
)

type outgoingView struct {
	ID string `json:"id"`
	owner
	Name           string               `json:"name"`
	URL            string               `json:"url"`
	Events         []boathook.EventType `json:"events"`
	Environment    boathook.Environment `json:"environment"`
	Dialect        string               `json:"dialect"`
	Headers        map[string]string    `json:"headers"` // names only
	TimeoutSeconds int                  `json:"timeout_seconds"`
	Retry          retry                `json:"retry"`
	Enabled        bool                 `json:"enabled"`
	PreviousUntil  boathook.Time        `json:"previous_secret_expires_at"`
	CreatedAt      boathook.Time        `json:"created_at"`
	UpdatedAt      boathook.Time        `json:"updated_at"`
	SigningSecret  string               `json:"signing_secret,omitempty"` // once
}

type retry struct {
	ScheduleSeconds []int `json:"schedule_seconds"`
}

func (h *Handler) viewOutgoing(ctx context.Context, w boathook.OutgoingWebhook) (outgoingView, error) {
	headers, err := h.maskedHeaders(ctx, w.WorkspaceID, w.ID, w.SealedHeaders)
	if err != nil {
		return outgoingView{}, err
	}
	view := outgoingView{
		ID: w.ID, owner: ownerOf(w.SourceID), Name: w.Name, URL: w.URL, Events: w.Events, Environment: w.Environment,
		Dialect: w.Dialect, Headers: headers, TimeoutSeconds: int(w.Timeout / time.Second),
		Retry: retry{make([]int, len(w.Retry))}, Enabled: w.Enabled,
		CreatedAt: boathook.Time{Time: w.CreatedAt}, UpdatedAt: boathook.Time{Time: w.UpdatedAt},
	}
	for i, wait := range w.Retry {
		view.Retry.ScheduleSeconds[i] = int(wait / time.Second)
	}
	if w.Secrets.PreviousUntil.After(h.cfg.Now()) {
		view.PreviousUntil.Time = w.Secrets.PreviousUntil
	}
	return view, nil
}

// outgoing is the webhook that the path names.
func (h *Handler) outgoing(ctx context.Context, c call) (boathook.Source, boathook.OutgoingWebhook, error) {
	s, err := h.source(ctx, c)
	if err != nil {
		return s, boathook.OutgoingWebhook{}, err
	}
	w, err := h.cfg.Store.Outgoing(ctx, s.ID, c.PathValue("outgoing"))
	return s, w, err
}

// outgoingInput has what a webhook can be set to; nil leaves a field as it is.
type outgoingInput struct {
	Name           *string               `json:"name"`
	URL            *string               `json:"url"`
	Events         []boathook.EventType  `json:"events"`
	Environment    *boathook.Environment `json:"environment"`
	Dialect        *string               `json:"dialect"`
	Headers        map[string]string     `json:"headers"`
	TimeoutSeconds *int                  `json:"timeout_seconds"`
	Retry          *retry                `json:"retry"`
	Enabled        *bool                 `json:"enabled"`
	SigningSecret  *string               `json:"signing_secret"`
}

// applyOutgoing changes a webhook of a source of some kind, but for its secret.
func (h *Handler) applyOutgoing(ctx context.Context, in outgoingInput, kind boathook.SourceKind, w *boathook.OutgoingWebhook) error {
	if in.Name != nil {
		if err := checkName(*in.Name); err != nil {
			return err
		}
		w.Name = *in.Name
	}
	if in.URL != nil {
		if err := h.cfg.CheckURL("url", *in.URL); err != nil {
			return err
		}
		w.URL = *in.URL
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
			return boathook.InvalidField("dialect", "there is no dialect %q", *in.Dialect)
		}
		w.Dialect = *in.Dialect
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
	if in.Enabled != nil {
		w.Enabled = *in.Enabled
	}
	if in.Headers != nil {
		if err := checkHeaders(in.Headers); err != nil {
			return err
		}
		sealed, err := h.sealHeaders(ctx, w.WorkspaceID, w.ID, in.Headers)
		if err != nil {
			return err
		}
		w.SealedHeaders = sealed
	}
	w.UpdatedAt = h.cfg.Now()
	return nil
}

func checkEvents(events []boathook.EventType, kind boathook.SourceKind) error {
	if len(events) == 0 {
		return boathook.InvalidField("events", "must name at least one event")
	}
	for i, e := range events {
		if !slices.Contains(boathook.EventTypes[kind], e) {
			return boathook.InvalidField("events", "a %s has no event %q", kind, e)
		}
		if slices.Contains(events[:i], e) {
			return boathook.InvalidField("events", "%q is given twice", e)
		}
	}
	return nil
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
	s, err := h.source(ctx, c)
	if err != nil {
		return outgoingView{}, err
	}
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"name", in.Name != nil}, {"url", in.URL != nil}, {"events", in.Events != nil}, {"environment", in.Environment != nil || s.Kind == boathook.Agent},
	} {
		if !f.given {
			return outgoingView{}, boathook.InvalidField(f.name, "is required")
		}
	}
	secret := boathook.NewSigningSecret()
	if in.SigningSecret != nil {
		secret = *in.SigningSecret
		if len(secret) < minSecret || len(secret) > maxSecret || !printable(secret) {
			return outgoingView{}, boathook.InvalidField("signing_secret",
				"must have %d to %d printable ASCII characters, without spaces", minSecret, maxSecret)
		}
	}
	w := boathook.OutgoingWebhook{
		ID: boathook.NewID(boathook.OutgoingID), WorkspaceID: s.WorkspaceID, SourceID: s.ID,
		Dialect: dialect.DefaultFor(s.Kind), Timeout: boathook.DefaultDeliveryTimeout, Retry: boathook.DefaultRetry,
		Enabled: true, CreatedAt: h.cfg.Now(),
	}
	if s.Kind == boathook.Agent {
		w.Environment = boathook.Production
	}
	if err := h.applyOutgoing(ctx, in, s.Kind, &w); err != nil {
		return outgoingView{}, err
	}
	others, err := h.cfg.Store.AllOutgoing(ctx, s.ID)
	if err != nil {
		return outgoingView{}, err
	}
	if len(others) >= boathook.MaxWebhooks {
		return outgoingView{}, boathook.Errorf(boathook.Invalid, "a source has at most %d outgoing webhooks", boathook.MaxWebhooks)
	}
	return h.putWithNewSecret(ctx, w, secret)
}

// putWithNewSecret stores a webhook with its current secret, and shows both.
func (h *Handler) putWithNewSecret(ctx context.Context, w boathook.OutgoingWebhook, secret string) (outgoingView, error) {
	sealed, err := h.cfg.Seal.Seal(ctx, w.WorkspaceID, w.ID, []byte(secret))
	if err != nil {
		return outgoingView{}, fmt.Errorf("seal the secret of %s: %w", w.ID, err)
	}
	w.Secrets.Current = sealed
	if err := h.cfg.Store.PutOutgoing(ctx, w); err != nil {
		return outgoingView{}, err
	}
	view, err := h.viewOutgoing(ctx, w)
	view.SigningSecret = secret
	return view, err
}

func (h *Handler) listOutgoing(ctx context.Context, c call, _ none) (list[outgoingView], error) {
	s, err := h.source(ctx, c)
	if err != nil {
		return list[outgoingView]{}, err
	}
	p, err := c.page()
	if err != nil {
		return list[outgoingView]{}, err
	}
	all, err := h.cfg.Store.AllOutgoing(ctx, s.ID)
	if err != nil {
		return list[outgoingView]{}, err
	}
	page, next, err := cut(all, p, func(w boathook.OutgoingWebhook) string { return w.ID })
	if err != nil {
		return list[outgoingView]{}, err
	}
	views := make([]outgoingView, len(page))
	for i, w := range page {
		if views[i], err = h.viewOutgoing(ctx, w); err != nil {
			return list[outgoingView]{}, err
		}
	}
	return list[outgoingView]{views, nullable(next)}, nil
}

func (h *Handler) getOutgoing(ctx context.Context, c call, _ none) (outgoingView, error) {
	_, w, err := h.outgoing(ctx, c)
	if err != nil {
		return outgoingView{}, err
	}
	return h.viewOutgoing(ctx, w)
}

func (h *Handler) changeOutgoing(ctx context.Context, c call, in outgoingInput) (outgoingView, error) {
	s, w, err := h.outgoing(ctx, c)
	if err != nil {
		return outgoingView{}, err
	}
	if in.SigningSecret != nil {
		return outgoingView{}, boathook.InvalidField("signing_secret", "can't be changed: POST …/rotate-secret makes a new one")
	}
	if err := h.applyOutgoing(ctx, in, s.Kind, &w); err != nil {
		return outgoingView{}, err
	}
	if err := h.cfg.Store.PutOutgoing(ctx, w); err != nil {
		return outgoingView{}, err
	}
	return h.viewOutgoing(ctx, w)
}

func (h *Handler) deleteOutgoing(ctx context.Context, c call, _ none) (none, error) {
	s, err := h.source(ctx, c)
	if err != nil {
		return none{}, err
	}
	return none{}, h.cfg.Store.DeleteOutgoing(ctx, s.ID, c.PathValue("outgoing"))
}

type rotation struct {
	OverlapSeconds int `json:"overlap_seconds"`
}

// rotateSecret makes a new secret. The one before signs beside it while they
// overlap; a secret that overlapped already is dropped.
func (h *Handler) rotateSecret(ctx context.Context, c call, in rotation) (outgoingView, error) {
	_, w, err := h.outgoing(ctx, c)
	if err != nil {
		return outgoingView{}, err
	}
	d, ok := dialect.Lookup(w.Dialect)
	if !ok {
		return outgoingView{}, fmt.Errorf("webhook %s has the unknown dialect %q", w.ID, w.Dialect)
	}
	if err := checkSeconds("overlap_seconds", in.OverlapSeconds, 0, d.MaxOverlap); err != nil {
		return outgoingView{}, err
	}
	w.UpdatedAt = h.cfg.Now()
	previous := w.Secrets.Current
	w.Secrets = boathook.SealedSecrets{}
	if in.OverlapSeconds > 0 {
		w.Secrets.Previous = previous
		w.Secrets.PreviousUntil = w.UpdatedAt.Add(time.Duration(in.OverlapSeconds) * time.Second)
	}
	return h.putWithNewSecret(ctx, w, boathook.NewSigningSecret())
}

type queued struct {
	DeliveryID string `json:"delivery_id"`
}

var errDisabled = boathook.Errorf(boathook.Conflict, "the webhook is disabled: nothing is sent to it")

// testOutgoing sends an example of the first event that the webhook wants, of
// a run that there never was.
func (h *Handler) testOutgoing(ctx context.Context, c call, _ none) (queued, error) {
	_, w, err := h.outgoing(ctx, c)
	if err != nil {
		return queued{}, err
	}
	if !w.Enabled {
		return queued{}, errDisabled
	}
	now := h.cfg.Now()
	run := boathook.Run{
		RunHead: boathook.RunHead{
			ID: boathook.NewID(boathook.RunID), WorkspaceID: w.WorkspaceID, SourceID: w.SourceID,
			VersionID: boathook.NewID(boathook.VersionID), VersionNumber: 1, Environment: w.Environment,
			Trigger: boathook.TriggerAPI, Status: boathook.RunSucceeded,
			CreatedAt: now, StartedAt: now, CompletedAt: now,
		},
		Input:  json.RawMessage(`{"test":true}`),
		Output: json.RawMessage(`{"test":true}`),
	}
	if w.Events[0] == boathook.EventRunFailed {
		run.Status, run.Error, run.Output = boathook.RunFailed, "this is a test", nil
	}
	event, _ := run.Event()
	if err := h.cfg.Publish.PublishTo(ctx, event, w); err != nil {
		return queued{}, fmt.Errorf("publish a test to %s: %w", w.ID, err)
	}
	return queued{boathook.NewDeliveryID(&event, w.ID).String()}, nil
}
