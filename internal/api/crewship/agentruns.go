package crewship

import (
	"context"
	"math"
	"slices"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// agentStatuses are the statuses of agents' runs, as Crewship writes them, and what
// each stands for. Crewship knows no run that waits for its runner: it counts as
// running.
var agentStatuses = map[string][]boathook.RunStatus{
	"RUNNING":   {boathook.RunRunning, boathook.RunPending},
	"COMPLETED": {boathook.RunSucceeded},
	"FAILED":    {boathook.RunFailed},
	"CANCELLED": {boathook.RunCanceled},
	"TIMEOUT":   {boathook.RunTimedOut},
}

// triggerWebhook is the trigger of every agent's run: there is no other.
const triggerWebhook = "WEBHOOK"

// agentRunView is an agent's run.
type agentRunView struct {
	ID           string           `json:"id"`
	AgentID      string           `json:"agent_id"`
	ChatID       string           `json:"chat_id"`
	WorkspaceID  string           `json:"workspace_id"`
	TriggeredBy  *string          `json:"triggered_by"` // a user: nobody
	TriggerType  string           `json:"trigger_type"`
	Status       string           `json:"status"`
	StartedAt    boathook.Time    `json:"started_at"`
	FinishedAt   boathook.Time    `json:"finished_at"`
	DurationMS   *int64           `json:"duration_ms"`
	ErrorMessage *string          `json:"error_message"`
	ExitCode     *int             `json:"exit_code"`
	Metadata     agentRunMetadata `json:"metadata"`
	CreatedAt    boathook.Time    `json:"created_at"`
}

type agentRunMetadata struct {
	Event   string `json:"event"`
	Source  string `json:"source"`
	Trigger string `json:"trigger"`
}

func viewAgentRun(r boathook.RunHead) agentRunView {
	view := agentRunView{
		ID: r.ID, AgentID: r.SourceID, ChatID: boathook.ChatID(r.SourceID), WorkspaceID: r.WorkspaceID, TriggerType: triggerWebhook,
		StartedAt: boathook.Time{Time: r.StartedAt}, FinishedAt: boathook.Time{Time: r.CompletedAt},
		ErrorMessage: httpjson.Nullable(r.Error), ExitCode: exitCode(r),
		Metadata: agentRunMetadata{r.EventName, r.EventSource, triggerWebhook}, CreatedAt: boathook.Time{Time: r.CreatedAt},
	}
	for name, statuses := range agentStatuses {
		if slices.Contains(statuses, r.Status) {
			view.Status = name
		}
	}
	if !r.StartedAt.IsZero() && !r.CompletedAt.IsZero() {
		view.DurationMS = new(r.CompletedAt.Sub(r.StartedAt).Milliseconds())
	}
	return view
}

// exitCode is the process's own or, where the target has none, what a shell
// would say: 0, 1, or 124 for a time limit.
func exitCode(r boathook.RunHead) *int {
	of := map[boathook.RunStatus]int{boathook.RunSucceeded: 0, boathook.RunFailed: 1, boathook.RunTimedOut: 124}
	code, ok := of[r.Status]
	if !ok || r.ExitCode != nil && (*r.ExitCode == 0) == (code == 0) {
		return r.ExitCode
	}
	return &code
}

// maxAgentRuns is the longest page of agents' runs.
const maxAgentRuns = 100

// agentRunFilter reads what both lists of agents' runs take.
func agentRunFilter(c httpjson.Call) (f service.AgentRunFilter, limit int, err error) {
	params := c.URL.Query()
	if s := params.Get("status"); s != "" {
		var ok bool
		if f.Statuses, ok = agentStatuses[s]; !ok {
			return f, 0, boathook.InvalidField("status", "must be RUNNING, COMPLETED, FAILED, CANCELLED or TIMEOUT")
		}
	}
	for _, name := range []string{"trigger", "trigger_type"} {
		if trigger := params.Get(name); trigger != "" && trigger != triggerWebhook {
			f.Trigger = boathook.Trigger(trigger)
		}
	}
	return f, c.Clamped("limit", 1, maxAgentRuns, httpjson.DefaultLimit), nil
}

func (f face) agentRuns(ctx context.Context, c httpjson.Call, _ httpjson.None) ([]agentRunView, error) {
	filter, limit, err := agentRunFilter(c)
	if err != nil {
		return nil, err
	}
	runs, err := f.AgentRuns.OfAgent(ctx, c.Caller, c.PathValue("agent"), filter, limit)
	return httpjson.ViewList(runs, "", viewAgentRun).Data, found(err, errNoAgent)
}

func (f face) agentRun(ctx context.Context, c httpjson.Call, _ httpjson.None) (agentRunView, error) {
	head, err := f.AgentRuns.Get(ctx, c.Caller, c.PathValue("run"))
	return viewAgentRun(head), found(err, errNoRun)
}

// agentRunPage is a page of all agents' runs.
type agentRunPage struct {
	Data  []agentRunView `json:"data"`
	Stats struct {
		Running int `json:"running"`
		Today   int `json:"today"`
		Failed  int `json:"failed"`
	} `json:"stats"`
	Pagination struct {
		Page       int `json:"page"`
		Limit      int `json:"limit"`
		Total      int `json:"total"`
		TotalPages int `json:"total_pages"`
	} `json:"pagination"`
}

func (f face) allAgentRuns(ctx context.Context, c httpjson.Call, _ httpjson.None) (page agentRunPage, err error) {
	filter, limit, err := agentRunFilter(c)
	if err != nil {
		return page, err
	}
	p, err := f.AgentRuns.List(ctx, c.Caller, c.URL.Query().Get("agent_id"), filter, c.Clamped("page", 1, math.MaxInt, 1), limit)
	if err != nil {
		return page, found(err, errNoAgent)
	}
	page.Data = httpjson.ViewList(p.Runs, "", viewAgentRun).Data
	page.Stats.Running, page.Stats.Today, page.Stats.Failed = p.Running, p.Today, p.Failed
	page.Pagination.Page, page.Pagination.Limit = p.Number, limit
	page.Pagination.Total, page.Pagination.TotalPages = p.Total, (p.Total+limit-1)/limit
	return page, nil
}
