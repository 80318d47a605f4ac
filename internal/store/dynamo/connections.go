package dynamo

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// connectionItem is a connection, by its id or among the watchers of a channel. Each
// channel has an item of its own: so who subscribes to two at once needs no condition,
// and a look-up reads no watcher of the other.
type connectionItem struct {
	record
	ID          string    `dynamodbav:"id"`
	WorkspaceID string    `dynamodbav:"ws,omitempty"`
	TokenID     string    `dynamodbav:"tok,omitempty"`
	ConnectedAt time.Time `dynamodbav:"at"`
}

func newConnectionItem(k key, c boathook.Connection) connectionItem {
	return connectionItem{record{k, c.ExpiresAt().Unix()}, c.ID, c.WorkspaceID, c.TokenID, c.ConnectedAt}
}

func (it connectionItem) connection() boathook.Connection {
	return boathook.Connection{ID: it.ID, WorkspaceID: it.WorkspaceID, TokenID: it.TokenID, ConnectedAt: it.ConnectedAt}
}

func (s *Store) putConnection(ctx context.Context, k key, c boathook.Connection) error {
	_, err := s.putRecord(ctx, newConnectionItem(k, c), "", nil)
	return err
}

// PutConnection implements [store.Connections].
func (s *Store) PutConnection(ctx context.Context, c boathook.Connection) error {
	if err := s.putConnection(ctx, connectionKey(c.ID), c); err != nil {
		return fmt.Errorf("put connection %s: %w", c.ID, err)
	}
	return nil
}

// Connection implements [store.Connections].
func (s *Store) Connection(ctx context.Context, id string) (boathook.Connection, error) {
	it, err := s.read(ctx, s.config.RecordsTable, connectionKey(id), true)
	if err != nil {
		return boathook.Connection{}, fmt.Errorf("get connection %s: %w", id, err)
	}
	if it == nil {
		return boathook.Connection{}, notFound("connection")
	}
	c, err := decode[connectionItem](it)
	return c.connection(), err
}

// DeleteConnection implements [store.Connections]. The watchers go first: as
// long as the connection is there, its workspace is known.
func (s *Store) DeleteConnection(ctx context.Context, c boathook.Connection) error {
	var keys []key
	if c.WorkspaceID != "" {
		for _, ch := range boathook.Channels {
			keys = append(keys, watcherKey(c.WorkspaceID, ch, c.ID))
		}
	}
	for _, k := range append(keys, connectionKey(c.ID)) {
		if err := s.deleteRecord(ctx, k); err != nil {
			return fmt.Errorf("delete connection %s: %w", c.ID, err)
		}
	}
	return nil
}

// Watch implements [store.Connections].
func (s *Store) Watch(ctx context.Context, c boathook.Connection, ch boathook.Channel) error {
	if err := s.putConnection(ctx, watcherKey(c.WorkspaceID, ch, c.ID), c); err != nil {
		return fmt.Errorf("have connection %s watch %s: %w", c.ID, ch.Of(c.WorkspaceID), err)
	}
	return nil
}

// Unwatch implements [store.Connections].
func (s *Store) Unwatch(ctx context.Context, c boathook.Connection, ch boathook.Channel) error {
	if err := s.deleteRecord(ctx, watcherKey(c.WorkspaceID, ch, c.ID)); err != nil {
		return fmt.Errorf("have connection %s watch %s no more: %w", c.ID, ch.Of(c.WorkspaceID), err)
	}
	return nil
}

// Watchers implements [store.Connections]. Those of deliveries are read consistently: a
// developer who has just subscribed, and then makes one delivery, must not miss it.
func (s *Store) Watchers(ctx context.Context, workspaceID string, ch boathook.Channel) ([]boathook.Connection, error) {
	return s.watchers(ctx, workspaceID, ch, ch != boathook.LogChannel)
}

// WatchersBy implements [store.Connections].
func (s *Store) WatchersBy(ctx context.Context, workspaceID, tokenID string) ([]boathook.Connection, error) {
	return store.WatchersBy(tokenID, func(ch boathook.Channel) ([]boathook.Connection, error) {
		return s.watchers(ctx, workspaceID, ch, true)
	})
}

func (s *Store) watchers(ctx context.Context, workspaceID string, ch boathook.Channel, consistent bool) (watchers []boathook.Connection, err error) {
	for it, err := range s.items(ctx, &dynamodb.QueryInput{
		TableName:                 &s.config.RecordsTable,
		ConsistentRead:            &consistent,
		KeyConditionExpression:    aws.String("pk = :pk"),
		ExpressionAttributeValues: item{":pk": str(watchersPartition(workspaceID, ch))},
	}) {
		var c connectionItem
		if err == nil {
			c, err = decode[connectionItem](it)
		}
		if err != nil {
			return nil, fmt.Errorf("list the watchers of %s: %w", ch.Of(workspaceID), err)
		}
		watchers = append(watchers, c.connection())
	}
	return watchers, nil
}
