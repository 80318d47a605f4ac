package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/delivery"
	"boathook/internal/dialect"
	"boathook/internal/queue"
	queuemem "boathook/internal/queue/mem"
)

// incident is trouble with endpoints, beside a steady flow of events. Each webhook
// has a source and an endpoint of its own.
type incident struct {
	name     string
	webhooks []mood        // of their endpoints
	bursting int           // so many of the first get a burst instead of a part of the flow
	burst    int           // events that each of them gets at once, burstAt after the start
	flow     int           // events a second that the others get together
	length   time.Duration // of the flow
}

// Endpoints that only incidents have.
const (
	late   mood = "late"   // its answers are good and take 5 s
	edging mood = "edging" // its answers are good and take 2.9 s: it is just not given up
)

// burstAt leaves the mapping time to open its batches.
const burstAt = time.Minute

// waits is how long webhooks, by the mood of their endpoints, waited for the first
// request of each event, from its publication on. Those of bursts are not among
// them.
type waits map[mood][]time.Duration

// quantile is what so many of the waits are not above; q is 0 to 1.
func (w waits) quantile(m mood, q float64) time.Duration {
	all := w[m]
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, int(q*float64(len(all))))].Round(time.Millisecond)
}

func (w waits) String() string {
	var out []string
	for _, m := range []mood{healthy, late} {
		if n := len(w[m]); n > 0 {
			out = append(out, fmt.Sprintf("%s: %5d, p50 %6.2f s, p99 %6.2f s, max %6.2f s", m, n,
				w.quantile(m, 0.5).Seconds(), w.quantile(m, 0.99).Seconds(), w.quantile(m, 1).Seconds()))
		}
	}
	return strings.Join(out, "; ")
}

// traffic is a world in which nothing fails but endpoints.
type traffic struct {
	*world
	incident
	sources   []talker // of the webhooks, in their order
	publisher *delivery.Publisher
	random    *rand.Rand

	mu     sync.Mutex
	waits  waits
	unmade map[boathook.DeliveryID]time.Time // those that wait: since when
}

// talker is a source with its only webhook.
type talker struct{ ID, webhookID string }

// onAWS has the incident with the defaults of template.yaml: each batch is handled
// by a process of its own, twenty of first attempts at a time, ten of retries.
func onAWS(t *testing.T, i incident) waits {
	return i.simulate(t, func(w *world) {
		w.leases = 2 * deliveryConcurrency / 5
		w.start()
	})
}

// What internal/cmd/boathook has.
const (
	workers    = 1024
	perWebhook = 64
)

// onOneMachine has the incident in one process, as make run serves it.
func onOneMachine(t *testing.T, i incident) waits {
	return i.simulate(t, func(w *world) {
		w.leases = 2 * workers / 5
		w.deliveries.Queue = queuemem.New(queuemem.Config{Visibility: deliveriesVisibility, GroupLimit: perWebhook})
		w.retries.Queue = queuemem.New(queuemem.Config{Visibility: deliveriesVisibility, GroupLimit: perWebhook})
		p := w.boot(deliverKind)
		for _, l := range []*line{w.deliveries, w.retries} {
			w.running.Go(func() {
				queue.Serve(w.ctx, l, workers, func(m queue.Received) {
					if p.handle(context.Background(), m.Body) == nil {
						must(l.Delete(context.Background(), m.Receipt))
					}
				}, func(err error) { panic(err) })
			})
		}
		w.running.Go(w.sweepEachMinute)
	})
}

func (i incident) simulate(t *testing.T, start func(*world)) (result waits) {
	const seed = 1
	cryptotest.SetGlobalRandom(t, seed)
	synctest.Test(t, func(*testing.T) {
		tr := &traffic{
			world: emptyWorld(seed, Bug{}, false), incident: i, random: rand.New(rand.NewPCG(seed, seed)),
			waits: make(waits), unmade: make(map[boathook.DeliveryID]time.Time),
		}
		tr.calm, tr.quiet, tr.client = true, true, tr
		p := tr.boot(manageKind)
		tr.publisher = &delivery.Publisher{Store: calls{tr.store, p}, Queue: sender{tr.deliveries, p}, Log: silent}
		for n := range i.webhooks {
			tr.addSource(n)
		}
		start(tr.world)
		tr.flowing()
		tr.stop()
		result = tr.waits
	})
	return result
}

// addSource makes the nth source with its webhook.
func (tr *traffic) addSource(n int) {
	ctx, now := context.Background(), time.Now()
	s := talker{boathook.NewID(boathook.DeploymentID), boathook.NewID(boathook.OutgoingID)}
	tr.sources = append(tr.sources, s)
	must(tr.store.PutSource(ctx, boathook.Source{ID: s.ID, WorkspaceID: workspaceID, Kind: boathook.Deployment, Name: strconv.Itoa(n), CreatedAt: now}))
	must(tr.store.PutOutgoing(ctx, boathook.OutgoingWebhook{
		ID: s.webhookID, WorkspaceID: workspaceID, SourceID: s.ID, Name: "out", URL: fmt.Sprintf("https://%d.example", n),
		Events: []boathook.EventType{boathook.EventRunSucceeded}, Environment: boathook.Production, Dialect: "crewship",
		Timeout: boathook.DefaultDeliveryTimeout, Retry: boathook.DefaultRetry, Enabled: true,
		Secrets: boathook.SealedSecrets{Current: []byte(boathook.NewSigningSecret())}, CreatedAt: now, UpdatedAt: now,
	}))
}

// flowing publishes the flow and the bursts, and waits until each of the flow's
// events was sent once, if it takes no more than an hour.
func (tr *traffic) flowing() {
	var published sync.WaitGroup
	published.Go(func() {
		time.Sleep(burstAt)
		for range tr.burst {
			for n := range tr.bursting {
				time.Sleep(500 * time.Microsecond)
				published.Go(func() { tr.publish(n) })
			}
		}
	})
	for end := time.Now().Add(tr.length); time.Now().Before(end); {
		time.Sleep(time.Duration(tr.random.ExpFloat64() * float64(time.Second) / float64(tr.flow)))
		n := tr.bursting + tr.random.IntN(len(tr.webhooks)-tr.bursting)
		published.Go(func() { tr.publish(n) })
	}
	published.Wait()
	for limit := time.Now().Add(time.Hour); tr.waiting() > 0; time.Sleep(time.Second) {
		if time.Now().After(limit) {
			panic(fmt.Sprintf("%d events have had no request", tr.waiting()))
		}
	}
}

// waiting counts the flow's events that have had no request, but those to
// endpoints that hang.
func (tr *traffic) waiting() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return len(tr.unmade)
}

// publish publishes an event of the nth source.
func (tr *traffic) publish(n int) {
	source := tr.sources[n]
	e := boathook.Event{
		ID: boathook.NewID(boathook.EventID), WorkspaceID: workspaceID, SourceID: source.ID, Environment: boathook.Production,
		Type: boathook.EventRunSucceeded, Time: time.Now(), Data: json.RawMessage(`{"output":null}`),
	}
	if m := tr.webhooks[n]; n >= tr.bursting && m != hanging {
		tr.mu.Lock()
		tr.unmade[boathook.NewDeliveryID(&e, source.webhookID)] = e.Time
		tr.mu.Unlock()
	}
	must(tr.publisher.Publish(context.Background(), e))
}

// Do implements [deliver.Client]: it is all endpoints.
func (tr *traffic) Do(req *http.Request) (*http.Response, error) {
	n, err := strconv.Atoi(strings.TrimSuffix(req.URL.Host, ".example"))
	must(err)
	id, err := boathook.ParseDeliveryID(req.Header.Get(dialect.CrewshipDelivery))
	must(err)
	tr.arrived(tr.webhooks[n], id)

	var answer time.Duration
	switch tr.webhooks[n] {
	case hanging:
		answer = time.Hour
	case late:
		answer = 5 * time.Second
	case edging:
		answer = 2900 * time.Millisecond
	default:
		answer = between(tr.chance("answer", req.URL.Host), 40*time.Millisecond, 60*time.Millisecond)
	}
	timer := time.NewTimer(answer)
	defer timer.Stop()
	select {
	case <-timer.C:
		return &http.Response{StatusCode: http.StatusOK, Header: make(http.Header), Body: http.NoBody}, nil
	case <-req.Context().Done():
		return nil, &url.Error{Op: "Post", URL: req.URL.String(), Err: req.Context().Err()}
	}
}

// arrived notes a delivery's request, if it is the first.
func (tr *traffic) arrived(m mood, id boathook.DeliveryID) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if at, waits := tr.unmade[id]; waits {
		delete(tr.unmade, id)
		tr.waits[m] = append(tr.waits[m], time.Since(at))
	}
}
