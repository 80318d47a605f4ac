package service

import (
	"context"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/run"
	"boathook/internal/store"
)

// RetryVersion says which version executes a retry.
type RetryVersion string

// The versions of a retry.
const (
	RetryLive RetryVersion = "live" // the one that is live now
	RetrySame RetryVersion = "same" // the one of the run that is retried
)

// RunRetry is a repetition of a run that is asked for.
type RunRetry struct {
	RunID   string // of the run that is over
	Version RetryVersion
	// IdempotencyKey stands for the new run, so that a repeat starts no other; empty:
	// each call starts one.
	IdempotencyKey string
}

// check refuses what can't be asked for.
func (in RunRetry) check() error {
	switch in.Version {
	case RetryLive, RetrySame:
		return boathook.CheckIdempotencyKey(in.IdempotencyKey)
	}
	return boathook.InvalidField("version", "must be %s or %s", RetryLive, RetrySame)
}

// Retry starts a run with the input of one that is over, a deployment's or an agent's.
// It is a run of its own, and each of the two tells of the other. An agent's limits
// hold for it as for a trigger.
func (k Runs) Retry(ctx context.Context, c Caller, in RunRetry) (StartedRun, error) {
	if err := c.May("Runs.Retry"); err != nil {
		return StartedRun{}, err
	}
	if err := in.check(); err != nil {
		return StartedRun{}, err
	}
	old, err := k.retried(ctx, c, in.RunID)
	if err != nil {
		return StartedRun{}, err
	}
	id, wanted := boathook.NewID(boathook.RunID), ""
	if in.IdempotencyKey != "" {
		id = boathook.DeriveID(boathook.RunID, "retry", old.ID, in.IdempotencyKey)
		wanted = id
	}
	now, err := k.lookUpRetry(ctx, c, old.RunHead, wanted)
	if err != nil {
		return StartedRun{}, err
	}
	version, err := now.version(old.RunHead, in.Version)
	if err != nil {
		return StartedRun{}, err
	}
	started, err := k.startRetry(ctx, now, now.repeat(old, id, version, k.cfg.Now()))
	if err == nil && in.Version == RetrySame && started.VersionID != old.VersionID {
		err = boathook.Errorf(boathook.Conflict, "the idempotency key was used with the version that was live")
	}
	return started, err
}

// retried finds a run that can be retried, with its input.
func (k *core) retried(ctx context.Context, c Caller, id string) (boathook.Run, error) {
	old, err := k.cfg.Store.Run(ctx, c.Workspace, id)
	switch {
	case err != nil:
		return old, missing("run", id, err)
	case !old.Status.Over():
		return old, boathook.Errorf(boathook.Conflict, "run %s is %s: only a run that is over can be retried", old.ID, old.Status)
	case old.Input.Lost():
		return old, boathook.Errorf(boathook.Conflict, "the input of run %s is lost: it can't be retried", old.ID)
	}
	return old, nil
}

// retryView is what a retry finds: its source as it is now.
type retryView struct {
	source   boathook.Source
	live     map[boathook.Environment]boathook.LiveVersion
	existing *boathook.RunHead // the run that the idempotency key has started; nil if there is none
	backlog  time.Time         // of a deployment
	load     store.Load        // of an agent
}

// lookUpRetry finds the source of a run, which may have been deleted since, and the run
// that has a wanted id; empty wants none.
func (k *core) lookUpRetry(ctx context.Context, c Caller, old boathook.RunHead, wanted string) (v retryView, err error) {
	if old.OfAgent() {
		return k.lookUpAgentRetry(ctx, old, wanted)
	}
	err = beside(func() (err error) {
		v.source, err = k.source(ctx, c, boathook.Deployment, old.SourceID)
		return err
	}, func() error {
		trigger, err := k.cfg.Store.LookUpTrigger(ctx, old.SourceID, "", wanted)
		v.live, v.existing, v.backlog = trigger.Live, trigger.Run, trigger.Backlog
		return err
	})
	return v, err
}

func (k *core) lookUpAgentRetry(ctx context.Context, old boathook.RunHead, wanted string) (v retryView, err error) {
	var ids []string
	if wanted != "" {
		ids = []string{wanted}
	}
	view, err := k.cfg.Store.LookUpAgent(ctx, old.SourceID, ids...)
	if err != nil {
		return v, err
	}
	if view.Agent == nil {
		return v, noSuch(string(boathook.Agent), old.SourceID)
	}
	v = retryView{source: *view.Agent, live: view.Live, load: view.Load}
	if head, ok := view.Runs[wanted]; ok {
		v.existing = &head
	}
	return v, nil
}

// version is the one that executes a retry. It counts for a new run only, so one that
// exists needs none that is live.
func (v retryView) version(old boathook.RunHead, wanted RetryVersion) (boathook.LiveVersion, error) {
	if wanted == RetrySame {
		return boathook.LiveVersion{ID: old.VersionID, Number: old.VersionNumber}, nil
	}
	live, ok := v.live[old.Environment]
	if !ok && v.existing == nil {
		return live, boathook.NoRunningVersion(old.Environment)
	}
	return live, nil
}

// repeat is a run like an old one. It names no incoming webhook: no request to one has
// started it. An agent's fence holds for it even if the old run came before the fence.
func (v retryView) repeat(old boathook.Run, id string, version boathook.LiveVersion, at time.Time) boathook.Run {
	next := boathook.Run{Input: old.Input, RunHead: boathook.RunHead{
		ID: id, WorkspaceID: old.WorkspaceID, SourceID: old.SourceID, VersionID: version.ID, VersionNumber: version.Number,
		Environment: old.Environment, Trigger: boathook.TriggerAPI, InputHash: boathook.HashInput(old.Input.Bytes()),
		EventName: old.EventName, EventSource: old.EventSource, Fenced: old.Fenced, Details: old.Details,
		RetryOf: old.ID, CreatedAt: at, Status: boathook.RunPending, TakesTurn: v.source.DeploymentSettings().MaxInFlight > 0,
	}}
	if agent := v.source.Agent; agent != nil {
		next.Trigger = boathook.TriggerWebhook // Crewship's agents have no other
		next.Fenced = old.Fenced || agent.FencePayload
	}
	return next
}

// startRetry starts a run as its source's trigger would: a deployment's is waited for,
// an agent's is held to the agent's limits.
func (k *core) startRetry(ctx context.Context, now retryView, next boathook.Run) (StartedRun, error) {
	if !next.OfAgent() {
		return k.cfg.Runs.StartOnce(ctx, next, now.existing, run.Wait{Most: boathook.DefaultWaitForStart, Backlog: now.backlog})
	}
	places := run.Places{Store: k.cfg.Store, Log: k.cfg.Log}
	return places.Start(ctx, now.source, now.load, next, now.existing, func() (StartedRun, error) {
		return k.cfg.Runs.StartOnce(ctx, next, now.existing, run.Wait{})
	})
}
