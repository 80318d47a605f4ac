package storetest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// victims is one object of every kind. Ids that are none must reach none of
// them, however near they come.
type victims struct {
	workspace  boathook.Workspace
	token      boathook.Token
	source     boathook.Source // a deployment
	agent      boathook.Source
	customer   boathook.Source
	eventType  boathook.TypeDefinition
	version    boathook.Version // of the source
	in         boathook.IncomingWebhook
	out        boathook.OutgoingWebhook
	run        boathook.Run // of the agent; running, with a log
	claim      boathook.Claim
	pin        store.EventPin
	delivery   boathook.Delivery // failed
	due        store.Due
	connection boathook.Connection // that watches
}

// newVictims makes objects that belong together, and stores none of them.
func (s *suite) newVictims() (v victims) {
	now := s.clock.Now()
	v.workspace = boathook.Workspace{ID: boathook.NewID(boathook.WorkspaceID), Name: "Acme", DataKey: []byte{1}, CreatedAt: now}
	v.token = boathook.Token{
		ID: boathook.NewID(boathook.TokenID), WorkspaceID: v.workspace.ID, Role: boathook.Viewer,
		Hash: boathook.HashToken(boathook.NewAPIToken()), CreatedAt: now,
	}
	v.source, v.agent = s.newSource(v.workspace.ID), s.newAgent()
	v.agent.WorkspaceID = v.workspace.ID
	v.customer = s.newCustomer(v.workspace.ID, "acct#1042")
	v.eventType = s.newEventType(v.workspace.ID, "invoice.paid")
	v.version = s.newVersion(v.source)
	v.in, v.out = s.newIncoming(v.source), s.newOutgoing(v.source)
	v.run, v.claim = s.newRun(), s.newClaim()
	v.run.WorkspaceID, v.run.SourceID, v.run.WebhookID = v.workspace.ID, v.agent.ID, v.in.ID
	v.pin = s.newPin()
	v.pin.WorkspaceID = v.workspace.ID
	v.delivery = s.after(s.newDelivery(v.out.ID, now), 1, boathook.DeliveryFailed)
	v.delivery.WorkspaceID = v.workspace.ID
	v.due = store.ScheduledCheck(v.run.ID, now)
	v.connection = boathook.Connection{ID: boathook.NewID("L0SM9cOFvHcCIhw="), WorkspaceID: v.workspace.ID, TokenID: v.token.ID, ConnectedAt: now}
	return v
}

// limitOfVictims is what admits the victims' run.
var limitOfVictims = store.Limit{RatePerMinute: 60, MaxInFlight: 8}

func (s *suite) storeVictims(t *testing.T) victims {
	t.Helper()
	ctx, v := t.Context(), s.newVictims()
	must(t, s.PutWorkspace(ctx, v.workspace))
	must(t, s.PutToken(ctx, v.token))
	must(t, s.PutSource(ctx, v.source))
	must(t, s.PutSource(ctx, v.agent))
	must(t, s.PutSource(ctx, v.customer))
	must(t, s.PutEventType(ctx, v.eventType))
	v.version = read(s.AddVersion(ctx, v.version))(t)
	must(t, s.PutIncoming(ctx, v.in))
	must(t, s.PutOutgoing(ctx, v.out))
	read(s.MarkFailure(ctx, v.out.ID, s.clock.Now()))(t)
	must(t, s.CreateRun(ctx, v.run))
	read(s.Admit(ctx, v.agent.ID, v.run.ID, limitOfVictims, store.Load{}, s.clock.Now()))(t)
	read(s.ClaimRun(ctx, v.run.ID, v.claim, s.clock.Now()))(t)
	must(t, s.AppendLog(ctx, v.run.RunHead, 0, []boathook.LogLine{{Time: s.clock.Now(), Stream: "stdout", Text: "hello"}}))
	must(t, s.PutRequest(ctx, 0, s.newRequest(v.in, boathook.RequestRejected)))
	read(s.PinEvent(ctx, v.pin))(t)
	must(t, s.RecordAttempt(ctx, v.delivery, s.newAttempt(1, 500)))
	must(t, s.EnterDeliveries(ctx, v.delivery))
	must(t, s.CountAttempts(ctx, v.out.ID, boathook.AttemptCounts{From: s.clock.Now(), Failed: 1}))
	must(t, s.PutDue(ctx, v.due))
	read(s.MoveBacklog(ctx, v.source.ID, time.Time{}, s.clock.Now()))(t)
	read(s.MoveTurns(ctx, v.source.ID, store.TurnsView{}, map[string]time.Time{v.run.ID: s.clock.Now()}))(t)
	read(s.MoveBurst(ctx, v.in.ID, "key", "", store.Burst{RunID: v.run.ID, At: s.clock.Now()}))(t)
	must(t, s.StandInLine(ctx, v.source.ID, store.Waiting{RunID: v.run.ID, At: s.clock.Now()}))
	must(t, s.PutConnection(ctx, v.connection))
	must(t, s.Watch(ctx, v.connection, boathook.LogChannel))
	return v
}

// look reads everything of the victims that can be read.
func (s *suite) look(t *testing.T, v victims) map[string]any {
	t.Helper()
	ctx, page := t.Context(), boathook.Page{Limit: 200}
	seen := map[string]any{
		"workspace":    read(s.Workspace(ctx, v.workspace.ID))(t),
		"token":        read(s.TokenByHash(ctx, v.token.Hash))(t),
		"tokens":       pageOf(s.Tokens(ctx, v.workspace.ID, page))(t),
		"source":       read(s.Source(ctx, v.workspace.ID, v.source.ID))(t),
		"sources":      pageOf(s.Sources(ctx, v.workspace.ID, boathook.Deployment, page))(t),
		"customer":     read(s.CustomerByExternalID(ctx, v.workspace.ID, v.customer.Customer.ExternalID))(t),
		"event type":   read(s.EventType(ctx, v.workspace.ID, v.eventType.Name))(t),
		"event types":  read(s.AllEventTypes(ctx, v.workspace.ID))(t),
		"live":         read(s.Live(ctx, v.source.ID))(t),
		"versions":     pageOf(s.Versions(ctx, v.source.ID, page))(t),
		"incoming":     read(s.AllIncoming(ctx, v.source.ID))(t),
		"outgoing":     read(s.AllOutgoing(ctx, v.source.ID))(t),
		"health":       read(s.Health(ctx, v.out.ID))(t),
		"agent":        read(s.LookUpAgent(ctx, v.agent.ID, v.run.ID))(t),
		"run":          read(s.Run(ctx, v.workspace.ID, v.run.ID))(t),
		"runs":         pageOf(s.Runs(ctx, store.RunQuery{WorkspaceID: v.workspace.ID, SourceID: v.source.ID, Page: page}))(t),
		"agent's runs": pageOf(s.Runs(ctx, store.RunQuery{WorkspaceID: v.workspace.ID, Kind: boathook.Agent, Page: page}))(t),
		"requests": pageOf(s.Requests(ctx, store.RequestQuery{
			WorkspaceID: v.workspace.ID, SourceID: v.agent.ID, WebhookID: v.in.ID, Page: page,
		}))(t),
		"trigger":    read(s.LookUpTrigger(ctx, v.source.ID, v.in.ID, ""))(t),
		"turns":      read(s.Turns(ctx, v.source.ID, 10))(t),
		"event":      read(s.PinEvent(ctx, v.pin))(t),
		"delivery":   read(s.Delivery(ctx, v.workspace.ID, v.delivery.ID))(t),
		"connection": read(s.Connection(ctx, v.connection.ID))(t),
		"watchers":   read(s.Watchers(ctx, v.workspace.ID, boathook.LogChannel))(t),
		"due":        s.dueOf(t, v.due.ID, s.shardOf(t, v.due.ID, v.due.At), v.due.At, 100),
	}
	_, lines, err := s.Log(ctx, v.run.ID, 0, boathook.MaxRunLog)
	must(t, err)
	_, attempts, err := s.Attempts(ctx, v.workspace.ID, v.delivery.ID)
	must(t, err)
	seen["log"], seen["attempts"] = lines, attempts
	seen["statistics"] = read(s.AttemptCounts(ctx, v.out.ID, v.due.At.Add(-retention), v.due.At.Add(retention)))(t)
	for _, statuses := range [][]boathook.DeliveryStatus{nil, {boathook.DeliveryFailed}} {
		seen[fmt.Sprint("the workspace's deliveries ", statuses)] = pageOf(s.WorkspaceDeliveries(ctx, store.DeliveryQuery{
			WorkspaceID: v.workspace.ID, Statuses: statuses, Page: page,
		}))(t)
		seen[fmt.Sprint("deliveries ", statuses)] = pageOf(s.Deliveries(ctx, store.DeliveryQuery{
			WorkspaceID: v.workspace.ID, WebhookID: v.out.ID, Statuses: statuses, Page: page,
		}))(t)
	}
	return seen
}

// pageOf is [read] for lists.
func pageOf[T any](objects []T, _ string, err error) func(*testing.T) []T { return read(objects, err) }

// hostileCall is a call with an id in the place of one of its ids. The others are
// those of victims.
type hostileCall struct {
	kind    string // of the ids that belong there
	creates bool   // what there is not
	foreign bool   // others choose such ids
	call    func(ctx context.Context, id string) (found bool, err error)
}

func creates(call func(ctx context.Context, id string) error) hostileCall {
	return hostileCall{creates: true, call: func(ctx context.Context, id string) (bool, error) { return false, call(ctx, id) }}
}

func createsForeign(call func(ctx context.Context, id string) error) hostileCall {
	c := creates(call)
	c.foreign = true
	return c
}

// changes is also for what removes.
func changes(kind string, call func(ctx context.Context, id string) error) hostileCall {
	return hostileCall{kind: kind, call: func(ctx context.Context, id string) (bool, error) { return false, call(ctx, id) }}
}

func reads[T any](kind string, call func(ctx context.Context, id string) (T, error)) hostileCall {
	return hostileCall{kind: kind, call: func(ctx context.Context, id string) (bool, error) {
		_, err := call(ctx, id)
		return err == nil, err
	}}
}

func lists(kind string, call func(ctx context.Context, id string) (int, error)) hostileCall {
	return hostileCall{kind: kind, call: func(ctx context.Context, id string) (bool, error) {
		n, err := call(ctx, id)
		return n > 0, err
	}}
}

// count is how many objects a page has.
func count[T any](objects []T, _ string, err error) (int, error) { return len(objects), err }

// inBurst is how many objects were found.
func inBurst(b store.Burst, pinned string, err error) (n int, _ error) {
	for _, id := range []string{b.RunID, pinned} {
		if id != "" {
			n++
		}
	}
	return n, err
}

// hostileCalls are the calls of every method that takes an id, with an id in each
// place that takes one.
func hostileCalls(s store.Store, v victims, now time.Time) map[string][]hostileCall {
	const (
		ws, dep, crew, agent, ver = boathook.WorkspaceID, boathook.DeploymentID, boathook.CrewID, boathook.AgentID, boathook.VersionID
		in, out, run, tok         = boathook.IncomingID, boathook.OutgoingID, boathook.RunID, boathook.TokenID
	)
	type ctx = context.Context
	page := boathook.Page{Limit: 200}
	claim := boathook.Claim{ID: v.claim.ID, LeaseUntil: now.Add(time.Minute)}
	outcome := boathook.Outcome{Status: boathook.RunSucceeded, Output: []byte(`{}`), CompletedAt: now}
	lines := []boathook.LogLine{{Time: now, Stream: "stdout", Text: "forged"}}
	runs := func(workspaceID, sourceID string) store.RunQuery {
		return store.RunQuery{WorkspaceID: workspaceID, SourceID: sourceID, Page: page}
	}
	requests := func(workspaceID, sourceID, webhookID string) store.RequestQuery {
		return store.RequestQuery{WorkspaceID: workspaceID, SourceID: sourceID, WebhookID: webhookID, Page: page}
	}
	deliveries := func(workspaceID, webhookID string, statuses ...boathook.DeliveryStatus) store.DeliveryQuery {
		return store.DeliveryQuery{WorkspaceID: workspaceID, WebhookID: webhookID, Statuses: statuses, Page: page}
	}
	first := boathook.Attempt{Number: 1, SentAt: now}
	fresh := func() boathook.Delivery { // one that there is not
		d := v.delivery
		d.ID = boathook.NewDeliveryID(&boathook.Event{ID: boathook.NewID(boathook.EventID), Time: now}, v.out.ID)
		return d
	}
	admit := func(c ctx, agentID, runID string) error {
		_, err := s.Admit(c, agentID, runID, limitOfVictims, store.Load{}, now)
		return err
	}
	return map[string][]hostileCall{
		"PutWorkspace":    {creates(func(c ctx, id string) error { return s.PutWorkspace(c, boathook.Workspace{ID: id, CreatedAt: now}) })},
		"Workspace":       {reads(ws, s.Workspace)},
		"PutPortal":       {changes(ws, func(c ctx, id string) error { return s.PutPortal(c, id, boathook.PortalSettings{Name: "x"}) })},
		"DeleteWorkspace": {changes(ws, s.DeleteWorkspace)},

		"PutToken": {
			creates(func(c ctx, id string) error {
				return s.PutToken(c, boathook.Token{ID: id, WorkspaceID: v.workspace.ID, CreatedAt: now})
			}),
			creates(func(c ctx, id string) error {
				return s.PutToken(c, boathook.Token{ID: v.token.ID, WorkspaceID: id, Hash: v.token.Hash, CreatedAt: now})
			}),
		},
		"Tokens": {lists(ws, func(c ctx, id string) (int, error) { return count(s.Tokens(c, id, page)) })},
		"Token": {
			reads(ws, func(c ctx, id string) (boathook.Token, error) { return s.Token(c, id, v.token.ID) }),
			reads(tok, func(c ctx, id string) (boathook.Token, error) { return s.Token(c, v.workspace.ID, id) }),
		},
		"DeleteToken": {
			changes(ws, func(c ctx, id string) error { return s.DeleteToken(c, id, v.token.ID) }),
			changes(tok, func(c ctx, id string) error { return s.DeleteToken(c, v.workspace.ID, id) }),
		},

		"PutSource": {
			creates(func(c ctx, id string) error {
				return s.PutSource(c, boathook.Source{ID: id, WorkspaceID: v.workspace.ID, Kind: boathook.Deployment, CreatedAt: now})
			}),
			creates(func(c ctx, id string) error {
				return s.PutSource(c, boathook.Source{ID: boathook.NewID(dep), WorkspaceID: id, Kind: boathook.Deployment, CreatedAt: now})
			}),
		},
		"Source": {
			reads(ws, func(c ctx, id string) (boathook.Source, error) { return s.Source(c, id, v.source.ID) }),
			reads(dep, func(c ctx, id string) (boathook.Source, error) { return s.Source(c, v.workspace.ID, id) }),
		},
		"Sources": {lists(ws, func(c ctx, id string) (int, error) { return count(s.Sources(c, id, boathook.Deployment, page)) })},
		"CrewAgents": {
			lists(ws, func(c ctx, id string) (int, error) { return count(s.CrewAgents(c, id, v.agent.Agent.CrewID, page)) }),
			lists(crew, func(c ctx, id string) (int, error) { return count(s.CrewAgents(c, v.workspace.ID, id, page)) }),
		},
		"Agents": {lists(ws, func(c ctx, id string) (int, error) {
			agents, err := s.Agents(c, id, 200)
			return len(agents), err
		})},
		"AgentBySlug": {
			reads(ws, func(c ctx, id string) (string, error) {
				return s.AgentBySlug(c, id, v.agent.Agent.CrewID, v.agent.Agent.Slug)
			}),
			reads(crew, func(c ctx, id string) (string, error) {
				return s.AgentBySlug(c, v.workspace.ID, id, v.agent.Agent.Slug)
			}),
			reads(crew, func(c ctx, id string) (string, error) {
				return s.AgentBySlug(c, v.workspace.ID, v.agent.Agent.CrewID, id)
			}),
		},
		"CustomerByExternalID": {
			reads(ws, func(c ctx, id string) (boathook.Source, error) {
				return s.CustomerByExternalID(c, id, v.customer.Customer.ExternalID)
			}),
			reads("", func(c ctx, id string) (boathook.Source, error) { return s.CustomerByExternalID(c, v.workspace.ID, id) }),
		},
		"PutEventType": {
			creates(func(c ctx, id string) error {
				return s.PutEventType(c, boathook.TypeDefinition{WorkspaceID: id, Name: v.eventType.Name, CreatedAt: now})
			}),
			createsForeign(func(c ctx, id string) error {
				return s.PutEventType(c, boathook.TypeDefinition{WorkspaceID: v.workspace.ID, Name: boathook.EventType(id), CreatedAt: now})
			}),
		},
		"EventType": {
			reads(ws, func(c ctx, id string) (boathook.TypeDefinition, error) { return s.EventType(c, id, v.eventType.Name) }),
			reads("", func(c ctx, id string) (boathook.TypeDefinition, error) {
				return s.EventType(c, v.workspace.ID, boathook.EventType(id))
			}),
		},
		"AllEventTypes": {lists(ws, func(c ctx, id string) (int, error) { all, err := s.AllEventTypes(c, id); return len(all), err })},
		"DeleteSource": {
			changes(ws, func(c ctx, id string) error { return s.DeleteSource(c, id, v.source.ID) }),
			changes(dep, func(c ctx, id string) error { return s.DeleteSource(c, v.workspace.ID, id) }),
		},
		"AddVersion": {
			creates(func(c ctx, id string) error {
				_, err := s.AddVersion(c, boathook.Version{ID: id, SourceID: v.source.ID, Environment: boathook.Production})
				return err
			}),
			creates(func(c ctx, id string) error {
				_, err := s.AddVersion(c, boathook.Version{ID: v.version.ID, SourceID: id, Environment: boathook.Production})
				return err
			}),
		},
		"Activate": {
			creates(func(c ctx, id string) error {
				return s.Activate(c, boathook.Version{ID: id, SourceID: v.source.ID}, boathook.Production)
			}),
			creates(func(c ctx, id string) error {
				return s.Activate(c, boathook.Version{ID: v.version.ID, SourceID: id}, boathook.Production)
			}),
		},
		"Live": {lists(dep, func(c ctx, id string) (int, error) { live, err := s.Live(c, id); return len(live), err })},
		"Version": {
			reads(dep, func(c ctx, id string) (boathook.Version, error) { return s.Version(c, id, v.version.ID) }),
			reads(ver, func(c ctx, id string) (boathook.Version, error) { return s.Version(c, v.source.ID, id) }),
		},
		"Versions": {lists(dep, func(c ctx, id string) (int, error) { return count(s.Versions(c, id, page)) })},

		"PutIncoming": {
			creates(func(c ctx, id string) error {
				return s.PutIncoming(c, boathook.IncomingWebhook{ID: id, SourceID: v.source.ID})
			}),
			creates(func(c ctx, id string) error {
				return s.PutIncoming(c, boathook.IncomingWebhook{ID: v.in.ID, SourceID: id})
			}),
		},
		"Incoming": {
			reads(dep, func(c ctx, id string) (boathook.IncomingWebhook, error) { return s.Incoming(c, id, v.in.ID) }),
			reads(in, func(c ctx, id string) (boathook.IncomingWebhook, error) { return s.Incoming(c, v.source.ID, id) }),
		},
		"AllIncoming": {lists(dep, func(c ctx, id string) (int, error) { all, err := s.AllIncoming(c, id); return len(all), err })},
		"DeleteIncoming": {
			changes(dep, func(c ctx, id string) error { return s.DeleteIncoming(c, id, v.in.ID) }),
			changes(in, func(c ctx, id string) error { return s.DeleteIncoming(c, v.source.ID, id) }),
		},
		"PutOutgoing": {
			creates(func(c ctx, id string) error {
				return s.PutOutgoing(c, boathook.OutgoingWebhook{ID: id, SourceID: v.source.ID})
			}),
			creates(func(c ctx, id string) error {
				return s.PutOutgoing(c, boathook.OutgoingWebhook{ID: v.out.ID, SourceID: id})
			}),
		},
		"DisableOutgoing": {
			changes(dep, func(c ctx, id string) error { return s.DisableOutgoing(c, id, v.out.ID, boathook.Disabling{At: now}) }),
			changes(out, func(c ctx, id string) error {
				return s.DisableOutgoing(c, v.source.ID, id, boathook.Disabling{At: now})
			}),
		},
		"Outgoing": {
			reads(dep, func(c ctx, id string) (boathook.OutgoingWebhook, error) { return s.Outgoing(c, id, v.out.ID) }),
			reads(out, func(c ctx, id string) (boathook.OutgoingWebhook, error) { return s.Outgoing(c, v.source.ID, id) }),
		},
		"AllOutgoing": {lists(dep, func(c ctx, id string) (int, error) { all, err := s.AllOutgoing(c, id); return len(all), err })},
		"Audience":    {lists(dep, func(c ctx, id string) (int, error) { a, err := s.Audience(c, id); return len(a.Outgoing), err })},
		"DeleteOutgoing": {
			changes(dep, func(c ctx, id string) error { return s.DeleteOutgoing(c, id, v.out.ID) }),
			changes(out, func(c ctx, id string) error { return s.DeleteOutgoing(c, v.source.ID, id) }),
		},
		"Health": {lists(out, func(c ctx, id string) (int, error) {
			healths, err := s.Health(c, id, boathook.NewID(out))
			return len(healths), err
		})},
		"MarkFailure": {creates(func(c ctx, id string) error { _, err := s.MarkFailure(c, id, now); return err })},
		"MarkSlow":    {creates(func(c ctx, id string) error { _, err := s.MarkSlow(c, id, now); return err })},
		"MarkDisabling": {creates(func(c ctx, id string) error {
			_, err := s.MarkDisabling(c, id, boathook.Disabling{At: now})
			return err
		})},
		"MoveProbe": {
			creates(func(c ctx, id string) error {
				_, err := s.MoveProbe(c, id, boathook.Probe{}, boathook.Probe{At: now})
				return err
			}),
			changes(out, func(c ctx, id string) error {
				_, err := s.MoveProbe(c, id, boathook.Probe{At: now}, boathook.Probe{At: now.Add(time.Minute)})
				return err
			}),
		},
		"MoveAlert": {
			creates(func(c ctx, id string) error {
				_, err := s.MoveAlert(c, id, boathook.Alert{}, boathook.Alert{Step: boathook.AlertFailing, At: now})
				return err
			}),
			changes(out, func(c ctx, id string) error {
				_, err := s.MoveAlert(c, id, boathook.Alert{Step: boathook.AlertFailing, At: now}, boathook.Alert{Step: boathook.AlertTold, At: now})
				return err
			}),
		},
		"ClearHealth": {changes(out, func(c ctx, id string) error { return s.ClearHealth(c, id, boathook.HealthFailures) })},

		"LookUpTrigger": {
			lists(dep, func(c ctx, id string) (int, error) { return inTrigger(s.LookUpTrigger(c, id, v.in.ID, "")) }),
			lists(in, func(c ctx, id string) (int, error) { return inTrigger(s.LookUpTrigger(c, v.agent.ID, id, "")) }),
			lists(run, func(c ctx, id string) (int, error) { return inTrigger(s.LookUpTrigger(c, v.agent.ID, v.in.ID, id)) }),
		},
		"LookUpAgent": {
			lists(agent, func(c ctx, id string) (int, error) { return inAgent(s.LookUpAgent(c, id)) }),
			lists(run, func(c ctx, id string) (int, error) { return inAgent(s.LookUpAgent(c, v.source.ID, id)) }),
		},
		"PinRun": {
			creates(func(c ctx, id string) error { _, err := s.PinRun(c, id, v.run.ID); return err }),
			creates(func(c ctx, id string) error { _, err := s.PinRun(c, boathook.NewID(run), id); return err }),
		},
		"CreateRun": {
			creates(func(c ctx, id string) error {
				r := v.run
				r.ID = id
				return s.CreateRun(c, r)
			}),
			creates(func(c ctx, id string) error {
				r := v.run
				r.ID, r.SourceID = boathook.NewID(run), id
				return s.CreateRun(c, r)
			}),
		},
		"RemovePending": {changes(run, s.RemovePending)},
		"RunHead":       {reads(run, s.RunHead)},
		"Run": {
			reads(ws, func(c ctx, id string) (boathook.Run, error) { return s.Run(c, id, v.run.ID) }),
			reads(run, func(c ctx, id string) (boathook.Run, error) { return s.Run(c, v.workspace.ID, id) }),
		},
		"Runs": {
			lists(ws, func(c ctx, id string) (int, error) { return count(s.Runs(c, runs(id, v.agent.ID))) }),
			lists(agent, func(c ctx, id string) (int, error) { return count(s.Runs(c, runs(v.workspace.ID, id))) }),
		},
		"RunHeads": {
			lists(ws, func(c ctx, id string) (int, error) { return count(s.RunHeads(c, runs(id, v.agent.ID))) }),
			lists(agent, func(c ctx, id string) (int, error) { return count(s.RunHeads(c, runs(v.workspace.ID, id))) }),
		},
		"CountedRuns": {
			lists(ws, func(c ctx, id string) (int, error) {
				_, counts, err := s.CountedRuns(c, store.CountQuery{WorkspaceID: id, SourceID: v.agent.ID})
				return len(counts.ByStatus), err
			}),
			lists(ws, func(c ctx, id string) (int, error) {
				_, counts, err := s.CountedRuns(c, store.CountQuery{WorkspaceID: id, Kind: boathook.Agent})
				return len(counts.ByStatus), err
			}),
			lists(agent, func(c ctx, id string) (int, error) {
				_, counts, err := s.CountedRuns(c, store.CountQuery{WorkspaceID: v.workspace.ID, SourceID: id})
				return len(counts.ByStatus), err
			}),
		},
		"AnyActive": {lists(agent, func(c ctx, id string) (int, error) {
			active, err := s.AnyActive(c, id)
			if active {
				return 1, err
			}
			return 0, err
		})},
		"LookUpStart": {
			lists(dep, func(c ctx, id string) (int, error) { return inStart(s.LookUpStart(c, id, boathook.NewID(run))) }),
			lists(run, func(c ctx, id string) (int, error) {
				return inStart(s.LookUpStart(c, boathook.NewID(dep), id))
			}),
		},
		"MoveBacklog": {
			creates(func(c ctx, id string) error {
				_, err := s.MoveBacklog(c, id, time.Time{}, now.Add(time.Minute))
				return err
			}),
			changes(dep, func(c ctx, id string) error { _, err := s.MoveBacklog(c, id, now, time.Time{}); return err }),
		},
		"ClaimRun": {changes(run, func(c ctx, id string) error { _, err := s.ClaimRun(c, id, claim, now); return err })},
		"RenewLease": {changes(run, func(c ctx, id string) error {
			_, err := s.RenewLease(c, id, claim)
			return err
		})},
		"FinishRun":     {changes(run, func(c ctx, id string) error { _, err := s.FinishRun(c, id, v.claim, outcome); return err })},
		"MarkPublished": {changes(run, s.MarkPublished)},
		"MarkRetried": {changes(run, func(c ctx, id string) error {
			return s.MarkRetried(c, id, boathook.Retry{RunID: boathook.NewID(run), At: now})
		})},
		"MoveVersion": {changes(run, func(c ctx, id string) error {
			return s.MoveVersion(c, id, boathook.LiveVersion{ID: boathook.NewID(boathook.VersionID), Number: 2})
		})},
		"MarkWaiting": {changes(run, func(c ctx, id string) error { _, err := s.MarkWaiting(c, id, now); return err })},
		"Turns": {lists(dep, func(c ctx, id string) (int, error) {
			view, err := s.Turns(c, id, 10)
			return len(view.Taken) + len(view.Line), err
		})},
		"MoveTurns": {creates(func(c ctx, id string) error {
			_, err := s.MoveTurns(c, id, store.TurnsView{}, map[string]time.Time{v.run.ID: now})
			return err
		})},
		"EndTurn": {
			changes(dep, func(c ctx, id string) error { return s.EndTurn(c, id, v.run.ID) }),
			changes(run, func(c ctx, id string) error { return s.EndTurn(c, v.source.ID, id) }),
		},
		"StandInLine": {
			creates(func(c ctx, id string) error { return s.StandInLine(c, id, store.Waiting{RunID: v.run.ID, At: now}) }),
			creates(func(c ctx, id string) error { return s.StandInLine(c, v.source.ID, store.Waiting{RunID: id, At: now}) }),
		},
		"LeaveLine": {
			changes(dep, func(c ctx, id string) error { return s.LeaveLine(c, id, store.Waiting{RunID: v.run.ID, At: now}) }),
			changes(run, func(c ctx, id string) error { return s.LeaveLine(c, v.source.ID, store.Waiting{RunID: id, At: now}) }),
		},
		"LookUpBurst": {
			lists(in, func(c ctx, id string) (int, error) { return inBurst(s.LookUpBurst(c, id, "key", boathook.NewID(run))) }),
			lists("key", func(c ctx, id string) (int, error) {
				return inBurst(s.LookUpBurst(c, v.in.ID, id, boathook.NewID(run)))
			}),
			lists(run, func(c ctx, id string) (int, error) { return inBurst(s.LookUpBurst(c, boathook.NewID(in), "key", id)) }),
		},
		"MoveBurst": {
			creates(func(c ctx, id string) error {
				_, err := s.MoveBurst(c, id, "key", "", store.Burst{RunID: v.run.ID, At: now})
				return err
			}),
			creates(func(c ctx, id string) error {
				_, err := s.MoveBurst(c, v.in.ID, id, "", store.Burst{RunID: v.run.ID, At: now})
				return err
			}),
			creates(func(c ctx, id string) error {
				_, err := s.MoveBurst(c, boathook.NewID(in), "key", "", store.Burst{RunID: id, At: now})
				return err
			}),
		},
		"JoinRun": {changes(run, func(c ctx, id string) error {
			_, err := s.JoinRun(c, boathook.RunHead{ID: id, WorkspaceID: v.workspace.ID, SourceID: v.source.ID, CreatedAt: now}, store.Join{Input: boathook.NewBody([]byte(`{}`)), StartsAt: now})
			return err
		})},
		"RequestCancel": {changes(run, func(c ctx, id string) error { _, err := s.RequestCancel(c, id, now); return err })},

		"PutRequest": {creates(func(c ctx, id string) error {
			return s.PutRequest(c, 0, boathook.Request{ID: boathook.NewID(boathook.RequestID), WebhookID: id, At: now})
		})},
		"Requests": {
			lists(ws, func(c ctx, id string) (int, error) { return count(s.Requests(c, requests(id, v.agent.ID, v.in.ID))) }),
			lists(agent, func(c ctx, id string) (int, error) {
				return count(s.Requests(c, requests(v.workspace.ID, id, boathook.NewID(in))))
			}),
			lists(in, func(c ctx, id string) (int, error) {
				return count(s.Requests(c, requests(v.workspace.ID, v.agent.ID, id)))
			}),
		},

		"Admit": {
			creates(func(c ctx, id string) error { return admit(c, id, v.run.ID) }),
			creates(func(c ctx, id string) error { return admit(c, v.agent.ID, id) }),
		},
		"Release": {
			changes(agent, func(c ctx, id string) error { return s.Release(c, id, v.run.ID, time.Time{}) }),
			changes(run, func(c ctx, id string) error { return s.Release(c, v.agent.ID, id, time.Time{}) }),
		},

		"AppendLog": {creates(func(c ctx, id string) error {
			return s.AppendLog(c, boathook.RunHead{ID: id, SourceID: v.agent.ID, CreatedAt: now}, 0, lines)
		})},
		"AgentLog": {lists(agent, func(c ctx, id string) (int, error) {
			log, err := s.AgentLog(c, store.AgentLogQuery{AgentID: id, Limit: 10, MaxBytes: boathook.MaxRunLog})
			return len(log), err
		})},
		"Log": {lists(run, func(c ctx, id string) (int, error) {
			_, lines, err := s.Log(c, id, 0, boathook.MaxRunLog)
			return len(lines), err
		})},
		"LogLines": {lists(run, s.LogLines)},

		"AppendEvents": {
			creates(func(c ctx, id string) error {
				return s.AppendEvents(c, id, day, boathook.Event{ID: "x", Time: now})
			}),
			createsForeign(func(c ctx, id string) error {
				return s.AppendEvents(c, v.source.ID, day, boathook.Event{ID: id, Time: now})
			}),
		},
		"FeedEvents": {lists(dep, func(c ctx, id string) (int, error) {
			page, err := s.FeedEvents(c, store.FeedQuery{SourceID: id, Settings: boathook.FeedSettings{RetentionDays: 1}, Limit: 1})
			return len(page.Events), err
		})},
		"PinEvent": {
			creates(func(c ctx, id string) error {
				_, err := s.PinEvent(c, store.EventPin{WorkspaceID: id, ID: v.pin.ID})
				return err
			}),
			createsForeign(func(c ctx, id string) error {
				_, err := s.PinEvent(c, store.EventPin{WorkspaceID: v.workspace.ID, ID: id})
				return err
			}),
		},
		"MarkEventPublished": {
			changes(ws, func(c ctx, id string) error { return s.MarkEventPublished(c, id, v.pin.ID, []int{1}) }),
			changes("", func(c ctx, id string) error { return s.MarkEventPublished(c, v.workspace.ID, id, []int{1}) }),
		},

		"RecordAttempt": {
			creates(func(c ctx, id string) error {
				d := v.delivery
				d.WorkspaceID = id
				return s.RecordAttempt(c, d, first)
			}),
			creates(func(c ctx, id string) error {
				d := fresh()
				d.WebhookID = id
				return s.RecordAttempt(c, d, first)
			}),
		},
		"CancelDelivery": {
			creates(func(c ctx, id string) error {
				d := v.delivery
				d.WorkspaceID = id
				return s.CancelDelivery(c, d)
			}),
			creates(func(c ctx, id string) error {
				d := fresh()
				d.WebhookID = id
				return s.CancelDelivery(c, d)
			}),
		},
		"PostponeDelivery": {
			creates(func(c ctx, id string) error {
				d := v.delivery
				d.WorkspaceID = id
				return s.PostponeDelivery(c, d, now)
			}),
			creates(func(c ctx, id string) error {
				d := fresh()
				d.WebhookID = id
				return s.PostponeDelivery(c, d, now)
			}),
		},
		"ReopenDelivery": {changes(ws, func(c ctx, id string) error {
			d := v.delivery
			d.WorkspaceID = id
			return s.ReopenDelivery(c, d, now)
		})},
		"Delivery": {reads(ws, func(c ctx, id string) (boathook.Delivery, error) { return s.Delivery(c, id, v.delivery.ID) })},
		"Attempts": {reads(ws, func(c ctx, id string) (boathook.Delivery, error) {
			d, _, err := s.Attempts(c, id, v.delivery.ID)
			return d, err
		})},
		"AttemptLog": {
			lists(ws, func(c ctx, id string) (int, error) {
				log, err := s.AttemptLog(c, store.AttemptQuery{WorkspaceID: id, WebhookID: v.out.ID, Limit: 10})
				return len(log), err
			}),
			lists(out, func(c ctx, id string) (int, error) {
				log, err := s.AttemptLog(c, store.AttemptQuery{WorkspaceID: v.workspace.ID, WebhookID: id, Limit: 10})
				return len(log), err
			}),
		},
		"Deliveries": {
			lists(ws, func(c ctx, id string) (int, error) { return count(s.Deliveries(c, deliveries(id, v.out.ID))) }),
			lists(out, func(c ctx, id string) (int, error) { return count(s.Deliveries(c, deliveries(v.workspace.ID, id))) }),
			lists(out, func(c ctx, id string) (int, error) {
				return count(s.Deliveries(c, deliveries(v.workspace.ID, id, boathook.DeliveryFailed)))
			}),
		},

		"EnterDeliveries": {creates(func(c ctx, id string) error {
			d := v.delivery
			d.WorkspaceID = id
			return s.EnterDeliveries(c, d)
		})},
		"WorkspaceDeliveries": {
			lists(ws, func(c ctx, id string) (int, error) { return count(s.WorkspaceDeliveries(c, deliveries(id, ""))) }),
			lists(ws, func(c ctx, id string) (int, error) {
				return count(s.WorkspaceDeliveries(c, deliveries(id, "", boathook.DeliveryFailed)))
			}),
		},
		"CountAttempts": {creates(func(c ctx, id string) error {
			return s.CountAttempts(c, id, boathook.AttemptCounts{From: now, Failed: 1})
		})},
		"AttemptCounts": {lists(out, func(c ctx, id string) (int, error) {
			hours, err := s.AttemptCounts(c, id, now.Add(-day), now.Add(day))
			return len(hours), err
		})},

		"PutDue": {createsForeign(func(c ctx, id string) error { return s.PutDue(c, store.Due{At: now, ID: id, Kind: store.DueRun}) })},
		"Due": {changes("", func(c ctx, id string) error {
			_, err := s.Due(c, 0, store.Due{At: now, ID: id}, now, 1)
			return err
		})},
		"DeleteDue": {changes(run, func(c ctx, id string) error { return s.DeleteDue(c, store.Due{At: now, ID: id, Kind: store.DueRun}) })},

		"ReserveSlot": {creates(func(c ctx, id string) error { _, err := s.ReserveSlot(c, id, time.Second, now); return err })},

		"TakeLease": {createsForeign(func(c ctx, id string) error {
			_, _, err := s.TakeLease(c, id, 1, now, now.Add(time.Minute))
			return err
		})},
		"ReturnLease": {changes("", func(c ctx, id string) error { return s.ReturnLease(c, store.Lease{Name: id, Until: now}) })},

		"PutConnection": {createsForeign(func(c ctx, id string) error {
			return s.PutConnection(c, boathook.Connection{ID: id, ConnectedAt: now})
		})},
		"Connection": {reads("", s.Connection)},
		"DeleteConnection": {
			changes("", func(c ctx, id string) error {
				return s.DeleteConnection(c, boathook.Connection{ID: id, WorkspaceID: v.workspace.ID})
			}),
			changes(ws, func(c ctx, id string) error {
				return s.DeleteConnection(c, boathook.Connection{ID: boathook.NewID("conn"), WorkspaceID: id})
			}),
		},
		"Watch": {
			creates(func(c ctx, id string) error {
				return s.Watch(c, boathook.Connection{ID: v.connection.ID, WorkspaceID: id, ConnectedAt: now}, boathook.LogChannel)
			}),
			createsForeign(func(c ctx, id string) error {
				return s.Watch(c, boathook.Connection{ID: id, WorkspaceID: v.workspace.ID, ConnectedAt: now}, boathook.LogChannel)
			}),
		},
		"Unwatch": {
			changes("", func(c ctx, id string) error {
				return s.Unwatch(c, boathook.Connection{ID: id, WorkspaceID: v.workspace.ID}, boathook.LogChannel)
			}),
			changes(ws, func(c ctx, id string) error {
				return s.Unwatch(c, boathook.Connection{ID: boathook.NewID("conn"), WorkspaceID: id}, boathook.LogChannel)
			}),
		},
		"WatchersBy": {
			lists(ws, func(c ctx, id string) (int, error) { by, err := s.WatchersBy(c, id, v.token.ID); return len(by), err }),
			lists(tok, func(c ctx, id string) (int, error) {
				by, err := s.WatchersBy(c, v.workspace.ID, id)
				return len(by), err
			}),
		},
		"Watchers": {lists(ws, func(c ctx, id string) (int, error) {
			all, err := s.Watchers(c, id, boathook.LogChannel)
			return len(all), err
		})},
	}
}

// withoutIDs are the methods that take no id.
var withoutIDs = []string{"TokenByHash", "Workspaces"}

func inTrigger(view store.TriggerView, err error) (int, error) {
	n := len(view.Live)
	for _, found := range []bool{view.Webhook != nil, view.Run != nil} {
		if found {
			n++
		}
	}
	return n, err
}

func inStart(run *boathook.RunHead, backlog time.Time, err error) (n int, _ error) {
	if run != nil {
		n++
	}
	if !backlog.IsZero() {
		n++
	}
	return n, err
}

func inAgent(view store.AgentView, err error) (int, error) {
	n := view.Load.Revision + len(view.Runs) + len(view.Pinned)
	if view.Agent != nil {
		n++
	}
	return n, err
}

// maxMessage is how long an error about an id may be, in bytes: what it says of
// the id is short.
const maxMessage = 250

// check makes a call with an id that is none, or of another kind.
func (h hostileCall) check(t *testing.T, method, id string) {
	t.Helper()
	found, err := h.call(t.Context(), id)
	switch {
	case found:
		t.Errorf("%s finds something by %.80q", method, id)
	case err == nil && h.creates:
		t.Errorf("%s takes %.80q for an id", method, id)
	case err != nil && (h.creates || !boathook.IsKind(err, boathook.NotFound)) && !boathook.IsKind(err, boathook.Invalid):
		t.Errorf("%s with %.80q: error %.200s", method, id, err.Error())
	case boathook.IsKind(err, boathook.NotFound) && len(err.Error()) > maxMessage:
		t.Errorf("%s repeats the id in an error of %d bytes", method, len(err.Error()))
	}
}

// CallWithNoID calls every method of a store that takes an id with one that is
// none, in each place: nothing may be found by it, and nothing stored.
func CallWithNoID(t *testing.T, s store.Store, now time.Time, id string) {
	t.Helper()
	v := (&suite{s, &clock{now: now}}).newVictims()
	for method, calls := range hostileCalls(s, v, now) {
		for _, c := range calls {
			if !c.foreign || !boathook.IsForeignID(id) {
				c.check(t, method, id)
			}
		}
	}
}

func (s *suite) testHostileIDs(t *testing.T) {
	v := s.storeVictims(t)
	before := s.look(t, v)
	calls := hostileCalls(s.Store, v, s.clock.Now())

	t.Run("every method is called", func(t *testing.T) {
		for m := range reflect.TypeFor[store.Store]().Methods() {
			if len(calls[m.Name]) == 0 && !slices.Contains(withoutIDs, m.Name) {
				t.Errorf("%s is not", m.Name)
			}
		}
	})
	for what, id := range map[string]string{
		"no text":                    "",
		"a NUL":                      "\x00",
		"an id and a NUL":            v.out.ID + "\x00",
		"an id and a line break":     v.out.ID + "\n",
		"an id and a space":          v.run.ID + " ",
		"the separator":              "#",
		"a webhook's health":         v.out.ID + "#health",
		"an id, the separator":       v.source.ID + "#",
		"the separator, an id":       "#" + v.source.ID,
		"two ids":                    v.workspace.ID + "#" + v.out.ID,
		"an entry of active runs":    "active#" + v.agent.ID,
		"an entry of failed ones":    "failed#" + v.workspace.ID + "#" + v.out.ID,
		"a path":                     v.source.ID + "/" + v.out.ID,
		"the folder above":           "..",
		"upper case":                 strings.ToUpper(v.out.ID),
		"another alphabet":           "dep_é" + v.source.ID[5:],
		"what is not UTF-8":          "dep_\xff",
		"a long id":                  strings.Repeat("a", boathook.MaxIDLength+1),
		"longer than a key's sort":   strings.Repeat("a", 1100),
		"longer than a key":          strings.Repeat("a", 3<<10),
		"an id, longer than any key": v.run.ID + strings.Repeat("a", 3<<10),
	} {
		t.Run(what, func(t *testing.T) {
			for method, calls := range calls {
				for _, c := range calls {
					if !c.foreign || !boathook.IsForeignID(id) {
						c.check(t, method, id)
					}
				}
			}
		})
	}
	t.Run("an id of another kind", func(t *testing.T) {
		for _, id := range []string{v.workspace.ID, v.token.ID, v.source.ID, v.version.ID, v.in.ID, v.out.ID, v.run.ID} {
			for method, calls := range calls {
				for _, c := range calls {
					if !c.creates && !boathook.HasIDKind(id, c.kind) {
						c.check(t, method, id)
					}
				}
			}
		}
	})
	wantSame(t, "what the store holds besides", s.look(t, v), before)
}
