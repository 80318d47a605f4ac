package boathook_test

import (
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
)

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
		got, ok := boathook.ParseRetryAfter(tt.header, now)
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
		wait, ok := boathook.ParseRetryAfter(header, now)
		if wait < 0 || wait > boathook.MaxRetryAfter || (!ok && wait != 0) {
			t.Errorf("%q: %v, %v", header, wait, ok)
		}
	})
}
