package main

import (
	"net/http"
	"testing"
	"time"

	"boathook/events"
	"boathook/internal/boathook"
	"boathook/internal/run"
	"boathook/internal/testing/stack"
)

// settings changes those of the fixture's deployment.
func settings(t *testing.T, s *stack.Stack, to boathook.DeploymentSettings) {
	t.Helper()
	d, err := s.Store.Source(t.Context(), events.WorkspaceID, events.DeploymentID)
	if err == nil {
		d.Deployment = &to
		err = s.Store.PutSource(t.Context(), d)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A run that fails has its retry queued, or scheduled where that is far off, with the
// permissions that the template gives.
func TestAFailedRunIsRetried(t *testing.T) {
	s, handler := newHandler(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	for backoff, queued := range map[time.Duration]int{time.Second: 1, time.Hour: 0} {
		settings(t, s, boathook.DeploymentSettings{Retry: boathook.RunRetries{Max: 1, Backoff: backoff}})
		old := executed(t, s, handler, events.VersionID)
		next, err := s.Store.Run(t.Context(), events.WorkspaceID, run.RetryID(old.ID))
		if err != nil || next.Status != boathook.RunPending || old.RetriedBy.RunID != next.ID || !old.RetriedBy.StartsAt.Equal(next.StartsAt) {
			t.Errorf("after %s: the retry is %+v, %v; the failed run tells of %+v", backoff, next.RunHead, err, old.RetriedBy)
		}
		messages, err := s.Runs.Receive(t.Context(), 10, time.Duration(queued)*5*time.Second)
		if err != nil || len(messages) != queued {
			t.Errorf("after %s: %d messages are queued, %v; want %d", backoff, len(messages), err, queued)
		}
	}
}
