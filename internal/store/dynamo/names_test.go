package dynamo_test

import (
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store/dynamo"
)

// A process that dies after it took a slug leaves it to an agent that does not
// have it. Nobody else may have it while that may still come; then it is free.
func TestASlugThatACrashLeftIsFreeAfterAMinute(t *testing.T) {
	for _, variable := range []string{moto, dynalite} {
		t.Run(variable, func(t *testing.T) {
			client := emulator(t, variable)
			c := tables(t, client)
			clock := now
			c.Now = func() time.Time { return clock }
			whole := dynamo.New(client, c)
			w := &wire{next: client.Options().HTTPClient, answer: func(r request) *reply {
				item, _ := r.input["Item"].(attributes)
				if r.operation == "PutItem" && !strings.HasPrefix(item["sk"].(attributes)["S"].(string), "slug#") {
					return failure("InternalServerError")
				}
				return nil
			}}
			dying := dynamo.New(once(client, w), c)

			agent := func(id string) boathook.Source {
				return boathook.Source{
					ID: id, WorkspaceID: "ws_a", Kind: boathook.Agent, CreatedAt: now,
					Agent: &boathook.AgentSettings{CrewID: "crew_a", Slug: "x"},
				}
			}
			if err := dying.PutSource(t.Context(), agent("agent_lost")); err == nil {
				t.Fatal("it did not die")
			}
			if _, err := whole.AgentBySlug(t.Context(), "ws_a", "crew_a", "x"); !boathook.IsKind(err, boathook.NotFound) {
				t.Errorf("an agent that is not there has the slug: %v", err)
			}
			clock = clock.Add(time.Minute - time.Millisecond)
			if err := whole.PutSource(t.Context(), agent("agent_b")); !boathook.IsKind(err, boathook.Conflict) {
				t.Errorf("within the minute: %v, want a Conflict", err)
			}
			clock = clock.Add(time.Millisecond)
			if err := whole.PutSource(t.Context(), agent("agent_b")); err != nil {
				t.Errorf("after the minute: %v", err)
			}
			if err := whole.PutSource(t.Context(), agent("agent_lost")); !boathook.IsKind(err, boathook.Conflict) {
				t.Errorf("the lost one comes back: %v, want a Conflict", err)
			}
			if id, err := whole.AgentBySlug(t.Context(), "ws_a", "crew_a", "x"); id != "agent_b" || err != nil {
				t.Errorf("the slug is of %q, %v", id, err)
			}
			agents, _, err := whole.CrewAgents(t.Context(), "ws_a", "crew_a", boathook.Page{Limit: 10})
			if len(agents) != 1 || err != nil {
				t.Errorf("the crew has %v, %v", agents, err)
			}
		})
	}
}

// A customer is found by its external id with as many reads as there are items in
// between, of however many customers.
func TestACustomersExternalIDIsLookedUpWithTwoReads(t *testing.T) {
	s, w := onWire(func(r request) *reply {
		if strings.HasPrefix(sortKey(r), "ext#") {
			return ok(`{"Item":{"pk":{"S":"ws#ws_a"},"sk":{"S":"ext#acct_1"},"AgentID":{"S":"cus_a"},"TakenAt":{"N":"1"}}}`)
		}
		return ok(`{"Item":{"pk":{"S":"src#cus_a"},"sk":{"S":"source"},"ID":{"S":"cus_a"},"WorkspaceID":{"S":"ws_a"},"Kind":{"S":"customer"},"Customer":{"M":{"ExternalID":{"S":"acct_1"}}}}}`)
	})
	got, err := s.CustomerByExternalID(t.Context(), "ws_a", "acct_1")
	if err != nil || got.ID != "cus_a" {
		t.Fatalf("found %+v, %v", got, err)
	}
	if operations := strings.Join(w.operations(), " "); operations != "GetItem GetItem" {
		t.Errorf("it takes %s", operations)
	}
}
