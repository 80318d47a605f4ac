package main

import (
	"context"
	"log/slog"
	"sync"

	"boathook/internal/queue"
)

// acknowledgements deletes messages that were handled. Who comes first deletes for all that
// come meanwhile, in one write: the disk is waited for once, and not by each worker.
type acknowledgements struct {
	queue queue.Queue
	also  func(ctx context.Context) // what is stored once for many messages; nil for nothing
	log   *slog.Logger

	mu       sync.Mutex // guards what follows
	receipts []string
	busy     bool // somebody deletes
}

// add has a message deleted, soon. One that can't be comes back.
func (a *acknowledgements) add(ctx context.Context, receipt string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.receipts = append(a.receipts, receipt)
	if a.busy {
		return
	}
	a.busy = true
	for len(a.receipts) > 0 {
		receipts := a.receipts
		a.receipts = nil
		a.mu.Unlock()
		a.acknowledge(ctx, receipts)
		a.mu.Lock()
	}
	a.busy = false
}

func (a *acknowledgements) acknowledge(ctx context.Context, receipts []string) {
	var beside sync.WaitGroup // both share a commit
	if a.also != nil {
		beside.Go(func() { a.also(ctx) })
	}
	if err := a.queue.Delete(ctx, receipts...); err != nil {
		a.log.Error("acknowledge failed", "messages", len(receipts), "error", err)
	}
	beside.Wait()
}
