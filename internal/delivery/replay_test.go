package delivery_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/dialect"
	"boathook/internal/egress"
)

// forgetful is a receiver that answers one request on a connection and keeps it,
// but has forgotten it when the next request comes: as those do that closed it
// while the sender, a frozen Lambda function, could not hear of it.
type forgetful struct {
	url string

	mu       sync.Mutex
	answered []http.Header
	bodies   []string
	dropped  int // requests on connections that were forgotten
}

// newForgetful serves until the test ends. Closing a connection before what has
// come is read resets it.
func newForgetful(t *testing.T, reset bool) *forgetful {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	f := &forgetful{url: "http://" + listener.Addr().String() + "/hook"}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { f.serve(conn, reset) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	return f
}

func (f *forgetful) serve(conn net.Conn, reset bool) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	first, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	body, err := io.ReadAll(first.Body)
	if err != nil {
		return
	}
	f.mu.Lock()
	f.answered, f.bodies = append(f.answered, first.Header), append(f.bodies, string(body))
	f.mu.Unlock()
	if _, err := io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n"); err != nil {
		return
	}
	if reset {
		in = bufio.NewReaderSize(conn, 16) // the least there is
		if _, err := in.Peek(1); err != nil {
			return
		}
	} else {
		second, err := http.ReadRequest(in)
		if err != nil {
			return // the sender has closed it
		}
		_, _ = io.Copy(io.Discard, second.Body)
	}
	f.mu.Lock()
	f.dropped++
	f.mu.Unlock()
}

// Each delivery but the first meets a connection that is dead. Its receiver gets it
// all the same, on a new one, and without a header that says so.
func TestADeliveryOnADeadConnectionIsSentAgainOnANewOne(t *testing.T) {
	for name, reset := range map[string]bool{"closed": false, "reset": true} {
		t.Run(name, func(t *testing.T) {
			receiver := newForgetful(t, reset)
			client := egress.New(egress.Config{AllowPrefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowHTTP: true})
			t.Cleanup(client.CloseIdle)
			p := newPlace(t, func(r *http.Request, body []byte) (*http.Response, error) {
				r.Body = io.NopCloser(bytes.NewReader(body)) // the fake has read it
				return client.Do(r)
			})
			p.change(t, func(w *boathook.OutgoingWebhook) { w.URL = receiver.url })
			const n = 6
			for range n {
				job := p.job()
				must(t, p.handle(t, job))
				if d, attempts := p.record(t, job); d.Status != boathook.DeliverySucceeded || len(attempts) != 1 {
					t.Errorf("recorded %s with %+v", d.Status, attempts)
				}
			}
			receiver.mu.Lock()
			defer receiver.mu.Unlock()
			if len(receiver.answered) != n || receiver.dropped != n-1 {
				t.Errorf("the receiver answered %d requests and dropped %d, want %d and %d", len(receiver.answered), receiver.dropped, n, n-1)
			}
			for i, header := range receiver.answered {
				if _, sent := header[boathook.IdempotencyKey]; sent || receiver.bodies[i] != payload {
					t.Errorf("it received %v with %s", header, receiver.bodies[i])
				}
			}
		})
	}
}

func TestAWebhooksOwnIdempotencyKeyIsSent(t *testing.T) {
	var got http.Header
	p := newPlace(t, func(r *http.Request, _ []byte) (*http.Response, error) {
		got = r.Header
		return response(204, ""), nil
	})
	p.change(t, func(w *boathook.OutgoingWebhook) { w.SealedHeaders = []byte(`{"Idempotency-Key":"of the user"}`) })
	must(t, p.handle(t, p.job()))
	if got.Get(boathook.IdempotencyKey) != "of the user" || got.Get(dialect.CrewshipEvent) == "" {
		t.Errorf("sent %v", got)
	}
}
