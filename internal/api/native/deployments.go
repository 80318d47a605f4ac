package native

import (
	"context"
	"time"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// Deployments are described with [service.Deployments].
type Deployments interface {
	Create(ctx context.Context, c service.Caller, in service.DeploymentChange) (boathook.Source, error)
	List(ctx context.Context, c service.Caller, p boathook.Page) (deployments []boathook.Source, next string, err error)
	Get(ctx context.Context, c service.Caller, id string) (boathook.Source, error)
	Change(ctx context.Context, c service.Caller, id string, in service.DeploymentChange) (boathook.Source, error)
	Delete(ctx context.Context, c service.Caller, id string) error
}

type deploymentView struct {
	namedView
	Retry       *runRetriesView `json:"retry"`         // nil: failed runs are not retried
	MaxInFlight *int            `json:"max_in_flight"` // nil: there is no limit
}

type runRetriesView struct {
	Max            int `json:"max"`
	BackoffSeconds int `json:"backoff_seconds"`
}

func viewDeployment(s boathook.Source) deploymentView {
	view := deploymentView{namedView: viewNamed(s)}
	if retry := s.DeploymentSettings().Retry; retry.Max > 0 {
		view.Retry = &runRetriesView{retry.Max, int(retry.Backoff / time.Second)}
	}
	if limit := s.DeploymentSettings().MaxInFlight; limit > 0 {
		view.MaxInFlight = &limit
	}
	return view
}

// deploymentInput makes a deployment or, with the fields that are given, changes it.
type deploymentInput struct {
	Name        *string          `json:"name"`
	Retry       *runRetriesInput `json:"retry"`
	MaxInFlight *int             `json:"max_in_flight"` // 0 ends it
}

type runRetriesInput struct {
	Max            *int `json:"max"` // 0 ends it
	BackoffSeconds *int `json:"backoff_seconds"`
}

func (in deploymentInput) read() service.DeploymentChange {
	change := service.DeploymentChange{Name: in.Name, MaxInFlight: in.MaxInFlight}
	if in.Retry != nil {
		change.Retry = &service.RunRetries{Max: in.Retry.Max, BackoffSeconds: in.Retry.BackoffSeconds}
	}
	return change
}

func (f face) createDeployment(ctx context.Context, c httpjson.Call, in deploymentInput) (deploymentView, error) {
	d, err := f.Deployments.Create(ctx, c.Caller, in.read())
	return viewDeployment(d), err
}

func (f face) listDeployments(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.List[deploymentView], error) {
	return httpjson.Listed(c, viewDeployment, func(p boathook.Page) ([]boathook.Source, string, error) {
		return f.Deployments.List(ctx, c.Caller, p)
	})
}

func (f face) getDeployment(ctx context.Context, c httpjson.Call, _ httpjson.None) (deploymentView, error) {
	d, err := f.Deployments.Get(ctx, c.Caller, c.PathValue("deployment"))
	return viewDeployment(d), err
}

func (f face) changeDeployment(ctx context.Context, c httpjson.Call, in deploymentInput) (deploymentView, error) {
	d, err := f.Deployments.Change(ctx, c.Caller, c.PathValue("deployment"), in.read())
	return viewDeployment(d), err
}

func (f face) deleteDeployment(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, f.Deployments.Delete(ctx, c.Caller, c.PathValue("deployment"))
}
