// Command invoke invokes a function's real binary with a payload of package
// events, and prints what it answers; what it logs goes to standard error:
//
//	make invoke-manage CASE=create-deployment
//	make invoke-manage                          # lists the cases
//
// The function is built for this machine, told what the template tells it, and
// uses tables, queues, a key and secrets on emulators, which hold what the fixture
// of the events begins with. Whatever it sends a request to answers 200. It is
// run by the command emulators, at the root of the checkout.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"boathook/events"
	"boathook/internal/testing/localaws"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// command does what the arguments say and gives the status to exit with: 2 if
// there is no such function or case.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	flags := flag.NewFlagSet("invoke", flag.ContinueOnError)
	flags.SetOutput(stderr)
	template := flags.String("template", "", "the translated template, a `file`")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	function, name := flags.Arg(0), flags.Arg(1)
	cases, err := casesOf(function)
	switch {
	case err != nil:
		fmt.Fprintln(stderr, "invoke:", err)
		return 2
	case name == "":
		fmt.Fprintln(stdout, strings.Join(cases, "\n"))
		return 0
	case !slices.Contains(cases, name):
		fmt.Fprintf(stderr, "invoke: CASE is to be one of the cases in events/%s:\n\t%s\n", function, strings.Join(cases, "\n\t"))
		return 2
	}
	if err := run(ctx, *template, function, name, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "invoke:", err)
		return 1
	}
	return 0
}

// casesOf are the names of a function's payloads.
func casesOf(function string) (names []string, err error) {
	files, err := fs.Glob(events.Payloads, path.Join(function, "*.json"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("there are no payloads of a function %q", function)
	}
	for _, f := range files {
		names = append(names, strings.TrimSuffix(path.Base(f), ".json"))
	}
	return names, err
}

// run invokes the function and prints its answer. What it logs, and what it
// sends, goes to stderr.
func run(ctx context.Context, file, function, name string, stdout, stderr io.Writer) error {
	payload, err := events.Payloads.ReadFile(path.Join(function, name+".json"))
	if err != nil {
		return err
	}
	emulators, err := localaws.FromEnv(os.Getenv)
	if err != nil {
		return err
	}
	template, err := localaws.ReadTemplate(file)
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
	if err := localaws.Build(ctx, ".", binaries, runtime.GOARCH, functions[i]); err != nil {
		return err
	}
	stack, err := localaws.Deploy(ctx, localaws.Config{
		Template: template, StackName: "boathook", Binaries: binaries, Emulators: emulators,
		Parameters: map[string]string{"AllowedEgress": "127.0.0.0/8", "AllowHttp": "true", "LogLevel": "debug"},
		Secrets: map[string]string{
			"AdminSecret": events.AdminToken, "InternalSecret": events.InternalToken, "StreamSecret": events.StreamSecret,
		},
		Log: func(string) io.Writer { return stderr },
	})
	if err != nil {
		return err
	}
	defer stack.Close()
	if err := putFixture(ctx, stack, stderr); err != nil {
		return fmt.Errorf("put the fixture: %w", err)
	}
	answer, err := stack.Invoke(ctx, functions[i], payload)
	if err != nil {
		return err
	}
	var pretty bytes.Buffer
	if json.Indent(&pretty, answer, "", "  ") != nil {
		pretty.Write(answer)
	}
	_, err = fmt.Fprintln(stdout, pretty.String())
	return err
}

// putFixture puts the fixture into the stack's tables. All whom it sends requests to are
// one server, which writes them down.
func putFixture(ctx context.Context, stack *localaws.Cloud, requests io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(requests, r.Method, r.URL)
		io.WriteString(w, `{"ok":true}`) //nolint:errcheck // the function tells
	})}
	go server.Serve(listener) //nolint:errcheck // it ends with the command
	url := "http://" + listener.Addr().String()
	return stack.PutFixture(ctx, events.Servers{Target: url + "/target", Receiver: url + "/receiver"})
}
