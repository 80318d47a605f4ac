package manage

import (
	"context"
	"fmt"

	"boathook/internal/boathook"
)

type tokenView struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Role      boathook.Role `json:"role"`
	CreatedAt boathook.Time `json:"created_at"`
	Token     string        `json:"token,omitempty"` // once
}

func viewToken(t boathook.Token) tokenView {
	return tokenView{ID: t.ID, Name: t.Name, Role: t.Role, CreatedAt: boathook.Time{Time: t.CreatedAt}}
}

type tokenInput struct {
	Name string        `json:"name"`
	Role boathook.Role `json:"role"`
}

func (h *Handler) createToken(ctx context.Context, c call, in tokenInput) (tokenView, error) {
	if err := checkName(in.Name); err != nil {
		return tokenView{}, err
	}
	if !in.Role.Valid() {
		return tokenView{}, boathook.InvalidField("role", "must be %s, %s or %s", boathook.Viewer, boathook.Member, boathook.Admin)
	}
	return h.putToken(ctx, c.workspace, in.Name, in.Role)
}

// putToken stores a new token, and shows it with its text.
func (h *Handler) putToken(ctx context.Context, workspaceID, name string, role boathook.Role) (tokenView, error) {
	text := boathook.NewAPIToken()
	t := boathook.Token{
		ID: boathook.NewID(boathook.TokenID), WorkspaceID: workspaceID, Name: name, Role: role,
		Hash: boathook.HashToken(text), CreatedAt: h.cfg.Now(),
	}
	view := viewToken(t)
	view.Token = text
	return view, h.cfg.Store.PutToken(ctx, t)
}

func (h *Handler) listTokens(ctx context.Context, c call, _ none) (list[tokenView], error) {
	p, err := c.page()
	if err != nil {
		return list[tokenView]{}, err
	}
	tokens, next, err := h.cfg.Store.Tokens(ctx, c.workspace, p)
	return viewList(tokens, next, viewToken), err
}

func (h *Handler) getToken(ctx context.Context, c call, _ none) (tokenView, error) {
	t, err := h.cfg.Store.Token(ctx, c.workspace, c.PathValue("token"))
	return viewToken(t), missing("token", c.PathValue("token"), err)
}

func (h *Handler) deleteToken(ctx context.Context, c call, _ none) (none, error) {
	return none{}, h.revoke(ctx, c.workspace, c.PathValue("token"))
}

// revoke deletes a token, and ends the WebSockets that it opened; it opens no more
// from then on. Where it is gone already they are looked for all the same: a
// repeat completes what a failed call has left.
func (h *Handler) revoke(ctx context.Context, workspaceID, id string) error {
	err := h.cfg.Store.DeleteToken(ctx, workspaceID, id)
	if err != nil && !boathook.IsKind(err, boathook.NotFound) {
		return err
	}
	if err := h.cfg.Watchers.CloseWatchers(ctx, workspaceID, id); err != nil {
		return fmt.Errorf("close the WebSockets of token %s: %w", id, err)
	}
	return missing("token", id, err)
}
