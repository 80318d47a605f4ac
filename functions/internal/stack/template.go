package stack

import (
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/caarlos0/env/v11"
	"go.yaml.in/yaml/v3"
)

// function is what of a function's properties is looked at.
type function struct {
	Environment struct {
		Variables map[string]yaml.Node `yaml:"Variables"`
	} `yaml:"Environment"`
	Timeout int `yaml:"Timeout"` // in seconds
}

// template is template.yaml.
type template struct {
	Globals struct {
		Function function `yaml:"Function"`
	} `yaml:"Globals"`
	Resources map[string]struct {
		Properties yaml.Node `yaml:"Properties"`
	} `yaml:"Resources"`
}

func readTemplate(t *testing.T) (whole template) {
	t.Helper()
	text, err := os.ReadFile("../../template.yaml")
	must(t, err)
	must(t, yaml.Unmarshal(text, &whole))
	return whole
}

func (whole template) function(t *testing.T, logicalID string) (f function) {
	t.Helper()
	properties := whole.Resources[logicalID].Properties
	must(t, properties.Decode(&f))
	return f
}

// Timeout is how long an invocation of a function may take, as template.yaml says.
func Timeout(t *testing.T, logicalID string) time.Duration {
	t.Helper()
	seconds := readTemplate(t).function(t, logicalID).Timeout
	if seconds == 0 {
		t.Fatalf("%s has no timeout", logicalID)
	}
	return time.Duration(seconds) * time.Second
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

	template := readTemplate(t)
	own := template.function(t, logicalID)
	given := template.Globals.Function.Environment.Variables
	maps.Copy(given, own.Environment.Variables)
	if names := slices.Sorted(maps.Keys(given)); !slices.Equal(names, reads) {
		t.Errorf("%s is given\n%v, and reads\n%v", logicalID, names, reads)
	}
}
