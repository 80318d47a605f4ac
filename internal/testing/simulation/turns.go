package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/queue"
	"boathook/internal/store"
)

// What must hold of deployments that let only so many runs execute at a time.
const (
	ruleTurns     = "no more runs of a deployment execute than its limit says"
	ruleTurnOrder = "who stands in line has his turn in the order of acceptance"
	ruleTurnEnds  = "at rest nobody stands in line, and nobody has a turn"
)

// turns are what the ledger knows of a deployment's turns.
type turns struct {
	limits   []limitAt
	standing map[string]standing // by run
	given    map[string]time.Time
	firstAt  map[int]time.Time // by revision: when somebody first read it
}

// limitAt is a deployment's limit from a time on; 0: none.
type limitAt struct {
	at    time.Time
	limit int
}

type standing struct {
	store.Waiting
	since time.Time
}

// slowest is how old what a process acts upon may be: it may be frozen in between.
const slowest = 2*longestFreeze + time.Minute

// limit is the highest limit of a deployment since a time.
func (t *turns) limit(since time.Time) (highest int) {
	for i, l := range t.limits {
		if i+1 < len(t.limits) && t.limits[i+1].at.Before(since) {
			continue
		}
		if l.limit == 0 {
			return boathook.MaxRunsInFlight
		}
		highest = max(highest, l.limit)
	}
	return highest
}

func (l *ledger) turnsOf(sourceID string) *turns {
	t := l.turns[sourceID]
	if t == nil {
		t = &turns{standing: make(map[string]standing), given: make(map[string]time.Time), firstAt: make(map[int]time.Time)}
		l.turns[sourceID] = t
	}
	return t
}

// PutSource implements [store.Sources].
func (s witness) PutSource(ctx context.Context, src boathook.Source) error {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	err := s.Store.PutSource(ctx, src)
	if err == nil && src.Kind == boathook.Deployment {
		t := s.w.ledger.turnsOf(src.ID)
		t.limits = append(t.limits, limitAt{time.Now(), src.DeploymentSettings().MaxInFlight})
	}
	return err
}

// Turns implements [store.Turns].
func (s witness) Turns(ctx context.Context, sourceID string, limit int) (store.TurnsView, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	view, err := s.Store.Turns(ctx, sourceID, limit)
	if t := s.w.ledger.turnsOf(sourceID); t.firstAt[view.Revision].IsZero() {
		t.firstAt[view.Revision] = time.Now()
	}
	return view, err
}

// MoveTurns implements [store.Turns].
func (s witness) MoveTurns(ctx context.Context, sourceID string, known store.TurnsView, taken map[string]time.Time) (moved bool, err error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	l := s.w.ledger
	before, err := s.Store.Turns(ctx, sourceID, 1)
	if err != nil {
		return false, err
	}
	moved, err = s.Store.MoveTurns(ctx, sourceID, known, taken)
	if !moved || err != nil {
		return moved, err
	}
	t := l.turnsOf(sourceID)
	for id := range taken {
		if _, had := before.Taken[id]; had {
			continue
		}
		t.given[id] = time.Now()
		s.w.counts["turn given"]++
		if limit := t.limit(time.Now().Add(-slowest)); len(taken) > limit {
			l.violated(ruleTurns, id, "%d have a turn, of %d", len(taken), limit)
		}
		head, err := s.Store.RunHead(ctx, id)
		if err != nil {
			continue
		}
		for _, other := range t.standing {
			_, has := taken[other.RunID]
			if own := (store.Waiting{RunID: id, At: head.CreatedAt}); !has && other.since.Before(t.firstAt[before.Revision]) && other.Compare(own) < 0 {
				l.violated(ruleTurnOrder, id, "it has its turn before %s, which stands in line since %s", other.RunID, time.Since(other.since))
			}
		}
	}
	return moved, err
}

// StandInLine implements [store.Turns].
func (s witness) StandInLine(ctx context.Context, sourceID string, w store.Waiting) error {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.counts["run that stood in line"]++
	t := s.w.ledger.turnsOf(sourceID)
	if _, stands := t.standing[w.RunID]; !stands {
		t.standing[w.RunID] = standing{w, time.Now()}
	}
	return s.Store.StandInLine(ctx, sourceID, w)
}

// LeaveLine implements [store.Turns].
func (s witness) LeaveLine(ctx context.Context, sourceID string, w store.Waiting) error {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	delete(s.w.ledger.turnsOf(sourceID).standing, w.RunID)
	return s.Store.LeaveLine(ctx, sourceID, w)
}

// MarkWaiting implements [store.Runs].
func (s witness) MarkWaiting(ctx context.Context, id string, since time.Time) (boathook.RunHead, error) {
	head, err := s.Store.MarkWaiting(ctx, id, since)
	s.wroteRun(ctx, id)
	return head, err
}

// ClaimRun implements [store.Runs].
func (s witness) ClaimRun(ctx context.Context, id string, c boathook.Claim, startedAt time.Time) (boathook.RunHead, error) {
	head, err := s.Store.ClaimRun(ctx, id, c, startedAt)
	if err == nil {
		s.claimed(ctx, head)
	}
	return head, err
}

// accepted notes runs that are queued while their deployment has no limit. The limit is not
// theirs, though they be asked for again when it is set.
func (w *world) accepted(messages []queue.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range messages {
		r, err := queue.DecodeRun(m.Body)
		must(err)
		if !r.TakesTurn {
			w.ledger.free[r.ID] = true
		}
	}
}

// claimed checks that a run which is running has its turn: with it there are no more than
// the limit whose leases hold.
func (s witness) claimed(ctx context.Context, head boathook.RunHead) {
	limited := func(r boathook.RunHead) bool {
		s.w.mu.Lock()
		defer s.w.mu.Unlock()
		return r.TakesTurn && !s.w.ledger.free[r.ID]
	}
	if !limited(head) || head.Lost(time.Now()) {
		return
	}
	running, _, err := s.Store.RunHeads(ctx, store.RunQuery{
		WorkspaceID: workspaceID, SourceID: head.SourceID, Statuses: []boathook.RunStatus{boathook.RunRunning}, Page: boathook.Page{Limit: 200},
	})
	must(err)
	n := 0
	for _, r := range running {
		if limited(r) && !r.Lost(time.Now()) {
			n++
		}
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	t := s.w.ledger.turnsOf(head.SourceID)
	given, has := t.given[head.ID]
	switch limit := t.limit(given.Add(-slowest)); {
	case !has:
		s.w.ledger.violated(ruleTurns, head.ID, "it was claimed without a turn")
	case n > limit:
		s.w.ledger.violated(ruleTurns, head.ID, "%d are claimed, of %d", n, limit)
	}
}

// turns checks that nobody waits once the world is at rest.
func (c checker) turns(w *world) {
	for _, s := range w.of(boathook.Deployment) {
		view, err := c.store.Store.Turns(c.ctx, s.id, store.MaxLine)
		must(err)
		for _, waits := range view.Line {
			if !c.dead[waits.RunID] {
				c.violated(ruleTurnEnds, waits.RunID, "it stands in line, accepted at %s", waits.At.Sub(w.began))
			}
		}
		for id := range view.Taken {
			if !c.dead[id] && !c.free[id] { // of those a turn may be left, until it is checked after an hour
				c.violated(ruleTurnEnds, id, "it has a turn since %s", time.Since(c.turnsOf(s.id).given[id]))
			}
		}
	}
}

// crowd sends triggers that are more than may execute at a time.
func (u *users) crowd(r *rand.Rand) {
	k := u.newTrigger(r)
	for n := range 3 + r.IntN(4) {
		one := k
		one.body = fmt.Sprintf(`{"of":"a crowd","n":%d}`, n)
		u.all.Go(func() { u.fire(one) })
		time.Sleep(between(r, time.Nanosecond, 300*time.Millisecond))
	}
}

// limit changes how many runs of a deployment execute at a time.
func (u *users) limit(r *rand.Rand) {
	u.manage(http.MethodPatch, pick(r, u.w.of(boathook.Deployment)).path, fmt.Sprintf(`{"max_in_flight":%d}`, pick(r, []int{0, 1, 1, 2, 3})))
}
