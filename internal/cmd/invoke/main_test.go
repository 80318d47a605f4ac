package main

import (
	"os/exec"
	"strings"
	"testing"
)

func TestWithoutACaseTheCasesAreListed(t *testing.T) {
	for _, tc := range []struct {
		name   string
		args   []string
		status int
		stdout string
		stderr string // a part of it
	}{
		{name: "no case", args: []string{"sweep"}, status: 0, stdout: "scheduled-minute\n"},
		{name: "no such case", args: []string{"sweep", "scheduled-hour"}, status: 2, stderr: "events/sweep:\n\tscheduled-minute\n"},
		{name: "no such function", args: []string{"swep"}, status: 2, stderr: `no payloads of a function "swep"`},
		{name: "no function", status: 2, stderr: `no payloads of a function ""`},
		{name: "no such flag", args: []string{"-case", "scheduled-minute"}, status: 2, stderr: "-case"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			status := command(t.Context(), tc.args, &stdout, &stderr)
			if status != tc.status || stdout.String() != tc.stdout || !strings.Contains(stderr.String(), tc.stderr) {
				t.Errorf("exits with %d, prints %q, and %q as an error", status, stdout.String(), stderr.String())
			}
		})
	}
}

func TestMakeInstallsNothingToListTheCases(t *testing.T) {
	for _, tc := range []struct {
		args       []string
		translates bool
	}{
		{args: []string{"invoke-sweep"}},
		{args: []string{"invoke-sweep", "CASE=scheduled-minute"}, translates: true},
	} {
		command := exec.CommandContext(t.Context(), "make", append([]string{"--dry-run"}, tc.args...)...)
		command.Dir = "../../.."
		printed, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, printed)
		}
		if strings.Contains(string(printed), "translate.py") != tc.translates {
			t.Errorf("make %v would run:\n%s", tc.args, printed)
		}
	}
}
