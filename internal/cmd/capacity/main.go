// Command capacity prints what a stack on AWS uses at a load: Lambda's concurrency by
// function, the requests to each queue, the units of each table and of the hottest
// partitions, the limits that are met, the nearest first, and dollars a month.
//
// It is run at the root of the checkout, and sends nothing to AWS. Its arguments are
// numbers by their names; without any it lists them. What things use is in
// infra/counts.json, which the command cost measures.
//
//	make capacity RATE=1000 FANOUT=3 LATENCY=300 FAILING=0.02
//	make capacity RATE=10,1000,100000
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"boathook/internal/capacity"
)

func main() {
	counts := flag.String("counts", "infra/counts.json", "what each thing was seen to use, a `file`")
	prices := flag.String("prices", "infra/prices.json", "the list prices, a `file`")
	flag.Usage = func() { list(flag.CommandLine.Output()) }
	flag.Parse()
	if flag.NArg() == 0 {
		list(os.Stdout)
		return
	}
	if err := run(os.Stdout, *counts, *prices, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "capacity:", err)
		os.Exit(1)
	}
}

// list prints the arguments with their defaults.
func list(w io.Writer) {
	load, stack := capacity.DefaultLoad(100), capacity.DefaultStack()
	fmt.Fprintln(w, "make capacity RATE=…, and as assumed of a rate of 100 unless they are given:")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range append(load.Fields(), stack.Fields()...) {
		fmt.Fprintf(table, "  %s\t%g\t%s\n", f.Name, *f.Value, f.Meaning)
	}
	_ = table.Flush() // nothing else could be told either
}

// run prints the plan of a load, or beside each other those of several rates.
func run(w io.Writer, countsFile, priceFile string, arguments []string) error {
	counts, prices, err := capacity.Read(countsFile, priceFile)
	if err != nil {
		return err
	}
	var of []planned
	for _, arguments := range eachRate(arguments) {
		load, stack, err := capacity.Parse(arguments)
		if err != nil {
			return err
		}
		plan, err := capacity.Of(load, stack, counts, prices)
		if err != nil {
			return err
		}
		of = append(of, planned{load, plan})
	}
	var text bytes.Buffer
	if len(of) > 1 {
		compare(&text, of)
	} else {
		write(&text, of[0], prices)
	}
	_, err = text.WriteTo(w)
	return err
}

// planned is a load and its plan.
type planned struct {
	load capacity.Load
	capacity.Plan
}

// eachRate makes arguments for each rate of one such as RATE=10,100.
func eachRate(arguments []string) (each [][]string) {
	at := slices.IndexFunc(arguments, func(a string) bool { return strings.HasPrefix(a, "RATE=") })
	if at < 0 {
		return [][]string{arguments}
	}
	for rate := range strings.SplitSeq(strings.TrimPrefix(arguments[at], "RATE="), ",") {
		of := slices.Clone(arguments)
		of[at] = "RATE=" + rate
		each = append(each, of)
	}
	return each
}

// hottest is how many partitions and limits are shown.
const hottest = 6

func write(w *bytes.Buffer, p planned, prices capacity.Prices) {
	first := p.Limits[0]
	if first.Share() > 1 {
		fmt.Fprintf(w, "Above a limit: %s, %s of %s.\n", first.Name, number(first.Used), number(first.Of))
	} else {
		fmt.Fprintf(w, "Within all limits. The nearest: %s, %s of %s.\n", first.Name, number(first.Used), number(first.Of))
	}
	if account, ok := p.AccountLimit(); ok {
		fmt.Fprintf(w, "The account's first limit: %s, at about %s deliveries a second.\n", account.Name, number(p.load.Rate/account.Share()))
	}
	fmt.Fprintf(w, "%.2f dollars a month, %.2f for a million deliveries, at the list prices of %s, %s.\n", p.Total, p.Million(p.load), prices.Region, prices.AsOf)

	if p.Ramp >= 0.1 {
		fmt.Fprintf(w, "From idle, Lambda has so many batches under way after %s minutes.\n", number(p.Ramp))
	}

	t := newTable(w, "function", "invocations/s", "ms each", "CPU ms each", "at a time")
	for _, f := range p.Functions {
		t.row(f.Name, number(f.Invocations), number(f.Duration), number(f.CPU), number(f.Concurrency))
	}
	t.end()
	t = newTable(w, "queue", "messages/s", "in flight", "sends/s", "receives/s", "deletes/s")
	for _, q := range p.Queues {
		t.row(q.Name, number(q.Messages), number(q.InFlight), number(q.Sends), number(q.Receives), number(q.Deletes))
	}
	t.end()
	t = newTable(w, "table or index", "writes/s", "reads/s")
	for _, table := range p.Tables {
		t.row(table.Name, number(table.Writes), number(table.Reads))
	}
	t.end()
	t = newTable(w, "partition", "of 1,000 writes/s", "of 3,000 reads/s")
	for _, hot := range p.Partitions[:min(hottest, len(p.Partitions))] {
		t.row(fmt.Sprintf("%s, %d of each %s", hot.Kind, hot.Each, hot.Per), number(hot.Writes), number(hot.Reads))
	}
	t.end()
	t = newTable(w, "limit", "used", "of", "share", "")
	for i, l := range p.Limits {
		if i < hottest || l.Share() > 1 {
			t.row(l.Name, number(l.Used), number(l.Of), percent(l.Share()), l.Raise)
		}
	}
	t.end()
	t = newTable(w, "dollars a month", "")
	for _, line := range p.Month {
		t.row(line.Name, fmt.Sprintf("%.2f", line.Dollars))
	}
	t.end()
}

// compare prints plans beside each other: what runs at a time, what DynamoDB takes, each
// limit of which more than half is used at the last, and what it costs.
func compare(w *bytes.Buffer, of []planned) {
	columns := func(value func(p planned) string) (cells []string) {
		for _, p := range of {
			cells = append(cells, value(p))
		}
		return cells
	}
	t := newTable(w, append([]string{"deliveries a second"}, columns(func(p planned) string { return number(p.load.Rate) })...)...)
	row := func(name string, value func(p planned) string) { t.row(name, columns(value)...) }
	row("deliveries in a batch", func(p planned) string { return number(p.Batch) })
	for _, name := range []string{"deliver", "execute", "intake", "manage"} {
		row(name+", at a time", func(p planned) string {
			for _, f := range p.Functions {
				if f.Name == name {
					return number(f.Concurrency)
				}
			}
			return "0"
		})
	}
	row("requests to SQS/s", func(p planned) string {
		sum := 0.0
		for _, q := range p.Queues {
			sum += q.Sends + q.Receives + q.Deletes
		}
		return number(sum)
	})
	row("writes to records/s", func(p planned) string { return number(unitsOf(p.Plan, "records").Writes) })
	row("reads of records/s", func(p planned) string { return number(unitsOf(p.Plan, "records").Reads) })
	row("reads of config/s", func(p planned) string { return number(unitsOf(p.Plan, "config").Reads) })
	last := of[len(of)-1]
	for _, l := range last.Limits {
		if l.Share() > 0.5 {
			row(l.Name, func(p planned) string {
				for _, same := range p.Limits {
					if same.Name == l.Name {
						return percent(same.Share())
					}
				}
				return ""
			})
		}
	}
	row("minutes from idle", func(p planned) string { return number(p.Ramp) })
	row("dollars a month", func(p planned) string { return fmt.Sprintf("%.0f", p.Total) })
	row("dollars for a million deliveries", func(p planned) string { return fmt.Sprintf("%.2f", p.Million(p.load)) })
	t.end()
}

func unitsOf(p capacity.Plan, table string) capacity.Table {
	for _, t := range p.Tables {
		if t.Name == table {
			return t
		}
	}
	return capacity.Table{}
}

// table is one with an empty line before it.
type table struct{ w *tabwriter.Writer }

func newTable(w *bytes.Buffer, head ...string) table {
	fmt.Fprintln(w)
	t := table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	t.row(head[0], head[1:]...)
	return t
}

// row ends no line with blanks.
func (t table) row(name string, cells ...string) {
	fmt.Fprintln(t.w, strings.TrimRight(name+"\t"+strings.Join(cells, "\t"), "\t"))
}

func (t table) end() { _ = t.w.Flush() } // a buffer takes all

func percent(share float64) string {
	if share >= 0.995 {
		return fmt.Sprintf("%.0f %%", 100*share)
	}
	return fmt.Sprintf("%.2g %%", 100*share)
}

// number has two or three digits, and no more before the point than it needs.
func number(x float64) string {
	switch {
	case x == 0:
		return "0"
	case x >= 99.95:
		return fmt.Sprintf("%.0f", x)
	case x >= 9.995:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2g", x)
}
