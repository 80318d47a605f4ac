package delivery_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/dialect"
	"boathook/internal/queue"
	"boathook/internal/store"
)

// told adds a webhook of the workspace's alerts, which wants all or some of them.
func (p *place) told(t testing.TB, events ...boathook.EventType) boathook.OutgoingWebhook {
	t.Helper()
	if len(events) == 0 {
		events = boathook.EventTypes[boathook.Alerts]
	}
	w := p.Outgoing
	w.ID, w.SourceID, w.Revision = boathook.NewID(boathook.OutgoingID), boathook.NewAlertsID(p.Source.WorkspaceID), 0
	w.Environment, w.Dialect, w.Events = "", dialect.Standard, events
	w.Secrets.Current = []byte("whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32)))
	must(t, p.store.PutOutgoing(t.Context(), w))
	return w
}

// wantAlerts is that alerts of these types were queued since the last time. It gives the
// deliveries, and the data of their events.
func (p *place) wantAlerts(t testing.TB, types ...boathook.EventType) (jobs []queue.Delivery, data []map[string]any) {
	t.Helper()
	jobs = p.published(t)
	var got []boathook.EventType
	for _, job := range jobs {
		got = append(got, job.EventType)
		var body struct{ Data map[string]any }
		must(t, json.Unmarshal(job.Body.Bytes(), &body))
		data = append(data, body.Data)
	}
	if len(got) != len(types) {
		t.Fatalf("told %v, want %v", got, types)
	}
	for i := range got {
		if got[i] != types[i] {
			t.Fatalf("told %v, want %v", got, types)
		}
	}
	return jobs, data
}

func (p *place) attempts(t testing.TB, n int) {
	t.Helper()
	for range n {
		must(t, p.handle(t, p.job()))
	}
}

func TestAnAlertTellsOnceThatAWebhookFailsAndOnceThatItIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(503))
		p.change(t, func(w *boathook.OutgoingWebhook) { w.URL = "https://receiver.example/secret?token=hunter2" })
		alerts := p.told(t)
		since := time.Now()
		p.attempts(t, 5)
		p.wantAlerts(t) // three failures, but of one moment
		time.Sleep(time.Minute)
		p.attempts(t, 1)
		jobs, data := p.wantAlerts(t, boathook.EventWebhookFailing)
		if jobs[0].WebhookID != alerts.ID || strings.Contains(string(jobs[0].Body.Bytes()), "hunter2") {
			t.Errorf("%s was told %s", jobs[0].WebhookID, jobs[0].Body.Bytes())
		}
		for field, want := range map[string]any{
			"webhook_id": p.Outgoing.ID, "source_id": p.Source.ID, "name": "fixture", "host": "receiver.example",
			"failing_since": since.UTC().Format(boathook.TimeLayout), "response_status": 503.0, "error": "answered 503",
		} {
			if data[0][field] != want {
				t.Errorf("%s is %v, want %v", field, data[0][field], want)
			}
		}
		calls := p.store.calls["MoveAlert"]
		time.Sleep(time.Hour)
		p.attempts(t, 20)
		p.wantAlerts(t)
		if n := p.store.calls["MoveAlert"] - calls; n != 0 {
			t.Errorf("%d writes for what was told", n)
		}

		p.receive = status(204)
		p.attempts(t, 3)
		_, data = p.wantAlerts(t, boathook.EventWebhookRecovered)
		if data[0]["failing_since"] != since.UTC().Format(boathook.TimeLayout) || data[0]["recovered_at"] != time.Now().UTC().Format(boathook.TimeLayout) {
			t.Errorf("told %v", data[0])
		}

		p.receive = status(500)
		p.attempts(t, 3)
		time.Sleep(time.Minute)
		p.attempts(t, 3)
		again, _ := p.wantAlerts(t, boathook.EventWebhookFailing)
		if again[0].EventID == jobs[0].EventID {
			t.Error("another incident is told as the same event")
		}
	})
}

func TestAWebhookHasItsOwnThreshold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(500))
		p.told(t)
		p.change(t, func(w *boathook.OutgoingWebhook) {
			w.AlertAfter = boathook.AlertThreshold{Failures: 10, Over: time.Hour}
		})
		time.Sleep(time.Minute)
		p.attempts(t, 9)
		time.Sleep(time.Hour)
		p.wantAlerts(t)
		p.attempts(t, 1)
		p.wantAlerts(t, boathook.EventWebhookFailing)
	})
}

// Several processes see the last failure at once.
func TestOneOfManyTellsOfAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(500))
		p.told(t)
		p.attempts(t, 2)
		time.Sleep(time.Minute)
		side := func() {
			var all sync.WaitGroup
			for range 8 {
				other := p.process(1)
				m, err := queue.EncodeDelivery(p.job())
				must(t, err)
				all.Go(func() {
					if err := other.Handle(context.Background(), m.Body); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		}
		side()
		p.wantAlerts(t, boathook.EventWebhookFailing)
		p.receive = status(204)
		side()
		p.wantAlerts(t, boathook.EventWebhookRecovered)
	})
}

// Whatever breaks off, what was begun is told in the end, as the same event.
func TestAnAlertThatBreaksOffIsToldLater(t *testing.T) {
	for _, call := range []string{"MoveAlert", "Alert"} {
		for _, nth := range []int{1, 2, 3, 4} {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t, status(500))
				p.told(t)
				p.attempts(t, 2)
				count := 0
				p.store.fail = func(c string) error {
					if c == call {
						if count++; count == nth {
							return errors.New("down")
						}
					}
					return nil
				}
				told := map[boathook.EventType]map[string]bool{}
				look := func() {
					for _, job := range p.published(t) {
						if told[job.EventType] == nil {
							told[job.EventType] = map[string]bool{}
						}
						told[job.EventType][job.EventID] = true
					}
				}
				for _, answer := range []int{500, 204} {
					p.receive = status(answer)
					for range 3 {
						time.Sleep(time.Minute)
						job := p.job()
						if err := p.handle(t, job); err != nil {
							must(t, p.handle(t, job)) // its message comes again
						}
						look()
					}
				}
				if len(told[boathook.EventWebhookFailing]) != 1 || len(told[boathook.EventWebhookRecovered]) != 1 {
					t.Errorf("call %d of %s failed: told %v", nth, call, told)
				}
				if h := p.webhook(t).Health; !h.IsZero() {
					t.Errorf("call %d of %s failed: %+v is left", nth, call, h)
				}
			})
		}
	}
}

func TestAnAlertTellsOfEachDeliveryThatFailedForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(400))
		p.change(t, func(w *boathook.OutgoingWebhook) { w.Retry = nil })
		alerts := p.told(t, boathook.EventDeliveryExhausted)
		first, second := p.job(), p.job()
		for _, job := range []queue.Delivery{first, second, second} { // whose message comes twice
			must(t, p.handle(t, job))
		}
		jobs, data := p.wantAlerts(t, boathook.EventDeliveryExhausted, boathook.EventDeliveryExhausted, boathook.EventDeliveryExhausted)
		if jobs[0].EventID == jobs[1].EventID || jobs[1].EventID != jobs[2].EventID {
			t.Errorf("events %s, %s, %s", jobs[0].EventID, jobs[1].EventID, jobs[2].EventID)
		}
		for field, want := range map[string]any{
			"delivery_id": first.ID.String(), "event_id": first.EventID, "event_type": "run.succeeded", "attempts": 1.0,
			"response_status": 400.0, "error": "answered 400", "webhook_id": p.Outgoing.ID, "source_id": p.Source.ID,
		} {
			if data[0][field] != want {
				t.Errorf("%s is %v, want %v", field, data[0][field], want)
			}
		}

		// The alert's own delivery fails too.
		alerts.Retry = nil
		alerts.Revision = 1
		must(t, p.store.PutOutgoing(t.Context(), alerts))
		must(t, p.handle(t, jobs[0]))
		if d, _ := p.record(t, jobs[0]); d.Status != boathook.DeliveryFailed {
			t.Fatalf("it is %s", d.Status)
		}
		p.wantAlerts(t)
	})
}

func TestAlertsTellThatAWebhookIsDisabled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(410))
		p.told(t)
		p.attempts(t, 1)
		_, data := p.wantAlerts(t, boathook.EventWebhookDisabled, boathook.EventDeliveryExhausted)
		if data[0]["webhook_id"] != p.Outgoing.ID || data[0]["source_id"] != p.Source.ID || data[0]["reason"] != "the receiver answered 410 Gone" {
			t.Errorf("told %v", data[0])
		}
	})
}

// A webhook of the alerts is disabled: the others hear of it, once.
func TestAlertsTellThatOneOfTheirOwnWebhooksIsDisabled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(410))
		alerts, other := p.told(t), p.told(t, boathook.EventWebhookDisabled)
		job := p.job()
		job.SourceID, job.WebhookID = alerts.SourceID, alerts.ID
		must(t, p.handle(t, job))
		jobs, data := p.wantAlerts(t, boathook.EventWebhookDisabled, boathook.EventWebhookDisabled)
		for i := range jobs {
			if jobs[i].EventID != jobs[0].EventID || data[i]["webhook_id"] != alerts.ID {
				t.Errorf("told %+v of %v", jobs[i], data[i])
			}
		}
		if jobs[0].WebhookID != other.ID && jobs[1].WebhookID != other.ID {
			t.Errorf("%s was not told", other.ID)
		}
	})
}

func TestAlertsThatNobodyWantsCostNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(400))
		p.change(t, func(w *boathook.OutgoingWebhook) { w.Retry = nil })
		p.told(t, boathook.EventRunLost)
		p.attempts(t, 100)
		if n := p.store.calls["Audience"]; n != 1 {
			t.Errorf("%d reads", n)
		}
		p.told(t, boathook.EventDeliveryExhausted)
		time.Sleep(time.Minute)
		p.attempts(t, 1)
		p.wantAlerts(t, boathook.EventDeliveryExhausted)
	})
}

// What is wanted is what the feed keeps, though no webhook wants it.
func TestAlertsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(400))
		p.change(t, func(w *boathook.OutgoingWebhook) { w.Retry = nil })
		source := boathook.Source{
			ID: boathook.NewAlertsID(p.Source.WorkspaceID), WorkspaceID: p.Source.WorkspaceID, Kind: boathook.Alerts, Name: "alerts", CreatedAt: time.Now(),
		}
		settings := source.FeedSettings(30).With(7, time.Now())
		source.Feed = &settings
		must(t, p.store.PutSource(t.Context(), source))
		p.attempts(t, 1)
		page, err := p.store.FeedEvents(t.Context(), feedOf(source))
		must(t, err)
		if len(page.Events) != 1 || page.Events[0].Type != boathook.EventDeliveryExhausted {
			t.Errorf("kept %+v", page.Events)
		}
	})
}

func feedOf(s boathook.Source) store.FeedQuery {
	return store.FeedQuery{WorkspaceID: s.WorkspaceID, SourceID: s.ID, Settings: s.FeedSettings(30), Limit: 10}
}
