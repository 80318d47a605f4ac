package delivery_test

import (
	"strings"
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

var now = time.Date(2026, 11, 21, 18, 0, 0, 0, time.UTC)

func TestRetryAfterIsReadInBothItsForms(t *testing.T) {
	for _, tt := range []struct {
		header string
		want   time.Duration
		ok     bool
	}{
		{"0", 0, true},
		{"120", 2 * time.Minute, true},
		{" 120\t", 2 * time.Minute, true},
		{"007", 7 * time.Second, true},
		{"86400", 24 * time.Hour, true},
		{"86401", 24 * time.Hour, true},
		{"18446744073709551616", 24 * time.Hour, true},
		{strings.Repeat("9", 1000), 24 * time.Hour, true},
		{"Sat, 21 Nov 2026 18:05:00 GMT", 5 * time.Minute, true},
		{"Saturday, 21-Nov-26 18:05:00 GMT", 5 * time.Minute, true},
		{"Sat Nov 21 18:05:00 2026", 5 * time.Minute, true},
		{"Sat, 21 Nov 2026 17:00:00 GMT", 0, true},
		{"Thu, 01 Jan 1970 00:00:00 GMT", 0, true},
		{"Fri, 31 Dec 9999 23:59:59 GMT", 24 * time.Hour, true},
		{"", 0, false},
		{" ", 0, false},
		{"-1", 0, false},
		{"+5", 0, false},
		{"1.5", 0, false},
		{"1e3", 0, false},
		{"0x10", 0, false},
		{"1_000", 0, false},
		{"12 0", 0, false},
		{"soon", 0, false},
		{"٣", 0, false},
		{"2026-11-21T18:05:00Z", 0, false},
		{"Sat, 32 Nov 2026 18:05:00 GMT", 0, false},
	} {
		got, ok := delivery.ParseRetryAfter(tt.header, now)
		if got != tt.want || ok != tt.ok {
			t.Errorf("%.40q: got %v, %v; want %v, %v", tt.header, got, ok, tt.want, tt.ok)
		}
	}
}

func FuzzRetryAfterIsNeverNegativeNorOverADay(f *testing.F) {
	for _, seed := range []string{"", "0", "120", "-1", "99999999999999999999", "Sat, 21 Nov 2026 18:05:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		wait, ok := delivery.ParseRetryAfter(header, now)
		if wait < 0 || wait > delivery.MaxRetryAfter || (!ok && wait != 0) {
			t.Errorf("%q: %v, %v", header, wait, ok)
		}
	})
}
