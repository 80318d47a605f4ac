// Package facetest asks a face of the API as its clients do, without the operations
// that are behind it: those are a test's fakes.
package facetest

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"boathook/internal/api/httpjson"
	"boathook/internal/service"
)

// PublicURL is where the faces say that they are.
const PublicURL = "https://hooks.example.com"

// everyone is one caller, whatever token is shown; and the stack itself where only
// that may ask.
type everyone struct{ service.Caller }

func (e everyone) Find(context.Context, string) (service.Caller, error) { return e.Caller, nil }

func (everyone) FindInternal(ctx context.Context, _ string) (service.Caller, error) {
	const token = "the stack's internal token"
	operations := service.New(service.Config{InternalToken: func(context.Context) (string, error) { return token, nil }})
	return operations.Callers.FindInternal(ctx, token)
}

// Ask sends a request of a caller to faces, and gives the answer. header has names and
// values in turn.
func Ask(t *testing.T, faces []httpjson.Face, c service.Caller, method, path, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	server := httpjson.Server{Callers: everyone{c}, PublicURL: PublicURL, Log: slog.New(slog.DiscardHandler)}
	mux := http.NewServeMux()
	for _, face := range faces {
		server.Mount(mux, face)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}
