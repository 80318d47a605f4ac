package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"boathook/internal/boathook"
)

// Records is the store of the program that [Fill] has filled, while it is stopped.
type Records interface {
	CreateRun(ctx context.Context, r boathook.Run) error
	RecordAttempt(ctx context.Context, d boathook.Delivery, a boathook.Attempt) error
	CountAttempts(ctx context.Context, id string, c boathook.AttemptCounts) error
}

// Past adds a day to what [Fill] has made: in each hour before now the deployment had runs,
// and told its webhooks of them, by day more than by night. It is the same day each time.
// No request to the API can do it: what happens, happens now.
func (w *World) Past(t testing.TB, records Records, workspaceID string, now time.Time) {
	t.Helper()
	p := past{t, records, rand.New(rand.NewPCG(2026, 11)), workspaceID, w} //nolint:gosec // the same each time
	for ago := 24; ago > 0; ago-- {
		at := now.Add(-time.Duration(ago) * time.Hour)
		for range []int{2, 1, 1, 1, 1, 2, 4, 7, 11, 13, 12, 10, 9, 12, 14, 13, 11, 9, 7, 5, 4, 3, 3, 2}[at.Hour()] {
			p.run(at.Add(p.between(0, time.Hour)), ago)
		}
	}
}

// past is a day that is being made.
type past struct {
	testing.TB
	records     Records
	random      *rand.Rand
	workspaceID string
	w           *World
}

func (p *past) between(least, most time.Duration) time.Duration {
	return least + time.Duration(p.random.Int64N(int64(most-least)))
}

// run has a run be over, and its webhooks told of it.
func (p *past) run(at time.Time, ago int) {
	p.Helper()
	took := p.between(1200*time.Millisecond, 9*time.Second)
	r := boathook.Run{RunHead: boathook.RunHead{
		ID: boathook.NewID(boathook.RunID), WorkspaceID: p.workspaceID, SourceID: p.w.Deployment, VersionNumber: 2, Environment: boathook.Production,
		Trigger: boathook.TriggerWebhook, EventName: "push", Status: boathook.RunSucceeded,
		CreatedAt: at, StartedAt: at.Add(90 * time.Millisecond), CompletedAt: at.Add(took),
	}, Input: boathook.NewBody([]byte(push("", "m.okafor"))), Output: []byte(`{"matched":1163,"open":41}`)}
	if p.random.IntN(12) == 0 {
		r.Status, r.Error, r.Output = boathook.RunFailed, "exit status 3", nil
	}
	if err := p.records.CreateRun(p.Context(), r); err != nil {
		p.Fatal(err)
	}
	event, _ := r.Event()
	event.Time = r.CompletedAt
	p.deliver(&event, p.w.Outgoing[Healthy], 204, p.between(60*time.Millisecond, 260*time.Millisecond), p.random.IntN(25) == 0)
	p.deliver(&event, p.w.Outgoing[Slow], 200, p.between(300*time.Millisecond, 900*time.Millisecond), false)
	if r.Status == boathook.RunFailed {
		p.deliver(&event, p.w.Outgoing[Busy], 200, p.between(90*time.Millisecond, 400*time.Millisecond), ago < 6)
	} else if ago > 1 { // its endpoint is down since
		p.deliver(&event, p.w.Outage, 202, p.between(110*time.Millisecond, 700*time.Millisecond), p.random.IntN(15) == 0)
	}
}

// deliver has a webhook be told of an event: at once, or after an attempt that failed.
func (p *past) deliver(e *boathook.Event, webhook string, status int, took time.Duration, retried bool) {
	p.Helper()
	d := boathook.Delivery{
		ID: boathook.NewDeliveryID(e, webhook), WorkspaceID: p.workspaceID, SourceID: e.SourceID, WebhookID: webhook, EventID: e.ID, EventType: e.Type,
		Environment: e.Environment, Body: boathook.NewBody(e.Data),
	}
	record := func(at time.Time, status int, after boathook.DeliveryStatus, problem string) {
		d.Attempts++
		d.Status = after
		a := boathook.Attempt{Number: d.Attempts, SentAt: at, Duration: took, Response: &boathook.Response{Status: status}, Error: problem}
		if err := p.records.RecordAttempt(p.Context(), d, a); err != nil {
			p.Fatal(err)
		}
		counts := boathook.AttemptCounts{From: boathook.StatisticsHour(at)}
		counts.Count(after, took)
		for _, id := range []string{webhook, p.workspaceID} {
			if err := p.records.CountAttempts(p.Context(), id, counts); err != nil {
				p.Fatal(err)
			}
		}
	}
	if retried {
		const busy = 503
		record(e.Time, busy, boathook.DeliveryRetrying, fmt.Sprint("answered ", busy))
		e.Time = e.Time.Add(5 * time.Second)
	}
	record(e.Time, status, boathook.DeliverySucceeded, "")
}
