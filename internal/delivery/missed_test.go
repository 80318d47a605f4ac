package delivery_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/delivery"
	"boathook/internal/queue"
	"boathook/internal/store"
)

// missed is an event of the place's source that came into its feed an hour ago.
func (p *place) missed() store.FeedEvent {
	e := event()
	e.ID, e.Time = boathook.NewID(boathook.EventID), time.Now().Add(-time.Hour)
	e.WorkspaceID, e.SourceID, e.Environment = p.Source.WorkspaceID, p.Source.ID, p.Outgoing.Environment
	return store.FeedEvent{Event: e, Published: e.Time}
}

// replay has events sent to the place's webhook again.
func (p *place) replay(t *testing.T, only delivery.ReplayOnly, events ...store.FeedEvent) (delivery.Replayed, error) {
	t.Helper()
	w, err := p.store.Store.Outgoing(t.Context(), p.Source.ID, p.Outgoing.ID)
	must(t, err)
	r := delivery.Resender{Store: p.store, Retries: p.retries, Publish: p.publisher(), Now: time.Now}
	now := time.Now()
	return r.ReplayPage(t.Context(), delivery.Replay{
		Webhook: w, Only: only, Until: now, Begun: now, Recorded: now.Add(-15 * 24 * time.Hour),
	}, events)
}

// drain handles all that is in the retries queue, each message twice.
func (p *place) drain(t *testing.T) {
	t.Helper()
	for p.retries.Stats().Ready+p.retries.Stats().Delayed > 0 {
		messages, err := p.retries.Receive(t.Context(), 10, time.Hour)
		must(t, err)
		for _, m := range messages {
			must(t, p.Handle(t.Context(), m.Body))
			must(t, p.Handle(t.Context(), m.Body))
			must(t, p.retries.Delete(t.Context(), m.Receipt))
		}
	}
}

// A replay breaks off between the queue and the record, and is repeated. Meanwhile the
// webhook has another transform. The messages are duplicated, as queues do.
func TestWhatIsReplayedTwiceIsSentOnce(t *testing.T) {
	for _, rate := range []int{0, 5} {
		synctest.Test(t, func(t *testing.T) {
			var sent []string
			p := newPlace(t, bodiesOf(&sent, 200))
			p.change(t, func(w *boathook.OutgoingWebhook) { w.RateLimit, w.Transform = rate, `"one"` })
			events := []store.FeedEvent{p.missed(), p.missed(), p.missed()}
			p.store.fail = func(call string) error {
				if call == "PostponeDelivery" {
					return errDown
				}
				return nil
			}
			if _, err := p.replay(t, delivery.ReplayMissing, events...); err == nil {
				t.Fatal("nothing went wrong")
			}
			p.store.fail = nil
			p.change(t, func(w *boathook.OutgoingWebhook) { w.RateLimit, w.Transform = rate, `"two"` })
			done, err := p.replay(t, delivery.ReplayMissing, events...)
			if err != nil || done.Matched != 3 || done.Queued[delivery.Missing] != 3 || p.retries.Stats().Ready != 6 {
				t.Fatalf("repeated: %+v, %v", done, err)
			}
			if done, err := p.replay(t, delivery.ReplayMissing, events...); err != nil || done.Queued[delivery.Missing] != 0 {
				t.Errorf("a third time: %+v, %v", done, err)
			}
			p.drain(t)
			if want := "text/plain; charset=utf-8 two"; !slices.Equal(sent, []string{want, want, want}) {
				t.Errorf("with the rate limit %d: sent %q", rate, sent)
			}
			for _, e := range events {
				d, attempts, err := p.store.Attempts(t.Context(), p.Source.WorkspaceID, boathook.NewDeliveryID(&e.Event, p.Outgoing.ID))
				if err != nil || d.Status != boathook.DeliverySucceeded || len(attempts) != 1 || d.Body.String() != "two" {
					t.Errorf("recorded %+v, %v, %v", d, attempts, err)
				}
			}
			p.noRetry(t)
		})
	}
}

// What is replayed never stands before new events, so nothing is given up to make room for
// them: an endpoint that takes its time is asked once.
func TestWhatIsReplayedHasItsFullTimeOut(t *testing.T) {
	for _, rate := range []int{0, 5} {
		synctest.Test(t, func(t *testing.T) {
			p := newPlace(t, func(r *http.Request, _ []byte) (*http.Response, error) {
				select {
				case <-time.After(8 * time.Second):
					return response(200, ""), nil
				case <-r.Context().Done():
					return nil, r.Context().Err()
				}
			})
			p.Deliverer = p.process(1)
			p.change(t, func(w *boathook.OutgoingWebhook) { w.RateLimit = rate })
			_, err := p.replay(t, delivery.ReplayMissing, p.missed(), p.missed())
			must(t, err)
			p.drain(t)
			if p.requests() != 2 || p.first.Stats().Ready > 0 {
				t.Errorf("with the rate limit %d: %d requests", rate, p.requests())
			}
		})
	}
}

func TestAReplayedEventWhoseFilterFailsIsADeliveryThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(200))
		p.change(t, func(w *boathook.OutgoingWebhook) { w.Filter = `.data.run_id.number > 1` })
		e := p.missed()
		_, err := p.replay(t, delivery.ReplayMissing, e)
		must(t, err)
		p.drain(t)
		d, attempts, err := p.store.Attempts(t.Context(), p.Source.WorkspaceID, boathook.NewDeliveryID(&e.Event, p.Outgoing.ID))
		if err != nil || d.Status != boathook.DeliveryFailed || len(attempts) != 1 || !strings.HasPrefix(attempts[0].Error, "filter: expected an object") || p.sent > 0 {
			t.Errorf("it is %+v, with the attempts %+v, %v; %d requests", d, attempts, err, p.sent)
		}
		time.Sleep(time.Millisecond) // what is attempted at the instant at which a replay begins counts as attempted since
		p.change(t, func(w *boathook.OutgoingWebhook) { w.Filter = `.data.run_id == "run_a"` })
		done, err := p.replay(t, delivery.ReplayFailed, e)
		must(t, err)
		p.drain(t)
		if d, err := p.store.Delivery(t.Context(), p.Source.WorkspaceID, d.ID); err != nil || d.Status != boathook.DeliverySucceeded || p.sent != 1 || done.Queued["failed"] != 1 {
			t.Errorf("mended it is %s, %v; %d requests; %+v", d.Status, err, p.sent, done)
		}
	})
}

// A first message that is late finds no record to look for. Its replay's does.
func TestAReplayedFirstAttemptThatHasBeenMadeIsNotMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(200))
		e := p.missed()
		_, err := p.replay(t, delivery.ReplayMissing, e)
		must(t, err)
		must(t, p.publisher().PublishTo(t.Context(), e.Event, p.Outgoing))
		messages, err := p.first.Receive(t.Context(), 1, 0)
		must(t, err)
		job, err := queue.DecodeDelivery(messages[0].Body)
		must(t, err)
		must(t, p.handle(t, job))
		p.drain(t)
		if d, attempts := p.record(t, job); d.Status != boathook.DeliverySucceeded || len(attempts) != 1 || p.sent != 1 {
			t.Errorf("%d requests; recorded %+v", p.sent, attempts)
		}
	})
}

func TestAReplayToAWebhookThatIsDisabledMeanwhileIsCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(200))
		e := p.missed()
		_, err := p.replay(t, delivery.ReplayMissing, e)
		must(t, err)
		p.change(t, func(w *boathook.OutgoingWebhook) { w.Enabled = false })
		p.drain(t)
		id := boathook.NewDeliveryID(&e.Event, p.Outgoing.ID)
		if d, err := p.store.Delivery(t.Context(), p.Source.WorkspaceID, id); err != nil || d.Status != boathook.DeliveryCanceled || p.sent > 0 {
			t.Errorf("it is %s, %v; %d requests", d.Status, err, p.sent)
		}
		p.change(t, func(*boathook.OutgoingWebhook) {})
		if done, err := p.replay(t, delivery.ReplayFailed, e); err != nil || done.Queued["canceled"] != 1 {
			t.Errorf("replayed %+v, %v", done, err)
		}
		p.drain(t)
		if d, err := p.store.Delivery(t.Context(), p.Source.WorkspaceID, id); err != nil || d.Status != boathook.DeliverySucceeded || p.sent != 1 {
			t.Errorf("enabled, it is %s, %v; %d requests", d.Status, err, p.sent)
		}
	})
}
