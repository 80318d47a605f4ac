package dynamo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"boathook/internal/boathook"
)

// connectionItem is a connection, by its id or among its workspace's watchers.
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

// DeleteConnection implements [store.Connections]. The watcher goes first: as
// long as the connection is there, its workspace is known.
func (s *Store) DeleteConnection(ctx context.Context, c boathook.Connection) error {
	keys := []key{connectionKey(c.ID)}
	if c.WorkspaceID != "" {
		keys = []key{watcherKey(c.WorkspaceID, c.ID), connectionKey(c.ID)}
	}
	for _, k := range keys {
		if err := s.deleteRecord(ctx, k); err != nil {
			return fmt.Errorf("delete connection %s: %w", c.ID, err)
		}
	}
	return nil
}

// Watch implements [store.Connections].
func (s *Store) Watch(ctx context.Context, c boathook.Connection) error {
	if err := s.putConnection(ctx, watcherKey(c.WorkspaceID, c.ID), c); err != nil {
		return fmt.Errorf("have connection %s watch %s: %w", c.ID, c.WorkspaceID, err)
	}
	return nil
}

// Unwatch implements [store.Connections].
func (s *Store) Unwatch(ctx context.Context, c boathook.Connection) error {
	if err := s.deleteRecord(ctx, watcherKey(c.WorkspaceID, c.ID)); err != nil {
		return fmt.Errorf("have connection %s watch %s no more: %w", c.ID, c.WorkspaceID, err)
	}
	return nil
}

// Watchers implements [store.Connections].
func (s *Store) Watchers(ctx context.Context, workspaceID string) ([]boathook.Connection, error) {
	return s.watchers(ctx, workspaceID, false)
}

// WatchersBy implements [store.Connections].
func (s *Store) WatchersBy(ctx context.Context, workspaceID, tokenID string) ([]boathook.Connection, error) {
	watchers, err := s.watchers(ctx, workspaceID, true)
	return slices.DeleteFunc(watchers, func(c boathook.Connection) bool { return c.TokenID != tokenID }), err
}

func (s *Store) watchers(ctx context.Context, workspaceID string, consistent bool) (watchers []boathook.Connection, err error) {
	for it, err := range s.items(ctx, &dynamodb.QueryInput{
		TableName:                 &s.config.RecordsTable,
		ConsistentRead:            &consistent,
		KeyConditionExpression:    aws.String("pk = :pk"),
		ExpressionAttributeValues: item{":pk": str(watchersPartition(workspaceID))},
	}) {
		var c connectionItem
		if err == nil {
			c, err = decode[connectionItem](it)
		}
		if err != nil {
			return nil, fmt.Errorf("list the watchers of %s: %w", workspaceID, err)
		}
		watchers = append(watchers, c.connection())
	}
	return watchers, nil
}
