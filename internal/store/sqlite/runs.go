package sqlite

import (
	"context"
	"slices"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/compress"
	"boathook/internal/database"
	"boathook/internal/store"
	"boathook/internal/store/paging"
)

// headItem is a run's head.
type headItem struct {
	ID              string               `json:"id"`
	WorkspaceID     string               `json:"workspace_id"`
	SourceID        string               `json:"source_id"`
	VersionID       string               `json:"version_id"`
	VersionNumber   int                  `json:"version_number"`
	Environment     boathook.Environment `json:"environment"`
	Trigger         boathook.Trigger     `json:"trigger"`
	WebhookID       string               `json:"webhook_id,omitempty"`
	InputHash       []byte               `json:"input_hash"`
	CreatedAt       time.Time            `json:"created_at"`
	EventName       string               `json:"event_name,omitempty"`
	EventSource     string               `json:"event_source,omitempty"`
	Fenced          bool                 `json:"fenced,omitempty"`
	Details         detailsItem          `json:"details,omitzero"`
	RetryOf         string               `json:"retry_of,omitempty"`
	RetriedBy       string               `json:"retried_by,omitempty"`
	RetriedAt       time.Time            `json:"retried_at,omitzero"`
	RetryStartsAt   time.Time            `json:"retry_starts_at,omitzero"`
	RetryNumber     int                  `json:"retry_number,omitempty"`
	StartsAt        time.Time            `json:"starts_at,omitzero"`
	TakesTurn       bool                 `json:"takes_turn,omitempty"`
	WaitsSince      time.Time            `json:"waits_since,omitzero"`
	Burst           *burstItem           `json:"burst,omitempty"`
	Status          boathook.RunStatus   `json:"status"`
	Error           string               `json:"error,omitempty"`
	ExitCode        *int                 `json:"exit_code,omitempty"`
	StartedAt       time.Time            `json:"started_at,omitzero"`
	CompletedAt     time.Time            `json:"completed_at,omitzero"`
	LogLines        int                  `json:"log_lines,omitempty"`
	Published       bool                 `json:"published,omitempty"`
	ClaimID         string               `json:"claim_id,omitempty"`
	LeaseUntil      time.Time            `json:"lease_until,omitzero"`
	CancelRequested bool                 `json:"cancel_requested,omitempty"`
	Trace           traceItem            `json:"trace,omitzero"`
}

// burstItem are the triggers that a run takes the place of.
type burstItem struct {
	Count    int                `json:"count"`
	Triggers []burstTriggerItem `json:"triggers"`
}

type burstTriggerItem struct {
	ID         string    `json:"id"`
	DeliveryID string    `json:"delivery_id,omitempty"`
	At         time.Time `json:"at"`
}

func newBurstItem(b *boathook.Burst) *burstItem {
	if b == nil {
		return nil
	}
	return &burstItem{b.Count, each(b.Triggers, func(t boathook.BurstTrigger) burstTriggerItem {
		return burstTriggerItem{t.ID, t.DeliveryID, stored(t.At)}
	})}
}

func (it *burstItem) burst() *boathook.Burst {
	if it == nil {
		return nil
	}
	return &boathook.Burst{Count: it.Count, Triggers: each(it.Triggers, func(t burstTriggerItem) boathook.BurstTrigger {
		return boathook.BurstTrigger(t)
	})}
}

// detailsItem is what a trigger said beside its body.
type detailsItem struct {
	Event       string `json:"event,omitempty"`
	DeliveryID  string `json:"delivery_id,omitempty"`
	ContentType string `json:"content_type,omitempty"`
	Query       string `json:"query,omitempty"`
	FilterError string `json:"filter_error,omitempty"`
}

func newHeadItem(h boathook.RunHead) headItem {
	return headItem{
		h.ID, h.WorkspaceID, h.SourceID, h.VersionID, h.VersionNumber, h.Environment, h.Trigger, h.WebhookID, h.InputHash[:],
		stored(h.CreatedAt), h.EventName, h.EventSource, h.Fenced, detailsItem(h.Details), h.RetryOf, h.RetriedBy.RunID, stored(h.RetriedBy.At),
		stored(h.RetriedBy.StartsAt), h.RetryNumber, stored(h.StartsAt), h.TakesTurn, stored(h.WaitsSince), newBurstItem(h.Burst),
		h.Status, h.Error, h.ExitCode, stored(h.StartedAt), stored(h.CompletedAt), h.LogLines, h.Published,
		h.Claim.ID, stored(h.Claim.LeaseUntil), h.CancelRequested, traceItem(h.Trace),
	}
}

func (it headItem) head() boathook.RunHead {
	h := boathook.RunHead{
		ID: it.ID, WorkspaceID: it.WorkspaceID, SourceID: it.SourceID, VersionID: it.VersionID, VersionNumber: it.VersionNumber,
		Environment: it.Environment, Trigger: it.Trigger, WebhookID: it.WebhookID, CreatedAt: it.CreatedAt,
		EventName: it.EventName, EventSource: it.EventSource, Fenced: it.Fenced, Details: boathook.TriggerDetails(it.Details), RetryOf: it.RetryOf,
		RetriedBy: boathook.Retry{RunID: it.RetriedBy, At: it.RetriedAt, StartsAt: it.RetryStartsAt}, RetryNumber: it.RetryNumber, StartsAt: it.StartsAt, TakesTurn: it.TakesTurn, WaitsSince: it.WaitsSince, Burst: it.Burst.burst(),
		Status: it.Status, Error: it.Error, ExitCode: it.ExitCode, StartedAt: it.StartedAt, CompletedAt: it.CompletedAt,
		LogLines: it.LogLines, Published: it.Published, Trace: boathook.TraceContext(it.Trace),
		Claim: boathook.Claim{ID: it.ClaimID, LeaseUntil: it.LeaseUntil}, CancelRequested: it.CancelRequested,
	}
	copy(h.InputHash[:], it.InputHash)
	return h
}

// kindOf is the kind of a run's source.
func kindOf(h boathook.RunHead) boathook.SourceKind {
	if h.OfAgent() {
		return boathook.Agent
	}
	return boathook.Deployment
}

// head reads a run's head; nil if there is none.
func (s *Store) head(tx *database.Tx, id string) (*boathook.RunHead, error) {
	item, found, err := first[headItem](tx, "SELECT item FROM runs WHERE id = ? AND expires > ?", id, s.now())
	if err != nil || !found {
		return nil, err
	}
	head := item.head()
	return &head, nil
}

// headThere is head for who needs the run.
func (s *Store) headThere(tx *database.Tx, id string) (*boathook.RunHead, error) {
	head, err := s.head(tx, id)
	if err == nil && head == nil {
		err = notFound("run")
	}
	return head, err
}

// The kinds of a run's texts.
const (
	input  = "input"
	output = "output"
)

func putText(tx *database.Tx, runID, kind string, packed []byte) error {
	return tx.Exec("INSERT OR REPLACE INTO run_texts (run_id, kind, text) VALUES (?, ?, ?)", runID, kind, packed)
}

// texts gives a run its input and output.
func (s *Store) texts(tx *database.Tx, head boathook.RunHead) (boathook.Run, error) {
	run := boathook.Run{RunHead: head}
	for row, err := range tx.Query("SELECT kind, text FROM run_texts WHERE run_id = ?", head.ID) {
		if err != nil {
			return run, err
		}
		body, err := compress.Open(row.Bytes(1), max(boathook.MaxTriggerBody, boathook.MaxRunOutput))
		if err != nil {
			s.config.Log.Error("a run's text can't be read: the run is shown without it", "run_id", head.ID, "error", err)
			continue
		}
		switch row.Text(0) {
		case input:
			run.Input = body
		case output:
			run.Output = body.Bytes()
		}
	}
	return run, nil
}

// LookUpTrigger implements [store.Runs].
func (s *Store) LookUpTrigger(_ context.Context, sourceID, webhookID, runID string) (store.TriggerView, error) {
	return read(s, func(tx *database.Tx) (view store.TriggerView, err error) {
		item, found, err := first[incomingItem](tx, "SELECT item FROM incoming WHERE source_id = ? AND id = ?", sourceID, webhookID)
		if err != nil {
			return view, err
		}
		if found {
			webhook := item.incoming()
			view.Webhook = &webhook
		}
		if view.Live, err = live(tx, sourceID); err != nil {
			return view, err
		}
		if view.Run, err = s.head(tx, runID); err != nil {
			return view, err
		}
		deployment, _, err := first[sourceItem](tx, "SELECT item FROM sources WHERE id = ? AND kind = 'deployment'", sourceID)
		if err != nil {
			return view, err
		}
		source := deployment.source()
		view.MaxInFlight = source.DeploymentSettings().MaxInFlight
		view.Backlog, err = s.backlog(tx, sourceID)
		return view, err
	})
}

// CreateRun implements [store.Runs].
func (s *Store) CreateRun(_ context.Context, r boathook.Run) error {
	if err := store.CheckIDs(r.ID, r.SourceID); err != nil {
		return err
	}
	return s.config.DB.Write(func(tx *database.Tx) error {
		if err := tx.Exec("DELETE FROM runs WHERE id = ? AND expires <= ?", r.ID, s.now()); err != nil {
			return err
		}
		created, err := tx.Change(`INSERT INTO runs (id, workspace_id, kind, source_id, delivery_id, created_at, active, expires, item)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			r.ID, r.WorkspaceID, string(kindOf(r.RunHead)), r.SourceID, r.Details.DeliveryID, r.CreatedAt, !r.Status.Over(), s.expiry(), encode(newHeadItem(r.RunHead)))
		if err != nil {
			return err
		}
		if !created {
			return boathook.Errorf(boathook.Conflict, "run %s exists", r.ID)
		}
		if !r.Input.Lost() {
			if err := putText(tx, r.ID, input, compress.Pack(r.Input)); err != nil {
				return err
			}
		}
		if len(r.Output) > 0 {
			return putText(tx, r.ID, output, compress.Compress(r.Output))
		}
		return nil
	})
}

// RemovePending implements [store.Runs].
func (s *Store) RemovePending(_ context.Context, id string) error {
	return s.config.DB.Write(func(tx *database.Tx) error {
		head, err := s.head(tx, id)
		if err != nil || head == nil || head.Status != boathook.RunPending || !head.WaitsSince.IsZero() {
			return err
		}
		return tx.Exec("DELETE FROM runs WHERE id = ?", id)
	})
}

// RunHead implements [store.Runs].
func (s *Store) RunHead(_ context.Context, id string) (boathook.RunHead, error) {
	return read(s, func(tx *database.Tx) (boathook.RunHead, error) {
		head, err := s.headThere(tx, id)
		if err != nil {
			return boathook.RunHead{}, err
		}
		return *head, nil
	})
}

// Run implements [store.Runs].
func (s *Store) Run(_ context.Context, workspaceID, id string) (boathook.Run, error) {
	return read(s, func(tx *database.Tx) (boathook.Run, error) {
		head, err := s.headThere(tx, id)
		if err == nil && head.WorkspaceID != workspaceID {
			err = notFound("run")
		}
		if err != nil {
			return boathook.Run{}, err
		}
		return s.texts(tx, *head)
	})
}

// ClaimRun implements [store.Runs].
func (s *Store) ClaimRun(_ context.Context, id string, c boathook.Claim, startedAt time.Time) (boathook.RunHead, error) {
	return s.changePending(id, func(head *boathook.RunHead) {
		head.Status, head.Claim, head.StartedAt = boathook.RunRunning, c, startedAt
	})
}

// changePending is changeRun of a run that is pending. Any other stays as it is, and is
// given with [boathook.Conflict].
func (s *Store) changePending(id string, change func(*boathook.RunHead)) (boathook.RunHead, error) {
	return s.changeRun(id, func(_ *database.Tx, head *boathook.RunHead) error {
		if head.Status != boathook.RunPending {
			return boathook.Errorf(boathook.Conflict, "run %s is %s", id, head.Status)
		}
		change(head)
		return nil
	})
}

// changeRun has a run's head changed, and gives it as it is afterwards: also where
// change has an error and changes nothing.
func (s *Store) changeRun(id string, change func(*database.Tx, *boathook.RunHead) error) (boathook.RunHead, error) {
	return write(s, func(tx *database.Tx) (boathook.RunHead, error) {
		head, err := s.headThere(tx, id)
		if err != nil {
			return boathook.RunHead{}, err
		}
		if err := change(tx, head); err != nil {
			return *head, err
		}
		item := newHeadItem(*head)
		return item.head(), tx.Exec("UPDATE runs SET active = ?, item = ? WHERE id = ?", !head.Status.Over(), encode(item), id)
	})
}

// claimed checks that a run is running and a claim its own.
func claimed(head *boathook.RunHead, c boathook.Claim) error {
	switch {
	case head.Status != boathook.RunRunning:
		return boathook.Errorf(boathook.Conflict, "run %s is %s", head.ID, head.Status)
	case head.Claim.ID != c.ID:
		return boathook.Errorf(boathook.Conflict, "run %s has another runner", head.ID)
	}
	return nil
}

// RenewLease implements [store.Runs].
func (s *Store) RenewLease(_ context.Context, id string, c boathook.Claim) (cancel bool, err error) {
	head, err := s.changeRun(id, func(_ *database.Tx, head *boathook.RunHead) error {
		err := claimed(head, c)
		if err == nil {
			head.Claim = c
		}
		return err
	})
	return err == nil && head.CancelRequested, err
}

// FinishRun implements [store.Runs].
func (s *Store) FinishRun(_ context.Context, id string, c boathook.Claim, o boathook.Outcome) (boathook.RunHead, error) {
	head, err := s.changeRun(id, func(tx *database.Tx, head *boathook.RunHead) error {
		if err := claimed(head, c); err != nil {
			return err
		}
		if !c.LeaseUntil.IsZero() && !stored(c.LeaseUntil).Equal(head.Claim.LeaseUntil) {
			return boathook.Errorf(boathook.Conflict, "the lease of run %s was renewed", id)
		}
		head.Status, head.Error, head.ExitCode = o.Status, o.Error, o.ExitCode
		head.CompletedAt, head.LogLines = o.CompletedAt, o.LogLines
		head.Published = o.Status == boathook.RunCanceled
		if len(o.Output) == 0 {
			return nil
		}
		return putText(tx, id, output, compress.Compress(o.Output))
	})
	if err != nil {
		return boathook.RunHead{}, err
	}
	return head, nil
}

// MarkPublished implements [store.Runs].
func (s *Store) MarkPublished(_ context.Context, id string) error {
	_, err := s.changeRun(id, func(_ *database.Tx, head *boathook.RunHead) error {
		head.Published = true
		return nil
	})
	return err
}

// MarkRetried implements [store.Runs].
func (s *Store) MarkRetried(_ context.Context, id string, by boathook.Retry) error {
	by.At, by.StartsAt = stored(by.At), stored(by.StartsAt)
	_, err := s.changeRun(id, func(_ *database.Tx, head *boathook.RunHead) error {
		if by.Newer(head.RetriedBy) {
			head.RetriedBy = by
		}
		return nil
	})
	if boathook.IsKind(err, boathook.NotFound) {
		return nil
	}
	return err
}

// MoveVersion implements [store.Runs].
func (s *Store) MoveVersion(_ context.Context, id string, v boathook.LiveVersion) error {
	_, err := s.changeRun(id, func(_ *database.Tx, head *boathook.RunHead) error {
		if head.Status == boathook.RunPending {
			head.VersionID, head.VersionNumber = v.ID, v.Number
		}
		return nil
	})
	if boathook.IsKind(err, boathook.NotFound) {
		return nil
	}
	return err
}

// MarkWaiting implements [store.Runs].
func (s *Store) MarkWaiting(_ context.Context, id string, since time.Time) (boathook.RunHead, error) {
	return s.changePending(id, func(head *boathook.RunHead) {
		if head.WaitsSince.IsZero() {
			head.WaitsSince = since
		}
	})
}

// RequestCancel implements [store.Runs].
func (s *Store) RequestCancel(_ context.Context, id string, now time.Time) (boathook.RunHead, error) {
	return s.changeRun(id, func(_ *database.Tx, head *boathook.RunHead) error {
		switch head.Status {
		case boathook.RunPending:
			head.Status, head.CompletedAt, head.Published = boathook.RunCanceled, now, true
		case boathook.RunRunning:
			head.CancelRequested = true
		default:
			return boathook.Errorf(boathook.Conflict, "run %s is %s", id, head.Status)
		}
		return nil
	})
}

// AnyActive implements [store.Runs].
func (s *Store) AnyActive(_ context.Context, sourceID string) (bool, error) {
	return read(s, func(tx *database.Tx) (bool, error) {
		return tx.Exists("SELECT 1 FROM runs WHERE source_id = ? AND active = 1 AND expires > ?", sourceID, s.now())
	})
}

// PinRun implements [store.Runs].
func (s *Store) PinRun(_ context.Context, id, runID string) (pinned string, err error) {
	if err := store.CheckIDs(id, runID); err != nil {
		return "", err
	}
	return write(s, func(tx *database.Tx) (string, error) {
		pinned, err := s.pinnedRun(tx, id)
		if err != nil || pinned != "" {
			return pinned, err
		}
		return runID, tx.Exec("INSERT OR REPLACE INTO pinned_runs (id, run_id, expires) VALUES (?, ?, ?)", id, runID, s.expiry())
	})
}

// pinnedRun is the run that an id stands for; empty if it stands for none.
func (s *Store) pinnedRun(tx *database.Tx, id string) (runID string, err error) {
	_, err = tx.First(func(row database.Row) error { runID = row.Text(0); return nil },
		"SELECT run_id FROM pinned_runs WHERE id = ? AND expires > ?", id, s.now())
	return runID, err
}

// backlog is a source's mark; zero if there is none.
func (s *Store) backlog(tx *database.Tx, sourceID string) (until time.Time, err error) {
	_, err = tx.First(func(row database.Row) error { until = row.Time(0); return nil },
		"SELECT until FROM backlogs WHERE source_id = ? AND expires > ?", sourceID, s.now())
	return until, err
}

// LookUpStart implements [store.Backlogs].
func (s *Store) LookUpStart(_ context.Context, sourceID, runID string) (run *boathook.RunHead, backlog time.Time, err error) {
	err = s.config.DB.Read(func(tx *database.Tx) (err error) {
		if run, err = s.head(tx, runID); err == nil {
			backlog, err = s.backlog(tx, sourceID)
		}
		return err
	})
	return run, backlog, err
}

// MoveBacklog implements [store.Backlogs].
func (s *Store) MoveBacklog(_ context.Context, sourceID string, from, to time.Time) (moved bool, err error) {
	if err := store.CheckIDs(sourceID); err != nil {
		return false, err
	}
	return write(s, func(tx *database.Tx) (bool, error) {
		until, err := s.backlog(tx, sourceID)
		if err != nil || !until.Equal(stored(from)) {
			return false, err
		}
		if to.IsZero() {
			return true, tx.Exec("DELETE FROM backlogs WHERE source_id = ?", sourceID)
		}
		return true, tx.Exec("INSERT OR REPLACE INTO backlogs (source_id, until, expires) VALUES (?, ?, ?)", sourceID, to, to.Add(store.BacklogLife))
	})
}

// Runs implements [store.Runs].
func (s *Store) Runs(_ context.Context, q store.RunQuery) (runs []boathook.Run, next string, err error) {
	err = s.config.DB.Read(func(tx *database.Tx) error {
		page, after, err := s.runPage(tx, q)
		if err != nil {
			return err
		}
		next = after
		size := 0
		for i, e := range page {
			if size >= store.MaxPageBytes {
				next = page[i-1].Cursor()
				return nil
			}
			run, err := s.texts(tx, e.Value)
			if err != nil {
				return err
			}
			runs = append(runs, run)
			size += run.Input.Len() + len(run.Output)
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return runs, next, nil
}

// RunHeads implements [store.Runs].
func (s *Store) RunHeads(_ context.Context, q store.RunQuery) (heads []boathook.RunHead, next string, err error) {
	err = s.config.DB.Read(func(tx *database.Tx) error {
		page, after, err := s.runPage(tx, q)
		for _, e := range page {
			heads = append(heads, e.Value)
		}
		next = after
		return err
	})
	return heads, next, err
}

// CountedRuns implements [store.Runs].
func (s *Store) CountedRuns(_ context.Context, q store.CountQuery) (heads []boathook.RunHead, counts boathook.RunCounts, err error) {
	all := store.RunQuery{WorkspaceID: q.WorkspaceID, Kind: q.Kind, SourceID: q.SourceID}
	err = s.config.DB.Read(func(tx *database.Tx) (failed error) {
		heads, counts = paging.CountRuns(paging.Values(s.listed(tx, &failed, all, paging.End)), q)
		return failed
	})
	return heads, counts, err
}

// listed are the runs before a position of what a query names, without those that its
// index leaves out: of a source the runs that are over, if nobody wants them.
func (s *Store) listed(tx *database.Tx, failed *error, q store.RunQuery, from paging.Position) func(func(paging.Entry[boathook.RunHead]) bool) {
	scan := func(row database.Row) (boathook.RunHead, error) {
		item, err := decode[headItem](row, 2)
		return item.head(), err
	}
	const columns, order = "SELECT created_at, id, item FROM runs ", " AND expires > ? AND (created_at, id) < (?, ?) ORDER BY created_at DESC, id DESC"
	switch {
	case q.DeliveryID != "":
		return entries(s, tx, failed, scan, columns+"WHERE workspace_id = ? AND delivery_id = ? AND delivery_id <> ''"+order, q.WorkspaceID, q.DeliveryID, s.now(), from.At, from.ID)
	case q.SourceID == "":
		return entries(s, tx, failed, scan, columns+"WHERE workspace_id = ? AND kind = ?"+order, q.WorkspaceID, string(q.Kind), s.now(), from.At, from.ID)
	case len(q.Statuses) > 0 && !slices.ContainsFunc(q.Statuses, boathook.RunStatus.Over):
		return entries(s, tx, failed, scan, columns+"WHERE source_id = ? AND active = 1"+order, q.SourceID, s.now(), from.At, from.ID)
	}
	return entries(s, tx, failed, scan, columns+"WHERE source_id = ?"+order, q.SourceID, s.now(), from.At, from.ID)
}

// wanted tells whether a query selects a run.
func wanted(q store.RunQuery) func(boathook.RunHead) bool {
	return func(h boathook.RunHead) bool {
		return h.WorkspaceID == q.WorkspaceID &&
			(q.SourceID == "" || h.SourceID == q.SourceID) &&
			(q.Environment == "" || h.Environment == q.Environment) &&
			(len(q.Statuses) == 0 || slices.Contains(q.Statuses, h.Status))
	}
}

// runPage is the page of runs that a query asks for.
func (s *Store) runPage(tx *database.Tx, q store.RunQuery) (page []paging.Entry[boathook.RunHead], next string, err error) {
	from, err := paging.ParseCursor(q.Cursor)
	if err != nil {
		return nil, "", err
	}
	found, edge := paging.Look(s.listed(tx, &err, q, from), store.Share(q.Page, 1), wanted(q))
	page, next = paging.Cut(found, edge, q.Limit)
	return page, next, err
}
