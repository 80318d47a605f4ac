package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"boathook/internal/probe"
	"boathook/internal/signature"
)

// receiver verifies Crewship's dialect, and forgets the time if it is told to.
func receiver(t *testing.T, forgetful bool) (url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seconds, _ := strconv.ParseInt(r.Header.Get("X-Crewship-Timestamp"), 10, 64)
		at := time.Unix(seconds, 0)
		if !signature.VerifyTimestamped(r.Header.Get("X-Crewship-Signature"), vectorSecret, at, body) || !forgetful && time.Since(at).Abs() > 5*time.Minute {
			w.WriteHeader(401)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestProbe(t *testing.T) {
	good, forgetful := receiver(t, false), receiver(t, true)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(vectorSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string // a pattern
	}{
		{"a good one", []string{good, "--secret", "@" + file, "--old-secret", "older", "--only", "old-secret", "--only", "repeat,delivery"}, 0, `(?s)^ok       delivery              2xx        200 in \S+\nok       old-secret            401        401 in \S+\nok       repeat                2xx        200 in \S+, then 200 in \S+\n0 faults, 0 warnings, 3 ok\.\n$`},
		{"a forgetful one", []string{forgetful, "--secret", vectorSecret, "--only", "stale,future"}, Failed,
			`(?s)\nfault    stale                 401        200 in .*\n         Sent: a right signature of ten minutes ago\. A correct receiver answers\n         401\.\n         Refuse a delivery whose .*\n2 faults, 0 warnings, 1 ok\.\n$`},
		{"another secret", []string{good, "--secret", "another", "--only", "stale"}, Failed, `(?s)^fault    delivery.*the other cases were not sent\.\n$`},
		{"nobody", []string{"http://127.0.0.1:1", "--secret", "s"}, Failed, `^fault    delivery              2xx        connection refused\n`},
		{"by the environment", []string{good, "--only", "delivery"}, Failed, `^fault`},
		{"no URL", []string{"--secret", "s"}, Failed, `URL is missing`}, // the program says what to exit with
		{"another protocol", []string{"ftp://127.0.0.1", "--secret", "s"}, Usage, "must begin with http"},
		{"an old secret that is no file", []string{good, "--secret", "s", "--old-secret", "@" + file + "x"}, Usage, "--old-secret: .*no such file"},
		{"no header", []string{good, "--secret", "s", "--header", "x"}, Usage, "has no colon"},
		{"no time", []string{good, "--secret", "s", "--timeout", "0s"}, Usage, "--timeout"},
		{"no such case", []string{good, "--secret", "s", "--only", "x"}, Usage, `there is no case "x"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			args := append([]string{"--timeout", "1h"}, tc.args...) // a busy machine trips no time-out
			out, err := called(t, "probe", "", map[string]string{secretVariable: "wrong"}, args...)
			said := out
			if err != nil {
				said += err.Error()
			}
			if ExitCode(err) != tc.code || !regexp.MustCompile(tc.want).MatchString(said) {
				t.Errorf("exits with %d, want %d and %s:\n%s", ExitCode(err), tc.code, tc.want, said)
			}
			for line := range strings.Lines(out) {
				if len([]rune(line)) > width+1 {
					t.Errorf("longer than %d columns: %s", width, line)
				}
			}
		})
	}
}

func TestProbeInJSON(t *testing.T) {
	out, err := called(t, "probe", "", nil, receiver(t, true), "--secret", vectorSecret, "--only", "stale", "--output", "json", "--timeout", "1h")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if ExitCode(err) != Failed || len(lines) != 3 {
		t.Fatalf("%v, and\n%s", err, out)
	}
	var f probe.Finding
	if err := json.Unmarshal([]byte(lines[1]), &f); err != nil || f.Name != "stale" || f.Verdict != probe.Fault || f.Mend == "" {
		t.Errorf("got %s, %v", lines[1], err)
	}
	if lines[2] != `{"summary":{"ok":1,"warnings":0,"faults":1,"stopped":false}}` {
		t.Errorf("got %s", lines[2])
	}
}

// The help is read on a terminal.
func TestTheHelpFits(t *testing.T) {
	for _, c := range Commands(Environment{}) {
		for line := range strings.Lines(c.Long) {
			if len(line) > 90 {
				t.Errorf("%s: %s", c.Name(), line)
			}
		}
	}
}
