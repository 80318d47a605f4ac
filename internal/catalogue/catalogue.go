// Package catalogue knows the types of events that sources tell of: what each
// one's data is, as a JSON Schema, and an example of it, the source's own
// document's where that has one.
//
// A type is two files that have its name, in its kind's folders of schemas and
// examples. Which types a kind of source has is in [boathook.EventTypes].
package catalogue

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"sync"

	"boathook/internal/boathook"
	"boathook/internal/schema"
)

// Type is a type of events, as one kind of source has it.
type Type struct {
	Name        boathook.EventType
	Source      boathook.SourceKind
	Description string
	Schema      json.RawMessage // JSON Schema, draft 2020-12, of the data of such an event
	Example     json.RawMessage // valid data, without white space

	schema *schema.Schema
}

//go:embed schemas examples
var files embed.FS

// types are read when they are first asked for.
var types = sync.OnceValue(func() (all []Type) {
	for _, kind := range slices.Sorted(maps.Keys(boathook.EventTypes)) {
		for _, name := range boathook.EventTypes[kind] {
			t := Type{Name: name, Source: kind, Schema: read("schemas", kind, name), Example: read("examples", kind, name)}
			t.schema, t.Description = compile(t), describe(t)
			all = append(all, t)
		}
	}
	return all
})

// read panics where a file is missing or is not JSON, which the tests find.
func read(folder string, kind boathook.SourceKind, name boathook.EventType) json.RawMessage {
	text, err := files.ReadFile(path.Join(folder, string(kind), string(name)+".json"))
	if err != nil {
		panic(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		panic(fmt.Errorf("%s of %s of a %s: %w", folder, name, kind, err))
	}
	return compact.Bytes()
}

// compile panics on a schema that is none, which the tests find.
func compile(t Type) *schema.Schema {
	s, err := schema.Compile(t.Schema)
	if err != nil {
		panic(fmt.Errorf("the schema of %s of a %s: %w", t.Name, t.Source, err))
	}
	return s
}

// describe gives what a type's schema says of itself.
func describe(t Type) string {
	var says struct {
		Description string `json:"description"`
	}
	if err := json.Unmarshal(t.Schema, &says); err != nil {
		panic(err)
	}
	return says.Description
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

// Validate checks the data of an event; see [schema.Schema.Validate].
func (t Type) Validate(data []byte) error { return t.schema.Validate(data) }
