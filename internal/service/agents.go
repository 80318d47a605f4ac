package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/seal"
	"boathook/internal/store"
)

// Agents are sources that a trigger of their own runs. Each belongs to a crew.
type Agents struct{ *core }

// LiveAgent is an agent with the version that it executes.
type LiveAgent struct {
	boathook.Source
	Version boathook.Version
}

// AgentChange has what an agent can be set to; nil leaves a field as it is.
type AgentChange struct {
	Name             *string
	Slug             *string
	Target           *Target // an admin's to set
	RequireTimestamp *bool
	KeepPlainSecret  *bool
	RatePerMinute    *int
	MaxInFlight      *int
	DedupeSeconds    *int // 0 ends it
	FencePayload     *bool

	// How triggers prove themselves that have none of Crewship's headers. Preset
	// alone is short for a verification with no more than that.
	Preset       *string
	Verification *Verification
}

// slugs are what logs and addresses can take as they are. The pattern's 61
// repetitions are compiled when the first is checked, not at every cold start.
var slugs = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
})

// Create makes an agent, puts its first version live, and makes its webhook secret,
// which is given with it.
func (k Agents) Create(ctx context.Context, c Caller, crewID string, in AgentChange) (a LiveAgent, secret string, err error) {
	if err := c.May("Agents.Create"); err != nil {
		return LiveAgent{}, "", err
	}
	crew, err := k.source(ctx, c, boathook.Crew, crewID)
	if err != nil {
		return LiveAgent{}, "", err
	}
	if err := required(wanted{"name", in.Name != nil}, wanted{"slug", in.Slug != nil}, wanted{"target", in.Target != nil}); err != nil {
		return LiveAgent{}, "", err
	}
	s := boathook.Source{
		ID: boathook.NewID(boathook.AgentID), WorkspaceID: c.Workspace, Kind: boathook.Agent, CreatedAt: k.cfg.Now(),
		Agent: &boathook.AgentSettings{
			CrewID: crew.ID, RatePerMinute: boathook.DefaultRatePerMinute, MaxInFlight: boathook.DefaultMaxInFlight,
		},
	}
	if err := k.applyAgent(ctx, in, &s); err != nil {
		return LiveAgent{}, "", err
	}
	// The version comes first: an agent that there is has one that is live.
	v, err := k.addVersion(ctx, s, boathook.Production, *in.Target)
	if err != nil {
		return LiveAgent{}, "", err
	}
	secret, err = k.putWithNewAgentSecret(ctx, s)
	return LiveAgent{s, v}, secret, err
}

// applyAgent changes an agent, but for its target and its webhook secret. Its crew has
// no other of its slug, which the store sees to again when the agent is put.
func (k *core) applyAgent(ctx context.Context, in AgentChange, s *boathook.Source) error {
	if err := in.apply(s); err != nil {
		return err
	}
	if err := k.applyAgentVerification(ctx, in, s); err != nil {
		return err
	}
	if in.Slug == nil {
		return nil
	}
	other, err := k.cfg.Store.AgentBySlug(ctx, s.WorkspaceID, s.Agent.CrewID, s.Agent.Slug)
	if boathook.IsKind(err, boathook.NotFound) || err == nil && other == s.ID {
		return nil
	}
	return cmp.Or(err, error(&boathook.Error{Kind: boathook.Conflict, Field: "slug", Message: "another agent of the crew has it"}))
}

// apply changes what needs nothing but the change to be checked.
func (in AgentChange) apply(s *boathook.Source) error {
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
	for _, b := range []struct{ in, into *bool }{
		{in.RequireTimestamp, &s.Agent.RequireTimestamp},
		{in.KeepPlainSecret, &s.Agent.KeepPlainSecret},
		{in.FencePayload, &s.Agent.FencePayload},
	} {
		if b.in != nil {
			*b.into = *b.in
		}
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

// applyAgentVerification changes how an agent's triggers prove themselves that have
// none of Crewship's headers.
func (k *core) applyAgentVerification(ctx context.Context, in AgentChange, s *boathook.Source) error {
	given, field := in.Verification, "verification"
	switch {
	case in.Preset != nil && given != nil:
		return boathook.InvalidField("preset", "is short for a verification: give one of the two")
	case in.Preset != nil:
		given, field = &Verification{Verification: boathook.Verification{Preset: *in.Preset}}, "preset"
	case given == nil:
		return nil
	}
	if slices.ContainsFunc(boathook.AgentHeaders, func(header string) bool { return strings.EqualFold(given.Header, header) }) {
		return boathook.InvalidField("verification.header", "is Crewship's own: what it holds is checked as Crewship does")
	}
	v, err := k.sealVerification(ctx, *given, verified{
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
func (k *core) putWithNewAgentSecret(ctx context.Context, s boathook.Source) (secret string, err error) {
	secret = boathook.NewAgentSecret()
	if s.Agent.SealedSecret, err = k.cfg.Seal.Seal(ctx, s.WorkspaceID, seal.AgentSecret(s.ID), []byte(secret)); err != nil {
		return "", fmt.Errorf("seal the secret of %s: %w", s.ID, err)
	}
	return secret, k.cfg.Store.PutSource(ctx, s)
}

// List gives a crew's agents, the newest first.
func (k Agents) List(ctx context.Context, c Caller, crewID string, p boathook.Page) (agents []boathook.Source, next string, err error) {
	if err := c.May("Agents.List"); err != nil {
		return nil, "", err
	}
	crew, err := k.source(ctx, c, boathook.Crew, crewID)
	if err != nil {
		return nil, "", err
	}
	return k.cfg.Store.CrewAgents(ctx, c.Workspace, crew.ID, p)
}

// Get finds one of a crew.
func (k Agents) Get(ctx context.Context, c Caller, crewID, id string) (LiveAgent, error) {
	if err := c.May("Agents.Get"); err != nil {
		return LiveAgent{}, err
	}
	if !c.reaches(id) {
		return LiveAgent{}, noSuch(string(boathook.Agent), id)
	}
	var a LiveAgent
	err := beside(func() (err error) {
		a.Source, err = k.agentOf(ctx, c, crewID, id)
		return err
	}, func() (err error) {
		a.Version, err = k.liveVersion(ctx, id)
		return err
	})
	return a, err
}

// withVersion finds what an agent executes.
func (k *core) withVersion(ctx context.Context, s boathook.Source) (LiveAgent, error) {
	v, err := k.liveVersion(ctx, s.ID)
	return LiveAgent{s, v}, err
}

// liveVersion is what an agent executes, in two round trips.
func (k *core) liveVersion(ctx context.Context, agentID string) (boathook.Version, error) {
	live, err := k.cfg.Store.Live(ctx, agentID)
	if err != nil {
		return boathook.Version{}, err
	}
	return k.cfg.Store.Version(ctx, agentID, live[boathook.Production].ID)
}

// Change sets what is given. To set the target needs an admin, as a deployment's
// versions do.
func (k Agents) Change(ctx context.Context, c Caller, crewID, id string, in AgentChange) (LiveAgent, error) {
	if err := c.May("Agents.Change"); err != nil {
		return LiveAgent{}, err
	}
	crew, err := k.source(ctx, c, boathook.Crew, crewID)
	if err != nil {
		return LiveAgent{}, err
	}
	s, err := k.agentOf(ctx, c, crew.ID, id)
	if err != nil {
		return LiveAgent{}, err
	}
	if in.Target != nil && !c.Role.Allows(boathook.Admin) {
		return LiveAgent{}, &boathook.Error{Kind: boathook.Forbidden, Field: "target", Message: "to change it needs a token with the role admin"}
	}
	if err := k.applyAgent(ctx, in, &s); err != nil {
		return LiveAgent{}, err
	}
	if in.Target != nil { // what is refused changes nothing
		if _, err := k.target(*in.Target); err != nil {
			return LiveAgent{}, boathook.Within("target", err)
		}
	}
	if err := k.cfg.Store.PutSource(ctx, s); err != nil {
		return LiveAgent{}, err
	}
	if in.Target != nil {
		if _, err := k.addVersion(ctx, s, boathook.Production, *in.Target); err != nil {
			return LiveAgent{}, err
		}
	}
	return k.withVersion(ctx, s)
}

// Delete removes an agent on which nothing runs, with its versions and webhooks.
func (k Agents) Delete(ctx context.Context, c Caller, crewID, id string) error {
	if err := c.May("Agents.Delete"); err != nil {
		return err
	}
	return k.deleteIdle(ctx, c, boathook.Agent, boathook.AgentID, id, func(s boathook.Source) error {
		return wantAgent(s, crewID)
	})
}

// Requests lists the triggers of an agent, which is its own webhook, the newest first;
// an outcome of "" is any.
func (k Agents) Requests(ctx context.Context, c Caller, crewID, id string, outcome boathook.RequestOutcome, p boathook.Page) (requests []boathook.Request, next string, err error) {
	if err := c.May("Agents.Requests"); err != nil {
		return nil, "", err
	}
	s, err := k.agentOf(ctx, c, crewID, id)
	if err != nil {
		return nil, "", err
	}
	return k.requests(ctx, c, s.ID, s.ID, outcome, p)
}

// Secret shows an agent's webhook secret again. Who reads it is in the log, and the
// secret is not.
func (k Agents) Secret(ctx context.Context, c Caller, crewID, id string) (string, error) {
	if err := c.May("Agents.Secret"); err != nil {
		return "", err
	}
	s, err := k.agentOf(ctx, c, crewID, id)
	if err != nil {
		return "", err
	}
	secret, err := k.openAgentSecret(ctx, s)
	if err != nil {
		return "", err
	}
	k.cfg.Log.InfoContext(ctx, "webhook secret shown", "source_id", s.ID, "workspace_id", c.Workspace, "token_id", c.TokenID)
	return secret, nil
}

// ErrNoSecret tells that an agent has no webhook secret, in Crewship's words.
var ErrNoSecret = boathook.Errorf(boathook.NotFound, "Webhook secret not configured for agent")

func (k *core) openAgentSecret(ctx context.Context, s boathook.Source) (string, error) {
	if len(s.Agent.SealedSecret) == 0 {
		return "", ErrNoSecret
	}
	secret, err := k.cfg.Seal.Open(ctx, s.WorkspaceID, seal.AgentSecret(s.ID), s.Agent.SealedSecret)
	if err != nil {
		return "", fmt.Errorf("open the secret of %s: %w", s.ID, err)
	}
	return string(secret), nil
}

// InternalSecret is the webhook secret of any workspace's agent. Who may ask is the stack
// itself; see [Callers.FindInternal].
func (k Agents) InternalSecret(ctx context.Context, c Caller, id string) (string, error) {
	if err := c.May("Agents.InternalSecret"); err != nil {
		return "", err
	}
	view, err := k.cfg.Store.LookUpAgent(ctx, id)
	if err != nil {
		return "", err
	}
	if view.Agent == nil {
		return "", noSuch(string(boathook.Agent), id)
	}
	return k.openAgentSecret(ctx, *view.Agent)
}

// RotateSecret gives an agent a new webhook secret, whose text is given with the time
// of the change. The one that it had stops working.
func (k Agents) RotateSecret(ctx context.Context, c Caller, id string) (secret string, at time.Time, err error) {
	if err := c.May("Agents.RotateSecret"); err != nil {
		return "", time.Time{}, err
	}
	s, err := k.source(ctx, c, boathook.Agent, id)
	if err != nil {
		return "", time.Time{}, err
	}
	secret, err = k.putWithNewAgentSecret(ctx, s)
	return secret, k.cfg.Now(), err
}

// Find gives an agent, whatever its crew, and the crew: nil if that was deleted
// meanwhile.
func (k Agents) Find(ctx context.Context, c Caller, id string) (a LiveAgent, crew *boathook.Source, err error) {
	if err := c.May("Agents.Find"); err != nil {
		return LiveAgent{}, nil, err
	}
	s, err := k.source(ctx, c, boathook.Agent, id)
	if err != nil {
		return LiveAgent{}, nil, err
	}
	err = beside(func() error {
		found, err := k.cfg.Store.Source(ctx, c.Workspace, s.Agent.CrewID)
		if boathook.IsKind(err, boathook.NotFound) {
			return nil
		}
		crew = &found
		return err
	}, func() (err error) {
		a, err = k.withVersion(ctx, s)
		return err
	})
	return a, crew, err
}

// MaxAgents is how many agents [Agents.All] gives at most, and of how many crews.
const MaxAgents = 1000

// All gives the workspace's agents, crew by crew, the newest of each first; or those of
// one crew, where its id is given. crews has those of the crews that there are, by id.
func (k Agents) All(ctx context.Context, c Caller, crewID string) (agents []boathook.Source, crews map[string]boathook.Source, err error) {
	if err := c.May("Agents.All"); err != nil {
		return nil, nil, err
	}
	var found []boathook.Source
	page := boathook.Page{Limit: MaxAgents}
	err = beside(func() (err error) {
		if crewID == "" {
			agents, err = k.cfg.Store.Agents(ctx, c.Workspace, MaxAgents)
		} else {
			agents, _, err = k.cfg.Store.CrewAgents(ctx, c.Workspace, crewID, page)
		}
		return err
	}, func() (err error) {
		if crewID == "" {
			found, _, err = k.cfg.Store.Sources(ctx, c.Workspace, boathook.Crew, page)
			return err
		}
		crew, err := k.source(ctx, c, boathook.Crew, crewID)
		found = []boathook.Source{crew}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	crews = make(map[string]boathook.Source, len(found))
	for _, crew := range found {
		crews[crew.ID] = crew
	}
	return agents, crews, nil
}

// maxLog is about how many bytes of a log are read at once: far below the 6 MB that
// Lambda allows for an answer.
const maxLog = 1 << 20

// Log is what an agent's runs printed, the newest lines first, after as many as are to
// be skipped. It ends early once the lines are about 1 MiB long.
func (k Agents) Log(ctx context.Context, c Caller, id string, limit, skip int) (a boathook.Source, lines []boathook.AgentLine, err error) {
	if err := c.May("Agents.Log"); err != nil {
		return boathook.Source{}, nil, err
	}
	err = beside(func() (err error) {
		a, err = k.source(ctx, c, boathook.Agent, id)
		return err
	}, func() (err error) {
		lines, err = k.cfg.Store.AgentLog(ctx, store.AgentLogQuery{AgentID: id, MaxBytes: maxLog, Limit: limit, Skip: skip})
		return err
	})
	return a, lines, err
}
