package manage

import (
	"context"

	"boathook/internal/api/httpjson"
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

type meView struct {
	Workspace workspaceView `json:"workspace"`
	Role      boathook.Role `json:"role"`
}

func (h *Handler) me(ctx context.Context, c call, _ httpjson.None) (meView, error) {
	w, err := h.service.Workspaces.Mine(ctx, c.Caller)
	return meView{viewWorkspace(w), c.Role}, err
}

type workspaceInput struct {
	Name string `json:"name"`
}

func (h *Handler) createWorkspace(ctx context.Context, c call, in workspaceInput) (workspaceView, error) {
	w, token, err := h.service.Workspaces.Create(ctx, c.Caller, in.Name)
	view := viewWorkspace(w)
	view.Token = token
	return view, err
}

func (h *Handler) listWorkspaces(ctx context.Context, c call, _ httpjson.None) (httpjson.List[workspaceView], error) {
	return httpjson.Listed(c, viewWorkspace, func(p boathook.Page) ([]boathook.Workspace, string, error) {
		return h.service.Workspaces.List(ctx, c.Caller, p)
	})
}

func (h *Handler) getWorkspace(ctx context.Context, c call, _ httpjson.None) (workspaceView, error) {
	w, err := h.service.Workspaces.Get(ctx, c.Caller, c.PathValue("workspace"))
	return viewWorkspace(w), err
}

func (h *Handler) createTokenOf(ctx context.Context, c call, in tokenInput) (tokenView, error) {
	t, text, err := h.service.Workspaces.CreateToken(ctx, c.Caller, c.PathValue("workspace"), in.Name, in.Role)
	return viewNewToken(t, text), err
}

func (h *Handler) deleteWorkspace(ctx context.Context, c call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, h.service.Workspaces.Delete(ctx, c.Caller, c.PathValue("workspace"))
}
