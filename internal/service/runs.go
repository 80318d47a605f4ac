package service

import (
	"context"

	"boathook/internal/boathook"
)

// runHead is the caller's, of a run's id.
func (k *core) runHead(ctx context.Context, c Caller, id string) (boathook.RunHead, error) {
	head, err := k.cfg.Store.RunHead(ctx, id)
	if err == nil && head.WorkspaceID != c.Workspace {
		err = noSuch("run", id)
	}
	return head, missing("run", id, err)
}
