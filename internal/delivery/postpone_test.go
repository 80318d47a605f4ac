package delivery_test

import (
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/sweep"
)

// work handles the retries queue until nothing has come for a while, and tells
// how many messages it held.
func (p *place) work(t testing.TB, patience time.Duration) (handled int) {
	t.Helper()
	for {
		messages, err := p.retries.Receive(t.Context(), 10, patience)
		must(t, err)
		if len(messages) == 0 {
			return handled
		}
		for _, m := range messages {
			must(t, p.Handle(t.Context(), m.Body))
			must(t, p.retries.Delete(t.Context(), m.Receipt))
			handled++
		}
	}
}

func TestARateLimitSpreadsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []time.Time
		p := newPlace(t, func(*http.Request, []byte) (*http.Response, error) {
			sent = append(sent, time.Now())
			return response(204, ""), nil
		})
		p.change(t, func(w *boathook.OutgoingWebhook) { w.RateLimit = 5 })
		begun := time.Now()
		for range 50 {
			must(t, p.handle(t, p.job()))
		}
		if len(sent) != 5 {
			t.Errorf("sent %d at once, want one second's 5", len(sent))
		}
		if handled := p.work(t, time.Minute); handled != 45 {
			t.Errorf("%d messages for 45 attempts that were postponed", handled)
		}
		if len(sent) != 50 || p.store.calls["ReserveSlot"] != 50 {
			t.Errorf("sent %d of 50, with %v", len(sent), p.store.calls)
		}
		for i, at := range sent {
			// A bucket of 5 that fills by 5 a second; the queue waits whole seconds.
			if least := begun.Add(time.Duration(i-4) * time.Second / 5); at.Before(least) || at.After(least.Add(2*time.Second)) {
				t.Errorf("request %d was sent after %s, want about %s", i, at.Sub(begun), least.Sub(begun))
			}
		}
	})
}

func TestARateLimitHoldsForRetriesToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(500))
		p.change(t, func(w *boathook.OutgoingWebhook) {
			w.RateLimit = 1
			w.Retry = []time.Duration{5 * time.Second}
		})
		begun := time.Now()
		for range 3 {
			must(t, p.handle(t, p.job()))
		}
		p.work(t, time.Minute)
		if took := time.Since(begun) - time.Minute; p.sent != 6 || took < 5*time.Second {
			t.Errorf("%d requests in %s", p.sent, took)
		}
	})
}

func TestASlotThatIsFarAwayIsReservedOnceAndWaitedForInTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(204))
		p.change(t, func(w *boathook.OutgoingWebhook) { w.RateLimit = 1 })
		for range 15_000 {
			_, err := p.store.Store.ReserveSlot(t.Context(), p.Outgoing.ID, time.Second, time.Now())
			must(t, err)
		}
		begun := time.Now()
		job := p.job()
		must(t, p.handle(t, job))
		p.noRetry(t)
		d, attempts := p.record(t, job)
		if wait := d.NextAttemptAt.Sub(begun).Round(time.Second); d.Status != boathook.DeliveryRetrying || len(attempts) != 0 || wait != 15_000*time.Second {
			t.Errorf("while it waits it is %+v with %d attempts", d, len(attempts))
		}
		if handled := p.sweep(t, 5*time.Hour); handled != 1 || p.store.calls["ReserveSlot"] != 1 {
			t.Errorf("handled %d messages, with %v", handled, p.store.calls)
		}
		d, attempts = p.record(t, job)
		if d.Status != boathook.DeliverySucceeded || len(attempts) != 1 || attempts[0].Number != 1 ||
			attempts[0].SentAt.Sub(begun) < 15_000*time.Second || attempts[0].SentAt.Sub(begun) > 15_060*time.Second {
			t.Errorf("recorded %+v with %+v", d, attempts)
		}
	})
}

// sweep lets time pass, sends what becomes due each minute, and handles it at
// once. It tells how many messages that were.
func (p *place) sweep(t testing.TB, duration time.Duration) (handled int) {
	t.Helper()
	sweeper := sweep.Sweeper{Store: p.store.Store, Retries: p.retries, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	for end := time.Now().Add(duration); time.Now().Before(end); time.Sleep(time.Minute) {
		must(t, sweeper.Sweep(t.Context()))
		handled += p.work(t, 0)
	}
	return handled
}

func TestAnAttemptThatCanNotBePostponedIsNotAcknowledged(t *testing.T) {
	for _, call := range []string{"ReserveSlot", "PutDue", "PostponeDelivery"} {
		synctest.Test(t, func(t *testing.T) {
			p := newPlace(t, status(204))
			p.change(t, func(w *boathook.OutgoingWebhook) { w.RateLimit = 1 })
			for range 2000 {
				_, err := p.store.Store.ReserveSlot(t.Context(), p.Outgoing.ID, time.Second, time.Now())
				must(t, err)
			}
			p.store.fail = func(c string) error {
				if c == call {
					return errDown
				}
				return nil
			}
			job := p.job()
			if err := p.handle(t, job); !errors.Is(err, errDown) || p.sent != 0 {
				t.Errorf("%s: got %v, sent %d", call, err, p.sent)
			}
			p.store.fail = nil
			must(t, p.handle(t, job)) // the message comes again
			p.sweep(t, time.Hour)
			if d, attempts := p.record(t, job); d.Status != boathook.DeliverySucceeded || len(attempts) != 1 {
				t.Errorf("%s: recorded %+v with %d attempts", call, d, len(attempts))
			}
		})
	}
}

func TestASecondMessageOfAnAttemptThatWasPostponedSendsNothing(t *testing.T) {
	p := newPlace(t, status(204))
	job := p.job()
	job.NotBefore = time.Now()
	for range 2 {
		must(t, p.handle(t, job))
	}
	if p.sent != 1 {
		t.Errorf("sent %d requests", p.sent)
	}
}
