package service

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"

	"boathook/internal/boathook"
)

// Caller is who asks. The zero Caller may do nothing.
type Caller struct {
	Workspace string        // the caller's
	TokenID   string        // of the API token that the caller holds; empty if that is the stack's own
	Role      boathook.Role // in the workspace
	Stack     bool          // the caller holds the stack's own admin token
	Customer  string        // the id of the customer whose portal the caller is in; empty: in none
}

// May refuses an operation that the caller's role does not allow: the error is
// [boathook.Forbidden]. A face asks before it reads a request's body, and the
// operation asks again.
func (c Caller) May(op Operation) error {
	least, ok := leastRoles[op]
	if !ok {
		return boathook.Errorf(boathook.Forbidden, "there is no operation %s", op)
	}
	if c.Customer != "" && !ofPortals[op] {
		return boathook.Errorf(boathook.Forbidden, "this needs a token of the workspace: a customer's portal does not have it")
	}
	if least == internal && c.Role != internal {
		return boathook.Errorf(boathook.Forbidden, "this needs the stack's internal token")
	}
	if least != internal && !c.Role.Allows(least) {
		return boathook.Errorf(boathook.Forbidden, "this needs a token with the role %s", least)
	}
	return nil
}

// Callers finds out who asks.
type Callers struct{ *core }

var errNoToken = boathook.Errorf(boathook.Unauthorized, "a valid API token is needed: Authorization: Bearer %s…", boathook.APITokenPrefix)

// Find is the caller who holds an API token, by the token's text; empty is nobody's.
// Look-ups are not cached, so that a token that was revoked is refused at once; they
// are by hash, so their time tells nothing of a token. The error is
// [boathook.Unauthorized] for a token that is none.
func (k Callers) Find(ctx context.Context, token string) (Caller, error) {
	if token == "" {
		return Caller{}, errNoToken
	}
	return k.FindByHash(ctx, boathook.HashToken(token))
}

// FindByHash is Find by a token's hash, of which a session keeps no more.
func (k Callers) FindByHash(ctx context.Context, hash [sha256.Size]byte) (Caller, error) {
	// Users' tokens first: they must be good while the stack's own can't be read.
	t, err := k.cfg.Store.TokenByHash(ctx, hash)
	if err == nil {
		return Caller{Workspace: t.WorkspaceID, TokenID: t.ID, Role: t.Role}, nil
	}
	if !boathook.IsKind(err, boathook.NotFound) {
		return Caller{}, fmt.Errorf("look up a token: %w", err)
	}
	admin, err := k.cfg.AdminToken(ctx)
	if err != nil {
		return Caller{}, fmt.Errorf("read the admin token: %w", err)
	}
	adminHash := boathook.HashToken(admin)
	if subtle.ConstantTimeCompare(hash[:], adminHash[:]) == 1 {
		return Caller{Workspace: k.cfg.Workspace, Role: boathook.Admin, Stack: true}, k.EnsureWorkspace(ctx)
	}
	return Caller{}, errNoToken
}

// FindInternal is the caller who holds the stack's internal token, by its text; while
// none is set, that is nobody. The error is [boathook.Unauthorized] for another text,
// in Crewship's words.
func (k Callers) FindInternal(ctx context.Context, text string) (Caller, error) {
	token, err := k.cfg.InternalToken(ctx)
	if err != nil {
		return Caller{}, fmt.Errorf("read the internal token: %w", err)
	}
	given, want := boathook.HashToken(text), boathook.HashToken(token)
	if token == "" || subtle.ConstantTimeCompare(given[:], want[:]) != 1 {
		return Caller{}, boathook.Errorf(boathook.Unauthorized, "Unauthorized")
	}
	return Caller{Role: internal}, nil
}

// EnsureWorkspace creates the first workspace if there is none yet. The
// stack's admin token does so on its first use.
func (k Callers) EnsureWorkspace(ctx context.Context) error {
	if k.ensured.Load() {
		return nil
	}
	_, err := k.cfg.Store.Workspace(ctx, k.cfg.Workspace)
	if boathook.IsKind(err, boathook.NotFound) {
		_, err = k.putWorkspace(ctx, k.cfg.Workspace, "Default")
		if boathook.IsKind(err, boathook.Conflict) {
			err = nil // another process was faster
		}
	}
	if err != nil {
		return fmt.Errorf("ensure workspace %s: %w", k.cfg.Workspace, err)
	}
	k.ensured.Store(true)
	return nil
}

// operator refuses whoever is not of the first workspace. The queues hold the messages
// of every workspace, and whoever sees all workspaces can let themselves into each.
func (k *core) operator(c Caller) error {
	if c.Workspace != k.cfg.Workspace {
		return boathook.Errorf(boathook.Forbidden, "this needs an admin of the stack's first workspace")
	}
	return nil
}
