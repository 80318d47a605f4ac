package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"boathook/internal/diagnose"
)

// The vector of package signature.
const (
	vectorBody   = `{"event":"run.succeeded"}`
	vectorSecret = "whsec_dGVzdA=="
	vector       = "711ed17860c48696a0a320cafb73a4dea8bef8b6411baf61cbef777e65bc8848"
)

// called runs one command, below a root as the program has it.
func called(t *testing.T, command, stdin string, variables map[string]string, args ...string) (stdout string, err error) {
	t.Helper()
	var out bytes.Buffer
	root := &cobra.Command{Use: "boathook", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(Commands(Environment{
		Getenv: func(name string) string { return variables[name] }, Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &out,
	})...)
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(append([]string{command}, args...))
	err = root.ExecuteContext(t.Context())
	return out.String(), err
}

func TestVerify(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	signed := []string{"--header", "X-Crewship-Timestamp: 1771143284", "--header", "x-crewship-signature:" + vector}
	args := func(more ...string) []string { return append(more, signed...) }
	for _, tc := range []struct {
		name  string
		stdin string
		args  []string
		env   string
		code  int
		want  string
	}{
		{"right", vectorBody, args("--secret", vectorSecret, "--at", "1771143290"), "", 0, "right: the signature verifies"},
		{"right by the environment", vectorBody, args("--at", "2026-02-15T08:14:44Z"), vectorSecret, 0, "right"},
		{"right by files", "", args("--at", "1771143290", "--secret", "@"+file("secret", vectorSecret+"\n"), "--body", file("body", vectorBody)), "", 0, "right"},
		{"in its dialect", vectorBody, args("--secret", vectorSecret, "--at", "1771143290", "--dialect", "crewship"), "", 0, "right: the signature verifies.\n"},
		{"kept", vectorBody, args("--secret", vectorSecret), "", Failed, "  stale      X-Crewship-Timestamp is 1771143284 (2026-02-15T08:14:44Z):"},
		{"a line feed", vectorBody + "\n", args("--secret", vectorSecret, "--at", "1771143290"), "", Failed, "without the line ending"},
		{"no text", "\xff\xfe", args("--secret", vectorSecret, "--at", "1771143290"), "", Failed, "another secret or over another body"},
		{"no headers", vectorBody, []string{"--secret", vectorSecret}, "", Failed, "  missing"},
		{"no secret", vectorBody, args(), "", Usage, "give --secret, or set BOATHOOK_SECRET"},
		{"an empty secret's file", vectorBody, args("--secret", "@"+file("empty", "\n")), "", Usage, "is empty"},
		{"a secret from the body", vectorBody, args("--secret", "-"), "", Usage, "the standard input is the body's"},
		{"no such file of a secret", vectorBody, args("--secret", "@"+dir+"/none"), "", Usage, "no such file"},
		{"no such body", vectorBody, args("--secret", vectorSecret, "--body", dir+"/none"), "", Usage, "no such file"},
		{"too long", strings.Repeat("a", maxBody+1), args("--secret", vectorSecret), "", Usage, "the body: more than 1048576 bytes"},
		{"a header without a colon", vectorBody, args("--secret", vectorSecret, "--header", "X-Crewship-Event"), "", Usage, "has no colon"},
		{"a header without a name", vectorBody, args("--secret", vectorSecret, "--header", ": a"), "", Usage, "is no header's name"},
		{"a header of two lines", vectorBody, args("--secret", vectorSecret, "--header", "A: b\nC: d"), "", Usage, "control character"},
		{"an unknown dialect", vectorBody, args("--secret", vectorSecret, "--dialect", "github"), "", Usage, "there is no dialect"},
		{"no time", vectorBody, args("--secret", vectorSecret, "--at", "noon"), "", Usage, "--at: expected"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, err := called(t, "verify", tc.stdin, map[string]string{secretVariable: tc.env}, tc.args...)
			said := out
			if err != nil {
				said += err.Error()
			}
			folded := regexp.MustCompile(`\s+`).ReplaceAllString(said, " ")
			if ExitCode(err) != tc.code || !strings.Contains(said, tc.want) && !strings.Contains(folded, tc.want) {
				t.Errorf("exits with %d, want %d and %q:\n%s", ExitCode(err), tc.code, tc.want, said)
			}
			if strings.Contains(said, vectorSecret) {
				t.Errorf("it tells the secret:\n%s", said)
			}
			for line := range strings.Lines(out) {
				if len([]rune(line)) > width+1 {
					t.Errorf("longer than %d columns: %s", width, line)
				}
			}
		})
	}
}

func TestVerifyInJSON(t *testing.T) {
	out, err := called(t, "verify", vectorBody+"\n", nil, "--secret", vectorSecret, "--at", "1771143290", "--output", "json",
		"--header", "X-Crewship-Timestamp: 1771143284", "--header", "X-Crewship-Signature: "+vector)
	var v diagnose.Verdict
	if ExitCode(err) != Failed || json.Unmarshal([]byte(out), &v) != nil || strings.Count(out, "\n") != 1 {
		t.Fatalf("%v, and\n%s", err, out)
	}
	if v.Right || v.Dialect != "crewship" || !v.Guessed || len(v.Problems) != 1 || v.Problems[0].Kind != diagnose.Body {
		t.Errorf("got %s", out)
	}
}
