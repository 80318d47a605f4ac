package manage

import (
	"cmp"
	"context"
	"slices"
	"time"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/store"
)

// The statuses of agents' runs, as Crewship writes them, and what each stands
// for. Crewship knows no run that waits for its runner: it counts as running.
var agentStatuses = map[string][]boathook.RunStatus{
	"RUNNING":   {boathook.RunRunning, boathook.RunPending},
	"COMPLETED": {boathook.RunSucceeded},
	"FAILED":    {boathook.RunFailed},
	"CANCELLED": {boathook.RunCanceled},
	"TIMEOUT":   {boathook.RunTimedOut},
}

// triggerWebhook is the trigger of every agent's run: there is no other.
const triggerWebhook = "WEBHOOK"

// agentRunView is an agent's run as Crewship shows it.
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

// agentRunQuery reads the filters that both lists of agents' runs take. nothing
// means that no run can match.
func agentRunQuery(c call) (q store.CountQuery, nothing bool, err error) {
	params := c.URL.Query()
	q.WorkspaceID, q.Kind = c.Workspace, boathook.Agent
	q.Limit = c.Clamped("limit", 1, maxAgentRuns, httpjson.DefaultLimit)
	if s := params.Get("status"); s != "" {
		var ok bool
		if q.Statuses, ok = agentStatuses[s]; !ok {
			return q, false, boathook.InvalidField("status", "must be RUNNING, COMPLETED, FAILED, CANCELLED or TIMEOUT")
		}
	}
	for _, name := range []string{"trigger", "trigger_type"} {
		if trigger := params.Get(name); trigger != "" && trigger != triggerWebhook {
			nothing = true
		}
	}
	return q, nothing, nil
}

// agentRuns are those that a query selects of about as many runs as are counted:
// the list can't say that there is more behind a short page.
func (h *Handler) agentRuns(ctx context.Context, c call, _ httpjson.None) ([]agentRunView, error) {
	id := c.PathValue("agent")
	q, nothing, invalid := agentRunQuery(c)
	var heads []boathook.RunHead
	err := beside(func() error {
		_, err := h.agentByID(ctx, c, id)
		return cmp.Or(err, invalid)
	}, func() (err error) {
		if invalid == nil && !nothing {
			heads, _, err = h.cfg.Store.RunHeads(ctx, store.RunQuery{
				WorkspaceID: q.WorkspaceID, SourceID: id, Statuses: q.Statuses,
				Page: boathook.Page{Limit: q.Limit, Look: store.MaxCounted},
			})
		}
		return err
	})
	return httpjson.ViewList(heads, "", viewAgentRun).Data, err
}

var errNoRun = boathook.Errorf(boathook.NotFound, "Run not found")

// agentRun is one run of an agent, which may have been deleted since.
func (h *Handler) agentRun(ctx context.Context, c call, _ httpjson.None) (agentRunView, error) {
	head, err := h.cfg.Store.RunHead(ctx, c.PathValue("run"))
	if boathook.IsKind(err, boathook.NotFound) || err == nil && (head.WorkspaceID != c.Workspace || !head.OfAgent()) {
		err = errNoRun
	}
	if err != nil {
		return agentRunView{}, err
	}
	return viewAgentRun(head), nil
}

// agentRunPage is a page of all agents' runs. Stats are of the same agents,
// whatever the status and the trigger that were asked for.
type agentRunPage struct {
	Data  []agentRunView `json:"data"`
	Stats struct {
		Running int `json:"running"`
		Today   int `json:"today"` // created since midnight, UTC
		Failed  int `json:"failed"`
	} `json:"stats"`
	Pagination struct {
		Page       int `json:"page"`
		Limit      int `json:"limit"`
		Total      int `json:"total"`
		TotalPages int `json:"total_pages"`
	} `json:"pagination"`
}

func (h *Handler) allAgentRuns(ctx context.Context, c call, _ httpjson.None) (page agentRunPage, err error) {
	page.Data = []agentRunView{}
	q, nothing, err := agentRunQuery(c)
	if err != nil {
		return page, err
	}
	// What is behind the counted runs has no page.
	number := c.Clamped("page", 1, store.MaxCounted/q.Limit, 1)
	page.Pagination.Page, page.Pagination.Limit = number, q.Limit
	q.Skip, q.Since, q.SourceID = (number-1)*q.Limit, h.cfg.Now().UTC().Truncate(24*time.Hour), c.URL.Query().Get("agent_id")
	if nothing {
		q.Limit = 0
	}
	var heads []boathook.RunHead
	var counts boathook.RunCounts
	err = beside(func() error {
		if q.SourceID == "" {
			return nil
		}
		_, err := h.agentByID(ctx, c, q.SourceID)
		return err
	}, func() (err error) {
		heads, counts, err = h.cfg.Store.CountedRuns(ctx, q)
		return err
	})
	if err != nil {
		return page, err
	}
	page.Stats.Running, page.Stats.Failed = counts.ByStatus[boathook.RunPending], counts.ByStatus[boathook.RunFailed]
	page.Stats.Today = counts.Since
	if nothing {
		return page, nil
	}
	for status, n := range counts.ByStatus {
		if len(q.Statuses) == 0 || slices.Contains(q.Statuses, status) {
			page.Pagination.Total += n
		}
	}
	page.Pagination.TotalPages = (page.Pagination.Total + q.Limit - 1) / q.Limit
	page.Data = httpjson.ViewList(heads, "", viewAgentRun).Data
	return page, nil
}

// agentLogView is a line of an agent's log. Crewship also knows "tool" and
// "tokens", which are left out when empty: targets tell nothing of them.
type agentLogView struct {
	Time     boathook.Time `json:"ts"`
	Level    string        `json:"level"`
	Agent    string        `json:"agent"` // its slug
	Event    string        `json:"event"`
	Content  string        `json:"content,omitempty"`
	Metadata logMetadata   `json:"metadata"`
}

type logMetadata struct {
	RunID string `json:"run_id"`
}

const (
	defaultLogLines = 100
	maxLogLines     = 500
	maxLogOffset    = 1_000_000
)

// agentLog is what an agent's runs printed, the newest first. It ends early once the
// lines are about [maxEventBytes] long.
func (h *Handler) agentLog(ctx context.Context, c call, _ httpjson.None) ([]agentLogView, error) {
	q := store.AgentLogQuery{
		AgentID: c.PathValue("agent"), MaxBytes: maxEventBytes,
		Limit: c.Clamped("limit", 1, maxLogLines, defaultLogLines), Skip: c.Clamped("offset", 0, maxLogOffset, 0),
	}
	var agent boathook.Source
	var lines []boathook.AgentLine
	err := beside(func() (err error) {
		agent, err = h.agentByID(ctx, c, q.AgentID)
		return err
	}, func() (err error) {
		lines, err = h.cfg.Store.AgentLog(ctx, q)
		return err
	})
	return httpjson.ViewList(lines, "", func(l boathook.AgentLine) agentLogView {
		return agentLogView{
			Time: boathook.Time{Time: l.Time}, Level: l.Level(), Agent: agent.Agent.Slug,
			Event: boathook.LogEvent, Content: l.Text, Metadata: logMetadata{l.RunID},
		}
	}).Data, err
}
