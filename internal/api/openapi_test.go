package api_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"boathook/internal/testing/openapitest"
)

// document is what every answer of the tests is held to.
var document = openapitest.Load()

// documented are the operations that this handler serves.
func documented() []string {
	return slices.DeleteFunc(document.Patterns(), func(pattern string) bool {
		return slices.Contains(document.Patterns("Triggers"), pattern)
	})
}

func TestMain(m *testing.M) { document.Main(m, documented()) }

func TestTheDocumentHasEachRouteWithItsRole(t *testing.T) {
	a := newAPI(t)
	routes := append(a.handler.Patterns(), "GET /", "GET /healthz", "GET /openapi.json", "GET /api/v1/internal/agents/{agent}/webhook-secret")
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
		if document.HasQuery(pattern, "limit") && !strings.HasPrefix(path, "/api/") { // Crewship's limits are clamped
			a.ask(400, method, path+"?limit=0", "")
		}
	}
	config := a.config
	config.AdminToken = func(context.Context) (string, error) { return "", errors.New("down") }
	a.handler = config.serve()
	for _, pattern := range a.handler.Patterns() {
		method, path := fill(pattern, objects)
		a.ask(503, method, path, "")
	}
}

// What the document says of a body is so, whoever adds a field: null is refused
// where it is no type of the field, and taken where it is, a whole number may be
// written with a fraction of 0, and a body that is required is.
func TestBodiesAreReadAsTheDocumentSays(t *testing.T) {
	a := newAPI(t)
	objects := everything(a)
	refused := []int{400, 422} // GitHub's validation is 422
	fields := 0
	for _, pattern := range a.handler.Patterns() {
		method, path := fill(pattern, objects)
		ask := func(body string) (status int, text string) {
			w := a.request(stackToken, method, path, body)
			return w.Code, w.Body.String()
		}
		if document.Required(pattern) {
			if status, text := ask(""); !slices.Contains(refused, status) {
				t.Errorf("%s without a body: %d %s", pattern, status, text)
			}
		}
		for _, f := range document.Fields(pattern) {
			fields++
			name := strings.Join(f.Names, ".")
			// set makes a body of the field alone.
			set := func(value string) string {
				return `{"` + strings.Join(f.Names, `":{"`) + `":` + value + strings.Repeat("}", len(f.Names))
			}
			const noNull = ", not null"
			if f.Types != nil {
				status, text := ask(set("null"))
				if nullable := slices.Contains(f.Types, "null"); nullable && strings.Contains(text, noNull) {
					t.Errorf("%s: %s may be null: %d %s", pattern, name, status, text)
				} else if !nullable && (!slices.Contains(refused, status) || !strings.Contains(text, noNull) || !strings.Contains(text, f.Names[len(f.Names)-1])) {
					t.Errorf("%s: %s may not be null: %d %s", pattern, name, status, text)
				}
			}
			if slices.Contains(f.Types, "integer") {
				if status, text := ask(set("27.0")); strings.Contains(text, "must be a whole number") {
					t.Errorf("%s: %s is an integer, and 27.0 is one: %d %s", pattern, name, status, text)
				}
				if status, text := ask(set("27.5")); !slices.Contains(refused, status) || !strings.Contains(text, "must be a whole number") {
					t.Errorf("%s: %s is an integer, and 27.5 is none: %d %s", pattern, name, status, text)
				}
			}
		}
	}
	if fields < 100 {
		t.Errorf("the document has %d fields of bodies only", fields)
	}
}

// Of the paths that are Boathook's own, and those of Capawesome Cloud's SDKs. The
// others take what is sent to them: their clients send more than is documented.
func TestAParameterThatIsNotKnownIsRefused(t *testing.T) {
	a := newAPI(t)
	objects := everything(a)
	ours := slices.DeleteFunc(documented(), func(pattern string) bool {
		return slices.Contains(document.Patterns("Crewship", "Shipway"), pattern)
	})
	for _, pattern := range ours {
		method, path := fill(pattern, objects)
		if slices.Contains(document.Patterns("Capawesome"), pattern) {
			issues := issuesOf(t, a.ask(400, method, path+"?statsu=failed", bodyOf(pattern)))
			if len(issues) != 1 || !strings.HasPrefix(issues[0], "statsu: no such parameter") {
				t.Errorf("%s: the issues are %q", pattern, issues)
			}
			continue
		}
		a.refused(400, "statsu", method, path+"?statsu=failed", bodyOf(pattern))
		if document.HasQuery(pattern, "limit") {
			a.refused(400, "Limit", method, path+"?limit=1&Limit=1", "")
			a.refused(400, "", method, path+"?limit=1&%zz=1", "")
			a.ask(200, method, path+"?limit=1", "")
		}
	}
}
