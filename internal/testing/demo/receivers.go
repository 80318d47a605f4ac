package demo

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Receivers are endpoints on this machine, each at a path of one server that says how it
// behaves.
type Receivers struct {
	URL string // of the server
	TLS string // of one whose certificate nobody trusts

	down atomic.Bool
	over chan struct{} // closed when the test ends: what hangs answers
}

// The paths of [Receivers].
const (
	Healthy   = "/healthy"   // 204
	Slow      = "/slow"      // 200 after a third of a second
	Busy      = "/busy"      // 503
	Gone      = "/gone"      // 410
	Hanging   = "/hanging"   // no answer
	Hostile   = "/hostile"   // 400, with a body and headers that try to break a page
	Outage    = "/outage"    // 503 until [Receivers.Mend]
	Unwilling = "/unwilling" // 302, which is not followed
)

// hostile is a text that a page must not take for anything else: HTML, ANSI, a direction
// override, NUL.
const hostile = "<script>alert(1)</script><img src=x onerror=alert(2)> \x1b[31mred\x1b[0m \u202egnp.exe\u202c end\x00"

// NewReceivers starts the endpoints until the test ends.
func NewReceivers(t testing.TB) *Receivers {
	t.Helper()
	r := &Receivers{over: make(chan struct{})}
	r.down.Store(true)
	server, tls := httptest.NewServer(r), httptest.NewUnstartedServer(r)
	tls.Config.ErrorLog = nil
	tls.StartTLS()
	t.Cleanup(func() {
		close(r.over)
		server.Close()
		tls.Close()
	})
	r.URL, r.TLS = server.URL, tls.URL
	return r
}

// Mend ends the outage.
func (r *Receivers) Mend() { r.down.Store(false) }

func (r *Receivers) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Server", "receiver/1.4")
	w.Header().Set("X-Request-Id", "req-"+strconv.Itoa(len(req.URL.Path))+"f3a9")
	switch path := req.URL.Path; {
	case strings.HasPrefix(path, Slow):
		select {
		case <-time.After(time.Second / 3):
		case <-req.Context().Done():
		}
		_, _ = w.Write([]byte(`{"received":true,"queue_position":17}`))
	case strings.HasPrefix(path, Busy), strings.HasPrefix(path, Outage) && r.down.Load():
		w.Header().Set("Content-Type", "text/plain")
		http.Error(w, "upstream connect error or disconnect/reset before headers. reset reason: connection failure", http.StatusServiceUnavailable)
	case strings.HasPrefix(path, Gone):
		http.Error(w, `{"error":"this endpoint was retired"}`, http.StatusGone)
	case strings.HasPrefix(path, Hanging):
		select {
		case <-r.over:
		case <-req.Context().Done():
		}
	case strings.HasPrefix(path, Hostile):
		w.Header().Set("X-Hostile", "<b>bold</b>")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(hostile + strings.Repeat("x", 8<<10)))
	case strings.HasPrefix(path, Unwilling):
		http.Redirect(w, req, Healthy, http.StatusFound)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}
