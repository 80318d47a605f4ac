package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/capacity"
)

const root = "../../.."

func monthOf(t *testing.T, rates ...string) string {
	t.Helper()
	c, p, err := capacity.Read(filepath.Join(root, "infra/counts.json"), filepath.Join(root, "infra/prices.json"))
	if err != nil {
		t.Fatal(err)
	}
	var w bytes.Buffer
	if err := printMonths(&w, c, p, rates, nil); err != nil {
		t.Fatal(err)
	}
	return w.String()
}

var update = flag.Bool("update", false, "write what is printed into the document")

// TestTheDocumentsMonthIsTheOneThatIsPrinted is of cost.md. After infra/counts.json has
// changed:
//
//	go test ./internal/cmd/cost -update
func TestTheDocumentsMonthIsTheOneThatIsPrinted(t *testing.T) {
	document := filepath.Join(root, "infra/docs/cost.md")
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	const command = "```\n$ make cost RATE=1,100,10000\n"
	before, block, _ := strings.Cut(string(text), command)
	shown, after, found := strings.Cut(block, "```")
	printed := monthOf(t, "1", "100", "10000")
	if *update && found {
		if err := os.WriteFile(document, []byte(before+command+printed+"```"+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(shown, printed); !found || diff != "" {
		t.Errorf("cost.md shows something else:\n%s", diff)
	}
}

func TestAMonthAtOneRateIsTheColumnOfSeveral(t *testing.T) {
	row := func(text string) []string {
		for line := range strings.Lines(text) {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "together"); ok {
				return strings.Fields(rest)
			}
		}
		t.Fatalf("nothing is together:\n%s", text)
		return nil
	}
	if one, several := row(monthOf(t, "100")), row(monthOf(t, "1", "100")); one[0] != several[1] {
		t.Errorf("a month costs %s, and %s beside others", one[0], several[1])
	}
}
