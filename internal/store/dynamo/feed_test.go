package dynamo_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
	"boathook/internal/store/dynamo"
)

// feedTable is as much of DynamoDB as a feed needs, in memory: each request is one step,
// as on AWS, and what goes wrong with it follows from a seed. Time is that of a bubble.
type feedTable struct {
	mu     sync.Mutex
	random *rand.Rand
	items  map[string]map[string]attributes // by pk, by sk
	calm   bool
	bug    feedBug
}

// feedBug is a promise of DynamoDB's that is broken, to see that it is noticed.
type feedBug string

const (
	noBug          feedBug = ""
	overwrites     feedBug = "a slot is written though a tombstone is there"
	forgetsMarks   feedBug = "marks are not kept"
	losesTombs     feedBug = "tombstones are not kept"
	repeatsNumbers feedBug = "the counter gives a position twice"
)

var errCut = errors.New("the connection was cut")

// Do answers a request, or not: it may be lost before it has an effect or after it, and
// may take longer than readers wait for a gap.
func (f *feedTable) Do(r *http.Request) (*http.Response, error) {
	sent, err := readSent(r)
	if err != nil {
		return nil, err
	}
	before, after, fault := f.fate()
	time.Sleep(before)
	if fault == 1 {
		return nil, errCut
	}
	f.mu.Lock()
	answer := f.step(sent)
	f.mu.Unlock()
	time.Sleep(after)
	if fault == 2 || r.Context().Err() != nil {
		return nil, errCut
	}
	return &http.Response{
		StatusCode: answer.status, Request: r, Body: io.NopCloser(strings.NewReader(answer.body)),
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
	}, nil
}

func (f *feedTable) fate() (before, after time.Duration, fault int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	latency := func() time.Duration {
		if !f.calm && f.random.IntN(12) == 0 {
			return time.Duration(f.random.Int64N(int64(25 * time.Second)))
		}
		return time.Duration(1 + f.random.Int64N(int64(20*time.Millisecond)))
	}
	before, after = latency(), latency()
	if !f.calm {
		fault = max(0, f.random.IntN(14)-11) // 1 and 2, each one in 14
	}
	return before, after, fault
}

func textOf(v any, kind string) string {
	a, _ := v.(attributes)
	s, _ := a[kind].(string)
	return s
}

// step carries out a request.
func (f *feedTable) step(r request) *reply {
	k, _ := r.input["Key"].(attributes)
	if item, ok := r.input["Item"].(attributes); ok {
		k = item
	}
	pk, sk := textOf(k["pk"], "S"), textOf(k["sk"], "S")
	values, _ := r.input["ExpressionAttributeValues"].(attributes)
	condition, _ := r.input["ConditionExpression"].(string)
	found := f.items[pk][sk]
	switch r.operation {
	case "GetItem":
		if found == nil {
			return ok(`{}`)
		}
		return answerOf(attributes{"Item": found})
	case "PutItem":
		held := found == nil
		if f.bug == overwrites && textOf(r.input["Item"].(attributes)["i"], "S") != "" || f.bug == forgetsMarks && sk == "mark" {
			held = true
		}
		if strings.Contains(condition, "OR i = :id") && textOf(found["i"], "S") == textOf(values[":id"], "S") {
			held = true
		}
		if !held {
			return failure("ConditionalCheckFailedException")
		}
		item := r.input["Item"].(attributes)
		if f.bug == losesTombs && sk != "mark" && item["i"] == nil {
			return ok(`{}`)
		}
		f.put(pk, sk, item)
		return ok(`{}`)
	case "UpdateItem":
		return f.update(pk, sk, found, values)
	case "Query":
		return f.query(r, values)
	}
	panic(r.operation)
}

func (f *feedTable) put(pk, sk string, item attributes) {
	if f.items[pk] == nil {
		f.items[pk] = make(map[string]attributes)
	}
	f.items[pk][sk] = item
}

// update counts, or moves a mark.
func (f *feedTable) update(pk, sk string, found, values attributes) *reply {
	if sk == "counter" {
		last, _ := strconv.Atoi(textOf(found["n"], "N"))
		add, _ := strconv.Atoi(textOf(values[":n"], "N"))
		if f.bug == repeatsNumbers && f.random.IntN(4) == 0 {
			add--
		}
		now := attributes{"pk": attributes{"S": pk}, "sk": attributes{"S": sk}, "n": attributes{"N": strconv.Itoa(last + add)}, "ta": values[":taken"]}
		f.put(pk, sk, now)
		return answerOf(attributes{"Attributes": now})
	}
	if found == nil || textOf(found["n"], "N") != textOf(values[":from"], "N") {
		if found == nil {
			return failure("ConditionalCheckFailedException")
		}
		text, _ := json.Marshal(attributes{"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "Item": found})
		return &reply{http.StatusBadRequest, string(text)}
	}
	moved := maps.Clone(found)
	moved["n"], moved["ta"] = values[":to"], values[":taken"]
	f.put(pk, sk, moved)
	return answerOf(attributes{"Attributes": moved})
}

// query reads a partition from a sort key on, forward, or back from before it.
func (f *feedTable) query(r request, values attributes) *reply {
	from, forward := textOf(values[":sk"], "S"), r.input["ScanIndexForward"] != false
	var keys []string
	for sk := range f.items[textOf(values[":pk"], "S")] {
		if sk >= from == forward {
			keys = append(keys, sk)
		}
	}
	slices.Sort(keys)
	if !forward {
		slices.Reverse(keys)
	}
	limit, items := int(r.input["Limit"].(float64)), []any{}
	out := attributes{}
	for i, sk := range keys {
		item := f.items[textOf(values[":pk"], "S")][sk]
		if i == limit {
			break
		}
		items = append(items, item)
		if i == limit-1 && len(keys) > limit {
			out["LastEvaluatedKey"] = attributes{"pk": item["pk"], "sk": item["sk"]}
		}
	}
	out["Items"] = items
	return answerOf(out)
}

func answerOf(v any) *reply {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return ok(string(text))
}

// feedWorld is publishers and pollers of one feed.
type feedWorld struct {
	t     *testing.T
	table *feedTable

	mu       sync.Mutex
	promised map[string]bool // events whose publishers were told that they are there
	orders   [][]string      // what each poller has seen
}

const feedSource = "dep_cccccccccccccccccccccccc"

// process is a store in a process of its own, whose clock is off.
func (w *feedWorld) process(r *rand.Rand) *dynamo.Store {
	skew := time.Duration(r.Int64N(int64(8*time.Second))) - 4*time.Second
	direct := client()
	return dynamo.New(once(direct, &wire{next: w.table, answer: func(request) *reply { return nil }}), dynamo.Config{
		ConfigTable: "config", RecordsTable: "records", Retention: 30 * 24 * time.Hour,
		Now: func() time.Time { return time.Now().Add(skew) },
	})
}

// publish publishes events until it is told that they are there; those that can't be
// repeated once only.
func (w *feedWorld) publish(r *rand.Rand, events []boathook.Event) {
	for {
		err := w.process(r).AppendEvents(w.t.Context(), feedSource, 24*time.Hour, events...)
		if err == nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, e := range events {
				w.promised[e.ID] = true
			}
			return
		}
		if events[0].Fresh {
			return
		}
		time.Sleep(time.Duration(r.Int64N(int64(30 * time.Second))))
	}
}

// poll reads from the beginning, until it has seen the end after the trouble is over.
func (w *feedWorld) poll(r *rand.Rand, over <-chan struct{}) {
	var seen []string
	q := store.FeedQuery{SourceID: feedSource, Settings: boathook.FeedSettings{RetentionDays: 1}, Limit: 1 + r.IntN(7)}
	for end := false; !end; time.Sleep(time.Duration(r.Int64N(int64(9 * time.Second)))) {
		last := false
		select {
		case <-over:
			last = true
		default:
		}
		page, err := w.process(r).FeedEvents(w.t.Context(), q)
		if err != nil {
			if boathook.IsKind(err, boathook.Gone) || boathook.IsKind(err, boathook.Invalid) {
				w.t.Errorf("a poller is told: %s", err)
				break
			}
			continue
		}
		for _, e := range page.Events {
			seen = append(seen, e.ID)
		}
		end, q.Cursor = last && !page.More && len(page.Events) == 0, page.Next
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.orders = append(w.orders, seen)
}

// simulateFeed gives what is wrong with a seed's world.
func simulateFeed(t *testing.T, seed uint64, bug feedBug) (wrong []string) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(seed, 0))
		w := &feedWorld{t: t, promised: make(map[string]bool), table: &feedTable{
			random: rand.New(rand.NewPCG(seed, 1)), items: make(map[string]map[string]attributes), bug: bug,
		}}
		over := make(chan struct{})
		var publishers, pollers sync.WaitGroup
		own := func() *rand.Rand { return rand.New(rand.NewPCG(seed, r.Uint64())) }
		for range 3 {
			mine := own()
			pollers.Go(func() { w.poll(mine, over) })
		}
		for n := range 14 {
			var events []boathook.Event
			fresh := r.IntN(3) == 0
			for i := range 1 + r.IntN(3) {
				events = append(events, boathook.Event{ID: fmt.Sprintf("event %d.%d", n, i), Type: "build_finish", Time: time.Now(), Data: []byte(`{}`), Fresh: fresh})
			}
			for range 1 + r.IntN(2)*(1-weightOf(fresh)) { // perhaps two at once
				mine, wait := own(), time.Duration(r.Int64N(int64(40*time.Second)))
				publishers.Go(func() {
					time.Sleep(wait)
					w.publish(mine, events)
				})
			}
		}
		publishers.Wait()
		w.table.mu.Lock()
		w.table.calm = true
		w.table.mu.Unlock()
		time.Sleep(time.Minute)
		close(over)
		mine := own()
		pollers.Go(func() { w.poll(mine, over) }) // who begins in the end sees the same
		pollers.Wait()
		wrong = w.check()
	})
	return wrong
}

func weightOf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// check tells what does not hold of what the pollers saw.
func (w *feedWorld) check() (wrong []string) {
	for _, order := range w.orders {
		if !slices.Equal(order, w.orders[0]) {
			wrong = append(wrong, fmt.Sprintf("one poller saw %q, another %q", w.orders[0], order))
		}
		times := make(map[string]int)
		for _, id := range order {
			if times[id]++; times[id] == 2 {
				wrong = append(wrong, id+" was seen twice")
			}
		}
		for id := range w.promised {
			if times[id] == 0 {
				wrong = append(wrong, id+" was not seen")
			}
		}
	}
	return wrong
}

// TestAFeedUnderTroubleShowsEachEventOnceInOneOrder has publishers and pollers whose
// requests are lost before they have an effect or after it, come late, and cross.
func TestAFeedUnderTroubleShowsEachEventOnceInOneOrder(t *testing.T) {
	seeds := uint64(60) // 300 pass as well, in three minutes
	if testing.Short() {
		seeds = 10
	}
	for seed := range seeds {
		for _, wrong := range simulateFeed(t, seed+1, noBug) {
			t.Errorf("seed %d: %s", seed+1, wrong)
		}
		if t.Failed() {
			return
		}
	}
}

func TestAFeedsPlantedBugsAreFound(t *testing.T) {
	const enough = 300
	for _, bug := range []feedBug{overwrites, forgetsMarks, losesTombs, repeatsNumbers} {
		t.Run(string(bug), func(t *testing.T) {
			for seed := range uint64(enough) {
				if wrong := simulateFeed(t, seed+1, bug); len(wrong) > 0 {
					t.Logf("found with seed %d: %s", seed+1, wrong[0])
					return
				}
			}
			t.Errorf("%d seeds have not found it", enough)
		})
	}
}
