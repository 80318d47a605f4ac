package sqlite

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/database"
	"boathook/internal/store"
)

type eventTypeItem struct {
	Revision    int                `json:"revision"`
	WorkspaceID string             `json:"workspace_id"`
	Name        boathook.EventType `json:"name"`
	Description string             `json:"description"`
	Version     string             `json:"version,omitempty"`
	Schema      json.RawMessage    `json:"schema,omitempty"`
	Example     json.RawMessage    `json:"example,omitempty"`
	CreatedAt   time.Time          `json:"created_at"`
	UpdatedAt   time.Time          `json:"updated_at"`
	ArchivedAt  time.Time          `json:"archived_at,omitzero"`
}

func (it eventTypeItem) definition() boathook.TypeDefinition {
	it.Schema, it.Example = slices.Clone(it.Schema), slices.Clone(it.Example)
	return boathook.TypeDefinition(it)
}

// PutEventType implements [store.EventTypes].
func (s *Store) PutEventType(_ context.Context, t boathook.TypeDefinition) error {
	if err := cmp.Or(store.CheckIDs(t.WorkspaceID), store.CheckForeignID(string(t.Name))); err != nil {
		return err
	}
	return s.config.DB.Write(func(tx *database.Tx) error {
		old, _, err := first[eventTypeItem](tx, "SELECT item FROM event_types WHERE workspace_id = ? AND name = ?", t.WorkspaceID, string(t.Name))
		if err != nil {
			return err
		}
		if old.Revision != t.Revision {
			return errChanged
		}
		item := eventTypeItem(t)
		item.Revision++
		item.CreatedAt, item.UpdatedAt, item.ArchivedAt = stored(t.CreatedAt), stored(t.UpdatedAt), stored(t.ArchivedAt)
		return tx.Exec("INSERT OR REPLACE INTO event_types (workspace_id, name, item) VALUES (?, ?, ?)", t.WorkspaceID, string(t.Name), encode(item))
	})
}

// EventType implements [store.EventTypes].
func (s *Store) EventType(_ context.Context, workspaceID string, name boathook.EventType) (boathook.TypeDefinition, error) {
	return known(s, &s.types, ofWorkspace{workspaceID, string(name)}, "event type", eventTypeItem.definition,
		"SELECT item FROM event_types WHERE workspace_id = ? AND name = ?", workspaceID, string(name))
}

// AllEventTypes implements [store.EventTypes].
func (s *Store) AllEventTypes(_ context.Context, workspaceID string) ([]boathook.TypeDefinition, error) {
	return read(s, func(tx *database.Tx) ([]boathook.TypeDefinition, error) {
		items, err := readable(all[eventTypeItem](s, tx, "SELECT item FROM event_types WHERE workspace_id = ? ORDER BY name", workspaceID))
		return each(items, eventTypeItem.definition), err
	})
}
