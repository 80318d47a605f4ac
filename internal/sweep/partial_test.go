package sweep_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/store"
)

// left are the ids of the rows that are in the store.
func (p *place) left(t *testing.T) (ids []string) {
	t.Helper()
	for shard := range store.DueShards {
		rows, err := p.store.Due(t.Context(), shard, store.Due{}, p.now.Add(365*24*time.Hour), 100_000)
		must(t, err)
		for _, row := range rows {
			ids = append(ids, row.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// unrecorded is a delivery's second attempt, and the store has no record of it.
func (p *place) unrecorded() queue.Delivery {
	e := boathook.Event{ID: boathook.NewID(boathook.EventID), Time: p.now}
	return queue.Delivery{Delivery: boathook.Delivery{
		ID: boathook.NewDeliveryID(&e, "out_a"), WorkspaceID: "ws_a", SourceID: "dep_a", WebhookID: "out_a", EventID: e.ID, EventType: boathook.EventRunSucceeded,
	}, Attempt: 2, First: 1}
}

// closing closes every connection.
type closing struct{}

func (closing) CloseUnauthenticated(context.Context, string) error { return nil }

// The rows of retries stand among others, which send nothing, and the queue takes
// some of the retries: the rows that go are exactly those of what it took.
func TestOfAPartialSendExactlyTheRowsOfWhatWasSentAreDeleted(t *testing.T) {
	p := newPlace(t)
	p.Connections = closing{}
	const n = 600
	stay := map[string]bool{}                 // the rows that do, by id
	refused := map[boathook.DeliveryID]bool{} // by the queue
	for i := range n {
		at := p.now.Add(time.Duration(i-n) * time.Second)
		switch {
		case i%7 == 0: // the keeper, which is a fake here, leaves the row
			id := boathook.NewID(boathook.RunID)
			must(t, p.store.CreateRun(t.Context(), boathook.Run{RunHead: boathook.RunHead{
				ID: id, WorkspaceID: "ws_a", SourceID: "dep_a", Environment: boathook.Production, Status: boathook.RunRunning, CreatedAt: p.now,
			}, Input: boathook.NewBody([]byte(`{}`))}))
			must(t, p.store.PutDue(t.Context(), store.ScheduledCheck(id, at)))
			stay[id] = true
		case i%11 == 0: // its delivery's record is still to come
			row := waiting(t, p.unrecorded(), at)
			must(t, p.store.PutDue(t.Context(), row))
			stay[row.ID] = true
		case i%13 == 0:
			must(t, p.store.PutDue(t.Context(), store.Due{At: at, ID: boathook.NewID("connection"), Kind: store.DueConnection}))
		default:
			id := p.retrying(t, at)
			if i%3 == 0 {
				refused[id] = true
				stay[id.String()+"#2"] = true
			}
		}
	}
	p.sent.err = func(d queue.Delivery) error {
		if refused[d.ID] {
			return errDown
		}
		return nil
	}
	if err := p.Sweep(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("got %v, want what the queue says", err)
	}
	if got, want := p.left(t), slices.Sorted(maps.Keys(stay)); !slices.Equal(got, want) {
		t.Errorf("%d rows are left, not the %d that should be:\n%v\nwant\n%v", len(got), len(want), got, want)
	}
	for _, d := range p.sent.deliveries {
		if refused[d.ID] {
			t.Errorf("%s was sent though it was refused", d.ID)
		}
	}

	p.sent.deliveries, p.sent.err = nil, nil
	must(t, p.Sweep(t.Context()))
	sent := map[boathook.DeliveryID]bool{}
	for _, d := range p.sent.deliveries {
		sent[d.ID] = true
	}
	if !maps.Equal(sent, refused) || len(p.sent.deliveries) != len(refused) {
		t.Errorf("the next sweep sent %d retries of %d deliveries, want one of each of the %d that were refused", len(p.sent.deliveries), len(sent), len(refused))
	}
}

// What a row knows of its attempt reaches the queue: with a smaller number the
// receiver would get an attempt twice, with another beginning of the schedule the
// retries of a resend would end too early.
func TestARetryIsSentWithItsNumberAndWhereItsScheduleBegan(t *testing.T) {
	p := newPlace(t)
	type job struct {
		attempt, first, skipped int
		since                   time.Time
	}
	want := map[boathook.DeliveryID]job{}
	for attempt := 2; attempt <= 12; attempt++ {
		for first := 1; first <= attempt; first++ {
			d := p.unrecorded().Delivery
			d.Body, d.Status, d.Attempts, d.NextAttemptAt = boathook.NewBody([]byte(`{}`)), boathook.DeliveryRetrying, attempt-1, p.now
			must(t, p.store.RecordAttempt(t.Context(), d, boathook.Attempt{Number: attempt - 1, SentAt: p.now, Error: "answered 500"}))
			j := job{attempt, first, attempt % 3, p.now.Add(-time.Duration(first) * time.Hour)}
			must(t, p.store.PutDue(t.Context(), waiting(t, queue.Delivery{Delivery: d, Attempt: j.attempt, First: j.first, Skipped: j.skipped, Since: j.since}, p.now)))
			want[d.ID] = j
		}
	}
	must(t, p.Sweep(t.Context()))
	got := map[boathook.DeliveryID]job{}
	for _, d := range p.sent.deliveries {
		got[d.ID] = job{d.Attempt, d.First, d.Skipped, d.Since}
	}
	if !maps.Equal(got, want) {
		t.Errorf("sent %v, want %v", got, want)
	}
}

// A message lives four days in its queue: until then the one that writes the
// record may still come.
func TestARowWaitsForItsRecordLongerThanAMessageLives(t *testing.T) {
	p := newPlace(t)
	must(t, p.store.PutDue(t.Context(), waiting(t, p.unrecorded(), p.now)))
	must(t, p.store.PutDue(t.Context(), store.ScheduledCheck("run_a", p.now)))
	p.now = p.now.Add(5*24*time.Hour - time.Second)
	must(t, p.Sweep(t.Context()))
	if n := p.rows(t); n != 2 {
		t.Errorf("just before five days are over, %d rows are left of 2", n)
	}
}

// What a row asks for and is not done is told: sweep's failures raise an alarm.
func TestWhatSweepCanNotDoIsAnError(t *testing.T) {
	for name, row := range map[string]store.Due{
		"a run that can't be looked after": store.ScheduledCheck("run_a", time.Time{}),
		"a kind of a later version":        {ID: "x", Kind: "later"},
		"a payload that can't be read":     {ID: strings.Repeat("x", 36) + "#2", Kind: store.DueDelivery, Payload: []byte("{")},
		"an id that is no delivery's":      {ID: strings.Repeat("x", 36) + "#2", Kind: store.DueDelivery, Payload: []byte("{}")},
		"an id that is too short":          {ID: "x", Kind: store.DueDelivery, Payload: []byte("{}")},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			must(t, p.store.CreateRun(t.Context(), boathook.Run{RunHead: boathook.RunHead{
				ID: "run_a", WorkspaceID: "ws_a", SourceID: "dep_a", Environment: boathook.Production, Status: boathook.RunRunning, CreatedAt: p.now,
			}, Input: boathook.NewBody([]byte(`{}`))}))
			p.keeper.err = errDown
			row.At = p.now.Add(-time.Second)
			must(t, p.store.PutDue(t.Context(), row))
			p.retrying(t, p.now)
			if err := p.Sweep(t.Context()); err == nil || !strings.Contains(err.Error(), row.ID) {
				t.Errorf("got %v, want an error that names the row", err)
			}
			if got := p.left(t); len(p.sent.deliveries) != 1 || !slices.Equal(got, []string{row.ID}) {
				t.Errorf("sent %d others, and %v is left", len(p.sent.deliveries), got)
			}
		})
	}
}
