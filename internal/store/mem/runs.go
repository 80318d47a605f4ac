package mem

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
	"boathook/internal/store/paging"
)

// chunk is a part of a run's log.
type chunk struct {
	runID string
	first int // the number of its first line
	lines []boathook.LogLine
}

func (c chunk) end() int { return c.first + len(c.lines) }

// LookUpTrigger implements [store.Runs].
func (s *Store) LookUpTrigger(_ context.Context, sourceID, webhookID, runID string) (store.TriggerView, error) {
	defer s.lock()()
	b := s.under(sourceID)
	source := s.sources[sourceID]
	view := store.TriggerView{Live: maps.Clone(b.live), MaxInFlight: source.DeploymentSettings().MaxInFlight, Backlog: s.backlog(sourceID)}
	if w, ok := b.incoming[webhookID]; ok {
		w = cloneIncoming(w)
		view.Webhook = &w
	}
	if r, ok := s.runs[runID]; ok {
		head := cloneHead(r.RunHead)
		view.Run = &head
	}
	return view, nil
}

// CreateRun implements [store.Runs].
func (s *Store) CreateRun(_ context.Context, r boathook.Run) error {
	if err := store.CheckIDs(r.ID, r.SourceID); err != nil {
		return err
	}
	defer s.lock()()
	if _, exists := s.runs[r.ID]; exists {
		return boathook.Errorf(boathook.Conflict, "run %s exists", r.ID)
	}
	r = cloneRun(r)
	s.runs[r.ID] = &r
	s.runsOf.put(r.SourceID, paging.PositionOf(r.CreatedAt, r.ID), &r)
	s.runsIn.put(runsLike(&r), paging.PositionOf(r.CreatedAt, r.ID), &r)
	if r.Details.DeliveryID != "" {
		s.runsSent.put(sentKey{r.WorkspaceID, r.Details.DeliveryID}, paging.PositionOf(r.CreatedAt, r.ID), &r)
	}
	s.expire(func() { s.dropRun(&r) })
	return nil
}

// runsLike is the list of all runs of the workspace and the kind of source of r.
func runsLike(r *boathook.Run) kindOf {
	kind := boathook.Deployment
	if r.OfAgent() {
		kind = boathook.Agent
	}
	return kindOf{r.WorkspaceID, kind}
}

// sentKey is a sender's own id of a delivery to a workspace.
type sentKey struct{ workspaceID, deliveryID string }

// dropRun removes a run, unless that was done and another has its id now.
func (s *Store) dropRun(r *boathook.Run) {
	if s.runs[r.ID] == r {
		delete(s.runs, r.ID)
		s.runsOf.remove(r.SourceID, paging.PositionOf(r.CreatedAt, r.ID))
		s.runsIn.remove(runsLike(r), paging.PositionOf(r.CreatedAt, r.ID))
		s.runsSent.remove(sentKey{r.WorkspaceID, r.Details.DeliveryID}, paging.PositionOf(r.CreatedAt, r.ID))
	}
}

// RemovePending implements [store.Runs].
func (s *Store) RemovePending(_ context.Context, id string) error {
	defer s.lock()()
	if r, ok := s.runs[id]; ok && r.Status == boathook.RunPending && r.WaitsSince.IsZero() {
		s.dropRun(r)
	}
	return nil
}

// RunHead implements [store.Runs].
func (s *Store) RunHead(_ context.Context, id string) (boathook.RunHead, error) {
	defer s.lock()()
	r, err := s.run(id)
	if err != nil {
		return boathook.RunHead{}, err
	}
	return cloneHead(r.RunHead), nil
}

// run finds a run, to be read or changed.
func (s *Store) run(id string) (*boathook.Run, error) {
	r, ok := s.runs[id]
	if !ok {
		return nil, notFound("run")
	}
	return r, nil
}

// Run implements [store.Runs].
func (s *Store) Run(_ context.Context, workspaceID, id string) (boathook.Run, error) {
	defer s.lock()()
	r, err := s.run(id)
	if err != nil {
		return boathook.Run{}, err
	}
	if r.WorkspaceID != workspaceID {
		return boathook.Run{}, notFound("run")
	}
	return cloneRun(*r), nil
}

// Runs implements [store.Runs].
func (s *Store) Runs(_ context.Context, q store.RunQuery) ([]boathook.Run, string, error) {
	defer s.lock()()
	page, next, err := s.selected(q)
	if err != nil {
		return nil, "", err
	}
	var runs []boathook.Run
	size := 0
	for i, e := range page {
		if size >= store.MaxPageBytes {
			return runs, page[i-1].Cursor(), nil
		}
		runs = append(runs, cloneRun(*e.Value))
		size += e.Value.Input.Len() + len(e.Value.Output)
	}
	return runs, next, nil
}

// RunHeads implements [store.Runs].
func (s *Store) RunHeads(_ context.Context, q store.RunQuery) ([]boathook.RunHead, string, error) {
	defer s.lock()()
	page, next, err := s.selected(q)
	if err != nil {
		return nil, "", err
	}
	var heads []boathook.RunHead
	for _, e := range page {
		heads = append(heads, cloneHead(e.Value.RunHead))
	}
	return heads, next, nil
}

// CountedRuns implements [store.Runs].
func (s *Store) CountedRuns(_ context.Context, q store.CountQuery) (heads []boathook.RunHead, counts boathook.RunCounts, err error) {
	defer s.lock()()
	all := store.RunQuery{WorkspaceID: q.WorkspaceID, Kind: q.Kind, SourceID: q.SourceID}
	heads, counts = paging.CountRuns(func(yield func(boathook.RunHead) bool) {
		for e := range s.listed(all, paging.End) {
			if !yield(e.Value.RunHead) {
				return
			}
		}
	}, q)
	for i, head := range heads {
		heads[i] = cloneHead(head)
	}
	return heads, counts, nil
}

// listed are the runs before a position of what a query names.
func (s *Store) listed(q store.RunQuery, from paging.Position) iter.Seq[paging.Entry[*boathook.Run]] {
	if q.DeliveryID != "" {
		return s.runsSent.before(sentKey{q.WorkspaceID, q.DeliveryID}, from)
	}
	if q.SourceID != "" {
		return s.runsOf.before(q.SourceID, from)
	}
	return s.runsIn.before(kindOf{q.WorkspaceID, q.Kind}, from)
}

// runWanted tells whether a query selects a run.
func runWanted(q store.RunQuery) func(*boathook.Run) bool {
	return func(r *boathook.Run) bool {
		return r.WorkspaceID == q.WorkspaceID &&
			(q.SourceID == "" || r.SourceID == q.SourceID) &&
			(q.Environment == "" || r.Environment == q.Environment) &&
			(len(q.Statuses) == 0 || slices.Contains(q.Statuses, r.Status))
	}
}

// selected is the page of runs that q asks for.
func (s *Store) selected(q store.RunQuery) (page []paging.Entry[*boathook.Run], next string, err error) {
	from, err := paging.ParseCursor(q.Cursor)
	if err != nil {
		return nil, "", err
	}
	listed := s.listed(q, from)
	if q.DeliveryID == "" && q.SourceID != "" && len(q.Statuses) > 0 && !slices.ContainsFunc(q.Statuses, boathook.RunStatus.Over) {
		listed = only(listed, func(r *boathook.Run) bool { return !r.Status.Over() }) // package dynamo has an index of them
	}
	found, edge := paging.Look(listed, store.Share(q.Page, 1), runWanted(q))
	page, next = paging.Cut(found, edge, q.Limit)
	return page, next, nil
}

// AnyActive implements [store.Runs].
func (s *Store) AnyActive(_ context.Context, sourceID string) (bool, error) {
	defer s.lock()()
	for e := range s.runsOf.before(sourceID, paging.End) {
		if !e.Value.Status.Over() {
			return true, nil
		}
	}
	return false, nil
}

// ClaimRun implements [store.Runs].
func (s *Store) ClaimRun(_ context.Context, id string, c boathook.Claim, startedAt time.Time) (boathook.RunHead, error) {
	return s.changePending(id, func(h *boathook.RunHead) {
		h.Status, h.Claim, h.StartedAt = boathook.RunRunning, c, startedAt
	})
}

// changePending changes a run's head, and gives it as it is then. One that is no longer
// pending stays as it is, and is given with [boathook.Conflict].
func (s *Store) changePending(id string, change func(*boathook.RunHead)) (boathook.RunHead, error) {
	defer s.lock()()
	r, err := s.run(id)
	if err != nil {
		return boathook.RunHead{}, err
	}
	if r.Status != boathook.RunPending {
		return cloneHead(r.RunHead), boathook.Errorf(boathook.Conflict, "run %s is %s", id, r.Status)
	}
	change(&r.RunHead)
	return changed(r), nil
}

// changed completes a change of a run's head, and gives the head as it is now.
func changed(r *boathook.Run) boathook.RunHead {
	r.RunHead = cloneHead(r.RunHead)
	return cloneHead(r.RunHead)
}

// claimed finds a running run and checks that a claim is its own.
func (s *Store) claimed(id string, c boathook.Claim) (*boathook.Run, error) {
	r, err := s.run(id)
	switch {
	case err != nil:
		return nil, err
	case r.Status != boathook.RunRunning:
		return nil, boathook.Errorf(boathook.Conflict, "run %s is %s", id, r.Status)
	case r.Claim.ID != c.ID:
		return nil, boathook.Errorf(boathook.Conflict, "run %s has another runner", id)
	}
	return r, nil
}

// RenewLease implements [store.Runs].
func (s *Store) RenewLease(_ context.Context, id string, c boathook.Claim) (cancel bool, err error) {
	defer s.lock()()
	r, err := s.claimed(id, c)
	if err != nil {
		return false, err
	}
	r.Claim = c
	return changed(r).CancelRequested, nil
}

// FinishRun implements [store.Runs].
func (s *Store) FinishRun(_ context.Context, id string, c boathook.Claim, o boathook.Outcome) (boathook.RunHead, error) {
	defer s.lock()()
	r, err := s.claimed(id, c)
	if err != nil {
		return boathook.RunHead{}, err
	}
	if !c.LeaseUntil.IsZero() && !stored(c.LeaseUntil).Equal(r.Claim.LeaseUntil) {
		return boathook.RunHead{}, boathook.Errorf(boathook.Conflict, "the lease of run %s was renewed", id)
	}
	r.Status, r.Error, r.ExitCode = o.Status, o.Error, o.ExitCode
	r.CompletedAt, r.LogLines = o.CompletedAt, o.LogLines
	r.Published = o.Status == boathook.RunCanceled
	r.Output = bytes.Clone(o.Output)
	return changed(r), nil
}

// MarkPublished implements [store.Runs].
func (s *Store) MarkPublished(_ context.Context, id string) error {
	defer s.lock()()
	r, err := s.run(id)
	if err != nil {
		return err
	}
	r.Published = true
	return nil
}

// MarkRetried implements [store.Runs].
func (s *Store) MarkRetried(_ context.Context, id string, by boathook.Retry) error {
	defer s.lock()()
	by.At, by.StartsAt = stored(by.At), stored(by.StartsAt)
	if r, ok := s.runs[id]; ok && by.Newer(r.RetriedBy) {
		r.RetriedBy = by
	}
	return nil
}

// MoveVersion implements [store.Runs].
func (s *Store) MoveVersion(_ context.Context, id string, v boathook.LiveVersion) error {
	defer s.lock()()
	if r, ok := s.runs[id]; ok && r.Status == boathook.RunPending {
		r.VersionID, r.VersionNumber = v.ID, v.Number
	}
	return nil
}

// MarkWaiting implements [store.Runs].
func (s *Store) MarkWaiting(_ context.Context, id string, since time.Time) (boathook.RunHead, error) {
	return s.changePending(id, func(h *boathook.RunHead) {
		if h.WaitsSince.IsZero() {
			h.WaitsSince = stored(since)
		}
	})
}

// RequestCancel implements [store.Runs].
func (s *Store) RequestCancel(_ context.Context, id string, now time.Time) (boathook.RunHead, error) {
	defer s.lock()()
	r, err := s.run(id)
	if err != nil {
		return boathook.RunHead{}, err
	}
	switch r.Status {
	case boathook.RunPending:
		r.Status, r.CompletedAt, r.Published = boathook.RunCanceled, now, true
	case boathook.RunRunning:
		r.CancelRequested = true
	default:
		return cloneHead(r.RunHead), boathook.Errorf(boathook.Conflict, "run %s is %s", id, r.Status)
	}
	return changed(r), nil
}

func cloneRun(r boathook.Run) boathook.Run {
	r.RunHead = cloneHead(r.RunHead)
	r.Output = bytes.Clone(r.Output)
	return r
}

func cloneHead(h boathook.RunHead) boathook.RunHead {
	if h.ExitCode != nil {
		h.ExitCode = new(*h.ExitCode)
	}
	h.CreatedAt, h.StartedAt, h.CompletedAt = stored(h.CreatedAt), stored(h.StartedAt), stored(h.CompletedAt)
	h.Claim.LeaseUntil, h.RetriedBy.At = stored(h.Claim.LeaseUntil), stored(h.RetriedBy.At)
	h.StartsAt, h.RetriedBy.StartsAt = stored(h.StartsAt), stored(h.RetriedBy.StartsAt)
	h.Burst = h.Burst.Clone()
	if h.Burst != nil {
		for i := range h.Burst.Triggers {
			h.Burst.Triggers[i].At = stored(h.Burst.Triggers[i].At)
		}
	}
	return h
}

// AppendLog implements [store.Logs].
func (s *Store) AppendLog(_ context.Context, run boathook.RunHead, first int, lines []boathook.LogLine) error {
	if err := store.CheckIDs(run.ID); err != nil {
		return err
	}
	defer s.lock()()
	c := chunk{run.ID, first, slices.Clone(lines)}
	for i := range c.lines {
		c.lines[i].Time = stored(c.lines[i].Time)
	}
	log := s.logs[run.ID]
	if len(log) == 0 {
		s.expire(func() { s.dropLog(run) })
	}
	if run.OfAgent() {
		s.agentLogs.put(run.SourceID, c.place(run), c)
	}
	i, again := slices.BinarySearchFunc(log, first, func(c chunk, first int) int { return cmp.Compare(c.first, first) })
	if again {
		log[i] = c
		return nil
	}
	s.logs[run.ID] = slices.Insert(log, i, c)
	return nil
}

// place is where a chunk of a run stands in its agent's log.
func (c chunk) place(run boathook.RunHead) paging.Position {
	return paging.PositionOf(run.CreatedAt, fmt.Sprintf("%s#%09d", run.ID, c.first))
}

func (s *Store) dropLog(run boathook.RunHead) {
	if run.OfAgent() {
		for _, c := range s.logs[run.ID] {
			s.agentLogs.remove(run.SourceID, c.place(run))
		}
	}
	delete(s.logs, run.ID)
}

// AgentLog implements [store.Logs].
func (s *Store) AgentLog(_ context.Context, q store.AgentLogQuery) ([]boathook.AgentLine, error) {
	defer s.lock()()
	return paging.NewestLines(func(yield func(paging.Chunk) bool) {
		for e := range s.agentLogs.before(q.AgentID, paging.End) {
			if !yield(paging.Chunk{RunID: e.Value.runID, Lines: e.Value.lines}) {
				return
			}
		}
	}, q), nil
}

// LogLines implements [store.Logs].
func (s *Store) LogLines(_ context.Context, runID string) (int, error) {
	defer s.lock()()
	log := s.logs[runID]
	if len(log) == 0 {
		return 0, nil
	}
	return log[len(log)-1].end(), nil
}

// Log implements [store.Logs].
func (s *Store) Log(_ context.Context, runID string, from, maxBytes int) (first int, lines []boathook.LogLine, err error) {
	defer s.lock()()
	log := s.logs[runID]
	// The first chunk that ends behind the line.
	i, _ := slices.BinarySearchFunc(log, from+1, func(c chunk, end int) int { return cmp.Compare(c.end(), end) })
	if i == len(log) {
		return from, nil, nil
	}
	size := 0
	for _, c := range log[i:] {
		lines = append(lines, c.lines...)
		for _, l := range c.lines {
			size += l.Size()
		}
		if size >= maxBytes {
			break
		}
	}
	return log[i].first, lines, nil
}
