package service

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// Hooks are the outgoing webhooks of repositories, as Shipway's clients know them: a
// repository is found by its owner and name, a hook by its number; see
// [boathook.OutgoingWebhook.Number].
type Hooks struct{ *core }

// Repository names one of the caller's repositories.
type Repository struct{ Owner, Name string }

// Hook is a repository's webhook.
type Hook struct {
	Repository boathook.Source
	boathook.OutgoingWebhook
	Newest *boathook.Delivery // nil: there is none, or the operation does not look
}

// Errors that a face tells in its own words.
var (
	// ErrHookExists refuses a hook that would send what another one sends already.
	ErrHookExists = boathook.Errorf(boathook.Conflict, "another hook of the repository sends these events to this URL already")
	// ErrHookAmbiguous is of a number that more than one hook of a repository has.
	ErrHookAmbiguous = boathook.Errorf(boathook.Conflict, "several hooks of the repository have this number: name one by its id")
)

// HookChange has what a hook can be set to; nil leaves a field as it is.
type HookChange struct {
	URL           *string
	SigningSecret *string // empty: none; [boathook.Mask]: the one that there is
	Events        []boathook.EventType
	AddEvents     []boathook.EventType // to Events, or to those that there are
	RemoveEvents  []boathook.EventType // from all these
	Enabled       *bool
}

// repository finds the caller's.
func (k *core) repository(ctx context.Context, c Caller, of Repository) (boathook.Source, error) {
	return k.source(ctx, c, boathook.Repository, boathook.NewRepositoryID(c.Workspace, of.Owner, of.Name))
}

// Find finds one by its owner and name, in any case of letters.
func (r Repositories) Find(ctx context.Context, c Caller, of Repository) (boathook.Source, error) {
	if err := c.May("Repositories.Find"); err != nil {
		return boathook.Source{}, err
	}
	return r.repository(ctx, c, of)
}

// hooks are the webhooks of a repository, newest first. Those that send to a queue are
// not among them: each hook of Shipway has a URL.
func (k *core) hooks(ctx context.Context, c Caller, of Repository) (repository boathook.Source, hooks []boathook.OutgoingWebhook, err error) {
	err = beside(func() (err error) {
		repository, err = k.repository(ctx, c, of)
		return err
	}, func() (err error) {
		hooks, err = k.allOutgoing(ctx, boathook.NewRepositoryID(c.Workspace, of.Owner, of.Name))
		hooks = withURL(hooks)
		return err
	})
	return repository, hooks, err
}

// hook finds one by its number.
func (k *core) hook(ctx context.Context, c Caller, of Repository, number int32) (Hook, error) {
	repository, hooks, err := k.hooks(ctx, c, of)
	if err != nil {
		return Hook{}, err
	}
	w, err := numbered(hooks, number)
	return Hook{Repository: repository, OutgoingWebhook: w}, err
}

// numbered is the one of a repository's webhooks that has a number.
func numbered(hooks []boathook.OutgoingWebhook, number int32) (hook boathook.OutgoingWebhook, err error) {
	found := false
	for _, w := range hooks {
		if w.Number() != number {
			continue
		}
		if found {
			return hook, ErrHookAmbiguous
		}
		hook, found = w, true
	}
	if !found {
		return hook, noSuch("hook", strconv.Itoa(int(number)))
	}
	return hook, nil
}

// withNewest adds a hook's newest delivery.
func (k *core) withNewest(ctx context.Context, h Hook) (Hook, error) {
	newest, _, err := k.cfg.Store.Deliveries(ctx, store.DeliveryQuery{
		WorkspaceID: h.WorkspaceID, WebhookID: h.ID, Page: boathook.Page{Limit: 1},
	})
	if err == nil && len(newest) > 0 {
		h.Newest = &newest[0]
	}
	return h, err
}

// List gives a part of a repository's, the oldest first, and how many there are. Their
// deliveries would take several reads for each: what is known of all at once is their
// health.
func (k Hooks) List(ctx context.Context, c Caller, of Repository, skip, limit int) (hooks []Hook, total int, err error) {
	if err := c.May("Hooks.List"); err != nil {
		return nil, 0, err
	}
	repository, all, err := k.hooks(ctx, c, of)
	if err != nil {
		return nil, 0, err
	}
	slices.Reverse(all)
	part := all[min(len(all), skip):min(len(all), skip+limit)]
	if err := k.addHealth(ctx, part); err != nil {
		return nil, 0, err
	}
	hooks = make([]Hook, len(part))
	for i, w := range part {
		hooks[i] = Hook{Repository: repository, OutgoingWebhook: w}
	}
	return hooks, len(all), nil
}

// Create makes a hook, which needs a URL. It wants all events if none are given.
func (k Hooks) Create(ctx context.Context, c Caller, of Repository, name string, in HookChange) (Hook, error) {
	if err := c.May("Hooks.Create"); err != nil {
		return Hook{}, err
	}
	repository, hooks, err := k.hooks(ctx, c, of)
	if err != nil {
		return Hook{}, err
	}
	if in.URL == nil {
		return Hook{}, boathook.InvalidField("url", "is required")
	}
	w := k.newOutgoing(repository)
	w.Name, w.Events = name, boathook.EventTypes[boathook.Repository]
	if err := k.applyHook(ctx, in, &w); err != nil {
		return Hook{}, err
	}
	if err := checkUnique(w, hooks); err != nil {
		return Hook{}, err
	}
	if err := k.enableHook(ctx, in, &w); err != nil {
		return Hook{}, err
	}
	return Hook{Repository: repository, OutgoingWebhook: w}, k.addOutgoing(ctx, w)
}

// applyHook changes a hook, but for whether it is enabled: [core.enableHook] comes last.
func (k *core) applyHook(ctx context.Context, in HookChange, w *boathook.OutgoingWebhook) error {
	if err := k.applyOutgoing(ctx, OutgoingChange{URL: in.URL}, boathook.Repository, w); err != nil {
		return err
	}
	switch secret := in.SigningSecret; {
	case secret == nil:
	case *secret != boathook.Mask:
		if err := k.setSecret(ctx, w, *secret); err != nil {
			return err
		}
	case w.Secrets.Current == nil:
		return boathook.InvalidField(secretField, "is a mask, and the hook has no secret")
	}
	return k.applyOutgoing(ctx, OutgoingChange{Events: in.events(w.Events)}, boathook.Repository, w)
}

// enableHook comes when nothing else of a change can be refused: what was held against
// the hook is forgotten in the store.
func (k *core) enableHook(ctx context.Context, in HookChange, w *boathook.OutgoingWebhook) error {
	return k.applyOutgoing(ctx, OutgoingChange{Enabled: in.Enabled}, boathook.Repository, w)
}

// events are those that a hook is to have; nil: as it has them.
func (in HookChange) events(events []boathook.EventType) []boathook.EventType {
	if in.Events == nil && in.AddEvents == nil && in.RemoveEvents == nil {
		return nil
	}
	if in.Events != nil {
		events = in.Events
	}
	for _, e := range in.AddEvents {
		if !slices.Contains(events, e) {
			events = append(slices.Clip(events), e)
		}
	}
	events = slices.DeleteFunc(slices.Clone(events), func(e boathook.EventType) bool { return slices.Contains(in.RemoveEvents, e) })
	if slices.Contains(events, boathook.AllEvents) {
		return []boathook.EventType{boathook.AllEvents}
	}
	return events
}

// checkUnique refuses a hook that would send what another one sends already: to
// the same URL, in the same words, an event that both want.
func checkUnique(w boathook.OutgoingWebhook, hooks []boathook.OutgoingWebhook) error {
	for _, other := range hooks {
		if other.ID != w.ID && other.URL == w.URL && other.Dialect == w.Dialect && other.Format == w.Format && overlap(other.Events, w.Events) {
			return ErrHookExists
		}
	}
	return nil
}

func overlap(a, b []boathook.EventType) bool {
	return slices.Contains(a, boathook.AllEvents) || slices.Contains(b, boathook.AllEvents) ||
		slices.ContainsFunc(a, func(e boathook.EventType) bool { return slices.Contains(b, e) })
}

// Get finds one, with its newest delivery.
func (k Hooks) Get(ctx context.Context, c Caller, of Repository, number int32) (Hook, error) {
	if err := c.May("Hooks.Get"); err != nil {
		return Hook{}, err
	}
	h, err := k.hook(ctx, c, of, number)
	if err != nil {
		return Hook{}, err
	}
	return k.withNewest(ctx, h)
}

// Config finds one, without its newest delivery.
func (k Hooks) Config(ctx context.Context, c Caller, of Repository, number int32) (Hook, error) {
	if err := c.May("Hooks.Config"); err != nil {
		return Hook{}, err
	}
	return k.hook(ctx, c, of, number)
}

// Change sets what is given, and gives the hook with its newest delivery.
func (k Hooks) Change(ctx context.Context, c Caller, of Repository, number int32, in HookChange) (Hook, error) {
	if err := c.May("Hooks.Change"); err != nil {
		return Hook{}, err
	}
	h, err := k.changeHook(ctx, c, of, number, in)
	if err != nil {
		return Hook{}, err
	}
	return k.withNewest(ctx, h)
}

// ChangeConfig sets what is given, and gives the hook without its newest delivery.
func (k Hooks) ChangeConfig(ctx context.Context, c Caller, of Repository, number int32, in HookChange) (Hook, error) {
	if err := c.May("Hooks.ChangeConfig"); err != nil {
		return Hook{}, err
	}
	return k.changeHook(ctx, c, of, number, in)
}

// changeHook changes a hook, and stores it. What leaves its URL and events as they
// are is taken even if another hook has the same.
func (k *core) changeHook(ctx context.Context, c Caller, of Repository, number int32, in HookChange) (Hook, error) {
	repository, hooks, err := k.hooks(ctx, c, of)
	if err != nil {
		return Hook{}, err
	}
	before, err := numbered(hooks, number)
	if err != nil {
		return Hook{}, err
	}
	w := before
	if err := k.applyHook(ctx, in, &w); err != nil {
		return Hook{}, err
	}
	if w.URL != before.URL || !slices.Equal(w.Events, before.Events) {
		if err := checkUnique(w, hooks); err != nil {
			return Hook{}, err
		}
	}
	if err := k.enableHook(ctx, in, &w); err != nil {
		return Hook{}, err
	}
	return Hook{Repository: repository, OutgoingWebhook: w}, k.cfg.Store.PutOutgoing(ctx, w)
}

// Delete removes a hook.
func (k Hooks) Delete(ctx context.Context, c Caller, of Repository, number int32) error {
	if err := c.May("Hooks.Delete"); err != nil {
		return err
	}
	h, err := k.hook(ctx, c, of, number)
	if err != nil {
		return err
	}
	return k.cfg.Store.DeleteOutgoing(ctx, h.SourceID, h.ID)
}

// Test sends a hook the catalogue's example of the first event that it wants.
func (k Hooks) Test(ctx context.Context, c Caller, of Repository, number int32) error {
	if err := c.May("Hooks.Test"); err != nil {
		return err
	}
	h, err := k.hook(ctx, c, of, number)
	if err != nil {
		return err
	}
	_, err = k.sendExample(ctx, boathook.Repository, h.OutgoingWebhook)
	return err
}

// Ping sends a hook an event of its own, whose data is what the face makes of the
// hook: JSON.
func (k Hooks) Ping(ctx context.Context, c Caller, of Repository, number int32, data func(Hook) ([]byte, error)) error {
	if err := c.May("Hooks.Ping"); err != nil {
		return err
	}
	h, err := k.hook(ctx, c, of, number)
	if err != nil {
		return err
	}
	if !h.Enabled {
		return errDisabled
	}
	ping := boathook.Event{
		ID: boathook.NewID(boathook.EventID), WorkspaceID: h.WorkspaceID, SourceID: h.SourceID,
		Type: boathook.EventPing, Time: k.cfg.Now(),
	}
	if ping.Data, err = data(h); err != nil {
		return err
	}
	if err := k.cfg.Publish.PublishTo(ctx, ping, h.OutgoingWebhook); err != nil {
		return fmt.Errorf("publish a ping to %s: %w", h.ID, err)
	}
	return nil
}

// Deliveries lists a hook's, the newest event's first, without their bodies.
func (k Hooks) Deliveries(ctx context.Context, c Caller, of Repository, number int32, p boathook.Page) (deliveries []boathook.Delivery, next string, err error) {
	if err := c.May("Hooks.Deliveries"); err != nil {
		return nil, "", err
	}
	h, err := k.hook(ctx, c, of, number)
	if err != nil {
		return nil, "", err
	}
	return k.cfg.Store.Deliveries(ctx, store.DeliveryQuery{WorkspaceID: c.Workspace, WebhookID: h.ID, Page: p})
}

// Delivery finds one of a hook's, by its id or by its number in decimal; see
// [boathook.DeliveryID.Number].
func (k Hooks) Delivery(ctx context.Context, c Caller, of Repository, number int32, delivery string) (Hook, DeliveryDetail, error) {
	if err := c.May("Hooks.Delivery"); err != nil {
		return Hook{}, DeliveryDetail{}, err
	}
	h, d, attempts, err := k.hookDelivery(ctx, c, of, number, delivery)
	if err != nil {
		return Hook{}, DeliveryDetail{}, err
	}
	shown, err := detail(h.OutgoingWebhook, d, attempts)
	return h, shown, err
}

func (k *core) hookDelivery(ctx context.Context, c Caller, of Repository, number int32, text string) (Hook, boathook.Delivery, []boathook.Attempt, error) {
	h, err := k.hook(ctx, c, of, number)
	if err != nil {
		return h, boathook.Delivery{}, nil, err
	}
	id, err := boathook.ParseDeliveryID(text)
	if err != nil {
		if id, err = k.numberedDelivery(ctx, h.OutgoingWebhook, text); err != nil {
			return h, boathook.Delivery{}, nil, err
		}
	}
	d, attempts, err := k.cfg.Store.Attempts(ctx, c.Workspace, id)
	if err == nil && d.WebhookID != h.ID {
		err = noSuch("delivery", text)
	}
	return h, d, attempts, missing("delivery", text, err)
}

// numberedDelivery looks through those of the second that the number tells, as many
// as one look finds.
func (k *core) numberedDelivery(ctx context.Context, w boathook.OutgoingWebhook, text string) (found boathook.DeliveryID, err error) {
	digits, err := strconv.ParseUint(text, 10, 63) // no sign: a delivery has one number
	if err != nil {
		return found, noSuch("delivery", text)
	}
	number := int64(digits)
	second := boathook.NumberTime(number)
	deliveries, next, err := k.cfg.Store.Deliveries(ctx, store.DeliveryQuery{
		WorkspaceID: w.WorkspaceID, WebhookID: w.ID, Since: second, Until: second.Add(time.Second),
		Page: boathook.Page{Limit: store.MaxCounted, Look: store.MaxCounted},
	})
	if err != nil {
		return found, err
	}
	matches := 0
	for _, d := range deliveries {
		if d.ID.Number() == number {
			found = d.ID
			matches++
		}
	}
	switch {
	case matches == 1:
		return found, nil
	case matches > 1:
		return found, boathook.Errorf(boathook.Conflict, "%d deliveries have this id: use the guid", matches)
	case next != "":
		return found, boathook.Errorf(boathook.Conflict, "too many deliveries are of that second: use the guid")
	}
	return found, noSuch("delivery", text)
}

// Redeliver queues one more attempt of one that [Hooks.Delivery] finds.
func (k Hooks) Redeliver(ctx context.Context, c Caller, of Repository, number int32, delivery string) error {
	if err := c.May("Hooks.Redeliver"); err != nil {
		return err
	}
	h, d, _, err := k.hookDelivery(ctx, c, of, number, delivery)
	if err != nil {
		return err
	}
	return k.resend(ctx, h.OutgoingWebhook, d)
}
