package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener in memory, whose connections have the time of a synctest.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	conn, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (p pipes) Close() error {
	close(p)
	return nil
}

func (pipes) Addr() net.Addr { return &net.TCPAddr{} }

// served has a handler served with the bounds of the program, in the time of a
// synctest, to one client.
func served(t *testing.T, handler http.HandlerFunc, client func(net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		listener := make(pipes)
		server := newServer(handler)
		go func() { _ = server.Serve(listener) }()
		near, far := net.Pipe()
		listener <- far
		client(near)
		_ = near.Close()
		if err := server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// drip writes text, a byte each second, until the server hangs up.
func drip(conn net.Conn, text string) {
	for i := range len(text) {
		time.Sleep(time.Second)
		if _, err := conn.Write([]byte{text[i]}); err != nil {
			return
		}
	}
}

func TestASlowClientIsHungUpOn(t *testing.T) {
	headers := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n"
	for name, tc := range map[string]struct {
		before, slowly string
		within         time.Duration
	}{
		"that says nothing":     {"", "", 10 * time.Second},
		"with its header":       {"", headers + strings.Repeat("X: y\r\n", 100), 10 * time.Second},
		"with its body":         {headers + "\r\n", strings.Repeat("x", 1000), 30 * time.Second},
		"that sends no body":    {headers + "\r\n", "", 30 * time.Second},
		"with a chunked body":   {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", strings.Repeat("1\r\nx\r\n", 1000), 30 * time.Second},
		"with its next request": {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			read := func(_ http.ResponseWriter, r *http.Request) {
				if n, err := io.Copy(io.Discard, r.Body); err == nil && r.Method == http.MethodPost {
					t.Errorf("a whole body of %d bytes was read", n)
				}
			}
			served(t, read, func(conn net.Conn) {
				start := time.Now()
				hungUp := make(chan time.Duration, 1)
				go func() {
					_, _ = io.Copy(io.Discard, conn)
					hungUp <- time.Since(start)
				}()
				if _, err := io.WriteString(conn, tc.before); err != nil {
					t.Error(err)
				}
				drip(conn, tc.slowly)
				if got := <-hungUp; got > tc.within+time.Second {
					t.Errorf("hung up on after %s, want %s", got, tc.within)
				}
			})
		})
	}
}

func TestAClientThatDoesNotReadItsAnswerIsHungUpOn(t *testing.T) {
	long := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) }
	served(t, long, func(conn net.Conn) {
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute + time.Second)
		if n, err := io.Copy(io.Discard, conn); n > 0 || err != nil { // a pipe holds nothing
			t.Errorf("a minute later there are %d bytes, %v", n, err)
		}
	})
}

// A trigger waits ten seconds for its run's start, recover looks through a
// webhook's deliveries for fifteen, and API Gateway allows thirty.
func TestAHandlerMayTakeLongerThanItsRequest(t *testing.T) {
	slow := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		select {
		case <-time.After(30 * time.Second):
		case <-r.Context().Done():
			t.Errorf("the request is canceled: %v", r.Context().Err())
		}
		_, _ = w.Write(body)
	}
	served(t, slow, func(conn net.Conn) {
		go func() {
			_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 29\r\n\r\n")
			drip(conn, strings.Repeat("x", 29)) // as slow as it may be
		}()
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(res.Body); len(body) != 29 || err != nil {
			t.Errorf("answered %q, %v", body, err)
		}
	})
}

func TestAWebSocketsConnectionHasNoBound(t *testing.T) {
	taken := func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if _, err := io.WriteString(conn, line); err != nil {
				t.Error(err)
			}
		}
	}
	served(t, taken, func(conn net.Conn) {
		if _, err := io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Error(err)
		}
		in := bufio.NewReader(conn)
		for range 4 {
			time.Sleep(30 * time.Minute)
			want := fmt.Sprintln(time.Now())
			if _, err := io.WriteString(conn, want); err != nil {
				t.Error(err)
			}
			if got, err := in.ReadString('\n'); got != want {
				t.Errorf("got %q, %v", got, err)
			}
		}
	})
}
