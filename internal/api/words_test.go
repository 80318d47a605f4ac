package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestTheRootSaysWhatThisIs(t *testing.T) {
	a := newAPI(t)
	got := a.as("", 200, "GET", "/", "")
	if got.text("name") != "Boathook" || got.text("openapi") != "https://hooks.example.com/openapi.json" || got.text("health") != "https://hooks.example.com/healthz" {
		t.Errorf("got %v", got)
	}
}

// A user has several ids in a path, and is told which of them leads nowhere.
func TestALookUpNamesWhatIsNotThere(t *testing.T) {
	a := newAPI(t)
	nouns := map[string]string{
		"deployment": "deployment", "version": "version", "incoming": "incoming webhook", "outgoing": "outgoing webhook", "crew": "crew",
		"agent": "agent", "repository": "repository", "app": "app", "customer": "customer", "type": "event type", "token": "token", "workspace": "workspace", "run": "run", "delivery": "delivery",
	}
	objects := everything(a)
	for _, pattern := range a.handler.Patterns() {
		if slices.Contains(document.Patterns("Crewship", "Shipway", "Capawesome"), pattern) || !strings.Contains(pattern, "{") || pattern == definition {
			continue
		}
		wildcards := strings.Split(pattern, "{")[1:]
		for i := range wildcards {
			name, _, _ := strings.Cut(wildcards[i], "}")
			if nouns[name] == "" {
				t.Fatalf("%s: there is no noun for %s", pattern, name)
			}
			lost := strings.Replace(pattern, "{"+name+"}", "nope", 1)
			method, path := fill(lost, objects)
			message := a.refused(404, "", method, path, bodyOf(pattern))
			// What lies below a thing that is not there is not there, either.
			if i == len(wildcards)-1 && !strings.Contains(message, fmt.Sprintf("there is no %s %q", nouns[name], "nope")) {
				t.Errorf("%s: %q", lost, message)
			}
		}
	}
	for _, kind := range []string{"deployment", "repository"} {
		want := fmt.Sprintf("there is no %s %q", kind, "nope")
		path := map[string]string{"deployment": "/v1/deployments/nope", "repository": "/v1/repositories/nope"}[kind]
		for _, path := range []string{path, path + "/outgoing-webhooks"} {
			if message := a.refused(404, "", "GET", path, ""); message != want {
				t.Errorf("%s: %q", path, message)
			}
		}
	}
}
