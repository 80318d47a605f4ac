package delivery_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/delivery"
	"boathook/internal/delivery/destination"
	"boathook/internal/queue"
	"boathook/internal/testing/fixture"
)

// told is a destination whose attempts all come to the same. It keeps what it is
// given.
type told struct {
	destination.Result
	messages []destination.Message
	webhooks []boathook.OutgoingWebhook
}

func (d *told) Send(_ context.Context, w boathook.OutgoingWebhook, m destination.Message) destination.Result {
	d.messages, d.webhooks = append(d.messages, m), append(d.webhooks, w)
	return d.Result
}

const orders = "arn:aws:sqs:eu-west-1:123456789012:orders"

// toQueue has the place's webhook send to a queue, in place of which a destination
// stands.
func (p *place) toQueue(t *testing.T, d destination.Destination) {
	t.Helper()
	p.change(t, func(w *boathook.OutgoingWebhook) {
		w.URL, w.Destination = "", boathook.Destination{Type: boathook.DestinationSQS, QueueARN: orders}
	})
	p.Deliverer = delivery.New(delivery.Config{
		Store: p.store, Retries: p.retries, Publish: p, Seal: fixture.Unsealed{}, Now: time.Now, Leases: 1,
		Destination: destination.Set{boathook.DestinationSQS: d},
		Jitter:      func() float64 { return 0.5 }, Log: slog.New(slog.NewTextHandler(p.log, nil)), Metrics: p.metrics,
	})
}

func TestAMessageToAQueueIsRecordedWithItsID(t *testing.T) {
	p := newPlace(t, status(500))
	d := &told{Result: destination.Result{Response: &boathook.Response{Status: 200, MessageID: "m"}, Duration: time.Millisecond}}
	p.toQueue(t, d)
	job := p.job()
	must(t, p.handle(t, job))
	record, attempts := p.record(t, job)
	if record.Status != boathook.DeliverySucceeded || attempts[0].Response.MessageID != "m" || attempts[0].URL != "" ||
		attempts[0].Destination.QueueARN != orders {
		t.Errorf("recorded %s with %+v", record.Status, attempts)
	}
	m := d.messages[0]
	if m.SourceID != job.SourceID || m.DeliveryID != job.ID || m.First != 1 || string(m.Body) != payload {
		t.Errorf("the message is %+v", m)
	}
	if got := m.Headers["X-Crewship-Signature"]; len(got) != 1 || got[0] != attempts[0].Signature || got[0] == "" {
		t.Errorf("it is signed %q, and the log says %q", got, attempts[0].Signature)
	}
}

// A message that never fits says nothing of the queue: it is not tried again, and
// neither fails its webhook nor makes it look well.
func TestAMessageThatNeverFitsFailsAtOnce(t *testing.T) {
	p := newPlace(t, status(500))
	p.toQueue(t, &told{Result: destination.Result{Error: "not sent: too long", Unfit: true}})
	_, err := p.store.MarkSlow(t.Context(), p.Outgoing.ID, time.Now())
	must(t, err)
	job := p.job().Next()
	must(t, p.handle(t, job))
	record, attempts := p.record(t, job)
	if record.Status != boathook.DeliveryFailed || len(attempts) != 1 || attempts[0].Error != "not sent: too long" || attempts[0].Response != nil {
		t.Errorf("recorded %s with %+v", record.Status, attempts)
	}
	if stats := p.retries.Stats(); stats.Ready+stats.Delayed != 0 {
		t.Errorf("%+v wait", stats)
	}
	if h := p.webhook(t).Health; !h.FailingSince.IsZero() || h.SlowSince.IsZero() {
		t.Errorf("the webhook's health is %+v", h)
	}
}

// What the log says of a receiver that is gone is the destination's to say.
func TestAReceiverThatIsGoneDisablesItsWebhook(t *testing.T) {
	p := newPlace(t, status(500))
	p.listener(t)
	p.toQueue(t, &told{Result: destination.Result{Error: "gone", Gone: "the queue is closed for good"}})
	must(t, p.handle(t, p.job()))
	if w := p.webhook(t); w.Enabled || w.Disabled.Reason != "the queue is closed for good" {
		t.Errorf("the webhook is %+v", w)
	}
}

// Retries belong to the attempt before them; a resend begins anew.
func TestAttemptsSinceAResendShareTheFirstOnesNumber(t *testing.T) {
	p := newPlace(t, status(500))
	d := &told{Result: destination.Result{Error: "throttled"}}
	p.toQueue(t, d)
	job := p.job()
	must(t, p.handle(t, job))
	must(t, p.handle(t, job.Next()))
	resend := queue.Delivery{Delivery: job.Delivery, Attempt: 3, First: 3}
	must(t, p.handle(t, resend))
	must(t, p.handle(t, resend.Next()))
	var firsts []int
	for _, m := range d.messages {
		firsts = append(firsts, m.First)
	}
	if len(firsts) != 4 || firsts[0] != 1 || firsts[1] != 1 || firsts[2] != 3 || firsts[3] != 3 {
		t.Errorf("the numbers are %v", firsts)
	}
}

// A queue that is slow, and then hangs, is as an endpoint that does: its other
// deliveries wait, and one probes it.
func TestAQueueThatHangsIsProbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, status(500))
		p.toQueue(t, hanging{})
		must(t, p.handle(t, p.job()))
		if h := p.webhook(t).Health; h.SlowSince.IsZero() || h.Probe.At.IsZero() {
			t.Errorf("the webhook's health is %+v", h)
		}
	})
}

// hanging is a destination that does not answer.
type hanging struct{}

func (hanging) Send(ctx context.Context, _ boathook.OutgoingWebhook, _ destination.Message) destination.Result {
	begun := time.Now()
	<-ctx.Done()
	return destination.Result{Error: "timed out", TimedOut: true, Duration: time.Since(begun)}
}

func TestADestinationThatIsNotAvailableHereFails(t *testing.T) {
	p := newPlace(t, status(500))
	p.toQueue(t, destination.Set{})
	job := p.job()
	must(t, p.handle(t, job))
	if record, attempts := p.record(t, job); record.Status != boathook.DeliveryRetrying || attempts[0].Error != `destinations of type "sqs" are not available here` {
		t.Errorf("recorded %s with %+v", record.Status, attempts)
	}
}
