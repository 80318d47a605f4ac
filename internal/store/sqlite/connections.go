package sqlite

import (
	"cmp"
	"context"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/database"
	"boathook/internal/store"
)

type connectionItem struct {
	ID          string    `json:"id"`
	WorkspaceID string    `json:"workspace_id,omitempty"`
	TokenID     string    `json:"token_id,omitempty"`
	ConnectedAt time.Time `json:"connected_at"`
}

func newConnectionItem(c boathook.Connection) connectionItem {
	c.ConnectedAt = stored(c.ConnectedAt)
	return connectionItem(c)
}

func (it connectionItem) connection() boathook.Connection { return boathook.Connection(it) }

// PutConnection implements [store.Connections].
func (s *Store) PutConnection(_ context.Context, c boathook.Connection) error {
	if err := store.CheckForeignID(c.ID); err != nil {
		return err
	}
	return s.config.DB.Write(func(tx *database.Tx) error {
		return tx.Exec("INSERT OR REPLACE INTO connections (id, expires, item) VALUES (?, ?, ?)", c.ID, c.ExpiresAt(), encode(newConnectionItem(c)))
	})
}

// Connection implements [store.Connections].
func (s *Store) Connection(_ context.Context, id string) (boathook.Connection, error) {
	return one(s, "connection", connectionItem.connection, "SELECT item FROM connections WHERE id = ? AND expires > ?", id, s.now())
}

// DeleteConnection implements [store.Connections].
func (s *Store) DeleteConnection(_ context.Context, c boathook.Connection) error {
	return s.config.DB.Write(func(tx *database.Tx) error {
		if err := unwatch(tx, c); err != nil {
			return err
		}
		return tx.Exec("DELETE FROM connections WHERE id = ?", c.ID)
	})
}

func unwatch(tx *database.Tx, c boathook.Connection) error {
	return tx.Exec("DELETE FROM watchers WHERE workspace_id = ? AND id = ?", c.WorkspaceID, c.ID)
}

// Watch implements [store.Connections].
func (s *Store) Watch(_ context.Context, c boathook.Connection) error {
	if err := cmp.Or(store.CheckIDs(c.WorkspaceID), store.CheckForeignID(c.ID)); err != nil {
		return err
	}
	return s.config.DB.Write(func(tx *database.Tx) error {
		return tx.Exec("INSERT OR REPLACE INTO watchers (workspace_id, id, token_id, expires, item) VALUES (?, ?, ?, ?, ?)",
			c.WorkspaceID, c.ID, c.TokenID, c.ExpiresAt(), encode(newConnectionItem(c)))
	})
}

// Unwatch implements [store.Connections].
func (s *Store) Unwatch(_ context.Context, c boathook.Connection) error {
	return s.config.DB.Write(func(tx *database.Tx) error { return unwatch(tx, c) })
}

// Watchers implements [store.Connections].
func (s *Store) Watchers(_ context.Context, workspaceID string) ([]boathook.Connection, error) {
	return s.watchers("SELECT item FROM watchers WHERE workspace_id = ? AND expires > ? ORDER BY id", workspaceID, s.now())
}

// WatchersBy implements [store.Connections].
func (s *Store) WatchersBy(_ context.Context, workspaceID, tokenID string) ([]boathook.Connection, error) {
	return s.watchers("SELECT item FROM watchers WHERE workspace_id = ? AND token_id = ? AND expires > ? ORDER BY id", workspaceID, tokenID, s.now())
}

func (s *Store) watchers(query string, args ...any) ([]boathook.Connection, error) {
	return read(s, func(tx *database.Tx) ([]boathook.Connection, error) {
		items, err := readable(all[connectionItem](s, tx, query, args...))
		return each(items, connectionItem.connection), err
	})
}
