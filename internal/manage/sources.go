package manage

import (
	"context"

	"boathook/internal/boathook"
)

// source is the caller's, if it is of a kind.
func (h *Handler) source(ctx context.Context, c call, kind boathook.SourceKind, id string) (boathook.Source, error) {
	s, err := h.cfg.Store.Source(ctx, c.Workspace, id)
	if err == nil {
		err = wantKind(s, kind)
	}
	return s, missing(string(kind), id, err)
}

// noSuch tells that there is nothing of a kind with an id that the caller gave.
func noSuch(what, id string) error {
	const maxNamed = 100 // bytes
	return boathook.Errorf(boathook.NotFound, "there is no %s %q", what, boathook.Shorten(id, maxNamed))
}

// missing is an error of a look-up, in the caller's words where nothing was found.
func missing(what, id string, err error) error {
	if boathook.IsKind(err, boathook.NotFound) {
		return noSuch(what, id)
	}
	return err
}

// wantKind refuses a source of another kind.
func wantKind(s boathook.Source, kind boathook.SourceKind) error {
	if s.Kind != kind {
		return noSuch(string(kind), s.ID)
	}
	return nil
}

// pathSource is the one that the path names: by a wildcard that is called as
// its kind. An agent's path names its crew too.
func (h *Handler) pathSource(ctx context.Context, c call) (boathook.Source, error) {
	switch kind, id := sourceInPath(c); {
	case kind == boathook.Agent:
		s, err := h.source(ctx, c, boathook.Agent, id)
		if err == nil && s.Agent.CrewID != c.PathValue("crew") {
			err = noSuch(string(boathook.Agent), id)
		}
		return s, err
	case id != "":
		return h.source(ctx, c, kind, id)
	}
	return boathook.Source{}, boathook.Errorf(boathook.NotFound, "there is no such source")
}

// sourceInPath is what the path calls [Handler.pathSource]. There may be none.
func sourceInPath(c call) (kind boathook.SourceKind, id string) {
	for kind := range boathook.EventTypes {
		if id := c.PathValue(string(kind)); id != "" {
			return kind, id
		}
	}
	return "", ""
}

// sourceRef names the source that something belongs to, by its kind.
type sourceRef struct {
	DeploymentID string `json:"deployment_id,omitempty"`
	AgentID      string `json:"agent_id,omitempty"`
	RepositoryID string `json:"repository_id,omitempty"`
	AppID        string `json:"app_id,omitempty"`
}

func refTo(sourceID string) sourceRef {
	switch {
	case boathook.HasIDKind(sourceID, boathook.AgentID):
		return sourceRef{AgentID: sourceID}
	case boathook.HasIDKind(sourceID, boathook.RepositoryID):
		return sourceRef{RepositoryID: sourceID}
	case boathook.HasIDKind(sourceID, boathook.AppID):
		return sourceRef{AppID: sourceID}
	}
	return sourceRef{DeploymentID: sourceID}
}

// deleteSource removes a source if its id is of a kind. One that was deleted by
// half has nothing but its id to tell its kind.
func (h *Handler) deleteSource(ctx context.Context, c call, kind boathook.SourceKind, idKind, id string) error {
	if !boathook.HasIDKind(id, idKind) {
		return noSuch(string(kind), id)
	}
	return missing(string(kind), id, h.cfg.Store.DeleteSource(ctx, c.Workspace, id))
}
