package manage

import (
	"context"

	"boathook/internal/boathook"
)

type crewView struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	CreatedAt boathook.Time `json:"created_at"`
}

func viewCrew(s boathook.Source) crewView {
	return crewView{s.ID, s.Name, boathook.Time{Time: s.CreatedAt}}
}

// crew is the one that the path names.
func (h *Handler) crew(ctx context.Context, c call) (boathook.Source, error) {
	return h.source(ctx, c, boathook.Crew, c.PathValue("crew"))
}

type crewInput struct {
	Name string `json:"name"`
}

func (h *Handler) createCrew(ctx context.Context, c call, in crewInput) (crewView, error) {
	if err := checkName(in.Name); err != nil {
		return crewView{}, err
	}
	s := boathook.Source{
		ID: boathook.NewID(boathook.CrewID), WorkspaceID: c.workspace,
		Kind: boathook.Crew, Name: in.Name, CreatedAt: h.cfg.Now(),
	}
	return viewCrew(s), h.cfg.Store.PutSource(ctx, s)
}

func (h *Handler) listCrews(ctx context.Context, c call, _ none) (list[crewView], error) {
	p, err := c.page()
	if err != nil {
		return list[crewView]{}, err
	}
	sources, next, err := h.cfg.Store.Sources(ctx, c.workspace, boathook.Crew, p)
	return viewList(sources, next, viewCrew), err
}

func (h *Handler) getCrew(ctx context.Context, c call, _ none) (crewView, error) {
	s, err := h.crew(ctx, c)
	return viewCrew(s), err
}

type crewChange struct {
	Name *string `json:"name"`
}

func (h *Handler) changeCrew(ctx context.Context, c call, in crewChange) (crewView, error) {
	s, err := h.crew(ctx, c)
	if err != nil {
		return crewView{}, err
	}
	if in.Name != nil {
		if err := checkName(*in.Name); err != nil {
			return crewView{}, err
		}
		s.Name = *in.Name
	}
	return viewCrew(s), h.cfg.Store.PutSource(ctx, s)
}

func (h *Handler) deleteCrew(ctx context.Context, c call, _ none) (none, error) {
	s, err := h.crew(ctx, c)
	if err != nil {
		return none{}, err
	}
	agents, next, err := h.cfg.Store.CrewAgents(ctx, c.workspace, s.ID, boathook.Page{Limit: 1})
	if err != nil {
		return none{}, err
	}
	if len(agents) > 0 || next != "" {
		return none{}, boathook.Errorf(boathook.Conflict, "the crew has agents: delete them first")
	}
	return none{}, h.cfg.Store.DeleteSource(ctx, c.workspace, s.ID)
}
