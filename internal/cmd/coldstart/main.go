// Command coldstart measures how long each function's real binary takes from
// its process's start to its first request for an invocation, beside a program
// that does nothing else, and how large it is. It ends with 1 if a function takes longer
// than infra/verify/binaries.json allows, or its binary for AWS is larger than that does. It is run by the command emulators, at the root of
// the checkout:
//
//	make bench-cold
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"

	"boathook/internal/testing/lambdaruntime"
	"boathook/internal/testing/localaws"
)

// limits are what the tests of the templates hold packages to, too.
type limits struct {
	Most   byFunction // sizes of binaries for AWS, in bytes
	Starts byFunction // times of starts, in the bare program's
}

// byFunction is a limit by the functions' names; "Others" is of those that are not named.
type byFunction map[string]float64

func readLimits() (l limits, err error) {
	const file = "infra/verify/binaries.json"
	text, err := os.ReadFile(file)
	if err != nil {
		return l, err
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return l, fmt.Errorf("%s: %w", file, err)
	}
	return l, nil
}

func (b byFunction) of(function string) float64 {
	if most, ok := b[function]; ok {
		return most
	}
	return b["Others"]
}

func main() {
	template := flag.String("template", "", "the translated template, a `file`")
	starts := flag.Int("n", 101, "how often each is started")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *template, *starts)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "coldstart:", err)
		os.Exit(1)
	}
}

// run builds, measures and prints. It is a list of steps, most of whose branches are
// what may fail.
func run(ctx context.Context, file string, starts int) error {
	template, err := localaws.ReadTemplate(file)
	if err != nil {
		return err
	}
	limits, err := readLimits()
	if err != nil {
		return err
	}
	emulators, err := localaws.FromEnv(os.Getenv)
	if err != nil {
		return err
	}
	here, err := filepath.Abs(".tools/functions")
	if err != nil {
		return err
	}
	there := here + "-arm64"
	names := template.Functions()
	for folder, arch := range map[string]string{here: runtime.GOARCH, there: "arm64"} {
		if err := localaws.Build(ctx, ".", folder, arch, names...); err != nil {
			return err
		}
	}
	bare := filepath.Join(here, "bare")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", bare, "./internal/cmd/coldstart/bare")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	stack, err := localaws.Deploy(ctx, localaws.Config{Template: template, StackName: "cold", Binaries: here, Emulators: emulators})
	if err != nil {
		return err
	}
	defer stack.Close()

	functions := map[string]*lambdaruntime.Function{"bare": lambdaruntime.New(lambdaruntime.Config{Name: "bare", Binary: bare, Timeout: time.Minute})}
	for _, name := range names {
		functions[name] = stack.Function(name)
	}
	names = append([]string{"bare"}, names...)
	times := make(map[string][]time.Duration)
	for range starts { // in turns, so that what else the machine does falls on all alike
		for _, name := range names {
			took, err := functions[name].Start(ctx)
			if err != nil {
				return err
			}
			functions[name].Kill()
			times[name] = append(times[name], took)
		}
	}

	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "median of %d\tstart\tto bare\tarm64 binary\t\n", starts)
	var failures int
	floor := median(times["bare"])
	for _, name := range names {
		took := median(times[name])
		ratio := float64(took) / float64(floor)
		size := "-"
		if name != "bare" { // which AWS does not run
			info, err := os.Stat(filepath.Join(there, name, "bootstrap"))
			if err != nil {
				return err
			}
			size = fmt.Sprintf("%.1f of %.0f MB", float64(info.Size())/1e6, limits.Most.of(name)/1e6)
			if float64(info.Size()) > limits.Most.of(name) {
				failures++
			}
		}
		if ratio > limits.Starts.of(name) {
			failures++
		}
		fmt.Fprintf(table, "%s\t%.1f ms\t%.2f\t%s\t\n", name, float64(took.Microseconds())/1000, ratio, size)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if failures > 0 {
		return fmt.Errorf("%d of these are over the limits of infra/verify/binaries.json", failures)
	}
	return nil
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}
