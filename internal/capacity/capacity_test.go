package capacity_test

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"boathook/internal/capacity"
)

// root is the checkout's.
const root = "../.."

// measured are the counts and prices that are checked in.
func measured(t *testing.T) (capacity.Counts, capacity.Prices) {
	t.Helper()
	c, p, err := capacity.Read(filepath.Join(root, "infra/counts.json"), filepath.Join(root, "infra/prices.json"))
	if err != nil {
		t.Fatal(err)
	}
	return c, p
}

// plan is that of arguments.
func plan(t *testing.T, arguments string) capacity.Plan {
	t.Helper()
	c, p := measured(t)
	l, s, err := capacity.Parse(strings.Fields(arguments))
	if err != nil {
		t.Fatal(err)
	}
	made, err := capacity.Of(l, s, c, p)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func function(t *testing.T, p capacity.Plan, name string) capacity.Function {
	t.Helper()
	i := slices.IndexFunc(p.Functions, func(f capacity.Function) bool { return f.Name == name })
	if i < 0 {
		t.Fatalf("there is no %s", name)
	}
	return p.Functions[i]
}

func limit(t *testing.T, p capacity.Plan, name string) capacity.Limit {
	t.Helper()
	i := slices.IndexFunc(p.Limits, func(l capacity.Limit) bool { return strings.Contains(l.Name, name) })
	if i < 0 {
		t.Fatalf("there is no limit %q", name)
	}
	return p.Limits[i]
}

// near reports whether two numbers differ by a hundredth at most.
func near(a, b float64) bool { return math.Abs(a-b) <= 0.01*max(math.Abs(a), math.Abs(b)) }

func TestConcurrencyIsBatchesTimesTheirDuration(t *testing.T) {
	const alone = " FAILING=0 SLOW=0 TRIGGERS=0 PAGES=0"
	fast, slower := plan(t, "RATE=1000 LATENCY=200"+alone), plan(t, "RATE=1000 LATENCY=700"+alone)
	f, s := function(t, fast, "deliver"), function(t, slower, "deliver")
	if fast.Batch != 10 || !near(f.Invocations, 100) {
		t.Errorf("1,000 deliveries a second are %g batches of %g", f.Invocations, fast.Batch)
	}
	if !near(s.Duration-f.Duration, 500) || f.Duration < 200 || f.Duration > 300 {
		t.Errorf("a batch takes %g ms, and %g where receivers take half a second longer", f.Duration, s.Duration)
	}
	if !near(slower.Ramp, (s.Concurrency-5)/300) {
		t.Errorf("%g batches at a time are there after %g minutes", s.Concurrency, slower.Ramp)
	}
	if !near(s.Concurrency, s.Invocations*s.Duration/1000) {
		t.Errorf("%g batches a second of %g ms are %g at a time", s.Invocations, s.Duration, s.Concurrency)
	}
}

func TestBatchesFillAsTheRateGrows(t *testing.T) {
	for rate, want := range map[string]float64{"0.1": 1, "5": 1, "25": 5, "50": 10, "10000": 10} {
		if got := plan(t, "RATE="+rate).Batch; got != want {
			t.Errorf("at %s a second a batch has %g, want %g", rate, got, want)
		}
	}
	if got := plan(t, "RATE=10000 BATCH=3").Batch; got != 3 {
		t.Errorf("a batch has %g, as is not asked", got)
	}
}

// The rows between the two that the model goes through were measured too.
func TestTheModelAgreesWithBatchesThatItDoesNotUse(t *testing.T) {
	c, p := measured(t)
	for _, n := range []float64{3, 5} {
		l, s, err := capacity.Parse(strings.Fields(fmt.Sprintf("RATE=100 BATCH=%g FAILING=0 SLOW=0 TRIGGERS=0 PAGES=0 WEBHOOKS=1 WORKSPACES=1", n)))
		if err != nil {
			t.Fatal(err)
		}
		made, err := capacity.Of(l, s, c, p)
		if err != nil {
			t.Fatal(err)
		}
		row := c.Rows[fmt.Sprintf("delivery %g", n)]
		want := row.Partitions["records dlv"].Writes + row.Partitions["records stats webhook"].Writes + row.Partitions["records stats workspace"].Writes
		got := 0.0
		for _, part := range made.Partitions {
			switch part.Kind {
			case "records dlv":
				got += part.Writes * 4
			case "records stats webhook", "records stats workspace":
				got += part.Writes
			}
		}
		if !near(got, 100*want) {
			t.Errorf("in batches of %g, 100 deliveries a second are %g writes; %g were measured", n, got, 100*want)
		}
	}
}

func TestAWebhooksShardsAndItsCountsAreItsHottestPartitions(t *testing.T) {
	one := plan(t, "RATE=4000 WEBHOOKS=1 WORKSPACES=1 FAILING=0 SLOW=0 TRIGGERS=0")
	if hot := one.Partitions[0]; hot.Kind != "records dlv" || hot.Each != 4 || !near(hot.Writes, 1000) {
		t.Errorf("a webhook's 4,000 a second make %+v hottest", hot)
	}
	// In full batches of one workspace's many webhooks each batch counts for the workspace once.
	many := plan(t, "RATE=10000 WEBHOOKS=100000 WORKSPACES=1 FAILING=0 SLOW=0 TRIGGERS=0")
	if hot := many.Partitions[0]; hot.Kind != "records stats workspace" || !near(hot.Writes, 1000) {
		t.Errorf("a workspace's 10,000 a second make %+v hottest", hot)
	}
	if l, ok := many.AccountLimit(); !ok || !l.IsAccount {
		t.Errorf("the first limit of the account is %+v", l)
	}
}

func TestSlowReceiversTakeTheRetriesQueue(t *testing.T) {
	const load = "RATE=100 FAILING=0 SLOW=0 TRIGGERS=0 SLOW_LATENCY=5000"
	none, some := plan(t, load), plan(t, load+" SLOW=0.1")
	if none.Queues[2].Messages != 0 || !near(some.Queues[2].Messages, 10) {
		t.Errorf("the retries queue has %g and %g a second", none.Queues[2].Messages, some.Queues[2].Messages)
	}
	if got := limit(t, some, "RetryConcurrency").Used; got < 25 || got > 30 { // five batches of two, five seconds each
		t.Errorf("ten slow deliveries a second hold %g batches", got)
	}
	if all := plan(t, "RATE=100 FAILING=0 SLOW=0 TRIGGERS=0 LATENCY=5000"); !near(all.Queues[2].Messages, 100) {
		t.Errorf("where all are slow, the retries queue has %g a second", all.Queues[2].Messages)
	}
}

func TestWhatFailsComesAgain(t *testing.T) {
	p := plan(t, "RATE=1000 FAILING=0.2 ATTEMPTS=3 SLOW=0 TRIGGERS=0")
	if !near(p.Queues[2].Messages, 600) {
		t.Errorf("the retries queue has %g a second, want 600", p.Queues[2].Messages)
	}
	if without := plan(t, "RATE=1000 FAILING=0 SLOW=0 TRIGGERS=0"); without.Total >= p.Total {
		t.Errorf("a month costs %g, and %g where nothing fails", p.Total, without.Total)
	}
}

func TestARunIsBilledWhileItsTargetWorks(t *testing.T) {
	const load = "RATE=1 FAILING=0 SLOW=0 TRIGGERS=1 PAGES=0 RUN_PRINTS=0"
	short, long := plan(t, load+" RUN_SECONDS=0"), plan(t, load+" RUN_SECONDS=600")
	if got := long.Total - short.Total; !near(got/(30*24*60*60), 600*0.25*0.0000133334+29*0.625/1e6) {
		t.Errorf("a run of ten minutes costs %g dollars more than one of a moment", got/(30*24*60*60))
	}
	if got := function(t, long, "execute").Concurrency; !near(got, 600) {
		t.Errorf("one a second are %g at a time", got)
	}
}

func TestATriggerIsBilledWhileItWaits(t *testing.T) {
	const load = "RATE=1 FAILING=0 SLOW=0 TRIGGERS=1 PAGES=0"
	at, later := plan(t, load+" START=0"), plan(t, load+" START=10")
	if got := function(t, later, "intake").Concurrency - function(t, at, "intake").Concurrency; !near(got, 10) {
		t.Errorf("ten seconds of waiting hold %g functions", got)
	}
	// It looks after 25, 75, 175, 375 and 775 ms, then each half a second.
	if got := (later.Total - at.Total) / (30 * 24 * 60 * 60) * 1e6; !near(got, 10*0.25*13.3334+2*23*0.125) {
		t.Errorf("a million triggers that wait for ten seconds cost %g dollars more", got)
	}
}

func TestTheDefaultsFitASmallAccount(t *testing.T) {
	for arguments, fits := range map[string]bool{
		"RATE=100 ACCOUNT=50 TRIGGERS=0.2":   true,
		"RATE=10000 ACCOUNT=50 TRIGGERS=0.2": false,
		"RATE=20 TRIGGERS=0.05 ACCOUNT=10 RunConcurrency=2 DeliveryConcurrency=2 RetryConcurrency=2": true,
	} {
		p := plan(t, arguments)
		if l := p.Limits[0]; (l.Share() <= 1) != fits {
			t.Errorf("%s: of %s %g of %g are used", arguments, l.Name, l.Used, l.Of)
		}
	}
}

func TestLargeBodiesTakeMoreOfAll(t *testing.T) {
	small, medium, large := plan(t, "RATE=100"), plan(t, "RATE=100 SIZE=3000"), plan(t, "RATE=100 SIZE=100000")
	for i, p := range []capacity.Plan{medium, large} {
		before := []capacity.Plan{small, medium}[i]
		if before.Total >= p.Total || before.Tables[0].Writes >= p.Tables[0].Writes {
			t.Errorf("%g dollars a month and %g writes a second; %g and %g for a smaller body", p.Total, p.Tables[0].Writes, before.Total, before.Tables[0].Writes)
		}
	}
	if small.Queues[1].Sends >= large.Queues[1].Sends {
		t.Errorf("ten bodies of 100 KB are sent by %g requests a second, and of 1 KB by %g", large.Queues[1].Sends, small.Queues[1].Sends)
	}
}

// A load as it was measured costs what was measured.
func TestTheModelCostsWhatWasMeasured(t *testing.T) {
	c, prices := measured(t)
	const measured = "RATE=100 BATCH=10 FAILING=0 SLOW=0 TRIGGERS=0 "
	for arguments, want := range map[string]float64{
		measured + "PUBLISH=100 WEBHOOKS=1 WORKSPACES=1":                                   prices.Bill(c.Rows["event"].Plus(c.Rows["delivery 10"])).Total,
		measured + "PUBLISH=1 WEBHOOKS=1 WORKSPACES=1":                                     prices.Bill(c.Rows["event alone"].Plus(c.Rows["delivery 10"])).Total,
		"RATE=100 BATCH=1 FAILING=0 SLOW=0 TRIGGERS=0 PUBLISH=100 WEBHOOKS=1 WORKSPACES=1": prices.Bill(c.Rows["event"].Plus(c.Rows["delivery 1"])).Total,
	} {
		got := 0.0
		for _, line := range plan(t, arguments).Month {
			if line.Name == "published events" || line.Name == "first attempts" {
				got += line.Dollars / (100 * 30 * 24 * 60 * 60) * 1e6
			}
		}
		if !near(got, want) {
			t.Errorf("%s: %.3f dollars a million, and %.3f were measured", arguments, got, want)
		}
	}
}

func TestAPublishSendsTenMessagesInARequest(t *testing.T) {
	for arguments, want := range map[string]float64{
		"RATE=1000 PUBLISH=1":            1000, // one each
		"RATE=1000 PUBLISH=100":          100,
		"RATE=1000 PUBLISH=1 FANOUT=10":  100,
		"RATE=1000 PUBLISH=10 FANOUT=20": 100,
	} {
		if got := plan(t, arguments+" TRIGGERS=0 FAILING=0 SLOW=0").Queues[1].Sends; !near(got, want) {
			t.Errorf("%s: %g requests a second send deliveries, want %g", arguments, got, want)
		}
	}
}

func TestArgumentsOutOfRangeAreNamed(t *testing.T) {
	for arguments, want := range map[string]string{
		"":                                      "RATE is missing",
		"RATE=ten":                              `"RATE=ten"`,
		"RATE=0":                                "RATE is 0: it has to be from 0.001 to 1e+07",
		"RATE=NaN":                              "RATE is NaN",
		"RATE=1 FAILING=2":                      "FAILING is 2: it has to be from 0 to 1",
		"RATE=1 SPEED=2":                        "nobody knows what SPEED is",
		"RATE=1 WORKSPACES=10 WEBHOOKS=5":       "WORKSPACES is 10 of 5 WEBHOOKS",
		"RATE=1 RUN_SECONDS=1":                  "RUN_PRINTS is 2 of 1 RUN_SECONDS",
		"RATE=1 DeliveryConcurrency=1001":       "DeliveryConcurrency is 1001: it has to be from 2 to 1000",
		"RATE=1 IntakeConcurrency=1 ACCOUNT=50": "Lambda keeps 100 unreserved",
	} {
		if _, _, err := capacity.Parse(strings.Fields(arguments)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", arguments, err, want)
		}
	}
}

func TestWhatWasNotMeasuredIsNamed(t *testing.T) {
	c, p := measured(t)
	l, s := capacity.DefaultLoad(1), capacity.DefaultStack()
	without := c
	without.Rows = maps.Clone(c.Rows)
	delete(without.Rows, "trigger")
	if _, err := capacity.Of(l, s, without, p); err == nil || !strings.Contains(err.Error(), `"trigger"`) {
		t.Errorf("without triggers: %v", err)
	}
	strange := c
	strange.Rows = maps.Clone(c.Rows)
	u := c.Rows["trigger"]
	u.Partitions = capacity.Spread{"records new": {Writes: 1}}
	strange.Rows["trigger"] = u
	if _, err := capacity.Of(l, s, strange, p); err == nil || !strings.Contains(err.Error(), `"records new"`) {
		t.Errorf("with partitions of a new kind: %v", err)
	}
}

// TestAllThatWasMeasuredHasItsPlace holds each row to the kinds of partitions that are known,
// and its sum to what they have.
func TestAllThatWasMeasuredHasItsPlace(t *testing.T) {
	c, p := measured(t)
	for name, u := range c.Rows {
		all := capacity.Counts{Rows: maps.Clone(c.Rows), Standing: c.Standing}
		all.Rows["sweep"] = u // which is in each plan
		if _, err := capacity.Of(capacity.DefaultLoad(1), capacity.DefaultStack(), all, p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var sum capacity.Units
		for _, units := range u.Partitions {
			sum.Writes += units.Writes
			sum.Reads += units.Reads
		}
		if !near(sum.Writes, u.Writes) || !near(sum.Reads, u.Reads) {
			t.Errorf("%s: its partitions have %+v of %g writes and %g reads", name, sum, u.Writes, u.Reads)
		}
	}
}

func TestTheDefaultsAreTheTemplates(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s := capacity.DefaultStack()
	for _, f := range s.Fields() {
		if f.Name == "ACCOUNT" {
			continue
		}
		parameter := regexp.MustCompile(`(?m)^  ` + f.Name + `:\n    Type: Number\n    Default: (\d+)\n    MinValue: (\d+)\n    MaxValue: (\d+)\n`).FindStringSubmatch(string(text))
		if want := fmt.Sprint([]float64{*f.Value, f.Least, f.Most}); parameter == nil || fmt.Sprint(parameter[1:]) != want {
			t.Errorf("%s is %q in the template, want %s", f.Name, parameter, want)
		}
	}
	for property, want := range map[string]int{"BatchSize: 10\n": 2, "MaximumBatchingWindowInSeconds: 1 ": 2, "    MemorySize: 256\n": 1} {
		if got := strings.Count(string(text), property); got != want {
			t.Errorf("the template has %q %d times, want %d", property, got, want)
		}
	}
}

func TestCountsThatDifferAreNamed(t *testing.T) {
	of := func(u capacity.Usage) capacity.Counts {
		return capacity.Counts{Rows: map[string]capacity.Usage{"delivery 1": u}}
	}
	was := capacity.Usage{Invocations: 1, Billed: 208, CPU: 3, Writes: 3, Reads: 2}
	for name, tc := range map[string]struct {
		now  capacity.Counts
		want string
	}{
		"the same":              {now: of(was)},
		"another time":          {now: of(capacity.Usage{Invocations: 1, Billed: 900, CPU: 9, Writes: 3, Reads: 2})},
		"a look more":           {now: of(capacity.Usage{Invocations: 1, Writes: 3, Reads: 2.4})},
		"a write more":          {now: of(capacity.Usage{Invocations: 1, Writes: 4, Reads: 2}), want: "delivery 1: writes were 3 and are 4"},
		"twice the reads":       {now: of(capacity.Usage{Invocations: 1, Writes: 3, Reads: 4}), want: "delivery 1: reads were 2 and are 4"},
		"nothing":               {now: capacity.Counts{}, want: "delivery 1 is not measured any more"},
		"another template":      {now: capacity.Counts{Rows: of(was).Rows, Standing: capacity.Standing{Keys: 1}}, want: "the template had"},
		"something besides":     {now: capacity.Counts{Rows: map[string]capacity.Usage{"delivery 1": was, "run": {}}}, want: "run is new"},
		"a request to SQS more": {now: of(capacity.Usage{Invocations: 1, Writes: 3, Reads: 2, SQS: 1}), want: "delivery 1: sqs were 0 and are 1"},
	} {
		err := of(was).Differ(tc.now)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

func TestWhatDependsOnWhoIsFirstMayDiffer(t *testing.T) {
	of := func(trigger, together, reads float64) capacity.Counts {
		return capacity.Counts{Rows: map[string]capacity.Usage{
			"trigger": {Writes: trigger, Reads: reads}, "trigger with its run": {Writes: together},
		}}
	}
	was := of(5, 16, 5)
	for name, tc := range map[string]struct {
		now     capacity.Counts
		differs bool
	}{
		"the run was first, once in ten": {now: of(4.7, 16, 5)},
		"and another look":               {now: of(4.7, 16.3, 7)},
		"one write more":                 {now: of(5, 17, 5), differs: true},
		"three times the looks":          {now: of(5, 16, 15), differs: true},
	} {
		if err := was.Differ(tc.now); (err != nil) != tc.differs {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCountsAreReadAsTheyWereWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "counts.json")
	want := capacity.Counts{ReceiverMS: 200, Standing: capacity.Standing{Keys: 1}, Rows: map[string]capacity.Usage{
		"delivery 1": {Invocations: 1.0 / 3, Writes: 3, Partitions: capacity.Spread{"records dlv": {Writes: 2.0 / 3}}},
	}}
	if err := want.Write(file); err != nil {
		t.Fatal(err)
	}
	got, err := capacity.ReadCounts(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := want.Differ(got); err != nil {
		t.Error(err)
	}
	if got.Rows["delivery 1"].Partitions["records dlv"].Writes != 0.6667 || got.ReceiverMS != 200 {
		t.Errorf("read %+v", got)
	}
}
