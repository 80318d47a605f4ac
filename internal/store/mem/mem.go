// Package mem is the embedded twin of package dynamo: a [store.Store] in the
// memory of one process, for `make run`, the rooms' tests and the simulation.
//
// One mutex guards maps by id and lists in the order they are read. What goes
// in and what comes out is copied, so a caller's later changes to its slices
// and maps are its own. Times are kept as package dynamo keeps them, in UTC to
// the millisecond.
//
// Records are dropped when they expire, before any method looks: see
// [Store.lock]. Due rows don't expire; sweep deletes them.
package mem

import (
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
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

	workspaces map[string]boathook.Workspace
	tokens     map[[sha256.Size]byte]boathook.Token
	tokensOf   lists[string, boathook.Token] // of a workspace
	sources    map[string]boathook.Source
	sourcesOf  lists[kindOf, boathook.Source]
	below      map[string]*below               // by source
	versionsOf lists[string, boathook.Version] // of a source, by number

	runs         map[string]*boathook.Run
	runsOf       lists[string, *boathook.Run]          // of a source
	requests     map[string]map[slot]*boathook.Request // by webhook
	logs         map[string][]chunk                    // by run
	deliveries   map[deliveryKey]*delivery
	deliveriesOf lists[webhookKey, *delivery]
	due          lists[int, store.Due] // by shard
	pins         map[pinKey]*store.EventPin
	slots        map[slotKey]time.Time // the next that is free

	expiring []expiring // soonest first
}

var _ store.Store = (*Store)(nil)

// New makes an empty store.
func New(c Config) *Store {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Store{
		config:       c,
		workspaces:   make(map[string]boathook.Workspace),
		tokens:       make(map[[sha256.Size]byte]boathook.Token),
		tokensOf:     make(lists[string, boathook.Token]),
		sources:      make(map[string]boathook.Source),
		sourcesOf:    make(lists[kindOf, boathook.Source]),
		below:        make(map[string]*below),
		versionsOf:   make(lists[string, boathook.Version]),
		runs:         make(map[string]*boathook.Run),
		runsOf:       make(lists[string, *boathook.Run]),
		requests:     make(map[string]map[slot]*boathook.Request),
		logs:         make(map[string][]chunk),
		deliveries:   make(map[deliveryKey]*delivery),
		deliveriesOf: make(lists[webhookKey, *delivery]),
		due:          make(lists[int, store.Due]),
		pins:         make(map[pinKey]*store.EventPin),
		slots:        make(map[slotKey]time.Time),
	}
}

// expiring is a record that is to be dropped.
type expiring struct {
	at   time.Time
	drop func()
}

// lock takes the store for a method, which releases it by deferring what lock
// returns. It drops the records that have expired, so that a method only ever
// meets live ones.
func (s *Store) lock() (unlock func()) {
	s.mu.Lock()
	if len(s.expiring) > 0 {
		now := s.config.Now()
		for len(s.expiring) > 0 && !now.Before(s.expiring[0].at) {
			s.expiring[0].drop()
			s.expiring[0] = expiring{}
			s.expiring = s.expiring[1:]
		}
	}
	return s.mu.Unlock
}

// expire has a record that was just created dropped after the retention.
func (s *Store) expire(drop func()) {
	s.expiring = append(s.expiring, expiring{s.config.Now().Add(s.config.Retention), drop})
}

func notFound(what string) error { return boathook.Errorf(boathook.NotFound, "%s not found", what) }

// stored is a time as it is kept.
func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// newestFirst sorts what has no pages.
func newestFirst[V any](values []V, at func(V) position) []V {
	slices.SortFunc(values, func(a, b V) int { return at(b).compare(at(a)) })
	return values
}
