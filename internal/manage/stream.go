package manage

import (
	"context"
	"fmt"

	"boathook/internal/live/wstoken"
)

type streamTokenView struct {
	Token string `json:"token"`
}

// streamToken makes a token that opens a WebSocket in the caller's workspace, as
// long as the API token that the caller holds is there.
func (h *Handler) streamToken(ctx context.Context, c call, _ none) (streamTokenView, error) {
	secret, err := h.cfg.StreamSecret(ctx)
	if err != nil {
		return streamTokenView{}, fmt.Errorf("read the secret of the WebSocket's tokens: %w", err)
	}
	return streamTokenView{wstoken.New(secret, wstoken.Bearer{WorkspaceID: c.workspace, TokenID: c.tokenID}, h.cfg.Now())}, nil
}
