package manage_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"boathook/internal/manage"
	"boathook/internal/openapi/openapitest"
)

// document is what every answer of the tests is held to.
var document = openapitest.Load()

// documented are the operations that are this room's.
func documented() []string {
	return slices.DeleteFunc(document.Patterns(), func(pattern string) bool {
		return slices.Contains(document.Patterns("Triggers"), pattern)
	})
}

func TestMain(m *testing.M) { document.Main(m, documented()) }

func TestTheDocumentHasEachRouteWithItsRole(t *testing.T) {
	a := newAPI(t)
	routes := append(a.handler.Patterns(), "GET /healthz", "GET /openapi.json")
	slices.Sort(routes)
	if got := documented(); !slices.Equal(got, routes) {
		for _, route := range routes {
			if !slices.Contains(got, route) {
				t.Errorf("not documented: %s", route)
			}
		}
		for _, pattern := range got {
			if !slices.Contains(routes, pattern) {
				t.Errorf("documented, but no route: %s", pattern)
			}
		}
	}
	for _, pattern := range a.handler.Patterns() {
		want := string(roles[pattern])
		if want == "stack" {
			want = "admin"
		}
		if got := document.Role(pattern); got != want {
			t.Errorf("%s is documented for the role %q, and takes %q", pattern, got, want)
		}
	}
}

func TestTheDocumentNeedsNoToken(t *testing.T) {
	a := newAPI(t)
	if got := a.as("", 200, "GET", "/openapi.json", ""); got.text("openapi") != "3.1.0" {
		t.Errorf("got %v", got)
	}
}

// What any route can answer, whatever it is for.
func TestEachRouteRefusesWhatCanNotBeReadAndFailsWithItsDependencies(t *testing.T) {
	a := newAPI(t)
	objects, tooLong := everything(a), strings.Repeat("x", 6<<20)
	for _, pattern := range a.handler.Patterns() {
		method, path := fill(pattern, objects)
		if method == "POST" || method == "PATCH" {
			a.ask(400, method, path, `[]`)
			a.ask(413, method, path, `{"x":"`+tooLong+`"}`)
		}
		if document.HasQuery(pattern, "limit") {
			a.ask(400, method, path+"?limit=0", "")
		}
	}
	config := a.config
	config.AdminToken = func(context.Context) (string, error) { return "", errors.New("down") }
	a.handler = manage.New(config)
	for _, pattern := range a.handler.Patterns() {
		method, path := fill(pattern, objects)
		a.ask(503, method, path, "")
	}
}
