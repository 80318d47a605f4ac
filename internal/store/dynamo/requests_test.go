package dynamo_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// A quiet webhook's only request stands behind 5,000 runs of a busy one of the
// same source: it is found, and no page looks through them all.
func TestAPageOfRequestsLooksAtAFewRunsOnly(t *testing.T) {
	const busy = 5000
	type entry map[string]map[string]string
	var index []entry // newest first
	for i := range busy + 1 {
		webhook, id := "in_busy", fmt.Sprintf("run_%d", i)
		if i == busy {
			webhook = "in_quiet"
		}
		index = append(index, entry{
			"pk": {"S": "run#" + id}, "sk": {"S": "head"}, "parent": {"S": "runs#dep_a#0"},
			"place": {"S": fmt.Sprintf("%013d#%s", now.UnixMilli()-int64(i), id)},
			"ws":    {"S": "ws_a"}, "w": {"S": webhook}, "s": {"S": "succeeded"}, "x": {"N": strconv.FormatInt(now.Unix()+1, 10)},
		})
	}
	looked := 0
	s, _ := onWire(func(r request) *reply {
		values := r.input["ExpressionAttributeValues"].(attributes)
		if values[":p"].(attributes)["S"] != "runs#dep_a#0" {
			return ok(`{"Items":[]}`)
		}
		last := values[":last"].(attributes)["S"].(string)
		after := "~"
		if start, isSet := r.input["ExclusiveStartKey"].(attributes); isSet {
			after = start["place"].(attributes)["S"].(string)
		}
		limit := int(r.input["Limit"].(float64))
		answer := struct {
			Items            []entry
			LastEvaluatedKey entry `json:",omitempty"`
		}{}
		for _, e := range index {
			if place := e["place"]["S"]; place > last || place >= after {
				continue
			}
			if len(answer.Items) == limit {
				answer.LastEvaluatedKey = answer.Items[limit-1]
				break
			}
			answer.Items = append(answer.Items, e)
		}
		looked += len(answer.Items)
		text, _ := json.Marshal(answer)
		return ok(string(text))
	})

	q := store.RequestQuery{WorkspaceID: "ws_a", SourceID: "dep_a", WebhookID: "in_quiet", Page: boathook.Page{Limit: 50}}
	var found []boathook.Request
	for pages := 1; ; pages++ {
		looked = 0
		requests, next, err := s.Requests(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if looked > store.MaxLook+2 {
			t.Errorf("page %d read %d runs", pages, looked)
		}
		found = append(found, requests...)
		if next == "" {
			break
		}
		q.Cursor = next
	}
	if len(found) != 1 || found[0].RunID != fmt.Sprintf("run_%d", busy) {
		t.Errorf("found %+v", found)
	}
}
