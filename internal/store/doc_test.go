package store_test

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"boathook/internal/store"
)

// The table in the package's documentation is part of the contract: it tells what
// each method costs.
func TestTheTableOfCostsHasEveryMethod(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		if name := regexp.MustCompile(`^//\t([A-Z]\w+)`).FindStringSubmatch(line); name != nil {
			rows[name[1]] = true
		}
	}
	contract := reflect.TypeFor[store.Store]()
	for method := range contract.Methods() {
		name := method.Name
		if !rows[name] {
			t.Errorf("it has no row of %s", name)
		}
		delete(rows, name)
	}
	for name := range rows {
		t.Errorf("it has a row of %s, which is no method", name)
	}
}
