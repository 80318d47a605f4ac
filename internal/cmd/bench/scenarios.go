package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"boathook/internal/boathook"
)

// scenario is a load of which something is claimed.
type scenario struct {
	name     string
	about    string
	inMemory bool
	beside   bool // the floor is measured too
	once     bool // it takes too long for rounds
	plan     plan
}

// loop is the load that others of its kind are measured under, too: events of 1 KB, one a
// request, by sixteen publishers, to one receiver that answers at once.
func loop(change func(*plan)) plan {
	p := plan{Source: ofApp, Events: 10_000, Warm: 500, Batch: 1, Bytes: 1024, Publishers: 16, Healthy: 1}
	change(&p)
	return p
}

// The names of scenarios that limits speak of.
const (
	flatOut   = "flat-out"
	inMemory  = "memory"
	kept      = "kept"
	steady    = "steady"
	toOne     = "to-one"
	toHundred = "to-hundred"
	slowOne   = "slow-one"
	slowTen   = "slow-ten"
	million   = "million"
)

var scenarios = []scenario{
	{name: flatOut, about: "10,000 events as fast as they are answered, on disk", beside: true, plan: loop(func(*plan) {})},
	{name: inMemory, about: "the same, in memory", inMemory: true, beside: true, plan: loop(func(*plan) {})},
	{name: kept, about: "10,000 events of a customer, whose feed keeps them, on disk", beside: true, plan: loop(func(p *plan) { p.Source = ofCustomer })},
	{name: steady, about: "50 events a second, on disk", beside: true, plan: loop(func(p *plan) { p.Events, p.Rate = 1000, 50 })},
	{name: toOne, about: "5 events a second to one webhook, on disk", plan: loop(func(p *plan) { p.Events, p.Warm, p.Rate = 50, 20, 5 })},
	{name: toHundred, about: "5 events a second to 100 webhooks, on disk", plan: loop(func(p *plan) { p.Events, p.Warm, p.Rate, p.Healthy = 50, 20, 5, 100 })},
	{name: slowOne, about: "one event a request to a receiver of 200 ms, on disk", plan: loop(func(p *plan) {
		p.Events, p.Warm, p.Rate, p.Healthy, p.Slow, p.Latency = 40, 20, 4, 0, 1, 200*time.Millisecond
	})},
	{name: slowTen, about: "ten events a request to a receiver of 200 ms, on disk", plan: loop(func(p *plan) {
		p.Events, p.Warm, p.Batch, p.Rate, p.Healthy, p.Slow, p.Latency = 400, 20, 10, 40, 0, 1, 200*time.Millisecond
	})},
	{name: million, about: "1,000,000 events as fast as they are answered, on disk", once: true, plan: loop(func(p *plan) { p.Events = 1_000_000 })},
}

// limit is a claim about what was measured.
type limit struct {
	claim  string
	of     []string                                       // scenarios
	value  func(at func(string) measured) (float64, bool) // false: it is not known
	limit  func(at func(string) measured) float64
	least  bool // the value must not be below it; else not above
	digits int
}

// limits are what must hold, of medians.
var limits = []limit{
	{"CPU per delivery on disk, in the floor's", []string{flatOut}, ratio(flatOut, cpu), fixed(2.5), false, 2},
	{"CPU per delivery in memory, in the floor's", []string{inMemory}, ratio(inMemory, cpu), fixed(1.8), false, 2},
	{"delivered/s on disk, in the floor's (2,500 of 6,500)", []string{flatOut}, ratio(flatOut, deliveredRate), fixed(2500.0 / 6500), true, 2},
	{"end to end p50 at 50/s, ms", []string{steady}, median(steady, endToEnd(p50)), fixed(3), false, 2},
	{"end to end p99 at 50/s, ms", []string{steady}, median(steady, endToEnd(p99)), fixed(10), false, 2},
	{"end to end p50 flat out, ms", []string{flatOut}, median(flatOut, endToEnd(p50)), fixed(20), false, 2},
	{"end to end p99 flat out, ms", []string{flatOut}, median(flatOut, endToEnd(p99)), fixed(60), false, 2},
	{
		"CPU s per 10,000 at 50/s (1.3 times flat out's, and what the floor's rises by)", []string{flatOut, steady}, median(steady, cpu),
		func(at func(string) measured) float64 {
			own, _ := over(at(flatOut).Runs, cpu)
			idle, _ := over(at(steady).Floor, cpu)
			busy, _ := over(at(flatOut).Floor, cpu)
			return 1.3*own.Median + idle.Median - busy.Median
		}, false, 2,
	},
	{"peak memory after 10,000 deliveries, MB", []string{flatOut}, median(flatOut, peak), fixed(60), false, 1},
	{"peak memory after 1,000,000 deliveries, MB", []string{million}, median(million, peak), fixed(100), false, 1},
	{"answer p50 of a publish to 100 webhooks, in that to one", []string{toOne, toHundred}, quotient(toHundred, toOne, acceptP50), fixed(15), false, 2},
	{"p50 until a batch of ten has its answers of 200 ms, in that of one", []string{slowOne, slowTen}, quotient(slowTen, slowOne, doneP50), fixed(1.15), false, 3},
}

func cpu(r run) *float64           { return r.CPUSecondsPer10k }
func peak(r run) *float64          { return r.PeakMB }
func deliveredRate(r run) *float64 { return &r.DeliveredPerSecond }
func acceptP50(r run) *float64     { return &r.Accept.P50 }
func doneP50(r run) *float64       { return &r.Done.P50 }
func p50(q quantiles) float64      { return q.P50 }
func p99(q quantiles) float64      { return q.P99 }

func endToEnd(quantile func(quantiles) float64) func(run) *float64 {
	return func(r run) *float64 { return new(quantile(r.EndToEnd)) }
}

func fixed(limit float64) func(func(string) measured) float64 {
	return func(func(string) measured) float64 { return limit }
}

func median(name string, figure func(run) *float64) func(func(string) measured) (float64, bool) {
	return func(at func(string) measured) (float64, bool) {
		s, ok := over(at(name).Runs, figure)
		return s.Median, ok
	}
}

// ratio is of a figure to the floor's.
func ratio(name string, figure func(run) *float64) func(func(string) measured) (float64, bool) {
	return func(at func(string) measured) (float64, bool) {
		own, ok := over(at(name).Runs, figure)
		floor, also := over(at(name).Floor, figure)
		return own.Median / floor.Median, ok && also && floor.Median > 0
	}
}

// quotient is of a figure of one scenario to that of another.
func quotient(above, below string, figure func(run) *float64) func(func(string) measured) (float64, bool) {
	return func(at func(string) measured) (float64, bool) {
		a, ok := over(at(above).Runs, figure)
		b, also := over(at(below).Runs, figure)
		return a.Median / b.Median, ok && also && b.Median > 0
	}
}

// verdict is what became of a limit.
type verdict struct {
	Claim string  `json:"claim"`
	Value float64 `json:"value"`
	Limit float64 `json:"limit"`
	Least bool    `json:"least"` // the value must be at least the limit; else at most
	Holds bool    `json:"holds"`

	Digits int `json:"digits"` // behind the point, that are shown
}

// judge compares what was measured with the limits on it.
func judge(all []measured) (verdicts []verdict) {
	at := func(name string) measured {
		i := slices.IndexFunc(all, func(m measured) bool { return m.Name == name })
		if i < 0 {
			return measured{}
		}
		return all[i]
	}
	for _, l := range limits {
		if slices.ContainsFunc(l.of, func(name string) bool { return len(at(name).Runs) == 0 }) {
			continue
		}
		value, ok := l.value(at)
		if !ok {
			continue
		}
		v := verdict{Claim: l.claim, Value: value, Limit: l.limit(at), Least: l.least, Digits: l.digits}
		v.Holds = v.Value <= v.Limit && !v.Least || v.Value >= v.Limit && v.Least
		verdicts = append(verdicts, v)
	}
	return verdicts
}

// bound is the limit, as it is shown.
func (v verdict) bound() string {
	word := "at most"
	if v.Least {
		word = "at least"
	}
	return fmt.Sprintf("%s %.*f", word, v.Digits, v.Limit)
}

func (v verdict) held() string {
	if v.Holds {
		return "yes"
	}
	return "no"
}

// report is all that was measured at one time, and where.
type report struct {
	Date      time.Time  `json:"date"`
	Release   string     `json:"release"` // of the driver, which is built with the program
	Machine   machine    `json:"machine"`
	Rounds    int        `json:"rounds"`
	Scenarios []measured `json:"scenarios"`
	Verdicts  []verdict  `json:"verdicts"`
	Most      int        `json:"most_events,omitempty"` // that a load was cut down to; 0: none was
}

type machine struct {
	System     string  `json:"system"`
	Processor  string  `json:"processor"`
	Processors int     `json:"processors"`
	Go         string  `json:"go"`
	LoadBefore float64 `json:"load_before"` // of the minute before: above half a processor the machine was not quiet
}

func thisMachine() machine {
	m := machine{System: runtime.GOOS + "/" + runtime.GOARCH, Processors: runtime.NumCPU(), Go: runtime.Version(), Processor: "unknown"}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		_, _ = fmt.Sscan(string(load), &m.LoadBefore) // else 0, as on other systems
	}
	info, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return m
	}
	defer info.Close()
	for lines := bufio.NewScanner(info); lines.Scan(); {
		if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
			m.Processor = strings.TrimSpace(value)
			break
		}
	}
	return m
}

// chosen are the scenarios of some names, separated by commas; all is those that take no
// longer than minutes.
func chosen(names string) (list []scenario, err error) {
	for name := range strings.SplitSeq(names, ",") {
		before := len(list)
		for _, s := range scenarios {
			if s.name == name || name == "all" && !s.once {
				list = append(list, s)
			}
		}
		if len(list) == before {
			var known []string
			for _, s := range scenarios {
				known = append(known, s.name)
			}
			return nil, fmt.Errorf("-scenarios: there is no %q; there are all, %s", name, strings.Join(known, ", "))
		}
	}
	return list, nil
}

// scenarios measures scenarios, in their order. Of each there are no more events than most.
func (d driver) scenarios(ctx context.Context, o options, list []scenario, most int, stdout io.Writer) (report, error) {
	rep := report{Date: time.Now().UTC().Truncate(time.Second), Release: boathook.Release, Machine: thisMachine(), Rounds: o.rounds}
	for _, s := range list {
		own := o
		own.floor = s.beside
		if s.inMemory {
			own.folder = memory
		}
		if s.once {
			own.rounds = 1
		}
		if most < s.plan.Events {
			rep.Most = most
		}
		s.plan.Events, s.plan.Warm = min(s.plan.Events, most), min(s.plan.Warm, most)
		fmt.Fprintf(stdout, "%s: %s\n\n", s.name, s.about)
		m, err := d.rounds(ctx, own, s.name, s.plan)
		if err != nil {
			return rep, err
		}
		m.About = s.about
		if err := m.print(stdout); err != nil {
			return rep, err
		}
		fmt.Fprintln(stdout)
		rep.Scenarios = append(rep.Scenarios, m)
	}
	rep.Verdicts = judge(rep.Scenarios)
	return rep, rep.printVerdicts(stdout)
}

func (rep report) printVerdicts(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "limit\tmeasured\tmust be\tholds")
	for _, v := range rep.Verdicts {
		fmt.Fprintf(table, "%s\t%.*f\t%s\t%s\n", v.Claim, v.Digits, v.Value, v.bound(), v.held())
	}
	if err := table.Flush(); err != nil || rep.Most == 0 {
		return err
	}
	_, err := fmt.Fprintf(w, "Loads were cut down to %d events: what must hold was not measured.\n", rep.Most)
	return err
}
