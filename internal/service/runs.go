package service

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"

	"boathook/internal/boathook"
	"boathook/internal/run"
	"boathook/internal/store"
)

// Runs are those of deployments. One by its id may be an agent's, too.
type Runs struct{ *core }

// RunStart is a run that is asked for.
type RunStart struct {
	DeploymentID string
	Input        json.RawMessage       // nil: [boathook.EmptyInput]
	Environment  *boathook.Environment // nil: production
	// IdempotencyKey stands for the run, so that a repeat starts no other; empty: each
	// start is of its own.
	IdempotencyKey string
}

// StartedRun is a run that was accepted.
type StartedRun = run.Started

// Start runs what is live. It gives the run when that is durable, and has started or
// has been waited for.
func (k Runs) Start(ctx context.Context, c Caller, in RunStart) (StartedRun, error) {
	if err := c.May("Runs.Start"); err != nil {
		return StartedRun{}, err
	}
	env, err := in.check()
	if err != nil {
		return StartedRun{}, err
	}
	s, err := k.source(ctx, c, boathook.Deployment, in.DeploymentID)
	if err != nil {
		return StartedRun{}, err
	}
	runID, wanted := boathook.NewID(boathook.RunID), ""
	if in.IdempotencyKey != "" {
		runID = boathook.DeriveID(boathook.RunID, string(boathook.TriggerAPI), s.ID, string(env), in.IdempotencyKey)
		wanted = runID
	}
	view, err := k.cfg.Store.LookUpTrigger(ctx, s.ID, "", wanted)
	if err != nil {
		return StartedRun{}, err
	}
	live, ok := view.Live[env]
	if !ok && view.Run == nil {
		return StartedRun{}, boathook.NoRunningVersion(env)
	}
	return k.cfg.Runs.StartOnce(ctx, boathook.Run{
		RunHead: boathook.RunHead{
			ID: runID, WorkspaceID: s.WorkspaceID, SourceID: s.ID, VersionID: live.ID, VersionNumber: live.Number,
			Environment: env, Trigger: boathook.TriggerAPI, InputHash: boathook.HashInput(in.Input),
			CreatedAt: k.cfg.Now(), Status: boathook.RunPending, TakesTurn: s.DeploymentSettings().MaxInFlight > 0,
		},
		Input: boathook.NewBody(in.Input),
	}, view.Run, run.Wait{Most: boathook.DefaultWaitForStart, Backlog: view.Backlog})
}

// check refuses what can't be started, sets the input that stands for none, and gives
// the environment.
func (in *RunStart) check() (boathook.Environment, error) {
	if in.DeploymentID == "" {
		return "", boathook.InvalidField("deployment_id", "is required")
	}
	env := boathook.Production
	if in.Environment != nil {
		env = *in.Environment
	}
	if err := checkEnvironment(env); err != nil {
		return "", err
	}
	if in.Input == nil {
		in.Input = boathook.EmptyInput
	}
	if len(in.Input) > boathook.MaxTriggerBody {
		return "", &boathook.Error{Kind: boathook.TooLarge, Field: "input",
			Message: fmt.Sprintf("is larger than %d KiB", boathook.MaxTriggerBody>>10)}
	}
	if err := boathook.CheckJSON(in.Input); err != nil {
		return "", boathook.InvalidField("input", "%s", err)
	}
	return env, boathook.CheckIdempotencyKey(in.IdempotencyKey)
}

// RunFilter selects runs of deployments; what is empty selects any.
type RunFilter struct {
	DeploymentID string
	Environment  boathook.Environment
	Status       boathook.RunStatus
	// DeliveryID is the sender's own id of what started the run, such as GitHub's
	// X-GitHub-Delivery. With one, the runs of agents are selected too.
	DeliveryID string
}

// deploymentStatuses are what a deployment's run can be.
var deploymentStatuses = []boathook.RunStatus{
	boathook.RunPending, boathook.RunRunning, boathook.RunSucceeded, boathook.RunFailed, boathook.RunCanceled,
}

// List gives the newest first.
func (k Runs) List(ctx context.Context, c Caller, f RunFilter, p boathook.Page) (runs []boathook.Run, next string, err error) {
	if err := c.May("Runs.List"); err != nil {
		return nil, "", err
	}
	err = k.list(ctx, c, f, p, func(q store.RunQuery) (err error) {
		runs, next, err = k.cfg.Store.Runs(ctx, q)
		return err
	})
	return runs, next, err
}

// Heads is List without the runs' inputs and outputs, which are not read.
func (k Runs) Heads(ctx context.Context, c Caller, f RunFilter, p boathook.Page) (heads []boathook.RunHead, next string, err error) {
	if err := c.May("Runs.Heads"); err != nil {
		return nil, "", err
	}
	err = k.list(ctx, c, f, p, func(q store.RunQuery) (err error) {
		heads, next, err = k.cfg.Store.RunHeads(ctx, q)
		return err
	})
	return heads, next, err
}

// list reads what a filter selects, and finds out meanwhile whether the caller may.
func (k Runs) list(ctx context.Context, c Caller, f RunFilter, p boathook.Page, read func(q store.RunQuery) error) error {
	q := store.RunQuery{
		WorkspaceID: c.Workspace, Kind: boathook.Deployment, SourceID: f.DeploymentID, Environment: f.Environment, DeliveryID: f.DeliveryID, Page: p,
	}
	if len(f.DeliveryID) > boathook.MaxTriggerDetail {
		return boathook.InvalidField("delivery_id", "must have at most %d bytes: a longer id is kept cut, with … at its end", boathook.MaxTriggerDetail)
	}
	if f.Environment != "" {
		if err := checkEnvironment(f.Environment); err != nil {
			return err
		}
	}
	if f.Status != "" {
		if !slices.Contains(deploymentStatuses, f.Status) {
			return boathook.InvalidField("status", "must be one of %s", deploymentStatuses)
		}
		q.Statuses = []boathook.RunStatus{f.Status}
	}
	return beside(func() error {
		if f.DeploymentID == "" {
			return nil
		}
		_, err := k.source(ctx, c, boathook.Deployment, f.DeploymentID)
		return err
	}, func() error { return read(q) })
}

// Get finds a run by its id.
func (k Runs) Get(ctx context.Context, c Caller, id string) (boathook.Run, error) {
	if err := c.May("Runs.Get"); err != nil {
		return boathook.Run{}, err
	}
	r, err := k.cfg.Store.Run(ctx, c.Workspace, id)
	return r, missing("run", id, err)
}

// runHead is the caller's, of a run's id.
func (k *core) runHead(ctx context.Context, c Caller, id string) (boathook.RunHead, error) {
	head, err := k.cfg.Store.RunHead(ctx, id)
	if err == nil && head.WorkspaceID != c.Workspace {
		err = noSuch("run", id)
	}
	return head, missing("run", id, err)
}

// Cancel ends a run that waits for its runner, and has the runner stop one that is
// running: that one's status is still so until the runner has stopped it.
func (k Runs) Cancel(ctx context.Context, c Caller, id string) (boathook.RunHead, error) {
	if err := c.May("Runs.Cancel"); err != nil {
		return boathook.RunHead{}, err
	}
	head, err := k.runHead(ctx, c, id)
	if err != nil {
		return boathook.RunHead{}, err
	}
	head, err = k.cfg.Store.RequestCancel(ctx, head.ID, k.cfg.Now())
	if err == nil && head.TakesTurn && head.Status.Over() {
		k.leaveLine(ctx, head)
	}
	return head, err
}

// leaveLine takes a run that was canceled while it waited out of its line. It is canceled
// even if that fails: then it leaves when it is its turn. It may have been given one just
// now, and not been sent its message: so it gives that back while it still stands in line,
// where the next look finds it if this fails, and again afterwards, since another look may
// have come in between.
func (k *core) leaveLine(ctx context.Context, head boathook.RunHead) {
	err := k.cfg.Store.EndTurn(ctx, head.SourceID, head.ID)
	if err == nil {
		err = k.cfg.Store.LeaveLine(ctx, head.SourceID, store.Waiting{RunID: head.ID, At: head.CreatedAt})
	}
	if err == nil {
		err = k.cfg.Store.EndTurn(ctx, head.SourceID, head.ID)
	}
	if err != nil {
		k.cfg.Log.WarnContext(ctx, "a canceled run is still in line", "run_id", head.ID, "error", err)
	}
}

// RunEvent is something that happened to a run.
type RunEvent struct {
	Number int
	Kind   RunEventKind
	Line   boathook.LogLine // of [RunPrinted]
	Run    boathook.Run     // of [RunEnded]: whole
}

// RunEventKind says what a run's event tells.
type RunEventKind int

// The kinds of a run's events.
const (
	RunStarted  RunEventKind = iota + 1
	RunPrinted               // a line of its log
	RunEnded                 // it succeeded or failed; a canceled run has none
	RunComplete              // there are no more events
)

// The numbers of a run's events follow from the run, so that each look says the same:
// its start is 1, the log's line k (from 0) is k+2, its end is the number of lines + 2,
// and the event that there are no more is the number of lines + 3.
const (
	startNumber     = 1
	firstLineNumber = 2
)

// Events gives what there is of a run's events after the last that the caller has, by
// its number; 0 is none. They are read while they are ranged over, which whoever has
// enough may break off. Unless they end with [RunComplete], there will be more: the
// caller asks again. A nil sequence tells that the caller has all.
func (k Runs) Events(ctx context.Context, c Caller, id string, last int) (boathook.RunHead, iter.Seq2[RunEvent, error], error) {
	if err := c.May("Runs.Events"); err != nil {
		return boathook.RunHead{}, nil, err
	}
	head, err := k.runHead(ctx, c, id)
	if err != nil {
		return boathook.RunHead{}, nil, err
	}
	if head.Status.Over() && last > firstLineNumber+head.LogLines {
		return head, nil, nil
	}
	return head, func(yield func(RunEvent, error) bool) { k.events(ctx, head, last, yield) }, nil
}

// events gives a run's events after the last that is had.
func (k *core) events(ctx context.Context, head boathook.RunHead, last int, yield func(RunEvent, error) bool) {
	if last < startNumber && !head.StartedAt.IsZero() && !yield(RunEvent{Number: startNumber, Kind: RunStarted}, nil) {
		return
	}
	next := max(last+1-firstLineNumber, 0) // the log's next line
	first, lines, err := k.cfg.Store.Log(ctx, head.ID, next, maxLog)
	if err != nil {
		yield(RunEvent{}, fmt.Errorf("read the log of %s: %w", head.ID, err))
		return
	}
	lines = lines[min(max(next-first, 0), len(lines)):]
	if head.Status.Over() {
		lines = lines[:min(len(lines), max(head.LogLines-next, 0))]
	}
	for _, l := range lines {
		if !yield(RunEvent{Number: firstLineNumber + next, Kind: RunPrinted, Line: l}, nil) {
			return
		}
		next++
	}
	// A log that has no more lines, though the run says so, must not hold the
	// caller for ever.
	atEnd := next >= head.LogLines || len(lines) == 0
	if !head.Status.Over() || !atEnd {
		return
	}
	end := firstLineNumber + head.LogLines
	if last < end && head.Status != boathook.RunCanceled {
		r, err := k.cfg.Store.Run(ctx, head.WorkspaceID, head.ID)
		if err != nil {
			yield(RunEvent{}, fmt.Errorf("read run %s: %w", head.ID, err))
			return
		}
		if !yield(RunEvent{Number: end, Kind: RunEnded, Run: r}, nil) {
			return
		}
	}
	yield(RunEvent{Number: end + 1, Kind: RunComplete}, nil)
}

// RunView is a run with what a person wants to see beside it.
type RunView struct {
	boathook.Run
	Source  boathook.Source           // whose run it is; zero if that is deleted
	Webhook *boathook.IncomingWebhook // that started it; nil if none has, or it is deleted
	First   int                       // number of the first of Lines
	Lines   []boathook.LogLine        // of its log, about 1 MiB of them at most
}

// Look gives a run with its log from a line on, and what it belongs to, in two round
// trips to the store.
func (k Runs) Look(ctx context.Context, c Caller, id string, from int) (v RunView, err error) {
	if err := c.May("Runs.Look"); err != nil {
		return RunView{}, err
	}
	if from < 0 {
		return RunView{}, boathook.InvalidField("from", "must not be negative")
	}
	owners := ahead[runOwner]{read: func(o store.Owner) (runOwner, error) { return k.runOwner(ctx, c, o) }}
	defer owners.wait()
	err = beside(func() (err error) {
		v.Run, err = k.cfg.Store.Run(owners.listen(ctx), c.Workspace, id)
		return missing("run", id, err)
	}, func() (err error) {
		v.First, v.Lines, err = k.cfg.Store.Log(ctx, id, from, maxLog)
		return err
	})
	if err != nil {
		return RunView{}, err
	}
	if skip := min(max(from-v.First, 0), len(v.Lines)); skip > 0 { // it comes in chunks
		v.First, v.Lines = v.First+skip, v.Lines[skip:]
	}
	if v.Status.Over() {
		v.Lines = v.Lines[:min(len(v.Lines), max(v.LogLines-v.First, 0))]
	}
	owner, err := owners.of(store.Owner{SourceID: v.SourceID, WebhookID: v.WebhookID})
	v.Source, v.Webhook = owner.source, owner.webhook
	return v, err
}

// runOwner is whose a run is.
type runOwner struct {
	source  boathook.Source
	webhook *boathook.IncomingWebhook
}

// runOwner leaves out what is deleted.
func (k *core) runOwner(ctx context.Context, c Caller, o store.Owner) (found runOwner, err error) {
	err = beside(func() (err error) {
		found.source, err = k.cfg.Store.Source(ctx, c.Workspace, o.SourceID)
		return unlessMissing(err)
	}, func() error {
		if o.WebhookID == "" || boathook.KindOf(o.SourceID) == boathook.Agent {
			return nil
		}
		w, err := k.cfg.Store.Incoming(ctx, o.SourceID, o.WebhookID)
		if err == nil {
			found.webhook = &w
		}
		return unlessMissing(err)
	})
	return found, err
}

// unlessMissing is an error but for one that tells that something is deleted.
func unlessMissing(err error) error {
	if boathook.IsKind(err, boathook.NotFound) {
		return nil
	}
	return err
}
