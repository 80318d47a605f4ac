package schema

import (
	"errors"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// FuzzJudge holds what is found while a value is read to what is found of it afterwards.
func FuzzJudge(f *testing.F) {
	values := []string{
		`{}`, `[]`, `1`, `1.5`, `1e1000`, `"a"`, `null`, `true`, `{"a":1}`, `{"a":"x","b":[1,{"c":null}],"d":{}}`, `{"a":1,"a":"x"}`, `{"a":"x","a":1}`,
		`[1,"a",[]]`, `[1,1]`, `{"\u0061":1}`, `{"a":{"a":{"a":1}}}`, `{"x":1e1000}`, `[[[]]]`, `{"a":1,"b":2,"c":3}`,
	}
	for _, schema := range []string{
		`true`, `false`, `{}`, `{"type":"object"}`, `{"type":["array","null"]}`, `{"type":"integer"}`,
		`{"type":"object","properties":{"a":{"type":"string","minLength":1},"b":{"type":"array","items":{"type":["integer","object"]}}},"required":["a"]}`,
		`{"properties":{"a":true,"b":false},"additionalProperties":false}`, `{"additionalProperties":{"type":"integer"}}`, `{"required":["a","b","a"]}`,
		`{"minProperties":2}`, `{"maxProperties":1}`, `{"patternProperties":{"^a":{"type":"string"}},"additionalProperties":false}`,
		`{"propertyNames":{"maxLength":1}}`, `{"dependentRequired":{"a":["b"]}}`, `{"dependentSchemas":{"a":{"required":["b"]}}}`,
		`{"items":{"type":"integer"},"minItems":1,"maxItems":2}`, `{"prefixItems":[{"type":"integer"}],"items":false}`, `{"uniqueItems":true}`, `{"contains":{"type":"string"}}`,
		`{"enum":[{"a":1},[],1]}`, `{"const":{"a":1}}`, `{"allOf":[{"required":["a"]}]}`, `{"anyOf":[{"type":"object"},{"type":"array"}]}`, `{"not":{"type":"object"}}`,
		`{"if":{"required":["a"]},"then":{"required":["b"]}}`, `{"$ref":"#/$defs/a","$defs":{"a":{"properties":{"a":{"$ref":"#/$defs/a"}},"type":"object"}}}`,
	} {
		for _, value := range values {
			f.Add(schema, value)
		}
	}
	f.Fuzz(func(t *testing.T, schema, text string) {
		s, err := Compile([]byte(schema))
		if err != nil {
			return
		}
		v, err := decode([]byte(text))
		if err != nil {
			return
		}
		fault := new(checking).check(s.root, v)
		if errors.Is(fault, errCostly) {
			return
		}
		if fault == nil {
			fault = countable(v)
		}
		judged := (&judge{parser{text: text}, checking{verdict: true}}).value(s.root)
		if judged == nil && fault != nil {
			t.Errorf("%s is said to be as %s, and is not: %v", text, schema, fault)
		}
		if judged != nil && fault == nil && !namesTwice(text) {
			t.Errorf("%s is said not to be as %s, and is: %v", text, schema, judged)
		}
	})
}

// namesTwice reports whether an object has a field twice.
func namesTwice(text string) bool {
	return !jsontext.Value(text).IsValid(jsontext.AllowInvalidUTF8(true))
}
