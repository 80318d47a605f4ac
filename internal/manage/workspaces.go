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
