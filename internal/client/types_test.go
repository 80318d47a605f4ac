package client

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/api/openapi"
)

// The types are those of the document: each has exactly the fields of its schema.
func TestTypesHaveTheFieldsOfTheirSchemas(t *testing.T) {
	var document struct {
		Components struct{ Schemas map[string]schema }
	}
	if err := json.Unmarshal(openapi.Document(), &document); err != nil {
		t.Fatal(err)
	}
	schemas := document.Components.Schemas
	for name, object := range map[string]any{
		"Me": Me{}, "Workspace": Workspace{}, "Token": Token{}, "Deployment": Deployment{}, "DeploymentInput": DeploymentInput{}, "RunRetries": RunRetries{}, "Crew": Named{}, "Version": Version{},
		"VerificationInput": Verification{}, "IncomingWebhook": IncomingWebhook{}, "Request": Request{}, "Agent": Agent{},
		"AgentInput": AgentInput{}, "CrewshipAgent": AgentEntry{}, "Repository": Repository{}, "CapawesomeApp": App{}, "Customer": Customer{}, "CustomerInput": CustomerInput{},
		"OutgoingWebhook": OutgoingWebhook{}, "Destination": Destination{}, "Retry": Retry{}, "OutgoingWebhookInput": OutgoingWebhookInput{},
		"Feed": Feed{}, "FeedEvent": FeedEvent{}, "FeedSettings": FeedSettings{}, "Recovery": Recovery{}, "Recovered": Recovered{}, "ReplayInput": ReplayInput{}, "Replayed": Replayed{}, "Run": Run{}, "StartedRun": StartedRun{}, "EventInput": EventInput{},
		"EventType": EventType{}, "EventTypeInput": EventTypeInput{}, "Delivery": Delivery{}, "Attempt": Attempt{}, "Stats": Stats{}, "AttemptCounts": AttemptCounts{}, "Queued": Queued{}, "Queue": Queue{}, "QueueDepth": QueueDepth{},
	} {
		want, ok := schemas[name]
		if !ok {
			t.Errorf("the document has no schema %s", name)
			continue
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(want.Properties)), fieldNames(reflect.TypeOf(object))); diff != "" {
			t.Errorf("%s (-schema +type):\n%s", name, diff)
		}
	}
	for path, object := range map[string]any{
		"Delivery request": DeliveryRequest{}, "Delivery last_attempt": LastAttempt{}, "Queue move": QueueMove{},
	} {
		name, property, _ := strings.Cut(path, " ")
		if diff := cmp.Diff(slices.Sorted(maps.Keys(schemas[name].Properties[property].Properties)), fieldNames(reflect.TypeOf(object))); diff != "" {
			t.Errorf("%s (-schema +type):\n%s", path, diff)
		}
	}
}

type schema struct{ Properties map[string]schema }

// fieldNames are the names that a type's fields have in JSON.
func fieldNames(t reflect.Type) (names []string) {
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
