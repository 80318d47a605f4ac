package dynamo_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
	"boathook/internal/store/dynamo"
)

// However long a list is in which there is nothing to find, a page ends.
func TestAPageReadsABoundedNumberOfItems(t *testing.T) {
	const shards = 4
	page := store.Page{Limit: 50}
	runs := store.RunQuery{WorkspaceID: "ws_a", SourceIDs: []string{"dep_a"}, Statuses: []boathook.RunStatus{boathook.RunFailed}, Page: page}
	deliveries := store.DeliveryQuery{WorkspaceID: "ws_a", WebhookID: "out_a", Status: boathook.DeliveryRetrying, Page: page}
	failed := deliveries
	failed.Status = boathook.DeliveryFailed
	lists := map[string]func(s *dynamo.Store) (found int, next string, err error){
		"runs": func(s *dynamo.Store) (int, string, error) {
			found, next, err := s.Runs(t.Context(), runs)
			return len(found), next, err
		},
		"heads": func(s *dynamo.Store) (int, string, error) {
			found, next, err := s.RunHeads(t.Context(), runs)
			return len(found), next, err
		},
		"requests": func(s *dynamo.Store) (int, string, error) {
			found, next, err := s.Requests(t.Context(), store.RequestQuery{
				WorkspaceID: "ws_a", SourceID: "dep_a", WebhookID: "in_a", Outcome: boathook.RequestAccepted, Page: page,
			})
			return len(found), next, err
		},
		"deliveries": func(s *dynamo.Store) (int, string, error) {
			found, next, err := s.Deliveries(t.Context(), deliveries)
			return len(found), next, err
		},
		"failed deliveries": func(s *dynamo.Store) (int, string, error) {
			found, next, err := s.Deliveries(t.Context(), failed)
			return len(found), next, err
		},
	}
	for name, list := range lists {
		for what, expires := range map[string]time.Time{"of what is not wanted": now.Add(time.Hour), "of what has expired": now.Add(-time.Hour)} {
			t.Run(name+" "+what, func(t *testing.T) {
				var read atomic.Int64
				s, _ := onWire(func(r request) *reply {
					n := int(r.input["Limit"].(float64))
					items := make([]string, n)
					for i := range items {
						position := fmt.Sprintf("%013d#run_a", 9e12-read.Add(1))
						items[i] = fmt.Sprintf(`{"pk":{"S":"run#run_a"},"sk":{"S":"%[1]s"},"place":{"S":"%[1]s"},"x":{"N":"%[2]d"}}`,
							position, expires.Unix())
					}
					return ok(`{"Items":[` + strings.Join(items, ",") + `],"LastEvaluatedKey":{"pk":{"S":"a"},"sk":{"S":"b"}}}`)
				})
				found, next, err := list(s)
				if err != nil || found > 0 || next == "" {
					t.Errorf("found %d, next %q, error %v", found, next, err)
				}
				if most := store.MaxLook + 2*shards; read.Load() > int64(most) {
					t.Errorf("it read %d items, want at most %d", read.Load(), most)
				}
			})
		}
	}
}
