package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// newRun is a pending run of a source of its own.
func (s *suite) newRun() boathook.Run {
	r := boathook.Run{RunHead: boathook.RunHead{
		ID: boathook.NewID(boathook.RunID), WorkspaceID: boathook.NewID(boathook.WorkspaceID),
		SourceID: boathook.NewID(boathook.DeploymentID), VersionID: boathook.NewID(boathook.VersionID), VersionNumber: 12,
		Environment: boathook.Production, Trigger: boathook.TriggerWebhook, WebhookID: boathook.NewID(boathook.IncomingID),
		CreatedAt: s.clock.Now(), Status: boathook.RunPending,
	}}
	return withInput(r, `{"repository":"org/repo","ref":"refs/heads/main"}`)
}

func withInput(r boathook.Run, input string) boathook.Run {
	r.Input, r.InputHash = boathook.NewBody(json.RawMessage(input)), boathook.HashInput([]byte(input))
	return r
}

func (s *suite) newClaim() boathook.Claim {
	return boathook.Claim{ID: boathook.NewID("claim"), LeaseUntil: s.clock.Now().Add(90 * time.Second)}
}

// pending creates a run.
func (s *suite) pending(t *testing.T) boathook.Run {
	t.Helper()
	r := s.newRun()
	must(t, s.CreateRun(t.Context(), r))
	return r
}

// running creates a run and claims it.
func (s *suite) running(t *testing.T) (boathook.Run, boathook.Claim) {
	t.Helper()
	r, claim := s.pending(t), s.newClaim()
	r.RunHead = read(s.ClaimRun(t.Context(), r.ID, claim, s.clock.Now()))(t)
	return r, claim
}

func (s *suite) succeeded() boathook.Outcome {
	return boathook.Outcome{
		Status: boathook.RunSucceeded, Output: json.RawMessage(`{"ok":true}`), ExitCode: new(0),
		CompletedAt: s.clock.Now().Add(time.Second), LogLines: 3,
	}
}

// over creates a run, claims it and finishes it.
func (s *suite) over(t *testing.T) boathook.Run {
	t.Helper()
	r, claim := s.running(t)
	outcome := s.succeeded()
	r.RunHead, r.Output = read(s.FinishRun(t.Context(), r.ID, claim, outcome))(t), outcome.Output
	return r
}

// wantRun compares a run with what every look at it shows.
func (s *suite) wantRun(t *testing.T, want boathook.Run) {
	t.Helper()
	wantSame(t, "run", read(s.Run(t.Context(), want.WorkspaceID, want.ID))(t), want)
	wantSame(t, "head", read(s.RunHead(t.Context(), want.ID))(t), want.RunHead)
}

func (s *suite) wantNoRun(t *testing.T, r boathook.Run) {
	t.Helper()
	_, err := s.RunHead(t.Context(), r.ID)
	wantKind(t, "RunHead", err, boathook.NotFound)
	_, err = s.Run(t.Context(), r.WorkspaceID, r.ID)
	wantKind(t, "Run", err, boathook.NotFound)
	wantSame(t, "trigger", read(s.LookUpTrigger(t.Context(), r.SourceID, r.WebhookID, r.ID))(t), store.TriggerView{})
	wantSame(t, "the source's", s.runsOf(r).all(t, boathook.Page{Limit: 10}), []boathook.Run(nil))
	if read(s.AnyActive(t.Context(), r.SourceID))(t) {
		t.Error("its source is active")
	}
}

func (s *suite) testLookUpTrigger(t *testing.T) {
	source := s.newSource(boathook.NewID(boathook.WorkspaceID))
	w := s.newIncoming(source)

	t.Run("there may be nothing at all", func(t *testing.T) {
		for _, runID := range []string{"", boathook.NewID(boathook.RunID)} {
			wantSame(t, "view", read(s.LookUpTrigger(t.Context(), source.ID, w.ID, runID))(t), store.TriggerView{})
		}
	})
	t.Run("it gives the webhook, what is live, and the run", func(t *testing.T) {
		w.Enabled = false
		must(t, s.PutIncoming(t.Context(), w))
		w.Revision++
		version := read(s.AddVersion(t.Context(), s.newVersion(source)))(t)
		r, _ := s.running(t)
		view := store.TriggerView{
			Webhook: &w,
			Live:    map[boathook.Environment]boathook.LiveVersion{boathook.Production: {ID: version.ID, Number: 1}},
		}
		wantSame(t, "without a run's id", read(s.LookUpTrigger(t.Context(), source.ID, w.ID, ""))(t), view)
		view.Run = &r.RunHead
		wantSame(t, "with a run's id", read(s.LookUpTrigger(t.Context(), source.ID, w.ID, r.ID))(t), view)
		view.Webhook = nil
		wantSame(t, "with another webhook's id", read(s.LookUpTrigger(t.Context(), source.ID, boathook.NewID(boathook.IncomingID), r.ID))(t), view)
	})
	t.Run("a webhook of another source is none", func(t *testing.T) {
		wantSame(t, "view", read(s.LookUpTrigger(t.Context(), boathook.NewID(boathook.DeploymentID), w.ID, ""))(t), store.TriggerView{})
	})
	t.Run("a deleted webhook is none", func(t *testing.T) {
		must(t, s.DeleteIncoming(t.Context(), source.ID, w.ID))
		if view := read(s.LookUpTrigger(t.Context(), source.ID, w.ID, ""))(t); view.Webhook != nil {
			t.Errorf("it is %v", view.Webhook)
		}
	})
}

func (s *suite) testCreateRun(t *testing.T) {
	t.Run("a run that was never created is not found", func(t *testing.T) {
		s.wantNoRun(t, s.newRun())
	})
	t.Run("one reads back as it was created", func(t *testing.T) {
		s.wantRun(t, s.pending(t))
	})
	t.Run("one is stored in whatever state it is", func(t *testing.T) {
		running := s.newRun()
		running.Trigger, running.WebhookID, running.Environment = boathook.TriggerAPI, "", boathook.Staging
		running.Status, running.StartedAt, running.Claim = boathook.RunRunning, s.clock.Now(), s.newClaim()
		running.CancelRequested = true

		failed := s.newRun()
		failed.Status, failed.Error, failed.ExitCode = boathook.RunFailed, "exit status 7", new(7)
		failed.StartedAt, failed.CompletedAt = s.clock.Now(), s.clock.Now().Add(time.Minute)
		failed.LogLines, failed.Published = 12, true

		for _, r := range []boathook.Run{running, failed} {
			must(t, s.CreateRun(t.Context(), r))
			s.wantRun(t, r)
		}
	})
	t.Run("another workspace's is not found", func(t *testing.T) {
		r := s.pending(t)
		_, err := s.Run(t.Context(), boathook.NewID(boathook.WorkspaceID), r.ID)
		wantKind(t, "Run", err, boathook.NotFound)
	})
	t.Run("creating it again is a conflict and changes nothing", func(t *testing.T) {
		r, _ := s.running(t)
		again := withInput(r, `{"other":"input"}`)
		again.Status, again.SourceID = boathook.RunPending, boathook.NewID(boathook.DeploymentID)
		wantKind(t, "CreateRun", s.CreateRun(t.Context(), again), boathook.Conflict)
		s.wantRun(t, r)
		wantSame(t, "the other source's", s.runsOf(again).all(t, boathook.Page{Limit: 10}), []boathook.Run(nil))
	})
	t.Run("of several with one id created at once, one wins and its input stays", func(t *testing.T) {
		for range 3 {
			r := s.newRun()
			created := make([]boathook.Run, 4)
			won := atOnce(t, len(created), func(ctx context.Context, i int) error {
				created[i] = withInput(r, fmt.Sprintf(`{"number":%d}`, i))
				return s.CreateRun(ctx, created[i])
			})
			if len(won) != 1 {
				t.Fatalf("%d won", len(won))
			}
			s.wantRun(t, created[won[0]])
		}
	})
	t.Run("times are kept in UTC to the millisecond", func(t *testing.T) {
		r := s.newRun()
		created := s.clock.Now().Add(123456 * time.Nanosecond)
		want := r
		r.CreatedAt = created.In(time.FixedZone("", 3600))
		must(t, s.CreateRun(t.Context(), r))
		s.wantRun(t, want)
	})
	for name, input := range awkwardJSON {
		t.Run("input and output keep their bytes: "+name, func(t *testing.T) {
			r := withInput(s.newRun(), input)
			must(t, s.CreateRun(t.Context(), r))
			claim, outcome := s.newClaim(), s.succeeded()
			read(s.ClaimRun(t.Context(), r.ID, claim, s.clock.Now()))(t)
			outcome.Output = json.RawMessage(input)
			r.RunHead = read(s.FinishRun(t.Context(), r.ID, claim, outcome))(t)
			r.Output = outcome.Output
			s.wantRun(t, r)
			wantSame(t, "the source's", s.runsOf(r).all(t, boathook.Page{Limit: 10}), []boathook.Run{r})
		})
	}
}

// awkwardJSON is what a store that decodes and encodes would change.
var awkwardJSON = map[string]string{
	"integers beyond 64 bits":     `{"id":123456789012345678901234567890,"ratio":1.10,"e":1E400}`,
	"key order and repeats":       `{"b":1,"a":2,"b":3}`,
	"spaces and escapes":          "{ \"s\" : \"\\u00e9 \\/ <b>&\u2028é⚓\" }\n",
	"an empty object":             `{}`,
	"null":                        `null`,
	"a string":                    `""`,
	"512 KiB that don't compress": `"` + string(slices.DeleteFunc(printable(540<<10), func(b byte) bool { return b == '"' || b == '\\' })[:512<<10-2]) + `"`,
}

func (s *suite) testRemovePending(t *testing.T) {
	t.Run("a pending run is gone, and its id free", func(t *testing.T) {
		r := s.pending(t)
		must(t, s.RemovePending(t.Context(), r.ID))
		s.wantNoRun(t, r)
		must(t, s.RemovePending(t.Context(), r.ID))

		again := withInput(r, `{"other":"input"}`)
		must(t, s.CreateRun(t.Context(), again))
		s.wantRun(t, again)
	})
	t.Run("one that is not pending is left alone", func(t *testing.T) {
		running, _ := s.running(t)
		for _, r := range []boathook.Run{running, s.over(t)} {
			must(t, s.RemovePending(t.Context(), r.ID))
			s.wantRun(t, r)
		}
	})
	t.Run("an absent one is no error", func(t *testing.T) {
		must(t, s.RemovePending(t.Context(), boathook.NewID(boathook.RunID)))
	})
}

func (s *suite) testClaimRun(t *testing.T) {
	t.Run("a pending run runs, with the claim and the start time", func(t *testing.T) {
		r, claim := s.pending(t), s.newClaim()
		started := s.clock.Now().Add(time.Second)
		head := read(s.ClaimRun(t.Context(), r.ID, claim, started))(t)
		r.Status, r.Claim, r.StartedAt = boathook.RunRunning, claim, started
		wantSame(t, "returned head", head, r.RunHead)
		s.wantRun(t, r)
	})
	t.Run("of several that claim at once, one wins", func(t *testing.T) {
		for range 3 {
			r := s.pending(t)
			claims := make([]boathook.Claim, 4)
			won := atOnce(t, len(claims), func(ctx context.Context, i int) error {
				claims[i] = s.newClaim()
				_, err := s.ClaimRun(ctx, r.ID, claims[i], s.clock.Now())
				return err
			})
			if len(won) != 1 {
				t.Fatalf("%d won", len(won))
			}
			wantSame(t, "claim", read(s.RunHead(t.Context(), r.ID))(t).Claim, claims[won[0]])
		}
	})
	t.Run("in any other state it is a conflict, which gives the head as it is", func(t *testing.T) {
		running, claim := s.running(t)
		for _, r := range []boathook.Run{running, s.over(t)} {
			for _, c := range []boathook.Claim{s.newClaim(), claim} {
				head, err := s.ClaimRun(t.Context(), r.ID, c, s.clock.Now().Add(time.Hour))
				wantKind(t, "ClaimRun", err, boathook.Conflict)
				wantSame(t, "returned head", head, r.RunHead)
			}
			s.wantRun(t, r)
		}
	})
	t.Run("an absent one is not found, and not made", func(t *testing.T) {
		r := s.newRun()
		_, err := s.ClaimRun(t.Context(), r.ID, s.newClaim(), s.clock.Now())
		wantKind(t, "ClaimRun", err, boathook.NotFound)
		s.wantNoRun(t, r)
	})
}

func (s *suite) testRenewLease(t *testing.T) {
	t.Run("the lease moves, and nothing else", func(t *testing.T) {
		r, claim := s.running(t)
		claim.LeaseUntil = claim.LeaseUntil.Add(20 * time.Second)
		for range 2 {
			if read(s.RenewLease(t.Context(), r.ID, claim))(t) {
				t.Error("a cancel was asked for")
			}
			r.Claim = claim
			s.wantRun(t, r)
		}
	})
	t.Run("it tells of a cancel that was asked for", func(t *testing.T) {
		r, claim := s.running(t)
		read(s.RequestCancel(t.Context(), r.ID, s.clock.Now()))(t)
		if !read(s.RenewLease(t.Context(), r.ID, claim))(t) {
			t.Error("no cancel was asked for")
		}
	})
	t.Run("with another claim, or when the run does not run, it is a conflict", func(t *testing.T) {
		running, _ := s.running(t)
		over := s.over(t)
		for name, c := range map[string]struct {
			run   boathook.Run
			claim boathook.Claim
		}{
			"another claim": {running, s.newClaim()},
			"pending":       {s.pending(t), s.newClaim()},
			"over":          {over, over.Claim},
		} {
			c.claim.LeaseUntil = s.clock.Now().Add(time.Hour)
			_, err := s.RenewLease(t.Context(), c.run.ID, c.claim)
			wantKind(t, name, err, boathook.Conflict)
			s.wantRun(t, c.run)
		}
	})
	t.Run("an absent run is not found, and not made", func(t *testing.T) {
		r := s.newRun()
		_, err := s.RenewLease(t.Context(), r.ID, s.newClaim())
		wantKind(t, "RenewLease", err, boathook.NotFound)
		s.wantNoRun(t, r)
	})
}

func (s *suite) testFinishRun(t *testing.T) {
	failed := boathook.Outcome{
		Status: boathook.RunFailed, Error: "exit status 7", ExitCode: new(7), CompletedAt: s.clock.Now().Add(time.Second),
	}
	for name, outcome := range map[string]boathook.Outcome{
		"succeeded, with an output": s.succeeded(),
		"succeeded, without":        {Status: boathook.RunSucceeded, CompletedAt: s.clock.Now()},
		"failed":                    failed,
		"canceled":                  {Status: boathook.RunCanceled, Error: "canceled while running", CompletedAt: s.clock.Now(), LogLines: 1},
	} {
		t.Run("a running run is over: "+name, func(t *testing.T) {
			r, claim := s.running(t)
			head := read(s.FinishRun(t.Context(), r.ID, claim, outcome))(t)
			r.Status, r.Error, r.ExitCode = outcome.Status, outcome.Error, outcome.ExitCode
			r.CompletedAt, r.LogLines, r.Output = outcome.CompletedAt, outcome.LogLines, outcome.Output
			r.Published = outcome.Status == boathook.RunCanceled // there is nothing to publish
			r.Claim = head.Claim                                 // whether it stays is not promised
			wantSame(t, "returned head", head, r.RunHead)
			s.wantRun(t, r)
		})
	}

	t.Run("the lease in the claim must be the run's own, or zero", func(t *testing.T) {
		r, claim := s.running(t)
		stale := claim
		claim.LeaseUntil = claim.LeaseUntil.Add(20 * time.Second)
		read(s.RenewLease(t.Context(), r.ID, claim))(t)
		r.Claim = claim

		_, err := s.FinishRun(t.Context(), r.ID, stale, failed)
		wantKind(t, "with the lease from before the heartbeat", err, boathook.Conflict)
		s.wantRun(t, r)
		read(s.FinishRun(t.Context(), r.ID, claim, failed))(t)

		r, claim = s.running(t)
		read(s.FinishRun(t.Context(), r.ID, boathook.Claim{ID: claim.ID}, failed))(t)
	})
	t.Run("a lease is compared to the millisecond", func(t *testing.T) {
		r, claim := s.pending(t), s.newClaim()
		claim.LeaseUntil = claim.LeaseUntil.Add(123456 * time.Nanosecond)
		read(s.ClaimRun(t.Context(), r.ID, claim, s.clock.Now()))(t)
		read(s.FinishRun(t.Context(), r.ID, claim, failed))(t)
	})
	t.Run("with another claim it is a conflict, and its output is not the run's", func(t *testing.T) {
		r, claim := s.running(t)
		_, err := s.FinishRun(t.Context(), r.ID, s.newClaim(), s.succeeded())
		wantKind(t, "FinishRun", err, boathook.Conflict)
		s.wantRun(t, r)

		r.RunHead = read(s.FinishRun(t.Context(), r.ID, claim, failed))(t)
		s.wantRun(t, r)
	})
	t.Run("a pending run is a conflict", func(t *testing.T) {
		r := s.pending(t)
		_, err := s.FinishRun(t.Context(), r.ID, s.newClaim(), s.succeeded())
		wantKind(t, "FinishRun", err, boathook.Conflict)
		s.wantRun(t, r)
	})
	t.Run("a run that is over keeps its first outcome", func(t *testing.T) {
		r, claim := s.running(t)
		first := s.succeeded()
		r.RunHead, r.Output = read(s.FinishRun(t.Context(), r.ID, claim, first))(t), first.Output
		second := first
		second.Output = json.RawMessage(`{"second":true}`)
		for _, again := range []boathook.Outcome{first, second, failed} {
			_, err := s.FinishRun(t.Context(), r.ID, claim, again)
			wantKind(t, "FinishRun again", err, boathook.Conflict)
			s.wantRun(t, r)
		}
	})
	t.Run("of several outcomes at once, one is the run's", func(t *testing.T) {
		r, claim := s.running(t)
		won := atOnce(t, 4, func(ctx context.Context, i int) error {
			o := failed
			o.ExitCode = &i
			_, err := s.FinishRun(ctx, r.ID, claim, o)
			return err
		})
		if len(won) != 1 {
			t.Fatalf("%d won", len(won))
		}
		wantSame(t, "exit code", *read(s.RunHead(t.Context(), r.ID))(t).ExitCode, won[0])
	})
	t.Run("an absent run is not found, and not made", func(t *testing.T) {
		r := s.newRun()
		_, err := s.FinishRun(t.Context(), r.ID, s.newClaim(), s.succeeded())
		wantKind(t, "FinishRun", err, boathook.NotFound)
		s.wantNoRun(t, r)
	})
}

func (s *suite) testMarkPublished(t *testing.T) {
	t.Run("a run is published, however often", func(t *testing.T) {
		r := s.over(t)
		if r.Published {
			t.Error("it was published from the start")
		}
		r.Published = true
		for range 2 {
			must(t, s.MarkPublished(t.Context(), r.ID))
			s.wantRun(t, r)
		}
	})
	t.Run("an absent run is not found, and not made", func(t *testing.T) {
		r := s.newRun()
		wantKind(t, "MarkPublished", s.MarkPublished(t.Context(), r.ID), boathook.NotFound)
		s.wantNoRun(t, r)
	})
}

func (s *suite) testMarkRetried(t *testing.T) {
	t.Run("a run tells of its newest retry, in whatever order it learns of them", func(t *testing.T) {
		r := s.over(t)
		at := func(d time.Duration) boathook.Retry {
			return boathook.Retry{RunID: boathook.NewID(boathook.RunID), At: s.clock.Now().Add(d), StartsAt: s.clock.Now().Add(2 * d)}
		}
		first, second, third := at(time.Second), at(1500*time.Millisecond), at(20*time.Second)
		for _, step := range []struct{ by, newest boathook.Retry }{
			{first, first}, {first, first}, {third, third}, {second, third}, {first, third}, {third, third},
		} {
			must(t, s.MarkRetried(t.Context(), r.ID, step.by))
			r.RetriedBy = step.newest
			s.wantRun(t, r)
		}
	})
	t.Run("of two at one time, one is the newest for everybody", func(t *testing.T) {
		one, other := s.over(t), s.over(t)
		at := s.clock.Now().Add(time.Second)
		a, b := boathook.Retry{RunID: "run_a", At: at}, boathook.Retry{RunID: "run_b", At: at}
		for _, by := range []boathook.Retry{a, b} {
			must(t, s.MarkRetried(t.Context(), one.ID, by))
		}
		for _, by := range []boathook.Retry{b, a} {
			must(t, s.MarkRetried(t.Context(), other.ID, by))
		}
		one.RetriedBy, other.RetriedBy = b, b
		s.wantRun(t, one)
		s.wantRun(t, other)
	})
	t.Run("a run is created as one that was retried", func(t *testing.T) {
		r := s.newRun()
		r.RetriedBy = boathook.Retry{RunID: boathook.NewID(boathook.RunID), At: s.clock.Now(), StartsAt: s.clock.Now().Add(time.Minute)}
		r.RetryNumber, r.StartsAt = 3, s.clock.Now().Add(time.Second)
		must(t, s.CreateRun(t.Context(), r))
		s.wantRun(t, r)
	})
	t.Run("an absent run is left alone, and not made", func(t *testing.T) {
		r := s.newRun()
		must(t, s.MarkRetried(t.Context(), r.ID, boathook.Retry{RunID: boathook.NewID(boathook.RunID), At: s.clock.Now()}))
		s.wantNoRun(t, r)
	})
}

func (s *suite) testMoveVersion(t *testing.T) {
	v := boathook.LiveVersion{ID: boathook.NewID(boathook.VersionID), Number: 9}
	t.Run("a pending run has another version, and is claimed with it", func(t *testing.T) {
		r := s.pending(t)
		must(t, s.MoveVersion(t.Context(), r.ID, v))
		must(t, s.MoveVersion(t.Context(), r.ID, v))
		r.VersionID, r.VersionNumber = v.ID, v.Number
		s.wantRun(t, r)
	})
	t.Run("a run that is running or over keeps its own", func(t *testing.T) {
		running, _ := s.running(t)
		for _, r := range []boathook.Run{running, s.over(t)} {
			must(t, s.MoveVersion(t.Context(), r.ID, v))
			s.wantRun(t, r)
		}
	})
	t.Run("an absent run is left alone, and not made", func(t *testing.T) {
		r := s.newRun()
		must(t, s.MoveVersion(t.Context(), r.ID, v))
		s.wantNoRun(t, r)
	})
}

func (s *suite) testRequestCancel(t *testing.T) {
	t.Run("a pending run is canceled at once, and there is nothing to publish", func(t *testing.T) {
		r := s.pending(t)
		now := s.clock.Now().Add(time.Second)
		head := read(s.RequestCancel(t.Context(), r.ID, now))(t)
		r.Status, r.CompletedAt, r.Published = boathook.RunCanceled, now, true
		r.Error, r.CancelRequested = head.Error, head.CancelRequested // whether they are set is not promised
		wantSame(t, "returned head", head, r.RunHead)
		s.wantRun(t, r)

		head, err := s.ClaimRun(t.Context(), r.ID, s.newClaim(), s.clock.Now())
		wantKind(t, "ClaimRun", err, boathook.Conflict)
		wantSame(t, "head of the conflict", head, r.RunHead)
	})
	t.Run("a running run is flagged, however often", func(t *testing.T) {
		r, claim := s.running(t)
		r.CancelRequested = true
		for range 2 {
			wantSame(t, "returned head", read(s.RequestCancel(t.Context(), r.ID, s.clock.Now()))(t), r.RunHead)
			s.wantRun(t, r)
		}
		head := read(s.FinishRun(t.Context(), r.ID, claim, s.succeeded()))(t)
		wantSame(t, "status of a run that succeeded all the same", head.Status, boathook.RunSucceeded)
	})
	t.Run("a run that is over is a conflict", func(t *testing.T) {
		canceled := s.pending(t)
		canceled.RunHead = read(s.RequestCancel(t.Context(), canceled.ID, s.clock.Now()))(t)
		for _, r := range []boathook.Run{s.over(t), canceled} {
			_, err := s.RequestCancel(t.Context(), r.ID, s.clock.Now().Add(time.Hour))
			wantKind(t, "RequestCancel", err, boathook.Conflict)
			s.wantRun(t, r)
		}
	})
	t.Run("an absent run is not found, and not made", func(t *testing.T) {
		r := s.newRun()
		_, err := s.RequestCancel(t.Context(), r.ID, s.clock.Now())
		wantKind(t, "RequestCancel", err, boathook.NotFound)
		s.wantNoRun(t, r)
	})
	t.Run("of a claim and a cancel at once, the run is canceled or learns of it", func(t *testing.T) {
		for range 3 {
			r, claim := s.pending(t), s.newClaim()
			claimed := false
			atOnce(t, 2, func(ctx context.Context, i int) error {
				if i == 0 {
					_, err := s.RequestCancel(ctx, r.ID, s.clock.Now())
					return err
				}
				_, err := s.ClaimRun(ctx, r.ID, claim, s.clock.Now())
				claimed = err == nil
				return err
			})
			head := read(s.RunHead(t.Context(), r.ID))(t)
			if claimed && !(head.Status == boathook.RunRunning && head.CancelRequested) || !claimed && head.Status != boathook.RunCanceled {
				t.Errorf("claimed: %t, then %s with a cancel requested: %t", claimed, head.Status, head.CancelRequested)
			}
		}
	})
}

// runsOf is the list of the runs of r's source.
func (s *suite) runsOf(r boathook.Run) list[boathook.Run] {
	return s.runsWhere(store.RunQuery{WorkspaceID: r.WorkspaceID, SourceID: r.SourceID})
}

// runsWhere adds to the query's source or, where it has none, to two of its kind
// in turn.
func (s *suite) runsWhere(q store.RunQuery) list[boathook.Run] {
	added := 0
	sourceIDs := []string{q.SourceID}
	if q.SourceID == "" {
		kind := boathook.DeploymentID
		if q.Kind == boathook.Agent {
			kind = boathook.AgentID
		}
		sourceIDs = []string{boathook.NewID(kind), boathook.NewID(kind)}
	}
	return list[boathook.Run]{
		page: func(ctx context.Context, p boathook.Page) ([]boathook.Run, string, error) {
			q := q
			q.Page = p
			return s.Runs(ctx, q)
		},
		add: func(t *testing.T, at time.Time) string {
			r := s.newRun()
			r.WorkspaceID, r.SourceID, r.CreatedAt = q.WorkspaceID, sourceIDs[added%len(sourceIDs)], at
			must(t, s.CreateRun(t.Context(), r))
			added++
			return r.ID
		},
		id:   func(r boathook.Run) string { return r.ID },
		time: func(r boathook.Run) time.Time { return r.CreatedAt },
	}
}

// testRuns is about runs of a deployment. Each subtest stands for itself;
// together they count as one function.
func (s *suite) testRuns(t *testing.T) {
	workspaceID, sourceID := boathook.NewID(boathook.WorkspaceID), boathook.NewID(boathook.DeploymentID)
	one := s.runsWhere(store.RunQuery{WorkspaceID: workspaceID, SourceID: sourceID})
	several := s.runsWhere(store.RunQuery{WorkspaceID: boathook.NewID(boathook.WorkspaceID), Kind: boathook.Deployment})

	t.Run("a source's are listed newest first, in pages", func(t *testing.T) {
		one.test(t, s.clock.Now())
	})
	t.Run("so are those of all of a workspace's deployments", func(t *testing.T) {
		several.test(t, s.clock.Now())
	})
	t.Run("the agents' are another list", func(t *testing.T) {
		before := several.all(t, boathook.Page{Limit: 200})
		workspaceID := before[0].WorkspaceID
		agents := s.runsWhere(store.RunQuery{WorkspaceID: workspaceID, Kind: boathook.Agent})
		added := []string{agents.add(t, s.clock.Now()), agents.add(t, s.clock.Now().Add(-time.Second))}
		wantSame(t, "runs of agents", agents.ids(agents.all(t, boathook.Page{Limit: 200})), added)
		wantSame(t, "runs of deployments", several.all(t, boathook.Page{Limit: 3}), before)
		_, cursor, err := several.page(t.Context(), boathook.Page{Limit: 1})
		must(t, err)
		agents.testForeign(t, cursor)
	})
	t.Run("another list's cursor gives nothing of it", func(t *testing.T) {
		_, cursor, err := several.page(t.Context(), boathook.Page{Limit: 1})
		must(t, err)
		one.testForeign(t, cursor)
	})
	t.Run("another workspace's are not listed", func(t *testing.T) {
		other := boathook.NewID(boathook.WorkspaceID)
		for _, query := range []store.RunQuery{{WorkspaceID: other, SourceID: sourceID}, {WorkspaceID: other, Kind: boathook.Deployment}} {
			wantSame(t, "runs", s.runsWhere(query).all(t, boathook.Page{Limit: 3}), []boathook.Run(nil))
		}
	})

	t.Run("a page of long ones ends early", func(t *testing.T) {
		sourceID := boathook.NewID(boathook.DeploymentID)
		const n, length = 20, 256 << 10 // five MiB in all
		for i := range n {
			r := s.newRun()
			r.WorkspaceID, r.SourceID, r.CreatedAt = workspaceID, sourceID, s.clock.Now().Add(time.Duration(i)*time.Second)
			r.Input = boathook.NewBody([]byte(`"` + strings.Repeat("x", length-2) + `"`))
			r.InputHash = boathook.HashInput(r.Input.Bytes())
			must(t, s.CreateRun(t.Context(), r))
		}
		long := s.runsWhere(store.RunQuery{WorkspaceID: workspaceID, SourceID: sourceID})
		first, cursor, err := long.page(t.Context(), boathook.Page{Limit: 200})
		must(t, err)
		if len(first) == 0 || len(first) >= n || cursor == "" {
			t.Fatalf("the first page has %d of %d runs, its cursor is %q", len(first), n, cursor)
		}
		if all := long.all(t, boathook.Page{Limit: 200}); len(all) != n {
			t.Errorf("all pages have %d of %d runs", len(all), n)
		}
	})

	t.Run("one among many is found in pages that look at few", func(t *testing.T) {
		query := store.RunQuery{
			WorkspaceID: boathook.NewID(boathook.WorkspaceID), Kind: boathook.Deployment, Statuses: []boathook.RunStatus{boathook.RunFailed},
		}
		var failed string
		sourceID := boathook.NewID(boathook.DeploymentID)
		for i := range manyOthers + 1 {
			r := s.newRun()
			r.WorkspaceID, r.SourceID, r.CreatedAt = query.WorkspaceID, sourceID, r.CreatedAt.Add(time.Duration(i)*time.Second)
			r.Status = boathook.RunSucceeded
			if i == 0 {
				r.Status, failed = boathook.RunFailed, r.ID
			}
			must(t, s.CreateRun(t.Context(), r))
		}
		for _, query.SourceID = range []string{"", sourceID} {
			s.runsWhere(query).testRare(t, failed)
			s.headsWhere(query).testRare(t, failed)
		}
	})

	t.Run("one that is not over is found at once, however many others its source has", func(t *testing.T) {
		workspaceID, sourceID := boathook.NewID(boathook.WorkspaceID), boathook.NewID(boathook.DeploymentID)
		create := func(i int, status boathook.RunStatus) boathook.Run {
			r := s.newRun()
			r.WorkspaceID, r.SourceID, r.Status, r.CreatedAt = workspaceID, sourceID, status, r.CreatedAt.Add(time.Duration(i)*time.Second)
			must(t, s.CreateRun(t.Context(), r))
			return r
		}
		want := map[boathook.RunStatus]boathook.Run{boathook.RunPending: create(0, boathook.RunPending), boathook.RunRunning: create(1, boathook.RunPending)}
		running := want[boathook.RunRunning]
		running.RunHead = read(s.ClaimRun(t.Context(), running.ID, s.newClaim(), s.clock.Now()))(t)
		want[boathook.RunRunning] = running
		for i := range manyOthers {
			create(i+2, boathook.RunSucceeded)
		}
		for status, r := range want {
			query := store.RunQuery{WorkspaceID: workspaceID, SourceID: sourceID, Statuses: []boathook.RunStatus{status}}
			got, next, err := s.runsWhere(query).page(t.Context(), boathook.Page{Limit: 2, Look: 8})
			must(t, err)
			wantSame(t, "the page of "+string(status), got, []boathook.Run{r})
			if next != "" {
				t.Errorf("the only page of %s has a next one", status)
			}
		}
	})

	t.Run("they can be selected by status and environment, and are shown whole", func(t *testing.T) {
		query := store.RunQuery{WorkspaceID: boathook.NewID(boathook.WorkspaceID), Kind: boathook.Deployment}
		sourceID := boathook.NewID(boathook.DeploymentID)
		var all []boathook.Run // newest first
		create := func(env boathook.Environment) boathook.Run {
			r := s.newRun()
			r.WorkspaceID, r.SourceID, r.Environment = query.WorkspaceID, sourceID, env
			r.CreatedAt = r.CreatedAt.Add(time.Duration(len(all)) * time.Second)
			must(t, s.CreateRun(t.Context(), r))
			all = slices.Insert(all, 0, r)
			return r
		}
		for _, env := range boathook.Environments {
			create(env)
			read(s.RequestCancel(t.Context(), create(env).ID, s.clock.Now()))(t)
			read(s.ClaimRun(t.Context(), create(env).ID, s.newClaim(), s.clock.Now()))(t)
			for _, status := range []boathook.RunStatus{boathook.RunSucceeded, boathook.RunFailed, boathook.RunSucceeded} {
				r, claim, outcome := create(env), s.newClaim(), s.succeeded()
				outcome.Status = status
				read(s.ClaimRun(t.Context(), r.ID, claim, s.clock.Now()))(t)
				read(s.FinishRun(t.Context(), r.ID, claim, outcome))(t)
			}
		}
		for i, r := range all {
			all[i] = read(s.Run(t.Context(), r.WorkspaceID, r.ID))(t)
		}
		for _, status := range []boathook.RunStatus{
			"", boathook.RunPending, boathook.RunRunning, boathook.RunSucceeded, boathook.RunFailed, boathook.RunCanceled,
		} {
			for _, env := range []boathook.Environment{"", boathook.Production, boathook.Staging} {
				query.Statuses, query.Environment = nil, env
				if status != "" {
					query.Statuses = []boathook.RunStatus{status}
				}
				want := slices.DeleteFunc(slices.Clone(all), func(r boathook.Run) bool {
					return status != "" && r.Status != status || env != "" && r.Environment != env
				})
				for _, query.SourceID = range []string{"", sourceID} {
					got := s.runsWhere(query).all(t, boathook.Page{Limit: 3})
					wantSame(t, fmt.Sprintf("status %q, environment %q, source %q", status, env, query.SourceID), got, want)
					wantSame(t, fmt.Sprintf("heads of status %q, environment %q, source %q", status, env, query.SourceID),
						s.headsWhere(query).all(t, boathook.Page{Limit: 3}), headsOf(want))
				}
			}
		}
		query.Environment = ""
		query.Statuses = []boathook.RunStatus{boathook.RunPending, boathook.RunFailed}
		either := slices.DeleteFunc(slices.Clone(all), func(r boathook.Run) bool { return !slices.Contains(query.Statuses, r.Status) })
		wantSame(t, "two statuses", s.runsWhere(query).all(t, boathook.Page{Limit: 3}), either)
	})

	t.Run("they are counted by status, beside a page of them", func(t *testing.T) {
		workspaceID := boathook.NewID(boathook.WorkspaceID)
		agents := []string{boathook.NewID(boathook.AgentID), boathook.NewID(boathook.AgentID)}
		statuses := []boathook.RunStatus{
			boathook.RunSucceeded, boathook.RunFailed, boathook.RunSucceeded, boathook.RunTimedOut, boathook.RunCanceled, boathook.RunPending, boathook.RunRunning,
		}
		var all []boathook.Run // newest first
		for i := range 2 * len(statuses) {
			r, claim := s.newRun(), s.newClaim()
			r.WorkspaceID, r.SourceID, r.CreatedAt = workspaceID, agents[i/len(statuses)], r.CreatedAt.Add(time.Duration(i)*time.Second)
			status := statuses[i%len(statuses)]
			if status != boathook.RunRunning {
				r.Status = status
			}
			must(t, s.CreateRun(t.Context(), r))
			if status == boathook.RunRunning {
				r.RunHead = read(s.ClaimRun(t.Context(), r.ID, claim, s.clock.Now()))(t)
			}
			all = slices.Insert(all, 0, r)
		}
		for _, sourceID := range append(agents, "", boathook.NewID(boathook.AgentID)) {
			for _, since := range []int{5, len(all) - 1} {
				q := store.CountQuery{WorkspaceID: workspaceID, Kind: boathook.Agent, SourceID: sourceID, Since: all[since].CreatedAt}
				want := boathook.RunCounts{ByStatus: make(map[boathook.RunStatus]int)}
				for i, r := range all {
					if sourceID != "" && r.SourceID != sourceID {
						continue
					}
					status := r.Status
					if status == boathook.RunRunning {
						status = boathook.RunPending
					}
					want.ByStatus[status]++
					if i <= since {
						want.Since++
					}
				}
				heads, counts, err := s.CountedRuns(t.Context(), q)
				must(t, err)
				wantSame(t, fmt.Sprintf("counts of %q since %d", sourceID, since), counts, want)
				wantSame(t, "a page of none", heads, []boathook.RunHead(nil))
			}
			for _, chosen := range [][]boathook.RunStatus{nil, {boathook.RunSucceeded}, {boathook.RunRunning, boathook.RunPending}} {
				of := headsOf(slices.DeleteFunc(slices.Clone(all), func(r boathook.Run) bool {
					return sourceID != "" && r.SourceID != sourceID || len(chosen) > 0 && !slices.Contains(chosen, r.Status)
				}))
				for _, skip := range []int{0, max(len(of)-1, 0), len(of) + 1} {
					want := of[min(skip, len(of)):min(skip+2, len(of))]
					heads, _, err := s.CountedRuns(t.Context(), store.CountQuery{
						WorkspaceID: workspaceID, Kind: boathook.Agent, SourceID: sourceID, Statuses: chosen, Skip: skip, Limit: 2,
					})
					must(t, err)
					wantSame(t, fmt.Sprintf("of %q, statuses %q, after %d", sourceID, chosen, skip), heads, want)
				}
			}
		}
		for _, foreign := range []store.CountQuery{
			{WorkspaceID: boathook.NewID(boathook.WorkspaceID), Kind: boathook.Agent, Limit: 10},
			{WorkspaceID: boathook.NewID(boathook.WorkspaceID), Kind: boathook.Agent, SourceID: agents[0], Limit: 10},
			{WorkspaceID: workspaceID, Kind: boathook.Deployment, Limit: 10},
		} {
			heads, counts, err := s.CountedRuns(t.Context(), foreign)
			must(t, err)
			if len(heads) > 0 || len(counts.ByStatus) > 0 || counts.Since > 0 {
				t.Errorf("%+v: %v, %+v", foreign, heads, counts)
			}
		}
	})
}

func headsOf(runs []boathook.Run) (heads []boathook.RunHead) {
	for _, r := range runs {
		heads = append(heads, r.RunHead)
	}
	return heads
}

// headsWhere is the list of the heads that a query selects.
func (s *suite) headsWhere(q store.RunQuery) list[boathook.RunHead] {
	return list[boathook.RunHead]{
		page: func(ctx context.Context, p boathook.Page) ([]boathook.RunHead, string, error) {
			q.Page = p
			return s.RunHeads(ctx, q)
		},
		id: func(h boathook.RunHead) string { return h.ID },
	}
}

func (s *suite) testAnyActive(t *testing.T) {
	active := func(r boathook.Run) bool {
		t.Helper()
		return read(s.AnyActive(t.Context(), r.SourceID))(t)
	}
	r := s.newRun()
	if active(r) {
		t.Error("a source without runs is active")
	}
	over := s.newRun()
	over.SourceID, over.Status = r.SourceID, boathook.RunFailed
	must(t, s.CreateRun(t.Context(), over))
	if active(r) {
		t.Error("a source whose runs are over is active")
	}

	r.CreatedAt = r.CreatedAt.Add(-time.Hour)
	must(t, s.CreateRun(t.Context(), r))
	if !active(r) {
		t.Error("a source with a pending run is not active")
	}
	claim := s.newClaim()
	read(s.ClaimRun(t.Context(), r.ID, claim, s.clock.Now()))(t)
	if !active(r) {
		t.Error("a source with a running run is not active")
	}
	read(s.FinishRun(t.Context(), r.ID, claim, s.succeeded()))(t)
	if active(r) {
		t.Error("a source whose last run is over is active")
	}
}

// testLogs is about logs of runs. Each subtest stands for itself;
// together they count as one function.
func (s *suite) testLogs(t *testing.T) {
	lines := func(first int, texts ...string) (lines []boathook.LogLine) {
		for i, text := range texts {
			lines = append(lines, boathook.LogLine{
				Time: s.clock.Now().Add(time.Duration(first+i) * time.Millisecond), Stream: "stdout", Text: text,
			})
		}
		return lines
	}
	const unlimited = boathook.MaxRunLog

	t.Run("a run that printed nothing has no lines", func(t *testing.T) {
		r, _ := s.running(t)
		_, got, err := s.Log(t.Context(), r.ID, 0, unlimited)
		must(t, err)
		wantSame(t, "lines", got, []boathook.LogLine(nil))
		if n, err := s.LogLines(t.Context(), r.ID); n != 0 || err != nil {
			t.Errorf("%d lines are counted, %v", n, err)
		}
	})
	t.Run("lines read back in order, from the chunk that holds the one asked for", func(t *testing.T) {
		r, _ := s.running(t)
		all := lines(0, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l")
		chunks := []int{0, 3, 4, 10, len(all)} // starts, and the end
		for i, first := range chunks[:len(chunks)-1] {
			must(t, s.AppendLog(t.Context(), r.RunHead, first, all[first:chunks[i+1]]))
		}
		for from, wantFirst := range []int{0, 0, 0, 3, 4, 4, 4, 4, 4, 4, 10, 10} {
			first, got, err := s.Log(t.Context(), r.ID, from, unlimited)
			must(t, err)
			if first != wantFirst {
				t.Errorf("from %d: the first line is %d, want %d", from, first, wantFirst)
			}
			wantSame(t, fmt.Sprintf("lines from %d", from), got, all[wantFirst:])
		}
		if n, err := s.LogLines(t.Context(), r.ID); n != len(all) || err != nil {
			t.Errorf("%d lines are counted, %v; want %d", n, err, len(all))
		}
		for _, from := range []int{len(all), len(all) + 5} {
			_, got, err := s.Log(t.Context(), r.ID, from, unlimited)
			must(t, err)
			wantSame(t, "lines after the end", got, []boathook.LogLine(nil))
		}
	})
	t.Run("the same chunk again changes nothing", func(t *testing.T) {
		r, _ := s.running(t)
		all := lines(0, "a", "b", "c")
		for range 2 {
			must(t, s.AppendLog(t.Context(), r.RunHead, 0, all[:2]))
		}
		must(t, s.AppendLog(t.Context(), r.RunHead, 2, all[2:]))
		must(t, s.AppendLog(t.Context(), r.RunHead, 0, all[:2]))
		_, got, err := s.Log(t.Context(), r.ID, 0, unlimited)
		must(t, err)
		wantSame(t, "lines", got, all)
	})
	t.Run("a chunk that has grown replaces the one before", func(t *testing.T) {
		r, _ := s.running(t)
		all := lines(0, "a", "b", "c", "d")
		must(t, s.AppendLog(t.Context(), r.RunHead, 0, all[:1]))
		must(t, s.AppendLog(t.Context(), r.RunHead, 1, all[1:2]))
		must(t, s.AppendLog(t.Context(), r.RunHead, 1, all[1:3]))
		must(t, s.AppendLog(t.Context(), r.RunHead, 3, all[3:]))
		_, got, err := s.Log(t.Context(), r.ID, 0, unlimited)
		must(t, err)
		wantSame(t, "lines", got, all)
	})
	t.Run("any text is kept", func(t *testing.T) {
		r, _ := s.running(t)
		all := lines(0, "", "é⚓ \u2028", "tab\tbell\x07nul\x00", `{"a":"<b>&\u00e9"}`, string(printable(boathook.MaxLogLine)))
		all[1].Stream = "stderr"
		must(t, s.AppendLog(t.Context(), r.RunHead, 0, all))
		_, got, err := s.Log(t.Context(), r.ID, 0, unlimited)
		must(t, err)
		wantSame(t, "lines", got, all)
	})
	t.Run("a long log is read in parts of whole chunks, without a gap", func(t *testing.T) {
		r, _ := s.running(t)
		const chunks, chunkLines, lineSize = 12, 4, 1 << 10
		text := printable(chunks * chunkLines * lineSize)
		var all []boathook.LogLine
		for line := range slices.Chunk(text, lineSize) {
			all = append(all, lines(len(all), string(line))...)
		}
		for first := 0; first < len(all); first += chunkLines {
			must(t, s.AppendLog(t.Context(), r.RunHead, first, all[first:first+chunkLines]))
		}
		_, got, err := s.Log(t.Context(), r.ID, 0, 2*chunkLines*lineSize)
		must(t, err)
		if len(got) == 0 || len(got) > chunks/2*chunkLines {
			t.Errorf("%d lines of %d bytes, when about %d bytes were asked for", len(got), lineSize, 2*chunkLines*lineSize)
		}
		for _, maxBytes := range []int{1, 3 * chunkLines * lineSize} {
			var parts []boathook.LogLine
			for len(parts) < len(all) {
				first, part, err := s.Log(t.Context(), r.ID, len(parts), maxBytes)
				must(t, err)
				if first != len(parts) || len(part) == 0 || len(part)%chunkLines != 0 {
					t.Fatalf("from %d, %d bytes: %d lines from %d", len(parts), maxBytes, len(part), first)
				}
				parts = append(parts, part...)
			}
			wantSame(t, "all parts together", parts, all)
		}
	})
	t.Run("numbers of more digits come after those of fewer", func(t *testing.T) {
		r, _ := s.running(t)
		all := lines(0, make([]string, 1002)...)
		chunks := []int{0, 2, 9, 10, 99, 100, 1000, len(all)}
		for i, first := range chunks[:len(chunks)-1] {
			must(t, s.AppendLog(t.Context(), r.RunHead, first, all[first:chunks[i+1]]))
		}
		_, got, err := s.Log(t.Context(), r.ID, 0, unlimited)
		must(t, err)
		wantSame(t, "lines", got, all)
	})
	t.Run("another run's lines are its own", func(t *testing.T) {
		one, _ := s.running(t)
		other, _ := s.running(t)
		must(t, s.AppendLog(t.Context(), one.RunHead, 0, lines(0, "one's")))
		must(t, s.AppendLog(t.Context(), other.RunHead, 0, lines(0, "other's")))
		_, got, err := s.Log(t.Context(), one.ID, 0, unlimited)
		must(t, err)
		wantSame(t, "lines", got, lines(0, "one's"))
	})
}
