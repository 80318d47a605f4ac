package delivery

import (
	"boathook/internal/boathook"
	"time"
)

// NextWait is the wait before the next attempt, after so many failures (at least
// 1) in a row; false when waits, one for each retry, are used up.
//
// jitter in [0, 1) spreads the wait evenly over ±20 %. retryAfter, 0 for none,
// is the receiver's own wish: the wait is no shorter, though a wish counts for
// [boathook.MaxRetryAfter] at most.
func NextWait(waits []time.Duration, failures int, retryAfter time.Duration, jitter float64) (wait time.Duration, ok bool) {
	if failures < 1 || failures > len(waits) {
		return 0, false
	}
	wait = time.Duration(float64(waits[failures-1]) * (0.8 + 0.4*jitter))
	return max(wait, min(retryAfter, boathook.MaxRetryAfter)), true
}

// PassedWaits is how many of the waits have passed when a time has, counted from the
// first attempt, whatever was attempted meanwhile.
func PassedWaits(waits []time.Duration, elapsed time.Duration) (passed int) {
	for _, wait := range waits {
		if elapsed -= wait; elapsed < 0 {
			break
		}
		passed++
	}
	return passed
}

// DueAfter is how long after the first attempt the one is due that follows so many
// failures.
func DueAfter(waits []time.Duration, failures int) (after time.Duration) {
	for _, wait := range waits[:min(failures, len(waits))] {
		after += wait
	}
	return after
}
