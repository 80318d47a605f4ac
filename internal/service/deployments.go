package service

import (
	"context"

	"boathook/internal/boathook"
)

// Deployments are sources whose versions incoming webhooks run.
type Deployments struct{ *core }

// Create makes one.
func (d Deployments) Create(ctx context.Context, c Caller, name string) (boathook.Source, error) {
	if err := c.May("Deployments.Create"); err != nil {
		return boathook.Source{}, err
	}
	return d.addSource(ctx, c, boathook.Deployment, boathook.DeploymentID, name)
}

// List gives the newest first.
func (d Deployments) List(ctx context.Context, c Caller, p boathook.Page) (deployments []boathook.Source, next string, err error) {
	if err := c.May("Deployments.List"); err != nil {
		return nil, "", err
	}
	return d.cfg.Store.Sources(ctx, c.Workspace, boathook.Deployment, p)
}

// Get finds one by its id.
func (d Deployments) Get(ctx context.Context, c Caller, id string) (boathook.Source, error) {
	if err := c.May("Deployments.Get"); err != nil {
		return boathook.Source{}, err
	}
	return d.source(ctx, c, boathook.Deployment, id)
}

// Rename gives one another name; nil leaves it.
func (d Deployments) Rename(ctx context.Context, c Caller, id string, name *string) (boathook.Source, error) {
	if err := c.May("Deployments.Rename"); err != nil {
		return boathook.Source{}, err
	}
	s, err := d.source(ctx, c, boathook.Deployment, id)
	if err != nil {
		return boathook.Source{}, err
	}
	return d.rename(ctx, s, name)
}

// Delete removes a deployment on which nothing runs, with its versions and webhooks.
func (d Deployments) Delete(ctx context.Context, c Caller, id string) error {
	if err := c.May("Deployments.Delete"); err != nil {
		return err
	}
	return d.deleteIdle(ctx, c, boathook.Deployment, boathook.DeploymentID, id, func(s boathook.Source) error {
		return wantKind(s, boathook.Deployment)
	})
}
