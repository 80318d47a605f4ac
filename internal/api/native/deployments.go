package native

import (
	"context"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// Deployments are described with [service.Deployments].
type Deployments interface {
	Create(ctx context.Context, c service.Caller, name string) (boathook.Source, error)
	List(ctx context.Context, c service.Caller, p boathook.Page) (deployments []boathook.Source, next string, err error)
	Get(ctx context.Context, c service.Caller, id string) (boathook.Source, error)
	Rename(ctx context.Context, c service.Caller, id string, name *string) (boathook.Source, error)
	Delete(ctx context.Context, c service.Caller, id string) error
}

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

func (f face) createDeployment(ctx context.Context, c httpjson.Call, in deploymentInput) (deploymentView, error) {
	s, err := f.Deployments.Create(ctx, c.Caller, in.Name)
	return viewDeployment(s), err
}

func (f face) listDeployments(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.List[deploymentView], error) {
	return httpjson.Listed(c, viewDeployment, func(p boathook.Page) ([]boathook.Source, string, error) {
		return f.Deployments.List(ctx, c.Caller, p)
	})
}

func (f face) getDeployment(ctx context.Context, c httpjson.Call, _ httpjson.None) (deploymentView, error) {
	s, err := f.Deployments.Get(ctx, c.Caller, c.PathValue("deployment"))
	return viewDeployment(s), err
}

type deploymentChange struct {
	Name *string `json:"name"`
}

func (f face) changeDeployment(ctx context.Context, c httpjson.Call, in deploymentChange) (deploymentView, error) {
	s, err := f.Deployments.Rename(ctx, c.Caller, c.PathValue("deployment"), in.Name)
	return viewDeployment(s), err
}

func (f face) deleteDeployment(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, f.Deployments.Delete(ctx, c.Caller, c.PathValue("deployment"))
}
