package main

import (
	"context"
	"testing"
	"time"

	"boathook/events"
	"boathook/internal/boathook"
	"boathook/internal/store"
	"boathook/internal/testing/stack"
)

// A sweep that is cut off by Lambda tells nothing: it must end before, with what is
// left to do in the store.
func TestASweepEndsBeforeItsFunctionDoes(t *testing.T) {
	s := stack.New(t)
	built, err := build(t.Context(), stack.Config[config](t, s), s.SDK)
	if err != nil {
		t.Fatal(err)
	}
	s.Calls()
	deadline := time.Now().Add(time.Hour)
	ctx, cancel := context.WithDeadline(t.Context(), deadline)
	defer cancel()
	if err := built.(func(context.Context) error)(ctx); err != nil {
		t.Fatal(err)
	}
	calls := s.Calls()
	if len(calls) < store.DueShards {
		t.Fatalf("it looked at %d shards", len(calls))
	}
	for _, c := range calls {
		if left := deadline.Sub(c.Deadline); c.Deadline.IsZero() || left < time.Second || left > stack.Timeout(t, "SweepFunction")/2 {
			t.Fatalf("%s ends %s before the function", c.Action, left)
		}
	}
}

func TestWhatIsCountedIsPrinted(t *testing.T) {
	printed := stack.Output(t)
	s := stack.New(t)
	s.Put(t, events.Servers{Target: "https://target.example", Receiver: "https://receiver.example"})
	built, err := build(t.Context(), stack.Config[config](t, s), s.SDK)
	if err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-time.Hour)
	run := boathook.Run{
		RunHead: boathook.RunHead{
			ID: events.RunID, WorkspaceID: events.WorkspaceID, SourceID: events.DeploymentID, VersionID: events.VersionID,
			Environment: boathook.Production, Status: boathook.RunRunning, CreatedAt: past, StartedAt: past,
			Claim: boathook.Claim{ID: "claim_a", LeaseUntil: past},
		},
		Input: boathook.NewBody([]byte(`{}`)),
	}
	err = s.Store.CreateRun(t.Context(), run)
	if err == nil {
		err = s.Store.PutDue(t.Context(), store.ScheduledCheck(events.RunID, past))
	}
	if err == nil {
		err = built.(func(context.Context) error)(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	if counts := stack.Counts(t, printed()); counts["RunsLost"] != 1 || counts["RunsFailed"] != 1 || len(counts) != 2 {
		t.Errorf("counted %v", counts)
	}
}
