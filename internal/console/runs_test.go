package console_test

import (
	"strings"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

// agent makes an agent of a crew, and gives the paths of the crew and of the agent.
func (p *portals) agent() (crew, agent string) {
	p.t.Helper()
	c, err := p.service.Crews.Create(p.t.Context(), p.admin, "Back <office>")
	if err != nil {
		p.t.Fatal(err)
	}
	a, _, err := p.service.Agents.Create(p.t.Context(), p.admin, c.ID, service.AgentChange{
		Name: new("clerk"), Slug: new("clerk"), Target: &service.Target{Type: boathook.TargetHTTP, URL: new("https://agent.example/run")},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	crew = "/console/crews/" + c.ID
	return crew, crew + "/agents/" + a.ID
}

func TestAnAgentsPagesNameItsCrew(t *testing.T) {
	p := newPortals(t)
	p.signIn(adminToken)
	crew, agent := p.agent()
	for _, path := range []string{"", "/runs", "/deliveries", "/events", "/settings", "/rotate", "/delete", "/outgoing/new"} {
		p.see(200, agent+path, `href="`+crew+`">Back &lt;office&gt;</a>`)
	}
}

func TestARunsSessionLeadsToItsRuns(t *testing.T) {
	p := newPortals(t)
	p.signIn(adminToken)
	_, agent := p.agent()
	id := agent[strings.LastIndex(agent, "/")+1:]
	run := boathook.Run{RunHead: boathook.RunHead{
		ID: boathook.NewID(boathook.RunID), WorkspaceID: p.admin.Workspace, SourceID: id, Trigger: boathook.TriggerWebhook, Status: boathook.RunPending, CreatedAt: p.now,
	}, Input: boathook.NewBody([]byte(`{}`))}
	if err := p.store.CreateRun(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	session := "webhook-" + id
	p.see(200, "/console/runs/"+run.ID, "Session", session, `href="`+agent+`/runs"`)
	p.see(200, agent+"/runs", session, run.ID, "every 5s")
	if got := p.see(303, "/console/find?q="+session); got.Header.Get("Location") != agent+"/runs" {
		t.Errorf("the session leads to %s", got.Header.Get("Location"))
	}
	p.see(200, "/console/find?q=webhook-"+boathook.NewID(boathook.AgentID), "Nothing is called that")
	path := p.deployment()
	if got := p.see(200, path+"/runs"); strings.Contains(got.body, "Session") || strings.Contains(got.body, "every 5s") {
		t.Error("a deployment's runs have a session, or are asked for again though none goes on")
	}
}
