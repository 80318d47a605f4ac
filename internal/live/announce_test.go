package live_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/live"
)

const (
	subscribeDeliveries   = `{"type":"subscribe","channel":"deliveries:ws_a"}`
	unsubscribeDeliveries = `{"type":"unsubscribe","channel":"deliveries:ws_a"}`
	subscribed            = `{"type":"subscribed","channel":"deliveries:ws_a","payload":null}`
)

// wantListeners checks who watches the deliveries of ws_a, by connection ids.
func (p *place) wantListeners(want ...string) {
	p.t.Helper()
	listeners, err := p.store.Watchers(p.t.Context(), "ws_a", boathook.DeliveriesChannel)
	must(p.t, err)
	var got []string
	for _, l := range listeners {
		got = append(got, l.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		p.t.Errorf("listeners (-want +got):\n%s", diff)
	}
}

func TestAConnectionSubscribesToEachChannelByItself(t *testing.T) {
	p := newPlace(t)
	must(t, p.Connect(t.Context(), "c", p.token("ws_a")))
	p.send("c", subscribeDeliveries, subscribeDeliveries)
	p.wantListeners("c")
	p.wantWatchers("ws_a")
	p.send("c", subscribe)
	p.wantListeners("c")
	p.wantWatchers("ws_a", "c")
	p.send("c", unsubscribeDeliveries)
	p.wantListeners()
	p.wantWatchers("ws_a", "c")
	p.send("c", subscribeDeliveries, unsubscribe, unsubscribe)
	p.wantListeners("c")
	p.wantWatchers("ws_a")
	if diff := cmp.Diff([]string{subscribed, subscribed, subscribed}, p.posts["c"]); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	must(t, p.Disconnect(t.Context(), "c"))
	p.wantListeners()
}

func TestOnlyTheOwnWorkspacesDeliveriesAreWatched(t *testing.T) {
	p := newPlace(t)
	must(t, p.Connect(t.Context(), "c", p.token("ws_a")))
	var want []string
	for _, channel := range []string{"deliveries:ws_b", "deliveries:", "deliveries", "deliveries:ws_a ", "Deliveries:ws_a", "other:ws_a"} {
		for _, kind := range []string{"subscribe", "unsubscribe"} {
			p.send("c", `{"type":"`+kind+`","channel":"`+channel+`"}`)
			want = append(want, `{"type":"error","channel":"`+channel+`","payload":{"error":"access denied","message":"access denied"}}`)
		}
	}
	if diff := cmp.Diff(want, p.posts["c"]); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	p.wantListeners()
}

func TestAnAPITokensDeletionClosesTheListenersThatItOpened(t *testing.T) {
	p := newPlace(t)
	p.makeTokens("tok_a", "tok_b")
	for id, token := range map[string]string{"a": "tok_a", "b": "tok_b"} {
		must(t, p.Connect(t.Context(), id, p.tokenBy(token)))
		p.send(id, subscribeDeliveries)
	}
	p.deleteToken("tok_a")
	if !p.closed["a"] || p.closed["b"] {
		t.Errorf("closed %v", p.closed)
	}
	p.wantListeners("b")
	p.Log.Store = forgetful{p.store, errDown}
	if err := p.Receive(t.Context(), "b", []byte(subscribeDeliveries)); !errors.Is(err, errDown) || len(p.posts["b"]) != 1 {
		t.Errorf("who is not known to be good was answered %q, %v", p.posts["b"], err)
	}
}

// announce tells of a delivery of ws_a.
func (p *place) announce(log *strings.Builder) (taken int, err error) {
	a := live.Announcer{Store: p.store, Sockets: p.sockets, Log: slog.New(slog.NewTextHandler(log, nil))}
	return a.Announce(p.t.Context(), live.Announcement{
		WorkspaceID: "ws_a", WebhookID: "out_a", Event: "run.succeeded", Attempt: 2,
		DeliveryID: boathook.NewDeliveryID(&boathook.Event{ID: "evt_a", Time: p.now}, "out_a"),
	})
}

func TestEachChannelHasItsOwnFrames(t *testing.T) {
	p := newPlace(t)
	for id, frames := range map[string][]string{"log": {subscribe}, "deliveries": {subscribeDeliveries}, "both": {subscribeDeliveries, subscribe}, "none": nil} {
		must(t, p.Connect(t.Context(), id, p.token("ws_a")))
		p.send(id, frames...)
	}
	must(t, p.Connect(t.Context(), "stranger", p.token("ws_b")))
	p.send("stranger", strings.ReplaceAll(subscribeDeliveries, "ws_a", "ws_b"))
	clear(p.posts)
	must(t, p.store.PutSource(t.Context(), boathook.Source{
		ID: "agent_a", WorkspaceID: "ws_a", Kind: boathook.Agent, Agent: &boathook.AgentSettings{Slug: "code-review"},
	}))
	live.NewBroadcast(p.store, p.sockets, p.Now, slog.New(slog.DiscardHandler)).Lines(
		t.Context(), boathook.RunHead{ID: "run_a", WorkspaceID: "ws_a", SourceID: "agent_a"}, []boathook.LogLine{stdout("x")})
	if len(p.posts["log"]) != 1 || len(p.posts["both"]) != 1 || len(p.posts) != 2 {
		t.Errorf("a line was posted as %v", p.posts)
	}

	clear(p.posts)
	taken, err := p.announce(new(strings.Builder))
	id := boathook.NewDeliveryID(&boathook.Event{ID: "evt_a", Time: p.now}, "out_a").String()
	frame := []string{`{"type":"delivery","channel":"deliveries:ws_a","payload":{"delivery_id":"` + id + `","webhook_id":"out_a","event":"run.succeeded","attempt":2}}`}
	if diff := cmp.Diff(map[string][]string{"deliveries": frame, "both": frame}, p.posts); diff != "" || taken != 2 || err != nil {
		t.Errorf("%d took it, %v; posted (-want +got):\n%s", taken, err, diff)
	}
}

func TestWhatComesOfAnAnnouncement(t *testing.T) {
	gone, hangs := boathook.Errorf(boathook.NotFound, "gone"), errors.New("the account's secret")
	for name, tt := range map[string]struct {
		listeners map[string]error // what a post to each gives
		taken     int
		err       error
		left      []string
	}{
		"nobody listens":         {nil, 0, nil, nil},
		"all are gone":           {map[string]error{"a": gone, "b": gone}, 0, nil, nil},
		"one of two is gone":     {map[string]error{"a": gone, "b": nil}, 1, nil, []string{"b"}},
		"one of two can't be":    {map[string]error{"a": hangs, "b": nil}, 1, nil, []string{"a", "b"}},
		"none can be reached":    {map[string]error{"a": hangs, "b": hangs}, 0, live.ErrUnreachable, []string{"a", "b"}},
		"one gone, one can't be": {map[string]error{"a": hangs, "b": gone}, 0, live.ErrUnreachable, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			for id := range tt.listeners {
				must(t, p.Connect(t.Context(), id, p.token("ws_a")))
				p.send(id, subscribeDeliveries)
			}
			p.fail = func(_ context.Context, id string) error { return tt.listeners[id] }
			var log strings.Builder
			taken, err := p.announce(&log)
			if taken != tt.taken || !errors.Is(err, tt.err) {
				t.Errorf("%d took it, %v", taken, err)
			}
			p.wantListeners(tt.left...)
			for id, fault := range tt.listeners {
				if logged := strings.Contains(log.String(), "connection_id="+id); logged != errors.Is(fault, hangs) {
					t.Errorf("%s is logged: %t, in %s", id, logged, &log)
				}
			}
		})
	}
}
