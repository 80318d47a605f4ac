package console

import (
	"context"
	"net/http"
	"net/url"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

// routes has every page and every change.
func (c *Console) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /console", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/console/", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /console/sign-in", c.signInPage)
	mux.HandleFunc("POST /console/sign-in", c.signIn)
	c.post(mux, "/console/sign-out", c.signOut)
	c.get(mux, "/console/", c.notFound)
	c.get(mux, "/console/{$}", c.overview)

	for _, k := range kinds {
		c.get(mux, "/console/"+k.path, c.sourceList(k))
		c.get(mux, "/console/"+k.path+"/new", c.newSource(k))
		c.post(mux, "/console/"+k.path, c.createSource(k))
	}
	c.get(mux, "/console/deliveries", c.deliveries)
	c.get(mux, "/console/deliveries/{delivery}", c.deliveryPage)
	c.post(mux, "/console/deliveries/{delivery}/resend", c.resend)

	for _, p := range places {
		c.get(mux, p.path, p.at(c.webhooks))
		c.get(mux, p.path+"/deliveries", p.at(c.sourceDeliveries))
		if _, ok := settings[p.kind]; ok {
			c.get(mux, p.path+"/settings", p.at(c.settingsPage))
			c.post(mux, p.path+"/settings", p.at(c.saveSettings))
			c.get(mux, p.path+"/delete", p.at(c.askDelete))
			c.post(mux, p.path+"/delete", p.at(c.deleteSource))
		}
		c.get(mux, p.path+"/outgoing/new", p.at(c.newOutgoing))
		c.post(mux, p.path+"/outgoing", p.at(c.createOutgoing))
		c.post(mux, p.path+"/outgoing/preview", p.at(c.preview))
		out := p.path + "/outgoing/{out}"
		c.get(mux, out, p.at(c.outgoingPage))
		c.get(mux, out+"/edit", p.at(c.editOutgoing))
		c.post(mux, out+"/edit", p.at(c.saveOutgoing))
		c.post(mux, out+"/enabled", p.at(c.switchOutgoing))
		c.post(mux, out+"/test", p.at(c.testOutgoing))
		c.get(mux, out+"/rotate", p.at(c.ask("rotate", "Rotate the secret", "Outgoing.RotateSecret")))
		c.post(mux, out+"/rotate", p.at(c.rotate))
		c.get(mux, out+"/delete", p.at(c.ask("outgoing-delete", "Delete webhook", "Outgoing.Delete")))
		c.post(mux, out+"/delete", p.at(c.deleteOutgoing))
		c.get(mux, out+"/recover", p.at(c.ask("recover", "Recover deliveries", "Outgoing.Recover")))
		c.post(mux, out+"/recover", p.at(c.recover))
		c.get(mux, out+"/replay", p.at(c.ask("replay", "Replay events", "Outgoing.Replay")))
		c.post(mux, out+"/replay", p.at(c.replay))
	}
}

func (c *Console) notFound(context.Context, *request) (answer, error) {
	return answer{}, boathook.Errorf(boathook.NotFound, "There is no such page")
}

// place is where the pages of a kind of source are.
type place struct {
	kind boathook.SourceKind
	path string // with wildcards source and, of an agent, crew
}

// places are all kinds of sources that have webhooks.
var places = []place{
	{boathook.Deployment, "/console/deployments/{source}"},
	{boathook.Agent, "/console/crews/{crew}/agents/{source}"},
	{boathook.Repository, "/console/repositories/{source}"},
	{boathook.App, "/console/apps/{source}"},
	{boathook.Customer, "/console/customers/{source}"},
	{boathook.Alerts, "/console/alerts"},
}

// ofSource is a handler of a page below a source's.
type ofSource func(ctx context.Context, r *request, of service.SourceRef) (answer, error)

// at makes a handler for this kind of source.
func (p place) at(h ofSource) handler {
	return func(ctx context.Context, r *request) (answer, error) {
		of := service.SourceRef{Kind: p.kind, ID: r.PathValue("source"), Crew: r.PathValue("crew")}
		if p.kind == boathook.Alerts {
			of = service.Alerts(r.caller.Workspace)
		}
		return h(ctx, r, of)
	}
}

// pathOf is where the pages of a source are.
func pathOf(of service.SourceRef) string {
	switch of.Kind {
	case boathook.Alerts:
		return "/console/alerts"
	case boathook.Agent:
		return "/console/crews/" + of.Crew + "/agents/" + of.ID
	}
	for _, k := range kinds {
		if k.kind == of.Kind {
			return "/console/" + k.path + "/" + of.ID
		}
	}
	return "/console/"
}

// refOf names a source.
func refOf(s boathook.Source) service.SourceRef {
	of := service.SourceRef{Kind: s.Kind, ID: s.ID}
	if s.Agent != nil {
		of.Crew = s.Agent.CrewID
	}
	return of
}

// withQuery is a path with a query, if it has one.
func withQuery(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}
