package run_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/run"
	"boathook/internal/run/target"
)

func (f *faulty) MarkRetried(ctx context.Context, id string, by boathook.Retry) error {
	if err := f.before("MarkRetried"); err != nil {
		return err
	}
	return f.Store.MarkRetried(ctx, id, by)
}

// senderOf is a queue made of a function.
type senderOf func(messages ...queue.Message) error

func (s senderOf) Send(_ context.Context, messages ...queue.Message) error { return s(messages...) }

// retried is a run that is over, and a pending one that repeats it.
func (p *place) retried(t *testing.T) (old, next boathook.Run) {
	t.Helper()
	old = p.Run(`{}`, time.Now())
	old.Status = boathook.RunFailed
	must(t, p.store.CreateRun(t.Context(), old))
	next = p.Run(`{}`, time.Now().Add(time.Minute))
	next.RetryOf = old.ID
	return old, next
}

func TestARunTellsOfItsRetryOnceThatIsAccepted(t *testing.T) {
	p := newPlace(t, func(context.Context, target.Job, target.Log) target.Result { return target.Result{} })
	var sendErr error
	var sent []queue.Message
	starter := &run.Starter{Store: p.store, Now: time.Now, Log: silent, Queue: senderOf(func(messages ...queue.Message) error {
		sent = append(sent, messages...)
		return sendErr
	})}
	old, next := p.retried(t)

	sendErr = errDown
	if _, err := starter.StartOnce(t.Context(), next, nil, run.Wait{}); !boathook.IsKind(err, boathook.Unavailable) {
		t.Fatalf("refused with %v", err)
	}
	if by := p.get(t, old.ID).RetriedBy; by != (boathook.Retry{}) {
		t.Errorf("it tells of %v, which was refused", by)
	}

	// Who starts it dies before the link, or the store is down: the repeated request, and
	// the message, do it.
	sendErr = nil
	p.store.fail = func(call string) error {
		if call == "MarkRetried" {
			return errDown
		}
		return nil
	}
	if _, err := starter.StartOnce(t.Context(), next, nil, run.Wait{}); err != nil {
		t.Fatalf("a run that was accepted is refused: %v", err)
	}
	if err := p.Handle(t.Context(), sent[len(sent)-1].Body); !errors.Is(err, errDown) || p.executions.Load() != 0 {
		t.Fatalf("executed %d times without the link, %v", p.executions.Load(), err)
	}
	p.store.fail = nil
	existing := p.get(t, next.ID).RunHead
	if _, err := starter.StartOnce(t.Context(), next, &existing, run.Wait{}); err != nil {
		t.Fatal(err)
	}
	if by := p.get(t, old.ID).RetriedBy; by.RunID != next.ID || !by.At.Equal(existing.CreatedAt) {
		t.Errorf("after the request was repeated, it tells of %v", by)
	}
}

func TestAMessageLinksARetryAndExecutesItOnce(t *testing.T) {
	p := newPlace(t, func(context.Context, target.Job, target.Log) target.Result { return target.Result{} })
	old, next := p.retried(t)
	body := message(t, next)
	for range 2 {
		must(t, p.Handle(t.Context(), body))
	}
	if by := p.get(t, old.ID).RetriedBy.RunID; by != next.ID {
		t.Errorf("the old run tells of %q, not of %s", by, next.ID)
	}
	if got := p.get(t, next.ID); got.RetryOf != old.ID || got.Status != boathook.RunSucceeded || p.executions.Load() != 1 {
		t.Errorf("executed %d times: %+v", p.executions.Load(), got.RunHead)
	}

	// A message that comes late does not take the place of a newer retry.
	newer := boathook.Retry{RunID: boathook.NewID(boathook.RunID), At: next.CreatedAt.Add(time.Second)}
	must(t, p.store.MarkRetried(t.Context(), old.ID, newer))
	must(t, p.Handle(t.Context(), body))
	if by := p.get(t, old.ID).RetriedBy.RunID; by != newer.RunID {
		t.Errorf("it tells of %q, not of its newest retry", by)
	}

	// Nor does an old run that has expired keep its retry from being executed.
	_, orphan := p.retried(t)
	orphan.RetryOf = boathook.NewID(boathook.RunID)
	must(t, p.Handle(t.Context(), message(t, orphan)))
	if got := p.get(t, orphan.ID).Status; got != boathook.RunSucceeded {
		t.Errorf("the retry of a run that is gone is %s", got)
	}
}
