package client

import (
	"encoding/json"

	"boathook/internal/boathook"
)

// Me says whom a token belongs to.
type Me struct {
	Workspace    Workspace     `json:"workspace"`
	Role         boathook.Role `json:"role"`
	WebSocketURL string        `json:"websocket_url"`
}

// Workspace owns everything.
type Workspace struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	CreatedAt boathook.Time `json:"created_at"`
	Token     string        `json:"token,omitempty"` // its first; once
}

// Health is how a server is.
type Health struct {
	Status  string `json:"status"`
	Version string `json:"version"`
}

// Token is one of a workspace's API tokens.
type Token struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Role      boathook.Role `json:"role"`
	CreatedAt boathook.Time `json:"created_at"`
	Token     string        `json:"token,omitempty"` // once
}

// TokenInput makes a token.
type TokenInput struct {
	Name string        `json:"name"`
	Role boathook.Role `json:"role"`
}

// Named is what has no more than a name, as a crew.
type Named struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	CreatedAt boathook.Time `json:"created_at"`
}

// NamedInput makes or renames what has no more than a name, or an app.
type NamedInput struct {
	Name string `json:"name"`
}

// Deployment is something that runs.
type Deployment struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	CreatedAt boathook.Time `json:"created_at"`
	Retry     *RunRetries   `json:"retry"` // nil: failed runs are not retried
	// MaxInFlight is how many runs execute at a time; nil: any number.
	MaxInFlight *int `json:"max_in_flight"`
}

// RunRetries say how runs that failed are retried without being asked for.
type RunRetries struct {
	Max            int `json:"max"`                       // retries of one run in a row; 0 ends it
	BackoffSeconds int `json:"backoff_seconds,omitempty"` // before the first; each later one waits twice as long, an hour at most
}

// DeploymentInput makes or changes a deployment. What is left out stays as it is.
type DeploymentInput struct {
	Name  *string     `json:"name,omitempty"`
	Retry *RunRetries `json:"retry,omitempty"`
	// MaxInFlight is how many runs execute at a time, at most 1000; 0: any number.
	MaxInFlight *int `json:"max_in_flight,omitempty"`
}

// Version says how the runs of a deployment are executed.
type Version struct {
	ID           string                 `json:"id"`
	DeploymentID string                 `json:"deployment_id"`
	Number       int                    `json:"number"`
	Environment  boathook.Environment   `json:"environment"`
	LiveIn       []boathook.Environment `json:"live_in"`
	Target       boathook.Target        `json:"target"`
	CreatedAt    boathook.Time          `json:"created_at"`
}

// VersionInput makes a version, which is live at once.
type VersionInput struct {
	Environment boathook.Environment `json:"environment"`
	Target      boathook.Target      `json:"target"`
}

// Verification says how an incoming webhook proves its sender. The secret never reads
// back.
type Verification struct {
	Preset          string `json:"preset"`
	Secret          string `json:"secret,omitempty"`
	Header          string `json:"header,omitempty"`
	Algorithm       string `json:"algorithm,omitempty"`
	Encoding        string `json:"encoding,omitempty"`
	Prefix          string `json:"prefix,omitempty"`
	Separator       string `json:"separator,omitempty"`
	TimestampHeader string `json:"timestamp_header,omitempty"`
	DeliveryHeader  string `json:"delivery_header,omitempty"`
	EventHeader     string `json:"event_header,omitempty"`
	EventPointer    string `json:"event_pointer,omitempty"`
	TopicARN        string `json:"topic_arn,omitempty"`
}

// IncomingWebhook is a URL that starts runs of a deployment.
type IncomingWebhook struct {
	ID             string               `json:"id"`
	DeploymentID   string               `json:"deployment_id"`
	Name           string               `json:"name"`
	Environment    boathook.Environment `json:"environment"`
	Enabled        bool                 `json:"enabled"`
	WaitForStartMS int                  `json:"wait_for_start_ms"`
	Verification   Verification         `json:"verification"`
	RerunFailed    bool                 `json:"rerun_failed"`
	Filter         *Filter              `json:"filter"`
	Coalesce       *Coalesce            `json:"coalesce"` // nil: each trigger starts a run
	CreatedAt      boathook.Time        `json:"created_at"`
	UpdatedAt      boathook.Time        `json:"updated_at"`
	URL            string               `json:"url,omitempty"` // once
}

// IncomingWebhookInput makes or changes an incoming webhook; what is nil is not given.
type IncomingWebhookInput struct {
	Name           *string               `json:"name,omitempty"`
	Environment    *boathook.Environment `json:"environment,omitempty"` // when it is made
	Enabled        *bool                 `json:"enabled,omitempty"`     // when it is changed
	WaitForStartMS *int                  `json:"wait_for_start_ms,omitempty"`
	Verification   *Verification         `json:"verification,omitempty"`
	RerunFailed    *bool                 `json:"rerun_failed,omitempty"`
	Filter         *Filter               `json:"filter,omitempty"`
	Coalesce       *Coalesce             `json:"coalesce,omitempty"`
}

// ShownURL is the URL of an incoming webhook, which is a credential.
type ShownURL struct {
	URL string `json:"url"`
}

// Coalesce has the triggers of a burst become one run; the zero one ends it.
type Coalesce struct {
	Key            string `json:"key,omitempty"`              // in jq: those for which it gives the same belong together
	QuietSeconds   int    `json:"quiet_seconds,omitempty"`    // after the last the run starts
	MaxWaitSeconds int    `json:"max_wait_seconds,omitempty"` // after the first it starts in any case
}

// Filter says which requests start runs; the zero one wants all.
type Filter struct {
	Events  []string        `json:"events,omitempty"`
	Pointer string          `json:"pointer,omitempty"`
	Equals  json.RawMessage `json:"equals,omitempty"`
	JQ      string          `json:"jq,omitempty"`
}

// Request is one that arrived at an incoming webhook or an agent, and what came of it.
type Request struct {
	ID      string          `json:"id"`
	At      boathook.Time   `json:"at"`
	Outcome string          `json:"outcome"`
	Status  int             `json:"status"`
	Reason  *string         `json:"reason"`
	RunID   *string         `json:"run_id"`
	Sender  json.RawMessage `json:"sender"`
}

// Agent is one of a crew's.
type Agent struct {
	ID               string           `json:"id"`
	CrewID           string           `json:"crew_id"`
	Name             string           `json:"name"`
	Slug             string           `json:"slug"`
	RequireTimestamp bool             `json:"require_timestamp"`
	KeepPlainSecret  bool             `json:"keep_plain_secret"`
	RatePerMinute    int              `json:"rate_per_minute"`
	MaxInFlight      int              `json:"max_in_flight"`
	DedupeSeconds    int              `json:"dedupe_seconds"`
	FencePayload     bool             `json:"fence_payload"`
	Preset           string           `json:"preset"`
	Verification     Verification     `json:"verification"`
	TriggerURL       string           `json:"trigger_url"`
	CreatedAt        boathook.Time    `json:"created_at"`
	VersionNumber    int              `json:"version_number,omitempty"` // not in lists
	Target           *boathook.Target `json:"target,omitempty"`         // not in lists
	WebhookSecret    string           `json:"webhook_secret,omitempty"` // once
}

// AgentInput makes or changes an agent; what is nil is not given.
type AgentInput struct {
	Name             *string          `json:"name,omitempty"`
	Slug             *string          `json:"slug,omitempty"`
	Target           *boathook.Target `json:"target,omitempty"`
	RequireTimestamp *bool            `json:"require_timestamp,omitempty"`
	KeepPlainSecret  *bool            `json:"keep_plain_secret,omitempty"`
	RatePerMinute    *int             `json:"rate_per_minute,omitempty"`
	MaxInFlight      *int             `json:"max_in_flight,omitempty"`
	DedupeSeconds    *int             `json:"dedupe_seconds,omitempty"`
	FencePayload     *bool            `json:"fence_payload,omitempty"`
	Preset           *string          `json:"preset,omitempty"`
	Verification     *Verification    `json:"verification,omitempty"`
}

// AgentEntry is an agent in the list of all, with the crew that it is of.
type AgentEntry struct {
	ID             string        `json:"id"`
	CrewID         string        `json:"crew_id"`
	WorkspaceID    string        `json:"workspace_id"`
	Name           string        `json:"name"`
	Slug           string        `json:"slug"`
	TimeoutSeconds int           `json:"timeout_seconds,omitempty"` // not in lists
	CreatedAt      boathook.Time `json:"created_at"`
	Crew           *CrewName     `json:"crew"`
}

// CrewName is what the list of all agents tells of a crew.
type CrewName struct {
	Name string `json:"name"`
}

// Repository is one whose hooks Shipway's events go to.
type Repository struct {
	ID        string        `json:"id"`
	Owner     string        `json:"owner"`
	Name      string        `json:"name"`
	CreatedAt boathook.Time `json:"created_at"`
}

// RepositoryInput makes a repository.
type RepositoryInput struct {
	Owner string `json:"owner"`
	Name  string `json:"name"`
}

// App is one of Capawesome Cloud's, in its own words.
type App struct {
	ID               string        `json:"id"`
	Name             string        `json:"name"`
	Type             string        `json:"type"`
	OrganizationID   string        `json:"organizationId"`
	AppChannelID     *string       `json:"appChannelId"`
	AppEnvironmentID *string       `json:"appEnvironmentId"`
	CreatedAt        boathook.Time `json:"createdAt"`
	UpdatedAt        boathook.Time `json:"updatedAt"`
}

// Customer is one whom webhooks are sent to.
type Customer struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	ExternalID *string           `json:"external_id"` // nil: it has none
	Metadata   map[string]string `json:"metadata"`
	CreatedAt  boathook.Time     `json:"created_at"`
	UpdatedAt  boathook.Time     `json:"updated_at"`
}

// CustomerInput makes or changes a customer; what is nil is not given.
type CustomerInput struct {
	Name       *string           `json:"name,omitempty"`
	ExternalID **string          `json:"external_id,omitempty"` // nil in it: none any more
	Metadata   map[string]string `json:"metadata,omitzero"`     // an empty one takes all away
}

// PortalLink opens a customer's portal for whoever has it.
type PortalLink struct {
	URL       string        `json:"url"`
	ExpiresAt boathook.Time `json:"expires_at"`
}

// OutgoingWebhook tells another system what happened to its source.
type OutgoingWebhook struct {
	ID string `json:"id"`
	Of

	Name                    string                `json:"name"`
	URL                     *string               `json:"url"` // nil: it has a destination
	Destination             *Destination          `json:"destination,omitempty"`
	Events                  []boathook.EventType  `json:"events"`
	Environment             *boathook.Environment `json:"environment"`
	Dialect                 string                `json:"dialect"`
	Format                  string                `json:"format"`
	Filter                  *string               `json:"filter"`
	Transform               *string               `json:"transform"`
	Headers                 map[string]string     `json:"headers"`
	TimeoutSeconds          int                   `json:"timeout_seconds"`
	Retry                   Retry                 `json:"retry"`
	RateLimit               *RateLimit            `json:"rate_limit"`
	Enabled                 bool                  `json:"enabled"`
	AlertAfter              AlertThreshold        `json:"alert_after"`
	Channels                []string              `json:"channels"`
	Metadata                map[string]string     `json:"metadata"`
	DisabledReason          *string               `json:"disabled_reason"`
	DisabledAt              boathook.Time         `json:"disabled_at"`
	FailingSince            boathook.Time         `json:"failing_since"`
	SlowSince               boathook.Time         `json:"slow_since"`
	NextProbeAt             boathook.Time         `json:"next_probe_at"`
	PreviousSecretExpiresAt boathook.Time         `json:"previous_secret_expires_at"`
	CreatedAt               boathook.Time         `json:"created_at"`
	UpdatedAt               boathook.Time         `json:"updated_at"`
	SigningSecret           string                `json:"signing_secret,omitempty"` // once
}

// Of names the source of a webhook or a delivery: one of these.
type Of struct {
	DeploymentID string `json:"deployment_id,omitempty"`
	AgentID      string `json:"agent_id,omitempty"`
	RepositoryID string `json:"repository_id,omitempty"`
	AppID        string `json:"app_id,omitempty"`
	CustomerID   string `json:"customer_id,omitempty"`
	AlertsID     string `json:"alerts_id,omitempty"`
}

// Destination is where a webhook sends that has no URL.
type Destination struct {
	Type     string `json:"type"`
	QueueARN string `json:"queue_arn,omitempty"`
}

// Retry is when a failed delivery is tried again.
type Retry struct {
	ScheduleSeconds []int `json:"schedule_seconds"`
}

// RateLimit bounds how fast a webhook is sent to.
type RateLimit struct {
	PerSecond int `json:"per_second"`
}

// AlertThreshold is when the workspace's alerts tell that a webhook fails.
type AlertThreshold struct {
	Failures int `json:"failures"` // in a row
	Seconds  int `json:"seconds"`  // from the first to the last
}

// OutgoingWebhookInput makes or changes an outgoing webhook; what is nil is not given.
type OutgoingWebhookInput struct {
	Name           *string               `json:"name,omitempty"`
	URL            *string               `json:"url,omitempty"`
	Destination    *Destination          `json:"destination,omitempty"`
	Events         []boathook.EventType  `json:"events,omitempty"`
	Environment    *boathook.Environment `json:"environment,omitempty"`
	Dialect        *string               `json:"dialect,omitempty"`
	Format         *string               `json:"format,omitempty"`
	Filter         *string               `json:"filter,omitempty"`    // empty: none
	Transform      *string               `json:"transform,omitempty"` // empty: none
	Headers        map[string]string     `json:"headers,omitempty"`
	TimeoutSeconds *int                  `json:"timeout_seconds,omitempty"`
	Retry          *Retry                `json:"retry,omitempty"`
	RateLimit      *RateLimit            `json:"rate_limit,omitempty"`
	Enabled        *bool                 `json:"enabled,omitempty"`
	AlertAfter     *AlertThreshold       `json:"alert_after,omitempty"`
	Channels       []string              `json:"channels,omitzero"` // an empty one takes all away
	Metadata       map[string]string     `json:"metadata,omitzero"` // an empty one takes all away
	SigningSecret  *string               `json:"signing_secret,omitempty"`
}

// PreviewedEvent is an event that is made up, to see what a webhook would be sent of it.
type PreviewedEvent struct {
	Type        boathook.EventType   `json:"type"`
	Environment boathook.Environment `json:"environment,omitempty"`
	Channels    []string             `json:"channels,omitempty"`
	Data        json.RawMessage      `json:"data,omitempty"` // nil: the type's example
}

// Preview is what a webhook would be sent of an event, or why nothing.
type Preview struct {
	Delivered bool            `json:"delivered"`
	Reason    *string         `json:"reason"`
	Request   *PreviewRequest `json:"request"`
}

// PreviewRequest is a request that would be sent. The signature is masked, and so is what
// the webhook's owner has set.
type PreviewRequest struct {
	Method      string            `json:"method"`
	URL         *string           `json:"url"`
	Destination *Destination      `json:"destination,omitempty"`
	Headers     map[string]string `json:"headers"`
	Body        string            `json:"body"`
}

// Recovery says which deliveries of a webhook are sent again.
type Recovery struct {
	Since    string   `json:"since"`
	Until    string   `json:"until,omitempty"`
	Statuses []string `json:"statuses,omitempty"`
	DryRun   bool     `json:"dry_run,omitempty"`
	Cursor   string   `json:"cursor,omitempty"`
}

// Recovered is how many one call of a recovery has queued, or would.
type Recovered struct {
	Queued     int            `json:"queued"`
	ByStatus   map[string]int `json:"by_status"`
	DryRun     bool           `json:"dry_run"`
	Until      boathook.Time  `json:"until"`
	NextCursor *string        `json:"next_cursor"` // nil: that was all
}

// ReplayInput says which events of a source are sent to a webhook again.
type ReplayInput struct {
	Since  string               `json:"since"`
	Until  string               `json:"until,omitempty"`
	Types  []boathook.EventType `json:"types,omitempty"`
	Only   string               `json:"only,omitempty"`
	DryRun bool                 `json:"dry_run,omitempty"`
	Cursor string               `json:"cursor,omitempty"`
}

// Replayed is how many events one call of a replay has queued, or would.
type Replayed struct {
	Queued     int            `json:"queued"`
	ByStatus   map[string]int `json:"by_status"`
	Matched    int            `json:"matched"`
	Recent     int            `json:"recent"`
	Unknown    int            `json:"unknown"`
	DryRun     bool           `json:"dry_run"`
	Since      boathook.Time  `json:"since"`
	Until      boathook.Time  `json:"until"`
	NextCursor *string        `json:"next_cursor"` // nil: that was all
}

// Run is one execution.
type Run struct {
	ID           string               `json:"id"`
	VersionID    string               `json:"version_id"`
	DeploymentID string               `json:"deployment_id,omitempty"`
	AgentID      string               `json:"agent_id,omitempty"`
	Environment  boathook.Environment `json:"environment"`
	Trigger      boathook.Trigger     `json:"trigger"`
	Status       boathook.RunStatus   `json:"status"`
	Input        json.RawMessage      `json:"input"`
	InputMissing bool                 `json:"input_missing,omitempty"`
	Output       json.RawMessage      `json:"output"`
	ErrorMessage *string              `json:"error_message"`
	CreatedAt    boathook.Time        `json:"created_at"`
	StartedAt    boathook.Time        `json:"started_at"`
	CompletedAt  boathook.Time        `json:"completed_at"`
	Details      json.RawMessage      `json:"trigger_details,omitempty"`
	RetryOf      string               `json:"retry_of,omitempty"`
	RetriedBy    string               `json:"retried_by,omitempty"`    // the newest of the runs that repeat it
	RetryNumber  int                  `json:"retry_number,omitempty"`  // of a retry that nobody has asked for: which in a row
	StartsAt     *boathook.Time       `json:"starts_at,omitempty"`     // when such a retry starts
	NextRetryAt  *boathook.Time       `json:"next_retry_at,omitempty"` // when such a retry of this run starts
	WaitsSince   *boathook.Time       `json:"waits_since,omitempty"`   // since when it waits for its turn

	Coalesced     []Coalesced `json:"coalesced,omitempty"`      // the first triggers that it stands for
	CoalescedMore int         `json:"coalesced_more,omitempty"` // how many more there were
}

// Coalesced is a trigger that became part of a run.
type Coalesced struct {
	DeliveryID *string       `json:"delivery_id"`
	At         boathook.Time `json:"at"`
}

// RunInput starts a run of a deployment.
type RunInput struct {
	DeploymentID string               `json:"deployment_id"`
	Input        json.RawMessage      `json:"input,omitempty"`
	Environment  boathook.Environment `json:"environment,omitempty"`
}

// RunRetry says how a run is retried.
type RunRetry struct {
	Version string `json:"version,omitempty"` // live, which is the default, or same: that of the old run
}

// StartedRun is one that was accepted.
type StartedRun struct {
	RunID         string             `json:"run_id"`
	VersionID     string             `json:"version_id"`
	VersionNumber int                `json:"version_number"`
	Status        boathook.RunStatus `json:"status"`
}

// RunState names a run and tells its status.
type RunState struct {
	RunID  string             `json:"run_id"`
	Status boathook.RunStatus `json:"status"`
}

// EventInput publishes an event.
type EventInput struct {
	ID          string               `json:"id,omitempty"`
	Source      string               `json:"source"`
	Type        boathook.EventType   `json:"type"`
	Environment boathook.Environment `json:"environment,omitempty"`
	Data        json.RawMessage      `json:"data"`
	Channels    []string             `json:"channels,omitempty"`
}

// Published is an event that was accepted, and to how many webhooks it goes.
type Published struct {
	ID         string `json:"id"`
	Deliveries int    `json:"deliveries"`
}

// FeedQuery asks for a part of a feed.
type FeedQuery struct {
	Cursor      string // of the part before
	Since       string // where there is no cursor; empty: the oldest that is kept
	Type        boathook.EventType
	WaitSeconds int // for an event, if there is none
}

// Feed is a part of a source's events, oldest first.
type Feed struct {
	Data          []FeedEvent `json:"data"`
	NextCursor    string      `json:"next_cursor"` // always there
	HasMore       bool        `json:"has_more"`
	RetentionDays int         `json:"event_retention_days"`
}

// FeedEvent is an event in a feed.
type FeedEvent struct {
	ID          string                `json:"id"`
	Source      string                `json:"source"`
	Type        boathook.EventType    `json:"type"`
	Environment *boathook.Environment `json:"environment"`
	Channels    []string              `json:"channels"`
	CreatedAt   boathook.Time         `json:"created_at"`
	PublishedAt boathook.Time         `json:"published_at"`
	Data        json.RawMessage       `json:"data"`
}

// FeedSettings say for how many days a source's events are kept.
type FeedSettings struct {
	RetentionDays int `json:"event_retention_days"`
}

// EventType is a type of events: one that the workspace defines, or of the catalogue.
type EventType struct {
	Type        boathook.EventType  `json:"type"`
	Source      boathook.SourceKind `json:"source"`
	Publishable bool                `json:"publishable"`
	Description string              `json:"description"`
	Version     *string             `json:"version"`
	Schema      json.RawMessage     `json:"schema"`
	Example     json.RawMessage     `json:"example"`
	CreatedAt   boathook.Time       `json:"created_at"` // zero: of the catalogue
	UpdatedAt   boathook.Time       `json:"updated_at"`
	ArchivedAt  boathook.Time       `json:"archived_at"`
}

// EventTypeInput is a type that the workspace defines, whole.
type EventTypeInput struct {
	Description string          `json:"description"`
	Version     *string         `json:"version,omitempty"`
	Schema      json.RawMessage `json:"schema,omitempty"`
	Example     json.RawMessage `json:"example,omitempty"`
}

// Delivery is one event for one outgoing webhook.
type Delivery struct {
	ID string `json:"id"`
	Of

	WebhookID     string                  `json:"webhook_id"`
	EventID       string                  `json:"event_id"`
	Event         boathook.EventType      `json:"event"`
	Environment   *boathook.Environment   `json:"environment"`
	Status        boathook.DeliveryStatus `json:"status"`
	AttemptCount  int                     `json:"attempt_count"`
	LastAttempt   *LastAttempt            `json:"last_attempt"`
	NextAttemptAt boathook.Time           `json:"next_attempt_at"`
	Reason        *string                 `json:"reason"`
	CreatedAt     boathook.Time           `json:"created_at"`

	Request  *DeliveryRequest `json:"request,omitempty"`  // not in lists
	Attempts []Attempt        `json:"attempts,omitempty"` // not in lists
}

// Stats are what an outgoing webhook's attempts came to.
type Stats struct {
	WebhookID string          `json:"webhook_id"`
	Bucket    string          `json:"bucket"`
	Data      []AttemptCounts `json:"data"` // oldest first, without gaps
}

// AttemptCounts counts the attempts of an hour or a day.
type AttemptCounts struct {
	From         boathook.Time `json:"from"`
	Succeeded    int           `json:"succeeded"`
	Failed       int           `json:"failed"`         // and none follows
	Retrying     int           `json:"retrying"`       // failed, and another follows
	LatencyP50MS *int64        `json:"latency_p50_ms"` // nil: there were none
	LatencyP95MS *int64        `json:"latency_p95_ms"`
}

// LastAttempt is what a list tells of a delivery's last attempt.
type LastAttempt struct {
	Number         int           `json:"number"`
	SentAt         boathook.Time `json:"sent_at"`
	DurationMS     int64         `json:"duration_ms"`
	ResponseStatus *int          `json:"response_status"` // nil: there was no response
	Error          *string       `json:"error"`
}

// DeliveryRequest is what was sent at the last attempt.
type DeliveryRequest struct {
	Method      string            `json:"method"`
	URL         *string           `json:"url"`
	Destination *Destination      `json:"destination,omitempty"`
	Headers     map[string]string `json:"headers"`
	Body        string            `json:"body"`
	BodyMissing bool              `json:"body_missing,omitempty"`
}

// Attempt is one at a delivery.
type Attempt struct {
	Number            int               `json:"number"`
	SentAt            boathook.Time     `json:"sent_at"`
	DurationMS        int64             `json:"duration_ms"`
	ResponseStatus    *int              `json:"response_status"`
	ResponseHeaders   map[string]string `json:"response_headers"`
	ResponseBody      *string           `json:"response_body"`
	ResponseTruncated bool              `json:"response_truncated"`
	MessageID         *string           `json:"message_id,omitempty"`
	Error             *string           `json:"error"`
	CutAt             boathook.Time     `json:"cut_at"`
}

// Queued is a delivery that is on its way.
type Queued struct {
	DeliveryID string `json:"delivery_id"`
}

// Queue is how full a queue is.
type Queue struct {
	Queue string     `json:"queue"`
	Depth QueueDepth `json:"depth"`
	Dead  QueueDepth `json:"dead"` // of its dead-letter queue
	Move  *QueueMove `json:"move"` // from its dead-letter queue; nil: there was none
}

// QueueDepth are the messages of a queue, about.
type QueueDepth struct {
	Ready    int `json:"ready"`
	InFlight int `json:"in_flight"`
	Delayed  int `json:"delayed"`
}

// QueueMove is a redrive.
type QueueMove struct {
	Status    string        `json:"status"`
	Moved     int           `json:"moved"`
	Total     int           `json:"total"`
	StartedAt boathook.Time `json:"started_at"`
	Failure   *string       `json:"failure"`
}
