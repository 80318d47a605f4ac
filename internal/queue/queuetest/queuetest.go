// Package queuetest is the conformance suite of the queue contract. A test of
// an implementation is a [Harness] and one call of [Run].
//
// The suite never sleeps: what takes time, it waits for in Receive. So it runs
// in a synctest bubble's fake time, and in an emulator's or AWS's real time,
// which is why its visibility timeouts and delays are a few seconds.
package queuetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"boathook/internal/queue"
)

// Config is what a test asks of a queue.
type Config struct {
	Visibility  time.Duration // whole seconds
	MaxReceives int
}

// Harness makes the queues under test.
type Harness struct {
	// New makes an empty queue and its dead-letter queue, for one test.
	New func(t *testing.T, c Config) (q, dead queue.Queue)
	// Bubble runs each test, for instance in a synctest bubble. If it is nil,
	// the tests run in real time, side by side.
	Bubble func(t *testing.T, test func(*testing.T))
	// NoGroups excuses an emulator that does not tell a message's group.
	NoGroups bool
	// NoAstral excuses one that refuses characters above U+FFFF.
	NoAstral bool
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"a message arrives whole", arrivesWhole},
		{"every character of XML 1.0 arrives", everyCharacter},
		{"more messages than one request takes all arrive", manyMessages},
		{"more bytes than one request takes all arrive", manyBytes},
		{"a message of 1 MiB arrives", largest},
		{"sending nothing is no error", nothing},
		{"one message over a limit stops them all", overLimit},
		{"receive gives no more than its limit", receiveLimit},
		{"receive refuses a limit out of range", badLimit},
		{"receive waits in vain as long as it was told", waitsInVain},
		{"a delayed message arrives after its delay", delayed},
		{"a fraction of a second of delay counts as a whole one", delayRoundedUp},
		{"a message in flight is not received", inFlight},
		{"a message comes back after the visibility timeout", comesBack},
		{"a message received too often goes to the dead-letter queue", deadLetter},
		{"a deleted message does not come back", deleted},
		{"many receipts are deleted at once", deleteMany},
		{"deleting twice does no harm", deleteTwice},
		{"a canceled context sends nothing", canceledSend},
		{"receive ends with its context", canceledReceive},
	} {
		t.Run(test.name, func(t *testing.T) {
			if h.Bubble != nil {
				h.Bubble(t, func(t *testing.T) { test.run(t, h) })
				return
			}
			t.Parallel()
			test.run(t, h)
		})
	}
}

// patience is how long a test waits for what must come: longer than any machine
// is busy.
const patience = 5 * time.Minute

func arrivesWhole(t *testing.T, h Harness) {
	q, _ := h.queues(t)
	send(t, q, queue.Message{Body: `{"a":1}`, Group: "out_a/1"}, queue.Message{Body: "no group"})
	got := receive(t, q, 2)
	if got[0].ID == got[1].ID || got[0].ID == "" || got[0].Receipt == got[1].Receipt {
		t.Errorf("ids %q and %q, receipts %q and %q: want distinct ones", got[0].ID, got[1].ID, got[0].Receipt, got[1].Receipt)
	}
	groups := map[string]string{`{"a":1}`: "out_a/1", "no group": ""}
	for _, m := range got {
		group, sent := groups[m.Body]
		delete(groups, m.Body)
		if !sent {
			t.Errorf("received %q, which was not sent, or twice", m.Body)
		}
		if m.Group != group && !h.NoGroups {
			t.Errorf("%q: group %q, want %q", m.Body, m.Group, group)
		}
		if m.Receives != 1 {
			t.Errorf("%q: received %d times, want 1", m.Body, m.Receives)
		}
	}
}

func everyCharacter(t *testing.T, h Harness) {
	q, _ := h.queues(t)
	body := "\t\n\r <&>\"'\\ \u007f \u0085 \u2028 \ud7ff \ue000 \ufffd"
	if !h.NoAstral {
		body += " \U00010000 \U0010ffff"
	}
	send(t, q, queue.Message{Body: body})
	if got := receive(t, q, 1); got[0].Body != body {
		t.Errorf("sent %q, received %q", body, got[0].Body)
	}
}

func manyMessages(t *testing.T, h Harness) {
	q, _ := h.queues(t)
	arrive(t, q, 2*queue.MaxBatch+1, 10)
}

func manyBytes(t *testing.T, h Harness) {
	q, _ := h.queues(t)
	arrive(t, q, 5, 300<<10)
}

func largest(t *testing.T, h Harness) {
	q, _ := h.queues(t)
	arrive(t, q, 1, queue.MaxBody)
}

// arrive sends n messages of a size, and expects each once.
func arrive(t *testing.T, q queue.Queue, n, size int) {
	t.Helper()
	var messages []queue.Message
	var want []string
	for i := range n {
		body := fmt.Sprintf("%02d", i)
		want = append(want, body)
		messages = append(messages, queue.Message{Body: body + strings.Repeat("x", size-len(body)), Group: "out_a"})
	}
	send(t, q, messages...)
	var got []string
	for _, m := range receive(t, q, n) {
		if len(m.Body) != size {
			t.Errorf("message of %d bytes, want %d", len(m.Body), size)
		}
		got = append(got, m.Body[:2])
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("received %q, want %q", got, want)
	}
}

func nothing(t *testing.T, h Harness) {
	q, _ := h.queues(t)
	send(t, q)
	none(t, q, 0)
}

func overLimit(t *testing.T, h Harness) {
	q, _ := h.queues(t)
	good := queue.Message{Body: "good"}
	for name, bad := range map[string]queue.Message{
		"an empty body":                {},
		"a body of 1 MiB and a byte":   {Body: strings.Repeat("x", queue.MaxBody+1)},
		"a zero byte":                  {Body: "a\x00b"},
		"a control character":          {Body: "a\x1bb"},
		"a character that is none":     {Body: "a\ufffeb"},
		"a body that is not UTF-8":     {Body: "a\xffb"},
		"a long group":                 {Body: "b", Group: strings.Repeat("g", queue.MaxGroupSize+1)},
		"a group with a space":         {Body: "b", Group: "out a"},
		"a group beyond ASCII":         {Body: "b", Group: "außen"},
		"a delay above a quarter hour": {Body: "b", Delay: queue.MaxDelay + time.Nanosecond},
		"a delay into the past":        {Body: "b", Delay: -time.Second},
	} {
		err := q.Send(t.Context(), good, bad)
		var partial *queue.PartialError
		if err == nil || errors.As(err, &partial) {
			t.Errorf("%s: error %v, want one that is not partial", name, err)
		}
	}
	none(t, q, time.Second)
}

func receiveLimit(t *testing.T, h Harness) {
	q, _ := h.queues(t)
	send(t, q, slices.Repeat([]queue.Message{{Body: "b"}}, 5)...)
	got, err := q.Receive(t.Context(), 2, patience)
	if err != nil || len(got) < 1 || len(got) > 2 {
		t.Fatalf("%d messages (%v), want 1 or 2", len(got), err)
	}
	receive(t, q, 5-len(got))
}

func badLimit(t *testing.T, h Harness) {
	q, _ := h.queues(t)
	for _, limit := range []int{-1, 0, queue.MaxBatch + 1} {
		if _, err := q.Receive(t.Context(), limit, 0); err == nil {
			t.Errorf("limit %d: no error", limit)
		}
	}
}

func waitsInVain(t *testing.T, h Harness) {
	q, _ := h.queues(t)
	start := time.Now()
	none(t, q, time.Second)
	if waited := time.Since(start); waited < time.Second {
		t.Errorf("waited %s, want 1s", waited)
	}
}

func delayed(t *testing.T, h Harness) {
	arrivesAfter(t, h, 2*time.Second, 2*time.Second)
}

func delayRoundedUp(t *testing.T, h Harness) {
	arrivesAfter(t, h, time.Millisecond, time.Second)
}

func arrivesAfter(t *testing.T, h Harness, delay, want time.Duration) {
	t.Helper()
	q, _ := h.queues(t)
	start := time.Now()
	send(t, q, queue.Message{Body: "b", Delay: delay})
	receive(t, q, 1)
	if waited := time.Since(start); waited < want {
		t.Errorf("arrived after %s, want %s", waited, want)
	}
}

func inFlight(t *testing.T, h Harness) {
	q, _ := h.queues(t)
	send(t, q, queue.Message{Body: "b"})
	receive(t, q, 1)
	none(t, q, time.Second)
}

func comesBack(t *testing.T, h Harness) {
	q, _ := h.New(t, Config{Visibility: time.Second, MaxReceives: queue.MaxReceives})
	send(t, q, queue.Message{Body: "b", Group: "out_a"})
	first := receive(t, q, 1)[0]
	start := time.Now()
	for want := 2; want <= 3; want++ {
		again := receive(t, q, 1)[0]
		if again.ID != first.ID || again.Body != "b" || again.Receives != want {
			t.Fatalf("received %q %q for the %d. time, want %q %q for the %d.", again.ID, again.Body, again.Receives, first.ID, "b", want)
		}
	}
	if waited := time.Since(start); waited < 1500*time.Millisecond {
		t.Errorf("came back twice after %s, want 2s", waited)
	}
}

func deadLetter(t *testing.T, h Harness) {
	q, dead := h.New(t, Config{Visibility: 2 * time.Second, MaxReceives: 2})
	send(t, q, queue.Message{Body: "b", Group: "out_a"})
	receive(t, q, 1)
	receive(t, q, 1)
	none(t, dead, 0)
	none(t, q, 3*time.Second)
	got := receive(t, dead, 1)[0]
	if got.Body != "b" || got.Group != "out_a" && !h.NoGroups {
		t.Errorf("dead letter %q of group %q, want %q of %q", got.Body, got.Group, "b", "out_a")
	}
	if err := dead.Delete(t.Context(), got.Receipt); err != nil {
		t.Error(err)
	}
}

func deleted(t *testing.T, h Harness) {
	q, dead := h.New(t, Config{Visibility: 3 * time.Second, MaxReceives: 1})
	send(t, q, queue.Message{Body: "b"})
	if err := q.Delete(t.Context(), receive(t, q, 1)[0].Receipt); err != nil {
		t.Fatal(err)
	}
	none(t, q, 4*time.Second)
	none(t, dead, 0)
}

func deleteMany(t *testing.T, h Harness) {
	q, dead := h.New(t, Config{Visibility: 3 * time.Second, MaxReceives: 1})
	send(t, q, slices.Repeat([]queue.Message{{Body: "b"}}, queue.MaxBatch+1)...)
	var receipts []string
	for _, m := range receive(t, q, queue.MaxBatch+1) {
		receipts = append(receipts, m.Receipt)
	}
	if err := q.Delete(t.Context(), receipts...); err != nil {
		t.Fatal(err)
	}
	none(t, q, 4*time.Second)
	none(t, dead, 0)
}

func deleteTwice(t *testing.T, h Harness) {
	q, _ := h.New(t, Config{Visibility: 3 * time.Second, MaxReceives: queue.MaxReceives})
	send(t, q, queue.Message{Body: "kept"}, queue.Message{Body: "deleted"})
	for _, m := range receive(t, q, 2) {
		if m.Body == "deleted" {
			if err := q.Delete(t.Context(), m.Receipt); err != nil {
				t.Fatal(err)
			}
			// SQS ignores this one, an emulator may refuse it.
			_ = q.Delete(t.Context(), m.Receipt)
		}
	}
	if m := receive(t, q, 1)[0]; m.Body != "kept" {
		t.Errorf("%q came back, want %q alone", m.Body, "kept")
	}
}

func canceledSend(t *testing.T, h Harness) {
	q, _ := h.queues(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.Send(ctx, queue.Message{Body: "b"}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	none(t, q, time.Second)
}

func canceledReceive(t *testing.T, h Harness) {
	q, _ := h.queues(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	start := time.Now()
	if _, err := q.Receive(ctx, 1, patience); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want context.DeadlineExceeded", err)
	}
	if waited := time.Since(start); waited > patience/2 {
		t.Errorf("returned after %s, want 1s", waited)
	}
}

// queues are for tests in which no message comes back.
func (h Harness) queues(t *testing.T) (q, dead queue.Queue) {
	t.Helper()
	return h.New(t, Config{Visibility: 2 * patience, MaxReceives: queue.MaxReceives})
}

func send(t *testing.T, q queue.Queue, messages ...queue.Message) {
	t.Helper()
	if err := q.Send(t.Context(), messages...); err != nil {
		t.Fatal(err)
	}
}

// receive waits for n messages, in however many parts.
func receive(t *testing.T, q queue.Queue, n int) []queue.Received {
	t.Helper()
	var got []queue.Received
	for start := time.Now(); len(got) < n; {
		left := patience - time.Since(start)
		if left <= 0 {
			t.Fatalf("received %d messages, want %d", len(got), n)
		}
		more, err := q.Receive(t.Context(), min(n-len(got), queue.MaxBatch), left)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, more...)
	}
	return got
}

// none expects that nothing arrives.
func none(t *testing.T, q queue.Queue, wait time.Duration) {
	t.Helper()
	got, err := q.Receive(t.Context(), queue.MaxBatch, wait)
	if err != nil {
		t.Error(err)
	}
	for _, m := range got {
		t.Errorf("received %.20q, want nothing", m.Body)
	}
}
