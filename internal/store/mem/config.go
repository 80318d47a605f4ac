package mem

import (
	"bytes"
	"context"
	"crypto/sha256"
	"iter"
	"maps"
	"slices"
	"strings"

	"boathook/internal/boathook"
	"boathook/internal/store"
	"boathook/internal/store/paging"
)

// kindOf is what a list of sources belongs to.
type kindOf struct {
	workspaceID string
	kind        boathook.SourceKind
}

// below is what hangs on a source. As in package dynamo it may be there without
// its source: before it is put, and after a delete.
type below struct {
	lastNumber int // of a version
	live       map[boathook.Environment]boathook.LiveVersion
	versions   map[string]boathook.Version
	incoming   map[string]boathook.IncomingWebhook
	outgoing   map[string]boathook.OutgoingWebhook // without their health
}

// under is what hangs on a source, to be read.
func (s *Store) under(sourceID string) below {
	if b := s.below[sourceID]; b != nil {
		return *b
	}
	return below{}
}

// underToChange is what hangs on a source, to be written.
func (s *Store) underToChange(sourceID string) *below {
	b := s.below[sourceID]
	if b == nil {
		b = &below{
			live:     make(map[boathook.Environment]boathook.LiveVersion),
			versions: make(map[string]boathook.Version),
			incoming: make(map[string]boathook.IncomingWebhook),
			outgoing: make(map[string]boathook.OutgoingWebhook),
		}
		s.below[sourceID] = b
	}
	return b
}

// PutWorkspace implements [store.Workspaces].
func (s *Store) PutWorkspace(_ context.Context, w boathook.Workspace) error {
	if err := store.CheckIDs(w.ID); err != nil {
		return err
	}
	defer s.lock()()
	if _, taken := s.workspaces[w.ID]; taken {
		return boathook.Errorf(boathook.Conflict, "workspace %s exists", w.ID)
	}
	w = cloneWorkspace(w)
	s.workspaces[w.ID] = w
	s.allWorkspaces.put(struct{}{}, paging.PositionOf(w.CreatedAt, w.ID), w.ID)
	return nil
}

// Workspace implements [store.Workspaces].
func (s *Store) Workspace(_ context.Context, id string) (boathook.Workspace, error) {
	defer s.lock()()
	w, ok := s.workspaces[id]
	if !ok {
		return boathook.Workspace{}, notFound("workspace")
	}
	return cloneWorkspace(w), nil
}

// PutPortal implements [store.Workspaces].
func (s *Store) PutPortal(_ context.Context, workspaceID string, p boathook.PortalSettings) error {
	defer s.lock()()
	w, ok := s.workspaces[workspaceID]
	if !ok {
		return notFound("workspace")
	}
	w.Portal = p
	s.workspaces[workspaceID] = cloneWorkspace(w)
	return nil
}

// Workspaces implements [store.Workspaces].
func (s *Store) Workspaces(_ context.Context, p boathook.Page) ([]boathook.Workspace, string, error) {
	defer s.lock()()
	from, err := paging.ParseCursor(p.Cursor)
	if err != nil {
		return nil, "", err
	}
	ids, next := paging.Page(s.allWorkspaces.before(struct{}{}, from), p, all)
	var workspaces []boathook.Workspace
	for _, id := range ids {
		workspaces = append(workspaces, cloneWorkspace(s.workspaces[id]))
	}
	return workspaces, next, nil
}

// DeleteWorkspace implements [store.Workspaces].
func (s *Store) DeleteWorkspace(_ context.Context, id string) error {
	defer s.lock()()
	w, ok := s.workspaces[id]
	if !ok {
		return notFound("workspace")
	}
	for range s.tokensOf.before(id, paging.End) {
		return notEmpty(id)
	}
	for _, src := range s.sources {
		if src.WorkspaceID == id {
			return notEmpty(id)
		}
	}
	delete(s.workspaces, id)
	delete(s.eventTypes, id)
	s.allWorkspaces.remove(struct{}{}, paging.PositionOf(w.CreatedAt, id))
	return nil
}

func notEmpty(workspaceID string) error {
	return boathook.Errorf(boathook.Conflict, "workspace %s is not empty", workspaceID)
}

func cloneWorkspace(w boathook.Workspace) boathook.Workspace {
	w.DataKey = bytes.Clone(w.DataKey)
	w.CreatedAt = stored(w.CreatedAt)
	w.Portal.FrameOrigins = slices.Clone(w.Portal.FrameOrigins)
	return w
}

// PutToken implements [store.Tokens].
func (s *Store) PutToken(_ context.Context, t boathook.Token) error {
	if err := store.CheckIDs(t.WorkspaceID, t.ID); err != nil {
		return err
	}
	defer s.lock()()
	t.CreatedAt = stored(t.CreatedAt)
	s.tokens[t.Hash] = t
	s.tokensOf.put(t.WorkspaceID, paging.PositionOf(t.CreatedAt, t.ID), t)
	return nil
}

// TokenByHash implements [store.Tokens].
func (s *Store) TokenByHash(_ context.Context, hash [sha256.Size]byte) (boathook.Token, error) {
	defer s.lock()()
	t, ok := s.tokens[hash]
	if !ok {
		return boathook.Token{}, notFound("token")
	}
	return t, nil
}

// Tokens implements [store.Tokens].
func (s *Store) Tokens(_ context.Context, workspaceID string, p boathook.Page) ([]boathook.Token, string, error) {
	defer s.lock()()
	from, err := paging.ParseCursor(p.Cursor)
	if err != nil {
		return nil, "", err
	}
	tokens, next := paging.Page(s.tokensOf.before(workspaceID, from), p, all)
	return tokens, next, nil
}

// Token implements [store.Tokens].
func (s *Store) Token(_ context.Context, workspaceID, id string) (boathook.Token, error) {
	defer s.lock()()
	t, err := s.token(workspaceID, id)
	return t.Value, err
}

func (s *Store) token(workspaceID, id string) (paging.Entry[boathook.Token], error) {
	for t := range s.tokensOf.before(workspaceID, paging.End) {
		if t.ID == id {
			return t, nil
		}
	}
	return paging.Entry[boathook.Token]{}, notFound("token")
}

// DeleteToken implements [store.Tokens].
func (s *Store) DeleteToken(_ context.Context, workspaceID, id string) error {
	defer s.lock()()
	t, err := s.token(workspaceID, id)
	if err == nil {
		delete(s.tokens, t.Value.Hash)
		s.tokensOf.remove(workspaceID, t.Position)
	}
	return err
}

// PutSource implements [store.Sources].
func (s *Store) PutSource(_ context.Context, src boathook.Source) error {
	if err := store.CheckIDs(src.WorkspaceID, src.ID); err != nil {
		return err
	}
	defer s.lock()()
	if src.Agent != nil {
		if id, ok := s.agentBySlug(src.WorkspaceID, src.Agent.CrewID, src.Agent.Slug); ok && id != src.ID {
			return &boathook.Error{Kind: boathook.Conflict, Field: "slug", Message: "another agent of the crew has it"}
		}
	}
	if src.Customer != nil && src.Customer.ExternalID != "" {
		if err := store.CheckForeignID(src.Customer.ExternalID); err != nil {
			return err
		}
		if other, ok := s.customerByExternalID(src.WorkspaceID, src.Customer.ExternalID); ok && other.ID != src.ID {
			return &boathook.Error{Kind: boathook.Conflict, Field: "external_id", Message: "another customer has it"}
		}
	}
	if s.sources[src.ID].Revision != src.Revision {
		return errChanged
	}
	src = cloneSource(src)
	src.Revision++
	s.sources[src.ID] = src
	s.sourcesOf.put(kindOf{src.WorkspaceID, src.Kind}, paging.PositionOf(src.CreatedAt, src.ID), src)
	return nil
}

// Source implements [store.Sources].
func (s *Store) Source(_ context.Context, workspaceID, id string) (boathook.Source, error) {
	defer s.lock()()
	src, ok := s.sources[id]
	if !ok || src.WorkspaceID != workspaceID {
		return boathook.Source{}, notFound("source")
	}
	return cloneSource(src), nil
}

func cloneSource(src boathook.Source) boathook.Source {
	src.CreatedAt = stored(src.CreatedAt)
	if src.Agent != nil {
		agent := *src.Agent
		agent.SealedSecret, agent.Verification.SealedSecret = bytes.Clone(agent.SealedSecret), bytes.Clone(agent.Verification.SealedSecret)
		src.Agent = &agent
	}
	if src.App != nil {
		app := *src.App
		app.UpdatedAt = stored(app.UpdatedAt)
		src.App = &app
	}
	if src.Customer != nil {
		customer := *src.Customer
		customer.Metadata, customer.UpdatedAt = maps.Clone(customer.Metadata), stored(customer.UpdatedAt)
		src.Customer = &customer
	}
	if src.Feed != nil {
		src.Feed = &boathook.FeedSettings{RetentionDays: src.Feed.RetentionDays, Raised: stored(src.Feed.Raised)}
	}
	if src.Deployment != nil {
		src.Deployment = new(*src.Deployment)
	}
	return src
}

// Sources implements [store.Sources].
func (s *Store) Sources(_ context.Context, workspaceID string, kind boathook.SourceKind, p boathook.Page) ([]boathook.Source, string, error) {
	defer s.lock()()
	from, err := paging.ParseCursor(p.Cursor)
	if err != nil {
		return nil, "", err
	}
	sources, next := paging.Page(s.sourcesOf.before(kindOf{workspaceID, kind}, from), p, all)
	for i, src := range sources {
		sources[i] = cloneSource(src)
	}
	return sources, next, nil
}

// CrewAgents implements [store.Sources].
func (s *Store) CrewAgents(_ context.Context, workspaceID, crewID string, p boathook.Page) ([]boathook.Source, string, error) {
	defer s.lock()()
	from, err := paging.ParseCursor(p.Cursor)
	if err != nil {
		return nil, "", err
	}
	agents, next := paging.Page(s.agentsOf(workspaceID, crewID, from), p, all)
	for i, agent := range agents {
		agents[i] = cloneSource(agent)
	}
	return agents, next, nil
}

// Agents implements [store.Sources].
func (s *Store) Agents(_ context.Context, workspaceID string, limit int) (agents []boathook.Source, err error) {
	defer s.lock()()
	for e := range s.sourcesOf.before(kindOf{workspaceID, boathook.Agent}, paging.End) {
		agents = append(agents, e.Value)
	}
	slices.SortStableFunc(agents, func(a, b boathook.Source) int { return strings.Compare(b.Agent.CrewID, a.Agent.CrewID) })
	agents = agents[:min(limit, len(agents))]
	for i, agent := range agents {
		agents[i] = cloneSource(agent)
	}
	return agents, nil
}

// agentsOf are a crew's agents before a position.
func (s *Store) agentsOf(workspaceID, crewID string, from paging.Position) iter.Seq[paging.Entry[boathook.Source]] {
	return only(s.sourcesOf.before(kindOf{workspaceID, boathook.Agent}, from), func(a boathook.Source) bool { return a.Agent.CrewID == crewID })
}

// AgentBySlug implements [store.Sources].
func (s *Store) AgentBySlug(_ context.Context, workspaceID, crewID, slug string) (string, error) {
	defer s.lock()()
	if id, ok := s.agentBySlug(workspaceID, crewID, slug); ok {
		return id, nil
	}
	return "", notFound("agent")
}

func (s *Store) agentBySlug(workspaceID, crewID, slug string) (id string, ok bool) {
	for e := range s.agentsOf(workspaceID, crewID, paging.End) {
		if e.Value.Agent.Slug == slug {
			return e.Value.ID, true
		}
	}
	return "", false
}

// CustomerByExternalID implements [store.Sources].
func (s *Store) CustomerByExternalID(_ context.Context, workspaceID, externalID string) (boathook.Source, error) {
	defer s.lock()()
	if customer, ok := s.customerByExternalID(workspaceID, externalID); ok && externalID != "" {
		return cloneSource(customer), nil
	}
	return boathook.Source{}, notFound("customer")
}

func (s *Store) customerByExternalID(workspaceID, externalID string) (boathook.Source, bool) {
	for e := range s.sourcesOf.before(kindOf{workspaceID, boathook.Customer}, paging.End) {
		if c := e.Value.Customer; c != nil && c.ExternalID == externalID {
			return e.Value, true
		}
	}
	return boathook.Source{}, false
}

// DeleteSource implements [store.Sources].
func (s *Store) DeleteSource(_ context.Context, workspaceID, id string) error {
	defer s.lock()()
	src, exists := s.sources[id]
	if exists && src.WorkspaceID != workspaceID || !exists && s.below[id] == nil {
		return notFound("source")
	}
	for webhookID := range s.under(id).outgoing {
		delete(s.healths, webhookID)
	}
	delete(s.sources, id)
	s.sourcesOf.remove(kindOf{workspaceID, src.Kind}, paging.PositionOf(src.CreatedAt, id))
	delete(s.below, id)
	delete(s.versionsOf, id)
	return nil
}

// AddVersion implements [store.Sources].
func (s *Store) AddVersion(_ context.Context, v boathook.Version) (boathook.Version, error) {
	if err := store.CheckIDs(v.SourceID, v.ID); err != nil {
		return boathook.Version{}, err
	}
	defer s.lock()()
	b := s.underToChange(v.SourceID)
	b.lastNumber++
	v.Number = b.lastNumber
	v = cloneVersion(v)
	b.versions[v.ID] = v
	b.live[v.Environment] = boathook.LiveVersion{ID: v.ID, Number: v.Number}
	s.versionsOf.put(v.SourceID, paging.Position{At: int64(v.Number), ID: v.ID}, v)
	return cloneVersion(v), nil
}

// Activate implements [store.Sources].
func (s *Store) Activate(_ context.Context, v boathook.Version, env boathook.Environment) error {
	if err := store.CheckIDs(v.SourceID, v.ID); err != nil {
		return err
	}
	defer s.lock()()
	s.underToChange(v.SourceID).live[env] = boathook.LiveVersion{ID: v.ID, Number: v.Number}
	return nil
}

// Live implements [store.Sources].
func (s *Store) Live(_ context.Context, sourceID string) (map[boathook.Environment]boathook.LiveVersion, error) {
	defer s.lock()()
	return maps.Clone(s.under(sourceID).live), nil
}

// Version implements [store.Sources].
func (s *Store) Version(_ context.Context, sourceID, id string) (boathook.Version, error) {
	defer s.lock()()
	v, ok := s.under(sourceID).versions[id]
	if !ok {
		return boathook.Version{}, notFound("version")
	}
	return cloneVersion(v), nil
}

// Versions implements [store.Sources].
func (s *Store) Versions(_ context.Context, sourceID string, p boathook.Page) ([]boathook.Version, string, error) {
	defer s.lock()()
	from, err := paging.ParseCursor(p.Cursor)
	if err != nil {
		return nil, "", err
	}
	versions, next := paging.Page(s.versionsOf.before(sourceID, from), p, all)
	for i, v := range versions {
		versions[i] = cloneVersion(v)
	}
	return versions, next, nil
}

func cloneVersion(v boathook.Version) boathook.Version {
	v.Target.Headers = maps.Clone(v.Target.Headers)
	v.Target.Argv = slices.Clone(v.Target.Argv)
	v.SealedHeaders = bytes.Clone(v.SealedHeaders)
	v.CreatedAt = stored(v.CreatedAt)
	return v
}

// PutIncoming implements [store.Webhooks].
func (s *Store) PutIncoming(_ context.Context, w boathook.IncomingWebhook) error {
	if err := store.CheckIDs(w.SourceID, w.ID); err != nil {
		return err
	}
	defer s.lock()()
	if s.under(w.SourceID).incoming[w.ID].Revision != w.Revision {
		return errChanged
	}
	w.Revision++
	s.underToChange(w.SourceID).incoming[w.ID] = cloneIncoming(w)
	return nil
}

var errChanged = boathook.Errorf(boathook.Conflict, "it was changed or deleted meanwhile, look again")

// Incoming implements [store.Webhooks].
func (s *Store) Incoming(_ context.Context, sourceID, id string) (boathook.IncomingWebhook, error) {
	defer s.lock()()
	w, ok := s.under(sourceID).incoming[id]
	if !ok {
		return boathook.IncomingWebhook{}, notFound("incoming webhook")
	}
	return cloneIncoming(w), nil
}

// AllIncoming implements [store.Webhooks].
func (s *Store) AllIncoming(_ context.Context, sourceID string) ([]boathook.IncomingWebhook, error) {
	defer s.lock()()
	var webhooks []boathook.IncomingWebhook
	for _, w := range s.under(sourceID).incoming {
		webhooks = append(webhooks, cloneIncoming(w))
	}
	return newestFirst(webhooks, func(w boathook.IncomingWebhook) paging.Position { return paging.PositionOf(w.CreatedAt, w.ID) }), nil
}

// DeleteIncoming implements [store.Webhooks].
func (s *Store) DeleteIncoming(_ context.Context, sourceID, id string) error {
	defer s.lock()()
	webhooks := s.under(sourceID).incoming
	if _, ok := webhooks[id]; !ok {
		return notFound("incoming webhook")
	}
	delete(webhooks, id)
	return nil
}

func cloneIncoming(w boathook.IncomingWebhook) boathook.IncomingWebhook {
	w.Verification.SealedSecret = bytes.Clone(w.Verification.SealedSecret)
	w.Filter.Events = slices.Clone(w.Filter.Events)
	w.Filter.Equals = bytes.Clone(w.Filter.Equals)
	w.CreatedAt, w.UpdatedAt = stored(w.CreatedAt), stored(w.UpdatedAt)
	return w
}

// PutOutgoing implements [store.Webhooks].
func (s *Store) PutOutgoing(_ context.Context, w boathook.OutgoingWebhook) error {
	if err := store.CheckIDs(w.SourceID, w.ID); err != nil {
		return err
	}
	defer s.lock()()
	if s.under(w.SourceID).outgoing[w.ID].Revision != w.Revision {
		return errChanged
	}
	w.Revision++
	s.underToChange(w.SourceID).outgoing[w.ID] = cloneOutgoing(w)
	return nil
}

// DisableOutgoing implements [store.Webhooks].
func (s *Store) DisableOutgoing(_ context.Context, sourceID, id string, d boathook.Disabling) error {
	defer s.lock()()
	w, ok := s.under(sourceID).outgoing[id]
	if !ok {
		return notFound("outgoing webhook")
	}
	w.Enabled, w.Disabled = false, boathook.Disabling{At: stored(d.At), Reason: d.Reason}
	w.Revision++
	s.below[sourceID].outgoing[id] = w
	return nil
}

// Outgoing implements [store.Webhooks].
func (s *Store) Outgoing(_ context.Context, sourceID, id string) (boathook.OutgoingWebhook, error) {
	defer s.lock()()
	w, ok := s.under(sourceID).outgoing[id]
	if !ok {
		return boathook.OutgoingWebhook{}, notFound("outgoing webhook")
	}
	w = cloneOutgoing(w)
	w.Health = s.health(id)
	return w, nil
}

// AllOutgoing implements [store.Webhooks].
func (s *Store) AllOutgoing(_ context.Context, sourceID string) ([]boathook.OutgoingWebhook, error) {
	defer s.lock()()
	var webhooks []boathook.OutgoingWebhook
	for _, w := range s.under(sourceID).outgoing {
		webhooks = append(webhooks, cloneOutgoing(w))
	}
	return newestFirst(webhooks, func(w boathook.OutgoingWebhook) paging.Position { return paging.PositionOf(w.CreatedAt, w.ID) }), nil
}

// DeleteOutgoing implements [store.Webhooks].
func (s *Store) DeleteOutgoing(_ context.Context, sourceID, id string) error {
	defer s.lock()()
	webhooks := s.under(sourceID).outgoing
	if _, ok := webhooks[id]; !ok {
		return notFound("outgoing webhook")
	}
	delete(webhooks, id)
	delete(s.healths, id)
	return nil
}

func cloneOutgoing(w boathook.OutgoingWebhook) boathook.OutgoingWebhook {
	w.Health = boathook.Health{}
	w.Disabled.At = stored(w.Disabled.At)
	w.Events = slices.Clone(w.Events)
	w.Retry = slices.Clone(w.Retry)
	w.Secrets.Current = bytes.Clone(w.Secrets.Current)
	w.Secrets.Previous = bytes.Clone(w.Secrets.Previous)
	w.Secrets.PreviousUntil = stored(w.Secrets.PreviousUntil)
	w.SealedHeaders, w.HeaderNames = bytes.Clone(w.SealedHeaders), slices.Clone(w.HeaderNames)
	w.Channels, w.Metadata = slices.Clone(w.Channels), maps.Clone(w.Metadata)
	w.CreatedAt, w.UpdatedAt = stored(w.CreatedAt), stored(w.UpdatedAt)
	return w
}
