package catalogue_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"boathook/internal/boathook"
	"boathook/internal/catalogue"
)

func TestEveryTypeOfEverySourceIsInIt(t *testing.T) {
	listed := 0
	for kind, names := range boathook.EventTypes {
		for _, name := range names {
			listed++
			if _, ok := catalogue.Lookup(kind, name); !ok {
				t.Errorf("%s of a %s is missing", name, kind)
			}
		}
	}
	if got := len(catalogue.All()); got != listed {
		t.Errorf("it has %d types, of %d", got, listed)
	}
	if _, ok := catalogue.Lookup(boathook.App, boathook.EventBuildFinish); ok {
		t.Error("an app has the event of a repository")
	}
}

func TestEveryExampleIsValid(t *testing.T) {
	for _, c := range catalogue.All() {
		if err := c.Validate(c.Example); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		var schema struct {
			Schema      string `json:"$schema"`
			Description string `json:"description"`
		}
		if err := json.Unmarshal(c.Schema, &schema); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		if schema.Schema != "https://json-schema.org/draft/2020-12/schema" || schema.Description == "" {
			t.Errorf("the schema of %s says %+v", c.Name, schema)
		}
	}
}

// Every field is required and none may be added: an example without one of its
// fields, at any depth, is refused with the field's pointer, and so is one with
// a field more.
func TestEveryFieldOfEveryExampleIsHeldTo(t *testing.T) {
	for _, c := range catalogue.All() {
		t.Run(string(c.Name), func(t *testing.T) {
			var example map[string]any
			if err := json.Unmarshal(c.Example, &example); err != nil {
				t.Fatal(err)
			}
			check := func(at, what string) {
				t.Helper()
				data, err := json.Marshal(example)
				if err != nil {
					t.Fatal(err)
				}
				wantInvalid(t, c, string(data), at, what)
			}
			var walk func(at string, o map[string]any)
			walk = func(at string, o map[string]any) {
				for name, value := range o {
					delete(o, name)
					check(at+"/"+name, "is required")
					o[name] = value
					if inner, ok := value.(map[string]any); ok && name != "input" && name != "output" {
						walk(at+"/"+name, inner)
					}
				}
				o["more~/"] = 1
				check(at+"/more~0~1", "no such field")
				delete(o, "more~/")
			}
			walk("", example)
		})
	}
}

func wantInvalid(t *testing.T, c catalogue.Type, data, field, message string) {
	t.Helper()
	err := c.Validate([]byte(data))
	e, ok := errors.AsType[*boathook.Error](err)
	if !ok || e.Kind != boathook.Invalid {
		t.Fatalf("%.200s: got %v, want an invalid error about %s", data, err, field)
	}
	if e.Field != field || !strings.Contains(e.Message, message) {
		t.Errorf("%.200s: got field %q, message %q; want %q, %q", data, e.Field, e.Message, field, message)
	}
}

func TestWhatIsWrongIsSaidInWords(t *testing.T) {
	for _, c := range []struct {
		kind           boathook.SourceKind
		name           boathook.EventType
		old, new       string
		field, message string
	}{
		{boathook.Repository, boathook.EventBuildFinish, `"exit_code":0`, `"exit_code":"0"`, "/build/exit_code", "must be a whole number, not a string"},
		{boathook.Repository, boathook.EventBuildFinish, `"exit_code":0`, `"exit_code":0.5`, "/build/exit_code", "must be a whole number, not a number"},
		{boathook.Repository, boathook.EventBuildFinish, `"status":"succeeded"`, `"status":"ok"`, "/build/status", "must be succeeded, failed"},
		{boathook.Repository, boathook.EventBuildFinish, `2014-12-18T10:47:42+00:00`, `18 December 2014`, "/build/finished_at", "must be a time such as 2014-12-18T10:44:22+00:00"},
		{boathook.Repository, boathook.EventBuildFinish, `"pushed":false`, `"pushed":null`, "/images/3/pushed", "must be true or false, not null"},
		{boathook.Repository, boathook.EventBuildFinish, `"name":"latest"`, `"name":""`, "/image_tags/0/name", "must not be empty"},
		{boathook.Repository, boathook.EventBuildFinish, `"author":{"login":"grosskur","name":"Alan Grosskurth"}`, `"author":[]`, "/commit/author", "must be an object, not an array"},
		{boathook.App, boathook.EventJobFinished, `"status":"canceled"`, `"status":"cancelled"`, "/status", "must be queued, pending, in_progress, succeeded, failed, canceled, rejected, timed_out"},
		{boathook.App, boathook.EventJobFinished, `"finishedAt":1771143284003`, `"finishedAt":"2026-02-15T08:14:44Z"`, "/finishedAt", "must be a whole number or null, not a string"},
		{boathook.App, boathook.EventJobFinished, `"createdAt":1771143256161`, `"createdAt":null`, "/createdAt", "must be a whole number, not null"},
		{boathook.App, boathook.EventJobFinished, `"totalTimeInSeconds":27`, `"totalTimeInSeconds":-1`, "/totalTimeInSeconds", "must be at least 0"},
		{boathook.App, boathook.EventAppDeploymentCreated, `"rolloutPercentage":0.5`, `"rolloutPercentage":50`, "/rolloutPercentage", "must be at most 1"},
		{boathook.App, boathook.EventAppBuildCreated, `"platform":"ios"`, `"platform":"iOS"`, "/platform", "must be android, ios, web"},
		{boathook.Deployment, boathook.EventRunFailed, `"status":"failed"`, `"status":"succeeded"`, "/status", "must be failed"},
		{boathook.Deployment, boathook.EventRunSucceeded, `"error_message":null`, `"error_message":"x"`, "/error_message", "must be null, not a string"},
	} {
		typ, _ := catalogue.Lookup(c.kind, c.name)
		if !bytes.Contains(typ.Example, []byte(c.old)) {
			t.Fatalf("the example of %s has no %s", c.name, c.old)
		}
		wantInvalid(t, typ, strings.Replace(string(typ.Example), c.old, c.new, 1), c.field, c.message)
	}
	typ, _ := catalogue.Lookup(boathook.App, boathook.EventJobCreated)
	wantInvalid(t, typ, `[]`, "", "must be an object, not an array")
	wantInvalid(t, typ, `{`, "", "not JSON")
	// Of several mistakes, the first by place.
	wantInvalid(t, typ, strings.NewReplacer(`"stack":"macos-tahoe"`, `"stack":1`, `"appId":"`, `"appId":1,"x":"`).Replace(string(typ.Example)), "/appId", "must be a string")
}

func TestWhatTheDocumentsAllowIsValid(t *testing.T) {
	build, _ := catalogue.Lookup(boathook.Repository, boathook.EventBuildFinish)
	job, _ := catalogue.Lookup(boathook.App, boathook.EventJobFinished)
	run, _ := catalogue.Lookup(boathook.Deployment, boathook.EventRunFailed)
	for name, c := range map[string]struct {
		of   catalogue.Type
		data string
	}{
		"a failed build":            {build, strings.NewReplacer(`"exit_code":0`, `"exit_code":137`, `"status":"succeeded"`, `"status":"failed"`).Replace(string(build.Example))},
		"white space and any order": {job, " {\n" + strings.Replace(string(job.Example)[1:], `"id":"16555c02-a320-4bec-a14a-52754d783970",`, "", 1)[:len(job.Example)-2-len(`"id":"16555c02-a320-4bec-a14a-52754d783970",`)] + `, "id" : "x" }`},
		"a time to the second in Z": {build, strings.Replace(string(build.Example), "+00:00", "Z", 1)},
		"any output":                {run, strings.Replace(string(run.Example), `"output":null`, `"output":[1e400,{"a":[]}]`, 1)},
	} {
		if err := c.of.Validate([]byte(c.data)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is valid is what a validator of all of JSON Schema says: with each value
// of each example replaced by each of these, which are near the edges of the
// words that the schemas use.
func TestASchemaMeansWhatJSONSchemaSays(t *testing.T) {
	instead := []any{
		nil, true, "", "x", "\u00e9", json.Number("0"), json.Number("-0.0"), json.Number("-1"), json.Number("0.5"), json.Number("1.0"),
		json.Number("1.0000000000000000000001"), json.Number("10e-1"), json.Number("1e-1"), json.Number("1E+2"), json.Number("123456789012345678901234567890"),
		[]any{}, []any{nil}, []any{map[string]any{}}, map[string]any{}, map[string]any{"id": "x"},
		"production", "staging", "failed", "Failed",
		"2014-12-18T10:44:22Z", "2014-12-18t10:44:22z", "2014-12-18T10:44:22.123456789012-23:59", "2014-12-18T10:44:22", "2014-12-18 10:44:22Z",
		"2014-12-18T1:44:22Z", "2014-12-18T10:44:22,5Z", "2014-12-18T10:44:22.Z", "2014-12-18T24:00:00Z", "2014-12-18T10:44:22+24:00", "2014-02-29T10:44:22Z",
		"2016-12-31T23:59:60Z", "2016-12-31t15:59:60.5-08:00", "2016-12-31T12:00:60Z", "2016-12-31T23:59:61Z",
		"http://a", "HTTP://[::1]:80/", "http://[a]/", "http://a b/", "http://a:b/", "urn:a", "//a/b", "/a", "a:%zz",
	}
	for _, c := range catalogue.All() {
		library := compile(t, c)
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(c.Example))
		if err != nil {
			t.Fatal(err)
		}
		var walk func(v any, at string, put func(any))
		walk = func(v any, at string, put func(any)) {
			for _, other := range instead {
				put(other)
				data, err := json.Marshal(doc)
				if err != nil {
					t.Fatal(err)
				}
				if got, want := c.Validate(data), library.Validate(doc); (got == nil) != (want == nil) {
					t.Errorf("%s of a %s with %#v at %q: got %v; the library says %v", c.Name, c.Source, other, at, got, want)
				}
			}
			put(v)
			switch v := v.(type) {
			case map[string]any:
				for name, inner := range v {
					walk(inner, at+"/"+name, func(other any) { v[name] = other })
				}
			case []any:
				for i, inner := range v {
					walk(inner, fmt.Sprintf("%s/%d", at, i), func(other any) { v[i] = other })
				}
			}
		}
		walk(doc, "", func(other any) { doc = other })
	}
}

func compile(t *testing.T, c catalogue.Type) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(c.Schema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What a value costs does not grow with the names of what it is in.
func TestAValuesPlaceCostsNothing(t *testing.T) {
	c, _ := catalogue.Lookup(boathook.Deployment, boathook.EventRunSucceeded)
	var example map[string]any
	if err := json.Unmarshal(c.Example, &example); err != nil {
		t.Fatal(err)
	}
	example["output"] = map[string]any{strings.Repeat("k", 130<<10): make([]int, 60_000)}
	data, err := json.Marshal(example)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := c.Validate(data); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if allocated, limit := after.TotalAlloc-before.TotalAlloc, uint64(100*len(data)); allocated > limit {
		t.Errorf("%d bytes are allocated for %d of data, want at most %d", allocated, len(data), limit)
	}
}

func TestANumberThatIsComparedIsNotTooLong(t *testing.T) {
	c, _ := catalogue.Lookup(boathook.Deployment, boathook.EventRunSucceeded)
	with := func(field string) string {
		var example map[string]json.RawMessage
		if err := json.Unmarshal(c.Example, &example); err != nil {
			t.Fatal(err)
		}
		example[field] = json.RawMessage(strings.Repeat("9", 1001))
		data, err := json.Marshal(example)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	wantInvalid(t, c, with("version_number"), "/version_number", "must have at most 1000 characters")
	if err := c.Validate([]byte(with("output"))); err != nil {
		t.Errorf("a number that nobody compares: %v", err)
	}
}

func FuzzValidateNamesAValueThatIsThere(f *testing.F) {
	for _, c := range catalogue.All() {
		f.Add(string(c.Name), []byte(c.Example))
	}
	f.Add("job_created", []byte(`{"createdAt":1e9999999,"~/":{}}`))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		for _, c := range catalogue.All() {
			if string(c.Name) != name {
				continue
			}
			err := c.Validate(data)
			var e *boathook.Error
			if err != nil && (!errors.As(err, &e) || e.Kind != boathook.Invalid || e.Message == "") {
				t.Errorf("%q: %v", data, err)
			}
			if e != nil && !isThere(data, e) {
				t.Errorf("%q has nothing at %q, but %v", data, e.Field, err)
			}
			if err == nil && boathook.CheckJSON(data) == nil && bytes.TrimSpace(data)[0] != '{' {
				t.Errorf("%q is valid", data)
			}
		}
	})
}

// isThere reports whether an error's field is a value of data, or, where it is
// one that is required, would be in an object of data.
func isThere(data []byte, e *boathook.Error) bool {
	var v any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if dec.Decode(&v) != nil {
		return e.Field == ""
	}
	for i, token := range strings.Split(e.Field, "/")[1:] {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		switch inner := v.(type) {
		case map[string]any:
			value, ok := inner[token]
			if !ok {
				return e.Message == "is required" && i == strings.Count(e.Field, "/")-1
			}
			v = value
		case []any:
			n, err := strconv.Atoi(token)
			if err != nil || n >= len(inner) {
				return false
			}
			v = inner[n]
		default:
			return false
		}
	}
	return e.Message != "is required"
}
