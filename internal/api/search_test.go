package api_test

import (
	"strings"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

func TestThingsAreFoundByTheirIdAndSourcesByTheirName(t *testing.T) {
	a := newAPI(t)
	deployment, agent := a.deployment(), a.agent()
	a.ask(200, "PATCH", deployment, `{"name":"Nightly import"}`)
	repository := a.ask(201, "POST", "/v1/repositories", `{"owner":"kestrel","name":"freight"}`).text("id")
	customer := a.ask(201, "POST", "/v1/customers", `{"name":"Halvard","external_id":"acct 7"}`).text("id")
	in, out := a.incoming(deployment).text("id"), a.outgoing(agent).text("id")
	sent := a.outgoing(deployment).text("id")
	delivery := a.record(idOf(deployment), sent, failedAttempt(1)).String()
	run := boathook.Run{RunHead: boathook.RunHead{
		ID: boathook.NewID(boathook.RunID), WorkspaceID: "ws_local", SourceID: idOf(deployment), VersionID: "ver_a", Environment: boathook.Production,
		Trigger: boathook.TriggerWebhook, Status: boathook.RunPending, CreatedAt: a.clock.Now(), Details: boathook.TriggerDetails{DeliveryID: "72d3162e-cc78-11e3-81ab-4c9367dc0958"},
	}, Input: boathook.NewBody([]byte(`{}`))}
	if err := a.store.CreateRun(t.Context(), run); err != nil {
		t.Fatal(err)
	}

	s := service.New(a.config.Config)
	viewer := service.Caller{Workspace: "ws_local", Role: boathook.Viewer}
	for text, want := range map[string]struct {
		what     service.FindingKind
		id, name string
		source   string
	}{
		idOf(deployment):       {service.FoundSource, idOf(deployment), "Nightly import", idOf(deployment)},
		" night ":              {service.FoundSource, idOf(deployment), "Nightly import", idOf(deployment)},
		"kestrel/":             {service.FoundSource, repository, "kestrel/freight", repository},
		"acct 7":               {service.FoundSource, customer, "Halvard", customer},
		in:                     {service.FoundIncoming, in, "ci", idOf(deployment)},
		out:                    {service.FoundOutgoing, out, "", idOf(agent)},
		sent:                   {service.FoundOutgoing, sent, "", idOf(deployment)},
		run.ID:                 {service.FoundRun, run.ID, "", idOf(deployment)},
		run.Details.DeliveryID: {service.FoundRun, run.ID, "", idOf(deployment)},
		delivery:               {service.FoundDelivery, delivery, "", idOf(deployment)},
	} {
		found, err := s.Search.Find(t.Context(), viewer, text)
		if err != nil || len(found.Found) != 1 || found.Partial {
			t.Errorf("%q: %+v, %v", text, found, err)
			continue
		}
		f := found.Found[0]
		if f.What != want.what || f.ID != want.id || want.name != "" && f.Name != want.name || f.Source.ID != want.source {
			t.Errorf("%q is %+v, want %+v", text, f, want)
		}
		if f.Source.ID == idOf(agent) && (f.Source.Kind != boathook.Agent || f.Source.Crew == "") {
			t.Errorf("%q is of %+v, which is no place of an agent", text, f.Source)
		}
		other := viewer
		other.Workspace = "ws_other"
		if found, err := s.Search.Find(t.Context(), other, text); err != nil || len(found.Found) > 0 {
			t.Errorf("%q: another workspace finds %+v, %v", text, found, err)
		}
	}
	for _, text := range []string{"nobody has this name", "run_aaaaaaaaaaaaaaaaaaaaaaaa", "out_gone", "dep_ÿ", "72d3162e-cc78-11e3-81ab-000000000000"} {
		if found, err := s.Search.Find(t.Context(), viewer, text); err != nil || len(found.Found) > 0 {
			t.Errorf("%q: %+v, %v", text, found, err)
		}
	}
	for _, text := range []string{" ", strings.Repeat("x", 201)} {
		if _, err := s.Search.Find(t.Context(), viewer, text); !boathook.IsKind(err, boathook.Invalid) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

func TestTheBestNamesAreFoundFirstAndNoMoreThanAPage(t *testing.T) {
	a := newAPI(t)
	for _, name := range []string{"my job", "job 2", "job"} {
		a.ask(201, "POST", "/v1/deployments", `{"name":"`+name+`"}`)
	}
	s := service.New(a.config.Config)
	viewer := service.Caller{Workspace: "ws_local", Role: boathook.Viewer}
	found, err := s.Search.Find(t.Context(), viewer, "JOB")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range found.Found {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, ", "); got != "job, job 2, my job" {
		t.Errorf("found %s", got)
	}
	for range 51 {
		a.ask(201, "POST", "/v1/deployments", `{"name":"many"}`)
	}
	if found, err := s.Search.Find(t.Context(), viewer, "many"); err != nil || len(found.Found) != 50 || !found.Partial {
		t.Errorf("of 51 there are %d, partial: %t (%v)", len(found.Found), found.Partial, err)
	}
}
