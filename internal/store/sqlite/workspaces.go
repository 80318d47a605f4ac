package sqlite

import (
	"context"
	"crypto/sha256"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/database"
	"boathook/internal/store"
)

type workspaceItem struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	DataKey   []byte     `json:"data_key"`
	CreatedAt time.Time  `json:"created_at"`
	Portal    portalItem `json:"portal,omitzero"`
}

type portalItem struct {
	Name         string   `json:"name,omitempty"`
	Accent       string   `json:"accent,omitempty"`
	AccentDark   string   `json:"accent_dark,omitempty"`
	FrameOrigins []string `json:"frame_origins,omitempty"`
}

func newWorkspaceItem(w boathook.Workspace) workspaceItem {
	return workspaceItem{w.ID, w.Name, w.DataKey, w.CreatedAt, portalItem(w.Portal)}
}

func (it workspaceItem) workspace() boathook.Workspace {
	return boathook.Workspace{ID: it.ID, Name: it.Name, DataKey: it.DataKey, CreatedAt: it.CreatedAt, Portal: boathook.PortalSettings(it.Portal)}
}

// PutWorkspace implements [store.Workspaces].
func (s *Store) PutWorkspace(_ context.Context, w boathook.Workspace) error {
	if err := store.CheckIDs(w.ID); err != nil {
		return err
	}
	w.CreatedAt = stored(w.CreatedAt)
	return s.config.DB.Write(func(tx *database.Tx) error {
		put, err := tx.Change("INSERT INTO workspaces (id, created_at, item) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
			w.ID, w.CreatedAt, encode(newWorkspaceItem(w)))
		if err == nil && !put {
			err = boathook.Errorf(boathook.Conflict, "workspace %s exists", w.ID)
		}
		return err
	})
}

// Workspace implements [store.Workspaces].
func (s *Store) Workspace(_ context.Context, id string) (boathook.Workspace, error) {
	return one(s, "workspace", workspaceItem.workspace, "SELECT item FROM workspaces WHERE id = ?", id)
}

// PutPortal implements [store.Workspaces].
func (s *Store) PutPortal(_ context.Context, workspaceID string, p boathook.PortalSettings) error {
	return s.config.DB.Write(func(tx *database.Tx) error {
		it, found, err := first[workspaceItem](tx, "SELECT item FROM workspaces WHERE id = ?", workspaceID)
		if err == nil && !found {
			err = notFound("workspace")
		}
		if err != nil {
			return err
		}
		it.Portal = portalItem(p)
		return tx.Exec("UPDATE workspaces SET item = ? WHERE id = ?", encode(it), workspaceID)
	})
}

// Workspaces implements [store.Workspaces].
func (s *Store) Workspaces(_ context.Context, p boathook.Page) ([]boathook.Workspace, string, error) {
	return list(s, p, workspaceItem.workspace,
		"SELECT created_at, id, item FROM workspaces WHERE (created_at, id) < (?, ?) ORDER BY created_at DESC, id DESC")
}

// DeleteWorkspace implements [store.Workspaces].
func (s *Store) DeleteWorkspace(_ context.Context, id string) error {
	return s.config.DB.Write(func(tx *database.Tx) error {
		used, err := tx.Exists("SELECT 1 FROM tokens WHERE workspace_id = ?1 UNION ALL SELECT 1 FROM sources WHERE workspace_id = ?1", id)
		if err != nil {
			return err
		}
		var deleted bool
		if !used {
			if err := tx.Exec("DELETE FROM event_types WHERE workspace_id = ?", id); err != nil {
				return err
			}
			deleted, err = tx.Change("DELETE FROM workspaces WHERE id = ?", id)
		} else {
			deleted, err = tx.Exists("SELECT 1 FROM workspaces WHERE id = ?", id)
		}
		switch {
		case err != nil:
			return err
		case !deleted:
			return notFound("workspace")
		case used:
			return boathook.Errorf(boathook.Conflict, "workspace %s is not empty", id)
		}
		return nil
	})
}

type tokenItem struct {
	ID          string        `json:"id"`
	WorkspaceID string        `json:"workspace_id"`
	Name        string        `json:"name"`
	Role        boathook.Role `json:"role"`
	Hash        []byte        `json:"hash"`
	CreatedAt   time.Time     `json:"created_at"`
}

func (it tokenItem) token() boathook.Token {
	t := boathook.Token{ID: it.ID, WorkspaceID: it.WorkspaceID, Name: it.Name, Role: it.Role, CreatedAt: it.CreatedAt}
	copy(t.Hash[:], it.Hash)
	return t
}

// PutToken implements [store.Tokens].
func (s *Store) PutToken(_ context.Context, t boathook.Token) error {
	if err := store.CheckIDs(t.WorkspaceID, t.ID); err != nil {
		return err
	}
	item := tokenItem{t.ID, t.WorkspaceID, t.Name, t.Role, t.Hash[:], stored(t.CreatedAt)}
	return s.config.DB.Write(func(tx *database.Tx) error {
		return tx.Exec("INSERT OR REPLACE INTO tokens (workspace_id, id, hash, created_at, item) VALUES (?, ?, ?, ?, ?)",
			t.WorkspaceID, t.ID, t.Hash[:], item.CreatedAt, encode(item))
	})
}

// TokenByHash implements [store.Tokens].
func (s *Store) TokenByHash(_ context.Context, hash [sha256.Size]byte) (boathook.Token, error) {
	return known(s, &s.tokens, hash, "token", tokenItem.token, "SELECT item FROM tokens WHERE hash = ?", hash[:])
}

// Token implements [store.Tokens].
func (s *Store) Token(_ context.Context, workspaceID, id string) (boathook.Token, error) {
	return one(s, "token", tokenItem.token, "SELECT item FROM tokens WHERE workspace_id = ? AND id = ?", workspaceID, id)
}

// Tokens implements [store.Tokens].
func (s *Store) Tokens(_ context.Context, workspaceID string, p boathook.Page) ([]boathook.Token, string, error) {
	return list(s, p, tokenItem.token,
		"SELECT created_at, id, item FROM tokens WHERE workspace_id = ? AND (created_at, id) < (?, ?) ORDER BY created_at DESC, id DESC", workspaceID)
}

// DeleteToken implements [store.Tokens].
func (s *Store) DeleteToken(_ context.Context, workspaceID, id string) error {
	return s.delete("token", "DELETE FROM tokens WHERE workspace_id = ? AND id = ?", workspaceID, id)
}

// delete executes a statement that deletes one row. what names it in errors.
func (s *Store) delete(what, statement string, args ...any) error {
	return s.config.DB.Write(func(tx *database.Tx) error {
		deleted, err := tx.Change(statement, args...)
		if err == nil && !deleted {
			err = notFound(what)
		}
		return err
	})
}
