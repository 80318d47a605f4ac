package manage

import (
	"context"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
)

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

func (h *Handler) createToken(ctx context.Context, c call, in tokenInput) (tokenView, error) {
	t, text, err := h.service.Tokens.Create(ctx, c.Caller, in.Name, in.Role)
	return viewNewToken(t, text), err
}

func (h *Handler) listTokens(ctx context.Context, c call, _ httpjson.None) (httpjson.List[tokenView], error) {
	return httpjson.Listed(c, viewToken, func(p boathook.Page) ([]boathook.Token, string, error) {
		return h.service.Tokens.List(ctx, c.Caller, p)
	})
}

func (h *Handler) getToken(ctx context.Context, c call, _ httpjson.None) (tokenView, error) {
	t, err := h.service.Tokens.Get(ctx, c.Caller, c.PathValue("token"))
	return viewToken(t), err
}

func (h *Handler) deleteToken(ctx context.Context, c call, _ httpjson.None) (httpjson.None, error) {
	return httpjson.None{}, h.service.Tokens.Delete(ctx, c.Caller, c.PathValue("token"))
}
