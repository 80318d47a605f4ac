// Package storetest is the conformance suite of [store.Store]: what the
// contract says, as tests that every implementation passes. An
// implementation's own test is a harness and one call of [Run].
//
// The suite asks nothing of capacity or speed, and makes about 1,600 calls, so
// that it also runs against slow emulators. It reads what it has just written,
// also through the methods that the contract allows to lag.
package storetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// Open makes an empty store that takes the time from now and keeps its records
// for retention. It cleans up through t.
type Open func(t *testing.T, now func() time.Time, retention time.Duration) store.Store

// Run holds a store to the contract. Each part opens one of its own: an emulator
// reads more of a table for each item that other parts have left there.
func Run(t *testing.T, open Open) {
	for _, part := range []struct {
		what string
		test func(*suite, *testing.T)
	}{
		{"workspaces", (*suite).testWorkspaces},
		{"the list of workspaces", (*suite).testWorkspaceList},
		{"tokens", (*suite).testTokens},
		{"sources", (*suite).testSources},
		{"agents of a crew", (*suite).testCrewAgents},
		{"customers", (*suite).testCustomers},
		{"event types", (*suite).testEventTypes},
		{"deleting a source", (*suite).testDeleteSource},
		{"versions", (*suite).testVersions},
		{"incoming webhooks", (*suite).testIncoming},
		{"outgoing webhooks", (*suite).testOutgoing},
		{"the health of webhooks", (*suite).testHealth},
		{"looking up a trigger", (*suite).testLookUpTrigger},
		{"looking up an agent", (*suite).testLookUpAgent},
		{"pinning runs", (*suite).testPinRun},
		{"admitting runs", (*suite).testAdmit},
		{"admitting runs again", (*suite).testRepeatedAdmission},
		{"creating runs", (*suite).testCreateRun},
		{"removing pending runs", (*suite).testRemovePending},
		{"claiming runs", (*suite).testClaimRun},
		{"renewing leases", (*suite).testRenewLease},
		{"finishing runs", (*suite).testFinishRun},
		{"marking runs published", (*suite).testMarkPublished},
		{"marking runs retried", (*suite).testMarkRetried},
		{"moving versions of runs", (*suite).testMoveVersion},
		{"marking runs that wait", (*suite).testMarkWaiting},
		{"turns", (*suite).testTurns},
		{"bursts", (*suite).testBursts},
		{"joining runs", (*suite).testJoinRun},
		{"limits of deployments", (*suite).testMaxInFlight},
		{"canceling runs", (*suite).testRequestCancel},
		{"lists of runs", (*suite).testRuns},
		{"active runs", (*suite).testAnyActive},
		{"requests", (*suite).testRequests},
		{"logs", (*suite).testLogs},
		{"logs of agents", (*suite).testAgentLog},
		{"events", (*suite).testEvents},
		{"feeds", (*suite).testFeed},
		{"the expiry of feeds", (*suite).testFeedExpiry},
		{"who hears of events", (*suite).testAudience},
		{"recording attempts", (*suite).testRecordAttempt},
		{"recording attempts again", (*suite).testRepeatedAttempt},
		{"canceling deliveries", (*suite).testCancelDelivery},
		{"postponing deliveries", (*suite).testPostponeDelivery},
		{"reopening deliveries", (*suite).testReopenDelivery},
		{"lists of deliveries", (*suite).testDeliveries},
		{"lists of a workspace's deliveries", (*suite).testWorkspaceDeliveries},
		{"runs of a sender's delivery", (*suite).testRunsOfDelivery},
		{"statistics", (*suite).testStatistics},
		{"logs of attempts", (*suite).testAttemptLog},
		{"traces", (*suite).testTraces},
		{"scheduled items", (*suite).testDue},
		{"the life of scheduled items", (*suite).testDueLife},
		{"slots", (*suite).testSlots},
		{"leases", (*suite).testLeases},
		{"hostile ids", (*suite).testHostileIDs},
		{"backlogs", (*suite).testBacklogs},
		{"connections", (*suite).testConnections},
		{"expiry", (*suite).testExpiry},
		{"what outlives the retention", (*suite).testUnfinished},
	} {
		t.Run(part.what, func(t *testing.T) { part.test(newSuite(t, open), t) })
	}
}

const retention = 15 * 24 * time.Hour

type suite struct {
	store.Store
	clock *clock
}

func newSuite(t *testing.T, open Open) *suite {
	c := &clock{now: time.Now().UTC().Truncate(time.Millisecond)}
	return &suite{open(t, c.Now, retention), c}
}

// clock stands still until it is told to advance.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// asStored compares times with their location, since stores give UTC, and bytes
// as text, which is much faster.
var asStored = cmp.Options{
	cmpopts.EquateEmpty(),
	cmp.FilterValues(func(a, b []byte) bool { return len(a)+len(b) > 0 },
		cmp.Transformer("text", func(b []byte) string { return string(b) })),
	cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) && a.Location() == b.Location() }),
}

func wantSame(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, asStored); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func wantKind(t *testing.T, what string, err error, kind boathook.Kind) {
	t.Helper()
	if !boathook.IsKind(err, kind) {
		t.Errorf("%s: error %v, want one of kind %s", what, err, kind)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// read is for calls whose value is the matter: read(s.Run(…))(t).
func read[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		must(t, err)
		return v
	}
}

// atOnce calls step n times at once and returns the numbers of those calls
// that succeeded. Another error than a Conflict fails the test.
func atOnce(t *testing.T, n int, step func(ctx context.Context, i int) error) []int {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = step(t.Context(), i) })
	}
	wg.Wait()
	var done []int
	for i, err := range errs {
		switch {
		case err == nil:
			done = append(done, i)
		case !boathook.IsKind(err, boathook.Conflict):
			t.Fatal(err)
		}
	}
	return done
}

// winners calls try n times at once and returns the numbers of those calls that
// say that they were the one. An error fails the test.
func winners(t *testing.T, n int, try func(ctx context.Context, i int) (won bool, err error)) (numbers []int) {
	t.Helper()
	won := make([]bool, n)
	atOnce(t, n, func(ctx context.Context, i int) (err error) {
		won[i], err = try(ctx, i)
		return err
	})
	for i, one := range won {
		if one {
			numbers = append(numbers, i)
		}
	}
	return numbers
}

// printable is random printable ASCII, which hardly compresses.
func printable(n int) []byte {
	random := rand.NewChaCha8([32]byte{1})
	text := make([]byte, n)
	_, _ = random.Read(text) // it never fails
	for i, b := range text {
		text[i] = ' ' + b%('~'-' '+1)
	}
	return text
}

// list is one list of the store. add puts one more object into it.
type list[T any] struct {
	page func(ctx context.Context, p boathook.Page) ([]T, string, error)
	add  func(t *testing.T, at time.Time) (id string)
	id   func(T) string
	time func(T) time.Time

	growsAtEnd bool // its order is that of its making: no object can be put before another
}

// test adds objects to an empty list and reads it in pages of every kind.
func (l list[T]) test(t *testing.T, now time.Time) {
	t.Helper()
	whole := boathook.Page{Limit: 200}
	if got, next, err := l.page(t.Context(), whole); len(got) > 0 || next != "" || err != nil {
		t.Fatalf("an empty list has %d objects, next %q, error %v", len(got), next, err)
	}

	ages := []time.Duration{2, 4, 1, 4, 6, 3} // seconds; two are equal
	if l.growsAtEnd {
		ages = []time.Duration{6, 4, 4, 3, 2, 1}
	}
	var added []string
	for _, age := range ages {
		added = append(added, l.add(t, now.Add(-age*time.Second)))
	}
	objects, next, err := l.page(t.Context(), whole)
	must(t, err)
	ids := l.ids(objects)
	if next != "" {
		t.Errorf("a list that fits its page has a next one: %q", next)
	}
	wantSame(t, "what is listed", slices.Sorted(slices.Values(ids)), slices.Sorted(slices.Values(added)))
	if !slices.IsSortedFunc(objects, func(a, b T) int { return l.time(b).Compare(l.time(a)) }) {
		t.Errorf("not newest first: %v", ids)
	}
	if t.Failed() {
		return
	}

	for _, limit := range []int{1, 2, 4, len(ids)} {
		wantSame(t, "all pages together", l.ids(l.all(t, boathook.Page{Limit: limit})), ids)
	}
	for _, p := range []boathook.Page{{Limit: 1, Look: 1}, {Limit: 2, Look: 3}} {
		wantSame(t, "all pages together, which look at few", l.ids(l.all(t, p)), ids)
	}

	first, next, err := l.page(t.Context(), boathook.Page{Limit: 2})
	must(t, err)
	wantSame(t, "the first page", l.ids(first), ids[:2])
	if next == "" {
		t.Fatal("a page that is not the last has no next one")
	}
	rest := slices.Clone(ids[2:])
	l.add(t, now)
	if !l.growsAtEnd {
		rest = append(rest, l.add(t, now.Add(-time.Minute)))
	}
	wantSame(t, "the pages after the first, when objects were added before and after them",
		l.ids(l.all(t, boathook.Page{Limit: 3, Cursor: next})), rest)
	wantSame(t, "the same pages again", l.ids(l.all(t, boathook.Page{Limit: 200, Cursor: next})), rest)

	for _, cursor := range []string{"!", "not a cursor", "e30", "Z2FyYmFnZQ", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", next + "\n" + next} {
		_, _, err := l.page(t.Context(), boathook.Page{Limit: 2, Cursor: cursor})
		wantBadCursor(t, cursor, err)
	}
}

// manyOthers is how many newer objects stand before the one of [list.testRare].
const manyOthers = 24

// testRare reads a list that selects one object, the oldest of many: the first
// page ends before it has looked at them all, and those that follow find it.
func (l list[T]) testRare(t *testing.T, id string) {
	t.Helper()
	p := boathook.Page{Limit: 2, Look: manyOthers / 3}
	objects, next, err := l.page(t.Context(), p)
	must(t, err)
	if len(objects) > 0 || next == "" {
		t.Errorf("a page that may look at %d of %d has %v and the next one %q", p.Look, manyOthers, l.ids(objects), next)
	}
	wantSame(t, "all pages together", l.ids(l.all(t, p)), []string{id})
}

// testForeign reads the list with a cursor that another list gave: it is
// either refused or a place in this list, and never a way into the other.
func (l list[T]) testForeign(t *testing.T, cursor string) {
	t.Helper()
	if cursor == "" {
		t.Fatal("the other list gave no cursor")
	}
	own := l.ids(l.all(t, boathook.Page{Limit: 200}))
	objects, _, err := l.page(t.Context(), boathook.Page{Limit: 200, Cursor: cursor})
	if err != nil {
		wantBadCursor(t, cursor, err)
	}
	for _, id := range l.ids(objects) {
		if !slices.Contains(own, id) {
			t.Errorf("with another list's cursor, the list has %s", id)
		}
	}
}

func wantBadCursor(t *testing.T, cursor string, err error) {
	t.Helper()
	e, ok := errors.AsType[*boathook.Error](err)
	if !ok || e.Kind != boathook.Invalid || e.Field != "cursor" {
		t.Errorf("cursor %q: error %v, want one of kind %s about the field cursor", cursor, err, boathook.Invalid)
	}
}

// all reads every page from p on. Pages may be shorter than their limit, and
// empty.
func (l list[T]) all(t *testing.T, p boathook.Page) (objects []T) {
	t.Helper()
	for range 100 {
		page, next, err := l.page(t.Context(), p)
		must(t, err)
		if len(page) > p.Limit {
			t.Fatalf("a page of %d has %d objects", p.Limit, len(page))
		}
		objects = append(objects, page...)
		if next == "" {
			return objects
		}
		p.Cursor = next
	}
	t.Fatal("the pages have no end")
	return nil
}

func (l list[T]) ids(objects []T) (ids []string) {
	for _, o := range objects {
		ids = append(ids, l.id(o))
	}
	return ids
}
