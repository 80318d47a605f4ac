package manage

import (
	"context"

	"boathook/internal/api/httpjson"
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

type deploymentInput struct {
	Name string `json:"name"`
}

func (h *Handler) createDeployment(ctx context.Context, c call, in deploymentInput) (deploymentView, error) {
	s, err := h.service.Deployments.Create(ctx, c.Caller, in.Name)
	return viewDeployment(s), err
}

func (h *Handler) listDeployments(ctx context.Context, c call, _ httpjson.None) (httpjson.List[deploymentView], error) {
	return httpjson.Listed(c, viewDeployment, func(p boathook.Page) ([]boathook.Source, string, error) {
		return h.service.Deployments.List(ctx, c.Caller, p)
	})
}

func (h *Handler) getDeployment(ctx context.Context, c call, _ httpjson.None) (deploymentView, error) {
	s, err := h.service.Deployments.Get(ctx, c.Caller, c.PathValue("deployment"))
	return viewDeployment(s), err
}

type deploymentChange struct {
	Name *string `json:"name"`
}

func (h *Handler) changeDeployment(ctx context.Context, c call, in deploymentChange) (deploymentView, error) {
	s, err := h.service.Deployments.Rename(ctx, c.Caller, c.PathValue("deployment"), in.Name)
	return viewDeployment(s), err
}

func (h *Handler) deleteDeployment(ctx context.Context, c call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, h.service.Deployments.Delete(ctx, c.Caller, c.PathValue("deployment"))
}
