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
)

const (
	sdk    = "github.com/aws/aws-sdk-go-v2"
	lambda = "github.com/aws/aws-lambda-go"
)

// rooms are what the functions do.
var rooms = []string{"deliver", "execute", "intake", "manage", "stream", "sweep"}

// sdkUsers are the only packages below internal that import the AWS SDK.
var sdkUsers = []string{
	"internal/cloud", "internal/queue/sqs", "internal/seal/kms", "internal/store/dynamo", "internal/stream/apigateway",
	"internal/target/agentcore", "internal/target/lambda", "internal/target/once",
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
			case strings.HasPrefix(imported, lambda) && inside && !isMain && !slices.Contains([]string{"apigw", "cloud", "sqsbatch"}, name):
				t.Errorf("%s imports aws-lambda-go", p.ImportPath)
			case slices.Contains(rooms, strings.TrimPrefix(imported, "boathook/internal/")) && !isMain && name != "sim": // which wires them as a main does
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

// A package schemas of the SDK describes all shapes of a service when a process
// starts, which takes longer than all else that a function does then: go.mod
// holds the releases that have none. The one of apigatewaymanagementapi is left,
// since its service is three operations. The library that the tests validate
// with compiles JSON Schema's own drafts.
func TestNoFunctionLinksThatWhichMakesItStartLate(t *testing.T) {
	for _, p := range packages(t) {
		if !strings.HasPrefix(p.ImportPath, "functions/") {
			continue
		}
		for _, dep := range p.Deps {
			if service, ok := strings.CutSuffix(dep, "/schemas"); ok && service != sdk+"/service/apigatewaymanagementapi" {
				t.Errorf("%s links %s", p.ImportPath, dep)
			}
			if strings.HasPrefix(dep, "github.com/santhosh-tekuri/jsonschema") {
				t.Errorf("%s links %s", p.ImportPath, dep)
			}
		}
	}
}
