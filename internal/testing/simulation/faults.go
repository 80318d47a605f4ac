package simulation

import (
	"errors"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"time"
)

// weather is how likely things go wrong in a world, each a probability for one
// call or message.
type weather struct {
	refuse    float64 // a call fails before it has an effect
	lose      float64 // a call has its effect, and its answer is lost
	crash     float64 // the process ends, before the effect or after it
	freeze    float64 // the process stands still for minutes, before the effect or after it
	outage    float64 // all calls of a name are refused, for some minutes
	dawdle    float64 // a call takes seconds
	duplicate float64 // a message is delivered twice
	delay     float64 // a message is delivered late, and so in another order
}

var drizzle = weather{
	refuse: 0.02, lose: 0.02, crash: 0.008, freeze: 0.004, outage: 0.02, dawdle: 0.02, duplicate: 0.03, delay: 0.05,
}

// forecast is the weather of a seed: calm one time in eight, storm one in four.
func forecast(r *rand.Rand) weather {
	switch r.IntN(8) {
	case 0:
		return weather{}
	case 1, 2:
		w := drizzle
		w.refuse, w.lose, w.crash, w.freeze = 4*w.refuse, 4*w.lose, 4*w.crash, 4*w.freeze
		w.outage, w.duplicate, w.delay = 3*w.outage, 4*w.duplicate, 4*w.delay
		return w
	default:
		return drizzle
	}
}

// fault is what goes wrong with a call.
type fault int

const (
	none fault = iota
	refused
	lost
	crashBefore
	crashAfter
	freezeBefore
	freezeAfter
)

// late is the fault after the effect, for a call whose effect is not to be
// prevented: endpoints and agents have moods for that.
func (f fault) late() fault {
	switch f {
	case refused:
		return lost
	case crashBefore:
		return crashAfter
	case freezeBefore:
		return freezeAfter
	}
	return f
}

// fate is what becomes of a call.
type fate struct {
	fault
	before time.Duration // until its effect
	after  time.Duration // from its effect to its answer
	freeze time.Duration
}

// What a process sees of its faults.
var (
	errRefused = errors.New("throttled")
	errLost    = errors.New("connection reset: the answer was lost")
	errDead    = errors.New("this process is dead")
)

// longestFreeze is beyond a lease and its grace, and beyond the time for which
// a queue hides a message.
const longestFreeze = 20 * time.Minute

// outageLength is how long an outage lasts.
const outageLength = 3 * time.Minute

// chance gives the random numbers of the nth time that something happens.
func (w *world) chance(what, subject string) *rand.Rand {
	h := fnv.New64a()
	_, _ = io.WriteString(h, what)
	_, _ = io.WriteString(h, subject)
	key := h.Sum64()
	w.mu.Lock()
	n := w.times[key]
	w.times[key]++
	w.mu.Unlock()
	return rand.New(rand.NewPCG(w.seed^key, n))
}

// fate draws what becomes of a call.
func (w *world) fate(name, subject string) fate {
	r := w.chance(name, subject)
	f := fate{before: between(r, 50*time.Microsecond, 15*time.Millisecond), after: between(r, 50*time.Microsecond, 5*time.Millisecond)}
	if w.isCalm() {
		return f
	}
	chances := w.weather
	if r.Float64() < chances.dawdle {
		f.before = between(r, time.Second, 12*time.Second)
	}
	f.freeze = between(r, 10*time.Second, longestFreeze)
	if w.inOutage(name) && r.Float64() < 0.9 {
		f.fault = refused
		return f
	}
	switch x := r.Float64(); {
	case x < chances.refuse:
		f.fault = refused
	case x < chances.refuse+chances.lose:
		f.fault = lost
	case x < chances.refuse+chances.lose+chances.crash:
		f.fault = either(r, crashBefore, crashAfter)
	case x < chances.refuse+chances.lose+chances.crash+chances.freeze:
		f.fault = either(r, freezeBefore, freezeAfter)
	}
	return f
}

// inOutage reports whether calls of a name are refused now.
func (w *world) inOutage(name string) bool {
	h := fnv.New64a()
	_, _ = io.WriteString(h, name)
	period := uint64(time.Since(w.began) / outageLength)
	return rand.New(rand.NewPCG(w.seed^h.Sum64(), ^period)).Float64() < w.weather.outage
}

func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)))
}

func either[T any](r *rand.Rand, a, b T) T {
	if r.IntN(2) == 0 {
		return a
	}
	return b
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }
