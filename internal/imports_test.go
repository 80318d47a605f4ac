// Package internal_test holds the house to its plan: imports point inward,
// from mains to adapters to rooms to contracts to the domain.
package internal_test

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	sdk    = "github.com/aws/aws-sdk-go-v2"
	lambda = "github.com/aws/aws-lambda-go"
)

// rooms are what the functions do.
var rooms = []string{"intake", "manage", "live", "sweep"}

// sdkUsers are the only packages below internal that import the AWS SDK.
var sdkUsers = []string{
	"internal/queue/sqs", "internal/seal/kms", "internal/store/dynamo", "internal/live/apigateway",
	"internal/run/target/agentcore", "internal/run/target/lambda", "internal/run/target/once", "internal/run/target/targettest", "internal/testing/localaws", "internal/testing/stack",
}

// pkg is what go list tells of a package.
type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
	Standard   bool
}

func packages(t *testing.T) (found []pkg) {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps,Standard", "boathook/...")
	out, err := cmd.Output()
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
		p.ImportPath = strings.TrimPrefix(p.ImportPath, "boathook/")
		found = append(found, p)
	}
}

func TestImportsPointInward(t *testing.T) {
	all := packages(t)
	if len(all) < 20 {
		t.Fatalf("only %d packages were found", len(all))
	}
	for _, p := range all {
		name, inside := strings.CutPrefix(p.ImportPath, "internal/")
		isMain := strings.HasPrefix(p.ImportPath, "functions/") || strings.HasPrefix(name, "cmd/")
		for _, imported := range p.Imports {
			switch {
			case strings.HasPrefix(imported, sdk) && inside && !isMain && !slices.Contains(sdkUsers, p.ImportPath):
				t.Errorf("%s imports the AWS SDK", p.ImportPath)
			case strings.HasPrefix(imported, lambda) && inside && !isMain && !slices.Contains([]string{"lambda/httpapi", "lambda/websocketapi", "lambda/sqsbatch", "testing/localaws"}, name):
				t.Errorf("%s imports aws-lambda-go", p.ImportPath)
			case slices.Contains(rooms, strings.TrimPrefix(imported, "boathook/internal/")) && !isMain && name != "testing/simulation": // which wires them as a main does
				t.Errorf("%s imports the room %s", p.ImportPath, imported)
			}
		}
		if slices.Contains(rooms, name) {
			for _, dep := range p.Deps {
				if strings.HasPrefix(dep, sdk) || strings.HasPrefix(dep, lambda) {
					t.Errorf("the room %s depends on %s", name, dep)
				}
			}
		}
		if name == "boathook" {
			for _, imported := range p.Imports {
				if strings.Contains(imported, ".") {
					t.Errorf("the domain imports %s", imported)
				}
			}
		}
	}
}

// services are the ones of AWS that each function calls.
var services = map[string][]string{
	"deliver": {"dynamodb", "kms", "sqs"},
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
			// It compiles JSON Schema's own drafts: the tests have the time.
			if strings.HasPrefix(dep, "github.com/santhosh-tekuri/jsonschema/") {
				t.Errorf("%s imports %s", function, dep)
			}
		}
		slices.Sort(got[function])
	}
	if diff := cmp.Diff(services, got); diff != "" {
		t.Errorf("the services that functions import (-want +got):\n%s", diff)
	}
}
