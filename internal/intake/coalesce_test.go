package intake_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/preset"
	"boathook/internal/store"
)

// coalescing is a place whose webhook coalesces.
func coalescing(t *testing.T, key string) *guarded {
	t.Helper()
	g := newGuarded(t, boathook.Verification{Preset: preset.GitHub}, boathook.Filter{})
	g.Incoming.Coalesce = boathook.Coalescing{Key: key, Quiet: 10 * time.Second, MaxWait: 25 * time.Second}
	g.put(g.Incoming)
	return g
}

func (g *guarded) kept(t *testing.T, id string) boathook.Run {
	t.Helper()
	r, err := g.store.Run(t.Context(), g.Source.WorkspaceID, id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestABurstBecomesOneRunOnItsLastTrigger(t *testing.T) {
	g := coalescing(t, `.body.ref`)
	first := runID(t, g.push(`{"ref":"main","n":1}`, ""))
	if sent := g.queued(t); len(sent) != 0 { // its message waits for the burst to be over
		t.Errorf("%d runs are sent at once", len(sent))
	}
	begun := g.now
	for n := 2; n <= 4; n++ {
		g.now = g.now.Add(6 * time.Second)
		if id := runID(t, g.push(fmt.Sprintf(`{"ref":"main","n":%d}`, n), "")); id != first {
			t.Fatalf("the %d. trigger is told of %s, not %s", n, id, first)
		}
		g.wantKept(boathook.RequestCoalesced, 202, "")
		starts := g.now.Add(10 * time.Second)
		if latest := begun.Add(25 * time.Second); starts.After(latest) {
			starts = latest
		}
		r := g.kept(t, first)
		if want := fmt.Sprintf(`{"ref":"main","n":%d}`, n); r.Input.String() != want || !r.StartsAt.Equal(starts) || r.Burst.Count != n || len(r.Burst.Triggers) != n || r.Status != boathook.RunPending {
			t.Errorf("after the %d. trigger the run is %+v with %s, and starts after %s", n, r.Burst, r.Input.Bytes(), r.StartsAt.Sub(begun))
		}
		if got := r.Burst.Triggers[n-1]; got.DeliveryID != r.Details.DeliveryID || !got.At.Equal(g.now) {
			t.Errorf("the %d. trigger is listed as %+v", n, got)
		}
	}
	if other := runID(t, g.push(`{"ref":"next"}`, "")); other == first {
		t.Error("another key is part of the burst")
	}
}

func TestATriggerOfABurstThatIsRepeatedIsPartOfItOnce(t *testing.T) {
	g := coalescing(t, `null`)
	a := runID(t, g.push(`{"n":1}`, ""))
	b := runID(t, g.push(`{"n":2}`, ""))
	for _, body := range []string{`{"n":1}`, `{"n":2}`} {
		g.now = g.now.Add(time.Second)
		if again := runID(t, g.push(body, "")); again != a || b != a {
			t.Errorf("%s is told of %s, not %s", body, again, a)
		}
		g.wantKept(boathook.RequestRepeated, 202, "")
	}
	if r := g.kept(t, a); r.Burst.Count != 2 || r.Input.String() != `{"n":2}` {
		t.Errorf("the run is %+v of %s", r.Burst, r.Input.Bytes())
	}
	if _, err := g.store.ClaimRun(t.Context(), a, boathook.Claim{ID: "claim_a", LeaseUntil: g.now.Add(time.Minute)}, g.now); err != nil {
		t.Fatal(err)
	}
	c := runID(t, g.push(`{"n":3}`, ""))
	if c == a {
		t.Error("a trigger is part of a run that has started")
	}
	if again := runID(t, g.push(`{"n":2}`, "")); again != a {
		t.Errorf("long after, a repeat is told of %s, not %s", again, a)
	}
}

// The one who began the burst has died before the run was sent.
func TestABurstWhoseRunWasNeverSentIsStartedByTheNext(t *testing.T) {
	g := coalescing(t, `null`)
	first := runID(t, g.push(`{"n":1}`, ""))
	r := g.kept(t, first)
	if err := g.store.RemovePending(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	g.now = g.now.Add(5 * time.Second)
	if id := runID(t, g.push(`{"n":2}`, "")); id != first {
		t.Errorf("told of %s, not %s", id, first)
	}
	got := g.kept(t, first)
	if got.Input.String() != `{"n":2}` || got.Burst.Count != 1 || !got.StartsAt.Equal(r.StartsAt.Add(5*time.Second)) {
		t.Errorf("the run is %+v with %s, starts %s", got.Burst, got.Input.Bytes(), got.StartsAt.Sub(r.StartsAt))
	}
}

// joins is the store, which has something happen before a trigger joins a run.
type joins struct {
	store.Bursts
	before func()
}

func (s *joins) JoinRun(ctx context.Context, r boathook.RunHead, j store.Join) (boathook.RunHead, error) {
	if f := s.before; f != nil {
		s.before = nil
		f()
	}
	return s.Bursts.JoinRun(ctx, r, j)
}

func TestWhoComesWhenTheRunStartsBeginsTheNextBurst(t *testing.T) {
	g := coalescing(t, `null`)
	first := runID(t, g.push(`{"n":1}`, ""))
	g.Bursts = &joins{g.store, func() {
		if _, err := g.store.ClaimRun(t.Context(), first, boathook.Claim{ID: "claim_a", LeaseUntil: g.now.Add(time.Minute)}, g.now); err != nil {
			t.Error(err)
		}
	}}
	second := runID(t, g.push(`{"n":2}`, ""))
	if r := g.kept(t, first); second == first || r.Burst.Count != 1 || r.Input.String() != `{"n":1}` {
		t.Errorf("the run that has started is %+v with %s", r.Burst, r.Input.Bytes())
	}
	if r := g.kept(t, second); r.Burst.Count != 1 || r.Input.String() != `{"n":2}` {
		t.Errorf("the next is %+v with %s", r.Burst, r.Input.Bytes())
	}
}

func TestABurstThatCanNotBeQueuedIsRefused(t *testing.T) {
	g := coalescing(t, `null`)
	g.sendErr = errDown
	if w := g.push(`{}`, ""); w.Code != 503 {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	g.sendErr = nil
	r := g.kept(t, runID(t, g.push(`{}`, "")))
	if r.Burst.Count != 1 {
		t.Errorf("it is repeated: %+v", r.Burst)
	}
}

func TestAKeyThatFailsStartsARunOfItsOwn(t *testing.T) {
	for key, want := range map[string]string{
		`.body.n / 0`: "coalesce.key: cannot divide number (1) by: number (0)",
		`empty`:       "coalesce.key: gives nothing, not one value",
		`1, 2`:        "coalesce.key: gives several values, not one",
	} {
		g := coalescing(t, key)
		r := g.kept(t, runID(t, g.push(`{"n":1}`, "")))
		if r.Burst != nil || r.Details.FilterError != want || len(g.queued(t)) != 1 {
			t.Errorf("%s: %+v, %q", key, r.Burst, r.Details.FilterError)
		}
	}
}

func TestKeysThatAreEqualBelongTogether(t *testing.T) {
	g := coalescing(t, `{a: .body.a, b: .event}`)
	first := runID(t, g.push(`{"a":{"x":1,"y":[2]}}`, ""))
	if again := runID(t, g.push(`{"a":{"y":[2],"x":1},"other":true}`, "")); again != first {
		t.Error("objects with their names in another order are told apart")
	}
	if other := runID(t, g.push(`{"a":{"y":[2],"x":"1"}}`, "")); other == first {
		t.Error("a number and a text belong together")
	}
}
