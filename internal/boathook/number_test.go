package boathook_test

import (
	"strings"
	"testing"

	"boathook/internal/boathook"
)

func TestANumberIsItsValue(t *testing.T) {
	long := "1" + strings.Repeat("0", 40)
	for _, same := range [][]string{
		{"1", "1.0", "10e-1", "0.1E+1", "1.000e0"}, {"0", "-0", "0.00", "0e5", "0e99999999999"}, {"-27", "-27.0", "-2.7e1"},
		{"1e40", long}, {"0.5", "5e-1", "0.50"}, {"9007199254740993", "9007199254740993.0"}, {"9007199254740992"},
	} {
		for _, text := range same {
			first, _ := boathook.ParseNumber(same[0])
			if n, ok := boathook.ParseNumber(text); !ok || n != first {
				t.Errorf("%s is %+v, and %s is %+v", text, n, same[0], first)
			}
		}
	}
	for _, text := range []string{"", "-", `"1"`, "true", "null", "[1]", "{}", `"e1"`, "1e99999999999"} {
		if n, ok := boathook.ParseNumber(text); ok {
			t.Errorf("%q is taken for %+v", text, n)
		}
	}
}

func TestAWholeNumberIsAnInteger(t *testing.T) {
	for text, want := range map[string]int64{
		"27": 27, "27.0": 27, "2.7e1": 27, "-0": 0, "-5": -5, "9223372036854775807": 1<<63 - 1, "-9223372036854775808": -1 << 63, "1e18": 1e18,
	} {
		n, _ := boathook.ParseNumber(text)
		if got, ok := n.Int64(); !ok || got != want {
			t.Errorf("%s is %d, %t", text, got, ok)
		}
	}
	for _, text := range []string{"27.5", "1e-1", "9223372036854775808", "-9223372036854775809", "1e19", "1e2000000000"} {
		n, ok := boathook.ParseNumber(text)
		if got, whole := n.Int64(); !ok || whole {
			t.Errorf("%s is taken for %d", text, got)
		}
	}
}
