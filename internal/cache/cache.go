// Package cache keeps what was read for a while, within one process. A Lambda
// function's process serves one invocation at a time but many in a row, so a
// few seconds of memory save most reads of a busy webhook.
package cache

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// Cache remembers values by key. Errors are not remembered.
type Cache[V any] struct {
	// TTL is how long a value is good for.
	TTL time.Duration
	// Size is how many values are kept at most. When it is reached, all are
	// dropped: a process that holds so many at once gains little by choosing.
	Size int
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	mu      sync.Mutex
	entries map[string]entry[V]
	loads   singleflight.Group
}

type entry[V any] struct {
	value V
	until time.Time
}

// Get gives the value of key, loading it if there is none that is good.
// Callers that ask at once share one load, and so its context's end: the next
// call loads again.
func (c *Cache[V]) Get(ctx context.Context, key string, load func(context.Context) (V, error)) (V, error) {
	if v, ok := c.lookUp(key); ok {
		return v, nil
	}
	v, err, _ := c.loads.Do(key, func() (any, error) {
		v, err := load(ctx)
		if err == nil {
			c.put(key, v)
		}
		return v, err
	})
	if err != nil {
		var none V
		return none, err
	}
	return v.(V), nil
}

func (c *Cache[V]) lookUp(key string) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	return e.value, ok && c.now().Before(e.until)
}

func (c *Cache[V]) put(key string, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil || len(c.entries) >= c.Size {
		c.entries = make(map[string]entry[V])
	}
	c.entries[key] = entry[V]{v, c.now().Add(c.TTL)}
}

func (c *Cache[V]) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}
