package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"boathook/internal/cli"
	"boathook/internal/smoke"
)

// smoked runs `boathook smoke` and gives each check's verdict, what was found, and the exit
// code.
func smoked(t *testing.T, p *program, token string, way http.RoundTripper, args ...string) (verdicts map[string]smoke.Verdict, got string, code int) {
	t.Helper()
	var out, told bytes.Buffer
	err := execute(t.Context(), cli.Environment{
		Getenv: environment("BOATHOOK_URL="+p.url, "BOATHOOK_TOKEN="+token), ConfigDir: t.TempDir(), Stdin: strings.NewReader(""),
		Stdout: &out, Stderr: &told, Transport: way,
	}, append([]string{"smoke", "--output", "json"}, args...))
	verdicts = map[string]smoke.Verdict{}
	for line := range bytes.Lines(out.Bytes()) {
		var f smoke.Finding
		if err := json.Unmarshal(line, &f); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if f.Name != "" {
			verdicts[f.Name] = f.Verdict
		}
	}
	return verdicts, out.String() + told.String(), cli.ExitCode(err)
}

// all is one verdict for all checks, but for those that have another.
func all(v smoke.Verdict, others map[string]smoke.Verdict) map[string]smoke.Verdict {
	verdicts := map[string]smoke.Verdict{}
	for _, name := range smoke.Names() {
		verdicts[name] = v
	}
	maps.Copy(verdicts, others)
	return verdicts
}

func TestSmokeProvesAServerAndLeavesNothing(t *testing.T) {
	t.Parallel()
	p := start(t)
	check := func(want map[string]smoke.Verdict, says string, code int, token string, way http.RoundTripper, args ...string) {
		t.Helper()
		verdicts, got, exit := smoked(t, p, token, way, args...)
		if !maps.Equal(verdicts, want) || exit != code || !strings.Contains(got, says) {
			t.Errorf("it exits with %d:\n%s", exit, got)
		}
		if left := p.call("GET", "/v1/workspaces", "", 200)["data"].([]any); len(left) != 1 {
			t.Errorf("it leaves %v", left)
		}
	}
	patient := []string{"--timeout", "15m", "--patience", "5m"} // of a busy machine
	check(all(smoke.OK, nil), "", 0, p.token, nil, patient...)
	if testing.Short() {
		t.Skip("NOT RUN: smoke against servers with faults takes 15 s: run it without -short")
	}
	check(all(smoke.OK, map[string]smoke.Verdict{"delivery": smoke.Failed}), "connection refused", 1, p.token, nil,
		"--patience", "10s", "--receiver", "http://127.0.0.1:1/")

	viewer := p.call("POST", "/v1/tokens", `{"name":"v","role":"viewer"}`, 201)["token"].(string)
	check(all(smoke.Skipped, map[string]smoke.Verdict{"health": smoke.OK, "access": smoke.Failed, "clean-up": smoke.OK}), "AdminTokenCommand", 1, viewer, nil)

	check(all(smoke.OK, map[string]smoke.Verdict{"isolation": smoke.Failed}), "sees the run", 1, p.token, &leak{path: "/v1/runs/"}, patient...)
	// The second run is told of, too: whether that has failed when the first is recovered is
	// a matter of milliseconds.
	verdicts, got, exit := smoked(t, p, p.token, forgetful{}, patient...)
	want := all(smoke.OK, map[string]smoke.Verdict{"repeat": smoke.Failed})
	delete(verdicts, "recovery")
	delete(want, "recovery")
	if !maps.Equal(verdicts, want) || exit != 1 || !strings.Contains(got, "Idempotency-Key") {
		t.Errorf("with a server that forgets keys it exits with %d:\n%s", exit, got)
	}
}

// leak has everyone read below a path what the first may that started a run there.
type leak struct {
	path  string
	owner atomic.Pointer[string]
}

func (l *leak) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasPrefix(r.URL.Path, l.path) && r.Method == http.MethodGet {
		mine := r.Header.Get("Authorization")
		if !l.owner.CompareAndSwap(nil, &mine) {
			r = r.Clone(r.Context())
			r.Header.Set("Authorization", *l.owner.Load())
		}
	}
	return http.DefaultTransport.RoundTrip(r)
}

// forgetful is a server that does not know a trigger's key any more.
type forgetful struct{}

func (forgetful) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasPrefix(r.URL.Path, "/webhooks/runs/") {
		r = r.Clone(r.Context())
		r.Header.Del("Idempotency-Key")
	}
	return http.DefaultTransport.RoundTrip(r)
}
