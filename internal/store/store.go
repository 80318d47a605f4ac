package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"boathook/internal/boathook"
)

// Store is the whole contract. Services name the part they use as an interface
// of their own.
//
// Errors: an absent object, an expired one, or another workspace's is a
// [boathook.NotFound]; a state that does not allow the step is a
// [boathook.Conflict]; a malformed cursor is a [boathook.Invalid] about the
// field "cursor". Ids may come from outside as they are: under what is no
// [boathook.IsID] nothing is found, at no cost, and nothing can be stored, which
// is a [boathook.Invalid] (events', connections' and scheduled items' ids have the form
// of [boathook.IsForeignID]). Any other error is the store's own failure: the step may or
// may not have taken effect, and may be repeated.
//
// A list does not fail for one record that can't be read. It leaves the record
// out, since nothing that is true could be shown of it, and tells of it in the log
// as an error. A record of which a part is missing, such as a run's input, is
// shown without it.
type Store interface {
	Workspaces
	Tokens
	Sources
	Webhooks
	EventTypes
	Healths
	Runs
	Backlogs
	Turns
	Bursts
	Requests
	Loads
	Logs
	Events
	Feeds
	Deliveries
	Statistics
	Schedule
	Slots
	Leases
	Connections
}

// ErrNoID is the error of what is to be kept under an id that is none. It does not repeat
// the id, which may be of any length.
var ErrNoID = boathook.Errorf(boathook.Invalid, "not an id: it must have 1 to %d lower-case letters, digits, _ and -", boathook.MaxIDLength)

// CheckIDs gives [ErrNoID] unless each is a [boathook.IsID].
func CheckIDs(ids ...string) error {
	for _, id := range ids {
		if !boathook.IsID(id) {
			return ErrNoID
		}
	}
	return nil
}

// CheckWorkspaces gives [ErrNoID] unless the workspace of each delivery is a
// [boathook.IsID].
func CheckWorkspaces(deliveries []boathook.Delivery) error {
	for _, d := range deliveries {
		if err := CheckIDs(d.WorkspaceID); err != nil {
			return err
		}
	}
	return nil
}

// CheckForeignID gives [ErrNoID] unless an id that others have chosen is a
// [boathook.IsForeignID].
func CheckForeignID(id string) error {
	if !boathook.IsForeignID(id) {
		return ErrNoID
	}
	return nil
}

// MaxPageBytes is about how much text one page holds: a page of runs ends
// early, with a cursor, once its inputs and outputs are so long. Lambda answers
// with 6 MB at most, of JSON that is escaped once more.
const MaxPageBytes = 2 << 20

// MaxLook is how many objects one page looks at, unless it is told otherwise:
// enough to find what is one in ten, of at most a few MB to read.
const MaxLook = 2000

// Share is what a page asks of one of several lists that are merged: it looks at
// its share of them, and at a whole page at least.
func Share(p boathook.Page, lists int) boathook.Page {
	p.Look = max(cmp.Or(p.Look, MaxLook)/lists, p.Limit)
	return p
}

// Workspaces are the tenants.
type Workspaces interface {
	// PutWorkspace creates a workspace; Conflict if its id is taken.
	PutWorkspace(ctx context.Context, w boathook.Workspace) error
	Workspace(ctx context.Context, id string) (boathook.Workspace, error)
	// PutPortal replaces the settings of a workspace's portals.
	PutPortal(ctx context.Context, workspaceID string, p boathook.PortalSettings) error
	// Workspaces lists all there are, newest first.
	Workspaces(ctx context.Context, p boathook.Page) (workspaces []boathook.Workspace, next string, err error)
	// DeleteWorkspace removes a workspace that has neither sources nor tokens;
	// Conflict if it has any. Its records stay until they expire.
	DeleteWorkspace(ctx context.Context, id string) error
}

// Tokens are API tokens.
type Tokens interface {
	PutToken(ctx context.Context, t boathook.Token) error
	// TokenByHash finds the token that a caller holds, in any workspace.
	TokenByHash(ctx context.Context, hash [sha256.Size]byte) (boathook.Token, error)
	// Tokens lists a workspace's, newest first.
	Tokens(ctx context.Context, workspaceID string, p boathook.Page) (tokens []boathook.Token, next string, err error)
	Token(ctx context.Context, workspaceID, id string) (boathook.Token, error)
	// DeleteToken revokes: the look-up by hash is removed first.
	DeleteToken(ctx context.Context, workspaceID, id string) error
}

// Sources are what webhooks hang on, and their versions.
type Sources interface {
	// PutSource creates a source whose Revision is 0, or replaces one whole that
	// has s's Revision; the next read's is one more. Conflict: it was changed or
	// deleted since s was read, or exists; or, about the field "slug", another agent
	// of the same crew has an agent's slug; or, about the field "external_id", another
	// customer of the workspace has a customer's.
	PutSource(ctx context.Context, s boathook.Source) error
	Source(ctx context.Context, workspaceID, id string) (boathook.Source, error)
	// Sources lists a workspace's sources of a kind, newest first: of any kind but
	// agents, which are listed by crew.
	Sources(ctx context.Context, workspaceID string, kind boathook.SourceKind, p boathook.Page) (sources []boathook.Source, next string, err error)
	// CrewAgents lists a crew's agents, newest first.
	CrewAgents(ctx context.Context, workspaceID, crewID string, p boathook.Page) (agents []boathook.Source, next string, err error)
	// Agents lists a workspace's agents, crew by crew, the crews' ids descending, the
	// newest of each first: limit of them at most, and no more than fit one answer of
	// the database, about 1 MB.
	Agents(ctx context.Context, workspaceID string, limit int) ([]boathook.Source, error)
	// AgentBySlug gives the id of a crew's agent that has a slug.
	AgentBySlug(ctx context.Context, workspaceID, crewID, slug string) (id string, err error)
	// CustomerByExternalID gives the workspace's customer that has an external id.
	CustomerByExternalID(ctx context.Context, workspaceID, externalID string) (boathook.Source, error)
	// DeleteSource removes the source, its versions and its webhooks. What is
	// live goes first, so that nothing new starts; a repeat removes what a
	// failed call has left. Its records stay until they expire.
	DeleteSource(ctx context.Context, workspaceID, id string) error

	// AddVersion gives v the source's next number, stores it, and puts it
	// live in its environment. A failure after the number was taken leaves a
	// gap in the numbers.
	AddVersion(ctx context.Context, v boathook.Version) (boathook.Version, error)
	// Activate puts a version live in an environment.
	Activate(ctx context.Context, v boathook.Version, env boathook.Environment) error
	// Live is what is live; an environment without a version is absent.
	Live(ctx context.Context, sourceID string) (map[boathook.Environment]boathook.LiveVersion, error)
	Version(ctx context.Context, sourceID, id string) (boathook.Version, error)
	// Versions lists a source's, newest first.
	Versions(ctx context.Context, sourceID string, p boathook.Page) (versions []boathook.Version, next string, err error)
}

// ErrIncomplete is the error of a list that lacks a record which can't be read. The
// others are given beside it: who shows them goes on, who must reach all does not.
// The store's log names the record.
var ErrIncomplete = errors.New("a record can't be read")

// Webhooks of a source. At most [boathook.MaxWebhooks] of each direction, so
// a list has no pages.
type Webhooks interface {
	// PutIncoming creates a webhook whose Revision is 0, or replaces one whole
	// that has w's Revision; the next read's is one more. Conflict: it was
	// changed or deleted since w was read, or exists.
	PutIncoming(ctx context.Context, w boathook.IncomingWebhook) error
	Incoming(ctx context.Context, sourceID, id string) (boathook.IncomingWebhook, error)
	// AllIncoming lists a source's, newest first.
	AllIncoming(ctx context.Context, sourceID string) ([]boathook.IncomingWebhook, error)
	DeleteIncoming(ctx context.Context, sourceID, id string) error

	// PutOutgoing is as PutIncoming, and leaves the webhook's health as it is.
	PutOutgoing(ctx context.Context, w boathook.OutgoingWebhook) error
	// DisableOutgoing makes a webhook disabled, says when and why, and leaves the
	// rest of it as it is.
	DisableOutgoing(ctx context.Context, sourceID, id string, d boathook.Disabling) error
	// Outgoing is a webhook with its health.
	Outgoing(ctx context.Context, sourceID, id string) (boathook.OutgoingWebhook, error)
	// AllOutgoing lists a source's, newest first; see [ErrIncomplete], without their health.
	AllOutgoing(ctx context.Context, sourceID string) ([]boathook.OutgoingWebhook, error)
	// Audience is who hears of a source's events, in one round trip. The errors are
	// those of AllOutgoing.
	Audience(ctx context.Context, sourceID string) (Audience, error)
	DeleteOutgoing(ctx context.Context, sourceID, id string) error
}

// EventTypes are the types of events that a workspace defines. At most
// [boathook.MaxEventTypes] of them, so a list has no pages. They go with their
// workspace, which may be deleted while it has some.
type EventTypes interface {
	// PutEventType creates a type whose Revision is 0, or replaces one whole that has
	// t's Revision; the next read's is one more. Conflict: it was changed since t was
	// read, or exists.
	PutEventType(ctx context.Context, t boathook.TypeDefinition) error
	EventType(ctx context.Context, workspaceID string, name boathook.EventType) (boathook.TypeDefinition, error)
	// AllEventTypes lists a workspace's, by name.
	AllEventTypes(ctx context.Context, workspaceID string) ([]boathook.TypeDefinition, error)
}

// Audience is who hears of a source's events.
type Audience struct {
	Source   *boathook.Source           // nil if there is none
	Outgoing []boathook.OutgoingWebhook // newest first, without their health
}

// Healths say how outgoing webhooks have fared lately. They are no part of what
// users set up: deliver writes them, and may write nothing else of a webhook. A
// health expires with the retention after its last change.
type Healths interface {
	// Health is that of webhooks, at most [boathook.MaxWebhooks]. One that has
	// nothing to tell is absent.
	Health(ctx context.Context, webhookIDs ...string) (map[string]boathook.Health, error)
	// MarkFailure counts an attempt that failed at a time, and gives the health as
	// it is afterwards.
	MarkFailure(ctx context.Context, webhookID string, at time.Time) (boathook.Health, error)
	// MarkSlow notes since when a webhook is slow. First: nobody had noted it.
	MarkSlow(ctx context.Context, webhookID string, at time.Time) (first bool, err error)
	// MoveProbe replaces one probe, or none, which is the zero one, by another. Not
	// moved: the webhook has another probe than from.
	MoveProbe(ctx context.Context, webhookID string, from, to boathook.Probe) (moved bool, err error)
	// MoveAlert replaces the state of a webhook's alerts by another, if it has the step
	// and the time of from; the zero one stands for none. Of several that move it at
	// once, one does.
	MoveAlert(ctx context.Context, webhookID string, from, to boathook.Alert) (moved bool, err error)
	// MarkDisabling notes that a webhook is about to be disabled, when and why,
	// unless that is noted already, and gives what is noted.
	MarkDisabling(ctx context.Context, webhookID string, d boathook.Disabling) (boathook.Disabling, error)
	// ClearHealth takes parts of a health away.
	ClearHealth(ctx context.Context, webhookID string, parts boathook.HealthPart) error
}

// TriggerView is all that intake needs to know to answer a trigger.
type TriggerView struct {
	Webhook *boathook.IncomingWebhook // nil if there is none
	Live    map[boathook.Environment]boathook.LiveVersion
	Run     *boathook.RunHead // of the id that was asked for; nil if there is none
	Backlog time.Time         // of the source; see [Backlogs]
	// MaxInFlight is the deployment's limit; 0: none. While two changes of it are made at
	// once it may be neither; whoever gives turns reads the source.
	MaxInFlight int
}

// AgentView is all that intake needs to know to answer an agent's trigger.
type AgentView struct {
	Agent  *boathook.Source // nil if there is none
	Live   map[boathook.Environment]boathook.LiveVersion
	Load   Load
	Runs   map[string]boathook.RunHead // of the ids that were asked for, those that are a run's
	Pinned map[string]string           // of the same ids, those that stand for another run: its id; see [Runs.PinRun]
}

// Backlogs mark the sources whose runs don't start in time: a mark is the time
// until which nobody waits for one to start. After that one who waits tries, and
// moves the mark to say so. A mark that nobody moves is gone after an hour.
type Backlogs interface {
	// LookUpStart reads a run's head, nil if there is none, and the mark of a
	// source, zero if there is none, in one round trip.
	LookUpStart(ctx context.Context, sourceID, runID string) (run *boathook.RunHead, backlog time.Time, err error)
	// MoveBacklog replaces a source's mark by another; the zero time stands for no
	// mark. Not moved: the source has another mark than from.
	MoveBacklog(ctx context.Context, sourceID string, from, to time.Time) (moved bool, err error)
}

// BacklogLife is how long a mark outlives its time.
const BacklogLife = time.Hour

// Runs are executions. A run is three items: a small head, its input, its
// output; see [boathook.RunHead]. One whose text is lost is read without it.
type Runs interface {
	// LookUpTrigger reads in one round trip. An empty runID asks for no run.
	LookUpTrigger(ctx context.Context, sourceID, webhookID, runID string) (TriggerView, error)
	// LookUpAgent reads in one round trip. runIDs are those by which the trigger
	// may have started a run before, each given once.
	LookUpAgent(ctx context.Context, agentID string, runIDs ...string) (AgentView, error)
	// PinRun keeps that an id stands for the run of another id, or gives the one
	// that it stands for already: of several that are pinned at once, one stays.
	// That run may not have been created. It is kept for the retention.
	PinRun(ctx context.Context, id, runID string) (pinned string, err error)

	// CreateRun stores a run as it is: its input and output first, then its head.
	// If one with its id exists, nothing changes and the error is a Conflict.
	CreateRun(ctx context.Context, r boathook.Run) error
	// RemovePending removes a run that is still pending and never stood in line; any other, or one that
	// is absent, is left alone without an error.
	RemovePending(ctx context.Context, id string) error

	RunHead(ctx context.Context, id string) (boathook.RunHead, error)
	Run(ctx context.Context, workspaceID, id string) (boathook.Run, error)
	// Runs lists by creation time, newest first. A page may end before its limit;
	// see [MaxPageBytes]. A run whose input or output can't be read is shown without
	// it.
	Runs(ctx context.Context, q RunQuery) (runs []boathook.Run, next string, err error)
	// RunHeads lists as Runs does, and reads no inputs and outputs.
	RunHeads(ctx context.Context, q RunQuery) (heads []boathook.RunHead, next string, err error)
	// CountedRuns counts the newest [MaxCounted] runs, and gives the heads of a page
	// of them.
	CountedRuns(ctx context.Context, q CountQuery) (heads []boathook.RunHead, counts boathook.RunCounts, err error)
	// AnyActive reports whether a source has a run that is not over, however
	// old it is and however many came after it. It may say so wrongly while many
	// runs have expired without an end.
	AnyActive(ctx context.Context, sourceID string) (bool, error)

	// ClaimRun makes a pending run running, with the claim and the start
	// time. Any other state is a Conflict, with the head as it is.
	ClaimRun(ctx context.Context, id string, c boathook.Claim, startedAt time.Time) (boathook.RunHead, error)
	// RenewLease moves the claim's lease and tells whether a cancel was asked
	// for. Conflict: the claim is no longer the run's, or the run is over.
	RenewLease(ctx context.Context, id string, c boathook.Claim) (cancel bool, err error)
	// FinishRun ends a running run: its output first, then its head. Conflict:
	// the claim is no longer the run's, or the run is over. A zero lease in
	// the claim is not compared; a set one must be the run's own, so that a
	// runner whose heartbeat came after all keeps its run. A canceled outcome
	// counts as published.
	FinishRun(ctx context.Context, id string, c boathook.Claim, o boathook.Outcome) (boathook.RunHead, error)
	// MarkPublished records that the run's event has reached its queue.
	MarkPublished(ctx context.Context, id string) error
	// MarkRetried records which run repeats another, unless a newer one is recorded.
	// It may be repeated. A run that is absent is left alone without an error.
	MarkRetried(ctx context.Context, id string, by boathook.Retry) error
	// MoveVersion has another version execute a pending run. A run that is not
	// pending, or absent, is left alone without an error.
	MoveVersion(ctx context.Context, id string, v boathook.LiveVersion) error
	// MarkWaiting notes since when a pending run stands in line, unless that is noted
	// already. Any other state is a Conflict. The head is as it is afterwards.
	MarkWaiting(ctx context.Context, id string, since time.Time) (boathook.RunHead, error)
	// RequestCancel cancels a pending run at once and flags a running one.
	// Conflict: it is over. The head is as it is afterwards.
	RequestCancel(ctx context.Context, id string, now time.Time) (boathook.RunHead, error)
}

// Turns hold a deployment to the number of its runs that execute at a time. A run of it
// that may execute has a turn; others stand in line. Package run says how they come to
// have turns. Each method is one write at most. What is kept of a deployment that
// has no such run for the retention is gone.
type Turns interface {
	// Turns are who has a turn of a deployment, and the first in its line, at most limit
	// (1 to [MaxLine]). It sees whatever was done before it was called.
	Turns(ctx context.Context, sourceID string, limit int) (TurnsView, error)
	// MoveTurns replaces who has a turn by others, if it is still what was read with
	// known. Not moved: it has changed.
	MoveTurns(ctx context.Context, sourceID string, known TurnsView, taken map[string]time.Time) (moved bool, err error)
	// EndTurn takes a run's turn away, if it has one.
	EndTurn(ctx context.Context, sourceID, runID string) error
	// StandInLine has a run wait. Who stands in line already does not stand twice.
	StandInLine(ctx context.Context, sourceID string, w Waiting) error
	// LeaveLine takes a run out of the line, if it stands in it.
	LeaveLine(ctx context.Context, sourceID string, w Waiting) error
}

// Bursts are of triggers that become one run. Package intake says how.
type Bursts interface {
	// LookUpBurst reads in one round trip the burst of a key of an incoming webhook, zero if
	// there is none, and the run that an id stands for, empty if that is none; see
	// [Runs.PinRun].
	LookUpBurst(ctx context.Context, webhookID, key, id string) (b Burst, pinned string, err error)
	// MoveBurst has another burst take the place of the one of a run, or of none, which has
	// no run. Not moved: there is another by now.
	MoveBurst(ctx context.Context, webhookID, key, fromRunID string, to Burst) (moved bool, err error)
	// JoinRun has a trigger become part of a run, which gets its input, and is found by its
	// sender's id. r is the run as it was read. Conflict: nothing can join it any more; see
	// [boathook.RunHead.Joins]. The head is as it is afterwards.
	JoinRun(ctx context.Context, r boathook.RunHead, j Join) (boathook.RunHead, error)
}

// Burst is the newest one of a key.
type Burst struct {
	RunID string    // of the run that its triggers become
	At    time.Time // when it began, to the millisecond
}

// Join is a trigger that becomes part of a run.
type Join struct {
	Input    boathook.Body
	Details  boathook.TriggerDetails
	Trigger  boathook.BurstTrigger
	StartsAt time.Time // of the run from then on
}

// MaxLine is how much of a line is looked at.
const MaxLine = 1000

// TurnsView is who has a turn, and who waits for one.
type TurnsView struct {
	Taken    map[string]time.Time // since when, by run; to the millisecond
	Revision int                  // counts the changes of Taken
	Line     []Waiting            // those who came first, first
}

// Waiting is a run that stands in line: in the order of acceptance and, where that is the
// same, of ids.
type Waiting struct {
	RunID string
	At    time.Time // when it was accepted; to the millisecond
}

// Compare is negative if w goes before another, and 0 if it is the same.
func (w Waiting) Compare(other Waiting) int {
	return cmp.Or(w.At.Compare(other.At), cmp.Compare(w.RunID, other.RunID))
}

// RunQuery selects runs; empty fields select all, but for the kind, which is
// needed where there is no source.
type RunQuery struct {
	WorkspaceID string
	Kind        boathook.SourceKind // of the runs' sources: deployments or agents, deleted ones too
	SourceID    string
	Environment boathook.Environment
	Statuses    []boathook.RunStatus // any of them
	// DeliveryID is the sender's own id of what started the run, as in
	// [boathook.TriggerDetails]. With one, the kind selects nothing.
	DeliveryID string
	boathook.Page
}

// CountQuery asks for counts of runs, and for a page of them.
type CountQuery struct {
	WorkspaceID string
	Kind        boathook.SourceKind  // as in a [RunQuery]
	SourceID    string               // as in a [RunQuery]
	Since       time.Time            // of [RunCounts]
	Statuses    []boathook.RunStatus // of the page: any of them; none: all
	Skip        int                  // how many to leave out before the page
	Limit       int                  // of the page: 0 to 100
}

// RequestSlots is how many requests that were rejected are kept of an incoming
// webhook, and how many of the others that started no run. What strangers send
// thus neither fills the store nor drives out what the others have sent.
const RequestSlots = 200

// RequestQuery selects the requests to an incoming webhook or to an agent; an empty
// outcome selects all.
type RequestQuery struct {
	WorkspaceID string
	SourceID    string
	WebhookID   string // or the agent's id, which is the source's too
	Outcome     boathook.RequestOutcome
	boathook.Page
}

// Started reports whether a run of the source, which has a webhook or is an agent's,
// was started by one of the requests.
func (q RequestQuery) Started(webhookID string) bool {
	return webhookID == q.WebhookID || webhookID == "" && q.WebhookID == q.SourceID
}

// Requests are the log of incoming webhooks. Those that were accepted are not
// stored: they are their runs.
type Requests interface {
	// PutRequest keeps a request that started no run in a slot from 0 to
	// [RequestSlots]-1, in place of what was there. Rejected ones have slots of
	// their own.
	PutRequest(ctx context.Context, slot int, r boathook.Request) error
	// Requests lists by time, newest first. A page looks at the runs that all
	// webhooks of the source have started.
	Requests(ctx context.Context, q RequestQuery) (requests []boathook.Request, next string, err error)
}

// MaxCounted is up to where counts of runs are exact: the newest so many are looked
// at. Lists that can't say that there is more go about as far.
const MaxCounted = 10_000

// MaxChunks is how far the log of an agent goes back, in chunks of its runs' logs.
const MaxChunks = 5000

// AgentLogQuery asks for a part of an agent's log.
type AgentLogQuery struct {
	AgentID  string
	Skip     int // how many lines to leave out
	Limit    int // of lines: 1 to 500
	MaxBytes int // of [boathook.LogLine.Size]
}

// Logs are what runs print.
type Logs interface {
	// AppendLog stores lines of a run as one chunk. first is the number of its first
	// line, counting from 0: chunks follow one another without gaps. A chunk
	// with the same first replaces the one before: its writer did not learn
	// that it was stored, and has more lines by now. Of the head it needs the id, the
	// source and the creation time: those of an agent's run are in its agent's log too.
	AppendLog(ctx context.Context, run boathook.RunHead, first int, lines []boathook.LogLine) error
	// Log returns whole chunks that hold the line from and those after it,
	// and stops after about maxBytes of [boathook.LogLine.Size]. first is the number of the
	// first line returned, which may be before from.
	Log(ctx context.Context, runID string, from, maxBytes int) (first int, lines []boathook.LogLine, err error)
	// LogLines counts the lines that are stored.
	LogLines(ctx context.Context, runID string) (int, error)
	// AgentLog gives lines of an agent's runs: of its newest run first, and of each
	// run the last line first. Nothing tells whether there are more: it looks at the
	// newest [MaxChunks] chunks, and ends early after about [AgentLogQuery.MaxBytes].
	AgentLog(ctx context.Context, q AgentLogQuery) ([]boathook.AgentLine, error)
}

// EventPin is what a caller's event id stands for, or an idempotency key: the
// events of one request. What follows from an event, its deliveries' ids above
// all, follows from its time: a repeated publish must find the first one's.
type EventPin struct {
	WorkspaceID string
	ID          string            // the event's, or one that follows from the key
	Hash        [sha256.Size]byte // of the events' content
	Time        time.Time         // the events'
	Published   bool              // their deliveries are queued
	Deliveries  []int             // and so many they are, of each event
}

// Events are those that were published under an id that may come again.
type Events interface {
	// PinEvent keeps the content and time of events, unpublished, or gives what
	// is kept of them. Conflict: they are kept with other content.
	PinEvent(ctx context.Context, p EventPin) (EventPin, error)
	// MarkEventPublished records that the deliveries of pinned events have
	// reached their queue.
	MarkEventPublished(ctx context.Context, workspaceID, id string, deliveries []int) error
}

// DeliveryQuery selects deliveries; empty fields select all.
type DeliveryQuery struct {
	WorkspaceID string
	WebhookID   string // [Deliveries.WorkspaceDeliveries] takes none
	SourceID    string
	Statuses    []boathook.DeliveryStatus // any of them
	EventType   boathook.EventType
	Response    boathook.StatusRange // of the last attempt's response
	Since       time.Time            // of events that happened then or later
	Until       time.Time            // of events that happened before
	boathook.Page
}

// Wants reports whether the query selects a delivery of its workspace and its time.
func (q *DeliveryQuery) Wants(d *boathook.Delivery) bool {
	return (q.WebhookID == "" || q.WebhookID == d.WebhookID) &&
		(q.SourceID == "" || q.SourceID == d.SourceID) &&
		(len(q.Statuses) == 0 || slices.Contains(q.Statuses, d.Status)) &&
		(q.EventType == "" || q.EventType == d.EventType) &&
		q.Response.Has(d.Last.Status)
}

// Unsucceeded are those of the query's statuses that a list of deliveries which have not
// succeeded has to be asked for. All: it has to be a list of all deliveries.
func (q *DeliveryQuery) Unsucceeded() (statuses []boathook.DeliveryStatus, all bool) {
	for _, status := range []boathook.DeliveryStatus{boathook.DeliveryRetrying, boathook.DeliveryFailed, boathook.DeliveryCanceled} {
		if len(q.Statuses) == 0 || slices.Contains(q.Statuses, status) {
			statuses = append(statuses, status)
		}
	}
	all = (len(q.Statuses) == 0 || slices.Contains(q.Statuses, boathook.DeliverySucceeded)) && q.Response.Succeeds()
	return statuses, all
}

// AttemptQuery asks for a part of a webhook's attempts.
type AttemptQuery struct {
	WorkspaceID string
	WebhookID   string
	Skip        int // how many to leave out
	Limit       int // 1 to 100
}

// Attempted is an attempt, and its delivery with its body. A body that can't be
// read is missing.
type Attempted struct {
	Delivery boathook.Delivery
	Attempt  boathook.Attempt
}

// UnfinishedLife is how long a delivery's record outlives the time of its next
// attempt at least, whatever the retention: as long as a message lives in a queue
// and its dead-letter queue.
const UnfinishedLife = 14 * 24 * time.Hour

// Deliveries are the delivery log. A record expires with the retention, counted
// from its first write, unless an attempt is still to come: see [UnfinishedLife].
type Deliveries interface {
	// RecordAttempt stores an attempt, and the delivery as it is after it
	// (status, attempts, next attempt), with the attempt's summary. A first attempt
	// is one write, and of a delivery that waited for it the record has then what was sent.
	// If the delivery's record is absent, a later attempt creates it.
	// Conflict: this attempt's number is recorded already. Nothing changes, unless
	// who recorded it died between two writes: then the delivery is brought to the
	// state after that attempt.
	RecordAttempt(ctx context.Context, d boathook.Delivery, a boathook.Attempt) error
	// CancelDelivery makes an unfinished delivery canceled for d's reason,
	// creating its record if there is none. Unfinished is one that is retrying,
	// and one that failed with no more than d's attempts: the one after them,
	// a resend, is what is canceled. Those attempts count as made, so that one
	// whose record comes late does not turn the delivery back. Any other that
	// is over is left alone.
	CancelDelivery(ctx context.Context, d boathook.Delivery) error
	// PostponeDelivery makes a delivery retrying whose next attempt, the one after
	// d's attempts, waits until a time. It creates the record if there is none. One
	// that has been attempted since, or has succeeded, is not changed. If d says
	// that this attempt is a resend, the record does.
	PostponeDelivery(ctx context.Context, d boathook.Delivery, at time.Time) error
	// ReopenDelivery makes a delivery that failed, or is retrying, retrying with
	// its next attempt at a time, which is a resend. One that is not as it was when d was read is left
	// alone.
	ReopenDelivery(ctx context.Context, d boathook.Delivery, at time.Time) error
	// Delivery is without its attempts, and without its body if that is lost.
	Delivery(ctx context.Context, workspaceID string, id boathook.DeliveryID) (boathook.Delivery, error)
	// Attempts is a delivery with all its attempts, oldest first.
	Attempts(ctx context.Context, workspaceID string, id boathook.DeliveryID) (boathook.Delivery, []boathook.Attempt, error)
	// AttemptLog lists a webhook's attempts by their deliveries' events' time, newest
	// first, and those of one delivery by their number, the last first. Nothing tells
	// whether there are more: it looks at about [MaxCounted] deliveries, and ends early
	// once bodies and responses are [MaxPageBytes] long.
	AttemptLog(ctx context.Context, q AttemptQuery) ([]Attempted, error)
	// Deliveries lists by their events' time, newest first, without bodies, what these
	// are of, and the numbers of resends.
	Deliveries(ctx context.Context, q DeliveryQuery) (deliveries []boathook.Delivery, next string, err error)
	// EnterDeliveries has the list of their workspace find deliveries, once they have
	// records. It comes before their first attempts are queued, and may be repeated.
	// They all are of one workspace.
	EnterDeliveries(ctx context.Context, deliveries ...boathook.Delivery) error
	// WorkspaceDeliveries lists as Deliveries does, those of all of a workspace's webhooks,
	// deleted ones too, that were entered. A page may have fewer than its limit, or none,
	// and a next one: it reads about 400 records at most.
	WorkspaceDeliveries(ctx context.Context, q DeliveryQuery) (deliveries []boathook.Delivery, next string, err error)
}

// Statistics count the attempts of webhooks and of workspaces, by the hour. They are of no use to what is
// sent: an attempt whose process dies is not counted, and counts may be added twice where
// the store's answer is lost. An hour expires with the retention after its last change.
type Statistics interface {
	// CountAttempts adds to the counts of the hour that c begins with, of a webhook or a
	// workspace by its id.
	CountAttempts(ctx context.Context, id string, c boathook.AttemptCounts) error
	// AttemptCounts gives the hours that have counts, oldest first, of those that begin
	// at since or later, and before until.
	AttemptCounts(ctx context.Context, id string, since, until time.Time) ([]boathook.AttemptCounts, error)
}

// DueShards is how many partitions the schedule is spread over.
const DueShards = 16

// Due is a scheduled item: a retry of a delivery or of a run, or a check of a run, of a
// line of runs or of a connection. It never changes. To move it, put another and delete it.
type Due struct {
	At      time.Time
	ID      string // of what is due, and what else makes it one: the shard follows from it
	Kind    DueKind
	Payload []byte // what sweep needs beside; at most 1 KiB
}

// DueKind says what is due.
type DueKind string

// The kinds of scheduled items.
const (
	DueStart      DueKind = "start"      // send its message, if it is pending
	DueRun        DueKind = "run"        // see whether its runner is alive and its event published
	DueDelivery   DueKind = "delivery"   // send its next attempt
	DueConnection DueKind = "connection" // close it unless it has authenticated
	DueLine       DueKind = "line"       // give the turns of a deployment that are free; the payload is its workspace
)

// Schedule is what sweep works through.
type Schedule interface {
	PutDue(ctx context.Context, d Due) error
	// Due lists one shard's items until a time, that time included, soonest
	// first; only those behind the item after, unless it is the zero Due.
	Due(ctx context.Context, shard int, after Due, until time.Time, limit int) ([]Due, error)
	DeleteDue(ctx context.Context, d Due) error
}

// Slots spread the requests to a webhook over time.
type Slots interface {
	// ReserveSlot takes the next free slot of a webhook, at now or later. Slots
	// are an interval of at least a millisecond apart, and reserved once. Each
	// interval has slots of its own, so that another limit starts anew.
	ReserveSlot(ctx context.Context, webhookID string, interval time.Duration, now time.Time) (time.Time, error)
}

// Leases are the few places of a name, which all processes share.
type Leases interface {
	// TakeLease takes a free place of a name, of those from 0 to places-1, until a
	// time. Not taken: none was free.
	TakeLease(ctx context.Context, name string, places int, now, until time.Time) (l Lease, taken bool, err error)
	// ReturnLease frees a place before its time. One that is another's by now is
	// left alone.
	ReturnLease(ctx context.Context, l Lease) error
}

// Lease is a place that is taken.
type Lease struct {
	Name  string
	Place int
	Until time.Time
}

// Connections are open WebSockets, and what they watch of their workspace.
// They expire with [boathook.Connection.ExpiresAt], not with the retention.
type Connections interface {
	// PutConnection stores a connection or replaces it.
	PutConnection(ctx context.Context, c boathook.Connection) error
	Connection(ctx context.Context, id string) (boathook.Connection, error)
	// DeleteConnection removes an authenticated connection from the watchers of each
	// channel too. One that is absent is no error.
	DeleteConnection(ctx context.Context, c boathook.Connection) error

	// Watch adds an authenticated connection to the watchers of one of its
	// workspace's channels, and leaves the others as they are.
	Watch(ctx context.Context, c boathook.Connection, ch boathook.Channel) error
	// Unwatch takes a connection from the watchers of one channel. One that is none
	// is no error.
	Unwatch(ctx context.Context, c boathook.Connection, ch boathook.Channel) error
	// Watchers are the connections that watch a workspace's channel, by id. Those of
	// [boathook.LogChannel] may lag.
	Watchers(ctx context.Context, workspaceID string, ch boathook.Channel) ([]boathook.Connection, error)
	// WatchersBy are the connections that an API token opened and that watch any
	// channel, by id. It never lags.
	WatchersBy(ctx context.Context, workspaceID, tokenID string) ([]boathook.Connection, error)
}
