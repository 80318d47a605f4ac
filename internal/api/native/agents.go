package native

import (
	"context"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// Agents are described with [service.Agents].
type Agents interface {
	Create(ctx context.Context, c service.Caller, crewID string, in service.AgentChange) (a service.LiveAgent, secret string, err error)
	List(ctx context.Context, c service.Caller, crewID string, p boathook.Page) (agents []boathook.Source, next string, err error)
	Get(ctx context.Context, c service.Caller, crewID, id string) (service.LiveAgent, error)
	Change(ctx context.Context, c service.Caller, crewID, id string, in service.AgentChange) (service.LiveAgent, error)
	Delete(ctx context.Context, c service.Caller, crewID, id string) error
	Requests(ctx context.Context, c service.Caller, crewID, id string, outcome boathook.RequestOutcome, p boathook.Page) (requests []boathook.Request, next string, err error)
	Secret(ctx context.Context, c service.Caller, crewID, id string) (string, error)
}

type agentView struct {
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
	Preset           string           `json:"preset"` // of the verification
	Verification     verificationView `json:"verification"`
	TriggerURL       string           `json:"trigger_url"`
	CreatedAt        boathook.Time    `json:"created_at"`
	VersionNumber    int              `json:"version_number,omitempty"` // of the version that is live; not in lists
	Target           *boathook.Target `json:"target,omitempty"`         // of the same
	WebhookSecret    string           `json:"webhook_secret,omitempty"` // once
}

func viewAgent(c httpjson.Call, s boathook.Source) agentView {
	a := s.Agent
	verification := viewVerification(a.Verification)
	return agentView{
		ID: s.ID, CrewID: a.CrewID, Name: s.Name, Slug: a.Slug, RequireTimestamp: a.RequireTimestamp,
		KeepPlainSecret: a.KeepPlainSecret, RatePerMinute: a.RatePerMinute, MaxInFlight: a.MaxInFlight,
		DedupeSeconds: a.DedupeSeconds, FencePayload: a.FencePayload,
		Preset: verification.Preset, Verification: verification,
		TriggerURL: c.PublicURL() + "/api/v1/webhooks/" + a.CrewID + "/" + s.ID + "/trigger",
		CreatedAt:  boathook.Time{Time: s.CreatedAt},
	}
}

// answerAgent shows what an operation gave: an agent with its live version.
func answerAgent(c httpjson.Call, a service.LiveAgent, err error) (agentView, error) {
	if err != nil {
		return agentView{}, err
	}
	view := viewAgent(c, a.Source)
	view.VersionNumber, view.Target = a.Version.Number, &a.Version.Target
	return view, nil
}

// agentInput has what an agent can be set to; nil leaves a field as it is.
type agentInput struct {
	Name             *string            `json:"name"`
	Slug             *string            `json:"slug"`
	Target           *targetInput       `json:"target"`
	RequireTimestamp *bool              `json:"require_timestamp"`
	KeepPlainSecret  *bool              `json:"keep_plain_secret"`
	RatePerMinute    *int               `json:"rate_per_minute"`
	MaxInFlight      *int               `json:"max_in_flight"`
	DedupeSeconds    *int               `json:"dedupe_seconds"` // 0 ends it
	FencePayload     *bool              `json:"fence_payload"`
	Preset           *string            `json:"preset"` // short for a verification with no more than that
	Verification     *verificationInput `json:"verification"`
}

func (in agentInput) read() service.AgentChange {
	return service.AgentChange{
		Name: in.Name, Slug: in.Slug, Target: in.Target.read(), RequireTimestamp: in.RequireTimestamp, KeepPlainSecret: in.KeepPlainSecret,
		RatePerMinute: in.RatePerMinute, MaxInFlight: in.MaxInFlight, DedupeSeconds: in.DedupeSeconds, FencePayload: in.FencePayload,
		Preset: in.Preset, Verification: in.Verification.read(),
	}
}

func (f face) createAgent(ctx context.Context, c httpjson.Call, in agentInput) (agentView, error) {
	a, secret, err := f.Agents.Create(ctx, c.Caller, c.PathValue("crew"), in.read())
	view, err := answerAgent(c, a, err)
	view.WebhookSecret = secret
	return view, err
}

func (f face) listAgents(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.List[agentView], error) {
	view := func(s boathook.Source) agentView { return viewAgent(c, s) }
	return httpjson.Listed(c, view, func(p boathook.Page) ([]boathook.Source, string, error) {
		return f.Agents.List(ctx, c.Caller, c.PathValue("crew"), p)
	})
}

func (f face) getAgent(ctx context.Context, c httpjson.Call, _ httpjson.None) (agentView, error) {
	a, err := f.Agents.Get(ctx, c.Caller, c.PathValue("crew"), c.PathValue("agent"))
	return answerAgent(c, a, err)
}

func (f face) changeAgent(ctx context.Context, c httpjson.Call, in agentInput) (agentView, error) {
	a, err := f.Agents.Change(ctx, c.Caller, c.PathValue("crew"), c.PathValue("agent"), in.read())
	return answerAgent(c, a, err)
}

func (f face) deleteAgent(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, f.Agents.Delete(ctx, c.Caller, c.PathValue("crew"), c.PathValue("agent"))
}

func (f face) listAgentRequests(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.List[arrivalView], error) {
	return httpjson.Listed(c, viewArrival, func(p boathook.Page) ([]boathook.Request, string, error) {
		return f.Agents.Requests(ctx, c.Caller, c.PathValue("crew"), c.PathValue("agent"), outcome(c), p)
	})
}

type shownSecret struct {
	WebhookSecret string `json:"webhook_secret"`
}

func (f face) showAgentSecret(ctx context.Context, c httpjson.Call, _ httpjson.None) (shownSecret, error) {
	secret, err := f.Agents.Secret(ctx, c.Caller, c.PathValue("crew"), c.PathValue("agent"))
	return shownSecret{secret}, err
}
