package dynamo

import (
	"context"
	"fmt"
	"maps"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/compress"
	"boathook/internal/store"
)

// burstItem is the newest burst of a key.
type burstItem struct {
	record
	RunID string    `dynamodbav:"r"`
	At    time.Time `dynamodbav:"at"`
}

// burstTriggerItem is a trigger of a burst, in the head of its run.
type burstTriggerItem struct {
	ID         string    `dynamodbav:"i"`
	DeliveryID string    `dynamodbav:"d,omitempty"`
	At         time.Time `dynamodbav:"a"`
}

func countOf(b *boathook.Burst) int {
	if b == nil {
		return 0
	}
	return b.Count
}

func newBurstItems(b *boathook.Burst) (items []burstTriggerItem) {
	if b == nil {
		return nil
	}
	return each(b.Triggers, func(t boathook.BurstTrigger) burstTriggerItem { return burstTriggerItem(t) })
}

func (h headItem) burst() *boathook.Burst {
	if h.Triggers == 0 {
		return nil
	}
	return &boathook.Burst{Count: h.Triggers, Triggers: each(h.Burst, func(it burstTriggerItem) boathook.BurstTrigger { return boathook.BurstTrigger(it) })}
}

// LookUpBurst implements [store.Bursts].
func (s *Store) LookUpBurst(ctx context.Context, webhookID, key, id string) (b store.Burst, pinned string, err error) {
	burst, pin := burstOf(webhookID, key), pinnedRunKey(id)
	found, err := s.readBatch(ctx, s.recordKey(burst), s.recordKey(pin))
	if err != nil {
		return b, "", fmt.Errorf("look up a burst of %s: %w", webhookID, err)
	}
	it, err := decode[burstItem](found[burst])
	if err != nil {
		return b, "", err
	}
	p, err := decode[pinnedRunItem](found[pin])
	return store.Burst{RunID: it.RunID, At: it.At}, p.RunID, err
}

// MoveBurst implements [store.Bursts].
func (s *Store) MoveBurst(ctx context.Context, webhookID, key, fromRunID string, to store.Burst) (moved bool, err error) {
	it := burstItem{s.record(burstOf(webhookID, key)), part("", to.RunID), to.At}
	if it.isNone() || it.RunID == "" {
		return false, store.ErrNoID
	}
	when, values := absent, item{}
	if fromRunID != "" {
		when, values = "x > :now AND r = :from", item{":from": str(fromRunID)}
	}
	if moved, err = s.putRecord(ctx, it, when, values); err != nil {
		return false, fmt.Errorf("move a burst of %s: %w", webhookID, err)
	}
	return moved, nil
}

// JoinRun implements [store.Bursts]. The input comes before the head that refers to it.
func (s *Store) JoinRun(ctx context.Context, r boathook.RunHead, j store.Join) (boathook.RunHead, error) {
	if headKey(r.ID).isNone() {
		return boathook.RunHead{}, notFound("run " + r.ID)
	}
	hash := boathook.HashInput(j.Input.Bytes())
	r.InputHash, r.Details = hash, j.Details
	if err := s.putInput(ctx, newHeadItem(boathook.Run{RunHead: r, Input: j.Input}, 0), compress.Pack(j.Input)); err != nil {
		return boathook.RunHead{}, fmt.Errorf("join run %s: %w", r.ID, err)
	}
	const (
		change = "SET ih = :hash, il = :size, td = :details, sa = :starts, bn = bn + :one"
		joins  = unclaimed + " AND attribute_exists(bn) AND attribute_not_exists(wa)"
	)
	values := map[string]any{
		":active": active, ":hash": hash[:], ":size": j.Input.Len(), ":details": newDetailsItem(j.Details), ":starts": j.StartsAt, ":one": 1,
	}
	for {
		listed := maps.Clone(values)
		listed[":trigger"], listed[":most"] = []burstTriggerItem{burstTriggerItem(j.Trigger)}, boathook.MaxBurstTriggers
		head, err := s.updateHead(ctx, "join", r.ID, change+", bt = list_append(bt, :trigger)", joins+" AND size(bt) < :most", listed)
		if boathook.IsKind(err, boathook.Conflict) && head.Joins() {
			if len(head.Burst.Triggers) < boathook.MaxBurstTriggers {
				continue // it was created between the update and the look that followed
			}
			head, err = s.updateHead(ctx, "join", r.ID, change, joins, values)
		}
		return head, err
	}
}
