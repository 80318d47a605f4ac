package run

import (
	"context"
	"time"

	"boathook/internal/boathook"
)

// While runs queue up, waiting for each to start would only hold a Lambda
// function's concurrency until the account has none left. So a run that has not
// started after backlogAfter marks its source, for all processes. Then nobody
// waits for backlogPause, nor after that but one at a time, who tries whether
// runs start again.
const (
	backlogAfter = time.Second
	backlogPause = 10 * time.Second
)

const (
	firstLook   = 25 * time.Millisecond
	longestLook = 500 * time.Millisecond // between two looks
)

// waitForStart looks at the run's head at growing intervals. A look that fails is
// no reason to refuse a run that is accepted. It is one loop, since each way out of it
// depends on who holds the source's mark.
func (s *Starter) waitForStart(ctx context.Context, head boathook.RunHead, wait Wait) boathook.RunHead {
	mark, ours := wait.Backlog, false
	if wait.Most <= 0 || s.Now().Before(mark) {
		return head
	}
	if !mark.IsZero() {
		if ours = s.markBacklog(ctx, head, &mark, wait.Most); !ours {
			return head
		}
	}
	begun := s.Now()
	deadline := time.NewTimer(wait.Most)
	defer deadline.Stop()
	for pause := firstLook; ; pause = min(2*pause, longestLook) {
		look := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			look.Stop()
			return head
		case <-deadline.C:
			look.Stop()
			if !ours {
				s.markBacklog(ctx, head, &mark, wait.Most)
			}
			return head
		case <-look.C:
		}
		run, seen, err := s.Store.LookUpStart(ctx, head.SourceID, head.ID)
		switch {
		case err != nil:
		case run != nil && run.Status != boathook.RunPending:
			if ours {
				s.clearBacklog(ctx, head, mark)
			}
			return *run
		case !ours && !seen.IsZero():
			return head // another has marked it
		case !ours && s.Now().Sub(begun) >= backlogAfter:
			if ours = s.markBacklog(ctx, head, &mark, wait.Most); !ours {
				return head
			}
		}
	}
}

// markBacklog moves the mark of a run's source on, and reports whether this run is
// the one to wait now.
func (s *Starter) markBacklog(ctx context.Context, head boathook.RunHead, mark *time.Time, wait time.Duration) bool {
	next := s.Now().Add(max(backlogPause, wait)).UTC().Truncate(time.Millisecond)
	moved, err := s.Store.MoveBacklog(ctx, head.SourceID, *mark, next)
	if err != nil {
		s.Log.WarnContext(ctx, "backlog not marked", "source_id", head.SourceID, "error", err)
	}
	if moved {
		*mark = next
	}
	return moved
}

func (s *Starter) clearBacklog(ctx context.Context, head boathook.RunHead, mark time.Time) {
	if _, err := s.Store.MoveBacklog(ctx, head.SourceID, mark, time.Time{}); err != nil {
		s.Log.WarnContext(ctx, "backlog not cleared: one waits at a time", "source_id", head.SourceID, "error", err)
	}
}
