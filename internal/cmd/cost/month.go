package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"boathook/internal/capacity"
)

// rates are those that a month is printed for, in deliveries a second, unless one is
// asked for.
var rates = []string{"1", "100", "10000"}

// printMonths prints what a month costs at rates, each as assumed of it but for the
// arguments, which are those of the command capacity.
func printMonths(w io.Writer, c capacity.Counts, prices capacity.Prices, rates, arguments []string) error {
	var plans []capacity.Plan
	var loads []capacity.Load
	for _, rate := range rates {
		load, stack, err := capacity.Parse(append([]string{"RATE=" + rate}, arguments...))
		if err != nil {
			return err
		}
		plan, err := capacity.Of(load, stack, c, prices)
		if err != nil {
			return err
		}
		plans, loads = append(plans, plan), append(loads, load)
	}
	fmt.Fprintf(w, "Dollars a month, at the list prices of %s, %s, by deliveries a second.\n", prices.Region, prices.AsOf)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, value func(i int) float64) {
		fmt.Fprint(t, name, "\t")
		for i := range plans {
			fmt.Fprintf(t, "%.2f\t", value(i))
		}
		fmt.Fprintln(t)
	}
	fmt.Fprintf(t, "\t%s\t\n", strings.Join(rates, "\t"))
	for n, line := range plans[0].Month {
		row(line.Name, func(i int) float64 { return plans[i].Month[n].Dollars })
	}
	row("together", func(i int) float64 { return plans[i].Total })
	row("for a million deliveries", func(i int) float64 { return plans[i].Million(loads[i]) })
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "Assumed:")
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for n, field := range loads[0].Fields()[1:] {
		var values []string
		for i := range loads {
			value := fmt.Sprint(*loads[i].Fields()[n+1].Value)
			if len(values) == 0 || values[len(values)-1] != value {
				values = append(values, value)
			}
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\n", field.Name, strings.Join(values, ", "), field.Meaning)
	}
	return t.Flush()
}
