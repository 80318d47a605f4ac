package schema_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"boathook/internal/boathook"
	"boathook/internal/schema"
)

func compile(t *testing.T, document string) *schema.Schema {
	t.Helper()
	s, err := schema.Compile([]byte(document))
	if err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	return s
}

func wantInvalid(t *testing.T, what string, err error, field, message string) {
	t.Helper()
	e, ok := errors.AsType[*boathook.Error](err)
	if !ok || e.Kind != boathook.Invalid {
		t.Errorf("%.200s: got %v, want an invalid error", what, err)
		return
	}
	if e.Field != field || !strings.Contains(e.Message, message) {
		t.Errorf("%.200s: got field %q, message %q; want %q, %q", what, e.Field, e.Message, field, message)
	}
}

// schemas use each word that is known.
var schemas = []string{
	`true`, `false`, `{}`,
	`{"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"https://example.com/a","title":"t","x-internal":{"a":[1]}}`,
	`{"type":"integer"}`, `{"type":["number","null"]}`, `{"type":["string","array"],"minLength":2,"maxLength":3,"minItems":1,"maxItems":2}`,
	`{"enum":[1.0,"a",null,[1,{"b":2,"a":[]}],1e2]}`, `{"const":{"a":10,"b":[true]}}`, `{"const":null}`, `{"enum":[]}`, `{"enum":["a","b"],"const":"b"}`,
	`{"pattern":"^a+b?$"}`, `{"pattern":"b"}`,
	`{"minimum":1,"maximum":10}`, `{"exclusiveMinimum":1,"exclusiveMaximum":10}`, `{"multipleOf":0.01}`, `{"multipleOf":3}`,
	`{"prefixItems":[{"type":"string"},{"type":"integer"}],"items":false}`, `{"prefixItems":[true],"items":{"type":"integer"}}`, `{"items":{"minimum":2}}`,
	`{"contains":{"type":"integer"}}`, `{"contains":{"const":1},"minContains":0}`, `{"contains":{"type":"integer"},"minContains":2,"maxContains":2}`, `{"minContains":2}`,
	`{"uniqueItems":true}`, `{"uniqueItems":false}`,
	`{"properties":{"a":{"type":"integer"},"b":false},"required":["a","c"],"additionalProperties":false}`,
	`{"properties":{"a":true},"patternProperties":{"^x":{"type":"string"},"y$":false},"additionalProperties":{"type":"integer"}}`,
	`{"propertyNames":{"maxLength":1,"pattern":"[a-c]"},"minProperties":1,"maxProperties":2}`,
	`{"dependentRequired":{"a":["b","c"],"b":[]}}`, `{"dependentSchemas":{"a":{"required":["b"]},"b":{"maxProperties":1}}}`,
	`{"allOf":[{"type":"integer"},{"minimum":2}]}`, `{"anyOf":[{"type":"string"},{"minimum":2}]}`, `{"oneOf":[{"type":"integer"},{"minimum":2}]}`,
	`{"not":{"type":"integer"}}`, `{"not":{}}`,
	`{"if":{"type":"integer"},"then":{"minimum":2},"else":{"type":"string"}}`, `{"if":{"type":"integer"},"then":false}`, `{"then":false,"else":false}`,
	`{"$defs":{"n":{"type":"integer"}},"$ref":"#/$defs/n","minimum":2}`,
	`{"properties":{"a":{"$ref":"#"}},"additionalProperties":{"type":"integer"}}`, `{"items":{"$ref":"#"},"type":["array","integer"]}`,
	`{"$defs":{"a/b":{"const":1},"%":{"const":"a"}},"anyOf":[{"$ref":"#/$defs/a~1b"},{"$ref":"#/$defs/%25"}]}`,
	`{"anyOf":[{"$ref":"#/properties/a"}],"properties":{"a":{"type":["object","integer"]}}}`,
	`{"format":"date-time"}`, `{"format":"date"}`, `{"format":"uri"}`, `{"format":"email"}`, `{"format":"uuid"}`, `{"format":"ipv4"}`, `{"format":"ipv6"}`,
}

var values = []string{
	`null`, `true`, `false`, `0`, `-0.0`, `1`, `1.0`, `10e-1`, `2`, `3`, `2.5`, `0.03`, `0.035`, `9.99999999999999999999999999999`, `10`, `1e1`, `100`, `1E+2`, `-3`,
	`123456789012345678901234567890`, `""`, `"a"`, `"ab"`, `"aab"`, `"abcd"`, `"éé"`, `"b"`,
	`[]`, `[1]`, `["a"]`, `["a",1]`, `["a",1,null]`, `[1,1.0]`, `[1,2,3]`, `[1,"a",2]`, `[[1],[1]]`, `[{"a":1,"b":2},{"b":2,"a":1.0}]`, `[true,1]`, `["1",1]`, `[1,{"a":[],"b":2}]`, `[[],[[1]]]`, `[["x"]]`,
	`{}`, `{"a":1}`, `{"a":"x"}`, `{"a":1,"c":2}`, `{"a":1,"b":2,"c":3}`, `{"b":1}`, `{"a":1,"b":2}`, `{"x1":"s"}`, `{"x1":1}`, `{"xy":"s"}`, `{"z":1}`, `{"z":"s"}`, `{"a":{"a":{"z":"s"}}}`, `{"a":{"a":{"z":1}}}`, `{"a":10,"b":[true]}`, `{"aa":1}`, `{"d":1}`,
	`"2014-12-18T10:44:22Z"`, `"2014-12-18"`, `"2014-02-30"`, `"2014-2-3"`, `"http://a"`, `"a b"`, `"a@example.com"`, `"a.b+c@localhost"`, `"a@"`, `"a@b@c"`, `"a..b@c"`, `".a@b"`, `"a@-b"`,
	`"6d2a5a3e-0b52-4b0e-9a55-7a1f2f9a4f4f"`, `"6d2a5a3e0b524b0e9a557a1f2f9a4f4f"`, `"1.2.3.4"`, `"1.2.3"`, `"01.2.3.4"`, `"1.2.3.256"`, `"::1"`, `"fe80::1%eth0"`, `"::ffff:1.2.3.4"`, `"1::2::3"`,
}

// Each schema, in each place where a schema may stand, allows what a library of all of
// JSON Schema says that it does.
func TestASchemaMeansWhatTheLibrarySays(t *testing.T) {
	var all []string
	all = append(all, schemas...)
	for _, s := range schemas {
		if strings.Contains(s, `$ref`) || strings.Contains(s, `$schema`) {
			continue // what they say of the root is not true further in
		}
		for _, around := range []string{
			`{"not":%s}`, `{"items":%s}`, `{"contains":%s,"maxContains":1}`, `{"properties":{"a":%s}}`, `{"patternProperties":{"^a":%s}}`, `{"additionalProperties":%s}`,
			`{"propertyNames":%s}`, `{"allOf":[%s,true]}`, `{"anyOf":[%s,{"type":"null"}]}`, `{"oneOf":[%s,{"type":"string"}]}`, `{"if":%s,"then":{"type":"object"},"else":{"type":"array"}}`,
			`{"dependentSchemas":{"a":%s}}`, `{"$defs":{"s":%s},"items":{"$ref":"#/$defs/s"}}`, `{"prefixItems":[true,%s]}`,
		} {
			all = append(all, fmt.Sprintf(around, s))
		}
	}
	allowed, refused := 0, 0
	for _, document := range all {
		ours, library := compile(t, document), ofLibrary(t, document)
		for _, value := range values {
			v, err := jsonschema.UnmarshalJSON(strings.NewReader(value))
			if err != nil {
				t.Fatal(err)
			}
			got, want := ours.Validate([]byte(value)), library.Validate(v)
			if (got == nil) != (want == nil) {
				t.Errorf("%s with %s: got %v; the library says %v", document, value, got, want)
			}
			if want == nil {
				allowed++
			} else {
				refused++
			}
		}
	}
	if allowed < 10_000 || refused < 10_000 {
		t.Errorf("%d are allowed and %d refused: that says little", allowed, refused)
	}
}

func ofLibrary(t *testing.T, document string) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(document)))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("https://example.com/schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := compiler.Compile("https://example.com/schema.json")
	if err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	return s
}

func TestWhatIsWrongIsSaidInWords(t *testing.T) {
	for _, c := range []struct{ schema, value, field, message string }{
		{`{"items":{"minLength":1}}`, `["a",""]`, "/1", "must not be empty"},
		{`{"minLength":2}`, `"a"`, "", "must have at least 2 characters"},
		{`{"maxLength":1}`, `"ab"`, "", "must have at most 1 character"},
		{`{"pattern":"^a"}`, `"b"`, "", "must match ^a"},
		{`{"enum":["a","",1,null,[1]]}`, `2`, "", `must be a, "", 1, null, [1]`},
		{`{"exclusiveMinimum":1.50}`, `1.5`, "", "must be more than 1.50"},
		{`{"exclusiveMaximum":1}`, `1`, "", "must be less than 1"},
		{`{"multipleOf":0.1}`, `0.15`, "", "must be a multiple of 0.1"},
		{`{"minItems":1}`, `[]`, "", "must have at least 1 item"},
		{`{"prefixItems":[true],"items":false}`, `[1,2]`, "/1", "must not be given"},
		{`{"uniqueItems":true}`, `[1,2,1.0]`, "/2", "is the same as item 0"},
		{`{"contains":{"const":1}}`, `[2]`, "", "must have at least 1 item that contains allow"},
		{`{"maxProperties":1}`, `{"a":1,"b":2}`, "", "must have at most 1 field"},
		{`{"dependentRequired":{"a":["b/c"]}}`, `{"a":1}`, "/b~1c", `is required beside "a"`},
		{`{"propertyNames":{"maxLength":1}}`, `{"ab":1}`, "/ab", "has a name that must have at most 1 character"},
		{`{"anyOf":[{"type":"string"},{"type":"null"}]}`, `1`, "", "must be as one of the 2 schemas of anyOf says"},
		{`{"oneOf":[true,true]}`, `1`, "", "exactly one of the 2 schemas of oneOf says, and is as 2 say"},
		{`{"not":true}`, `1`, "", "must not be as the schema of not says"},
		{`{"allOf":[{"properties":{"a":{"type":"integer"}}}]}`, `{"a":"x"}`, "/a", "must be a whole number, not a string"},
		{`{"format":"email"}`, `"@a"`, "", "must be an email address"}, // which the library takes
		{`true`, `{"a":[1,1e1000]}`, "/a/1", "must have an exponent of at most 999"},
		{`{"minimum":1}`, strings.Repeat("9", 1001), "", "must have at most 1000 characters"},
		{`{"properties":{"b":false,"a":{"type":"null"}}}`, `{"b":1,"a":1}`, "/a", "must be null, not a number"},
		{`true`, `{`, "", "not JSON"}, {`true`, `1 2`, "", "more than one value"},
	} {
		wantInvalid(t, c.schema+" with "+c.value, compile(t, c.schema).Validate([]byte(c.value)), c.field, c.message)
	}
}

func TestASchemaThatIsNoneIsRefusedByName(t *testing.T) {
	for _, c := range []struct{ schema, field, message string }{
		{`[]`, "", "must be a schema"}, {`{"items":1}`, "/items", "must be a schema"}, {`{`, "", "not JSON"},
		{`{"properties":{"a":{"unevaluatedProperties":false}}}`, "/properties/a/unevaluatedProperties", "is not a word that is known"},
		{`{"$anchor":"a"}`, "/$anchor", "is not a word"}, {`{"$dynamicRef":"#a"}`, "/$dynamicRef", "is not a word"},
		{`{"items":{"$id":"a"}}`, "/items/$id", "is not a word"}, {`{"definitions":{}}`, "/definitions", "is not a word"},
		{`{"propertis":{}}`, "/propertis", "is not a word"},
		{`{"$schema":"http://json-schema.org/draft-07/schema#"}`, "/$schema", "must be https://json-schema.org/draft/2020-12/schema"},
		{`{"$ref":"https://169.254.169.254/latest"}`, "/$ref", "nothing is fetched"}, {`{"$ref":"other.json#/a"}`, "/$ref", "nothing is fetched"},
		{`{"$ref":"#a"}`, "/$ref", "must be a JSON Pointer"}, {`{"items":{"$ref":"#/$defs/a"}}`, "/items/$ref", "refers to no schema"},
		{`{"$ref":"#/required","required":["a"]}`, "/$ref", "refers to no schema"},
		{`{"$ref":"#"}`, "/$ref", "refers to itself"},
		{`{"$defs":{"a":{"anyOf":[{"$ref":"#/$defs/b"}]},"b":{"not":{"$ref":"#/$defs/a"}}}}`, "/$defs/a/anyOf/0/$ref", "refers to itself"},
		{`{"$defs":{"a":{"if":true,"then":{"dependentSchemas":{"x":{"$ref":"#/$defs/a"}}}}}}`, "/$defs/a/then/dependentSchemas/x/$ref", "refers to itself"},
		{`{"type":"float"}`, "/type", "must be one or more of array, boolean"}, {`{"type":[]}`, "/type", "must be one or more"}, {`{"type":["null","null"]}`, "/type", "each once"},
		{`{"enum":"a"}`, "/enum", "must be an array"}, {`{"required":[1]}`, "/required", "must be an array of strings"},
		{`{"minLength":-1}`, "/minLength", "must be a whole number"}, {`{"maxItems":1.5}`, "/maxItems", "must be a whole number"}, {`{"maxItems":"1"}`, "/maxItems", "must be a whole number"},
		{`{"minimum":"1"}`, "/minimum", "must be a number"}, {`{"multipleOf":0}`, "/multipleOf", "must be more than 0"}, {`{"minimum":1e1000}`, "/minimum", "exponent"},
		{`{"uniqueItems":1}`, "/uniqueItems", "must be true or false"}, {`{"allOf":[]}`, "/allOf", "one or more schemas"}, {`{"allOf":[1]}`, "/allOf/0", "must be a schema"},
		{`{"properties":[]}`, "/properties", "must be an object of schemas"}, {`{"format":"hostname"}`, "/format", "must be one of date, date-time, email"},
		{`{"pattern":"(?=a)"}`, "/pattern", "syntax of RE2"}, {`{"pattern":"("}`, "/pattern", "syntax of RE2: missing closing )"}, {`{"pattern":1}`, "/pattern", "must be a string"},
		{`{"patternProperties":{"(":{}}}`, "/patternProperties/(", "syntax of RE2"},
		{`{"dependentRequired":{"a":"b"}}`, "/dependentRequired/a", "array of strings"}, {`{"dependentRequired":[]}`, "/dependentRequired", "object of arrays"},
	} {
		_, err := schema.Compile([]byte(c.schema))
		wantInvalid(t, c.schema, err, c.field, c.message)
	}
}

// What a stranger's schema and a stranger's value can cost is bounded, also where the
// verdict of what costs so much would be turned round.
func TestACostlySchemaIsRefusedOrGivenUp(t *testing.T) {
	for _, c := range []struct{ schema, message string }{
		{`{"pattern":"` + strings.Repeat("a", 257) + `"}`, "at most 256 bytes"},
		{`{"pattern":"((a{50}){50})"}`, "must repeat less"},
		{`{"pattern":"(((((a{0,30}){0,30}){0,30}){0,30}){0,30}){0,30}"}`, "must repeat less"},
	} {
		if _, err := schema.Compile([]byte(c.schema)); err == nil || !strings.Contains(err.Error(), c.message) && !strings.Contains(err.Error(), "RE2") {
			t.Errorf("%.80s: %v, want %s", c.schema, err, c.message)
		}
	}
	many := make([]string, 17)
	for i := range many {
		many[i] = `{"pattern":"(a{20}){20}"}`
	}
	_, err := schema.Compile([]byte(`{"allOf":[` + strings.Join(many, ",") + `]}`))
	wantInvalid(t, "many patterns", err, "/allOf/16/pattern", "one pattern too many")
	doubling := func(word string) string {
		var defs []string
		for i := range 40 {
			defs = append(defs, fmt.Sprintf(`"d%d":{"%s":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]}`, i, word, i+1, i+1))
		}
		return strings.Join(defs, ",")
	}
	chain := func(links int) string {
		var defs []string
		for i := range links {
			defs = append(defs, fmt.Sprintf(`"%d":{"$ref":"#/$defs/%d"}`, i, i+1))
		}
		return strings.Join(defs, ",")
	}
	long := `"` + strings.Repeat("a", 250_000) + `"`
	for name, c := range map[string]struct{ schema, value string }{
		"all":               {`{"$defs":{` + doubling("allOf") + `,"d40":true},"$ref":"#/$defs/d0"}`, `1`},
		"any":               {`{"$defs":{` + doubling("anyOf") + `,"d40":false},"$ref":"#/$defs/d0"}`, `1`},
		"one":               {`{"$defs":{` + doubling("oneOf") + `,"d40":true},"$ref":"#/$defs/d0"}`, `1`},
		"not":               {`{"$defs":{` + doubling("allOf") + `,"d40":true},"not":{"$ref":"#/$defs/d0"}}`, `1`},
		"if":                {`{"$defs":{` + doubling("allOf") + `,"d40":true},"if":{"$ref":"#/$defs/d0"}}`, `1`},
		"contains":          {`{"$defs":{` + doubling("allOf") + `,"d40":true},"contains":{"$ref":"#/$defs/d0"},"minContains":0}`, `[1]`},
		"names":             {`{"$defs":{` + doubling("allOf") + `,"d40":true},"propertyNames":{"$ref":"#/$defs/d0"}}`, `{"a":1}`},
		"a chain of refs":   {`{"$defs":{` + chain(5000) + `,"5000":true},"$ref":"#/$defs/0"}`, `1`},
		"patterns":          {`{"pattern":"(a?){300}b"}`, long},
		"patterns of names": {`{"patternProperties":{"(a?){300}b":true}}`, `{` + long + `:1}`},
	} {
		wantInvalid(t, name, compile(t, c.schema).Validate([]byte(c.value)), "", "takes too long to hold to its schema")
	}
	// What fits a request and an honest schema is well within.
	honest := compile(t, `{"items":{"type":"integer","minimum":0,"anyOf":[{"maximum":5},{"multipleOf":2}]},"uniqueItems":false}`)
	if err := honest.Validate([]byte(`[` + strings.Repeat("4,", 131_000) + `4]`)); err != nil {
		t.Errorf("256 KiB of numbers: %v", err)
	}
}

func FuzzWhatCompilesDecides(f *testing.F) {
	for i, s := range schemas {
		f.Add([]byte(s), []byte(values[i%len(values)]))
	}
	f.Fuzz(func(t *testing.T, document, value []byte) {
		s, err := schema.Compile(document)
		if err == nil {
			err = s.Validate(value)
		}
		if e, ok := errors.AsType[*boathook.Error](err); err != nil && (!ok || e.Kind != boathook.Invalid || e.Message == "") {
			t.Errorf("%s with %s: %v", document, value, err)
		}
	})
}
