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
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"boathook/internal/api/openapi"
	"boathook/internal/boathook"
	"boathook/internal/paths"
	"boathook/internal/queue"
	"boathook/internal/run"
	"boathook/internal/store"
)

// Store is what the API reads and writes; see package store for each method.
type Store interface {
	store.Workspaces
	store.Tokens
	store.Sources
	store.Webhooks
	store.Requests

	Health(ctx context.Context, webhookIDs ...string) (map[string]boathook.Health, error)
	ClearHealth(ctx context.Context, webhookID string, parts boathook.HealthPart) error

	LookUpTrigger(ctx context.Context, sourceID, webhookID, runID string) (store.TriggerView, error)
	LookUpAgent(ctx context.Context, agentID string, runIDs ...string) (store.AgentView, error)
	RunHead(ctx context.Context, id string) (boathook.RunHead, error)
	Run(ctx context.Context, workspaceID, id string) (boathook.Run, error)
	Runs(ctx context.Context, q store.RunQuery) (runs []boathook.Run, next string, err error)
	RunHeads(ctx context.Context, q store.RunQuery) (heads []boathook.RunHead, next string, err error)
	CountedRuns(ctx context.Context, q store.CountQuery) (heads []boathook.RunHead, counts boathook.RunCounts, err error)
	AnyActive(ctx context.Context, sourceID string) (bool, error)
	RequestCancel(ctx context.Context, id string, now time.Time) (boathook.RunHead, error)
	Log(ctx context.Context, runID string, from, maxBytes int) (first int, lines []boathook.LogLine, err error)
	AgentLog(ctx context.Context, q store.AgentLogQuery) ([]boathook.AgentLine, error)

	PinEvent(ctx context.Context, p store.EventPin) (store.EventPin, error)
	MarkEventPublished(ctx context.Context, workspaceID, id string, deliveries []int) error

	Delivery(ctx context.Context, workspaceID string, id boathook.DeliveryID) (boathook.Delivery, error)
	Attempts(ctx context.Context, workspaceID string, id boathook.DeliveryID) (boathook.Delivery, []boathook.Attempt, error)
	AttemptLog(ctx context.Context, q store.AttemptQuery) ([]store.Attempted, error)
	Deliveries(ctx context.Context, q store.DeliveryQuery) (deliveries []boathook.Delivery, next string, err error)
	ReopenDelivery(ctx context.Context, d boathook.Delivery, at time.Time) error
}

// Starter starts runs.
type Starter interface {
	// StartOnce makes a pending run durable and waits for it to start; its head is
	// as it is then. existing is the run that has the same
	// id already, or nil: it is answered again if its input is the same, and
	// is a Conflict otherwise. Unavailable: the run could not be made durable.
	StartOnce(ctx context.Context, run boathook.Run, existing *boathook.RunHead, wait run.Wait) (run.Started, error)
}

// Publisher queues deliveries.
type Publisher interface {
	// PublishAll queues one delivery of each event for each webhook that wants
	// it, and counts them by event. It may be repeated.
	PublishAll(ctx context.Context, events ...boathook.Event) (deliveries []int, err error)
	// PublishTo queues an event's delivery to one webhook, whatever events the
	// webhook wants.
	PublishTo(ctx context.Context, e boathook.Event, w boathook.OutgoingWebhook) error
}

// Sealer encrypts what must not be stored in clear. What is sealed opens only
// for the same workspace and subject: package seal has them.
type Sealer interface {
	// NewDataKey makes the wrapped data key of a workspace that is about to
	// be created.
	NewDataKey(ctx context.Context, workspaceID string) ([]byte, error)
	Seal(ctx context.Context, workspaceID, subject string, plain []byte) ([]byte, error)
	Open(ctx context.Context, workspaceID, subject string, sealed []byte) ([]byte, error)
}

// Watchers are the open WebSockets on which workspaces are watched.
type Watchers interface {
	// CloseWatchers ends those that an API token opened. It may be repeated.
	CloseWatchers(ctx context.Context, workspaceID, tokenID string) error
}

// Config is what the API is made of. Every field but PublicURL is required.
type Config struct {
	Store   Store
	Runs    Starter
	Publish Publisher
	Retries queue.Sender              // the queue of later attempts: resends go there
	Queues  map[string]queue.Redriver // by name: [queue.Runs], [queue.Deliveries], [queue.Retries]
	Seal    Sealer

	// AdminToken gives the text of the stack's own admin token, never empty.
	// It is asked on every request, so its provider caches it.
	AdminToken func(context.Context) (string, error)
	// InternalToken gives the text of the stack's internal token, which opens
	// the internal endpoint and nothing else. Empty: it opens for nobody.
	InternalToken func(context.Context) (string, error)
	// Workspace is the id of the first workspace, which the stack's admin
	// token belongs to; see [Handler.EnsureWorkspace].
	Workspace string

	// StreamSecret gives the secret that signs the WebSocket's tokens, never
	// empty. It is asked for each token, so its provider caches it.
	StreamSecret func(context.Context) (string, error)
	Watchers     Watchers

	// CheckURL refuses a URL that requests may not be sent to, with a
	// [boathook.Invalid] error about the field.
	CheckURL func(field, raw string) error
	// AllowTarget refuses a well-formed target that may not execute runs here,
	// with a [boathook.Invalid] error about one of its fields, such as "type"
	// or "function_arn".
	AllowTarget func(boathook.Target) error

	// PublicURL is where the API and incoming webhooks are reached, without a
	// trailing slash. Empty: where the request came to.
	PublicURL string

	Now func() time.Time
	Log *slog.Logger
}

// Handler serves the API.
type Handler struct {
	cfg     Config
	mux     *http.ServeMux
	ensured atomic.Bool // the first workspace is known to exist
}

// New makes the API.
func New(cfg Config) *Handler {
	h := &Handler{cfg: cfg, mux: http.NewServeMux()}
	for pattern, body := range map[string][]byte{
		"GET /healthz":      []byte(`{"status":"ok"}`),
		"GET /openapi.json": openapi.Document(),
	} {
		h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := checkQuery(r, pattern); err != nil {
				h.fail(w, r, ownStyle, err)
				return
			}
			writeJSON(w, http.StatusOK, body)
		})
	}
	h.mux.HandleFunc("GET /{$}", h.root)
	h.mux.HandleFunc("GET /api/v1/internal/agents/{agent}/webhook-secret", func(w http.ResponseWriter, r *http.Request) {
		if err := h.internalSecret(w, r); err != nil {
			h.fail(w, r, crewshipStyle, err)
		}
	})
	for _, s := range h.systems() {
		for _, rt := range s.routes {
			method, path, _ := strings.Cut(rt.pattern, " ")
			for _, prefix := range append([]string{""}, s.style.prefixes...) {
				h.mux.HandleFunc(method+" "+prefix+path, func(w http.ResponseWriter, r *http.Request) {
					h.serveRoute(w, r, s.style, rt, prefix)
				})
			}
		}
	}
	return h
}

// serveRoute serves a request whose path is a route's behind a prefix.
func (h *Handler) serveRoute(w http.ResponseWriter, r *http.Request, s style, rt route, prefix string) {
	c, err := h.authenticate(r, s.basic)
	c.style, c.prefix = s, prefix
	if err == nil && !c.role.Allows(rt.role) {
		err = boathook.Errorf(boathook.Forbidden, "this needs a token with the role %s", rt.role)
	}
	if err == nil && s.strictQuery {
		err = checkQuery(r, rt.pattern)
	}
	if err == nil {
		err = rt.handle(w, c)
	}
	if err != nil {
		h.fail(w, r, s, err)
	}
}

// route is a path of the API, the role that it needs, and what serves it.
type route struct {
	pattern string
	role    boathook.Role
	handle  handler
}

// system is routes that speak as one system does.
type system struct {
	style  style
	routes []route
}

// style is what a system's clients expect of bodies and errors.
type style struct {
	lenient     bool // fields of a body that are not known are ignored, not refused
	strictQuery bool // parameters of the query that are not known are refused, not ignored
	basic       bool // HTTP's Basic authentication is taken too
	writeError  func(w http.ResponseWriter, status int, code, field, message string)
	// writeIssues answers several faults of one request. Nil: the first is told.
	writeIssues func(w http.ResponseWriter, all issues)
	// prefixes are what the system's paths may begin with besides nothing.
	prefixes []string
	// below are paths, each ending with a slash, where what is not found is
	// answered in this style.
	below []string
}

var ownStyle = style{strictQuery: true, writeError: writeError}

// styleOf is the style of a path that has no route.
func styleOf(path string) style {
	for _, s := range []style{crewshipStyle, shipwayStyle, capawesomeStyle} {
		if slices.ContainsFunc(s.below, func(prefix string) bool { return strings.HasPrefix(path+"/", prefix) }) {
			return s
		}
	}
	return ownStyle
}

// systems is the table of routes.
func (h *Handler) systems() []system {
	const (
		deployment = "/v1/deployments/{deployment}"
		version    = deployment + "/versions/{version}"
		incoming   = deployment + "/incoming-webhooks/{incoming}"
		crew       = "/v1/crews/{crew}"
		agent      = crew + "/agents/{agent}"
		repository = "/v1/repositories/{repository}"
		app        = "/v1/apps/{app}"
		hook       = "/repos/{owner}/{repo}/hooks/{hook}"
		webhook    = "/v1/apps/{app}/webhooks/{webhook}"
	)
	const ok, created, accepted, gone = http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent
	const viewer, member, admin = boathook.Viewer, boathook.Member, boathook.Admin
	own := []route{
		{"GET /v1/me", viewer, serve(ok, h.me)},
		{"POST /v1/workspaces", admin, serve(created, h.createWorkspace)}, // and the stack's own token only
		{"GET /v1/workspaces", admin, serve(ok, h.listWorkspaces)},        // of the first workspace only
		{"GET /v1/workspaces/{workspace}", admin, serve(ok, h.getWorkspace)},
		{"DELETE /v1/workspaces/{workspace}", admin, serve(gone, h.deleteWorkspace)},
		{"POST /v1/workspaces/{workspace}/tokens", admin, serve(created, h.createTokenOf)},

		{"POST /v1/tokens", admin, serve(created, h.createToken)},
		{"GET /v1/tokens", admin, serve(ok, h.listTokens)},
		{"GET /v1/tokens/{token}", admin, serve(ok, h.getToken)},
		{"DELETE /v1/tokens/{token}", admin, serve(gone, h.deleteToken)},

		{"POST /v1/deployments", member, serve(created, h.createDeployment)},
		{"GET /v1/deployments", viewer, serve(ok, h.listDeployments)},
		{"GET " + deployment, viewer, serve(ok, h.getDeployment)},
		{"PATCH " + deployment, member, serve(ok, h.changeDeployment)},
		{"DELETE " + deployment, member, serve(gone, h.deleteDeployment)},

		{"POST " + deployment + "/versions", admin, serve(created, h.createVersion)},
		{"GET " + deployment + "/versions", viewer, serve(ok, h.listVersions)},
		{"POST " + version + "/activate", admin, serve(ok, h.activateVersion)},

		{"POST " + deployment + "/incoming-webhooks", member, serve(created, h.createIncoming)},
		{"GET " + deployment + "/incoming-webhooks", viewer, serve(ok, h.listIncoming)},
		{"GET " + incoming, viewer, serve(ok, h.getIncoming)},
		{"PATCH " + incoming, member, serve(ok, h.changeIncoming)},
		{"DELETE " + incoming, member, serve(gone, h.deleteIncoming)},
		{"POST " + incoming + "/rotate", member, serve(ok, h.rotateIncoming)},
		{"GET " + incoming + "/requests", viewer, serve(ok, h.listRequests)},

		{"POST /v1/crews", member, serve(created, h.createCrew)},
		{"GET /v1/crews", viewer, serve(ok, h.listCrews)},
		{"GET " + crew, viewer, serve(ok, h.getCrew)},
		{"PATCH " + crew, member, serve(ok, h.changeCrew)},
		{"DELETE " + crew, member, serve(gone, h.deleteCrew)},

		{"POST " + crew + "/agents", admin, serve(created, h.createAgent)}, // it comes with a target
		{"GET " + crew + "/agents", viewer, serve(ok, h.listAgents)},
		{"GET " + agent, viewer, serve(ok, h.getAgent)},
		{"PATCH " + agent, member, serve(ok, h.changeAgent)}, // and for the target admin
		{"DELETE " + agent, member, serve(gone, h.deleteAgent)},
		{"GET " + agent + "/requests", viewer, serve(ok, h.listAgentRequests)},
		{"GET " + agent + "/webhook-secret", admin, serve(ok, h.showAgentSecret)},

		{"POST /v1/repositories", member, serve(created, h.createRepository)},
		{"GET /v1/repositories", viewer, serve(ok, h.listRepositories)},
		{"GET " + repository, viewer, serve(ok, h.getRepository)},
		{"DELETE " + repository, member, serve(gone, h.deleteRepository)},

		{"POST /v1/events", member, h.publishEvents},
		{"GET /v1/event-types", viewer, serve(ok, h.listEventTypes)},

		{"GET /v1/admin/redrive", admin, serve(ok, h.listQueues)},
		{"POST /v1/admin/redrive", admin, serve(accepted, h.redrive)},

		{"POST /v1/runs", member, h.startRun},
		{"GET /v1/runs", viewer, serve(ok, h.listRuns)},
		{"GET /v1/runs/{run}", viewer, serve(ok, h.getRun)},
		{"GET /v1/runs/{run}/events", viewer, h.runEvents},
		{"POST /v1/runs/{run}/cancel", member, serve(accepted, h.cancelRun)},

		{"GET /v1/deliveries/{delivery}", viewer, serve(ok, h.getDelivery)},
		{"POST /v1/deliveries/{delivery}/resend", member, serve(accepted, h.resendDelivery)},
	}
	for _, source := range []string{deployment, agent, repository, app} {
		outgoing := source + "/outgoing-webhooks/{outgoing}"
		own = append(own,
			route{"POST " + source + "/outgoing-webhooks", member, serve(created, h.createOutgoing)},
			route{"GET " + source + "/outgoing-webhooks", viewer, serve(ok, h.listOutgoing)},
			route{"GET " + outgoing, viewer, serve(ok, h.getOutgoing)},
			route{"PATCH " + outgoing, member, serve(ok, h.changeOutgoing)},
			route{"DELETE " + outgoing, member, serve(gone, h.deleteOutgoing)},
			route{"POST " + outgoing + "/rotate-secret", member, serve(ok, h.rotateSecret)},
			route{"POST " + outgoing + "/test", member, serve(accepted, h.testOutgoing)},
			route{"POST " + outgoing + "/recover", member, serve(accepted, h.recoverOutgoing)},
			route{"GET " + outgoing + "/deliveries", viewer, serve(ok, h.listDeliveries)},
		)
	}
	agents := []route{
		{"GET /api/v1/agents", viewer, serve(ok, h.allAgents)},
		{"GET /api/v1/agents/{agent}", viewer, serve(ok, h.lookUpAgent)},
		{"GET /api/v1/agents/{agent}/runs", viewer, serve(ok, h.agentRuns)},
		{"GET /api/v1/agents/{agent}/logs", viewer, serve(ok, h.agentLog)},
		{"POST /api/v1/agents/{agent}/webhook-secret/rotate", member, serve(ok, h.rotateAgentSecret)},
		{"GET /api/v1/runs", viewer, serve(ok, h.allAgentRuns)},
		{"GET /api/v1/runs/{run}", viewer, serve(ok, h.agentRun)},
		{"GET /api/v1/ws-token", viewer, serve(ok, h.streamToken)},
	}
	for i := range agents {
		agents[i].handle = inWorkspace(agents[i].handle)
	}
	hooks := []route{
		{"GET /repos/{owner}/{repo}", viewer, serve(ok, h.getHookRepository)},
		{"GET /repos/{owner}/{repo}/hooks", viewer, h.listHooks},
		{"POST /repos/{owner}/{repo}/hooks", member, serve(created, h.createHook)},
		{"GET " + hook, viewer, serve(ok, h.getHook)},
		{"PATCH " + hook, member, serve(ok, h.changeHook)},
		{"DELETE " + hook, member, serve(gone, h.deleteHook)},
		{"GET " + hook + "/config", viewer, serve(ok, h.getHookConfig)},
		{"PATCH " + hook + "/config", member, serve(ok, h.changeHookConfig)},
		{"POST " + hook + "/pings", member, serve(gone, h.pingHook)},
		{"POST " + hook + "/tests", member, serve(gone, h.testHook)},
		{"GET " + hook + "/deliveries", viewer, h.listHookDeliveries},
		{"GET " + hook + "/deliveries/{delivery}", viewer, serve(ok, h.getHookDelivery)},
		{"POST " + hook + "/deliveries/{delivery}/attempts", member, serve(accepted, h.redeliverHook)},
	}
	apps := []route{
		{"GET /v1/users/me", viewer, serve(ok, h.appUser)},

		{"POST /v1/apps", member, serve(created, h.createApp)},
		{"GET /v1/apps", viewer, serve(ok, h.listApps)},
		{"GET " + app, viewer, serve(ok, h.getApp)},
		{"PATCH " + app, member, serve(ok, h.changeApp)},
		{"DELETE " + app, member, serve(gone, h.deleteApp)},

		{"GET /v1/apps/{app}/webhooks", viewer, serve(ok, h.listAppWebhooks)},
		{"POST /v1/apps/{app}/webhooks", member, serve(created, h.createAppWebhook)},
		{"GET " + webhook, viewer, serve(ok, h.getAppWebhook)},
		{"PATCH " + webhook, member, serve(ok, h.changeAppWebhook)},
		{"DELETE " + webhook, member, serve(gone, h.deleteAppWebhook)},
		{"POST " + webhook + "/test", member, serve(accepted, h.testAppWebhook)},
		{"GET " + webhook + "/deliveries", viewer, serve(ok, h.listAppDeliveries)},
		{"POST " + webhook + "/deliveries/{delivery}/resend", member, serve(accepted, h.resendAppDelivery)},
	}
	return []system{{ownStyle, own}, {crewshipStyle, agents}, {shipwayStyle, hooks}, {capawesomeStyle, apps}}
}

const requestIDHeader = "X-Request-Id"

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	paths.Clean(http.HandlerFunc(h.serveClean)).ServeHTTP(w, r)
}

func (h *Handler) serveClean(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(requestIDHeader, requestID(r))
	fallback, pattern := h.mux.Handler(r)
	if pattern != "" {
		h.mux.ServeHTTP(w, r)
		return
	}
	// The mux knows whether it is 404 or 405, and sets Allow; it would say so
	// in plain text.
	said := statusOnly{ResponseWriter: w}
	fallback.ServeHTTP(&said, r)
	style := styleOf(r.URL.Path)
	if said.status == http.StatusMethodNotAllowed {
		style.writeError(w, said.status, "method_not_allowed", "", "this path does not take the method "+r.Method)
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
	id := r.Header.Get(requestIDHeader)
	if id == "" || len(id) > 128 || !printable(id) {
		return boathook.NewID("req")
	}
	return id
}

// fail answers an error. What has no kind is a dependency's failure: its text
// goes to the log only.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, s style, err error) {
	if all := (issues)(nil); s.writeIssues != nil && errors.As(err, &all) {
		s.writeIssues(w, all)
		return
	}
	var e *boathook.Error
	if !errors.As(err, &e) {
		e = &boathook.Error{Kind: boathook.Unavailable}
	}
	status := e.Kind.Status()
	message := e.Message
	if status >= 500 {
		h.cfg.Log.ErrorContext(r.Context(), "request failed", "request_id", w.Header().Get(requestIDHeader),
			"route", r.Pattern, "status", status, "error", err)
		message = "Boathook can't answer for now: try again"
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	s.writeError(w, status, string(e.Kind), e.Field, message)
}

type errorBody struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	Field     string `json:"field,omitempty"`
	RequestID string `json:"request_id"`
}

func writeError(w http.ResponseWriter, status int, code, field, message string) {
	writeErrorJSON(w, status, map[string]errorBody{
		"error": {code, message, field, w.Header().Get(requestIDHeader)},
	})
}

func writeErrorJSON(w http.ResponseWriter, status int, e any) {
	body, err := boathook.EncodeJSON(e)
	if err != nil {
		panic(err) // strings always encode
	}
	writeJSON(w, status, body)
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store") // an answer may hold a secret
	w.WriteHeader(status)
	w.Write(body) // a client that has gone is nobody's failure
}
