// Package manage is the room of the management API: what users set up
// (deployments and other sources, versions, webhooks, tokens), the events that
// they publish, and what they look at (runs, their logs, deliveries). [New]
// makes it an [http.Handler]; nothing in it knows AWS.
//
// A request's road: [Handler.ServeHTTP] finds its route in the table of
// routes, which names the role that it needs; authenticate finds the caller;
// serve decodes the body strictly, calls the resource's method and encodes its
// answer; fail turns an error into the API's error object. Each resource has
// a file of its own. The paths of Shipway and Capawesome Cloud take the same
// road in the style of those systems: they write errors in their own shapes, and
// Shipway's read bodies more leniently.
package manage

import (
	"net/http"
	"slices"
	"strings"

	"boathook/internal/api/capawesome"
	"boathook/internal/api/crewship"
	"boathook/internal/api/httpjson"
	"boathook/internal/api/native"
	"boathook/internal/api/openapi"
	"boathook/internal/api/shipway"
	"boathook/internal/boathook"
	"boathook/internal/paths"
	"boathook/internal/service"
)

// Config is what the API is made of.
type Config struct {
	service.Config

	// PublicURL is where the API and incoming webhooks are reached, without a
	// trailing slash. Empty: where the request came to.
	PublicURL string
}

// Handler serves the API.
type Handler struct {
	cfg     Config
	mux     *http.ServeMux
	service *service.Service
	all     []httpjson.Face
}

// New makes the API.
func New(cfg Config) *Handler {
	h := &Handler{cfg: cfg, mux: http.NewServeMux(), service: service.New(cfg.Config)}
	for pattern, body := range map[string][]byte{
		"GET /healthz":      []byte(`{"status":"ok","version":"` + boathook.Release + `"}`),
		"GET /openapi.json": openapi.Document(),
	} {
		h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := httpjson.CheckQuery(r, pattern); err != nil {
				h.fail(w, r, ownStyle, err)
				return
			}
			httpjson.Write(w, http.StatusOK, body)
		})
	}
	h.mux.HandleFunc("GET /{$}", h.root)
	h.all = h.faces()
	for _, face := range h.all {
		for _, route := range face.Routes {
			method, path, _ := strings.Cut(route.Pattern, " ")
			for _, prefix := range append([]string{""}, face.Style.Prefixes...) {
				h.mux.HandleFunc(method+" "+prefix+path, func(w http.ResponseWriter, r *http.Request) {
					h.serveRoute(w, r, face, route, prefix)
				})
			}
		}
	}
	return h
}

// serveRoute serves a request whose path is a route's behind a prefix.
func (h *Handler) serveRoute(w http.ResponseWriter, r *http.Request, face httpjson.Face, route httpjson.Route, prefix string) {
	s := face.Style
	caller, err := h.callerOf(r, face)
	if err == nil {
		err = caller.May(route.Operation)
	}
	if err == nil && s.StrictQuery {
		err = httpjson.CheckQuery(r, route.Pattern)
	}
	if err == nil {
		err = route.Handle(w, httpjson.Call{Request: r, Caller: caller, Style: s, Prefix: prefix, Published: h.cfg.PublicURL})
	}
	if err != nil {
		h.fail(w, r, s, err)
	}
}

// callerOf finds who has sent a request to a face.
func (h *Handler) callerOf(r *http.Request, face httpjson.Face) (service.Caller, error) {
	if face.InternalToken != "" {
		return h.service.Callers.FindInternal(r.Context(), r.Header.Get(face.InternalToken))
	}
	return h.service.Callers.Find(r.Context(), tokenOf(r, face.Style.Basic))
}

var ownStyle = native.Style

// styleOf is the style of a path that has no route.
func (h *Handler) styleOf(path string) httpjson.Style {
	for _, face := range h.all {
		if slices.ContainsFunc(face.Style.Below, func(prefix string) bool { return strings.HasPrefix(path+"/", prefix) }) {
			return face.Style
		}
	}
	return ownStyle
}

// faces is the table of routes.
func (h *Handler) faces() []httpjson.Face {
	const (
		deployment = "/v1/deployments/{deployment}"
		crew       = "/v1/crews/{crew}"
		agent      = crew + "/agents/{agent}"
		repository = "/v1/repositories/{repository}"
		app        = "/v1/apps/{app}"
	)
	on := httpjson.On
	const ok, created, accepted, gone = http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent
	own := []httpjson.Route{
		on("GET /v1/deliveries/{delivery}", "Deliveries.Get", httpjson.Serve(ok, h.getDelivery)),
		on("POST /v1/deliveries/{delivery}/resend", "Deliveries.Resend", httpjson.Serve(accepted, h.resendDelivery)),
	}
	for _, source := range []string{deployment, agent, repository, app} {
		outgoing := source + "/outgoing-webhooks/{outgoing}"
		own = append(own,
			on("POST "+source+"/outgoing-webhooks", "Outgoing.Create", httpjson.Serve(created, h.createOutgoing)),
			on("GET "+source+"/outgoing-webhooks", "Outgoing.List", httpjson.Serve(ok, h.listOutgoing)),
			on("GET "+outgoing, "Outgoing.Get", httpjson.Serve(ok, h.getOutgoing)),
			on("PATCH "+outgoing, "Outgoing.Change", httpjson.Serve(ok, h.changeOutgoing)),
			on("DELETE "+outgoing, "Outgoing.Delete", httpjson.Serve(gone, h.deleteOutgoing)),
			on("POST "+outgoing+"/rotate-secret", "Outgoing.RotateSecret", httpjson.Serve(ok, h.rotateSecret)),
			on("POST "+outgoing+"/test", "Outgoing.Test", httpjson.Serve(accepted, h.testOutgoing)),
			on("POST "+outgoing+"/recover", "Outgoing.Recover", httpjson.Serve(accepted, h.recoverOutgoing)),
			on("GET "+outgoing+"/deliveries", "Deliveries.List", httpjson.Serve(ok, h.listDeliveries)),
		)
	}
	s := h.service
	faces := crewship.New(crewship.Operations{Runs: s.Runs, Agents: s.Agents, AgentRuns: s.AgentRuns, Live: s.Live}, ownStyle, h.cfg.Log)
	return append(faces,
		native.New(native.Operations{
			Workspaces: s.Workspaces, Tokens: s.Tokens, Queues: s.Queues,
			Deployments: s.Deployments, Versions: s.Versions, Incoming: s.Incoming,
			Crews: s.Crews, Agents: s.Agents, Repositories: s.Repositories, Events: s.Events,
		}),
		httpjson.Face{Style: ownStyle, Routes: own},
		shipway.New(shipway.Operations{Repositories: s.Repositories, Hooks: s.Hooks}),
		capawesome.New(capawesome.Operations{Apps: s.Apps, Webhooks: s.AppWebhooks, Tokens: s.Tokens}, h.cfg.Now),
	)
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	paths.Clean(http.HandlerFunc(h.serveClean)).ServeHTTP(w, r)
}

func (h *Handler) serveClean(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(httpjson.RequestIDHeader, requestID(r))
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
	h.fail(w, r, style, boathook.Errorf(boathook.NotFound, "there is no such path"))
}

// statusOnly keeps the status of an answer and drops its body.
type statusOnly struct {
	http.ResponseWriter
	status int
}

func (s *statusOnly) WriteHeader(status int)      { s.status = status }
func (s *statusOnly) Write(p []byte) (int, error) { return len(p), nil }

// requestID is the one that the gateway gave, if it looks like one.
func requestID(r *http.Request) string {
	id := r.Header.Get(httpjson.RequestIDHeader)
	if id == "" || len(id) > 128 || !boathook.Printable(id) {
		return boathook.NewID("req")
	}
	return id
}

func (h *Handler) fail(w http.ResponseWriter, r *http.Request, s httpjson.Style, err error) {
	httpjson.Fail(w, r, s, h.cfg.Log, err)
}
