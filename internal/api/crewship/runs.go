package crewship

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// runView is a run with its input and output. An agent's run has the agent's id in place
// of the deployment's.
type runView struct {
	ID           string               `json:"id"`
	VersionID    string               `json:"version_id"`
	DeploymentID string               `json:"deployment_id,omitempty"`
	AgentID      string               `json:"agent_id,omitempty"`
	Environment  boathook.Environment `json:"environment"`
	Trigger      boathook.Trigger     `json:"trigger"`
	Status       boathook.RunStatus   `json:"status"`
	Input        json.RawMessage      `json:"input"`
	InputMissing bool                 `json:"input_missing,omitempty"`
	Output       json.RawMessage      `json:"output"`
	ErrorMessage *string              `json:"error_message"`
	CreatedAt    boathook.Time        `json:"created_at"`
	StartedAt    boathook.Time        `json:"started_at"`
	CompletedAt  boathook.Time        `json:"completed_at"`

	Details   *boathook.TriggerDetails `json:"trigger_details,omitempty"` // nil where the trigger said nothing
	RetryOf   string                   `json:"retry_of,omitempty"`
	RetriedBy string                   `json:"retried_by,omitempty"`

	// Of a retry that nobody has asked for: which in a row it is, and when it starts. Of
	// the run that it repeats: the same time.
	RetryNumber int            `json:"retry_number,omitempty"`
	StartsAt    *boathook.Time `json:"starts_at,omitempty"`
	NextRetryAt *boathook.Time `json:"next_retry_at,omitempty"`

	WaitsSince *boathook.Time `json:"waits_since,omitempty"` // of one that waits for its turn

	// Of a run that stands for several triggers: the first of them, and how many more there were.
	Coalesced     []coalescedView `json:"coalesced,omitempty"`
	CoalescedMore int             `json:"coalesced_more,omitempty"`
}

type coalescedView struct {
	DeliveryID *string       `json:"delivery_id"`
	At         boathook.Time `json:"at"`
}

func viewRun(r boathook.Run) runView {
	view := runView{
		ID: r.ID, VersionID: r.VersionID, Environment: r.Environment, Trigger: r.Trigger, Status: r.Status,
		Input: r.Input.Bytes(), InputMissing: r.Input.Lost(), Output: r.Output, ErrorMessage: httpjson.Nullable(r.Error),
		CreatedAt: boathook.Time{Time: r.CreatedAt}, StartedAt: boathook.Time{Time: r.StartedAt}, CompletedAt: boathook.Time{Time: r.CompletedAt},
		RetryOf: r.RetryOf, RetriedBy: r.RetriedBy.RunID,
		RetryNumber: r.RetryNumber, StartsAt: optional(r.StartsAt), NextRetryAt: optional(r.RetriedBy.StartsAt),
	}
	if r.Status == boathook.RunPending {
		view.WaitsSince = optional(r.WaitsSince)
	}
	if b := r.Burst; b != nil {
		for _, t := range b.Triggers {
			view.Coalesced = append(view.Coalesced, coalescedView{httpjson.Nullable(t.DeliveryID), boathook.Time{Time: t.At}})
		}
		view.CoalescedMore = b.Count - len(b.Triggers)
	}
	if r.OfAgent() {
		view.AgentID = r.SourceID
	} else {
		view.DeploymentID = r.SourceID
	}
	if !r.Details.IsZero() {
		view.Details = &r.Details
	}
	return view
}

// optional is nil for no time.
func optional(t time.Time) *boathook.Time {
	if t.IsZero() {
		return nil
	}
	return &boathook.Time{Time: t}
}

type runInput struct {
	DeploymentID string                `json:"deployment_id"`
	Input        json.RawMessage       `json:"input"`
	Environment  *boathook.Environment `json:"environment"`
}

// startedView is the answer to a trigger.
type startedView struct {
	RunID         string             `json:"run_id"`
	VersionID     string             `json:"version_id"`
	VersionNumber int                `json:"version_number"`
	Status        boathook.RunStatus `json:"status"`
}

func (f face) startRun(w http.ResponseWriter, c httpjson.Call) error {
	var in runInput
	if err := httpjson.Decode(w, c, httpjson.MaxBody, &in); err != nil {
		return err
	}
	started, err := f.Runs.Start(c.Context(), c.Caller, service.RunStart{
		DeploymentID: in.DeploymentID, Input: in.Input, Environment: in.Environment, IdempotencyKey: boathook.IdempotencyKeyOf(c.Header),
	})
	if err != nil {
		return err
	}
	return answerStarted(w, started)
}

// retryInput says how a run is retried; it may be left out.
type retryInput struct {
	Version *service.RetryVersion `json:"version"`
}

func (f face) retryRun(w http.ResponseWriter, c httpjson.Call) error {
	var in retryInput
	if err := httpjson.Decode(w, c, httpjson.MaxBody, &in); err != nil {
		return err
	}
	version := service.RetryLive
	if in.Version != nil {
		version = *in.Version
	}
	started, err := f.Runs.Retry(c.Context(), c.Caller, service.RunRetry{
		RunID: c.PathValue("run"), Version: version, IdempotencyKey: boathook.IdempotencyKeyOf(c.Header),
	})
	if err != nil {
		return err
	}
	return answerStarted(w, started)
}

// answerStarted answers with a run that was accepted.
func answerStarted(w http.ResponseWriter, started service.StartedRun) error {
	if started.Unrecorded {
		w.Header().Set("Retry-After", "1")
	}
	return httpjson.Answer(w, http.StatusAccepted, startedView{started.ID, started.VersionID, started.VersionNumber, started.Status})
}

// runList is Crewship's own form of a list.
type runList struct {
	Runs       []runView `json:"runs"`
	NextCursor *string   `json:"next_cursor"`
}

func (f face) listRuns(ctx context.Context, c httpjson.Call, _ httpjson.None) (runList, error) {
	params := c.URL.Query()
	filter := service.RunFilter{
		DeploymentID: params.Get("deployment_id"), Environment: boathook.Environment(params.Get("environment")),
		Status: boathook.RunStatus(params.Get("status")), DeliveryID: params.Get("delivery_id"),
	}
	list, err := httpjson.Listed(c, viewRun, func(p boathook.Page) ([]boathook.Run, string, error) {
		return f.Runs.List(ctx, c.Caller, filter, p)
	})
	return runList{list.Data, list.NextCursor}, err
}

func (f face) getRun(ctx context.Context, c httpjson.Call, _ httpjson.None) (runView, error) {
	r, err := f.Runs.Get(ctx, c.Caller, c.PathValue("run"))
	return viewRun(r), err
}

// runStatus names a run and tells its status.
type runStatus struct {
	RunID  string             `json:"run_id"`
	Status boathook.RunStatus `json:"status"`
}

func (f face) cancelRun(ctx context.Context, c httpjson.Call, _ httpjson.None) (runStatus, error) {
	head, err := f.Runs.Cancel(ctx, c.Caller, c.PathValue("run"))
	return runStatus{head.ID, head.Status}, err
}
