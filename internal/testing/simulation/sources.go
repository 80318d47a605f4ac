package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/dialect"
)

// source is what webhooks hang on.
type source struct {
	id       string
	kind     boathook.SourceKind
	path     string    // in the API
	triggers []trigger // of a deployment
	burst    *trigger  // one that coalesces
	agent    *agentTrigger
}

// trigger is an incoming webhook's URL.
type trigger struct {
	path   string
	signer *signer // who it is for; nil: anybody who knows the URL
}

// setUp makes the sources with their webhooks, while nothing goes wrong yet.
func (w *world) setUp() {
	r := w.chance("set-up", "")
	for range w.plan.deployments {
		w.addDeployment(r)
	}
	if w.plan.agents {
		w.addAgent(r)
	}
	if w.plan.events {
		w.addSource(r, &source{id: boathook.NewRepositoryID(workspaceID, "grosskur", "docker-hello"), kind: boathook.Repository}, nil)
		w.addSource(r, &source{id: boathook.NewID(boathook.AppID), kind: boathook.App}, nil)
	}
}

// addSource makes a source, with outgoing webhooks.
func (w *world) addSource(r *rand.Rand, s *source, settings *boathook.AgentSettings) {
	if s.path == "" {
		s.path = map[boathook.SourceKind]string{
			boathook.Deployment: "/v1/deployments/", boathook.Repository: "/v1/repositories/", boathook.App: "/v1/apps/",
		}[s.kind] + s.id
	}
	src := boathook.Source{ID: s.id, WorkspaceID: workspaceID, Kind: s.kind, Name: "sim", CreatedAt: w.began, Agent: settings}
	if s.kind == boathook.Deployment {
		src.Deployment = &boathook.DeploymentSettings{Retry: w.plan.retries, MaxInFlight: w.plan.maxInFlight}
	}
	if w.plan.feeds && w.chance("feed", s.id).IntN(5) > 0 {
		src.Feed = &boathook.FeedSettings{RetentionDays: feedDays}
		w.pollers[s.id] = &poller{}
	}
	must(w.store.PutSource(context.Background(), src))
	w.sources = append(w.sources, s)
	for range 1 + r.IntN(3) {
		w.addWebhook(s, r)
	}
}

func (w *world) addDeployment(r *rand.Rand) {
	s := &source{id: boathook.NewID(boathook.DeploymentID), kind: boathook.Deployment}
	w.addVersion(s, boathook.Production, r)
	if w.plan.staging && r.IntN(3) > 0 { // else there is nothing in staging that could run
		w.addVersion(s, boathook.Staging, r)
	}
	for _, wait := range []time.Duration{0, 2 * time.Second} {
		s.triggers = append(s.triggers, w.addIncoming(s, r, wait, nil, boathook.Coalescing{}))
	}
	if w.plan.bursts {
		burst := w.addIncoming(s, r, 0, nil, coalescing)
		s.burst = &burst
	}
	if w.plan.senders {
		for range 2 {
			s.triggers = append(s.triggers, w.addIncoming(s, r, 0, newSigner(r), boathook.Coalescing{}))
		}
	}
	w.addSource(r, s, nil)
}

// environment is one of those that the world has.
func (w *world) environment(r *rand.Rand) boathook.Environment {
	if w.plan.staging && r.IntN(3) == 0 {
		return boathook.Staging
	}
	return boathook.Production
}

// addIncoming makes an incoming webhook.
func (w *world) addIncoming(s *source, r *rand.Rand, wait time.Duration, from *signer, coalesce boathook.Coalescing) trigger {
	token := boathook.NewURLToken(s.id, boathook.NewID(boathook.IncomingID))
	in := boathook.IncomingWebhook{
		ID: token.WebhookID, WorkspaceID: workspaceID, SourceID: s.id, Name: "sim", Environment: w.environment(r),
		Enabled: true, TokenHash: token.Hash(), WaitForStart: wait, CreatedAt: w.began, UpdatedAt: w.began,
		Coalesce:    coalesce,
		RerunFailed: new(false), // so that a delivery has one run, whatever becomes of it
	}
	if from != nil {
		in.Verification = from.verification()
	}
	must(w.store.PutIncoming(context.Background(), in))
	return trigger{"/webhooks/runs/" + token.Text, from}
}

// addVersion puts a version live in an environment. Its target's URL names both.
func (w *world) addVersion(s *source, env boathook.Environment, r *rand.Rand) {
	id := boathook.NewID(boathook.VersionID)
	_, err := w.store.AddVersion(context.Background(), boathook.Version{
		ID: id, SourceID: s.id, WorkspaceID: workspaceID, Environment: env, CreatedAt: time.Now(),
		Target: boathook.Target{Type: boathook.TargetHTTP, URL: targetURL(env, id), TimeoutSeconds: pick(r, []int{10, 300, 0})},
	})
	must(err)
}

func targetURL(env boathook.Environment, versionID string) string {
	return "https://agent.example/" + string(env) + "/" + versionID
}

// schedules are those of the webhooks: none, all in the queue, and across the
// due index.
var schedules = [][]time.Duration{
	{},
	{5 * time.Second, time.Minute},
	{5 * time.Second, 5 * time.Minute, 30 * time.Minute},
	{10 * time.Minute, 20 * time.Minute, 40 * time.Minute, 3 * time.Hour},
}

// wanted are the choices of events that a source's webhooks have.
var wanted = map[boathook.SourceKind][][]boathook.EventType{
	boathook.Deployment: {{boathook.EventRunSucceeded, boathook.EventRunFailed}, {boathook.EventRunFailed, boathook.EventWebhookDisabled}},
	boathook.Agent:      {{boathook.EventRunSucceeded, boathook.EventRunFailed}, {boathook.EventRunFailed, boathook.EventWebhookDisabled}},
	boathook.Repository: {{boathook.EventBuildFinish}},
	boathook.App:        {boathook.EventTypes[boathook.App], {boathook.EventJobCreated, boathook.EventJobFinished}},
}

// addWebhook makes an outgoing webhook with an endpoint of its own, in one of the
// dialects and formats, and gives its id.
func (w *world) addWebhook(s *source, r *rand.Rand) string {
	e := &endpoint{mood: healthy}
	switch r.IntN(5) {
	case 0:
		e.mood, e.dead = pick(r, []mood{failing, hanging, unreachable, redirecting}), true
	case 1, 2:
		e.mood = pick(r, badMoods)
	}
	out := boathook.OutgoingWebhook{
		ID: boathook.NewID(boathook.OutgoingID), WorkspaceID: workspaceID, SourceID: s.id,
		Events: pick(r, wanted[s.kind]), Environment: boathook.Production,
		Dialect: dialect.DefaultFor(s.kind), Format: boathook.Raw, Timeout: either(r, 5*time.Second, 30*time.Second),
		Retry: pick(r, schedules), RateLimit: pick(r, []int{0, 0, 1, 20}), Enabled: true,
		Secrets:   boathook.SealedSecrets{Current: []byte(boathook.NewSigningSecret())},
		CreatedAt: time.Now(), UpdatedAt: time.Now(),
	}
	if r.IntN(3) == 0 {
		out.Dialect = pick(r, dialects)
	}
	if r.IntN(5) == 0 {
		out.Format = pick(r, []boathook.Format{boathook.Slack, boathook.Discord, boathook.Teams})
	}
	if s.kind != boathook.Agent && r.IntN(4) == 0 {
		out.Environment = either(r, "", w.environment(r))
	}
	if speaks, _ := dialect.Lookup(out.Dialect); speaks.SecretOptional && r.IntN(4) == 0 {
		out.Secrets.Current = nil
	}
	if w.plan.long {
		out.Retry = pick(r, longSchedules)
		switch patient := len(out.Retry) > 15; {
		case patient && r.IntN(3) > 0: // so that it is not disabled, and some of its deliveries wait for long
			e.mood, e.dead = picky, true
		case r.IntN(3) == 0:
			e.mood, e.dead = pick(r, []mood{failing, unreachable, throttling}), true
		}
	}
	w.mu.Lock()
	out.Name = fmt.Sprintf("endpoint-%d.example", len(w.endpoints)+1)
	out.URL = "https://" + out.Name
	w.endpoints[out.Name], w.webhookAt[out.Name] = e, out.ID
	w.mu.Unlock()
	w.express(&out)
	must(w.store.PutOutgoing(context.Background(), out))
	return out.ID
}

// of are the sources of some kinds.
func (w *world) of(kinds ...boathook.SourceKind) (found []*source) {
	for _, s := range w.sources {
		if slices.Contains(kinds, s.kind) {
			found = append(found, s)
		}
	}
	return found
}
