package run_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/metrics"
	"boathook/internal/run"
	"boathook/internal/store"
	storemem "boathook/internal/store/mem"
)

// published is a publisher that remembers, and fails while err is set.
type published struct {
	events []boathook.Event
	err    error
}

func (p *published) Publish(_ context.Context, e boathook.Event) error {
	if p.err == nil {
		p.events = append(p.events, e)
	}
	return p.err
}

// Alert is told with the events.
func (p *published) Alert(ctx context.Context, e boathook.Event) error { return p.Publish(ctx, e) }

// kept is a keeper at a settable time, with one run of claim_a in its store.
type kept struct {
	*run.Keeper
	store     *storemem.Store
	published *published
	now       time.Time
	run       boathook.Run
	due       store.Due
}

var claimA = boathook.Claim{ID: "claim_a"}

func keep(t *testing.T, claimed bool) *kept {
	t.Helper()
	k := &kept{published: &published{}, now: time.Now().UTC().Truncate(time.Millisecond)}
	k.store = storemem.New(storemem.Config{Retention: 30 * 24 * time.Hour, Now: func() time.Time { return k.now }})
	k.Keeper = &run.Keeper{Store: k.store, Publish: k.published, Now: func() time.Time { return k.now }, Log: silent}
	k.run = pendingRun(`{"in":1}`)
	must(t, k.store.CreateRun(t.Context(), k.run))
	lease := k.now.Add(90 * time.Second)
	if claimed {
		_, err := k.store.ClaimRun(t.Context(), k.run.ID, boathook.Claim{ID: claimA.ID, LeaseUntil: lease}, k.now)
		must(t, err)
	}
	k.due = store.ScheduledCheck(k.run.ID, lease.Add(run.Grace))
	must(t, k.store.PutDue(t.Context(), k.due))
	return k
}

func (k *kept) checkLease(t *testing.T) error {
	t.Helper()
	head, err := k.store.RunHead(t.Context(), k.run.ID)
	must(t, err)
	return k.CheckLease(t.Context(), head, k.due)
}

// rows are all scheduled checks of the store.
func (k *kept) rows(t *testing.T) (rows []store.Due) {
	t.Helper()
	for shard := range store.DueShards {
		page, err := k.store.Due(t.Context(), shard, store.Due{}, k.now.Add(365*24*time.Hour), 100)
		must(t, err)
		rows = append(rows, page...)
	}
	return rows
}

func TestAFinishedRunIsPublishedOnceAndItsRowDeleted(t *testing.T) {
	k := keep(t, true)
	_, err := k.store.FinishRun(t.Context(), k.run.ID, claimA, boathook.Outcome{Status: boathook.RunSucceeded, Output: []byte(`{"out":2}`), CompletedAt: k.now})
	must(t, err)

	must(t, k.checkLease(t))
	must(t, k.checkLease(t))

	if len(k.published.events) != 1 || k.published.events[0].Type != boathook.EventRunSucceeded {
		t.Fatalf("published %+v", k.published.events)
	}
	if rows := k.rows(t); len(rows) != 0 {
		t.Errorf("rows left: %+v", rows)
	}
}

func TestTheRowStaysUntilTheEventIsPublished(t *testing.T) {
	k := keep(t, true)
	_, err := k.store.FinishRun(t.Context(), k.run.ID, claimA, boathook.Outcome{Status: boathook.RunFailed, Error: "x", CompletedAt: k.now})
	must(t, err)

	k.published.err = errDown
	if err := k.checkLease(t); err == nil {
		t.Error("the failure to publish is not told")
	}
	if rows := k.rows(t); len(rows) != 1 {
		t.Fatalf("%d rows left, want 1", len(rows))
	}
	k.published.err = nil
	k.now = k.now.Add(time.Hour) // the event's time must not move with it
	must(t, k.checkLease(t))
	if len(k.published.events) != 1 || !k.published.events[0].Time.Equal(k.now.Add(-time.Hour)) {
		t.Errorf("published %+v", k.published.events)
	}
}

func TestARunWhoseRunnerIsLostFailsAndIsPublished(t *testing.T) {
	k := keep(t, true)
	k.now = k.now.Add(90 * time.Second)
	must(t, k.checkLease(t))

	r, err := k.store.Run(t.Context(), "ws_a", k.run.ID)
	must(t, err)
	if r.Status != boathook.RunFailed || r.Error != "runner lost" || !r.Published {
		t.Errorf("the run is %+v", r.RunHead)
	}
	if len(k.published.events) != 2 || k.published.events[0].Type != boathook.EventRunFailed {
		t.Fatalf("published %+v", k.published.events)
	}
	alert := k.published.events[1]
	if alert.Type != boathook.EventRunLost || alert.SourceID != boathook.NewAlertsID("ws_a") || !strings.Contains(string(alert.Data), k.run.ID) {
		t.Errorf("alerted %+v", alert)
	}
	if rows := k.rows(t); len(rows) != 0 {
		t.Errorf("rows left: %+v", rows)
	}
}

// A target words its own failure as it likes.
func TestARunThatSaysThatItWasLostIsNoAlert(t *testing.T) {
	k := keep(t, true)
	_, err := k.store.FinishRun(t.Context(), k.run.ID, claimA, boathook.Outcome{Status: boathook.RunFailed, Error: boathook.RunnerLost, CompletedAt: k.now})
	must(t, err)
	must(t, k.checkLease(t))
	if len(k.published.events) != 1 || k.published.events[0].Type != boathook.EventRunFailed {
		t.Errorf("published %+v", k.published.events)
	}
}

func TestALivingRunIsLookedAtAgainAfterItsLease(t *testing.T) {
	k := keep(t, true)
	lease := k.now.Add(10 * time.Minute)
	_, err := k.store.RenewLease(t.Context(), k.run.ID, boathook.Claim{ID: claimA.ID, LeaseUntil: lease})
	must(t, err)
	k.now = k.due.At
	must(t, k.checkLease(t))

	rows := k.rows(t)
	if len(rows) != 1 || !rows[0].At.Equal(lease.Add(run.Grace)) {
		t.Errorf("rows: %+v, want one at %s", rows, lease.Add(run.Grace))
	}
	if len(k.published.events) != 0 {
		t.Error("a living run was published")
	}
}

// Another look was made from an older reading of the head.
func TestALateLookDoesNotEndARunWhoseLeaseWasRenewed(t *testing.T) {
	k := keep(t, true)
	stale, err := k.store.RunHead(t.Context(), k.run.ID)
	must(t, err)
	_, err = k.store.RenewLease(t.Context(), k.run.ID, boathook.Claim{ID: claimA.ID, LeaseUntil: k.now.Add(time.Hour)})
	must(t, err)

	k.now = k.now.Add(2 * time.Minute)
	must(t, k.CheckLease(t.Context(), stale, k.due))

	head, err := k.store.RunHead(t.Context(), k.run.ID)
	must(t, err)
	if head.Status != boathook.RunRunning || len(k.published.events) != 0 || len(k.rows(t)) != 1 {
		t.Errorf("the run is %s, published %d, rows %d", head.Status, len(k.published.events), len(k.rows(t)))
	}
}

func TestAPendingRunKeepsARow(t *testing.T) {
	k := keep(t, false)
	k.now = k.due.At
	must(t, k.checkLease(t))
	if rows := k.rows(t); len(rows) != 1 || !rows[0].At.After(k.now) {
		t.Errorf("rows: %+v", rows)
	}
}

func TestACanceledRunHasNoEvent(t *testing.T) {
	k := keep(t, true)
	_, err := k.store.FinishRun(t.Context(), k.run.ID, claimA, boathook.Outcome{Status: boathook.RunCanceled, CompletedAt: k.now})
	must(t, err)
	must(t, k.checkLease(t))
	if len(k.published.events) != 0 || len(k.rows(t)) != 0 {
		t.Errorf("published %d, rows %d", len(k.published.events), len(k.rows(t)))
	}
}

func TestTheEndsOfRunsAreCountedOnce(t *testing.T) {
	k := keep(t, true)
	var out bytes.Buffer
	k.Metrics = metrics.New("test", &out, func() time.Time { return k.now })
	k.now = k.due.At // its runner is lost
	k.published.err = errors.New("down")
	if k.checkLease(t) == nil {
		t.Fatal("what could not be published counts as finished")
	}
	k.published.err = nil
	for range 2 {
		must(t, k.checkLease(t))
	}
	k.Metrics.Flush()
	var counts map[string]any
	must(t, json.Unmarshal(out.Bytes(), &counts))
	if delete(counts, "_aws"); len(counts) != 2 || counts["RunsLost"] != 1.0 || counts["RunsFailed"] != 1.0 {
		t.Errorf("counted %v", counts)
	}
}

func TestAnAgentsRunThatTookTooLongCountsAsFailed(t *testing.T) {
	k := keep(t, true)
	var out bytes.Buffer
	k.Metrics = metrics.New("test", &out, func() time.Time { return k.now })
	_, err := k.store.FinishRun(t.Context(), k.run.ID, claimA, boathook.Outcome{Status: boathook.RunTimedOut, Error: "x", CompletedAt: k.now})
	must(t, err)
	must(t, k.checkLease(t))
	k.Metrics.Flush()
	var counts map[string]any
	must(t, json.Unmarshal(out.Bytes(), &counts))
	if delete(counts, "_aws"); len(counts) != 1 || counts["RunsFailed"] != 1.0 {
		t.Errorf("counted %v", counts)
	}
}
