package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/deliver"
	"boathook/internal/dialect"
	"boathook/internal/egress"
	"boathook/internal/execute"
	"boathook/internal/intake"
	"boathook/internal/manage"
	"boathook/internal/publish"
	"boathook/internal/queue"
	queuemem "boathook/internal/queue/mem"
	"boathook/internal/runs"
	"boathook/internal/seal"
	storemem "boathook/internal/store/mem"
	"boathook/internal/stream"
	"boathook/internal/stream/websocket"
	"boathook/internal/sweep"
	"boathook/internal/target"
)

// firstWorkspace is the workspace that the admin token belongs to.
const firstWorkspace = "ws_local"

const (
	retention = 30 * 24 * time.Hour
	// As in template.yaml: longer than the longest run, six times the longest
	// delivery.
	runsVisibility       = 960 * time.Second
	deliveriesVisibility = 360 * time.Second
	// workers is how many messages of one queue are in work at once. Waiting
	// costs nothing here, so there are enough for many slow receivers.
	workers = 256
)

// system is all rooms on the embedded store and queues.
type system struct {
	http.Handler
	work    []worker
	sweep   *sweep.Sweeper
	sockets *websocket.Gateway
	log     *slog.Logger

	stop    context.CancelFunc // ends the workers
	workCtx context.Context
	running sync.WaitGroup
	failed  atomic.Int64 // messages in flight that nobody handles: they come back
}

// worker is a queue and what handles its messages.
type worker struct {
	queue  *queuemem.Queue
	handle func(ctx context.Context, body string) error
}

func newSystem(ctx context.Context, c config, url string, inbox http.Handler, log *slog.Logger) (*system, error) {
	store := storemem.New(storemem.Config{Retention: retention})
	newQueue := func(visibility time.Duration) *queuemem.Queue {
		return queuemem.New(queuemem.Config{
			Visibility: visibility, DeadLetter: queuemem.New(queuemem.Config{Visibility: visibility}),
		})
	}
	runsQueue, deliveries, retries := newQueue(runsVisibility), newQueue(deliveriesVisibility), newQueue(deliveriesVisibility)

	loopback := egress.Config{
		AllowPrefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		AllowHTTP:     true,
	}
	client := egress.New(loopback)
	loopback.NoReuse = true // as on AWS: a run can't be repeated, so its connection must not have died unused
	once := egress.New(loopback)
	sealer := seal.New(seal.NewLocalKey(), store)
	publisher := &publish.Publisher{Webhooks: store, Queue: deliveries, Log: log}
	keeper := &runs.Keeper{Store: store, Publish: publisher, Now: time.Now, Log: log}
	starter := &runs.Starter{Store: store, Queue: runsQueue, Now: time.Now, Log: log}

	sockets := websocket.New(stream.AuthTimeout, log)
	streamSecret := fixed(rand.Text() + rand.Text())
	room := &stream.Room{Store: store, Sockets: sockets, Secret: streamSecret, Now: time.Now}

	triggers := &intake.Intake{
		Store: store, Runs: starter, Seal: sealer, Now: time.Now, Log: log,
		Agents: intake.Prerequisites{Execution: true, Target: true, LogStore: true, InternalToken: true},
	}
	api := manage.New(manage.Config{
		Store: store, Runs: starter, Publish: publisher, Retries: retries, Seal: sealer,
		Queues: map[string]queue.Redriver{
			queue.Runs: runsQueue, queue.Deliveries: deliveries, queue.Retries: retries,
		},
		AdminToken:    fixed(c.adminToken),
		InternalToken: fixed(c.internalToken),
		Workspace:     firstWorkspace,
		StreamSecret:  streamSecret,
		CheckURL:      client.CheckURL,
		AllowTarget: func(t boathook.Target) error {
			if t.Type == boathook.TargetLambda || t.Type == boathook.TargetAgentCore {
				return boathook.InvalidField("type", "%s targets run on AWS only", t.Type)
			}
			return nil
		},
		PublicURL: url, Now: time.Now, Log: log,
	})
	if err := api.EnsureWorkspace(ctx); err != nil {
		return nil, err
	}
	executor := execute.New(execute.Config{
		Store: store, Keeper: keeper, Seal: sealer, Now: time.Now, Log: log,
		Targets: target.Set{
			boathook.TargetHTTP:    target.HTTP{Client: once, UserAgent: dialect.UserAgent},
			boathook.TargetCommand: target.Command{Grace: 5 * time.Second},
		},
		Stream:    stream.NewBroadcast(store, sockets, time.Now, log),
		Heartbeat: time.Second, // writes cost nothing here, so a cancel is seen at once
	})
	deliverer := deliver.New(deliver.Config{
		Store: store, Retries: retries, Publish: publisher, Client: client, Seal: sealer,
		Now: time.Now, Jitter: mathrand.Float64, Log: log,
	})

	mux := http.NewServeMux()
	mux.Handle("/webhooks/", triggers.Handler())
	mux.Handle("/api/v1/webhooks/", triggers.Handler())
	mux.Handle("GET /ws", sockets.Handler(room))
	mux.Handle("POST /receiver", inbox)
	mux.Handle("/", api)

	s := &system{
		Handler: mux,
		log:     log,
		sweep:   &sweep.Sweeper{Store: store, Keeper: keeper, Retries: retries, Connections: room, Now: time.Now, Log: log},
		sockets: sockets,
		work: []worker{
			{runsQueue, executor.Handle},
			{deliveries, deliverer.Handle},
			{retries, deliverer.Handle},
		},
	}
	s.workCtx, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// start sets the workers and the sweep going.
func (s *system) start() {
	for _, w := range s.work {
		for range workers {
			s.running.Go(func() { s.serve(w) })
		}
	}
	s.running.Go(func() {
		minute := time.NewTicker(time.Minute)
		defer minute.Stop()
		for {
			select {
			case <-s.workCtx.Done():
				return
			case <-minute.C:
				if err := s.sweep.Sweep(s.workCtx); err != nil {
					s.log.Error("sweep failed", "error", err)
				}
			}
		}
	})
}

// serve handles w's messages, one at a time, until the workers are stopped. A
// message that fails comes back after its visibility timeout.
func (s *system) serve(w worker) {
	for {
		messages, err := w.queue.Receive(s.workCtx, 1, 20*time.Second)
		if s.workCtx.Err() != nil {
			return
		}
		if err != nil {
			s.log.Error("receive failed", "error", err)
			continue
		}
		for _, m := range messages {
			if m.Receives > 1 {
				s.failed.Add(-1)
			}
			// What has begun is finished, whatever the workers are told.
			if err := w.handle(context.WithoutCancel(s.workCtx), m.Body); err != nil {
				s.log.Error("message failed", "message_id", m.ID, "receives", m.Receives, "error", err)
				s.failed.Add(1)
				continue
			}
			if err := w.queue.Delete(s.workCtx, m.Receipt); err != nil {
				s.log.Error("acknowledge failed", "message_id", m.ID, "error", err)
			}
		}
	}
}

// drain waits until the runs that were accepted are over and the deliveries
// that are due made, stops the workers, and closes the WebSockets. What waits for
// its time is lost, as all that this process holds.
func (s *system) drain() {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for !s.idle() {
		<-look.C
	}
	s.stop()
	s.running.Wait()
	s.sockets.Shutdown()
}

// fixed provides a secret that was made for this process.
func fixed(secret string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return secret, nil }
}

// idle reports whether no message is to be handled or being handled.
func (s *system) idle() bool {
	ready, inFlight := 0, 0
	for _, w := range s.work {
		stats := w.queue.Stats()
		ready += stats.Ready
		inFlight += stats.InFlight
	}
	return ready == 0 && int64(inFlight) <= s.failed.Load()
}
