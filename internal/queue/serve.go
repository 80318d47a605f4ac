package queue

import (
	"context"
	"sync"
	"time"
)

const (
	// longPoll is how long one receive waits for a message.
	longPoll = 20 * time.Second
	// receivePause is the wait after a receive that failed.
	receivePause = time.Second
	// idleWorkers is how many goroutines are kept for the messages to come. A new one
	// grows its stack anew.
	idleWorkers = 64
)

// Serve receives a queue's messages and has handle see each, at most limit of them
// at a time: what an event source mapping does on AWS. It is handle that deletes
// what it has handled. A receive that fails is told to failed, and tried again.
//
// When ctx ends, Serve receives no more, and returns when every handle has: what
// has begun is finished.
func Serve(ctx context.Context, q Queue, limit int, handle func(Received), failed func(error)) {
	w := workers{handle: handle, messages: make(chan work)}
	defer w.wait()
	free := make(chan struct{}, limit)
	for range limit {
		free <- struct{}{}
	}
	for {
		n := 0
		select {
		case <-free:
			n++
		case <-ctx.Done():
			return
		}
		for more := true; more && n < MaxBatch; {
			select {
			case <-free:
				n++
			default:
				more = false
			}
		}
		messages, err := q.Receive(ctx, n, longPoll)
		if ctx.Err() != nil {
			return
		}
		for range n - len(messages) {
			free <- struct{}{}
		}
		for _, m := range messages {
			w.do(work{m, free})
		}
		if err != nil {
			failed(err)
			pause := time.NewTimer(receivePause)
			select {
			case <-pause.C:
			case <-ctx.Done():
			}
			pause.Stop()
		}
	}
}

// workers are the goroutines that handle messages.
type workers struct {
	handle   func(Received)
	messages chan work
	all      sync.WaitGroup

	mu   sync.Mutex
	idle int // how many wait for a message, or are about to
}

// work is a message, and where to tell that it is handled.
type work struct {
	Received
	done chan<- struct{}
}

// do has a message handled by an idle worker, or a new one.
func (w *workers) do(next work) {
	w.mu.Lock()
	waits := w.idle > 0
	if waits {
		w.idle--
	}
	w.mu.Unlock()
	if waits {
		w.messages <- next
	} else {
		w.all.Go(func() { w.work(next) })
	}
}

func (w *workers) work(next work) {
	for more := true; more; {
		w.handle(next.Received)
		w.mu.Lock()
		stays := w.idle < idleWorkers
		if stays {
			w.idle++
		}
		w.mu.Unlock()
		next.done <- struct{}{}
		if !stays {
			return
		}
		next, more = <-w.messages
	}
}

// wait ends the workers, once what they have begun is finished.
func (w *workers) wait() {
	close(w.messages)
	w.all.Wait()
}
