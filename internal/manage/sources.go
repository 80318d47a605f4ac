package manage

import (
	"context"

	"boathook/internal/boathook"
)

// owner is the source of what is shown, by the name of its kind.
type owner struct {
	DeploymentID string `json:"deployment_id,omitempty"`
	AgentID      string `json:"agent_id,omitempty"`
}

func ownerOf(sourceID string) owner {
	if boathook.HasIDKind(sourceID, boathook.AgentID) {
		return owner{AgentID: sourceID}
	}
	return owner{DeploymentID: sourceID}
}

// source is the deployment or the agent that the path names.
func (h *Handler) source(ctx context.Context, c call) (boathook.Source, error) {
	if c.PathValue("agent") != "" {
		return h.agent(ctx, c)
	}
	return h.deployment(ctx, c)
}

// sourceOf is the caller's source of a kind.
func (h *Handler) sourceOf(ctx context.Context, c call, kind boathook.SourceKind, id string) (boathook.Source, error) {
	s, err := h.cfg.Store.Source(ctx, c.workspace, id)
	if err == nil && s.Kind != kind {
		return boathook.Source{}, boathook.Errorf(boathook.NotFound, "there is no such %s", kind)
	}
	return s, err
}

// deleteSource deletes a source on which nothing runs, as find has found it.
func (h *Handler) deleteSource(ctx context.Context, c call, id string, find func(context.Context, call) (boathook.Source, error)) error {
	_, err := h.cfg.Store.Source(ctx, c.workspace, id)
	if boathook.IsKind(err, boathook.NotFound) {
		// Perhaps deleted by half: the store removes what is left, if it is
		// the caller's.
		return h.cfg.Store.DeleteSource(ctx, c.workspace, id)
	}
	s, err := find(ctx, c)
	if err != nil {
		return err
	}
	active, err := h.cfg.Store.AnyActive(ctx, s.ID)
	if err != nil {
		return err
	}
	if active {
		return boathook.Errorf(boathook.Conflict, "the %s has a run that is not over: cancel it, or wait", s.Kind)
	}
	return h.cfg.Store.DeleteSource(ctx, c.workspace, s.ID)
}
