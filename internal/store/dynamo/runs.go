package dynamo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"boathook/internal/boathook"
	"boathook/internal/compress"
	"boathook/internal/store"
)

// headItem is a run's head. A claim changes nothing that the indexes copy, so that
// it costs no write there; the run's end costs one in each.
type headItem struct {
	record
	Parent        string               `dynamodbav:"parent"`
	Workspace     string               `dynamodbav:"workspace"`
	Active        string               `dynamodbav:"active,omitempty"` // until the run is over
	Place         string               `dynamodbav:"place"`
	WorkspaceID   string               `dynamodbav:"ws"`
	SourceID      string               `dynamodbav:"so"`
	VersionID     string               `dynamodbav:"v"`
	VersionNumber int                  `dynamodbav:"vn"`
	Environment   boathook.Environment `dynamodbav:"e"`
	Trigger       boathook.Trigger     `dynamodbav:"tr"`
	WebhookID     string               `dynamodbav:"w,omitempty"`
	InputHash     []byte               `dynamodbav:"ih"`
	InputSize     int                  `dynamodbav:"il"` // in bytes, before it is compressed
	CreatedAt     time.Time            `dynamodbav:"c"`
	EventName     string               `dynamodbav:"en,omitempty"`
	EventSource   string               `dynamodbav:"es,omitempty"`
	Fenced        bool                 `dynamodbav:"fe,omitempty"`
	Details       *detailsItem         `dynamodbav:"td,omitempty"`
	RetryOf       string               `dynamodbav:"ro,omitempty"`
	Trace         *traceItem           `dynamodbav:"tc,omitempty"`
	RetriedBy     string               `dynamodbav:"rb,omitempty"` // a position, which sorts: its time, and the run's id
	RetryStarts   time.Time            `dynamodbav:"rs,omitempty"` // of the run that RetriedBy names
	RetryNumber   int                  `dynamodbav:"rn,omitempty"`
	StartsAt      time.Time            `dynamodbav:"sa,omitempty"`
	TakesTurn     bool                 `dynamodbav:"tt,omitempty"`
	WaitsSince    time.Time            `dynamodbav:"wa,omitempty"`
	Triggers      int                  `dynamodbav:"bn,omitempty"` // of a run that several may become
	Burst         []burstTriggerItem   `dynamodbav:"bt,omitempty"` // the first of them

	Status      boathook.RunStatus `dynamodbav:"s"` // active until the run is over: see status
	Error       string             `dynamodbav:"er,omitempty"`
	ExitCode    *int               `dynamodbav:"ec,omitempty"`
	StartedAt   time.Time          `dynamodbav:"st,omitempty"`
	CompletedAt time.Time          `dynamodbav:"ct,omitempty"`
	LogLines    int                `dynamodbav:"ll,omitempty"`
	Published   bool               `dynamodbav:"p,omitempty"`
	OutputHash  []byte             `dynamodbav:"oh,omitempty"` // null if there is no output
	OutputSize  int                `dynamodbav:"ol,omitempty"` // as InputSize

	ClaimID         string    `dynamodbav:"ci,omitempty"`
	LeaseUntil      time.Time `dynamodbav:"cl,omitempty"`
	CancelRequested bool      `dynamodbav:"cr,omitempty"`
}

// detailsItem is what a trigger said beside its body.
type detailsItem struct {
	Event       string `dynamodbav:"e,omitempty"`
	DeliveryID  string `dynamodbav:"d,omitempty"`
	ContentType string `dynamodbav:"c,omitempty"`
	Query       string `dynamodbav:"q,omitempty"`
	FilterError string `dynamodbav:"f,omitempty"`
}

func newDetailsItem(d boathook.TriggerDetails) *detailsItem {
	if d.IsZero() {
		return nil
	}
	it := detailsItem(d)
	return &it
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
	shard, kind, status, activeIn := shardOf(r.ID, runShards), boathook.Deployment, r.Status, ""
	if r.OfAgent() {
		kind = boathook.Agent
	}
	if !status.Over() {
		status, activeIn = active, activeOf(r.SourceID, shard)
	}
	return headItem{
		record: record{headKey(r.ID), expires},
		Parent: runsParent(r.SourceID, shard), Workspace: workspaceRuns(r.WorkspaceID, kind, shard), Active: activeIn,
		Place:       position(r.CreatedAt, r.ID),
		WorkspaceID: r.WorkspaceID, SourceID: r.SourceID, VersionID: r.VersionID, VersionNumber: r.VersionNumber,
		Environment: r.Environment, Trigger: r.Trigger, WebhookID: r.WebhookID,
		InputHash: r.InputHash[:], InputSize: r.Input.Len(), CreatedAt: r.CreatedAt,
		EventName: r.EventName, EventSource: r.EventSource, Fenced: r.Fenced, Details: newDetailsItem(r.Details), RetryOf: r.RetryOf,
		RetriedBy: retryPosition(r.RetriedBy), RetryStarts: r.RetriedBy.StartsAt, RetryNumber: r.RetryNumber, StartsAt: r.StartsAt,
		Trace: newTraceItem(r.Trace), TakesTurn: r.TakesTurn, WaitsSince: r.WaitsSince, Triggers: countOf(r.Burst), Burst: newBurstItems(r.Burst),
		Status: status, Error: r.Error, ExitCode: r.ExitCode, StartedAt: r.StartedAt, CompletedAt: r.CompletedAt,
		LogLines: r.LogLines, Published: r.Published, OutputHash: outputHash(r.Output), OutputSize: len(r.Output),
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
		EventName: h.EventName, EventSource: h.EventSource, Fenced: h.Fenced, RetryOf: h.RetryOf, RetriedBy: h.retriedBy(),
		RetryNumber: h.RetryNumber, StartsAt: h.StartsAt, TakesTurn: h.TakesTurn, WaitsSince: h.WaitsSince, Burst: h.burst(),
		Status: h.status(), Error: h.Error, ExitCode: h.ExitCode, StartedAt: h.StartedAt, CompletedAt: h.CompletedAt,
		LogLines: h.LogLines, Published: h.Published, Trace: h.Trace.place(),
		Claim: boathook.Claim{ID: h.ClaimID, LeaseUntil: h.LeaseUntil}, CancelRequested: h.CancelRequested,
	}
	if h.Details != nil {
		head.Details = boathook.TriggerDetails(*h.Details)
	}
	copy(head.InputHash[:], h.InputHash)
	return head
}

// retryPosition is how a head keeps the newest run that repeats it; empty for none.
func retryPosition(r boathook.Retry) string {
	if r.RunID == "" {
		return ""
	}
	return position(r.At, r.RunID)
}

// retriedBy reads a [retryPosition].
func (h headItem) retriedBy() boathook.Retry {
	at, id, ok := positioned(h.RetriedBy)
	if !ok {
		return boathook.Retry{}
	}
	return boathook.Retry{RunID: id, At: at, StartsAt: h.RetryStarts}
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
	webhook, live, run, backlog := incomingKey(sourceID, webhookID), liveKey(sourceID), headKey(runID), backlogKey(sourceID)
	keys := []tableKey{s.configKey(webhook), s.configKey(live), s.recordKey(backlog)}
	if runID != "" {
		keys = append(keys, s.recordKey(run))
	}
	found, err := s.readBatch(ctx, keys...)
	if err != nil {
		return view, fmt.Errorf("look up trigger %s of %s: %w", webhookID, sourceID, err)
	}
	if it, ok := found[webhook]; ok {
		incoming, err := decode[incomingItem](it)
		if err != nil {
			return view, err
		}
		w := incoming.incoming()
		view.Webhook = &w
	}
	mark, err := decode[backlogItem](found[backlog])
	if err != nil {
		return view, err
	}
	view.Backlog = mark.Until
	l, err := decode[liveItem](found[live])
	if err != nil {
		return view, err
	}
	view.Live, view.MaxInFlight = l.live(), l.MaxInFlight
	if it, ok := found[run]; ok {
		h, err := decode[headItem](it)
		if err != nil {
			return view, err
		}
		head := h.head()
		view.Run = &head
	}
	return view, nil
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
	if err := s.putInput(ctx, head, compress.Pack(r.Input)); err != nil {
		return false, err
	}
	if head.OutputHash != nil {
		if err := s.putText(ctx, head.output(), compress.Compress(r.Output)); err != nil {
			return false, err
		}
	}
	return s.putRecord(ctx, head, absent, nil)
}

// inputItem is a run's input. Where the run's sender has an id of its own for what started
// it, the input's entry in the index by-parent is how that id finds the run: it costs no
// request more. What it knows of the run is what [Store.runKeys] needs.
type inputItem struct {
	textItem
	Parent    string `dynamodbav:"parent,omitempty"`
	Place     string `dynamodbav:"place,omitempty"`
	InputHash []byte `dynamodbav:"ih,omitempty"`
	InputSize int    `dynamodbav:"il,omitempty"`
}

// putInput stores a run's input. The same again changes nothing.
func (s *Store) putInput(ctx context.Context, head headItem, packed []byte) error {
	if head.Details == nil || head.Details.DeliveryID == "" {
		return s.putText(ctx, head.input(), packed)
	}
	r := s.record(head.input())
	c, err := s.split(ctx, r.key, packed, maxPart, r.Expires)
	if err != nil {
		return err
	}
	_, err = s.putRecord(ctx, inputItem{
		textItem{r, c}, sentParent(head.WorkspaceID, head.Details.DeliveryID), head.Place, head.InputHash, head.InputSize,
	}, "", nil)
	return err
}

// RemovePending implements [store.Runs]. The input stays until it expires: by
// now it may be that of another attempt to create the run.
func (s *Store) RemovePending(ctx context.Context, id string) error {
	_, err := s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &s.config.RecordsTable, Key: headKey(id).item(),
		ConditionExpression:       aws.String(unclaimed + " AND attribute_not_exists(wa)"),
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
	store.TellOwner(ctx, store.Owner{SourceID: h.SourceID, WebhookID: h.WebhookID})
	r, err := s.withTexts(ctx, h)
	if err != nil {
		return boathook.Run{}, fmt.Errorf("get run %s: %w", id, err)
	}
	return r, nil
}

// withTexts makes a whole run of a head. A text that is lost is nil.
func (s *Store) withTexts(ctx context.Context, h headItem) (r boathook.Run, err error) {
	keys := []tableKey{s.recordKey(h.input())}
	if h.OutputHash != nil {
		keys = append(keys, s.recordKey(h.output()))
	}
	found, err := s.readBatch(ctx, keys...)
	if err != nil {
		return r, err
	}
	r.RunHead = h.head()
	input, err := s.textOf(ctx, found[h.input()])
	if err != nil {
		return r, err
	}
	r.Input = boathook.NewBody(input)
	r.Output, err = s.textOf(ctx, found[h.output()])
	return r, err
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
		if err := s.putText(ctx, outputKey(id, hash), compress.Compress(o.Output)); err != nil {
			return boathook.RunHead{}, fmt.Errorf("store the output of run %s: %w", id, err)
		}
	}
	values := map[string]any{
		":active": active, ":claim": c.ID,
		":status": o.Status, ":error": o.Error, ":exit": o.ExitCode, ":completed": o.CompletedAt, ":lines": o.LogLines,
		":output": hash, ":size": len(o.Output), ":published": o.Status == boathook.RunCanceled,
	}
	when := claimedBy
	if !c.LeaseUntil.IsZero() {
		when += " AND cl = :lease"
		values[":lease"] = c.LeaseUntil
	}
	return s.updateHead(ctx, "finish", id,
		"SET s = :status, er = :error, ec = :exit, ct = :completed, ll = :lines, oh = :output, ol = :size, p = :published REMOVE active", when, values)
}

// MarkPublished implements [store.Runs].
func (s *Store) MarkPublished(ctx context.Context, id string) error {
	_, err := s.updateHead(ctx, "mark published", id, "SET p = :true", "", map[string]any{":true": true})
	return err
}

// MarkRetried implements [store.Runs].
func (s *Store) MarkRetried(ctx context.Context, id string, by boathook.Retry) error {
	_, err := s.changeRecord(ctx, headKey(id), "SET rb = :by, rs = :starts", "(attribute_not_exists(rb) OR rb < :by)",
		map[string]any{":by": retryPosition(by), ":starts": by.StartsAt})
	if err != nil {
		return fmt.Errorf("mark run %s retried: %w", id, err)
	}
	return nil
}

// MoveVersion implements [store.Runs].
func (s *Store) MoveVersion(ctx context.Context, id string, v boathook.LiveVersion) error {
	_, err := s.changeRecord(ctx, headKey(id), "SET v = :version, vn = :number", unclaimed,
		map[string]any{":active": active, ":version": v.ID, ":number": v.Number})
	if err != nil {
		return fmt.Errorf("move the version of run %s: %w", id, err)
	}
	return nil
}

// MarkWaiting implements [store.Runs].
func (s *Store) MarkWaiting(ctx context.Context, id string, since time.Time) (boathook.RunHead, error) {
	for {
		head, err := s.updateHead(ctx, "mark the waiting of", id, "SET wa = if_not_exists(wa, :since)", unclaimed, map[string]any{":active": active, ":since": since})
		if boathook.IsKind(err, boathook.Conflict) && head.Status == boathook.RunPending {
			continue // it was created between the update and the look that followed
		}
		return head, err
	}
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
			change, when = "SET s = :canceled, ct = :completed, p = :true REMOVE active", unclaimed
			values[":canceled"], values[":completed"] = boathook.RunCanceled, now
		}
		head, err = s.updateHead(ctx, "cancel", id, change, when, values)
		if boathook.IsKind(err, boathook.Conflict) {
			continue // its status has moved on, as it does at most twice
		}
		return head, err
	}
}
