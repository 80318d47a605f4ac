package simulation

import (
	"testing"
	"testing/synctest"
	"time"
)

// A run that comes back under its id before it has expired is the same run: if it
// executes again, it has executed twice.
func TestTheLedgerForgetsARunOnlyOnceItHasExpired(t *testing.T) {
	const retention = 15 * 24 * time.Hour
	for after, want := range map[time.Duration]int{time.Hour: 1, retention - 1: 1, retention: 0} {
		synctest.Test(t, func(t *testing.T) {
			l := newLedger()
			l.begun("run", retention)
			l.executions["run"]++
			time.Sleep(after)
			l.begun("run", retention)
			if got := l.executions["run"]; got != want {
				t.Errorf("created again after %s, it has executed %d times, want %d", after, got, want)
			}
		})
	}
}
