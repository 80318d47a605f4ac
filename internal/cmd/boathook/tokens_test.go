package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"boathook/internal/database"
)

// process is the program as one of its own, with some variables and of this
// process's none but those that it needs.
func process(t *testing.T, program string, variables ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, "serve", "--dev", "--data", database.Memory)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "PORT=0"}, variables...)
	cmd.Stdout, cmd.Stderr = newOutput(), newOutput()
	return cmd
}

// running starts it, and gives it as a program to call.
func running(t *testing.T, cmd *exec.Cmd) *program {
	t.Helper()
	p := started(t, cmd)
	p.url = p.stdout.await(t, `Boathook is at (http://127\.0\.0\.1:\d+)`)[1]
	return p
}

// started starts it, and ends it with the test.
func started(t *testing.T, cmd *exec.Cmd) *program {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // where the test has not ended it
		_ = cmd.Wait()
	})
	return &program{t: t, stdout: cmd.Stdout.(*output), stderr: cmd.Stderr.(*output)}
}

// spy prints the environment that the server began with, in the ways there are.
const spy = `ps eww -p $PPID; test ! -r /proc/$PPID/environ || tr '\0' '\n' </proc/$PPID/environ; echo looked`

// printed is what a command target prints in a run.
func (p *program) printed(script string) string {
	p.t.Helper()
	_, trigger := p.deployment(script)
	run := p.call("POST", trigger, `{}`, 202)["run_id"].(string)
	for ctx := patience(p.t); ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		if _, text := p.ask(http.MethodGet, "/v1/runs/"+run+"/events", ""); strings.Contains(string(text), `"complete"`) {
			return string(text)
		}
	}
	p.t.Fatal("the run is not over")
	return ""
}

// contents are those of a file, without its line's end; empty if there is no such file.
func contents(t *testing.T, folder, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func TestACommandTargetFindsNoTokenInItsParentsEnvironment(t *testing.T) {
	program := binary(t)
	for name, tc := range map[string]struct{ admin, internal string }{
		"both are set":           {adminToken, internalToken},
		"the admin token is set": {adminToken, ""},
		"none is set":            {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			variables := []string{"MARK=of-the-environment"}
			if tc.admin != "" {
				variables = append(variables, "BOATHOOK_ADMIN_TOKEN="+tc.admin)
			}
			if tc.internal != "" {
				variables = append(variables, "BOATHOOK_INTERNAL_TOKEN="+tc.internal)
			}
			cmd, folder := process(t, program, variables...), t.TempDir()
			cmd.Args = []string{program, "serve", "--dev", "--data", folder}
			p := running(t, cmd)
			p.token = cmp.Or(tc.admin, contents(t, folder, adminTokenFile))
			internal := cmp.Or(tc.internal, contents(t, folder, internalTokenFile))

			text := p.printed(spy)
			if !strings.Contains(text, "looked") {
				t.Fatalf("the command printed %s", text)
			}
			if !strings.Contains(text, "MARK=of-the-environment") {
				t.Skipf("NOT RUN: this system shows no environment:\n%s", text)
			}
			for _, token := range []string{p.token, internal} {
				if strings.Contains(text, token) {
					t.Errorf("it shows %s:\n%s", token, text)
				}
			}
			if pipe := regexp.MustCompile(`BOATHOOK_TOKENS_PIPE=(\d+)`).FindStringSubmatch(text); pipe != nil {
				if strings.Contains(p.printed("test ! -e /proc/self/fd/"+pipe[1]+" || echo it is open"), "it is open") {
					t.Errorf("a command inherits the tokens' pipe, %s", pipe[1])
				}
			} else if len(variables) > 1 {
				t.Errorf("the tokens came by no pipe:\n%s", text)
			}

			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil { // of the process that was started
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("it ends with %v\n%s", err, p.stderr)
			}
		})
	}
}

func TestAProcessThatCanNotStartSaysWhyInOneLine(t *testing.T) {
	program := binary(t)
	for name, tc := range map[string]struct{ variable, want string }{
		"a short token":     {"BOATHOOK_ADMIN_TOKEN=short", "BOATHOOK_ADMIN_TOKEN: at least 16"},
		"an empty token":    {"BOATHOOK_INTERNAL_TOKEN= ", "BOATHOOK_INTERNAL_TOKEN: at least 16"},
		"a token too long":  {"BOATHOOK_ADMIN_TOKEN=" + strings.Repeat("x", 5000), "less than 4096 bytes"},
		"a descriptor":      {"BOATHOOK_TOKENS_PIPE=0x3", "BOATHOOK_TOKENS_PIPE: not a descriptor"},
		"no pipe":           {"BOATHOOK_TOKENS_PIPE=0", "BOATHOOK_TOKENS_PIPE: not a pipe"},
		"a closed one":      {"BOATHOOK_TOKENS_PIPE=99", "BOATHOOK_TOKENS_PIPE: not a pipe"},
		"a port that is no": {"PORT=http", "PORT"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := process(t, program, tc.variable)
			err := cmd.Run()
			exit, ok := errors.AsType[*exec.ExitError](err)
			said := fmt.Sprint(cmd.Stderr)
			if !ok || exit.ExitCode() != 1 || strings.Count(said, "\n") != 1 || !strings.HasPrefix(said, "boathook: ") || !strings.Contains(said, tc.want) {
				t.Errorf("%v, and it says %s", err, said)
			}
		})
	}
}
