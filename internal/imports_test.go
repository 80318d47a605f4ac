// Package internal_test holds the house to its plan: which package may import
// which, and what a function's binary contains.
package internal_test

import (
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a row of [layout] can allow besides packages of the module.
const (
	sdk       = "github.com/aws/aws-sdk-go-v2"
	lambda    = "github.com/aws/aws-lambda-go"
	libraries = "libraries" // every other module
)

// A row says what a package may import besides the standard library. "x/..." is x
// and all below it, in both columns. The most exact row of a package counts.
type row struct {
	path string
	may  []string
}

// tools are tables and tools that several services use. None knows a service, a
// store or a queue.
var tools = []string{
	"internal/boathook", "internal/cache", "internal/catalogue", "internal/claim", "internal/compress", "internal/dialect", "internal/egress",
	"internal/expression", "internal/metrics", "internal/palette", "internal/paths", "internal/preset", "internal/schema", "internal/seal", "internal/signature", "internal/tracing", libraries,
}

// face is what a face imports: no store, no queue.
var face = []string{"internal/api/httpjson", "internal/boathook", "internal/service"}

// contracts are what a service knows of where things are kept and queued.
var contracts = []string{"internal/store", "internal/queue"}

func and(lists ...[]string) []string { return slices.Concat(lists...) }

// layout has a row for every package of the module.
var layout = []row{
	// The domain. It imports the standard library only.
	{"internal/boathook", nil},

	// Tables and tools.
	{"internal/cache", []string{libraries}},
	{"internal/capacity", nil},
	{"internal/catalogue", []string{"internal/boathook", "internal/schema"}},
	{"internal/claim", nil},
	{"internal/compress", []string{"internal/boathook"}},
	{"internal/diagnose", []string{"internal/boathook", "internal/catalogue", "internal/dialect", "internal/signature"}},
	{"internal/dialect", []string{"internal/boathook", "internal/signature"}},
	{"internal/egress", []string{"internal/boathook", libraries}},
	{"internal/expression", []string{"internal/boathook", libraries}},
	{"internal/metrics", nil},
	{"internal/metrics/otel", []string{"internal/metrics", libraries}},
	{"internal/palette", []string{"internal/boathook"}},
	{"internal/paths", nil},
	{"internal/preset", []string{"internal/boathook", "internal/signature"}},
	{"internal/probe", []string{"internal/boathook", "internal/catalogue", "internal/diagnose", "internal/dialect", "internal/egress", "internal/signature"}},
	{"internal/schema", []string{"internal/boathook"}},
	{"internal/seal", []string{"internal/boathook", "internal/cache"}},
	{"internal/seal/kms", []string{sdk}},
	{"internal/signature", []string{"internal/boathook"}},
	{"internal/tracing", []string{"internal/boathook"}},
	{"internal/tracing/otel", []string{"internal/boathook", "internal/tracing", libraries}},

	// Contracts, and what implements them.
	{"internal/database", []string{libraries}},
	{"internal/store", []string{"internal/boathook"}},
	{"internal/store/dynamo", []string{"internal/boathook", "internal/compress", "internal/store", sdk, libraries}},
	{"internal/store/mem", []string{"internal/boathook", "internal/store", "internal/store/paging"}},
	{"internal/store/paging", []string{"internal/boathook", "internal/store"}},
	{"internal/store/sqlite", []string{"internal/boathook", "internal/compress", "internal/database", "internal/store", "internal/store/paging"}},
	{"internal/store/storetest", []string{"internal/boathook", "internal/store", libraries}},
	{"internal/queue", []string{"internal/boathook", "internal/compress"}},
	{"internal/queue/mem", []string{"internal/queue"}},
	{"internal/queue/sqlite", []string{"internal/database", "internal/queue/mem"}},
	{"internal/queue/queuetest", []string{"internal/queue"}},
	{"internal/queue/sqs", []string{"internal/boathook", "internal/queue", sdk, libraries}},

	// Services: what Boathook does.
	{"internal/intake", and(tools, contracts, []string{"internal/run"})},
	{"internal/run", and(tools, contracts, []string{"internal/run/target"})},
	{"internal/run/target", []string{"internal/boathook", "internal/egress"}},
	{"internal/run/target/agentcore", []string{"internal/boathook", "internal/egress", "internal/run/target", "internal/run/target/once", sdk}},
	{"internal/run/target/lambda", []string{"internal/boathook", "internal/run/target", "internal/run/target/once", sdk}},
	{"internal/run/target/once", []string{"internal/egress", sdk}},
	{"internal/run/target/targettest", []string{sdk}},
	{"internal/delivery", and(tools, contracts, []string{"internal/delivery/destination"})},
	{"internal/delivery/destination", []string{"internal/boathook", "internal/egress"}},
	{"internal/delivery/destination/sqs", []string{"internal/boathook", "internal/delivery/destination", "internal/egress", sdk}},
	{"internal/delivery/destination/listener", []string{"internal/boathook", "internal/delivery/destination", "internal/live"}},
	{"internal/sweep", and(tools, contracts)},
	{"internal/service", and(tools, contracts, []string{"internal/delivery", "internal/run", "internal/live/wstoken"})},
	{"internal/live", and(tools, contracts, []string{"internal/live/wstoken"})},
	{"internal/live/apigateway", []string{"internal/boathook", "internal/egress", sdk}},
	{"internal/live/websocket", []string{"internal/boathook", libraries}},
	{"internal/live/wstoken", []string{"internal/boathook", "internal/claim"}},

	// Faces.
	{"internal/api", []string{"internal/api/...", "internal/boathook", "internal/paths", "internal/service", "internal/tracing"}},
	{"internal/api/native", and(face, []string{"internal/preset"})},
	{"internal/api/crewship", face},
	{"internal/api/capawesome", face},
	{"internal/api/shipway", face},
	{"internal/api/httpjson", []string{"internal/api/openapi", "internal/boathook", "internal/service", "internal/tracing"}},
	{"internal/api/openapi", nil},
	{"internal/console", and(face, tools)},

	// What speaks to the API from outside.
	{"internal/client", []string{"internal/boathook", "internal/signature", libraries}},
	{"internal/smoke", []string{"internal/boathook", "internal/client"}},
	{"internal/cli", []string{"internal/boathook", "internal/client", "internal/diagnose", "internal/dialect", "internal/probe", "internal/smoke", libraries}},

	// AWS's event shapes.
	{"internal/lambda/httpapi", []string{lambda}},
	{"internal/lambda/sqsbatch", []string{lambda, libraries}},
	{"internal/lambda/websocketapi", []string{"internal/boathook", lambda}},

	// Mains, which wire the rest, and what is theirs alone.
	{"functions/...", []string{"functions/internal/...", "internal/...", sdk, lambda, libraries}},
	{"internal/cmd/...", []string{"events", "internal/...", sdk, lambda, libraries}},
	{"internal/cmd/boathook", []string{"internal/...", sdk, libraries}},

	// Tests, and what developers' commands share with them.
	{"internal", nil},
	{"events", []string{"internal/boathook", "internal/dialect", "internal/seal", "internal/store"}},
	{"internal/testing/...", []string{"events", "internal/...", sdk, lambda, libraries}},
}

// rowOf finds the most exact row of a package.
func rowOf(path string) (row, bool) {
	var best row
	found := false
	for _, r := range layout {
		if matches(r.path, path) && (!found || len(r.path) > len(best.path)) {
			best, found = r, true
		}
	}
	return best, found
}

// matches reports whether a pattern of [layout] means a package.
func matches(pattern, path string) bool {
	if parent, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == parent || strings.HasPrefix(path, parent+"/")
	}
	return path == pattern
}

// pkg is what go list tells of a package.
type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

// module is the prefix of this module's own packages. Its name has no dot, so it
// looks like the standard library's.
const module = "boathook/"

// packages asks go list for every package of the module. It reads all that the answer
// follows from first: the test's cached result is then good for as long as none
// of those files changes.
func packages(t *testing.T) (found []pkg) {
	t.Helper()
	readSources(t)
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		found = append(found, p)
	}
}

// readSources opens the module's Go files and the folders that they are in.
func readSources(t *testing.T) {
	t.Helper()
	files := []string{"../go.mod", "../go.sum"}
	for _, root := range []string{"../internal", "../functions", "../events"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if strings.HasSuffix(path, ".go") {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range files {
		if _, err := os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
}

// json2 is encoding/json/v2 and encoding/json/jsontext of the standard library, as a module
// for toolchains that have them behind an experiment: it counts as that.
const json2 = "github.com/go-json-experiment/json"

// kind tells how a row of [layout] names an import; "" is the standard library.
func kind(imported string) string {
	own, isOwn := strings.CutPrefix(imported, module)
	domain, _, _ := strings.Cut(imported, "/")
	switch {
	case isOwn:
		return own
	case strings.HasPrefix(imported, sdk) || strings.HasPrefix(imported, "github.com/aws/smithy-go"):
		return sdk
	case strings.HasPrefix(imported, lambda):
		return lambda
	case strings.Contains(domain, ".") && !strings.HasPrefix(imported, json2):
		return libraries
	}
	return ""
}

func TestEachPackageImportsWhatItsRowAllows(t *testing.T) {
	used := map[string]bool{}
	for _, p := range packages(t) {
		r, ok := rowOf(p.ImportPath)
		if !ok {
			t.Errorf("%s has no row in the layout: say what it may import", p.ImportPath)
			continue
		}
		used[r.path] = true
		for _, imported := range p.Imports {
			k := kind(imported)
			if k != "" && !slices.ContainsFunc(r.may, func(pattern string) bool { return matches(pattern, k) }) {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
		}
	}
	for _, r := range layout {
		if !used[r.path] {
			t.Errorf("the row %s is of no package", r.path)
		}
	}
}

// A service and the tools below it reach AWS by what a main hands them.
func TestNoServiceDependsOnAWS(t *testing.T) {
	without := []string{"internal/intake", "internal/run", "internal/delivery", "internal/sweep", "internal/live", "internal/service", "internal/api"}
	for _, p := range packages(t) {
		if !slices.Contains(without, p.ImportPath) {
			continue
		}
		for _, dep := range p.Deps {
			if k := kind(dep); k == sdk || k == lambda {
				t.Errorf("%s depends on %s", p.ImportPath, dep)
			}
		}
	}
}

// Test machinery is no part of what is deployed or run.
func TestNoProgramContainsTestMachinery(t *testing.T) {
	for _, p := range packages(t) {
		deployed := strings.HasPrefix(p.ImportPath, "functions/") && !strings.HasPrefix(p.ImportPath, "functions/internal/")
		if !deployed && p.ImportPath != "internal/cmd/boathook" {
			continue
		}
		for _, dep := range p.Deps {
			own := strings.TrimPrefix(dep, module)
			if dep == "testing" || own == "events" || strings.HasPrefix(own, "internal/testing/") || strings.HasSuffix(own, "test") && own != dep {
				t.Errorf("%s contains %s", p.ImportPath, dep)
			}
		}
	}
}

// services are the ones of AWS that each function calls.
var services = map[string][]string{
	"console": {"apigatewaymanagementapi", "dynamodb", "kms", "secretsmanager", "sqs"},
	"deliver": {"apigatewaymanagementapi", "dynamodb", "kms", "sqs"},
	"execute": {"apigatewaymanagementapi", "bedrockagentcore", "dynamodb", "kms", "lambda", "sqs"},
	"intake":  {"dynamodb", "kms", "sqs"},
	"manage":  {"apigatewaymanagementapi", "dynamodb", "kms", "secretsmanager", "sqs"},
	"stream":  {"apigatewaymanagementapi", "dynamodb", "secretsmanager"},
	"sweep":   {"apigatewaymanagementapi", "dynamodb", "sqs"},
}

// What a function imports prepares itself at each cold start, needed or not.
func TestAFunctionImportsWhatItsRequestsNeed(t *testing.T) {
	got := map[string][]string{}
	for _, p := range packages(t) {
		function, ok := strings.CutPrefix(p.ImportPath, "functions/")
		if !ok || strings.HasPrefix(function, "internal/") {
			continue
		}
		got[function] = nil
		for _, dep := range p.Deps {
			service, ok := strings.CutPrefix(dep, sdk+"/service/")
			if ok && !strings.Contains(service, "/") {
				got[function] = append(got[function], service)
			}
			// It describes all shapes of a service: go.mod holds the releases that
			// have none. Three operations have few shapes.
			if strings.HasSuffix(service, "/schemas") && service != "apigatewaymanagementapi/schemas" {
				t.Errorf("%s imports %s", function, dep)
			}
			// OpenTelemetry's SDK is there with the tag otel. The other compiles JSON
			// Schema's own drafts: the tests have the time. The API's documents are of the
			// functions that people ask.
			if strings.HasPrefix(dep, "go.opentelemetry.io/") || strings.HasPrefix(dep, "github.com/santhosh-tekuri/jsonschema/") || function != "manage" && function != "console" && strings.HasPrefix(dep, module+"internal/api/") {
				t.Errorf("%s imports %s", function, dep)
			}
		}
		slices.Sort(got[function])
	}
	if diff := cmp.Diff(services, got); diff != "" {
		t.Errorf("the services that functions import (-want +got):\n%s", diff)
	}
}
