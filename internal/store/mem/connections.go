package mem

import (
	"cmp"
	"context"
	"slices"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// expired reports whether a connection counts as absent.
func (s *Store) expired(c boathook.Connection) bool { return !s.config.Now().Before(c.ExpiresAt()) }

// PutConnection implements [store.Connections].
func (s *Store) PutConnection(_ context.Context, c boathook.Connection) error {
	if err := store.CheckForeignID(c.ID); err != nil {
		return err
	}
	defer s.lock()()
	c.ConnectedAt = stored(c.ConnectedAt)
	s.connections[c.ID] = c
	return nil
}

// Connection implements [store.Connections].
func (s *Store) Connection(_ context.Context, id string) (boathook.Connection, error) {
	defer s.lock()()
	c, ok := s.connections[id]
	if !ok || s.expired(c) {
		delete(s.connections, id)
		return boathook.Connection{}, notFound("connection")
	}
	return c, nil
}

// DeleteConnection implements [store.Connections].
func (s *Store) DeleteConnection(_ context.Context, c boathook.Connection) error {
	defer s.lock()()
	s.unwatch(c)
	delete(s.connections, c.ID)
	return nil
}

func (s *Store) unwatch(c boathook.Connection) {
	delete(s.watchers[c.WorkspaceID], c.ID)
	if len(s.watchers[c.WorkspaceID]) == 0 {
		delete(s.watchers, c.WorkspaceID)
	}
}

// Watch implements [store.Connections].
func (s *Store) Watch(_ context.Context, c boathook.Connection) error {
	if err := cmp.Or(store.CheckIDs(c.WorkspaceID), store.CheckForeignID(c.ID)); err != nil {
		return err
	}
	defer s.lock()()
	if s.watchers[c.WorkspaceID] == nil {
		s.watchers[c.WorkspaceID] = make(map[string]boathook.Connection)
	}
	c.ConnectedAt = stored(c.ConnectedAt)
	s.watchers[c.WorkspaceID][c.ID] = c
	return nil
}

// Unwatch implements [store.Connections].
func (s *Store) Unwatch(_ context.Context, c boathook.Connection) error {
	defer s.lock()()
	s.unwatch(c)
	return nil
}

// Watchers implements [store.Connections].
func (s *Store) Watchers(_ context.Context, workspaceID string) (watchers []boathook.Connection, _ error) {
	defer s.lock()()
	for _, c := range s.watchers[workspaceID] {
		if s.expired(c) {
			s.unwatch(c)
			continue
		}
		watchers = append(watchers, c)
	}
	slices.SortFunc(watchers, func(a, b boathook.Connection) int { return cmp.Compare(a.ID, b.ID) })
	return watchers, nil
}

// WatchersBy implements [store.Connections].
func (s *Store) WatchersBy(ctx context.Context, workspaceID, tokenID string) ([]boathook.Connection, error) {
	watchers, err := s.Watchers(ctx, workspaceID)
	return slices.DeleteFunc(watchers, func(c boathook.Connection) bool { return c.TokenID != tokenID }), err
}
