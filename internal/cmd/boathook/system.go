package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"boathook/internal/api"
	"boathook/internal/boathook"
	"boathook/internal/console"
	"boathook/internal/database"
	"boathook/internal/delivery"
	"boathook/internal/delivery/destination"
	"boathook/internal/delivery/destination/listener"
	destinationsqs "boathook/internal/delivery/destination/sqs"
	"boathook/internal/egress"
	"boathook/internal/intake"
	"boathook/internal/live"
	"boathook/internal/live/websocket"
	"boathook/internal/paths"
	"boathook/internal/queue"
	"boathook/internal/queue/mem"
	queuesqlite "boathook/internal/queue/sqlite"
	"boathook/internal/run"
	"boathook/internal/run/target"
	"boathook/internal/seal"
	"boathook/internal/service"
	"boathook/internal/store"
	storesqlite "boathook/internal/store/sqlite"
	"boathook/internal/sweep"
)

// firstWorkspace is the workspace that the admin token belongs to.
const firstWorkspace = "ws_local"

const (
	// As in template.yaml: longer than the longest run, six times the longest
	// delivery.
	runsVisibility       = 960 * time.Second
	deliveriesVisibility = 360 * time.Second
	// workers is how many messages of one queue are in work at once. Waiting
	// costs nothing here, so there are enough for many slow receivers.
	workers = 1024
	// forgottenAtOnce is how many records of a kind one transaction removes: others
	// wait for it.
	forgottenAtOnce = 500
	// perWebhook is how many of a webhook's first attempts, or retries, are among
	// them: an endpoint that hangs does not take them all.
	perWebhook = 64
	// leases is how many first attempts may take their full time-out though their
	// endpoints are slow.
	leases = workers * 2 / 5
)

// system is all services on the embedded store and queues.
type system struct {
	http.Handler
	console *console.Console
	work    []worker
	sweep   *sweep.Sweeper
	sockets *websocket.Gateway
	log     *slog.Logger

	stop    context.CancelFunc // ends the workers
	workCtx context.Context
	running sync.WaitGroup
	failed  atomic.Int64 // messages in flight that nobody handles: they come back
	closing atomic.Bool  // nothing more is accepted
	// storeCounts stores how many attempts were made. It is called each second, not for each
	// of them.
	storeCounts func(ctx context.Context)
	store       *storesqlite.Store
	db          *database.DB
	durable     bool // what waits outlives the process
}

// worker is a queue and what handles its messages.
type worker struct {
	queue  *mem.Queue
	handle func(ctx context.Context, body string) error
}

// newSystem wires the services onto a database. It is a list of what there is, most of
// whose branches are what may fail.
func newSystem(ctx context.Context, c config, d data, t *telemetry, log *slog.Logger) (*system, error) {
	records := storesqlite.New(storesqlite.Config{DB: d.db, Retention: c.retention, Log: log})
	runsQueue, err := openQueue(c, d, queue.Runs, mem.Config{Visibility: runsVisibility})
	if err != nil {
		return nil, err
	}
	deliveries, err := openQueue(c, d, queue.Deliveries, mem.Config{Visibility: deliveriesVisibility, GroupLimit: perWebhook})
	if err != nil {
		return nil, err
	}
	retries, err := openQueue(c, d, queue.Retries, mem.Config{Visibility: deliveriesVisibility, GroupLimit: perWebhook})
	if err != nil {
		return nil, err
	}

	outbound := egress.Config{AllowPrefixes: c.egress, AllowHTTP: c.dev || len(c.egress) > 0, Keep: workers}
	if c.dev {
		outbound.AllowPrefixes = append(outbound.AllowPrefixes, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	}
	client := egress.New(outbound)
	outbound.NoReuse = true // as on AWS: a run can't be repeated, so its connection must not have died unused
	once := egress.New(outbound)
	sealer := seal.New(d.key, records)
	recordDays := int(c.retention / (24 * time.Hour))
	publisher := &delivery.Publisher{Store: records, Queue: deliveries, RecordDays: recordDays, Log: log, Tracer: t.tracer}
	keeper := &run.Keeper{Store: records, Publish: publisher, Queue: runsQueue, Now: time.Now, Log: log, Metrics: t.counters}
	starter := &run.Starter{Store: records, Queue: runsQueue, Now: time.Now, Log: log, Tracer: t.tracer}

	sockets := websocket.New(live.AuthTimeout, log)
	streamSecret := fixed(rand.Text() + rand.Text())
	liveLog := &live.Log{Store: records, Sockets: sockets, Secret: streamSecret, Now: time.Now}

	triggers := &intake.Intake{
		Store: records, Runs: starter, Seal: sealer, PublicURL: c.publicURL, Client: client, Now: time.Now, Log: log,
		Metrics: t.counters, Tracer: t.tracer,
		Agents: intake.Prerequisites{Execution: true, Target: true, LogStore: true, InternalToken: true},
	}
	operations := service.New(service.Config{
		Store: records, Runs: starter, Publish: publisher, Seal: sealer,
		Resend:     &delivery.Resender{Store: records, Retries: retries, Publish: publisher, Now: time.Now},
		RecordDays: recordDays,
		Queues: map[string]queue.Redriver{
			queue.Runs: runsQueue, queue.Deliveries: deliveries, queue.Retries: retries,
		},
		AdminToken:    fixed(d.adminToken),
		InternalToken: fixed(d.internalToken),
		Workspace:     firstWorkspace,
		StreamSecret:  streamSecret,
		Watchers:      liveLog,
		CheckURL:      client.CheckURL,
		AllowTarget: func(t boathook.Target) error {
			switch {
			case t.Type == boathook.TargetLambda || t.Type == boathook.TargetAgentCore:
				return boathook.InvalidField("type", "%s targets run on AWS only", t.Type)
			case t.Type == boathook.TargetCommand && !c.dev:
				return boathook.InvalidField("type", "command targets are allowed by boathook serve --dev only")
			}
			return nil
		},
		AllowDestination: func(d boathook.Destination) error {
			if !boathook.AllowsARN(c.queueARNs, d.QueueARN) {
				return boathook.InvalidField("destination.queue_arn", "not among the queues that the variable %s names", queueARNsVariable)
			}
			return nil
		},
		Now: time.Now, Log: log,
	})
	management := api.New(api.Config{Service: operations, PublicURL: c.publicURL, Now: time.Now, Log: log, Tracer: t.tracer})
	pages, err := console.New(console.Config{Service: operations, PublicURL: c.publicURL, Key: d.sessionKey, Now: time.Now, Log: log})
	if err != nil {
		return nil, err
	}
	if err := operations.Callers.EnsureWorkspace(ctx); err != nil {
		return nil, err
	}
	targets := target.Set{boathook.TargetHTTP: target.HTTP{Client: once, UserAgent: boathook.UserAgent()}}
	if c.dev {
		targets[boathook.TargetCommand] = target.Command{Grace: 5 * time.Second}
	}
	executor := run.New(run.Config{
		Store: records, Keeper: keeper, Seal: sealer, Now: time.Now, Log: log, Tracer: t.tracer,
		Targets:   targets,
		Stream:    live.NewBroadcast(records, sockets, time.Now, log),
		Heartbeat: time.Second, // writes cost nothing here, so a cancel is seen at once
	})
	destinations := destination.Set{
		boathook.DestinationURL:      destination.HTTP{Client: client, Now: time.Now},
		boathook.DestinationListener: listener.Destination{Announcer: &live.Announcer{Store: records, Sockets: sockets, Log: log}},
	}
	if len(c.queueARNs) > 0 {
		sdk, err := awsconfig.LoadDefaultConfig(ctx)
		if err != nil {
			return nil, fmt.Errorf("the AWS SDK, which sends to queues: %w", err)
		}
		destinations[boathook.DestinationSQS] = destinationsqs.New(sdk, c.queueARNs)
	}
	deliverer := delivery.New(delivery.Config{
		Store: records, Retries: retries, Publish: publisher, Seal: sealer,
		Destination: destinations,
		Now:         time.Now, Jitter: mathrand.Float64, Log: log, Leases: leases,
		Metrics: t.counters, Tracer: t.tracer,
	})

	if err := t.watch(map[string]depths{queue.Runs: runsQueue, queue.Deliveries: deliveries, queue.Retries: retries}); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	// Of a pattern with a slash at the end alone, a ServeMux would redirect what has
	// none.
	for _, path := range []string{"/webhooks", "/webhooks/", "/api/v1/webhooks", "/api/v1/webhooks/"} {
		mux.Handle(path, triggers.Handler())
	}
	mux.Handle("GET /ws", sockets.Handler(liveLog))
	mux.Handle("/console", pages)
	mux.Handle("/console/", pages)
	mux.Handle("/portal", pages)
	mux.Handle("/portal/", pages)
	mux.Handle("/", management)

	s := &system{
		console: pages,
		log:     log,
		store:   records,
		db:      d.db,
		durable: !c.inMemory(),
		sweep:   &sweep.Sweeper{Store: records, Keeper: keeper, Retries: retries, Connections: liveLog, Now: time.Now, Log: log, Tracer: t.tracer},
		sockets: sockets,
		work: []worker{
			{runsQueue, executor.Handle},
			{deliveries, deliverer.Handle},
			{retries, deliverer.Handle},
		},
		storeCounts: deliverer.StoreCounts,
	}
	clean := paths.Clean(mux)
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.closing.Load() && r.Method != http.MethodGet {
			w.Header().Set("Retry-After", "5")
			http.Error(w, "Boathook is shutting down: try again", http.StatusServiceUnavailable)
			return
		}
		clean.ServeHTTP(w, r)
	})
	s.workCtx, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// openQueue opens a queue with its dead-letter queue. In memory they have no file: it would
// be gone with the process, as they are.
func openQueue(c config, d data, name string, q mem.Config) (*mem.Queue, error) {
	if !c.inMemory() {
		return queuesqlite.Open(d.db, name, q)
	}
	q.DeadLetter = mem.New(mem.Config{Visibility: q.Visibility})
	return mem.New(q), nil
}

// start sets the workers and the sweep going.
func (s *system) start() {
	for _, w := range s.work {
		s.running.Go(func() {
			queue.Serve(s.workCtx, w.queue, workers, func(m queue.Received) { s.handle(w, m) },
				func(err error) { s.log.Error("receive failed", "error", err) })
		})
	}
	s.running.Go(func() {
		second := time.NewTicker(time.Second)
		defer second.Stop()
		for {
			select {
			case <-s.workCtx.Done():
				return
			case <-second.C:
				s.storeCounts(s.workCtx)
			}
		}
	})
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
				if err := s.forget(); err != nil {
					s.log.Error("what has expired can't be removed", "error", err)
				}
			}
		}
	})
}

// forget removes what has expired, and gives back its place in the file.
func (s *system) forget() error {
	for s.workCtx.Err() == nil {
		more, err := s.store.Expire(forgottenAtOnce)
		if err == nil {
			err = s.db.Reclaim()
		}
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// handle handles one of w's messages. One that fails comes back after its
// visibility timeout. What has begun is finished, whatever the workers are told.
func (s *system) handle(w worker, m queue.Received) {
	ctx := context.Background()
	if m.Receives > 1 {
		s.failed.Add(-1)
	}
	if err := w.handle(ctx, m.Body); err != nil {
		s.log.Error("message failed", "message_id", m.ID, "receives", m.Receives, "error", err)
		s.failed.Add(1)
		return
	}
	if err := w.queue.Delete(ctx, m.Receipt); err != nil {
		s.log.Error("acknowledge failed", "message_id", m.ID, "error", err)
	}
}

// drain accepts nothing more and stops the workers, once what they have begun is
// finished. In memory it waits until the runs that were accepted are over too, and the
// deliveries that are due made: what is not is lost. Deliveries to this very program
// arrive meanwhile. It tells how many wait.
func (s *system) drain() (waiting int) {
	s.closing.Store(true)
	if !s.durable {
		look := time.NewTicker(20 * time.Millisecond)
		defer look.Stop()
		for !s.idle() {
			<-look.C
		}
	}
	s.stop()
	s.running.Wait()
	s.storeCounts(context.Background())
	return s.waiting()
}

// waiting counts the messages and the attempts that wait for their time.
func (s *system) waiting() (n int) {
	for _, w := range s.work {
		stats := w.queue.Stats()
		n += stats.Ready + stats.InFlight + stats.Delayed
	}
	const most, farAway = 1_000_000, 100 * 365 * 24 * time.Hour
	for shard := range store.DueShards {
		rows, err := s.store.Due(context.Background(), shard, store.Due{}, time.Now().Add(farAway), most)
		if err != nil {
			s.log.Error("what waits can't be counted", "error", err)
		}
		for _, row := range rows {
			if row.Kind == store.DueDelivery {
				n++
			}
		}
	}
	return n
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
