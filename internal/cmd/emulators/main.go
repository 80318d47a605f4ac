// Command emulators runs a command against AWS emulators on this machine, and
// stops them when it ends:
//
//	go run ./internal/cmd/emulators -- go test ./...
//
// They are those that infra/emulators pins: moto (Python), dynalite and fauxqs
// (Node). What is not installed it installs below the checkout, once. The
// command finds them in BOATHOOK_TEST_MOTO, BOATHOOK_TEST_DYNALITE and
// BOATHOOK_TEST_FAUXQS, as URLs, and has AWS credentials that are good for
// nothing else. What they print is in a file .tools/<name>-*.log while they run, and
// after one that did not start.
//
// The command also has, in BOATHOOK_TEST_NODE_CLIENTS, the folder of Node's modules
// that infra/clients pins: they check the API's description, and make a client of it.
//
// The command also has, in BOATHOOK_TEST_PYTHON_CLIENTS, the path of a Python with the
// clients that infra/clients pins: those that others have made for the systems whose
// shapes the API has.
//
// The command also has, in BOATHOOK_CHROMIUM, the path of Chromium, in which the console
// is tested. It alone is not below the checkout: Debian's is installed where there is
// none, if apt-get can be used without a password.
//
// With -containers the command also has, in BOATHOOK_TEST_SAM, the path of the SAM CLI, and
// Debian's podman, which is installed in the same way, to run functions in.
//
// With -tool it starts nothing, and the command is a Python tool that is
// pinned beside moto, or checkov, which infra/verify pins:
//
//	go run ./internal/cmd/emulators -tool -- cfn-lint template.yaml
//
// Its exit code is the command's. Where an emulator can't be had, the command
// runs with the others, and the last lines of the output say which; with CI=true
// that is enough to run nothing, and the exit code is 1, as without a tool. It is
// to be run at the root of the checkout.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}

// run is main with its arguments, and where it reports to.
func run(ctx context.Context, args []string, report io.Writer) (code int) {
	flags := flag.NewFlagSet("emulators", flag.ContinueOnError)
	flags.SetOutput(report)
	tool := flags.Bool("tool", false, "start nothing; the command is a Python tool that is pinned beside moto")
	containers := flags.Bool("containers", false, "the command runs functions in containers")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	command := flags.Args()
	if len(command) == 0 {
		fmt.Fprintln(report, "emulators: no command is given")
		return 2
	}
	if *tool {
		return runTool(ctx, command, report)
	}
	return runTests(ctx, command, *containers, report)
}

// runTool runs one of the pinned Python tools.
func runTool(ctx context.Context, command []string, report io.Writer) (code int) {
	install := installPython
	if command[0] == checkov {
		install = installVerify
	}
	scripts, err := install(ctx, report)
	if err != nil {
		fmt.Fprintf(report, "emulators: NOT RUN: %s: %v\n", strings.Join(command, " "), err)
		return 1 // who asks for a tool wants what it prints
	}
	return execute(ctx, filepath.Join(scripts, command[0]), command[1:], nil, report)
}

// runTests runs a command against the emulators.
func runTests(ctx context.Context, command []string, containers bool, report io.Writer) (code int) {
	scripts, noPython := installPython(ctx, report)
	_, noNode := installNode(ctx, report, folder)
	env := []string{
		"AWS_ACCESS_KEY_ID=emulator", "AWS_SECRET_ACCESS_KEY=emulator", "AWS_SESSION_TOKEN=",
		"AWS_REGION=eu-west-1", "AWS_PROFILE=", "AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true",
	}
	var notRun []string
	for _, e := range []struct {
		name     string
		variable string
		missing  error // why it is not installed
		argv     []string
	}{
		{"moto", "BOATHOOK_TEST_MOTO", noPython, []string{filepath.Join(scripts, "moto_server"), "-H", "127.0.0.1", "-p", "0"}},
		{"dynalite", "BOATHOOK_TEST_DYNALITE", noNode, []string{"node", filepath.Join(folder, "dynalite.mjs")}},
		{"fauxqs", "BOATHOOK_TEST_FAUXQS", noNode, []string{"node", filepath.Join(folder, "fauxqs.mjs")}},
	} {
		var s *server
		err := e.missing
		if err == nil {
			s, err = start(ctx, e.name, e.argv...)
		}
		if err != nil {
			notRun = append(notRun, fmt.Sprintf("emulators: NOT RUN: the tests on %s: %v\n", e.name, err))
			continue
		}
		defer s.stop()
		env = append(env, e.variable+"="+s.url)
	}
	modules, err := installNode(ctx, report, clients)
	if err == nil {
		err = step(ctx, report, filepath.Join(clients, "go"), "go", "mod", "download")
	}
	if err != nil {
		notRun = append(notRun, fmt.Sprintf("emulators: NOT RUN: the tests with generated clients: %v\n", err))
	} else {
		env = append(env, "BOATHOOK_TEST_NODE_CLIENTS="+modules)
	}
	if python, err := installClients(ctx, report); err != nil {
		notRun = append(notRun, fmt.Sprintf("emulators: NOT RUN: the tests with others' clients: %v\n", err))
	} else {
		env = append(env, "BOATHOOK_TEST_PYTHON_CLIENTS="+python)
	}
	if chromium, err := installChromium(ctx, report); err != nil {
		notRun = append(notRun, fmt.Sprintf("emulators: NOT RUN: the tests in a browser: %v\n", err))
	} else {
		env = append(env, chromiumVariable+"="+chromium)
	}
	if containers {
		err := noPython
		if err == nil {
			err = installEngine(ctx, report)
		}
		if err != nil {
			notRun = append(notRun, fmt.Sprintf("emulators: NOT RUN: the functions in containers: %v\n", err))
		} else {
			env = append(env, "BOATHOOK_TEST_SAM="+filepath.Join(scripts, "sam"))
		}
	}
	if len(notRun) == 0 || !inCI() {
		code = execute(ctx, command[0], command[1:], env, report)
	} else {
		code = 1
	}
	fmt.Fprint(report, strings.Join(notRun, ""))
	return code
}

// chromiumVariable names the browser's program.
const chromiumVariable = "BOATHOOK_CHROMIUM"

func inCI() bool { return os.Getenv("CI") == "true" }

// execute runs the command to its end and gives its exit code. When ctx ends
// it is interrupted, and killed if that does not end it.
func execute(ctx context.Context, name string, args, env []string, report io.Writer) (code int) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	if err == nil {
		return 0
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return exit.ExitCode()
	}
	fmt.Fprintf(report, "emulators: %s: %v\n", name, err)
	return 1
}
