// Package service is what users can do: operations on sources, versions, webhooks,
// runs, deliveries, events, queues, workspaces and tokens. It knows neither how they
// ask nor how they are answered: a face (package api and those below it) decodes a
// request, calls one operation and encodes what it gives.
//
// Each noun has a file and a type, which is a field of [Service]. The first thing that
// each operation does is to ask whether its [Caller] may call it; the table of
// operations says who may (operations.go). What an operation is given and gives are
// values of the domain; its errors are [boathook.Error] and name the field at fault
// as /v1 calls it.
package service

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/cache"
	"boathook/internal/delivery"
	"boathook/internal/queue"
	"boathook/internal/run"
	"boathook/internal/schema"
	"boathook/internal/store"
)

// Store is what the API reads and writes; see package store for each method.
type Store interface {
	store.Workspaces
	store.Tokens
	store.Sources
	store.Webhooks
	store.EventTypes
	store.Requests

	Health(ctx context.Context, webhookIDs ...string) (map[string]boathook.Health, error)
	ClearHealth(ctx context.Context, webhookID string, parts boathook.HealthPart) error

	LookUpTrigger(ctx context.Context, sourceID, webhookID, runID string) (store.TriggerView, error)
	LookUpAgent(ctx context.Context, agentID string, runIDs ...string) (store.AgentView, error)
	RunHead(ctx context.Context, id string) (boathook.RunHead, error)
	Run(ctx context.Context, workspaceID, id string) (boathook.Run, error)
	Runs(ctx context.Context, q store.RunQuery) (runs []boathook.Run, next string, err error)
	RunHeads(ctx context.Context, q store.RunQuery) (heads []boathook.RunHead, next string, err error)
	CountedRuns(ctx context.Context, q store.CountQuery) (heads []boathook.RunHead, counts boathook.RunCounts, err error)
	store.Loads
	AnyActive(ctx context.Context, sourceID string) (bool, error)
	RequestCancel(ctx context.Context, id string, now time.Time) (boathook.RunHead, error)
	EndTurn(ctx context.Context, sourceID, runID string) error
	LeaveLine(ctx context.Context, sourceID string, w store.Waiting) error
	Log(ctx context.Context, runID string, from, maxBytes int) (first int, lines []boathook.LogLine, err error)
	AgentLog(ctx context.Context, q store.AgentLogQuery) ([]boathook.AgentLine, error)

	PinEvent(ctx context.Context, p store.EventPin) (store.EventPin, error)
	MarkEventPublished(ctx context.Context, workspaceID, id string, deliveries []int) error
	FeedEvents(ctx context.Context, q store.FeedQuery) (store.FeedPage, error)

	Delivery(ctx context.Context, workspaceID string, id boathook.DeliveryID) (boathook.Delivery, error)
	Attempts(ctx context.Context, workspaceID string, id boathook.DeliveryID) (boathook.Delivery, []boathook.Attempt, error)
	AttemptLog(ctx context.Context, q store.AttemptQuery) ([]store.Attempted, error)
	Deliveries(ctx context.Context, q store.DeliveryQuery) (deliveries []boathook.Delivery, next string, err error)
	WorkspaceDeliveries(ctx context.Context, q store.DeliveryQuery) (deliveries []boathook.Delivery, next string, err error)
	ReopenDelivery(ctx context.Context, d boathook.Delivery, at time.Time) error
	PostponeDelivery(ctx context.Context, d boathook.Delivery, at time.Time) error
	AttemptCounts(ctx context.Context, id string, since, until time.Time) ([]boathook.AttemptCounts, error)
}

// Starter starts runs.
type Starter interface {
	// StartOnce makes a pending run durable and waits for it to start; its head is
	// as it is then. existing is the run that has the same
	// id already, or nil: it is answered again if its input is the same, and
	// is a Conflict otherwise. Unavailable: the run could not be made durable.
	StartOnce(ctx context.Context, run boathook.Run, existing *boathook.RunHead, wait run.Wait) (run.Started, error)
}

// Publisher queues deliveries.
type Publisher interface {
	// PublishAll queues one delivery of each event for each webhook that wants
	// it, and counts them by event. It may be repeated.
	PublishAll(ctx context.Context, events ...boathook.Event) (deliveries []int, err error)
	// PublishTo queues an event's delivery to one webhook, whatever events the
	// webhook wants.
	PublishTo(ctx context.Context, e boathook.Event, w boathook.OutgoingWebhook) error
	// Make makes an event's delivery to one webhook, and queues nothing. With a reason
	// there is nothing to send.
	Make(ctx context.Context, e boathook.Event, w boathook.OutgoingWebhook) (d boathook.Delivery, reason string, err error)
}

// Resender queues attempts of deliveries that were made already, or should have been;
// [boathook/internal/delivery.Resender] does, and describes both.
type Resender interface {
	Resend(ctx context.Context, w boathook.OutgoingWebhook, d boathook.Delivery) error
	ResendPage(ctx context.Context, w boathook.OutgoingWebhook, q store.DeliveryQuery, dryRun bool) (page []boathook.Delivery, next string, err error)
	ReplayPage(ctx context.Context, p delivery.Replay, events []store.FeedEvent) (delivery.Replayed, error)
}

// Sealer encrypts what must not be stored in clear. What is sealed opens only
// for the same workspace and subject: package seal has them.
type Sealer interface {
	// NewDataKey makes the wrapped data key of a workspace that is about to
	// be created.
	NewDataKey(ctx context.Context, workspaceID string) ([]byte, error)
	Seal(ctx context.Context, workspaceID, subject string, plain []byte) ([]byte, error)
	Open(ctx context.Context, workspaceID, subject string, sealed []byte) ([]byte, error)
}

// Watchers are the open WebSockets on which workspaces are watched.
type Watchers interface {
	// CloseWatchers ends those that an API token opened. It may be repeated.
	CloseWatchers(ctx context.Context, workspaceID, tokenID string) error
}

// Config is what the operations work with. Every field is required.
type Config struct {
	Store   Store
	Runs    Starter
	Publish Publisher
	Resend  Resender
	Queues  map[string]queue.Redriver // by name: [queue.Runs], [queue.Deliveries], [queue.Retries]
	Seal    Sealer

	// AdminToken gives the text of the stack's own admin token, never empty.
	// It is asked on every request, so whoever gives it caches it.
	AdminToken func(context.Context) (string, error)
	// InternalToken gives the text of the stack's internal token, which opens
	// the internal endpoint and nothing else. Empty: it opens for nobody.
	InternalToken func(context.Context) (string, error)
	// Workspace is the id of the first workspace, which the stack's admin
	// token belongs to; see [Callers.EnsureWorkspace].
	Workspace string

	// StreamSecret gives the secret that signs the WebSocket's tokens, never
	// empty. It is asked for each token, so whoever gives it caches it.
	StreamSecret func(context.Context) (string, error)
	Watchers     Watchers

	// CheckURL refuses a URL that requests may not be sent to, with a
	// [boathook.Invalid] error about the field.
	CheckURL func(field, raw string) error
	// AllowTarget refuses a well-formed target that may not execute runs here,
	// with a [boathook.Invalid] error about one of its fields, such as "type"
	// or "function_arn".
	AllowTarget func(boathook.Target) error
	// AllowDestination refuses a well-formed queue that webhooks may not send to here,
	// with a [boathook.Invalid] error about one of its fields.
	AllowDestination func(boathook.Destination) error

	// RecordDays is for how many days records are kept; see
	// [boathook.Source.FeedSettings].
	RecordDays int

	Now func() time.Time
	Log *slog.Logger
}

// Service has the operations, by noun.
type Service struct {
	Callers    Callers
	Workspaces Workspaces
	Tokens     Tokens
	Queues     Queues

	Deployments  Deployments
	Versions     Versions
	Incoming     Incoming
	Crews        Crews
	Repositories Repositories
	Customers    Customers
	Agents       Agents

	Outgoing    Outgoing
	Deliveries  Deliveries
	Hooks       Hooks
	Apps        Apps
	AppWebhooks AppWebhooks

	EventTypes EventTypes

	PortalSettings PortalSettings

	Events    Events
	Feeds     Feeds
	Runs      Runs
	AgentRuns AgentRuns
	Live      Live
	Search    Search
}

// core is what all nouns share.
type core struct {
	cfg     Config
	ensured atomic.Bool // the first workspace is known to exist
	schemas *cache.Cache[*schema.Schema]
}

// New makes the operations.
func New(cfg Config) *Service {
	c := &core{cfg: cfg, schemas: newSchemas()}
	return &Service{
		Callers:    Callers{c},
		Workspaces: Workspaces{c},
		Tokens:     Tokens{c},
		Queues:     Queues{c},

		Deployments:  Deployments{c},
		Versions:     Versions{c},
		Incoming:     Incoming{c},
		Crews:        Crews{c},
		Repositories: Repositories{c},
		Customers:    Customers{c},
		Agents:       Agents{c},

		EventTypes: EventTypes{c},

		PortalSettings: PortalSettings{c},

		Outgoing:    Outgoing{c},
		Deliveries:  Deliveries{c},
		Hooks:       Hooks{c},
		Apps:        Apps{c},
		AppWebhooks: AppWebhooks{c},

		Events:    Events{c},
		Feeds:     Feeds{c},
		Runs:      Runs{c},
		AgentRuns: AgentRuns{c},
		Live:      Live{c},
		Search:    Search{c},
	}
}
