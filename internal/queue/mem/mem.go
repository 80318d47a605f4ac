// Package mem is the embedded twin of Amazon SQS standard queues: the same
// contract, kept in memory, for one process. Nothing in it outlives the
// process, unless a [File] keeps it, as that of package queue/sqlite does. No message
// expires.
//
// The file holds the messages. Memory holds their order, who has which in flight, and
// the bodies of as many as fit: so sending and deleting are a write each, and receiving
// is none. After a restart whatever was not deleted is ready again, or delayed until its
// time: who had it in flight is gone. How often it was received counts anew.
//
// # How a message moves
//
//	Send ─► hidden (delayed) ─► ready ─► hidden (in flight) ─► Delete
//	                              ▲               │
//	                              └─── not deleted in time ─► dead-letter queue, once received MaxReceives times
//
// Hidden messages are a heap by the time at which they show again. Ready ones
// are a list per tenant, oldest first, and the tenants with ready messages a
// heap by their oldest. Every step is logarithmic, however much waits.
//
// # Fairness
//
// As in SQS fair queues, a message's tenant is its group, or itself if it has
// none. A tenant with at least 30 messages in flight that are more than a
// tenth of all in flight is noisy: its messages wait while another tenant has
// a ready one. SQS's other measure, the share of processing time, is not
// modelled.
//
// # Time
//
// The package uses timers and [time.Now] only, so a queue made inside a
// testing/synctest bubble lives in its fake time.
package mem

import (
	"container/heap"
	"container/list"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"boathook/internal/queue"
)

// What SQS documents of its standard queues.
const (
	maxInFlight       = 120_000
	noisyInFlight     = 30 // at least so many
	noisyFraction     = 10 // and more than one in so many of all in flight
	defaultVisibility = 30 * time.Second
)

// ErrOverLimit is Receive's answer while 120,000 messages are in flight and it
// is not to wait. Where it is to wait it finds nothing instead, as on SQS.
var ErrOverLimit = errors.New("120,000 messages are in flight")

// keptBytes is how much of the bodies that wait a queue with a file holds in memory.
// Beyond it a body is read when its message is received.
const keptBytes = 32 << 20

// File keeps the messages of queues for the next process. What a method does is on disk
// when it returns nil, but for Delete.
type File interface {
	// Put stores messages of a queue, and numbers them.
	Put(queue string, messages []Put) (numbers []int64, err error)
	// Delete removes messages soon, if they are there. If the process is killed before, they
	// come back, as those do that were handled and not deleted.
	Delete(numbers []int64)
	// Move makes messages another queue's, and gives the numbers of those that were there.
	Move(numbers []int64, to string) (moved []int64, err error)
	// Bodies reads the bodies of messages.
	Bodies(numbers []int64) ([]string, error)
	// Waiting gives the messages of a queue, in the order in which they were put.
	Waiting(queue string) ([]Waiting, error)
}

// Put is a message for a [File].
type Put struct {
	Group     string
	VisibleAt time.Time
	Body      string
}

// Waiting is a message of a [File], without its body.
type Waiting struct {
	Number    int64
	Group     string
	VisibleAt time.Time
}

// Config describes a queue.
type Config struct {
	Visibility  time.Duration // how long a received message stays in flight; 0 is SQS's default, 30 s
	DeadLetter  *Queue        // nil: a message that is never deleted comes back without end
	MaxReceives int           // receives before the dead-letter queue; 0 is [queue.MaxReceives]

	// GroupLimit is how many messages of one group are in flight at most, so that
	// no group takes all that its consumer can do at a time. 0: as many as there are.
	// SQS has nothing like it.
	GroupLimit int

	File File   // that of the dead-letter queue too; nil: the messages are gone with the process
	Name string // of the queue in the file
}

// Queue is a standard queue in memory. It is safe for concurrent use.
type Queue struct {
	visibility  time.Duration
	deadLetter  *Queue
	maxReceives int
	groupLimit  int
	file        File // nil: there is none
	name        string

	mu        sync.Mutex
	changed   chan struct{} // closed when a waiting Receive should look again; nil until one waits
	hidden    hiddenHeap
	tenants   map[string]*tenant // those with any message
	waiting   tenantHeap         // those with a ready message that may be received
	byReceipt map[string]*message
	inFlight  int
	ready     int
	kept      int         // bytes of bodies in memory
	shown     uint64      // how many times a message became ready, which gives them their order
	lastMove  *queue.Move // from the dead-letter queue back; nil if there was none
}

var _ queue.Queue = (*Queue)(nil)

// New makes an empty queue, without a file.
func New(c Config) *Queue {
	q := &Queue{
		visibility: c.Visibility, deadLetter: c.DeadLetter, maxReceives: c.MaxReceives, groupLimit: c.GroupLimit, file: c.File, name: c.Name,
		tenants: make(map[string]*tenant), byReceipt: make(map[string]*message),
	}
	if q.visibility == 0 {
		q.visibility = defaultVisibility
	}
	if q.maxReceives == 0 {
		q.maxReceives = queue.MaxReceives
	}
	return q
}

// Open makes a queue with what its file has of it. Whoever had a message in flight is
// gone.
func Open(c Config) (*Queue, error) {
	q := New(c)
	waiting, err := c.File.Waiting(c.Name)
	if err != nil {
		return nil, fmt.Errorf("open queue %s: %w", q.name, err)
	}
	now := time.Now()
	for _, w := range waiting {
		m := &message{id: idOf(w.Number), number: w.Number, group: w.Group}
		q.join(m)
		if w.VisibleAt.After(now) {
			q.hide(m, w.VisibleAt)
		} else {
			q.show(m)
		}
	}
	return q, nil
}

func idOf(number int64) string { return strconv.FormatInt(number, 10) }

// message is either hidden or ready. Hidden with a receipt, it is in flight;
// hidden without one, it is delayed.
type message struct {
	id       string
	number   int64  // in the file
	body     string // empty: it is to be read from the file
	group    string
	receives int
	receipt  string // of the last receive
	tenant   *tenant

	until time.Time // while hidden: when it shows again
	index int       // while hidden: its place in the heap

	order   uint64        // while ready: smaller is older
	element *list.Element // while ready: its place in the tenant's list; otherwise nil
}

type tenant struct {
	name     string
	messages int       // all of them in this queue
	inFlight int       // of these
	ready    list.List // of *message, oldest first
	index    int       // its place among those that wait; -1 while it is not there
}

func (t *tenant) oldest() *message { return t.ready.Front().Value.(*message) }

// DeadLetter is the queue of what was received too often; nil if there is none.
func (q *Queue) DeadLetter() *Queue { return q.deadLetter }

// Send implements [queue.Sender]. It accepts all messages or none.
func (q *Queue) Send(ctx context.Context, messages ...queue.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for i, m := range messages {
		if err := m.Validate(); err != nil {
			return fmt.Errorf("send message %d: %w", i, err)
		}
	}
	if len(messages) == 0 {
		return nil
	}
	now := time.Now()
	sent := make([]*message, len(messages))
	for i, m := range messages {
		sent[i] = &message{body: m.Body, group: m.Group, until: now.Add(time.Duration(m.DelaySeconds()) * time.Second)}
	}
	if err := q.number(sent); err != nil {
		return fmt.Errorf("send to queue %s: %w", q.name, err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range sent {
		q.join(m)
		q.keep(m)
		if m.until.After(now) {
			q.hide(m, m.until)
		} else {
			q.show(m)
		}
	}
	return nil
}

// number gives messages their ids, once they are in the file if there is one.
func (q *Queue) number(sent []*message) error {
	if q.file == nil {
		// Others who are about to send do so first, as they would join a file's commit.
		// Then one step is done for many messages in a row, and the processor has it in
		// its caches. Without this a queue without a file is the dearer one.
		runtime.Gosched()
		for _, m := range sent {
			m.id = rand.Text()
		}
		return nil
	}
	put := make([]Put, len(sent))
	for i, m := range sent {
		put[i] = Put{m.group, m.until, m.body}
	}
	numbers, err := q.file.Put(q.name, put)
	if err != nil {
		return err
	}
	for i, n := range numbers {
		sent[i].id, sent[i].number = idOf(n), n
	}
	return nil
}

// Receive implements [queue.Queue]. Its own error is [ErrOverLimit].
func (q *Queue) Receive(ctx context.Context, limit int, wait time.Duration) ([]queue.Received, error) {
	if limit < 1 || limit > queue.MaxBatch {
		return nil, fmt.Errorf("receive: limit %d, of 1 to %d", limit, queue.MaxBatch)
	}
	deadline := time.Now().Add(wait)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		q.mu.Lock()
		now := time.Now()
		dead := q.surface(now)
		received, unread := q.take(limit, now)
		full := q.inFlight == maxInFlight
		next, changed := q.next(deadline)
		q.mu.Unlock()
		err := q.bury(dead)
		switch {
		case len(received) > 0:
			return q.read(received, unread) // what could not be buried is tried again, and told of then
		case err != nil:
			return nil, err
		case wait <= 0 && full:
			return nil, ErrOverLimit
		case !now.Before(deadline):
			return nil, nil
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// read gives received messages the bodies that they lack, in their order. What can't be
// read comes back after its visibility timeout.
func (q *Queue) read(received []queue.Received, unread []int64) ([]queue.Received, error) {
	if len(unread) == 0 {
		return received, nil
	}
	bodies, err := q.file.Bodies(unread)
	if err != nil {
		return nil, fmt.Errorf("receive from queue %s: %w", q.name, err)
	}
	for i := range received {
		if received[i].Body == "" {
			received[i].Body, bodies = bodies[0], bodies[1:]
		}
	}
	return received, nil
}

// Delete implements [queue.Queue]. A receipt that is not a message's last one
// is ignored.
func (q *Queue) Delete(ctx context.Context, receipts ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var deleted []*message
	q.mu.Lock()
	for _, receipt := range receipts {
		if m := q.byReceipt[receipt]; m != nil {
			deleted = append(deleted, m)
		}
	}
	q.mu.Unlock()
	if len(deleted) == 0 {
		return nil
	}
	if q.file != nil {
		q.file.Delete(numbersOf(deleted))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range deleted {
		q.remove(m)
	}
	return nil
}

// Stats says how many messages a queue holds.
type Stats struct {
	Ready    int // to be received now
	InFlight int // received, and neither deleted nor shown again
	Delayed  int // sent with a delay that is not over
}

// Stats counts the queue's messages as they are now. What is dead is in the
// stats of the dead-letter queue, of which it is ready.
func (q *Queue) Stats() Stats {
	q.mu.Lock()
	dead := q.surface(time.Now())
	q.mu.Unlock()
	_ = q.bury(dead) // those that can't be moved are delayed here, and counted so
	q.mu.Lock()
	defer q.mu.Unlock()
	return Stats{Ready: q.ready, InFlight: q.inFlight, Delayed: len(q.hidden) - q.inFlight}
}

// The methods below are called with the lock held.

// take puts up to limit ready messages in flight. unread are the numbers of those whose
// bodies are in the file.
func (q *Queue) take(limit int, now time.Time) (received []queue.Received, unread []int64) {
	for len(q.waiting) > 0 && q.inFlight < maxInFlight && len(received) < limit {
		m := q.pick()
		m.tenant.inFlight++
		q.inFlight++
		q.unready(m)
		delete(q.byReceipt, m.receipt)
		m.receives++
		m.receipt = m.id + "." + strconv.Itoa(m.receives)
		q.byReceipt[m.receipt] = m
		q.hide(m, now.Add(q.visibility))
		received = append(received, queue.Received{
			ID: m.id, Body: m.body, Group: m.group, Receives: m.receives, Receipt: m.receipt,
		})
		if m.body == "" {
			unread = append(unread, m.number)
		}
	}
	return received, unread
}

// keep holds the body of a message in memory if there is space.
func (q *Queue) keep(m *message) {
	if q.file != nil && q.kept+len(m.body) > keptBytes {
		m.body = ""
	}
	q.kept += len(m.body)
}

// pick chooses the oldest ready message of a quiet tenant or, if there is
// none, the oldest of all. At most nine tenants can hold more than a tenth
// each, so it sets few aside.
func (q *Queue) pick() *message {
	var noisy []*tenant
	for len(q.waiting) > 0 && q.noisy(q.waiting[0]) {
		noisy = append(noisy, heap.Pop(&q.waiting).(*tenant))
	}
	var first *tenant
	if len(q.waiting) > 0 {
		first = q.waiting[0]
	} else {
		first = noisy[0]
	}
	for _, t := range noisy {
		heap.Push(&q.waiting, t)
	}
	return first.oldest()
}

func (q *Queue) noisy(t *tenant) bool {
	return t.inFlight >= noisyInFlight && t.inFlight*noisyFraction > q.inFlight
}

// next gives the time until which nothing happens by itself, at most the
// deadline, and the channel that is closed when something is done before.
func (q *Queue) next(deadline time.Time) (time.Time, <-chan struct{}) {
	if len(q.hidden) > 0 && q.hidden[0].until.Before(deadline) {
		deadline = q.hidden[0].until
	}
	if q.changed == nil {
		q.changed = make(chan struct{})
	}
	return deadline, q.changed
}

func (q *Queue) wake() {
	if q.changed != nil {
		close(q.changed)
		q.changed = nil
	}
}

// surface brings up every message whose time has come: it is ready, or dead. Those
// that are dead have left this queue; see [Queue.bury].
func (q *Queue) surface(now time.Time) (dead []*message) {
	for len(q.hidden) > 0 && !q.hidden[0].until.After(now) {
		m := heap.Pop(&q.hidden).(*message)
		if m.receipt != "" {
			q.land(m)
		}
		if q.deadLetter != nil && m.receives >= q.maxReceives {
			q.leave(m)
			dead = append(dead, m)
		} else {
			q.show(m)
		}
	}
	return dead
}

// bury moves messages that have left this queue to its dead-letter queue. If it can't,
// they are back in this one, and tried again after the visibility timeout. It takes the
// locks itself.
func (q *Queue) bury(dead []*message) error {
	if len(dead) == 0 {
		return nil
	}
	moved, err := q.deadLetter.move(dead)
	if err == nil {
		q.deadLetter.adopt(moved)
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	until := time.Now().Add(q.visibility)
	for _, m := range dead {
		m.receipt = ""
		q.join(m)
		q.keep(m)
		q.hide(m, until)
	}
	return fmt.Errorf("move to the dead-letter queue of %s: %w", q.name, err)
}

// move makes messages this queue's in the file, and gives those that were still there.
func (q *Queue) move(messages []*message) ([]*message, error) {
	if q.file == nil {
		return messages, nil
	}
	moved, err := q.file.Move(numbersOf(messages), q.name)
	return slices.DeleteFunc(messages, func(m *message) bool { return err == nil && !slices.Contains(moved, m.number) }), err
}

func numbersOf(messages []*message) []int64 {
	numbers := make([]int64, len(messages))
	for i, m := range messages {
		numbers[i] = m.number
	}
	return numbers
}

// adopt takes messages from another queue. It takes the lock itself.
func (q *Queue) adopt(messages []*message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range messages {
		m.receipt = ""
		q.join(m)
		q.keep(m)
		q.show(m)
	}
}

// hide keeps m from being received until a time.
func (q *Queue) hide(m *message, until time.Time) {
	m.until = until
	heap.Push(&q.hidden, m)
	if m.index == 0 {
		q.wake() // those who wait must wait less long
	}
}

// show makes m ready.
func (q *Queue) show(m *message) {
	q.shown++
	m.order = q.shown
	m.element = m.tenant.ready.PushBack(m)
	q.ready++
	q.line(m.tenant)
	q.wake()
}

// line brings a tenant to its place among those that wait, or takes it away from there.
func (q *Queue) line(t *tenant) {
	in := t.ready.Len() > 0 && (q.groupLimit == 0 || t.inFlight < q.groupLimit)
	switch {
	case in && t.index < 0:
		heap.Push(&q.waiting, t)
	case in:
		heap.Fix(&q.waiting, t.index)
	case t.index >= 0:
		heap.Remove(&q.waiting, t.index)
		t.index = -1
	}
}

// unready undoes show.
func (q *Queue) unready(m *message) {
	m.tenant.ready.Remove(m.element)
	m.element = nil
	q.ready--
	q.line(m.tenant)
}

// land counts m as no longer in flight.
func (q *Queue) land(m *message) {
	if q.inFlight == maxInFlight || m.tenant.inFlight == q.groupLimit {
		q.wake()
	}
	m.tenant.inFlight--
	q.inFlight--
	q.line(m.tenant)
}

// join adds m to its tenant.
func (q *Queue) join(m *message) {
	name := m.group
	if name == "" {
		name = m.id
	}
	t := q.tenants[name]
	if t == nil {
		t = &tenant{name: name, index: -1}
		q.tenants[name] = t
	}
	t.messages++
	m.tenant = t
}

// leave undoes join, and forgets m's receipt.
func (q *Queue) leave(m *message) {
	delete(q.byReceipt, m.receipt)
	q.kept -= len(m.body)
	m.tenant.messages--
	if m.tenant.messages == 0 {
		delete(q.tenants, m.tenant.name)
	}
	m.tenant = nil
}

// remove takes m out of the queue, wherever it is there.
func (q *Queue) remove(m *message) {
	switch {
	case m.tenant == nil:
		return // it was removed already, or is on its way to the dead-letter queue, which will not find it
	case m.element != nil:
		q.unready(m)
	default:
		heap.Remove(&q.hidden, m.index)
		if m.receipt != "" {
			q.land(m)
		}
	}
	q.leave(m)
}
