package intake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"boathook/internal/boathook"
	"boathook/internal/expression"
	"boathook/internal/preset"
	"boathook/internal/run"
	"boathook/internal/store"
)

// A webhook that coalesces has the triggers of a burst become one run. The burst of a key is an
// item that names the run; it changes by compare-and-set. The run is pending until its time,
// and each trigger that joins it replaces its input and moves its time, in one write that
// fails once a runner has claimed it.
//
// Why each trigger that is accepted is part of exactly one run, and the run executes on the
// last of them:
//
//   - The message of a run is sent before its record is written, and only a run with a record
//     is joined. So a trigger joins only what will execute. A trigger that finds no record
//     (whoever began the burst is slow, or has died) sends a message with its own input, and
//     then writes the record itself. Of several that do so one writes it, and the others join.
//     A second message does no harm.
//   - A message that comes before the run's time has another sent before it is acknowledged.
//     One that comes later claims the run. A trigger that joins before the claim gives the run
//     its input. One that comes after the claim is refused, and begins the next burst.
//   - A trigger with a key of its own, or a delivery's id, is pinned to the run. A repeat finds
//     the pin, or itself in the run's list if the pin could not be written.
//
// Two that begin a burst at once agree on one by the compare-and-set.

// maxBursts is how often a trigger tries to become part of a burst before its sender has to
// try again. Each time another one began or ended a burst.
const maxBursts = 20

// burstKey gives what a webhook's triggers of one burst have in common. The fault is the
// expression's; an error is not.
func (in *Intake) burstKey(ctx context.Context, text string, reading preset.Reading, details boathook.TriggerDetails) (key, fault string, err error) {
	fault, err = in.evaluate(ctx, text, reading, details, func(ctx context.Context, e *expression.Expression, input *expression.Input) error {
		value, err := e.Value(ctx, input)
		sum := sha256.Sum256(value)
		key = hex.EncodeToString(sum[:16])
		return err
	})
	if fault != "" || err != nil {
		return "", fault, err
	}
	return key, "", nil
}

// coalesce has a trigger become part of the burst of its key. pending is the run that it would
// have been. keyed tells that its id follows from the sender's, who may repeat it.
func (in *Intake) coalesce(ctx context.Context, w *boathook.IncomingWebhook, key string, pending boathook.Run, keyed bool) (outcome boathook.RequestOutcome, started run.Started, err error) {
	b := burst{in: in, webhook: w, key: key, pending: pending, keyed: keyed}
	for range maxBursts {
		done, err := b.try(ctx)
		if err != nil {
			return "", started, err
		}
		if done {
			return b.outcome, run.Started{RunHead: b.head}, nil
		}
	}
	return "", started, boathook.Errorf(boathook.Unavailable, "the run could not be made durable, try again")
}

// burst is a trigger on its way to become part of one.
type burst struct {
	in      *Intake
	webhook *boathook.IncomingWebhook
	key     string
	pending boathook.Run
	keyed   bool

	outcome boathook.RequestOutcome
	head    boathook.RunHead // of the run that it is part of
}

// try tries once. Not done: another was faster.
func (b *burst) try(ctx context.Context) (done bool, err error) {
	newest, pinned, err := b.in.Store.LookUpBurst(ctx, b.webhook.ID, b.key, b.pending.ID)
	if err != nil {
		return false, err
	}
	if b.keyed && pinned != "" {
		head, err := b.in.Store.RunHead(ctx, pinned)
		if err == nil {
			b.outcome, b.head = boathook.RequestRepeated, head
			return true, nil
		}
		if !boathook.IsKind(err, boathook.NotFound) {
			return false, err
		}
	}
	if newest.RunID == "" {
		return b.begin(ctx, "")
	}
	head, err := b.in.Store.RunHead(ctx, newest.RunID)
	switch {
	case boathook.IsKind(err, boathook.NotFound):
		return b.start(ctx, newest)
	case err != nil:
		return false, err
	case head.Burst.Has(b.pending.ID):
		as := boathook.RequestRepeated
		if !b.keyed { // its message was executed before its record was written
			as = boathook.RequestAccepted
		}
		return true, b.accepted(ctx, head, as)
	case !head.Joins():
		return b.begin(ctx, newest.RunID)
	}
	head, err = b.in.Store.JoinRun(ctx, head, store.Join{
		Input: b.pending.Input, Details: b.pending.Details, Trigger: b.trigger(),
		StartsAt: b.webhook.Coalesce.StartsAt(newest.At, b.pending.CreatedAt),
	})
	if boathook.IsKind(err, boathook.Conflict) || boathook.IsKind(err, boathook.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, b.accepted(ctx, head, boathook.RequestCoalesced)
}

func (b *burst) trigger() boathook.BurstTrigger {
	return boathook.BurstTrigger{ID: b.pending.ID, DeliveryID: b.pending.Details.DeliveryID, At: b.pending.CreatedAt}
}

// begin begins a burst in the place of another, or of none.
func (b *burst) begin(ctx context.Context, fromRunID string) (done bool, err error) {
	next := store.Burst{RunID: boathook.NewID(boathook.RunID), At: b.pending.CreatedAt}
	moved, err := b.in.Store.MoveBurst(ctx, b.webhook.ID, b.key, fromRunID, next)
	if !moved || err != nil {
		return false, err
	}
	return b.start(ctx, next)
}

// start starts the run of a burst that has no record yet. If it has one by then, the next try
// finds out what it is.
func (b *burst) start(ctx context.Context, of store.Burst) (done bool, err error) {
	r := b.pending
	r.ID, r.StartsAt = of.RunID, b.webhook.Coalesce.StartsAt(of.At, b.pending.CreatedAt)
	r.Burst = &boathook.Burst{Count: 1, Triggers: []boathook.BurstTrigger{b.trigger()}}
	created, err := b.in.Runs.StartBurst(ctx, r)
	if !created || err != nil {
		return false, err
	}
	return true, b.accepted(ctx, r.RunHead, boathook.RequestAccepted)
}

// accepted keeps which run a trigger is part of, so that a repeat finds it.
func (b *burst) accepted(ctx context.Context, head boathook.RunHead, as boathook.RequestOutcome) error {
	b.outcome, b.head = as, head
	if !b.keyed {
		return nil
	}
	if _, err := b.in.Store.PinRun(ctx, b.pending.ID, head.ID); err != nil {
		return fmt.Errorf("pin a trigger to run %s: %w", head.ID, err)
	}
	return nil
}
