package sim

import (
	"flag"
	"fmt"
	"strings"
	"testing"
)

var (
	oneSeed   = flag.Uint64("seed", 0, "simulate this seed only, and print its whole trace")
	firstSeed = flag.Uint64("first", 1, "the first seed")
	seeds     = flag.Int("seeds", 100, "how many seeds")
)

// TestSimulation simulates seeds. Replay one with -seed=N.
func TestSimulation(t *testing.T) {
	if *oneSeed != 0 {
		r := Run(t, *oneSeed, Bug{})
		var out strings.Builder
		r.trace.write(&out)
		t.Log("\n" + out.String())
		report(t, r)
		return
	}
	for n := range *seeds {
		seed := *firstSeed + uint64(n)
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { report(t, Run(t, seed, Bug{})) })
	}
}

// report fails the test for what was violated, and prints what led to it.
func report(t *testing.T, r Result) {
	t.Helper()
	if len(r.Violations) == 0 {
		return
	}
	var out strings.Builder
	for _, v := range r.Violations {
		fmt.Fprintln(&out, v)
	}
	if *oneSeed == 0 {
		r.trace.write(&out, r.Violations[0].Subject)
	}
	t.Errorf("seed %d\n%s\nThe whole trace: go test ./internal/sim -run TestSimulation -seed=%d", r.Seed, out.String(), r.Seed)
}
