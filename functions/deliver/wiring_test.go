package main

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"boathook/events"
	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/testing/stack"
)

// batch is an event of first attempts of new deliveries to the fixture's webhook.
func batch(t *testing.T, n int) (e awsevents.SQSEvent) {
	t.Helper()
	for range n {
		happened := boathook.Event{ID: boathook.NewID(boathook.EventID), Time: time.Now()}
		m, err := queue.EncodeDelivery(queue.Delivery{
			Delivery: boathook.Delivery{
				ID: boathook.NewDeliveryID(&happened, events.OutgoingID), WorkspaceID: events.WorkspaceID, SourceID: events.DeploymentID,
				WebhookID: events.OutgoingID, EventID: happened.ID, EventType: boathook.EventRunSucceeded,
				Environment: boathook.Production, Body: boathook.NewBody([]byte(`{}`)),
			},
			Attempt: 1, First: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		e.Records = append(e.Records, awsevents.SQSMessage{MessageId: happened.ID, Body: m.Body})
	}
	return e
}

func answers(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// change changes the fixture's webhook.
func change(t *testing.T, s *stack.Stack, change func(*boathook.OutgoingWebhook)) {
	t.Helper()
	w, err := s.Store.Outgoing(t.Context(), events.DeploymentID, events.OutgoingID)
	if err == nil {
		change(&w)
		err = s.Store.PutOutgoing(t.Context(), w)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Calls()
}

// The retries queue has consumers of its own, so that what failed before does not
// stand before what comes first.
func TestARetryGoesToTheRetriesQueue(t *testing.T) {
	s, handler := newHandler(t, answers(http.StatusInternalServerError))
	invoke(t, handler, "deliver/one-delivery")
	if got := s.Sent(t, s.Calls()); !slices.Equal(got, []string{"retries"}) {
		t.Errorf("it is sent to %v", got)
	}
}

// That a webhook was disabled is an event as any other: its deliveries are first
// attempts.
func TestTheEventOfADisabledWebhookGoesToTheDeliveriesQueue(t *testing.T) {
	s, handler := newHandler(t, answers(http.StatusGone))
	listener, err := s.Store.Outgoing(t.Context(), events.DeploymentID, events.OutgoingID)
	if err != nil {
		t.Fatal(err)
	}
	listener.ID, listener.Revision, listener.Events = boathook.NewID(boathook.OutgoingID), 0, []boathook.EventType{boathook.EventWebhookDisabled}
	if err := s.Store.PutOutgoing(t.Context(), listener); err != nil {
		t.Fatal(err)
	}
	s.Calls()
	invoke(t, handler, "deliver/one-delivery")
	if got := s.Sent(t, s.Calls()); !slices.Equal(got, []string{"deliveries"}) {
		t.Errorf("it is sent to %v", got)
	}
}

// Deliveries that fail together must not all come back at one time. Their waits
// are a day, ±20 %.
func TestTheWaitsOfRetriesAreSpread(t *testing.T) {
	s, handler := newHandler(t, answers(http.StatusInternalServerError))
	change(t, s, func(w *boathook.OutgoingWebhook) { w.Retry = []time.Duration{24 * time.Hour} })
	if res := stack.Invoke[awsevents.SQSEvent, awsevents.SQSEventResponse](t, handler, batch(t, 10)); len(res.BatchItemFailures) > 0 {
		t.Fatalf("failures %v", res.BatchItemFailures)
	}
	var soonest, last time.Time
	for _, d := range deliveries(t, s) {
		if soonest.IsZero() || d.NextAttemptAt.Before(soonest) {
			soonest = d.NextAttemptAt
		}
		if d.NextAttemptAt.After(last) {
			last = d.NextAttemptAt
		}
	}
	// Ten waits that are even over 9.6 hours lie within 30 minutes once in 10^10 times.
	if spread := last.Sub(soonest); spread < 30*time.Minute {
		t.Errorf("the retries of a burst come within %s", spread)
	}
}

// An attempt that the function can't see to its end would be made again, though
// its receiver may have had it.
func TestAnAttemptThatCouldOutliveTheFunctionIsNotBegun(t *testing.T) {
	sent := 0
	_, handler := newHandler(t, func(http.ResponseWriter, *http.Request) { sent++ })
	deadline := time.Now().Add(boathook.MaxDeliveryTimeout + 5*time.Second)
	event := events.Load[awsevents.SQSEvent](t, "deliver/one-delivery")
	res := stack.InvokeUntil[awsevents.SQSEvent, awsevents.SQSEventResponse](t, handler, event, deadline)
	if len(res.BatchItemFailures) != 1 || sent > 0 {
		t.Errorf("sent %d, failures %v; want the message left for another invocation", sent, res.BatchItemFailures)
	}
	if spare := stack.Timeout(t, "DeliverFunction") - margin; spare < 10*time.Second {
		t.Errorf("an invocation must begin its attempts within %s", spare)
	}
}

func TestWhatIsCountedIsPrinted(t *testing.T) {
	printed := stack.Output(t)
	_, handler := newHandler(t, answers(http.StatusInternalServerError))
	invoke(t, handler, "deliver/one-delivery")
	if counts := stack.Counts(t, printed()); counts["AttemptsFailed"] != 1 || len(counts) != 1 {
		t.Errorf("counted %v", counts)
	}
}

// What the stack's parameters don't allow does not leave, whatever a webhook's URL
// was when it was checked.
func TestOnlyWhatIsAllowedLeaves(t *testing.T) {
	for variable, refusal := range map[string]string{
		"BOATHOOK_ALLOWED_EGRESS": "not a public address",
		"BOATHOOK_ALLOW_HTTP":     "http is not allowed",
	} {
		s, _ := newHandler(t, func(http.ResponseWriter, *http.Request) { t.Errorf("%s allows it", variable) })
		s.Env[variable] = map[string]string{"BOATHOOK_ALLOWED_EGRESS": "", "BOATHOOK_ALLOW_HTTP": "false"}[variable]
		handler, err := build(t.Context(), stack.Config[config](t, s), s.SDK)
		if err != nil {
			t.Fatal(err)
		}
		invoke(t, handler, "deliver/one-delivery")
		list := deliveries(t, s)
		if len(list) != 1 {
			t.Fatalf("recorded %+v", list)
		}
		_, attempts, err := s.Store.Attempts(t.Context(), events.WorkspaceID, list[0].ID)
		if err != nil || len(attempts) != 1 || !strings.Contains(attempts[0].Error, refusal) {
			t.Errorf("%s: attempts %+v, %v; want one that is refused: %s", variable, attempts, err, refusal)
		}
	}
}

// No receiver waits for another's answer. Each request here is answered when all
// of its batch have come, or one has been given up.
func TestTheAttemptsOfABatchAreMadeSideBySide(t *testing.T) {
	const n = 10
	var arrived atomic.Int64
	var once sync.Once
	end := make(chan struct{})
	s, handler := newHandler(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the server sees that its client leaves
		if arrived.Add(1) == n {
			once.Do(func() { close(end) })
		}
		select {
		case <-end:
		case <-r.Context().Done():
			once.Do(func() { close(end) })
		}
	})
	stack.Invoke[awsevents.SQSEvent, awsevents.SQSEventResponse](t, handler, batch(t, n))
	list := deliveries(t, s)
	if len(list) != n {
		t.Errorf("%d of %d are recorded", len(list), n)
	}
	for _, d := range list {
		if d.Status != boathook.DeliverySucceeded {
			t.Errorf("delivery %s is %s", d.ID, d.Status)
		}
	}
}

// A developer's machine is told of a delivery that waits for no retry; a connection
// that has gone is forgotten.
func TestAListenerIsToldOfADelivery(t *testing.T) {
	s, handler := newHandler(t, answers(500))
	change(t, s, func(w *boathook.OutgoingWebhook) {
		w.URL, w.Retry, w.Destination = "", nil, boathook.Destination{Type: boathook.DestinationListener}
	})
	for _, id := range []string{"gone", events.ConnectionID} {
		c := boathook.Connection{ID: id, WorkspaceID: events.WorkspaceID, ConnectedAt: time.Now()}
		if err := s.Store.Watch(t.Context(), c, boathook.DeliveriesChannel); err != nil {
			t.Fatal(err)
		}
	}
	s.WebSockets.End("gone")
	invoke(t, handler, "deliver/one-delivery")
	list := deliveries(t, s)
	if len(list) != 1 || list[0].Status != boathook.DeliverySucceeded || list[0].Last.Status != http.StatusAccepted {
		t.Fatalf("recorded %+v", list)
	}
	if frames := s.WebSockets.Frames(events.ConnectionID); len(frames) != 1 || !strings.Contains(frames[0], `"delivery_id":"`+list[0].ID.String()+`"`) {
		t.Errorf("frames %q", frames)
	}
	listeners, err := s.Store.Watchers(t.Context(), events.WorkspaceID, boathook.DeliveriesChannel)
	if err != nil || len(listeners) != 1 || listeners[0].ID != events.ConnectionID {
		t.Errorf("listeners %v, %v", listeners, err)
	}

	s.WebSockets.End(events.ConnectionID)
	invoke(t, handler, "deliver/batch-with-one-bad-record")
	after := deliveries(t, s)
	if len(after) != 2 { // the first is in the batch again, and stays as it is recorded
		t.Errorf("recorded %+v", after)
	}
	for _, d := range after {
		if d.ID != list[0].ID && (d.Status != boathook.DeliveryFailed || !strings.Contains(d.Last.Error, "nobody listens")) {
			t.Errorf("of whom nobody heard: recorded %+v", d)
		}
	}
}
