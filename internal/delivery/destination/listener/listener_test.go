package listener_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/delivery/destination"
	"boathook/internal/delivery/destination/listener"
	"boathook/internal/live"
	"boathook/internal/store/mem"
)

// place is a listener's destination with its store, in which connections listen. It
// stands for the gateway, and keeps what it posts.
type place struct {
	listener.Destination
	*mem.Store
	lookUp error            // what a look-up of watchers gives
	faults map[string]error // what a post to a connection gives

	mu    sync.Mutex
	posts map[string]string
}

func newPlace() *place {
	p := &place{Store: mem.New(mem.Config{Retention: time.Hour}), faults: make(map[string]error), posts: make(map[string]string)}
	p.Destination.Announcer = &live.Announcer{Store: p, Sockets: p, Log: slog.New(slog.DiscardHandler)}
	return p
}

func (p *place) Watchers(ctx context.Context, workspaceID string, ch boathook.Channel) ([]boathook.Connection, error) {
	if p.lookUp != nil {
		return nil, p.lookUp
	}
	return p.Store.Watchers(ctx, workspaceID, ch)
}

func (p *place) Post(_ context.Context, id string, frame []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.faults[id]; err != nil {
		return err
	}
	p.posts[id] = string(frame)
	return nil
}

func (p *place) Close(context.Context, string) error { return nil }

// listen has a connection watch a channel.
func (p *place) listen(t *testing.T, id, workspaceID string, ch boathook.Channel) {
	t.Helper()
	c := boathook.Connection{ID: id, WorkspaceID: workspaceID, ConnectedAt: time.Now()}
	if err := errors.Join(p.PutConnection(t.Context(), c), p.Watch(t.Context(), c, ch)); err != nil {
		t.Fatal(err)
	}
}

var delivery = boathook.NewDeliveryID(&boathook.Event{ID: "evt_a", Time: time.UnixMilli(1_700_000_000_000)}, "out_a")

// send makes an attempt of a webhook of ws_a.
func (p *place) send(t *testing.T) destination.Result {
	return p.Destination.Send(t.Context(), boathook.OutgoingWebhook{
		ID: "out_a", WorkspaceID: "ws_a", Destination: boathook.Destination{Type: boathook.DestinationListener},
	}, destination.Message{DeliveryID: delivery, Event: "run.succeeded", Attempt: 3, Body: []byte("not in the frame")})
}

func TestADeliveryIsAnnouncedToItsWorkspacesListeners(t *testing.T) {
	p := newPlace()
	p.listen(t, "mine", "ws_a", boathook.DeliveriesChannel)
	p.listen(t, "of the log", "ws_a", boathook.LogChannel)
	p.listen(t, "a stranger's", "ws_b", boathook.DeliveriesChannel)
	r := p.send(t)
	if r.Error != "" || r.Response == nil || r.Response.Status != 202 || string(r.Response.Body) != "announced to 1 connection" {
		t.Errorf("it came to %+v", r)
	}
	frame := `{"type":"delivery","channel":"deliveries:ws_a","payload":{"delivery_id":"` + delivery.String() +
		`","webhook_id":"out_a","event":"run.succeeded","attempt":3}}`
	if diff := cmp.Diff(map[string]string{"mine": frame}, p.posts); diff != "" {
		t.Errorf("posted (-want +got):\n%s", diff)
	}
	p.listen(t, "mine too", "ws_a", boathook.DeliveriesChannel)
	if r := p.send(t); r.Response == nil || string(r.Response.Body) != "announced to 2 connections" {
		t.Errorf("it came to %+v", r)
	}
}

func TestAnAttemptThatNobodyHearsOfFails(t *testing.T) {
	gone, secret := boathook.Errorf(boathook.NotFound, "gone"), errors.New("arn:aws:iam::123456789012:role/stack may not")
	for name, tt := range map[string]struct {
		listens bool
		fault   error // of a post
		lookUp  error
		want    string
		left    int
	}{
		"nobody has subscribed":        {want: "nobody listens"},
		"who listened is gone":         {listens: true, fault: gone, want: "nobody listens"},
		"who listens can't be reached": {listens: true, fault: secret, want: "can be reached", left: 1},
		"the store is down":            {listens: true, lookUp: secret, want: "can't be looked up", left: 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace()
			if tt.listens {
				p.listen(t, "c", "ws_a", boathook.DeliveriesChannel)
			}
			p.faults["c"], p.lookUp = tt.fault, tt.lookUp
			r := p.send(t)
			if !strings.Contains(r.Error, tt.want) || strings.Contains(r.Error, "arn:") || r.Response != nil || r.Unfit || r.Gone != "" {
				t.Errorf("it came to %+v", r)
			}
			left, err := p.Store.Watchers(t.Context(), "ws_a", boathook.DeliveriesChannel)
			if err != nil || len(left) != tt.left {
				t.Errorf("left are %v, %v", left, err)
			}
		})
	}
}
