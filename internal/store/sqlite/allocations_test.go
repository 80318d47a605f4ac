package sqlite

import (
	"encoding/json"
	"slices"
	"testing"

	"boathook/internal/testing/allocation"
)

// coded has an item of a type, all of whose fields are set, become what a row keeps, and
// come back from it.
func coded[T any](name string) []allocation.Path {
	return []allocation.Path{
		{Name: "encode/" + name, Prepare: func(testing.TB) func() {
			v := allocation.Filled[T]()
			return func() { encode(v) }
		}},
		{Name: "decode/" + name, Prepare: func(t testing.TB) func() {
			text := encode(allocation.Filled[T]())
			return func() { // as decode does with a row's
				var v T
				if err := json.Unmarshal(text, &v); err != nil {
					t.Fatal(err)
				}
			}
		}},
	}
}

// items are of each type that is stored as one.
func items() []allocation.Path {
	return slices.Concat(
		coded[attemptItem]("attempt"),
		coded[deliveryItem]("delivery"),
		coded[eventTypeItem]("eventType"),
		coded[feedEventItem]("feedEvent"),
		coded[headItem]("head"),
		coded[healthItem]("health"),
		coded[hourItem]("hour"),
		coded[incomingItem]("incoming"),
		coded[loadItem]("load"),
		coded[outgoingItem]("outgoing"),
		coded[pinItem]("pin"),
		coded[requestItem]("request"),
		coded[sourceItem]("source"),
		coded[turnsItem]("turns"),
		coded[watcherItem]("watcher"),
		coded[workspaceItem]("workspace"),
	)
}

func BenchmarkItems(b *testing.B) { allocation.Benchmark(b, items()) }

func TestAllocations(t *testing.T) { allocation.Hold(t, items()) }

func TestEachItemIsAmongThem(t *testing.T) { allocation.EachDecoded(t, items()) }
