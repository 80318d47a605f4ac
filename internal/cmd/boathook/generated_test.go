package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"boathook/internal/api/openapi"
)

// TestGeneratedClients makes clients from the API's description, by generators that
// share no code with Boathook, compiles them, and walks with each from a new
// deployment to the delivery that its run ends with. infra/clients pins them.
func TestGeneratedClients(t *testing.T) {
	for name, client := range map[string]func(t *testing.T, document string) (walk []string){
		"openapi-typescript": typescriptClient,
		"oapi-codegen":       goClient,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			walk := client(t, written(t, openapi.Document()))
			receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/run" {
					w.Write([]byte(`{"rows":42}`))
					return
				}
				w.WriteHeader(http.StatusNoContent)
			}))
			t.Cleanup(receiver.Close) // after the program, which may still send
			p := start(t)
			must(t, "", walk[0], append(walk[1:], p.url, adminToken, receiver.URL)...)
		})
	}
}

// TestLintersFindNothing: neither errors nor warnings, by the rules that the linters
// recommend.
func TestLintersFindNothing(t *testing.T) {
	t.Parallel()
	modules := nodeClients(t)
	document := written(t, openapi.Document())
	rules := filepath.Dir(modules)
	out := must(t, "", filepath.Join(modules, ".bin", "redocly"), "lint", "--config", filepath.Join(rules, "redocly.yaml"), "--format=json", document)
	if !strings.Contains(out, `"errors": 0`) || !strings.Contains(out, `"warnings": 0`) || !strings.Contains(out, `"ignored": 0`) {
		t.Errorf("redocly: %s", out)
	}
	text, err := os.ReadFile(filepath.Join(rules, "spectral.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	spectral := filepath.Join(filepath.Dir(document), "spectral.yaml")
	if err := os.WriteFile(spectral, text, 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "", filepath.Join(modules, ".bin", "spectral"), "lint", "--ruleset", spectral, "--fail-severity=hint", document)
}

// typescriptClient makes the types of openapi-fetch, and compiles what calls it.
func typescriptClient(t *testing.T, document string) (walk []string) {
	modules := nodeClients(t)
	dir := copied(t, filepath.Join(filepath.Dir(modules), "typescript"), filepath.Join(filepath.Dir(modules), "package.json"))
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	must(t, dir, filepath.Join(modules, ".bin", "openapi-typescript"), document, "-o", "schema.ts")
	must(t, dir, filepath.Join(modules, ".bin", "tsc"), "--project", ".")
	return []string{"node", filepath.Join(dir, "out", "walk.js")}
}

// goClient makes a package, and compiles the program that calls it. It is a module
// of its own, so that its generator is no dependency of Boathook's.
func goClient(t *testing.T, document string) (walk []string) {
	if os.Getenv(nodeVariable) == "" { // what installs those lets this one be fetched
		nodeClients(t)
	}
	dir := copied(t, "../../../infra/clients/go")
	if err := os.Mkdir(filepath.Join(dir, "api"), 0o700); err != nil {
		t.Fatal(err)
	}
	must(t, dir, "go", "tool", "oapi-codegen", "-config", "oapi-codegen.yaml", document)
	// -trimpath: the folder is another one each time, and what was compiled is found again.
	must(t, dir, "go", "build", "-trimpath", "-o", "walk", ".")
	return []string{filepath.Join(dir, "walk")}
}

// nodeVariable names the folder of Node's modules that infra/clients pins.
const nodeVariable = "BOATHOOK_TEST_NODE_CLIENTS"

func nodeClients(t *testing.T) (modules string) {
	t.Helper()
	modules = os.Getenv(nodeVariable)
	if modules == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal(nodeVariable + " is not set, and CI skips nothing: run `make test`")
		}
		t.Skip(nodeVariable + " is not set: `make test` installs the generators and sets it")
	}
	return modules
}

// written is a file with the text.
func written(t *testing.T, text []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "openapi.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// copied is a folder with the files of another one, but for those that are not in
// git, and with more files.
func copied(t *testing.T, from string, more ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	files, err := filepath.Glob(filepath.Join(from, "*.*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v, %q", from, err, files)
	}
	for _, file := range append(files, more...) {
		text, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// must runs a command in a folder, and gives what it prints to its standard output.
func must(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true", "GOFLAGS=", "GOWORK=off")
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s\n%s", filepath.Base(name), strings.Join(args, " "), err, out, problems.String())
	}
	return string(out)
}
