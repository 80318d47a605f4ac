package native

import (
	"context"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// Versions are described with [service.Versions].
type Versions interface {
	Create(ctx context.Context, c service.Caller, deploymentID string, env boathook.Environment, target *service.Target) (boathook.Version, error)
	List(ctx context.Context, c service.Caller, deploymentID string, p boathook.Page) (versions []boathook.Version, live service.LiveVersions, next string, err error)
	Activate(ctx context.Context, c service.Caller, deploymentID, id string, env boathook.Environment) (boathook.Version, service.LiveVersions, error)
}

type versionView struct {
	ID           string                 `json:"id"`
	DeploymentID string                 `json:"deployment_id"`
	Number       int                    `json:"number"`
	Environment  boathook.Environment   `json:"environment"` // that it was made for
	LiveIn       []boathook.Environment `json:"live_in"`
	Target       boathook.Target        `json:"target"`
	CreatedAt    boathook.Time          `json:"created_at"`
}

func viewVersion(v boathook.Version, live map[boathook.Environment]boathook.LiveVersion) versionView {
	view := versionView{
		ID: v.ID, DeploymentID: v.SourceID, Number: v.Number, Environment: v.Environment,
		LiveIn: []boathook.Environment{}, Target: v.Target, CreatedAt: boathook.Time{Time: v.CreatedAt},
	}
	for _, env := range boathook.Environments {
		if live[env].ID == v.ID {
			view.LiveIn = append(view.LiveIn, env)
		}
	}
	return view
}

type versionInput struct {
	Environment boathook.Environment `json:"environment"`
	Target      *targetInput         `json:"target"`
}

// targetInput is a target as it is given; nil is a field that is not.
type targetInput struct {
	Type           boathook.TargetType `json:"type"`
	URL            *string             `json:"url"`
	Headers        map[string]string   `json:"headers"`
	FunctionARN    *string             `json:"function_arn"`
	RuntimeARN     *string             `json:"runtime_arn"`
	Argv           []string            `json:"argv"`
	TimeoutSeconds *int                `json:"timeout_seconds"`
}

func (in *targetInput) read() *service.Target { return (*service.Target)(in) }

func (f face) createVersion(ctx context.Context, c httpjson.Call, in versionInput) (versionView, error) {
	v, err := f.Versions.Create(ctx, c.Caller, c.PathValue("deployment"), in.Environment, in.Target.read())
	return viewVersion(v, map[boathook.Environment]boathook.LiveVersion{v.Environment: {ID: v.ID}}), err
}

func (f face) listVersions(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.List[versionView], error) {
	p, err := c.Page()
	if err != nil {
		return httpjson.List[versionView]{}, err
	}
	versions, live, next, err := f.Versions.List(ctx, c.Caller, c.PathValue("deployment"), p)
	return httpjson.ViewList(versions, next, func(v boathook.Version) versionView { return viewVersion(v, live) }), err
}

type activation struct {
	Environment boathook.Environment `json:"environment"`
}

func (f face) activateVersion(ctx context.Context, c httpjson.Call, in activation) (versionView, error) {
	v, live, err := f.Versions.Activate(ctx, c.Caller, c.PathValue("deployment"), c.PathValue("version"), in.Environment)
	return viewVersion(v, live), err
}
