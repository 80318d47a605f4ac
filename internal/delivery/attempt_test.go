package delivery_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/delivery"
	"boathook/internal/delivery/destination"
	"boathook/internal/testing/fixture"
)

// A standard queue may hand a message out twice. A first attempt is not looked up
// before it is made, so its receiver may get it twice; the second message is
// acknowledged then.
func TestASecondMessageOfAFirstAttemptIsAcknowledged(t *testing.T) {
	for _, code := range []int{204, 500} {
		synctest.Test(t, func(t *testing.T) {
			p := newPlace(t, status(code))
			job := p.job()
			for range 2 {
				must(t, p.handle(t, job))
			}
			if d, attempts := p.record(t, job); d.Attempts != 1 || len(attempts) != 1 {
				t.Errorf("answered %d: recorded %+v with %d attempts", code, d, len(attempts))
			}
		})
	}
}

// What is canceled was not attempted.
func TestACanceledRetryIsNotCountedAsAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(500))
		job := p.job()
		must(t, p.handle(t, job))
		p.change(t, func(w *boathook.OutgoingWebhook) { w.Enabled = false })
		must(t, p.handle(t, job.Next()))
		if d, attempts := p.record(t, job); d.Status != boathook.DeliveryCanceled || d.Attempts != 1 || len(attempts) != 1 {
			t.Errorf("recorded %+v with %d attempts", d, len(attempts))
		}
	})
}

func TestAnAttemptLastsAsLongAsItsWebhookWaits(t *testing.T) {
	for _, timeout := range []time.Duration{time.Second, 5 * time.Second, 30 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			p := newPlace(t, hangs)
			p.change(t, func(w *boathook.OutgoingWebhook) { w.Timeout, w.Retry = timeout, nil })
			job := p.job()
			must(t, p.handle(t, job))
			d, attempts := p.finish(t, job)
			if want := "timed out after " + timeout.String(); d.Status != boathook.DeliveryFailed || attempts[0].Error != want || attempts[0].Duration != timeout {
				t.Errorf("it is %s with %+v, want one attempt that %s", d.Status, attempts, want)
			}
		})
	}
}

// Waits are spread, so that those of a burst that failed together don't come back
// together.
func TestWaitsAreSpreadByTheJitter(t *testing.T) {
	for jitter, want := range map[float64]time.Duration{0: 80 * time.Second, 0.25: 90 * time.Second, 0.5: 100 * time.Second, 0.75: 110 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			p := newPlace(t, status(500))
			p.change(t, func(w *boathook.OutgoingWebhook) { w.Retry = []time.Duration{100 * time.Second} })
			p.Deliverer = delivery.New(delivery.Config{
				Store: p.store, Retries: p.retries, Publish: p, Destination: destination.HTTP{Client: p, Now: time.Now}, Seal: fixture.Unsealed{}, Now: time.Now,
				Jitter: func() float64 { return jitter }, Log: slog.New(slog.DiscardHandler),
			})
			job := p.job()
			must(t, p.handle(t, job))
			if d, _ := p.record(t, job); time.Until(d.NextAttemptAt) != want {
				t.Errorf("with a jitter of %v, the next attempt is after %s, want %s", jitter, time.Until(d.NextAttemptAt), want)
			}
		})
	}
}

// blind is a store that can't look deliveries up.
type blind struct{ *faulty }

func (blind) Delivery(context.Context, string, boathook.DeliveryID) (boathook.Delivery, error) {
	return boathook.Delivery{}, errDown
}

// Whether a retry was made already must be known before it is made.
func TestARetryWhoseRecordCanNotBeReadIsNotMade(t *testing.T) {
	p := newPlace(t, status(204))
	p.Deliverer = delivery.New(delivery.Config{
		Store: blind{p.store}, Retries: p.retries, Publish: p, Destination: destination.HTTP{Client: p, Now: time.Now}, Seal: fixture.Unsealed{}, Now: time.Now,
		Jitter: func() float64 { return 0.5 }, Log: slog.New(slog.DiscardHandler),
	})
	if err := p.handle(t, p.job().Next()); !errors.Is(err, errDown) || p.sent != 0 {
		t.Errorf("got %v, sent %d requests", err, p.sent)
	}
}

// A webhook that can't be looked up again before it is disabled is neither
// disabled nor deleted: its delivery is not given up.
func TestAWebhookThatCanNotBeLookedUpIsNotTakenForDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(410))
		p.listener(t)
		looks := 0
		p.store.fail = func(call string) error {
			if call == "Outgoing" {
				if looks++; looks == 2 {
					return errDown
				}
			}
			return nil
		}
		job := p.job()
		if err := p.handle(t, job); !errors.Is(err, errDown) {
			t.Fatalf("after %d looks: %v", looks, err)
		}
		if _, err := p.store.Delivery(t.Context(), job.WorkspaceID, job.ID); !boathook.IsKind(err, boathook.NotFound) {
			t.Errorf("the attempt is recorded: %v", err)
		}
		must(t, p.handle(t, job)) // the message comes again
		if p.webhook(t).Enabled || len(p.published(t)) != 1 {
			t.Error("it is not disabled in the end")
		}
	})
}
