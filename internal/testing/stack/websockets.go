package stack

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

// WebSockets stands in for the management endpoint of a WebSocket API. (The
// emulators take a post to any connection, and know of none that is gone.)
type WebSockets struct {
	url string

	mu     sync.Mutex
	frames map[string][]string
	gone   map[string]bool
}

func newWebSockets(t testing.TB) *WebSockets {
	w := &WebSockets{frames: make(map[string][]string), gone: make(map[string]bool)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /live/@connections/{id}", w.post)
	mux.HandleFunc("DELETE /live/@connections/{id}", w.end)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	w.url = server.URL + "/live"
	return w
}

func (w *WebSockets) post(res http.ResponseWriter, req *http.Request) {
	frame, err := io.ReadAll(req.Body)
	w.mu.Lock()
	defer w.mu.Unlock()
	id := req.PathValue("id")
	if err != nil || w.gone[id] {
		res.Header().Set("X-Amzn-ErrorType", "GoneException")
		res.WriteHeader(http.StatusGone)
		return
	}
	w.frames[id] = append(w.frames[id], string(frame))
}

func (w *WebSockets) end(res http.ResponseWriter, req *http.Request) {
	w.End(req.PathValue("id"))
	res.WriteHeader(http.StatusNoContent)
}

// End has a connection gone.
func (w *WebSockets) End(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone[id] = true
}

// Frames are those that were posted to a connection, in their order.
func (w *WebSockets) Frames(id string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.frames[id])
}

// Gone reports whether a connection has ended.
func (w *WebSockets) Gone(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gone[id]
}
