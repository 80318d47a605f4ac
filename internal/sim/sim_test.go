package sim

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	seed      = flag.Uint64("seed", 0, "simulate this seed only, and print its whole trace")
	firstSeed = flag.Uint64("first", 1, "the first seed")
	seeds     = flag.Int("seeds", 40, "how many seeds")
	inOne     = flag.Bool("one-process", false, "simulate the seeds in this process, whatever their number")
)

// manySeeds is more than one process simulates: a thousand take about 15 s.
const manySeeds = 1000

// TestSimulation simulates seeds. Replay one with -seed=N.
func TestSimulation(t *testing.T) {
	switch {
	case *seed != 0:
		r := Run(t, *seed, Bug{})
		var trace strings.Builder
		r.trace.write(&trace)
		t.Logf("seed %d\n%s", *seed, trace.String())
		report(t, r)
	case *seeds >= manySeeds && !*inOne:
		inProcesses(t, runtime.NumCPU())
	default:
		for n := *firstSeed; n < *firstSeed+uint64(*seeds); n++ {
			t.Run(fmt.Sprintf("seed=%d", n), func(t *testing.T) { report(t, Run(t, n, Bug{})) })
		}
	}
}

// inProcesses has as many processes simulate a part of the seeds each. A world
// has one goroutine at work at a time, so a process needs one processor.
func inProcesses(t *testing.T, processes int) {
	begun := time.Now()
	var all sync.WaitGroup
	for i := range processes {
		from, to := *seeds*i/processes, *seeds*(i+1)/processes
		all.Go(func() {
			cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], "-test.run=^TestSimulation$", "-one-process",
				fmt.Sprintf("-first=%d", *firstSeed+uint64(from)), fmt.Sprintf("-seeds=%d", to-from))
			cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=400")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s\n%s", err, out)
			}
		})
	}
	all.Wait()
	t.Logf("%d seeds from %d on, in %s", *seeds, *firstSeed, time.Since(begun).Round(time.Second))
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
	if *seed == 0 {
		fmt.Fprintln(&out, "\nWhat mentions the first of them:")
		r.trace.write(&out, r.Violations[0].Subject)
	}
	t.Errorf("seed %d\n%s\nThe whole trace: go test ./internal/sim -run TestSimulation -seed=%d", r.Seed, out.String(), r.Seed)
}

// TestASeedGivesTheSameWorldAgain is what replaying needs. It does but where two
// goroutines of one process are ready at the same instant, as when a heartbeat
// is due at the moment at which the run is over, and Go's select decides; the
// race detector has more of them.
func TestASeedGivesTheSameWorldAgain(t *testing.T) {
	const worlds, exceptions = 16, 8
	differ := 0
	for seed := range uint64(worlds) {
		var first, second strings.Builder
		Run(t, seed+1, Bug{}).trace.write(&first)
		Run(t, seed+1, Bug{}).trace.write(&second)
		if first.String() != second.String() {
			differ++
		}
	}
	if differ > exceptions {
		t.Errorf("%d of %d worlds were not the same again", differ, worlds)
	}
}

// TestEveryKindOfTroubleHappens keeps the simulation from passing because
// nothing happens in it.
func TestEveryKindOfTroubleHappens(t *testing.T) {
	total := make(map[string]int)
	for seed := range uint64(60) {
		for what, n := range Run(t, seed+1, Bug{}).Counts {
			total[what] += n
		}
	}
	for _, what := range []string{
		"crash", "freeze", "duplicate message", "dead message", "redriven message",
		"execution", "run succeeded", "run failed", "run canceled", "runner lost",
		"delivery succeeded", "delivery failed", "delivery canceled", "recover", "webhook disabled",
		"request to a healthy endpoint", "request to a failing endpoint", "request to a slow endpoint",
		"request to a hanging endpoint", "request to a dripping endpoint", "request to a resetting endpoint",
		"request to a unreachable endpoint", "request to a throttling endpoint", "request to a redirecting endpoint",
		"request to a gone endpoint", "intake answers 202", "intake answers 409", "intake answers 503", "manage answers 202",
	} {
		if total[what] == 0 {
			t.Errorf("there was no %s", what)
		}
	}
	t.Log(total)
}
