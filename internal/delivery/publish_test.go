package delivery_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/delivery"
	"boathook/internal/dialect"
	"boathook/internal/queue"
	"boathook/internal/store"
)

// webhooks is a list that may fail.
type webhooks struct {
	list []boathook.OutgoingWebhook
	err  error
}

func (w webhooks) Audience(ctx context.Context, id string) (store.Audience, error) {
	s, err := w.Source(ctx, "", id)
	return store.Audience{Source: &s, Outgoing: w.list}, err
}

func (webhooks) EnterDeliveries(context.Context, ...boathook.Delivery) error { return nil }

func (webhooks) AppendEvents(context.Context, string, time.Duration, ...boathook.Event) error {
	return errors.New("the source keeps no events")
}

func (w webhooks) Source(_ context.Context, workspaceID, id string) (boathook.Source, error) {
	return boathook.Source{ID: id, WorkspaceID: workspaceID, Name: "the " + id}, w.err
}

// sent is a queue that remembers, and may fail.
type sent struct {
	messages []queue.Message
	err      error
}

func (s *sent) Send(_ context.Context, m ...queue.Message) error {
	s.messages = append(s.messages, m...)
	return s.err
}

func webhook(id string) boathook.OutgoingWebhook {
	return boathook.OutgoingWebhook{
		ID: id, Events: []boathook.EventType{boathook.EventRunSucceeded}, Environment: boathook.Production,
		Dialect: dialect.Crewship, Format: boathook.Raw, Enabled: true,
	}
}

func event() boathook.Event {
	return boathook.Event{
		ID: "evt_a", WorkspaceID: "ws_a", SourceID: "dep_a", Environment: boathook.Production,
		Type: boathook.EventRunSucceeded, Time: time.UnixMilli(1_771_143_284_003), Data: []byte(`{"run_id":"run_a"}`),
	}
}

// A webhook without channels hears all events; one with channels those that name one of
// them, and Boathook's own words, which have none.
func TestChannelsNarrowPublishedEvents(t *testing.T) {
	named := func(id string, channels ...string) boathook.OutgoingWebhook {
		w := webhook(id)
		w.Events, w.Channels = []boathook.EventType{boathook.AllEvents, boathook.EventRunSucceeded}, channels
		return w
	}
	for _, c := range []struct {
		event    boathook.EventType
		channels []string
		want     string
	}{
		{"invoice.paid", nil, "out_all"},
		{"invoice.paid", []string{"eu"}, "out_all out_eu out_both"},
		{"invoice.paid", []string{"us", "asia"}, "out_all out_both"},
		{"invoice.paid", []string{"EU"}, "out_all"},
		{boathook.EventRunSucceeded, nil, "out_all out_eu out_both"},
	} {
		q := &sent{}
		p := delivery.Publisher{
			Store: webhooks{list: []boathook.OutgoingWebhook{named("out_all"), named("out_eu", "eu"), named("out_both", "eu", "us")}},
			Queue: q, Log: slog.New(slog.DiscardHandler),
		}
		e := event()
		e.Type, e.Channels = c.event, c.channels
		counts, err := p.PublishAll(t.Context(), e)
		var to []string
		for _, m := range q.messages {
			d, decodeErr := queue.DecodeDelivery(m.Body)
			if decodeErr != nil {
				t.Fatal(decodeErr)
			}
			to = append(to, d.WebhookID)
		}
		if got := strings.Join(to, " "); err != nil || got != c.want || counts[0] != len(to) {
			t.Errorf("%s of %q goes to %q, counted %v, %v; want %q", c.event, c.channels, got, counts, err, c.want)
		}
	}
}

func TestEachWebhookThatWantsTheEventGetsOneDelivery(t *testing.T) {
	disabled, staging, failures, everywhere := webhook("out_disabled"), webhook("out_staging"), webhook("out_failures"), webhook("out_everywhere")
	disabled.Enabled = false
	staging.Environment = boathook.Staging
	failures.Events = []boathook.EventType{boathook.EventRunFailed}
	everywhere.Environment = ""

	q := &sent{}
	p := delivery.Publisher{
		Store: webhooks{list: []boathook.OutgoingWebhook{webhook("out_a"), disabled, staging, failures, everywhere}},
		Queue: q, Log: slog.New(slog.DiscardHandler),
	}
	e := event()
	for range 2 { // a repeated publish makes the same deliveries
		q.messages = nil
		if err := p.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if len(q.messages) != 2 {
			t.Fatalf("queued %d deliveries, want 2", len(q.messages))
		}
		for i, want := range []string{"out_a", "out_everywhere"} {
			d, err := queue.DecodeDelivery(q.messages[i].Body)
			if err != nil {
				t.Fatal(err)
			}
			if d.WebhookID != want || d.ID != boathook.NewDeliveryID(&e, want) || d.Attempt != 1 || d.First != 1 ||
				d.EventID != e.ID || d.EventType != e.Type || d.WorkspaceID != e.WorkspaceID || d.SourceID != e.SourceID ||
				d.Body.String() != `{"event":"run.succeeded","run_id":"run_a"}` {
				t.Errorf("delivery %d is %+v", i, d)
			}
			if q.messages[i].Group != want {
				t.Errorf("delivery %d is in the group %q, want its webhook", i, q.messages[i].Group)
			}
		}
	}
}

func TestNothingIsSentWhereNobodyListens(t *testing.T) {
	q := &sent{err: errors.New("must not be called")}
	p := delivery.Publisher{Store: webhooks{}, Queue: q, Log: slog.New(slog.DiscardHandler)}
	if err := p.Publish(t.Context(), event()); err != nil {
		t.Error(err)
	}
}

func TestAFailureIsTold(t *testing.T) {
	down := errors.New("down")
	list := []boathook.OutgoingWebhook{webhook("out_a")}
	for name, p := range map[string]*delivery.Publisher{
		"of the store": {Store: webhooks{err: down}, Queue: &sent{}},
		"of the queue": {Store: webhooks{list: list}, Queue: &sent{err: &queue.PartialError{Failed: []int{0}, Err: down}}},
	} {
		if err := p.Publish(t.Context(), event()); !errors.Is(err, down) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAWebhookOfAnUnknownDialectDoesNotStopTheOthers(t *testing.T) {
	stranger := webhook("out_stranger")
	stranger.Dialect = "of a later version"
	q := &sent{}
	var log strings.Builder
	p := delivery.Publisher{
		Store: webhooks{list: []boathook.OutgoingWebhook{stranger, webhook("out_a")}},
		Queue: q, Log: slog.New(slog.NewTextHandler(&log, nil)),
	}
	if err := p.Publish(t.Context(), event()); err != nil {
		t.Fatal(err)
	}
	if len(q.messages) != 1 || !strings.Contains(log.String(), "out_stranger") {
		t.Errorf("queued %d, logged %q", len(q.messages), log.String())
	}
}

func TestAMessageForPeopleNamesTheSource(t *testing.T) {
	chat, raw := webhook("out_chat"), webhook("out_raw")
	chat.Format = boathook.Slack
	q := &sent{}
	p := delivery.Publisher{Store: webhooks{list: []boathook.OutgoingWebhook{raw, chat}}, Queue: q, Log: slog.New(slog.DiscardHandler)}
	e := event()
	e.Data = []byte(`{"run_id":"run_a","deployment_id":"dep_a","status":"succeeded","output":{"answer":42}}`)
	if err := p.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	found := bodies(t, q.messages)
	for _, want := range []string{`*Deployment*\nthe dep_a`, `{\"answer\":42}`} {
		if !strings.Contains(found["out_chat"], want) {
			t.Errorf("%s has no %s", found["out_chat"], want)
		}
	}
	if strings.Contains(found["out_raw"], "the dep_a") {
		t.Errorf("the event itself has the name: %s", found["out_raw"])
	}
	for _, m := range q.messages {
		if d, err := queue.DecodeDelivery(m.Body); err != nil || d.Dialect != dialect.Crewship {
			t.Errorf("the delivery's dialect is %q, %v", d.Dialect, err)
		}
	}
}

// keeping is a store whose source keeps its events.
type keeping struct {
	webhooks

	kept []string
	days int
	fail error
}

func (k *keeping) Audience(ctx context.Context, id string) (store.Audience, error) {
	a, err := k.webhooks.Audience(ctx, id)
	a.Source.Feed = &boathook.FeedSettings{RetentionDays: k.days}
	return a, err
}

func (k *keeping) AppendEvents(_ context.Context, sourceID string, keep time.Duration, events ...boathook.Event) error {
	for _, e := range events {
		k.kept = append(k.kept, sourceID+" "+e.ID+" "+keep.String())
	}
	return k.fail
}

func TestAnEventIsInItsSourcesFeedBeforeItsDeliveriesAreQueued(t *testing.T) {
	q := &sent{}
	k := &keeping{webhooks: webhooks{list: []boathook.OutgoingWebhook{webhook("out_a")}}, days: 2, fail: errors.New("down")}
	p := delivery.Publisher{Store: k, Queue: q, Log: slog.New(slog.DiscardHandler)}
	first, second, other := event(), event(), event()
	second.ID, other.ID, other.SourceID = "evt_b", "evt_c", "dep_other"
	if _, err := p.PublishAll(t.Context(), first, other, second); !errors.Is(err, k.fail) || len(q.messages) > 0 {
		t.Errorf("with a feed that fails it queued %d, and says %v", len(q.messages), err)
	}
	k.kept, k.fail = nil, nil
	if _, err := p.PublishAll(t.Context(), first, other, second); err != nil || len(q.messages) != 3 {
		t.Errorf("queued %d, %v", len(q.messages), err)
	}
	want := []string{first.SourceID + " " + first.ID + " 48h0m0s", first.SourceID + " evt_b 48h0m0s", "dep_other evt_c 48h0m0s"}
	if !slices.Equal(k.kept, want) {
		t.Errorf("kept %q, want %q", k.kept, want)
	}
	k.kept, k.days = nil, 0
	if _, err := p.PublishAll(t.Context(), first); err != nil || len(k.kept) > 0 {
		t.Errorf("a source that keeps nothing kept %q, %v", k.kept, err)
	}
}

// entering is a store that remembers which deliveries were entered, and how many messages
// there were in the queue by then.
type entering struct {
	webhooks

	queue   *sent
	entered []string
	before  []int
	fail    error
}

func (e *entering) EnterDeliveries(_ context.Context, deliveries ...boathook.Delivery) error {
	for _, d := range deliveries {
		e.entered = append(e.entered, d.WebhookID+" "+d.EventID)
	}
	e.before = append(e.before, len(e.queue.messages))
	return e.fail
}

func TestDeliveriesAreEnteredTogetherBeforeTheyAreQueued(t *testing.T) {
	q := &sent{}
	e := &entering{webhooks: webhooks{list: []boathook.OutgoingWebhook{webhook("out_a"), webhook("out_b")}}, queue: q, fail: errors.New("down")}
	p := delivery.Publisher{Store: e, Queue: q, Log: slog.New(slog.DiscardHandler)}
	first, second := event(), event()
	second.ID = "evt_b"
	if _, err := p.PublishAll(t.Context(), first, second); !errors.Is(err, e.fail) || len(q.messages) > 0 {
		t.Errorf("with a list that fails it queued %d, and says %v", len(q.messages), err)
	}
	e.entered, e.before, e.fail = nil, nil, nil
	if _, err := p.PublishAll(t.Context(), first, second); err != nil {
		t.Fatal(err)
	}
	if err := p.PublishTo(t.Context(), first, webhook("out_c")); err != nil {
		t.Fatal(err)
	}
	want := []string{"out_a " + first.ID, "out_b " + first.ID, "out_a evt_b", "out_b evt_b", "out_c " + first.ID}
	if !slices.Equal(e.entered, want) || !slices.Equal(e.before, []int{0, 4}) {
		t.Errorf("entered %q after %v messages, want %q", e.entered, e.before, want)
	}
	e.list = nil
	if _, err := p.PublishAll(t.Context(), first); err != nil || len(e.before) != 2 {
		t.Errorf("of no deliveries some were entered, %v", err)
	}
}
