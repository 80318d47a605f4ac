package mem

import (
	"cmp"
	"context"
	"fmt"
	"slices"
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

// DeadLetters implements [queue.Redriver].
func (q *Queue) DeadLetters(ctx context.Context) ([]queue.DeadLetter, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	letters, unread := q.deadLetter.oldest(queue.MaxBatch)
	if len(unread) == 0 {
		return letters, nil
	}
	bodies, err := q.file.Bodies(unread)
	if err != nil {
		return nil, fmt.Errorf("look at the dead letters of queue %s: %w", q.name, err)
	}
	for i := range letters {
		if letters[i].Body == "" {
			letters[i].Body, bodies = bodies[0], bodies[1:]
		}
	}
	return letters, nil
}

// oldest looks at ready messages, those first that have been ready longest. unread are the
// numbers of those whose bodies are in the file. It takes the lock itself.
func (q *Queue) oldest(limit int) (letters []queue.DeadLetter, unread []int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.surface(time.Now())
	var ready []*message
	for _, t := range q.waiting {
		for e := t.ready.Front(); e != nil; e = e.Next() {
			ready = append(ready, e.Value.(*message))
		}
	}
	slices.SortFunc(ready, func(a, b *message) int { return cmp.Compare(a.order, b.order) })
	for _, m := range ready[:min(limit, len(ready))] {
		letters = append(letters, queue.DeadLetter{ID: m.id, Body: m.body, Receives: m.receives})
		if m.body == "" {
			unread = append(unread, m.number)
		}
	}
	return letters, unread
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
