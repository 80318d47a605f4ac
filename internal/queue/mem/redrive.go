package mem

import (
	"context"
	"fmt"
	"time"

	"boathook/internal/queue"
)

var _ queue.Redriver = (*Queue)(nil)

// Redrive implements [queue.Redriver]. It moves what is there at once, but for
// what somebody holds in flight.
func (q *Queue) Redrive(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	now := time.Now()
	released := q.deadLetter.release(now)
	moved, err := q.move(released)
	if err != nil {
		q.deadLetter.adopt(released)
		return fmt.Errorf("redrive queue %s: %w", q.name, err)
	}
	for _, m := range moved {
		m.receives = 0
	}
	q.adopt(moved)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lastMove = &queue.Move{Status: queue.MoveCompleted, Moved: len(moved), Total: len(moved), StartedAt: now.UTC()}
	return nil
}

// State implements [queue.Redriver].
func (q *Queue) State(ctx context.Context) (queue.State, error) {
	if err := ctx.Err(); err != nil {
		return queue.State{}, err
	}
	s := queue.State{Depth: queue.Depth(q.Stats()), Dead: queue.Depth(q.deadLetter.Stats())}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lastMove != nil {
		last := *q.lastMove
		s.Move = &last
	}
	return s, nil
}

// release gives up all ready messages, oldest first. It takes the lock itself.
func (q *Queue) release(now time.Time) (messages []*message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.surface(now)
	for q.ready > 0 {
		m := q.waiting[0].oldest()
		q.unready(m)
		q.leave(m)
		messages = append(messages, m)
	}
	return messages
}
