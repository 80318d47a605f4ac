// Package allocation measures hot paths: as benchmarks, and by how often they allocate,
// which is the same on every machine and so can be held by a test.
//
// A package has one list of paths, a benchmark and a test of it, and the table
// testdata/allocations.
package allocation

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// UpdateVariable has [Hold] write the table, if it is set.
const UpdateVariable = "BOATHOOK_UPDATE_ALLOCATIONS"

// Path is a hot path. Prepare sets up what it needs, and gives what goes along it once.
type Path struct {
	Name    string // as of a benchmark: without spaces
	Prepare func(t testing.TB) (once func())
}

// Benchmark measures the paths, each as a benchmark of its own.
func Benchmark(b *testing.B, paths []Path) {
	for _, p := range paths {
		b.Run(p.Name, func(b *testing.B) {
			once := p.Prepare(b)
			b.ReportAllocs()
			for b.Loop() {
				once()
			}
		})
	}
}

// table is where it is in a package's folder.
var table = filepath.Join("testdata", "allocations")

// Hold fails if a path allocates more often than the table says: by more than a fiftieth,
// which maps and logs that grow may take; so below fifty, by one.
func Hold(t *testing.T, paths []Path) {
	t.Helper()
	if raced {
		t.Skip("the race detector allocates too: make allocations holds the table without it")
	}
	counts := make(map[string]int, len(paths))
	for _, p := range paths {
		t.Run(p.Name, func(t *testing.T) { counts[p.Name] = count(p.Prepare(t)) })
	}
	if t.Failed() {
		return
	}
	if os.Getenv(UpdateVariable) != "" {
		if err := write(counts); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := read()
	if err != nil {
		t.Fatal(err)
	}
	grown, fallen := compare(counts, want)
	for _, text := range grown {
		t.Error(text)
	}
	for _, text := range fallen {
		t.Log(text)
	}
}

// compare says which paths allocate more often than the table has it, or are not in both;
// and which less often.
func compare(counts, want map[string]int) (grown, fallen []string) {
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		got := counts[name]
		switch most, listed := want[name]; {
		case !listed:
			grown = append(grown, fmt.Sprintf("%s allocates %d times, and is not in the table: make allocations UPDATE=1", name, got))
		case got > most+most/50:
			grown = append(grown, fmt.Sprintf("%s allocates %d times, %d in the table", name, got, most))
		case got < most-most/50:
			fallen = append(fallen, fmt.Sprintf("%s allocates %d times, %d in the table: make allocations UPDATE=1 keeps what is won", name, got, most))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if _, is := counts[name]; !is {
			grown = append(grown, name+" is in the table, and no path")
		}
	}
	return grown, fallen
}

// count is without the collector, which empties the pools that a path fills.
func count(once func()) int {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for range 10 {
		once() // which fills caches
	}
	return int(testing.AllocsPerRun(50, once))
}

func read() (map[string]int, error) {
	text, err := os.ReadFile(table)
	if err != nil {
		return nil, err
	}
	counts := make(map[string]int)
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if counts[name], err = strconv.Atoi(value); err != nil {
			return nil, fmt.Errorf("%s: %w", table, err)
		}
	}
	return counts, nil
}

func write(counts map[string]int) error {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&text, "%s\t%d\n", name, counts[name])
	}
	if err := os.MkdirAll(filepath.Dir(table), 0o755); err != nil {
		return err
	}
	return os.WriteFile(table, []byte(text.String()), 0o644)
}

// decoded is where a package reads an item: a type argument, by the house's names.
var decoded = regexp.MustCompile(`\b\w+\[(\w+)Item\b`)

// EachDecoded fails if the package reads an item of a type that has no path "decode/…".
func EachDecoded(t *testing.T, paths []Path) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]bool)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range decoded.FindAllSubmatch(text, -1) {
			found["decode/"+string(m[1])] = true
		}
	}
	for _, p := range paths {
		delete(found, p.Name)
	}
	for name := range found {
		t.Errorf("%s is no path", name)
	}
}

// Filled is a value all of whose fields are set, for what encodes and decodes it.
func Filled[T any]() (v T) {
	fill(reflect.ValueOf(&v).Elem())
	return v
}

func fill(v reflect.Value) {
	if v.Kind() != reflect.Struct && !v.CanSet() {
		return
	}
	if v.CanSet() && v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.UnixMilli(1_771_143_284_003).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString("dep_cccccccccccccccccccccccc")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint('7') // of json.RawMessage, a byte that is JSON
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0))
		fill(v.Index(1))
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for _, field := range v.Fields() { // also of one that is embedded and can't be set itself
			fill(field)
		}
	}
}
