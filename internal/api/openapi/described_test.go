package openapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"boathook/internal/api/openapi"
)

// What a reader of the document is told of every operation, whoever adds one.
func TestEachOperationIsDescribed(t *testing.T) {
	doc := parse(t, openapi.Document())
	for pattern, operation := range operations(doc) {
		text := func(key string) string {
			s, _ := operation[key].(string)
			return s
		}
		if text("summary") == "" || text("description") == "" {
			t.Errorf("%s must have a summary and a description", pattern)
		}
		if text("summary") == text("description") {
			t.Errorf("%s has its summary as its description", pattern)
		}
		if role := text("x-role"); role != "" && !strings.HasSuffix(text("description"), ". Role: "+role+".") {
			t.Errorf("%s: the description must end with its role, %q, not %q", pattern, ". Role: "+role+".", text("description"))
		}
		checkErrors(t, pattern, operation)
	}
}

// checkErrors: an operation names the errors that any of its kind can answer.
func checkErrors(t *testing.T, pattern string, operation map[string]any) {
	t.Helper()
	var want []string
	if operation["x-role"] != nil {
		want = append(want, "401", "503")
		if operation["x-role"] != "viewer" {
			want = append(want, "403")
		}
		if strings.Contains(pattern, "{") && !strings.HasPrefix(pattern, "PUT /v1/") { // which makes what is not there
			want = append(want, "404")
		}
		if operation["requestBody"] != nil {
			want = append(want, "400", "413")
		}
	}
	responses := object(operation, "responses")
	for _, status := range want {
		if responses[status] == nil {
			t.Errorf("%s does not have the error %s", pattern, status)
		}
	}
	var good []string
	for status := range responses {
		if status[0] == '2' {
			good = append(good, status)
		}
	}
	if len(good) == 0 {
		t.Errorf("%s has no answer that is good", pattern)
	}
	if len(good) == len(responses) {
		t.Errorf("%s has no error", pattern)
	}
}

// Every body, of requests and answers, errors included, has an example, and what is
// JSON has one that its schema allows, with no field that the schema does not name.
func TestEachBodyHasAnExampleThatItsSchemaAllows(t *testing.T) {
	doc := parse(t, openapi.Document())
	closed := parse(t, openapi.Document())
	forbidMore(closed, false)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("openapi.json", closed); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	bodies := 0
	walk(doc, "#", func(o map[string]any, pointer string) {
		if last(pointer) != "content" || strings.HasSuffix(pointer, "/properties/content") {
			return
		}
		for mediaType := range o {
			bodies++
			at := pointer + "/" + strings.ReplaceAll(mediaType, "/", "~1")
			examples := examplesOf(doc, object(o, mediaType), used)
			if len(examples) == 0 {
				t.Errorf("%s has no example", at)
			}
			schema, err := c.Compile("openapi.json" + at + "/schema")
			if err != nil {
				t.Errorf("%s: %v", at, err)
				continue
			}
			for _, example := range examples {
				if err := schema.Validate(example); err != nil {
					text, _ := json.Marshal(example)
					t.Errorf("%s: the example %s: %v", at, text, err)
				}
			}
		}
	})
	if bodies < 100 {
		t.Errorf("only %d bodies are seen", bodies)
	}
	for _, name := range slices.Sorted(maps.Keys(object(doc, "components", "examples"))) {
		if !used[name] {
			t.Errorf("the example %s is not used", name)
		}
	}
}

// examplesOf are the examples of a body, and those that are components are noted.
func examplesOf(doc, mediaType map[string]any, used map[string]bool) []any {
	var values []any
	if example, ok := mediaType["example"]; ok {
		values = append(values, example)
	}
	for _, example := range object(mediaType, "examples") {
		if ref, ok := at(example, "$ref").(string); ok {
			name := strings.TrimPrefix(ref, "#/components/examples/")
			used[name] = true
			example = at(doc, "components", "examples", name)
		}
		if value, ok := object(example)["value"]; ok {
			values = append(values, value)
		}
	}
	return values
}

// forbidMore closes the schemas of objects, but for the parts of an allOf, which
// know only each other's fields together.
func forbidMore(v any, part bool) {
	switch v := v.(type) {
	case map[string]any:
		if v["properties"] != nil && v["additionalProperties"] == nil && v["allOf"] == nil && !part && slices.Contains(typesOf(v), "object") {
			v["additionalProperties"] = false
		}
		for key, child := range v {
			if key != "example" && key != "examples" {
				forbidMore(child, key == "allOf")
			}
		}
	case []any:
		for _, child := range v {
			forbidMore(child, part)
		}
	}
}

// A parameter of several types, or of none, is one that no client can be made for.
func TestEachParameterHasASchemaWithAType(t *testing.T) {
	doc := parse(t, openapi.Document())
	walk(doc, "#", func(o map[string]any, pointer string) {
		if o["in"] == nil || o["name"] == nil || o["schema"] == nil {
			return
		}
		schema := object(o, "schema")
		if ref, ok := schema["$ref"].(string); ok {
			schema = object(doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		}
		if len(typesOf(schema)) != 1 {
			t.Errorf("%s, the parameter %v, has the types %q", pointer, o["name"], fmt.Sprint(schema["type"]))
		}
	})
}
