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
	for _, ch := range boathook.Channels {
		s.unwatch(c, ch)
	}
	delete(s.connections, c.ID)
	return nil
}

func (s *Store) unwatch(c boathook.Connection, ch boathook.Channel) {
	of := ch.Of(c.WorkspaceID)
	delete(s.watchers[of], c.ID)
	if len(s.watchers[of]) == 0 {
		delete(s.watchers, of)
	}
}

// Watch implements [store.Connections].
func (s *Store) Watch(_ context.Context, c boathook.Connection, ch boathook.Channel) error {
	if err := cmp.Or(store.CheckIDs(c.WorkspaceID), store.CheckForeignID(c.ID)); err != nil {
		return err
	}
	defer s.lock()()
	of := ch.Of(c.WorkspaceID)
	if s.watchers[of] == nil {
		s.watchers[of] = make(map[string]boathook.Connection)
	}
	c.ConnectedAt = stored(c.ConnectedAt)
	s.watchers[of][c.ID] = c
	return nil
}

// Unwatch implements [store.Connections].
func (s *Store) Unwatch(_ context.Context, c boathook.Connection, ch boathook.Channel) error {
	defer s.lock()()
	s.unwatch(c, ch)
	return nil
}

// Watchers implements [store.Connections].
func (s *Store) Watchers(_ context.Context, workspaceID string, ch boathook.Channel) (watchers []boathook.Connection, _ error) {
	defer s.lock()()
	for _, c := range s.watchers[ch.Of(workspaceID)] {
		if s.expired(c) {
			s.unwatch(c, ch)
			continue
		}
		watchers = append(watchers, c)
	}
	slices.SortFunc(watchers, func(a, b boathook.Connection) int { return cmp.Compare(a.ID, b.ID) })
	return watchers, nil
}

// WatchersBy implements [store.Connections].
func (s *Store) WatchersBy(ctx context.Context, workspaceID, tokenID string) ([]boathook.Connection, error) {
	return store.WatchersBy(tokenID, func(ch boathook.Channel) ([]boathook.Connection, error) {
		return s.Watchers(ctx, workspaceID, ch)
	})
}
