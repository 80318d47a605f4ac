package manage

import (
	"context"
	"fmt"

	"boathook/internal/boathook"
)

type workspaceView struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	CreatedAt boathook.Time `json:"created_at"`
	Token     string        `json:"token,omitempty"` // of its first admin; once
}

func viewWorkspace(w boathook.Workspace) workspaceView {
	return workspaceView{ID: w.ID, Name: w.Name, CreatedAt: boathook.Time{Time: w.CreatedAt}}
}

// EnsureWorkspace creates the first workspace if there is none yet. The
// stack's admin token does so on its first use.
func (h *Handler) EnsureWorkspace(ctx context.Context) error {
	if h.ensured.Load() {
		return nil
	}
	_, err := h.cfg.Store.Workspace(ctx, h.cfg.Workspace)
	if boathook.IsKind(err, boathook.NotFound) {
		_, err = h.putWorkspace(ctx, h.cfg.Workspace, "Default")
		if boathook.IsKind(err, boathook.Conflict) {
			err = nil // another process was faster
		}
	}
	if err != nil {
		return fmt.Errorf("ensure workspace %s: %w", h.cfg.Workspace, err)
	}
	h.ensured.Store(true)
	return nil
}

func (h *Handler) putWorkspace(ctx context.Context, id, name string) (boathook.Workspace, error) {
	key, err := h.cfg.Seal.NewDataKey(ctx, id)
	if err != nil {
		return boathook.Workspace{}, fmt.Errorf("make a data key: %w", err)
	}
	w := boathook.Workspace{ID: id, Name: name, DataKey: key, CreatedAt: h.cfg.Now()}
	return w, h.cfg.Store.PutWorkspace(ctx, w)
}

type workspaceInput struct {
	Name string `json:"name"`
}

// workspaceID is the workspace of the path, which may not exist: the caller's own, or
// any for an admin of the first workspace.
func (h *Handler) workspaceID(c call) (string, error) {
	id := c.PathValue("workspace")
	if id != c.workspace && h.operator(c) != nil {
		return "", noSuch("workspace", id)
	}
	return id, nil
}

func (h *Handler) workspace(ctx context.Context, c call) (boathook.Workspace, error) {
	id, err := h.workspaceID(c)
	if err != nil {
		return boathook.Workspace{}, err
	}
	w, err := h.cfg.Store.Workspace(ctx, id)
	return w, missing("workspace", id, err)
}

func (h *Handler) listWorkspaces(ctx context.Context, c call, _ none) (list[workspaceView], error) {
	if err := h.operator(c); err != nil {
		return list[workspaceView]{}, err
	}
	p, err := c.page()
	if err != nil {
		return list[workspaceView]{}, err
	}
	workspaces, next, err := h.cfg.Store.Workspaces(ctx, p)
	return viewList(workspaces, next, viewWorkspace), err
}

func (h *Handler) getWorkspace(ctx context.Context, c call, _ none) (workspaceView, error) {
	w, err := h.workspace(ctx, c)
	return viewWorkspace(w), err
}

// createTokenOf is the way back into a workspace whose tokens are lost.
func (h *Handler) createTokenOf(ctx context.Context, c call, in tokenInput) (tokenView, error) {
	w, err := h.workspace(ctx, c)
	if err != nil {
		return tokenView{}, err
	}
	c.workspace = w.ID
	return h.createToken(ctx, c, in)
}

// deleteWorkspace removes an empty workspace and its tokens, which go first: who
// has none can't fill it again while it goes. A source that such a caller was
// making at that very moment keeps the workspace, for which a new token can be made.
// Where the call fails, a repeat completes it.
func (h *Handler) deleteWorkspace(ctx context.Context, c call, _ none) (none, error) {
	id, err := h.workspaceID(c)
	if err == nil {
		err = h.operator(c)
	}
	if err != nil {
		return none{}, err
	}
	if id == h.cfg.Workspace {
		return none{}, boathook.Errorf(boathook.Conflict, "the stack's first workspace can't be deleted: its admins look after all others")
	}
	if err := h.wantEmpty(ctx, id); err != nil {
		return none{}, err
	}
	for {
		tokens, _, err := h.cfg.Store.Tokens(ctx, id, boathook.Page{Limit: maxLimit})
		if err != nil {
			return none{}, err
		}
		if len(tokens) == 0 {
			break
		}
		for _, t := range tokens {
			if err := h.revoke(ctx, id, t.ID); err != nil && !boathook.IsKind(err, boathook.NotFound) {
				return none{}, err
			}
		}
	}
	return none{}, missing("workspace", id, h.cfg.Store.DeleteWorkspace(ctx, id))
}

// wantEmpty refuses a workspace that has sources. Agents are their crew's.
func (h *Handler) wantEmpty(ctx context.Context, workspaceID string) error {
	for _, kind := range []boathook.SourceKind{boathook.Deployment, boathook.Crew, boathook.Repository, boathook.App} {
		found, _, err := h.cfg.Store.Sources(ctx, workspaceID, kind, boathook.Page{Limit: 1})
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return boathook.Errorf(boathook.Conflict, "the workspace is not empty: it has the %s %s", kind, found[0].ID)
		}
	}
	return nil
}

// createWorkspace leaves a workspace that nobody can use if its token can't be
// stored; the caller creates another.
func (h *Handler) createWorkspace(ctx context.Context, c call, in workspaceInput) (workspaceView, error) {
	if !c.stack {
		return workspaceView{}, boathook.Errorf(boathook.Forbidden, "this needs the stack's own admin token")
	}
	if err := checkName(in.Name); err != nil {
		return workspaceView{}, err
	}
	w, err := h.putWorkspace(ctx, boathook.NewID(boathook.WorkspaceID), in.Name)
	if err != nil {
		return workspaceView{}, err
	}
	t, err := h.putToken(ctx, w.ID, "First admin", boathook.Admin)
	if err != nil {
		return workspaceView{}, err
	}
	view := viewWorkspace(w)
	view.Token = t.Token
	return view, nil
}
