package runs

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/queue"
)

// StartStore is the part of the store that a start needs.
type StartStore interface {
	CreateRun(ctx context.Context, r boathook.Run) error
	RemovePending(ctx context.Context, id string) error
	RunHead(ctx context.Context, id string) (boathook.RunHead, error)
}

// Starter makes runs durable. The queue is the commit point: a run is accepted
// when the queue has its message, which carries all of it, so a record that
// could not be written is written by execute.
type Starter struct {
	Store StartStore
	Queue queue.Sender // of runs
	Now   func() time.Time
	Log   *slog.Logger

	backlog backlog
}

// Start makes r, whose id is random or that of this content alone, durable and
// waits until it has started, at most as long as wait; the head it returns has the
// run's true status. Record and message go out side by side.
//
// If the queue does not take the message, the error is [boathook.Unavailable]
// and the record is removed; the run may execute all the same if the queue's
// answer was lost, which only an idempotency key can tell from a new one.
func (s *Starter) Start(ctx context.Context, r boathook.Run, wait time.Duration) (boathook.RunHead, error) {
	message, err := queue.EncodeRun(r)
	if err != nil {
		return boathook.RunHead{}, err
	}
	created := make(chan error, 1)
	go func() { created <- s.Store.CreateRun(ctx, r) }()
	sendErr := s.Queue.Send(ctx, message)
	return s.started(ctx, r, <-created, sendErr, wait)
}

// StartOnce is Start for an id that follows from an idempotency key. existing is
// the run that was found under it, or nil: with the same input it is answered
// in place of r, with another it is a [boathook.Conflict] with existing's head.
//
// The record comes first, one round trip more: of two requests that race with
// different inputs, the one that is refused must not have sent its own.
func (s *Starter) StartOnce(ctx context.Context, r boathook.Run, existing *boathook.RunHead, wait time.Duration) (boathook.RunHead, error) {
	if existing != nil {
		return s.repeat(ctx, r, *existing, wait)
	}
	message, err := queue.EncodeRun(r)
	if err != nil {
		return boathook.RunHead{}, err
	}
	createErr := s.Store.CreateRun(ctx, r)
	if boathook.IsKind(createErr, boathook.Conflict) {
		head, err := s.Store.RunHead(ctx, r.ID)
		if err != nil {
			return boathook.RunHead{}, s.unavailable(r, err)
		}
		return s.repeat(ctx, r, head, wait)
	}
	return s.started(ctx, r, createErr, s.Queue.Send(ctx, message), wait)
}

// started is the end of a start: the queue has decided.
func (s *Starter) started(ctx context.Context, r boathook.Run, createErr, sendErr error, wait time.Duration) (boathook.RunHead, error) {
	if sendErr != nil {
		s.remove(ctx, r)
		return boathook.RunHead{}, s.unavailable(r, sendErr)
	}
	if createErr != nil {
		s.Log.WarnContext(ctx, "run accepted without its record; execute will write it", "run_id", r.ID, "error", createErr)
	}
	return s.waitForStart(ctx, r.RunHead, wait), nil
}

func (s *Starter) repeat(ctx context.Context, r boathook.Run, existing boathook.RunHead, wait time.Duration) (boathook.RunHead, error) {
	if existing.InputHash != r.InputHash {
		return existing, boathook.Errorf(boathook.Conflict, "the idempotency key was used with another body")
	}
	if existing.Status != boathook.RunPending {
		return existing, nil
	}
	// The first request may have failed between its record and its message,
	// and its sender may be repeating it for that reason. A second message of
	// a run that has one does no harm.
	r.RunHead = existing
	message, err := queue.EncodeRun(r)
	if err != nil {
		return boathook.RunHead{}, err
	}
	if err := s.Queue.Send(ctx, message); err != nil {
		return boathook.RunHead{}, s.unavailable(r, err)
	}
	return s.waitForStart(ctx, existing, wait), nil
}

// remove takes back the record of a run that was not accepted. Where that
// fails too, the record stays pending until it expires.
func (s *Starter) remove(ctx context.Context, r boathook.Run) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := s.Store.RemovePending(ctx, r.ID); err != nil {
		s.Log.ErrorContext(ctx, "record of a refused run left behind", "run_id", r.ID, "error", err)
	}
}

func (s *Starter) unavailable(r boathook.Run, cause error) error {
	s.Log.Error("run refused: it could not be made durable", "run_id", r.ID, "source_id", r.SourceID, "error", cause)
	return boathook.Errorf(boathook.Unavailable, "the run could not be made durable, try again")
}

const (
	firstLook   = 25 * time.Millisecond
	longestLook = 500 * time.Millisecond // between two looks
)

// waitForStart looks at the run's head at growing intervals. A look that fails
// is no reason to refuse a run that is accepted.
func (s *Starter) waitForStart(ctx context.Context, head boathook.RunHead, wait time.Duration) boathook.RunHead {
	if wait <= 0 || s.backlog.has(head.SourceID, s.Now()) {
		return head
	}
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for pause := firstLook; ; pause = min(2*pause, longestLook) {
		look := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			look.Stop()
			return head
		case <-deadline.C:
			look.Stop()
			s.backlog.add(head.SourceID, s.Now())
			return head
		case <-look.C:
		}
		if now, err := s.Store.RunHead(ctx, head.ID); err == nil && now.Status != boathook.RunPending {
			s.backlog.clear(head.SourceID)
			return now
		}
	}
}

// backlog remembers the sources whose runs lately did not start in time. While
// runs queue up, waiting for each would only hold a Lambda function's
// concurrency until the account has none left.
type backlog struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// backlogPause is how long a source's triggers don't wait after one waited in
// vain.
const backlogPause = 10 * time.Second

func (b *backlog) has(sourceID string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return now.Before(b.until[sourceID])
}

func (b *backlog) add(sourceID string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until == nil {
		b.until = make(map[string]time.Time)
	}
	for id, until := range b.until {
		if !now.Before(until) {
			delete(b.until, id)
		}
	}
	b.until[sourceID] = now.Add(backlogPause)
}

func (b *backlog) clear(sourceID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.until, sourceID)
}
