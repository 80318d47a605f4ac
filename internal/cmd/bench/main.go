// Command bench puts a Boathook under load and measures it, beside the least that any
// program needs for the same: a floor that takes an event, signs it and posts it.
//
//	bench -serve .tools/boathook -floor -rounds 5      # a program that it starts, with data on disk
//	bench -url http://127.0.0.1:8080 -token … -rate 50 # one that runs
//	bench -serve .tools/boathook -scenarios all        # all of which something is claimed
//
// Without -rate the loop is closed: each publisher sends its next request when the last one
// is answered. With it the loop is open: requests are due at a fixed rate, and latencies are
// counted from when a request was due, so that a system that stalls does not hide what would
// have come meanwhile.
//
// It serves the receivers itself. They check each signature with the library of Standard
// Webhooks, and each event's data against its checksum. It exits with 1 if something that
// was accepted was lost, delivered twice or changed, or was refused, and with 2 if it can't
// measure.
//
// The system's CPU time and memory are those of its process (/proc; on Linux only). Driver,
// receivers and system share the machine: compare ratios to the floor, not figures.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/term"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if len(os.Args) > 1 && os.Args[1] == floorCommand {
		err = serveFloor(ctx, os.Stdin, os.Stdout)
	} else {
		err = execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	stop()
	switch {
	case errors.Is(err, errWrong):
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
}

// errWrong is why the program ends with 1.
var errWrong = errors.New("something was lost, doubled, changed or refused")

// options are what the program is told besides a plan.
type options struct {
	program  string
	folder   string
	url      string
	token    string
	pid      int
	floor    bool
	rounds   int
	json     string
	names    string // of scenarios
	patience time.Duration
}

func (o options) check() error {
	switch {
	case o.program != "" && o.url != "":
		return errors.New("-serve and -url: it is one or the other")
	case o.program == "" && o.url == "" && !o.floor:
		return errors.New("one is needed of -serve, -url and -floor")
	case o.url == "" && (o.token != "" || o.pid != 0):
		return errors.New("-token and -pid: they go with -url")
	case o.names != "" && (o.program == "" || o.floor):
		return errors.New("-scenarios: it goes with -serve, and takes no -floor: each of them says whether the floor is measured")
	case o.rounds < 1 || o.rounds > 100:
		return fmt.Errorf("-rounds: %d is not from 1 to 100", o.rounds)
	case o.patience <= 0:
		return errors.New("-patience: must be above 0")
	}
	return nil
}

// system is what is measured; nil if that is the floor alone.
func (o options) system() starter {
	switch {
	case o.program != "":
		return served(o.program, o.folder)
	case o.url != "":
		return running(o.url, o.token, o.pid)
	}
	return nil
}

func execute(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var o options
	flags.StringVar(&o.program, "serve", "", "start this `program`, which is boathook, for each run")
	flags.StringVar(&o.folder, "data", "", "`folder` below which it keeps its data, or "+memory+"; the program's own folder, if empty")
	flags.StringVar(&o.url, "url", "", "base `URL` of a Boathook that runs; it must reach this machine")
	flags.StringVar(&o.token, "token", os.Getenv("BOATHOOK_TOKEN"), "its `token` (BOATHOOK_TOKEN)")
	flags.IntVar(&o.pid, "pid", 0, "its process `id`, if it runs on this machine")
	flags.BoolVar(&o.floor, "floor", false, "measure the floor too, in turns")
	flags.IntVar(&o.rounds, "rounds", 1, "how often each is measured; medians are shown")
	flags.StringVar(&o.json, "json", "", "write all runs to a `file`, - for standard output")
	flags.StringVar(&o.names, "scenarios", "", "measure what these `names` stand for, with their own loads, in place of one load: all, or some of those that an unknown name is answered with; -events bounds each")
	flags.DurationVar(&o.patience, "patience", time.Minute, "how long to wait for the next delivery")
	var p plan
	flags.IntVar(&p.Events, "events", 10_000, "events to publish")
	flags.IntVar(&p.Warm, "warm", 500, "events to publish before, which are not measured")
	flags.StringVar(&p.Source, "source", ofCustomer, "whose events they are: "+ofCustomer+", with a type of its own and a feed that keeps them, or "+ofApp+", with a type of the catalogue")
	flags.IntVar(&p.Batch, "batch", 1, "events in a request")
	flags.IntVar(&p.Bytes, "bytes", 1024, "bytes of an event's data, about")
	flags.IntVar(&p.Publishers, "publishers", 16, "requests at once, at most")
	flags.Float64Var(&p.Rate, "rate", 0, "events a second; 0: as fast as they are answered")
	flags.IntVar(&p.Window, "window", 0, "events that may be accepted and not yet delivered before publishers wait; 0: any")
	flags.IntVar(&p.Healthy, "healthy", 1, "receivers that answer at once, each with its webhook")
	flags.IntVar(&p.Slow, "slow", 0, "receivers that answer after -latency")
	flags.IntVar(&p.Failing, "failing", 0, "receivers that answer 500")
	flags.IntVar(&p.Hanging, "hanging", 0, "receivers that never answer")
	flags.DurationVar(&p.Latency, "latency", 200*time.Millisecond, "what the slow take")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is not a flag", flags.Arg(0))
	}
	if err := errors.Join(o.check(), p.check()); err != nil {
		return err
	}
	if o.folder == "" {
		o.folder = filepath.Dir(o.program)
	}
	tables := stdout
	if o.json == "-" {
		tables = io.Discard
	}
	d := driver{patience: o.patience, progress: progressOn(stderr)}
	if o.names != "" {
		list, err := chosen(o.names)
		if err != nil {
			return err
		}
		most := math.MaxInt
		flags.Visit(func(f *flag.Flag) {
			if f.Name == "events" {
				most = p.Events
			}
		})
		rep, err := d.scenarios(ctx, o, list, most, tables)
		if err != nil {
			return err
		}
		return finish(o.json, stdout, stderr, rep, rep.Scenarios)
	}
	m, err := d.rounds(ctx, o, p.name(), p)
	if err != nil {
		return err
	}
	if err := m.print(tables); err != nil {
		return err
	}
	return finish(o.json, stdout, stderr, m, []measured{m})
}

// finish writes the runs, and says what is wrong in any.
func finish(file string, stdout, stderr io.Writer, what any, all []measured) error {
	if err := writeJSON(file, stdout, what); err != nil {
		return err
	}
	var wrong []string
	for _, m := range all {
		wrong = append(wrong, m.wrong()...)
	}
	for _, line := range wrong {
		fmt.Fprintln(stderr, line)
	}
	if len(wrong) > 0 {
		return errWrong
	}
	return nil
}

// progressOn shows progress if w is a terminal.
func progressOn(w io.Writer) progress {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return progress{f}
	}
	return progress{}
}

// rounds measures a plan, in turns with the floor.
func (d driver) rounds(ctx context.Context, o options, name string, p plan) (measured, error) {
	m := measured{Name: name, Plan: p}
	begin := o.system()
	if begin == nil { // the floor is what is measured
		begin, o.floor = bare, false
	}
	for round := range o.rounds {
		if o.floor {
			r, err := d.measure(ctx, fmt.Sprintf("%s, the floor, %d of %d", name, round+1, o.rounds), p, bare)
			if err != nil {
				return m, err
			}
			m.Floor = append(m.Floor, r)
		}
		r, err := d.measure(ctx, fmt.Sprintf("%s, %d of %d", name, round+1, o.rounds), p, begin)
		if err != nil {
			return m, err
		}
		m.Runs = append(m.Runs, r)
	}
	return m, nil
}

// writeJSON writes what was measured to a file, or to standard output.
func writeJSON(file string, stdout io.Writer, what any) error {
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(what, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if file == "-" {
		_, err = stdout.Write(text)
		return err
	}
	return os.WriteFile(file, text, 0o644)
}
