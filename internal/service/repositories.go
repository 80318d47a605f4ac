package service

import (
	"context"
	"strings"
	"unicode/utf8"

	"boathook/internal/boathook"
)

// Repositories are sources of Shipway's events.
type Repositories struct{ *core }

// Create refuses one that is there: its id follows from its names.
func (r Repositories) Create(ctx context.Context, c Caller, owner, name string) (boathook.Source, error) {
	if err := c.May("Repositories.Create"); err != nil {
		return boathook.Source{}, err
	}
	if err := checkPathName("owner", owner); err != nil {
		return boathook.Source{}, err
	}
	if err := checkPathName("name", name); err != nil {
		return boathook.Source{}, err
	}
	s := boathook.Source{
		ID: boathook.NewRepositoryID(c.Workspace, owner, name), WorkspaceID: c.Workspace,
		Kind: boathook.Repository, Owner: owner, Name: name, CreatedAt: r.cfg.Now(),
	}
	switch _, err := r.cfg.Store.Source(ctx, c.Workspace, s.ID); {
	case err == nil:
		return boathook.Source{}, boathook.Errorf(boathook.Conflict, "there is a repository %s/%s already", owner, name)
	case !boathook.IsKind(err, boathook.NotFound):
		return boathook.Source{}, err
	}
	return s, r.cfg.Store.PutSource(ctx, s)
}

// checkPathName takes what can be a part of a path as it is.
func checkPathName(field, name string) error {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	if strings.Trim(name, allowed) != "" {
		return boathook.InvalidField(field, "must have letters, digits, -, _ and . only")
	}
	if name == "" || name == "." || name == ".." || utf8.RuneCountInString(name) > boathook.MaxNameLength {
		return boathook.InvalidField(field, "must have 1 to %d characters", boathook.MaxNameLength)
	}
	return nil
}

// List gives the newest first.
func (r Repositories) List(ctx context.Context, c Caller, p boathook.Page) (repositories []boathook.Source, next string, err error) {
	if err := c.May("Repositories.List"); err != nil {
		return nil, "", err
	}
	return r.cfg.Store.Sources(ctx, c.Workspace, boathook.Repository, p)
}

// Get finds one by its id.
func (r Repositories) Get(ctx context.Context, c Caller, id string) (boathook.Source, error) {
	if err := c.May("Repositories.Get"); err != nil {
		return boathook.Source{}, err
	}
	return r.source(ctx, c, boathook.Repository, id)
}

// Delete removes a repository and its webhooks.
func (r Repositories) Delete(ctx context.Context, c Caller, id string) error {
	if err := c.May("Repositories.Delete"); err != nil {
		return err
	}
	return r.deleteSource(ctx, c, boathook.Repository, boathook.RepositoryID, id)
}
