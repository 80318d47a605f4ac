package dynamo

import (
	"slices"
	"testing"

	"boathook/internal/testing/allocation"
)

// coded has an item of a type, all of whose attributes are set, become what DynamoDB
// keeps, and come back from it.
func coded[T any](name string) []allocation.Path {
	return []allocation.Path{
		{Name: "encode/" + name, Prepare: func(t testing.TB) func() {
			v := allocation.Filled[T]()
			return func() {
				if _, err := encode(v); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{Name: "decode/" + name, Prepare: func(t testing.TB) func() {
			it, err := encode(allocation.Filled[T]())
			if err != nil {
				t.Fatal(err)
			}
			return func() {
				if _, err := decode[T](it); err != nil {
					t.Fatal(err)
				}
			}
		}},
	}
}

// items are of each type that is read somewhere.
func items() []allocation.Path {
	return slices.Concat(
		coded[attemptItem]("attempt"),
		coded[backlogItem]("backlog"),
		coded[burstItem]("burst"),
		coded[chunkItem]("chunk"),
		coded[connectionItem]("connection"),
		coded[counterItem]("counter"),
		coded[deliveryItem]("delivery"),
		coded[dueItem]("due"),
		coded[enteredItem]("entered"),
		coded[eventTypeItem]("eventType"),
		coded[feedItem]("feed"),
		coded[headItem]("head"),
		coded[healthItem]("health"),
		coded[incomingItem]("incoming"),
		coded[leaseItem]("lease"),
		coded[liveItem]("live"),
		coded[loadItem]("load"),
		coded[markItem]("mark"),
		coded[nameItem]("name"),
		coded[outgoingItem]("outgoing"),
		coded[pinItem]("pin"),
		coded[pinnedRunItem]("pinnedRun"),
		coded[requestItem]("request"),
		coded[slotItem]("slot"),
		coded[sourceItem]("source"),
		coded[textItem]("text"),
		coded[tokenItem]("token"),
		coded[turnsItem]("turns"),
		coded[versionItem]("version"),
		coded[workspaceItem]("workspace"),
	)
}

func BenchmarkItems(b *testing.B) { allocation.Benchmark(b, items()) }

func TestAllocations(t *testing.T) { allocation.Hold(t, items()) }

func TestEachItemIsAmongThem(t *testing.T) { allocation.EachDecoded(t, items()) }
