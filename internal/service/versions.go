package service

import (
	"context"

	"boathook/internal/boathook"
	"boathook/internal/seal"
)

// Versions are what a deployment executes.
type Versions struct{ *core }

// Target is what executes a run, as it is given; nil is a field that is not.
type Target struct {
	Type           boathook.TargetType
	URL            *string
	Headers        map[string]string
	FunctionARN    *string
	RuntimeARN     *string
	Argv           []string
	TimeoutSeconds *int
}

// LiveVersions say which version is live in an environment.
type LiveVersions map[boathook.Environment]boathook.LiveVersion

// Create makes a deployment's next version and puts it live.
func (k Versions) Create(ctx context.Context, c Caller, deploymentID string, env boathook.Environment, target *Target) (boathook.Version, error) {
	if err := c.May("Versions.Create"); err != nil {
		return boathook.Version{}, err
	}
	s, err := k.source(ctx, c, boathook.Deployment, deploymentID)
	if err != nil {
		return boathook.Version{}, err
	}
	if err := checkEnvironment(env); err != nil {
		return boathook.Version{}, err
	}
	if target == nil {
		return boathook.Version{}, boathook.InvalidField("target", "is required")
	}
	return k.addVersion(ctx, s, env, *target)
}

// addVersion makes a source's next version and puts it live.
func (k *core) addVersion(ctx context.Context, s boathook.Source, env boathook.Environment, in Target) (boathook.Version, error) {
	target, err := k.target(in)
	if err != nil {
		return boathook.Version{}, boathook.Within("target", err)
	}
	v := boathook.Version{
		ID: boathook.NewID(boathook.VersionID), SourceID: s.ID, WorkspaceID: s.WorkspaceID,
		Environment: env, Target: target, CreatedAt: k.cfg.Now(),
	}
	v.SealedHeaders, err = k.sealHeaders(ctx, v.WorkspaceID, seal.TargetHeaders(v.ID), v.Target.Headers)
	if err != nil {
		return boathook.Version{}, err
	}
	v.Target.Headers = boathook.Masked(v.Target.Headers)
	return k.cfg.Store.AddVersion(ctx, v)
}

// target refuses one that is not whole, has fields of another type, or is not
// allowed here.
func (k *core) target(in Target) (boathook.Target, error) {
	t := boathook.Target{Type: in.Type, Headers: in.Headers, Argv: in.Argv}
	if err := in.checkFields(); err != nil {
		return t, err
	}
	if in.TimeoutSeconds != nil {
		if err := checkSeconds("timeout_seconds", *in.TimeoutSeconds, 1, boathook.MaxRunTimeout); err != nil {
			return t, err
		}
		t.TimeoutSeconds = *in.TimeoutSeconds
	}
	switch t.Type {
	case boathook.TargetHTTP:
		if err := k.cfg.CheckURL("url", *in.URL); err != nil {
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
	return t, k.cfg.AllowTarget(t)
}

// checkFields refuses a target whose type is unknown, lacks a field or has one of
// another type.
func (in Target) checkFields() error {
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
		known = known || f.of == in.Type
	}
	if !known {
		return boathook.InvalidField("type", "must be %s, %s, %s or %s",
			boathook.TargetHTTP, boathook.TargetLambda, boathook.TargetAgentCore, boathook.TargetCommand)
	}
	for _, f := range fields {
		if f.given && f.of != in.Type {
			return boathook.InvalidField(f.name, "does not belong to a target of type %s", in.Type)
		}
		if f.needed && f.of == in.Type && !f.given {
			return boathook.InvalidField(f.name, "is required")
		}
	}
	return nil
}

// List gives the newest first, and which of them are live.
func (k Versions) List(ctx context.Context, c Caller, deploymentID string, p boathook.Page) (versions []boathook.Version, live LiveVersions, next string, err error) {
	if err := c.May("Versions.List"); err != nil {
		return nil, nil, "", err
	}
	s, err := k.source(ctx, c, boathook.Deployment, deploymentID)
	if err != nil {
		return nil, nil, "", err
	}
	err = beside(func() (err error) {
		versions, next, err = k.cfg.Store.Versions(ctx, s.ID, p)
		return err
	}, func() (err error) {
		live, err = k.cfg.Store.Live(ctx, s.ID)
		return err
	})
	return versions, live, next, err
}

// Activate puts a version live in the environment that it was made for, or in
// another: that is how a staging version is promoted.
func (k Versions) Activate(ctx context.Context, c Caller, deploymentID, id string, env boathook.Environment) (boathook.Version, LiveVersions, error) {
	if err := c.May("Versions.Activate"); err != nil {
		return boathook.Version{}, nil, err
	}
	s, err := k.source(ctx, c, boathook.Deployment, deploymentID)
	if err != nil {
		return boathook.Version{}, nil, err
	}
	v, err := k.cfg.Store.Version(ctx, s.ID, id)
	if err != nil {
		return boathook.Version{}, nil, missing("version", id, err)
	}
	if env == "" {
		env = v.Environment
	}
	if err := checkEnvironment(env); err != nil {
		return boathook.Version{}, nil, err
	}
	if err := k.cfg.Store.Activate(ctx, v, env); err != nil {
		return boathook.Version{}, nil, err
	}
	live, err := k.cfg.Store.Live(ctx, s.ID)
	return v, live, err
}
