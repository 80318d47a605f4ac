package dynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// eventTypeItem is a type of events that a workspace defines.
type eventTypeItem struct {
	Revision    int                `dynamodbav:"Revision"`
	WorkspaceID string             `dynamodbav:"WorkspaceID"`
	Name        boathook.EventType `dynamodbav:"Name"`
	Description string             `dynamodbav:"Description"`
	Version     string             `dynamodbav:"Version"`
	Schema      []byte             `dynamodbav:"Schema,omitempty"`
	Example     []byte             `dynamodbav:"Example,omitempty"`
	CreatedAt   time.Time          `dynamodbav:"CreatedAt"`
	UpdatedAt   time.Time          `dynamodbav:"UpdatedAt"`
	ArchivedAt  time.Time          `dynamodbav:"ArchivedAt,omitempty"`
}

func newEventTypeItem(t boathook.TypeDefinition) eventTypeItem {
	return eventTypeItem{
		Revision: t.Revision, WorkspaceID: t.WorkspaceID, Name: t.Name, Description: t.Description, Version: t.Version,
		Schema: t.Schema, Example: t.Example, CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt, ArchivedAt: t.ArchivedAt,
	}
}

func (it eventTypeItem) definition() boathook.TypeDefinition {
	return boathook.TypeDefinition{
		Revision: it.Revision, WorkspaceID: it.WorkspaceID, Name: it.Name, Description: it.Description, Version: it.Version,
		Schema: it.Schema, Example: it.Example, CreatedAt: it.CreatedAt, UpdatedAt: it.UpdatedAt, ArchivedAt: it.ArchivedAt,
	}
}

// PutEventType implements [store.EventTypes].
func (s *Store) PutEventType(ctx context.Context, t boathook.TypeDefinition) error {
	read := t.Revision
	t.Revision++
	it, err := encodeAt(eventTypeKey(t.WorkspaceID, t.Name), newEventTypeItem(t))
	if err == nil {
		err = s.putRevision(ctx, it, read)
	}
	if err != nil {
		return fmt.Errorf("put event type %s: %w", t.Name, err)
	}
	return nil
}

// EventType implements [store.EventTypes].
func (s *Store) EventType(ctx context.Context, workspaceID string, name boathook.EventType) (boathook.TypeDefinition, error) {
	it, err := fetch[eventTypeItem](ctx, s, "event type", eventTypeKey(workspaceID, name), true)
	return it.definition(), err
}

// AllEventTypes implements [store.EventTypes].
func (s *Store) AllEventTypes(ctx context.Context, workspaceID string) ([]boathook.TypeDefinition, error) {
	l := list{table: s.config.ConfigTable, consistent: true, partition: eventTypesPartition(workspaceID), prefix: eventTypes}
	items, err := whole[eventTypeItem](ctx, s, l, boathook.MaxEventTypes)
	if err != nil && !errors.Is(err, store.ErrIncomplete) {
		return nil, fmt.Errorf("list event types of %s: %w", workspaceID, err)
	}
	slices.Reverse(items)
	return each(items, eventTypeItem.definition), nil
}

// deleteEventTypes removes all of a workspace.
func (s *Store) deleteEventTypes(ctx context.Context, workspaceID string) error {
	l := list{
		table: s.config.ConfigTable, consistent: true, partition: eventTypesPartition(workspaceID), prefix: eventTypes, columns: pkAttr + ", " + skAttr,
	}
	var requests []types.WriteRequest
	for it, err := range s.items(ctx, l.query("", boathook.MaxEventTypes+1)) {
		if err != nil {
			return err
		}
		requests = append(requests, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: it}})
	}
	return s.writeBatch(ctx, s.config.ConfigTable, requests)
}
