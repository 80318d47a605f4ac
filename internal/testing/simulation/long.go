package simulation

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"boathook/internal/boathook"
)

// longSchedules are those of the webhooks in long worlds: the default, one that fails
// often, and one that goes on for longer than the shortest retention.
var longSchedules = [][]time.Duration{
	boathook.DefaultRetry,
	slices.Repeat([]time.Duration{time.Hour}, 10),
	slices.Repeat([]time.Duration{24 * time.Hour}, 20),
}

// restDaily waits until nothing is left to do in a long world, while an operator
// redrives what is dead each day: dead messages are not kept for longer than records.
func (w *world) restDaily() {
	for range patience / (24 * time.Hour) {
		w.restFor(24 * time.Hour)
		if w.redrive() == 0 && w.atRest() {
			return
		}
	}
}

// arrival is a request that came to a webhook's endpoint.
type arrival struct {
	at     time.Time
	status int // 0: there was no answer
}

// What must hold in long worlds.
const (
	ruleDisabled = "a webhook is disabled when it is gone, or has failed often, for days, and never succeeded"
	ruleKept     = "a record is kept for the retention, and while an attempt is to come"
)

// What a webhook must have failed before it is disabled.
const (
	disabledAfter    = 5 * 24 * time.Hour
	disabledFailures = 10
	disabledHours    = 5
)

// disabled checks why Boathook disables a webhook now, against what its endpoint has
// seen. Whoever disables may have been frozen since it looked.
func (l *ledger) disabled(id, reason string) {
	const margin = longestFreeze + 2*time.Minute
	now := time.Now()
	text, failing := strings.CutPrefix(reason, "failing since ")
	if !failing {
		if !slices.ContainsFunc(l.arrivals[id], func(a arrival) bool { return a.status == 410 }) {
			l.violated(ruleDisabled, id, "it says %q, and no endpoint has answered 410", reason)
		}
		return
	}
	since, err := time.Parse(time.RFC3339, text)
	if err != nil {
		l.violated(ruleDisabled, id, "it says %q", reason)
		return
	}
	n, hours := 0, make(map[int64]bool)
	for _, a := range l.arrivals[id] {
		if a.at.Before(since.Add(-maxSkew)) {
			continue
		}
		n++
		hours[boathook.Hour(a.at.Add(-maxSkew))], hours[boathook.Hour(a.at.Add(maxSkew))] = true, true
	}
	if n < disabledFailures || len(hours) < disabledHours || now.Sub(since) < disabledAfter-2*maxSkew {
		l.violated(ruleDisabled, id, "since %s there were %d requests in %d hours", since, n, len(hours))
	}
	for _, at := range l.successes[id] {
		if at.After(since.Add(margin)) && at.Before(now.Add(-margin)) {
			l.violated(ruleDisabled, id, "failing since %s, and it succeeded at %s", since, at)
		}
	}
}

// record is a delivery with its attempts, as it is or, once it has expired, as it was
// written last. Only one that is over may expire, and not before the retention.
func (c checker) record(id boathook.DeliveryID) (boathook.Delivery, []boathook.Attempt, error) {
	d, attempts, err := c.store.Attempts(c.ctx, workspaceID, id)
	known, written := c.records[id]
	if !boathook.IsKind(err, boathook.NotFound) || !written {
		return d, attempts, err
	}
	if known.Status == boathook.DeliveryRetrying || c.now.Before(id.Time().Add(c.store.w.plan.retention()-2*maxSkew)) {
		c.violated(ruleKept, id.String(), "it is gone, and was %s, its next attempt at %s", known.Status, known.NextAttemptAt)
	}
	return known.Delivery, known.attempts, nil
}

// recorded is a delivery's record as it was written last.
type recorded struct {
	boathook.Delivery
	attempts []boathook.Attempt
	history  []statusAt
}

// statusAt is what a delivery was from a time on.
type statusAt struct {
	at     time.Time
	status boathook.DeliveryStatus
}

// statusThen is what a delivery was at a time; empty before it had a record.
func (r recorded) statusThen(at time.Time) (status boathook.DeliveryStatus) {
	for _, s := range r.history {
		if s.at.After(at) {
			break
		}
		status = s.status
	}
	return status
}

// theRun is a run, as it is or as it was written last before it expired.
func (c checker) theRun(id string) (boathook.Run, error) {
	r, err := c.store.Run(c.ctx, workspaceID, id)
	if known, written := c.runs[id]; boathook.IsKind(err, boathook.NotFound) && written &&
		!c.now.Before(known.CreatedAt.Add(c.store.w.plan.retention()-2*maxSkew)) {
		return known, nil
	}
	return r, err
}

// wroteRun notes a run's record after a write.
func (s witness) wroteRun(ctx context.Context, id string) {
	if !s.w.plan.long {
		return // nothing expires
	}
	if r, err := s.Store.Run(ctx, workspaceID, id); err == nil {
		s.w.mu.Lock()
		s.w.ledger.remember(r)
		s.w.mu.Unlock()
	}
}

// CreateRun implements [store.Runs].
func (s witness) CreateRun(ctx context.Context, r boathook.Run) error {
	err := s.Store.CreateRun(ctx, r)
	if err == nil {
		s.w.mu.Lock()
		s.w.ledger.begun(r.ID, s.w.plan.retention())
		s.w.ledger.burstStarts(r.RunHead)
		s.w.mu.Unlock()
		if r.Status == boathook.RunRunning {
			s.claimed(ctx, r.RunHead)
		}
	}
	s.wroteRun(ctx, r.ID)
	return err
}

// RemovePending implements [store.Runs].
func (s witness) RemovePending(ctx context.Context, id string) error {
	err := s.Store.RemovePending(ctx, id)
	if _, readErr := s.Store.RunHead(ctx, id); boathook.IsKind(readErr, boathook.NotFound) {
		s.w.mu.Lock()
		s.w.ledger.removedPending(id)
		s.w.mu.Unlock()
	}
	return err
}

// RequestCancel implements [store.Runs].
func (s witness) RequestCancel(ctx context.Context, id string, now time.Time) (boathook.RunHead, error) {
	head, err := s.Store.RequestCancel(ctx, id, now)
	s.wroteRun(ctx, id)
	return head, err
}

// byAge sorts what was remembered.
func byAge(a, b boathook.Run) int {
	return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
}
