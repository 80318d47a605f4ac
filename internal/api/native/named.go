package native

import (
	"context"
	"net/http"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// Named are the operations on a kind of source that has an id and a name only. They are
// described with [service.Crews].
type Named interface {
	Create(ctx context.Context, c service.Caller, name string) (boathook.Source, error)
	List(ctx context.Context, c service.Caller, p boathook.Page) (sources []boathook.Source, next string, err error)
	Get(ctx context.Context, c service.Caller, id string) (boathook.Source, error)
	Rename(ctx context.Context, c service.Caller, id string, name *string) (boathook.Source, error)
	Delete(ctx context.Context, c service.Caller, id string) error
}

// named serves such a kind. Paths name one by the wildcard that is called as its kind.
type named struct {
	Named
	kind boathook.SourceKind
}

// routes are those of a kind, whose noun has the operations.
func (n named) routes(noun string) []httpjson.Route {
	all := "/v1/" + string(n.kind) + "s"
	one := all + "/{" + string(n.kind) + "}"
	on := func(pattern, method string, handle httpjson.Handler) httpjson.Route {
		return httpjson.On(pattern, service.Operation(noun+"."+method), handle)
	}
	return []httpjson.Route{
		on("POST "+all, "Create", httpjson.Serve(http.StatusCreated, n.create)),
		on("GET "+all, "List", httpjson.Serve(http.StatusOK, n.list)),
		on("GET "+one, "Get", httpjson.Serve(http.StatusOK, n.get)),
		on("PATCH "+one, "Rename", httpjson.Serve(http.StatusOK, n.change)),
		on("DELETE "+one, "Delete", httpjson.Serve(http.StatusNoContent, n.delete)),
	}
}

func (n named) id(c httpjson.Call) string { return c.PathValue(string(n.kind)) }

type namedView struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	CreatedAt boathook.Time `json:"created_at"`
}

func viewNamed(s boathook.Source) namedView {
	return namedView{s.ID, s.Name, boathook.Time{Time: s.CreatedAt}}
}

type namedInput struct {
	Name string `json:"name"`
}

func (n named) create(ctx context.Context, c httpjson.Call, in namedInput) (namedView, error) {
	s, err := n.Create(ctx, c.Caller, in.Name)
	return viewNamed(s), err
}

func (n named) list(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.List[namedView], error) {
	return httpjson.Listed(c, viewNamed, func(p boathook.Page) ([]boathook.Source, string, error) {
		return n.List(ctx, c.Caller, p)
	})
}

func (n named) get(ctx context.Context, c httpjson.Call, _ httpjson.None) (namedView, error) {
	s, err := n.Get(ctx, c.Caller, n.id(c))
	return viewNamed(s), err
}

type namedChange struct {
	Name *string `json:"name"`
}

func (n named) change(ctx context.Context, c httpjson.Call, in namedChange) (namedView, error) {
	s, err := n.Rename(ctx, c.Caller, n.id(c), in.Name)
	return viewNamed(s), err
}

func (n named) delete(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, n.Delete(ctx, c.Caller, n.id(c))
}
