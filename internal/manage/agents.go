package manage

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/seal"
)

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

func (h *Handler) viewAgent(c call, s boathook.Source) agentView {
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

// viewAgentWhole shows an agent with its live version.
func (h *Handler) viewAgentWhole(ctx context.Context, c call, s boathook.Source) (agentView, error) {
	view := h.viewAgent(c, s)
	live, err := h.cfg.Store.Live(ctx, s.ID)
	if err != nil {
		return agentView{}, err
	}
	v, err := h.cfg.Store.Version(ctx, s.ID, live[boathook.Production].ID)
	if err != nil {
		return agentView{}, err
	}
	view.VersionNumber, view.Target = v.Number, &v.Target
	return view, nil
}

// agent is the one that the path names.
func (h *Handler) agent(ctx context.Context, c call) (boathook.Source, error) {
	s, err := h.source(ctx, c, boathook.Agent, c.PathValue("agent"))
	if err == nil {
		err = wantAgent(c, s)
	}
	return s, err
}

// wantAgent refuses a source that is no agent of the crew that the path names.
func wantAgent(c call, s boathook.Source) error {
	if err := wantKind(s, boathook.Agent); err != nil {
		return err
	}
	if s.Agent.CrewID != c.PathValue("crew") {
		return noSuch(string(boathook.Agent), s.ID)
	}
	return nil
}

// agentInput has what an agent can be set to; nil leaves a field as it is.
type agentInput struct {
	Name             *string      `json:"name"`
	Slug             *string      `json:"slug"`
	Target           *targetInput `json:"target"`
	RequireTimestamp *bool        `json:"require_timestamp"`
	KeepPlainSecret  *bool        `json:"keep_plain_secret"`
	RatePerMinute    *int         `json:"rate_per_minute"`
	MaxInFlight      *int         `json:"max_in_flight"`
	DedupeSeconds    *int         `json:"dedupe_seconds"` // 0 ends it
	FencePayload     *bool        `json:"fence_payload"`

	// How triggers prove themselves that have none of Crewship's headers. Preset
	// alone is short for a verification with no more than that.
	Preset       *string            `json:"preset"`
	Verification *verificationInput `json:"verification"`
}

// slugs are what logs and addresses can take as they are. The pattern's 61
// repetitions are compiled when the first is checked, not at every cold start.
var slugs = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
})

// apply changes an agent, but for its target and its secret.
func (in agentInput) apply(s *boathook.Source) error {
	if in.Name != nil {
		if err := checkName(*in.Name); err != nil {
			return err
		}
		s.Name = *in.Name
	}
	if in.Slug != nil {
		if !slugs().MatchString(*in.Slug) {
			return boathook.InvalidField("slug", "must have 1 to 63 lower-case letters, digits and inner hyphens")
		}
		s.Agent.Slug = *in.Slug
	}
	if in.RequireTimestamp != nil {
		s.Agent.RequireTimestamp = *in.RequireTimestamp
	}
	if in.KeepPlainSecret != nil {
		s.Agent.KeepPlainSecret = *in.KeepPlainSecret
	}
	if in.FencePayload != nil {
		s.Agent.FencePayload = *in.FencePayload
	}
	for _, n := range []struct {
		name  string
		in    *int
		least int
		most  int
		into  *int
	}{
		{"rate_per_minute", in.RatePerMinute, 1, boathook.MaxRatePerMinute, &s.Agent.RatePerMinute},
		{"max_in_flight", in.MaxInFlight, 1, boathook.MaxMaxInFlight, &s.Agent.MaxInFlight},
		{"dedupe_seconds", in.DedupeSeconds, 0, boathook.MaxDedupeSeconds, &s.Agent.DedupeSeconds},
	} {
		if n.in == nil {
			continue
		}
		if *n.in < n.least || *n.in > n.most {
			return boathook.InvalidField(n.name, "must be from %d to %d", n.least, n.most)
		}
		*n.into = *n.in
	}
	return nil
}

func (h *Handler) createAgent(ctx context.Context, c call, in agentInput) (agentView, error) {
	crew, err := h.crew(ctx, c)
	if err != nil {
		return agentView{}, err
	}
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"name", in.Name != nil}, {"slug", in.Slug != nil}, {"target", in.Target != nil},
	} {
		if !f.given {
			return agentView{}, boathook.InvalidField(f.name, "is required")
		}
	}
	s := boathook.Source{
		ID: boathook.NewID(boathook.AgentID), WorkspaceID: c.Workspace, Kind: boathook.Agent, CreatedAt: h.cfg.Now(),
		Agent: &boathook.AgentSettings{
			CrewID: crew.ID, RatePerMinute: boathook.DefaultRatePerMinute, MaxInFlight: boathook.DefaultMaxInFlight,
		},
	}
	if err := h.applyAgent(ctx, in, crew, &s); err != nil {
		return agentView{}, err
	}
	// The version comes first: an agent that there is has one that is live.
	v, err := h.addVersion(ctx, s, boathook.Production, *in.Target)
	if err != nil {
		return agentView{}, err
	}
	secret, err := h.putWithNewAgentSecret(ctx, s)
	if err != nil {
		return agentView{}, err
	}
	view := h.viewAgent(c, s)
	view.VersionNumber, view.Target, view.WebhookSecret = v.Number, &v.Target, secret
	return view, nil
}

// applyAgent changes an agent, but for its target and its secret. Its crew has
// no other of its slug, which the store sees to again when the agent is put.
func (h *Handler) applyAgent(ctx context.Context, in agentInput, crew boathook.Source, s *boathook.Source) error {
	if err := in.apply(s); err != nil {
		return err
	}
	if err := h.applyVerification(ctx, in, s); err != nil {
		return err
	}
	if in.Slug == nil {
		return nil
	}
	other, err := h.cfg.Store.AgentBySlug(ctx, crew.WorkspaceID, crew.ID, s.Agent.Slug)
	if boathook.IsKind(err, boathook.NotFound) || err == nil && other == s.ID {
		return nil
	}
	return cmp.Or(err, error(&boathook.Error{Kind: boathook.Conflict, Field: "slug", Message: "another agent of the crew has it"}))
}

// applyVerification changes how an agent's triggers prove themselves that have none of
// Crewship's headers.
func (h *Handler) applyVerification(ctx context.Context, in agentInput, s *boathook.Source) error {
	given, field := in.Verification, "verification"
	switch {
	case in.Preset != nil && given != nil:
		return boathook.InvalidField("preset", "is short for a verification: give one of the two")
	case in.Preset != nil:
		given, field = &verificationInput{Preset: *in.Preset}, "preset"
	case given == nil:
		return nil
	}
	if slices.ContainsFunc(boathook.AgentHeaders, func(header string) bool { return strings.EqualFold(given.Header, header) }) {
		return boathook.InvalidField("verification.header", "is Crewship's own: what it holds is checked as Crewship does")
	}
	v, err := h.sealVerification(ctx, *given, verified{
		workspaceID: s.WorkspaceID, id: s.ID, subject: seal.AgentSender(s.ID), now: s.Agent.Verification, ownSecret: true,
	})
	if named, ok := errors.AsType[*boathook.Error](err); ok && field == "preset" && named.Field == "verification.preset" {
		return boathook.InvalidField(field, "%s", named.Message)
	}
	if err == nil {
		s.Agent.Verification = v
	}
	return err
}

// putWithNewAgentSecret stores an agent with a new webhook secret. The one that
// it had stops working.
func (h *Handler) putWithNewAgentSecret(ctx context.Context, s boathook.Source) (secret string, err error) {
	secret = boathook.NewAgentSecret()
	if s.Agent.SealedSecret, err = h.cfg.Seal.Seal(ctx, s.WorkspaceID, seal.AgentSecret(s.ID), []byte(secret)); err != nil {
		return "", fmt.Errorf("seal the secret of %s: %w", s.ID, err)
	}
	return secret, h.cfg.Store.PutSource(ctx, s)
}

func (h *Handler) listAgents(ctx context.Context, c call, _ httpjson.None) (httpjson.List[agentView], error) {
	crew, err := h.crew(ctx, c)
	if err != nil {
		return httpjson.List[agentView]{}, err
	}
	p, err := c.Page()
	if err != nil {
		return httpjson.List[agentView]{}, err
	}
	agents, next, err := h.cfg.Store.CrewAgents(ctx, c.Workspace, crew.ID, p)
	return httpjson.ViewList(agents, next, func(s boathook.Source) agentView { return h.viewAgent(c, s) }), err
}

func (h *Handler) getAgent(ctx context.Context, c call, _ httpjson.None) (agentView, error) {
	s, err := h.agent(ctx, c)
	if err != nil {
		return agentView{}, err
	}
	return h.viewAgentWhole(ctx, c, s)
}

// changeAgent needs an admin where it changes the target, as a deployment's
// versions do.
func (h *Handler) changeAgent(ctx context.Context, c call, in agentInput) (agentView, error) {
	crew, err := h.crew(ctx, c)
	if err != nil {
		return agentView{}, err
	}
	s, err := h.agent(ctx, c)
	if err != nil {
		return agentView{}, err
	}
	if in.Target != nil && !c.Role.Allows(boathook.Admin) {
		return agentView{}, &boathook.Error{Kind: boathook.Forbidden, Field: "target", Message: "to change it needs a token with the role admin"}
	}
	if err := h.applyAgent(ctx, in, crew, &s); err != nil {
		return agentView{}, err
	}
	if in.Target != nil { // what is refused changes nothing
		if _, err := h.target(*in.Target); err != nil {
			return agentView{}, boathook.Within("target", err)
		}
	}
	if err := h.cfg.Store.PutSource(ctx, s); err != nil {
		return agentView{}, err
	}
	if in.Target != nil {
		if _, err := h.addVersion(ctx, s, boathook.Production, *in.Target); err != nil {
			return agentView{}, err
		}
	}
	return h.viewAgentWhole(ctx, c, s)
}

func (h *Handler) deleteAgent(ctx context.Context, c call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, h.deleteIdle(ctx, c, boathook.Agent, boathook.AgentID, c.PathValue("agent"), wantAgent)
}

// crewshipStyle is of the paths of Crewship's own API, whose errors are
// {"error":"…"}.
var crewshipStyle = httpjson.Style{WriteError: writeCrewshipError}

func writeCrewshipError(w http.ResponseWriter, status int, _, field, message string) {
	if field != "" {
		message = field + ": " + message
	}
	httpjson.WriteError(w, status, map[string]string{"error": message})
}

// inWorkspace serves a path of Crewship's own API, whose clients name the workspace
// in each request.
func inWorkspace(serve httpjson.Handler) httpjson.Handler {
	return func(w http.ResponseWriter, c call) error {
		if id := c.URL.Query().Get("workspace_id"); id != "" && id != c.Workspace {
			return boathook.Errorf(boathook.NotFound, "Workspace not found")
		}
		return serve(w, c)
	}
}

// errNoAgent answers in Crewship's own words.
var errNoAgent = boathook.Errorf(boathook.NotFound, "Agent not found")

// agentByID is the one that a path of Crewship's own API names, without its
// crew.
func (h *Handler) agentByID(ctx context.Context, c call, id string) (boathook.Source, error) {
	s, err := h.source(ctx, c, boathook.Agent, id)
	if boathook.IsKind(err, boathook.NotFound) {
		err = errNoAgent
	}
	return s, err
}

// crewshipAgentView is an agent as Crewship's clients look it up, with those of
// Crewship's fields that Boathook knows.
type crewshipAgentView struct {
	ID             string        `json:"id"`
	CrewID         string        `json:"crew_id"`
	WorkspaceID    string        `json:"workspace_id"`
	Name           string        `json:"name"`
	Slug           string        `json:"slug"`
	TimeoutSeconds *int          `json:"timeout_seconds,omitempty"` // not in lists
	CreatedAt      boathook.Time `json:"created_at"`
	Crew           *crewName     `json:"crew"` // null for one that was deleted meanwhile, or is not among the newest [maxAgents]
}

type crewName struct {
	Name string `json:"name"`
}

func viewCrewshipAgent(s boathook.Source, crew *crewName) crewshipAgentView {
	return crewshipAgentView{
		ID: s.ID, CrewID: s.Agent.CrewID, WorkspaceID: s.WorkspaceID, Name: s.Name, Slug: s.Agent.Slug,
		CreatedAt: boathook.Time{Time: s.CreatedAt}, Crew: crew,
	}
}

// lookUpAgent finds an agent without its crew.
func (h *Handler) lookUpAgent(ctx context.Context, c call, _ httpjson.None) (crewshipAgentView, error) {
	s, err := h.agentByID(ctx, c, c.PathValue("agent"))
	if err != nil {
		return crewshipAgentView{}, err
	}
	var name *crewName
	var timeout int
	err = beside(func() error {
		crew, err := h.cfg.Store.Source(ctx, c.Workspace, s.Agent.CrewID)
		if boathook.IsKind(err, boathook.NotFound) {
			return nil
		}
		name = &crewName{crew.Name}
		return err
	}, func() error {
		whole, err := h.viewAgentWhole(ctx, c, s)
		if err == nil {
			timeout = int(whole.Target.Timeout().Seconds())
		}
		return err
	})
	view := viewCrewshipAgent(s, name)
	view.TimeoutSeconds = &timeout
	return view, err
}

// maxAgents is how many agents the list of Crewship's API has at most: it has no
// pages. It knows the names of as many crews.
const maxAgents = 1000

// allAgents are the workspace's agents, crew by crew, the newest of each first; or
// those of the crew that "crew_id" names.
func (h *Handler) allAgents(ctx context.Context, c call, _ httpjson.None) ([]crewshipAgentView, error) {
	var agents, crews []boathook.Source
	only, page := c.URL.Query().Get("crew_id"), boathook.Page{Limit: maxAgents}
	err := beside(func() (err error) {
		if only == "" {
			agents, err = h.cfg.Store.Agents(ctx, c.Workspace, maxAgents)
		} else {
			agents, _, err = h.cfg.Store.CrewAgents(ctx, c.Workspace, only, page)
		}
		return err
	}, func() (err error) {
		if only == "" {
			crews, _, err = h.cfg.Store.Sources(ctx, c.Workspace, boathook.Crew, page)
			return err
		}
		crew, err := h.source(ctx, c, boathook.Crew, only)
		if boathook.IsKind(err, boathook.NotFound) {
			err = boathook.Errorf(boathook.NotFound, "Crew not found")
		}
		crews = []boathook.Source{crew}
		return err
	})
	if err != nil {
		return nil, err
	}
	names := make(map[string]*crewName, len(crews))
	for _, crew := range crews {
		names[crew.ID] = &crewName{crew.Name}
	}
	views := make([]crewshipAgentView, len(agents))
	for i, s := range agents {
		views[i] = viewCrewshipAgent(s, names[s.Agent.CrewID])
	}
	return views, nil
}

type shownSecret struct {
	WebhookSecret string `json:"webhook_secret"`
}

// showAgentSecret shows an agent's webhook secret again. Who reads it is in the
// log, and the secret is not.
func (h *Handler) showAgentSecret(ctx context.Context, c call, _ httpjson.None) (shownSecret, error) {
	s, err := h.agent(ctx, c)
	if err != nil {
		return shownSecret{}, err
	}
	secret, err := h.openAgentSecret(ctx, s)
	if err != nil {
		return shownSecret{}, err
	}
	h.cfg.Log.InfoContext(ctx, "webhook secret shown", "source_id", s.ID, "workspace_id", c.Workspace, "token_id", c.TokenID)
	return shownSecret{secret}, nil
}

func (h *Handler) openAgentSecret(ctx context.Context, s boathook.Source) (string, error) {
	if len(s.Agent.SealedSecret) == 0 {
		return "", boathook.Errorf(boathook.NotFound, "Webhook secret not configured for agent")
	}
	secret, err := h.cfg.Seal.Open(ctx, s.WorkspaceID, seal.AgentSecret(s.ID), s.Agent.SealedSecret)
	if err != nil {
		return "", fmt.Errorf("open the secret of %s: %w", s.ID, err)
	}
	return string(secret), nil
}

type rotatedSecret struct {
	WebhookSecret string        `json:"webhook_secret"`
	RotatedAt     boathook.Time `json:"rotated_at"`
}

func (h *Handler) rotateAgentSecret(ctx context.Context, c call, _ httpjson.None) (rotatedSecret, error) {
	s, err := h.agentByID(ctx, c, c.PathValue("agent"))
	if err != nil {
		return rotatedSecret{}, err
	}
	secret, err := h.putWithNewAgentSecret(ctx, s)
	return rotatedSecret{secret, boathook.Time{Time: h.cfg.Now()}}, err
}

// InternalToken is the header of the internal endpoint's only credential.
const InternalToken = "X-Internal-Token"

// internalSecret serves GET /api/v1/internal/agents/{agent}/webhook-secret, for
// any workspace's agent: whoever holds the stack's internal token is the stack.
func (h *Handler) internalSecret(w http.ResponseWriter, r *http.Request) error {
	token, err := h.cfg.InternalToken(r.Context())
	if err != nil {
		return fmt.Errorf("read the internal token: %w", err)
	}
	given, want := boathook.HashToken(r.Header.Get(InternalToken)), boathook.HashToken(token)
	if token == "" || subtle.ConstantTimeCompare(given[:], want[:]) != 1 {
		return boathook.Errorf(boathook.Unauthorized, "Unauthorized")
	}
	view, err := h.cfg.Store.LookUpAgent(r.Context(), r.PathValue("agent"))
	if err != nil {
		return err
	}
	if view.Agent == nil {
		return errNoAgent
	}
	secret, err := h.openAgentSecret(r.Context(), *view.Agent)
	if err != nil {
		return err
	}
	body, err := boathook.EncodeJSON(shownSecret{secret})
	if err != nil {
		return err
	}
	httpjson.Write(w, http.StatusOK, body)
	return nil
}
