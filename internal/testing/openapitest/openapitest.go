// Package openapitest holds what a handler answers to the OpenAPI document: each
// answer is documented, with its body's schema, and each that is documented is
// given in some test.
package openapitest

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"boathook/internal/api/openapi"
)

// Document is the OpenAPI document, and which of its answers were seen.
type Document struct {
	root     map[string]any
	compiler *jsonschema.Compiler

	mu   sync.Mutex
	seen map[string]bool // by pattern and status
}

const resource = "openapi.json"

// Load reads the document. For the tests it is stricter than for clients: what an
// object's schema does not name must not be there, and times have the one form
// that is written. Clients get no pattern beside the format date-time, since
// generators make times of the format, and then match the pattern against those;
// and no null in an enum, which some take for a text.
func Load() *Document {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(openapi.Document()))
	if err != nil {
		panic(err)
	}
	d := &Document{root: doc.(map[string]any), compiler: jsonschema.NewCompiler(), seen: map[string]bool{}}
	closeObjects(doc, false)
	schemas := d.root["components"].(map[string]any)["schemas"].(map[string]any)
	for name, pattern := range patterns {
		schemas[name].(map[string]any)["pattern"] = pattern
	}
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(resource, doc); err != nil {
		panic(err)
	}
	return d
}

// patterns are what the texts of some schemas look like.
var patterns = map[string]string{
	"Time":                `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`,
	"OptionalTime":        `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`,
	"OptionalEnvironment": `^(production|staging)$`,
	"ShipwayTime":         `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`,
}

// closeObjects leaves the parts of an allOf open, which know only each other's
// fields together.
func closeObjects(v any, part bool) {
	switch v := v.(type) {
	case map[string]any:
		_, hasAll := v["allOf"]
		if _, ok := v["properties"].(map[string]any); ok && !part && !hasAll && isObject(v["type"]) && v["additionalProperties"] == nil {
			v["additionalProperties"] = false
		}
		for key, child := range v {
			closeObjects(child, key == "allOf")
		}
	case []any:
		for _, child := range v {
			closeObjects(child, part)
		}
	}
}

// isObject reports whether the type of a schema allows an object.
func isObject(types any) bool {
	list, _ := types.([]any)
	return types == "object" || slices.Contains(list, any("object"))
}

// Patterns are those of the operations with one of the tags, as a
// [http.ServeMux] has them; of all operations if no tag is given.
func (d *Document) Patterns(tags ...string) []string {
	var patterns []string
	for path, item := range d.root["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			o, ok := operation.(map[string]any)
			if ok && (len(tags) == 0 || slices.Contains(tags, o["tags"].([]any)[0].(string))) {
				patterns = append(patterns, strings.ToUpper(method)+" "+path)
			}
		}
	}
	slices.Sort(patterns)
	return patterns
}

// Role is the least role that an operation takes; empty if it needs no API
// token.
func (d *Document) Role(pattern string) string {
	role, _ := d.operation(pattern)["x-role"].(string)
	return role
}

func (d *Document) operation(pattern string) map[string]any {
	method, path, _ := strings.Cut(pattern, " ")
	item, _ := d.root["paths"].(map[string]any)[path].(map[string]any)
	operation, _ := item[strings.ToLower(method)].(map[string]any)
	return operation
}

// Check reports what an answer to the operation with a pattern has that the
// document has not; and of an answer that it succeeded, what the request had.
func (d *Document) Check(t testing.TB, pattern string, r *http.Request, body string, w *httptest.ResponseRecorder) {
	t.Helper()
	operation := d.operation(pattern)
	if operation == nil {
		t.Errorf("%s is not documented", pattern)
		return
	}
	status := strconv.Itoa(w.Code)
	response, pointer := d.resolve(operation["responses"].(map[string]any)[status], d.pointer(pattern)+"/responses/"+status)
	if response == nil {
		t.Errorf("%s: the status %s is not documented: %s", pattern, status, w.Body)
		return
	}
	d.mu.Lock()
	d.seen[pattern+" "+status] = true
	d.mu.Unlock()

	content, _ := response["content"].(map[string]any)
	mediaType, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
	switch {
	case content == nil && w.Body.Len() > 0:
		t.Errorf("%s %s: no body is documented: %s", pattern, status, w.Body)
	case content != nil && content[mediaType] == nil:
		t.Errorf("%s %s: the type %q is not documented", pattern, status, mediaType)
	case mediaType == "application/json":
		d.validate(t, pattern+" "+status, pointer+"/content/application~1json/schema", w.Body.Bytes())
	case mediaType == "text/plain":
		text, _ := json.Marshal(w.Body.String()) // strings always marshal
		d.validate(t, pattern+" "+status, pointer+"/content/text~1plain/schema", text)
	}
	if w.Code >= 300 {
		return
	}
	for name := range r.URL.Query() {
		if !d.HasQuery(pattern, name) {
			t.Errorf("%s: the parameter %s is not documented", pattern, name)
		}
	}
	if strings.TrimSpace(body) == "" {
		return
	}
	if operation["requestBody"] == nil {
		t.Errorf("%s: no body of a request is documented: %s", pattern, body)
		return
	}
	d.validate(t, pattern, d.pointer(pattern)+"/requestBody/content/application~1json/schema", []byte(body))
}

func (d *Document) pointer(pattern string) string {
	method, path, _ := strings.Cut(pattern, " ")
	return "#/paths/" + strings.ReplaceAll(path, "/", "~1") + "/" + strings.ToLower(method)
}

// resolve follows a reference to a component, if v is one.
func (d *Document) resolve(v any, pointer string) (map[string]any, string) {
	object, _ := v.(map[string]any)
	ref, ok := object["$ref"].(string)
	if !ok {
		return object, pointer
	}
	found := d.root
	for key := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		found, _ = found[key].(map[string]any)
	}
	return found, ref
}

// HasQuery reports whether an operation has a parameter of the query.
func (d *Document) HasQuery(pattern, name string) bool {
	parameters, _ := d.operation(pattern)["parameters"].([]any)
	return slices.ContainsFunc(parameters, func(v any) bool {
		p, _ := d.resolve(v, "")
		return p["in"] == "query" && p["name"] == name
	})
}

// Required reports whether an operation's request must have a body.
func (d *Document) Required(pattern string) bool {
	body, _ := d.operation(pattern)["requestBody"].(map[string]any)
	return body["required"] == true
}

// Field is one of a request's body.
type Field struct {
	Names []string // the field's own last, those that it is within before
	Types []string // that it may have, "null" among them; none if it may be anything
}

// Fields are those of the body that an operation takes, the ones in objects within
// it included.
func (d *Document) Fields(pattern string) []Field {
	body, _ := d.operation(pattern)["requestBody"].(map[string]any)
	content, _ := body["content"].(map[string]any)
	mediaType, _ := content["application/json"].(map[string]any)
	return d.fields(mediaType["schema"], nil)
}

func (d *Document) fields(schema any, within []string) []Field {
	s, _ := d.resolve(schema, "")
	var all []Field
	for _, key := range []string{"allOf", "oneOf", "anyOf"} {
		parts, _ := s[key].([]any)
		for _, part := range parts {
			all = append(all, d.fields(part, within)...)
		}
	}
	properties, _ := s["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		field, _ := d.resolve(properties[name], "")
		f := Field{Names: append(slices.Clone(within), name)}
		switch types := field["type"].(type) {
		case string:
			f.Types = []string{types}
		case []any:
			for _, t := range types {
				f.Types = append(f.Types, t.(string))
			}
		}
		all = append(all, f)
		all = append(all, d.fields(field, f.Names)...)
	}
	return all
}

func (d *Document) validate(t testing.TB, what, pointer string, body []byte) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	schema, err := d.compiler.Compile(resource + pointer)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		t.Errorf("%s: %v\n%s", what, err, body)
	}
}

// Main runs a package's tests. If all of them were to be run, and pass, it fails
// them where none has seen an answer that is documented for one of the patterns.
func (d *Document) Main(m *testing.M, patterns []string) {
	code := m.Run()
	some := slices.ContainsFunc([]string{"test.run", "test.skip", "test.list"}, func(name string) bool {
		return flag.Lookup(name).Value.String() != ""
	})
	if code == 0 && !some {
		for _, answer := range d.unseen(patterns) {
			fmt.Println("documented, but never answered:", answer)
			code = 1
		}
	}
	os.Exit(code)
}

func (d *Document) unseen(patterns []string) []string {
	var answers []string
	for _, pattern := range patterns {
		for status := range d.operation(pattern)["responses"].(map[string]any) {
			if answer := pattern + " " + status; !d.seen[answer] {
				answers = append(answers, answer)
			}
		}
	}
	slices.Sort(answers)
	return answers
}
