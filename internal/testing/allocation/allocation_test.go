package allocation

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWhatGrowsIsFound(t *testing.T) {
	grown, fallen := compare(
		map[string]int{"same": 10, "more": 11, "less": 9, "few more": 102, "many more": 103, "new": 1},
		map[string]int{"same": 10, "more": 10, "less": 10, "few more": 100, "many more": 100, "gone": 1},
	)
	want := []string{
		"many more allocates 103 times, 100 in the table", "more allocates 11 times, 10 in the table",
		"new allocates 1 times, and is not in the table: make allocations UPDATE=1", "gone is in the table, and no path",
	}
	if diff := cmp.Diff(want, grown); diff != "" {
		t.Errorf("what grows (-want +got):\n%s", diff)
	}
	if len(fallen) != 1 || !strings.HasPrefix(fallen[0], "less allocates 9 times, 10 in the table") {
		t.Errorf("what is won: %q", fallen)
	}
}

func TestAllocationsAreCounted(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates too")
	}
	var kept [][]byte
	n := count(func() {
		kept = make([][]byte, 0, 3)
		for range 3 {
			kept = append(kept, make([]byte, 100))
		}
	})
	if n != 4 || len(kept) != 3 {
		t.Errorf("counted %d, want 4", n)
	}
}

func TestEachFieldIsFilled(t *testing.T) {
	type inner struct{ Text string }
	got := Filled[struct {
		inner
		At    time.Time
		Map   map[string]*inner
		Bytes []byte
	}]()
	if got.Text == "" || got.At.IsZero() || len(got.Map) != 1 || len(got.Bytes) != 2 {
		t.Errorf("got %+v", got)
	}
	for _, v := range got.Map {
		if v.Text == "" {
			t.Error("a value of a map is empty")
		}
	}
}
