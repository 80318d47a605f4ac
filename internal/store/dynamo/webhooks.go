package dynamo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"boathook/internal/boathook"
)

// PutIncoming implements [store.Webhooks].
func (s *Store) PutIncoming(ctx context.Context, w boathook.IncomingWebhook) error {
	if err := s.put(ctx, incomingKey(w.SourceID, w.ID), "", w); err != nil {
		return fmt.Errorf("put incoming webhook %s: %w", w.ID, err)
	}
	return nil
}

// Incoming implements [store.Webhooks].
func (s *Store) Incoming(ctx context.Context, sourceID, id string) (boathook.IncomingWebhook, error) {
	return fetch[boathook.IncomingWebhook](ctx, s, "incoming webhook "+id, incomingKey(sourceID, id), true)
}

// AllIncoming implements [store.Webhooks].
func (s *Store) AllIncoming(ctx context.Context, sourceID string) ([]boathook.IncomingWebhook, error) {
	webhooks, err := newestBelow(ctx, s, incomingKey(sourceID, ""), func(w boathook.IncomingWebhook) time.Time { return w.CreatedAt })
	if err != nil {
		return nil, fmt.Errorf("list incoming webhooks of %s: %w", sourceID, err)
	}
	return webhooks, nil
}

// DeleteIncoming implements [store.Webhooks].
func (s *Store) DeleteIncoming(ctx context.Context, sourceID, id string) error {
	return s.deleteWebhook(ctx, "incoming webhook "+id, incomingKey(sourceID, id))
}

// PutOutgoing implements [store.Webhooks].
func (s *Store) PutOutgoing(ctx context.Context, w boathook.OutgoingWebhook) error {
	if err := s.put(ctx, outgoingKey(w.SourceID, w.ID), "", w); err != nil {
		return fmt.Errorf("put outgoing webhook %s: %w", w.ID, err)
	}
	return nil
}

// Outgoing implements [store.Webhooks].
func (s *Store) Outgoing(ctx context.Context, sourceID, id string) (boathook.OutgoingWebhook, error) {
	return fetch[boathook.OutgoingWebhook](ctx, s, "outgoing webhook "+id, outgoingKey(sourceID, id), true)
}

// AllOutgoing implements [store.Webhooks].
func (s *Store) AllOutgoing(ctx context.Context, sourceID string) ([]boathook.OutgoingWebhook, error) {
	webhooks, err := newestBelow(ctx, s, outgoingKey(sourceID, ""), func(w boathook.OutgoingWebhook) time.Time { return w.CreatedAt })
	if err != nil {
		return nil, fmt.Errorf("list outgoing webhooks of %s: %w", sourceID, err)
	}
	return webhooks, nil
}

// DeleteOutgoing implements [store.Webhooks].
func (s *Store) DeleteOutgoing(ctx context.Context, sourceID, id string) error {
	return s.deleteWebhook(ctx, "outgoing webhook "+id, outgoingKey(sourceID, id))
}

// newestBelow reads all objects whose keys begin like first, newest first.
func newestBelow[T any](ctx context.Context, s *Store, first key, createdAt func(T) time.Time) (objects []T, err error) {
	l := list{table: s.config.ConfigTable, consistent: true, partition: first.PK, prefix: first.SK}
	for it, err := range s.items(ctx, l.query("", boathook.MaxWebhooks)) {
		if err != nil {
			return nil, err
		}
		object, err := decode[T](it)
		if err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
	slices.SortStableFunc(objects, func(a, b T) int { return createdAt(b).Compare(createdAt(a)) })
	return objects, nil
}

func (s *Store) deleteWebhook(ctx context.Context, what string, k key) error {
	existed, err := s.remove(ctx, k)
	if err != nil {
		return fmt.Errorf("delete %s: %w", what, err)
	}
	if !existed {
		return notFound(what)
	}
	return nil
}
