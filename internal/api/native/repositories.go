package native

import (
	"context"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// Repositories are described with [service.Repositories].
type Repositories interface {
	Create(ctx context.Context, c service.Caller, owner, name string) (boathook.Source, error)
	List(ctx context.Context, c service.Caller, p boathook.Page) (repositories []boathook.Source, next string, err error)
	Get(ctx context.Context, c service.Caller, id string) (boathook.Source, error)
	Delete(ctx context.Context, c service.Caller, id string) error
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

func (f face) createRepository(ctx context.Context, c httpjson.Call, in repositoryInput) (repositoryView, error) {
	s, err := f.Repositories.Create(ctx, c.Caller, in.Owner, in.Name)
	return viewRepository(s), err
}

func (f face) listRepositories(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.List[repositoryView], error) {
	return httpjson.Listed(c, viewRepository, func(p boathook.Page) ([]boathook.Source, string, error) {
		return f.Repositories.List(ctx, c.Caller, p)
	})
}

func (f face) getRepository(ctx context.Context, c httpjson.Call, _ httpjson.None) (repositoryView, error) {
	s, err := f.Repositories.Get(ctx, c.Caller, c.PathValue("repository"))
	return viewRepository(s), err
}

func (f face) deleteRepository(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, f.Repositories.Delete(ctx, c.Caller, c.PathValue("repository"))
}
