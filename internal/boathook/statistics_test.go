package boathook_test

import (
	"testing"
	"time"

	"boathook/internal/boathook"
)

func TestAPercentileIsTheStepThatSoManyDoNotExceed(t *testing.T) {
	var none, c boathook.AttemptCounts
	if p := none.Percentile(0.5); p != 0 {
		t.Errorf("without attempts it is %s", p)
	}
	for ms := range 100 {
		c.Count(boathook.DeliverySucceeded, time.Duration(ms+1)*10*time.Millisecond) // 10 ms to 1 s
	}
	for part, want := range map[float64]time.Duration{0.01: 10 * time.Millisecond, 0.5: 500 * time.Millisecond, 0.95: time.Second, 1: time.Second} {
		if got := c.Percentile(part); got != want {
			t.Errorf("the percentile %g is %s, want %s", part, got, want)
		}
	}
	c.Count(boathook.DeliveryFailed, time.Hour)
	if got := c.Percentile(1); got != time.Minute {
		t.Errorf("what is longer than the last step is in %s", got)
	}
	if c.Succeeded != 100 || c.Failed != 1 || c.Retrying != 0 {
		t.Errorf("counted %+v", c)
	}
}

func TestNoStepIsFarAboveTheOneBefore(t *testing.T) {
	for i, step := range boathook.DurationSteps[1:] {
		if before := boathook.DurationSteps[i]; step <= before || 3*step > 5*before {
			t.Errorf("%s comes after %s", step, before)
		}
	}
}

func TestAStatusRangeIsACodeOrAClass(t *testing.T) {
	for text, want := range map[string]boathook.StatusRange{
		"500": {Least: 500, Most: 500}, "5xx": {Least: 500, Most: 599}, "204": {Least: 204, Most: 204}, "1xx": {Least: 100, Most: 199},
	} {
		if got, ok := boathook.ParseStatusRange(text); !ok || got != want {
			t.Errorf("%s is %+v, %t", text, got, ok)
		}
	}
	for _, text := range []string{"", "0", "99", "600", "6xx", "5XX", "50x", "5xxx", "-500", " 500", "5000"} {
		if got, ok := boathook.ParseStatusRange(text); ok {
			t.Errorf("%q is %+v", text, got)
		}
	}
	class := boathook.StatusRange{Least: 500, Most: 599}
	if class.Has(0) || class.Has(499) || !class.Has(500) || !class.Has(599) || class.Has(600) || class.Succeeds() || !(boathook.StatusRange{}).Has(0) {
		t.Error("a range has what it should not, or has not what it should")
	}
}
