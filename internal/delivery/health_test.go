package delivery_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/dialect"
	"boathook/internal/queue"
)

func (p *place) webhook(t testing.TB) boathook.OutgoingWebhook {
	t.Helper()
	w, err := p.store.Store.Outgoing(t.Context(), p.Source.ID, p.Outgoing.ID)
	must(t, err)
	return w
}

// listener adds a webhook that wants to hear of disabled ones.
func (p *place) listener(t testing.TB) boathook.OutgoingWebhook {
	t.Helper()
	w := p.Outgoing
	w.ID, w.Revision = boathook.NewID(boathook.OutgoingID), 0
	w.Environment = boathook.Production
	w.Events = []boathook.EventType{boathook.EventWebhookDisabled}
	must(t, p.store.PutOutgoing(t.Context(), w))
	return w
}

// published is what was queued to be delivered, acknowledged.
func (p *place) published(t testing.TB) (jobs []queue.Delivery) {
	t.Helper()
	messages, err := p.first.Receive(t.Context(), 10, 0)
	must(t, err)
	for _, m := range messages {
		job, err := queue.DecodeDelivery(m.Body)
		must(t, err)
		must(t, p.first.Delete(t.Context(), m.Receipt))
		jobs = append(jobs, job)
	}
	return jobs
}

func TestHealthIsWrittenOnlyWhereItSaysSomethingNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(200))
		wantHealth := func(since time.Time, marks, clears int) {
			t.Helper()
			if got := p.webhook(t).Health.FailingSince; !got.Equal(since.Truncate(time.Millisecond)) {
				t.Errorf("failing since %s, want %s", got, since)
			}
			if p.store.calls["MarkFailure"] != marks || p.store.calls["ClearHealth"] != clears || p.store.calls["MarkSlow"] != 0 {
				t.Errorf("calls: %v, want %d marks and %d clears", p.store.calls, marks, clears)
			}
		}
		several := func(n int) {
			t.Helper()
			for range n {
				must(t, p.handle(t, p.job()))
				time.Sleep(4 * time.Second)
			}
		}
		several(3)
		wantHealth(time.Time{}, 0, 0)
		p.receive = status(500)
		since := time.Now()
		several(50)
		wantHealth(since, 10, 0) // more failures of one hour say nothing
		for hour := 2; hour <= 8; hour++ {
			time.Sleep(time.Hour)
			several(3)
			wantHealth(since, 10+min(hour, 5)-1, 0)
		}
		p.receive = status(204)
		several(3)
		wantHealth(time.Time{}, 14, 1)
	})
}

func TestGoneDisablesTheWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(410))
		p.change(t, func(w *boathook.OutgoingWebhook) { w.Environment = "" })
		listener := p.listener(t)
		job := p.job()
		must(t, p.handle(t, job))

		w := p.webhook(t)
		if w.Enabled || w.Disabled.Reason != "the receiver answered 410 Gone" || !w.Disabled.At.Equal(time.Now().Truncate(time.Millisecond)) {
			t.Errorf("enabled %v, health %+v", w.Enabled, w.Health)
		}
		p.noRetry(t)
		if d, attempts := p.record(t, job); d.Status != boathook.DeliveryFailed || attempts[0].Error != "answered 410" {
			t.Errorf("recorded %s with %+v", d.Status, attempts)
		}
		if !strings.Contains(p.log.String(), "webhook disabled") {
			t.Errorf("logged %s", p.log)
		}

		jobs := p.published(t)
		if len(jobs) != 1 || jobs[0].WebhookID != listener.ID || jobs[0].EventType != boathook.EventWebhookDisabled {
			t.Fatalf("published %+v", jobs)
		}
		var body map[string]string
		must(t, json.Unmarshal(jobs[0].Body.Bytes(), &body))
		want := map[string]string{
			"event": "webhook.disabled", "webhook_id": p.Outgoing.ID, "name": "fixture", "host": "receiver.example",
			"reason": "the receiver answered 410 Gone", "disabled_at": w.Disabled.At.Format(boathook.TimeLayout),
		}
		for field, value := range want {
			if body[field] != value {
				t.Errorf("%s is %q, want %q", field, body[field], value)
			}
		}

		p.receive = status(204)
		must(t, p.handle(t, jobs[0]))
		if d, _ := p.record(t, jobs[0]); d.Status != boathook.DeliverySucceeded {
			t.Errorf("the listener's delivery is %s", d.Status)
		}
	})
}

func TestTheFirstOfABatchDisables(t *testing.T) {
	p := newPlace(t, status(410))
	p.listener(t)
	for range 3 { // the process still takes the webhook for enabled
		must(t, p.handle(t, p.job()))
	}
	if n := len(p.published(t)); n != 1 || p.store.calls["DisableOutgoing"] != 1 {
		t.Errorf("published %d events; calls %v", n, p.store.calls)
	}
}

// fail has a delivery fail, and reports whether the webhook is enabled still.
func (p *place) fail(t testing.TB) (enabled bool) {
	t.Helper()
	must(t, p.handle(t, p.job()))
	return p.webhook(t).Enabled
}

func TestAWebhookThatFailsForFiveDaysIsDisabled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(500))
		p.listener(t)
		begun := time.Now()
		for range 10 {
			p.fail(t)
			time.Sleep(time.Hour)
		}
		time.Sleep(time.Until(begun.Add(5*24*time.Hour - time.Second)))
		if !p.fail(t) {
			t.Fatal("disabled before five days are over")
		}
		time.Sleep(time.Second)
		if p.fail(t) {
			t.Fatal("still enabled after five days")
		}
		w := p.webhook(t)
		if want := "failing since " + begun.UTC().Format(time.RFC3339); w.Disabled.Reason != want {
			t.Errorf("the reason is %q, want %q", w.Disabled.Reason, want)
		}
		if jobs := p.published(t); len(jobs) != 1 {
			t.Errorf("published %+v", jobs)
		}
	})
}

// Failures that say little of the days between them disable nothing: too few of
// them, or all in a few hours, or with a success between.
func TestAWebhookThatFailsNowAndThenIsNotDisabled(t *testing.T) {
	for name, tc := range map[string]struct {
		fail func(*place, *testing.T)
		more bool // two failures more are enough
	}{
		"two failures five days apart": {fail: func(p *place, t *testing.T) {
			p.fail(t)
			time.Sleep(5 * 24 * time.Hour)
		}},
		"nine failures": {more: true, fail: func(p *place, t *testing.T) {
			for range 8 {
				p.fail(t)
				time.Sleep(15 * time.Hour)
			}
			time.Sleep(24 * time.Hour)
		}},
		"a hundred failures in four hours": {fail: func(p *place, t *testing.T) {
			for range 3 {
				for range 33 {
					p.fail(t)
				}
				time.Sleep(time.Hour)
			}
			time.Sleep(5 * 24 * time.Hour)
		}},
		"a success between": {fail: func(p *place, t *testing.T) {
			for i := range 20 {
				p.receive = status(500)
				if i == 10 {
					p.receive = status(200)
				}
				p.fail(t)
				time.Sleep(8 * time.Hour)
			}
			p.receive = status(500)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t, status(500))
				time.Sleep(time.Hour - time.Duration(time.Now().UnixNano())%time.Hour) // an hour begins
				tc.fail(p, t)
				if !p.fail(t) {
					t.Fatal("it is disabled")
				}
				if tc.more && p.fail(t) {
					t.Error("it is not disabled when it has failed often enough")
				}
			})
		})
	}
}

func TestASuccessThatAnotherProcessSawKeepsTheWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(500))
		for range 10 {
			p.fail(t)
			time.Sleep(time.Hour)
		}
		time.Sleep(5 * 24 * time.Hour)
		p.receive = func(*http.Request, []byte) (*http.Response, error) {
			must(t, p.store.Store.ClearHealth(t.Context(), p.Outgoing.ID, boathook.HealthFailures))
			return response(500, ""), nil
		}
		if !p.fail(t) {
			t.Error("it is disabled")
		}
	})
}

// Whatever breaks off while a webhook is disabled, the message comes again and
// the others are told of one event.
func TestDisablingSurvivesACrashAtAnyPoint(t *testing.T) {
	for _, call := range []string{"MarkDisabling", "Publish", "DisableOutgoing", "RecordAttempt"} {
		t.Run(call, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t, status(410))
				listener := p.listener(t)
				begun := time.Now()
				broken := false
				p.store.fail = func(c string) error {
					if c == call && !broken {
						broken = true
						return errDown
					}
					return nil
				}
				job := p.job()
				for range 4 {
					if err := p.handle(t, job); err == nil {
						break
					} else if !errors.Is(err, errDown) {
						t.Fatal(err)
					}
					time.Sleep(6 * time.Minute)
				}
				ids := map[boathook.DeliveryID]string{}
				for _, j := range p.published(t) {
					if body, seen := ids[j.ID]; j.WebhookID != listener.ID || seen && body != j.Body.String() {
						t.Errorf("published %+v", j)
					}
					ids[j.ID] = j.Body.String()
				}
				w := p.webhook(t)
				if len(ids) != 1 || w.Enabled || w.Disabled.At.Sub(begun) > 13*time.Minute {
					t.Errorf("%d events, enabled %v, health %+v", len(ids), w.Enabled, w.Health)
				}
			})
		})
	}
}

// Who can't count a failure doesn't know the webhook's health better than before: a
// success in the same batch clears what had been counted, and what may have been.
func TestASuccessBesideAFailureThatIsNotCountedClearsTheFailures(t *testing.T) {
	for name, counted := range map[string]bool{"that was failing": true, "that was well": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t, status(500))
				if counted {
					p.fail(t)
				}
				jobs := []queue.Delivery{p.job(), p.job()}
				p.store.fail = func(call string) error {
					switch call {
					case "Outgoing":
						time.Sleep(time.Second) // the batch shares what is read
					case "MarkFailure": // done, and its answer is lost
						_, err := p.store.Store.MarkFailure(t.Context(), p.Outgoing.ID, time.Now())
						return errors.Join(errDown, err)
					}
					return nil
				}
				var asked atomic.Int32
				p.receive = func(*http.Request, []byte) (*http.Response, error) {
					if asked.Add(1) == 1 {
						return response(500, ""), nil
					}
					time.Sleep(100 * time.Millisecond)
					return response(200, ""), nil
				}
				var failed, succeeded int
				done := make(chan error)
				for _, job := range jobs {
					go func() { done <- p.handle(t, job) }()
				}
				for range jobs {
					switch err := <-done; {
					case err == nil:
						succeeded++
					case errors.Is(err, errDown):
						failed++
					default:
						t.Error(err)
					}
				}
				if h := p.webhook(t).Health; failed != 1 || succeeded != 1 || !h.IsZero() {
					t.Errorf("%d failed, %d succeeded; its health is %+v", failed, succeeded, h)
				}
			})
		})
	}
}

// A success calls off a disabling that broke off. One that comes later has a reason,
// a time and an event of its own.
func TestASuccessCallsOffADisablingThatBrokeOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(500))
		p.listener(t)
		for range 10 {
			p.fail(t)
			time.Sleep(time.Hour)
		}
		time.Sleep(5 * 24 * time.Hour)
		p.store.fail = func(call string) error {
			if call == "DisableOutgoing" {
				return errDown
			}
			return nil
		}
		if err := p.handle(t, p.job()); !errors.Is(err, errDown) {
			t.Fatal(err)
		}
		p.store.fail = nil
		before := p.published(t)

		time.Sleep(time.Minute)
		p.receive = status(200)
		must(t, p.handle(t, p.job()))
		if h := p.webhook(t).Health; !h.IsZero() {
			t.Errorf("after a success its health is %+v", h)
		}

		time.Sleep(time.Hour)
		p.receive = status(410)
		gone := time.Now()
		if p.fail(t) {
			t.Fatal("still enabled after a 410")
		}
		w, after := p.webhook(t), p.published(t)
		if w.Disabled.Reason != "the receiver answered 410 Gone" || w.Disabled.At.Before(gone.Truncate(time.Millisecond)) {
			t.Errorf("it is disabled at %s: %q", w.Disabled.At, w.Disabled.Reason)
		}
		if len(before) != 1 || len(after) != 1 || before[0].ID == after[0].ID || before[0].Body.String() == after[0].Body.String() {
			t.Errorf("published %d events, then %d, or the same", len(before), len(after))
		}
	})
}

func TestAWebhookThatIsDeletedWhileItFailsIsLeftAlone(t *testing.T) {
	p := newPlace(t, nil)
	p.receive = func(*http.Request, []byte) (*http.Response, error) {
		must(t, p.store.DeleteOutgoing(t.Context(), p.Source.ID, p.Outgoing.ID))
		return response(410, ""), nil
	}
	job := p.job()
	must(t, p.handle(t, job))
	if d, _ := p.record(t, job); d.Status != boathook.DeliveryFailed {
		t.Errorf("recorded %s", d.Status)
	}
	if jobs := p.published(t); len(jobs) != 0 {
		t.Errorf("published %+v", jobs)
	}
}

func TestTheEventOfADisabledWebhookIsAsTheDialectSays(t *testing.T) {
	speaks, _ := dialect.Lookup(dialect.Crewship)
	w := boathook.OutgoingWebhook{ID: "out_a", Name: "a", URL: "https://a.example:8443/services/token?key=secret"}
	event := w.DisabledEvent(boathook.Disabling{At: time.UnixMilli(1_771_143_284_003), Reason: "why"})
	body, err := speaks.Body(boathook.Raw, event)
	want := `{"event":"webhook.disabled","webhook_id":"out_a","name":"a","host":"a.example:8443","reason":"why","disabled_at":"2026-02-15T08:14:44.003Z"}`
	if err != nil || string(body) != want {
		t.Errorf("got %s, %v; want %s", body, err, want)
	}
}
