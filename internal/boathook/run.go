package boathook

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// RunStatus is where a run is in its life.
type RunStatus string

// A run is pending until a runner claims it, then running until it is over.
const (
	RunPending   RunStatus = "pending"
	RunRunning   RunStatus = "running"
	RunSucceeded RunStatus = "succeeded"
	RunFailed    RunStatus = "failed"
	RunCanceled  RunStatus = "canceled"
	RunTimedOut  RunStatus = "timed_out" // of agents; a deployment's run fails instead
)

// Valid reports whether s is a status.
func (s RunStatus) Valid() bool { return s == RunPending || s == RunRunning || s.Over() }

// Over reports whether s is terminal.
func (s RunStatus) Over() bool {
	return s == RunSucceeded || s == RunFailed || s == RunCanceled || s == RunTimedOut
}

// Trigger says how a run came to be.
type Trigger string

// The triggers.
const (
	TriggerWebhook Trigger = "webhook"
	TriggerAPI     Trigger = "api"
	TriggerRetry   Trigger = "retry" // of a retry that nobody has asked for
)

// RunHead is the small part of a run: everything but its input and output.
// Waiting, heartbeats and claims touch nothing else.
type RunHead struct {
	ID            string
	WorkspaceID   string
	SourceID      string
	VersionID     string
	VersionNumber int
	Environment   Environment
	Trigger       Trigger
	WebhookID     string // the incoming webhook, or empty
	InputHash     [sha256.Size]byte
	CreatedAt     time.Time

	// Of an agent's run: what its trigger told of, and whence it came. Each is
	// a [Label]; both are empty for deployments.
	EventName   string
	EventSource string

	Fenced bool // of an agent's run: its message is [AgentPayload.FencedMessage]

	Details TriggerDetails // of a run that a webhook has started
	Trace   TraceContext   // that the run follows from
	// RetryOf is the run that this one repeats; empty for others.
	RetryOf string
	// RetriedBy is the newest of the runs that repeat this one; zero if there is none.
	RetriedBy Retry
	// RetryNumber counts the retries in a row that nobody has asked for, of such a retry;
	// 0 for other runs. The version that is live when it starts executes it.
	RetryNumber int
	StartsAt    time.Time // of such a retry: when it starts, if its version is not deleted
	// TakesTurn: its deployment let only so many runs execute at a time when this one was
	// accepted. It waits for its turn, pending, in the order of acceptance.
	TakesTurn  bool
	WaitsSince time.Time // since when it has stood in line; zero if it never has
	// Burst is of a run that several triggers may become; nil for others. It starts at StartsAt.
	Burst *Burst

	Status      RunStatus
	Error       string // why it failed; empty otherwise
	ExitCode    *int   // where the target has one
	StartedAt   time.Time
	CompletedAt time.Time
	LogLines    int  // set when it is over
	Published   bool // its event has reached the deliveries queue; set for canceled runs, which have none

	Claim           Claim
	CancelRequested bool
}

// TriggerDetails are what a trigger said beside its body. Each may be empty; none
// is a secret or a signature.
type TriggerDetails struct {
	Event       string // what happened, by its sender's name
	DeliveryID  string // the sender's own
	ContentType string
	Query       string // of the URL, encoded, as [url.ParseQuery] reads it
	FilterError string // why the webhook's filter could not say whether to start the run
}

// The limits of a trigger's details, in bytes: what is longer is cut and ends in
// "…", but for the query, which is left out.
const (
	MaxTriggerDetail = 128
	MaxTriggerQuery  = 512
	MaxFilterError   = 200
)

// IsZero reports whether a trigger said nothing.
func (d TriggerDetails) IsZero() bool { return d == TriggerDetails{} }

// MarshalJSON shows what is empty as null, and leaves an empty FilterError out.
func (d TriggerDetails) MarshalJSON() ([]byte, error) {
	return EncodeJSON(struct {
		Event       *string        `json:"event"`
		DeliveryID  *string        `json:"delivery_id"`
		ContentType *string        `json:"content_type"`
		Query       map[string]any `json:"query"`
		FilterError string         `json:"filter_error,omitempty"`
	}{nullable(d.Event), nullable(d.DeliveryID), nullable(d.ContentType), d.QueryValues(), d.FilterError})
}

// QueryValues are the query's parameters: a string, or a []any of strings where a name is
// given more than once.
func (d TriggerDetails) QueryValues() map[string]any {
	query := make(map[string]any)
	values, _ := url.ParseQuery(d.Query) // it was encoded from values
	for name, texts := range values {
		if len(texts) == 1 {
			query[name] = texts[0]
			continue
		}
		list := make([]any, len(texts))
		for i, text := range texts {
			list[i] = text
		}
		query[name] = list
	}
	return query
}

// Retry is a run that repeats another.
type Retry struct {
	RunID    string
	At       time.Time // its creation
	StartsAt time.Time // when it starts, of one that nobody has asked for; zero for others
}

// Newer reports whether r was created after another. Of two at the same time, the
// ids decide: whatever order they are told in, the same one is the newest.
func (r Retry) Newer(than Retry) bool {
	return cmp.Or(r.At.Compare(than.At), cmp.Compare(r.RunID, than.RunID)) > 0
}

// Claim is one runner's hold on a run.
type Claim struct {
	ID         string
	LeaseUntil time.Time // renewed by heartbeats; once past, the runner counts as lost
}

// OfAgent reports whether the run is an agent's.
func (r *RunHead) OfAgent() bool { return HasIDKind(r.SourceID, AgentID) }

// Lost reports whether the run's runner let its lease run out.
func (r *RunHead) Lost(now time.Time) bool {
	return r.Status == RunRunning && !now.Before(r.Claim.LeaseUntil)
}

// RunnerLost is the error of a run whose runner let its lease run out.
const RunnerLost = "runner lost"

// WasLost reports whether that is how the run ended. A target may word its own failure so,
// but only while the lease lasts.
func (r *RunHead) WasLost() bool {
	return r.Status == RunFailed && r.Error == RunnerLost && !r.CompletedAt.Before(r.Claim.LeaseUntil)
}

// NoRunningVersion refuses a trigger for an environment without a live version,
// in Crewship's own words.
func NoRunningVersion(env Environment) *Error {
	return Errorf(Conflict, "No running version found for %s environment", env)
}

// Run is a run with its input and output, each as raw JSON.
type Run struct {
	RunHead
	Input  Body            // lost where the store has lost it
	Output json.RawMessage // nil until it succeeded with one
}

// IdempotencyKey is the header that makes a repeated request safe: its value
// stands for the run or the events.
const IdempotencyKey = "Idempotency-Key"

// IdempotencyKeyOf gives a request's key, which [CheckIdempotencyKey] has yet to check;
// empty if it has none. API Gateway joins headers of one name by commas, and so
// does this.
func IdempotencyKeyOf(h http.Header) string { return strings.Join(h.Values(IdempotencyKey), ",") }

// CheckIdempotencyKey refuses a key that is longer than [MaxIdempotencyKey] bytes, or
// has commas and so may be several. The error is [Invalid], about the header.
func CheckIdempotencyKey(key string) error {
	switch {
	case strings.Contains(key, ","):
		return InvalidField(IdempotencyKey, "must be given once, as a text without commas")
	case len(key) > MaxIdempotencyKey:
		return InvalidField(IdempotencyKey, "is longer than %d bytes", MaxIdempotencyKey)
	}
	return nil
}

// HashInput is what the run's record keeps of its input to tell a repeated
// idempotency key from a reused one.
func HashInput(input []byte) [sha256.Size]byte { return sha256.Sum256(input) }

// Outcome is how a run ended.
type Outcome struct {
	Status      RunStatus // terminal
	Output      json.RawMessage
	Error       string
	ExitCode    *int
	CompletedAt time.Time
	LogLines    int
}

// runEventView is a run as its event carries it, in the document's order.
type runEventView struct {
	RunID         string          `json:"run_id"`
	DeploymentID  string          `json:"deployment_id,omitempty"`
	AgentID       string          `json:"agent_id,omitempty"`
	VersionID     string          `json:"version_id"`
	VersionNumber int             `json:"version_number"`
	Environment   Environment     `json:"environment"`
	Status        RunStatus       `json:"status"`
	Input         json.RawMessage `json:"input"`
	Output        json.RawMessage `json:"output"`
	ErrorMessage  *string         `json:"error_message"`
	CreatedAt     Time            `json:"created_at"`
	StartedAt     Time            `json:"started_at"`
	CompletedAt   Time            `json:"completed_at"`
}

// owner is the run's source, as a deployment or as an agent; the other is
// empty.
func (r *RunHead) owner() (deploymentID, agentID string) {
	if r.OfAgent() {
		return "", r.SourceID
	}
	return r.SourceID, ""
}

// Event is the event of a run that is over; false for a canceled run, which
// has none. The same run always gives the same event.
func (r Run) Event() (Event, bool) {
	var t EventType
	switch r.Status {
	case RunSucceeded:
		t = EventRunSucceeded
	case RunFailed, RunTimedOut:
		t = EventRunFailed
	default:
		return Event{}, false
	}
	deploymentID, agentID := r.owner()
	data, err := EncodeJSON(runEventView{
		RunID: r.ID, DeploymentID: deploymentID, AgentID: agentID, VersionID: r.VersionID, VersionNumber: r.VersionNumber,
		Environment: r.Environment, Status: r.Status, Input: r.Input.Bytes(), Output: r.Output,
		ErrorMessage: nullable(r.Error), CreatedAt: Time{r.CreatedAt},
		StartedAt: Time{r.StartedAt}, CompletedAt: Time{r.CompletedAt},
	})
	if err != nil {
		// Input and output were checked when they were taken.
		panic("boathook: run " + r.ID + " holds invalid JSON: " + err.Error())
	}
	return Event{
		ID: DeriveID(EventID, r.ID, string(t)), WorkspaceID: r.WorkspaceID, SourceID: r.SourceID,
		Environment: r.Environment, Type: t, Time: r.CompletedAt, Data: data,
	}, true
}

// EncodeJSON marshals v without escaping <, > and &, so that raw JSON inside
// it keeps its text, and without a trailing newline.
func EncodeJSON(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
