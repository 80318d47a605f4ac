package manage

import (
	"context"

	"boathook/internal/api/httpjson"
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
		return h.agent(ctx, c)
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

type repositoryView struct {
	ID        string        `json:"id"`
	Owner     string        `json:"owner"`
	Name      string        `json:"name"`
	CreatedAt boathook.Time `json:"created_at"`
}

func viewRepository(s boathook.Source) repositoryView {
	return repositoryView{s.ID, s.Owner, s.Name, boathook.Time{Time: s.CreatedAt}}
}

type repositoryInput struct {
	Owner string `json:"owner"`
	Name  string `json:"name"`
}

func (h *Handler) createRepository(ctx context.Context, c call, in repositoryInput) (repositoryView, error) {
	s, err := h.service.Repositories.Create(ctx, c.Caller, in.Owner, in.Name)
	return viewRepository(s), err
}

func (h *Handler) listRepositories(ctx context.Context, c call, _ httpjson.None) (httpjson.List[repositoryView], error) {
	return httpjson.Listed(c, viewRepository, func(p boathook.Page) ([]boathook.Source, string, error) {
		return h.service.Repositories.List(ctx, c.Caller, p)
	})
}

func (h *Handler) getRepository(ctx context.Context, c call, _ httpjson.None) (repositoryView, error) {
	s, err := h.service.Repositories.Get(ctx, c.Caller, c.PathValue("repository"))
	return viewRepository(s), err
}

func (h *Handler) deleteRepository(ctx context.Context, c call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, h.service.Repositories.Delete(ctx, c.Caller, c.PathValue("repository"))
}

// deployment and crew are those that the path names.
func (h *Handler) deployment(ctx context.Context, c call) (boathook.Source, error) {
	return h.source(ctx, c, boathook.Deployment, c.PathValue("deployment"))
}

func (h *Handler) crew(ctx context.Context, c call) (boathook.Source, error) {
	return h.source(ctx, c, boathook.Crew, c.PathValue("crew"))
}

// deleteSource removes a source if its id is of a kind. One that was deleted by
// half has nothing but its id to tell its kind.
func (h *Handler) deleteSource(ctx context.Context, c call, kind boathook.SourceKind, idKind, id string) error {
	if !boathook.HasIDKind(id, idKind) {
		return noSuch(string(kind), id)
	}
	return missing(string(kind), id, h.cfg.Store.DeleteSource(ctx, c.Workspace, id))
}

// deleteIdle deletes a source, if it is the one that the path names, and nothing
// runs on it.
func (h *Handler) deleteIdle(ctx context.Context, c call, kind boathook.SourceKind, idKind, id string, check func(call, boathook.Source) error) error {
	var s boathook.Source
	var active bool
	err := beside(func() (err error) {
		s, err = h.cfg.Store.Source(ctx, c.Workspace, id)
		return err
	}, func() (err error) {
		active, err = h.cfg.Store.AnyActive(ctx, id)
		return err
	})
	if boathook.IsKind(err, boathook.NotFound) {
		// Perhaps deleted by half: the store removes what is left, if it is
		// the caller's.
		return h.deleteSource(ctx, c, kind, idKind, id)
	}
	if err != nil {
		return err
	}
	if err := check(c, s); err != nil {
		return err
	}
	if active {
		return boathook.Errorf(boathook.Conflict, "the %s has a run that is not over: cancel it, or wait", s.Kind)
	}
	return h.cfg.Store.DeleteSource(ctx, c.Workspace, s.ID)
}
