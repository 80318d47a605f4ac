package simulation

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	seed      = flag.Uint64("seed", 0, "simulate this seed only, and print its whole trace")
	firstSeed = flag.Uint64("first", 0, "the first seed; 0: half of the seeds are 1, 2, …, and the others such as no run had before")
	seeds     = flag.Int("seeds", 40, "how many seeds")
	inOne     = flag.Bool("one-process", false, "simulate the seeds in this process, whatever their number")
)

// manySeeds is more than one process simulates: a thousand take about 15 s.
const manySeeds = 1000

// TestSimulation simulates seeds. Replay one with -seed=N.
func TestSimulation(t *testing.T) {
	if *seed != 0 {
		r := Run(t, *seed, Bug{})
		var trace strings.Builder
		r.trace.write(&trace)
		t.Logf("seed %d\n%s", *seed, trace.String())
		report(t, r)
		return
	}
	if testing.Short() {
		*seeds = min(*seeds, 16)
	}
	begun := time.Now()
	for _, s := range spans() {
		if s.n >= manySeeds && !*inOne {
			s.inProcesses(t, runtime.NumCPU())
			continue
		}
		for n := s.first; n < s.first+uint64(s.n); n++ {
			t.Run(fmt.Sprintf("seed=%d", n), func(t *testing.T) { report(t, Run(t, n, Bug{})) })
		}
	}
	t.Logf("%d seeds in %s", *seeds, time.Since(begun).Round(time.Second))
}

// span is n seeds that follow one another.
type span struct {
	first uint64
	n     int
}

// spans are the seeds to simulate: from the first on, if it is given; else the fixed
// ones from 1 on, and as many fresh ones. A fresh seed is the time in microseconds:
// it takes longer than that to simulate one, so that no two runs have the same.
func spans() []span {
	if *firstSeed != 0 {
		return []span{{*firstSeed, *seeds}}
	}
	fresh := span{uint64(time.Now().UnixMicro()), *seeds / 2}
	fmt.Printf("the fresh seeds are %d from %d on: make sim FIRST=%d SEEDS=%d\n", fresh.n, fresh.first, fresh.first, fresh.n)
	return []span{{1, *seeds - fresh.n}, fresh}
}

// inProcesses has as many processes simulate a part of the seeds each. A world
// has one goroutine at work at a time, so a process needs one processor.
func (s span) inProcesses(t *testing.T, processes int) {
	var all sync.WaitGroup
	for i := range processes {
		from, to := s.n*i/processes, s.n*(i+1)/processes
		all.Go(func() {
			cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], "-test.run=^TestSimulation$", "-one-process",
				fmt.Sprintf("-first=%d", s.first+uint64(from)), fmt.Sprintf("-seeds=%d", to-from))
			cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=400")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s\n%s", err, out)
			}
		})
	}
	all.Wait()
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
	t.Errorf("seed %d\n%s\nThe whole trace: go test ./internal/testing/simulation -run TestSimulation -seed=%d", r.Seed, out.String(), r.Seed)
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
	if testing.Short() {
		t.Skip("NOT RUN: it takes 12 s until each kind has happened: run it without -short")
	}
	kinds := []string{
		"crash", "freeze", "duplicate message", "dead message", "redriven message",
		"execution", "run succeeded", "run failed", "run canceled", "runner lost",
		"delivery succeeded", "delivery failed", "delivery canceled", "recover", "webhook disabled",
		"request to a healthy endpoint", "request to a failing endpoint", "request to a slow endpoint",
		"request to a hanging endpoint", "request to a dripping endpoint", "request to a resetting endpoint",
		"request to a unreachable endpoint", "request to a throttling endpoint", "request to a redirecting endpoint",
		"request to a gone endpoint", "request to a picky endpoint", "request of a trace", "request in the dialect crewship", "request in the dialect shipway",
		"request in the dialect capawesome", "request in the dialect standard", "request in the format raw",
		"request in the format slack", "request in the format discord", "request in the format teams", "run in staging", "run that nobody has asked for", "run that stood in line", "turn given", "trigger of a burst", "trigger that joined a run",
		"run of an agent", "run timed_out", "published event", "webhook disabled after days", "torn attempt",
		"event in a feed", "part of a feed", "delivery with a fault", "replay of missing", "replay of failed", "replay of all",
		"event that was missing", "request of a replay that is repeated", "intake answers 401", "intake answers 429", "intake answers 202", "intake answers 409", "intake answers 503", "manage answers 202",
	}
	total := make(map[string]int)
	never := func(what string) bool { return total[what] == 0 }
	const most = 90
	for seed := uint64(1); seed <= most && slices.ContainsFunc(kinds, never); seed++ {
		for what, n := range Run(t, seed, Bug{}).Counts {
			total[what] += n
		}
	}
	for _, what := range kinds {
		if never(what) {
			t.Errorf("there was no %s in %d worlds", what, most)
		}
	}
	t.Log(total)
}
