package mem

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// PutEventType implements [store.EventTypes].
func (s *Store) PutEventType(_ context.Context, t boathook.TypeDefinition) error {
	if err := cmp.Or(store.CheckIDs(t.WorkspaceID), store.CheckForeignID(string(t.Name))); err != nil {
		return err
	}
	defer s.lock()()
	types := s.eventTypes[t.WorkspaceID]
	if types[t.Name].Revision != t.Revision {
		return errChanged
	}
	if types == nil {
		types = make(map[boathook.EventType]boathook.TypeDefinition)
		s.eventTypes[t.WorkspaceID] = types
	}
	t.Revision++
	types[t.Name] = cloneEventType(t)
	return nil
}

// EventType implements [store.EventTypes].
func (s *Store) EventType(_ context.Context, workspaceID string, name boathook.EventType) (boathook.TypeDefinition, error) {
	defer s.lock()()
	t, ok := s.eventTypes[workspaceID][name]
	if !ok {
		return boathook.TypeDefinition{}, notFound("event type")
	}
	return cloneEventType(t), nil
}

// AllEventTypes implements [store.EventTypes].
func (s *Store) AllEventTypes(_ context.Context, workspaceID string) ([]boathook.TypeDefinition, error) {
	defer s.lock()()
	var types []boathook.TypeDefinition
	for _, t := range s.eventTypes[workspaceID] {
		types = append(types, cloneEventType(t))
	}
	slices.SortFunc(types, func(a, b boathook.TypeDefinition) int { return cmp.Compare(a.Name, b.Name) })
	return types, nil
}

func cloneEventType(t boathook.TypeDefinition) boathook.TypeDefinition {
	t.Schema, t.Example = bytes.Clone(t.Schema), bytes.Clone(t.Example)
	t.CreatedAt, t.UpdatedAt, t.ArchivedAt = stored(t.CreatedAt), stored(t.UpdatedAt), stored(t.ArchivedAt)
	return t
}
