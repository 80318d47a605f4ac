package manage

import (
	"context"

	"boathook/internal/api/httpjson"
)

type streamTokenView struct {
	Token string `json:"token"`
}

func (h *Handler) streamToken(ctx context.Context, c call, _ httpjson.None) (streamTokenView, error) {
	token, err := h.service.Live.Token(ctx, c.Caller)
	return streamTokenView{token}, err
}
