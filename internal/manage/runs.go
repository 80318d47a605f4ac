package manage

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/run"
	"boathook/internal/store"
)

type runInput struct {
	DeploymentID string                `json:"deployment_id"`
	Input        json.RawMessage       `json:"input"`
	Environment  *boathook.Environment `json:"environment"`
}

// startedView is Crewship's answer to a trigger.
type startedView struct {
	RunID         string             `json:"run_id"`
	VersionID     string             `json:"version_id"`
	VersionNumber int                `json:"version_number"`
	Status        boathook.RunStatus `json:"status"`
}

// startRun answers when the run is durable, and has started or has been waited
// for.
func (h *Handler) startRun(w http.ResponseWriter, c call) error {
	var in runInput
	if err := httpjson.Decode(w, c, httpjson.MaxBody, &in); err != nil {
		return err
	}
	run, err := h.start(c.Context(), c, in)
	if err != nil {
		return err
	}
	if run.Unrecorded {
		w.Header().Set("Retry-After", "1")
	}
	return httpjson.Answer(w, http.StatusAccepted, startedView{run.ID, run.VersionID, run.VersionNumber, run.Status})
}

func (h *Handler) start(ctx context.Context, c call, in runInput) (run.Started, error) {
	if in.DeploymentID == "" {
		return run.Started{}, boathook.InvalidField("deployment_id", "is required")
	}
	env := boathook.Production
	if in.Environment != nil {
		env = *in.Environment
	}
	if err := checkEnvironment(env); err != nil {
		return run.Started{}, err
	}
	if in.Input == nil {
		in.Input = boathook.EmptyInput
	}
	if len(in.Input) > boathook.MaxTriggerBody {
		return run.Started{}, &boathook.Error{Kind: boathook.TooLarge, Field: "input",
			Message: fmt.Sprintf("is larger than %d KiB", boathook.MaxTriggerBody>>10)}
	}
	if err := boathook.CheckJSON(in.Input); err != nil {
		return run.Started{}, boathook.InvalidField("input", "%s", err)
	}
	key, err := boathook.ReadIdempotencyKey(c.Header)
	if err != nil {
		return run.Started{}, err
	}

	s, err := h.source(ctx, c, boathook.Deployment, in.DeploymentID)
	if err != nil {
		return run.Started{}, err
	}
	runID, wanted := boathook.NewID(boathook.RunID), ""
	if key != "" {
		runID = boathook.DeriveID(boathook.RunID, string(boathook.TriggerAPI), s.ID, string(env), key)
		wanted = runID
	}
	view, err := h.cfg.Store.LookUpTrigger(ctx, s.ID, "", wanted)
	if err != nil {
		return run.Started{}, err
	}
	live, ok := view.Live[env]
	if !ok && view.Run == nil {
		return run.Started{}, boathook.NoRunningVersion(env)
	}
	return h.cfg.Runs.StartOnce(ctx, boathook.Run{
		RunHead: boathook.RunHead{
			ID: runID, WorkspaceID: s.WorkspaceID, SourceID: s.ID, VersionID: live.ID, VersionNumber: live.Number,
			Environment: env, Trigger: boathook.TriggerAPI, InputHash: boathook.HashInput(in.Input),
			CreatedAt: h.cfg.Now(), Status: boathook.RunPending,
		},
		Input: in.Input,
	}, view.Run, run.Wait{Most: boathook.DefaultWaitForStart, Backlog: view.Backlog})
}

// runList is Crewship's own form of a list.
type runList struct {
	Runs       []boathook.Run `json:"runs"`
	NextCursor *string        `json:"next_cursor"`
}

// deploymentStatuses are what a deployment's run can be.
var deploymentStatuses = []boathook.RunStatus{
	boathook.RunPending, boathook.RunRunning, boathook.RunSucceeded, boathook.RunFailed, boathook.RunCanceled,
}

func (h *Handler) listRuns(ctx context.Context, c call, _ httpjson.None) (runList, error) {
	p, err := c.Page()
	if err != nil {
		return runList{}, err
	}
	params := c.URL.Query()
	q := store.RunQuery{
		WorkspaceID: c.Workspace, Kind: boathook.Deployment, Page: p,
		Environment: boathook.Environment(params.Get("environment")),
	}
	if q.Environment != "" {
		if err := checkEnvironment(q.Environment); err != nil {
			return runList{}, err
		}
	}
	if status := boathook.RunStatus(params.Get("status")); status != "" {
		if !slices.Contains(deploymentStatuses, status) {
			return runList{}, boathook.InvalidField("status", "must be one of %s", deploymentStatuses)
		}
		q.Statuses = []boathook.RunStatus{status}
	}
	q.SourceID = params.Get("deployment_id")
	var runs []boathook.Run
	var next string
	err = beside(func() error {
		if q.SourceID == "" {
			return nil
		}
		_, err := h.source(ctx, c, boathook.Deployment, q.SourceID)
		return err
	}, func() (err error) {
		runs, next, err = h.cfg.Store.Runs(ctx, q)
		return err
	})
	if runs == nil {
		runs = []boathook.Run{}
	}
	return runList{runs, httpjson.Nullable(next)}, err
}

func (h *Handler) getRun(ctx context.Context, c call, _ httpjson.None) (boathook.Run, error) {
	run, err := h.cfg.Store.Run(ctx, c.Workspace, c.PathValue("run"))
	return run, missing("run", c.PathValue("run"), err)
}

// runHead is that of the run that the path names.
func (h *Handler) runHead(ctx context.Context, c call) (boathook.RunHead, error) {
	head, err := h.cfg.Store.RunHead(ctx, c.PathValue("run"))
	if err == nil && head.WorkspaceID != c.Workspace {
		err = noSuch("run", c.PathValue("run"))
	}
	return head, missing("run", c.PathValue("run"), err)
}

type cancelView struct {
	RunID  string             `json:"run_id"`
	Status boathook.RunStatus `json:"status"` // still running until its runner has stopped
}

func (h *Handler) cancelRun(ctx context.Context, c call, _ httpjson.None) (cancelView, error) {
	head, err := h.runHead(ctx, c)
	if err != nil {
		return cancelView{}, err
	}
	head, err = h.cfg.Store.RequestCancel(ctx, head.ID, h.cfg.Now())
	return cancelView{head.ID, head.Status}, err
}
