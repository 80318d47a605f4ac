// Package catalogue knows the types of events that sources tell of: what each
// one's data is, as a JSON Schema, and an example of it, the source's own
// document's where that has one.
//
// A type is two files that have its name, in schemas and examples. Which kinds
// of sources have it is in [boathook.EventTypes].
package catalogue

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"boathook/internal/boathook"
)

// Type is a type of events, as one kind of source has it.
type Type struct {
	Name    boathook.EventType
	Source  boathook.SourceKind
	Schema  json.RawMessage // JSON Schema, draft 2020-12, of the data of such an event
	Example json.RawMessage // valid data, without white space

	compiled *jsonschema.Schema
}

//go:embed schemas/*.json examples/*.json
var files embed.FS

// types are compiled when they are first asked for.
var types = sync.OnceValue(func() (all []Type) {
	for _, kind := range slices.Sorted(maps.Keys(boathook.EventTypes)) {
		for _, name := range boathook.EventTypes[kind] {
			t := Type{Name: name, Source: kind, Schema: read("schemas", name), Example: read("examples", name)}
			t.compiled = compile(t.Schema)
			all = append(all, t)
		}
	}
	return all
})

// read panics where a file is missing or is not JSON, which the tests find.
func read(folder string, name boathook.EventType) json.RawMessage {
	text, err := files.ReadFile(folder + "/" + string(name) + ".json")
	if err != nil {
		panic(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		panic(fmt.Errorf("%s of %s: %w", folder, name, err))
	}
	return compact.Bytes()
}

// compile panics on what is no schema.
func compile(schema []byte) *jsonschema.Schema {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		panic(err)
	}
	const url = "catalogue:schema"
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(url, doc); err != nil {
		panic(err)
	}
	return c.MustCompile(url)
}

// All lists the types, by kind of source.
func All() []Type { return slices.Clone(types()) }

// Lookup finds a type of a kind of source.
func Lookup(kind boathook.SourceKind, name boathook.EventType) (Type, bool) {
	i := slices.IndexFunc(types(), func(t Type) bool { return t.Source == kind && t.Name == name })
	if i < 0 {
		return Type{}, false
	}
	return types()[i], true
}

// Validate checks the data of an event, which must be JSON. The error is
// [boathook.Invalid]; its field is the JSON Pointer (RFC 6901) of the first
// value at fault, in data's root empty, and its message says what that must be.
func (t Type) Validate(data []byte) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return boathook.Errorf(boathook.Invalid, "not JSON: %s", err)
	}
	if err := checkNumbers(doc, nil); err != nil {
		return err
	}
	err = t.compiled.Validate(doc)
	if invalid, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		return explain(invalid)
	}
	return err
}

// maxExponent is the largest of a number's that is taken. The validator counts
// with all digits, and has none for what it can't count with.
const maxExponent = 999

// checkNumbers refuses a number that is too large or too small for anyone.
func checkNumbers(v any, location []string) error {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			if err := checkNumbers(inner, append(location, name)); err != nil {
				return err
			}
		}
	case []any:
		for i, inner := range v {
			if err := checkNumbers(inner, append(location, strconv.Itoa(i))); err != nil {
				return err
			}
		}
	case json.Number:
		_, exponent, ok := strings.Cut(strings.ToLower(v.String()), "e")
		if n, err := strconv.Atoi(exponent); ok && (err != nil || n > maxExponent || n < -maxExponent) {
			return boathook.InvalidField(pointer(location), "must have an exponent of at most %d", maxExponent)
		}
	}
	return nil
}

// pointer is the JSON Pointer of a location.
func pointer(location []string) string {
	var p strings.Builder
	for _, token := range location {
		p.WriteByte('/')
		p.WriteString(pointerEscapes.Replace(token))
	}
	return p.String()
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")
