package simulation

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/run/target"
	"boathook/internal/store"
)

// What must hold of webhooks that coalesce.
const (
	ruleBurst     = "a trigger that was accepted is part of the run that it was told of, and of no other"
	ruleBurstLast = "a burst executes on the last of its triggers"
	ruleBurstTime = "a burst starts when it is quiet, or has waited for long"
)

// burstTrigger is a trigger of a webhook that coalesces, as its sender knows it.
type burstTrigger struct {
	number   int       // in its body
	sent     time.Time // for the first time
	answered time.Time // 202, for the first time
	runID    string
}

// coalescing is how the worlds' webhooks coalesce.
var coalescing = boathook.Coalescing{Key: ".body.key", Quiet: 20 * time.Second, MaxWait: 2 * time.Minute}

// burst sends triggers of two keys, some with an idempotency key, which may be repeated.
func (u *users) burst(r *rand.Rand) {
	s := pick(r, u.w.of(boathook.Deployment))
	for range 2 + r.IntN(5) {
		u.w.mu.Lock()
		u.w.ledger.numbers++
		number := u.w.ledger.numbers
		u.w.mu.Unlock()
		body := fmt.Sprintf(`{"key":%d,"number":%d}`, r.IntN(2), number)
		key, times := "", 1
		if r.IntN(2) == 0 {
			key, times = fmt.Sprintf("burst-%d", number), 1+r.IntN(2)
		}
		u.all.Go(func() {
			sent := time.Now()
			for range times {
				u.burstTrigger(s.burst.path, key, body, burstTrigger{number: number, sent: sent})
			}
		})
		time.Sleep(either(r, between(r, time.Nanosecond, 300*time.Millisecond), between(r, time.Second, 30*time.Second)))
	}
}

func (u *users) burstTrigger(path, key, body string, t burstTrigger) {
	header := http.Header{}
	if key != "" {
		header.Set(boathook.IdempotencyKey, key)
	}
	a := u.ask(intakeKind, http.MethodPost, path, body, header)
	if a.status != http.StatusAccepted {
		return
	}
	var started struct {
		RunID string `json:"run_id"`
	}
	must(json.Unmarshal(a.body, &started))
	u.mu.Lock()
	u.runs = append(u.runs, started.RunID)
	u.mu.Unlock()
	u.w.mu.Lock()
	defer u.w.mu.Unlock()
	l := u.w.ledger
	u.w.counts["trigger of a burst"]++
	l.accept(started.RunID, nil)
	earlier, known := l.bursts[t.number]
	switch {
	case !known:
		t.answered, t.runID = time.Now(), started.RunID
		l.bursts[t.number] = t
	case earlier.runID != started.RunID && !u.w.plan.long: // where nothing expires
		l.violated(ruleBurst, started.RunID, "trigger %d is part of %s too", t.number, earlier.runID)
	}
}

// numberOf is the number of the trigger that an input is of; 0 for one of no burst.
func numberOf(input []byte) int {
	var in struct {
		Number int `json:"number"`
	}
	if !bytes.Contains(input, []byte(`"number"`)) || json.Unmarshal(input, &in) != nil {
		return 0
	}
	return in.Number
}

// startsAt is when a burst starts, as it is from a time on.
type startsAt struct{ at, starts time.Time }

func (l *ledger) burstStarts(r boathook.RunHead) {
	if r.Burst != nil {
		l.starts[r.ID] = append(l.starts[r.ID], startsAt{time.Now(), r.StartsAt})
	}
}

// burstExecuted notes the input on which a burst executes, and checks its time. A trigger may
// have joined it, and moved its time, after its runner has looked and before it was claimed;
// or has written its record then, where the one who began the burst had sent its message only.
func (l *ledger) burstExecuted(begun time.Time, head boathook.RunHead, job target.Job) {
	if head.Burst == nil {
		return
	}
	l.inputs[job.RunID] = numberOf(job.Input)
	changes, now := l.starts[job.RunID], time.Now().Add(2*maxSkew)
	if len(changes) > 0 && !changes[0].at.Before(begun) {
		return // there was no record when its runner looked: its message's own time had come
	}
	for i, c := range changes {
		if seen := i+1 == len(changes) || !changes[i+1].at.Before(begun); seen && !now.Before(c.starts) {
			return
		}
	}
	l.violated(ruleBurstTime, job.RunID, "executed %s before its time", head.StartsAt.Sub(now))
}

// checkBursts checks what became of the triggers of bursts.
func (c checker) checkBursts() {
	triggers := make(map[string][]burstTrigger) // by run
	for _, t := range c.ledger.bursts {
		triggers[t.runID] = append(triggers[t.runID], t)
	}
	for id, ts := range triggers {
		r, err := c.theRun(id)
		if err != nil || c.dead[id] || r.Status == boathook.RunCanceled {
			continue // what is missing is another rule's
		}
		if r.Burst == nil || r.Burst.Count < len(ts) {
			c.violated(ruleBurst, id, "%d triggers were told of it, and it has %+v", len(ts), r.Burst)
			continue
		}
		executed, known := c.inputs[id]
		if !known {
			continue // its runner was lost before it began
		}
		last := c.ledger.bursts[executed] // if it was answered
		for _, t := range ts {
			if t.number != executed && t.sent.After(last.answered) && !last.answered.IsZero() {
				c.violated(ruleBurstLast, id, "it executed on trigger %d, and %d came later", executed, t.number)
			}
		}
	}
}

// JoinRun implements [store.Bursts].
func (s witness) JoinRun(ctx context.Context, r boathook.RunHead, j store.Join) (boathook.RunHead, error) {
	head, err := s.Store.JoinRun(ctx, r, j)
	if err == nil {
		s.w.count("trigger that joined a run")
		s.w.mu.Lock()
		s.w.ledger.burstStarts(head)
		s.w.mu.Unlock()
	}
	s.wroteRun(ctx, r.ID)
	return head, err
}
