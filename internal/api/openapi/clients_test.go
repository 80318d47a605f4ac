package openapi_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"boathook/internal/api/openapi"
	"boathook/internal/boathook"
)

// The keys below which one schema stands, or a list of them, or several by name.
var (
	oneSchema    = []string{"schema", "items", "additionalProperties"}
	someSchemas  = []string{"allOf", "anyOf", "oneOf"}
	namedSchemas = []string{"schemas", "properties"}
)

// schemas calls f with each schema of a document, and its JSON Pointer.
func schemas(doc map[string]any, f func(schema any, pointer string)) {
	walk(doc, "#", func(o map[string]any, pointer string) {
		if strings.Contains(pointer, "/example") {
			return // values, not schemas
		}
		for _, key := range oneSchema {
			if schema, ok := o[key]; ok && !slices.Contains(namedSchemas, last(pointer)) {
				f(schema, pointer+"/"+key)
			}
		}
		for _, key := range someSchemas {
			list, _ := o[key].([]any)
			for i, schema := range list {
				f(schema, fmt.Sprintf("%s/%s/%d", pointer, key, i))
			}
		}
		if slices.Contains(namedSchemas, last(pointer)) {
			for name, schema := range o {
				f(schema, pointer+"/"+name)
			}
		}
	})
}

// nameable are texts that generators make names of constants of.
var nameable = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._/-]*$`)

func last(pointer string) string { return pointer[strings.LastIndex(pointer, "/")+1:] }

// What the generators of clients can't read, or read wrongly. Each of these once
// made one of them fail, or made a client that can't be used.
func TestGeneratorsCanReadEverySchema(t *testing.T) {
	doc := parse(t, openapi.Document())
	count := 0
	schemas(doc, func(schema any, pointer string) {
		count++
		if strings.HasSuffix(pointer, "/additionalProperties") {
			if _, ok := schema.(bool); ok {
				return
			}
		}
		s, ok := schema.(map[string]any)
		if !ok {
			t.Errorf("%s is %v: write {} for what may be anything", pointer, schema)
			return
		}
		types := typesOf(s)
		if slices.Equal(types, []string{"null"}) {
			t.Errorf("%s is null alone: write null among the types of the other", pointer)
		}
		if len(slices.DeleteFunc(types, func(name string) bool { return name == "null" })) > 1 {
			t.Errorf("%s has several types: no generator makes one of them", pointer)
		}
		enum, _ := s["enum"].([]any)
		for _, value := range append(slices.Clone(enum), s["const"]) {
			if text, ok := value.(string); ok && !nameable.MatchString(text) {
				t.Errorf("%s lists %q: generators make no name of it", pointer, text)
			}
		}
		if slices.Contains(enum, nil) {
			t.Errorf("%s lists null: oapi-codegen makes the text <nil> of it", pointer)
		}
		if (enum != nil || s["const"] != nil) && s["type"] == nil {
			t.Errorf("%s lists values without a type", pointer)
		}
		if s["format"] == "date-time" && s["pattern"] != nil {
			t.Errorf("%s is a time with a pattern, which clients match against what they have made of the time", pointer)
		}
		if s["allOf"] != nil {
			checkAllOf(t, s, pointer)
		}
	})
	if count < 500 {
		t.Errorf("only %d schemas are seen", count)
	}
}

func typesOf(schema map[string]any) []string {
	switch types := schema["type"].(type) {
	case string:
		return []string{types}
	case []any:
		var names []string
		for _, name := range types {
			names = append(names, name.(string))
		}
		return names
	}
	return nil
}

// checkAllOf: a schema that makes fields of another one required says so twice,
// beside the allOf and in it. openapi-generator and openapi-python-client take
// an allOf of one part for that part itself, openapi-typescript reads what is
// beside the allOf only.
func checkAllOf(t *testing.T, s map[string]any, pointer string) {
	t.Helper()
	if s["required"] == nil {
		return
	}
	parts := s["allOf"].([]any)
	if len(parts) < 2 || !slices.Equal(s["required"].([]any), requiredOf(parts[len(parts)-1])) {
		t.Errorf("%s must have what is required in the last part of its allOf, too", pointer)
	}
}

func requiredOf(schema any) []any {
	required, _ := at(schema, "required").([]any)
	return required
}

// A client fills in a field's default: what PATCH does not name would be changed
// to it; and openapi-typescript makes the field required.
func TestNoFieldOfARequestHasADefault(t *testing.T) {
	doc := parse(t, openapi.Document())
	for pattern, operation := range operations(doc) {
		seen := map[string]bool{}
		var visit func(v any, pointer string)
		visit = func(v any, pointer string) {
			walk(v, pointer, func(o map[string]any, pointer string) {
				if _, ok := o["default"]; ok && last(pointer) != "properties" {
					t.Errorf("%s: %s has a default: describe it", pattern, pointer)
				}
				if ref, ok := o["$ref"].(string); ok && !seen[ref] {
					seen[ref] = true
					visit(at(doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...), ref)
				}
			})
		}
		visit(at(operation, "requestBody"), "requestBody")
	}
}

// operations are the operations of a document by method and path.
func operations(doc map[string]any) map[string]map[string]any {
	all := map[string]map[string]any{}
	for path, item := range object(doc, "paths") {
		for method := range item.(map[string]any) {
			if method != "parameters" {
				all[strings.ToUpper(method)+" "+path] = object(item, method)
			}
		}
	}
	return all
}

// The names of components become names of types, whatever kind they are of.
func TestComponentsHaveNamesThatNoGeneratorConfuses(t *testing.T) {
	doc := parse(t, openapi.Document())
	seen := map[string]string{}
	for _, kind := range []string{"schemas", "parameters", "requestBodies"} {
		for _, name := range slices.Sorted(maps.Keys(object(doc, "components", kind))) {
			typeName := strings.ToLower(name)
			if !regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*$`).MatchString(name) {
				t.Errorf("%s/%s is no name of a type", kind, name)
			}
			if other := seen[typeName]; other != "" {
				t.Errorf("%s/%s has the name of %s", kind, name, other)
			}
			seen[typeName] = kind + "/" + name
		}
	}
}

// Roles are an extension: as scopes they would be those of OAuth 2, which linters
// look for in the security scheme.
func TestEachOperationThatTakesATokenNamesItsRole(t *testing.T) {
	doc := parse(t, openapi.Document())
	for pattern, operation := range operations(doc) {
		security, ok := operation["security"].([]any)
		if !ok {
			t.Errorf("%s does not say what it takes as a credential: [] for none", pattern)
			continue
		}
		takesToken := slices.ContainsFunc(security, func(v any) bool { return object(v)["token"] != nil })
		role, _ := operation["x-role"].(string)
		if takesToken != (role != "") || takesToken && !boathook.Role(role).Valid() {
			t.Errorf("%s has the role %q", pattern, role)
		}
		for _, needed := range security {
			for name, scopes := range needed.(map[string]any) {
				if len(scopes.([]any)) > 0 {
					t.Errorf("%s: %s has scopes: write the role as x-role", pattern, name)
				}
			}
		}
	}
}
