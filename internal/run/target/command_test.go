package target_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/run/target"
)

func commandJob(argv ...string) target.Job {
	return target.Job{RunID: "run_1", Input: []byte(`{"a":1}`), Target: boathook.Target{Type: boathook.TargetCommand, Argv: argv}}
}

func sh(script string) target.Job { return commandJob("sh", "-c", script) }

func TestACommandsLinesAreItsLogAndTheLastThatIsJSONItsOutput(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		output       string
		log          string
		code         int
		err          string
	}{
		{"nothing", `true`, "", "", 0, ""},
		{"the input", `cat`, `{"a":1}`, `stdout: {"a":1}`, 0, ""},
		{"lines, then JSON", `echo one; echo '{"b":1,"a":2}'`, `{"b":1,"a":2}`, "stdout: one\nstdout: {\"b\":1,\"a\":2}", 0, ""},
		{"JSON, then lines", `echo ' {"a":1} '; echo; echo done`, `{"a":1}`, "stdout:  {\"a\":1} \nstdout: \nstdout: done", 0, ""},
		{"JSON on stderr is only log", `echo '{"a":1}' >&2`, "", `stderr: {"a":1}`, 0, ""},
		{"no line end", `printf '{"a":1}'`, `{"a":1}`, `stdout: {"a":1}`, 0, ""},
		{"any JSON value", `echo 42`, "42", "stdout: 42", 0, ""},
		{"broken JSON is only log", `echo '{"a":'`, "", `stdout: {"a":`, 0, ""},
		{"bytes that are not UTF-8", `printf '"\377"\n\001\000\n'`, "", "stdout: \"\uFFFD\"\nstdout: \x01\x00", 0, ""},
		{"an exit code", `echo '{"a":1}'; exit 3`, `{"a":1}`, `stdout: {"a":1}`, 3, "exit code 3"},
		{"a signal", `kill -SEGV $$`, "", "", 139, "the command ended by signal: segmentation fault"},
		{"stdin closed at once", `exec <&-; echo '{"a":1}'`, `{"a":1}`, `stdout: {"a":1}`, 0, ""},
		{"its environment", `env -u PWD -u SHLVL -u _ | sed 's/=.*//' | sort`, "", "stdout: BOATHOOK_RUN_ID\nstdout: HOME\nstdout: PATH", 0, ""},
		{"no trace", `echo "$TRACEPARENT$TRACESTATE"`, "", "stdout: ", 0, ""},
		{"its run", `echo $BOATHOOK_RUN_ID`, "", "stdout: run_1", 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("BOATHOOK_ADMIN_TOKEN", "secret")
			var log record
			got := target.Command{Grace: time.Minute}.Run(t.Context(), sh(tt.script), &log)
			if string(got.Output) != tt.output || got.Err != tt.err || got.ExitCode == nil || *got.ExitCode != tt.code {
				t.Errorf("got output %q, error %q, exit code %v; want %q, %q, %d", got.Output, got.Err, got.ExitCode, tt.output, tt.err, tt.code)
			}
			if log.text() != tt.log {
				t.Errorf("got log %q, want %q", log.text(), tt.log)
			}
		})
	}
}

func TestACommandThatCanNotStartSaysSo(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, argv := range [][]string{nil, {""}, {"no-such-command-anywhere"}, {dir}, {plain}, {"sh\x00"}} {
		got := target.Command{Grace: time.Minute}.Run(t.Context(), commandJob(argv...), &record{})
		if got.Err == "" || got.ExitCode != nil || got.Output != nil {
			t.Errorf("%q: got %+v, want only an error", argv, got)
		}
	}
}

func TestAnOutputOverTheLimitFailsTheRun(t *testing.T) {
	line := func(n int) string { return `head -c ` + strconv.Itoa(n-2) + ` /dev/zero | tr '\0' x; echo '"'` }
	for _, tt := range []struct {
		name, script string
		err          string
		bytes        int
	}{
		{"the limit", `printf '"'; ` + line(boathook.MaxRunOutput), "", boathook.MaxRunOutput},
		{"one byte more", `printf '"'; ` + line(boathook.MaxRunOutput+1), target.OutputTooLong, 0},
		{"too long, then an output", `printf '"'; ` + line(boathook.MaxRunOutput+1) + `; echo '{}'`, "", 2},
		{"an output, then too long", `echo '{}'; printf '"'; ` + line(boathook.MaxRunOutput+1), target.OutputTooLong, 2},
		{"too long to be anything", `head -c 3000000 /dev/zero | tr '\0' x; echo; echo '{}'`, "", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := target.Command{Grace: time.Minute}.Run(t.Context(), sh(tt.script), &record{})
			if got.Err != tt.err || len(got.Output) != tt.bytes {
				t.Errorf("got %d bytes and error %q, want %d and %q", len(got.Output), got.Err, tt.bytes, tt.err)
			}
		})
	}
}

func TestMegabytesOnBothStreamsAndAnInputThatNobodyReadsDoNoHarm(t *testing.T) {
	job := sh(`(head -c 1000000 /dev/zero | tr '\0' '\n') & head -c 1000000 /dev/zero | tr '\0' '\n' >&2; wait; echo '{"a":1}'`)
	job.Input = append(append([]byte(`"`), bytes.Repeat([]byte("x"), boathook.MaxTriggerBody)...), '"')
	var log record
	got := target.Command{Grace: time.Minute}.Run(t.Context(), job, &log)
	if string(got.Output) != `{"a":1}` || got.Err != "" || len(log.lines) != 2_000_001 {
		t.Errorf("got %s, %q and %d lines", got.Output, got.Err, len(log.lines))
	}
}

// firstLine is a log that tells when a line came.
type firstLine chan string

func (c firstLine) Line(_, text string) {
	select {
	case c <- text:
	default:
	}
}

func TestACommandStopsWithItsContextAndSoDoAllThatItStarted(t *testing.T) {
	t.Parallel()
	// A shell of its own has no trap. What bash or dash forks has its parent's for a
	// moment, and loses a signal that comes in it.
	const child = `sh -c 'echo $$; exec sleep 600' &`
	for _, tt := range []struct {
		name, script string
		code         int
		grace        time.Duration // it is waited for only where something does not end at SIGTERM
	}{
		{"at SIGTERM", child + ` wait`, 128 + 15, time.Hour},
		{"with an exit code of its own", `trap 'exit 7' TERM; ` + child + ` wait`, 7, time.Hour},
		{"a success that comes too late", `trap 'exit 0' TERM; ` + child + ` wait`, 0, time.Hour},
		{"at SIGKILL", `trap '' TERM; ` + child + ` wait`, 128 + 9, 200 * time.Millisecond},
		{"though its child ignores SIGTERM", `(trap '' TERM; exec sleep 600) & echo $!; wait`, 128 + 15, 2 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			started := make(firstLine, 1)
			done := make(chan target.Result)
			go func() { done <- target.Command{Grace: tt.grace}.Run(ctx, sh(tt.script), started) }()
			child, err := strconv.Atoi(<-started)
			if err != nil {
				t.Fatal(err)
			}
			cancel()
			got := <-done
			if got.Err != target.Canceled || got.ExitCode == nil || *got.ExitCode != tt.code {
				t.Errorf("got error %q and exit code %v, want %q and %d", got.Err, *got.ExitCode, target.Canceled, tt.code)
			}
			mustBeGone(t, child)
		})
	}
}

func TestACommandThatReachesItsTimeLimitSaysSo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got := (target.Command{Grace: time.Minute}).Run(ctx, sh(`exec sleep 600`), &record{}); got.Err != target.TimeLimit {
		t.Errorf("got %+v", got)
	}
	if got := (target.Command{Grace: time.Minute}).Run(ctx, sh(`echo started`), &record{}); got.Err != target.TimeLimit || got.ExitCode != nil {
		t.Errorf("after the limit: got %+v", got)
	}
}

func TestAChildThatHoldsThePipesDoesNotHoldTheRun(t *testing.T) {
	t.Parallel()
	var log record
	got := target.Command{Grace: 2 * time.Second}.Run(t.Context(), sh(`sleep 600 & echo $!; echo '{"a":1}'`), &log)
	if string(got.Output) != `{"a":1}` || got.Err != "" || *got.ExitCode != 0 {
		t.Errorf("got %+v", got)
	}
	child, err := strconv.Atoi(strings.TrimPrefix(log.lines[0], "stdout: "))
	if err != nil {
		t.Fatal(err)
	}
	mustBeGone(t, child)
}

// mustBeGone fails the test if a process is alive; one that nobody has waited
// for yet is dead enough.
func mustBeGone(t *testing.T, pid int) {
	t.Helper()
	for deadline, bounded := t.Deadline(); !bounded || time.Until(deadline) > 10*time.Second; time.Sleep(10 * time.Millisecond) {
		if syscall.Kill(pid, 0) == syscall.ESRCH {
			return
		}
		if stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err == nil && bytes.Contains(stat, []byte(") Z ")) {
			return
		}
	}
	t.Errorf("process %d is still there", pid)
}

func TestACommandOfAnAgentFindsItsMessageInTheEnvironment(t *testing.T) {
	for name, tc := range map[string]struct{ message, want string }{
		"a message":   {"Event: x\nData: {a: 1}", "Event: x\nData: {a: 1}"},
		"a NUL":       {"a\x00b", "a\uFFFDb"},
		"a long one":  {strings.Repeat("é", 100_000), strings.Repeat("é", 96<<10/2) + " … [cut: the message has 200000 bytes]"},
		"no message ": {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			j := target.Job{
				RunID: "run_1", Input: []byte(`{}`), Message: tc.message, SessionID: "webhook-agent_a", SessionTitle: "Webhook: push",
				Target: boathook.Target{Argv: []string{"sh", "-c", `printf %s "$BOATHOOK_MESSAGE" | sha256sum | cut -d' ' -f1; echo "$BOATHOOK_SESSION_ID/$BOATHOOK_SESSION_TITLE"`}},
			}
			session := "webhook-agent_a/Webhook: push"
			if tc.message == "" {
				session = "/"
			}
			var log record
			got := target.Command{Grace: time.Second}.Run(t.Context(), j, &log)
			want := fmt.Sprintf("stdout: %x|stdout: %s", sha256.Sum256([]byte(tc.want)), session)
			if got.Err != "" || strings.Join(log.lines, "|") != want {
				t.Errorf("got %q, %q; want %q", got.Err, log.lines, want)
			}
		})
	}
}

func TestACommandKnowsItsTrace(t *testing.T) {
	job := sh(`echo "$TRACEPARENT $TRACESTATE"`)
	job.Trace = boathook.TraceContext{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", State: "a=1"}
	var log record
	target.Command{Grace: time.Minute}.Run(t.Context(), job, &log)
	if want := "stdout: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 a=1"; log.text() != want {
		t.Errorf("got %q, want %q", log.text(), want)
	}
}
