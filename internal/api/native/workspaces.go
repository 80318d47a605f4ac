package native

import (
	"context"
	"strings"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// Workspaces are described with [service.Workspaces].
type Workspaces interface {
	Mine(ctx context.Context, c service.Caller) (boathook.Workspace, error)
	Create(ctx context.Context, c service.Caller, name string) (w boathook.Workspace, token string, err error)
	List(ctx context.Context, c service.Caller, p boathook.Page) (workspaces []boathook.Workspace, next string, err error)
	Get(ctx context.Context, c service.Caller, id string) (boathook.Workspace, error)
	CreateToken(ctx context.Context, c service.Caller, id, name string, role boathook.Role) (t boathook.Token, text string, err error)
	Delete(ctx context.Context, c service.Caller, id string) error
}

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
	Workspace    workspaceView `json:"workspace"`
	Role         boathook.Role `json:"role"`
	WebSocketURL string        `json:"websocket_url"`
}

func (f face) me(ctx context.Context, c httpjson.Call, _ httpjson.None) (meView, error) {
	w, err := f.Workspaces.Mine(ctx, c.Caller)
	return meView{viewWorkspace(w), c.Role, f.watchersURL(c)}, err
}

// watchersURL is where watchers connect: as configured, or beside the API.
func (f face) watchersURL(c httpjson.Call) string {
	if f.webSocketURL != "" {
		return f.webSocketURL
	}
	return "ws" + strings.TrimPrefix(c.PublicURL(), "http") + "/ws"
}

type workspaceInput struct {
	Name string `json:"name"`
}

func (f face) createWorkspace(ctx context.Context, c httpjson.Call, in workspaceInput) (workspaceView, error) {
	w, token, err := f.Workspaces.Create(ctx, c.Caller, in.Name)
	view := viewWorkspace(w)
	view.Token = token
	return view, err
}

func (f face) listWorkspaces(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.List[workspaceView], error) {
	return httpjson.Listed(c, viewWorkspace, func(p boathook.Page) ([]boathook.Workspace, string, error) {
		return f.Workspaces.List(ctx, c.Caller, p)
	})
}

func (f face) getWorkspace(ctx context.Context, c httpjson.Call, _ httpjson.None) (workspaceView, error) {
	w, err := f.Workspaces.Get(ctx, c.Caller, c.PathValue("workspace"))
	return viewWorkspace(w), err
}

func (f face) createTokenOf(ctx context.Context, c httpjson.Call, in tokenInput) (tokenView, error) {
	t, text, err := f.Workspaces.CreateToken(ctx, c.Caller, c.PathValue("workspace"), in.Name, in.Role)
	return viewNewToken(t, text), err
}

func (f face) deleteWorkspace(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, f.Workspaces.Delete(ctx, c.Caller, c.PathValue("workspace"))
}
