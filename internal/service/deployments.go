package service

import (
	"context"
	"time"

	"boathook/internal/boathook"
)

// Deployments are sources whose versions incoming webhooks run.
type Deployments struct{ *core }

// DeploymentChange are fields of a deployment; nil ones are left as they are or, in a new
// one, have their defaults.
type DeploymentChange struct {
	Name  *string // required in a new one
	Retry *RunRetries
	// MaxInFlight is how many runs execute at a time; 0: any number.
	MaxInFlight *int
}

// RunRetries say how runs that failed are retried without being asked for.
type RunRetries struct {
	Max            *int // 0: they are not
	BackoffSeconds *int // before the first retry in a row; nil: [boathook.DefaultRunBackoff]
}

// apply makes the change in a deployment.
func (in DeploymentChange) apply(d *boathook.Source) error {
	if in.Name != nil {
		if err := checkName(*in.Name); err != nil {
			return err
		}
		d.Name = *in.Name
	}
	settings := d.DeploymentSettings()
	if in.Retry != nil {
		retry, err := in.Retry.read()
		if err != nil {
			return err
		}
		settings.Retry = retry
	}
	if limit := in.MaxInFlight; limit != nil {
		if *limit < 0 || *limit > boathook.MaxRunsInFlight {
			return boathook.InvalidField("max_in_flight", "must be 1 to %d, or 0 for no limit", boathook.MaxRunsInFlight)
		}
		settings.MaxInFlight = *limit
	}
	if in.Retry != nil || in.MaxInFlight != nil {
		d.Deployment = &settings
	}
	return nil
}

func (in RunRetries) read() (boathook.RunRetries, error) {
	const longest = int(boathook.MaxRunBackoff / time.Second)
	seconds := int(boathook.DefaultRunBackoff / time.Second)
	if in.BackoffSeconds != nil {
		seconds = *in.BackoffSeconds
	}
	switch {
	case in.Max == nil:
		return boathook.RunRetries{}, boathook.InvalidField("retry.max", "is missing")
	case *in.Max < 0 || *in.Max > boathook.MaxRunRetries:
		return boathook.RunRetries{}, boathook.InvalidField("retry.max", "must be 0 to %d", boathook.MaxRunRetries)
	case seconds < 1 || seconds > longest:
		return boathook.RunRetries{}, boathook.InvalidField("retry.backoff_seconds", "must be 1 to %d", longest)
	case *in.Max == 0:
		return boathook.RunRetries{}, nil
	}
	return boathook.RunRetries{Max: *in.Max, Backoff: time.Duration(seconds) * time.Second}, nil
}

// Create makes one.
func (d Deployments) Create(ctx context.Context, c Caller, in DeploymentChange) (boathook.Source, error) {
	if err := c.May("Deployments.Create"); err != nil {
		return boathook.Source{}, err
	}
	if in.Name == nil {
		in.Name = new("")
	}
	s := boathook.Source{ID: boathook.NewID(boathook.DeploymentID), WorkspaceID: c.Workspace, Kind: boathook.Deployment, CreatedAt: d.cfg.Now()}
	if err := in.apply(&s); err != nil {
		return boathook.Source{}, err
	}
	return s, d.cfg.Store.PutSource(ctx, s)
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

// Change changes one. Its retries count for runs that end from then on. A limit of runs that
// execute at a time holds for those that are accepted from then on and, where there was one
// before, for those that wait: within two minutes where it is raised or removed.
func (d Deployments) Change(ctx context.Context, c Caller, id string, in DeploymentChange) (boathook.Source, error) {
	if err := c.May("Deployments.Change"); err != nil {
		return boathook.Source{}, err
	}
	s, err := d.source(ctx, c, boathook.Deployment, id)
	if err != nil {
		return boathook.Source{}, err
	}
	if err := in.apply(&s); err != nil {
		return boathook.Source{}, err
	}
	return s, d.cfg.Store.PutSource(ctx, s)
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
