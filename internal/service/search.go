package service

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// Search finds things of a workspace by what somebody has of them.
type Search struct{ *core }

// Finding is one thing that was found.
type Finding struct {
	What   FindingKind
	ID     string
	Name   string    // empty: it has none
	Source SourceRef // that it is, or that it belongs to
}

// FindingKind is what was found.
type FindingKind string

// What can be found.
const (
	FoundSource   FindingKind = "source"
	FoundIncoming FindingKind = "incoming webhook"
	FoundOutgoing FindingKind = "outgoing webhook"
	FoundRun      FindingKind = "run"
	FoundDelivery FindingKind = "delivery"
	FoundSession  FindingKind = "session" // of an agent, in which its runs take place
)

// Findings are what was found, the best first.
type Findings struct {
	Found []Finding
	// Partial: there are more sources than were looked at, or more findings than are given.
	Partial bool
}

const (
	maxSearched = 1000 // sources of each kind whose names are looked at
	maxFindings = 50
	maxQuery    = 200 // bytes
	// maxAsked is how many sources are asked for a webhook of which there is nothing but
	// its id.
	maxAsked = 100
)

// Find finds what an id names, or a sender's own id of a delivery, or a part of a source's
// name. An id is looked up; for a name the newest thousand sources of each kind are looked
// at.
func (k Search) Find(ctx context.Context, c Caller, text string) (Findings, error) {
	if err := c.May("Search.Find"); err != nil {
		return Findings{}, err
	}
	text = strings.TrimSpace(text)
	if text == "" || len(text) > maxQuery {
		return Findings{}, boathook.InvalidField("q", "must have 1 to %d bytes", maxQuery)
	}
	var looks []func(context.Context, Caller, string) (Findings, error)
	_, notDelivery := boathook.ParseDeliveryID(text)
	agent, isChat := boathook.AgentOfChat(text)
	switch {
	case isChat:
		looks = append(looks, func(ctx context.Context, c Caller, _ string) (Findings, error) { return k.findSession(ctx, c, agent) })
	case boathook.HasIDKind(text, boathook.RunID):
		looks = append(looks, k.findRun)
	case boathook.HasIDKind(text, boathook.OutgoingID):
		looks = append(looks, k.findOutgoing)
	case boathook.HasIDKind(text, boathook.IncomingID):
		looks = append(looks, k.findIncoming)
	case notDelivery == nil: // senders' ids and apps' may have the same form
		looks = append(looks, k.findDelivery, k.findSource, k.findSent)
	case isSourceID(text):
		looks = append(looks, k.findSource)
	default:
		looks = append(looks, k.findSource, k.findSent, k.findNamed)
	}
	all := make([]Findings, len(looks))
	group, ctx := errgroup.WithContext(ctx)
	for i, look := range looks {
		group.Go(func() (err error) {
			all[i], err = look(ctx, c, text)
			if boathook.IsKind(err, boathook.NotFound) {
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return Findings{}, err
	}
	var found Findings
	for _, f := range all {
		for _, one := range f.Found {
			if !slices.Contains(found.Found, one) {
				found.Found = append(found.Found, one)
			}
		}
		found.Partial = found.Partial || f.Partial
	}
	if len(found.Found) > maxFindings {
		found.Found, found.Partial = found.Found[:maxFindings], true
	}
	return found, nil
}

// isSourceID reports whether a text begins as a source's id does.
func isSourceID(text string) bool {
	return slices.ContainsFunc([]string{
		boathook.DeploymentID, boathook.CrewID, boathook.AgentID, boathook.RepositoryID, boathook.AppID, boathook.CustomerID, boathook.AlertsID,
	}, func(kind string) bool { return boathook.HasIDKind(text, kind) })
}

// one is a single finding.
func one(f Finding) Findings { return Findings{Found: []Finding{f}} }

func (k Search) findRun(ctx context.Context, c Caller, id string) (Findings, error) {
	head, err := k.cfg.Store.RunHead(ctx, id)
	if err != nil || head.WorkspaceID != c.Workspace {
		return Findings{}, err
	}
	return one(ofRun(head)), nil
}

func ofRun(head boathook.RunHead) Finding {
	return Finding{What: FoundRun, ID: head.ID, Source: SourceRef{Kind: boathook.KindOf(head.SourceID), ID: head.SourceID}}
}

func (k Search) findDelivery(ctx context.Context, c Caller, text string) (Findings, error) {
	id, err := deliveryID(text)
	if err != nil {
		return Findings{}, err
	}
	d, err := k.cfg.Store.Delivery(ctx, c.Workspace, id)
	if err != nil {
		return Findings{}, err
	}
	return one(Finding{What: FoundDelivery, ID: text, Name: string(d.EventType), Source: SourceRef{Kind: boathook.KindOf(d.SourceID), ID: d.SourceID}}), nil
}

func (k Search) findSource(ctx context.Context, c Caller, id string) (Findings, error) {
	s, err := k.cfg.Store.Source(ctx, c.Workspace, id)
	if boathook.IsKind(err, boathook.NotFound) && !isSourceID(id) {
		s, err = k.cfg.Store.CustomerByExternalID(ctx, c.Workspace, id)
	}
	if err != nil {
		return Findings{}, err
	}
	return one(ofSource(s)), nil
}

func (k Search) findSession(ctx context.Context, c Caller, agentID string) (Findings, error) {
	found, err := k.findSource(ctx, c, agentID)
	for i := range found.Found {
		found.Found[i].What, found.Found[i].ID = FoundSession, boathook.ChatID(agentID)
	}
	return found, err
}

func ofSource(s boathook.Source) Finding {
	f := Finding{What: FoundSource, ID: s.ID, Name: s.Name, Source: SourceRef{Kind: s.Kind, ID: s.ID}}
	if s.Owner != "" {
		f.Name = s.Owner + "/" + s.Name
	}
	if s.Agent != nil {
		f.Source.Crew = s.Agent.CrewID
	}
	return f
}

// findSent finds the runs that a sender's delivery has started.
func (k Search) findSent(ctx context.Context, c Caller, id string) (found Findings, err error) {
	if len(id) > boathook.MaxForeignIDLength {
		return found, nil
	}
	heads, next, err := k.cfg.Store.RunHeads(ctx, store.RunQuery{WorkspaceID: c.Workspace, DeliveryID: id, Page: boathook.Page{Limit: maxFindings}})
	for _, head := range heads {
		found.Found = append(found.Found, ofRun(head))
	}
	found.Partial = next != ""
	return found, err
}

// namedKinds are the kinds of sources that are listed by themselves.
var namedKinds = []boathook.SourceKind{boathook.Deployment, boathook.Crew, boathook.Repository, boathook.App, boathook.Customer}

// newestSources are those of a workspace, up to limit of each kind.
func (k *core) newestSources(ctx context.Context, c Caller, limit int, kinds ...boathook.SourceKind) (sources []boathook.Source, partial bool, err error) {
	lists := make([][]boathook.Source, len(kinds)+1)
	more := make([]bool, len(lists))
	group, ctx := errgroup.WithContext(ctx)
	for i, kind := range kinds {
		group.Go(func() error {
			list, next, err := k.cfg.Store.Sources(ctx, c.Workspace, kind, boathook.Page{Limit: limit})
			lists[i], more[i] = list, next != ""
			return err
		})
	}
	group.Go(func() error {
		list, err := k.cfg.Store.Agents(ctx, c.Workspace, limit)
		lists[len(kinds)], more[len(kinds)] = list, len(list) == limit
		return err
	})
	err = group.Wait()
	return slices.Concat(lists...), slices.Contains(more, true), err
}

// findNamed finds sources by a part of their name: those that have it as a whole first,
// then those that begin with it.
func (k Search) findNamed(ctx context.Context, c Caller, text string) (Findings, error) {
	sources, partial, err := k.newestSources(ctx, c, maxSearched, namedKinds...)
	found := Findings{Partial: partial}
	if err != nil {
		return found, err
	}
	text = strings.ToLower(text)
	rank := func(f Finding) int {
		switch name := strings.ToLower(f.Name); {
		case name == text:
			return 0
		case strings.HasPrefix(name, text):
			return 1
		}
		return 2
	}
	for _, s := range sources {
		f := ofSource(s)
		if strings.Contains(strings.ToLower(f.Name), text) || s.Agent != nil && strings.Contains(s.Agent.Slug, text) {
			found.Found = append(found.Found, f)
		}
	}
	slices.SortStableFunc(found.Found, func(a, b Finding) int { return cmp.Compare(rank(a), rank(b)) })
	return found, nil
}

// findOutgoing finds a webhook by its newest delivery, which knows its source; one that has
// none, by asking sources.
func (k Search) findOutgoing(ctx context.Context, c Caller, id string) (Findings, error) {
	newest, _, err := k.cfg.Store.Deliveries(ctx, store.DeliveryQuery{WorkspaceID: c.Workspace, WebhookID: id, Page: boathook.Page{Limit: 1}})
	if err != nil {
		return Findings{}, err
	}
	get := func(ctx context.Context, sourceID string) (string, error) {
		w, err := k.cfg.Store.Outgoing(ctx, sourceID, id)
		return w.Name, err
	}
	if len(newest) > 0 {
		s, err := k.cfg.Store.Source(ctx, c.Workspace, newest[0].SourceID)
		if err != nil {
			return Findings{}, err
		}
		return k.askSources(ctx, FoundOutgoing, id, []boathook.Source{s}, get)
	}
	sources, partial, err := k.newestSources(ctx, c, maxAsked, namedKinds...)
	if err != nil {
		return Findings{}, err
	}
	sources = append(sources, boathook.Source{ID: boathook.NewAlertsID(c.Workspace), Kind: boathook.Alerts})
	found, err := k.askSources(ctx, FoundOutgoing, id, sources, get)
	found.Partial = partial && len(found.Found) == 0
	return found, err
}

// findIncoming finds a webhook by asking deployments.
func (k Search) findIncoming(ctx context.Context, c Caller, id string) (Findings, error) {
	sources, next, err := k.cfg.Store.Sources(ctx, c.Workspace, boathook.Deployment, boathook.Page{Limit: maxAsked})
	if err != nil {
		return Findings{}, err
	}
	found, err := k.askSources(ctx, FoundIncoming, id, sources, func(ctx context.Context, sourceID string) (string, error) {
		w, err := k.cfg.Store.Incoming(ctx, sourceID, id)
		return w.Name, err
	})
	found.Partial = next != "" && len(found.Found) == 0
	return found, err
}

// askSources asks sources, side by side, which of them has a webhook.
func (k Search) askSources(ctx context.Context, what FindingKind, id string, sources []boathook.Source, get func(ctx context.Context, sourceID string) (name string, err error)) (Findings, error) {
	names := make([]*string, len(sources))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelNames)
	for i, s := range sources {
		group.Go(func() error {
			name, err := get(ctx, s.ID)
			if boathook.IsKind(err, boathook.NotFound) {
				return nil
			}
			names[i] = &name
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return Findings{}, err
	}
	for i, name := range names {
		if name != nil {
			f := ofSource(sources[i])
			return one(Finding{What: what, ID: id, Name: *name, Source: f.Source}), nil
		}
	}
	return Findings{}, nil
}
