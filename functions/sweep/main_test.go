package main

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"boathook/events"
	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/store"
	"boathook/internal/testing/stack"
)

// A scheduled minute sends a retry that is due, of a delivery and of a run, fails a run whose
// runner was lost and has it retried, and closes a WebSocket that has not authenticated.
func TestAScheduledMinute(t *testing.T) {
	s := stack.New(t)
	s.Put(t, events.Servers{Target: "https://target.example", Receiver: "https://receiver.example"})
	built, err := build(t.Context(), stack.Config[config](t, s), s.SDK)
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, past := t.Context(), time.Now().Add(-time.Minute)

	e := boathook.Event{ID: "evt_a", Time: past}
	d := boathook.Delivery{
		ID: boathook.NewDeliveryID(&e, events.OutgoingID), WorkspaceID: events.WorkspaceID, SourceID: events.DeploymentID,
		WebhookID: events.OutgoingID, EventID: e.ID, EventType: boathook.EventRunSucceeded, Body: boathook.NewBody([]byte(`{"a":1}`)),
		Status: boathook.DeliveryRetrying, Attempts: 1, NextAttemptAt: past,
	}
	must(s.Store.RecordAttempt(ctx, d, boathook.Attempt{Number: 1, SentAt: past, Error: "answered 500"}))
	payload, err := queue.EncodeWaiting(queue.Delivery{Delivery: d, Attempt: 2, First: 1})
	must(err)
	must(s.Store.PutDue(ctx, store.ScheduledRetry(d.ID, 2, 1, past, payload)))

	must(s.Store.CreateRun(ctx, boathook.Run{
		RunHead: boathook.RunHead{
			ID: events.RunID, WorkspaceID: events.WorkspaceID, SourceID: events.DeploymentID, VersionID: events.VersionID,
			Environment: boathook.Production, Status: boathook.RunRunning, CreatedAt: past, StartedAt: past,
			Claim: boathook.Claim{ID: "claim_a", LeaseUntil: past},
		},
		Input: boathook.NewBody([]byte(`{}`)),
	}))
	must(s.Store.PutDue(ctx, store.ScheduledCheck(events.RunID, past)))

	pending := boathook.Run{
		RunHead: boathook.RunHead{
			ID: boathook.NewID(boathook.RunID), WorkspaceID: events.WorkspaceID, SourceID: events.DeploymentID, VersionID: events.VersionID,
			Environment: boathook.Production, Status: boathook.RunPending, CreatedAt: past, RetryNumber: 1, StartsAt: past,
		},
		Input: boathook.NewBody([]byte(`{}`)),
	}
	must(s.Store.CreateRun(ctx, pending))
	must(s.Store.PutDue(ctx, store.ScheduledStart(pending.ID, past)))
	deployment, err := s.Store.Source(ctx, events.WorkspaceID, events.DeploymentID)
	must(err)
	deployment.Deployment = &boathook.DeploymentSettings{Retry: boathook.RunRetries{Max: 1, Backoff: time.Minute}}
	must(s.Store.PutSource(ctx, deployment))

	must(s.Store.PutConnection(ctx, boathook.Connection{ID: events.ConnectionID, ConnectedAt: past}))
	must(s.Store.PutDue(ctx, store.Due{At: past, ID: events.ConnectionID, Kind: store.DueConnection}))

	payload, err = json.Marshal(events.Load[awsevents.EventBridgeEvent](t, "sweep/scheduled-minute"))
	must(err)
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	_, err = lambda.NewHandler(built).Invoke(ctx, payload)
	must(err)

	retries, err := s.Retries.Receive(ctx, 10, 0)
	must(err)
	if len(retries) != 1 {
		t.Fatalf("%d retries are queued", len(retries))
	}
	if got, err := queue.DecodeDelivery(retries[0].Body); err != nil || got.ID != d.ID || got.Attempt != 2 || got.Body.String() != `{"a":1}` {
		t.Errorf("queued %+v, %v", got, err)
	}
	if !s.WebSockets.Gone(events.ConnectionID) {
		t.Error("the WebSocket is still open")
	}
	run, err := s.Store.Run(ctx, events.WorkspaceID, events.RunID)
	must(err)
	if run.Status != boathook.RunFailed || run.Error != "runner lost" || !run.Published {
		t.Errorf("the run is %+v", run.RunHead)
	}
	starts, err := s.Runs.Receive(ctx, 10, 0)
	must(err)
	if len(starts) != 1 {
		t.Fatalf("%d runs are queued", len(starts))
	}
	if got, err := queue.DecodeRun(starts[0].Body); err != nil || got.ID != pending.ID {
		t.Errorf("queued %+v, %v", got.RunHead, err)
	}
	if next, err := s.Store.RunHead(ctx, run.RetriedBy.RunID); err != nil || next.Status != boathook.RunPending || next.RetryOf != events.RunID {
		t.Errorf("the lost run is retried by %+v, %v", next, err)
	}
	ends, err := s.Deliveries.Receive(ctx, 10, 0)
	must(err)
	if len(ends) != 1 {
		t.Errorf("%d deliveries of the run's end are queued", len(ends))
	}
}

func TestTheTemplateGivesWhatTheConfigurationReads(t *testing.T) {
	stack.CheckVariables[config](t, "SweepFunction")
}
