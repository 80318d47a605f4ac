package service

import (
	"context"
	"fmt"

	"boathook/internal/boathook"
)

// Workspaces are the tenants of a stack.
type Workspaces struct{ *core }

// Mine is the caller's workspace.
func (k Workspaces) Mine(ctx context.Context, c Caller) (boathook.Workspace, error) {
	if err := c.May("Workspaces.Mine"); err != nil {
		return boathook.Workspace{}, err
	}
	return k.cfg.Store.Workspace(ctx, c.Workspace)
}

// Create makes a workspace and the token of its first admin, whose text is given this
// once. It leaves a workspace that nobody can use if its token can't be stored; the
// caller creates another.
func (k Workspaces) Create(ctx context.Context, c Caller, name string) (w boathook.Workspace, token string, err error) {
	if err := c.May("Workspaces.Create"); err != nil {
		return boathook.Workspace{}, "", err
	}
	if !c.Stack {
		return boathook.Workspace{}, "", boathook.Errorf(boathook.Forbidden, "this needs the stack's own admin token")
	}
	if err := checkName(name); err != nil {
		return boathook.Workspace{}, "", err
	}
	w, err = k.putWorkspace(ctx, boathook.NewID(boathook.WorkspaceID), name)
	if err != nil {
		return boathook.Workspace{}, "", err
	}
	_, token, err = k.putToken(ctx, w.ID, "First admin", boathook.Admin)
	return w, token, err
}

func (k *core) putWorkspace(ctx context.Context, id, name string) (boathook.Workspace, error) {
	key, err := k.cfg.Seal.NewDataKey(ctx, id)
	if err != nil {
		return boathook.Workspace{}, fmt.Errorf("make a data key: %w", err)
	}
	w := boathook.Workspace{ID: id, Name: name, DataKey: key, CreatedAt: k.cfg.Now()}
	return w, k.cfg.Store.PutWorkspace(ctx, w)
}

// List gives all workspaces of the stack.
func (k Workspaces) List(ctx context.Context, c Caller, p boathook.Page) (workspaces []boathook.Workspace, next string, err error) {
	if err := c.May("Workspaces.List"); err != nil {
		return nil, "", err
	}
	if err := k.operator(c); err != nil {
		return nil, "", err
	}
	return k.cfg.Store.Workspaces(ctx, p)
}

// Get finds one by its id.
func (k Workspaces) Get(ctx context.Context, c Caller, id string) (boathook.Workspace, error) {
	if err := c.May("Workspaces.Get"); err != nil {
		return boathook.Workspace{}, err
	}
	return k.workspace(ctx, c, id)
}

// reachable refuses a workspace that is neither the caller's own nor, for an admin of
// the first workspace, any.
func (k *core) reachable(c Caller, id string) error {
	if id != c.Workspace && k.operator(c) != nil {
		return noSuch("workspace", id)
	}
	return nil
}

func (k *core) workspace(ctx context.Context, c Caller, id string) (boathook.Workspace, error) {
	if err := k.reachable(c, id); err != nil {
		return boathook.Workspace{}, err
	}
	w, err := k.cfg.Store.Workspace(ctx, id)
	return w, missing("workspace", id, err)
}

// CreateToken makes a token of any workspace that the caller reaches. It is the way
// back into one whose tokens are lost.
func (k Workspaces) CreateToken(ctx context.Context, c Caller, id, name string, role boathook.Role) (t boathook.Token, text string, err error) {
	if err := c.May("Workspaces.CreateToken"); err != nil {
		return boathook.Token{}, "", err
	}
	w, err := k.workspace(ctx, c, id)
	if err != nil {
		return boathook.Token{}, "", err
	}
	return k.addToken(ctx, w.ID, name, role)
}

// Delete removes an empty workspace and its tokens, which go first: who has none
// can't fill it again while it goes. A source that such a caller was making at that
// very moment keeps the workspace, for which a new token can be made. Where the call
// fails, a repeat completes it.
func (k Workspaces) Delete(ctx context.Context, c Caller, id string) error {
	if err := c.May("Workspaces.Delete"); err != nil {
		return err
	}
	if err := k.reachable(c, id); err != nil {
		return err
	}
	if err := k.operator(c); err != nil {
		return err
	}
	if id == k.cfg.Workspace {
		return boathook.Errorf(boathook.Conflict, "the stack's first workspace can't be deleted: its admins look after all others")
	}
	if err := k.wantEmpty(ctx, id); err != nil {
		return err
	}
	for {
		tokens, _, err := k.cfg.Store.Tokens(ctx, id, boathook.Page{Limit: MaxLimit})
		if err != nil {
			return err
		}
		if len(tokens) == 0 {
			break
		}
		for _, t := range tokens {
			if err := k.revoke(ctx, id, t.ID); err != nil && !boathook.IsKind(err, boathook.NotFound) {
				return err
			}
		}
	}
	return missing("workspace", id, k.cfg.Store.DeleteWorkspace(ctx, id))
}

// wantEmpty refuses a workspace that has sources. Agents are their crew's.
func (k *core) wantEmpty(ctx context.Context, workspaceID string) error {
	for _, kind := range []boathook.SourceKind{boathook.Deployment, boathook.Crew, boathook.Repository, boathook.App, boathook.Customer, boathook.Alerts} {
		found, _, err := k.cfg.Store.Sources(ctx, workspaceID, kind, boathook.Page{Limit: 1})
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return boathook.Errorf(boathook.Conflict, "the workspace is not empty: it has the %s %s", kind, found[0].ID)
		}
	}
	return nil
}
