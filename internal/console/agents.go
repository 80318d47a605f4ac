package console

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// agentRoutes has the pages of crews and of how agents are set up.
func (c *Console) agentRoutes(mux *http.ServeMux) {
	const crew = "/console/crews/{crew}"
	c.get(mux, crew, c.crewPage)
	c.post(mux, crew, c.renameCrew)
	c.get(mux, crew+"/delete", c.askDeleteCrew)
	c.post(mux, crew+"/delete", c.deleteCrew)
	c.get(mux, crew+"/agents/new", c.newAgent)
	c.post(mux, crew+"/agents", c.createAgent)
	for _, p := range places {
		if p.kind == boathook.Agent {
			c.get(mux, p.path+"/settings", p.at(c.agentSettings))
			c.post(mux, p.path+"/settings", p.at(c.saveAgent))
			c.post(mux, p.path+"/secret", p.at(c.showAgentSecret))
			c.get(mux, p.path+"/rotate", p.at(c.askRotateAgent))
			c.post(mux, p.path+"/rotate", p.at(c.rotateAgent))
			c.get(mux, p.path+"/delete", p.at(c.askDelete))
			c.post(mux, p.path+"/delete", p.at(c.deleteAgent))
		}
	}
}

// crewPage lists a crew's agents.
func (c *Console) crewPage(ctx context.Context, r *request) (answer, error) {
	v, err := c.crewView(ctx, r)
	if err != nil {
		return answer{}, err
	}
	return r.page("crew", v)
}

func (c *Console) crewView(ctx context.Context, r *request) (view, error) {
	id := r.PathValue("crew")
	var crew boathook.Source
	var agents []boathook.Source
	var next string
	err := beside(func() (err error) {
		crew, err = c.cfg.Service.Crews.Get(ctx, r.caller, id)
		return err
	}, func() (err error) {
		agents, next, err = c.cfg.Service.Agents.List(ctx, r.caller, id, r.part())
		return err
	})
	if err != nil {
		return view{}, err
	}
	return view{Title: crew.Name, Nav: "crews", Crumbs: []link{{"Crews and agents", "/console/crews"}}, Data: map[string]any{
		"Crew": crew, "Agents": rowsOf(agents), "Path": "/console/crews/" + crew.ID,
		"MayAdd": r.caller.May("Agents.Create") == nil, "MayChange": r.caller.May("Crews.Rename") == nil, "MayDelete": r.caller.May("Crews.Delete") == nil,
		"Pager": r.pager(len(agents), plural(len(agents), "agent", "agents"), next),
	}}, nil
}

func (c *Console) renameCrew(ctx context.Context, r *request) (answer, error) {
	name := r.PostForm.Get("name")
	crew, err := c.cfg.Service.Crews.Rename(ctx, r.caller, r.PathValue("crew"), &name)
	if err != nil {
		v, other := c.crewView(ctx, r)
		if other != nil {
			return answer{}, other
		}
		return r.invalid("crew", v, err)
	}
	return r.redirect("/console/crews/"+crew.ID, "The crew is called "+crew.Name)
}

func (c *Console) askDeleteCrew(ctx context.Context, r *request) (answer, error) {
	crew, err := c.cfg.Service.Crews.Get(ctx, r.caller, r.PathValue("crew"))
	if err != nil {
		return answer{}, err
	}
	path := "/console/crews/" + crew.ID
	return r.page("crew-delete", view{
		Title: "Delete " + crew.Name, Nav: "crews", Crumbs: []link{{"Crews and agents", "/console/crews"}, {crew.Name, path}},
		Data: map[string]any{"Name": crew.Name, "Path": path},
	})
}

func (c *Console) deleteCrew(ctx context.Context, r *request) (answer, error) {
	if err := c.cfg.Service.Crews.Delete(ctx, r.caller, r.PathValue("crew")); err != nil {
		return answer{}, err
	}
	return r.redirect("/console/crews", "The crew is deleted")
}

func (c *Console) newAgent(ctx context.Context, r *request) (answer, error) {
	if err := r.caller.May("Agents.Create"); err != nil {
		return answer{}, err
	}
	crew, err := c.cfg.Service.Crews.Get(ctx, r.caller, r.PathValue("crew"))
	if err != nil {
		return answer{}, err
	}
	return r.page("agent-new", newAgentView(crew))
}

func newAgentView(crew boathook.Source) view {
	path := "/console/crews/" + crew.ID
	return view{
		Title: "Add agent", Nav: "crews", Crumbs: []link{{"Crews and agents", "/console/crews"}, {crew.Name, path}},
		Data: map[string]any{"Path": path, "Types": targetTypes},
	}
}

// createAgent makes an agent and shows its secret.
func (c *Console) createAgent(ctx context.Context, r *request) (answer, error) {
	f := formOf(r.PostForm)
	name, slug := f.Value("name"), f.Value("slug")
	in := service.AgentChange{Name: &name, Slug: &slug}
	var err error
	var a service.LiveAgent
	var secret string
	if in.Target, err = targetOf(f); err == nil {
		a, secret, err = c.cfg.Service.Agents.Create(ctx, r.caller, r.PathValue("crew"), in)
	}
	if err != nil {
		crew, other := c.cfg.Service.Crews.Get(ctx, r.caller, r.PathValue("crew"))
		if other != nil {
			return answer{}, other
		}
		return r.invalid("agent-new", newAgentView(crew), ofTarget(err))
	}
	r.crew = c.crewName(ctx, r, a.Agent.CrewID)
	return r.page("agent-settings", c.agentView(r, a, nil, shownSecret{secret, "The agent is there. Copy its secret, or have it shown again later: an admin can."}))
}

// shownSecret is a secret on the page that answers to who asked for it.
type shownSecret struct{ Text, Note string }

// agentSettings shows how an agent is set up, without its secret.
func (c *Console) agentSettings(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	a, err := c.cfg.Service.Agents.Get(ctx, r.caller, of.Crew, of.ID)
	if err != nil {
		return answer{}, err
	}
	return r.page("agent-settings", c.agentView(r, a, nil, shownSecret{}))
}

func (c *Console) agentView(r *request, a service.LiveAgent, typed form, secret shownSecret) view {
	if typed == nil {
		typed = form{}
		typed.set("name", a.Name)
		typed.set("slug", a.Agent.Slug)
		typed.set("rate_per_minute", strconv.Itoa(a.Agent.RatePerMinute))
		typed.set("max_in_flight", strconv.Itoa(a.Agent.MaxInFlight))
		for name, on := range map[string]bool{"require_timestamp": a.Agent.RequireTimestamp, "keep_plain_secret": a.Agent.KeepPlainSecret, "fence_payload": a.Agent.FencePayload} {
			if on {
				typed.set(name, "true")
			}
		}
		formOfTarget(typed, a.Version.Target)
	}
	path := pathOf(refOf(a.Source))
	trigger := httpjson.PublicURL(r.Request, c.cfg.PublicURL) + "/api/v1/webhooks/" + a.Agent.CrewID + "/" + a.ID + "/trigger"
	return view{
		Title: "Settings of " + a.Name, Nav: "crews", Crumbs: r.crumbs(a.Source), Source: headOf(a.Source, "settings"), Form: typed,
		Data: map[string]any{
			"Agent": a, "Path": path, "Trigger": trigger, "Panes": triggers(trigger), "Types": targetTypes, "Secret": secret,
			"MayChange": r.caller.May("Agents.Change") == nil, "MayTarget": r.caller.Role.Allows(boathook.Admin), "MayShow": r.caller.May("Agents.Secret") == nil,
			"MayRotate": r.caller.May("Agents.RotateSecret") == nil, "MayDelete": r.caller.May("Agents.Delete") == nil,
			"Target": targetText(a.Version.Target), "Type": targetName(a.Version.Target),
		},
	}
}

// triggers are programs that start an agent, signed. They run as pasted, with
// WEBHOOK_SECRET set.
func triggers(url string) []pane {
	var panes []pane
	for _, l := range []struct{ text, file string }{{"Shell", "trigger.sh"}, {"GitHub Actions", "trigger.yaml"}, {"Python", "trigger.py"}} {
		code, err := snippets.ReadFile("snippets/" + l.file)
		if err != nil {
			return nil
		}
		panes = append(panes, pane{l.text, strings.ReplaceAll(string(code), "TRIGGER_URL", url)})
	}
	return panes
}

func (c *Console) saveAgent(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	f := formOf(r.PostForm)
	a, err := c.cfg.Service.Agents.Get(ctx, r.caller, of.Crew, of.ID)
	if err != nil {
		return answer{}, err
	}
	in, err := agentChange(f, a)
	if err == nil {
		_, err = c.cfg.Service.Agents.Change(ctx, r.caller, of.Crew, of.ID, in)
	}
	if err != nil {
		return r.invalid("agent-settings", c.agentView(r, a, f, shownSecret{}), ofTarget(err))
	}
	return r.redirect(pathOf(of)+"/settings", "The settings are saved")
}

// agentChange reads the settings. A target that was not changed is left out: it is an
// admin's to set.
func agentChange(f form, a service.LiveAgent) (in service.AgentChange, err error) {
	name, slug := f.Value("name"), f.Value("slug")
	in = service.AgentChange{Name: &name, Slug: &slug}
	if in.RatePerMinute, err = numberOf(f, "rate_per_minute"); err != nil {
		return in, err
	}
	if in.MaxInFlight, err = numberOf(f, "max_in_flight"); err != nil {
		return in, err
	}
	for name, into := range map[string]**bool{"require_timestamp": &in.RequireTimestamp, "keep_plain_secret": &in.KeepPlainSecret, "fence_payload": &in.FencePayload} {
		on := f.Is(name, "true")
		*into = &on
	}
	if f.Value("type") != "" && !sameTarget(f, a.Version.Target) {
		in.Target, err = targetOf(f)
	}
	return in, err
}

// showAgentSecret shows an agent's secret again. The service logs who asked.
func (c *Console) showAgentSecret(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	var a service.LiveAgent
	var secret string
	err := beside(func() (err error) {
		a, err = c.cfg.Service.Agents.Get(ctx, r.caller, of.Crew, of.ID)
		return err
	}, func() (err error) {
		secret, err = c.cfg.Service.Agents.Secret(ctx, r.caller, of.Crew, of.ID)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	return r.page("agent-settings", c.agentView(r, a, nil, shownSecret{secret, "That you have seen it is in the log."}))
}

func (c *Console) askRotateAgent(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	if err := r.caller.May("Agents.RotateSecret"); err != nil {
		return answer{}, err
	}
	a, err := c.cfg.Service.Agents.Get(ctx, r.caller, of.Crew, of.ID)
	if err != nil {
		return answer{}, err
	}
	return r.page("agent-rotate", view{
		Title: "Regenerate the secret of " + a.Name, Nav: "crews", Crumbs: append(r.crumbs(a.Source), link{a.Name, pathOf(of)}),
		Data: map[string]any{"Name": a.Name, "Path": pathOf(of)},
	})
}

func (c *Console) rotateAgent(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	a, err := c.cfg.Service.Agents.Get(ctx, r.caller, of.Crew, of.ID) // it is of that crew
	if err != nil {
		return answer{}, err
	}
	secret, _, err := c.cfg.Service.Agents.RotateSecret(ctx, r.caller, of.ID)
	if err != nil {
		return answer{}, err
	}
	return r.page("agent-settings", c.agentView(r, a, nil, shownSecret{secret, "This is the new secret. The one before it is accepted no more."}))
}

func (c *Console) deleteAgent(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	if err := c.cfg.Service.Agents.Delete(ctx, r.caller, of.Crew, of.ID); err != nil {
		return answer{}, err
	}
	return r.redirect("/console/crews/"+of.Crew, "The agent is deleted")
}
