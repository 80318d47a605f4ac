package service

import (
	"context"

	"boathook/internal/boathook"
)

// Crews hold agents.
type Crews struct{ *core }

// Create makes one.
func (w Crews) Create(ctx context.Context, c Caller, name string) (boathook.Source, error) {
	if err := c.May("Crews.Create"); err != nil {
		return boathook.Source{}, err
	}
	return w.addSource(ctx, c, boathook.Crew, boathook.CrewID, name)
}

// List gives the newest first.
func (w Crews) List(ctx context.Context, c Caller, p boathook.Page) (crews []boathook.Source, next string, err error) {
	if err := c.May("Crews.List"); err != nil {
		return nil, "", err
	}
	return w.cfg.Store.Sources(ctx, c.Workspace, boathook.Crew, p)
}

// Get finds one by its id.
func (w Crews) Get(ctx context.Context, c Caller, id string) (boathook.Source, error) {
	if err := c.May("Crews.Get"); err != nil {
		return boathook.Source{}, err
	}
	return w.source(ctx, c, boathook.Crew, id)
}

// Rename gives one another name; nil leaves it.
func (w Crews) Rename(ctx context.Context, c Caller, id string, name *string) (boathook.Source, error) {
	if err := c.May("Crews.Rename"); err != nil {
		return boathook.Source{}, err
	}
	s, err := w.source(ctx, c, boathook.Crew, id)
	if err != nil {
		return boathook.Source{}, err
	}
	return w.rename(ctx, s, name)
}

// Delete removes a crew that has no agents.
func (w Crews) Delete(ctx context.Context, c Caller, id string) error {
	if err := c.May("Crews.Delete"); err != nil {
		return err
	}
	s, err := w.source(ctx, c, boathook.Crew, id)
	if err != nil {
		return err
	}
	agents, next, err := w.cfg.Store.CrewAgents(ctx, c.Workspace, s.ID, boathook.Page{Limit: 1})
	if err != nil {
		return err
	}
	if len(agents) > 0 || next != "" {
		return boathook.Errorf(boathook.Conflict, "the crew has agents: delete them first")
	}
	return w.cfg.Store.DeleteSource(ctx, c.Workspace, s.ID)
}
