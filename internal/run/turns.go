package run

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/store"
)

// A deployment may let only so many of its runs execute at a time. Those of its runs that
// execute, or are about to, have a turn: all turns are in one item, which changes by
// compare-and-set. The others stand in line, each by an item of its own, which sorts by the
// time at which the run was accepted. A run without a limit has neither, and costs nothing.
//
// Execute takes a turn for the run of its message. Where none is free, or others stand before
// it, the run stands in line, and the message is acknowledged. The one who gives turns ("a
// look") reads turns and line in one query, gives the first in line the turns that are free,
// in one write, then sends their messages, and then takes them out of the line. Execute
// looks, before its run stands in line and after; so does whoever brings a run to its end, and
// sweep, each minute while anybody stands in line.
//
// Why no more runs execute than the limit says: a run executes only after it was claimed, and
// is claimed only while it has a turn. A turn is given only while there are fewer than the
// limit, and the write fails if the turns have changed since they were read. A turn is taken
// away only in three cases.
//
//   - The run is over. It will not be claimed.
//   - Its record has expired. Nobody stands in line without a record.
//   - It is still pending an hour ([turnCheck]) after the turn was given: its message is
//     dead, or waits in a very long queue. A turn is used in the first 30 minutes
//     ([turnFresh]) only, and the claim follows within ten ([turnUse]), or it is not
//     made. Who comes later renews the turn first, and then this write fails. This
//     also ends a turn that nobody gives back: a message took it before its run had a record,
//     and the record was written later, when the limit was gone.
//
// Why the order holds: a look gives turns to those who come first among all that stood in line
// before it. Who was accepted earlier but has his message later stands before the others from
// then on.
//
// Why nobody waits for ever: two things let a run go on that could not before, the end of a
// turn and its standing in line. A look follows each. The look that follows the later one of
// the two sees both. If its write fails, another look or the end of another turn came in
// between; that one's look sees both too. Processes may die before they look, and limits
// may be raised: so there is a scheduled item ([store.DueLine]) for each line, written before a
// run stands in it, and sweep writes the next before it deletes one, as long as the line is
// not empty. One who gave a turn and died may not have sent the message: then the run still
// stands in line, and whoever looks a minute later ([turnPatience]) sends it. A message that
// comes twice does no harm. What stands in line though its run is over, since it was
// canceled or came by an old message, is taken away when it is its turn.
const (
	turnPatience = time.Minute
	turnFresh    = 30 * time.Minute
	turnUse      = 10 * time.Minute
	turnCheck    = time.Hour

	// turnsAtOnce is how many in line one look sees, and so how many turns it gives.
	turnsAtOnce = 20
	// maxLooks is how often one call looks. Who comes next, or sweep, goes on.
	maxLooks = 20
	// maxTurnChecks is how many turns one look checks.
	maxTurnChecks = 20
	// linePause is how long at least until sweep looks at a line.
	linePause = time.Minute
)

// TakeTurn has a run whose deployment limits its runs take its turn, or stand in line. One that
// has its turn must be claimed before until. Its message is no longer needed if it has
// none. A run that is no longer pending is let through, to whoever finds out about that; so
// is one whose record wants no turn, though its message does: it was asked for again, with the
// limit gone, and its end gives no turn back.
func (k *Keeper) TakeTurn(ctx context.Context, r boathook.Run) (until time.Time, taken bool, err error) {
	now := k.Now()
	until = now.Add(turnUse)
	view, err := k.Store.Turns(ctx, r.SourceID, turnsAtOnce)
	if err != nil {
		return until, false, err
	}
	if at, has := view.Taken[r.ID]; has && now.Sub(at) < turnFresh {
		return until, true, nil
	}
	head, err := k.Store.RunHead(ctx, r.ID)
	if boathook.IsKind(err, boathook.NotFound) {
		head, err = r.RunHead, nil
	}
	if err != nil {
		return until, false, err
	}
	if head.Status != boathook.RunPending || !head.TakesTurn {
		return until, true, nil
	}
	self := waiting(head)
	if taken, err = k.giveTurns(ctx, r.WorkspaceID, r.SourceID, &self, &view); taken || err != nil {
		return until, taken, err
	}
	self, waits, err := k.stand(ctx, r)
	if !waits || err != nil {
		return until, err == nil, err
	}
	taken, err = k.giveTurns(ctx, r.WorkspaceID, r.SourceID, &self, nil)
	return until, taken, err
}

// waiting is how a run stands in line.
func waiting(r boathook.RunHead) store.Waiting {
	return store.Waiting{RunID: r.ID, At: r.CreatedAt.UTC().Truncate(time.Millisecond)}
}

// stand puts a run in line, for which a look is scheduled. Who gives it its turn makes its
// message of its record: so this is there, and from then on whoever has failed to start the run
// does not remove it. A run stands where its record says, also if another message of it says
// otherwise: it may have been refused once, and asked for again. One that is no longer pending
// does not wait.
func (k *Keeper) stand(ctx context.Context, r boathook.Run) (w store.Waiting, waits bool, err error) {
	for {
		r.WaitsSince = k.Now()
		head, err := k.Store.MarkWaiting(ctx, r.ID, r.WaitsSince)
		if boathook.IsKind(err, boathook.NotFound) {
			head = r.RunHead
			if err = k.Store.CreateRun(ctx, r); boathook.IsKind(err, boathook.Conflict) {
				continue // its record came late
			}
		}
		if boathook.IsKind(err, boathook.Conflict) {
			return w, false, nil
		}
		if err != nil {
			return w, false, err
		}
		w = waiting(head)
		break
	}
	look := k.nextLook(r.WorkspaceID, r.SourceID)
	if err := k.Store.PutDue(ctx, look); err != nil {
		return w, false, err
	}
	if err := k.Store.StandInLine(ctx, r.SourceID, w); err != nil {
		return w, false, err
	}
	if !k.Now().Add(Grace).Before(look.At) {
		return w, false, fmt.Errorf("run %s: it stood in line too late", r.ID) // sweep may have found an empty line
	}
	return w, true, nil
}

// nextLook is when sweep looks at a line next. All who stand in it within a minute share one.
func (k *Keeper) nextLook(workspaceID, sourceID string) store.Due {
	return store.ScheduledLine(workspaceID, sourceID, k.Now().Truncate(linePause).Add(2*linePause))
}

// GiveTurns gives the turns that are free of the deployment whose line is due, and has the line
// looked at again while anybody stands in it.
func (k *Keeper) GiveTurns(ctx context.Context, due store.Due) error {
	workspaceID, sourceID := due.LineOf()
	if _, err := k.giveTurns(ctx, workspaceID, sourceID, nil, nil); err != nil {
		return err
	}
	view, err := k.Store.Turns(ctx, sourceID, 1)
	if err != nil {
		return err
	}
	if len(view.Line) > 0 {
		if err := k.Store.PutDue(ctx, k.nextLook(workspaceID, sourceID)); err != nil {
			return err
		}
	}
	return k.Store.DeleteDue(ctx, due)
}

// endTurn takes away the turn of a run that is over and gives it to the next. That a look may
// fail is no reason to keep the end of the run back: sweep does it too. The run leaves the
// line first: a look that sees it there without a turn would give it another, and whoever
// does so may die before it sees that the run is over.
func (k *Keeper) endTurn(ctx context.Context, head boathook.RunHead) error {
	if !head.WaitsSince.IsZero() { // who gave it its turn may not have taken it out of the line yet
		if err := k.Store.LeaveLine(ctx, head.SourceID, waiting(head)); err != nil {
			return err
		}
	}
	if err := k.Store.EndTurn(ctx, head.SourceID, head.ID); err != nil {
		return err
	}
	if _, err := k.giveTurns(ctx, head.WorkspaceID, head.SourceID, nil, nil); err != nil {
		k.Log.WarnContext(ctx, "turns not given yet", "source_id", head.SourceID, "error", err)
	}
	return nil
}

// giveTurns looks at the turns and the line of a deployment, and gives the turns that are free.
// self is a run that is handled, and need not stand in line: given tells that it has its
// turn. Others are sent their messages. known is what was read just now, or nil.
func (k *Keeper) giveTurns(ctx context.Context, workspaceID, sourceID string, self *store.Waiting, known *store.TurnsView) (given bool, err error) {
	l := look{k: k, workspaceID: workspaceID, sourceID: sourceID, self: self}
	for range maxLooks {
		if known == nil {
			view, err := k.Store.Turns(ctx, sourceID, turnsAtOnce)
			if err != nil {
				return false, err
			}
			known = &view
		}
		l.view, known = *known, nil
		if err := l.begin(ctx); err != nil || len(l.line) == 0 {
			return false, err
		}
		if l.plan(); !l.changed {
			return l.given, nil
		}
		moved, err := k.Store.MoveTurns(ctx, sourceID, l.view, l.taken)
		if err != nil {
			return false, err
		}
		if !moved {
			continue
		}
		ended, err := l.start(ctx)
		switch {
		case l.given:
			if err != nil {
				k.Log.WarnContext(ctx, "turns given, and not all messages sent yet", "source_id", sourceID, "error", err)
			}
			return true, nil
		case err != nil:
			return false, err
		case !ended && (len(l.view.Line) < turnsAtOnce || len(l.taken) >= l.limit):
			return false, nil
		}
	}
	return false, nil
}

// look is one look at the turns and the line of a deployment.
type look struct {
	k                     *Keeper
	workspaceID, sourceID string
	self                  *store.Waiting
	limit                 int // 0: not known yet

	now     time.Time
	view    store.TurnsView
	line    []store.Waiting // with self
	taken   map[string]time.Time
	changed bool            // taken is not as it was read
	given   bool            // to self
	starts  []store.Waiting // whose messages are to be sent
}

// begin begins with what was read. If there is anybody to have a turn, it reads the limit.
func (l *look) begin(ctx context.Context) (err error) {
	l.now, l.changed, l.given, l.starts = l.k.Now().UTC().Truncate(time.Millisecond), false, false, nil
	l.line = l.view.Line
	if l.self != nil {
		// Behind the last of a long line others may stand that were not read, and before it.
		i, stands := slices.BinarySearchFunc(l.line, *l.self, store.Waiting.Compare)
		if !stands && (i < len(l.line) || len(l.line) < turnsAtOnce) {
			l.line = slices.Insert(slices.Clone(l.line), i, *l.self)
		}
	}
	if l.taken = maps.Clone(l.view.Taken); l.taken == nil {
		l.taken = make(map[string]time.Time)
	}
	if len(l.line) == 0 {
		return nil
	}
	if l.limit == 0 {
		if l.limit, err = l.k.maxInFlight(ctx, l.workspaceID, l.sourceID); err != nil {
			return err
		}
	}
	if len(l.taken) >= l.limit {
		return l.check(ctx)
	}
	return nil
}

// maxInFlight is how many turns a deployment has. Those who stand in line when the limit is
// removed, or the deployment deleted, go on as under the highest limit.
func (k *Keeper) maxInFlight(ctx context.Context, workspaceID, sourceID string) (int, error) {
	source, err := k.Store.Source(ctx, workspaceID, sourceID)
	if err != nil && !boathook.IsKind(err, boathook.NotFound) {
		return 0, err
	}
	if limit := source.DeploymentSettings().MaxInFlight; limit > 0 {
		return limit, nil
	}
	return boathook.MaxRunsInFlight, nil
}

// check takes away the turns of runs that have not been seen to use them for an hour, and
// do not.
func (l *look) check(ctx context.Context) error {
	checks := 0
	for _, id := range slices.Sorted(maps.Keys(l.taken)) {
		if l.now.Sub(l.taken[id]) < turnCheck {
			continue
		}
		if checks++; checks > maxTurnChecks {
			return nil
		}
		head, err := l.k.Store.RunHead(ctx, id)
		if err != nil && !boathook.IsKind(err, boathook.NotFound) {
			return err
		}
		l.changed = true
		if head.Status == boathook.RunRunning {
			l.taken[id] = l.now
		} else {
			delete(l.taken, id)
		}
	}
	return nil
}

// plan gives the turns that are free, those who came first first.
func (l *look) plan() {
	for _, w := range l.line {
		since, has := l.taken[w.RunID]
		isSelf := l.self != nil && w == *l.self
		switch {
		case has && isSelf && l.now.Sub(since) < turnFresh:
			l.given = true
		case has && !isSelf && l.now.Sub(since) < turnPatience: // who gave it sends its message
		case has || len(l.taken) < l.limit:
			l.taken[w.RunID], l.changed = l.now, true
			if isSelf {
				l.given = true
			} else {
				l.starts = append(l.starts, w)
			}
		}
	}
}

// start sends the messages of those who were given a turn, and then takes them out of the
// line. ended tells that one of them was over, and has given its turn back.
func (l *look) start(ctx context.Context) (ended bool, err error) {
	var group errgroup.Group
	over := make([]bool, len(l.starts))
	for i, w := range l.starts {
		group.Go(func() (err error) {
			over[i], err = l.startOne(ctx, w)
			return err
		})
	}
	if l.given && slices.Contains(l.view.Line, *l.self) {
		group.Go(func() error { return l.k.Store.LeaveLine(ctx, l.sourceID, *l.self) })
	}
	err = group.Wait()
	return slices.Contains(over, true), err
}

func (l *look) startOne(ctx context.Context, w store.Waiting) (over bool, err error) {
	r, err := l.k.Store.Run(ctx, l.workspaceID, w.RunID)
	if err != nil && !boathook.IsKind(err, boathook.NotFound) {
		return false, err
	}
	switch {
	case err != nil, r.Status.Over():
		over = true
		if err := l.k.Store.EndTurn(ctx, l.sourceID, w.RunID); err != nil {
			return false, err
		}
	case r.Status == boathook.RunPending:
		message, err := queue.EncodeRun(r)
		if err != nil {
			return false, err
		}
		if err := l.k.Queue.Send(ctx, message); err != nil {
			return false, fmt.Errorf("start run %s, whose turn it is: %w", r.ID, err)
		}
	}
	if err := l.k.Store.LeaveLine(ctx, l.sourceID, w); err != nil || !over {
		return over, err
	}
	// Another look may have given it a turn once more before it left the line.
	return true, l.k.Store.EndTurn(ctx, l.sourceID, w.RunID)
}
