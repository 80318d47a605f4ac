package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test's own binary play a command and an emulator.
func TestMain(m *testing.M) {
	switch role, argument, _ := strings.Cut(os.Getenv("EMULATORS_TEST_ROLE"), ":"); role {
	case "exit":
		fmt.Println("the command ran")
		code, _ := strconv.Atoi(argument)
		os.Exit(code)
	case "server":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			os.Exit(1)
		}
		fmt.Printf("WARNING: a greeting\n * Running on http://%s\n", l.Addr())
		time.Sleep(time.Hour)
	}
	os.Exit(m.Run())
}

func TestWithoutPythonAndNode(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	notRun := []string{
		"emulators: NOT RUN: the tests on moto: ",
		"emulators: NOT RUN: the tests on dynalite: ",
		"emulators: NOT RUN: the tests on fauxqs: ",
		"emulators: NOT RUN: the tests with generated clients: ",
		"emulators: NOT RUN: the tests with others' clients: ",
		"emulators: NOT RUN: the tests in a browser: ",
	}
	for name, test := range map[string]struct {
		args, ci string
		role     string
		code     int
		report   []string // how its lines begin
	}{
		"the command runs, and the last lines say what did not": {"--", "", "exit:0", 0, notRun},
		"the functions in containers are one more": {
			"-containers", "", "exit:0", 0, append(slices.Clone(notRun), "emulators: NOT RUN: the functions in containers: "),
		},
		"the exit code is the command's":        {"--", "", "exit:3", 3, notRun},
		"with CI=true nothing runs":             {"--", "true", "exit:0", 1, notRun},
		"a tool that does not run is a failure": {"-tool", "", "exit:0", 1, []string{"emulators: NOT RUN: " + self + ": "}},
	} {
		t.Run(name, func(t *testing.T) {
			checkout(t)
			t.Setenv("PATH", t.TempDir())
			t.Setenv("CI", test.ci)
			t.Setenv("BOATHOOK_CHROMIUM", "")
			t.Setenv("EMULATORS_TEST_ROLE", test.role)
			var report bytes.Buffer
			if code := run(t.Context(), []string{test.args, self}, &report); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			lines := strings.Split(strings.TrimSpace(report.String()), "\n")
			if len(lines) != len(test.report) {
				t.Fatalf("reported %q", lines)
			}
			for i, line := range lines {
				if !strings.HasPrefix(line, test.report[i]) {
					t.Errorf("reported %q, want %q…", line, test.report[i])
				}
			}
		})
	}
}

func TestBadUseIsExitCode2(t *testing.T) {
	for name, args := range map[string][]string{
		"no command":      {"--"},
		"an unknown flag": {"-unknown", "--", "true"},
	} {
		t.Run(name, func(t *testing.T) {
			var report bytes.Buffer
			if code := run(t.Context(), args, &report); code != 2 || report.Len() == 0 {
				t.Errorf("exit code %d, report %q", code, &report)
			}
		})
	}
}

func TestAnEmulatorAnswersUntilItIsStopped(t *testing.T) {
	checkout(t)
	t.Setenv("EMULATORS_TEST_ROLE", "server")
	s, err := start(t.Context(), "fake", os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(s.url, "http://")
	if c, err := net.Dial("tcp", host); err != nil {
		t.Errorf("started: %v", err)
	} else {
		c.Close()
	}
	s.stop()
	if c, err := net.Dial("tcp", host); err == nil {
		c.Close()
		t.Error("stopped, and it still answers")
	}
	if logs, _ := filepath.Glob(filepath.Join(tools, "fake*")); len(logs) > 0 {
		t.Errorf("stopped, and %q are left", logs)
	}
}

func TestTwoEmulatorsOfANameRunSideBySide(t *testing.T) {
	checkout(t)
	t.Setenv("EMULATORS_TEST_ROLE", "server")
	var urls []string
	for range 2 {
		s, err := start(t.Context(), "fake", os.Args[0])
		if err != nil {
			t.Fatal(err)
		}
		defer s.stop()
		urls = append(urls, s.url)
	}
	if urls[0] == urls[1] {
		t.Errorf("both are %s", urls[0])
	}
}

func TestAnEmulatorThatEndsAtOnceIsAnError(t *testing.T) {
	checkout(t)
	t.Setenv("EMULATORS_TEST_ROLE", "exit:7")
	_, err := start(t.Context(), "fake", os.Args[0])
	if err == nil || !strings.Contains(err.Error(), "exit status 7") || !strings.Contains(err.Error(), filepath.Join(tools, "fake-")) {
		t.Errorf("error %v, want its exit status and its log", err)
	}
}

// checkout makes the working directory look like the root of a checkout.
func checkout(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, dir := range []string{folder, clients} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"requirements.txt", "package-lock.json"} {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
