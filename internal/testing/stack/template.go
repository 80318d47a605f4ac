package stack

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/caarlos0/env/v11"
	"go.yaml.in/yaml/v3"

	"boathook/internal/testing/templatetest"
)

// function is what of a function's properties is looked at.
type function struct {
	Environment struct {
		Variables map[string]yaml.Node `yaml:"Variables"`
	} `yaml:"Environment"`
	Timeout int `yaml:"Timeout"` // in seconds
}

// Timeout is how long an invocation of a function may take, as template.yaml says.
func Timeout(t *testing.T, logicalID string) time.Duration {
	t.Helper()
	var f function
	if templatetest.Read(t).Properties(t, logicalID, &f); f.Timeout == 0 {
		t.Fatalf("%s has no timeout", logicalID)
	}
	return time.Duration(f.Timeout) * time.Second
}

// CheckVariables holds a function's configuration against template.yaml: the
// variables that it reads are those that its resource is given, no more and no
// fewer.
func CheckVariables[C any](t *testing.T, logicalID string) {
	t.Helper()
	fields, err := env.GetFieldParamsWithOptions(new(C), env.Options{})
	must(t, err)
	var reads []string
	for _, f := range fields {
		reads = append(reads, f.Key)
	}
	slices.Sort(reads)

	template := templatetest.Read(t)
	var own function
	template.Properties(t, logicalID, &own)
	var globals struct {
		Function function `yaml:"Function"`
	}
	must(t, template.Globals.Decode(&globals))
	given := globals.Function.Environment.Variables
	maps.Copy(given, own.Environment.Variables)
	if names := slices.Sorted(maps.Keys(given)); !slices.Equal(names, reads) {
		t.Errorf("%s is given\n%v, and reads\n%v", logicalID, names, reads)
	}
}
