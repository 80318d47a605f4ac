package dynamo_test

import (
	"slices"
	"sync"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// Who lists a workspace's deliveries is told of their sources before their records are
// read, of those that were entered before items named their sources only after.
func TestAListTellsItsSourcesBeforeItReadsItsRecords(t *testing.T) {
	for name, c := range map[string]struct {
		sources, told int
		old           bool
	}{
		"of one source":               {sources: 1, told: 1},
		"of as many as an item names": {sources: 8, told: 8},
		"of more":                     {sources: 9, told: 0},
		"of an item that names none":  {sources: 1, told: 0, old: true},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var told, before []string
			var item attributes
			s, _ := onWire(func(r request) *reply {
				mu.Lock()
				defer mu.Unlock()
				switch r.operation {
				case "PutItem":
					if item = r.input["Item"].(attributes); c.old {
						delete(item, "src")
					}
				case "Query":
					if r.input["ExpressionAttributeValues"].(attributes)[":p"].(attributes)["S"] == item["pk"].(attributes)["S"] {
						return ok(marshal(attributes{"Items": []any{item}}))
					}
				case "BatchGetItem":
					before = slices.Clone(told)
				}
				return ok(`{}`)
			})
			var entered []boathook.Delivery
			var want []string
			for range c.sources {
				d := delivery(nil)
				e := boathook.Event{ID: boathook.NewID(boathook.EventID), Time: now}
				d.SourceID, d.ID = boathook.NewID(boathook.DeploymentID), boathook.NewDeliveryID(&e, d.WebhookID)
				entered = append(entered, d)
				want = append(want, d.SourceID)
			}
			if err := s.EnterDeliveries(t.Context(), entered...); err != nil {
				t.Fatal(err)
			}
			ctx := store.WithOwners(t.Context(), func(o store.Owner) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, o.SourceID)
			})
			if _, _, err := s.WorkspaceDeliveries(ctx, store.DeliveryQuery{WorkspaceID: entered[0].WorkspaceID, Page: boathook.Page{Limit: 50}}); err != nil {
				t.Fatal(err)
			}
			slices.Sort(want)
			slices.Sort(before)
			if want = want[:c.told]; !slices.Equal(before, want) {
				t.Errorf("told of %q before the records were read, want %q", before, want)
			}
		})
	}
}
