package run

import (
	"context"

	"boathook/internal/boathook"
)

// RetryStore is the part of the store that links a run to the one that it repeats.
type RetryStore interface {
	MarkRetried(ctx context.Context, id string, by boathook.Retry) error
}

// linkRetry has the run that r repeats, if any, tell of r. It may be repeated.
func linkRetry(ctx context.Context, s RetryStore, r boathook.RunHead) error {
	if r.RetryOf == "" {
		return nil
	}
	return s.MarkRetried(ctx, r.RetryOf, boathook.Retry{RunID: r.ID, At: r.CreatedAt})
}
