package localaws_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestEachWildcardInAResourceHasItsReasonBesideIt(t *testing.T) {
	files, err := filepath.Glob("../../../infra/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range append(files, "../../../template.yaml") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var template yaml.Node
		if err := yaml.Unmarshal(text, &template); err != nil {
			t.Fatal(err)
		}
		each(&template, func(name, value *yaml.Node) {
			if name.Value != "Resource" || !hasWildcard(value) {
				return
			}
			found++
			if value.LineComment+name.HeadComment == "" {
				t.Errorf("%s: line %d has a wildcard without a reason: %s", file, value.Line, value.Value)
			}
		})
	}
	if found == 0 {
		t.Error("no wildcard was found, though the key's own policy has one")
	}
}

// each visits the members of all objects in a document.
func each(n *yaml.Node, visit func(name, value *yaml.Node)) {
	if n.Kind == yaml.MappingNode {
		for i := 0; i < len(n.Content); i += 2 {
			visit(n.Content[i], n.Content[i+1])
		}
	}
	for _, child := range n.Content {
		each(child, visit)
	}
}

func hasWildcard(n *yaml.Node) bool {
	if n.Kind == yaml.ScalarNode {
		return strings.ContainsAny(n.Value, "*?")
	}
	return slices.ContainsFunc(n.Content, hasWildcard)
}
