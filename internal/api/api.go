// Package api is the management API over HTTP: the faces, which speak as /v1, Crewship,
// Shipway and Capawesome Cloud do, joined in one handler.
//
// A request's road: [Handler.ServeHTTP] finds the route in a face's table, which names
// an operation; package service finds the caller and says whether he may; the face
// decodes the body, calls the operation and encodes what it gives; an error is written
// in the face's own shape (its errors.go). What users can do is in package service.
package api

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"boathook/internal/api/capawesome"
	"boathook/internal/api/crewship"
	"boathook/internal/api/httpjson"
	"boathook/internal/api/native"
	"boathook/internal/api/openapi"
	"boathook/internal/api/shipway"
	"boathook/internal/boathook"
	"boathook/internal/paths"
	"boathook/internal/service"
	"boathook/internal/tracing"
)

// Config is what the API is made of.
type Config struct {
	Service *service.Service

	// PublicURL is where the API and incoming webhooks are reached, without a
	// trailing slash. Empty: where the request came to.
	PublicURL string
	// WebSocketURL is where watchers connect. Empty: /ws below the public URL.
	WebSocketURL string
	Now          func() time.Time
	Log          *slog.Logger
	Tracer       *tracing.Tracer // may be nil
}

// Handler serves the API.
type Handler struct {
	server httpjson.Server
	mux    *http.ServeMux
	faces  []httpjson.Face
}

// New makes the API.
func New(c Config) *Handler {
	h := &Handler{
		server: httpjson.Server{Callers: c.Service.Callers, PublicURL: c.PublicURL, Log: c.Log, Tracer: c.Tracer},
		mux:    http.NewServeMux(),
		faces:  faces(c),
	}
	for pattern, body := range map[string][]byte{
		"GET /healthz":      []byte(`{"status":"ok","version":"` + boathook.Release + `"}`),
		"GET /openapi.json": openapi.Document(),
	} {
		h.open(pattern, func(w http.ResponseWriter, _ *http.Request) error {
			httpjson.Write(w, http.StatusOK, body)
			return nil
		})
	}
	h.open("GET /{$}", h.root)
	for _, face := range h.faces {
		h.server.Mount(h.mux, face)
	}
	return h
}

// open adds a path that needs no token.
func (h *Handler) open(pattern string, serve func(http.ResponseWriter, *http.Request) error) {
	documented := strings.TrimSuffix(pattern, "{$}") // as the document calls it
	h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		err := httpjson.CheckQuery(r, documented)
		if err == nil {
			err = serve(w, r)
		}
		if err != nil {
			h.server.Fail(w, r, native.Style, err)
		}
	})
}

// faces are the API's, each of which is handed the operations that it calls.
func faces(c Config) []httpjson.Face {
	s := c.Service
	return append(
		crewship.New(crewship.Operations{Runs: s.Runs, Agents: s.Agents, AgentRuns: s.AgentRuns, Live: s.Live}, native.Style, c.Log),
		native.New(native.Operations{
			Workspaces: s.Workspaces, Tokens: s.Tokens, Queues: s.Queues,
			Deployments: s.Deployments, Versions: s.Versions, Incoming: s.Incoming,
			Crews: s.Crews, Agents: s.Agents, Repositories: s.Repositories, Customers: s.Customers, EventTypes: s.EventTypes, Events: s.Events, Feeds: s.Feeds,
			PortalSettings: s.PortalSettings,
			Outgoing:       s.Outgoing, Deliveries: s.Deliveries,
		}, c.WebSocketURL),
		shipway.New(shipway.Operations{Repositories: s.Repositories, Hooks: s.Hooks}),
		capawesome.New(capawesome.Operations{Apps: s.Apps, Webhooks: s.AppWebhooks, Tokens: s.Tokens}, c.Now),
	)
}

// styleOf is the style of a path that has no route.
func (h *Handler) styleOf(path string) httpjson.Style {
	for _, face := range h.faces {
		if slices.ContainsFunc(face.Style.Below, func(prefix string) bool { return strings.HasPrefix(path+"/", prefix) }) {
			return face.Style
		}
	}
	return native.Style
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tracing.Handler(paths.Clean(http.HandlerFunc(h.serveClean))).ServeHTTP(w, r)
}

func (h *Handler) serveClean(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(httpjson.RequestIDHeader, httpjson.RequestID(r))
	fallback, pattern := h.mux.Handler(r)
	if pattern != "" {
		h.mux.ServeHTTP(w, r)
		return
	}
	// The mux knows whether it is 404 or 405, and sets Allow; it would say so
	// in plain text.
	said := statusOnly{ResponseWriter: w}
	fallback.ServeHTTP(&said, r)
	style := h.styleOf(r.URL.Path)
	if said.status == http.StatusMethodNotAllowed {
		style.WriteError(w, said.status, "method_not_allowed", "", "this path does not take the method "+r.Method)
		return
	}
	h.server.Fail(w, r, style, boathook.Errorf(boathook.NotFound, "there is no such path"))
}

// statusOnly keeps the status of an answer and drops its body.
type statusOnly struct {
	http.ResponseWriter
	status int
}

func (s *statusOnly) WriteHeader(status int)      { s.status = status }
func (s *statusOnly) Write(p []byte) (int, error) { return len(p), nil }
