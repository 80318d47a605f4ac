package target

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Command starts a job as a local process, with its input on stdin. Lines on
// stdout and stderr are the run's log, the last stdout line that is JSON is
// its output, and an exit code other than 0 fails it.
//
// The process gets a group of its own, and of the environment only PATH and
// HOME: never the server's secrets. Besides, BOATHOOK_RUN_ID is set and, for an
// agent, BOATHOOK_MESSAGE and BOATHOOK_SESSION_ID; TRACEPARENT and TRACESTATE where the
// run follows from a trace (OpenTelemetry, "Environment Variables as Context Propagation
// Carriers"). Its group is killed once it has ended, so nothing that it started outlives the run, except what left the
// group.
//
// Never configure Command on AWS: it would hand out the function's own
// credentials.
type Command struct {
	// Grace is the time from SIGTERM to SIGKILL, and how long pipes that children
	// hold are waited for once the process has ended. Required.
	Grace time.Duration
}

// Run implements [Target].
func (t Command) Run(ctx context.Context, job Job, log Log) Result {
	if len(job.Target.Argv) == 0 {
		return Failed("the target's argv is empty")
	}
	var out lastJSON
	log = &locked{log: log}
	stdout, stderr := NewLines(log, Stdout), NewLines(log, Stderr)
	stdout.ended = out.line

	cmd := exec.CommandContext(ctx, job.Target.Argv[0], job.Target.Argv[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "BOATHOOK_RUN_ID=" + job.RunID}
	for name, value := range map[string]string{"BOATHOOK_EVENT": job.Details.Event, "BOATHOOK_DELIVERY_ID": job.Details.DeliveryID} {
		if value != "" {
			cmd.Env = append(cmd.Env, name+"="+variable(value))
		}
	}
	for name, value := range job.Trace.Headers() {
		cmd.Env = append(cmd.Env, strings.ToUpper(name)+"="+value)
	}
	if job.Message != "" {
		cmd.Env = append(cmd.Env, "BOATHOOK_MESSAGE="+variable(job.Message),
			"BOATHOOK_SESSION_ID="+job.SessionID, "BOATHOOK_SESSION_TITLE="+variable(job.SessionTitle))
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(job.Input), stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = t.Grace
	if err := cmd.Start(); err != nil {
		return Broken(ctx, "the command could not start: %s", err)
	}
	err := cmd.Wait()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // fails when the group is empty, as it should be
	stdout.Flush()
	stderr.Flush()

	code := exitCode(cmd.ProcessState)
	result := Result{Output: out.value, ExitCode: &code}
	switch stopped := ended(ctx); {
	// Its own children may hold its pipes longer than it lives.
	case err == nil, errors.Is(err, exec.ErrWaitDelay) && stopped == "":
		if out.tooLong {
			result.Err = OutputTooLong
		}
	case stopped != "":
		result.Err = stopped
	case !cmd.ProcessState.Exited():
		result.Err = "the command ended by " + cmd.ProcessState.String()
	case code != 0:
		result.Err = fmt.Sprintf("exit code %d", code)
	default:
		result.Err = fmt.Sprintf("the command's pipes failed: %s", err)
	}
	return result
}

// maxVariable is how much of a message an environment variable holds, in bytes:
// Linux ends one at 128 KiB.
const maxVariable = 96 << 10

// variable is a message as an environment can hold it. One that is too long is
// cut and says so: the input is whole on stdin.
func variable(message string) string {
	message = strings.ReplaceAll(message, "\x00", "\uFFFD")
	if len(message) <= maxVariable {
		return message
	}
	return strings.ToValidUTF8(message[:maxVariable], "") + fmt.Sprintf(" … [cut: the message has %d bytes]", len(message))
}

// exitCode is as a shell tells it: 128 and the signal that ended a process.
func exitCode(p *os.ProcessState) int {
	if status, ok := p.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return p.ExitCode()
}

// lastJSON finds the output among the lines of stdout.
type lastJSON struct {
	value   []byte
	tooLong bool // a line after value looks like JSON and is over the limit
}

func (l *lastJSON) line(e excerpt) {
	switch {
	case !e.whole():
		l.tooLong = l.tooLong || e.opens(`{["`)
	default:
		if value := e.json(); value != nil {
			*l = lastJSON{value: value}
		}
	}
}

// locked passes on the lines of two streams one at a time.
type locked struct {
	mu  sync.Mutex
	log Log
}

func (l *locked) Line(stream, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.log.Line(stream, text)
}
