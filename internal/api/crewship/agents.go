package crewship

import (
	"context"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
)

// agentView is an agent, with those of Crewship's fields that Boathook knows.
type agentView struct {
	ID             string        `json:"id"`
	CrewID         string        `json:"crew_id"`
	WorkspaceID    string        `json:"workspace_id"`
	Name           string        `json:"name"`
	Slug           string        `json:"slug"`
	TimeoutSeconds *int          `json:"timeout_seconds,omitempty"` // not in lists
	CreatedAt      boathook.Time `json:"created_at"`
	Crew           *crewName     `json:"crew"` // null for one that was deleted meanwhile, or is not among the newest [service.MaxAgents]
}

type crewName struct {
	Name string `json:"name"`
}

// viewAgent shows an agent of a crew, which may be nil.
func viewAgent(s boathook.Source, crew *boathook.Source) agentView {
	view := agentView{
		ID: s.ID, CrewID: s.Agent.CrewID, WorkspaceID: s.WorkspaceID, Name: s.Name, Slug: s.Agent.Slug,
		CreatedAt: boathook.Time{Time: s.CreatedAt},
	}
	if crew != nil {
		view.Crew = &crewName{crew.Name}
	}
	return view
}

func (f face) findAgent(ctx context.Context, c httpjson.Call, _ httpjson.None) (agentView, error) {
	a, crew, err := f.Agents.Find(ctx, c.Caller, c.PathValue("agent"))
	if err != nil {
		return agentView{}, found(err, errNoAgent)
	}
	view := viewAgent(a.Source, crew)
	view.TimeoutSeconds = new(int(a.Version.Target.Timeout().Seconds()))
	return view, nil
}

// allAgents lists the agents of the workspace, or of the crew that "crew_id" names. It
// has no pages.
func (f face) allAgents(ctx context.Context, c httpjson.Call, _ httpjson.None) ([]agentView, error) {
	agents, crews, err := f.Agents.All(ctx, c.Caller, c.URL.Query().Get("crew_id"))
	return httpjson.ViewList(agents, "", func(s boathook.Source) agentView {
		if crew, ok := crews[s.Agent.CrewID]; ok {
			return viewAgent(s, &crew)
		}
		return viewAgent(s, nil)
	}).Data, found(err, errNoCrew)
}

// logView is a line of an agent's log. Crewship also knows "tool" and "tokens",
// which are left out when empty: targets tell nothing of them.
type logView struct {
	Time     boathook.Time `json:"ts"`
	Level    string        `json:"level"`
	Agent    string        `json:"agent"` // its slug
	Event    string        `json:"event"`
	Content  string        `json:"content,omitempty"`
	Metadata logMetadata   `json:"metadata"`
}

type logMetadata struct {
	RunID string `json:"run_id"`
}

const (
	defaultLogLines = 100
	maxLogLines     = 500
	maxLogOffset    = 1_000_000
)

func (f face) agentLog(ctx context.Context, c httpjson.Call, _ httpjson.None) ([]logView, error) {
	limit, skip := c.Clamped("limit", 1, maxLogLines, defaultLogLines), c.Clamped("offset", 0, maxLogOffset, 0)
	agent, lines, err := f.Agents.Log(ctx, c.Caller, c.PathValue("agent"), limit, skip)
	if err != nil {
		return nil, found(err, errNoAgent)
	}
	return httpjson.ViewList(lines, "", func(l boathook.AgentLine) logView {
		return logView{
			Time: boathook.Time{Time: l.Time}, Level: l.Level(), Agent: agent.Agent.Slug,
			Event: boathook.LogEvent, Content: l.Text, Metadata: logMetadata{l.RunID},
		}
	}).Data, nil
}

type rotatedSecret struct {
	WebhookSecret string        `json:"webhook_secret"`
	RotatedAt     boathook.Time `json:"rotated_at"`
}

func (f face) rotateSecret(ctx context.Context, c httpjson.Call, _ httpjson.None) (rotatedSecret, error) {
	secret, at, err := f.Agents.RotateSecret(ctx, c.Caller, c.PathValue("agent"))
	return rotatedSecret{secret, boathook.Time{Time: at}}, found(err, errNoAgent)
}

type secretView struct {
	WebhookSecret string `json:"webhook_secret"`
}

// internalSecret shows the secret of any workspace's agent to the stack itself.
func (f face) internalSecret(ctx context.Context, c httpjson.Call, _ httpjson.None) (secretView, error) {
	secret, err := f.Agents.InternalSecret(ctx, c.Caller, c.PathValue("agent"))
	return secretView{secret}, found(err, errNoAgent)
}
