package service

import (
	"context"
	"sync"

	"boathook/internal/store"
)

// ahead reads what a record's owner has while the record itself is still being read, where
// the store tells the owner early, and after it elsewhere. An owner is read of once.
type ahead[T any] struct {
	read func(store.Owner) (T, error)

	reading sync.WaitGroup
	mu      sync.Mutex // guards begun
	begun   map[store.Owner]*result[T]
}

type result[T any] struct {
	done  chan struct{} // closed once the others are set
	value T
	err   error
}

// listen gives the context to read the record with.
func (a *ahead[T]) listen(ctx context.Context) context.Context {
	return store.WithOwners(ctx, func(o store.Owner) { a.begin(o) })
}

func (a *ahead[T]) begin(o store.Owner) *result[T] {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r, ok := a.begun[o]; ok {
		return r
	}
	if a.begun == nil {
		a.begun = make(map[store.Owner]*result[T])
	}
	r := &result[T]{done: make(chan struct{})}
	a.begun[o] = r
	a.reading.Go(func() {
		defer close(r.done)
		r.value, r.err = a.read(o)
	})
	return r
}

// of waits for what was read of an owner.
func (a *ahead[T]) of(o store.Owner) (T, error) {
	r := a.begin(o)
	<-r.done
	return r.value, r.err
}

// wait waits for all that was begun, also for what nobody asked for: a Lambda function's
// requests don't outlive its answer.
func (a *ahead[T]) wait() { a.reading.Wait() }

// WithSources gives a context whose reads tell of the sources of what they find while they
// read on; see [store.WithOwners], whose conditions hold.
func WithSources(ctx context.Context, tell func(sourceID string)) context.Context {
	return store.WithOwners(ctx, func(o store.Owner) { tell(o.SourceID) })
}
