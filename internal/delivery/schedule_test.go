package delivery_test

import (
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/delivery"
)

func TestTheWaitGrowsWithEachFailureUntilTheScheduleIsUsedUp(t *testing.T) {
	waits := []time.Duration{10 * time.Second, 100 * time.Second, 24 * time.Hour}
	for _, tt := range []struct {
		name       string
		waits      []time.Duration
		failures   int
		retryAfter time.Duration
		jitter     float64
		want       time.Duration
		ok         bool
	}{
		{"the first retry", waits, 1, 0, 0.5, 10 * time.Second, true},
		{"the second retry", waits, 2, 0, 0.5, 100 * time.Second, true},
		{"the least jitter", waits, 2, 0, 0, 80 * time.Second, true},
		{"much jitter", waits, 2, 0, 0.75, 110 * time.Second, true},
		{"the last retry", waits, 3, 0, 0.5, 24 * time.Hour, true},
		{"jitter may go beyond a day", waits, 3, 0, 0.75, 26*time.Hour + 24*time.Minute, true},
		{"used up", waits, 4, 0, 0.5, 0, false},
		{"used up whatever the receiver asks for", waits, 4, time.Minute, 0.5, 0, false},
		{"no retries at all", nil, 1, 0, 0.5, 0, false},
		{"nothing has failed", waits, 0, 0, 0.5, 0, false},
		{"a negative count", waits, -1, 0, 0.5, 0, false},
		{"the receiver asks for more", waits, 1, time.Minute, 0.5, time.Minute, true},
		{"the receiver asks for less", waits, 2, time.Second, 0.5, 100 * time.Second, true},
		{"the receiver asks for less than the jittered wait", waits, 2, 90 * time.Second, 0.75, 110 * time.Second, true},
		{"the receiver asks for a week", waits, 1, 7 * 24 * time.Hour, 0.5, 24 * time.Hour, true},
		{"the receiver asks for a negative time", waits, 1, -time.Hour, 0.5, 10 * time.Second, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := delivery.NextWait(tt.waits, tt.failures, tt.retryAfter, tt.jitter)
			if got.Round(time.Millisecond) != tt.want || ok != tt.ok {
				t.Errorf("got %v, %v; want %v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestTheDefaultScheduleHasNineRetries(t *testing.T) {
	for failures := 1; failures <= 9; failures++ {
		if _, ok := delivery.NextWait(boathook.DefaultRetry, failures, 0, 0); !ok {
			t.Errorf("no retry after %d failures", failures)
		}
	}
	if _, ok := delivery.NextWait(boathook.DefaultRetry, 10, 0, 0); ok {
		t.Error("a tenth retry")
	}
}

func TestTheScheduleInAll(t *testing.T) {
	waits := []time.Duration{5 * time.Second, time.Minute, time.Hour}
	for _, tt := range []struct {
		elapsed time.Duration
		want    int
	}{
		{-time.Hour, 0}, {0, 0}, {4 * time.Second, 0}, {5 * time.Second, 1}, {64 * time.Second, 1}, {65 * time.Second, 2},
		{time.Hour, 2}, {time.Hour + 65*time.Second, 3}, {1000 * time.Hour, 3},
	} {
		if got := delivery.PassedWaits(waits, tt.elapsed); got != tt.want {
			t.Errorf("after %s %d waits have passed, want %d", tt.elapsed, got, tt.want)
		}
	}
	for failures, want := range []time.Duration{0, 5 * time.Second, 65 * time.Second, time.Hour + 65*time.Second, time.Hour + 65*time.Second} {
		if got := delivery.DueAfter(waits, failures); got != want {
			t.Errorf("after %d failures an attempt is due after %s, want %s", failures, got, want)
		}
	}
	if delivery.PassedWaits(nil, time.Hour) != 0 || delivery.DueAfter(nil, 1) != 0 {
		t.Error("no schedule takes time")
	}
}
