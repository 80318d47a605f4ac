package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// measured are the runs of one plan, alternating with the floor's where there is one.
type measured struct {
	Name  string `json:"name"`
	About string `json:"about,omitempty"`
	Plan  plan   `json:"plan"`
	Runs  []run  `json:"runs"`
	Floor []run  `json:"floor,omitempty"`
}

// figure is a row of the table of a run.
type figure struct {
	name   string
	of     func(run) *float64
	digits int
}

func latencyFigures(name string, of func(run) quantiles) []figure {
	var figures []figure
	for _, q := range []struct {
		name string
		of   func(quantiles) float64
	}{
		{"p50", func(q quantiles) float64 { return q.P50 }}, {"p95", func(q quantiles) float64 { return q.P95 }},
		{"p99", func(q quantiles) float64 { return q.P99 }}, {"max", func(q quantiles) float64 { return q.Max }},
	} {
		figures = append(figures, figure{name + " " + q.name + ", ms", func(r run) *float64 { return new(q.of(of(r))) }, 2})
	}
	return figures
}

// figures are those of a plan's runs.
func (p plan) figures() []figure {
	list := []figure{
		{"accepted/s", func(r run) *float64 { return &r.AcceptedPerSecond }, 0},
		{"delivered/s", func(r run) *float64 { return &r.DeliveredPerSecond }, 0},
		{"CPU s per 10,000 deliveries", func(r run) *float64 { return r.CPUSecondsPer10k }, 2},
		{"peak memory, MB", func(r run) *float64 { return r.PeakMB }, 1},
		{"live heap, MB", func(r run) *float64 { return r.LiveMB }, 0},
		{"connections opened", func(r run) *float64 { return new(float64(r.Opened)) }, 0},
	}
	list = append(list, latencyFigures("accept", func(r run) quantiles { return r.Accept })...)
	list = append(list, latencyFigures("end to end", func(r run) quantiles { return r.EndToEnd })...)
	if p.Batch*p.good() > 1 || p.Slow > 0 { // else it is the same
		list = append(list, latencyFigures("all answered", func(r run) quantiles { return r.Done })...)
	}
	return list
}

// text is a median, with the least and the most where they differ.
func (s spread) text(digits int) string {
	if s.Min == s.Max {
		return fmt.Sprintf("%.*f", digits, s.Median)
	}
	return fmt.Sprintf("%.*f (%.*f–%.*f)", digits, s.Median, digits, s.Min, digits, s.Max)
}

// rows are what was measured, as a table with its head.
func (m measured) rows() [][]string {
	head := []string{m.Name, "system"}
	if len(m.Floor) > 0 {
		head = append(head, "floor", "ratio")
	}
	rows := [][]string{head}
	for _, f := range m.Plan.figures() {
		own, ok := over(m.Runs, f.of)
		if !ok {
			continue
		}
		row := []string{f.name, own.text(f.digits)}
		if floor, ok := over(m.Floor, f.of); ok {
			row = append(row, floor.text(f.digits))
			if floor.Median > 0 {
				row = append(row, fmt.Sprintf("%.2f", own.Median/floor.Median))
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// print writes a table of all figures.
func (m measured) print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range m.rows() {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	var n, sick int64
	for _, r := range m.Runs {
		n, sick = n+r.Deliveries, sick+r.Sick
	}
	fmt.Fprintf(w, "%d deliveries in %d runs", n, len(m.Runs))
	if sick > 0 {
		fmt.Fprintf(w, ", and %d requests to receivers that fail or hang", sick)
	}
	fmt.Fprintln(w, ".")
	return nil
}

// wrong says what is wrong in any of the runs.
func (m measured) wrong() (lines []string) {
	for _, side := range []struct {
		name string
		runs []run
	}{{"", m.Runs}, {", the floor", m.Floor}} {
		for i, r := range side.runs {
			if text := r.wrong(); text != "" {
				lines = append(lines, fmt.Sprintf("%s%s, run %d: %s", m.Name, side.name, i+1, text))
			}
		}
	}
	return lines
}
