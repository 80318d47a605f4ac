package native

import (
	"context"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// Tokens are described with [service.Tokens].
type Tokens interface {
	Create(ctx context.Context, c service.Caller, name string, role boathook.Role) (t boathook.Token, text string, err error)
	List(ctx context.Context, c service.Caller, p boathook.Page) (tokens []boathook.Token, next string, err error)
	Get(ctx context.Context, c service.Caller, id string) (boathook.Token, error)
	Delete(ctx context.Context, c service.Caller, id string) error
}

type tokenView struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Role      boathook.Role `json:"role"`
	CreatedAt boathook.Time `json:"created_at"`
	Token     string        `json:"token,omitempty"` // once
}

func viewToken(t boathook.Token) tokenView {
	return tokenView{ID: t.ID, Name: t.Name, Role: t.Role, CreatedAt: boathook.Time{Time: t.CreatedAt}}
}

// viewNewToken shows a token with its text, this once.
func viewNewToken(t boathook.Token, text string) tokenView {
	view := viewToken(t)
	view.Token = text
	return view
}

type tokenInput struct {
	Name string        `json:"name"`
	Role boathook.Role `json:"role"`
}

func (f face) createToken(ctx context.Context, c httpjson.Call, in tokenInput) (tokenView, error) {
	t, text, err := f.Tokens.Create(ctx, c.Caller, in.Name, in.Role)
	return viewNewToken(t, text), err
}

func (f face) listTokens(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.List[tokenView], error) {
	return httpjson.Listed(c, viewToken, func(p boathook.Page) ([]boathook.Token, string, error) {
		return f.Tokens.List(ctx, c.Caller, p)
	})
}

func (f face) getToken(ctx context.Context, c httpjson.Call, _ httpjson.None) (tokenView, error) {
	t, err := f.Tokens.Get(ctx, c.Caller, c.PathValue("token"))
	return viewToken(t), err
}

func (f face) deleteToken(ctx context.Context, c httpjson.Call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, f.Tokens.Delete(ctx, c.Caller, c.PathValue("token"))
}
