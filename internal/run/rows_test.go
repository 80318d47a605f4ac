package run_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/run"
	"boathook/internal/store"
)

// Two messages of a run write rows of one time, or clocks differ: the row that is
// looked at is the one that the run needs next.
func TestARowThatIsNotToMoveStays(t *testing.T) {
	for name, claimed := range map[string]bool{"of a running run": true, "of a pending run": false} {
		t.Run(name, func(t *testing.T) {
			k := keep(t, claimed)
			if !claimed {
				must(t, k.store.DeleteDue(t.Context(), k.due))
				k.due = store.ScheduledCheck(k.run.ID, k.now.Add(24*time.Hour))
				must(t, k.store.PutDue(t.Context(), k.due))
			}
			must(t, k.checkLease(t))
			if rows := k.rows(t); len(rows) != 1 || !rows[0].At.Equal(k.due.At) {
				t.Errorf("rows: %+v, want the one of %s", rows, k.due.At)
			}
		})
	}
}

func TestALostRunTellsHowLongItsLogIs(t *testing.T) {
	k := keep(t, true)
	line := boathook.LogLine{Time: k.now, Stream: "stdout", Text: "working"}
	must(t, k.store.AppendLog(t.Context(), k.run.RunHead, 0, []boathook.LogLine{line, line}))
	must(t, k.store.AppendLog(t.Context(), k.run.RunHead, 2, []boathook.LogLine{line}))
	k.now = k.due.At
	must(t, k.checkLease(t))
	head, err := k.store.RunHead(t.Context(), k.run.ID)
	must(t, err)
	if head.Error != "runner lost" || head.LogLines != 3 {
		t.Errorf("the run is %q with %d lines, want 3", head.Error, head.LogLines)
	}
}

// gone is a queue whose sender's context ends while it sends, and a store that
// heeds its contexts, as AWS's clients do.
type gone struct {
	*startStore
	leave context.CancelFunc
}

func (g gone) Send(context.Context, ...queue.Message) error {
	g.leave()
	return errDown
}

func (g gone) RemovePending(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return g.startStore.RemovePending(ctx, id)
}

// Its caller has left, so nobody would ask again.
func TestTheRecordOfARefusedRunIsRemovedThoughItsCallerHasLeft(t *testing.T) {
	_, s, _ := newStarter(t)
	for name, start := range map[string]func(*run.Starter, context.Context, boathook.Run) error{
		"without a key": func(starter *run.Starter, ctx context.Context, r boathook.Run) error {
			_, err := starter.Start(ctx, r, run.Wait{Most: time.Second})
			return err
		},
		"with a key": func(starter *run.Starter, ctx context.Context, r boathook.Run) error {
			_, err := starter.StartOnce(ctx, r, nil, run.Wait{Most: time.Second})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			g := gone{s, leave}
			r := pendingRun(`{}`)
			starter := &run.Starter{Store: g, Queue: g, Now: time.Now, Log: silent}
			if err := start(starter, ctx, r); !boathook.IsKind(err, boathook.Unavailable) {
				t.Fatalf("got %v, want unavailable", err)
			}
			if _, err := s.RunHead(t.Context(), r.ID); !boathook.IsKind(err, boathook.NotFound) {
				t.Errorf("the record is still there: %v", err)
			}
		})
	}
}

// unfinished is a store that can't end runs.
type unfinished struct{ run.KeepStore }

func (unfinished) FinishRun(context.Context, string, boathook.Claim, boathook.Outcome) (boathook.RunHead, error) {
	return boathook.RunHead{}, errDown
}

func TestALostRunThatCanNotBeEndedIsAnErrorAndKeepsItsRow(t *testing.T) {
	k := keep(t, true)
	k.now = k.due.At
	k.Keeper.Store = unfinished{k.store}
	if err := k.checkLease(t); !errors.Is(err, errDown) || len(k.rows(t)) != 1 {
		t.Errorf("got %v, rows %v", err, k.rows(t))
	}
}
