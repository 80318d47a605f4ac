package storetest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// newDelivery is the delivery of an event of its own, at a time, to a webhook.
func (s *suite) newDelivery(webhookID string, at time.Time) boathook.Delivery {
	e := boathook.Event{ID: boathook.NewID(boathook.EventID), Time: at}
	return boathook.Delivery{
		ID: boathook.NewDeliveryID(&e, webhookID), WorkspaceID: boathook.NewID(boathook.WorkspaceID),
		SourceID: boathook.NewID(boathook.DeploymentID), WebhookID: webhookID, EventID: e.ID,
		EventType: boathook.EventRunSucceeded, Environment: boathook.Production, Dialect: "crewship", ContentType: "text/plain; charset=utf-8", Fault: "transform: cannot iterate over: null",
		Body: boathook.NewBody([]byte(`{"event":"run.succeeded","input":{"id":123456789012345678901234567890}}`)),
	}
}

func (s *suite) newAttempt(number, status int) boathook.Attempt {
	a := boathook.Attempt{
		Number: number, SentAt: s.clock.Now().Add(time.Duration(number) * time.Hour), Duration: 1234 * time.Millisecond,
		URL:       "https://example.com/hook?a=<b>&c",
		Signature: "5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd",
		Response: &boathook.Response{
			Status:  status,
			Headers: http.Header{"Content-Type": {"application/json"}, "Set-Cookie": {"a=1", "b=2"}, "X-Empty": {""}},
			Body:    []byte(`{"ok":true}`),
		},
	}
	if !a.Succeeded() {
		a.Error = fmt.Sprintf("status %d", status)
	}
	return a
}

// after is the delivery as it is after a number of attempts.
func (s *suite) after(d boathook.Delivery, attempts int, status boathook.DeliveryStatus) boathook.Delivery {
	d.Attempts, d.Status, d.NextAttemptAt = attempts, status, time.Time{}
	if status == boathook.DeliveryRetrying {
		d.NextAttemptAt = s.clock.Now().Add(5 * time.Minute)
	}
	return d
}

// record records an attempt with a plausible response and returns the delivery
// as it is after it.
func (s *suite) record(t *testing.T, d boathook.Delivery, number int, status boathook.DeliveryStatus) boathook.Delivery {
	t.Helper()
	response := http.StatusServiceUnavailable
	if status == boathook.DeliverySucceeded {
		response = http.StatusOK
	}
	d = s.after(d, number, status)
	a := s.newAttempt(number, response)
	must(t, s.RecordAttempt(t.Context(), d, a))
	d.Last = a.Summary()
	return d
}

func (s *suite) wantDelivery(t *testing.T, want boathook.Delivery, wantAttempts ...boathook.Attempt) {
	t.Helper()
	if n := len(wantAttempts); n > 0 {
		want.Last = wantAttempts[n-1].Summary()
	}
	wantSame(t, "delivery", read(s.Delivery(t.Context(), want.WorkspaceID, want.ID))(t), want)
	d, attempts, err := s.Attempts(t.Context(), want.WorkspaceID, want.ID)
	must(t, err)
	wantSame(t, "delivery beside its attempts", d, want)
	wantSame(t, "attempts", attempts, wantAttempts)
}

func (s *suite) wantNoDelivery(t *testing.T, workspaceID string, id boathook.DeliveryID) {
	t.Helper()
	_, err := s.Delivery(t.Context(), workspaceID, id)
	wantKind(t, "Delivery", err, boathook.NotFound)
	_, _, err = s.Attempts(t.Context(), workspaceID, id)
	wantKind(t, "Attempts", err, boathook.NotFound)
}

// withoutBody is a delivery as lists have it.
func withoutBody(d boathook.Delivery) boathook.Delivery {
	d.Body, d.Dialect, d.ContentType, d.Fault = boathook.Body{}, "", "", ""
	return d
}

func (s *suite) testRecordAttempt(t *testing.T) {
	newDelivery := func() boathook.Delivery {
		return s.newDelivery(boathook.NewID(boathook.OutgoingID), s.clock.Now())
	}

	t.Run("a delivery without attempts is not found", func(t *testing.T) {
		d := newDelivery()
		s.wantNoDelivery(t, d.WorkspaceID, d.ID)
	})
	t.Run("the first attempt makes the record", func(t *testing.T) {
		noResponse := s.newAttempt(1, 0)
		noResponse.Response, noResponse.Error = nil, "dial tcp: i/o timeout"
		bare := boathook.Attempt{Number: 1, SentAt: s.clock.Now(), Response: &boathook.Response{Status: http.StatusNoContent}}
		binary := s.newAttempt(1, http.StatusOK)
		binary.Response.Body = []byte{0, 0xff, 0xfe, '\n', 0x80}
		long := s.newAttempt(1, http.StatusBadGateway)
		long.Response.Body, long.Response.Truncated = printable(boathook.MaxResponseBody), true

		queued := s.newAttempt(1, http.StatusOK)
		queued.URL, queued.Destination = "", boathook.Destination{
			Type: boathook.DestinationSQS, QueueARN: "arn:aws:sqs:eu-west-1:123456789012:orders.fifo",
		}
		queued.Response = &boathook.Response{Status: http.StatusOK, MessageID: "5fea7756-0ea4-451a-a703-a558b933e274"}

		for _, c := range []struct {
			name    string
			attempt boathook.Attempt
			status  boathook.DeliveryStatus
		}{
			{"succeeded", s.newAttempt(1, http.StatusOK), boathook.DeliverySucceeded},
			{"to be retried", s.newAttempt(1, http.StatusServiceUnavailable), boathook.DeliveryRetrying},
			{"failed", s.newAttempt(1, http.StatusGone), boathook.DeliveryFailed},
			{"no response", noResponse, boathook.DeliveryRetrying},
			{"a response with nothing in it", bare, boathook.DeliverySucceeded},
			{"a queue's response", queued, boathook.DeliverySucceeded},
			{"a binary response", binary, boathook.DeliverySucceeded},
			{"a long, truncated response", long, boathook.DeliveryFailed},
		} {
			t.Run(c.name, func(t *testing.T) {
				d := s.after(newDelivery(), 1, c.status)
				must(t, s.RecordAttempt(t.Context(), d, c.attempt))
				s.wantDelivery(t, d, c.attempt)
			})
		}
	})
	t.Run("its summary has a long error in short", func(t *testing.T) {
		for n := 1; n <= 2; n++ {
			d := newDelivery()
			var attempts []boathook.Attempt
			for number := 1; number <= n; number++ {
				a := s.newAttempt(number, 0)
				a.Response, a.Error = nil, strings.Repeat("é", 500)
				d = s.after(d, number, boathook.DeliveryRetrying)
				must(t, s.RecordAttempt(t.Context(), d, a))
				attempts = append(attempts, a)
			}
			s.wantDelivery(t, d, attempts...)
			got := read(s.Delivery(t.Context(), d.WorkspaceID, d.ID))(t).Last
			if got.Number != n || got.Status != 0 || got.Error == "" || len(got.Error) > 200 {
				t.Errorf("after attempt %d it is %+v", n, got)
			}
		}
	})
	t.Run("a delivery may have no environment", func(t *testing.T) {
		d := newDelivery()
		d.Environment, d.EventType = "", boathook.EventRunFailed
		d = s.record(t, d, 1, boathook.DeliverySucceeded)
		s.wantDelivery(t, d, s.newAttempt(1, http.StatusOK))
	})
	t.Run("later attempts change its state and are listed oldest first", func(t *testing.T) {
		d := newDelivery()
		var attempts []boathook.Attempt
		for n := 1; n <= 11; n++ { // two digits: order is by number, not by text
			d = s.record(t, d, n, boathook.DeliveryRetrying)
			attempts = append(attempts, s.newAttempt(n, http.StatusServiceUnavailable))
		}
		s.wantDelivery(t, d, attempts...)
		d = s.record(t, d, 12, boathook.DeliverySucceeded)
		s.wantDelivery(t, d, append(attempts, s.newAttempt(12, http.StatusOK))...)
	})
	t.Run("an attempt that is recorded already is a conflict and changes nothing", func(t *testing.T) {
		d := s.record(t, newDelivery(), 1, boathook.DeliveryRetrying)
		first, second := s.newAttempt(1, http.StatusServiceUnavailable), s.newAttempt(2, http.StatusServiceUnavailable)
		again := s.after(d, 1, boathook.DeliverySucceeded)
		wantKind(t, "the first again", s.RecordAttempt(t.Context(), again, s.newAttempt(1, http.StatusOK)), boathook.Conflict)
		s.wantDelivery(t, d, first)

		d = s.record(t, d, 2, boathook.DeliveryFailed)
		for n := 1; n <= 2; n++ {
			again := s.after(d, n, boathook.DeliverySucceeded)
			wantKind(t, fmt.Sprintf("number %d again", n), s.RecordAttempt(t.Context(), again, s.newAttempt(n, http.StatusOK)), boathook.Conflict)
			s.wantDelivery(t, d, first, second)
		}
	})
	t.Run("of several that record one attempt at once, one wins", func(t *testing.T) {
		d := newDelivery()
		for n := 1; n <= 2; n++ {
			won := atOnce(t, 4, func(ctx context.Context, i int) error {
				return s.RecordAttempt(ctx, s.after(d, n, boathook.DeliveryRetrying), s.newAttempt(n, 500+i))
			})
			if len(won) != 1 {
				t.Fatalf("%d won", len(won))
			}
			_, attempts, err := s.Attempts(t.Context(), d.WorkspaceID, d.ID)
			must(t, err)
			wantSame(t, "the last attempt", attempts[n-1], s.newAttempt(n, 500+won[0]))
		}
	})
	t.Run("a later attempt makes the record where it is absent", func(t *testing.T) {
		d := s.record(t, newDelivery(), 3, boathook.DeliveryRetrying)
		third := s.newAttempt(3, http.StatusServiceUnavailable)
		s.wantDelivery(t, d, third)
		wantKind(t, "the same again", s.RecordAttempt(t.Context(), d, third), boathook.Conflict)
		d = s.record(t, d, 4, boathook.DeliverySucceeded)
		s.wantDelivery(t, d, third, s.newAttempt(4, http.StatusOK))
	})
	t.Run("another workspace's is not found", func(t *testing.T) {
		d := s.record(t, newDelivery(), 1, boathook.DeliverySucceeded)
		s.wantNoDelivery(t, boathook.NewID(boathook.WorkspaceID), d.ID)
	})
	t.Run("times are kept in UTC to the millisecond", func(t *testing.T) {
		want, first := s.after(newDelivery(), 1, boathook.DeliveryRetrying), s.newAttempt(1, http.StatusServiceUnavailable)
		d, a := want, first
		blur := func(at time.Time) time.Time {
			return at.Add(999_999 * time.Nanosecond).In(time.FixedZone("", -3600))
		}
		d.NextAttemptAt, a.SentAt = blur(d.NextAttemptAt), blur(a.SentAt)
		must(t, s.RecordAttempt(t.Context(), d, a))
		s.wantDelivery(t, want, first)
	})
	for name, body := range map[string][]byte{
		"not JSON":                    {0, 0xff, 0xfe, '\r', '\n'},
		"spaces and escapes":          []byte("{ \"s\" : \"\\u00e9 <b>&\u2028é⚓\" }\n"),
		"256 KiB that don't compress": printable(256 << 10),
		"512 KiB that don't compress": printable(512 << 10),
		"512 KiB that do compress":    []byte(strings.Repeat("a", 512<<10)),
	} {
		t.Run("a body keeps its bytes: "+name, func(t *testing.T) {
			d := newDelivery()
			d.Body = boathook.NewBody(body)
			d = s.record(t, d, 1, boathook.DeliveryRetrying)
			s.wantDelivery(t, d, s.newAttempt(1, http.StatusServiceUnavailable))
			d = s.record(t, d, 2, boathook.DeliveryFailed)
			s.wantDelivery(t, d, s.newAttempt(1, http.StatusServiceUnavailable), s.newAttempt(2, http.StatusServiceUnavailable))
			listed := d
			listed = withoutBody(listed)
			for _, status := range []boathook.DeliveryStatus{"", boathook.DeliveryFailed} {
				wantSame(t, "the webhook's", s.deliveriesOf(d, status, "").all(t, boathook.Page{Limit: 10}), []boathook.Delivery{listed})
			}
		})
	}
	t.Run("a later attempt makes the record of a long body", func(t *testing.T) {
		d := newDelivery()
		d.Body = boathook.NewBody(printable(512 << 10))
		d = s.record(t, d, 2, boathook.DeliveryRetrying)
		s.wantDelivery(t, d, s.newAttempt(2, http.StatusServiceUnavailable))
	})
}

func (s *suite) testCancelDelivery(t *testing.T) {
	const reason = "the webhook was deleted"

	t.Run("one without a record gets one", func(t *testing.T) {
		d := s.newDelivery(boathook.NewID(boathook.OutgoingID), s.clock.Now())
		d.Reason = reason
		for range 2 {
			must(t, s.CancelDelivery(t.Context(), d))
			s.wantDelivery(t, s.after(d, 0, boathook.DeliveryCanceled))
		}
	})
	t.Run("one that is to be retried keeps its attempts, and has no next one", func(t *testing.T) {
		d := s.newDelivery(boathook.NewID(boathook.OutgoingID), s.clock.Now())
		d = s.record(t, d, 1, boathook.DeliveryRetrying)
		d.Reason = reason
		for range 2 {
			must(t, s.CancelDelivery(t.Context(), d))
			s.wantDelivery(t, s.after(d, 1, boathook.DeliveryCanceled), s.newAttempt(1, http.StatusServiceUnavailable))
		}
	})
	t.Run("one that is over is left alone", func(t *testing.T) {
		for status, response := range map[boathook.DeliveryStatus]int{
			boathook.DeliverySucceeded: http.StatusOK,
			boathook.DeliveryFailed:    http.StatusServiceUnavailable,
		} {
			d := s.newDelivery(boathook.NewID(boathook.OutgoingID), s.clock.Now())
			d = s.record(t, d, 1, status)
			late := s.after(d, 0, boathook.DeliveryRetrying)
			late.Reason = reason
			must(t, s.CancelDelivery(t.Context(), late))
			s.wantDelivery(t, d, s.newAttempt(1, response))
		}
	})
	t.Run("one that failed is canceled by its resend, and not reopened", func(t *testing.T) {
		d := s.newDelivery(boathook.NewID(boathook.OutgoingID), s.clock.Now())
		failed := s.record(t, d, 1, boathook.DeliveryFailed)
		d = failed
		d.Reason = reason
		must(t, s.CancelDelivery(t.Context(), d))
		must(t, s.ReopenDelivery(t.Context(), failed, s.clock.Now()))
		s.wantDelivery(t, s.after(d, 1, boathook.DeliveryCanceled), s.newAttempt(1, http.StatusServiceUnavailable))
	})
	t.Run("one that is canceled before its second attempt stays so when the first is recorded", func(t *testing.T) {
		d := s.newDelivery(boathook.NewID(boathook.OutgoingID), s.clock.Now())
		d.Reason, d.Attempts = reason, 1
		must(t, s.CancelDelivery(t.Context(), d))
		err := s.RecordAttempt(t.Context(), s.after(d, 1, boathook.DeliveryRetrying), s.newAttempt(1, http.StatusServiceUnavailable))
		if err != nil && !boathook.IsKind(err, boathook.Conflict) {
			t.Fatal(err)
		}
		if got, err := s.Delivery(t.Context(), d.WorkspaceID, d.ID); err != nil || got.Status != boathook.DeliveryCanceled || got.Reason != reason {
			t.Errorf("it is %s, for %q, %v", got.Status, got.Reason, err)
		}
	})
	t.Run("an attempt that is made all the same reopens it", func(t *testing.T) {
		for number := range 3 {
			d := s.newDelivery(boathook.NewID(boathook.OutgoingID), s.clock.Now())
			var want []boathook.Attempt
			for n := 1; n <= number; n++ {
				d = s.record(t, d, n, boathook.DeliveryRetrying)
				want = append(want, s.newAttempt(n, http.StatusServiceUnavailable))
			}
			canceled := d
			canceled.Reason = reason
			must(t, s.CancelDelivery(t.Context(), canceled))
			d = s.record(t, d, number+1, boathook.DeliverySucceeded)
			s.wantDelivery(t, d, append(want, s.newAttempt(number+1, http.StatusOK))...)
		}
	})
}

// deliveriesOf is the list of the deliveries of d's webhook. It adds failed
// ones of type run.failed.
func (s *suite) deliveriesOf(d boathook.Delivery, status boathook.DeliveryStatus, eventType boathook.EventType) list[boathook.Delivery] {
	return list[boathook.Delivery]{
		page: func(ctx context.Context, p boathook.Page) ([]boathook.Delivery, string, error) {
			return s.Deliveries(ctx, store.DeliveryQuery{
				WorkspaceID: d.WorkspaceID, WebhookID: d.WebhookID, Statuses: only(status), EventType: eventType, Page: p,
			})
		},
		add: func(t *testing.T, at time.Time) string {
			added := s.newDelivery(d.WebhookID, at)
			added.WorkspaceID, added.EventType = d.WorkspaceID, boathook.EventRunFailed
			s.record(t, added, 1, boathook.DeliveryFailed)
			return added.ID.String()
		},
		id:   func(d boathook.Delivery) string { return d.ID.String() },
		time: func(d boathook.Delivery) time.Time { return d.ID.Time() },
	}
}

// only is what selects deliveries of one status, or of all if it is empty.
func only(status boathook.DeliveryStatus) []boathook.DeliveryStatus {
	if status == "" {
		return nil
	}
	return []boathook.DeliveryStatus{status}
}

// Two webhooks with the same [boathook.WebhookTag].
const (
	tagTwin1 = "out_6cf26pmbrpp4wpawdfvugzou"
	tagTwin2 = "out_cqlbbh3x2pxapq64ucrcejge"
)

func (s *suite) testReopenDelivery(t *testing.T) {
	newDelivery := func() boathook.Delivery {
		return s.newDelivery(boathook.NewID(boathook.OutgoingID), s.clock.Now())
	}
	at := s.clock.Now().Add(time.Hour)
	failed := func(d boathook.Delivery) int {
		return len(s.deliveriesOf(d, boathook.DeliveryFailed, "").all(t, boathook.Page{Limit: 10}))
	}

	t.Run("a failed one is retrying, and no longer among the failed", func(t *testing.T) {
		read := s.record(t, newDelivery(), 1, boathook.DeliveryFailed)
		d := read
		must(t, s.ReopenDelivery(t.Context(), read, at))
		d.Status, d.NextAttemptAt, d.Resend = boathook.DeliveryRetrying, at, 2
		s.wantDelivery(t, d, s.newAttempt(1, http.StatusServiceUnavailable))
		if n := failed(d); n != 0 {
			t.Errorf("%d are failed", n)
		}
		must(t, s.ReopenDelivery(t.Context(), read, at.Add(time.Hour))) // it is not failed any more
		wantSame(t, "delivery", s.delivery(t, d), d)

		again := s.record(t, d, 2, boathook.DeliveryFailed)
		wantSame(t, "delivery that failed again", s.delivery(t, d), again)
		if n := failed(d); n != 1 {
			t.Errorf("after it failed again, %d are failed", n)
		}
		must(t, s.ReopenDelivery(t.Context(), d, at)) // read before its last attempt
		wantSame(t, "delivery", s.delivery(t, d), again)
	})
	t.Run("one that is retrying has its next attempt at another time, as long as it is as it was read", func(t *testing.T) {
		read := s.record(t, newDelivery(), 1, boathook.DeliveryRetrying)
		must(t, s.ReopenDelivery(t.Context(), read, at))
		d := read
		d.NextAttemptAt, d.Resend = at, 2
		wantSame(t, "delivery", s.delivery(t, d), d)
		must(t, s.ReopenDelivery(t.Context(), read, at.Add(time.Hour)))
		wantSame(t, "delivery that was moved before", s.delivery(t, d), d)
	})
	t.Run("the number of a resend is kept with its attempts", func(t *testing.T) {
		d := s.record(t, newDelivery(), 1, boathook.DeliveryFailed)
		d.Resend = 2
		second := s.record(t, d, 2, boathook.DeliveryRetrying)
		third := s.record(t, second, 3, boathook.DeliveryRetrying)
		wantSame(t, "delivery", s.delivery(t, d), third)
		if third.Resend != 2 {
			t.Errorf("its resend was %d", third.Resend)
		}
		first := newDelivery() // whose record is made by its second attempt
		first.Resend = 2
		first = s.record(t, first, 2, boathook.DeliverySucceeded)
		wantSame(t, "delivery", s.delivery(t, first), first)
	})
	t.Run("others are left alone", func(t *testing.T) {
		d := s.record(t, newDelivery(), 1, boathook.DeliverySucceeded)
		must(t, s.ReopenDelivery(t.Context(), d, at))
		wantSame(t, "delivery", s.delivery(t, d), d)
		// Its resend is on its way, and may have been canceled once more: nobody
		// would end it then.
		must(t, s.CancelDelivery(t.Context(), newDelivery()))
		canceled := s.record(t, newDelivery(), 1, boathook.DeliveryRetrying)
		must(t, s.CancelDelivery(t.Context(), canceled))
		canceled = s.delivery(t, canceled)
		must(t, s.ReopenDelivery(t.Context(), canceled, at))
		wantSame(t, "delivery", s.delivery(t, canceled), canceled)
		absent := newDelivery()
		must(t, s.ReopenDelivery(t.Context(), absent, at))
		s.wantNoDelivery(t, absent.WorkspaceID, absent.ID)
	})
}

// delivery is one as it is stored.
func (s *suite) delivery(t *testing.T, d boathook.Delivery) boathook.Delivery {
	t.Helper()
	return read(s.Delivery(t.Context(), d.WorkspaceID, d.ID))(t)
}

func (s *suite) testPostponeDelivery(t *testing.T) {
	newDelivery := func() boathook.Delivery {
		return s.newDelivery(boathook.NewID(boathook.OutgoingID), s.clock.Now())
	}
	at := s.clock.Now().Add(time.Hour)
	postponed := func(d boathook.Delivery) boathook.Delivery {
		d.Status, d.NextAttemptAt, d.Reason = boathook.DeliveryRetrying, at, ""
		return d
	}

	t.Run("one without a record gets one, and then its first attempt", func(t *testing.T) {
		for _, body := range [][]byte{[]byte(`{}`), printable(512 << 10)} {
			d := newDelivery()
			d.Body = boathook.NewBody(body)
			for range 2 {
				must(t, s.PostponeDelivery(t.Context(), d, at))
				s.wantDelivery(t, postponed(d))
			}
			listed := postponed(d)
			listed = withoutBody(listed)
			wantSame(t, "the webhook's", s.deliveriesOf(d, boathook.DeliveryRetrying, "").all(t, boathook.Page{Limit: 10}), []boathook.Delivery{listed})
			d = s.record(t, d, 1, boathook.DeliverySucceeded)
			s.wantDelivery(t, d, s.newAttempt(1, http.StatusOK))
		}
	})
	t.Run("one that was made twice is recorded as its first attempt has sent it", func(t *testing.T) {
		for _, body := range [][]byte{[]byte(`{}`), printable(512 << 10)} {
			d := newDelivery()
			must(t, s.PostponeDelivery(t.Context(), d, at))
			d.Body, d.ContentType, d.Dialect = boathook.NewBody(body), "text/plain", "standard"
			d.Trace = boathook.TraceContext{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
			d = s.record(t, d, 1, boathook.DeliveryFailed)
			s.wantDelivery(t, d, s.newAttempt(1, http.StatusServiceUnavailable))
		}
	})
	t.Run("one that is retrying, has failed or is canceled waits, with its attempts", func(t *testing.T) {
		for _, status := range []boathook.DeliveryStatus{boathook.DeliveryRetrying, boathook.DeliveryFailed} {
			d := s.record(t, newDelivery(), 1, status)
			must(t, s.PostponeDelivery(t.Context(), d, at))
			s.wantDelivery(t, postponed(d), s.newAttempt(1, http.StatusServiceUnavailable))
			if n := len(s.deliveriesOf(d, boathook.DeliveryFailed, "").all(t, boathook.Page{Limit: 10})); n != 0 {
				t.Errorf("%d are failed", n)
			}
		}
		d := newDelivery()
		d.Reason = "the webhook is disabled"
		must(t, s.CancelDelivery(t.Context(), d))
		must(t, s.PostponeDelivery(t.Context(), d, at))
		s.wantDelivery(t, postponed(d))
	})
	t.Run("a resend that waits is the delivery's, until another attempt is recorded", func(t *testing.T) {
		for _, status := range []boathook.DeliveryStatus{boathook.DeliveryRetrying, boathook.DeliveryFailed, boathook.DeliverySucceeded} {
			d := s.record(t, newDelivery(), 1, status)
			resent, want := d, d
			resent.Resend = 2
			if status != boathook.DeliverySucceeded {
				want = postponed(resent)
			}
			for _, again := range []boathook.Delivery{resent, resent, d} {
				must(t, s.PostponeDelivery(t.Context(), again, at))
				wantSame(t, "delivery", s.delivery(t, d), want)
			}
			s.record(t, d, 2, boathook.DeliveryFailed)
			if got := s.delivery(t, d); got.Resend != 0 {
				t.Errorf("after an attempt from before it, the resend is %d", got.Resend)
			}
		}
	})
	t.Run("one that has been attempted since, or has succeeded, is left alone", func(t *testing.T) {
		first := s.record(t, newDelivery(), 1, boathook.DeliveryRetrying)
		second := s.record(t, first, 2, boathook.DeliveryFailed)
		must(t, s.PostponeDelivery(t.Context(), first, at))
		wantSame(t, "delivery", s.delivery(t, second), second)
		d := s.record(t, newDelivery(), 1, boathook.DeliverySucceeded)
		must(t, s.PostponeDelivery(t.Context(), d, at))
		wantSame(t, "delivery", s.delivery(t, d), d)
	})
}

// testDeliveries is about the list of a webhook's deliveries. Each subtest stands for itself;
// together they count as one function.
func (s *suite) testDeliveries(t *testing.T) {
	newWebhook := func() boathook.Delivery {
		return s.newDelivery(boathook.NewID(boathook.OutgoingID), s.clock.Now())
	}

	all, failed, typed, both := newWebhook(), newWebhook(), newWebhook(), newWebhook()
	t.Run("a webhook's are listed by their events' time, newest first, in pages", func(t *testing.T) {
		s.deliveriesOf(all, "", "").test(t, s.clock.Now())
	})
	t.Run("so are the failed ones", func(t *testing.T) {
		s.deliveriesOf(failed, boathook.DeliveryFailed, "").test(t, s.clock.Now())
	})
	t.Run("so are those of a type", func(t *testing.T) {
		s.deliveriesOf(typed, "", boathook.EventRunFailed).test(t, s.clock.Now())
	})
	t.Run("so are the failed ones of a type", func(t *testing.T) {
		s.deliveriesOf(both, boathook.DeliveryFailed, boathook.EventRunFailed).test(t, s.clock.Now())
	})
	t.Run("another webhook's cursor gives nothing of it", func(t *testing.T) {
		for _, status := range []boathook.DeliveryStatus{"", boathook.DeliveryFailed} {
			_, cursor, err := s.deliveriesOf(all, status, "").page(t.Context(), boathook.Page{Limit: 1})
			must(t, err)
			s.deliveriesOf(failed, "", "").testForeign(t, cursor)
			s.deliveriesOf(failed, boathook.DeliveryFailed, "").testForeign(t, cursor)
		}
	})
	t.Run("another workspace's are not listed", func(t *testing.T) {
		other := all
		other.WorkspaceID = boathook.NewID(boathook.WorkspaceID)
		for _, status := range []boathook.DeliveryStatus{"", boathook.DeliveryFailed} {
			wantSame(t, "deliveries", s.deliveriesOf(other, status, "").all(t, boathook.Page{Limit: 3}), []boathook.Delivery(nil))
		}
	})

	t.Run("they can be selected by status and type, and are without bodies", func(t *testing.T) {
		w := newWebhook()
		statuses := []boathook.DeliveryStatus{
			boathook.DeliverySucceeded, boathook.DeliveryRetrying, boathook.DeliveryFailed, boathook.DeliveryCanceled,
		}
		types := []boathook.EventType{boathook.EventRunSucceeded, boathook.EventRunFailed}
		var all []boathook.Delivery // newest first
		for i := range 16 {
			d := s.newDelivery(w.WebhookID, s.clock.Now().Add(time.Duration(i)*time.Second))
			d.WorkspaceID, d.EventType = w.WorkspaceID, types[i/4%2]
			if status := statuses[i%4]; status == boathook.DeliveryCanceled {
				d.Reason = "the webhook was disabled"
				must(t, s.CancelDelivery(t.Context(), d))
				d = s.after(d, 0, status)
			} else {
				d = s.record(t, d, 1, status)
			}
			d = withoutBody(d)
			all = slices.Insert(all, 0, d)
		}
		for _, status := range append(statuses, "") {
			for _, eventType := range append(types, "") {
				want := slices.DeleteFunc(slices.Clone(all), func(d boathook.Delivery) bool {
					return status != "" && d.Status != status || eventType != "" && d.EventType != eventType
				})
				got := s.deliveriesOf(w, status, eventType).all(t, boathook.Page{Limit: 3})
				wantSame(t, fmt.Sprintf("status %q, type %q", status, eventType), got, want)
			}
		}
		for _, two := range [][]boathook.DeliveryStatus{statuses[:2], statuses[1:3], statuses[2:], {statuses[3], statuses[1]}} {
			want := slices.DeleteFunc(slices.Clone(all), func(d boathook.Delivery) bool { return !slices.Contains(two, d.Status) })
			selected := s.deliveriesOf(w, "", "")
			selected.page = func(ctx context.Context, p boathook.Page) ([]boathook.Delivery, string, error) {
				return s.Deliveries(ctx, store.DeliveryQuery{WorkspaceID: w.WorkspaceID, WebhookID: w.WebhookID, Statuses: two, Page: p})
			}
			wantSame(t, fmt.Sprintf("statuses %q", two), selected.all(t, boathook.Page{Limit: 3}), want)
		}
	})

	t.Run("one among many is found in pages that look at few", func(t *testing.T) {
		for _, status := range []boathook.DeliveryStatus{
			boathook.DeliverySucceeded,
			boathook.DeliveryFailed, // of which there is an index
		} {
			w := newWebhook()
			var rare string
			for i := range manyOthers + 1 {
				d := s.newDelivery(w.WebhookID, s.clock.Now().Add(time.Duration(i)*time.Second))
				d.WorkspaceID, d.EventType = w.WorkspaceID, boathook.EventRunSucceeded
				if i == 0 {
					d.EventType, rare = boathook.EventRunFailed, d.ID.String()
				}
				s.record(t, d, 1, status)
			}
			s.deliveriesOf(w, status, boathook.EventRunFailed).testRare(t, rare)
		}
	})

	t.Run("one that has not succeeded is found at once, however many others there are", func(t *testing.T) {
		w := newWebhook()
		want := make(map[boathook.DeliveryStatus]boathook.Delivery)
		for i := range manyOthers + 3 {
			d := s.newDelivery(w.WebhookID, s.clock.Now().Add(time.Duration(i)*time.Second))
			d.WorkspaceID = w.WorkspaceID
			switch i {
			case 0:
				d = s.record(t, d, 1, boathook.DeliveryRetrying)
			case 1:
				d = s.record(t, d, 1, boathook.DeliveryFailed)
			case 2:
				must(t, s.CancelDelivery(t.Context(), d))
				d = s.after(d, 0, boathook.DeliveryCanceled)
			default:
				d = s.record(t, d, 1, boathook.DeliverySucceeded)
			}
			d = withoutBody(d)
			want[d.Status] = d
		}
		delete(want, boathook.DeliverySucceeded)
		for status, d := range want {
			found, next, err := s.deliveriesOf(w, status, "").page(t.Context(), boathook.Page{Limit: 2, Look: 8})
			must(t, err)
			wantSame(t, "the page of "+string(status), found, []boathook.Delivery{d})
			if next != "" {
				t.Errorf("the only page of %s has a next one", status)
			}
		}
	})

	t.Run("they can be selected by their events' times", func(t *testing.T) {
		w, start := newWebhook(), s.clock.Now()
		var all []boathook.Delivery // newest first
		for i := range 6 {
			d := s.newDelivery(w.WebhookID, start.Add(time.Duration(i/2)*time.Millisecond))
			d.WorkspaceID = w.WorkspaceID
			d = s.record(t, d, 1, boathook.DeliveryFailed)
			d = withoutBody(d)
			all = slices.Insert(all, 0, d)
		}
		slices.SortFunc(all, func(a, b boathook.Delivery) int { return strings.Compare(b.ID.String(), a.ID.String()) })
		for _, status := range []boathook.DeliveryStatus{"", boathook.DeliveryFailed} {
			selected := s.deliveriesOf(w, status, "")
			for since := -1; since <= 3; since++ {
				for until := -1; until <= 4; until++ {
					q := store.DeliveryQuery{WorkspaceID: w.WorkspaceID, WebhookID: w.WebhookID, Statuses: only(status)}
					if since >= 0 {
						q.Since = start.Add(time.Duration(since) * time.Millisecond)
					}
					if until >= 0 {
						q.Until = start.Add(time.Duration(until) * time.Millisecond)
					}
					want := slices.DeleteFunc(slices.Clone(all), func(d boathook.Delivery) bool {
						return d.ID.Time().Before(q.Since) || until >= 0 && !d.ID.Time().Before(q.Until)
					})
					selected.page = func(ctx context.Context, p boathook.Page) ([]boathook.Delivery, string, error) {
						q.Page = p
						return s.Deliveries(ctx, q)
					}
					wantSame(t, fmt.Sprintf("since %d, until %d", since, until), selected.all(t, boathook.Page{Limit: 4}), want)
				}
			}
			whole, next, err := s.deliveriesOf(w, status, "").page(t.Context(), boathook.Page{Limit: 4})
			must(t, err)
			beyond := store.DeliveryQuery{
				WorkspaceID: w.WorkspaceID, WebhookID: w.WebhookID, Statuses: only(status),
				Since: whole[0].ID.Time(), Page: boathook.Page{Limit: 4, Cursor: next},
			}
			deliveries, _, err := s.Deliveries(t.Context(), beyond)
			must(t, err)
			wantSame(t, "from a cursor before the time", deliveries, []boathook.Delivery(nil))
		}
	})

	t.Run("a delivery is among those of its status, and no others, whatever happens to it", func(t *testing.T) {
		d := newWebhook()
		n := 0
		attempted := func(status boathook.DeliveryStatus) func() {
			return func() {
				n++
				d = s.record(t, d, n, status)
			}
		}
		canceled := func() {
			d.Reason = "the webhook was disabled"
			must(t, s.CancelDelivery(t.Context(), d))
			d = s.after(d, n, boathook.DeliveryCanceled)
		}
		reopened := func() {
			must(t, s.ReopenDelivery(t.Context(), d, s.clock.Now().Add(5*time.Minute)))
			d = s.after(d, n, boathook.DeliveryRetrying)
			d.Resend = n + 1
		}
		postponed := func() {
			must(t, s.PostponeDelivery(t.Context(), d, s.clock.Now().Add(5*time.Minute)))
			d = s.after(d, n, boathook.DeliveryRetrying)
		}
		retrying, failed, succeeded := attempted(boathook.DeliveryRetrying), attempted(boathook.DeliveryFailed), attempted(boathook.DeliverySucceeded)
		for i, happens := range []func(){
			postponed, retrying, retrying, failed, failed, postponed, retrying, canceled, postponed,
			canceled, failed, reopened, canceled, retrying, succeeded, failed,
		} {
			happens()
			listed := d
			listed = withoutBody(listed)
			listed.Reason, listed.Resend = "", 0
			if d.Status == boathook.DeliveryCanceled {
				listed.Reason = d.Reason
			}
			for _, status := range []boathook.DeliveryStatus{
				boathook.DeliverySucceeded, boathook.DeliveryRetrying, boathook.DeliveryFailed, boathook.DeliveryCanceled,
			} {
				var want []boathook.Delivery
				if status == d.Status {
					want = append(want, listed)
				}
				got := s.deliveriesOf(d, status, "").all(t, boathook.Page{Limit: 10})
				wantSame(t, fmt.Sprintf("of status %s, after step %d that made it %s", status, i, d.Status), got, want)
			}
		}
	})

	t.Run("two webhooks whose ids share a tag don't see each other's", func(t *testing.T) {
		if boathook.WebhookTag(tagTwin1) != boathook.WebhookTag(tagTwin2) {
			t.Fatal("the tags differ: find another pair")
		}
		workspaceID := boathook.NewID(boathook.WorkspaceID)
		want := map[string][]boathook.Delivery{}
		for i, webhookID := range []string{tagTwin1, tagTwin2, tagTwin2, tagTwin2, tagTwin1, tagTwin2, tagTwin1, tagTwin2} {
			d := s.newDelivery(webhookID, s.clock.Now().Add(time.Duration(i)*time.Second))
			d.WorkspaceID = workspaceID
			d = s.record(t, d, 1, boathook.DeliveryFailed)
			s.wantDelivery(t, d, s.newAttempt(1, http.StatusServiceUnavailable))
			d = withoutBody(d)
			want[webhookID] = slices.Insert(want[webhookID], 0, d)
		}
		for webhookID, want := range want {
			for _, status := range []boathook.DeliveryStatus{"", boathook.DeliveryFailed} {
				for _, limit := range []int{1, 2, 10} {
					w := boathook.Delivery{WorkspaceID: workspaceID, WebhookID: webhookID}
					wantSame(t, "deliveries of "+webhookID, s.deliveriesOf(w, status, "").all(t, boathook.Page{Limit: limit}), want)
				}
			}
		}
	})
}
