package localaws_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"boathook/internal/cli"
	"boathook/internal/smoke"
)

// smokedByCommand has `boathook smoke` prove the stack, with nothing beside it.
func smokedByCommand(t *testing.T, s *stack) {
	variables := map[string]string{"BOATHOOK_URL": s.url, "BOATHOOK_TOKEN": s.token}
	var told bytes.Buffer
	root := &cobra.Command{Use: "boathook", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(cli.Commands(cli.Environment{
		Getenv: func(name string) string { return variables[name] }, ConfigDir: t.TempDir(),
		Stdin: strings.NewReader(""), Stdout: &told, Stderr: &told, Transport: socketsAt{s.webSockets()},
	})...)
	root.SetArgs([]string{"smoke", "--timeout", "15m", "--patience", "5m"}) // of a busy machine
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Errorf("%v\n%s", err, &told)
	}
	if ok := strings.Count("\n"+told.String(), "\nok "); ok != len(smoke.Names()) {
		t.Errorf("%d of %d checks are ok:\n%s", ok, len(smoke.Names()), &told)
	}
	if left := s.call("GET", "/v1/workspaces", "", 200)["data"].([]any); len(left) != 1 {
		t.Errorf("it leaves %v", left)
	}
}
