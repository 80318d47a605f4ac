package service

import (
	"context"
	"fmt"

	"boathook/internal/boathook"
)

// Tokens are what API tokens a workspace has.
type Tokens struct{ *core }

// Create makes a token. Its text is given this once.
func (k Tokens) Create(ctx context.Context, c Caller, name string, role boathook.Role) (t boathook.Token, text string, err error) {
	if err := c.May("Tokens.Create"); err != nil {
		return boathook.Token{}, "", err
	}
	return k.addToken(ctx, c.Workspace, name, role)
}

// addToken checks and makes a token of a workspace.
func (k *core) addToken(ctx context.Context, workspaceID, name string, role boathook.Role) (t boathook.Token, text string, err error) {
	if err := checkName(name); err != nil {
		return boathook.Token{}, "", err
	}
	if !role.Valid() {
		return boathook.Token{}, "", boathook.InvalidField("role", "must be %s, %s or %s", boathook.Viewer, boathook.Member, boathook.Admin)
	}
	return k.putToken(ctx, workspaceID, name, role)
}

// putToken stores a new token.
func (k *core) putToken(ctx context.Context, workspaceID, name string, role boathook.Role) (t boathook.Token, text string, err error) {
	text = boathook.NewAPIToken()
	t = boathook.Token{
		ID: boathook.NewID(boathook.TokenID), WorkspaceID: workspaceID, Name: name, Role: role,
		Hash: boathook.HashToken(text), CreatedAt: k.cfg.Now(),
	}
	return t, text, k.cfg.Store.PutToken(ctx, t)
}

// List gives the newest first.
func (k Tokens) List(ctx context.Context, c Caller, p boathook.Page) (tokens []boathook.Token, next string, err error) {
	if err := c.May("Tokens.List"); err != nil {
		return nil, "", err
	}
	return k.cfg.Store.Tokens(ctx, c.Workspace, p)
}

// Get finds one by its id.
func (k Tokens) Get(ctx context.Context, c Caller, id string) (boathook.Token, error) {
	if err := c.May("Tokens.Get"); err != nil {
		return boathook.Token{}, err
	}
	t, err := k.cfg.Store.Token(ctx, c.Workspace, id)
	return t, missing("token", id, err)
}

// Mine is the token that the caller holds. That of the stack is not stored: it has no
// id, and the time of the workspace that it belongs to.
func (k Tokens) Mine(ctx context.Context, c Caller) (boathook.Token, error) {
	if err := c.May("Tokens.Mine"); err != nil {
		return boathook.Token{}, err
	}
	if c.Stack {
		w, err := k.cfg.Store.Workspace(ctx, c.Workspace)
		return boathook.Token{WorkspaceID: w.ID, Name: "The stack's admin token", Role: c.Role, CreatedAt: w.CreatedAt}, err
	}
	return k.cfg.Store.Token(ctx, c.Workspace, c.TokenID)
}

// Delete revokes a token, and ends the WebSockets that it opened.
func (k Tokens) Delete(ctx context.Context, c Caller, id string) error {
	if err := c.May("Tokens.Delete"); err != nil {
		return err
	}
	return k.revoke(ctx, c.Workspace, id)
}

// revoke deletes a token, and ends the WebSockets that it opened; it opens no more
// from then on. Where it is gone already they are looked for all the same: a
// repeat completes what a failed call has left.
func (k *core) revoke(ctx context.Context, workspaceID, id string) error {
	err := k.cfg.Store.DeleteToken(ctx, workspaceID, id)
	if err != nil && !boathook.IsKind(err, boathook.NotFound) {
		return err
	}
	if err := k.cfg.Watchers.CloseWatchers(ctx, workspaceID, id); err != nil {
		return fmt.Errorf("close the WebSockets of token %s: %w", id, err)
	}
	return missing("token", id, err)
}
