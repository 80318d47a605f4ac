package manage

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"

	"boathook/internal/boathook"
)

// call is a request of a known caller.
type call struct {
	*http.Request
	workspace string // the caller's
	tokenID   string // of the API token that the caller holds; empty if that is the stack's own
	role      boathook.Role
	stack     bool // the caller holds the stack's own admin token
	style     style
	prefix    string // of the path, before the route's own
}

var errNoToken = boathook.Errorf(boathook.Unauthorized, "a valid API token is needed: Authorization: Bearer %s…", boathook.APITokenPrefix)

// authenticate finds the caller by the request's API token; see [tokenOf].
// Look-ups are not cached, so that a token that was revoked is refused at once; they are by
// hash, so their time tells nothing of a token.
func (h *Handler) authenticate(r *http.Request, basic bool) (call, error) {
	text := tokenOf(r, basic)
	if text == "" {
		return call{}, errNoToken
	}
	hash := boathook.HashToken(text)

	// Users' tokens first: they must be good while the stack's own can't be read.
	t, err := h.cfg.Store.TokenByHash(r.Context(), hash)
	if err == nil {
		return call{Request: r, workspace: t.WorkspaceID, tokenID: t.ID, role: t.Role}, nil
	}
	if !boathook.IsKind(err, boathook.NotFound) {
		return call{}, fmt.Errorf("look up a token: %w", err)
	}
	admin, err := h.cfg.AdminToken(r.Context())
	if err != nil {
		return call{}, fmt.Errorf("read the admin token: %w", err)
	}
	adminHash := boathook.HashToken(admin)
	if subtle.ConstantTimeCompare(hash[:], adminHash[:]) == 1 {
		return call{Request: r, workspace: h.cfg.Workspace, role: boathook.Admin, stack: true}, h.EnsureWorkspace(r.Context())
	}
	return call{}, errNoToken
}

// tokenOf is the bearer token of a request, whose scheme clients of GitHub's
// shapes call "token"; empty if there is none. With Basic authentication, where it
// is taken, the token is the password. As GitHub takes it, a token may stand in
// the user's place, beside no password or the word x-oauth-basic.
func tokenOf(r *http.Request, basic bool) string {
	if user, password, ok := r.BasicAuth(); ok && basic {
		if password == "" || password == "x-oauth-basic" {
			return user
		}
		return password
	}
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") && !strings.EqualFold(scheme, "token") {
		return ""
	}
	return text
}

type meView struct {
	Workspace workspaceView `json:"workspace"`
	Role      boathook.Role `json:"role"`
}

func (h *Handler) me(ctx context.Context, c call, _ none) (meView, error) {
	w, err := h.cfg.Store.Workspace(ctx, c.workspace)
	if err != nil {
		return meView{}, err
	}
	return meView{viewWorkspace(w), c.role}, nil
}
