// Package crewship is the face that speaks as Crewship does: its API of deployments' runs
// (wire formats, section 1), and that of agents, their runs and their logs (section 2).
package crewship

import (
	"context"
	"iter"
	"log/slog"
	"net/http"
	"time"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// InternalToken is the header of the internal endpoint's only credential.
const InternalToken = "X-Internal-Token"

// Operations are those that the face calls.
type Operations struct {
	Runs      Runs
	Agents    Agents
	AgentRuns AgentRuns
	Live      Live
}

// Runs are operations on the runs of deployments; see [service.Runs].
type Runs interface {
	Start(ctx context.Context, c service.Caller, in service.RunStart) (service.StartedRun, error)
	List(ctx context.Context, c service.Caller, f service.RunFilter, p boathook.Page) (runs []boathook.Run, next string, err error)
	Get(ctx context.Context, c service.Caller, id string) (boathook.Run, error)
	Events(ctx context.Context, c service.Caller, id string, last int) (boathook.RunHead, iter.Seq2[service.RunEvent, error], error)
	Cancel(ctx context.Context, c service.Caller, id string) (boathook.RunHead, error)
	Retry(ctx context.Context, c service.Caller, in service.RunRetry) (service.StartedRun, error)
}

// Agents are operations on agents; see [service.Agents].
type Agents interface {
	All(ctx context.Context, c service.Caller, crewID string) (agents []boathook.Source, crews map[string]boathook.Source, err error)
	Find(ctx context.Context, c service.Caller, id string) (a service.LiveAgent, crew *boathook.Source, err error)
	Log(ctx context.Context, c service.Caller, id string, limit, skip int) (a boathook.Source, lines []boathook.AgentLine, err error)
	RotateSecret(ctx context.Context, c service.Caller, id string) (secret string, at time.Time, err error)
	InternalSecret(ctx context.Context, c service.Caller, id string) (secret string, err error)
}

// AgentRuns are operations on the runs of agents; see [service.AgentRuns].
type AgentRuns interface {
	OfAgent(ctx context.Context, c service.Caller, agentID string, f service.AgentRunFilter, limit int) ([]boathook.RunHead, error)
	List(ctx context.Context, c service.Caller, agentID string, f service.AgentRunFilter, number, limit int) (service.AgentRunPage, error)
	Get(ctx context.Context, c service.Caller, id string) (boathook.RunHead, error)
}

// Live are operations on the live log; see [service.Live].
type Live interface {
	Token(ctx context.Context, c service.Caller) (string, error)
}

type face struct {
	Operations
	log *slog.Logger
}

// New makes the routes. The paths below /v1 are in the style of all that are there, v1.
func New(o Operations, v1 httpjson.Style, log *slog.Logger) []httpjson.Face {
	f := face{o, log}
	const ok, accepted = http.StatusOK, http.StatusAccepted
	on := httpjson.On
	runs := []httpjson.Route{
		on("POST /v1/runs", "Runs.Start", f.startRun),
		on("GET /v1/runs", "Runs.List", httpjson.Serve(ok, f.listRuns)),
		on("GET /v1/runs/{run}", "Runs.Get", httpjson.Serve(ok, f.getRun)),
		on("GET /v1/runs/{run}/events", "Runs.Events", f.runEvents),
		on("POST /v1/runs/{run}/retry", "Runs.Retry", f.retryRun),
		on("POST /v1/runs/{run}/cancel", "Runs.Cancel", httpjson.Serve(accepted, f.cancelRun)),
	}
	agents := []httpjson.Route{
		on("GET /api/v1/agents", "Agents.All", httpjson.Serve(ok, f.allAgents)),
		on("GET /api/v1/agents/{agent}", "Agents.Find", httpjson.Serve(ok, f.findAgent)),
		on("GET /api/v1/agents/{agent}/runs", "AgentRuns.OfAgent", httpjson.Serve(ok, f.agentRuns)),
		on("GET /api/v1/agents/{agent}/logs", "Agents.Log", httpjson.Serve(ok, f.agentLog)),
		on("POST /api/v1/agents/{agent}/webhook-secret/rotate", "Agents.RotateSecret", httpjson.Serve(ok, f.rotateSecret)),
		on("GET /api/v1/runs", "AgentRuns.List", httpjson.Serve(ok, f.allAgentRuns)),
		on("GET /api/v1/runs/{run}", "AgentRuns.Get", httpjson.Serve(ok, f.agentRun)),
		on("GET /api/v1/ws-token", "Live.Token", httpjson.Serve(ok, f.streamToken)),
	}
	for i := range agents {
		agents[i].Handle = inWorkspace(agents[i].Handle)
	}
	internal := []httpjson.Route{
		on("GET /api/v1/internal/agents/{agent}/webhook-secret", "Agents.InternalSecret", httpjson.Serve(ok, f.internalSecret)),
	}
	return []httpjson.Face{
		{Style: v1, Routes: runs},
		{Style: style, Routes: agents},
		{Style: style, Routes: internal, InternalToken: InternalToken},
	}
}

// inWorkspace serves a path whose clients name the workspace in each request.
func inWorkspace(serve httpjson.Handler) httpjson.Handler {
	return func(w http.ResponseWriter, c httpjson.Call) error {
		if id := c.URL.Query().Get("workspace_id"); id != "" && id != c.Workspace {
			return errNoWorkspace
		}
		return serve(w, c)
	}
}

type streamTokenView struct {
	Token string `json:"token"`
}

func (f face) streamToken(ctx context.Context, c httpjson.Call, _ httpjson.None) (streamTokenView, error) {
	token, err := f.Live.Token(ctx, c.Caller)
	return streamTokenView{token}, err
}
