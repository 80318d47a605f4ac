package queue_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/queue"
	queuemem "boathook/internal/queue/mem"
)

func TestServeHandlesAsManyAtATimeAsItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queuemem.New(queuemem.Config{})
		for i := range 50 {
			if err := q.Send(t.Context(), queue.Message{Body: strconv.Itoa(i)}); err != nil {
				t.Fatal(err)
			}
		}
		var mu sync.Mutex
		now, most := 0, 0
		var handled []string
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			queue.Serve(ctx, q, 12, func(m queue.Received) {
				mu.Lock()
				now++
				most = max(most, now)
				mu.Unlock()
				time.Sleep(time.Second)
				mu.Lock()
				defer mu.Unlock()
				now--
				handled = append(handled, m.Body)
				if err := q.Delete(context.Background(), m.Receipt); err != nil {
					t.Error(err)
				}
			}, func(err error) { t.Error(err) })
		}()
		begun := time.Now()
		time.Sleep(4500 * time.Millisecond) // in the middle of the last
		synctest.Wait()
		stop()
		<-done
		if took := time.Since(begun); len(handled) != 50 || most != 12 || took != 5*time.Second {
			t.Errorf("handled %d, %d at a time, in %s", len(handled), most, took)
		}
		slices.Sort(handled)
		if len(slices.Compact(handled)) != 50 {
			t.Error("one was handled twice")
		}
	})
}

func TestServeEndsWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queuemem.New(queuemem.Config{})
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Hour, stop)
		queue.Serve(ctx, q, 3, func(m queue.Received) { t.Errorf("handled %q", m.Body) }, func(err error) { t.Error(err) })
	})
}

// flaky is a queue of which every other receive fails.
type flaky struct {
	queue.Queue
	n int
}

var errDown = errors.New("down")

func (f *flaky) Receive(ctx context.Context, limit int, wait time.Duration) ([]queue.Received, error) {
	if f.n++; f.n%2 == 1 {
		return nil, errDown
	}
	return f.Queue.Receive(ctx, limit, wait)
}

func TestServeGoesOnAfterAReceiveThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queuemem.New(queuemem.Config{})
		if err := q.Send(t.Context(), queue.Message{Body: "a"}, queue.Message{Body: "b"}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		handled, failures := 0, 0
		begun := time.Now()
		queue.Serve(ctx, &flaky{Queue: q}, 1, func(m queue.Received) {
			if handled++; handled == 2 {
				stop()
			}
		}, func(err error) {
			if failures++; !errors.Is(err, errDown) {
				t.Error(err)
			}
		})
		if took := time.Since(begun); handled != 2 || failures != 2 || took != 2*time.Second {
			t.Errorf("handled %d after %d failures in %s", handled, failures, took)
		}
	})
}
