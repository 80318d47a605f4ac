// Package mem is the twin of package dynamo in the memory of one process: a
// [store.Store] for the services' tests and the simulation.
//
// One mutex guards maps by id and lists in the order they are read. What goes
// in and what comes out is copied, so a caller's later changes to its slices
// and maps are its own. Times are kept as package dynamo keeps them, in UTC to
// the millisecond.
//
// Records are dropped when they expire, before any method looks: see
// [Store.lock]. Scheduled items don't expire; sweep deletes them. Connections, which
// their server deletes, are dropped when somebody looks for them too late.
package mem

import (
	"container/heap"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
	"boathook/internal/store/paging"
)

// Config is what a [Store] is made with.
type Config struct {
	Retention time.Duration    // how long a record is kept from its creation on; positive
	Now       func() time.Time // never goes back; nil: time.Now
}

// Store is a [store.Store] in memory. It is safe for concurrent use. Its methods
// don't wait, and so don't look at their contexts.
type Store struct {
	config Config

	mu sync.Mutex

	workspaces    map[string]boathook.Workspace
	allWorkspaces lists[struct{}, string] // their ids
	tokens        map[[sha256.Size]byte]boathook.Token
	tokensOf      lists[string, boathook.Token] // of a workspace
	sources       map[string]boathook.Source
	sourcesOf     lists[kindOf, boathook.Source]
	below         map[string]*below               // by source
	versionsOf    lists[string, boathook.Version] // of a source, by number

	runs         map[string]*boathook.Run
	pinnedRuns   map[string]string                     // the runs' ids, by the ids that stand for them
	loads        map[string]store.Load                 // by agent
	runsOf       lists[string, *boathook.Run]          // of a source
	healths      map[string]*health                    // by webhook
	runsIn       lists[kindOf, *boathook.Run]          // of a workspace's sources of a kind
	runsSent     lists[sentKey, *boathook.Run]         // that have a sender's id
	requests     map[string]map[slot]*boathook.Request // by webhook
	logs         map[string][]chunk                    // by run
	agentLogs    lists[string, chunk]                  // of agents' runs, by agent
	deliveries   map[deliveryKey]*delivery
	deliveriesOf lists[webhookKey, *delivery]
	deliveriesIn lists[string, *delivery]                                  // of a workspace
	statistics   lists[string, *hour]                                      // by webhook
	due          lists[int, store.Due]                                     // by shard
	eventTypes   map[string]map[boathook.EventType]boathook.TypeDefinition // by workspace
	pins         map[pinKey]*store.EventPin
	feeds        map[string]*feed       // by source
	slots        map[slotKey]time.Time  // the next that is free
	leases       map[leaseKey]time.Time // until when a place is taken
	backlogs     map[string]time.Time   // by source
	turns        map[string]*turns      // by deployment
	bursts       map[burstKey]store.Burst

	connections map[string]boathook.Connection
	watchers    map[string]map[string]boathook.Connection // by channel of a workspace, by id

	expiring expiringHeap
}

var _ store.Store = (*Store)(nil)

// New makes an empty store.
func New(c Config) *Store {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Store{
		config:        c,
		workspaces:    make(map[string]boathook.Workspace),
		allWorkspaces: make(lists[struct{}, string]),
		tokens:        make(map[[sha256.Size]byte]boathook.Token),
		tokensOf:      make(lists[string, boathook.Token]),
		sources:       make(map[string]boathook.Source),
		sourcesOf:     make(lists[kindOf, boathook.Source]),
		below:         make(map[string]*below),
		versionsOf:    make(lists[string, boathook.Version]),
		runs:          make(map[string]*boathook.Run),
		pinnedRuns:    make(map[string]string),
		loads:         make(map[string]store.Load),
		runsOf:        make(lists[string, *boathook.Run]),
		healths:       make(map[string]*health),
		runsIn:        make(lists[kindOf, *boathook.Run]),
		runsSent:      make(lists[sentKey, *boathook.Run]),
		statistics:    make(lists[string, *hour]),
		requests:      make(map[string]map[slot]*boathook.Request),
		logs:          make(map[string][]chunk),
		agentLogs:     make(lists[string, chunk]),
		deliveries:    make(map[deliveryKey]*delivery),
		deliveriesOf:  make(lists[webhookKey, *delivery]),
		deliveriesIn:  make(lists[string, *delivery]),
		due:           make(lists[int, store.Due]),
		eventTypes:    make(map[string]map[boathook.EventType]boathook.TypeDefinition),
		pins:          make(map[pinKey]*store.EventPin),
		feeds:         make(map[string]*feed),
		slots:         make(map[slotKey]time.Time),
		leases:        make(map[leaseKey]time.Time),
		backlogs:      make(map[string]time.Time),
		turns:         make(map[string]*turns),
		bursts:        make(map[burstKey]store.Burst),
		connections:   make(map[string]boathook.Connection),
		watchers:      make(map[string]map[string]boathook.Connection),
	}
}

// expiring is a record that is to be dropped at a time, or later if it has been
// given more time meanwhile.
type expiring struct {
	at    time.Time
	until func() time.Time // nil: at
	drop  func()
}

// expiringHeap has the record on top that expires first.
type expiringHeap []expiring

func (h expiringHeap) Len() int           { return len(h) }
func (h expiringHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h expiringHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *expiringHeap) Push(x any)        { *h = append(*h, x.(expiring)) }

func (h *expiringHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	(*h)[last] = expiring{} // lets go of the record
	*h = (*h)[:last]
	return x
}

// lock takes the store for a method, which releases it by deferring what lock
// returns. It drops the records that have expired, so that a method only ever
// meets live ones.
func (s *Store) lock() (unlock func()) {
	s.mu.Lock()
	if len(s.expiring) == 0 {
		return s.mu.Unlock
	}
	for now := s.config.Now(); len(s.expiring) > 0 && !now.Before(s.expiring[0].at); {
		e := &s.expiring[0]
		if e.until != nil {
			if later := e.until(); now.Before(later) {
				e.at = later
				heap.Fix(&s.expiring, 0)
				continue
			}
		}
		e.drop()
		heap.Pop(&s.expiring)
	}
	return s.mu.Unlock
}

// expiry is when a record that is written now expires.
func (s *Store) expiry() time.Time { return s.config.Now().Add(s.config.Retention) }

// expire has a record that was just created dropped after the retention.
func (s *Store) expire(drop func()) { s.expireLater(nil, drop) }

// expireLater is expire for a record that changes may give more time: until tells
// how much.
func (s *Store) expireLater(until func() time.Time, drop func()) {
	heap.Push(&s.expiring, expiring{s.expiry(), until, drop})
}

func notFound(what string) error { return boathook.Errorf(boathook.NotFound, "%s not found", what) }

// stored is a time as it is kept.
func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// newestFirst sorts what has no pages.
func newestFirst[V any](values []V, at func(V) paging.Position) []V {
	slices.SortFunc(values, func(a, b V) int { return at(b).Compare(at(a)) })
	return values
}
