package mem_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/queue"
	"boathook/internal/queue/mem"
	"boathook/internal/queue/queuetest"
)

func TestQueueKeepsTheContract(t *testing.T) {
	queuetest.Run(t, queuetest.Harness{
		New: func(_ *testing.T, c queuetest.Config) (q, dead queue.Queue) {
			d := mem.New(mem.Config{})
			return mem.New(mem.Config{Visibility: c.Visibility, DeadLetter: d, MaxReceives: c.MaxReceives}), d
		},
		Bubble: synctest.Test,
	})
}

func TestAWaitingReceiveReturnsAsSoonAsThereIsAMessage(t *testing.T) {
	for name, test := range map[string]struct {
		send []queue.Message
		want time.Duration
	}{
		"at a send":                        {[]queue.Message{{Body: "b"}}, 0},
		"at the end of a delay":            {[]queue.Message{{Body: "b", Delay: 7 * time.Second}}, 7 * time.Second},
		"at the end of the shortest delay": {[]queue.Message{{Body: "b", Delay: 9 * time.Second}, {Body: "b", Delay: 7 * time.Second}}, 7 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := mem.New(mem.Config{})
				start := time.Now()
				go func() {
					synctest.Wait() // until Receive waits
					send(t, q, test.send...)
				}()
				receive(t, q, 1, time.Hour)
				if waited := time.Since(start); waited != test.want {
					t.Errorf("received after %s, want %s", waited, test.want)
				}
			})
		})
	}
}

func TestTheSecondOfTwoReceiversGetsTheMessageWhenTheFirstLosesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := mem.New(mem.Config{Visibility: 20 * time.Second})
		start := time.Now()
		var mu sync.Mutex
		var waited []time.Duration
		var receivers sync.WaitGroup
		for range 2 {
			receivers.Go(func() {
				receive(t, q, 1, time.Hour)
				mu.Lock()
				defer mu.Unlock()
				waited = append(waited, time.Since(start))
			})
		}
		synctest.Wait()
		send(t, q, queue.Message{Body: "b"})
		receivers.Wait()
		if want := []time.Duration{0, 20 * time.Second}; !slices.Equal(waited, want) {
			t.Errorf("received after %s, want %s", waited, want)
		}
	})
}

func TestAGroupHasNoMoreInFlightThanItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := mem.New(mem.Config{GroupLimit: 3, Visibility: time.Minute})
		for i := range 10 {
			send(t, q, queue.Message{Body: "busy " + strconv.Itoa(i), Group: "busy"})
		}
		for i := range 4 {
			send(t, q, queue.Message{Body: "alone " + strconv.Itoa(i)}) // each a tenant of its own
		}
		first := receive(t, q, 7, 0)
		if n := len(slices.DeleteFunc(slices.Clone(first), func(m queue.Received) bool { return m.Group != "busy" })); n != 3 {
			t.Errorf("%d of the group are in flight", n)
		}
		if more, err := q.Receive(t.Context(), 1, 30*time.Second); err != nil || len(more) != 0 {
			t.Errorf("received %v, %v", more, err)
		}
		if stats := q.Stats(); stats != (mem.Stats{Ready: 7, InFlight: 7}) {
			t.Errorf("it holds %+v", stats)
		}

		// A place is free when one is deleted, and when one comes back.
		go func() {
			time.Sleep(time.Second)
			if err := q.Delete(t.Context(), first[0].Receipt); err != nil {
				t.Error(err)
			}
		}()
		begun := time.Now()
		if m := receive(t, q, 1, time.Hour)[0]; m.Body != "busy 3" || time.Since(begun) != time.Second {
			t.Errorf("received %q after %s", m.Body, time.Since(begun))
		}
		var bodies []string
		for range 40 {
			for _, m := range receive(t, q, 1, time.Hour) {
				bodies = append(bodies, m.Body)
				if err := q.Delete(t.Context(), m.Receipt); err != nil {
					t.Fatal(err)
				}
			}
			if q.Stats() == (mem.Stats{}) {
				break
			}
		}
		slices.Sort(bodies)
		if n := len(slices.Compact(bodies)); n != 13 {
			t.Errorf("%d of the other 13 were received", n)
		}
	})
}

func TestFairness(t *testing.T) {
	// hold sends n messages of a group and leaves them in flight.
	hold := func(t *testing.T, q *mem.Queue, group string, n int) []queue.Received {
		t.Helper()
		send(t, q, slices.Repeat([]queue.Message{{Body: "held", Group: group}}, n)...)
		return receive(t, q, n, 0)
	}
	tests := []struct {
		name    string
		prepare func(t *testing.T, q *mem.Queue)
		waiting []string // groups of the messages sent then, in order
		want    []string // their groups in the order of receiving
	}{
		{"with nothing in flight the oldest comes first",
			func(*testing.T, *mem.Queue) {},
			[]string{"a", "b", "a"}, []string{"a", "b", "a"}},
		{"a group with 29 in flight is quiet",
			func(t *testing.T, q *mem.Queue) { hold(t, q, "a", 29) },
			[]string{"a", "b"}, []string{"a", "b"}},
		{"a group with 30 in flight waits behind another",
			func(t *testing.T, q *mem.Queue) { hold(t, q, "a", 30) },
			[]string{"a", "a", "b", "b"}, []string{"b", "b", "a", "a"}},
		{"a group with a tenth of all in flight is quiet",
			func(t *testing.T, q *mem.Queue) {
				hold(t, q, "a", 30)
				for i := range 10 {
					hold(t, q, "other"+strconv.Itoa(i), 27)
				}
			},
			[]string{"a", "b"}, []string{"a", "b"}},
		{"a group with more than a tenth of all in flight waits",
			func(t *testing.T, q *mem.Queue) {
				hold(t, q, "a", 30)
				hold(t, q, "others", 26)
				for i := range 9 {
					hold(t, q, "other"+strconv.Itoa(i), 27)
				}
			},
			[]string{"a", "b"}, []string{"b", "a"}},
		{"noisy groups share what is left, oldest first",
			func(t *testing.T, q *mem.Queue) { hold(t, q, "a", 50); hold(t, q, "b", 50) },
			[]string{"a", "b", "a", "c"}, []string{"c", "a", "b", "a"}},
		{"a group becomes noisy in the midst of a batch",
			func(t *testing.T, q *mem.Queue) { hold(t, q, "a", 28) },
			[]string{"a", "a", "a", "a", "b"}, []string{"a", "a", "b", "a", "a"}},
		{"a group whose messages were deleted is quiet again",
			func(t *testing.T, q *mem.Queue) {
				for _, m := range hold(t, q, "a", 50) {
					remove(t, q, m.Receipt)
				}
			},
			[]string{"a", "b"}, []string{"a", "b"}},
		{"a group whose messages came back is quiet again",
			func(t *testing.T, q *mem.Queue) {
				hold(t, q, "a", 50)
				time.Sleep(30 * time.Second)
				for _, m := range receive(t, q, 50, 0) {
					remove(t, q, m.Receipt)
				}
			},
			[]string{"a", "b"}, []string{"a", "b"}},
		{"messages without a group are never noisy",
			func(t *testing.T, q *mem.Queue) { hold(t, q, "", 50) },
			[]string{"", "b"}, []string{"", "b"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := mem.New(mem.Config{})
				test.prepare(t, q)
				for _, group := range test.waiting {
					send(t, q, queue.Message{Body: "waiting", Group: group})
				}
				var got []string
				for _, m := range receive(t, q, len(test.waiting), 0) {
					got = append(got, m.Group)
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("received in the order %q, want %q", got, test.want)
				}
			})
		})
	}
}

func TestNoMoreThan120000MessagesAreInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := mem.New(mem.Config{Visibility: time.Hour})
		send(t, q, slices.Repeat([]queue.Message{{Body: "b"}}, 120_005)...)
		held := receive(t, q, 120_000, 0)

		if got, err := q.Receive(t.Context(), 10, 0); !errors.Is(err, mem.ErrOverLimit) {
			t.Errorf("without waiting: %d messages and error %v, want ErrOverLimit", len(got), err)
		}
		if got, err := q.Receive(t.Context(), 10, time.Second); len(got) > 0 || err != nil {
			t.Errorf("after waiting: %d messages and error %v, want neither", len(got), err)
		}
		start := time.Now()
		go func() {
			synctest.Wait()
			remove(t, q, held[0].Receipt)
		}()
		receive(t, q, 1, 10*time.Second)
		if waited := time.Since(start); waited != 0 {
			t.Errorf("received %s after the delete, want at once", waited)
		}
	})
}

func TestAReceiptIsGoodUntilTheNextReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := mem.New(mem.Config{Visibility: time.Minute})
		send(t, q, queue.Message{Body: "b", Group: "a"}, queue.Message{Body: "b", Group: "a"})
		first := receive(t, q, 2, 0)
		time.Sleep(time.Minute)

		remove(t, q, first[0].Receipt)
		if got, want := q.Stats(), (mem.Stats{Ready: 1}); got != want {
			t.Fatalf("late delete: %+v, want %+v", got, want)
		}
		receive(t, q, 1, 0)
		remove(t, q, first[1].Receipt, "unknown")
		if got, want := q.Stats(), (mem.Stats{InFlight: 1}); got != want {
			t.Errorf("delete by an old receipt: %+v, want %+v", got, want)
		}
	})
}

func TestStatsFollowAMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := mem.New(mem.Config{})
		q := mem.New(mem.Config{Visibility: time.Minute, DeadLetter: dead, MaxReceives: 1})
		check := func(step string, want, wantDead mem.Stats) {
			t.Helper()
			if got, gotDead := q.Stats(), dead.Stats(); got != want || gotDead != wantDead {
				t.Errorf("%s: %+v, dead %+v; want %+v, dead %+v", step, got, gotDead, want, wantDead)
			}
		}
		check("new", mem.Stats{}, mem.Stats{})
		send(t, q, queue.Message{Body: "b", Delay: time.Minute})
		check("sent", mem.Stats{Delayed: 1}, mem.Stats{})
		time.Sleep(time.Minute)
		check("after its delay", mem.Stats{Ready: 1}, mem.Stats{})
		receive(t, q, 1, 0)
		check("received", mem.Stats{InFlight: 1}, mem.Stats{})
		time.Sleep(time.Minute)
		check("after its visibility", mem.Stats{}, mem.Stats{Ready: 1})
		remove(t, dead, receive(t, dead, 1, 0)[0].Receipt)
		check("deleted", mem.Stats{}, mem.Stats{})
	})
}

func TestWithoutADeadLetterQueueAMessageComesBackWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := mem.New(mem.Config{})
		send(t, q, queue.Message{Body: "b"})
		for want := range 3 * queue.MaxReceives {
			if got := receive(t, q, 1, time.Minute)[0].Receives; got != want+1 {
				t.Fatalf("received %d times, want %d", got, want+1)
			}
		}
	})
}

func TestManyReceiversGetEachMessageOnce(t *testing.T) {
	q := mem.New(mem.Config{})
	const senders, each = 8, 500
	var mu sync.Mutex
	seen := make(map[string]int)
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			for i := range each {
				send(t, q, queue.Message{Body: fmt.Sprintf("%d.%d", s, i), Group: strconv.Itoa(i % 7)})
			}
		})
		all.Go(func() {
			for _, m := range receive(t, q, each, time.Minute) {
				remove(t, q, m.Receipt)
				mu.Lock()
				seen[m.Body]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if len(seen) != senders*each {
		t.Errorf("%d messages, want %d", len(seen), senders*each)
	}
	if got, want := q.Stats(), (mem.Stats{}); got != want {
		t.Errorf("left: %+v", got)
	}
}

// BenchmarkCycle is one message sent, received and deleted before a backlog
// of 100,000.
func BenchmarkCycle(b *testing.B) {
	q := mem.New(mem.Config{})
	for i := range 100_000 {
		send(b, q, queue.Message{Body: "b", Group: strconv.Itoa(i % 1000)})
	}
	m := queue.Message{Body: "b", Group: "a"}
	b.ReportAllocs()
	for b.Loop() {
		send(b, q, m)
		remove(b, q, receive(b, q, 1, 0)[0].Receipt)
	}
}

func send(t testing.TB, q queue.Queue, messages ...queue.Message) {
	t.Helper()
	if err := q.Send(t.Context(), messages...); err != nil {
		t.Error(err)
	}
}

// receive takes n messages, in however many parts. It may be called from any
// goroutine, so it does not end the test: after an error its result is blank.
func receive(t testing.TB, q queue.Queue, n int, wait time.Duration) []queue.Received {
	t.Helper()
	var got []queue.Received
	for len(got) < n {
		more, err := q.Receive(t.Context(), min(n-len(got), queue.MaxBatch), wait)
		if err != nil || len(more) == 0 {
			t.Errorf("received %d messages, want %d (%v)", len(got), n, err)
			return make([]queue.Received, n)
		}
		got = append(got, more...)
	}
	return got
}

func remove(t testing.TB, q queue.Queue, receipts ...string) {
	t.Helper()
	if err := q.Delete(t.Context(), receipts...); err != nil {
		t.Error(err)
	}
}

func TestRedriveMovesWhatIsDeadBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := mem.New(mem.Config{Visibility: time.Hour})
		q := mem.New(mem.Config{Visibility: time.Minute, DeadLetter: dead, MaxReceives: 2})
		send(t, q, queue.Message{Body: "a", Group: "g"}, queue.Message{Body: "b", Group: "g"}, queue.Message{Body: "c"})
		for range 2 {
			receive(t, q, 3, 0)
			time.Sleep(time.Minute)
		}
		if s := state(t, q); s.Depth != (queue.Depth{}) || s.Dead != (queue.Depth{Ready: 3}) || s.Move != nil {
			t.Fatalf("before: %+v", s)
		}
		receive(t, dead, 1, 0) // somebody looks at one
		if err := q.Redrive(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := state(t, q)
		if s.Depth != (queue.Depth{Ready: 2}) || s.Dead != (queue.Depth{InFlight: 1}) {
			t.Errorf("after: %+v", s)
		}
		if want := (queue.Move{Status: queue.MoveCompleted, Moved: 2, Total: 2, StartedAt: time.Now().UTC()}); *s.Move != want {
			t.Errorf("the move is %+v, want %+v", s.Move, want)
		}
		for _, m := range receive(t, q, 2, 0) {
			if m.Receives != 1 {
				t.Errorf("a message that was moved back has %d receives", m.Receives)
			}
		}
	})
}

func TestALookAtDeadLettersTakesNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := mem.New(mem.Config{Visibility: time.Hour})
		q := mem.New(mem.Config{Visibility: time.Minute, DeadLetter: dead, MaxReceives: 2})
		for i := range queue.MaxBatch + 2 {
			send(t, dead, queue.Message{Body: strconv.Itoa(i), Group: strconv.Itoa(i % 3)})
		}
		receive(t, dead, 1, 0)
		for range 2 { // the second look sees what the first has
			letters, err := q.DeadLetters(t.Context())
			var bodies []string
			for _, l := range letters {
				bodies = append(bodies, l.Body)
			}
			if got := strings.Join(bodies, " "); got != "1 2 3 4 5 6 7 8 9 10" || err != nil || letters[0].ID == "" || letters[0].Receives != 0 {
				t.Errorf("the oldest that are ready are %s: %+v, %v", got, letters, err)
			}
		}
		if s := state(t, q); s.Dead != (queue.Depth{Ready: queue.MaxBatch + 1, InFlight: 1}) {
			t.Errorf("after the looks there are %+v", s.Dead)
		}
	})
}

func state(t *testing.T, q *mem.Queue) queue.State {
	t.Helper()
	s, err := q.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}
