package manage

import (
	"context"

	"boathook/internal/boathook"
)

type deploymentView struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	CreatedAt boathook.Time `json:"created_at"`
}

func viewDeployment(s boathook.Source) deploymentView {
	return deploymentView{s.ID, s.Name, boathook.Time{Time: s.CreatedAt}}
}

// deployment is the one that the path names.
func (h *Handler) deployment(ctx context.Context, c call) (boathook.Source, error) {
	return h.source(ctx, c, boathook.Deployment, c.PathValue("deployment"))
}

type deploymentInput struct {
	Name string `json:"name"`
}

func (h *Handler) createDeployment(ctx context.Context, c call, in deploymentInput) (deploymentView, error) {
	if err := checkName(in.Name); err != nil {
		return deploymentView{}, err
	}
	s := boathook.Source{
		ID: boathook.NewID(boathook.DeploymentID), WorkspaceID: c.workspace,
		Kind: boathook.Deployment, Name: in.Name, CreatedAt: h.cfg.Now(),
	}
	return viewDeployment(s), h.cfg.Store.PutSource(ctx, s)
}

func (h *Handler) listDeployments(ctx context.Context, c call, _ none) (list[deploymentView], error) {
	p, err := c.page()
	if err != nil {
		return list[deploymentView]{}, err
	}
	sources, next, err := h.cfg.Store.Sources(ctx, c.workspace, boathook.Deployment, p)
	return viewList(sources, next, viewDeployment), err
}

func (h *Handler) getDeployment(ctx context.Context, c call, _ none) (deploymentView, error) {
	s, err := h.deployment(ctx, c)
	return viewDeployment(s), err
}

type deploymentChange struct {
	Name *string `json:"name"`
}

func (h *Handler) changeDeployment(ctx context.Context, c call, in deploymentChange) (deploymentView, error) {
	s, err := h.deployment(ctx, c)
	if err != nil {
		return deploymentView{}, err
	}
	if in.Name != nil {
		if err := checkName(*in.Name); err != nil {
			return deploymentView{}, err
		}
		s.Name = *in.Name
	}
	return viewDeployment(s), h.cfg.Store.PutSource(ctx, s)
}

func (h *Handler) deleteDeployment(ctx context.Context, c call, _ none) (none, error) {
	return none{}, h.deleteIdle(ctx, c, boathook.Deployment, boathook.DeploymentID, c.PathValue("deployment"), func(_ call, s boathook.Source) error {
		return wantKind(s, boathook.Deployment)
	})
}
