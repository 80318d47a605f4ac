package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what the runs say into the document")

// TestTheDocumentShowsTheRuns makes the tables of benchmarks.md of the runs that are kept
// beside it. After make benchmarks, which runs it so:
//
//	go test ./internal/cmd/bench -run Document -update
func TestTheDocumentShowsTheRuns(t *testing.T) {
	const folder = "../../../infra/docs"
	read := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	var rep report
	if err := json.Unmarshal(read("benchmarks/load.json"), &rep); err != nil {
		t.Fatal(err)
	}
	if rep.Most > 0 {
		t.Errorf("its loads were cut down to %d events", rep.Most)
	}
	document, shown := read("benchmarks.md"), 0
	parts := strings.Split(string(document), "<!-- ")
	for i, part := range parts {
		name, _, marked := strings.Cut(part, " -->\n")
		if i == 0 || !marked {
			continue
		}
		var tables string
		switch name {
		case "machine":
			tables = rep.where()
		case "limits":
			tables = rep.limits()
		case "loads":
			for _, m := range rep.Scenarios {
				tables += fmt.Sprintf("**%s**: %s.\n\n%s\n", m.Name, m.About, markdown(m.rows()))
			}
		case "hot paths":
			tables = hotPaths(t, read("benchmarks/hot.txt"))
		default:
			continue
		}
		shown++
		parts[i] = name + " -->\n" + strings.TrimSpace(tables) + "\n"
	}
	want := strings.Join(parts, "<!-- ")
	if shown != 4 {
		t.Errorf("the document has %d places for tables", shown)
	}
	if *update {
		if err := os.WriteFile(filepath.Join(folder, "benchmarks.md"), []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(document)); diff != "" {
		t.Errorf("the document is not of its runs (-of the runs +document):\n%s", diff)
	}
}

// markdown is a table of rows, the first of which is its head.
func markdown(rows [][]string) string {
	var text strings.Builder
	for i, row := range rows {
		for len(row) < len(rows[0]) {
			row = append(row, "")
		}
		fmt.Fprintf(&text, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(&text, "|---|%s\n", strings.Repeat("---:|", len(row)-1))
		}
	}
	return text.String()
}

// where says on what and when it was measured.
func (rep report) where() string {
	m := rep.Machine
	runs := "one run of each"
	if rep.Rounds > 1 {
		runs = fmt.Sprintf("medians of %d runs, with the least and the most", rep.Rounds)
	}
	text := fmt.Sprintf("%s, %s: %d processors (%s, %s), %s, %s.",
		rep.Date.Format("2 January 2006"), rep.Release, m.Processors, m.Processor, m.System, m.Go, runs)
	if m.LoadBefore > 0.5 {
		text += fmt.Sprintf(" **The machine was not quiet**: its load was %.1f when this began, by others' work.", m.LoadBefore)
	}
	return text
}

func (rep report) limits() string {
	rows := [][]string{{"limit", "measured", "must be", "holds"}}
	for _, v := range rep.Verdicts {
		rows = append(rows, []string{v.Claim, fmt.Sprintf("%.*f", v.Digits, v.Value), v.bound(), v.held()})
	}
	return markdown(rows)
}

// hotPaths are the medians of the output of make bench-hot, whose format is
// https://go.dev/design/14313-benchmark-format.
func hotPaths(t *testing.T, output []byte) string {
	t.Helper()
	var names []string
	values := make(map[string]map[string][]float64) // by name and unit
	for line := range strings.Lines(string(output)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(fields[0], "Benchmark")
		if i := strings.LastIndexByte(name, '-'); i > 0 { // GOMAXPROCS
			name = name[:i]
		}
		if values[name] == nil {
			values[name] = make(map[string][]float64)
			names = append(names, name)
		}
		for pair := range slices.Chunk(fields[2:], 2) {
			value, err := strconv.ParseFloat(pair[0], 64)
			if err != nil || len(pair) < 2 {
				t.Fatalf("%s: %v", line, err)
			}
			values[name][pair[1]] = append(values[name][pair[1]], value)
		}
	}
	middle := func(name, unit string) float64 {
		list := values[name][unit]
		if len(list) == 0 {
			t.Fatalf("%s has no %s", name, unit)
		}
		slices.Sort(list)
		return list[len(list)/2]
	}
	rows := [][]string{{"path", "µs", "bytes", "allocations"}}
	for _, name := range names {
		rows = append(rows, []string{
			name, fmt.Sprintf("%.2f", middle(name, "ns/op")/1000), fmt.Sprintf("%.0f", middle(name, "B/op")), fmt.Sprintf("%.0f", middle(name, "allocs/op")),
		})
	}
	return markdown(rows)
}
