package console

import (
	"context"
	"net/http"
	"net/url"
	"strings"

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
	customer := place{boathook.Customer, "/console/customers/{source}"}
	c.get(mux, customer.path+"/portal", customer.at(c.askPortal))
	c.post(mux, customer.path+"/portal", customer.at(c.makePortal))
	c.get(mux, "/console/events", c.publishForm)
	c.post(mux, "/console/events", c.publish)
	c.eventTypeRoutes(mux)
	c.get(mux, "/console/portal-settings", c.portalSettings)
	c.post(mux, "/console/portal-settings", c.savePortalSettings)
	c.get(mux, "/console/deliveries", c.deliveries)
	c.get(mux, "/console/deliveries/{delivery}", c.deliveryPage)
	c.post(mux, "/console/deliveries/{delivery}/resend", c.resend)

	c.runRoutes(mux)
	c.versionRoutes(mux)
	c.agentRoutes(mux)
	c.get(mux, "/console/find", c.find)
	c.get(mux, "/console/tokens", c.tokens)
	c.get(mux, "/console/tokens/new", c.newToken)
	c.post(mux, "/console/tokens", c.createToken)
	c.get(mux, "/console/tokens/{token}/delete", c.askDeleteToken)
	c.post(mux, "/console/tokens/{token}/delete", c.deleteToken)
	c.get(mux, "/console/operations", c.operations)
	c.get(mux, "/console/operations/{queue}/redrive", c.askRedrive)
	c.post(mux, "/console/operations/{queue}/redrive", c.redrive)

	for _, p := range places {
		c.post(mux, p.path+"/events", p.at(c.keepEvents))
		if k, ok := settings[p.kind]; ok {
			c.get(mux, p.path+"/settings", p.at(c.settingsPage))
			if k.save != nil {
				c.post(mux, p.path+"/settings", p.at(c.saveSettings))
			}
			c.get(mux, p.path+"/delete", p.at(c.askDelete))
			c.post(mux, p.path+"/delete", p.at(c.deleteSource))
		}
		get := func(path string, h ofSource) { c.get(mux, path, p.at(h)) }
		post := func(path string, h ofSource) { c.post(mux, path, p.at(h)) }
		c.outgoingRoutes(p, get, post)
		if p.kind == boathook.Deployment {
			c.incomingRoutes(p, get, post)
		}
	}
}

// outgoingRoutes has the pages and the changes of a source's outgoing webhooks, of the
// console and of customers' portals.
func (c *Console) outgoingRoutes(p place, get, post func(path string, h ofSource)) {
	out := p.path + "/outgoing/{out}"
	get(p.path, c.webhooks)
	get(p.path+"/deliveries", c.sourceDeliveries)
	get(p.path+"/events", c.events)
	get(p.path+"/events/{event}", c.eventPage)
	get(p.path+"/outgoing/new", c.newOutgoing)
	post(p.path+"/outgoing", c.createOutgoing)
	post(p.path+"/outgoing/preview", c.preview)
	get(out, c.outgoingPage)
	get(out+"/edit", c.editOutgoing)
	post(out+"/edit", c.saveOutgoing)
	post(out+"/enabled", c.switchOutgoing)
	post(out+"/test", c.testOutgoing)
	get(out+"/rotate", c.ask("rotate", "Rotate the secret", "Outgoing.RotateSecret"))
	post(out+"/rotate", c.rotate)
	get(out+"/delete", c.ask("outgoing-delete", "Delete webhook", "Outgoing.Delete"))
	post(out+"/delete", c.deleteOutgoing)
	get(out+"/recover", c.ask("recover", "Recover deliveries", "Outgoing.Recover"))
	post(out+"/recover", c.recover)
	get(out+"/replay", c.ask("replay", "Replay events", "Outgoing.Replay"))
	post(out+"/replay", c.replay)
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
		if p.kind == boathook.Agent {
			r.crew = r.console.crewName(ctx, r, of.Crew)
		}
		return h(ctx, r, of)
	}
}

// pathOf is where the pages of a source are, for who makes the request.
func (r *request) pathOf(of service.SourceRef) string {
	return r.Base() + strings.TrimPrefix(pathOf(of), "/console")
}

// deliveriesPath lists the deliveries of all webhooks that the caller can see.
func (r *request) deliveriesPath() string {
	if r.visit != nil {
		return r.pathOf(portalOf(r.caller)) + "/deliveries"
	}
	return "/console/deliveries"
}

// pathOf is where the pages of a source are in the console.
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
