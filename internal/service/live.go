package service

import (
	"context"
	"fmt"

	"boathook/internal/live/wstoken"
)

// Live is the live log of a workspace's agents.
type Live struct{ *core }

// Token makes a token that opens a WebSocket in the caller's workspace, as long as the
// API token that the caller holds is there.
func (k Live) Token(ctx context.Context, c Caller) (string, error) {
	if err := c.May("Live.Token"); err != nil {
		return "", err
	}
	secret, err := k.cfg.StreamSecret(ctx)
	if err != nil {
		return "", fmt.Errorf("read the secret of the WebSocket's tokens: %w", err)
	}
	return wstoken.New(secret, wstoken.Bearer{WorkspaceID: c.Workspace, TokenID: c.TokenID}, k.cfg.Now()), nil
}
