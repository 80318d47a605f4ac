package service

import (
	"context"
	"slices"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// AgentRuns are the runs of agents, as Crewship lists them: without their input and
// output, and counted.
type AgentRuns struct{ *core }

// AgentRunFilter selects runs of agents.
type AgentRunFilter struct {
	Statuses []boathook.RunStatus // nil: any
	Trigger  boathook.Trigger     // empty: any; a webhook is what triggers each of an agent's runs
}

// nothing reports whether no run can match.
func (f AgentRunFilter) nothing() bool {
	return f.Trigger != "" && f.Trigger != boathook.TriggerWebhook
}

// OfAgent gives the newest of an agent's runs that a filter selects of about as many as
// are counted: it can't say that there is more behind a short list.
func (k AgentRuns) OfAgent(ctx context.Context, c Caller, agentID string, f AgentRunFilter, limit int) (runs []boathook.RunHead, err error) {
	if err := c.May("AgentRuns.OfAgent"); err != nil {
		return nil, err
	}
	err = beside(func() error {
		_, err := k.source(ctx, c, boathook.Agent, agentID)
		return err
	}, func() (err error) {
		if f.nothing() {
			return nil
		}
		runs, _, err = k.cfg.Store.RunHeads(ctx, store.RunQuery{
			WorkspaceID: c.Workspace, SourceID: agentID, Statuses: f.Statuses,
			Page: boathook.Page{Limit: limit, Look: store.MaxCounted},
		})
		return err
	})
	return runs, err
}

// Get finds a run of an agent, which may have been deleted since.
func (k AgentRuns) Get(ctx context.Context, c Caller, id string) (boathook.RunHead, error) {
	if err := c.May("AgentRuns.Get"); err != nil {
		return boathook.RunHead{}, err
	}
	head, err := k.runHead(ctx, c, id)
	if err == nil && !head.OfAgent() {
		err = noSuch("run", id)
	}
	return head, err
}

// AgentRunPage is a page of all agents' runs. Running, Today and Failed are of the same
// agents, whatever the filter selects.
type AgentRunPage struct {
	Runs    []boathook.RunHead
	Number  int // of the page, from 1
	Total   int // runs that the filter selects, of those that are counted
	Running int // or waiting for their runner
	Today   int // created since midnight, UTC
	Failed  int
}

// List gives a page of the runs of all agents, or of one where its id is given, the
// newest first. What is behind the counted runs has no page: a number beyond them
// is the last's.
func (k AgentRuns) List(ctx context.Context, c Caller, agentID string, f AgentRunFilter, number, limit int) (page AgentRunPage, err error) {
	if err := c.May("AgentRuns.List"); err != nil {
		return AgentRunPage{}, err
	}
	page.Number = min(number, store.MaxCounted/limit)
	q := store.CountQuery{
		WorkspaceID: c.Workspace, Kind: boathook.Agent, SourceID: agentID, Statuses: f.Statuses,
		Limit: limit, Skip: (page.Number - 1) * limit, Since: k.cfg.Now().UTC().Truncate(24 * time.Hour),
	}
	if f.nothing() {
		q.Limit = 0
	}
	var counts boathook.RunCounts
	err = beside(func() error {
		if agentID == "" {
			return nil
		}
		_, err := k.source(ctx, c, boathook.Agent, agentID)
		return err
	}, func() (err error) {
		page.Runs, counts, err = k.cfg.Store.CountedRuns(ctx, q)
		return err
	})
	if err != nil {
		return AgentRunPage{}, err
	}
	page.Running, page.Failed, page.Today = counts.ByStatus[boathook.RunPending], counts.ByStatus[boathook.RunFailed], counts.Since
	for status, n := range counts.ByStatus {
		if !f.nothing() && (len(f.Statuses) == 0 || slices.Contains(f.Statuses, status)) {
			page.Total += n
		}
	}
	return page, nil
}
