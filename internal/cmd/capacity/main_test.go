package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const root = "../../.."

// answer is what the command prints.
func answer(t *testing.T, arguments ...string) string {
	t.Helper()
	var w bytes.Buffer
	if err := run(&w, filepath.Join(root, "infra/counts.json"), filepath.Join(root, "infra/prices.json"), arguments); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(w.String())
}

var update = flag.Bool("update", false, "write what is printed into the document")

// TestTheDocumentShowsWhatIsPrinted runs the commands of scale.md. A block may leave off
// before the end, where it says so. After infra/counts.json has changed:
//
//	go test ./internal/cmd/capacity -update
func TestTheDocumentShowsWhatIsPrinted(t *testing.T) {
	document := filepath.Join(root, "infra/docs/scale.md")
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	blocks, parts := 0, strings.Split(string(text), "```")
	for i, block := range parts {
		command, shown, _ := strings.Cut(strings.TrimSpace(block), "\n")
		arguments, ok := strings.CutPrefix(command, "$ make capacity ")
		if i%2 == 0 || !ok {
			continue
		}
		blocks++
		printed := answer(t, strings.Fields(arguments)...)
		if part, more := strings.CutSuffix(shown, "\n…"); more {
			lines := strings.Split(printed, "\n")
			printed = strings.Join(lines[:min(len(lines), 1+strings.Count(part, "\n"))], "\n") + "\n…"
		}
		parts[i] = "\n" + command + "\n" + printed + "\n"
		if diff := cmp.Diff(shown, printed); diff != "" && !*update {
			t.Errorf("%s\n%s", command, diff)
		}
	}
	if blocks < 4 {
		t.Errorf("the document has %d commands", blocks)
	}
	if *update {
		if err := os.WriteFile(document, []byte(strings.Join(parts, "```")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOneRateIsAnsweredInFullAndSeveralBesideEachOther(t *testing.T) {
	one, several := answer(t, "RATE=100"), answer(t, "RATE=100,10000", "FANOUT=2")
	for _, want := range []string{"function", "queue", "table or index", "partition", "limit", "dollars a month"} {
		if !strings.Contains(one, "\n\n"+want) {
			t.Errorf("there is no table of each %s", want)
		}
	}
	if first, _, _ := strings.Cut(several, "\n"); strings.Join(strings.Fields(first), " ") != "deliveries a second 100 10000" {
		t.Errorf("the head is %q", first)
	}
}

func TestWrongArgumentsAreTold(t *testing.T) {
	for _, arguments := range [][]string{{"RATE=1,x"}, {"FANOUT=1"}, {"RATE=1", "SPEED=1"}} {
		var w bytes.Buffer
		if err := run(&w, filepath.Join(root, "infra/counts.json"), filepath.Join(root, "infra/prices.json"), arguments); err == nil || w.Len() > 0 {
			t.Errorf("%q: %v, and %q is printed", arguments, err, &w)
		}
	}
}
