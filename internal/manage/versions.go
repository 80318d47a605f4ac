package manage

import (
	"context"
	"errors"

	"boathook/internal/boathook"
	"boathook/internal/seal"
)

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

func (h *Handler) createVersion(ctx context.Context, c call, in versionInput) (versionView, error) {
	s, err := h.deployment(ctx, c)
	if err != nil {
		return versionView{}, err
	}
	if err := checkEnvironment(in.Environment); err != nil {
		return versionView{}, err
	}
	if in.Target == nil {
		return versionView{}, boathook.InvalidField("target", "is required")
	}
	v, err := h.addVersion(ctx, s, in.Environment, *in.Target)
	if err != nil {
		return versionView{}, err
	}
	return viewVersion(v, map[boathook.Environment]boathook.LiveVersion{v.Environment: {ID: v.ID}}), nil
}

// addVersion makes a source's next version and puts it live.
func (h *Handler) addVersion(ctx context.Context, s boathook.Source, env boathook.Environment, in targetInput) (boathook.Version, error) {
	target, err := h.target(in)
	if err != nil {
		return boathook.Version{}, within("target", err)
	}
	v := boathook.Version{
		ID: boathook.NewID(boathook.VersionID), SourceID: s.ID, WorkspaceID: s.WorkspaceID,
		Environment: env, Target: target, CreatedAt: h.cfg.Now(),
	}
	v.SealedHeaders, err = h.sealHeaders(ctx, v.WorkspaceID, seal.TargetHeaders(v.ID), v.Target.Headers)
	if err != nil {
		return boathook.Version{}, err
	}
	v.Target.Headers = masked(v.Target.Headers)
	return h.cfg.Store.AddVersion(ctx, v)
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

// target refuses one that is not whole, has fields of another type, or is not
// allowed here.
func (h *Handler) target(in targetInput) (boathook.Target, error) {
	t := boathook.Target{Type: in.Type, Headers: in.Headers, Argv: in.Argv}
	fields := []struct {
		name   string
		given  bool
		of     boathook.TargetType
		needed bool
	}{
		{"url", in.URL != nil, boathook.TargetHTTP, true},
		{"headers", in.Headers != nil, boathook.TargetHTTP, false},
		{"function_arn", in.FunctionARN != nil, boathook.TargetLambda, true},
		{"runtime_arn", in.RuntimeARN != nil, boathook.TargetAgentCore, true},
		{"argv", in.Argv != nil, boathook.TargetCommand, true},
	}
	known := false
	for _, f := range fields {
		known = known || f.of == t.Type
	}
	if !known {
		return t, boathook.InvalidField("type", "must be %s, %s, %s or %s",
			boathook.TargetHTTP, boathook.TargetLambda, boathook.TargetAgentCore, boathook.TargetCommand)
	}
	for _, f := range fields {
		if f.given && f.of != t.Type {
			return t, boathook.InvalidField(f.name, "does not belong to a target of type %s", t.Type)
		}
		if f.needed && f.of == t.Type && !f.given {
			return t, boathook.InvalidField(f.name, "is required")
		}
	}

	if in.TimeoutSeconds != nil {
		if err := checkSeconds("timeout_seconds", *in.TimeoutSeconds, 1, boathook.MaxRunTimeout); err != nil {
			return t, err
		}
		t.TimeoutSeconds = *in.TimeoutSeconds
	}
	switch t.Type {
	case boathook.TargetHTTP:
		if err := h.cfg.CheckURL("url", *in.URL); err != nil {
			return t, err
		}
		if err := checkHeaders(in.Headers); err != nil {
			return t, err
		}
		t.URL = *in.URL
	case boathook.TargetLambda:
		t.FunctionARN = *in.FunctionARN
	case boathook.TargetAgentCore:
		t.RuntimeARN = *in.RuntimeARN
	case boathook.TargetCommand:
		if err := checkArgv(in.Argv); err != nil {
			return t, err
		}
	}
	return t, h.cfg.AllowTarget(t)
}

// within makes an error about a field one about that field of an object.
func within(object string, err error) error {
	var e *boathook.Error
	if errors.As(err, &e) && e.Field != "" {
		return &boathook.Error{Kind: e.Kind, Field: object + "." + e.Field, Message: e.Message}
	}
	return err
}

func (h *Handler) listVersions(ctx context.Context, c call, _ none) (list[versionView], error) {
	s, err := h.deployment(ctx, c)
	if err != nil {
		return list[versionView]{}, err
	}
	p, err := c.page()
	if err != nil {
		return list[versionView]{}, err
	}
	var versions []boathook.Version
	var next string
	var live map[boathook.Environment]boathook.LiveVersion
	err = beside(func() (err error) {
		versions, next, err = h.cfg.Store.Versions(ctx, s.ID, p)
		return err
	}, func() (err error) {
		live, err = h.cfg.Store.Live(ctx, s.ID)
		return err
	})
	return viewList(versions, next, func(v boathook.Version) versionView { return viewVersion(v, live) }), err
}

type activation struct {
	Environment boathook.Environment `json:"environment"`
}

// activateVersion puts a version live in the environment that it was made for,
// or in another: that is how a staging version is promoted.
func (h *Handler) activateVersion(ctx context.Context, c call, in activation) (versionView, error) {
	s, err := h.deployment(ctx, c)
	if err != nil {
		return versionView{}, err
	}
	v, err := h.cfg.Store.Version(ctx, s.ID, c.PathValue("version"))
	if err != nil {
		return versionView{}, missing("version", c.PathValue("version"), err)
	}
	if in.Environment == "" {
		in.Environment = v.Environment
	}
	if err := checkEnvironment(in.Environment); err != nil {
		return versionView{}, err
	}
	if err := h.cfg.Store.Activate(ctx, v, in.Environment); err != nil {
		return versionView{}, err
	}
	live, err := h.cfg.Store.Live(ctx, s.ID)
	return viewVersion(v, live), err
}
