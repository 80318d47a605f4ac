package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/tmaxmax/go-sse"

	"boathook/internal/boathook"
	"boathook/internal/signature"
)

// none is the input of what is only read.
type none struct{}

// Health asks how the server is. It needs no token.
func (c *Client) Health(ctx context.Context) (Health, error) { return get[Health](ctx, c, "/healthz") }

// Me asks whom the token belongs to.
func (c *Client) Me(ctx context.Context) (Me, error) { return get[Me](ctx, c, "/v1/me") }

// Workspaces are all of the stack, for an admin of its first one. They can't be changed,
// and only an empty one can be deleted.
func (c *Client) Workspaces() Collection[Workspace, NamedInput] {
	return Collection[Workspace, NamedInput]{c: c, path: "/v1/workspaces"}
}

// WorkspaceToken makes a token of a workspace: the way back into one whose tokens are lost.
func (c *Client) WorkspaceToken(ctx context.Context, workspace string, in TokenInput) (Token, error) {
	return post[Token](ctx, c, join("v1", "workspaces", workspace, "tokens"), in)
}

// Tokens are the workspace's. They can't be changed.
func (c *Client) Tokens() Collection[Token, TokenInput] {
	return Collection[Token, TokenInput]{c: c, path: "/v1/tokens"}
}

// Deployments are the workspace's.
func (c *Client) Deployments() Collection[Deployment, DeploymentInput] {
	return Collection[Deployment, DeploymentInput]{c: c, path: "/v1/deployments"}
}

// Versions are a deployment's. They can be made and listed.
func (c *Client) Versions(deployment string) Collection[Version, VersionInput] {
	return Collection[Version, VersionInput]{c: c, path: join("v1", "deployments", deployment, "versions")}
}

// Activate puts a version live in its environment again.
func (c *Client) Activate(ctx context.Context, deployment, version string) (Version, error) {
	return act[Version](ctx, c.Versions(deployment), version, "activate", nil)
}

// IncomingWebhooks are a deployment's.
func (c *Client) IncomingWebhooks(deployment string) Collection[IncomingWebhook, IncomingWebhookInput] {
	return Collection[IncomingWebhook, IncomingWebhookInput]{c: c, path: join("v1", "deployments", deployment, "incoming-webhooks")}
}

// RotateURL gives an incoming webhook another URL, and ends the one that it had.
func (c *Client) RotateURL(ctx context.Context, deployment, webhook string) (IncomingWebhook, error) {
	return act[IncomingWebhook](ctx, c.IncomingWebhooks(deployment), webhook, "rotate", nil)
}

// IncomingURL shows an incoming webhook's URL again, to an admin.
func (c *Client) IncomingURL(ctx context.Context, deployment, webhook string) (ShownURL, error) {
	return get[ShownURL](ctx, c, join("v1", "deployments", deployment, "incoming-webhooks", webhook, "url"))
}

// Requests are what arrived at an incoming webhook.
func (c *Client) Requests(deployment, webhook string) Collection[Request, none] {
	return Collection[Request, none]{c: c, path: join("v1", "deployments", deployment, "incoming-webhooks", webhook, "requests")}
}

// AgentRequests are what arrived for an agent.
func (c *Client) AgentRequests(crew, agent string) Collection[Request, none] {
	return Collection[Request, none]{c: c, path: join("v1", "crews", crew, "agents", agent, "requests")}
}

// Crews are the workspace's.
func (c *Client) Crews() Collection[Named, NamedInput] {
	return Collection[Named, NamedInput]{c: c, path: "/v1/crews"}
}

// Agents are a crew's.
func (c *Client) Agents(crew string) Collection[Agent, AgentInput] {
	return Collection[Agent, AgentInput]{c: c, path: join("v1", "crews", crew, "agents")}
}

// AllAgents are those of all crews.
func (c *Client) AllAgents(ctx context.Context) ([]AgentEntry, error) {
	return get[[]AgentEntry](ctx, c, "/api/v1/agents")
}

// AgentSecret shows the secret that an agent's triggers are signed with, to an admin.
// The showing is logged.
func (c *Client) AgentSecret(ctx context.Context, crew, agent string) (string, error) {
	s, err := get[struct {
		WebhookSecret string `json:"webhook_secret"`
	}](ctx, c, join("v1", "crews", crew, "agents", agent, "webhook-secret"))
	return s.WebhookSecret, err
}

// TriggerAgent starts a run of an agent by a payload that is signed with its secret, and
// gives the run's id.
func (c *Client) TriggerAgent(ctx context.Context, crew, agent, secret string, at time.Time, payload []byte) (string, error) {
	header := idempotent("")
	header.Set("X-Timestamp", fmt.Sprint(at.Unix()))
	header.Set("X-Signature", signature.Timestamped(secret, at, payload))
	res, err := c.do(ctx, request{
		method: http.MethodPost, path: join("api", "v1", "webhooks", crew, agent, "trigger"), header: header, body: payload,
	})
	if err != nil {
		return "", err
	}
	return res.Header.Get("X-Run-Id"), res.Body.Close()
}

// Repositories are the workspace's. They can't be changed.
func (c *Client) Repositories() Collection[Repository, RepositoryInput] {
	return Collection[Repository, RepositoryInput]{c: c, path: "/v1/repositories"}
}

// Apps are the workspace's.
func (c *Client) Apps() Collection[App, NamedInput] {
	return Collection[App, NamedInput]{c: c, path: "/v1/apps", lists: inArrays}
}

// Source is what outgoing webhooks hang on; see [DeploymentSource] and the others.
type Source struct{ path string }

// Path is that of the API.
func (s Source) Path() string { return s.path }

// ID is the source's; empty for none.
func (s Source) ID() string { return s.path[strings.LastIndex(s.path, "/")+1:] }

// DeploymentSource is a deployment.
func DeploymentSource(id string) Source { return Source{join("v1", "deployments", id)} }

// AgentSource is an agent of a crew.
func AgentSource(crew, agent string) Source {
	return Source{join("v1", "crews", crew, "agents", agent)}
}

// Customers are the workspace's.
func (c *Client) Customers() Collection[Customer, CustomerInput] {
	return Collection[Customer, CustomerInput]{c: c, path: "/v1/customers"}
}

// Portal makes a link to a customer's portal, which is good for so many seconds; nil is
// the API's default.
func (c *Client) Portal(ctx context.Context, customer string, seconds *int) (PortalLink, error) {
	return act[PortalLink](ctx, c.Customers(), customer, "portal", struct {
		ExpiresSeconds *int `json:"expires_seconds,omitempty"`
	}{seconds})
}

// RepositorySource is a repository.
func RepositorySource(id string) Source { return Source{join("v1", "repositories", id)} }

// CustomerSource is a customer.
func CustomerSource(id string) Source { return Source{join("v1", "customers", id)} }

// AlertsSource is the workspace's alerts.
func AlertsSource() Source { return Source{"/v1/alerts"} }

// AppSource is an app.
func AppSource(id string) Source { return Source{join("v1", "apps", id)} }

// OutgoingWebhooks are a source's.
func (c *Client) OutgoingWebhooks(s Source) Collection[OutgoingWebhook, OutgoingWebhookInput] {
	return Collection[OutgoingWebhook, OutgoingWebhookInput]{c: c, path: s.path + "/outgoing-webhooks"}
}

// RotateSecret gives an outgoing webhook another signing secret. The one that it had is
// signed with as well for a time; nil is what the webhook's dialect has.
func (c *Client) RotateSecret(ctx context.Context, s Source, webhook string, overlapSeconds *int) (OutgoingWebhook, error) {
	return act[OutgoingWebhook](ctx, c.OutgoingWebhooks(s), webhook, "rotate-secret", struct {
		OverlapSeconds *int `json:"overlap_seconds,omitempty"`
	}{overlapSeconds})
}

// Test sends the catalogue's example to an outgoing webhook.
func (c *Client) Test(ctx context.Context, s Source, webhook string) (Queued, error) {
	return act[Queued](ctx, c.OutgoingWebhooks(s), webhook, "test", nil)
}

// Preview tells what an outgoing webhook would be sent of an event. Nothing is sent.
func (c *Client) Preview(ctx context.Context, s Source, webhook string, e PreviewedEvent) (Preview, error) {
	return act[Preview](ctx, c.OutgoingWebhooks(s), webhook, "preview", struct {
		Event PreviewedEvent `json:"event"`
	}{e})
}

// Deliveries are an outgoing webhook's.
func (c *Client) Deliveries(s Source, webhook string) Collection[Delivery, none] {
	return Collection[Delivery, none]{c: c, path: s.path + "/outgoing-webhooks" + join(webhook, "deliveries")}
}

// Recover sends a webhook's deliveries again, as many as one call does. What follows is
// done by a call with the cursor and the until of its answer.
func (c *Client) Recover(ctx context.Context, s Source, webhook string, r Recovery) (Recovered, error) {
	return act[Recovered](ctx, c.OutgoingWebhooks(s), webhook, "recover", r)
}

// Replay sends a webhook events of its source again, as many as one call does. What follows
// is done by the same call with the cursor of its answer.
func (c *Client) Replay(ctx context.Context, s Source, webhook string, r ReplayInput) (Replayed, error) {
	return act[Replayed](ctx, c.OutgoingWebhooks(s), webhook, "replay", r)
}

// AllDeliveries are the workspace's.
func (c *Client) AllDeliveries() Collection[Delivery, none] {
	return Collection[Delivery, none]{c: c, path: "/v1/deliveries"}
}

// Stats counts an outgoing webhook's attempts by the hour or the day. What is empty is as
// the API has it.
func (c *Client) Stats(ctx context.Context, s Source, webhook, since, bucket string) (Stats, error) {
	query := url.Values{}
	for name, value := range map[string]string{"since": since, "bucket": bucket} {
		if value != "" {
			query.Set(name, value)
		}
	}
	path := s.path + "/outgoing-webhooks" + join(webhook, "stats")
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return get[Stats](ctx, c, path)
}

// Delivery reads a delivery with its request and its attempts.
func (c *Client) Delivery(ctx context.Context, id string) (Delivery, error) {
	return get[Delivery](ctx, c, join("v1", "deliveries", id))
}

// Resend sends a delivery again.
func (c *Client) Resend(ctx context.Context, id string) (Queued, error) {
	return post[Queued](ctx, c, join("v1", "deliveries", id, "resend"), nil)
}

// Runs are the workspace's. Start makes one.
func (c *Client) Runs() Collection[Run, none] { return Collection[Run, none]{c: c, path: "/v1/runs"} }

// Start starts a run. With an empty key it has one of its own, so that a request which is
// sent again starts no second run.
func (c *Client) Start(ctx context.Context, in RunInput, key string) (StartedRun, error) {
	return call[StartedRun](ctx, c, request{method: http.MethodPost, path: "/v1/runs", header: idempotent(key), body: in})
}

// Retry starts a run with the input of one that is over. Its key is as that of
// [Client.Start].
func (c *Client) Retry(ctx context.Context, run string, in RunRetry, key string) (StartedRun, error) {
	return call[StartedRun](ctx, c, request{method: http.MethodPost, path: join("v1", "runs", run, "retry"), header: idempotent(key), body: in})
}

// Cancel asks a run to stop.
func (c *Client) Cancel(ctx context.Context, run string) (RunState, error) {
	return post[RunState](ctx, c, join("v1", "runs", run, "cancel"), nil)
}

// RunEvents reads what there is of a run's events after the one with the id last; empty
// for all. It gives the id of the last that it read.
func (c *Client) RunEvents(ctx context.Context, run, last string, each func(data string)) (string, error) {
	header := http.Header{}
	if last != "" {
		header.Set("Last-Event-ID", last)
	}
	res, err := c.do(ctx, request{method: http.MethodGet, path: join("v1", "runs", run, "events"), header: header})
	if err != nil {
		return last, err
	}
	defer res.Body.Close()
	for e, err := range sse.Read(res.Body, &sse.ReadConfig{MaxEventSize: maxAnswer}) {
		if err != nil {
			return last, unreachable(ctx, err)
		}
		if e.LastEventID != "" {
			last = e.LastEventID
		}
		if e.Data != "" {
			each(e.Data)
		}
	}
	return last, nil
}

// Publish publishes events, at most a hundred. With an empty key the request has one of
// its own, so that one which is sent again publishes nothing twice.
func (c *Client) Publish(ctx context.Context, events []EventInput, key string) ([]Published, error) {
	answer, err := call[struct {
		Events []Published `json:"events"`
	}](ctx, c, request{method: http.MethodPost, path: "/v1/events", header: idempotent(key), body: map[string]any{"events": events}})
	return answer.Events, err
}

// Feed reads a part of a source's feed.
func (c *Client) Feed(ctx context.Context, s Source, q FeedQuery) (Feed, error) {
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	for name, value := range map[string]string{"cursor": q.Cursor, "since": q.Since, "type": string(q.Type)} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if q.WaitSeconds > 0 {
		query.Set("wait_seconds", strconv.Itoa(q.WaitSeconds))
	}
	return call[Feed](ctx, c, request{method: http.MethodGet, path: s.path + "/events?" + query.Encode()})
}

// SetRetention sets for how many days a source's events are kept in its feed.
func (c *Client) SetRetention(ctx context.Context, s Source, days int) (FeedSettings, error) {
	return call[FeedSettings](ctx, c, request{method: http.MethodPatch, path: s.path + "/events", body: FeedSettings{days}})
}

// EventTypes are those that the workspace defines, and the catalogue. To delete one
// archives it. They are made by [Client.PutEventType].
func (c *Client) EventTypes() Collection[EventType, struct{}] {
	return Collection[EventType, struct{}]{c: c, path: "/v1/event-types"}
}

// PutEventType defines a type of events, or defines it anew.
func (c *Client) PutEventType(ctx context.Context, name boathook.EventType, in EventTypeInput) (EventType, error) {
	return call[EventType](ctx, c, request{method: http.MethodPut, path: join("v1", "event-types", string(name)), body: in})
}

// Queues are the stack's, for an admin of its first workspace.
func (c *Client) Queues(ctx context.Context) ([]Queue, error) {
	answer, err := get[struct {
		Data []Queue `json:"data"`
	}](ctx, c, "/v1/admin/redrive")
	return answer.Data, err
}

// Redrive moves what is dead in a queue's dead-letter queue back.
func (c *Client) Redrive(ctx context.Context, queue string) (Queue, error) {
	return post[Queue](ctx, c, "/v1/admin/redrive", map[string]string{"queue": queue})
}

// idempotent is a header with a key; an empty one is made.
func idempotent(key string) http.Header {
	if key == "" {
		key = uuid.NewString()
	}
	return http.Header{boathook.IdempotencyKey: {key}}
}
