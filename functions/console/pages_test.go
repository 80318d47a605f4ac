package main

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"boathook/events"
	"boathook/internal/boathook"
	"boathook/internal/testing/stack"
)

const maxRequests = 25 // of a page

// Whoever has looked at one page waits for the store twice at most when they open another,
// also for the names of what it lists, and thrice for a feed. The process runs in a bubble in which each answer of AWS takes a second; its
// first page reads the secrets, too, and a token's holder is found again for each.
func TestAPageTakesFewRoundTrips(t *testing.T) {
	f := newFunction(t, nil)
	paths := furnish(f)
	if got := f.send(events.Load[request](t, "console/sign-in")); got.StatusCode != http.StatusSeeOther {
		t.Fatalf("answered %d %s", got.StatusCode, got.Body)
	}
	o := stack.NewOutside(t, f.SDK.HTTPClient)
	settings := stack.Config[config](t, f.Stack)
	for _, path := range paths {
		most := 2
		if strings.HasSuffix(path, "/events") {
			most = 3 // the source says for how long events are kept, the feed's counter where they are
		}
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sdk := f.SDK.Copy()
				sdk.HTTPClient = o
				handler, err := build(t.Context(), settings, sdk)
				if err != nil {
					t.Fatal(err)
				}
				e := events.Load[request](t, "console/not-signed-in")
				e.Cookies = f.cookies
				e.RawPath = "/console/deployments"
				stack.Invoke[request, response](t, handler, e)
				o.Calls()
				began := time.Now()
				e.RawPath, e.RawQueryString, _ = strings.Cut(path, "?")
				got := stack.Invoke[request, response](t, handler, e)
				trips, calls := int(time.Since(began)/stack.RoundTrip), o.Calls()
				if got.StatusCode != http.StatusOK {
					t.Errorf("%s: answered %d %s", path, got.StatusCode, got.Body)
				}
				if trips > most || len(calls) > maxRequests {
					t.Errorf("%s takes %d requests in %d round trips: %v", path, len(calls), trips, calls)
				}
			})
		})
	}
}

// furnish puts something to show into the store, and gives the pages that show it.
func furnish(f *function) (paths []string) {
	f.t.Helper()
	ctx, now := f.t.Context(), time.Now()
	const workspace = "ws_default"
	ok := func(err error) {
		f.t.Helper()
		if err != nil {
			f.t.Fatal(err)
		}
	}
	deployment := boathook.Source{ID: boathook.NewID(boathook.DeploymentID), WorkspaceID: workspace, Kind: boathook.Deployment, Name: "nightly reports", CreatedAt: now}
	customer := boathook.Source{
		ID: boathook.NewID(boathook.CustomerID), WorkspaceID: workspace, Kind: boathook.Customer, Name: "Acme", CreatedAt: now,
		Customer: &boathook.CustomerSettings{ExternalID: "acme"},
	}
	webhook := boathook.OutgoingWebhook{
		ID: boathook.NewID(boathook.OutgoingID), WorkspaceID: workspace, SourceID: deployment.ID, Name: "status", URL: "https://receiver.example/in",
		Events: []boathook.EventType{boathook.EventRunFailed}, Environment: boathook.Production, Dialect: "crewship", Format: boathook.Raw, Enabled: true, CreatedAt: now,
	}
	deployment.Feed = &boathook.FeedSettings{RetentionDays: 7}
	ok(f.Store.PutSource(ctx, deployment))
	ok(f.Store.PutSource(ctx, customer))
	ok(f.Store.PutOutgoing(ctx, webhook))
	ok(f.Store.PutIncoming(ctx, boathook.IncomingWebhook{
		ID: boathook.NewID(boathook.IncomingID), WorkspaceID: workspace, SourceID: deployment.ID, Name: "CI", Environment: boathook.Production, Enabled: true, CreatedAt: now,
	}))
	run := boathook.Run{RunHead: boathook.RunHead{
		ID: boathook.NewID(boathook.RunID), WorkspaceID: workspace, SourceID: deployment.ID, Environment: boathook.Production, Trigger: boathook.TriggerWebhook,
		Status: boathook.RunFailed, CreatedAt: now, StartedAt: now, CompletedAt: now, Error: "exit status 1",
	}, Input: boathook.NewBody([]byte(`{"n":1}`))}
	ok(f.Store.CreateRun(ctx, run))
	event, _ := run.Event()
	d := boathook.Delivery{
		ID: boathook.NewDeliveryID(&event, webhook.ID), WorkspaceID: workspace, SourceID: deployment.ID, WebhookID: webhook.ID, EventID: event.ID, EventType: event.Type,
		Environment: boathook.Production, Body: boathook.NewBody(event.Data), Status: boathook.DeliveryFailed, Attempts: 1,
	}
	ok(f.Store.EnterDeliveries(ctx, d))
	ok(f.Store.RecordAttempt(ctx, d, boathook.Attempt{Number: 1, SentAt: now, Response: &boathook.Response{Status: 500, Body: []byte("no")}, Error: "answered 500"}))
	at := "/console/deployments/" + deployment.ID
	out := at + "/outgoing/" + webhook.ID
	return []string{
		"/console/", "/console/deliveries?status=failed", "/console/deliveries/" + d.ID.String(), "/console/runs/" + run.ID,
		"/console/deployments", "/console/crews", "/console/repositories", "/console/apps", "/console/customers",
		"/console/deliveries", at, at + "/events", at + "/deliveries", at + "/settings",
		at + "/outgoing/new", out, out + "/edit", out + "/rotate", out + "/delete", out + "/recover", out + "/replay",
		"/console/runs", at + "/runs", "/console/customers/" + customer.ID, "/console/customers/" + customer.ID + "/portal",
		"/console/portal-settings", "/console/alerts", "/console/event-types",
	}
}
