package boathook

import (
	"encoding/json"
	"strings"
	"time"
)

// Environment is where a version is live, and what webhooks are scoped to.
type Environment string

// The environments.
const (
	Production Environment = "production"
	Staging    Environment = "staging"
)

// Environments lists them all.
var Environments = []Environment{Production, Staging}

// Valid reports whether e is one of [Environments].
func (e Environment) Valid() bool { return e == Production || e == Staging }

// SourceKind says what a source is, and with it its default dialect and the
// events it can have.
type SourceKind string

// The kinds of sources.
const (
	Deployment SourceKind = "deployment" // of Crewship: has versions, and incoming webhooks that run them
	Crew       SourceKind = "crew"       // of Crewship: only groups agents, and has no webhooks of its own
	Agent      SourceKind = "agent"      // of Crewship: has a trigger of its own
	Repository SourceKind = "repository" // of Shipway
	App        SourceKind = "app"        // of Capawesome Cloud
	Customer   SourceKind = "customer"   // whom the workspace sends events of its own
	Alerts     SourceKind = "alerts"     // how Boathook fares; one in each workspace, see [NewAlertsID]
)

// Source is what webhooks hang on.
type Source struct {
	Revision    int // counts its changes; see package store
	ID          string
	WorkspaceID string
	Kind        SourceKind
	Owner       string // of a repository only
	Name        string
	CreatedAt   time.Time
	Agent       *AgentSettings      // of an agent; nil for other kinds
	App         *AppSettings        // of an app; nil for other kinds, and see [Source.AppSettings]
	Customer    *CustomerSettings   // of a customer; nil for other kinds
	Deployment  *DeploymentSettings // of a deployment that has any; see [Source.DeploymentSettings]
	Feed        *FeedSettings       // nil: as its kind has it, see [Source.FeedSettings]
}

// NewRepositoryID is the id of a workspace's repository. It follows from what
// Shipway's paths name it by, in any case of letters as GitHub does, so that
// finding one takes no index.
func NewRepositoryID(workspaceID, owner, name string) string {
	return DeriveID(RepositoryID, workspaceID, strings.ToLower(owner), strings.ToLower(name))
}

// Number is a repository's id where a system's clients expect an integer, and
// OwnerNumber its owner's, the same for each repository of the owner.
func (s *Source) Number() int32 { return number("repository", s.ID) }

// OwnerNumber is described with [Source.Number].
func (s *Source) OwnerNumber() int32 {
	return number("owner", s.WorkspaceID, strings.ToLower(s.Owner))
}

// Version is a numbered way of running a source. It never changes once made.
type Version struct {
	ID          string
	SourceID    string
	WorkspaceID string
	Number      int // counts from 1 across the source's environments
	Environment Environment
	Target      Target // without its header values: they are in SealedHeaders
	CreatedAt   time.Time

	// SealedHeaders is the JSON object of an http target's headers, encrypted:
	// they often hold a credential.
	SealedHeaders []byte
}

// LiveVersion is what a trigger needs to know of the version that is live.
type LiveVersion struct {
	ID     string
	Number int
}

// TargetType says what executes a run.
type TargetType string

// The types of targets.
const (
	TargetHTTP      TargetType = "http"      // POST to a URL
	TargetLambda    TargetType = "lambda"    // invoke a Lambda function
	TargetAgentCore TargetType = "agentcore" // invoke an agent on Amazon Bedrock AgentCore
	TargetCommand   TargetType = "command"   // a local process; on one machine only
)

// Target says how a run is executed. Only the fields of its type are set.
type Target struct {
	Type           TargetType        `json:"type"`
	URL            string            `json:"url,omitempty"`
	Headers        map[string]string `json:"headers,omitempty"` // sent with each request
	FunctionARN    string            `json:"function_arn,omitempty"`
	RuntimeARN     string            `json:"runtime_arn,omitempty"` // of an AgentCore runtime
	Argv           []string          `json:"argv,omitempty"`
	TimeoutSeconds int               `json:"timeout_seconds,omitempty"`
}

// Timeout is the run's time limit.
func (t Target) Timeout() time.Duration {
	if t.TimeoutSeconds == 0 {
		return DefaultRunTimeout
	}
	return time.Duration(t.TimeoutSeconds) * time.Second
}

// EmptyInput is the input of a run whose trigger had no body.
var EmptyInput = json.RawMessage(`{}`)

// KindOf is the kind of the source that has an id.
func KindOf(sourceID string) SourceKind {
	switch {
	case HasIDKind(sourceID, AgentID):
		return Agent
	case HasIDKind(sourceID, RepositoryID):
		return Repository
	case HasIDKind(sourceID, AppID):
		return App
	case HasIDKind(sourceID, CustomerID):
		return Customer
	case HasIDKind(sourceID, AlertsID):
		return Alerts
	}
	return Deployment
}
