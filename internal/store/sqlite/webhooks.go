package sqlite

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/database"
	"boathook/internal/store"
)

type incomingItem struct {
	Revision     int                  `json:"revision"`
	ID           string               `json:"id"`
	WorkspaceID  string               `json:"workspace_id"`
	SourceID     string               `json:"source_id"`
	Name         string               `json:"name"`
	Environment  boathook.Environment `json:"environment"`
	Enabled      bool                 `json:"enabled"`
	TokenHash    []byte               `json:"token_hash"`
	SealedToken  []byte               `json:"sealed_token,omitempty"`
	WaitForStart int64                `json:"wait_for_start_ms,omitempty"`
	Verification verificationItem     `json:"verification"`
	Filter       filterItem           `json:"filter"`
	RerunFailed  *bool                `json:"rerun_failed,omitempty"`
	Coalesce     coalesceItem         `json:"coalesce,omitzero"`
	CreatedAt    time.Time            `json:"created_at"`
	UpdatedAt    time.Time            `json:"updated_at"`
}

// coalesceItem says which triggers become one run, and when; times in milliseconds.
type coalesceItem struct {
	Key     string `json:"key,omitempty"`
	Quiet   int64  `json:"quiet_ms,omitempty"`
	MaxWait int64  `json:"max_wait_ms,omitempty"`
}

func newCoalesceItem(c boathook.Coalescing) coalesceItem {
	return coalesceItem{c.Key, c.Quiet.Milliseconds(), c.MaxWait.Milliseconds()}
}

func (it coalesceItem) coalescing() boathook.Coalescing {
	return boathook.Coalescing{Key: it.Key, Quiet: time.Duration(it.Quiet) * time.Millisecond, MaxWait: time.Duration(it.MaxWait) * time.Millisecond}
}

// verificationItem is of an incoming webhook or of an agent.
type verificationItem struct {
	Preset          string `json:"preset,omitempty"`
	SealedSecret    []byte `json:"sealed_secret,omitempty"`
	Header          string `json:"header,omitempty"`
	Algorithm       string `json:"algorithm,omitempty"`
	Encoding        string `json:"encoding,omitempty"`
	Prefix          string `json:"prefix,omitempty"`
	Separator       string `json:"separator,omitempty"`
	TimestampHeader string `json:"timestamp_header,omitempty"`
	DeliveryHeader  string `json:"delivery_header,omitempty"`
	EventHeader     string `json:"event_header,omitempty"`
	EventPointer    string `json:"event_pointer,omitempty"`
	TopicARN        string `json:"topic_arn,omitempty"`
}

type filterItem struct {
	Events  []string        `json:"events,omitempty"`
	Pointer string          `json:"pointer,omitempty"`
	Equals  json.RawMessage `json:"equals,omitempty"`
	JQ      string          `json:"jq,omitempty"`
}

func newIncomingItem(w boathook.IncomingWebhook) incomingItem {
	return incomingItem{
		Revision: w.Revision, ID: w.ID, WorkspaceID: w.WorkspaceID, SourceID: w.SourceID, Name: w.Name,
		Environment: w.Environment, Enabled: w.Enabled, TokenHash: w.TokenHash[:], SealedToken: w.SealedToken, WaitForStart: w.WaitForStart.Milliseconds(),
		Verification: verificationItem(w.Verification), Filter: filterItem(w.Filter), RerunFailed: w.RerunFailed, Coalesce: newCoalesceItem(w.Coalesce),
		CreatedAt: stored(w.CreatedAt), UpdatedAt: stored(w.UpdatedAt),
	}
}

func (it incomingItem) incoming() boathook.IncomingWebhook {
	w := boathook.IncomingWebhook{
		Revision: it.Revision, ID: it.ID, WorkspaceID: it.WorkspaceID, SourceID: it.SourceID, Name: it.Name,
		Environment: it.Environment, Enabled: it.Enabled, SealedToken: it.SealedToken, WaitForStart: time.Duration(it.WaitForStart) * time.Millisecond,
		Verification: boathook.Verification(it.Verification), Filter: boathook.Filter(it.Filter), RerunFailed: it.RerunFailed, Coalesce: it.Coalesce.coalescing(),
		CreatedAt: it.CreatedAt, UpdatedAt: it.UpdatedAt,
	}
	copy(w.TokenHash[:], it.TokenHash)
	return w
}

// outgoingItem is an outgoing webhook, without its health.
type outgoingItem struct {
	Revision      int                  `json:"revision"`
	ID            string               `json:"id"`
	WorkspaceID   string               `json:"workspace_id"`
	SourceID      string               `json:"source_id"`
	Name          string               `json:"name"`
	URL           string               `json:"url,omitempty"`
	Destination   destinationItem      `json:"destination,omitzero"`
	Events        []boathook.EventType `json:"events"`
	Environment   boathook.Environment `json:"environment,omitempty"`
	Dialect       string               `json:"dialect"`
	Format        boathook.Format      `json:"format,omitempty"`
	Filter        string               `json:"filter,omitempty"`
	Transform     string               `json:"transform,omitempty"`
	Timeout       int64                `json:"timeout_ms"`
	Retry         []int64              `json:"retry_ms"`
	RateLimit     int                  `json:"rate_limit,omitempty"`
	Enabled       bool                 `json:"enabled"`
	Secrets       secretsItem          `json:"secrets"`
	CreatedAt     time.Time            `json:"created_at"`
	UpdatedAt     time.Time            `json:"updated_at"`
	SealedHeaders []byte               `json:"sealed_headers,omitempty"`
	HeaderNames   []string             `json:"header_names,omitempty"`
	Channels      []string             `json:"channels,omitempty"`
	Metadata      map[string]string    `json:"metadata,omitempty"`
	Disabled      disablingItem        `json:"disabled,omitzero"`
	AlertAfter    thresholdItem        `json:"alert_after,omitzero"`
}

type thresholdItem struct {
	Failures int   `json:"failures"`
	Over     int64 `json:"over_ms"`
}

type destinationItem struct {
	Type     boathook.DestinationType `json:"type"`
	QueueARN string                   `json:"queue_arn,omitempty"`
}

type secretsItem struct {
	Current       []byte    `json:"current,omitempty"`
	Previous      []byte    `json:"previous,omitempty"`
	PreviousUntil time.Time `json:"previous_until,omitzero"`
}

type disablingItem struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

func newDisablingItem(d boathook.Disabling) disablingItem {
	return disablingItem{stored(d.At), d.Reason}
}

func newOutgoingItem(w boathook.OutgoingWebhook) outgoingItem {
	return outgoingItem{
		Revision: w.Revision, ID: w.ID, WorkspaceID: w.WorkspaceID, SourceID: w.SourceID, Name: w.Name, URL: w.URL,
		Destination: destinationItem(w.Destination), Events: w.Events, Environment: w.Environment, Dialect: w.Dialect, Format: w.Format, Filter: w.Filter, Transform: w.Transform,
		Timeout: w.Timeout.Milliseconds(), Retry: each(w.Retry, time.Duration.Milliseconds), RateLimit: w.RateLimit, Enabled: w.Enabled,
		AlertAfter: thresholdItem{w.AlertAfter.Failures, w.AlertAfter.Over.Milliseconds()},
		Secrets:    secretsItem{w.Secrets.Current, w.Secrets.Previous, stored(w.Secrets.PreviousUntil)},
		CreatedAt:  stored(w.CreatedAt), UpdatedAt: stored(w.UpdatedAt),
		SealedHeaders: w.SealedHeaders, HeaderNames: w.HeaderNames, Disabled: newDisablingItem(w.Disabled),
		Channels: w.Channels, Metadata: w.Metadata,
	}
}

func (it outgoingItem) outgoing() boathook.OutgoingWebhook {
	milliseconds := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	return boathook.OutgoingWebhook{
		Revision: it.Revision, ID: it.ID, WorkspaceID: it.WorkspaceID, SourceID: it.SourceID, Name: it.Name, URL: it.URL,
		Destination: boathook.Destination(it.Destination), Events: slices.Clone(it.Events), Environment: it.Environment, Dialect: it.Dialect, Format: it.Format, Filter: it.Filter, Transform: it.Transform,
		Timeout: milliseconds(it.Timeout), Retry: each(it.Retry, milliseconds), RateLimit: it.RateLimit, Enabled: it.Enabled,
		AlertAfter: boathook.AlertThreshold{Failures: it.AlertAfter.Failures, Over: milliseconds(it.AlertAfter.Over)},
		Secrets: boathook.SealedSecrets{
			Current: slices.Clone(it.Secrets.Current), Previous: slices.Clone(it.Secrets.Previous), PreviousUntil: it.Secrets.PreviousUntil,
		},
		CreatedAt: it.CreatedAt, UpdatedAt: it.UpdatedAt,
		SealedHeaders: slices.Clone(it.SealedHeaders), HeaderNames: slices.Clone(it.HeaderNames), Disabled: boathook.Disabling(it.Disabled),
		Channels: slices.Clone(it.Channels), Metadata: maps.Clone(it.Metadata),
	}
}

// PutIncoming implements [store.Webhooks].
func (s *Store) PutIncoming(_ context.Context, w boathook.IncomingWebhook) error {
	if err := store.CheckIDs(w.SourceID, w.ID); err != nil {
		return err
	}
	return s.config.DB.Write(func(tx *database.Tx) error {
		old, _, err := first[incomingItem](tx, "SELECT item FROM incoming WHERE source_id = ? AND id = ?", w.SourceID, w.ID)
		if err != nil {
			return err
		}
		if old.Revision != w.Revision {
			return errChanged
		}
		item := newIncomingItem(w)
		item.Revision++
		return tx.Exec("INSERT OR REPLACE INTO incoming (source_id, id, created_at, item) VALUES (?, ?, ?, ?)", w.SourceID, w.ID, item.CreatedAt, encode(item))
	})
}

// Incoming implements [store.Webhooks].
func (s *Store) Incoming(_ context.Context, sourceID, id string) (boathook.IncomingWebhook, error) {
	return one(s, "incoming webhook", incomingItem.incoming, "SELECT item FROM incoming WHERE source_id = ? AND id = ?", sourceID, id)
}

// AllIncoming implements [store.Webhooks].
func (s *Store) AllIncoming(_ context.Context, sourceID string) ([]boathook.IncomingWebhook, error) {
	return read(s, func(tx *database.Tx) ([]boathook.IncomingWebhook, error) {
		items, err := readable(all[incomingItem](s, tx, "SELECT item FROM incoming WHERE source_id = ? ORDER BY created_at DESC, id DESC", sourceID))
		return each(items, incomingItem.incoming), err
	})
}

// DeleteIncoming implements [store.Webhooks].
func (s *Store) DeleteIncoming(_ context.Context, sourceID, id string) error {
	return s.delete("incoming webhook", "DELETE FROM incoming WHERE source_id = ? AND id = ?", sourceID, id)
}

// outgoing reads a webhook; found is false if there is none.
func outgoing(tx *database.Tx, sourceID, id string) (item outgoingItem, found bool, err error) {
	return first[outgoingItem](tx, "SELECT item FROM outgoing WHERE source_id = ? AND id = ?", sourceID, id)
}

func putOutgoing(tx *database.Tx, item outgoingItem) error {
	item.Revision++
	return tx.Exec("INSERT OR REPLACE INTO outgoing (source_id, id, created_at, item) VALUES (?, ?, ?, ?)",
		item.SourceID, item.ID, item.CreatedAt, encode(item))
}

// PutOutgoing implements [store.Webhooks].
func (s *Store) PutOutgoing(_ context.Context, w boathook.OutgoingWebhook) error {
	if err := store.CheckIDs(w.SourceID, w.ID); err != nil {
		return err
	}
	return s.config.DB.Write(func(tx *database.Tx) error {
		old, _, err := outgoing(tx, w.SourceID, w.ID)
		if err != nil {
			return err
		}
		if old.Revision != w.Revision {
			return errChanged
		}
		return putOutgoing(tx, newOutgoingItem(w))
	})
}

// DisableOutgoing implements [store.Webhooks].
func (s *Store) DisableOutgoing(_ context.Context, sourceID, id string, d boathook.Disabling) error {
	return s.config.DB.Write(func(tx *database.Tx) error {
		item, found, err := outgoing(tx, sourceID, id)
		if err != nil {
			return err
		}
		if !found {
			return notFound("outgoing webhook")
		}
		item.Enabled, item.Disabled = false, newDisablingItem(d)
		return putOutgoing(tx, item)
	})
}

// Outgoing implements [store.Webhooks].
func (s *Store) Outgoing(_ context.Context, sourceID, id string) (boathook.OutgoingWebhook, error) {
	var h boathook.Health // expires, and so is not remembered
	item, err := s.webhooks.Get(s.config.DB, ofSource{sourceID, id}, func(tx *database.Tx) (item outgoingItem, keep bool, err error) {
		item, found, err := outgoing(tx, sourceID, id)
		if err == nil && !found {
			err = notFound("outgoing webhook")
		}
		if err != nil {
			return item, false, err
		}
		h, err = s.health(tx, id)
		return item, h.IsZero(), err
	})
	if err != nil {
		return boathook.OutgoingWebhook{}, err
	}
	w := item.outgoing()
	w.Health = h
	return w, nil
}

// AllOutgoing implements [store.Webhooks].
func (s *Store) AllOutgoing(_ context.Context, sourceID string) ([]boathook.OutgoingWebhook, error) {
	return read(s, func(tx *database.Tx) ([]boathook.OutgoingWebhook, error) {
		items, err := all[outgoingItem](s, tx, "SELECT item FROM outgoing WHERE source_id = ? ORDER BY created_at DESC, id DESC", sourceID)
		return each(items, outgoingItem.outgoing), err
	})
}

// DeleteOutgoing implements [store.Webhooks].
func (s *Store) DeleteOutgoing(_ context.Context, sourceID, id string) error {
	return s.config.DB.Write(func(tx *database.Tx) error {
		deleted, err := tx.Change("DELETE FROM outgoing WHERE source_id = ? AND id = ?", sourceID, id)
		if err != nil {
			return err
		}
		if !deleted {
			return notFound("outgoing webhook")
		}
		return tx.Exec("DELETE FROM healths WHERE webhook_id = ?", id)
	})
}
