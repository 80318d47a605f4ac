package sqlite

import (
	"cmp"
	"context"
	"slices"
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

// watcherItem is a connection with the channels that it watches; none means the log,
// which was the only one once.
type watcherItem struct {
	connectionItem
	Channels []boathook.Channel `json:"channels,omitempty"`
}

func (it watcherItem) channels() []boathook.Channel {
	if len(it.Channels) == 0 {
		return []boathook.Channel{boathook.LogChannel}
	}
	return it.Channels
}

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
		if err := tx.Exec("DELETE FROM watchers WHERE workspace_id = ? AND id = ?", c.WorkspaceID, c.ID); err != nil {
			return err
		}
		return tx.Exec("DELETE FROM connections WHERE id = ?", c.ID)
	})
}

// watched are the channels that a connection watches.
func watched(tx *database.Tx, c boathook.Connection) ([]boathook.Channel, error) {
	it, found, err := first[watcherItem](tx, "SELECT item FROM watchers WHERE workspace_id = ? AND id = ?", c.WorkspaceID, c.ID)
	if err != nil || !found {
		return nil, err
	}
	return it.channels(), nil
}

// Watch implements [store.Connections].
func (s *Store) Watch(_ context.Context, c boathook.Connection, ch boathook.Channel) error {
	if err := cmp.Or(store.CheckIDs(c.WorkspaceID), store.CheckForeignID(c.ID)); err != nil {
		return err
	}
	return s.config.DB.Write(func(tx *database.Tx) error {
		channels, err := watched(tx, c)
		if err != nil {
			return err
		}
		if !slices.Contains(channels, ch) {
			channels = append(channels, ch)
		}
		return putWatcher(tx, c, channels)
	})
}

// putWatcher stores which channels a connection watches.
func putWatcher(tx *database.Tx, c boathook.Connection, channels []boathook.Channel) error {
	return tx.Exec("INSERT OR REPLACE INTO watchers (workspace_id, id, token_id, expires, item) VALUES (?, ?, ?, ?, ?)",
		c.WorkspaceID, c.ID, c.TokenID, c.ExpiresAt(), encode(watcherItem{newConnectionItem(c), channels}))
}

// Unwatch implements [store.Connections].
func (s *Store) Unwatch(_ context.Context, c boathook.Connection, ch boathook.Channel) error {
	return s.config.DB.Write(func(tx *database.Tx) error {
		channels, err := watched(tx, c)
		if err != nil || !slices.Contains(channels, ch) {
			return err
		}
		if len(channels) == 1 {
			return tx.Exec("DELETE FROM watchers WHERE workspace_id = ? AND id = ?", c.WorkspaceID, c.ID)
		}
		return putWatcher(tx, c, slices.DeleteFunc(channels, func(w boathook.Channel) bool { return w == ch }))
	})
}

// Watchers implements [store.Connections].
func (s *Store) Watchers(_ context.Context, workspaceID string, ch boathook.Channel) ([]boathook.Connection, error) {
	return s.watchers(func(it watcherItem) bool { return slices.Contains(it.channels(), ch) },
		"SELECT item FROM watchers WHERE workspace_id = ? AND expires > ? ORDER BY id", workspaceID, s.now())
}

// WatchersBy implements [store.Connections].
func (s *Store) WatchersBy(_ context.Context, workspaceID, tokenID string) ([]boathook.Connection, error) {
	return s.watchers(func(watcherItem) bool { return true },
		"SELECT item FROM watchers WHERE workspace_id = ? AND token_id = ? AND expires > ? ORDER BY id", workspaceID, tokenID, s.now())
}

func (s *Store) watchers(wanted func(watcherItem) bool, query string, args ...any) ([]boathook.Connection, error) {
	return read(s, func(tx *database.Tx) ([]boathook.Connection, error) {
		items, err := readable(all[watcherItem](s, tx, query, args...))
		items = slices.DeleteFunc(items, func(it watcherItem) bool { return !wanted(it) })
		return each(items, watcherItem.connection), err
	})
}
