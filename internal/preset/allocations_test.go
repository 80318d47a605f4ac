package preset_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/preset"
	"boathook/internal/testing/allocation"
)

// verifying has a request of each preset be read, as intake has for each trigger.
func verifying(t testing.TB) (paths []allocation.Path) {
	all := vectors(t)
	for _, name := range preset.Presets {
		for _, what := range slices.Sorted(maps.Keys(all[name])) {
			v := all[name][what]
			title := "verify/" + name
			if what != "" {
				title += "/" + strings.ReplaceAll(what, " ", "-")
			}
			paths = append(paths, allocation.Path{Name: title, Prepare: func(t testing.TB) func() {
				return func() {
					if _, err := v.read(t, name, v.secret, v.body); err != nil && !(v.notJSON && boathook.IsKind(err, boathook.Invalid)) {
						t.Fatal(err)
					}
				}
			}})
		}
	}
	return paths
}

func BenchmarkVerify(b *testing.B) { allocation.Benchmark(b, verifying(b)) }

func TestAllocations(t *testing.T) { allocation.Hold(t, verifying(t)) }
