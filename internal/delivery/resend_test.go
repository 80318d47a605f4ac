package delivery_test

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/sweep"
)

// finish lets the queue of retries and sweep do their work until a delivery is
// over.
func (p *place) finish(t *testing.T, job queue.Delivery) (boathook.Delivery, []boathook.Attempt) {
	t.Helper()
	sweeper := sweep.Sweeper{Store: p.store, Retries: p.retries, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	for range 7 * 24 * 60 {
		d, attempts, err := p.store.Attempts(t.Context(), job.WorkspaceID, job.ID)
		if err == nil && d.Status != boathook.DeliveryRetrying {
			return d, attempts
		}
		if err != nil && !boathook.IsKind(err, boathook.NotFound) { // its first attempt was postponed
			t.Fatal(err)
		}
		messages, err := p.retries.Receive(t.Context(), 10, time.Minute)
		must(t, err)
		for _, m := range messages {
			must(t, p.Handle(t.Context(), m.Body))
			must(t, p.retries.Delete(t.Context(), m.Receipt))
		}
		must(t, sweeper.Sweep(t.Context()))
	}
	t.Fatal("it is not over within a week")
	return boathook.Delivery{}, nil
}

// A resend begins the schedule anew, and so does the next, whether their retries
// wait in the queue or in the store.
func TestEachResendHasAllTheRetriesOfTheSchedule(t *testing.T) {
	for name, wait := range map[string]time.Duration{
		"that wait in the queue":               time.Minute,
		"that wait as long as the queue holds": 450 * time.Second, // and twice as long
		"that wait a little longer":            901 * time.Second,
		"that wait in the store":               time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t, status(500))
				p.change(t, func(w *boathook.OutgoingWebhook) { w.Retry = []time.Duration{wait, 2 * wait, wait} })
				job := p.job()
				for _, want := range []int{4, 8, 12} {
					must(t, p.handle(t, job))
					d, attempts := p.finish(t, job)
					if d.Status != boathook.DeliveryFailed || d.Attempts != want || len(attempts) != want {
						t.Fatalf("it is %s after %d attempts, want %d", d.Status, d.Attempts, want)
					}
					began := attempts[want-4].SentAt
					for i, after := range []time.Duration{0, wait, 3 * wait, 4 * wait} {
						if late := attempts[want-4+i].SentAt.Sub(began) - after; late < 0 || late > 5*time.Minute {
							t.Errorf("attempt %d was made %s after it was due", want-3+i, late)
						}
					}
					job.Attempt, job.First = want+1, want+1
				}
			})
		})
	}
}

// Of the attempt before a resend, the process may have died between the two writes of
// its record. The delivery's record tells of it only once the resend is to be recorded,
// by the number that it has used. The messages that follow the attempt are dropped,
// so it is the resend that goes on with the delivery.
func TestAResendWhoseNumberIsUsedWhileItIsMadeGoesOn(t *testing.T) {
	const wait = time.Minute
	schedule := []time.Duration{wait, wait}
	for name, test := range map[string]struct {
		before boathook.DeliveryStatus // after the attempt that used the number
		answer int
		want   boathook.DeliveryStatus
		number int // of attempts in the end
	}{
		"it succeeds after one that is to be retried": {boathook.DeliveryRetrying, 204, boathook.DeliverySucceeded, 3},
		"it succeeds after the last one":              {boathook.DeliveryFailed, 204, boathook.DeliverySucceeded, 3},
		"it fails after one that is to be retried":    {boathook.DeliveryRetrying, 500, boathook.DeliveryFailed, 5},
		"it fails after the last one":                 {boathook.DeliveryFailed, 500, boathook.DeliveryFailed, 5},
		"it fails after one that has succeeded":       {boathook.DeliverySucceeded, 500, boathook.DeliverySucceeded, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t, status(500))
				p.change(t, func(w *boathook.OutgoingWebhook) { w.Retry = schedule })
				job := p.job()
				first := job.Delivery
				first.Status, first.Attempts, first.NextAttemptAt = boathook.DeliveryRetrying, 1, time.Now().Add(wait)
				must(t, p.store.Store.RecordAttempt(t.Context(), first, boathook.Attempt{Number: 1, SentAt: time.Now(), Error: "answered 500"}))

				resent, err := p.store.Delivery(t.Context(), job.WorkspaceID, job.ID)
				must(t, err)
				must(t, p.store.ReopenDelivery(t.Context(), resent, time.Now()))
				p.receive = status(test.answer)
				p.store.fail = func(call string) error {
					if call != "RecordAttempt" {
						return nil
					}
					p.store.fail = nil
					torn := job.Delivery
					torn.Status, torn.Attempts = test.before, 2
					if test.before == boathook.DeliveryRetrying {
						torn.NextAttemptAt = time.Now().Add(wait)
					}
					return p.store.Store.RecordAttempt(t.Context(), torn, boathook.Attempt{Number: 2, SentAt: time.Now(), Error: "answered 503"})
				}
				must(t, p.handle(t, queue.Delivery{Delivery: job.Delivery, Attempt: 2, First: 2}))

				d, attempts := p.finish(t, job)
				if d.Status != test.want || d.Attempts != test.number || len(attempts) != test.number {
					t.Fatalf("it is %s after %d attempts, of which %d are recorded; want %s after %d", d.Status, d.Attempts, len(attempts), test.want, test.number)
				}
				for i, a := range attempts {
					if a.Number != i+1 {
						t.Errorf("attempt %d has the number %d", i+1, a.Number)
					}
				}
				if attempts[1].Error != "answered 503" {
					t.Errorf("the attempt before the resend is told as %q", attempts[1].Error)
				}
			})
		})
	}
}

// A resend that waits has its time in the delivery's record. A duplicate of the
// attempt before does not take it for the time of its own next attempt.
func TestAResendThatWaitsTakesThePlaceOfTheSeriesBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(500))
		p.change(t, func(w *boathook.OutgoingWebhook) {
			w.RateLimit = 1
			w.Retry = []time.Duration{24 * time.Hour, 24 * time.Hour}
		})
		job := p.job()
		must(t, p.handle(t, job))
		for range 20 * 60 { // its next slot is one for the store
			_, err := p.store.Store.ReserveSlot(t.Context(), p.Outgoing.ID, time.Second, time.Now())
			must(t, err)
		}
		must(t, p.handle(t, queue.Delivery{Delivery: job.Delivery, Attempt: 2, First: 2}))

		duplicate := job
		duplicate.NotBefore = time.Now()
		must(t, p.handle(t, duplicate))
		p.sweep(t, 2*time.Hour)
		if d, _ := p.record(t, job); p.sent != 2 || d.Attempts != 2 || d.Resend != 2 {
			t.Errorf("%d requests, and %d attempts with the resend %d; want the first attempt and the resend", p.sent, d.Attempts, d.Resend)
		}
		if d, _ := p.finish(t, job); d.Attempts != 4 {
			t.Errorf("%d attempts in the end, want the first and the resend's three", d.Attempts)
		}
	})
}

// A retry and a resend of one number may be postponed to the same instant, by a probe
// that both wait for. Each has an item of its own in the schedule: in the resend's place
// the retry would be dropped as outdated, and nothing be sent.
func TestARetryDoesNotTakeTheItemOfAResendOfItsNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(500))
		p.change(t, func(w *boathook.OutgoingWebhook) { w.Retry = []time.Duration{24 * time.Hour, 24 * time.Hour} })
		job := p.job()
		must(t, p.handle(t, job))
		probe := boathook.Probe{At: time.Now().Add(30 * time.Minute), Wait: time.Minute}
		if moved, err := p.store.Store.MoveProbe(t.Context(), p.Outgoing.ID, boathook.Probe{}, probe); err != nil || !moved {
			t.Fatalf("the probe was not set: %v", err)
		}

		// The resend is postponed when the retry has been found to be due, and is about to
		// be postponed.
		p.store.fail = func(call string) error {
			if call == "PutDue" {
				p.store.fail = nil
				must(t, p.handle(t, queue.Delivery{Delivery: job.Delivery, Attempt: 2, First: 2}))
			}
			return nil
		}
		must(t, p.handle(t, job.Next()))
		p.sweep(t, 2*time.Hour)
		if d, _ := p.record(t, job); p.sent != 2 || d.Attempts != 2 || d.Resend != 2 {
			t.Errorf("%d requests, and %d attempts with the resend %d; want the first attempt and the resend", p.sent, d.Attempts, d.Resend)
		}
	})
}
