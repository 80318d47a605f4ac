package native

import (
	"context"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// Crews are described with [service.Crews].
type Crews interface {
	Create(ctx context.Context, c service.Caller, name string) (boathook.Source, error)
	List(ctx context.Context, c service.Caller, p boathook.Page) (crews []boathook.Source, next string, err error)
	Get(ctx context.Context, c service.Caller, id string) (boathook.Source, error)
	Rename(ctx context.Context, c service.Caller, id string, name *string) (boathook.Source, error)
	Delete(ctx context.Context, c service.Caller, id string) error
}

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

func (f face) createCrew(ctx context.Context, c httpjson.Call, in crewInput) (crewView, error) {
	s, err := f.Crews.Create(ctx, c.Caller, in.Name)
	return viewCrew(s), err
}

func (f face) listCrews(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.List[crewView], error) {
	return httpjson.Listed(c, viewCrew, func(p boathook.Page) ([]boathook.Source, string, error) {
		return f.Crews.List(ctx, c.Caller, p)
	})
}

func (f face) getCrew(ctx context.Context, c httpjson.Call, _ httpjson.None) (crewView, error) {
	s, err := f.Crews.Get(ctx, c.Caller, c.PathValue("crew"))
	return viewCrew(s), err
}

type crewChange struct {
	Name *string `json:"name"`
}

func (f face) changeCrew(ctx context.Context, c httpjson.Call, in crewChange) (crewView, error) {
	s, err := f.Crews.Rename(ctx, c.Caller, c.PathValue("crew"), in.Name)
	return viewCrew(s), err
}

func (f face) deleteCrew(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, f.Crews.Delete(ctx, c.Caller, c.PathValue("crew"))
}
