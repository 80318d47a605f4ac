package dynamo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// headItem is a run's head. A claim changes nothing that the index by-parent
// copies, so that it costs no write there: to end the run takes two, since it then
// has another parent.
type headItem struct {
	key
	Parent        string               `dynamodbav:"parent"`
	Place         string               `dynamodbav:"place"`
	Expires       int64                `dynamodbav:"x"`
	WorkspaceID   string               `dynamodbav:"ws"`
	SourceID      string               `dynamodbav:"so"`
	VersionID     string               `dynamodbav:"v"`
	VersionNumber int                  `dynamodbav:"vn"`
	Environment   boathook.Environment `dynamodbav:"e"`
	Trigger       boathook.Trigger     `dynamodbav:"tr"`
	WebhookID     string               `dynamodbav:"w,omitempty"`
	InputHash     []byte               `dynamodbav:"ih"`
	CreatedAt     time.Time            `dynamodbav:"c"`
	EventName     string               `dynamodbav:"en,omitempty"`
	EventSource   string               `dynamodbav:"es,omitempty"`

	Status      boathook.RunStatus `dynamodbav:"s"` // active until the run is over: see status
	Error       string             `dynamodbav:"er,omitempty"`
	ExitCode    *int               `dynamodbav:"ec,omitempty"`
	StartedAt   time.Time          `dynamodbav:"st,omitempty"`
	CompletedAt time.Time          `dynamodbav:"ct,omitempty"`
	LogLines    int                `dynamodbav:"ll,omitempty"`
	Published   bool               `dynamodbav:"p,omitempty"`
	OutputHash  []byte             `dynamodbav:"oh,omitempty"` // null if there is no output

	ClaimID         string    `dynamodbav:"ci,omitempty"`
	LeaseUntil      time.Time `dynamodbav:"cl,omitempty"`
	CancelRequested bool      `dynamodbav:"cr,omitempty"`
}

// active is the status that is stored of a run which is not over. It is running if
// it is claimed.
const (
	active    = boathook.RunPending
	unclaimed = "s = :active AND attribute_not_exists(ci)"
	claimed   = "s = :active AND attribute_exists(ci)"
	claimedBy = "s = :active AND ci = :claim"
)

func newHeadItem(r boathook.Run, expires int64) headItem {
	parent, status := overParent(r.SourceID), r.Status
	if !status.Over() {
		parent, status = activeParent(r.SourceID), active
	}
	return headItem{
		key: headKey(r.ID), Parent: parent, Place: position(r.CreatedAt, r.ID), Expires: expires,
		WorkspaceID: r.WorkspaceID, SourceID: r.SourceID, VersionID: r.VersionID, VersionNumber: r.VersionNumber,
		Environment: r.Environment, Trigger: r.Trigger, WebhookID: r.WebhookID, InputHash: r.InputHash[:], CreatedAt: r.CreatedAt,
		EventName: r.EventName, EventSource: r.EventSource,
		Status: status, Error: r.Error, ExitCode: r.ExitCode, StartedAt: r.StartedAt, CompletedAt: r.CompletedAt,
		LogLines: r.LogLines, Published: r.Published, OutputHash: outputHash(r.Output),
		ClaimID: r.Claim.ID, LeaseUntil: r.Claim.LeaseUntil, CancelRequested: r.CancelRequested,
	}
}

func (h headItem) runID() string { return strings.TrimPrefix(h.PK, runPartition) }

// status is the run's own. An entry of the index does not know of a claim.
func (h headItem) status() boathook.RunStatus {
	if h.Status == active && h.ClaimID != "" {
		return boathook.RunRunning
	}
	return h.Status
}

func (h headItem) input() key  { return inputKey(h.runID(), h.InputHash) }
func (h headItem) output() key { return outputKey(h.runID(), h.OutputHash) }

func (h headItem) head() boathook.RunHead {
	head := boathook.RunHead{
		ID: h.runID(), WorkspaceID: h.WorkspaceID, SourceID: h.SourceID, VersionID: h.VersionID, VersionNumber: h.VersionNumber,
		Environment: h.Environment, Trigger: h.Trigger, WebhookID: h.WebhookID, CreatedAt: h.CreatedAt,
		EventName: h.EventName, EventSource: h.EventSource,
		Status: h.status(), Error: h.Error, ExitCode: h.ExitCode, StartedAt: h.StartedAt, CompletedAt: h.CompletedAt,
		LogLines: h.LogLines, Published: h.Published,
		Claim: boathook.Claim{ID: h.ClaimID, LeaseUntil: h.LeaseUntil}, CancelRequested: h.CancelRequested,
	}
	copy(head.InputHash[:], h.InputHash)
	return head
}

// outputHash is nil for no output.
func outputHash(output json.RawMessage) []byte {
	if len(output) == 0 {
		return nil
	}
	hash := boathook.HashInput(output)
	return hash[:]
}

// LookUpTrigger implements [store.Runs].
func (s *Store) LookUpTrigger(ctx context.Context, sourceID, webhookID, runID string) (view store.TriggerView, err error) {
	webhook, live, run := incomingKey(sourceID, webhookID), liveKey(sourceID), headKey(runID)
	keys := []tableKey{s.configKey(webhook), s.configKey(live)}
	if runID != "" {
		keys = append(keys, s.recordKey(run))
	}
	found, err := s.readBatch(ctx, keys...)
	if err != nil {
		return view, fmt.Errorf("look up trigger %s of %s: %w", webhookID, sourceID, err)
	}
	if it, ok := found[webhook]; ok {
		w, err := decode[boathook.IncomingWebhook](it)
		if err != nil {
			return view, err
		}
		view.Webhook = &w
	}
	view.Live, view.Run, err = liveAndRun(found, live, run)
	return view, err
}

// liveAndRun decodes what every trigger asks for: what is live, and the run that
// its idempotency key stands for, which is nil if there is none.
func liveAndRun(found map[key]item, live, run key) (map[boathook.Environment]boathook.LiveVersion, *boathook.RunHead, error) {
	l, err := decode[liveItem](found[live])
	if err != nil {
		return nil, nil, err
	}
	it, ok := found[run]
	if !ok {
		return l.live(), nil, nil
	}
	h, err := decode[headItem](it)
	if err != nil {
		return nil, nil, err
	}
	head := h.head()
	return l.live(), &head, nil
}

// CreateRun implements [store.Runs]. The texts come before the head that refers to
// them, so that a death in between leaves no run without its input. The hashes in
// their keys keep them apart from another run's of the same id.
func (s *Store) CreateRun(ctx context.Context, r boathook.Run) error {
	created, err := s.createRun(ctx, r)
	if err != nil {
		return fmt.Errorf("create run %s: %w", r.ID, err)
	}
	if !created {
		return boathook.Errorf(boathook.Conflict, "run %s exists", r.ID)
	}
	return nil
}

func (s *Store) createRun(ctx context.Context, r boathook.Run) (created bool, err error) {
	head := newHeadItem(r, s.expiry())
	if err := s.putText(ctx, head.input(), r.Input); err != nil {
		return false, err
	}
	if head.OutputHash != nil {
		if err := s.putText(ctx, head.output(), r.Output); err != nil {
			return false, err
		}
	}
	return s.putRecord(ctx, head, absent, nil)
}

// RemovePending implements [store.Runs]. The input stays until it expires: by
// now it may be that of another attempt to create the run.
func (s *Store) RemovePending(ctx context.Context, id string) error {
	_, err := s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &s.config.RecordsTable, Key: headKey(id).item(),
		ConditionExpression:       aws.String(unclaimed),
		ExpressionAttributeValues: item{":active": str(string(active))},
	})
	if _, other := errors.AsType[*types.ConditionalCheckFailedException](err); err != nil && !other {
		return fmt.Errorf("remove pending run %s: %w", id, err)
	}
	return nil
}

// RunHead implements [store.Runs].
func (s *Store) RunHead(ctx context.Context, id string) (boathook.RunHead, error) {
	h, err := s.head(ctx, id)
	return h.head(), err
}

func (s *Store) head(ctx context.Context, id string) (h headItem, err error) {
	it, err := s.read(ctx, s.config.RecordsTable, headKey(id), true)
	if err != nil {
		return h, fmt.Errorf("get run %s: %w", id, err)
	}
	if it == nil {
		return h, notFound("run " + id)
	}
	return decode[headItem](it)
}

// Run implements [store.Runs].
func (s *Store) Run(ctx context.Context, workspaceID, id string) (boathook.Run, error) {
	h, err := s.head(ctx, id)
	if err != nil {
		return boathook.Run{}, err
	}
	if h.WorkspaceID != workspaceID {
		return boathook.Run{}, notFound("run " + id)
	}
	runs, err := s.withTexts(ctx, h)
	if err != nil {
		return boathook.Run{}, fmt.Errorf("get run %s: %w", id, err)
	}
	return runs[0], nil
}

// withTexts makes whole runs of heads. A text that is lost is nil: one bad record
// does not spoil a list.
func (s *Store) withTexts(ctx context.Context, heads ...headItem) ([]boathook.Run, error) {
	var keys []tableKey
	for _, h := range heads {
		keys = append(keys, s.recordKey(h.input()))
		if h.OutputHash != nil {
			keys = append(keys, s.recordKey(h.output()))
		}
	}
	found, err := s.readBatch(ctx, keys...)
	if err != nil {
		return nil, err
	}
	runs := make([]boathook.Run, len(heads))
	for i, h := range heads {
		runs[i].RunHead = h.head()
		if runs[i].Input, err = s.textOf(ctx, found[h.input()]); err != nil {
			return nil, err
		}
		if runs[i].Output, err = s.textOf(ctx, found[h.output()]); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

// runWanted tells whether a query selects a run, of which a head or an entry of
// the index is known.
func runWanted(q store.RunQuery) func(headItem) bool {
	return func(h headItem) bool {
		return h.WorkspaceID == q.WorkspaceID &&
			(len(q.Statuses) == 0 || slices.Contains(q.Statuses, h.status())) &&
			(q.Environment == "" || h.Environment == q.Environment)
	}
}

// runsOf are the lists of sources' runs: of the active ones, which are to be
// looked at first, and of those that are over. One in which no run can have the
// statuses is left out; so are runs of before an oldest position.
func (s *Store) runsOf(sourceIDs []string, statuses []boathook.RunStatus, oldest string) (stages [][]list) {
	for _, over := range []bool{false, true} {
		if len(statuses) > 0 && !slices.ContainsFunc(statuses, func(st boathook.RunStatus) bool { return st.Over() == over }) {
			continue
		}
		parent := activeParent
		if over {
			parent = overParent
		}
		var lists []list
		for _, id := range sourceIDs {
			lists = append(lists, list{table: s.config.RecordsTable, index: byParent, partition: parent(id), oldest: oldest})
		}
		stages = append(stages, lists)
	}
	return stages
}

// runEntries reads a page of the index. Once their heads are read, it is short
// by the runs that have changed their status since.
func (s *Store) runEntries(ctx context.Context, q store.RunQuery) (entries []headItem, next string, err error) {
	from, err := parseCursor(q.Cursor, isPosition)
	if err != nil {
		return nil, "", err
	}
	q.Limit += q.Skip
	pending, running := slices.Contains(q.Statuses, boathook.RunPending), slices.Contains(q.Statuses, boathook.RunRunning)
	inIndex := q
	if running {
		inIndex.Statuses = append(slices.Clone(q.Statuses), active)
	}
	found, edge, err := lookAll(ctx, s, from, q.Share(len(q.SourceIDs)), runWanted(inIndex), s.runsOf(q.SourceIDs, q.Statuses, "")...)
	if err != nil {
		return nil, "", err
	}
	if pending != running { // which their heads alone tell
		heads, err := s.heads(ctx, objects(found), runWanted(q))
		if err != nil {
			return nil, "", err
		}
		found = nil
		for _, h := range heads {
			found = append(found, placed[headItem]{h.Place, h})
		}
	}
	found, next = cut(found, edge, q.Limit)
	return objects(found[min(q.Skip, len(found)):]), next, nil
}

// RunHeads implements [store.Runs].
func (s *Store) RunHeads(ctx context.Context, q store.RunQuery) (heads []boathook.RunHead, next string, err error) {
	entries, next, err := s.runEntries(ctx, q)
	if err != nil {
		return nil, "", fmt.Errorf("list runs: %w", err)
	}
	items, err := s.heads(ctx, entries, runWanted(q))
	if err != nil {
		return nil, "", fmt.Errorf("list runs: %w", err)
	}
	for _, h := range items {
		heads = append(heads, h.head())
	}
	return heads, next, nil
}

// CountRuns implements [store.Runs]. It reads the index alone.
func (s *Store) CountRuns(ctx context.Context, workspaceID string, sourceIDs []string, since time.Time) (map[boathook.RunStatus]int, error) {
	counts := make(map[boathook.RunStatus]int)
	oldest := ""
	if !since.IsZero() {
		oldest = position(since, "")
	}
	counted := store.Page{Limit: store.MaxCounted, Look: store.MaxCounted}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, id := range sourceIDs {
		group.Go(func() error {
			runs, edge, err := lookAll(ctx, s, "", counted, func(h headItem) bool {
				return h.WorkspaceID == workspaceID
			}, s.runsOf([]string{id}, nil, oldest)...)
			runs, _ = cut(runs, edge, store.MaxCounted)
			mu.Lock()
			defer mu.Unlock()
			for _, r := range runs {
				counts[r.object.Status]++
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("count runs: %w", err)
	}
	return counts, nil
}

// Runs implements [store.Runs].
func (s *Store) Runs(ctx context.Context, q store.RunQuery) (runs []boathook.Run, next string, err error) {
	entries, next, err := s.runEntries(ctx, q)
	if err != nil {
		return nil, "", fmt.Errorf("list runs: %w", err)
	}
	size := 0
	for some := range slices.Chunk(entries, maxBatchGet/2) { // the texts of so many are one request
		whole, err := s.wholeRuns(ctx, some, runWanted(q))
		if err != nil {
			return nil, "", fmt.Errorf("list runs: %w", err)
		}
		for _, r := range whole {
			if size >= store.MaxPageBytes {
				last := runs[len(runs)-1]
				return runs, cursorOf(position(last.CreatedAt, last.ID)), nil
			}
			runs = append(runs, r)
			size += len(r.Input) + len(r.Output)
		}
	}
	return runs, next, nil
}

// wholeRuns reads the runs of entries of the index, in their order, that are
// still wanted.
func (s *Store) wholeRuns(ctx context.Context, entries []headItem, wanted func(headItem) bool) ([]boathook.Run, error) {
	heads, err := s.heads(ctx, entries, wanted)
	if err != nil {
		return nil, err
	}
	return s.withTexts(ctx, heads...)
}

// heads reads those of entries of the index, in their order, that are still
// wanted.
func (s *Store) heads(ctx context.Context, entries []headItem, wanted func(headItem) bool) ([]headItem, error) {
	keys := make([]tableKey, len(entries))
	for i, e := range entries {
		keys[i] = s.recordKey(e.key)
	}
	found, err := s.readBatch(ctx, keys...)
	if err != nil {
		return nil, err
	}
	var heads []headItem
	for _, e := range entries {
		h, err := decode[headItem](found[e.key])
		if err != nil {
			return nil, err
		}
		if wanted(h) {
			heads = append(heads, h)
		}
	}
	return heads, nil
}

// AnyActive implements [store.Runs]. A run that was created within the last
// second or so may be missed: the index has no consistent reads.
func (s *Store) AnyActive(ctx context.Context, sourceID string) (bool, error) {
	l := list{table: s.config.RecordsTable, index: byParent, partition: activeParent(sourceID)}
	for _, err := range s.items(ctx, l.query("", 1)) {
		if err != nil {
			return false, fmt.Errorf("look for active runs of %s: %w", sourceID, err)
		}
		return true, nil
	}
	return false, nil
}

// updateHead changes a run's head if a condition holds. If it does not, the
// error is a Conflict, with the head as it is; see [Store.updateRecord].
func (s *Store) updateHead(ctx context.Context, verb, id, change, when string, values map[string]any) (boathook.RunHead, error) {
	it, held, err := s.updateRecord(ctx, headKey(id), change, when, values)
	if err != nil {
		return boathook.RunHead{}, fmt.Errorf("%s run %s: %w", verb, id, err)
	}
	if it == nil {
		return boathook.RunHead{}, notFound("run " + id)
	}
	h, err := decode[headItem](it)
	if err == nil && !held {
		err = boathook.Errorf(boathook.Conflict, "run %s is %s", id, h.status())
	}
	return h.head(), err
}

// ClaimRun implements [store.Runs].
func (s *Store) ClaimRun(ctx context.Context, id string, c boathook.Claim, startedAt time.Time) (boathook.RunHead, error) {
	for {
		head, err := s.updateHead(ctx, "claim", id,
			"SET ci = :claim, cl = :lease, st = :started", unclaimed, map[string]any{
				":active": active, ":claim": c.ID, ":lease": c.LeaseUntil, ":started": startedAt,
			})
		if boathook.IsKind(err, boathook.Conflict) && head.Status == boathook.RunPending {
			continue // it was created between the update and the look that followed
		}
		return head, err
	}
}

// RenewLease implements [store.Runs].
func (s *Store) RenewLease(ctx context.Context, id string, c boathook.Claim) (cancel bool, err error) {
	head, err := s.updateHead(ctx, "renew the lease of", id, "SET cl = :lease", claimedBy, map[string]any{
		":active": active, ":claim": c.ID, ":lease": c.LeaseUntil,
	})
	return head.CancelRequested, err
}

// FinishRun implements [store.Runs].
func (s *Store) FinishRun(ctx context.Context, id string, c boathook.Claim, o boathook.Outcome) (boathook.RunHead, error) {
	hash := outputHash(o.Output)
	if hash != nil {
		if err := s.putText(ctx, outputKey(id, hash), o.Output); err != nil {
			return boathook.RunHead{}, fmt.Errorf("store the output of run %s: %w", id, err)
		}
	}
	values := map[string]any{
		":active": active, ":claim": c.ID,
		":status": o.Status, ":error": o.Error, ":exit": o.ExitCode, ":completed": o.CompletedAt, ":lines": o.LogLines,
		":output": hash, ":published": o.Status == boathook.RunCanceled,
	}
	when := claimedBy
	if !c.LeaseUntil.IsZero() {
		when += " AND cl = :lease"
		values[":lease"] = c.LeaseUntil
	}
	return s.updateHead(ctx, "finish", id,
		"SET s = :status, parent = so, er = :error, ec = :exit, ct = :completed, ll = :lines, oh = :output, p = :published", when, values)
}

// MarkPublished implements [store.Runs].
func (s *Store) MarkPublished(ctx context.Context, id string) error {
	_, err := s.updateHead(ctx, "mark published", id, "SET p = :true", "", map[string]any{":true": true})
	return err
}

// RequestCancel implements [store.Runs].
func (s *Store) RequestCancel(ctx context.Context, id string, now time.Time) (boathook.RunHead, error) {
	for {
		head, err := s.RunHead(ctx, id)
		if err != nil {
			return head, err
		}
		change, when, values := "SET cr = :true", claimed, map[string]any{":active": active, ":true": true}
		switch {
		case head.Status.Over():
			return head, boathook.Errorf(boathook.Conflict, "run %s is %s", id, head.Status)
		case head.Status == boathook.RunPending:
			change, when = "SET s = :canceled, parent = so, ct = :completed, p = :true", unclaimed
			values[":canceled"], values[":completed"] = boathook.RunCanceled, now
		}
		head, err = s.updateHead(ctx, "cancel", id, change, when, values)
		if boathook.IsKind(err, boathook.Conflict) {
			continue // its status has moved on, as it does at most twice
		}
		return head, err
	}
}
