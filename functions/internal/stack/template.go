package stack

import (
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/caarlos0/env/v11"
	"go.yaml.in/yaml/v3"
)

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

	text, err := os.ReadFile("../../template.yaml")
	must(t, err)
	type function struct {
		Environment struct {
			Variables map[string]yaml.Node `yaml:"Variables"`
		} `yaml:"Environment"`
	}
	var template struct {
		Globals struct {
			Function function `yaml:"Function"`
		} `yaml:"Globals"`
		Resources map[string]struct {
			Properties yaml.Node `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	must(t, yaml.Unmarshal(text, &template))
	var own function
	properties := template.Resources[logicalID].Properties
	must(t, properties.Decode(&own))
	given := template.Globals.Function.Environment.Variables
	maps.Copy(given, own.Environment.Variables)
	if names := slices.Sorted(maps.Keys(given)); !slices.Equal(names, reads) {
		t.Errorf("%s is given\n%v, and reads\n%v", logicalID, names, reads)
	}
}
