package console

import (
	"crypto/rand"
	"sync"
	"time"
)

// visitLife is how long a code for a first visit is good.
const visitLife = 10 * time.Minute

// visits are codes that sign in once, in the place of a token. They are in memory, so
// they are for a program of one process.
type visits struct {
	now func() time.Time

	mu    sync.Mutex
	codes map[string]visit
}

type visit struct {
	token string
	ends  time.Time
}

// Visit makes a code that signs in once, within ten minutes, as the holder of a token
// does, and gives the path with it. The code stands behind a #, so that it is in no
// request's line and in no log.
func (c *Console) Visit(token string) (path string) {
	v := &c.visits
	code := rand.Text()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.codes == nil {
		v.codes = make(map[string]visit)
	}
	v.codes[code] = visit{token, v.now().Add(visitLife)}
	return "/console/sign-in#code=" + code
}

// take gives the token of a code, once; empty if the code is not good.
func (v *visits) take(code string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	found := v.codes[code]
	delete(v.codes, code)
	if !v.now().Before(found.ends) {
		return ""
	}
	return found.token
}
