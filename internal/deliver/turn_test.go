package deliver_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	queuemem "boathook/internal/queue/mem"
)

// hangs answers no request before its time-out.
func hangs(r *http.Request, _ []byte) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

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
			t.Errorf("%d messages for 45 attempts that were put off", handled)
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

func TestATurnThatIsFarAwayIsReservedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(204))
		p.change(t, func(w *boathook.OutgoingWebhook) { w.RateLimit = 1 })
		for range 2000 {
			_, err := p.store.Store.ReserveSlot(t.Context(), p.Outgoing.ID, time.Second, time.Now())
			must(t, err)
		}
		begun := time.Now()
		job := p.job()
		must(t, p.handle(t, job))
		if handled := p.work(t, 900*time.Second); handled != 3 || p.store.calls["ReserveSlot"] != 1 {
			t.Errorf("handled %d messages, with %v", handled, p.store.calls)
		}
		d, attempts := p.record(t, job)
		if d.Status != boathook.DeliverySucceeded || len(attempts) != 1 || attempts[0].Number != 1 || attempts[0].SentAt.Sub(begun).Round(time.Second) != 2000*time.Second {
			t.Errorf("recorded %+v with %+v", d, attempts)
		}
	})
}

func TestAWebhookThatTimesOutMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, hangs)
		p.change(t, func(w *boathook.OutgoingWebhook) { w.Retry = nil })
		for range 3 {
			must(t, p.handle(t, p.job()))
		}
		begun := time.Now()
		parked := p.job()
		must(t, p.handle(t, parked))
		if p.sent != 3 || time.Since(begun) != 0 {
			t.Fatalf("%d requests, the last after %s", p.sent, time.Since(begun))
		}
		if stats := p.retries.Stats(); stats != (queuemem.Stats{Ready: 1}) {
			t.Fatalf("the retries queue holds %+v", stats)
		}

		// The retries queue's consumer sends it all the same, and it is the first
		// attempt.
		p.receive = status(204)
		if handled := p.work(t, 0); handled != 1 || p.sent != 4 {
			t.Errorf("handled %d, sent %d", handled, p.sent)
		}
		if d, attempts := p.record(t, parked); d.Status != boathook.DeliverySucceeded || attempts[0].Number != 1 {
			t.Errorf("recorded %+v, %+v", d, attempts)
		}
		must(t, p.handle(t, p.job())) // it works again
		if p.sent != 5 {
			t.Errorf("%d requests", p.sent)
		}
	})
}

func TestOneAttemptTriesAWebhookThatTimedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, hangs)
		p.change(t, func(w *boathook.OutgoingWebhook) { w.Retry = nil })
		for range 3 {
			must(t, p.handle(t, p.job()))
		}
		try := func() (sent bool) {
			t.Helper()
			before := p.sent
			must(t, p.handle(t, p.job()))
			return p.sent > before
		}
		time.Sleep(29 * time.Second)
		if try() {
			t.Error("it is tried too early")
		}
		time.Sleep(time.Second)
		if !try() || try() {
			t.Error("after a pause, not exactly one attempt was made")
		}
		time.Sleep(30 * time.Second)
		p.receive = status(500) // an answer is no time-out
		for range 2 {
			if !try() {
				t.Error("it answers, and is still spared")
			}
		}
	})
}

func TestOtherFailuresAndOtherWebhooksAreSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, hangs)
		for range 5 {
			must(t, p.handle(t, p.job()))
		}
		p.receive = status(500)
		other := p.Outgoing
		other.ID, other.Revision = boathook.NewID(boathook.OutgoingID), 0
		must(t, p.store.PutOutgoing(t.Context(), other))
		p.Outgoing = other
		sent := p.sent
		for range 5 {
			must(t, p.handle(t, p.job()))
		}
		if p.sent != sent+5 {
			t.Errorf("%d of 5 were sent", p.sent-sent)
		}
	})
}

func TestAnAttemptThatCanNotBePutOffIsNotAcknowledged(t *testing.T) {
	p := newPlace(t, status(204))
	p.change(t, func(w *boathook.OutgoingWebhook) { w.RateLimit = 1 })
	p.store.fail = func(call string) error {
		if call == "ReserveSlot" {
			return errDown
		}
		return nil
	}
	if err := p.handle(t, p.job()); !errors.Is(err, errDown) || p.sent != 0 {
		t.Errorf("got %v, sent %d", err, p.sent)
	}
}

func TestASecondMessageOfAnAttemptThatWasPutOffSendsNothing(t *testing.T) {
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
