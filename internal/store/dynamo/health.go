package dynamo

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"boathook/internal/boathook"
)

// healthItem is an outgoing webhook's health. Absent attributes are zero.
type healthItem struct {
	record
	FailingSince   time.Time `dynamodbav:"fs,omitempty"`
	Failures       int       `dynamodbav:"fn,omitempty"`
	FailingHours   []int64   `dynamodbav:"fh,numberset,omitempty"`
	SlowSince      time.Time `dynamodbav:"sl,omitempty"`
	ProbeAt        time.Time `dynamodbav:"pa,omitempty"`
	ProbeWait      int64     `dynamodbav:"pw,omitempty"` // milliseconds
	DisabledAt     time.Time `dynamodbav:"da,omitempty"`
	DisabledReason string    `dynamodbav:"dr,omitempty"`

	AlertStep  boathook.AlertStep `dynamodbav:"al,omitempty"`
	AlertAt    time.Time          `dynamodbav:"aa,omitempty"`
	AlertSince time.Time          `dynamodbav:"ai,omitempty"`
}

func (it healthItem) health() boathook.Health {
	slices.Sort(it.FailingHours) // a set has no order
	return boathook.Health{
		FailingSince: it.FailingSince, Failures: it.Failures, FailingHours: it.FailingHours,
		SlowSince: it.SlowSince,
		Probe:     boathook.Probe{At: it.ProbeAt, Wait: time.Duration(it.ProbeWait) * time.Millisecond},
		Disabling: boathook.Disabling{At: it.DisabledAt, Reason: it.DisabledReason},
		Alert:     boathook.Alert{Step: it.AlertStep, At: it.AlertAt, Since: it.AlertSince},
	}
}

// healthParts are the attributes of each part.
var healthParts = map[boathook.HealthPart]string{
	boathook.HealthFailures:  "fs, fn, fh",
	boathook.HealthSlow:      "sl",
	boathook.HealthProbe:     "pa, pw",
	boathook.HealthDisabling: "da, dr",
}

// Health implements [store.Healths].
func (s *Store) Health(ctx context.Context, webhookIDs ...string) (map[string]boathook.Health, error) {
	keys := make([]tableKey, len(webhookIDs))
	for i, id := range webhookIDs {
		keys[i] = s.recordKey(healthKey(id))
	}
	found, err := s.readBatch(ctx, keys...)
	if err != nil {
		return nil, fmt.Errorf("get the health of outgoing webhooks: %w", err)
	}
	healths := make(map[string]boathook.Health)
	for i, id := range webhookIDs {
		it, err := decode[healthItem](found[keys[i].key])
		if err != nil {
			s.unreadable(ctx, err)
			continue
		}
		if h := it.health(); !h.IsZero() {
			healths[id] = h
		}
	}
	return healths, nil
}

// markHealth changes a webhook's health if a condition holds, and gives the
// health as it is afterwards. One that has expired counts as none.
func (s *Store) markHealth(ctx context.Context, webhookID, change, when string, values map[string]any) (h boathook.Health, held bool, err error) {
	k := healthKey(webhookID)
	values[":x"] = s.expiry()
	change = strings.Replace(change, "SET ", "SET x = :x, ", 1)
	for range maxRenewals {
		it, held, err := s.upsertRecord(ctx, k, change, when, values)
		if err != nil {
			return h, false, fmt.Errorf("mark the health of outgoing webhook %s: %w", webhookID, err)
		}
		if held || it != nil {
			read, err := decode[healthItem](it)
			return read.health(), held, err
		}
		// It has expired: begin anew. If another does so at once, it is the
		// other's that is changed.
		if _, err := s.putRecord(ctx, healthItem{record: s.record(k)}, absent, nil); err != nil {
			return h, false, fmt.Errorf("renew the health of outgoing webhook %s: %w", webhookID, err)
		}
	}
	return h, false, fmt.Errorf("mark the health of outgoing webhook %s: it is gone again and again", webhookID)
}

// maxRenewals is how often a health is begun anew before it is given up: once is
// enough, unless it is deleted at the same time.
const maxRenewals = 3

// MarkFailure implements [store.Healths].
func (s *Store) MarkFailure(ctx context.Context, webhookID string, at time.Time) (boathook.Health, error) {
	h, _, err := s.markHealth(ctx, webhookID, "SET fs = if_not_exists(fs, :at) ADD fn :one, fh :hour", "", map[string]any{
		":at": at, ":one": 1, ":hour": numberSet{boathook.Hour(at)},
	})
	return h, err
}

// numberSet is a set of numbers as DynamoDB adds to one.
type numberSet []int64

// MarshalDynamoDBAttributeValue implements [attributevalue.Marshaler].
func (n numberSet) MarshalDynamoDBAttributeValue() (types.AttributeValue, error) {
	set := &types.AttributeValueMemberNS{}
	for _, number := range n {
		set.Value = append(set.Value, strconv.FormatInt(number, 10))
	}
	return set, nil
}

// MarkSlow implements [store.Healths].
func (s *Store) MarkSlow(ctx context.Context, webhookID string, at time.Time) (first bool, err error) {
	_, first, err = s.markHealth(ctx, webhookID, "SET sl = :at", "attribute_not_exists(sl)", map[string]any{":at": at})
	return first, err
}

// MoveProbe implements [store.Healths].
func (s *Store) MoveProbe(ctx context.Context, webhookID string, from, to boathook.Probe) (moved bool, err error) {
	values := map[string]any{":at": to.At, ":wait": to.Wait.Milliseconds(), ":x": s.expiry()}
	if from.At.IsZero() {
		_, moved, err = s.markHealth(ctx, webhookID, "SET pa = :at, pw = :wait", "attribute_not_exists(pa)", values)
		return moved, err
	}
	values[":from"] = from.At
	moved, err = s.changeRecord(ctx, healthKey(webhookID), "SET x = :x, pa = :at, pw = :wait", "pa = :from", values)
	if err != nil {
		return false, fmt.Errorf("move the probe of outgoing webhook %s: %w", webhookID, err)
	}
	return moved, nil
}

// MoveAlert implements [store.Healths].
func (s *Store) MoveAlert(ctx context.Context, webhookID string, from, to boathook.Alert) (moved bool, err error) {
	change, values := "SET x = :x, al = :step, aa = :at, ai = :since", map[string]any{":x": s.expiry()}
	if to.Step == boathook.AlertNone {
		change = "SET x = :x REMOVE al, aa, ai"
	} else {
		values[":step"], values[":at"], values[":since"] = to.Step, to.At, to.Since
	}
	if from.Step == boathook.AlertNone {
		_, moved, err = s.markHealth(ctx, webhookID, strings.Replace(change, "x = :x, ", "", 1), "attribute_not_exists(al)", values)
		return moved, err
	}
	values[":from"], values[":then"] = from.Step, from.At
	moved, err = s.changeRecord(ctx, healthKey(webhookID), change, "al = :from AND aa = :then", values)
	if err != nil {
		return false, fmt.Errorf("move the alert of outgoing webhook %s: %w", webhookID, err)
	}
	return moved, nil
}

// MarkDisabling implements [store.Healths].
func (s *Store) MarkDisabling(ctx context.Context, webhookID string, d boathook.Disabling) (boathook.Disabling, error) {
	h, _, err := s.markHealth(ctx, webhookID, "SET da = if_not_exists(da, :at), dr = if_not_exists(dr, :reason)", "", map[string]any{
		":at": d.At, ":reason": d.Reason,
	})
	return h.Disabling, err
}

// ClearHealth implements [store.Healths].
func (s *Store) ClearHealth(ctx context.Context, webhookID string, parts boathook.HealthPart) error {
	var attributes []string
	for part, names := range healthParts {
		if parts&part != 0 {
			attributes = append(attributes, names)
		}
	}
	_, err := s.changeRecord(ctx, healthKey(webhookID), "SET x = :x REMOVE "+strings.Join(attributes, ", "), "", map[string]any{":x": s.expiry()})
	if err != nil {
		return fmt.Errorf("clear the health of outgoing webhook %s: %w", webhookID, err)
	}
	return nil
}
