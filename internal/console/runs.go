package console

import (
	"cmp"
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"strconv"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

// runRoutes has the pages of runs.
func (c *Console) runRoutes(mux *http.ServeMux) {
	c.get(mux, "/console/runs", c.runs)
	c.get(mux, "/console/runs/{run}", c.runPage)
	c.get(mux, "/console/runs/{run}/log", c.runLog)
	c.post(mux, "/console/runs/{run}/cancel", c.cancelRun)
	c.post(mux, "/console/runs/{run}/again", c.repeatRun)
	for _, p := range places {
		if p.kind == boathook.Deployment || p.kind == boathook.Agent {
			c.get(mux, p.path+"/runs", p.at(c.sourceRuns))
		}
	}
}

// runRow is a run in a list.
type runRow struct {
	boathook.RunHead
	Source string // its name, in lists of several sources
	now    time.Time
}

func (r *runRow) Path() string { return "/console/runs/" + r.ID }

// Took is how long it has been executed; less than zero if it has not.
func (r *runRow) Took() time.Duration { return took(&r.RunHead, r.now) }

func took(r *boathook.RunHead, now time.Time) time.Duration {
	switch {
	case r.StartedAt.IsZero():
		return -1
	case r.CompletedAt.IsZero():
		return now.Sub(r.StartedAt)
	}
	return r.CompletedAt.Sub(r.StartedAt)
}

// By says what started it, as far as its sender has told.
func (r *runRow) By() string { return startedBy(&r.RunHead) }

func startedBy(r *boathook.RunHead) string {
	switch {
	case r.RetryNumber > 0:
		return "retry " + number(r.RetryNumber)
	case r.RetryOf != "":
		return "run again"
	case r.EventName != "" && r.EventSource != "":
		return r.EventName + " from " + r.EventSource
	case r.Trigger == boathook.TriggerWebhook:
		return cmp.Or(r.EventName, r.Details.Event, "webhook")
	case r.Trigger == boathook.TriggerAPI:
		return "API"
	}
	return string(r.Trigger)
}

func (c *Console) runRows(heads []boathook.RunHead, names map[string]string) []runRow {
	rows := make([]runRow, len(heads))
	now := c.cfg.Now()
	for i, h := range heads {
		rows[i] = runRow{RunHead: h, now: now}
		if names != nil {
			rows[i].Source = cmp.Or(names[h.SourceID], short(h.SourceID))
		}
	}
	return rows
}

// runStatuses are what runs can be, of deployments and of agents.
var runStatuses = []boathook.RunStatus{boathook.RunPending, boathook.RunRunning, boathook.RunSucceeded, boathook.RunFailed, boathook.RunCanceled}

// maxNamed is how many sources a list can be narrowed to.
const maxNamed = 200

// runs lists those of the workspace's deployments, or of its agents.
func (c *Console) runs(ctx context.Context, r *request) (answer, error) {
	if r.URL.Query().Get("of") == "agents" {
		return c.agentsRuns(ctx, r)
	}
	q := r.URL.Query()
	var runs []boathook.RunHead
	var next string
	var deployments []boathook.Source
	err := beside(func() (err error) {
		runs, next, err = c.cfg.Service.Runs.Heads(ctx, r.caller, service.RunFilter{
			DeploymentID: q.Get("source"), Status: boathook.RunStatus(q.Get("status")),
			Environment: boathook.Environment(q.Get("environment")), DeliveryID: q.Get("delivery"),
		}, r.part())
		return err
	}, func() (err error) {
		deployments, _, err = c.cfg.Service.Deployments.List(ctx, r.caller, boathook.Page{Limit: maxNamed})
		return err
	})
	if err != nil {
		return answer{}, err
	}
	return r.page("runs", view{Title: "Runs", Nav: "runs", Data: map[string]any{
		"Rows": c.runRows(runs, namesOf(deployments)), "Live": liveList(r, runs), "Path": r.URL.Path, "All": r.URL.Path, "Of": "deployments", "Sources": deployments,
		"Statuses": runStatuses, "Environments": boathook.Environments, "Filtered": filtered(r, "status", "environment", "source", "delivery"),
		"Pager": r.pager(len(runs), plural(len(runs), "run", "runs"), next),
	}})
}

// agentsRuns lists the runs of all agents, or of one.
func (c *Console) agentsRuns(ctx context.Context, r *request) (answer, error) {
	q := r.URL.Query()
	page := 1
	if text := q.Get("cursor"); text != "" {
		var err error
		if page, err = strconv.Atoi(text); err != nil || page < 1 {
			return answer{}, boathook.InvalidField("cursor", "is not one that a list has given")
		}
	}
	var found service.AgentRunPage
	var agents []boathook.Source
	err := beside(func() (err error) {
		found, err = c.cfg.Service.AgentRuns.List(ctx, r.caller, q.Get("source"), agentFilter(r), page, pageSize)
		return err
	}, func() (err error) {
		agents, _, err = c.cfg.Service.Agents.All(ctx, r.caller, "")
		return err
	})
	if err != nil {
		return answer{}, err
	}
	next := ""
	if found.Number*pageSize < found.Total {
		next = strconv.Itoa(found.Number + 1)
	}
	return r.page("runs", view{Title: "Runs", Nav: "runs", Data: map[string]any{
		"Rows": c.runRows(found.Runs, namesOf(agents)), "Live": liveList(r, found.Runs), "Path": r.URL.Path, "All": r.URL.Path + "?of=agents", "Of": "agents", "Sources": agents,
		"Statuses": runStatuses, "Filtered": filtered(r, "status", "source"),
		"Pager": r.pager(len(found.Runs), plural(len(found.Runs), "run", "runs"), next),
	}})
}

func agentFilter(r *request) (f service.AgentRunFilter) {
	if status := r.URL.Query().Get("status"); status != "" {
		f.Statuses = []boathook.RunStatus{boathook.RunStatus(status)}
		if status == string(boathook.RunFailed) {
			f.Statuses = append(f.Statuses, boathook.RunTimedOut)
		}
	}
	return f
}

// filtered reports whether a list is narrowed by one of these.
func filtered(r *request, names ...string) bool {
	for _, name := range names {
		if r.URL.Query().Get(name) != "" {
			return true
		}
	}
	return false
}

func namesOf(sources []boathook.Source) map[string]string {
	names := make(map[string]string, len(sources))
	for _, s := range sources {
		names[s.ID] = nameOf(s)
	}
	return names
}

// sourceRuns lists the runs of a deployment or of an agent.
func (c *Console) sourceRuns(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	q := r.URL.Query()
	var s boathook.Source
	var heads []boathook.RunHead
	var next string
	err := beside(func() (err error) {
		s, err = c.source(ctx, r, of)
		return err
	}, func() (err error) {
		if of.Kind == boathook.Agent {
			heads, err = c.cfg.Service.AgentRuns.OfAgent(ctx, r.caller, of.ID, agentFilter(r), pageSize)
			return err
		}
		heads, next, err = c.cfg.Service.Runs.Heads(ctx, r.caller, service.RunFilter{
			DeploymentID: of.ID, Status: boathook.RunStatus(q.Get("status")), Environment: boathook.Environment(q.Get("environment")),
		}, r.part())
		return err
	})
	if err != nil {
		return answer{}, err
	}
	data := map[string]any{
		"Rows": c.runRows(heads, nil), "Live": liveList(r, heads), "Path": r.URL.Path, "All": r.URL.Path, "Of": "", "Statuses": runStatuses, "Filtered": filtered(r, "status", "environment"),
		"Pager": r.pager(len(heads), plural(len(heads), "run", "runs"), next),
	}
	if of.Kind == boathook.Deployment {
		data["Environments"] = boathook.Environments
	} else {
		data["Session"] = boathook.ChatID(of.ID)
	}
	return r.page("runs", view{Title: "Runs of " + nameOf(s), Nav: navOf(s.Kind), Crumbs: r.crumbs(s), Source: headOf(s, "runs"), Data: data})
}

// liveList is where a list of runs is asked for anew while one of them goes on; empty: all
// are over.
func liveList(r *request, heads []boathook.RunHead) string {
	if slices.ContainsFunc(heads, func(h boathook.RunHead) bool { return !h.Status.Over() }) {
		return r.URL.RequestURI()
	}
	return ""
}

// line is a line of a log, by its number.
type line struct {
	boathook.LogLine
	Number int
}

// runView is what the page of a run shows.
type runView struct {
	service.RunView
	now   time.Time
	Lines []line
	// More is where the log goes on, if there is more of it than is shown.
	More   int
	Source *link // nil: it is deleted
	Key    string
	Input  shownBody
	Output shownBody
}

func (v *runView) By() string          { return startedBy(&v.RunHead) }
func (v *runView) Took() time.Duration { return took(&v.RunHead, v.now) }
func (v *runView) Over() bool          { return v.Status.Over() }

// Session is where an agent's run takes place; empty of others.
func (v *runView) Session() string {
	if !v.OfAgent() {
		return ""
	}
	return boathook.ChatID(v.SourceID)
}

// Waited is how long it waited for its runner.
func (v *runView) Waited() time.Duration {
	if v.StartedAt.IsZero() {
		return -1
	}
	return v.StartedAt.Sub(v.CreatedAt)
}

// maxLines is how many lines of a log a page shows at once.
const maxLines = 2000

func (c *Console) lookAtRun(ctx context.Context, r *request, from int) (*runView, error) {
	found, err := c.cfg.Service.Runs.Look(ctx, r.caller, r.PathValue("run"), from)
	if err != nil {
		return nil, err
	}
	v := &runView{RunView: found, now: c.cfg.Now(), Key: rand.Text(), Input: bodyOf(found.Input.Bytes(), r.URL.Query()), Output: bodyOf(found.Output, r.URL.Query())}
	if found.Source.ID != "" {
		v.Source = &link{nameOf(found.Source), pathOf(refOf(found.Source))}
	}
	lines := found.Lines
	if len(lines) > maxLines {
		lines = lines[:maxLines]
	}
	for i, l := range lines {
		v.Lines = append(v.Lines, line{l, found.First + i})
	}
	if end := found.First + len(lines); len(lines) < len(found.Lines) || v.Over() && end < v.LogLines {
		v.More = end
	}
	return v, nil
}

// lineFrom is the line from which on a log is asked for.
func lineFrom(r *request) int {
	from, err := strconv.Atoi(r.URL.Query().Get("from"))
	if err != nil {
		return 0
	}
	return max(from, 0)
}

// runPage shows a run with its log as it is now; console.js adds what comes.
func (c *Console) runPage(ctx context.Context, r *request) (answer, error) {
	v, err := c.lookAtRun(ctx, r, lineFrom(r))
	if err != nil {
		return answer{}, err
	}
	title, nav, up := "Run", "runs", []link{{"Runs", "/console/runs"}}
	if v.Source != nil {
		title = "Run of " + v.Source.Text
		up = append(r.crumbs(v.RunView.Source), *v.Source, link{"Runs", v.Source.Path + "/runs"})
		nav = navOf(v.RunView.Source.Kind)
	}
	data := map[string]any{"Run": v}
	if !v.Over() && v.OfAgent() {
		token, err := c.cfg.Service.Live.Token(ctx, r.caller)
		if err != nil {
			return answer{}, err
		}
		data["Socket"], data["Token"], data["Channel"] = c.webSocketURL(r.Request), token, boathook.LogChannel.Of(r.caller.Workspace)
	}
	return r.page("run", view{Title: title, Nav: nav, Crumbs: up, Data: data})
}

// runLog gives the lines of a log that the page does not have yet.
func (c *Console) runLog(ctx context.Context, r *request) (answer, error) {
	v, err := c.lookAtRun(ctx, r, lineFrom(r))
	if err != nil {
		return answer{}, err
	}
	a, err := r.fragment("run", "lines", view{Data: map[string]any{"Run": v}})
	if err == nil {
		a.header.Set("Boathook-Run", string(v.Status))
	}
	return a, err
}

func (c *Console) cancelRun(ctx context.Context, r *request) (answer, error) {
	run, err := c.cfg.Service.Runs.Cancel(ctx, r.caller, r.PathValue("run"))
	if err != nil {
		return answer{}, err
	}
	said := "The run is being canceled"
	if run.Status.Over() {
		said = "The run is " + string(run.Status)
	}
	return r.redirect("/console/runs/"+run.ID, said)
}

// repeatRun starts a run like one that is over. The form's key stands for it, so that a
// second click starts no other.
func (c *Console) repeatRun(ctx context.Context, r *request) (answer, error) {
	run, err := c.cfg.Service.Runs.Retry(ctx, r.caller, service.RunRetry{
		RunID: r.PathValue("run"), Version: service.RetryLive, IdempotencyKey: r.PostForm.Get("key"),
	})
	if err != nil {
		return answer{}, err
	}
	return r.redirect("/console/runs/"+run.ID, "This run has the same input")
}
