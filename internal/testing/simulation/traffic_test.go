package simulation

import (
	"flag"
	"slices"
	"testing"
	"time"
)

// of is n endpoints of a mood.
func of(n int, m mood) []mood { return slices.Repeat([]mood{m}, n) }

var incidents = []incident{
	{"250 events to one that hangs", slices.Concat(of(1, hanging), of(30, late), of(169, healthy)), 1, 250, 10, 5 * time.Minute},
	{"1,000 events to one that hangs", slices.Concat(of(1, hanging), of(30, late), of(169, healthy)), 1, 1000, 10, 5 * time.Minute},
	{"5,000 events to one that hangs", slices.Concat(of(1, hanging), of(30, late), of(169, healthy)), 1, 5000, 10, 5 * time.Minute},
	{"100 events to each of ten that begin to hang", slices.Concat(of(10, hanging), of(30, late), of(160, healthy)), 10, 100, 10, 5 * time.Minute},
	{"180 of 200 hang, 4 events/s", slices.Concat(of(180, hanging), of(20, healthy)), 0, 0, 4, 15 * time.Minute},
	{"180 of 200 hang, 40 events/s", slices.Concat(of(180, hanging), of(20, healthy)), 0, 0, 40, 5 * time.Minute},
	{"5,000 events to one that answers after 2.9 s", slices.Concat(of(1, edging), of(199, healthy)), 1, 5000, 10, 5 * time.Minute},
	{"20,000 events of one source", of(2, healthy), 1, 20000, 1, 5 * time.Minute},
}

var allIncidents = flag.Bool("all-incidents", false, "simulate all incidents, not only those with few events")

// TestIsolation holds for how long healthy webhooks wait, whatever the others do.
// make isolation prints the figures.
func TestIsolation(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates hours of traffic, which takes a quarter of a minute: run it without -short")
	}
	for _, i := range incidents {
		if !*allIncidents && i.burst*i.bursting+i.flow*int(i.length.Seconds()) > 4000 {
			continue
		}
		t.Run(i.name, func(t *testing.T) {
			aws := onAWS(t, i)
			t.Logf("on AWS:         %s", aws)
			if p99, most := aws.quantile(healthy, 0.99), aws.quantile(healthy, 1); p99 > 2*time.Second || most > 4*time.Second {
				t.Errorf("on AWS healthy webhooks waited %s (p99), %s at most", p99, most)
			}
			if p99 := aws.quantile(late, 0.99); i.bursting == 1 && p99 > 30*time.Second {
				t.Errorf("on AWS endpoints that answer after 5 s waited %s (p99)", p99)
			}
			one := onOneMachine(t, i)
			t.Logf("on one machine: %s", one)
			if most := one.quantile(healthy, 1); most > time.Second {
				t.Errorf("on one machine healthy webhooks waited %s", most)
			}
		})
	}
}
