package run

import (
	"context"
	"log/slog"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/tracing"
)

// StartStore is the part of the store that a start needs.
type StartStore interface {
	RetryStore
	CreateRun(ctx context.Context, r boathook.Run) error
	RemovePending(ctx context.Context, id string) error
	RunHead(ctx context.Context, id string) (boathook.RunHead, error)
	LookUpStart(ctx context.Context, sourceID, runID string) (run *boathook.RunHead, backlog time.Time, err error)
	MoveBacklog(ctx context.Context, sourceID string, from, to time.Time) (moved bool, err error)
}

// Starter makes runs durable. The queue is the commit point: a run is accepted
// when the queue has its message, which carries all of it, so a record that
// could not be written is written by execute. A run follows from the place in a trace
// that the context of its start carries.
type Starter struct {
	Store  StartStore
	Queue  queue.Sender // of runs
	Now    func() time.Time
	Log    *slog.Logger
	Tracer *tracing.Tracer // may be nil
}

// Wait says how long a start waits for its run to start.
type Wait struct {
	Most    time.Duration // 0: it does not wait
	Backlog time.Time     // the mark of the run's source, as the trigger was looked up; see [store.Backlogs]
}

// Started is a run that was accepted, with its true status.
type Started struct {
	boathook.RunHead
	Unrecorded bool // its record could not be written: it appears when the run executes
}

// Start makes r, whose id is random, durable and waits until it has started.
// Record and message go out side by side.
//
// If the queue does not take the message, the error is [boathook.Unavailable]
// and the record is removed; the run may execute all the same if the queue's
// answer was lost, which only an idempotency key can tell from a new one.
func (s *Starter) Start(ctx context.Context, r boathook.Run, wait Wait) (_ Started, err error) {
	ctx, span := s.begin(ctx, &r)
	defer func() { span.Done(err) }()
	message, err := queue.EncodeRun(r)
	if err != nil {
		return Started{}, err
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
func (s *Starter) StartOnce(ctx context.Context, r boathook.Run, existing *boathook.RunHead, wait Wait) (_ Started, err error) {
	if existing != nil {
		return s.repeat(ctx, r, *existing, wait)
	}
	ctx, span := s.begin(ctx, &r)
	defer func() { span.Done(err) }()
	message, err := queue.EncodeRun(r)
	if err != nil {
		return Started{}, err
	}
	createErr := s.Store.CreateRun(ctx, r)
	if boathook.IsKind(createErr, boathook.Conflict) {
		head, err := s.Store.RunHead(ctx, r.ID)
		if err != nil {
			return Started{}, s.unavailable(r, err)
		}
		return s.repeat(ctx, r, head, wait)
	}
	return s.started(ctx, r, createErr, s.Queue.Send(ctx, message), wait)
}

// StartBurst makes a run durable that other triggers may join until it starts, at its own
// time. Its message comes first, and then its record: who finds the record to join knows
// that the run will execute. Not created: it has a record already, and its input need not be
// r's. If the message or the record can't be made, the error is [boathook.Unavailable]; the
// run may execute all the same.
func (s *Starter) StartBurst(ctx context.Context, r boathook.Run) (created bool, err error) {
	ctx, span := s.begin(ctx, &r)
	defer func() { span.Done(err) }()
	message, err := queue.EncodeRun(r)
	if err != nil {
		return false, err
	}
	message.Delay = min(max(0, r.StartsAt.Sub(s.Now())), queue.MaxDelay)
	if err := s.Queue.Send(ctx, message); err != nil {
		return false, s.unavailable(r, err)
	}
	err = s.Store.CreateRun(ctx, r)
	if err != nil && !boathook.IsKind(err, boathook.Conflict) {
		err = s.Store.CreateRun(ctx, r)
	}
	switch {
	case boathook.IsKind(err, boathook.Conflict):
		return false, nil
	case err != nil:
		return false, s.unavailable(r, err)
	}
	return true, nil
}

// begin begins the step that queues a run. The run follows from it.
func (s *Starter) begin(ctx context.Context, r *boathook.Run) (context.Context, *tracing.Span) {
	ctx, span := s.Tracer.Send(ctx, queue.Runs, slog.String("boathook.run.id", r.ID), slog.String("boathook.source.id", r.SourceID))
	r.Trace = tracing.From(ctx)
	return ctx, span
}

// started is the end of a start: the queue has decided.
func (s *Starter) started(ctx context.Context, r boathook.Run, createErr, sendErr error, wait Wait) (Started, error) {
	if sendErr != nil {
		s.remove(ctx, r)
		return Started{}, s.unavailable(r, sendErr)
	}
	recorded := s.recorded(ctx, r, createErr)
	s.link(ctx, r.RunHead)
	return Started{s.waitForStart(ctx, r.RunHead, wait), !recorded}, nil
}

// recorded reports whether the record of an accepted run is there, and writes it
// once more if its first write failed. Where execute was faster, it is there.
func (s *Starter) recorded(ctx context.Context, r boathook.Run, createErr error) bool {
	if createErr != nil && !boathook.IsKind(createErr, boathook.Conflict) {
		createErr = s.Store.CreateRun(ctx, r)
	}
	if createErr == nil || boathook.IsKind(createErr, boathook.Conflict) {
		return true
	}
	s.Log.WarnContext(ctx, "run accepted without its record: execute will write it", "run_id", r.ID, "source_id", r.SourceID, "error", createErr)
	return false
}

func (s *Starter) repeat(ctx context.Context, r boathook.Run, existing boathook.RunHead, wait Wait) (Started, error) {
	if existing.InputHash != r.InputHash {
		return Started{RunHead: existing}, boathook.Errorf(boathook.Conflict, "the idempotency key was used with another body")
	}
	if existing.Status != boathook.RunPending {
		return Started{RunHead: existing}, nil
	}
	// The first request may have failed between its record and its message,
	// and its sender may be repeating it for that reason. A second message of
	// a run that has one does no harm.
	r.RunHead = existing
	message, err := queue.EncodeRun(r)
	if err != nil {
		return Started{}, err
	}
	if err := s.Queue.Send(ctx, message); err != nil {
		return Started{}, s.unavailable(r, err)
	}
	s.link(ctx, existing)
	return Started{RunHead: s.waitForStart(ctx, existing, wait)}, nil
}

// link has the run that r repeats tell of it at once. It comes after the message, so
// that no run tells of one that was refused; a failure is no reason to refuse a run
// that is accepted, since execute links it too.
func (s *Starter) link(ctx context.Context, r boathook.RunHead) {
	if err := linkRetry(ctx, s.Store, r); err != nil {
		s.Log.WarnContext(ctx, "retry not linked: execute will do it", "run_id", r.ID, "retry_of", r.RetryOf, "error", err)
	}
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
