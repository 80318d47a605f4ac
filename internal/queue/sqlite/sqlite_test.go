package sqlite_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/database"
	"boathook/internal/queue"
	"boathook/internal/queue/mem"
	"boathook/internal/queue/queuetest"
	"boathook/internal/queue/sqlite"
)

// open opens the queue of a file, which is closed when the test ends.
func open(t *testing.T, path string, c mem.Config) (*mem.Queue, *database.DB) {
	t.Helper()
	db, err := database.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	q, err := sqlite.Open(db, "q", c)
	if err != nil {
		t.Fatal(err)
	}
	return q, db
}

func TestQueueKeepsTheContract(t *testing.T) {
	queuetest.Run(t, queuetest.Harness{
		New: func(t *testing.T, c queuetest.Config) (q, dead queue.Queue) {
			opened, _ := open(t, database.Memory, mem.Config{Visibility: c.Visibility, MaxReceives: c.MaxReceives})
			return opened, opened.DeadLetter()
		},
		Bubble: synctest.Test,
	})
}

func receive(t *testing.T, q *mem.Queue, n int, wait time.Duration) (received []queue.Received) {
	t.Helper()
	for len(received) < n {
		more, err := q.Receive(t.Context(), min(n-len(received), queue.MaxBatch), wait)
		if err != nil || len(more) == 0 {
			t.Fatalf("received %d messages, want %d (%v)", len(received), n, err)
		}
		received = append(received, more...)
	}
	return received
}

func send(t *testing.T, q *mem.Queue, messages ...queue.Message) {
	t.Helper()
	if err := q.Send(t.Context(), messages...); err != nil {
		t.Fatal(err)
	}
}

// What a process had in flight is ready for the next one, what was delayed comes at its
// time, what was dead is dead, and what was deleted does not come back.
func TestAQueueGoesOnWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "boathook.db")
		config := mem.Config{Visibility: time.Hour, MaxReceives: 1}
		q, db := open(t, path, config)
		send(t, q, queue.Message{Body: "dead"})
		receive(t, q, 1, 0)
		time.Sleep(time.Hour)
		send(t, q, queue.Message{Body: "held", Group: "a"}, queue.Message{Body: "deleted"}, queue.Message{Body: "waits", Group: "b"})
		send(t, q, queue.Message{Body: "delayed", Delay: time.Minute})
		if err := q.Delete(t.Context(), receive(t, q, 2, 0)[1].Receipt); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}

		q, db = open(t, path, config)
		if got, want := q.Stats(), (mem.Stats{Ready: 2, Delayed: 1}); got != want {
			t.Errorf("it holds %+v, want %+v", got, want)
		}
		begun := time.Now()
		var bodies []string
		for _, m := range receive(t, q, 3, 2*time.Minute) {
			bodies = append(bodies, m.Group+" "+m.Body)
		}
		if want := []string{"a held", "b waits", " delayed"}; !slices.Equal(bodies, want) {
			t.Errorf("received %q, want %q", bodies, want)
		}
		if waited := time.Since(begun).Round(time.Second); waited != time.Minute {
			t.Errorf("the delayed one came after %s", waited)
		}

		letters, err := q.DeadLetters(t.Context()) // whose bodies are in the file only
		if err != nil || len(letters) != 1 || letters[0].Body != "dead" {
			t.Errorf("dead are %+v, %v", letters, err)
		}
		if err := q.Redrive(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		q, _ = open(t, path, config)
		if got, want := q.Stats(), (mem.Stats{Ready: 4}); got != want || q.DeadLetter().Stats() != (mem.Stats{}) {
			t.Errorf("after a redrive it holds %+v, want %+v; the dead-letter queue %+v", got, want, q.DeadLetter().Stats())
		}
	})
}

// More than memory is to hold comes all the same, each with its own body.
func TestBodiesThatDoNotFitMemoryAreRead(t *testing.T) {
	q, _ := open(t, database.Memory, mem.Config{})
	const messages = 80
	for i := range messages {
		send(t, q, queue.Message{Body: string(rune('a'+i%26)) + strings.Repeat("x", 1<<20-1)})
	}
	for i, m := range receive(t, q, messages, 0) {
		if want := byte('a' + i%26); len(m.Body) != 1<<20 || m.Body[0] != want {
			t.Fatalf("message %d has %d bytes and begins with %q, want %q", i, len(m.Body), m.Body[0], want)
		}
	}
}

// A message that can't be moved to the dead-letter queue does not take those along that
// are received with it.
func TestAMessageThatCanNotBeBuriedHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, db := open(t, database.Memory, mem.Config{Visibility: time.Minute, MaxReceives: 1})
		send(t, q, queue.Message{Body: "dead"}, queue.Message{Body: "well"})
		receive(t, q, 1, 0)
		time.Sleep(time.Minute)
		if err := db.Read(func(tx *database.Tx) error { return tx.Exec("PRAGMA query_only = ON") }); err != nil {
			t.Fatal(err)
		}
		if m := receive(t, q, 1, 0)[0]; m.Body != "well" {
			t.Errorf("received %q", m.Body)
		}
	})
}

// A file that can't be written takes nothing, and gives out what it has. What is deleted
// meanwhile is deleted there when it can be.
func TestAQueueWhoseFileFailsLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, db := open(t, database.Memory, mem.Config{Visibility: time.Minute, MaxReceives: 1})
		send(t, q, queue.Message{Body: "handled"}, queue.Message{Body: "before"})
		pragma := func(statement string) { // by a read: in memory there is one connection
			if err := db.Read(func(tx *database.Tx) error { return tx.Exec(statement) }); err != nil {
				t.Fatal(err)
			}
		}
		pragma("PRAGMA query_only = ON")
		if err := q.Send(t.Context(), queue.Message{Body: "refused"}); err == nil {
			t.Error("it was sent")
		}
		if err := q.Delete(t.Context(), receive(t, q, 2, 0)[0].Receipt); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if _, err := q.Receive(t.Context(), 1, 0); err == nil {
			t.Error("it was moved to the dead-letter queue")
		}
		pragma("PRAGMA query_only = OFF")
		time.Sleep(time.Minute)
		if got, dead := q.Stats(), q.DeadLetter().Stats(); got != (mem.Stats{}) || dead != (mem.Stats{Ready: 1}) {
			t.Errorf("it holds %+v, and the dead-letter queue %+v", got, dead)
		}
		again, err := sqlite.Open(db, "q", mem.Config{})
		if err != nil || again.Stats() != (mem.Stats{}) {
			t.Errorf("the file still holds %+v, %v", again.Stats(), err)
		}
	})
}
