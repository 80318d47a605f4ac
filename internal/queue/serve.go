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
)

// Serve receives a queue's messages and has handle see each, at most limit of them
// at a time: what an event source mapping does on AWS. It is handle that deletes
// what it has handled. A receive that fails is told to failed, and tried again.
//
// When ctx ends, Serve receives no more, and returns when every handle has: what
// has begun is finished.
func Serve(ctx context.Context, q Queue, limit int, handle func(Received), failed func(error)) {
	var handling sync.WaitGroup
	defer handling.Wait()
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
			handling.Go(func() {
				defer func() { free <- struct{}{} }()
				handle(m)
			})
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
