package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/cache"
	"boathook/internal/queue"
	"boathook/internal/run/target"
	"boathook/internal/seal"
	"boathook/internal/store"
	"boathook/internal/tracing"
)

// Store is the part of the store that execute needs.
type Store interface {
	RetryStore
	Live(ctx context.Context, sourceID string) (map[boathook.Environment]boathook.LiveVersion, error)
	MoveVersion(ctx context.Context, id string, v boathook.LiveVersion) error
	Version(ctx context.Context, sourceID, id string) (boathook.Version, error)
	CreateRun(ctx context.Context, r boathook.Run) error
	RunHead(ctx context.Context, id string) (boathook.RunHead, error)
	Run(ctx context.Context, workspaceID, id string) (boathook.Run, error)
	ClaimRun(ctx context.Context, id string, c boathook.Claim, startedAt time.Time) (boathook.RunHead, error)
	RenewLease(ctx context.Context, id string, c boathook.Claim) (cancel bool, err error)
	FinishRun(ctx context.Context, id string, c boathook.Claim, o boathook.Outcome) (boathook.RunHead, error)
	AppendLog(ctx context.Context, run boathook.RunHead, first int, lines []boathook.LogLine) error
	PutDue(ctx context.Context, d store.Due) error
}

// Finisher brings runs to their end; [Keeper] does.
type Finisher interface {
	Finish(ctx context.Context, r boathook.Run, due store.Due) error
	CheckLease(ctx context.Context, head boathook.RunHead, due store.Due) error
	TakeTurn(ctx context.Context, r boathook.Run) (until time.Time, taken bool, err error)
	StartLater(ctx context.Context, r boathook.Run) error
}

// Opener decrypts a version's headers.
type Opener interface {
	Open(ctx context.Context, workspaceID, subject string, sealed []byte) ([]byte, error)
}

// Stream shows the logs of agents' runs to those who watch, while they run.
type Stream interface {
	// Lines passes on the next lines of a run, in order: what came within 200
	// ms or makes 16 KiB, whichever is first, and what has come while the call
	// before was under way, 256 KiB at most. It may take its time, until ctx
	// ends, and lose lines: the run does not wait for it, and the stored log is
	// the one that is whole.
	Lines(ctx context.Context, run boathook.RunHead, lines []boathook.LogLine)
}

// Executor executes runs. Make it with [New].
type Executor struct {
	config   Config
	versions cache.Cache[boathook.Version]
}

// Config is what an [Executor] works with. All fields but Tracer are required.
type Config struct {
	Store   Store
	Targets target.Target
	Keeper  Finisher
	Seal    Opener
	Stream  Stream
	Now     func() time.Time
	Log     *slog.Logger
	Tracer  *tracing.Tracer

	// Heartbeat is how often a running run's lease is renewed and a cancel
	// request seen: 20 s on AWS, where each costs a write.
	Heartbeat time.Duration
}

// Lease is how long a run outlives its runner's last heartbeat.
const Lease = 90 * time.Second

// New makes an Executor.
func New(c Config) *Executor {
	// A version never changes, so it is good for as long as the process lives.
	return &Executor{config: c, versions: cache.Cache[boathook.Version]{TTL: 24 * time.Hour, Size: 1000, Now: c.Now}}
}

// Why a run's context ends early, besides its time limit.
var (
	errCanceled = errors.New("canceled")
	errLost     = errors.New("the lease was lost")
)

// Handle executes the run of one message. Nil acknowledges it: the run is over
// and its event queued, or another runner has it. A redelivered message never
// executes a run again.
func (x *Executor) Handle(ctx context.Context, body string) error {
	run, err := queue.DecodeRun(body)
	if err != nil {
		return err
	}
	if run, err = x.current(ctx, run); err != nil {
		return err
	}
	if run.Burst != nil {
		var starts bool
		if run, starts, err = x.burst(ctx, run); !starts || err != nil {
			return err
		}
	}
	// Read what may fail before the claim, while a redelivery can still help.
	accepted := run.VersionID
	version, err := x.version(ctx, run)
	if err != nil {
		return err
	}

	// Who started the run may have died before it was linked. The message comes again
	// until this has been done.
	if err := linkRetry(ctx, x.config.Store, run.RunHead); err != nil {
		return err
	}

	until, ok, err := x.turn(ctx, run)
	if !ok || err != nil {
		return err
	}
	now := x.config.Now()
	if now.After(until) {
		return fmt.Errorf("run %s: its turn came too late", run.ID) // the process was frozen
	}
	claim := boathook.Claim{ID: boathook.NewID("claim"), LeaseUntil: now.Add(Lease)}
	due := store.ScheduledCheck(run.ID, claim.LeaseUntil.Add(Grace))
	if err := x.config.Store.PutDue(ctx, due); err != nil {
		return err
	}
	run, claimed, err := x.claim(ctx, run, claim, now)
	if err != nil {
		return err
	}
	if !claimed {
		return x.config.Keeper.CheckLease(ctx, run.RunHead, due)
	}
	if !x.config.Now().Before(due.At) {
		// The process was frozen between the row and the claim: sweep may have
		// looked before there was anything to see.
		return fmt.Errorf("run %s: claimed too late", run.ID)
	}
	if run.VersionID != accepted {
		// The record is that of another request with the same idempotency key,
		// from before another version went live.
		if version, err = x.version(ctx, run); err != nil {
			return err
		}
	}
	return x.run(ctx, run, version, claim, due)
}

// burst gives a run that several triggers may become as it is by now: with the input of the
// last. One whose time has not come has another message sent, and does not start. What it has is
// read before it is claimed, and what joins it until then is read after that.
func (x *Executor) burst(ctx context.Context, r boathook.Run) (_ boathook.Run, starts bool, err error) {
	kept, err := x.config.Store.Run(ctx, r.WorkspaceID, r.ID)
	switch {
	case err == nil:
		r = kept
	case !boathook.IsKind(err, boathook.NotFound): // who sent the message may be about to write it
		return r, false, err
	}
	if r.Status == boathook.RunPending && x.config.Now().Before(r.StartsAt) {
		return r, false, x.config.Keeper.StartLater(ctx, r)
	}
	return r, true, nil
}

// turn has a run take its turn, and tells until when it must be claimed. A run whose
// deployment has no limit needs none.
func (x *Executor) turn(ctx context.Context, r boathook.Run) (until time.Time, ok bool, err error) {
	if !r.TakesTurn {
		return x.config.Now().Add(turnUse), true, nil
	}
	return x.config.Keeper.TakeTurn(ctx, r)
}

// claim makes the run this runner's, creating its record if intake could not.
// When another has claimed it or it is over, claimed is false and the head is
// as it is.
func (x *Executor) claim(ctx context.Context, run boathook.Run, claim boathook.Claim, now time.Time) (_ boathook.Run, claimed bool, err error) {
	head, err := x.config.Store.ClaimRun(ctx, run.ID, claim, now)
	if boathook.IsKind(err, boathook.NotFound) {
		created := run
		created.Status, created.Claim, created.StartedAt = boathook.RunRunning, claim, now
		err = x.config.Store.CreateRun(ctx, created)
		if err == nil {
			return created, true, nil
		}
		if boathook.IsKind(err, boathook.Conflict) { // intake's write came late
			head, err = x.config.Store.ClaimRun(ctx, run.ID, claim, now)
		}
	}
	switch {
	case boathook.IsKind(err, boathook.Conflict):
		if head.ID == "" {
			if head, err = x.config.Store.RunHead(ctx, run.ID); err != nil {
				return run, false, err
			}
		}
		run.RunHead = head
		// A claim whose answer was lost is our own, and nobody else runs it.
		return run, head.Status == boathook.RunRunning && head.Claim.ID == claim.ID, nil
	case err != nil:
		return run, false, err
	}
	if head.InputHash != run.InputHash {
		// Two requests raced with one idempotency key and different bodies. The
		// record's is the one that was accepted.
		run, err = x.config.Store.Run(ctx, head.WorkspaceID, head.ID)
		return run, true, err
	}
	run.RunHead = head
	return run, true, nil
}

// version is the run's, with its headers opened. A deleted one is no error: the
// run fails and says so.
func (x *Executor) version(ctx context.Context, run boathook.Run) (*boathook.Version, error) {
	v, err := x.versions.Get(ctx, run.VersionID, func(ctx context.Context) (boathook.Version, error) {
		v, err := x.config.Store.Version(ctx, run.SourceID, run.VersionID)
		if err != nil || len(v.SealedHeaders) == 0 {
			return v, err
		}
		text, err := x.config.Seal.Open(ctx, v.WorkspaceID, seal.TargetHeaders(v.ID), v.SealedHeaders)
		if err != nil {
			return v, fmt.Errorf("open the headers of version %s: %w", v.ID, err)
		}
		return v, json.Unmarshal(text, &v.Target.Headers)
	})
	if boathook.IsKind(err, boathook.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &v, nil
}

// run has the target execute a claimed run and brings it to its end.
func (x *Executor) run(ctx context.Context, run boathook.Run, version *boathook.Version, claim boathook.Claim, due store.Due) error {
	ctx, span := x.config.Tracer.Process(tracing.With(ctx, run.Trace), queue.Runs,
		slog.String("boathook.run.id", run.ID), slog.String("boathook.source.id", run.SourceID), slog.String("boathook.source.kind", string(sourceKind(run.RunHead))))
	defer span.End()
	runCtx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if run.CancelRequested {
		stop(errCanceled)
	}
	heart := x.startHeart(runCtx, stop, run.ID, claim)
	log := newLogWriter(runCtx, &x.config, run.RunHead)

	outcome := x.execute(runCtx, run, version, log)
	span.Set(slog.String("boathook.run.status", string(outcome.Status)))
	if outcome.Status != boathook.RunSucceeded {
		span.Fail(string(outcome.Status))
	}

	// From here on the run's context only tells why it ended: what is left to
	// do is done as long as the lease holds.
	ctx = context.WithoutCancel(ctx)
	outcome.LogLines = log.close(ctx)
	outcome.CompletedAt = x.config.Now()
	claim, lost := heart.stop()
	if lost {
		x.config.Log.WarnContext(ctx, "outcome discarded: the lease was lost", "run_id", run.ID, "source_id", run.SourceID, "status", outcome.Status)
		return nil
	}
	finished, err := x.finish(ctx, run, claim, outcome)
	if err != nil {
		return err
	}
	x.config.Log.InfoContext(ctx, "run over", "run_id", finished.ID, "source_id", finished.SourceID,
		"outcome", finished.Status, "duration_ms", finished.CompletedAt.Sub(finished.StartedAt).Milliseconds(), "log_lines", finished.LogLines)
	return x.config.Keeper.Finish(ctx, finished, due)
}

// execute gives the target its job, and the outcome its words.
func (x *Executor) execute(ctx context.Context, run boathook.Run, version *boathook.Version, log target.Log) boathook.Outcome {
	if run.Input.Lost() {
		return failed("the run's input is lost")
	}
	if version == nil {
		return failed("version %d was deleted before the run started", run.VersionNumber)
	}
	limit := version.Target.Timeout()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	ctx, span := x.request(ctx, version.Target)
	defer span.End()
	job := target.Job{RunID: run.ID, Input: run.Input.Bytes(), Target: version.Target, Details: run.Details, Trace: tracing.From(ctx)}
	if run.OfAgent() {
		payload := run.AgentPayload()
		job.Message, job.SessionTitle = payload.Message(), payload.Title()
		if run.Fenced {
			job.Message = payload.FencedMessage()
		}
		job.SessionID = boathook.ChatID(run.SourceID)
	}
	result := x.config.Targets.Run(ctx, job, log)

	outcome := boathook.Outcome{Status: boathook.RunSucceeded, Output: result.Output, ExitCode: result.ExitCode}
	if result.Err != "" {
		span.Fail("failed")
		outcome.Status, outcome.Output, outcome.Error = boathook.RunFailed, nil, result.Err
		switch cause := context.Cause(ctx); {
		case errors.Is(cause, errCanceled):
			outcome.Status, outcome.Error = boathook.RunCanceled, "canceled while running"
		case errors.Is(cause, context.DeadlineExceeded):
			outcome.Error = fmt.Sprintf("time limit of %s exceeded", limit)
			if run.OfAgent() {
				outcome.Status = boathook.RunTimedOut
			}
		case cause != nil:
			outcome.Error = "the runner was stopped"
		}
	}
	return outcome
}

func sourceKind(r boathook.RunHead) boathook.SourceKind {
	if r.OfAgent() {
		return boathook.Agent
	}
	return boathook.Deployment
}

// request begins the step that has the target execute a job.
func (x *Executor) request(ctx context.Context, t boathook.Target) (context.Context, *tracing.Span) {
	kind := slog.String("boathook.target.type", string(t.Type))
	if t.Type == boathook.TargetHTTP {
		return x.config.Tracer.Request(ctx, http.MethodPost, t.URL, kind)
	}
	return x.config.Tracer.Start(ctx, tracing.Client, "execute "+string(t.Type), kind)
}

func failed(format string, args ...any) boathook.Outcome {
	return boathook.Outcome{Status: boathook.RunFailed, Error: fmt.Sprintf(format, args...)}
}

// finishPause is the wait between two tries to store an outcome.
const finishPause = 2 * time.Second

// finish stores the outcome. It tries for as long as the lease holds: an
// outcome that took minutes is worth more than one failed write.
func (x *Executor) finish(ctx context.Context, run boathook.Run, claim boathook.Claim, o boathook.Outcome) (boathook.Run, error) {
	for {
		head, err := x.config.Store.FinishRun(ctx, run.ID, boathook.Claim{ID: claim.ID}, o)
		switch {
		case err == nil:
			run.RunHead, run.Output = head, o.Output
			return run, nil
		case boathook.IsKind(err, boathook.Conflict):
			// An earlier try whose answer was lost, or sweep gave the run up:
			// either way the record says how it ended.
			return x.config.Store.Run(ctx, run.WorkspaceID, run.ID)
		case !x.config.Now().Add(finishPause).Before(claim.LeaseUntil):
			return run, err
		}
		x.config.Log.WarnContext(ctx, "outcome not stored yet", "run_id", run.ID, "error", err)
		time.Sleep(finishPause)
	}
}

// heart renews a run's lease until it is stopped.
type heart struct {
	quit chan struct{}
	done chan struct{}

	// Written by beat, read after done.
	claim boathook.Claim
	lost  bool
}

func (x *Executor) startHeart(ctx context.Context, stop context.CancelCauseFunc, runID string, claim boathook.Claim) *heart {
	h := &heart{quit: make(chan struct{}), done: make(chan struct{}), claim: claim}
	go func() {
		defer close(h.done)
		ctx := context.WithoutCancel(ctx) // a canceled run is still ours until it is finished
		ticker := time.NewTicker(x.config.Heartbeat)
		defer ticker.Stop()
		for {
			select {
			case <-h.quit:
				return
			case <-ticker.C:
			}
			if cause := x.beat(ctx, h, runID); cause != nil {
				stop(cause)
				if h.lost {
					return
				}
			}
		}
	}()
	return h
}

// beat renews the lease once, and tells why the target must stop, if it must.
func (x *Executor) beat(ctx context.Context, h *heart, runID string) error {
	renewed := boathook.Claim{ID: h.claim.ID, LeaseUntil: x.config.Now().Add(Lease)}
	ctx, cancel := context.WithTimeout(ctx, x.config.Heartbeat)
	defer cancel()
	asked, err := x.config.Store.RenewLease(ctx, runID, renewed)
	switch {
	case err == nil:
		h.claim = renewed
		if asked {
			return errCanceled
		}
		return nil
	case boathook.IsKind(err, boathook.Conflict), boathook.IsKind(err, boathook.NotFound):
		h.lost = true
	default:
		// The renewal may have failed or its answer was lost; what was promised
		// before still holds.
		h.lost = !x.config.Now().Before(h.claim.LeaseUntil)
		x.config.Log.WarnContext(ctx, "lease not renewed", "run_id", runID, "error", err)
	}
	if h.lost {
		return errLost
	}
	return nil
}

// stop ends the heartbeats and gives the claim as last renewed.
func (h *heart) stop() (claim boathook.Claim, lost bool) {
	close(h.quit)
	<-h.done
	return h.claim, h.lost
}
