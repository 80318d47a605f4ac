package openapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"boathook/internal/api/openapi"
	"boathook/internal/boathook"
	"boathook/internal/dialect"
	"boathook/internal/preset"
)

func parse(t *testing.T, text []byte) map[string]any {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc.(map[string]any)
}

// at follows keys into a document.
func at(v any, keys ...string) any {
	for _, key := range keys {
		object, _ := v.(map[string]any)
		v = object[key]
	}
	return v
}

func object(v any, keys ...string) map[string]any {
	o, _ := at(v, keys...).(map[string]any)
	return o
}

func TestTheDocumentIsOpenAPI(t *testing.T) {
	// The schema that the OpenAPI Initiative publishes.
	text, err := os.ReadFile("testdata/oas-3.1-schema.json")
	if err != nil {
		t.Fatal(err)
	}
	schema := parse(t, text)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	id := schema["$id"].(string)
	if err := c.AddResource(id, schema); err != nil {
		t.Fatal(err)
	}
	oas, err := c.Compile(id)
	if err != nil {
		t.Fatal(err)
	}
	if err := oas.Validate(any(parse(t, openapi.Document()))); err != nil {
		t.Errorf("%#v", err)
	}
}

// walk calls f with each object of a document and its JSON Pointer.
func walk(v any, pointer string, f func(o map[string]any, pointer string)) {
	switch v := v.(type) {
	case map[string]any:
		f(v, pointer)
		for key, child := range v {
			walk(child, pointer+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(key), f)
		}
	case []any:
		for i, child := range v {
			walk(child, fmt.Sprintf("%s/%d", pointer, i), f)
		}
	}
}

func TestEverySchemaCompilesAndEveryComponentIsUsed(t *testing.T) {
	doc := parse(t, openapi.Document())
	c := jsonschema.NewCompiler()
	if err := c.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	walk(doc, "#", func(o map[string]any, pointer string) {
		if ref, ok := o["$ref"].(string); ok {
			used[ref] = true
			if at(doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...) == nil {
				t.Errorf("%s refers to %s, which is not there", pointer, ref)
			}
		}
		if _, ok := o["schema"]; ok {
			if _, err := c.Compile("openapi.json" + pointer + "/schema"); err != nil {
				t.Errorf("%s: %v", pointer, err)
			}
		}
	})
	for _, kind := range []string{"schemas", "parameters", "responses"} {
		for name := range object(doc, "components", kind) {
			if ref := "#/components/" + kind + "/" + name; !used[ref] {
				t.Errorf("%s is not used", ref)
			}
		}
	}
}

func TestOperationsAreNamedOnceAndDeclareTheirParametersAndTags(t *testing.T) {
	doc := parse(t, openapi.Document())
	var tags []string
	for _, tag := range doc["tags"].([]any) {
		tags = append(tags, at(tag, "name").(string))
	}
	ids := map[string]bool{}
	for path, item := range object(doc, "paths") {
		var wildcards, declared []string
		for _, m := range regexp.MustCompile(`{(\w+)}`).FindAllStringSubmatch(path, -1) {
			wildcards = append(wildcards, m[1])
		}
		parameters, _ := at(item, "parameters").([]any)
		for _, p := range parameters {
			declared = append(declared, at(p, "name").(string))
		}
		if !slices.Equal(wildcards, declared) {
			t.Errorf("%s declares %q", path, declared)
		}
		for _, method := range slices.Sorted(maps.Keys(item.(map[string]any))) {
			if method == "parameters" {
				continue
			}
			id, _ := at(item, method, "operationId").(string)
			if id == "" || ids[id] {
				t.Errorf("%s %s has the id %q, which is empty or another's", method, path, id)
			}
			ids[id] = true
			for _, tag := range at(item, method, "tags").([]any) {
				if !slices.Contains(tags, tag.(string)) {
					t.Errorf("%s has the unknown tag %s", id, tag)
				}
			}
		}
	}
}

func TestWhatIsListedIsWhatThereIs(t *testing.T) {
	doc := parse(t, openapi.Document())
	schemas := object(doc, "components", "schemas")
	for _, c := range []struct {
		what any
		want any
	}{
		{at(schemas, "Environment", "enum"), boathook.Environments},
		{at(schemas, "Role", "enum"), []boathook.Role{boathook.Viewer, boathook.Member, boathook.Admin}},
		{at(schemas, "Format", "enum"), []boathook.Format{boathook.Raw, boathook.Slack, boathook.Discord, boathook.Teams}},
		{at(schemas, "RequestOutcome", "enum"), boathook.RequestOutcomes},
		{at(schemas, "Verification", "properties", "preset", "enum"), preset.Presets},
		{at(schemas, "VerificationInput", "properties", "preset", "enum"), preset.Presets},
		{at(schemas, "CapawesomeWebhookInput", "properties", "events", "items", "enum"), boathook.EventTypes[boathook.App]},
	} {
		got, _ := json.Marshal(c.what)
		if want, _ := json.Marshal(c.want); !bytes.Equal(got, want) {
			t.Errorf("the document lists %s, there are %s", got, want)
		}
	}
	// No generator makes a name of "*", so that these are described.
	described := at(schemas, "ShipwayHookInput", "properties", "events", "description").(string)
	for _, e := range append(slices.Clip(boathook.EventTypes[boathook.Repository]), boathook.AllEvents) {
		if !slices.Contains(strings.Fields(strings.ReplaceAll(described, ",", "")), string(e)) {
			t.Errorf("the event %q of hooks is not described: %s", e, described)
		}
	}
	for _, name := range at(schemas, "Dialect", "enum").([]any) {
		if _, ok := dialect.Lookup(name.(string)); !ok {
			t.Errorf("the document lists the dialect %s, which there is not", name)
		}
	}
}
