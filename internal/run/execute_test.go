package run_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/delivery"
	"boathook/internal/queue"
	queuemem "boathook/internal/queue/mem"
	"boathook/internal/run"
	"boathook/internal/run/target"
	"boathook/internal/store"
	storemem "boathook/internal/store/mem"
	"boathook/internal/testing/fixture"
)

var errDown = errors.New("down")

// faulty is the embedded store; before each call it asks fail, if that is set.
type faulty struct {
	*storemem.Store
	fail func(call string) error
}

func (f *faulty) before(call string) error {
	if f.fail == nil {
		return nil
	}
	return f.fail(call)
}

func (f *faulty) Version(ctx context.Context, sourceID, id string) (boathook.Version, error) {
	if err := f.before("Version"); err != nil {
		return boathook.Version{}, err
	}
	return f.Store.Version(ctx, sourceID, id)
}

func (f *faulty) ClaimRun(ctx context.Context, id string, c boathook.Claim, at time.Time) (boathook.RunHead, error) {
	if err := f.before("ClaimRun"); err != nil {
		return boathook.RunHead{}, err
	}
	return f.Store.ClaimRun(ctx, id, c, at)
}

func (f *faulty) RenewLease(ctx context.Context, id string, c boathook.Claim) (bool, error) {
	if err := f.before("RenewLease"); err != nil {
		return false, err
	}
	return f.Store.RenewLease(ctx, id, c)
}

func (f *faulty) FinishRun(ctx context.Context, id string, c boathook.Claim, o boathook.Outcome) (boathook.RunHead, error) {
	if err := f.before("FinishRun"); err != nil {
		return boathook.RunHead{}, err
	}
	head, err := f.Store.FinishRun(ctx, id, c, o)
	if err == nil {
		err = f.before("after FinishRun")
	}
	return head, err
}

func (f *faulty) AppendLog(ctx context.Context, run boathook.RunHead, first int, lines []boathook.LogLine) error {
	if err := f.before("AppendLog"); err != nil {
		return err
	}
	return f.Store.AppendLog(ctx, run, first, lines)
}

// does is a target made of a function.
type does func(ctx context.Context, job target.Job, log target.Log) target.Result

func (d does) Run(ctx context.Context, job target.Job, log target.Log) target.Result {
	return d(ctx, job, log)
}

// place is an executor with what is around it.
type place struct {
	fixture.Deployment
	*run.Executor
	store      *faulty
	deliveries *queuemem.Queue
	runs       *queuemem.Queue
	executions atomic.Int64
	watch      watcher // of agents' runs; nil watches nothing
}

// watcher is a stream made of a function.
type watcher func(ctx context.Context, run boathook.RunHead, lines []boathook.LogLine)

func (p *place) Lines(ctx context.Context, run boathook.RunHead, lines []boathook.LogLine) {
	if p.watch != nil {
		p.watch(ctx, run, lines)
	}
}

func newPlace(t *testing.T, d does) *place {
	t.Helper()
	p := &place{
		store:      &faulty{Store: storemem.New(storemem.Config{Retention: 30 * 24 * time.Hour})},
		deliveries: queuemem.New(queuemem.Config{Visibility: time.Hour}),
		runs:       queuemem.New(queuemem.Config{Visibility: time.Hour}),
	}
	p.Deployment = fixture.New(t, p.store, "https://receiver.example")
	log := slog.New(slog.DiscardHandler)
	p.Executor = run.New(run.Config{
		Store: p.store,
		Targets: does(func(ctx context.Context, job target.Job, log target.Log) target.Result {
			p.executions.Add(1)
			return d(ctx, job, log)
		}),
		Keeper: &run.Keeper{
			Store: p.store, Now: time.Now, Log: log, Queue: p.runs,
			Publish: &delivery.Publisher{Store: p.store, Queue: p.deliveries, Log: log},
		},
		Seal: fixture.Unsealed{}, Stream: p, Now: time.Now, Log: log, Heartbeat: 20 * time.Second,
	})
	return p
}

// accept stores and queues a run as intake does.
func (p *place) accept(t *testing.T, input string) (boathook.Run, string) {
	t.Helper()
	r := p.Run(input, time.Now())
	must(t, p.store.CreateRun(t.Context(), r))
	return r, message(t, r)
}

func message(t *testing.T, r boathook.Run) string {
	t.Helper()
	m, err := queue.EncodeRun(r)
	must(t, err)
	return m.Body
}

func (p *place) get(t *testing.T, id string) boathook.Run {
	t.Helper()
	r, err := p.store.Run(t.Context(), p.Source.WorkspaceID, id)
	must(t, err)
	return r
}

// delivered are the deliveries that were queued.
func (p *place) delivered(t *testing.T) (found []queue.Delivery) {
	t.Helper()
	messages, err := p.deliveries.Receive(t.Context(), 10, 0)
	must(t, err)
	for _, m := range messages {
		d, err := queue.DecodeDelivery(m.Body)
		must(t, err)
		found = append(found, d)
	}
	return found
}

func (p *place) scheduled(t *testing.T) (rows []store.Due) {
	t.Helper()
	for shard := range store.DueShards {
		page, err := p.store.Due(t.Context(), shard, store.Due{}, time.Now().Add(24*time.Hour), 100)
		must(t, err)
		rows = append(rows, page...)
	}
	return rows
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func succeed(output string) does {
	return func(context.Context, target.Job, target.Log) target.Result {
		return target.Result{Output: json.RawMessage(output)}
	}
}

func TestARunIsExecutedAndItsEndDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got target.Job
		p := newPlace(t, func(_ context.Context, job target.Job, log target.Log) target.Result {
			got = job
			log.Line(target.Stderr, "working")
			time.Sleep(time.Minute)
			log.Line(target.Stdout, "done")
			code := 0
			return target.Result{Output: json.RawMessage(`{"out":98765432109876543210}`), ExitCode: &code}
		})
		r, body := p.accept(t, `{"in":12345678901234567890}`)
		begun := time.Now()
		must(t, p.Handle(t.Context(), body))

		if got.RunID != r.ID || string(got.Input) != `{"in":12345678901234567890}` || got.Target.URL != p.Version.Target.URL {
			t.Errorf("the target's job was %+v", got)
		}
		run := p.get(t, r.ID)
		if run.Status != boathook.RunSucceeded || string(run.Output) != `{"out":98765432109876543210}` || run.Error != "" ||
			run.ExitCode == nil || *run.ExitCode != 0 || !run.Published || run.LogLines != 2 ||
			!run.StartedAt.Equal(begun.Truncate(time.Millisecond)) || run.CompletedAt.Sub(run.StartedAt) != time.Minute {
			t.Errorf("the run is %+v with output %s", run.RunHead, run.Output)
		}
		_, lines, err := p.store.Log(t.Context(), r.ID, 0, 1<<20)
		must(t, err)
		if len(lines) != 2 || lines[0].Text != "working" || lines[0].Stream != "stderr" || lines[1].Text != "done" {
			t.Errorf("the log is %+v", lines)
		}
		deliveries := p.delivered(t)
		if len(deliveries) != 1 || deliveries[0].WebhookID != p.Outgoing.ID || deliveries[0].EventType != boathook.EventRunSucceeded {
			t.Fatalf("delivered %+v", deliveries)
		}
		for _, part := range []string{`"input":{"in":12345678901234567890}`, `"output":{"out":98765432109876543210}`} {
			if !strings.Contains(deliveries[0].Body.String(), part) {
				t.Errorf("the delivery lacks %s: %s", part, deliveries[0].Body.Bytes())
			}
		}
		if rows := p.scheduled(t); len(rows) != 0 {
			t.Errorf("scheduled checks left: %+v", rows)
		}
	})
}

func TestHowARunFails(t *testing.T) {
	code := 3
	for name, tc := range map[string]struct {
		do   does
		want string
	}{
		"its target fails": {func(context.Context, target.Job, target.Log) target.Result {
			return target.Result{Err: "exit status 3", ExitCode: &code}
		}, "exit status 3"},
		"its target is too slow": {func(ctx context.Context, _ target.Job, _ target.Log) target.Result {
			<-ctx.Done()
			return target.Broken(ctx, "it goes on")
		}, "time limit of 10m0s exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t, tc.do)
				r, body := p.accept(t, `{}`)
				must(t, p.Handle(t.Context(), body))
				run := p.get(t, r.ID)
				if run.Status != boathook.RunFailed || run.Error != tc.want || run.Output != nil {
					t.Errorf("the run is %s: %q, output %s", run.Status, run.Error, run.Output)
				}
				if d := p.delivered(t); len(d) != 1 || d[0].EventType != boathook.EventRunFailed {
					t.Errorf("delivered %+v", d)
				}
			})
		})
	}
}

func TestARunWhoseVersionWasDeletedFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, succeed(`{}`))
		r, body := p.accept(t, `{}`)
		must(t, p.store.DeleteSource(t.Context(), p.Source.WorkspaceID, p.Source.ID))
		must(t, p.Handle(t.Context(), body))
		if run := p.get(t, r.ID); run.Status != boathook.RunFailed || !strings.Contains(run.Error, "version 1 was deleted") {
			t.Errorf("the run is %s: %q", run.Status, run.Error)
		}
		if p.executions.Load() != 0 {
			t.Error("it was executed")
		}
	})
}

func TestAVersionsHeadersReachTheTargetOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got map[string]string
		p := newPlace(t, func(_ context.Context, job target.Job, _ target.Log) target.Result {
			got = job.Target.Headers
			return target.Result{}
		})
		v, err := p.store.AddVersion(t.Context(), boathook.Version{
			ID: boathook.NewID(boathook.VersionID), SourceID: p.Source.ID, WorkspaceID: p.Source.WorkspaceID, Environment: boathook.Production,
			Target: p.Version.Target, SealedHeaders: []byte(`{"Authorization":"Bearer x"}`), CreatedAt: time.Now(),
		})
		must(t, err)
		p.Version = v
		_, body := p.accept(t, `{}`)
		must(t, p.Handle(t.Context(), body))
		if got["Authorization"] != "Bearer x" {
			t.Errorf("the target got the headers %v", got)
		}
	})
}

// Intake answered 202 though its write failed: the message has all.
func TestARunWithoutARecordIsCreatedFromItsMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, succeed(`{"ok":true}`))
		r := p.Run(`{"in":1}`, time.Now())
		must(t, p.Handle(t.Context(), message(t, r)))
		run := p.get(t, r.ID)
		if run.Status != boathook.RunSucceeded || run.Input.String() != `{"in":1}` || !run.CreatedAt.Equal(r.CreatedAt) || run.Trigger != r.Trigger {
			t.Errorf("the run is %+v with input %s", run.RunHead, run.Input.Bytes())
		}
	})
}

func TestASecondMessageDoesNoHarm(t *testing.T) {
	t.Run("while the run is executed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newPlace(t, func(context.Context, target.Job, target.Log) target.Result {
				time.Sleep(5 * time.Minute) // longer than a lease that is not renewed
				return target.Result{}
			})
			r, body := p.accept(t, `{}`)
			done := make(chan error, 1)
			go func() { done <- p.Handle(t.Context(), body) }()
			time.Sleep(3 * time.Minute)
			must(t, p.Handle(t.Context(), body))
			must(t, <-done)
			if n := p.executions.Load(); n != 1 {
				t.Errorf("executed %d times", n)
			}
			if run := p.get(t, r.ID); run.Status != boathook.RunSucceeded {
				t.Errorf("the run is %s: %s", run.Status, run.Error)
			}
		})
	})
	t.Run("at the same time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newPlace(t, succeed(`{}`))
			_, body := p.accept(t, `{}`)
			done := make(chan error)
			for range 10 {
				go func() { done <- p.Handle(t.Context(), body) }()
			}
			for range 10 {
				must(t, <-done)
			}
			if n := p.executions.Load(); n != 1 {
				t.Errorf("executed %d times", n)
			}
		})
	})
	t.Run("after the run is over", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newPlace(t, succeed(`{}`))
			_, body := p.accept(t, `{}`)
			must(t, p.Handle(t.Context(), body))
			must(t, p.Handle(t.Context(), body))
			if n, d := p.executions.Load(), p.delivered(t); n != 1 || len(d) != 1 {
				t.Errorf("executed %d times, delivered %d", n, len(d))
			}
		})
	})
}

// Two requests raced with one idempotency key: the record has one input, this
// message the other.
func TestTheRecordsInputIsTheOneThatExecutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got string
		p := newPlace(t, func(_ context.Context, job target.Job, _ target.Log) target.Result {
			got = string(job.Input)
			return target.Result{}
		})
		accepted, _ := p.accept(t, `{"accepted":true}`)
		refused := p.Run(`{"accepted":false}`, time.Now())
		refused.ID = accepted.ID
		must(t, p.Handle(t.Context(), message(t, refused)))
		if got != `{"accepted":true}` {
			t.Errorf("executed %s", got)
		}
	})
}

// The record is another request's, and the store has lost its input: what this
// message holds was refused, so it is not what executes.
func TestARunThatHasLostItsInputFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, func(context.Context, target.Job, target.Log) target.Result {
			t.Error("it was executed")
			return target.Result{}
		})
		accepted := p.Run(`{"accepted":true}`, time.Now())
		accepted.Input = boathook.Body{}
		must(t, p.store.CreateRun(t.Context(), accepted))
		refused := p.Run(`{"accepted":false}`, time.Now())
		refused.ID = accepted.ID
		must(t, p.Handle(t.Context(), message(t, refused)))
		if r := p.get(t, accepted.ID); r.Status != boathook.RunFailed || r.Error != "the run's input is lost" || !r.Published {
			t.Errorf("the run is %+v", r.RunHead)
		}
	})
}

func TestNothingIsClaimedWhileTheStoreIsDown(t *testing.T) {
	for _, call := range []string{"Version", "ClaimRun"} {
		synctest.Test(t, func(t *testing.T) {
			p := newPlace(t, succeed(`{}`))
			r, body := p.accept(t, `{}`)
			p.store.fail = func(c string) error {
				if c == call {
					return errDown
				}
				return nil
			}
			if err := p.Handle(t.Context(), body); !errors.Is(err, errDown) {
				t.Errorf("%s down: got %v", call, err)
			}
			p.store.fail = nil
			must(t, p.Handle(t.Context(), body)) // the message comes again
			if run := p.get(t, r.ID); run.Status != boathook.RunSucceeded || p.executions.Load() != 1 {
				t.Errorf("%s down once: the run is %s, executed %d times", call, run.Status, p.executions.Load())
			}
		})
	}
}

func TestAnOutcomeIsKeptThroughAFailingStore(t *testing.T) {
	for name, failing := range map[string]string{"before the write": "FinishRun", "after the write": "after FinishRun"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t, succeed(`{"ok":true}`))
				r, body := p.accept(t, `{}`)
				failures := 5
				p.store.fail = func(c string) error {
					if c == failing && failures > 0 {
						failures--
						return errDown
					}
					return nil
				}
				must(t, p.Handle(t.Context(), body))
				if run := p.get(t, r.ID); run.Status != boathook.RunSucceeded || string(run.Output) != `{"ok":true}` {
					t.Errorf("the run is %s: %s", run.Status, run.Error)
				}
				if d := p.delivered(t); len(d) != 1 {
					t.Errorf("delivered %d", len(d))
				}
			})
		})
	}
}

// A runner that dies leaves a scheduled check, whatever step it dies before.
func TestACrashLeavesARowForSweep(t *testing.T) {
	for _, call := range []string{"ClaimRun", "FinishRun", "after FinishRun"} {
		synctest.Test(t, func(t *testing.T) {
			p := newPlace(t, succeed(`{}`))
			r, body := p.accept(t, `{}`)
			p.store.fail = func(c string) error {
				if c == call {
					panic("crash")
				}
				return nil
			}
			func() {
				defer func() { _ = recover() }()
				_ = p.Handle(t.Context(), body)
			}()
			rows := p.scheduled(t)
			if len(rows) != 1 || rows[0].ID != r.ID || rows[0].Kind != store.DueRun {
				t.Errorf("crash at %s: rows %+v", call, rows)
			}
		})
	}
}

func TestARunIsCanceledWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, func(ctx context.Context, _ target.Job, _ target.Log) target.Result {
			<-ctx.Done()
			return target.Broken(ctx, "it goes on")
		})
		r, body := p.accept(t, `{}`)
		time.AfterFunc(time.Minute, func() {
			if _, err := p.store.RequestCancel(t.Context(), r.ID, time.Now()); err != nil {
				t.Error(err)
			}
		})
		begun := time.Now()
		must(t, p.Handle(t.Context(), body))
		if took := time.Since(begun); took > 80*time.Second {
			t.Errorf("stopped after %s", took)
		}
		if run := p.get(t, r.ID); run.Status != boathook.RunCanceled {
			t.Errorf("the run is %s", run.Status)
		}
		if d := p.delivered(t); len(d) != 0 {
			t.Errorf("delivered %+v", d)
		}
	})
}

func TestARunThatWasCanceledBeforeItStartedIsNotExecuted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, succeed(`{}`))
		r, body := p.accept(t, `{}`)
		_, err := p.store.RequestCancel(t.Context(), r.ID, time.Now())
		must(t, err)
		must(t, p.Handle(t.Context(), body))
		if p.executions.Load() != 0 || len(p.scheduled(t)) != 0 {
			t.Errorf("executed %d times, rows %+v", p.executions.Load(), p.scheduled(t))
		}
	})
}

func TestARunnerThatLostItsLeaseStopsAndDiscardsTheOutcome(t *testing.T) {
	for name, lose := range map[string]func(*place, boathook.Run){
		"sweep gave it up": func(p *place, r boathook.Run) {
			time.AfterFunc(25*time.Second, func() {
				_, _ = p.store.FinishRun(context.Background(), r.ID, claimOf(p, r), boathook.Outcome{
					Status: boathook.RunFailed, Error: "runner lost", CompletedAt: time.Now(),
				})
			})
		},
		"the store is out of reach": func(p *place, _ boathook.Run) {
			begun := time.Now()
			p.store.fail = func(c string) error {
				if c == "RenewLease" && time.Since(begun) > 25*time.Second {
					return errDown
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var stopped time.Duration
				p := newPlace(t, func(ctx context.Context, _ target.Job, _ target.Log) target.Result {
					begun := time.Now()
					<-ctx.Done()
					stopped = time.Since(begun)
					return target.Result{Output: json.RawMessage(`"discard me"`)}
				})
				r, body := p.accept(t, `{}`)
				lose(p, r)
				must(t, p.Handle(t.Context(), body))
				if stopped > 2*time.Minute {
					t.Errorf("the target was stopped after %s", stopped)
				}
				if run := p.get(t, r.ID); run.Status == boathook.RunSucceeded || run.Output != nil {
					t.Errorf("the run is %s with output %s", run.Status, run.Output)
				}
			})
		})
	}
}

func claimOf(p *place, r boathook.Run) boathook.Claim {
	head, _ := p.store.RunHead(context.Background(), r.ID)
	return boathook.Claim{ID: head.Claim.ID}
}

func TestALongLogIsCompleteAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 100_000
		p := newPlace(t, func(_ context.Context, _ target.Job, log target.Log) target.Result {
			for i := range n {
				log.Line(target.Stdout, fmt.Sprintf("line %d", i))
			}
			return target.Result{}
		})
		var tries atomic.Int64
		p.store.fail = func(c string) error {
			if c == "AppendLog" && tries.Add(1)%3 == 0 {
				return errDown
			}
			return nil
		}
		r, body := p.accept(t, `{}`)
		must(t, p.Handle(t.Context(), body))

		next := 0
		for next < n {
			first, lines, err := p.store.Log(t.Context(), r.ID, next, 1<<20)
			must(t, err)
			if len(lines) == 0 || first > next {
				t.Fatalf("the log breaks off at line %d", next)
			}
			for i, l := range lines {
				if want := fmt.Sprintf("line %d", first+i); l.Text != want {
					t.Fatalf("line %d is %q", first+i, l.Text)
				}
			}
			next = first + len(lines)
		}
		if run := p.get(t, r.ID); run.LogLines != n {
			t.Errorf("the run tells of %d lines", run.LogLines)
		}
	})
}

func TestALogBeyondTheLimitSaysSo(t *testing.T) {
	for name, line := range map[string]string{"of long lines": strings.Repeat("x", boathook.MaxLogLine), "of empty lines": ""} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kept := boathook.MaxRunLog / (len(line) + 64)
				p := newPlace(t, func(_ context.Context, _ target.Job, log target.Log) target.Result {
					for range kept + 100 {
						log.Line(target.Stdout, line)
					}
					return target.Result{}
				})
				r, body := p.accept(t, `{}`)
				must(t, p.Handle(t.Context(), body))
				run := p.get(t, r.ID)
				if run.LogLines != kept+1 {
					t.Fatalf("%d lines are kept, want %d", run.LogLines, kept+1)
				}
				_, lines, err := p.store.Log(t.Context(), r.ID, run.LogLines-1, 1<<20)
				must(t, err)
				if last := lines[len(lines)-1]; !strings.Contains(last.Text, "longer than 16 MiB") {
					t.Errorf("the last line is %.100q", last.Text)
				}
			})
		})
	}
}

func TestLogLinesCanBeReadWhileTheRunIsExecuted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, func(_ context.Context, _ target.Job, log target.Log) target.Result {
			log.Line(target.Stdout, "early")
			time.Sleep(time.Minute)
			return target.Result{}
		})
		r, body := p.accept(t, `{}`)
		done := make(chan error, 1)
		go func() { done <- p.Handle(t.Context(), body) }()
		time.Sleep(2 * time.Second)
		if _, lines, err := p.store.Log(t.Context(), r.ID, 0, 1<<20); err != nil || len(lines) != 1 {
			t.Errorf("after two seconds the log is %+v, %v", lines, err)
		}
		must(t, <-done)
	})
}

func TestAMessageThatIsNoRunIsAnError(t *testing.T) {
	p := newPlace(t, succeed(`{}`))
	for _, body := range []string{"", "{", "{}", `{"r":"run_a"}`, `{"r":"run_a","w":"w","s":"s","v":"v","i":"AA=="}x`, `{"r":"run_a","w":"w","s":"s","v":"v","i":"!"}`} {
		if err := p.Handle(t.Context(), body); err == nil {
			t.Errorf("%q was acknowledged", body)
		}
	}
}
