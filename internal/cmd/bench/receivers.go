package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// receivers are those of a plan, each at a host of its own. The good ones come first: the
// healthy, then the slow; then the failing and the hanging.
type receivers struct {
	plan    plan
	ledger  *ledger
	servers []*httptest.Server
	verify  []*standardwebhooks.Webhook // of each; set before anything is published
	over    chan struct{}               // closed when who hangs may answer
}

// newReceivers starts the receivers of a plan. Its errors are of the machine.
func newReceivers(ctx context.Context, p plan, l *ledger) (*receivers, error) {
	r := &receivers{plan: p, ledger: l, over: make(chan struct{})}
	for i := range p.good() + p.Failing + p.Hanging {
		listener, err := listen(ctx)
		if err != nil {
			r.close()
			return nil, fmt.Errorf("receiver %d: %w", i, err)
		}
		s := &httptest.Server{Listener: listener, Config: &http.Server{
			Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { r.receive(w, req, i) }),
		}}
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				l.connections.Add(1)
			}
		}
		s.Start()
		r.servers = append(r.servers, s)
	}
	return r, nil
}

// listen listens at a port that can be reached. A machine may let a program listen at one
// and refuse all connections to it: what is sent there would count as lost.
func listen(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	for tries := 3; ; tries-- {
		l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		if err = reach(ctx, l); err == nil {
			return l, nil
		}
		defer l.Close() // not before: the next one may be given the same port
		if tries == 1 {
			return nil, err
		}
	}
}

func reach(ctx context.Context, l net.Listener) error {
	var d net.Dialer
	near, err := d.DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		return err
	}
	far, err := l.Accept()
	if err != nil {
		return errors.Join(err, near.Close())
	}
	return errors.Join(far.Close(), near.Close())
}

func (r *receivers) urls() (urls []string) {
	for _, s := range r.servers {
		urls = append(urls, s.URL)
	}
	return urls
}

// expect takes the secrets by which the receivers' webhooks sign, in their order.
func (r *receivers) expect(secrets []string) error {
	for _, secret := range secrets {
		verify, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return fmt.Errorf("a webhook's secret: %w", err)
		}
		r.verify = append(r.verify, verify)
	}
	return nil
}

// release has those answer that hang.
func (r *receivers) release() { close(r.over) }

func (r *receivers) close() {
	for _, s := range r.servers {
		s.CloseClientConnections()
		s.Close()
	}
}

func (r *receivers) receive(w http.ResponseWriter, req *http.Request, i int) {
	l := r.ledger
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // cut off: it will come again
	}
	switch {
	case i >= r.plan.good()+r.plan.Failing:
		l.sick.Add(1)
		select {
		case <-r.over:
		case <-req.Context().Done():
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case i >= r.plan.good():
		l.sick.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	// What is wrong is answered as a success: asked for it again, a system would send it
	// again, and that would be measured.
	if err := r.verify[i].Verify(body, req.Header); err != nil {
		l.forged.Add(1)
		return
	}
	event, err := numberOf(body)
	if err != nil || event >= len(l.due) {
		l.corrupt.Add(1)
		return
	}
	at := l.now()
	if i >= r.plan.Healthy {
		select {
		case <-time.After(r.plan.Latency):
		case <-req.Context().Done(): // it was not waited for, and comes again
			return
		}
	}
	l.delivered(i, event, at)
}
