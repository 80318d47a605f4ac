// Command invoke invokes a function's real binary with a payload of package
// events, and prints what it answers; what it logs goes to standard error:
//
//	make invoke-manage CASE=create-deployment
//	make invoke-manage                          # lists the cases
//
// The function is built for this machine, told what the template tells it, and
// uses tables, queues, a key and secrets on emulators, which are empty. It is
// run by the command emulators, at the root of the checkout.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"boathook/events"
	"boathook/internal/cloud"
)

func main() {
	template := flag.String("template", "", "the translated template, a `file`")
	flag.Parse()
	function, name := flag.Arg(0), flag.Arg(1)
	cases, err := casesOf(function)
	if err != nil {
		fmt.Fprintln(os.Stderr, "invoke:", err)
		os.Exit(2)
	}
	if !slices.Contains(cases, name) {
		fmt.Fprintf(os.Stderr, "invoke: CASE is to be one of the cases in events/%s:\n\t%s\n", function, strings.Join(cases, "\n\t"))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = run(ctx, *template, function, name)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "invoke:", err)
		os.Exit(1)
	}
}

// casesOf are the names of a function's payloads.
func casesOf(function string) (names []string, err error) {
	files, err := filepath.Glob(filepath.Join("events", function, "*.json"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("there are no payloads of a function %q", function)
	}
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".json"))
	}
	return names, err
}

func run(ctx context.Context, file, function, name string) error {
	payload, err := os.ReadFile(filepath.Join("events", function, name+".json"))
	if err != nil {
		return err
	}
	emulators, err := cloud.FromEnv(os.Getenv)
	if err != nil {
		return err
	}
	template, err := cloud.ReadTemplate(file)
	if err != nil {
		return err
	}
	functions := template.Functions()
	i := slices.IndexFunc(functions, func(id string) bool { return strings.EqualFold(id, function+"Function") })
	if i < 0 {
		return fmt.Errorf("there is no function %s, but %s", function, strings.Join(functions, ", "))
	}
	binaries, err := filepath.Abs(".tools/functions")
	if err != nil {
		return err
	}
	if err := cloud.Build(ctx, ".", binaries, runtime.GOARCH, functions[i]); err != nil {
		return err
	}
	stack, err := cloud.Deploy(ctx, cloud.Config{
		Template: template, StackName: "boathook", Binaries: binaries, Emulators: emulators,
		Parameters: map[string]string{"AllowedEgress": "127.0.0.0/8", "AllowHttp": "true", "LogLevel": "debug"},
		Secrets:    map[string]string{"AdminSecret": events.AdminToken},
		Log:        func(string) io.Writer { return os.Stderr },
	})
	if err != nil {
		return err
	}
	defer stack.Close()
	answer, err := stack.Invoke(ctx, functions[i], payload)
	if err != nil {
		return err
	}
	var pretty bytes.Buffer
	if json.Indent(&pretty, answer, "", "  ") != nil {
		pretty.Write(answer)
	}
	_, err = fmt.Println(pretty.String())
	return err
}
