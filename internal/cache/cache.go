// Package cache keeps what was read for a while, within one process. A Lambda
// function's process serves one invocation at a time but many in a row, so a
// few seconds of memory save most reads of a busy webhook.
package cache

import (
	"cmp"
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// Cache remembers values by key. Errors are not remembered. The zero value is ready for
// use, for values that follow from their keys.
type Cache[V any] struct {
	// TTL is how long a value is good for; 0: as long as it is kept.
	TTL time.Duration
	// Size is how many values are kept at most; 0: [DefaultSize]. When it is reached, all
	// are dropped: a process that holds so many at once gains little by choosing.
	Size int
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	mu      sync.Mutex
	entries map[string]entry[V]
	loads   singleflight.Group
}

// DefaultSize is how many values a [Cache] keeps that names no size.
const DefaultSize = 1000

type entry[V any] struct {
	value V
	until time.Time // zero: for as long as it is kept
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
	return e.value, ok && (e.until.IsZero() || c.now().Before(e.until))
}

func (c *Cache[V]) put(key string, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil || len(c.entries) >= cmp.Or(c.Size, DefaultSize) {
		c.entries = make(map[string]entry[V])
	}
	e := entry[V]{value: v}
	if c.TTL != 0 {
		e.until = c.now().Add(c.TTL)
	}
	c.entries[key] = e
}

func (c *Cache[V]) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}
