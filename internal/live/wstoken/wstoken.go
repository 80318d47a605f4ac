// Package wstoken makes and checks the tokens that open a WebSocket. A browser
// can't send an Authorization header with one, and a URL is no place for an API
// token: these are good for one workspace and a few minutes. They say by which API
// token they were made; whether that is still there, only the store knows.
package wstoken

import (
	"time"

	"boathook/internal/boathook"
	"boathook/internal/claim"
)

// Lifetime is how long a token is good. A WebSocket that it has opened outlives
// it.
const Lifetime = 5 * time.Minute

// Bearer is whom a token is for.
type Bearer struct {
	WorkspaceID string
	TokenID     string // of the API token that made it; empty if that is the stack's own
}

const purpose claim.Purpose = "boathook WebSocket token v2\n"

// New makes a token, signed with the stack's secret: a claim of the workspace and the API
// token's id.
func New(secret string, b Bearer, now time.Time) string {
	return purpose.Sign(secret, now.Add(Lifetime), b.WorkspaceID, b.TokenID)
}

// Verify gives whom a token is for. Whatever is wrong with one is the same
// Unauthorized error.
func Verify(secret, token string, now time.Time) (Bearer, error) {
	parts, _, err := purpose.Verify(secret, token, 2, now)
	if err != nil {
		return Bearer{}, boathook.Errorf(boathook.Unauthorized, "the token is not valid, or not any more")
	}
	return Bearer{WorkspaceID: parts[0], TokenID: parts[1]}, nil
}
