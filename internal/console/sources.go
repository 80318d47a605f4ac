package console

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

// sourceKind is a kind of source that has a list of its own.
type sourceKind struct {
	kind     boathook.SourceKind
	path     string // below /console/, and the sidebar's item
	Title    string
	One      string // as in "Add deployment"
	Icon     string
	About    string // what it is, for who has none
	add      service.Operation
	sources  func(ctx context.Context, s *service.Service, c service.Caller, p boathook.Page) ([]boathook.Source, string, error)
	create   func(ctx context.Context, s *service.Service, c service.Caller, f form) (boathook.Source, error)
	HasOwner bool
	HasID    bool // an id that the workspace gives it
}

func (k *sourceKind) Path() string { return "/console/" + k.path }

var kinds = []*sourceKind{
	{
		kind: boathook.Deployment, path: "deployments", Title: "Deployments", One: "deployment", Icon: "box", add: "Deployments.Create",
		About: "A deployment is code that runs when something posts to one of its URLs, and tells other systems how it ended.",
		sources: func(ctx context.Context, s *service.Service, c service.Caller, p boathook.Page) ([]boathook.Source, string, error) {
			return s.Deployments.List(ctx, c, p)
		},
		create: func(ctx context.Context, s *service.Service, c service.Caller, f form) (boathook.Source, error) {
			name := f.Value("name")
			return s.Deployments.Create(ctx, c, service.DeploymentChange{Name: &name})
		},
	},
	{
		kind: boathook.Crew, path: "crews", Title: "Crews and agents", One: "crew", Icon: "agent", add: "Crews.Create",
		About: "A crew is a group of agents. Each agent has a URL of its own that starts its runs.",
		sources: func(ctx context.Context, s *service.Service, c service.Caller, p boathook.Page) ([]boathook.Source, string, error) {
			return s.Crews.List(ctx, c, p)
		},
		create: func(ctx context.Context, s *service.Service, c service.Caller, f form) (boathook.Source, error) {
			return s.Crews.Create(ctx, c, f.Value("name"))
		},
	},
	{
		kind: boathook.Repository, path: "repositories", Title: "Repositories", One: "repository", Icon: "branch", add: "Repositories.Create", HasOwner: true,
		About: "A repository tells your systems of its builds, by hooks that GitHub’s clients know.",
		sources: func(ctx context.Context, s *service.Service, c service.Caller, p boathook.Page) ([]boathook.Source, string, error) {
			return s.Repositories.List(ctx, c, p)
		},
		create: func(ctx context.Context, s *service.Service, c service.Caller, f form) (boathook.Source, error) {
			return s.Repositories.Create(ctx, c, f.Value("owner"), f.Value("name"))
		},
	},
	{
		kind: boathook.App, path: "apps", Title: "Apps", One: "app", Icon: "app", add: "Apps.Create",
		About:   "An app tells your systems of its builds and deployments.",
		sources: pageOfApps,
		create: func(ctx context.Context, s *service.Service, c service.Caller, f form) (boathook.Source, error) {
			name := f.Value("name")
			return s.Apps.Create(ctx, c, service.AppChange{Name: &name})
		},
	},
	{
		kind: boathook.Customer, path: "customers", Title: "Customers", One: "customer", Icon: "users", add: "Customers.Create", HasID: true,
		About: "A customer is somebody whom you send events of your own, to webhooks that they set up themselves.",
		sources: func(ctx context.Context, s *service.Service, c service.Caller, p boathook.Page) ([]boathook.Source, string, error) {
			return s.Customers.List(ctx, c, nil, p)
		},
		create: func(ctx context.Context, s *service.Service, c service.Caller, f form) (boathook.Source, error) {
			name, external := f.Value("name"), f.Value("external_id")
			in := service.CustomerChange{Name: &name}
			if external != "" {
				id := &external
				in.ExternalID = &id
			}
			return s.Customers.Create(ctx, c, in)
		},
	},
}

// pageOfApps pages the list of apps, which has no cursors: a cursor is how many came
// before.
func pageOfApps(ctx context.Context, s *service.Service, c service.Caller, p boathook.Page) (apps []boathook.Source, next string, err error) {
	skip := 0
	if p.Cursor != "" {
		if skip, err = strconv.Atoi(p.Cursor); err != nil {
			return nil, "", boathook.InvalidField("cursor", "is not one that a list has given")
		}
	}
	apps, err = s.Apps.List(ctx, c, service.AppFilter{}, skip, p.Limit)
	if len(apps) == p.Limit {
		next = strconv.Itoa(skip + p.Limit)
	}
	return apps, next, err
}

// pageSize is how many rows a list shows at once.
const pageSize = 50

// part is the part of a list that the URL asks for.
func (r *request) part() boathook.Page {
	return boathook.Page{Limit: pageSize, Cursor: r.URL.Query().Get("cursor")}
}

// pager leads to the other parts of a list.
type pager struct {
	Count         int
	What          string
	Newest, Older string // paths; empty: there is none
}

// pager is of a list that the URL has asked for, with its filters.
func (r *request) pager(count int, what, next string) pager {
	p := pager{Count: count, What: what}
	q := r.URL.Query()
	if q.Has("cursor") {
		q.Del("cursor")
		p.Newest = withQuery(r.URL.Path, q)
	}
	if next != "" {
		q.Set("cursor", next)
		p.Older = withQuery(r.URL.Path, q)
	}
	return p
}

// sourceList lists a kind of source.
func (c *Console) sourceList(k *sourceKind) handler {
	return func(ctx context.Context, r *request) (answer, error) {
		var sources []boathook.Source
		var next string
		var err error
		if id := r.URL.Query().Get("external_id"); k.HasID && id != "" {
			sources, next, err = c.cfg.Service.Customers.List(ctx, r.caller, &id, r.part())
		} else {
			sources, next, err = k.sources(ctx, c.cfg.Service, r.caller, r.part())
		}
		if err != nil {
			return answer{}, err
		}
		return r.page("sources", view{Title: k.Title, Nav: k.path, Data: map[string]any{
			"Kind": k, "Sources": rowsOf(sources), "May": r.caller.May(k.add) == nil,
			"Pager": r.pager(len(sources), plural(len(sources), k.One, k.Many()), next),
		}})
	}
}

// Many is the plural of a kind's name.
func (k *sourceKind) Many() string { return plural(2, k.One, k.path) }

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// sourceRow is a source in a list.
type sourceRow struct {
	boathook.Source
	Path string
}

func rowsOf(sources []boathook.Source) []sourceRow {
	rows := make([]sourceRow, len(sources))
	for i, s := range sources {
		rows[i] = sourceRow{s, pathOf(refOf(s))}
	}
	return rows
}

// newSource is the form of a new source.
func (c *Console) newSource(k *sourceKind) handler {
	return func(_ context.Context, r *request) (answer, error) {
		if err := r.caller.May(k.add); err != nil {
			return answer{}, err
		}
		return r.page("source-new", newSourceView(k))
	}
}

func newSourceView(k *sourceKind) view {
	return view{Title: "Add " + k.One, Nav: k.path, Crumbs: []link{{k.Title, k.Path()}}, Data: k}
}

// createSource makes a source and goes to its page.
func (c *Console) createSource(k *sourceKind) handler {
	return func(ctx context.Context, r *request) (answer, error) {
		s, err := k.create(ctx, c.cfg.Service, r.caller, formOf(r.PostForm))
		if err != nil {
			return r.invalid("source-new", newSourceView(k), err)
		}
		return r.redirect(pathOf(refOf(s)), fmt.Sprintf("The %s %s is there", k.One, s.Name))
	}
}

// sourceHead heads each page of a source.
type sourceHead struct {
	Name, ID, Note string
	Actions        []action
	Tabs           []tab
}

type action struct {
	Text, Icon, Path string
	Main             bool
}

type tab struct {
	Text, Path string
	Current    bool
}

// source finds the source that a page is below.
func (c *Console) source(ctx context.Context, r *request, of service.SourceRef) (boathook.Source, error) {
	s := c.cfg.Service
	switch of.Kind {
	case boathook.Deployment:
		return s.Deployments.Get(ctx, r.caller, of.ID)
	case boathook.Agent:
		a, err := s.Agents.Get(ctx, r.caller, of.Crew, of.ID)
		return a.Source, err
	case boathook.Repository:
		return s.Repositories.Get(ctx, r.caller, of.ID)
	case boathook.App:
		return s.Apps.Get(ctx, r.caller, of.ID)
	case boathook.Customer:
		return s.Customers.Get(ctx, r.caller, of.ID)
	case boathook.Alerts:
		return boathook.Source{ID: of.ID, Kind: boathook.Alerts, Name: "Alerts", WorkspaceID: r.caller.Workspace}, nil
	}
	return boathook.Source{}, boathook.Errorf(boathook.NotFound, "There is no such source")
}

// nameOf is how a source is called.
func nameOf(s boathook.Source) string {
	if s.Owner != "" {
		return s.Owner + "/" + s.Name
	}
	return s.Name
}

// headOf heads the page of a source in the console below one of its tabs.
func headOf(s boathook.Source, current string) *sourceHead {
	h := &sourceHead{Name: nameOf(s), ID: s.ID}
	path := pathOf(refOf(s))
	add := func(text, name string) {
		to := path
		if name != "" {
			to += "/" + name
		}
		h.Tabs = append(h.Tabs, tab{text, to, name == current})
	}
	add("Webhooks", "")
	add("Deliveries", "deliveries")
	if s.Kind == boathook.Deployment || s.Kind == boathook.Agent {
		add("Runs", "runs")
	}
	add("Events", "events")
	if s.Kind == boathook.Deployment {
		add("Versions", "versions")
	}
	if s.Kind != boathook.Alerts {
		add("Settings", "settings")
	}
	return h
}

// headOf heads the page of a source, for who makes the request: in a portal there is one
// source, and nothing of it to set.
func (r *request) headOf(s boathook.Source, current string) *sourceHead {
	h := headOf(s, current)
	if s.Kind == boathook.Customer && r.caller.May("Customers.Portal") == nil {
		h.Actions = append(h.Actions, action{Text: "Portal link", Icon: "users", Path: pathOf(refOf(s)) + "/portal"})
	}
	if r.visit != nil {
		h.Tabs = slices.DeleteFunc(h.Tabs, func(t tab) bool { return t.Text == "Settings" })
	}
	for i := range h.Tabs {
		h.Tabs[i].Path = r.Base() + strings.TrimPrefix(h.Tabs[i].Path, "/console")
	}
	return h
}

// crumbs leads up from a page of a source, for who makes the request. An agent's crew is
// named by the pages below it, which have it in their path.
func (r *request) crumbs(s boathook.Source) []link {
	if r.visit != nil {
		return nil
	}
	for _, k := range kinds {
		if k.kind == s.Kind {
			return []link{{k.Title, k.Path()}}
		}
	}
	if s.Kind != boathook.Agent {
		return nil
	}
	up := []link{{"Crews and agents", "/console/crews"}}
	if r.crew != nil {
		up = append(up, link{r.crew(), "/console/crews/" + s.Agent.CrewID})
	}
	return up
}

// crewName finds what a crew is called, while its page's own reads are made.
func (c *Console) crewName(ctx context.Context, r *request, id string) func() string {
	name := sync.OnceValue(func() string {
		crew, err := c.cfg.Service.Crews.Get(ctx, r.caller, id)
		if err != nil { // what is wrong the page tells
			return "Crew"
		}
		return crew.Name
	})
	if r.Method == http.MethodGet { // a change shows it only if it fails
		go name()
	}
	return name
}

// below leads up from a page below a source's.
func (r *request) below(s boathook.Source) []link {
	name := nameOf(s)
	if r.visit != nil {
		name = "Webhooks"
	}
	return append(r.crumbs(s), link{name, r.pathOf(refOf(s))})
}

// navOf is the sidebar's item that a source is below.
func navOf(kind boathook.SourceKind) string {
	if kind == boathook.Agent {
		kind = boathook.Crew
	}
	for _, k := range kinds {
		if k.kind == kind {
			return k.path
		}
	}
	return string(kind)
}
