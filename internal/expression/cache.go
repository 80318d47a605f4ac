package expression

import "sync"

// maxCached is how many expressions a [Cache] keeps. When there are more, all are dropped:
// who evaluates so many at once gains little by choosing.
const maxCached = 1000

// Cache keeps compiled expressions by their text, which is all that they depend on. The
// zero value is ready for use.
type Cache struct {
	mu     sync.Mutex
	byText map[string]*Expression
}

// Compile is [Compile], once for each text that compiles.
func (c *Cache) Compile(text string) (*Expression, error) {
	c.mu.Lock()
	e, ok := c.byText[text]
	c.mu.Unlock()
	if ok {
		return e, nil
	}
	e, err := Compile(text)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byText == nil || len(c.byText) >= maxCached {
		c.byText = make(map[string]*Expression)
	}
	c.byText[text] = e
	return e, nil
}
