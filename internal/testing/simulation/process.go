package simulation

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"boathook/internal/api"
	"boathook/internal/boathook"
	"boathook/internal/delivery"
	"boathook/internal/delivery/destination"
	"boathook/internal/intake"
	"boathook/internal/queue"
	"boathook/internal/run"
	"boathook/internal/service"
	"boathook/internal/store"
	"boathook/internal/sweep"
)

// kind is a kind of process: one of AWS's functions.
type kind string

const (
	intakeKind  kind = "intake"
	manageKind  kind = "manage"
	executeKind kind = "execute"
	deliverKind kind = "deliver"
	sweepKind   kind = "sweep"
)

// timeouts are how long an invocation may take, as in template.yaml.
var timeouts = map[kind]time.Duration{
	intakeKind: 15 * time.Second, manageKind: 29 * time.Second, executeKind: 900 * time.Second,
	deliverKind: 60 * time.Second, sweepKind: 55 * time.Second,
}

// process is a running function, with memory and a clock of its own. A dead one
// has no effect on anything any more: its services run off in vain, every call
// failing, and nobody hears what they say.
type process struct {
	world *world
	kind  kind
	name  string

	// What its service does when it is called, by kind.
	serve  http.Handler
	handle func(ctx context.Context, body string) error
	sweep  func(ctx context.Context) error

	// Guarded by the world's lock.
	dead   bool
	thawAt time.Time     // frozen until then
	skew   time.Duration // of its clock
}

// maxSkew is how far a clock is off at most: two differ by less than
// [run.Grace], which the services count on.
const maxSkew = 5 * time.Second

// Keeper is what executing and sweeping know of run.Keeper.
type Keeper interface {
	run.Finisher
	sweep.Keeper
}

// boot starts a process and wires its service as the function's main does.
func (w *world) boot(k kind) *process {
	w.mu.Lock()
	w.booted[k]++
	p := &process{world: w, kind: k, name: fmt.Sprintf("%s-%d", k, w.booted[k])}
	w.mu.Unlock()
	p.stepClock()

	var store store.Store = calls{w.store, p}
	var runsQueue, deliveries, retries queue.Sender = sender{w.runs, p}, sender{w.deliveries, p}, sender{w.retries, p}
	if w.bug.Store != nil {
		store = w.bug.Store(store)
	}
	if w.bug.Deliveries != nil {
		deliveries = w.bug.Deliveries(deliveries)
	}
	if w.bug.Retries != nil {
		retries = w.bug.Retries(retries)
	}
	publisher := &delivery.Publisher{Store: store, Queue: deliveries, Log: silent}
	var keeper Keeper = &run.Keeper{Store: store, Publish: publisher, Queue: runsQueue, Now: p.now, Log: silent}
	if w.bug.Keeper != nil {
		keeper = w.bug.Keeper(keeper, store, publisher)
	}
	starter := &run.Starter{Store: store, Queue: runsQueue, Now: p.now, Log: silent}

	switch k {
	case intakeKind:
		p.serve = (&intake.Intake{
			Store: store, Runs: starter, Seal: unsealed{}, Now: p.now, Log: silent,
			Agents: intake.Prerequisites{Execution: true, Target: true, LogStore: true, InternalToken: true},
		}).Handler()
		if w.bug.Intake != nil {
			p.serve = w.bug.Intake(p.serve)
		}
	case manageKind:
		operations := service.New(service.Config{
			Store: store, Runs: starter, Publish: publisher, Seal: unsealed{},
			Resend:     &delivery.Resender{Store: store, Retries: retries, Publish: publisher, Now: p.now},
			AdminToken: func(context.Context) (string, error) { return adminToken, nil }, Workspace: workspaceID,
			AllowDestination: func(boathook.Destination) error { return nil },
			CheckURL:         func(string, string) error { return nil },
			AllowTarget:      func(boathook.Target) error { return nil },
			RecordDays:       int(w.plan.retention() / (24 * time.Hour)),
			Now:              p.now, Log: silent,
		})
		p.serve = api.New(api.Config{Service: operations, Now: p.now, Log: silent})
	case executeKind:
		p.handle = run.New(run.Config{
			Store: store, Targets: agent{p}, Keeper: keeper, Seal: unsealed{}, Stream: unwatched{}, Now: p.now, Log: silent,
			Heartbeat: 20 * time.Second,
		}).Handle
	case deliverKind:
		var endpoints destination.Client = client{p}
		if w.client != nil {
			endpoints = w.client
		}
		deliverer := delivery.New(delivery.Config{
			Store: store, Retries: retries, Publish: publisher, Seal: unsealed{}, Now: p.now,
			Destination: destination.HTTP{Client: endpoints, Now: p.now},
			Jitter:      func() float64 { return w.chance("jitter", p.name).Float64() }, Log: silent, Leases: w.leases,
		})
		p.handle = func(ctx context.Context, body string) error {
			defer deliverer.StoreCounts(ctx)
			return deliverer.Handle(ctx, body)
		}
	case sweepKind:
		p.sweep = (&sweep.Sweeper{Store: store, Keeper: keeper, Retries: retries, Now: p.now, Log: silent, PageSize: w.plan.scheduled}).Sweep
	}
	return p
}

var silent = slog.New(slog.DiscardHandler)

// unwatched is a live log that nobody watches.
type unwatched struct{}

func (unwatched) Lines(context.Context, boathook.RunHead, []boathook.LogLine) {}

// unsealed stands in for sealing: what is sealed is the plain text itself.
type unsealed struct{}

func (unsealed) NewDataKey(context.Context, string) ([]byte, error) { return nil, nil }
func (unsealed) Seal(_ context.Context, _, _ string, plain []byte) ([]byte, error) {
	return plain, nil
}
func (unsealed) Open(_ context.Context, _, _ string, sealed []byte) ([]byte, error) {
	return sealed, nil
}

// invocation makes the context of a call of the process's service.
func (p *process) invocation() (context.Context, context.CancelFunc) {
	ctx := context.WithValue(context.Background(), begunKey{}, time.Now())
	return context.WithTimeout(ctx, timeouts[p.kind])
}

// begunKey is the key of the time at which a context's invocation began.
type begunKey struct{}

func begun(ctx context.Context) time.Time { return ctx.Value(begunKey{}).(time.Time) }

// handledKey is the key of the message that a context's handler handles.
type handledKey struct{}

// handled is the delivery whose message leads to a request.
func handled(ctx context.Context) (queue.Delivery, error) {
	body, _ := ctx.Value(handledKey{}).(string)
	return queue.DecodeDelivery(body)
}

// now is the process's own clock.
func (p *process) now() time.Time {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	return time.Now().Add(p.skew)
}

// stepClock sets the clock forward or back.
func (p *process) stepClock() {
	skew := between(p.world.chance("clock", p.name), -maxSkew, maxSkew)
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	p.skew = skew
}

// instant is a time so short that a call does not look out for the end of its
// context meanwhile.
const instant = 20 * time.Millisecond

// pass lets the time of a call pass, and that for which the process is frozen.
// An error is why the process does not get to what comes next.
func (p *process) pass(ctx context.Context, d time.Duration) error {
	apart := d % time.Millisecond // of those that wait for the same
	if d < instant {
		time.Sleep(d)
	} else {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			time.Sleep(apart)
		}
	}
	for {
		p.world.mu.Lock()
		dead, frozen := p.dead, time.Until(p.thawAt)
		p.world.mu.Unlock()
		switch {
		case dead:
			return errDead
		case frozen <= 0:
			return ctx.Err()
		}
		time.Sleep(frozen + apart)
	}
}

// crash ends the process.
func (p *process) crash() {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	p.dead = true
	p.world.counts["crash"]++
}

// freeze has the process stand still.
func (p *process) freeze(d time.Duration) {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	p.thawAt = time.Now().Add(d)
	p.world.counts["freeze"]++
}

func (p *process) isDead() bool {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	return p.dead
}

// do makes one call of the process to the world outside, which goes as the seed
// says. effect is what the call does there.
func do[T any](ctx context.Context, p *process, name, subject string, effect func() (T, error)) (answer T, err error) {
	var nothing T
	f := p.world.fate(name, subject)
	if f.fault == freezeBefore {
		p.freeze(f.freeze)
	}
	if err := p.pass(ctx, f.before); err != nil {
		p.note(name, subject, "not done: "+err.Error())
		return nothing, err
	}
	switch f.fault {
	case refused:
		p.note(name, subject, "refused")
		return nothing, errRefused
	case crashBefore:
		p.note(name, subject, "CRASH before")
		p.crash()
		return nothing, errDead
	}
	answer, err = effect()
	p.note(name, subject, said(err)+f.fault.afterwards())
	switch f.fault {
	case crashAfter:
		p.crash()
		return nothing, errDead
	case freezeAfter:
		p.freeze(f.freeze)
	}
	if err := p.pass(ctx, f.after); err != nil {
		return nothing, err
	}
	if f.fault == lost {
		return nothing, errLost
	}
	return answer, err
}

// tell is do for a call that has no answer but its error.
func tell(ctx context.Context, p *process, name, subject string, effect func() error) error {
	_, err := do(ctx, p, name, subject, func() (struct{}, error) { return struct{}{}, effect() })
	return err
}

func (p *process) note(step, subject, outcome string) {
	p.world.note(p.name, step, subject, outcome)
}

func said(err error) string {
	if err == nil {
		return "done"
	}
	return err.Error()
}

func (f fault) afterwards() string {
	switch f {
	case lost:
		return ", ANSWER LOST"
	case crashAfter:
		return ", CRASH after"
	case freezeAfter:
		return ", FROZEN after"
	case freezeBefore:
		return ", after a FREEZE"
	}
	return ""
}
