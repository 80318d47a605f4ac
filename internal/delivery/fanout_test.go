package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/delivery"
	"boathook/internal/dialect"
	"boathook/internal/queue"
)

// bodies are those of the deliveries, by webhook.
func bodies(t *testing.T, messages []queue.Message) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for _, m := range messages {
		d, err := queue.DecodeDelivery(m.Body)
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := found[d.WebhookID]; twice {
			t.Errorf("%s has two deliveries", d.WebhookID)
		}
		found[d.WebhookID] = d.Body.String()
	}
	return found
}

func TestEachWebhookGetsTheBodyOfItsDialectAndFormat(t *testing.T) {
	var list []boathook.OutgoingWebhook
	for _, name := range []string{dialect.Crewship, dialect.Shipway, dialect.Capawesome, dialect.Standard} {
		for _, format := range []boathook.Format{boathook.Raw, boathook.Slack, boathook.Discord, boathook.Teams} {
			for n := range 2 {
				w := webhook(fmt.Sprintf("out_%s_%s_%d", name, format, n))
				w.Dialect, w.Format = name, format
				list = append(list, w)
			}
		}
	}
	q := &sent{}
	p := delivery.Publisher{Store: webhooks{list: list}, Queue: q, Log: slog.New(slog.DiscardHandler)}
	n, err := p.PublishAll(t.Context(), event())
	if err != nil || !slices.Equal(n, []int{len(list)}) {
		t.Fatalf("queued %v, %v", n, err)
	}
	got := bodies(t, q.messages)
	for _, w := range list {
		d, _ := dialect.Lookup(w.Dialect)
		want, err := d.Body(w.Format, event())
		if err != nil || got[w.ID] != string(want) {
			t.Errorf("%s: got %s, want %s (%v)", w.ID, got[w.ID], want, err)
		}
	}
}

// counting is a queue that takes batches, and refuses the first tries of some
// messages.
type counting struct {
	sends    []int // messages of each
	bytes    int   // the most of one
	accepted []queue.Message
	refuse   func(try int, m queue.Message) bool
	tries    map[string]int
}

func (c *counting) Send(_ context.Context, messages ...queue.Message) error {
	if c.tries == nil {
		c.tries = make(map[string]int)
	}
	c.sends = append(c.sends, len(messages))
	size, partial := 0, &queue.PartialError{Err: errors.New("throttled")}
	for i, m := range messages {
		size += len(m.Body)
		c.tries[m.Body]++
		if c.refuse != nil && c.refuse(c.tries[m.Body], m) {
			partial.Failed = append(partial.Failed, i)
			continue
		}
		c.accepted = append(c.accepted, m)
	}
	c.bytes = max(c.bytes, size)
	if partial.Failed != nil {
		return partial
	}
	return nil
}

func hundred() (list []boathook.OutgoingWebhook) {
	for i := range boathook.MaxWebhooks {
		list = append(list, webhook(fmt.Sprintf("out_%03d", i)))
	}
	return list
}

func TestOnlyWhatTheQueueHasNotTakenIsSentAgain(t *testing.T) {
	q := &counting{refuse: func(try int, m queue.Message) bool { return try == 1 && strings.HasSuffix(m.Group, "7") }}
	p := delivery.Publisher{Store: webhooks{list: hundred()}, Queue: q, Log: slog.New(slog.DiscardHandler)}
	if err := p.Publish(t.Context(), event()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(q.sends, []int{100, 10}) {
		t.Errorf("sent %v messages", q.sends)
	}
	if got := bodies(t, q.accepted); len(got) != boathook.MaxWebhooks {
		t.Errorf("%d webhooks have a delivery", len(got))
	}
}

func TestAQueueThatKeepsRefusingFailsThePublish(t *testing.T) {
	q := &counting{refuse: func(_ int, m queue.Message) bool { return m.Group == "out_007" }}
	p := delivery.Publisher{Store: webhooks{list: hundred()}, Queue: q, Log: slog.New(slog.DiscardHandler)}
	err := p.Publish(t.Context(), event())
	if partial, ok := errors.AsType[*queue.PartialError](err); !ok || len(partial.Failed) != 1 {
		t.Errorf("got %v", err)
	}
	if len(q.sends) > 5 {
		t.Errorf("tried %d times", len(q.sends))
	}
}

// Each of 100 webhooks has its own copy of a large body in its message: they
// are never all held at once.
func TestLargeBodiesAreSentInParts(t *testing.T) {
	e := event()
	random := make([]byte, 0, boathook.MaxEventData)
	for i := 0; len(random) < cap(random)-40; i++ {
		random = fmt.Appendf(random, "%x", boathook.HashInput(fmt.Append(nil, i)))
	}
	e.Data = []byte(`{"a":"` + string(random[:200<<10]) + `"}`)
	q := &counting{}
	p := delivery.Publisher{Store: webhooks{list: hundred()}, Queue: q, Log: slog.New(slog.DiscardHandler)}
	if err := p.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if len(q.sends) < 2 || q.bytes > 9<<20 {
		t.Errorf("%d parts, of up to %d bytes", len(q.sends), q.bytes)
	}
	if len(q.accepted) != boathook.MaxWebhooks {
		t.Errorf("queued %d", len(q.accepted))
	}
}

func TestManySmallEventsAreOneSend(t *testing.T) {
	q := &counting{}
	list := []boathook.OutgoingWebhook{webhook("out_a"), webhook("out_b")}
	list[1].Events = []boathook.EventType{boathook.EventRunFailed}
	p := delivery.Publisher{Store: webhooks{list: list}, Queue: q, Log: slog.New(slog.DiscardHandler)}
	events := make([]boathook.Event, 100)
	want := make([]int, 100)
	for i := range events {
		events[i], want[i] = event(), 1
		events[i].ID = fmt.Sprint("evt_", i)
	}
	events[3].Type, events[3].Environment = boathook.EventRunFailed, boathook.Staging
	want[3] = 0
	n, err := p.PublishAll(t.Context(), events...)
	if err != nil || !slices.Equal(n, want) {
		t.Errorf("queued %v, %v", n, err)
	}
	if !slices.Equal(q.sends, []int{99}) {
		t.Errorf("sent %v messages", q.sends)
	}
	ids := make(map[boathook.DeliveryID]bool)
	for _, m := range q.accepted {
		d, err := queue.DecodeDelivery(m.Body)
		if err != nil {
			t.Fatal(err)
		}
		ids[d.ID] = true
	}
	if len(ids) != 99 {
		t.Errorf("%d delivery ids", len(ids))
	}
}
