package egress

import (
	"slices"
	"sync"
	"time"
)

// pool keeps connections that nobody uses for later requests.
type pool struct {
	max, maxAt int // in all, and to one place

	mu      sync.Mutex
	kept    []*conn     // the one that was used last is the last
	expires *time.Timer // runs while there are any
}

// take gives a connection to a place that can carry a request, or nil.
func (p *pool) take(at place) *conn {
	for {
		c := p.latest(at)
		if c == nil {
			return nil
		}
		if c.alive() {
			return c
		}
		c.cut()
	}
}

// latest takes out the connection to a place that was used last; nil if there is none.
func (p *pool) latest(at place) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, c := range slices.Backward(p.kept) {
		if c.at == at {
			p.kept = slices.Delete(p.kept, i, i+1)
			return c
		}
	}
	return nil
}

// put keeps c. If there are too many, it closes c, or the one that has been kept
// for longest.
func (p *pool) put(c *conn) {
	c.used, c.since = true, time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	same := 0
	for _, other := range p.kept {
		if other.at == c.at {
			same++
		}
	}
	if same >= p.maxAt {
		go c.close()
		return
	}
	if len(p.kept) >= p.max {
		p.closeOldest()
	}
	p.kept = append(p.kept, c)
	if p.expires == nil {
		p.expires = time.AfterFunc(maxIdle, p.expire)
	}
}

// expire closes what nobody has used for maxIdle.
func (p *pool) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expires = nil
	for len(p.kept) > 0 {
		if left := maxIdle - time.Since(p.kept[0].since); left > 0 {
			p.expires = time.AfterFunc(left, p.expire)
			return
		}
		p.closeOldest()
	}
}

// closeOldest closes the one that has been kept for longest. It doesn't wait, since the
// lock is held: TLS says good-bye first, to a receiver that may not read.
func (p *pool) closeOldest() {
	go p.kept[0].close()
	p.kept = slices.Delete(p.kept, 0, 1)
}

// closeAll closes them all.
func (p *pool) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.kept) > 0 {
		p.closeOldest()
	}
}
