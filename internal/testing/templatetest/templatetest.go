// Package templatetest reads template.yaml for tests that hold code to it.
package templatetest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v3"
)

const name = "template.yaml"

// Template is template.yaml, as it is written: neither translated nor resolved.
type Template struct {
	Globals   yaml.Node           `yaml:"Globals"`
	Resources map[string]Resource `yaml:"Resources"`
}

// Resource is one of its resources.
type Resource struct {
	Type       string    `yaml:"Type"`
	Properties yaml.Node `yaml:"Properties"`
}

// Read finds template.yaml in the test's folder or one above it.
func Read(t testing.TB) (template Template) {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, name))
	for errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		text, err = os.ReadFile(filepath.Join(dir, name))
	}
	if err == nil {
		err = yaml.Unmarshal(text, &template)
	}
	if err != nil {
		t.Fatal(err)
	}
	return template
}

// Properties decodes a resource's. It fails the test if there is none of the name.
func (all Template) Properties(t testing.TB, logicalID string, into any) {
	t.Helper()
	r, ok := all.Resources[logicalID]
	if !ok {
		t.Fatalf("the template has no %s", logicalID)
	}
	if err := r.Properties.Decode(into); err != nil {
		t.Fatal(err)
	}
}
