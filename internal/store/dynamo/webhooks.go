package dynamo

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// PutIncoming implements [store.Webhooks].
func (s *Store) PutIncoming(ctx context.Context, w boathook.IncomingWebhook) error {
	read := w.Revision
	w.Revision++
	it, err := encodeAt(incomingKey(w.SourceID, w.ID), w)
	if err == nil {
		err = s.putRevision(ctx, it, read)
	}
	if err != nil {
		return fmt.Errorf("put incoming webhook %s: %w", w.ID, err)
	}
	return nil
}

// putRevision replaces an object of the revision that was read, or creates one
// if that is 0.
func (s *Store) putRevision(ctx context.Context, it item, read int) error {
	in := &dynamodb.PutItemInput{TableName: &s.config.ConfigTable, Item: it, ConditionExpression: aws.String("attribute_not_exists(pk)")}
	if read > 0 {
		in.ConditionExpression = aws.String("Revision = :read")
		in.ExpressionAttributeValues = item{":read": num(int64(read))}
	}
	_, err := s.client.PutItem(ctx, in)
	if _, changed := errors.AsType[*types.ConditionalCheckFailedException](err); changed {
		return boathook.Errorf(boathook.Conflict, "it was changed or deleted meanwhile, look again")
	}
	return err
}

// Incoming implements [store.Webhooks].
func (s *Store) Incoming(ctx context.Context, sourceID, id string) (boathook.IncomingWebhook, error) {
	return fetch[boathook.IncomingWebhook](ctx, s, "incoming webhook "+id, incomingKey(sourceID, id), true)
}

// AllIncoming implements [store.Webhooks].
func (s *Store) AllIncoming(ctx context.Context, sourceID string) (webhooks []boathook.IncomingWebhook, err error) {
	for it, err := range s.below(ctx, sourceID, incomingWebhooks) {
		if err != nil {
			return nil, fmt.Errorf("list incoming webhooks of %s: %w", sourceID, err)
		}
		w, err := decode[boathook.IncomingWebhook](it)
		if err != nil {
			s.unreadable(ctx, err)
			continue
		}
		webhooks = append(webhooks, w)
	}
	slices.SortStableFunc(webhooks, func(a, b boathook.IncomingWebhook) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return webhooks, nil
}

// DeleteIncoming implements [store.Webhooks].
func (s *Store) DeleteIncoming(ctx context.Context, sourceID, id string) error {
	return s.deleteWebhook(ctx, "incoming webhook "+id, incomingKey(sourceID, id))
}

// PutOutgoing implements [store.Webhooks].
func (s *Store) PutOutgoing(ctx context.Context, w boathook.OutgoingWebhook) error {
	read := w.Revision
	w.Revision++
	it, err := encodeAt(outgoingKey(w.SourceID, w.ID), w)
	if err == nil {
		delete(it, "Health") // which has an item of its own
		err = s.putRevision(ctx, it, read)
	}
	if err != nil {
		return fmt.Errorf("put outgoing webhook %s: %w", w.ID, err)
	}
	return nil
}

// DisableOutgoing implements [store.Webhooks]. It names each attribute that it
// writes, and is given back none but those: deliver's role allows no others.
func (s *Store) DisableOutgoing(ctx context.Context, sourceID, id string, d boathook.Disabling) error {
	values, err := encode(map[string]any{":no": false, ":one": 1, ":disabled": d})
	if err != nil {
		return err
	}
	_, err = s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.config.ConfigTable, Key: outgoingKey(sourceID, id).item(),
		UpdateExpression: aws.String("SET Enabled = :no, Disabled = :disabled ADD Revision :one"), ConditionExpression: aws.String("attribute_exists(pk)"),
		ExpressionAttributeValues: values, ReturnValues: types.ReturnValueNone,
	})
	if _, absent := errors.AsType[*types.ConditionalCheckFailedException](err); absent {
		return notFound("outgoing webhook " + id)
	}
	if err != nil {
		return fmt.Errorf("disable outgoing webhook %s: %w", id, err)
	}
	return nil
}

// Outgoing implements [store.Webhooks].
func (s *Store) Outgoing(ctx context.Context, sourceID, id string) (w boathook.OutgoingWebhook, err error) {
	k, health := outgoingKey(sourceID, id), healthKey(id)
	found, err := s.readBatch(ctx, s.configKey(k), s.recordKey(health))
	if err != nil {
		return w, fmt.Errorf("get outgoing webhook %s: %w", id, err)
	}
	if found[k] == nil {
		return w, notFound("outgoing webhook " + id)
	}
	if w, err = decode[boathook.OutgoingWebhook](found[k]); err != nil {
		return w, err
	}
	h, err := decode[healthItem](found[health])
	w.Health = h.health()
	return w, err
}

// AllOutgoing implements [store.Webhooks].
func (s *Store) AllOutgoing(ctx context.Context, sourceID string) (webhooks []boathook.OutgoingWebhook, err error) {
	var incomplete error
	for it, err := range s.below(ctx, sourceID, outgoingWebhooks) {
		if err != nil {
			return nil, fmt.Errorf("list outgoing webhooks of %s: %w", sourceID, err)
		}
		w, err := decode[boathook.OutgoingWebhook](it)
		if err != nil {
			s.unreadable(ctx, err)
			incomplete = fmt.Errorf("list outgoing webhooks of %s: %w", sourceID, store.ErrIncomplete)
			continue
		}
		webhooks = append(webhooks, w)
	}
	slices.SortStableFunc(webhooks, func(a, b boathook.OutgoingWebhook) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return webhooks, incomplete
}

// DeleteOutgoing implements [store.Webhooks]. The webhook goes first: a health's key
// does not name the source, and another source's must not be deleted. Where the
// health is left behind, or an attempt that ends meanwhile brings it back, it
// expires.
func (s *Store) DeleteOutgoing(ctx context.Context, sourceID, id string) error {
	if err := s.deleteWebhook(ctx, "outgoing webhook "+id, outgoingKey(sourceID, id)); err != nil {
		return err
	}
	if err := s.deleteRecord(ctx, healthKey(id)); err != nil {
		return fmt.Errorf("delete the health of outgoing webhook %s: %w", id, err)
	}
	return nil
}

// below reads all of a source's items whose sort keys have a prefix, the last
// key first.
func (s *Store) below(ctx context.Context, sourceID, prefix string) iter.Seq2[item, error] {
	l := list{table: s.config.ConfigTable, consistent: true, partition: sourceKey(sourceID).PK, prefix: prefix}
	return s.items(ctx, l.query("", boathook.MaxWebhooks+1)) // one more, to see the end
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
