package manage

import (
	"context"

	"boathook/internal/api/httpjson"
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

type crewInput struct {
	Name string `json:"name"`
}

func (h *Handler) createCrew(ctx context.Context, c call, in crewInput) (crewView, error) {
	s, err := h.service.Crews.Create(ctx, c.Caller, in.Name)
	return viewCrew(s), err
}

func (h *Handler) listCrews(ctx context.Context, c call, _ httpjson.None) (httpjson.List[crewView], error) {
	return httpjson.Listed(c, viewCrew, func(p boathook.Page) ([]boathook.Source, string, error) {
		return h.service.Crews.List(ctx, c.Caller, p)
	})
}

func (h *Handler) getCrew(ctx context.Context, c call, _ httpjson.None) (crewView, error) {
	s, err := h.service.Crews.Get(ctx, c.Caller, c.PathValue("crew"))
	return viewCrew(s), err
}

type crewChange struct {
	Name *string `json:"name"`
}

func (h *Handler) changeCrew(ctx context.Context, c call, in crewChange) (crewView, error) {
	s, err := h.service.Crews.Rename(ctx, c.Caller, c.PathValue("crew"), in.Name)
	return viewCrew(s), err
}

func (h *Handler) deleteCrew(ctx context.Context, c call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, h.service.Crews.Delete(ctx, c.Caller, c.PathValue("crew"))
}
