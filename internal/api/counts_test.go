package api_test

import (
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

// The names of what a page of deliveries is of come without the deleted, and without
// another workspace's.
func TestDeliveriesHaveTheNamesOfTheirSourcesAndWebhooks(t *testing.T) {
	a := newAPI(t)
	deployment, agent := a.deployment(), a.agent()
	first, second, gone := a.outgoing(deployment).text("id"), a.outgoing(agent).text("id"), a.outgoing(deployment).text("id")
	a.ask(204, "DELETE", deployment+"/outgoing-webhooks/"+gone, "")
	operations := service.New(a.config.Config)
	asked := []boathook.Delivery{
		{SourceID: idOf(deployment), WebhookID: first}, {SourceID: idOf(agent), WebhookID: second},
		{SourceID: idOf(deployment), WebhookID: gone}, {SourceID: "dep_gone", WebhookID: "out_gone"},
	}
	viewer := service.Caller{Workspace: "ws_local", Role: boathook.Viewer}
	n, err := operations.Deliveries.Names(t.Context(), viewer, asked)
	if err != nil {
		t.Fatal(err)
	}
	if len(n.Sources) != 2 || len(n.Webhooks) != 2 || n.Webhooks[first] == "" || n.Webhooks[second] == "" ||
		n.Sources[idOf(agent)].Kind != boathook.Agent || n.Sources[idOf(deployment)].Name == "" {
		t.Errorf("the names are %+v", n)
	}
	viewer.Workspace = "ws_other"
	if n, err := operations.Deliveries.Names(t.Context(), viewer, asked); err != nil || len(n.Sources)+len(n.Webhooks) > 0 {
		t.Errorf("another workspace is told %+v, %v", n, err)
	}
}

func TestTheAttemptsOfASourceAndOfAWorkspaceAreCounted(t *testing.T) {
	a := newAPI(t)
	deployment := a.deployment()
	old := a.outgoing(deployment).text("id")
	a.clock.now = a.clock.now.Add(time.Second)
	young := a.outgoing(deployment).text("id")
	for id, n := range map[string]int{old: 1, young: 2, "ws_local": 3} {
		c := boathook.AttemptCounts{From: a.clock.Now()}
		for range n {
			c.Count(boathook.DeliverySucceeded, time.Second)
		}
		if err := a.store.CountAttempts(t.Context(), id, c); err != nil {
			t.Fatal(err)
		}
	}
	viewer := service.Caller{Workspace: "ws_local", Role: boathook.Viewer}
	operations := service.New(a.config.Config)
	of := service.SourceRef{Kind: boathook.Deployment, ID: idOf(deployment)}
	each, err := operations.Outgoing.StatsOfAll(t.Context(), viewer, of, service.StatsQuery{})
	if err != nil {
		t.Fatal(err)
	}
	last := func(s service.Stats) int { return s.Counts[24].Succeeded }
	if len(each) != 2 || each[0].WebhookID != young || last(each[0]) != 2 || each[1].WebhookID != old || last(each[1]) != 1 {
		t.Errorf("of the source there are %+v", each)
	}
	all, err := operations.Deliveries.Stats(t.Context(), viewer, service.StatsQuery{})
	if err != nil || all.WebhookID != "" || len(all.Counts) != 25 || last(all) != 3 {
		t.Errorf("of the workspace there are %+v, %v", all, err)
	}
	viewer.Workspace = "ws_other"
	if _, err := operations.Outgoing.StatsOfAll(t.Context(), viewer, of, service.StatsQuery{}); !boathook.IsKind(err, boathook.NotFound) {
		t.Errorf("another workspace gets %v", err)
	}
}
