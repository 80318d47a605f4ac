package console

import (
	"context"

	"boathook/internal/boathook"
)

var roles = []option{
	{string(boathook.Viewer), "Viewer", "Sees everything but secrets"},
	{string(boathook.Member), "Member", "Sets up webhooks, publishes events, starts runs"},
	{string(boathook.Admin), "Admin", "Also says what is executed, sees secrets and makes tokens"},
}

// tokens lists the workspace's API tokens.
func (c *Console) tokens(ctx context.Context, r *request) (answer, error) {
	tokens, next, err := c.cfg.Service.Tokens.List(ctx, r.caller, r.part())
	if err != nil {
		return answer{}, err
	}
	return r.page("tokens", view{Title: "Tokens", Nav: "tokens", Data: map[string]any{
		"Tokens": tokens, "Mine": r.caller.TokenID, "Pager": r.pager(len(tokens), plural(len(tokens), "token", "tokens"), next),
	}})
}

func newTokenView() view {
	return view{Title: "Add token", Nav: "tokens", Crumbs: []link{{"Tokens", "/console/tokens"}}, Data: roles}
}

// newToken is the form of a new token.
func (c *Console) newToken(_ context.Context, r *request) (answer, error) {
	if err := r.caller.May("Tokens.Create"); err != nil {
		return answer{}, err
	}
	return r.page("token-new", newTokenView())
}

// createToken makes a token, and shows it once.
func (c *Console) createToken(ctx context.Context, r *request) (answer, error) {
	t, text, err := c.cfg.Service.Tokens.Create(ctx, r.caller, r.PostForm.Get("name"), boathook.Role(r.PostForm.Get("role")))
	if err != nil {
		return r.invalid("token-new", newTokenView(), err)
	}
	return r.page("token", view{Title: t.Name, Nav: "tokens", Crumbs: []link{{"Tokens", "/console/tokens"}}, Data: map[string]any{"Token": t, "Text": text}})
}

// askDeleteToken asks before a token is deleted.
func (c *Console) askDeleteToken(ctx context.Context, r *request) (answer, error) {
	if err := r.caller.May("Tokens.Delete"); err != nil {
		return answer{}, err
	}
	t, err := c.cfg.Service.Tokens.Get(ctx, r.caller, r.PathValue("token"))
	if err != nil {
		return answer{}, err
	}
	return r.page("token-delete", view{Title: "Delete token", Nav: "tokens", Crumbs: []link{{"Tokens", "/console/tokens"}}, Data: map[string]any{
		"Token": t, "Path": "/console/tokens/" + t.ID, "Mine": t.ID == r.caller.TokenID,
	}})
}

// deleteToken deletes a token. With one's own one is signed out.
func (c *Console) deleteToken(ctx context.Context, r *request) (answer, error) {
	id := r.PathValue("token")
	if err := c.cfg.Service.Tokens.Delete(ctx, r.caller, id); err != nil {
		return answer{}, err
	}
	if id == r.caller.TokenID {
		return c.signOut(ctx, r)
	}
	return r.redirect("/console/tokens", "The token is deleted")
}
