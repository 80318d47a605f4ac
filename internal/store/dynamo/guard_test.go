package dynamo_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/store"
	"boathook/internal/store/storetest"
)

// AWS refuses keys above 2,048 and 1,024 bytes with an error that would count as
// a failure of the store, and takes any that holds a "#" for a key.
func TestNoRequestHoldsAnIDThatIsNone(t *testing.T) {
	for _, id := range []string{
		strings.Repeat("a", boathook.MaxIDLength+1), strings.Repeat("a", 2100), "out_a#health", "dep_a/../dep_b", "OUT_A", "out_a\x00", "out_ü",
	} {
		s, w := onWire(func(r request) *reply {
			if r.operation == "UpdateItem" {
				return failure("ConditionalCheckFailedException") // nothing is there
			}
			return ok(`{}`)
		})
		storetest.CallWithNoID(t, s, now, id)
		if len(w.requests) == 0 {
			t.Fatal("nothing was asked at all")
		}
		for _, r := range w.requests {
			for _, k := range keysIn(r.input) {
				// Only the ids of events, connections and scheduled items may look like that.
				if k == "" || len(k) > 1024 || strings.Contains(k, id) && !boathook.IsForeignID(id) {
					t.Errorf("%.40q: the request %s has the key %.100q", id, r.operation, k)
				}
			}
		}
	}
}

// keysIn are the values of the keys' attributes that are anywhere in a request.
func keysIn(v any) (values []string) {
	switch v := v.(type) {
	case []any:
		for _, inner := range v {
			values = append(values, keysIn(inner)...)
		}
	case attributes:
		for name, inner := range v {
			value, _ := inner.(attributes)
			if text, ok := value["S"].(string); ok && slices.Contains([]string{"pk", "sk", "parent", "place", ":p", ":pk", ":parent", ":first", ":last"}, name) {
				values = append(values, text)
			}
			values = append(values, keysIn(inner)...)
		}
	}
	return values
}

func TestARequestForOneThatIsNoIDIsNotMade(t *testing.T) {
	s, w := onWire(func(request) *reply { return failure("ValidationException") })
	id := strings.Repeat("a", 2100)
	_, agentErr := s.LookUpAgent(t.Context(), id, boathook.NewID(boathook.RunID))
	_, sourceErr := s.Source(t.Context(), "ws_a", id)
	_, webhookErr := s.Outgoing(t.Context(), "dep_a", "out_a#health")
	_, cancelErr := s.RequestCancel(t.Context(), id, now)
	_, _, listErr := s.Deliveries(t.Context(), store.DeliveryQuery{WorkspaceID: "ws_a", WebhookID: id, Page: boathook.Page{Limit: 1}})
	if agentErr != nil || listErr != nil {
		t.Errorf("a look-up and a list fail: %v, %v", agentErr, listErr)
	}
	for _, err := range []error{
		sourceErr, webhookErr, cancelErr,
		s.DeleteOutgoing(t.Context(), "dep_a", "out_a#health"), s.DeleteSource(t.Context(), "ws_a", id), s.MarkPublished(t.Context(), id),
	} {
		if !boathook.IsKind(err, boathook.NotFound) {
			t.Errorf("got %v, want that nothing is found", err)
		}
	}
	if len(w.requests) > 0 {
		t.Errorf("requests: %v", w.operations())
	}
}

// A cursor holds an id, and a key is made of it.
func TestACursorWithALongIDIsRefused(t *testing.T) {
	s, w := onWire(func(request) *reply { return ok(`{}`) })
	for _, id := range []string{strings.Repeat("a", 1100), "a#b", "../a"} {
		cursor := base64.RawURLEncoding.EncodeToString([]byte("1795284300000#" + id))
		_, _, err := s.Tokens(t.Context(), "ws_a", boathook.Page{Limit: 1, Cursor: cursor})
		if !boathook.IsKind(err, boathook.Invalid) || len(w.requests) > 0 {
			t.Errorf("%.40q: %v, after %v", id, err, w.operations())
		}
	}
}

// A health's key does not name the source of its webhook.
func TestAWebhookOfAnotherSourceKeepsItsHealth(t *testing.T) {
	s, w := onWire(func(request) *reply { return ok(`{}`) }) // there is no such webhook under the source
	if err := s.DeleteOutgoing(t.Context(), "dep_a", "out_of_another"); !boathook.IsKind(err, boathook.NotFound) {
		t.Errorf("got %v", err)
	}
	if len(w.requests) != 1 || w.requests[0].input["TableName"] != "config" {
		t.Errorf("the requests are %v", w.requests)
	}
}
